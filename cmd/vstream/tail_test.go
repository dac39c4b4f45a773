package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vstream"
	"vstream/internal/httpapi"
	"vstream/internal/index"
	"vstream/internal/memlog"
)

// A station is a server with one vCenter, behind something that cuts connections off. All
// that was ever appended to its log is in told.
type station struct {
	t       *testing.T
	log     *memlog.Log
	told    []string
	address string // of the server
	stop    func()
	front   net.Listener // where clients connect

	mu    sync.Mutex
	conns map[net.Conn]bool // under mu
}

func newStation(t *testing.T, records int) *station {
	t.Helper()
	front, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &station{t: t, log: memlog.New(records, 1<<30), address: "127.0.0.1:0", front: front, conns: map[net.Conn]bool{}}
	s.serve()
	var all sync.WaitGroup
	all.Go(func() {
		for {
			near, err := front.Accept()
			if err != nil {
				return
			}
			all.Go(func() { s.carry(near) })
		}
	})
	t.Cleanup(func() {
		front.Close()
		s.cut()
		s.stop()
		all.Wait()
	})
	return s
}

func (s *station) url() string { return "http://" + s.front.Addr().String() }

// carry carries bytes between a client and the server.
func (s *station) carry(near net.Conn) {
	defer near.Close()
	s.mu.Lock()
	address := s.address
	s.mu.Unlock()
	far, err := net.Dial("tcp", address)
	if err != nil {
		return
	}
	defer far.Close()
	s.mu.Lock()
	s.conns[near], s.conns[far] = true, true
	s.mu.Unlock()
	var both sync.WaitGroup
	for _, way := range [][2]net.Conn{{near, far}, {far, near}} {
		both.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			near.Close()
			far.Close()
		})
	}
	both.Wait()
}

// cut cuts all connections off.
func (s *station) cut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		c.Close()
		delete(s.conns, c)
	}
}

// serve starts the server, at the address that it had before.
func (s *station) serve() {
	s.t.Helper()
	listener, err := net.Listen("tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	s.address = listener.Addr().String()
	s.mu.Unlock()
	logger := slog.New(slog.DiscardHandler)
	indexed := &index.Index{Log: s.log, MaxRows: 1 << 20, Logger: logger}
	api := &httpapi.Server{Listener: listener, WatchMaxAge: time.Hour, Logger: logger, VCenters: []httpapi.VCenter{{
		Name: "vc1", Log: s.log, Index: indexed, Types: func() []vstream.EventType { return nil },
		Status: func() vstream.Status {
			return vstream.Status{Name: "vc1", URL: "https://vc1.example.com/sdk", State: vstream.Collecting}
		},
	}}}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = indexed.Run(ctx) })
	running.Go(func() {
		if err := api.Run(ctx); err != nil {
			s.t.Errorf("the server ends with %v", err)
		}
	})
	s.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
}

