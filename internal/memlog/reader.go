package memlog

import (
	"context"

	"vstream"
)

// reader is a position in a Log: a number, so that it stays exact while offsets are sparse
// and events come late.
type reader struct {
	log    *Log
	number uint64
	wanted vstream.Offset // the offset it would read next, for its ExpiredError
	future bool           // wanted is still to come: pass over all before it
}

// readerAt returns a reader from the event with this number on. Called under mu.
func (l *Log) readerAt(number uint64) *reader {
	wanted := l.window.Peak().Offset + 1
	if number < l.window.Next() {
		wanted = l.window.Event(number).Offset
	}
	return &reader{log: l, number: number, wanted: wanted}
}

func (r *reader) Next(context.Context) ([]vstream.Event, error) {
	l := r.log
	l.mu.RLock()
	defer l.mu.RUnlock()
	w := l.window
	if r.future {
		if w.Peak().Offset < r.wanted {
			r.number = w.Next()
			return nil, nil
		}
		r.future = false
		r.number = w.Seek(r.wanted)
		if r.wanted <= l.dropped {
			r.number = 0 // its event came and went
		}
	}
	if r.number == w.Next() {
		return nil, nil
	}
	if r.number < w.First() {
		held, _ := l.rangeLocked()
		return nil, &vstream.ExpiredError{Requested: r.wanted, Earliest: held.Earliest, Latest: held.Latest}
	}
	events := w.From(r.number)
	r.number += uint64(len(events))
	r.wanted = events[len(events)-1].Offset + 1
	return events, nil
}

func (r *reader) Wait(ctx context.Context) error {
	l := r.log
	l.mu.RLock()
	behind, grown := r.number != l.window.Next(), l.window.Grown()
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
