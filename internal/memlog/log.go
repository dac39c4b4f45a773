package memlog

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"vstream"
)

// Log is an event log in memory. Its methods may be called from any goroutine.
type Log struct {
	mu      sync.RWMutex
	window  *Window                   // under mu
	dropped vstream.Offset            // under mu; highest offset ever dropped, -1 before
	late    map[vstream.Offset]uint64 // under mu; numbers of the late events held
	lowest  vstream.Offset            // under mu; of the late events above dropped, noLate without

	instance string // under mu; as SetOrigin has it, and so is epoch
	epoch    uint32
	tag      atomic.Pointer[string] // nil before the first SetOrigin that tells one
}

const noLate = math.MaxInt64

// New returns an empty log that keeps at most maxRecords events of together at most
// maxBytes bytes, and always the newest one. Both must be positive.
func New(maxRecords int, maxBytes int64) *Log {
	if maxRecords < 1 || maxBytes < 1 {
		panic(fmt.Sprintf("memlog: limits must be positive, got %d records and %d bytes", maxRecords, maxBytes))
	}
	return &Log{
		window:  NewWindow(maxRecords, maxBytes, 0, NoPeak),
		dropped: -1,
		late:    map[vstream.Offset]uint64{},
		lowest:  noLate,
	}
}

// Append implements [vstream.Log]. It never fails. Offsets the log has dropped are
// skipped like those it holds: it cannot tell a late event from one it had before.
func (l *Log) Append(_ context.Context, events []vstream.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.window
	before := w.Next()
	for i := range events {
		e := &events[i]
		if e.Offset <= l.dropped {
			continue
		}
		if _, held := l.numberOf(e.Offset); held {
			continue
		}
		if e.Offset < w.Peak().Offset {
			l.late[e.Offset] = w.Next()
			l.lowest = min(l.lowest, e.Offset)
		}
		w.Add(e, l.drop)
	}
	if w.Next() != before {
		w.Wake()
	}
	return nil
}

// drop forgets where an event was that the window has dropped. Called under mu.
func (l *Log) drop(number uint64, e *vstream.Event) {
	l.dropped = max(l.dropped, e.Offset)
	if l.late[e.Offset] == number {
		delete(l.late, e.Offset)
	}
	if l.lowest > l.dropped {
		return
	}
	l.lowest = noLate
	for o := range l.late {
		if o > l.dropped {
			l.lowest = min(l.lowest, o)
		}
	}
}

// Range implements [vstream.Log].
func (l *Log) Range() (vstream.Range, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.rangeLocked()
}

func (l *Log) rangeLocked() (vstream.Range, bool) {
	w := l.window
	if w.First() == w.Next() {
		return vstream.Range{}, false
	}
	// The oldest event that did not come late has the lowest offset but for late ones. A
	// late event below what was dropped is still read in passing, but no place to start
	// from: its neighbours are gone.
	latest := w.Peak().Offset
	earliest := latest
	if number := w.Seek(l.dropped + 1); number < w.Next() {
		earliest = w.Event(number).Offset
	}
	return vstream.Range{Earliest: min(earliest, l.lowest), Latest: latest}, true
}

// Tag implements [vstream.Log]. It waits for nobody.
func (l *Log) Tag() string {
	if tag := l.tag.Load(); tag != nil {
		return *tag
	}
	return ""
}

// Origin returns what SetOrigin was told last.
func (l *Log) Origin() (instance string, epoch uint32) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.instance, l.epoch
}

// SetOrigin tells which vCenter the events that follow come from, and in which epoch its
// keys are. The first that does gives the log its tag. It never fails.
func (l *Log) SetOrigin(_ context.Context, instance string, epoch uint32) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.instance, l.epoch = instance, epoch
	if tag := vstream.TagOf(instance, epoch); tag != "" {
		l.tag.CompareAndSwap(nil, &tag)
	}
	return nil
}

// Usage implements [vstream.Log].
func (l *Log) Usage() vstream.Usage {
	l.mu.RLock()
	defer l.mu.RUnlock()
	w := l.window
	return vstream.Usage{
		Events: int64(w.Next() - w.First()), MaxEvents: int64(w.maxRecords),
		Bytes: w.bytes, MaxBytes: w.maxBytes,
	}
}

// Get implements [vstream.Log].
func (l *Log) Get(_ context.Context, offset vstream.Offset) (vstream.Event, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if number, held := l.numberOf(offset); held {
		return *l.window.Event(number), nil
	}
	r, ok := l.rangeLocked()
	if !ok {
		return vstream.Event{}, &vstream.NotFoundError{Requested: offset}
	}
	if offset < r.Earliest {
		return vstream.Event{}, &vstream.ExpiredError{Requested: offset, Earliest: r.Earliest, Latest: r.Latest}
	}
	return vstream.Event{}, &vstream.NotFoundError{Requested: offset, Range: &r}
}

// Open implements [vstream.Log].
func (l *Log) Open(_ context.Context, p vstream.Position) (vstream.Reader, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	w := l.window
	switch p := p.(type) {
	case vstream.Oldest:
		return l.readerAt(w.First()), nil
	case vstream.Newest:
		return l.readerAt(w.Next() - min(uint64(max(p, 0)), w.Next()-w.First())), nil
	case vstream.Since:
		return l.readerAt(w.SeekTime(time.Time(p))), nil
	case vstream.At:
		offset := vstream.Offset(p)
		if r, ok := l.rangeLocked(); ok && offset < r.Earliest {
			return nil, &vstream.ExpiredError{Requested: offset, Earliest: r.Earliest, Latest: r.Latest}
		}
		return l.readerFor(offset), nil
	case vstream.After:
		offset := vstream.Offset(p)
		if number, held := l.numberOf(offset); held {
			return l.readerAt(number + 1), nil
		}
		r, ok := l.rangeLocked()
		if ok && (offset < l.dropped || l.dropped < 0 && offset+1 < r.Earliest) {
			return nil, &vstream.ExpiredError{Requested: offset + 1, Earliest: r.Earliest, Latest: r.Latest}
		}
		reader := l.readerFor(offset + 1)
		reader.began = !ok
		return reader, nil
	case vstream.Before:
		end, held := l.numberOf(p.Offset)
		r, ok := l.rangeLocked()
		switch {
		case held:
		case ok && p.Offset < r.Earliest:
			return nil, &vstream.ExpiredError{Requested: p.Offset, Earliest: r.Earliest, Latest: r.Latest}
		default:
			end = w.Seek(p.Offset)
		}
		from := l.readerAt(end - min(uint64(max(p.N, 0)), end-w.First()))
		from.end = end
		return from, nil
	default:
		panic(fmt.Sprintf("memlog: unknown position %T", p))
	}
}

// readerFor returns a reader from the first event at this offset or later on, which may be
// still to come. Called under mu.
func (l *Log) readerFor(offset vstream.Offset) *reader {
	w := l.window
	return &reader{log: l, number: w.Seek(offset), wanted: offset, future: offset > w.Peak().Offset, end: noEnd}
}

// numberOf returns where the event with exactly this offset is. Called under mu.
func (l *Log) numberOf(offset vstream.Offset) (number uint64, held bool) {
	if offset > l.window.Peak().Offset {
		return 0, false
	}
	if number, held = l.late[offset]; held {
		return number, true
	}
	number = l.window.Seek(offset)
	return number, number < l.window.Next() && l.window.Event(number).Offset == offset
}
