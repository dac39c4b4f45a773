package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/spf13/cobra"

	"vstream"
	"vstream/internal/memlog"
	"vstream/internal/natslog"
	"vstream/internal/vcentertest"
)

// vstreamLog runs vstream log in another process.
func vstreamLog(t *testing.T, env []string, args ...string) (code int, said string) {
	t.Helper()
	p := start(t, env, append([]string{"log"}, args...)...)
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatalf("vstream log %q does not end", args)
	}
	return p.ProcessState.ExitCode(), p.text()
}

func TestAnImportedLogIsTheExportedOneAndAServerGoesOnAtItsEnd(t *testing.T) {
	vc := vcentertest.New(t)
	env := []string{
		"PORT=0", "VCENTER_NAME=vc", "VCENTER_STREAM_BEGIN=1h", "VCENTER_INSECURE=true",
		"VCENTER_URL=" + vc.URL().String(), "VCENTER_SECRET_PATH=" + vc.Secret(t),
	}
	one, other := append(env, "LOG_DIR="+t.TempDir()), append(env, "LOG_DIR="+t.TempDir())
	until := func(serve *process) string {
		told := vc.Told()
		last := fmt.Sprintf(`"latest":%d}`+"\n", told[len(told)-1].Key)
		return until(t, api(serve)+"/range", func(_ int, text string) bool { return strings.HasSuffix(text, last) })
	}
	vc.PostN(700)
	serve := start(t, one, "serve")
	before := until(serve)
	code, said := vstreamLog(t, one, "info")
	if code != 1 || !strings.HasSuffix(said, "is in use by another vstream; stop that first, or use its HTTP API\n") || strings.Count(said, "\n") != 1 {
		t.Errorf("info beside a server ends with %d and says %s", code, said)
	}
	second := start(t, one, "serve")
	<-second.done
	if said := second.text(); second.ProcessState.ExitCode() != 1 || strings.Count(said, "\n") != 1 ||
		!strings.HasPrefix(said, "vstream: LOG_DIR: ") || !strings.HasSuffix(said, "is in use by another vstream; stop that, or choose another directory\n") {
		t.Errorf("a second server ends with %v and says %s", second.ProcessState, said)
	}
	serve.stop()

	files := []string{filepath.Join(t.TempDir(), "one"), filepath.Join(t.TempDir(), "other"), filepath.Join(t.TempDir(), "later")}
	for _, step := range []struct {
		env  []string
		args []string
	}{
		{one, []string{"export", "--output", files[0]}},
		{other, []string{"import", files[0]}},
		{other, []string{"export", "--output", files[1]}},
		{other, []string{"verify"}},
	} {
		if code, said := vstreamLog(t, step.env, step.args...); code != 0 {
			t.Fatalf("%q ends with %d and says %s", step.args, code, said)
		}
	}
	exported, imported := contents(t, files[0]), contents(t, files[1])
	if !bytes.Equal(exported, imported) || bytes.Count(exported, []byte("\n")) != len(vc.Told()) {
		t.Fatalf("exported %d bytes, and after an import %d, of %d events", len(exported), len(imported), len(vc.Told()))
	}

	serve = start(t, other, "serve")
	if after := until(serve); after != before {
		t.Errorf("the range was %s and is %s", before, after)
	}
	vc.PostN(300)
	until(serve)
	serve.stop()
	vc.PostN(200)
	serve = start(t, other, "serve")
	until(serve)
	serve.stop()
	if code, said := vstreamLog(t, other, "export", "--output", files[2]); code != 0 {
		t.Fatalf("export ends with %d and says %s", code, said)
	}
	later := contents(t, files[2])
	if !bytes.HasPrefix(later, exported) {
		t.Error("what was imported has changed")
	}
	lines := strings.Split(strings.TrimSuffix(string(later), "\n"), "\n")
	told := vc.Told()
	if len(lines) != len(told) {
		t.Fatalf("the log holds %d events, told were %d", len(lines), len(told))
	}
	for i, line := range lines {
		if id := decode(t, line).ID; id != strconv.Itoa(int(told[i].Key)) {
			t.Fatalf("event %d is %s, told was %d", i, id, told[i].Key)
		}
	}
}

