package memlog

import (
	"context"

	"vstream"
)

// reader is a position in a Log: a sequence number, so that it stays exact while offsets
// are sparse and events come late.
type reader struct {
	log    *Log
	seq    uint64
	wanted vstream.Offset // the offset it would read next, for its ExpiredError
	future bool           // wanted is still to come: pass over all before it
}

func (r *reader) Next(context.Context) ([]vstream.Event, error) {
	l := r.log
	l.mu.RLock()
	defer l.mu.RUnlock()
	if r.future {
		if l.peak < r.wanted {
			r.seq = l.next
			return nil, nil
		}
		r.future = false
		r.seq = l.search(r.wanted)
		if r.wanted <= l.dropped {
			r.seq = 0 // its event came and went
		}
	}
	if r.seq == l.next {
		return nil, nil
	}
	if r.seq < l.first {
		held, _ := l.rangeLocked()
		return nil, &vstream.ExpiredError{Requested: r.wanted, Earliest: held.Earliest, Latest: held.Latest}
	}
	c := l.chunks[l.chunkOf(r.seq)]
	end := len(c.events)
	events := c.events[r.seq-c.base : end : end]
	r.seq = c.base + uint64(end)
	r.wanted = events[len(events)-1].Offset + 1
	return events, nil
}

func (r *reader) Wait(ctx context.Context) error {
	l := r.log
	l.mu.RLock()
	behind, grown := r.seq != l.next, l.grown
	l.mu.RUnlock()
	if behind {
		return nil
	}
	select {
	case <-grown:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
