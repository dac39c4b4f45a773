package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"

	prototype "github.com/embano1/memlog"

	"vstream"
	"vstream/internal/memlog"
)

// A sizeOrder says how large a log is, and how much is to be done with it.
type sizeOrder struct {
	Prototype       bool
	Retained        int
	Appended, Seeks int
}

// A sized is what it cost, in CPU seconds.
type sized struct{ Append, Offset, Time float64 }

// sizeBatch is how many events are appended at once: what a busy vCenter gives at a time.
const sizeBatch = 100

// retained measures what an event costs by how many the log holds.
func (b *bench) retained(ctx context.Context) error {
	all := map[bool]map[int][]sized{true: {}, false: {}}
	for range b.repeat {
		for _, n := range b.scale.retained {
			for _, peer := range []bool{false, true} {
				name := fmt.Sprintf("size-vstream-%d", n)
				if peer {
					name = ""
				}
				var s sized
				if err := b.measured(ctx, "size", name, sizeOrder{Prototype: peer, Retained: n, Appended: b.appended, Seeks: b.seriesSize}, &s); err != nil {
					return err
				}
				all[peer][n] = append(all[peer][n], s)
			}
			fmt.Fprintf(b.progress, "size: %d events\n", n)
		}
	}
	middle := func(peer bool, n int, of func(sized) float64) float64 {
		var values []float64
		for _, s := range all[peer][n] {
			values = append(values, of(s))
		}
		return median(values)
	}
	appending := func(s sized) float64 { return s.Append }
	byOffset := func(s sized) float64 { return s.Offset }
	byTime := func(s sized) float64 { return s.Time }
	table := section{
		title: "Cost by size of the log",
		note: fmt.Sprintf("CPU time, collections of garbage included. %s events are appended to a log that is full, %d at once, and each batch is read by one reader; "+
			"for every event that comes, the oldest goes. Then readers are opened at random places and read on. Medians of %d runs, each in a process of its own. "+
			"embano1/memlog finds its places by index; it has no times to seek.", count(float64(b.appended)), sizeBatch, b.repeat),
		grid: [][]string{{"Events in the log", "append and read, each", "embano1/memlog", "seek by offset", "embano1/memlog", "seek by time"}},
	}
	for _, n := range b.scale.retained {
		table.grid = append(table.grid, []string{count(float64(n)), seconds(middle(false, n, appending)), seconds(middle(true, n, appending)),
			seconds(middle(false, n, byOffset)), seconds(middle(true, n, byOffset)), seconds(middle(false, n, byTime))})
	}
	b.add(table)
	small, large := 10_000, b.scale.retained[len(b.scale.retained)-1]
	for _, g := range []struct {
		what string
		of   func(sized) float64
	}{{"append and read", appending}, {"seek by offset", byOffset}} {
		b.reach(goal{what: fmt.Sprintf("%s, cost with %s events to that with %s", g.what, count(float64(large)), count(float64(small))),
			value: middle(false, large, g.of) / middle(false, small, g.of), show: factor, atMost: true, bound: 1.2,
			peer: "embano1/memlog", other: middle(true, large, g.of) / middle(true, small, g.of)})
	}
	return nil
}

// sizeChild fills a log, and measures what goes on costs then.
func sizeChild(ctx context.Context, c *child) error {
	var o sizeOrder
	if err := c.settings(&o); err != nil {
		return err
	}
	many := newManifold(o.Retained + o.Appended)
	var next [][]vstream.Event // made before, so that making them is not counted
	for from := o.Retained; from < o.Retained+o.Appended; from += sizeBatch {
		next = append(next, many.take(from, min(sizeBatch, o.Retained+o.Appended-from)))
	}
	measure := o.vstream
	if o.Prototype {
		measure = o.prototype
	}
	s, err := measure(ctx, c, many, next)
	if err != nil {
		return err
	}
	return c.say(s)
}

// cost does something so many times, and returns the CPU time that each took.
func cost(times int, do func() error) (float64, error) {
	runtime.GC()
	var took clock
	took.start()
	err := do()
	took.stop()
	return took.cpu.Seconds() / float64(times), err
}

func (o *sizeOrder) vstream(ctx context.Context, c *child, many manifold, next [][]vstream.Event) (s sized, err error) {
	log := memlog.New(o.Retained, 1<<40)
	for from := 0; from < o.Retained; from += pageSize {
		if err := log.Append(ctx, many.take(from, min(pageSize, o.Retained-from))); err != nil {
			return s, err
		}
	}
	reader, err := log.Open(ctx, vstream.Newest(0))
	if err != nil {
		return s, err
	}
	end, err := c.profile()
	if err != nil {
		return s, err
	}
	if s.Append, err = cost(o.Appended, func() error {
		for _, events := range next {
			if err := log.Append(ctx, events); err != nil {
				return err
			}
			for left := len(events); left > 0; {
				got, err := reader.Next(ctx)
				if err != nil {
					return err
				}
				if len(got) == 0 {
					return fmt.Errorf("%d events were appended and cannot be read", left)
				}
				left -= len(got)
			}
		}
		return nil
	}); err != nil {
		return s, err
	}
	if err := end(); err != nil {
		return s, err
	}
	seek := func(position func(n int) vstream.Position) (float64, error) {
		random := rand.New(rand.NewPCG(9, 10))
		return cost(o.Seeks, func() error {
			for range o.Seeks {
				n := o.Appended + random.IntN(o.Retained)
				r, err := log.Open(ctx, position(n))
				if err != nil {
					return err
				}
				got, err := r.Next(ctx)
				if err != nil {
					return err
				}
				if len(got) == 0 || got[0].Offset != vstream.Offset(firstKey+n) {
					return fmt.Errorf("sought event %d, and did not find it", n)
				}
			}
			return nil
		})
	}
	if s.Offset, err = seek(func(n int) vstream.Position { return vstream.At(firstKey + n) }); err != nil {
		return s, err
	}
	s.Time, err = seek(func(n int) vstream.Position { return vstream.Since(manifoldTime(n)) })
	runtime.KeepAlive(log)
	return s, err
}

func (o *sizeOrder) prototype(ctx context.Context, _ *child, many manifold, next [][]vstream.Event) (s sized, err error) {
	log, err := prototype.New(ctx, prototype.WithMaxSegmentSize(max(o.Retained/2, 1)))
	if err != nil {
		return s, err
	}
	for from := range o.Retained {
		if _, err := log.Write(ctx, many.take(from, 1)[0].JSON); err != nil {
			return s, err
		}
	}
	_, latest := log.Range(ctx)
	if s.Append, err = cost(o.Appended, func() error {
		for _, events := range next {
			for i := range events {
				if _, err := log.Write(ctx, events[i].JSON); err != nil {
					return err
				}
			}
			for range events {
				latest++
				if _, err := log.Read(ctx, latest); err != nil {
					return err
				}
			}
		}
		return nil
	}); err != nil {
		return s, err
	}
	random := rand.New(rand.NewPCG(9, 10))
	earliest, latest := log.Range(ctx)
	s.Offset, err = cost(o.Seeks, func() error {
		for range o.Seeks {
			at := earliest + prototype.Offset(random.IntN(int(latest-earliest)))
			if r, err := log.Read(ctx, at); err != nil || r.Metadata.Offset != at {
				return errors.Join(fmt.Errorf("sought record %d, and did not find it", at), err)
			}
		}
		return nil
	})
	runtime.KeepAlive(log)
	return s, err
}