func TestALogInNATSIsNotRemovedWhileAServerCollectsIntoIt(t *testing.T) {
	ns, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, JetStream: true, StoreDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() {
		ns.Shutdown()
		ns.WaitForShutdown()
	})
	if !ns.ReadyForConnections(patience) {
		t.Fatal("the NATS server does not start")
	}
	vc := vcentertest.New(t)
	vc.PostN(20)
	env := []string{
		"PORT=0", "VCENTER_NAME=old", "VCENTER_STREAM_BEGIN=1h", "VCENTER_INSECURE=true", "NATS_URL=" + ns.ClientURL(),
		"VCENTER_URL=" + vc.URL().String(), "VCENTER_SECRET_PATH=" + vc.Secret(t),
	}
	serve := start(t, env, "serve")
	until(t, api(serve)+"/events", has(20))
	remove := []string{"delete", "--vcenter", "old", "--yes"}
	code, said := vstreamLog(t, env, remove...)
	if code != 1 || !strings.HasPrefix(said, "vstream: the log of old is in use by ") || strings.Count(said, "\n") != 1 {
		t.Errorf("beside its server it ends with %d and says %s", code, said)
	}
	serve.stop()

	renamed := start(t, append(slices.Clone(env), "VCENTER_NAME=new"), "serve")
	renamed.says(`there is a log of a vCenter that is not configured here.*vstream log delete" vcenter=old events=\d+ bytes=\d+`)
	code, said = vstreamLog(t, env, remove...)
	if code != 0 || !strings.HasPrefix(said, "removed the log of old, ") {
		t.Errorf("beside another's server it ends with %d and says %s", code, said)
	}
	renamed.stop()
	code, said = vstreamLog(t, env, "info")
	if code != 0 || !strings.Contains(said, "VCENTER    new\n") || strings.Contains(said, "VCENTER    old") {
		t.Errorf("afterwards info ends with %d and says %s", code, said)
	}
}

func contents(t *testing.T, path string) []byte {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// exportedEvents are n lines as export gives them, some of them late.
func exportedEvents(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		offset := i + 2
		if i%10 == 9 {
			offset -= 5 // was left out
		} else if i%10 >= 4 {
			offset++
		}
		fmt.Fprintf(&b, `{"specversion":"1.0","id":"%d","source":"https://vc/sdk","type":"vmware.vsphere.VmPoweredOnEvent.v0",`+
			`"time":"2026-01-01T00:00:00Z","data":{"Key":%d,"FullFormattedMessage":"%s"},"eventclass":"event","severity":"info"}`+"\n",
			offset, offset, strings.Repeat("x", 200))
	}
	return b.Bytes()
}

// inProcess runs a command line in this process.
func inProcess(ctx context.Context, args ...string) (code int, said string) {
	var out bytes.Buffer
	code = run(ctx, args, &out, &out)
	return code, out.String()
}

// A countdown is a context that is done when it has been asked so often whether it is.
type countdown struct {
	context.Context
	cancel context.CancelFunc
	left   atomic.Int64
}

func (c *countdown) Err() error {
	if c.left.Add(-1) == 0 {
		c.cancel()
	}
	return c.Context.Err()
}

