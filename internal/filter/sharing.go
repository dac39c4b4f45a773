package filter

import (
	"sync"
	"sync/atomic"
	"weak"

	"vstream"
)

// A Sharing lets those who test the same events with equal filters at the same time test each
// event once. Its zero value is ready for use, by any number of goroutines.
type Sharing struct {
	mu     sync.Mutex
	shared map[string]*Shared // under mu; by Filter.String, those that somebody uses
}

// A Shared is a filter with what it has found of the newest events. Only texts and expressions
// are worth that: to test fields is quicker than to look it up.
type Shared struct {
	*Filter
	users    int                                 // under Sharing.mu
	verdicts atomic.Pointer[[remembered]verdict] // nil while there is one user
}

// remembered is of how many events a verdict is kept: of those that are read at once.
const remembered = 256

// A verdict is whether an event passed. It does not keep the event in memory. Which one it is
// of is told by where that is, for an offset may come again with another event.
type verdict struct {
	mu     sync.Mutex
	event  weak.Pointer[vstream.Event] // under mu
	passed bool                        // under mu
}

// Join returns the filter that is equal to f and shared, until leave is called, once.
func (s *Sharing) Join(f *Filter) (shared *Shared, leave func()) {
	if !f.NeedsMessage() {
		return &Shared{Filter: f}, func() {}
	}
	text := f.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	shared = s.shared[text]
	if shared == nil {
		if s.shared == nil {
			s.shared = map[string]*Shared{}
		}
		shared = &Shared{Filter: f}
		s.shared[text] = shared
	}
	if shared.users++; shared.users == 2 && shared.verdicts.Load() == nil {
		shared.verdicts.Store(new([remembered]verdict))
	}
	return shared, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if shared.users--; shared.users == 0 {
			delete(s.shared, text)
		}
	}
}

// Match is that of the filter. The event must be where it is in the log, and not a copy, to be
// recognised. Who asks while the same event is tested waits for that; an error is found anew.
func (s *Shared) Match(vcenter string, e *vstream.Event) (bool, error) {
	verdicts := s.verdicts.Load()
	if verdicts == nil {
		return s.Filter.Match(vcenter, e)
	}
	v := &verdicts[uint64(e.Offset)%remembered]
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.event.Value() == e {
		return v.passed, nil
	}
	passed, err := s.Filter.Match(vcenter, e)
	if err == nil {
		v.event, v.passed = weak.Make(e), passed
	}
	return passed, err
}
