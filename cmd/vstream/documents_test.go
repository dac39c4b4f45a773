package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// resumeLoop starts the very script that docs/api.md shows, against another address.
func resumeLoop(t *testing.T, dir, api string) *process {
	t.Helper()
	for _, tool := range []string{"sh", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the documented script needs %s: %v", tool, err)
		}
	}
	document, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	const begins = "```sh\n"
	_, script, _ := strings.Cut(string(document), begins)
	script, _, ok := strings.Cut(script, "```")
	if !ok || strings.Contains(script, begins) {
		t.Fatal("docs/api.md holds no script, or two")
	}
	const address = "http://localhost:8080/api/v1"
	if strings.Count(script, address) != 1 {
		t.Fatalf("the script does not name %s once", address)
	}
	p := &process{Cmd: exec.Command("sh", "-c", strings.Replace(script, address, api, 1)), t: t, grew: make(chan struct{}), done: make(chan struct{})}
	p.Dir = dir
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with curl and jq
	p.begin()
	t.Cleanup(p.killGroup)
	return p
}

func (p *process) killGroup() {
	_ = syscall.Kill(-p.Process.Pid, syscall.SIGKILL)
	<-p.done
	if p.t.Failed() {
		p.t.Logf("the script said:\n%s", p.text())
	}
}

func TestTheDocumentedScriptGoesOnWhereItStoppedThroughRestartsOfItAndOfTheServer(t *testing.T) {
	env := environment(t, start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--rate", "50", "--seed", "1"))
	server := start(t, env, "serve")
	base := api(server)
	dir := t.TempDir()
	reader := resumeLoop(t, dir, base)
	reader.says(`(?m)^60\t`)
	reader.killGroup()
	said := reader.text()

	port := regexp.MustCompile(`:(\d+)/`).FindStringSubmatch(base)[1]
	kill(server)
	reader = resumeLoop(t, dir, base) // finds no server
	time.Sleep(100 * time.Millisecond)
	server = start(t, append(env, "PORT="+port), "serve")
	reader.says(`(?m)^\d+\t.*\n(?s:.*)\n\d+\t`)
	kill(server)
	api(start(t, append(env, "PORT="+port), "serve"))
	back := time.Now().UTC().Format(time.RFC3339Nano)
	deadline := time.Now().Add(patience)
	for last := ""; last < back; { // what it had of the server before it goes on printing
		if time.Now().After(deadline) {
			t.Fatal("the script does not go on after the server came back")
		}
		time.Sleep(20 * time.Millisecond)
		if times := saidTimes.FindAllStringSubmatch(reader.text(), -1); len(times) > 0 {
			last = times[len(times)-1][1]
		}
	}
	reader.killGroup()
	// What was printed but not yet noted when the script was killed is there twice.
	seen := map[int]bool{}
	last := 0
	for _, id := range append(lines(said), lines(reader.text())...) {
		seen[id], last = true, max(last, id)
	}
	held := watch(t, base+"/events?watch=true&offset=earliest")
	for held.Scan() {
		id, _ := strconv.Atoi(decode(t, held.Text()).ID)
		if id > last {
			break
		}
		if !seen[id] {
			t.Errorf("the script never said event %d", id)
		}
		delete(seen, id)
	}
	if len(seen) > 0 {
		t.Errorf("the script said %v, which are no events", seen)
	}
}

func TestTheDocumentedScriptSaysWhatItMissed(t *testing.T) {
	env := environment(t, start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--rate", "5", "--seed", "1"))
	base := api(start(t, append(env, "LOG_MAX_SEGMENT_SIZE=10"), "serve"))
	until(t, base+"/range", func(_ int, body string) bool { return !strings.Contains(body, `"earliest":1,`) && body != "" })
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "position.txt"), []byte("1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	resumeLoop(t, dir, base).says(`(?m)^missed up to [1-9]\d* events\n\d+\t`)
}

// saidTimes matches lines of the script, with the time of the event.
var saidTimes = regexp.MustCompile(`(?m)^\d+\t(\S+)\t.*\n`)

// lines returns the ids of the events that the script has said.
func lines(text string) []int {
	var ids []int
	for _, m := range regexp.MustCompile(`(?m)^(\d+)\t.*$`).FindAllStringSubmatch(text, -1) {
		id, _ := strconv.Atoi(m[1])
		ids = append(ids, id)
	}
	return ids
}

func kill(p *process) {
	_ = p.Process.Kill()
	<-p.done
}
