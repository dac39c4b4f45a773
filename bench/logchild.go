package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"vstream"
	"vstream/internal/memlog"
	"vstream/internal/natslog"
)

const (
	maxRecord = 512 << 10 // as the program has it by default
	maxWindow = 2000      // events in memory in front of a stream, likewise
	maxBytes  = 256 << 20 // of them, likewise
	pageSize  = 1000      // events per Append at most, as the collector reads them
	seeks     = 200
	gets      = 5000 // if there is time
	fewest    = 5    // seeks and gets, even if there is none
	readers   = 10
)

// A phase is what one process does and measures, and nothing else, so that its memory is
// that of what it does.
type phase struct {
	Name   string
	Log    string
	Dir    string // of the embedded server, or for those of the cluster
	Events int
	Acked  vstream.Offset // that the log must have, for Name "reopen"
	Begun  time.Time      // when the process was started
	Spend  time.Duration  // on each series of short measurements
}

// page is how many events are appended at once.
func (p *phase) page() int { return min(pageSize, max(p.Events/10, 1)) }

// window is how many events are in memory; few, so that most are only in the stream.
func (p *phase) window() int { return min(maxWindow, max(p.Events/10, 1)) }

// figures are what was measured, by name: seconds, bytes, events per second.
type figures map[string]float64

// A message is what a child that runs a phase tells its parent.
type message struct {
	Acked   vstream.Offset `json:",omitempty"` // the log has taken all up to this one
	Figures figures        `json:",omitempty"`
	Done    bool           `json:",omitempty"`
}

// logChild runs a phase in this process.
func logChild(ctx context.Context, c *child) error {
	var p phase
	if err := c.settings(&p); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { os.Exit(1) })() // what it does is of no use to anybody else
	if err := p.run(ctx, c); err != nil {
		return fmt.Errorf("%s, %s: %w", p.Log, p.Name, err)
	}
	return nil
}

// run measures, and says what it has measured.
func (p *phase) run(ctx context.Context, c *child) error {
	endProfile, err := c.profile()
	if err != nil {
		return err
	}
	f := figures{}
	if p.Name == "sync" {
		if err := errors.Join(p.sync(ctx, f), endProfile()); err != nil {
			return err
		}
		return c.say(message{Figures: f, Done: true})
	}
	log, stop, err := p.open(ctx, f)
	if err != nil {
		return err
	}
	err = errors.Join(p.measure(ctx, log, f, c.say), endProfile())
	if err == nil {
		err = c.say(message{Figures: f, Done: true})
	}
	if err == nil && p.Name == "append" && p.Log == "embedded" {
		err = p.appendUntilKilled(ctx, log, c.say)
	}
	return errors.Join(err, stop())
}

func (p *phase) measure(ctx context.Context, log vstream.Log, f figures, say func(any) error) error {
	switch p.Name {
	case "append":
		return p.append(ctx, log, f, say)
	case "reopen":
		return p.reopen(ctx, log, f)
	case "read":
		return p.read(ctx, log, f, "read", 1)
	case "readers":
		return p.read(ctx, log, f, "readers", readers)
	case "offset":
		return p.seekOffsets(ctx, log, f)
	case "time":
		return p.seekTimes(ctx, log, f)
	case "get":
		return p.get(ctx, log, f)
	case "memory":
		return p.inMemory(ctx, log, f)
	}
	return fmt.Errorf("there is no phase %q", p.Name)
}

