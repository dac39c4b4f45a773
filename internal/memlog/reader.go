package memlog

import (
	"context"
	"math"

	"vstream"
)

// reader is a position in a Log: a number, so that it stays exact while offsets are sparse
// and events come late.
type reader struct {
	log    *Log
	number uint64
	wanted vstream.Offset // the offset it would read next, for its ExpiredError
	future bool           // wanted is still to come: pass over all before it
	began  bool           // with a log that held nothing, but has gone on for a reader before
	end    uint64         // number that it ends before
}

const noEnd = math.MaxUint64

// readerAt returns a reader from the event with this number on. Called under mu.
func (l *Log) readerAt(number uint64) *reader {
	wanted := l.window.Peak().Offset + 1
	if number < l.window.Next() {
		wanted = l.window.Event(number).Offset
	}
	return &reader{log: l, number: number, wanted: wanted, end: noEnd}
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
		if held, _ := l.rangeLocked(); r.began && r.wanted < held.Earliest {
			r.future = true // or it will have been forgotten at the next call
			return nil, &vstream.ExpiredError{Requested: r.wanted, Earliest: held.Earliest, Latest: held.Latest}
		}
	}
	if r.number == w.Next() || r.number >= r.end {
		return nil, nil
	}
	if r.number < w.First() {
		held, _ := l.rangeLocked()
		return nil, &vstream.ExpiredError{Requested: r.wanted, Earliest: held.Earliest, Latest: held.Latest}
	}
	events := w.From(r.number)
	if most := r.end - r.number; uint64(len(events)) > most {
		events = events[:most:most]
	}
	r.number += uint64(len(events))
	r.wanted = events[len(events)-1].Offset + 1
	return events, nil
}

func (r *reader) More() <-chan struct{} {
	r.log.mu.RLock()
	defer r.log.mu.RUnlock()
	return r.log.window.More(r.number)
}
