package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// A load is so many watchers, and so many events a second for each of them.
type load struct {
	watchers int
	rate     float64
	time     time.Duration
}

// A fanned is how a load was carried.
type fanned struct {
	load
	sum      watched
	perSec   float64 // deliveries
	cost     float64 // CPU time of the server per delivery, in seconds
	cpu      float64 // CPU time of the server per second, while events come
	clients  float64 // the same of the watchers
	idle     float64 // the same while none come; -1 if it was not measured
	resident float64 // memory of the server per watcher
	goes     float64 // heap and stacks per watcher
}

const (
	stretches = 3 // in which a load is measured, for medians
	patience  = 30 * time.Second
	filled    = 100 // events that are there before
)

// serverKinds are what watchers watch.
var serverKinds = []struct {
	name, label, query string
	prototype          bool
	idleOnly           bool
}{
	{"vstream", "vstream", "?watch=true", false, false},
	{"sse", "vstream, SSE with bookmarks", "?watch=true&format=sse", false, true},
	{"prototype", "a log polled every 10 ms", "?watch=true", true, false},
}

// fanout measures what many watchers cost, while events come and while none do.
func (b *bench) fanout(ctx context.Context) error {
	loads := section{
		title: "Fan-out",
		note: "Events are appended one by one, at even intervals; the server is a process, its watchers are another on the same machine. " +
			"CPU time is that of one core, with all that the process does meanwhile in it; delays are from before an event is encoded until a watcher has it. " +
			fmt.Sprintf("CPU per delivery is the median of %d stretches, delays are those of the worst of them. Where server and watchers together want more than there is, they wait for one another.", stretches),
		grid: [][]string{{"Watchers × events a second", "server", "deliveries per second", "server CPU per delivery", "server CPU", "watchers' CPU", "delay, median", "99 %", "longest", "all delivered"}},
	}
	idle := section{
		title: "Idle watchers",
		note: fmt.Sprintf("%v without an event, after all have connected. Memory is what the server has more than before they came, after a collection. ", b.idle) +
			"Some of the kernel's memory for connections is in neither.",
		grid: [][]string{{"Watchers", "server", "CPU, of one core", "resident each", "Go heap and stacks each"}},
	}
	results := map[string]map[int]fanned{}
	for i, l := range b.loads {
		most := i == len(b.loads)-1
		for _, kind := range serverKinds {
			if kind.idleOnly && !most {
				continue
			}
			f, err := b.carry(ctx, l, kind.name, kind.query, kind.prototype, most, !kind.idleOnly)
			if err != nil {
				return fmt.Errorf("%d watchers, %s: %w", l.watchers, kind.label, err)
			}
			if results[kind.name] == nil {
				results[kind.name] = map[int]fanned{}
			}
			results[kind.name][l.watchers] = f
			fmt.Fprintf(b.progress, "%d watchers, %s: %s CPU per delivery\n", l.watchers, kind.label, seconds(f.cost))
			if !kind.idleOnly {
				loads.grid = append(loads.grid, []string{fmt.Sprintf("%s × %g", count(float64(l.watchers)), l.rate), kind.label,
					rate(f.perSec), seconds(f.cost), percent(f.cpu), percent(f.clients), seconds(f.sum.P50.Seconds()), seconds(f.sum.P99.Seconds()), seconds(f.sum.Max.Seconds()), f.complete()})
			}
			if most {
				idle.grid = append(idle.grid, []string{count(float64(l.watchers)), kind.label, percent(f.idle), kibibytesOf(f.resident), kibibytesOf(f.goes)})
			}
		}
	}
	b.add(loads)
	b.add(idle)
	last, middle := b.loads[len(b.loads)-1], b.loads[len(b.loads)-2]
	ours, theirs := results["vstream"], results["prototype"]
	const peer = "a log polled every 10 ms"
	n := count(float64(last.watchers))
	b.reach(goal{what: n + " idle watchers, CPU of one core", value: ours[last.watchers].idle, show: percent, atMost: true, bound: 0.01, peer: peer, other: theirs[last.watchers].idle})
	b.reach(goal{what: n + " idle watchers with SSE and bookmarks, CPU of one core", value: results["sse"][last.watchers].idle, show: percent, atMost: true, bound: 0.01, peer: peer, other: theirs[last.watchers].idle,
		limit: fmt.Sprintf("they are not idle: each is told every 15 s where it is, which are %.0f writes a second of %s each, and most of that is the kernel's", float64(last.watchers)/15, seconds(results["sse"][last.watchers].idle*15/float64(last.watchers)))})
	b.reach(goal{what: n + " idle watchers, resident memory each", value: ours[last.watchers].resident, show: kibibytesOf, atMost: true, bound: 30 << 10, peer: peer, other: theirs[last.watchers].resident})
	broken := ""
	if f := ours[last.watchers]; f.sum.Missing != 0 || f.sum.Disordered != 0 {
		broken = f.complete()
	}
	b.reach(goal{what: fmt.Sprintf("%s watchers × %g events a second, delay, 99 %%", n, last.rate), value: ours[last.watchers].sum.P99.Seconds(), show: seconds, atMost: true,
		bound: 0.150, peer: peer, other: theirs[last.watchers].sum.P99.Seconds(), broken: broken,
		limit: fmt.Sprintf("server and watchers together took %s of the two cores' 200 %%, two thirds of it in the kernel's writes and reads, so that they wait for one another; see the profile in docs/performance.md",
			percent(ours[last.watchers].cpu+ours[last.watchers].clients))})
	b.reach(goal{what: fmt.Sprintf("%s watchers × %g events a second, CPU per delivery", count(float64(middle.watchers)), middle.rate), value: ours[middle.watchers].cost, show: seconds, atMost: true,
		bound: 7e-6, peer: peer, other: theirs[middle.watchers].cost})
	return nil
}

