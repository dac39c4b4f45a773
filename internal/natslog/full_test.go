package natslog

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"testing"
	"time"

	"vstream"
)

// fullEnv tells a test that it is the process whose disk is full.
const fullEnv = "VSTREAM_TEST_FULL"

// A process of its own meets the limit: no file may grow beyond some size, as on a disk
// that is full.
func TestAFullDiskStopsAppendingOnlyUntilThereIsRoom(t *testing.T) {
	if os.Getenv(fullEnv) == "" {
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=90s")
		cmd.Env = append(os.Environ(), fullEnv+"=1")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	limit := func(bytes uint64) {
		t.Helper()
		var l syscall.Rlimit
		if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
		l.Cur = min(bytes, l.Max)
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l); err != nil {
			t.Fatal(err)
		}
	}

	config := testConfig(t)
	config.WindowRecords = 100
	e, _ := start(t, config, "vc")
	log := e.Log("vc")
	mustAppend(t, log, history(1, 1000))
	tail, err := log.Open(t.Context(), vstream.Newest(0))
	if err != nil {
		t.Fatal(err)
	}

	limit(1_500_000)
	next := vstream.Offset(1001)
	full := 0
	for deadline := time.Now().Add(time.Minute); full < 3; {
		if time.Now().After(deadline) {
			t.Fatal("the disk does not get full")
		}
		events := history(next, next+49)
		err := log.Append(t.Context(), events)
		var unavailable *vstream.UnavailableError
		switch {
		case err == nil:
			next += 50
		case errors.As(err, &unavailable), errors.Is(err, ErrFenced):
			full++
			t.Log("full:", err)
			time.Sleep(500 * time.Millisecond)
		default:
			t.Fatalf("Append to a full disk: %v", err)
		}
		// The window is served all the time, whatever the stream does.
		if r, ok := log.Range(); !ok || r.Latest < next-1 {
			t.Fatalf("Range = %v, %v after %d was appended", r, ok, next-1)
		}
		if _, err := log.Get(t.Context(), next-1); err != nil {
			t.Fatalf("Get of the newest event: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		if _, err := log.Get(ctx, 5); err != nil && !errors.As(err, &unavailable) {
			t.Fatalf("Get of an old event: %v", err)
		}
		cancel()
	}

	// The store is opened again, and can be read. That it takes nothing is known all the same.
	var unavailable *vstream.UnavailableError
	for err := error(nil); !errors.As(err, &unavailable); {
		err = log.Append(t.Context(), history(next, next+49))
	}
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if e.Trouble("vc") == nil {
			t.Fatal("the log counts as one that can be written, and nobody has tried")
		}
	}

	limit(1 << 40)
	deadline := time.Now().Add(time.Minute)
	for last := next + 500; next < last; {
		if err := log.Append(t.Context(), history(next, next+49)); err != nil {
			if time.Now().After(deadline) {
				t.Fatalf("there is room again, but Append fails: %v", err)
			}
			time.Sleep(50 * time.Millisecond)
			continue
		}
		next += 50
	}
	if trouble := e.Trouble("vc"); trouble != nil {
		t.Errorf("there is room again, and yet %v", trouble.Err)
	}
	for what, got := range map[string][]vstream.Offset{"all": readAll(t, log), "tail": rest(t, tail)} {
		first := map[string]vstream.Offset{"all": 1, "tail": 1001}[what]
		if len(got) != int(next-first) {
			t.Errorf("%s: %d events, want %d", what, len(got), next-first)
		}
		for i, o := range got {
			if o != first+vstream.Offset(i) {
				t.Fatalf("%s: event %d where %d belongs", what, o, first+vstream.Offset(i))
			}
		}
	}
}
