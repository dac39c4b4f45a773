package access

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestWatchesAreLimitedInAllAndPerClient(t *testing.T) {
	w := &Watches{Max: 3, MaxPerClient: 2}
	first, ok := w.Acquire("alice")
	if !ok {
		t.Fatal("the first is refused")
	}
	w.Acquire("alice")
	if _, ok := w.Acquire("alice"); ok {
		t.Error("alice has three")
	}
	w.Acquire("bob")
	if _, ok := w.Acquire("carol"); ok {
		t.Error("there are four")
	}
	first()
	first() // counts once
	if _, ok := w.Acquire("carol"); !ok {
		t.Error("what was released is not free")
	}
	if _, ok := w.Acquire("carol"); ok {
		t.Error("what was released once is free twice")
	}
}

func TestWatchesWithoutLimitsAreNotLimited(t *testing.T) {
	w := new(Watches)
	for range 1000 {
		if _, ok := w.Acquire("alice"); !ok {
			t.Fatal("refused")
		}
	}
}

func TestNothingIsKeptOfClientsThatAreGone(t *testing.T) {
	w := &Watches{Max: 50, MaxPerClient: 5}
	var group sync.WaitGroup
	var most, now atomic.Int64
	for n := range 200 {
		group.Go(func() {
			for range 100 {
				if release, ok := w.Acquire(string(rune('a' + n%26))); ok {
					most.Store(max(most.Load(), now.Add(1)))
					now.Add(-1)
					release()
				}
			}
		})
	}
	group.Wait()
	if w.all != 0 || len(w.their) != 0 || most.Load() > 50 {
		t.Errorf("%d in all, %d clients, %d at a time", w.all, len(w.their), most.Load())
	}
}
