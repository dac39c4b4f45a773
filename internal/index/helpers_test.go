package index_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vstream"
	"vstream/internal/filter"
	"vstream/internal/index"
)

const noLimit = 1 << 40

// follow begins to index a log, until the test has ended.
func follow(t testing.TB, log vstream.Log, maxRows int) *index.Index {
	t.Helper()
	x := &index.Index{Log: log, MaxRows: maxRows, Logger: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() {
		if err := x.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return x
}

func appendTo(t testing.TB, log vstream.Log, events ...vstream.Event) {
	t.Helper()
	for batch := range slices.Chunk(events, 1000) {
		if err := log.Append(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
}

// A story makes up events, as a vCenter might tell them.
type story struct {
	*rand.Rand
	next vstream.Offset
	time time.Time
	late float64 // how many of the events leave out a key that comes later
	owed []vstream.Event
	vms  int
}

func newStory(seed uint64) *story {
	return &story{Rand: rand.New(rand.NewPCG(seed, 1)), next: 1, time: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), vms: 2000}
}

var kinds = []struct{ typ, class, severity string }{
	{"VmPoweredOnEvent", "event", "info"}, {"VmPoweredOffEvent", "event", "info"}, {"TaskEvent", "event", "info"},
	{"UserLoginSessionEvent", "event", "info"}, {"HostConnectionLostEvent", "event", "error"}, {"GeneralUserEvent", "event", "user"},
	{"com.example.disk", "eventex", "warning"}, {"com.example.disk", "eventex", "error"}, {"com.example.disk", "extendedevent", "info"},
	{"com.example.odd", "eventex", "critical"},
}

func (s *story) event() vstream.Event {
	o := s.next
	s.next += 1 + vstream.Offset(s.IntN(3))
	s.time = s.time.Add(time.Duration(s.ExpFloat64() * float64(2*time.Second))).Truncate(time.Microsecond)
	k := kinds[min(s.IntN(len(kinds)), s.IntN(len(kinds)))]
	e := vstream.Event{
		Offset: o, Time: s.time, Type: k.typ, Class: k.class, Severity: k.severity, Chain: int32(s.IntN(50)),
		User: fmt.Sprintf("LAB\\user-%d", s.IntN(20)), Datacenter: fmt.Sprintf("DC-%d", s.IntN(3)),
		JSON: []byte("{}"),
	}
	if strings.HasPrefix(k.typ, "Vm") || s.IntN(2) == 0 {
		e.VM = fmt.Sprintf("vm-%05d.example", min(s.IntN(s.vms), s.IntN(s.vms)))
	}
	if s.IntN(4) > 0 {
		e.Host = fmt.Sprintf("esx-%03d.example", s.IntN(100))
		e.Cluster = fmt.Sprintf("cluster-%d", s.IntN(10))
	}
	if s.IntN(20) == 0 {
		e.Datastore = fmt.Sprintf("ds-%d", s.IntN(40))
	}
	if s.IntN(50) == 0 {
		e.Network = fmt.Sprintf("net-%d", s.IntN(40))
	}
	return e
}

// events returns so many events in the order in which they come: some are late.
func (s *story) events(n int) []vstream.Event {
	var events []vstream.Event
	for len(events) < n {
		e := s.event()
		switch {
		case s.Float64() < s.late:
			s.owed = append(s.owed, e)
		case len(s.owed) > 0 && s.IntN(30) == 0:
			events = append(events, e, s.owed[0])
			s.owed = s.owed[1:]
		default:
			events = append(events, e)
		}
	}
	return events
}

// everything passes every event.
var everything *filter.Filter

// parse makes a filter of a query.
func parse(t testing.TB, query string) *filter.Filter {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	f, err := filter.Parse(values)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// matching returns the events that a filter passes.
func matching(t testing.TB, f *filter.Filter, all []vstream.Event) []vstream.Event {
	t.Helper()
	var passed []vstream.Event
	for i := range all {
		ok, err := f.Match("", &all[i])
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			passed = append(passed, all[i])
		}
	}
	return passed
}

// held returns what counts of a log: of all its events those from where it can be read on,
// at most so many.
func held(t testing.TB, log vstream.Log, atMost int) []vstream.Event {
	t.Helper()
	r, err := log.Open(t.Context(), vstream.Oldest{})
	if err != nil {
		t.Fatal(err)
	}
	var all []vstream.Event
	for {
		events, err := r.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			break
		}
		all = append(all, events...)
	}
	known, _ := log.Range()
	for len(all) > 0 && (len(all) > atMost || all[0].Offset < known.Earliest) {
		all = all[1:]
	}
	return all
}

// before and after are what the index finds around a place.
func before(x *index.Index, f *filter.Filter, place vstream.Offset, n int) []vstream.Offset {
	found, _, _ := x.Before(f, place, n)
	return found
}

func after(x *index.Index, f *filter.Filter, place vstream.Offset, n int) []vstream.Offset {
	found, _ := x.After(f, place, n)
	return found
}