// open returns the log, ready, and notes how long that took since the process was started.
func (p *phase) open(ctx context.Context, f figures) (log vstream.Log, stop func() error, err error) {
	if p.Log == "memory" {
		return memlog.New(p.Events, 1<<40), func() error { return nil }, nil
	}
	config := natslog.Config{
		MaxBytes: 64 << 30, MaxRecord: maxRecord, WindowRecords: p.window(), WindowBytes: maxBytes,
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	shutdown := func() {}
	if p.Log == "embedded" {
		config.Dir = p.Dir
	} else {
		config.Replicas = clusterServers
		if config.URL, shutdown, err = startCluster(p.Dir, p.Log == clusterSynced); err != nil {
			return nil, nil, err
		}
	}
	engine := natslog.New(config, "vc")
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	stop = func() error {
		cancel()
		defer shutdown()
		return <-done
	}
	for deadline := time.Now().Add(5 * time.Minute); engine.Ready() != nil; time.Sleep(200 * time.Microsecond) {
		if time.Now().After(deadline) {
			return nil, nil, errors.Join(engine.Ready(), stop())
		}
		select {
		case err := <-done:
			done <- err
			return nil, nil, errors.Join(err, stop())
		default:
		}
	}
	f["ready"] = time.Since(p.Begun).Seconds()
	return engine.Log("vc"), stop, nil
}

// append fills the log, page by page.
func (p *phase) append(ctx context.Context, log vstream.Log, f figures, say func(any) error) error {
	made := costOfMaking(min(p.Events, 5000))
	var appending, all clock
	var size int64
	source := newEvents()
	all.start()
	for n := 0; n < p.Events; {
		page := source.take(min(p.page(), p.Events-n))
		for i := range page {
			size += int64(len(page[i].JSON))
		}
		appending.start()
		err := log.Append(ctx, page)
		appending.stop()
		if err != nil {
			return err
		}
		n += len(page)
		if err := say(message{Acked: source.numbers.offset()}); err != nil {
			return err
		}
	}
	all.stop()
	n := float64(p.Events)
	f["append.rate"] = n / appending.wall.Seconds()
	// The store works beside and after Append too: what counts is all but the making.
	f["append.cpurate"] = n / max(all.cpu-time.Duration(n)*made, appending.cpu).Seconds()
	f["event.size"] = float64(size) / n
	f.memory("append")
	if p.Log == "embedded" {
		disk, err := sizeOf(p.Dir)
		if err != nil {
			return err
		}
		f["disk"] = float64(disk)
	}
	return nil
}

// costOfMaking returns how much CPU time it takes to make an event.
func costOfMaking(n int) time.Duration {
	var c clock
	c.start()
	newEvents().take(n)
	c.stop()
	return c.cpu / time.Duration(n)
}

// appendUntilKilled goes on appending until the parent kills this process. It fails if that
// does not happen.
func (p *phase) appendUntilKilled(ctx context.Context, log vstream.Log, say func(any) error) error {
	source := newEvents()
	for range p.Events {
		source.numbers.next()
	}
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); {
		if err := log.Append(ctx, source.take(p.page())); err != nil {
			return err
		}
		if err := say(message{Acked: source.numbers.offset()}); err != nil {
			return err
		}
	}
	return errors.New("not killed in time")
}

// reopen notes how long it takes after kill -9 until the oldest event is read, and compares
// the log with what was appended.
func (p *phase) reopen(ctx context.Context, log vstream.Log, f figures) error {
	r, err := log.Open(ctx, vstream.Oldest{})
	if err != nil {
		return err
	}
	events, err := r.Next(ctx)
	if err != nil {
		return err
	}
	f["reopen.ready"], f["reopen.first"] = f["ready"], time.Since(p.Begun).Seconds()
	delete(f, "ready")
	source := newEvents()
	beyond := 0 // events after the last that Append had returned for
	for len(events) > 0 {
		for i, want := range source.take(len(events)) {
			if got := events[i]; got.Offset != want.Offset || !got.Time.Equal(want.Time) || !bytes.Equal(got.JSON, want.JSON) {
				return fmt.Errorf("after kill -9 there is event %d where %d was appended, or it has changed", got.Offset, want.Offset)
			}
			if want.Offset > p.Acked {
				beyond++
			}
		}
		if events, err = r.Next(ctx); err != nil {
			return err
		}
	}
	held, _ := log.Range()
	if held.Latest < p.Acked {
		return fmt.Errorf("after kill -9 the log ends at %d, but had taken %d", held.Latest, p.Acked)
	}
	if held.Latest != source.numbers.offset() || beyond > p.page() {
		return fmt.Errorf("after kill -9 the log ends at %d, the events read from it at %d, %d after the last it took", held.Latest, source.numbers.offset(), beyond)
	}
	f["reopen.lost"] = 0
	return nil
}

