package memlog

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"vstream"
)

// chunkEvents is how many events a chunk holds at most, and so how many Next returns: few
// enough that the chunk kept alive by the oldest event wastes little, enough that a
// reader who is behind takes the lock rarely.
const chunkEvents = 256

// Log is an event log in memory. Its methods may be called from any goroutine.
type Log struct {
	maxRecords int
	maxBytes   int64

	mu     sync.RWMutex
	chunks []*chunk      // under mu; oldest first, none empty
	first  uint64        // under mu; sequence number of the oldest event held
	next   uint64        // under mu; sequence number the next event gets
	bytes  int64         // under mu; sum of Size over the events held
	grown  chan struct{} // under mu; closed and replaced by every Append

	peak    vstream.Offset            // under mu; highest offset ever appended
	dropped vstream.Offset            // under mu; highest offset ever dropped, -1 before
	late    map[vstream.Offset]uint64 // under mu; sequence numbers of the late events held
}

// A chunk is a run of consecutive events. Its events never change; only their number
// grows, within the capacity the slice was made with, so that readers may go on using
// the part they were given.
type chunk struct {
	base   uint64          // sequence number of events[0]
	events []vstream.Event // length under Log.mu
	bytes  int64           // under Log.mu
	peak   vstream.Offset  // under Log.mu; highest offset in the log up to the chunk's end
}

// New returns an empty log that keeps at most maxRecords events of together at most
// maxBytes bytes, and always the newest one. Both must be positive.
func New(maxRecords int, maxBytes int64) *Log {
	if maxRecords < 1 || maxBytes < 1 {
		panic(fmt.Sprintf("memlog: limits must be positive, got %d records and %d bytes", maxRecords, maxBytes))
	}
	return &Log{
		maxRecords: maxRecords,
		maxBytes:   maxBytes,
		grown:      make(chan struct{}),
		peak:       -1,
		dropped:    -1,
		late:       map[vstream.Offset]uint64{},
	}
}

// Append implements [vstream.Log]. It never fails. Offsets the log has dropped are
// skipped like those it holds: it cannot tell a late event from one it had before.
func (l *Log) Append(_ context.Context, events []vstream.Event) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.next
	for _, e := range events {
		if e.Offset <= l.dropped {
			continue
		}
		if _, held := l.seqOf(e.Offset); held {
			continue
		}
		l.add(e)
	}
	if l.next == before {
		return nil
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return nil
}

// add stores e at the tail and drops what exceeds the limits. Called under mu.
func (l *Log) add(e vstream.Event) {
	size := int64(e.Size())
	c := l.tail(size)
	c.events = append(c.events, e)
	c.bytes += size
	l.bytes += size
	if e.Offset < l.peak {
		l.late[e.Offset] = l.next
	}
	l.peak = max(l.peak, e.Offset)
	c.peak = l.peak
	l.next++

	for l.next-l.first > 1 && (l.next-l.first > uint64(l.maxRecords) || l.bytes > l.maxBytes) {
		l.dropOldest()
	}
}

// tail returns a chunk with room for an event of the given size. Called under mu.
func (l *Log) tail(size int64) *chunk {
	// A chunk lives until its last event is dropped. Keeping chunks small against the
	// limit keeps that overhang small too.
	room := l.maxBytes / 32
	if n := len(l.chunks); n > 0 {
		if c := l.chunks[n-1]; len(c.events) < cap(c.events) && c.bytes+size <= room {
			return c
		}
	}
	n := min(chunkEvents, l.maxRecords, int(1+room/size)) // no more places than are likely filled
	c := &chunk{base: l.next, events: make([]vstream.Event, 0, n)}
	l.chunks = append(l.chunks, c)
	return c
}

