package memlog

import (
	"slices"
	"time"

	"vstream"
)

// chunkEvents is how many events a chunk holds at most, and so how many From returns: few
// enough that the chunk kept alive by the oldest event wastes little, enough that a
// reader who is behind takes the lock rarely.
const chunkEvents = 256

// A Peak is the highest offset and the latest time among the events of a log up to some
// place. Unlike those of the events themselves, which may come late, peaks never fall along
// a log, so places can be searched for by them.
type Peak struct {
	Offset vstream.Offset
	Time   time.Time
}

// NoPeak is the peak before the first event of a log.
var NoPeak = Peak{Offset: -1}

// With returns the peak after e.
func (p Peak) With(e *vstream.Event) Peak {
	if e.Offset > p.Offset {
		p.Offset = e.Offset
	}
	if e.Time.After(p.Time) {
		p.Time = e.Time
	}
	return p
}

// Window is the newest events of a log, in memory, bounded by records and by bytes. They
// are numbered one by one, in the order they came. It has no lock: its owner's guards it,
// but not the events it has given away, which never change.
type Window struct {
	maxRecords int
	maxBytes   int64

	chunks []*chunk // oldest first, none empty
	first  uint64   // number of the oldest event held
	next   uint64   // number the next event gets
	bytes  int64    // sum of Size over the events held
	base   Peak     // of the log up to the oldest event held, without it
	peak   Peak     // of the whole log
	bell   *bell
}

// A chunk is a run of consecutive events. Its events never change; only their number
// grows, within the capacity the slice was made with, so that readers may go on using
// the part they were given.
type chunk struct {
	base   uint64 // number of events[0]
	events []vstream.Event
	bytes  int64
	peak   Peak // of the log up to the chunk's end
}

// NewWindow returns an empty window that keeps at most maxRecords events of together at
// most maxBytes bytes, and always the newest one. The next event of the log gets the
// number next; peak is that of all before it.
func NewWindow(maxRecords int, maxBytes int64, next uint64, peak Peak) *Window {
	return &Window{
		maxRecords: maxRecords,
		maxBytes:   maxBytes,
		first:      next,
		next:       next,
		base:       peak,
		peak:       peak,
		bell:       newBell(),
	}
}

// First returns the number of the oldest event held, and Next the number that the next
// event gets. They are equal while none is held.
func (w *Window) First() uint64 { return w.first }

// Next is described with First.
func (w *Window) Next() uint64 { return w.next }

// Base returns the peak of the log before the oldest event held.
func (w *Window) Base() Peak { return w.base }

// Peak returns the peak of the whole log.
func (w *Window) Peak() Peak { return w.peak }

// Add takes e in at the tail and drops what exceeds the limits; dropped is called for each
// event of that, unless it is nil.
func (w *Window) Add(e *vstream.Event, dropped func(number uint64, e *vstream.Event)) {
	size := int64(e.Size())
	c := w.tail(size)
	c.events = append(c.events, *e)
	c.bytes += size
	w.bytes += size
	w.peak = w.peak.With(e)
	c.peak = w.peak
	w.next++
	for w.next-w.first > 1 && (w.next-w.first > uint64(w.maxRecords) || w.bytes > w.maxBytes) {
		w.dropOldest(dropped)
	}
}

// tail returns a chunk with room for an event of the given size.
func (w *Window) tail(size int64) *chunk {
	// A chunk lives until its last event is dropped. Keeping chunks small against the
	// limit keeps that overhang small too.
	room := w.maxBytes / 32
	if n := len(w.chunks); n > 0 {
		if c := w.chunks[n-1]; len(c.events) < cap(c.events) && c.bytes+size <= room {
			return c
		}
	}
	n := min(chunkEvents, w.maxRecords, int(1+room/size)) // no more places than are likely filled
	c := &chunk{base: w.next, events: make([]vstream.Event, 0, n)}
	w.chunks = append(w.chunks, c)
	return c
}

// dropOldest forgets one of at least two events.
func (w *Window) dropOldest(dropped func(uint64, *vstream.Event)) {
	c := w.chunks[0]
	e := &c.events[w.first-c.base]
	w.bytes -= int64(e.Size())
	w.base = w.base.With(e)
	if dropped != nil {
		dropped(w.first, e)
	}
	w.first++
	if w.first == c.base+uint64(len(c.events)) {
		w.chunks[0] = nil // let the collector have it before the slice is next reallocated
		w.chunks = w.chunks[1:]
	}
}

// Wake wakes all who wait on More: at once, or soon where they are many, so that they are not
// woken again before they have been served. A lone event never waits; how long others may is
// said by [maxPause].
func (w *Window) Wake() { w.bell.ring() }

// More returns a channel that is closed once there is, or was, an event with this number:
// now, or after the next Wake.
func (w *Window) More(number uint64) <-chan struct{} {
	if number < w.next {
		return there
	}
	return w.bell.wait()
}

// there is closed.
var there = func() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Event returns the event with this number, which must be held.
func (w *Window) Event(number uint64) *vstream.Event {
	c := w.chunks[w.chunkOf(number)]
	return &c.events[number-c.base]
}

// From returns events from this number on, which must be held: as many as lie together.
func (w *Window) From(number uint64) []vstream.Event {
	c := w.chunks[w.chunkOf(number)]
	return c.events[number-c.base : len(c.events) : len(c.events)]
}

// Seek returns the number of the first event held, in log order, whose offset is at least
// this; Next if there is none.
func (w *Window) Seek(offset vstream.Offset) uint64 {
	return w.seek(
		func(p Peak) bool { return p.Offset >= offset },
		func(e *vstream.Event) bool { return e.Offset >= offset })
}

// SeekTime returns the number of the first event held, in log order, of this time or a
// later one; Next if there is none.
func (w *Window) SeekTime(t time.Time) uint64 {
	return w.seek(
		func(p Peak) bool { return !p.Time.Before(t) },
		func(e *vstream.Event) bool { return !e.Time.Before(t) })
}

func (w *Window) seek(reached func(Peak) bool, wanted func(*vstream.Event) bool) uint64 {
	i, _ := slices.BinarySearchFunc(w.chunks, true, func(c *chunk, _ bool) int {
		if reached(c.peak) {
			return 1
		}
		return -1
	})
	if i == len(w.chunks) {
		return w.next
	}
	for number := max(w.chunks[i].base, w.first); number < w.next; number++ {
		if wanted(w.Event(number)) {
			return number
		}
	}
	return w.next
}

// chunkOf returns the index of the chunk that holds this number.
func (w *Window) chunkOf(number uint64) int {
	i, found := slices.BinarySearchFunc(w.chunks, number, func(c *chunk, number uint64) int {
		switch {
		case c.base < number:
			return -1
		case c.base > number:
			return 1
		}
		return 0
	})
	if found {
		return i
	}
	return i - 1
}
