package natslog

import (
	"context"
	"errors"
	"math"
	"time"

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
	last       vstream.Offset // of the event before seq, as it was read; -1 if none was
	wanted     vstream.Offset // the offset it would read next, were there no late events
	lost       bool           // seq is not known, or wanted is still to come
	moved      bool           // into another stream, and what came before wanted is not there
	end        uint64         // sequence number that it ends before

	run   *run      // nil unless it is far behind
	read  time.Time // when it last read from the stream
	noRun time.Time // until when it starts none
}

const noEnd = math.MaxUint64

func (r *reader) Next(ctx context.Context) ([]vstream.Event, error) {
	for {
		events, ok, err := r.next(ctx)
		if ok || err != nil {
			return events, err
		}
	}
}

// next is Next, unless the stream became another meanwhile: ok is false then.
func (r *reader) next(ctx context.Context) (events []vstream.Event, ok bool, err error) {
	l := r.log
	if err := r.find(ctx); err != nil {
		return nil, false, err
	}
	behind := false
	defer func() {
		if !behind {
			r.endRun()
		}
	}()
	l.mu.RLock()
	w := l.window
	r.seq = l.hole.past(r.seq)
	switch {
	case r.generation != l.generation:
		l.mu.RUnlock()
		return nil, false, nil
	case r.lost || r.seq >= w.Next() || r.seq >= r.end:
		l.mu.RUnlock()
		return nil, true, nil
	case r.seq < l.held.first:
		defer l.mu.RUnlock()
		return nil, false, r.expiredLocked()
	case r.seq >= w.First():
		events := w.From(r.seq)
		l.mu.RUnlock()
		if most := r.end - r.seq; uint64(len(events)) > most {
			events = events[:most:most]
		}
		r.pass(events, r.seq+uint64(len(events)))
		return events, true, nil
	}
	limit := min(w.First(), r.end)
	l.mu.RUnlock()

	behind = true
	part, err := r.readBehind(ctx, limit)
	if err != nil {
		return nil, false, err
	}
	l.mu.RLock()
	same := r.generation == l.generation
	if same && part.seqs[0] > r.seq { // dropped just now, or a hole
		err = r.expiredLocked()
	}
	l.mu.RUnlock()
	if !same || err != nil {
		return nil, false, err
	}
	seq := part.seqs[len(part.seqs)-1] + 1
	part = part.until(r.end) // what is behind it has a hole before it
	r.pass(part.events, seq)
	return part.events, true, nil
}

// readBehind reads what follows from the stream, which is far from limit or near.
func (r *reader) readBehind(ctx context.Context, limit uint64) (stretch, error) {
	l := r.log
	now := time.Now()
	defer func() { r.read = time.Now() }()
	if r.run == nil && limit-r.seq >= runLeast && now.Sub(r.read) < runPatience && now.After(r.noRun) {
		l.mu.RLock()
		s := l.stream
		l.mu.RUnlock()
		var err error
		if r.run, err = s.startRun(ctx, r.seq, &l.runs); err != nil && !errors.Is(err, errRunOver) {
			r.noRun = now.Add(runPause)
		}
	}
	if r.run != nil {
		records, err := r.run.read(ctx, r.seq)
		if err == nil {
			return stretchOf(records), nil
		}
		r.run, r.noRun = nil, now.Add(runPause)
		if !errors.Is(err, errRunOver) {
			return stretch{}, err
		}
	}
	// All end at the same places, and so have the same before them.
	return l.readShared(ctx, r.generation, r.seq, int(min(readBatch-r.seq%readBatch, limit-r.seq)))
}

// endRun ends the run of a reader that has caught up.
func (r *reader) endRun() {
	if r.run != nil {
		r.run.close()
		r.run = nil
	}
}

// errMoved says that a reader's end was in a stream that has become another.
var errMoved = errors.New("the log has become another while it was read; read it again")

// pass moves past events, to seq.
func (r *reader) pass(events []vstream.Event, seq uint64) {
	r.seq = seq
	for i := range events {
		r.last = events[i].Offset
		r.wanted = max(r.wanted, r.last+1)
	}
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
	if err := r.move(ctx); err != nil {
		return err
	}
	if !r.lost {
		return nil
	}
	l.mu.RLock()
	peak, dropped, next := l.window.Peak().Offset, l.held.dropped, l.window.Next()
	held, _ := l.rangeLocked()
	l.mu.RUnlock()
	if r.wanted > peak {
		r.seq = next
		return nil
	}
	if r.wanted <= dropped || r.moved && r.wanted < held.Earliest {
		return &vstream.ExpiredError{Requested: r.wanted, Earliest: held.Earliest, Latest: held.Latest}
	}
	seq, err := l.seek(ctx, byOffset(r.wanted))
	if err != nil {
		return err
	}
	r.seq, r.lost = seq, false
	return nil
}

// move finds out, when the stream has become another, whether the reader's place is the
// same in it: where only a later part was lost it is, late events and all.
func (r *reader) move(ctx context.Context) error {
	l := r.log
	l.mu.RLock()
	generation, first, next := l.generation, l.held.first, l.window.Next()
	l.mu.RUnlock()
	if r.generation == generation {
		return nil
	}
	// What a run has at hand is of the stream that was.
	r.endRun()
	if r.end != noEnd { // which is nowhere in another stream
		return l.unavailable(errMoved)
	}
	same := false
	if !r.lost && r.last >= 0 && r.seq > first && r.seq <= next {
		e, err := l.event(ctx, r.seq-1)
		if err != nil {
			return err
		}
		same = e.Offset == r.last
	}
	r.generation = generation
	r.lost, r.moved = !same, r.moved || !same
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

func (r *reader) More() <-chan struct{} {
	l := r.log
	l.mu.RLock()
	defer l.mu.RUnlock()
	if r.generation != l.generation { // Next has something to find out
		return l.window.More(0)
	}
	return l.window.More(r.seq)
}
