package main

import (
	"net"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// A lab is a simulated vCenter and a server that reads it into memory, at addresses that stay
// when either is started again.
type lab struct {
	t               *testing.T
	secret, address string   // of the simulator
	env             []string // of the server, with its port
	base            string   // of the API
	simulate, serve *process
}

func newLab(t *testing.T) *lab {
	t.Helper()
	l := &lab{t: t, secret: t.TempDir(), address: "127.0.0.1:0"}
	l.startVCenter()
	l.env = append(environment(t, l.simulate), "VCENTER_NAME=vc1")
	l.address = regexp.MustCompile(`VCENTER_URL=https://([^/]+)`).FindStringSubmatch(strings.Join(l.env, " "))[1]
	l.serve = start(t, l.env, "serve")
	l.base = api(l.serve)
	_, port, _ := net.SplitHostPort(strings.TrimSuffix(strings.TrimPrefix(l.base, "http://"), "/api/v1"))
	l.env[slices.Index(l.env, "PORT=0")] = "PORT=" + port
	return l
}

// startVCenter starts a new vCenter, whose keys begin with 1.
func (l *lab) startVCenter() {
	l.simulate = start(l.t, nil, "simulate", "--listen", l.address, "--rate", "50", "--secret-dir", l.secret)
	l.simulate.says(`Stop it with`)
}

// startServer starts a new server, and waits until its log goes beyond an event.
func (l *lab) startServer(beyond int) {
	l.t.Helper()
	l.serve = start(l.t, l.env, "serve")
	l.serve.says(`address=\S*:\d+`)
	until(l.t, l.base+"/range", func(status int, body string) bool {
		return status == 200 && latestIn(l.t, body) > beyond
	})
}

// latestIn returns the offset of the newest event in the range of a log.
func latestIn(t *testing.T, text string) int {
	t.Helper()
	m := regexp.MustCompile(`"latest":(\d+)`).FindStringSubmatch(text)
	if m == nil {
		t.Fatalf("the range is %s", text)
	}
	return number(t, m[1])
}

func (l *lab) tail(args ...string) *process {
	return start(l.t, nil, append([]string{"tail", "-S", strings.TrimSuffix(l.base, "/api/v1"), "-o", "jsonpath={.id}"}, args...)...)
}

func number(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// cursorIn returns the offset and the tag of the cursor in a file of tail's.
func cursorIn(t *testing.T, place string) (offset int, tag string) {
	t.Helper()
	m := regexp.MustCompile(`"cursor":"[^".]+\.(\d+)\.([a-z2-7]{5})"`).FindSubmatch(contents(t, place))
	if m == nil {
		t.Fatalf("the place is %s", contents(t, place))
	}
	return number(t, string(m[1])), string(m[2])
}

// What a reinstalled vCenter looks like, or a demo that is started again, when the server was
// away, too: the new log has other events at the offsets that the reader has seen, and, once it
// has grown, at those to come. To go on would skip all before them.
func TestTailIsToldOfAnotherVCenterThoughItsLogHasGrownBeyondTheCursor(t *testing.T) {
	l := newLab(t)
	until(t, l.base+"/events", has(50))
	place := filepath.Join(t.TempDir(), "place")
	if p := l.tail("--all", "--max-events", "40", "--cursor-file", place); exitOf(p) != 0 {
		t.Fatalf("it ends with %d and says %s", exitOf(p), p.text())
	}
	at, tag := cursorIn(t, place)
	following := l.tail("--all", "--fail-on-gap")
	prints(following, 40)
	if err := following.Process.Signal(syscall.SIGSTOP); err != nil { // it is not to come back too early
		t.Fatal(err)
	}
	_, held := fetch(t, l.base+"/range")
	printed := following.text()

	l.serve.stop()
	l.simulate.stop()
	l.startVCenter()
	l.startServer(latestIn(t, held) + 100)
	if err := following.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	const why = "of another log: the one here was begun anew"
	if code := exitOf(following); code != exitGone || !strings.Contains(following.text(), why) ||
		!strings.Contains(following.text(), "the log behind the server was replaced") || !strings.HasSuffix(following.text(), "; start vstream tail again\n") {
		t.Errorf("the one that was following ends with %d and says %s", code, strings.TrimPrefix(following.text(), printed))
	}
	for _, c := range []struct {
		args []string
		what string // to do
	}{
		{[]string{"--cursor-file", place}, "then remove " + place + ", and begin with --all or --since"},
		{[]string{"--cursor-file", place, "--no-follow", "--fail-on-gap"}, "then remove " + place + ", and begin with --all or --since"},
		{[]string{"--no-follow", "--cursor", "vc1." + strconv.Itoa(at) + "." + tag}, "then begin anew without the cursor (--cursor)"},
	} {
		wanted := regexp.MustCompile(`^vstream: the cursor is at \d+ ` + why + `.*; look whether the server is the right one, ` + regexp.QuoteMeta(c.what) + `\n$`)
		if p := l.tail(c.args...); exitOf(p) != exitGone || !wanted.MatchString(p.text()) {
			t.Errorf("%v: it ends with %d and says %s", c.args, p.ProcessState.ExitCode(), p.text())
		}
	}
	if now, same := cursorIn(t, place); now != at || same != tag {
		t.Errorf("the place has moved to %d of %s", now, same)
	}
}

// The log is filled again from the vCenter, and has the same offsets and the same tag.
func TestTailGoesOnWhenTheServerForgetsItsLogAndTheVCenterIsTheSame(t *testing.T) {
	l := newLab(t)
	until(t, l.base+"/events", has(50))
	place := filepath.Join(t.TempDir(), "place")
	first := l.tail("--all", "--max-events", "40", "--cursor-file", place)
	if code := exitOf(first); code != 0 {
		t.Fatalf("it ends with %d and says %s", code, first.text())
	}
	at, tag := cursorIn(t, place)
	l.serve.stop()
	l.startServer(at + 60)
	again := l.tail("--max-events", "40", "--fail-on-gap", "--cursor-file", place)
	if code := exitOf(again); code != 0 {
		t.Fatalf("it ends with %d and says %s", code, again.text())
	}
	if now, same := cursorIn(t, place); now <= at || same != tag {
		t.Errorf("the place has moved from %d of %s to %d of %s", at, tag, now, same)
	}
	newest := start(t, nil, "get", "-S", strings.TrimSuffix(l.base, "/api/v1"))
	if code := exitOf(newest); code != 0 || !regexp.MustCompile(`\nvstream: \d+ more; see --all, --since and --last\n`).MatchString(newest.text()) {
		t.Errorf("get ends with %d and says %s", code, newest.text())
	}
	all := l.tail("--all", "--max-events", "80")
	if code := exitOf(all); code != 0 || all.text() != first.text()+again.text() {
		t.Errorf("%d events were read, %d in two parts", strings.Count(all.text(), "\n"), strings.Count(first.text()+again.text(), "\n"))
	}
}
