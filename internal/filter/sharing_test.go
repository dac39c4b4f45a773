package filter_test

import (
	"errors"
	"math/rand/v2"
	"net/url"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"weak"

	"vstream"
	"vstream/internal/filter"
)

// join lets n use one filter, each having compiled it.
func join(t testing.TB, sharing *filter.Sharing, query string, n int) *filter.Shared {
	t.Helper()
	var shared *filter.Shared
	for range n {
		s, leave := sharing.Join(parse(t, query))
		t.Cleanup(leave)
		if shared != nil && s != shared {
			t.Fatalf("%s is not shared", query)
		}
		shared = s
	}
	return shared
}

var onData = "filter=" + url.QueryEscape(`data.Vm.Name == "web1"`)

// To evaluate an expression takes memory, and to look up what came out does not.
func TestOfThoseWithTheSameFilterOneTestsAnEvent(t *testing.T) {
	e := *poweredOn
	for users, none := range map[int]bool{1: false, 2: true, 3: true} {
		var sharing filter.Sharing
		shared := join(t, &sharing, onData, users)
		n := testing.AllocsPerRun(100, func() {
			if passed, err := shared.Match("vc1", &e); !passed || err != nil {
				t.Errorf("Match = %v, %v", passed, err)
			}
		})
		if (n == 0) != none {
			t.Errorf("with %d users Match allocates %v times", users, n)
		}
	}
}

// An offset says neither which event it is, nor whether that is written as it was: a log that
// was lost is filled anew, and several vCenters have the same offsets.
func TestAVerdictIsOfOneEventOnly(t *testing.T) {
	var sharing filter.Sharing
	alone := parse(t, onData)
	shared := join(t, &sharing, onData, 3)
	var events []vstream.Event
	for i := range 2000 {
		e := *poweredOn
		e.Offset = vstream.Offset(i % 600) // some at one place, and late ones
		name := "web" + strconv.Itoa(i/600)
		e.JSON = []byte(`{"data":{"Vm":{"Name":"` + name + `"}}}`)
		events = append(events, e)
	}
	var all sync.WaitGroup
	for seed := range uint64(8) {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, 1))
			for range 5000 {
				e := &events[random.IntN(len(events))]
				want, _ := alone.Match("vc1", e)
				if got, err := shared.Match("vc1", e); got != want || err != nil {
					t.Errorf("of %d, %s, Match = %v, %v", e.Offset, e.JSON, got, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestEachUserOfAFilterIsToldThatItCostsTooMuch(t *testing.T) {
	var sharing filter.Sharing
	e := large(t)
	shared := join(t, &sharing, "filter="+url.QueryEscape(costly[0]), 2)
	for range 3 {
		var costs *filter.CostError
		if passed, err := shared.Match("vc1", e); passed || !errors.As(err, &costs) || costs.Offset != e.Offset {
			t.Errorf("Match = %v, %v", passed, err)
		}
	}
}

func TestAVerdictDoesNotKeepItsEventInMemory(t *testing.T) {
	var sharing filter.Sharing
	shared := join(t, &sharing, onData, 2)
	events := []vstream.Event{*poweredOn}
	_, _ = shared.Match("vc1", &events[0])
	kept := weak.Make(&events[0])
	runtime.KeepAlive(events)
	events = nil
	runtime.GC()
	if kept.Value() != nil {
		t.Error("the event is kept")
	}
	runtime.KeepAlive(shared)
}

func TestAFilterIsSharedUntilItsLastUserLeaves(t *testing.T) {
	var sharing filter.Sharing
	first, leave := sharing.Join(parse(t, "q=powered&vm=web1"))
	second, leaveToo := sharing.Join(parse(t, "vm=WEB1&q=Powered"))
	leave()
	third, leaveAsWell := sharing.Join(parse(t, "vm=web1&q=powered"))
	other, leaveOther := sharing.Join(parse(t, "vm=web2&q=powered"))
	if second != first || third != first || other == first {
		t.Error("equal filters are not shared, or others are")
	}
	leaveToo()
	leaveAsWell()
	leaveOther()
	if again, leave := sharing.Join(parse(t, "vm=web1&q=powered")); again == first {
		t.Error("a filter that nobody used any more is kept")
	} else {
		leave()
	}
}
