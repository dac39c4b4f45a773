package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"vstream"
)

// phaseTimeout is how long a phase may take.
const phaseTimeout = 15 * time.Minute

// bench is a run of the program: what it was told, and what it has measured.
type bench struct {
	sizes                     []int
	logs                      []string
	dir                       string
	repeat                    int
	spend                     time.Duration
	cpuProfiles, heapProfiles string
	progress                  io.Writer

	facts    []fact
	measured map[subject]map[string][]float64
}

// A subject is what was measured: a log with so many events.
type subject struct {
	log    string
	events int
}

// measure measures everything.
func (b *bench) measure(ctx context.Context) error {
	b.measured = map[subject]map[string][]float64{}
	for _, dir := range []string{b.cpuProfiles, b.heapProfiles} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return err
		}
	}
	for _, log := range b.logs {
		if log == "embedded" {
			if err := b.within(func(dir string) error {
				return b.phase(ctx, phase{Name: "sync", Log: log, Dir: dir, Events: pageSize * 10})
			}); err != nil {
				return err
			}
		}
		for _, n := range b.sizes {
			if !b.fits(log, n) {
				continue
			}
			for range b.times(n) {
				if err := b.within(func(dir string) error { return b.log(ctx, log, dir, n) }); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// times returns how often to measure with so many events.
func (b *bench) times(n int) int {
	switch {
	case b.repeat > 0:
		return b.repeat
	case n < 500_000:
		return 3
	}
	return 1
}

// clusterEvents is how many events are appended to a cluster at most.
const clusterEvents = 100_000

// fits reports whether a log with so many events is to be measured here.
func (b *bench) fits(log string, n int) bool {
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

// within calls do with a new directory that is removed afterwards.
func (b *bench) within(do func(dir string) error) error {
	dir, err := os.MkdirTemp(b.dir, "vstream-bench-")
	if err != nil {
		return err
	}
	return errors.Join(do(dir), os.RemoveAll(dir))
}

// log measures a log with n events once, in a directory that is empty.
func (b *bench) log(ctx context.Context, log, dir string, n int) error {
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
func (b *bench) phase(ctx context.Context, p phase) error {
	done := false
	err := b.child(ctx, p, func(m message, _ func()) { done = done || m.Done })
	if err == nil && !done {
		err = fmt.Errorf("%s, %s: it ended before it was done", p.Log, p.Name)
	}
	return err
}

// appendAndKill fills a log and kills its process with SIGKILL while it goes on appending.
// It returns the last offset that Append had returned for.
func (b *bench) appendAndKill(ctx context.Context, p phase) (acked vstream.Offset, err error) {
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
func (b *bench) child(ctx context.Context, p phase, heard func(m message, kill func())) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, phaseTimeout)
	defer cancel()
	p.Spend = b.spend
	if b.cpuProfiles != "" {
		p.CPUProfile = filepath.Join(b.cpuProfiles, fmt.Sprintf("%s-%d-%s.cpu.prof", p.Log, p.Events, p.Name))
	}
	if b.heapProfiles != "" {
		p.HeapProfile = filepath.Join(b.heapProfiles, fmt.Sprintf("%s-%d-%s.heap.prof", p.Log, p.Events, p.Name))
	}
	p.Begun = time.Now()
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self) //nolint:gosec // it is this program
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = b.progress
	if _, err := cmd.StdinPipe(); err != nil { // its end tells the child of ours
		return err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	killed := false
	kill := func() { killed = cmd.Process.Kill() == nil }
	var failure error
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var m message
		if json.Unmarshal(lines.Bytes(), &m) != nil {
			continue // the process was killed while it wrote
		}
		if m.Error != "" {
			failure = errors.New(m.Error)
		}
		b.note(p, m.Figures)
		heard(m, kill)
	}
	err = cmd.Wait()
	switch {
	case failure != nil:
		return failure
	case ctx.Err() != nil:
		return fmt.Errorf("%s, %s: %w", p.Log, p.Name, ctx.Err())
	case err != nil && !killed:
		return fmt.Errorf("%s, %s: %w", p.Log, p.Name, err)
	}
	fmt.Fprintf(b.progress, "%s, %d events: %s took %v\n", p.Log, p.Events, p.Name, time.Since(p.Begun).Round(time.Millisecond))
	return nil
}

// note adds figures to what was measured.
func (b *bench) note(p phase, f figures) {
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
func (b *bench) figure(log string, events int, key string) (float64, bool) {
	values := b.measured[subject{log, events}][key]
	if len(values) == 0 {
		return 0, false
	}
	return median(values), true
}

func (b *bench) meanSize() float64 {
	most, size := 0, 0.0
	for at := range b.measured {
		if s, ok := b.figure(at.log, at.events, "event.size"); ok && at.events > most {
			most, size = at.events, s
		}
	}
	return size
}