// dropOldest forgets one event. Called under mu, with more than one event held.
func (l *Log) dropOldest() {
	c := l.chunks[0]
	e := &c.events[l.first-c.base]
	l.bytes -= int64(e.Size())
	l.dropped = max(l.dropped, e.Offset)
	if l.late[e.Offset] == l.first {
		delete(l.late, e.Offset)
	}
	l.first++
	if l.first == c.base+uint64(len(c.events)) {
		l.chunks[0] = nil // let the collector have it before the slice is next reallocated
		l.chunks = l.chunks[1:]
	}
}

// Range implements [vstream.Log].
func (l *Log) Range() (vstream.Range, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.rangeLocked()
}

func (l *Log) rangeLocked() (vstream.Range, bool) {
	if l.first == l.next {
		return vstream.Range{}, false
	}
	// The oldest event that did not come late has the lowest offset but for late ones. A
	// late event below what was dropped is still read in passing, but no place to start
	// from: its neighbours are gone.
	earliest := l.peak
	for seq := l.first; seq < l.next; seq++ {
		if o := l.at(seq).Offset; o > l.dropped {
			earliest = o
			break
		}
	}
	for o := range l.late {
		if o > l.dropped {
			earliest = min(earliest, o)
		}
	}
	return vstream.Range{Earliest: earliest, Latest: l.peak}, true
}

// Get implements [vstream.Log].
func (l *Log) Get(_ context.Context, offset vstream.Offset) (vstream.Event, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if seq, held := l.seqOf(offset); held {
		return *l.at(seq), nil
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
	r, ok := l.rangeLocked()
	switch p := p.(type) {
	case vstream.Oldest:
		return &reader{log: l, seq: l.first, wanted: r.Earliest}, nil
	case vstream.Newest:
		seq, wanted := l.next-min(uint64(max(p, 0)), l.next-l.first), l.peak+1
		if seq < l.next {
			wanted = l.at(seq).Offset
		}
		return &reader{log: l, seq: seq, wanted: wanted}, nil
	case vstream.At:
		offset := vstream.Offset(p)
		if ok && offset < r.Earliest {
			return nil, &vstream.ExpiredError{Requested: offset, Earliest: r.Earliest, Latest: r.Latest}
		}
		return &reader{log: l, seq: l.search(offset), wanted: offset, future: offset > l.peak}, nil
	default:
		panic(fmt.Sprintf("memlog: unknown position %T", p))
	}
}

// seqOf returns where the event with exactly this offset is. Called under mu.
func (l *Log) seqOf(offset vstream.Offset) (seq uint64, held bool) {
	if offset > l.peak {
		return 0, false
	}
	if seq, held = l.late[offset]; held {
		return seq, true
	}
	seq = l.search(offset)
	return seq, seq < l.next && l.at(seq).Offset == offset
}

// search returns the sequence number of the first event held, in log order, whose offset
// is at least the given one; l.next if there is none. Called under mu.
func (l *Log) search(offset vstream.Offset) uint64 {
	i, _ := slices.BinarySearchFunc(l.chunks, offset, func(c *chunk, o vstream.Offset) int {
		if c.peak < o {
			return -1
		}
		return 1
	})
	if i == len(l.chunks) {
		return l.next
	}
	for seq := max(l.chunks[i].base, l.first); seq < l.next; seq++ {
		if l.at(seq).Offset >= offset {
			return seq
		}
	}
	return l.next
}

// at returns the event with this sequence number, which must be held. Called under mu.
func (l *Log) at(seq uint64) *vstream.Event {
	c := l.chunks[l.chunkOf(seq)]
	return &c.events[seq-c.base]
}

// chunkOf returns the index of the chunk that holds seq, which must be held. Called
// under mu.
func (l *Log) chunkOf(seq uint64) int {
	i, found := slices.BinarySearchFunc(l.chunks, seq, func(c *chunk, seq uint64) int {
		switch {
		case c.base < seq:
			return -1
		case c.base > seq:
			return 1
		}
		return 0
	})
	if found {
		return i
	}
	return i - 1
}
