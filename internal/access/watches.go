package access

import "sync"

// Watches limits how many watches there are at a time. Its limits are set before it is
// used; 0 is none.
type Watches struct {
	Max, MaxPerClient int

	mu    sync.Mutex
	all   int            // under mu
	their map[string]int // under mu; only of clients that have some, and with MaxPerClient
}

// Acquire reports whether client may begin one more watch. If so, release is to be called
// when that ends; calling it again does nothing.
func (w *Watches) Acquire(client string) (release func(), ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.Max > 0 && w.all >= w.Max || w.MaxPerClient > 0 && w.their[client] >= w.MaxPerClient {
		return nil, false
	}
	w.all++
	if w.MaxPerClient > 0 {
		if w.their == nil {
			w.their = map[string]int{}
		}
		w.their[client]++
	}
	return sync.OnceFunc(func() { w.release(client) }), true
}

func (w *Watches) release(client string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all--
	if w.MaxPerClient > 0 {
		if w.their[client]--; w.their[client] == 0 {
			delete(w.their, client)
		}
	}
}
