package natslog

import (
	"context"

	"vstream"
)

// readBatch is how many old events are read from the stream at once.
const readBatch = 256

// reader is a position in a Log: a sequence number of its stream, so that it stays exact
// while offsets are sparse and events come late. Should the stream become another, the
// offset counts.
type reader struct {
	log        *Log
	generation int
	seq        uint64
	wanted     vstream.Offset // the offset it would read next
	lost       bool           // seq is not known, or wanted is still to come
}

func (r *reader) Next(ctx context.Context) ([]vstream.Event, error) {
	l := r.log
	if err := r.find(ctx); err != nil {
		return nil, err
	}
	l.mu.RLock()
	w := l.window
	switch {
	case r.lost || r.seq >= w.Next():
		l.mu.RUnlock()
		return nil, nil
	case r.seq < l.held.first:
		defer l.mu.RUnlock()
		return nil, r.expiredLocked()
	case r.seq >= w.First():
		events := w.From(r.seq)
		l.mu.RUnlock()
		r.pass(uint64(len(events)), events[len(events)-1].Offset)
		return events, nil
	}
	limit := w.First()
	l.mu.RUnlock()

	records, err := l.read(ctx, r.seq, int(min(readBatch, limit-r.seq)))
	if err != nil {
		return nil, err
	}
	if records[0].seq > r.seq { // dropped just now, or a hole
		l.mu.RLock()
		expired := r.expiredLocked()
		l.mu.RUnlock()
		if expired != nil {
			return nil, expired
		}
	}
	events := make([]vstream.Event, len(records))
	for i := range records {
		events[i] = records[i].event
	}
	r.seq = records[len(records)-1].seq
	r.pass(1, events[len(events)-1].Offset)
	return events, nil
}

// pass moves past n events, the last of which has this offset.
func (r *reader) pass(n uint64, last vstream.Offset) {
	r.seq += n
	r.wanted = last + 1
}

// expiredLocked is the error of a reader that retention has overtaken. Called under log.mu.
func (r *reader) expiredLocked() error {
	if r.seq >= r.log.held.first {
		return nil
	}
	held, _ := r.log.rangeLocked()
	return &vstream.ExpiredError{Requested: r.wanted, Earliest: held.Earliest, Latest: held.Latest}
}

// find looks for the place of the wanted offset, if seq is not that; lost stays true while
// it is still to come.
func (r *reader) find(ctx context.Context) error {
	l := r.log
	l.mu.RLock()
	if r.generation != l.generation {
		r.generation, r.lost = l.generation, true
	}
	if !r.lost {
		l.mu.RUnlock()
		return nil
	}
	peak, dropped, next := l.window.Peak().Offset, l.held.dropped, l.window.Next()
	held, _ := l.rangeLocked()
	l.mu.RUnlock()
	if r.wanted > peak {
		r.seq = next
		return nil
	}
	if r.wanted <= dropped {
		return &vstream.ExpiredError{Requested: r.wanted, Earliest: held.Earliest, Latest: held.Latest}
	}
	seq, err := l.seek(ctx, byOffset(r.wanted))
	if err != nil {
		return err
	}
	r.seq, r.lost = seq, false
	return nil
}

// here sets wanted to what is at seq.
func (r *reader) here(ctx context.Context) error {
	_, end := r.log.end()
	if r.seq >= end.next {
		r.wanted = end.peak.Offset + 1
		return nil
	}
	e, err := r.log.event(ctx, r.seq)
	if err == nil {
		r.wanted = e.Offset
	}
	return err
}

func (r *reader) Wait(ctx context.Context) error {
	l := r.log
	l.mu.RLock()
	behind := r.generation != l.generation || r.seq < l.window.Next()
	grown := l.window.Grown()
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