// tell appends n events.
func (s *station) tell(n int) {
	s.t.Helper()
	var events []vstream.Event
	for range n {
		o := vstream.Offset(len(s.told) + 1)
		e := vstream.Event{Offset: o, Time: time.Unix(1_700_000_000+int64(o), 0).UTC(), Type: "VmPoweredOnEvent", Class: "event", Severity: "info"}
		e.JSON = fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"https://vc1.example.com/sdk","type":"vmware.vsphere.VmPoweredOnEvent.v0","time":%q,"data":{"Key":%d},"eventclass":"event","severity":"info"}`,
			o, e.Time.Format(time.RFC3339), o)
		s.told = append(s.told, string(e.JSON))
		events = append(events, e)
	}
	if err := s.log.Append(s.t.Context(), events); err != nil {
		s.t.Fatal(err)
	}
}

// tail starts vstream tail, with what it says apart from what it prints.
func (s *station) tail(args ...string) (p *process, said func() string) {
	s.t.Helper()
	stderr := filepath.Join(s.t.TempDir(), "stderr")
	p = &process{Cmd: exec.Command("sh", append([]string{"-c", `exec vstream tail "$@" 2>` + stderr, "sh", "-o", "ndjson", "-S", s.url()}, args...)...),
		t: s.t, grew: make(chan struct{}), done: make(chan struct{})}
	p.Env = []string{atOnce, "PATH=" + os.Getenv("PATH"), "HOME=" + s.t.TempDir()}
	p.begin()
	s.t.Cleanup(func() { kill(p) })
	return p, func() string {
		text, err := os.ReadFile(stderr)
		if err != nil {
			s.t.Fatal(err)
		}
		return string(text)
	}
}

// prints waits until a process has printed so many lines.
func prints(p *process, n int) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); strings.Count(p.text(), "\n") < n; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("printed %d lines, want %d", strings.Count(p.text(), "\n"), n)
		}
	}
}

// interrupt ends a process as Ctrl-C does, and returns its exit code.
func interrupt(p *process) int {
	p.t.Helper()
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
	return exitOf(p)
}

func exitOf(p *process) int {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatal("it does not end")
	}
	return p.ProcessState.ExitCode()
}

func TestTailPrintsEachEventOnceThroughCutsRestartsAndItsOwnEnd(t *testing.T) {
	s := newStation(t, 10_000)
	s.tell(100)
	place := filepath.Join(t.TempDir(), "place")
	p, said := s.tail("--all", "--cursor-file", place)
	prints(p, 100)
	s.cut()
	s.tell(50)
	prints(p, 150)
	s.stop()
	s.cut()
	s.tell(50)
	s.serve()
	prints(p, 200)
	s.stop() // properly, which tail does not talk of
	s.serve()
	s.tell(50)
	prints(p, 250)
	if code := interrupt(p); code != exitInterrupted {
		t.Errorf("interrupted, it ends with %d and says %s", code, said())
	}
	if text := said(); !strings.Contains(text, "trying again until it answers\nvstream: connected again\n") || strings.Count(text, "\n") > 6 {
		t.Errorf("it says %s", text)
	}
	s.tell(50)
	again, _ := s.tail("--all", "--cursor-file", place)
	prints(again, 50)
	s.tell(50)
	prints(again, 100)
	if code := interrupt(again); code != exitInterrupted {
		t.Errorf("interrupted again, it ends with %d", code)
	}
	if got, want := p.text()+again.text(), strings.Join(s.told, "\n")+"\n"; got != want {
		t.Errorf("it has printed %d lines that are not the %d events in their order", strings.Count(got, "\n"), len(s.told))
	}
}

func TestTailTellsWhatThePurgeTookAndFailsWhereThatIsAskedFor(t *testing.T) {
	s := newStation(t, 100)
	s.tell(50)
	place := filepath.Join(t.TempDir(), "place")
	p, said := s.tail("--all", "--no-follow", "--cursor-file", place)
	if code := exitOf(p); code != 0 {
		t.Fatalf("it ends with %d and says %s", code, said())
	}
	before := contents(t, place)
	s.tell(1000)
	held, _ := s.log.Range()

	p, said = s.tail("--no-follow", "--cursor-file", place, "--fail-on-gap")
	if code := exitOf(p); code != exitGap || p.text() != "" {
		t.Errorf("with --fail-on-gap it ends with %d, prints %q and says %s", code, p.text(), said())
	}
	if after := contents(t, place); string(after) != string(before) {
		t.Errorf("the place has moved to %s", after)
	}
	p, said = s.tail("--no-follow", "--cursor", "vc1.50")
	if code := exitOf(p); code != exitGone || p.text() != "" || !strings.Contains(said(), fmt.Sprintf("--offset %d, or --all", held.Earliest)) {
		t.Errorf("with a cursor that is gone it ends with %d, prints %q and says %s", code, p.text(), said())
	}

	p, said = s.tail("--cursor-file", place)
	prints(p, len(s.told)-int(held.Earliest)+1)
	s.tell(20)
	prints(p, len(s.told)-int(held.Earliest)+1)
	if code := interrupt(p); code != exitInterrupted {
		t.Errorf("it ends with %d", code)
	}
	if want := strings.Join(s.told[held.Earliest-1:], "\n") + "\n"; p.text() != want {
		t.Errorf("it has printed %d lines that are not the %d events that were held", strings.Count(p.text(), "\n"), len(s.told)-int(held.Earliest)+1)
	}
	if want := fmt.Sprintf("vstream: gap: up to %d events of vc1 were missed, for the server keeps %d to %d only, and 51 was next\n",
		held.Earliest-51, held.Earliest, held.Latest); said() != want {
		t.Errorf("it says %q, want %q", said(), want)
	}
}
