package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience is how long a test waits for what must happen: long, for machines are slow
// and shared, and what goes well never waits for it.
const patience = 60 * time.Second

// atOnce lets a process that the race detector watches end without waiting a second for other
// races, which is the default: tests start hundreds.
const atOnce = "GORACE=atexit_sleep_ms=0"

// process is a vstream that runs in another process.
type process struct {
	*exec.Cmd
	t    *testing.T
	mu   sync.Mutex
	said strings.Builder // under mu; stdout and stderr
	grew chan struct{}   // under mu; closed and replaced when said grows
	done chan struct{}   // closed when it has ended
}

// start runs vstream with just this environment beside the necessary.
func start(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("vstream", args...), t: t, grew: make(chan struct{}), done: make(chan struct{})}
	p.Env = append([]string{atOnce, "PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "TMPDIR=" + t.TempDir()}, env...)
	p.begin()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.done
		if t.Failed() {
			t.Logf("vstream %s said:\n%s", strings.Join(args, " "), p.text())
		}
	})
	return p
}

// begin starts the process.
func (p *process) begin() {
	p.t.Helper()
	p.Stdout, p.Stderr = p, p
	if err := p.Start(); err != nil {
		p.t.Fatal(err)
	}
	go func() {
		defer close(p.done)
		_ = p.Wait()
	}()
}

func (p *process) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.said.Write(b)
	close(p.grew)
	p.grew = make(chan struct{})
	return len(b), nil
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.said.String()
}

// says waits until the process has said something that matches, and returns the groups.
func (p *process) says(pattern string) []string {
	p.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(patience)
	for {
		p.mu.Lock()
		said, grew := p.said.String(), p.grew
		p.mu.Unlock()
		if m := re.FindStringSubmatch(said); m != nil {
			return m
		}
		select {
		case <-grew:
		case <-p.done:
			if m := re.FindStringSubmatch(p.text()); m != nil {
				return m
			}
			p.t.Fatalf("ended without saying %s", pattern)
		case <-late:
			p.t.Fatalf("does not say %s", pattern)
		}
	}
}

// stop asks it to stop and expects a clean end. What has said something listens to signals;
// before that it may have been born only just, and end with the signal.
func (p *process) stop() {
	p.t.Helper()
	p.says(`.`)
	if err := p.Process.Signal(os.Interrupt); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.done:
		if code := p.ProcessState.ExitCode(); code != 0 {
			p.t.Errorf("stopped with exit code %d", code)
		}
	case <-time.After(patience):
		p.t.Fatal("does not stop")
	}
}

// environment of a serve that reads what simulate has printed.
func environment(t *testing.T, simulate *process) []string {
	t.Helper()
	env := []string{"PORT=0", "VCENTER_STREAM_BEGIN=1h"}
	simulate.says(`Stop it with`)
	for _, m := range regexp.MustCompile(`export (\S+)`).FindAllStringSubmatch(simulate.text(), -1) {
		env = append(env, m[1])
	}
	return env
}

func api(serve *process) string {
	port := serve.says(`address=\S*:(\d+)`)[1]
	return "http://" + net.JoinHostPort("127.0.0.1", port) + "/api/v1"
}

func fetch(t *testing.T, url string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// until asks for url until ok likes the answer.
func until(t *testing.T, url string, ok func(status int, body string) bool) string {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		status, text := fetch(t, url)
		if ok(status, text) {
			return text
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s goes on answering %d %s", url, status, text)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// watch returns the lines of a watch as they come, until the test ends.
func watch(t *testing.T, url string) *bufio.Scanner {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); res.Body.Close() })
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return lines
}

type cloudEvent struct {
	SpecVersion, ID, Source, Type, EventClass string
	Data                                      map[string]any
}

func decode(t *testing.T, text string) cloudEvent {
	t.Helper()
	var e cloudEvent
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return e
}

func has(n int) func(int, string) bool {
	return func(status int, body string) bool { return status == 200 && strings.Count(body, `"specversion"`) >= n }
}