// read reads the events from the oldest on with so many readers side by side: all of them
// with one reader, with several as many as there is time for.
func (p *phase) read(ctx context.Context, log vstream.Log, f figures, name string, n int) error {
	var (
		group    sync.WaitGroup
		c        clock
		errs     = make([]error, n)
		counts   = make([]int64, n)
		deadline time.Time
	)
	c.start()
	if n > 1 {
		deadline = time.Now().Add(10 * p.Spend)
	}
	for i := range n {
		group.Go(func() { counts[i], errs[i] = readAll(ctx, log, deadline) })
	}
	group.Wait()
	c.stop()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	total := int64(0)
	for _, count := range counts {
		total += count
	}
	f[name+".rate"] = float64(total) / c.wall.Seconds()
	f[name+".cpurate"] = float64(total) / c.cpu.Seconds()
	f.memory(name)
	return nil
}

// readAll reads all events of a log, or those there is time for before the deadline, unless
// that is zero.
func readAll(ctx context.Context, log vstream.Log, deadline time.Time) (count int64, err error) {
	r, err := log.Open(ctx, vstream.Oldest{})
	if err != nil {
		return 0, err
	}
	for last := vstream.Offset(-1); ; {
		events, err := r.Next(ctx)
		if err != nil {
			return 0, err
		}
		for i := range events {
			if events[i].Offset <= last {
				return 0, fmt.Errorf("read event %d after %d", events[i].Offset, last)
			}
			last = events[i].Offset
		}
		count += int64(len(events))
		if len(events) == 0 {
			if total := log.Usage().Events; count != total {
				return 0, fmt.Errorf("read %d events of %d", count, total)
			}
			return count, nil
		}
		if !deadline.IsZero() && time.Now().After(deadline) {
			return count, nil
		}
	}
}

// A target is an event to be found.
type target struct {
	offset vstream.Offset
	time   time.Time
}

// targets returns n random events, none of them in the window of a stream.
func (p *phase) targets(n int) []target {
	below := p.Events - p.window()
	if p.Log == "memory" {
		below = p.Events
	}
	chosen := make([][]int, below) // which targets the event with this index is
	random := rand.New(rand.NewPCG(5, 6))
	for i := range n {
		at := random.IntN(below)
		chosen[at] = append(chosen[at], i)
	}
	all := make([]target, n)
	numbers := newNumbers()
	for _, which := range chosen {
		numbers.next()
		for _, i := range which {
			all[i] = target{numbers.offset(), numbers.time}
		}
	}
	return all
}

func (p *phase) seekOffsets(ctx context.Context, log vstream.Log, f figures) error {
	return p.seek(ctx, log, f, "offset", func(t target) vstream.Position { return vstream.At(t.offset) })
}

func (p *phase) seekTimes(ctx context.Context, log vstream.Log, f figures) error {
	return p.seek(ctx, log, f, "time", func(t target) vstream.Position { return vstream.Since(t.time) })
}

// seek notes how long it takes from opening a reader until it has its first event: for the
// first reader of all, for those that follow, and for as many others after them.
func (p *phase) seek(ctx context.Context, log vstream.Log, f figures, name string, at func(target) vstream.Position) error {
	find := func(t target) error {
		r, err := log.Open(ctx, at(t))
		if err != nil {
			return err
		}
		events, err := r.Next(ctx)
		if err != nil {
			return err
		}
		if len(events) == 0 || events[0].Offset != t.offset {
			return fmt.Errorf("sought event %d of %v, and did not find it", t.offset, t.time)
		}
		return nil
	}
	all := p.targets(2 * seeks)
	cold, err := series(all[:seeks], p.Spend, find)
	if err != nil {
		return err
	}
	f[name+".first"] = cold[0].Seconds()
	f.quantiles(name+".cold", cold)
	warm, err := series(all[seeks:], p.Spend, find)
	if err != nil {
		return err
	}
	f.quantiles(name+".warm", warm)
	return nil
}