func TestAnImportThatWasInterruptedGoesOnWhenItIsRunAgain(t *testing.T) {
	const lines = 5000
	for _, s := range allSettings() {
		t.Setenv(s.env, "")
	}
	dir := t.TempDir()
	t.Setenv("LOG_DIR", filepath.Join(dir, "log"))
	want := exportedEvents(lines)
	path := filepath.Join(dir, "events")
	if err := os.WriteFile(path, want, 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(os.Getenv, "")
	if err != nil {
		t.Fatal(err)
	}
	store := c.store(newLogger(t.Output(), false))
	total := 0
	err = natslog.Restore(t.Context(), store, func(ctx context.Context, s *natslog.Store) error {
		for round := 0; ; round++ {
			file, remove, err := openWhole(ctx, nil, path)
			if err != nil {
				return err
			}
			defer remove()
			var cmd cobra.Command
			var said strings.Builder
			cmd.SetOut(&said)
			// It is asked once for every line, while they are checked and when they are imported.
			inner, cancel := context.WithCancel(ctx)
			interrupted := &countdown{Context: inner, cancel: cancel}
			switch {
			case round == 0:
				interrupted.left.Store(1 + rand.Int64N(lines))
			case round < 6:
				interrupted.left.Store(lines + 1 + rand.Int64N(lines))
			}
			m := importing{file: file, path: path, most: 1 << 20}
			err = m.run(interrupted, &cmd, s, "vc")
			cancel()
			n := 0
			switch {
			case round == 0:
				if err == nil || err.Error() != "interrupted; nothing is imported" {
					t.Errorf("%v", err)
				}
			case round < 6:
				if err == nil {
					return errors.New("not interrupted")
				}
				if _, scan := fmt.Sscanf(err.Error(), "interrupted after %d events were imported; run it again to go on", &n); scan != nil {
					t.Errorf("%v", err)
				}
			case err != nil:
				return err
			default:
				skipped := 0
				late := 0
				if _, err := fmt.Sscanf(said.String(), "imported %d events into the log of vc, %d of them late; skipped %d", &n, &late, &skipped); err != nil || skipped != total {
					t.Errorf("%d were imported before, and now it says %s", total, said.String())
				}
				total += n
				return nil
			}
			total += n
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	if total != lines {
		t.Errorf("imported %d events", total)
	}
	out := filepath.Join(dir, "out")
	if code, said := inProcess(t.Context(), "log", "export", "--output", out); code != 0 || said != "exported 5000 events of vc\n" {
		t.Errorf("ends with %d and says %s", code, said)
	}
	if !bytes.Equal(contents(t, out), want) {
		t.Error("the log is not what was imported")
	}
	if code, said := inProcess(t.Context(), "log", "verify"); code != 0 {
		t.Errorf("verify ends with %d and says %s", code, said)
	}
}

func TestAnInterruptedExportSaysSoAndLeavesNoFile(t *testing.T) {
	log := memlog.New(1000, 1<<20)
	if err := log.Append(t.Context(), []vstream.Event{{Offset: 1, JSON: []byte("{}")}}); err != nil {
		t.Fatal(err)
	}
	reader, err := log.Open(t.Context(), vstream.Oldest{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(path, []byte("before"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err = writeWhole(path, func(w io.Writer) error {
		x := export{to: offset{10, true}}
		_, err := x.write(ctx, w, reader, newProgress(nil, "", 0))
		return err
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if text := contents(t, path); err != nil || len(left) != 1 || string(text) != "before" {
		t.Errorf("there is %v, %v, with %q", left, err, text)
	}

	for _, s := range allSettings() {
		t.Setenv(s.env, "")
	}
	t.Setenv("LOG_DIR", t.TempDir())
	if code, said := inProcess(ctx, "log", "import", "--vcenter", "vc", "--create", "-"); code != 1 || said != "vstream: interrupted; nothing is imported\n" {
		t.Errorf("ends with %d and says %s", code, said)
	}
}

func TestVerifyTellsTheFirstFewFaultsOfEachKind(t *testing.T) {
	text := `{"specversion":"1.0","id":"7","type":"vmware.vsphere.X.v0","time":"2026-01-01T00:00:00Z",` +
		`"data":{"ChainId":7,"UserName":"u","Vm":{"Name":"web"},"FullFormattedMessage":"m"},"eventclass":"event","severity":"info"}`
	good := vstream.Event{
		Offset: 7, Time: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Type: "X", Class: "event", Severity: "info", Chain: 7,
		User: "u", VM: "web", Message: "m", JSON: []byte(text),
	}
	with := func(change func(*vstream.Event)) *vstream.Event {
		e := good
		change(&e)
		return &e
	}
	faults := findings{}
	if faults.print(io.Discard, "") {
		t.Error("nothing is a fault")
	}
	for range 7 {
		for _, e := range []*vstream.Event{
			&good,
			with(func(e *vstream.Event) { e.Offset = 8 }),
			with(func(e *vstream.Event) { e.JSON = e.JSON[:50] }),
		} {
			for _, f := range compare(e, "") {
				faults.add(f)
			}
		}
	}
	for _, f := range compare(with(func(e *vstream.Event) { e.Time, e.Chain, e.VM, e.Message = time.Time{}, 0, "", "" }), "") {
		faults.add(f)
	}
	var out strings.Builder
	if !faults.print(&out, "vc: 22 events read") {
		t.Error("nothing is wrong")
	}
	five := func(line string) string { return strings.Repeat("    "+line+"\n", 5) + "    and 2 more\n" }
	want := "vc: 22 events read\n" +
		"  fields differ: 1\n    event 7 is kept with another time, chain, vm, message\n" +
		"  not valid: 7\n" + five(`event 7: it is not valid: unexpected end of JSON input`) +
		"  wrong id: 7\n" + five("event 8 has the id 7")
	if out.String() != want {
		t.Errorf("printed:\n%s\nwant:\n%s", out.String(), want)
	}
}

func TestServeLimitsItsMemoryWithADirectoryUnlessItIsToldALimit(t *testing.T) {
	vc := vcentertest.New(t)
	for _, s := range allSettings() {
		t.Setenv(s.env, "")
	}
	for name, value := range map[string]string{
		"PORT": "0", "VCENTER_URL": vc.URL().String(), "VCENTER_INSECURE": "true", "VCENTER_SECRET_PATH": vc.Secret(t),
	} {
		t.Setenv(name, value)
	}
	const own = 3 << 30
	before := debug.SetMemoryLimit(own) // as GOMEMLIMIT does when the process begins
	defer debug.SetMemoryLimit(before)
	for _, test := range []struct {
		dir, given string
		want       int64
	}{
		{"", "", own},
		{t.TempDir(), "3GiB", own},
		{t.TempDir(), "", storeMemory},
	} {
		t.Setenv("LOG_DIR", test.dir)
		t.Setenv("GOMEMLIMIT", test.given)
		r, w := io.Pipe()
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan int, 1)
		go func() {
			done <- run(ctx, []string{"serve"}, io.Discard, w)
			w.Close()
		}()
		limit := int64(0)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			if strings.Contains(lines.Text(), "msg=serving ") {
				limit = debug.SetMemoryLimit(-1)
				cancel()
			}
		}
		cancel()
		if code := <-done; code != 0 || limit != test.want {
			t.Errorf("with the directory %q and GOMEMLIMIT=%s the limit is %d, want %d; serve ended with %d", test.dir, test.given, limit, test.want, code)
		}
	}
}

func TestProgressIsShownOnTerminalsOnly(t *testing.T) {
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, w := range []io.Writer{null, file, &bytes.Buffer{}, nil} {
		if isTerminal(w) {
			t.Errorf("%v is no terminal", w)
		}
		p := newProgress(w, "x", 1)
		p.shown = time.Time{}
		p.at(1, "1 event")
		p.end()
	}
	if info, _ := file.Stat(); info.Size() != 0 {
		t.Error("something is shown in a file")
	}
	var b strings.Builder
	var shown []string
	for _, done := range []int64{0, 50, 200} {
		p := progress{out: &b, what: "reading", total: 100}
		p.at(done, fmt.Sprint(done, " events"))
		p.at(done, "at once again")
	}
	p := progress{out: &b, what: "reading"}
	p.at(5, "5 events")
	p.end()
	for _, line := range strings.Split(b.String(), "\r")[1:] {
		shown = append(shown, strings.TrimSuffix(line, "\x1b[K"))
	}
	want := []string{
		"reading [..............................]   0% 0 events",
		"reading [###############...............]  50% 50 events",
		"reading [##############################] 100% 200 events",
		"reading 5 events",
		"",
	}
	if !slices.Equal(shown, want) {
		t.Errorf("shown are %q", shown)
	}
}
