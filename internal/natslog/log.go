package natslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// Log is the event log of one vCenter, a stream. Its methods may be called from any
// goroutine. It is used once its Engine runs; until its stream has been found, and where
// the stream is needed and cannot be reached, methods fail with a
// [vstream.UnavailableError].
type Log struct {
	name   string // of the vCenter
	config *Config
	logger *slog.Logger

	appending sync.Mutex // held by Append

	mu         sync.RWMutex
	stream     *stream        // under mu; nil before it was first found
	generation int            // under mu; counts how often the stream turned out to be another
	window     *memlog.Window // under mu; numbers are the stream's sequence numbers
	held       held           // under mu
	hole       span           // under mu; nothing can be read there; it ends where a window once began
	lost       loss           // under mu
	failing    chan struct{}  // capacity 1; tells that the stream does not take events
	loaded     chan struct{}  // closed when stream is first set
	broken     chan struct{}  // capacity 1; tells that window and stream do not agree

	trouble atomic.Pointer[Trouble]   // nil while the log is open and followed
	refused atomic.Pointer[refusal]   // the last one; nil before
	heard   atomic.Pointer[time.Time] // when NATS last told what the stream holds; nil before
	tag     atomic.Pointer[string]    // stored under mu; that of stream, nil before there was one

	marks marks // has its own lock
	cold  cache // has its own lock

	shared sharing       // has its own lock
	reads  chan struct{} // capacity maxReads; holds one for each read under way
	runs   atomic.Int32  // how many runs there are
}

func newLog(name string, config *Config) *Log {
	return &Log{
		name:   name,
		config: config,
		logger: config.Logger.With("vcenter", name),
		loaded: make(chan struct{}),
		broken: make(chan struct{}, 1),
		reads:  make(chan struct{}, maxReads),

		failing: make(chan struct{}, 1),
	}
}

// disagree asks for the window to be compared with the stream.
func (l *Log) disagree() {
	select {
	case l.broken <- struct{}{}:
	default:
	}
}

// unavailable is the error for what needs the stream and cannot have it.
func (l *Log) unavailable(err error) error {
	if err == nil {
		err = errors.New("it is not open yet")
		if trouble := l.trouble.Load(); trouble != nil {
			err = trouble.Err
		}
	}
	return &vstream.UnavailableError{Err: lost(err)}
}

// Range implements [vstream.Log].
func (l *Log) Range() (vstream.Range, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.rangeLocked()
}

func (l *Log) rangeLocked() (vstream.Range, bool) {
	if l.stream == nil || l.window.Peak().Offset < 0 {
		return vstream.Range{}, false
	}
	// Where late events are all there is, whose neighbours are gone, it starts at the end.
	latest := l.window.Peak().Offset
	return vstream.Range{Earliest: min(l.held.earliest, latest), Latest: latest}, true
}

// Usage implements [vstream.Log]. Bytes are those of the stream, as they were a moment ago.
func (l *Log) Usage() vstream.Usage {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return vstream.Usage{
		Events: int64(l.held.events), MaxEvents: l.config.maxRecords,
		Bytes: int64(l.held.bytes), MaxBytes: l.config.MaxBytes,
		MaxAge: l.config.Retention,
		Oldest: l.oldestLocked(),
	}
}

// oldestLocked returns when the oldest event happened, as far as it is known without asking
// the stream. Called under mu.
func (l *Log) oldestLocked() time.Time {
	if first := l.held.first; l.stream != nil && first >= l.window.First() && first < l.window.Next() {
		return l.window.Event(first).Time
	}
	return l.held.oldest
}

// Get implements [vstream.Log].
func (l *Log) Get(ctx context.Context, offset vstream.Offset) (vstream.Event, error) {
	l.mu.RLock()
	r, ok := l.rangeLocked()
	open := l.stream != nil
	late, isLate := l.held.late[offset]
	l.mu.RUnlock()
	switch {
	case !open:
		return vstream.Event{}, l.unavailable(nil)
	case !ok:
		return vstream.Event{}, &vstream.NotFoundError{Requested: offset}
	case offset > r.Latest:
		return vstream.Event{}, &vstream.NotFoundError{Requested: offset, Range: &r}
	}
	seq := late
	if !isLate {
		if offset < r.Earliest {
			return vstream.Event{}, &vstream.ExpiredError{Requested: offset, Earliest: r.Earliest, Latest: r.Latest}
		}
		var err error
		if seq, err = l.seek(ctx, byOffset(offset)); err != nil {
			return vstream.Event{}, err
		}
	}
	e, err := l.event(ctx, seq)
	if err != nil {
		return vstream.Event{}, err
	}
	if e.Offset != offset {
		return vstream.Event{}, &vstream.NotFoundError{Requested: offset, Range: &r}
	}
	return e, nil
}

