package access

import "sync"

// A recent keeps a value for each of the keys asked for most recently: for at least n of
// them, and at most twice as many. Forgetting half of them at once needs no list.
type recent[V any] struct {
	n          int
	mu         sync.Mutex
	young, old map[string]V // under mu
}

func newRecent[V any](n int) *recent[V] { return &recent[V]{n: n, young: map[string]V{}} }

// get returns the value of key, which is fresh() if there is none.
func (r *recent[V]) get(key string, fresh func() V) V {
	r.mu.Lock()
	defer r.mu.Unlock()
	v, ok := r.young[key]
	if ok {
		return v
	}
	if v, ok = r.old[key]; !ok {
		v = fresh()
	}
	if len(r.young) == r.n {
		r.young, r.old = map[string]V{}, r.young
	}
	r.young[key] = v
	return v
}

func (r *recent[V]) has(key string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, young := r.young[key]
	_, old := r.old[key]
	return young || old
}
