package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"time"
)

// childVariable holds the order that this process is to carry out, in a child of the
// program. What is measured, and what serves it, are processes of their own: CPU time and
// memory are those of one side only.
const childVariable = "VSTREAM_BENCH_CHILD"

// goodbye is how long a child may take to end once its parent has nothing more to say.
const goodbye = 10 * time.Second

// An order is what a child is to do.
type order struct {
	Role     string
	Settings json.RawMessage
	Profile  string    // file for a CPU profile of what is measured; none if empty
	Heap     string    // file for a heap profile after it, likewise
	Begun    time.Time // when the process was started
}

// A line is what a child tells its parent.
type line struct {
	Value json.RawMessage `json:",omitempty"`
	Error string          `json:",omitempty"`
}

// A child is this process, where its parent is the program: what it was told to do, and
// how to talk to the parent.
type child struct {
	order
	commands chan command // closed when the parent has nothing more to say
	out      *json.Encoder
}

// A command is what a parent tells a child that serves. What it means is up to its role.
type command struct {
	Do     string
	URL    string        `json:",omitempty"`
	Number int           `json:",omitempty"`
	Rate   float64       `json:",omitempty"`
	Time   time.Duration `json:",omitempty"`
}

// roles are what children do.
func roles() map[string]func(context.Context, *child) error {
	return map[string]func(context.Context, *child) error{
		"log": logChild, "file": fileChild,
		"pages": pagesChild, "ingest": ingestChild,
		"server": serverChild, "watchers": watchersChild,
		"posting": postingChild, "poller": pollerChild,
		"download": downloadChild, "archive": archiveChild,
		"size": sizeChild,
	}
}

// runChild carries out an order in this process, and returns its exit code.
func runChild(text string) int {
	c := &child{out: json.NewEncoder(os.Stdout), commands: make(chan command)}
	fail := func(err error) int {
		_ = c.out.Encode(line{Error: err.Error()})
		return 1
	}
	if err := json.Unmarshal([]byte(text), &c.order); err != nil {
		return fail(err)
	}
	do, known := roles()[c.Role]
	if !known {
		return fail(fmt.Errorf("there is no role %q", c.Role))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		defer cancel()
		defer close(c.commands)
		for in := json.NewDecoder(os.Stdin); ; {
			var m command
			if in.Decode(&m) != nil { // the end of the parent is the end of its pipe
				time.AfterFunc(goodbye, func() { os.Exit(1) })
				return
			}
			c.commands <- m
		}
	}()
	if err := do(ctx, c); err != nil {
		return fail(fmt.Errorf("%s: %w", c.Role, err))
	}
	return 0
}

// settings reads what the order says beside the role.
func (c *child) settings(v any) error { return json.Unmarshal(c.Settings, v) }

// say tells the parent something.
func (c *child) say(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return c.out.Encode(line{Value: text})
}

// profile begins a CPU profile, if there is to be one. Ending it writes the heap profile too.
func (c *child) profile() (end func() error, err error) {
	end = func() error {
		if c.Heap == "" {
			return nil
		}
		file, err := os.Create(c.Heap)
		if err != nil {
			return err
		}
		runtime.GC()
		return errors.Join(pprof.Lookup("heap").WriteTo(file, 0), file.Close())
	}
	if c.Profile == "" {
		return end, nil
	}
	file, err := os.Create(c.Profile)
	if err != nil {
		return nil, err
	}
	heap := end
	end = func() error {
		pprof.StopCPUProfile()
		return errors.Join(file.Close(), heap())
	}
	return end, pprof.StartCPUProfile(file)
}

// A process is a child, seen from its parent.
type process struct {
	role string
	cmd  *exec.Cmd
	in   io.WriteCloser
	to   *json.Encoder
	from *json.Decoder
	end  context.CancelFunc
}

// start starts a child. The name is that of its profiles; without one it has none.
func (b *bench) start(ctx context.Context, role, name string, settings any) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	o := order{Role: role, Begun: time.Now()}
	if o.Settings, err = json.Marshal(settings); err != nil {
		return nil, err
	}
	if b.cpuProfiles != "" && name != "" {
		o.Profile = filepath.Join(b.cpuProfiles, name+profileSuffix)
	}
	if b.heapProfiles != "" && name != "" {
		o.Heap = filepath.Join(b.heapProfiles, name+".heap.prof")
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, phaseTimeout)
	cmd := exec.CommandContext(ctx, self) //nolint:gosec // it is this program
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	cmd.Stderr = b.progress
	p := &process{role: role, cmd: cmd, end: cancel}
	if p.in, err = cmd.StdinPipe(); err == nil {
		var out io.Reader
		if out, err = cmd.StdoutPipe(); err == nil {
			p.to, p.from = json.NewEncoder(p.in), json.NewDecoder(out)
			err = cmd.Start()
		}
	}
	if err != nil {
		cancel()
		return nil, err
	}
	return p, nil
}

// hear waits for what the child has to say. It returns io.EOF when that is nothing more.
func (p *process) hear(v any) error {
	var l line
	if err := p.from.Decode(&l); err != nil {
		if errors.Is(err, io.EOF) {
			return io.EOF
		}
		return fmt.Errorf("%s: %w", p.role, err)
	}
	if l.Error != "" {
		return errors.New(l.Error)
	}
	return json.Unmarshal(l.Value, v)
}

// ask tells the child to do something, and waits for its answer.
func (p *process) ask(m command, answer any) error {
	if err := p.to.Encode(m); err != nil {
		return fmt.Errorf("%s, %s: %w", p.role, m.Do, err)
	}
	if err := p.hear(answer); err != nil {
		return fmt.Errorf("%s, %s: %w", p.role, m.Do, err)
	}
	return nil
}

// close lets the child end, and waits until it has.
func (p *process) close() error {
	defer p.end()
	_ = p.in.Close()
	var failure error
	for failure == nil { // it may still be saying something
		var rest json.RawMessage
		failure = p.hear(&rest)
	}
	err := p.cmd.Wait()
	switch {
	case !errors.Is(failure, io.EOF):
		return failure
	case err != nil:
		return fmt.Errorf("%s: %w", p.role, err)
	}
	return nil
}

// within starts a child, hears from it where it serves, calls do, and ends it.
func (b *bench) within(ctx context.Context, role, name string, settings any, do func(p *process, address string) error) error {
	p, err := b.start(ctx, role, name, settings)
	if err != nil {
		return err
	}
	var address string
	if err = p.hear(&address); err == nil {
		err = do(p, address)
	}
	return p.after(err)
}

// measured runs a child that measures one thing, and hears what it has measured.
func (b *bench) measured(ctx context.Context, role, name string, settings, answer any) error {
	p, err := b.start(ctx, role, name, settings)
	if err != nil {
		return err
	}
	if err = p.hear(answer); err == nil {
		var more json.RawMessage // there is none; but it has something to clean up, and may fail
		err = p.hear(&more)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return p.after(err)
}

// after ends the child, and returns why: what has failed before, which its exit only
// follows from, or else what it ended with.
func (p *process) after(err error) error {
	ended := p.close()
	if err == nil || errors.Is(err, io.EOF) {
		return ended
	}
	return err
}