// get gets random events, one by one.
func (p *phase) get(ctx context.Context, log vstream.Log, f figures) error {
	took, err := series(p.targets(gets), 5*p.Spend, func(t target) error {
		e, err := log.Get(ctx, t.offset)
		if err == nil && e.Offset != t.offset {
			err = fmt.Errorf("got event %d for %d", e.Offset, t.offset)
		}
		return err
	})
	if err != nil {
		return err
	}
	f.quantiles("get", took)
	f["get.count"] = float64(len(took))
	f.memory("get")
	return nil
}

// series does something for one target after the other, while there is time, and returns
// how long each took.
func series(all []target, spend time.Duration, do func(target) error) ([]time.Duration, error) {
	var took []time.Duration
	for began := time.Now(); len(took) < len(all) && (len(took) < fewest || time.Since(began) < spend); {
		before := time.Now()
		if err := do(all[len(took)]); err != nil {
			return nil, err
		}
		took = append(took, time.Since(before))
	}
	return took, nil
}

// inMemory does everything in one process, for a log that ends with it.
func (p *phase) inMemory(ctx context.Context, log vstream.Log, f figures) error {
	err := p.append(ctx, log, f, func(any) error { return nil })
	for _, do := range []func() error{
		func() error { return p.read(ctx, log, f, "read", 1) },
		func() error { return p.read(ctx, log, f, "readers", readers) },
		func() error { return p.seekOffsets(ctx, log, f) },
		func() error { return p.seekTimes(ctx, log, f) },
		func() error { return p.get(ctx, log, f) },
	} {
		if err == nil {
			forgetPeak()
			err = do()
		}
	}
	runtime.KeepAlive(log)
	return err
}

// batchSizes are how many events are appended at once to see what syncing costs.
var batchSizes = []int{1, 10, 100, 500, 1000}

// sync appends batches of different sizes, each to a log of its own.
func (p *phase) sync(ctx context.Context, f figures) error {
	fsync, err := fsyncTime(p.Dir)
	if err != nil {
		return err
	}
	f["fsync"] = fsync.Seconds()
	for _, size := range batchSizes {
		of := *p
		of.Dir = filepath.Join(p.Dir, fmt.Sprint(size))
		log, stop, err := of.open(ctx, figures{})
		if err != nil {
			return err
		}
		err = of.syncBatches(ctx, log, f, size)
		if err := errors.Join(err, stop()); err != nil {
			return err
		}
	}
	return nil
}

func (p *phase) syncBatches(ctx context.Context, log vstream.Log, f figures, size int) error {
	source := newEvents()
	var took []time.Duration
	var sum time.Duration
	for sum < p.Spend || len(took) < 3 {
		events := source.take(size)
		began := time.Now()
		if err := log.Append(ctx, events); err != nil {
			return err
		}
		took = append(took, time.Since(began))
		sum += took[len(took)-1]
	}
	name := fmt.Sprintf("sync.%d", size)
	f[name+".rate"] = float64(size*len(took)) / sum.Seconds()
	f.quantiles(name, took)
	return nil
}

// A fileOrder says what to append to a file, and how.
type fileOrder struct {
	Dir          string
	Events, Page int
}

// fileChild appends events to a file, and has each page on the disk before it writes the
// next: what no log on this disk can do better. Then it reads them again.
func fileChild(_ context.Context, c *child) error {
	var o fileOrder
	if err := c.settings(&o); err != nil {
		return err
	}
	file, err := os.CreateTemp(o.Dir, "file")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	source := newEvents()
	var took clock
	var page []byte
	for n := 0; n < o.Events; n += o.Page {
		page = page[:0]
		for _, e := range source.take(min(o.Page, o.Events-n)) {
			page = append(append(page, e.JSON...), '\n')
		}
		took.start()
		if _, err = file.Write(page); err == nil {
			err = file.Sync()
		}
		took.stop()
		if err != nil {
			return err
		}
	}
	began := time.Now()
	text, err := os.ReadFile(file.Name())
	if err != nil {
		return err
	}
	if n := bytes.Count(text, []byte{'\n'}); n != o.Events {
		return fmt.Errorf("the file has %d lines, want %d", n, o.Events)
	}
	return c.say(figures{"file.rate": float64(o.Events) / took.wall.Seconds(), "file.cpurate": float64(o.Events) / took.cpu.Seconds(), "file.reopen": time.Since(began).Seconds()})
}
