package httpapi

import (
	"context"
	"errors"
	"maps"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"vstream"
)

// Watches is what a server knows of its watches in one form.
type Watches struct {
	Form          string
	Open          int64
	Opened        int64            // ever
	Closed        map[string]int64 // ever, by reason
	Events, Bytes int64            // sent, ever
	// Behind is how many have had something to send for longer than a second, and Lag for
	// how long the one has that is furthest behind.
	Behind int64
	Lag    time.Duration
}

// Why watches were closed.
const (
	closedByClient   = "client"   // it went, or its connection broke
	closedAtAge      = "age"      // of WatchMaxAge, or the timeout asked for
	closedAtLimit    = "limit"    // all was sent that was asked for
	closedByStop     = "stopping" // of the server
	closedByGuard    = "revoked"  // what was shown to read is not valid any more
	closedByExpiry   = "expired"  // retention overtook it
	closedAsTooSlow  = "slow"     // the client took nothing for too long
	closedForTrouble = "error"    // anything else
)

var closings = []string{closedByClient, closedAtAge, closedAtLimit, closedByStop, closedByGuard, closedByExpiry, closedAsTooSlow, closedForTrouble}

// reasonOf says why a watch was closed that ended with err, and whose client could be written
// to up to writing.
func reasonOf(err, writing error) string {
	var expired *vstream.ExpiredError
	switch {
	case errors.Is(writing, os.ErrDeadlineExceeded):
		return closedAsTooSlow
	case errors.Is(err, errStopping):
		return closedByStop
	case errors.Is(err, errRevoked):
		return closedByGuard
	case errors.Is(err, errMaxAge):
		return closedAtAge
	case errors.Is(err, errLimit), errors.Is(err, errUntil):
		return closedAtLimit
	case writing != nil, errors.Is(err, context.Canceled):
		return closedByClient
	case errors.As(err, &expired):
		return closedByExpiry
	default:
		return closedForTrouble
	}
}

// A gauge is what one watch tells of itself. It belongs to the watch, which alone writes to
// it, so that ten thousand of them do not wait for one another; others only look.
type gauge struct {
	form   *form
	behind atomic.Int64 // since when it has had something to send, in Unix nanoseconds; 0 while it has not
	events atomic.Int64
	bytes  atomic.Int64
}

// wakes takes note that there is something to send.
func (m *gauge) wakes() { m.behind.Store(time.Now().UnixNano()) }

// rests takes note that everything has been sent.
func (m *gauge) rests() { m.behind.Store(0) }

// sent takes note of what has been sent.
func (m *gauge) sent(events int, bytes int64) {
	m.events.Store(int64(events))
	m.bytes.Store(bytes)
}

// gauges are those of all watches. Its zero value is ready for use.
type gauges struct {
	mu   sync.Mutex
	open map[*gauge]struct{} // under mu
	past map[*form]*Watches  // under mu; what is known of those that are over, and how many were opened
}

func (a *gauges) begin(m *gauge, f *form) {
	m.form = f
	m.wakes() // to send the headers, and what there is
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.open == nil {
		a.open = map[*gauge]struct{}{}
	}
	a.open[m] = struct{}{}
	a.pastLocked(f).Opened++
}

func (a *gauges) end(m *gauge, reason string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, m)
	past := a.pastLocked(m.form)
	past.Closed[reason]++
	past.Events += m.events.Load()
	past.Bytes += m.bytes.Load()
}

func (a *gauges) pastLocked(f *form) *Watches {
	if a.past == nil {
		a.past = map[*form]*Watches{}
	}
	if a.past[f] == nil {
		a.past[f] = &Watches{Form: f.name, Closed: map[string]int64{}}
		for _, reason := range closings {
			a.past[f].Closed[reason] = 0
		}
	}
	return a.past[f]
}

// behindAfter is for how long a watch may have something to send before it counts as behind.
const behindAfter = time.Second

// Watches returns how the watches are, by form. It looks at each, which takes some 13 ns,
// and may be called from any goroutine.
func (s *Server) Watches() []Watches {
	a := &s.gauges
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now().UnixNano()
	all := make([]Watches, 0, len(forms)) // so that it does not move
	of := map[*form]*Watches{}
	for _, f := range forms {
		if f.stream == "" {
			continue
		}
		sum := *a.pastLocked(f)
		sum.Closed = maps.Clone(sum.Closed)
		all = append(all, sum)
		of[f] = &all[len(all)-1]
	}
	for m := range a.open {
		sum := of[m.form]
		sum.Open++
		sum.Events += m.events.Load()
		sum.Bytes += m.bytes.Load()
		since := m.behind.Load()
		if since == 0 {
			continue
		}
		lag := max(0, time.Duration(now-since))
		sum.Lag = max(sum.Lag, lag)
		if lag > behindAfter {
			sum.Behind++
		}
	}
	return all
}