// place returns the sequence number of the event at exactly this offset, or else that of
// the first event, in log order, behind all at lower offsets.
func (l *Log) place(ctx context.Context, offset vstream.Offset) (seq uint64, exact bool, err error) {
	l.mu.RLock()
	late, isLate := l.held.late[offset]
	next, peak := l.window.Next(), l.window.Peak().Offset
	l.mu.RUnlock()
	switch {
	case isLate:
		return late, true, nil
	case offset > peak:
		return next, false, nil
	}
	if seq, err = l.seek(ctx, byOffset(offset)); err != nil {
		return 0, false, err
	}
	e, err := l.event(ctx, seq)
	return seq, e.Offset == offset, err
}

// back returns the sequence number of the event n places before end, or of the oldest. Where
// messages are missing there may be fewer than n from there on, but at least one: none would
// mean to a reader that end is where the log begins.
func (l *Log) back(ctx context.Context, end, n, first uint64, hole span) (uint64, error) {
	for places := n; first < end; places *= 2 {
		seq := hole.before(end - min(places, end-first))
		l.mu.RLock()
		inWindow := seq >= l.window.First()
		l.mu.RUnlock()
		if inWindow {
			return seq, nil
		}
		records, err := l.readCached(ctx, seq)
		if err != nil {
			return 0, err
		}
		switch found := records[0].seq; {
		case found < end && places == n:
			return found, nil
		case found < end: // there is nothing in the nearer half
			return l.last(ctx, found, end, n)
		case seq <= first:
			return end, nil
		}
	}
	return end, nil
}

// last returns the sequence number of the first of the last n events from one place up to
// another.
func (l *Log) last(ctx context.Context, from, end, n uint64) (uint64, error) {
	var found []uint64
	for from < end {
		records, err := l.read(ctx, from, readBatch)
		if err != nil {
			return 0, err
		}
		for i := range records {
			if from = records[i].seq + 1; from <= end {
				found = append(found, records[i].seq)
			}
		}
	}
	if len(found) == 0 { // dropped meanwhile
		return end, nil
	}
	return found[max(0, len(found)-int(n))], nil
}

// Open implements [vstream.Log].
func (l *Log) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	l.mu.RLock()
	if l.stream == nil {
		l.mu.RUnlock()
		return nil, l.unavailable(nil)
	}
	held, ok := l.rangeLocked()
	r := &reader{log: l, generation: l.generation, seq: l.window.Next(), last: -1, wanted: l.window.Peak().Offset + 1, end: noEnd}
	first, dropped, hole := l.held.first, l.held.dropped, l.hole
	l.mu.RUnlock()
	var err error
	switch p := p.(type) {
	case vstream.Oldest:
		r.seq, r.wanted = first, held.Earliest
	case vstream.Newest:
		if p > 0 {
			if r.seq, err = l.back(ctx, r.seq, uint64(p), first, hole); err == nil {
				err = r.here(ctx)
			}
		}
	case vstream.Since:
		if r.seq, err = l.seek(ctx, byTime(time.Time(p))); err == nil {
			err = r.here(ctx)
		}
	case vstream.At:
		r.wanted = vstream.Offset(p)
		if ok && r.wanted < held.Earliest {
			return nil, &vstream.ExpiredError{Requested: r.wanted, Earliest: held.Earliest, Latest: held.Latest}
		}
		r.lost = true
		err = r.find(ctx)
	case vstream.After:
		offset := vstream.Offset(p)
		seq, exact, failed := l.place(ctx, offset)
		switch {
		case failed != nil:
			return nil, failed
		case exact:
			r.seq, r.last = seq+1, offset
		case ok && (offset < dropped || dropped < 0 && offset+1 < held.Earliest):
			return nil, &vstream.ExpiredError{Requested: offset + 1, Earliest: held.Earliest, Latest: held.Latest}
		case !ok || offset > held.Latest: // still to come
			r.wanted, r.lost, r.moved = offset+1, true, !ok
			return r, nil
		default:
			r.seq = seq
		}
		err = r.here(ctx)
	case vstream.Before:
		seq, exact, failed := l.place(ctx, p.Offset)
		switch {
		case failed != nil:
			return nil, failed
		case !exact && ok && p.Offset < held.Earliest:
			return nil, &vstream.ExpiredError{Requested: p.Offset, Earliest: held.Earliest, Latest: held.Latest}
		}
		r.seq, r.end = seq, seq
		if p.N > 0 {
			if r.seq, err = l.back(ctx, seq, uint64(p.N), first, hole); err == nil {
				err = r.here(ctx)
			}
		}
	default:
		panic(fmt.Sprintf("natslog: unknown position %T", p))
	}
	if err != nil {
		return nil, err
	}
	return r, nil
}

var (
	_ vstream.Log    = (*Log)(nil)
	_ vstream.Reader = (*reader)(nil)
)
