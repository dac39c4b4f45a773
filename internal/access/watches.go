package access

import (
	"maps"
	"net/http"
	"slices"
	"sync"
)

// A watch is a response that goes on, and what let its request pass.
type watch struct {
	client string
	who    holder
	end    func()
}

// watches are those that go on.
type watches struct {
	max, maxPerClient int // 0: no limit

	mu    sync.Mutex
	all   map[*watch]struct{} // under mu
	their map[string]int      // under mu; only of clients that have some
}

// Admit reports whether whoever sent r may begin one more watch. If so, release is to be
// called when that has ended; calling it again does nothing. While Run runs, end is called
// once what was shown with r would not let it pass any more.
func (g *Guard) Admit(r *http.Request, end func()) (release func(), ok bool) {
	who, _ := r.Context().Value(identityKey{}).(holder)
	w := &watch{client: Client(r), who: who, end: end}
	if !g.watches.add(w) {
		return nil, false
	}
	if !who.still() { // files may have been read between the guard and here
		end()
	}
	return func() { g.watches.remove(w) }, true
}

func newWatches(most, perClient int) *watches {
	return &watches{max: most, maxPerClient: perClient, all: map[*watch]struct{}{}, their: map[string]int{}}
}

func (w *watches) add(one *watch) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.max > 0 && len(w.all) >= w.max || w.maxPerClient > 0 && w.their[one.client] >= w.maxPerClient {
		return false
	}
	w.all[one] = struct{}{}
	w.their[one.client]++
	return true
}

func (w *watches) remove(one *watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.all[one]; !ok {
		return
	}
	delete(w.all, one)
	if w.their[one.client]--; w.their[one.client] == 0 {
		delete(w.their, one.client)
	}
}

// review ends those whose time is over and, where files have changed, those who would not be
// let in with what these hold.
func (w *watches) review(changed bool) (ended int) {
	w.mu.Lock()
	all := slices.Collect(maps.Keys(w.all))
	w.mu.Unlock()
	for _, one := range all { // outside the lock: to verify many certificates takes a while
		if one.who.over() || changed && !one.who.still() {
			one.end()
			ended++
		}
	}
	return ended
}