// checkDocumented does what the documentation shows, in its order.
func checkDocumented(t *testing.T, api, source string) {
	t.Helper()
	until(t, api+"/events", has(50))
	status, text := fetch(t, api+"/range")
	var held struct{ Earliest, Latest int64 }
	if err := json.Unmarshal([]byte(text), &held); err != nil || status != 200 || held.Earliest < 1 || held.Latest < held.Earliest+49 {
		t.Fatalf("range is %d %s", status, text)
	}
	if !regexp.MustCompile(`^\{"earliest":\d+,"latest":\d+\}\n$`).MatchString(text) {
		t.Errorf("range is written %q", text)
	}

	_, page := fetch(t, api+"/events")
	var events []json.RawMessage
	if err := json.Unmarshal([]byte(page), &events); err != nil || len(events) != 50 {
		t.Fatalf("the page holds %d events, %v", len(events), err)
	}
	last := decode(t, string(events[49]))
	if last.SpecVersion != "1.0" || last.Source != source || !strings.HasPrefix(last.Type, "vmware.vsphere.") ||
		!strings.HasSuffix(last.Type, ".v0") || last.EventClass == "" {
		t.Errorf("event is %s", events[49])
	}
	if key, ok := last.Data["Key"].(float64); !ok || strconv.Itoa(int(key)) != last.ID {
		t.Errorf("event %s has the key %v", last.ID, last.Data["Key"])
	}
	if _, alone := fetch(t, api+"/events/"+last.ID); alone != string(events[49]) {
		t.Errorf("alone the event is %s\nin the page it is %s", alone, events[49])
	}

	from := decode(t, string(events[0])).ID
	lines := watch(t, api+"/events?watch=true&offset="+from)
	for i := range 50 {
		if !lines.Scan() || lines.Text() != string(events[i]) {
			t.Fatalf("line %d from %s on is %s, %v", i, from, lines.Text(), lines.Err())
		}
	}
	live := watch(t, api+"/events?watch=true")
	for range 3 {
		if !live.Scan() {
			t.Fatalf("the watch ended: %v", live.Err())
		}
		if e := decode(t, live.Text()); e.SpecVersion != "1.0" {
			t.Errorf("line is %s", live.Text())
		}
	}
}

func TestServeReadsASimulatorInAnotherProcess(t *testing.T) {
	simulate := start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--rate", "20", "--seed", "1")
	env := environment(t, simulate)
	serve := start(t, env, "serve")
	url := regexp.MustCompile(`VCENTER_URL=(\S+)`).FindStringSubmatch(strings.Join(env, " "))[1]
	checkDocumented(t, api(serve), url)

	// What the manifests probe.
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	res, err := client.Get(url + "/vimServiceVersions.xml")
	if err != nil || res.StatusCode != http.StatusOK {
		t.Errorf("the simulator's probe answers %v, %v", res, err)
	} else {
		res.Body.Close()
	}

	if _, text := fetch(t, strings.TrimSuffix(api(serve), "/api/v1")+"/metrics"); !strings.Contains(text, "vstream_vcenter_up{vcenter=\"127-0-0-1-") {
		t.Errorf("the metrics are %s", text)
	}

	lines := watch(t, api(serve)+"/events?watch=true")
	serve.stop()
	for lines.Scan() {
	}
	if err := lines.Err(); err != nil {
		t.Errorf("the stop cut a watch off: %v", err)
	}
	simulate.stop()
	dir := regexp.MustCompile(`VCENTER_SECRET_PATH=(\S+)`).FindStringSubmatch(strings.Join(env, " "))[1]
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Errorf("simulate left its secrets behind: %v", err)
	}
}

func TestDemoShowsMovingEvents(t *testing.T) {
	demo := start(t, []string{"PORT=0", "VCENTER_URL=https://ignored.example.com", "VCENTER_INSECURE=yes", "VCENTER_NAME=?",
		"VSTREAM_CONFIG=nothing", "VCENTER_STREAM_BEGIN=1h"}, "demo", "--rate", "20")
	m := demo.says(`simulated vCenter at (\S+)\. (?s:.*)curl -N -s (http://\S+/api/v1)/range`)
	demo.says(`(?m)^ *\d+  \d\d:\d\d:\d\d  (info|warning|error|user) +\w`)
	checkDocumented(t, m[2], m[1])
	demo.stop()
}