// complete says whether all was delivered.
func (f *fanned) complete() string {
	switch {
	case f.sum.Missing != 0:
		return fmt.Sprintf("%s of %s were not", count(float64(f.sum.Missing)), count(float64(f.sum.Missing+f.sum.Deliveries)))
	case f.sum.Disordered != 0:
		return fmt.Sprintf("%s out of order", count(float64(f.sum.Disordered)))
	}
	return "yes"
}

// carry puts a load on a server of its own.
func (b *bench) carry(ctx context.Context, l load, name, query string, prototype, idle, events bool) (f fanned, err error) {
	f.load, f.idle = l, -1
	profile := fmt.Sprintf("fanout-%s-%d", name, l.watchers)
	err = b.within(ctx, "server", profile, serverOrder{Prototype: prototype, Records: 2000, Fill: filled}, func(server *process, address string) error {
		return b.within(ctx, "watchers", "", watchersOrder{First: filled}, func(crowd *process, _ string) error {
			var before, after usage
			var connected int
			if err := errors.Join(
				server.ask(command{Do: "usage", Number: 1}, &before),
				crowd.ask(command{Do: "connect", URL: address + query, Number: l.watchers}, &connected),
			); err != nil {
				return err
			}
			if idle {
				if err := b.leaveIdle(server, before, &f); err != nil {
					return err
				}
			}
			if !events {
				return nil
			}
			var going bool
			if err := server.ask(command{Do: "profile"}, &going); err != nil {
				return err
			}
			var costs []float64
			var wall, cpu time.Duration
			var clientsBefore, clientsAfter usage
			if err := crowd.ask(command{Do: "usage"}, &clientsBefore); err != nil {
				return err
			}
			for range stretches {
				n := max(1, int(l.rate*l.time.Seconds()/stretches))
				var next int
				var seen watched
				began := time.Now()
				if err := errors.Join(
					server.ask(command{Do: "usage"}, &before),
					server.ask(command{Do: "append", Number: n, Rate: l.rate}, &next),
					crowd.ask(command{Do: "await", Number: n, Time: patience}, &seen),
					server.ask(command{Do: "usage"}, &after),
				); err != nil {
					return err
				}
				wall += time.Since(began)
				cpu += after.CPU - before.CPU
				costs = append(costs, (after.CPU-before.CPU).Seconds()/float64(max(seen.Deliveries, 1)))
				f.sum.Deliveries += seen.Deliveries
				f.sum.Missing += seen.Missing
				f.sum.Disordered = seen.Disordered
				f.sum.P50, f.sum.P99, f.sum.Max = max(f.sum.P50, seen.P50), max(f.sum.P99, seen.P99), max(f.sum.Max, seen.Max)
			}
			if err := crowd.ask(command{Do: "usage"}, &clientsAfter); err != nil {
				return err
			}
			f.clients = (clientsAfter.CPU - clientsBefore.CPU).Seconds() / wall.Seconds()
			f.cost, f.perSec, f.cpu = median(costs), float64(f.sum.Deliveries)/wall.Seconds(), cpu.Seconds()/wall.Seconds()
			return nil
		})
	})
	return f, err
}

// leaveIdle measures what a server takes while nothing happens.
func (b *bench) leaveIdle(server *process, before usage, f *fanned) error {
	time.Sleep(min(2*time.Second, b.idle)) // what connecting has left behind is done with
	var with, from, to usage
	if err := errors.Join(server.ask(command{Do: "usage", Number: 1}, &with), server.ask(command{Do: "usage"}, &from)); err != nil {
		return err
	}
	began := time.Now()
	time.Sleep(b.idle)
	if err := server.ask(command{Do: "usage"}, &to); err != nil {
		return err
	}
	n := float64(f.watchers)
	f.idle = (to.CPU - from.CPU).Seconds() / time.Since(began).Seconds()
	f.resident = (with.RSS - before.RSS) / n
	f.goes = (with.Heap + with.Stacks - before.Heap - before.Stacks) / n
	return nil
}
