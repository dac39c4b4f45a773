package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"time"

	"vstream"
)

// phaseTimeout is how long a phase may take.
const phaseTimeout = 15 * time.Minute

// logs is what is measured of logs, those in memory, embedded and in a cluster.
type logs struct {
	*bench
	measured map[subject]map[string][]float64
}

// A subject is what was measured: a log with so many events.
type subject struct {
	log    string
	events int
}

// logs measures the logs.
func (b *bench) logs(ctx context.Context) error {
	l := &logs{bench: b, measured: map[subject]map[string][]float64{}}
	for _, log := range b.logNames {
		if log == "embedded" {
			if err := b.inNewDir(func(dir string) error {
				return l.phase(ctx, phase{Name: "sync", Log: log, Dir: dir, Events: pageSize * 10})
			}); err != nil {
				return err
			}
		}
		for _, n := range b.sizes {
			if !l.fits(log, n) {
				continue
			}
			for range l.times(log, n) {
				if err := b.inNewDir(func(dir string) error { return l.log(ctx, log, dir, n) }); err != nil {
					return err
				}
			}
		}
	}
	l.conclude()
	return nil
}

// times returns how often to measure a log with so many events. A cluster is there to see
// the order of magnitude, and takes long.
func (b *logs) times(log string, n int) int {
	if n < 500_000 && log != "cluster" {
		return b.logRepeat
	}
	return 1
}

// clusterEvents is how many events are appended to a cluster at most.
const clusterEvents = 100_000

// fits reports whether a log with so many events is to be measured here.
func (b *logs) fits(log string, n int) bool {
	switch log {
	case "memory":
		text, _ := os.ReadFile("/proc/meminfo")
		if free := kibibytes(string(text), "MemAvailable"); free > 0 && int64(n)*5<<10 > int64(free) {
			fmt.Fprintf(b.progress, "memory, %d events: left out, they do not fit\n", n)
			return false
		}
	case "cluster":
		return n <= clusterEvents
	}
	return true
}

// inNewDir calls do with a new directory that is removed afterwards.
func (b *bench) inNewDir(do func(dir string) error) error {
	dir, err := os.MkdirTemp(b.dir, "vstream-bench-")
	if err != nil {
		return err
	}
	return errors.Join(do(dir), os.RemoveAll(dir))
}

// log measures a log with n events once, in a directory that is empty.
func (b *logs) log(ctx context.Context, log, dir string, n int) error {
	p := phase{Log: log, Dir: dir, Events: n}
	switch log {
	case "memory":
		p.Name = "memory"
		return b.phase(ctx, p)
	case "cluster":
		p.Name = "append"
		if err := b.phase(ctx, p); err != nil {
			return err
		}
		p.Log, p.Dir = clusterSynced, filepath.Join(dir, "synced")
		return b.phase(ctx, p)
	}
	var f figures
	if err := b.bench.measured(ctx, "file", "", fileOrder{dir, n, p.page()}, &f); err != nil {
		return err
	}
	b.note(p, f)
	for _, p.Name = range []string{"append", "reopen", "read", "readers", "offset", "time", "get"} {
		if p.Name == "append" {
			acked, err := b.appendAndKill(ctx, p)
			if err != nil {
				return err
			}
			p.Acked = acked
			continue
		}
		if err := b.phase(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

// phase runs a phase to its end.
func (b *logs) phase(ctx context.Context, p phase) error {
	done := false
	err := b.child(ctx, p, func(m message, _ func()) { done = done || m.Done })
	if err == nil && !done {
		err = fmt.Errorf("%s, %s: it ended before it was done", p.Log, p.Name)
	}
	return err
}

// appendAndKill fills a log and kills its process with SIGKILL while it goes on appending.
// It returns the last offset that Append had returned for.
func (b *logs) appendAndKill(ctx context.Context, p phase) (acked vstream.Offset, err error) {
	done, more, killed := false, 1+rand.IntN(3), false
	err = b.child(ctx, p, func(m message, kill func()) {
		acked = max(acked, m.Acked)
		if done && !killed {
			if more--; more == 0 {
				time.Sleep(rand.N(20 * time.Millisecond))
				kill()
				killed = true
			}
		}
		done = done || m.Done
	})
	switch {
	case err != nil:
		return 0, err
	case !killed:
		return 0, fmt.Errorf("%s, %s: it ended before it was killed", p.Log, p.Name)
	}
	return acked, nil
}

// child runs a phase in a process of its own. Each message of it is given to heard, with
// what kills the process.
func (b *logs) child(ctx context.Context, p phase, heard func(m message, kill func())) error {
	p.Spend, p.Begun = b.logSpend, time.Now()
	child, err := b.start(ctx, "log", fmt.Sprintf("log-%s-%d-%s", strings.ReplaceAll(p.Log, ", ", "-"), p.Events, p.Name), p)
	if err != nil {
		return err
	}
	killed := false
	kill := func() { killed = child.cmd.Process.Kill() == nil }
	for {
		var m message
		if err = child.hear(&m); err != nil {
			break
		}
		b.note(p, m.Figures)
		heard(m, kill)
	}
	ended := child.close()
	switch {
	case killed:
		return nil // also where that cut off what it was saying
	case errors.Is(err, io.EOF):
		err = ended
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return fmt.Errorf("%s, %s: %w", p.Log, p.Name, err)
	}
	fmt.Fprintf(b.progress, "%s, %d events: %s took %v\n", p.Log, p.Events, p.Name, time.Since(p.Begun).Round(time.Millisecond))
	return nil
}

// note adds figures to what was measured.
func (b *logs) note(p phase, f figures) {
	at, prefix := subject{p.Log, p.Events}, ""
	if p.Log == clusterSynced {
		at.log, prefix = "cluster", "synced."
	}
	if p.Name == "sync" {
		at.events = 0
	}
	if b.measured[at] == nil {
		b.measured[at] = map[string][]float64{}
	}
	for key, value := range f {
		b.measured[at][prefix+key] = append(b.measured[at][prefix+key], value)
	}
}

// figure returns the median of what was measured, and whether anything was.
func (b *logs) figure(log string, events int, key string) (float64, bool) {
	values := b.measured[subject{log, events}][key]
	if len(values) == 0 {
		return 0, false
	}
	return median(values), true
}

// conclude tells what was measured, beside what was to be reached.
func (b *logs) conclude() {
	b.sections = append(b.sections, b.told()...)
	if len(b.sizes) == 0 {
		return
	}
	n := b.sizes[len(b.sizes)-1]
	if value, ok := b.figure("embedded", n, "append.rate"); ok {
		file, _ := b.figure("embedded", n, "file.rate")
		b.reach(goal{what: "append to disk, synced, batches of 1000", value: value, show: exactRate, bound: 30_000, peer: "a file appended and synced likewise", other: file})
	}
}