func TestServeServesWhileTheVCenterIsAwayAndFindsItWhenItComes(t *testing.T) {
	absent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := absent.Addr().String()
	absent.Close()
	dir := t.TempDir()
	for _, name := range []string{"username", "password"} {
		if err := os.WriteFile(dir+"/"+name, []byte("user\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	serve := start(t, []string{"PORT=0", "VCENTER_URL=" + address, "VCENTER_INSECURE=true", "VCENTER_SECRET_PATH=" + dir}, "serve")
	base := api(serve)
	serve.says(`collecting interrupted.* error="connect to https://\S+/sdk: dial tcp \S+: connect: connection refused"`)
	root := strings.TrimSuffix(base, "/api/v1")
	for path, want := range map[string]int{
		"/api/v1/range": 204, "/api/v1/events": 204, "/healthz": 200, "/readyz": 200, "/api/v1/events/44": 404,
	} {
		if status, text := fetch(t, root+path); status != want {
			t.Errorf("%s answers %d %s, want %d", path, status, text, want)
		}
	}
	waiting := watch(t, base+"/events?watch=true&offset=1")

	start(t, nil, "simulate", "--listen", address, "--rate", "20")
	if !waiting.Scan() {
		t.Fatalf("the watch ended: %v", waiting.Err())
	}
	if e := decode(t, waiting.Text()); e.ID != "1" {
		t.Errorf("the first event is %s", e.ID)
	}
	serve.stop()
}

// A kill without warning leaves nothing that keeps the next serve from starting.
func TestServeStartsAgainAfterKill(t *testing.T) {
	env := environment(t, start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--rate", "20"))
	for range 2 {
		serve := start(t, env, "serve")
		until(t, api(serve)+"/events", has(50))
		if err := serve.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-serve.done
	}
}

func TestOneVCenterThatIsAwayDoesNotTouchTheOther(t *testing.T) {
	first := start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--rate", "20", "--secret-dir", t.TempDir())
	second := start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--rate", "20", "--secret-dir", t.TempDir())
	var file strings.Builder
	file.WriteString("port: 0\nvcenters:\n")
	for i, simulate := range []*process{first, second} {
		env := strings.Join(environment(t, simulate), "\n")
		fmt.Fprintf(&file, "  - name: vc%d\n    url: %s\n    secretPath: %s\n    insecure: true\n    begin: 1h\n", i+1,
			regexp.MustCompile(`VCENTER_URL=(\S+)`).FindStringSubmatch(env)[1],
			regexp.MustCompile(`VCENTER_SECRET_PATH=(\S+)`).FindStringSubmatch(env)[1])
	}
	// One that is never there, and one whose secret is missing.
	file.WriteString("  - {name: vc3, url: 'https://127.0.0.1:1', insecure: true, secretPath: /nothing}\n")
	path := filepath.Join(t.TempDir(), "vstream.yaml")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	serve := start(t, nil, "serve", "--config", path)
	base := api(serve)
	serve.says(`files cannot be read.*vcenter=vc3.*/nothing/username`)
	for _, name := range []string{"vc1", "vc2"} {
		until(t, base+"/vcenters/"+name+"/events", has(50))
	}
	if status, text := fetch(t, base+"/range"); status != 409 || !strings.Contains(text, "/api/v1/vcenters/vc3/range") {
		t.Errorf("/range answers %d %s", status, text)
	}

	second.stop()
	states := func(want string) func(int, string) bool {
		return func(_ int, body string) bool {
			var all []struct{ Name, State string }
			_ = json.Unmarshal([]byte(body), &all)
			return fmt.Sprint(all) == want
		}
	}
	text := until(t, base+"/vcenters", states("[{vc1 collecting} {vc2 failing} {vc3 failing}]"))
	if !strings.Contains(text, `"apiVersion":"8.0.3.0"`) || !strings.Contains(text, `"lastError":{"message":`) || strings.Contains(text, "pass\"") {
		t.Errorf("/vcenters answers %s", text)
	}
	live := watch(t, base+"/vcenters/vc1/events?watch=true")
	for range 5 {
		if !live.Scan() {
			t.Fatalf("the watch ended: %v", live.Err())
		}
	}
	if status, text := fetch(t, base+"/vcenters/vc2/events"); !has(50)(status, text) {
		t.Errorf("what the stopped one has told is gone: %d %s", status, text)
	}
	serve.stop()
}

func TestAnInterruptWhileTheSimulatorStartsEndsQuietlyAndLeavesNothing(t *testing.T) {
	for _, args := range [][]string{{"demo"}, {"simulate", "--listen", "127.0.0.1:0"}} {
		for _, after := range []time.Duration{0, 30e6, 60e6, 100e6, 150e6, 250e6} {
			t.Run(fmt.Sprintf("%s after %v", args[0], after), func(t *testing.T) {
				t.Parallel()
				p := start(t, []string{"PORT=0"}, args...)
				time.Sleep(after) // the moment is the test
				if err := p.Process.Signal(os.Interrupt); err != nil {
					t.Fatal(err)
				}
				<-p.done
				if p.ProcessState.Sys().(syscall.WaitStatus).Signaled() {
					return // before it could listen for signals
				}
				if code := p.ProcessState.ExitCode(); code != 0 || strings.Contains(p.text(), "vstream: ") || strings.Contains(p.text(), "goroutine ") {
					t.Errorf("exit code %d", code)
				}
				p.leavesNothing()
			})
		}
	}
}

func TestADemoWhoseReaderHasHadEnoughEndsQuietlyAndLeavesNothing(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{Cmd: exec.Command("vstream", "demo", "--rate", "50"), t: t, done: make(chan struct{})}
	p.Env = []string{atOnce, "PORT=0", "PATH=" + os.Getenv("PATH"), "TMPDIR=" + t.TempDir()}
	var stderr strings.Builder
	p.Stdout, p.Stderr = w, &stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if _, err := bufio.NewReader(r).ReadString('\n'); err != nil { // | head -1
		t.Error(err)
	}
	r.Close()
	killer := time.AfterFunc(patience, func() { _ = p.Process.Kill() })
	defer killer.Stop()
	if err := p.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("ended with %v, %s", err, stderr.String())
	}
	p.leavesNothing()
}

// leavesNothing checks that the process has cleaned up its temporary files.
func (p *process) leavesNothing() {
	p.t.Helper()
	for _, entry := range p.Env {
		if dir, ok := strings.CutPrefix(entry, "TMPDIR="); ok {
			if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
				p.t.Errorf("left behind: %v, %v", left, err)
			}
		}
	}
}

func TestSimulateLeavesItsSecretWhereItWasToldTo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 { // the second finds it there
		simulate := start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--secret-dir", dir)
		simulate.says(`VCENTER_SECRET_PATH=` + regexp.QuoteMeta(dir) + `\n`)
		simulate.says(`go run ./cmd/vstream serve`)
		simulate.stop()
		for _, name := range []string{"username", "password"} {
			if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestServeNamesVariablesThatAreNoSettings(t *testing.T) {
	env := environment(t, start(t, nil, "simulate", "--listen", "127.0.0.1:0"))
	serve := start(t, append(env, "VCENTER_SECRETPATH=/x", "LOG_SERVICE_HOST=10.0.0.1"), "serve")
	serve.says(`level=WARN .*variables="VCENTER_SECRETPATH \(did you mean VCENTER_SECRET_PATH\?\)"`)
	serve.says(`state changed.*vcenter=127-0-0-1-\d+ `)
	serve.stop()
}

// What a power cut and a new start of a vCenter look like: its keys begin at 1 again.
func TestServeGoesOnWhenTheVCenterIsKilledAndComesBack(t *testing.T) {
	secret := t.TempDir()
	simulate := start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--rate", "20", "--secret-dir", secret)
	env := environment(t, simulate)
	address := strings.TrimSuffix(regexp.MustCompile(`VCENTER_URL=https://(\S+)`).FindStringSubmatch(strings.Join(env, " "))[1], "/sdk")
	serve := start(t, env, "serve")
	base := api(serve)
	until(t, base+"/events", has(50))
	lines := watch(t, base+"/events?watch=true&offset=earliest")
	seen := map[string]bool{}
	next := func() int64 {
		t.Helper()
		if !lines.Scan() {
			t.Fatalf("the watch ended: %v", lines.Err())
		}
		e := decode(t, lines.Text())
		if seen[e.ID] {
			t.Fatalf("event %s came twice", e.ID)
		}
		seen[e.ID] = true
		offset, err := strconv.ParseInt(e.ID, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return offset
	}
	for range 50 {
		next()
	}
	if err := simulate.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-simulate.done
	until(t, base+"/vcenters", func(status int, body string) bool { return strings.Contains(body, `"state":"failing"`) })
	if status, _ := fetch(t, base+"/events"); status != 200 {
		t.Errorf("while the vCenter is away the server answers %d", status)
	}
	start(t, nil, "simulate", "--listen", address, "--rate", "20", "--secret-dir", secret)
	for next() < 1<<32 { // the second epoch
	}
	until(t, base+"/vcenters", func(status int, body string) bool {
		return strings.Contains(body, `"state":"collecting"`) && strings.Contains(body, `"restarts":1`)
	})
	serve.stop()
}

func TestAuditComparesTheServerWithTheVCenter(t *testing.T) {
	env := environment(t, start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--rate", "5"))
	serve := start(t, env, "serve")
	base := strings.TrimSuffix(api(serve), "/api/v1")
	until(t, base+"/api/v1/events", has(50))

	// The newest half minute is left out, so at first there may be nothing to compare.
	audit := start(t, env, "audit", "--since", "1h", "--server", base)
	audit.says(`VCENTER +FROM +TO +EVENTS +MISSING +EXTRA +FOLDED\n127-0-0-1-\d+ +\S+Z +\S+Z +\d+ +0 +0 +0\n`)
	<-audit.done
	if code := audit.ProcessState.ExitCode(); code != 0 {
		t.Errorf("audit of a complete log ended with %d", code)
	}

	serve.stop()
	audit = start(t, env, "audit", "--server", base)
	audit.says(`read what the server holds: the server \S+ cannot be reached: dial tcp \S+: connect: connection refused; look whether it runs, and whether the address is right \(--server, --context\)\n`)
	<-audit.done
	if code := audit.ProcessState.ExitCode(); code != exitUnreachable {
		t.Errorf("audit without a server ended with %d", code)
	}
}
