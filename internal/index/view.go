package index

import (
	"iter"
	"slices"
	"sort"

	"vstream"
)

// A state is an index at one moment. It never changes.
type state struct {
	sealed   []*chunk // full ones, oldest first
	tail     *chunk   // the newest rows, fewer than chunkRows; nil while there was never one
	first    int      // the row where the index begins: those before it are beyond MaxRows
	building bool     // the end of the log has not been reached yet
}

// rows returns how many rows the chunks have.
func (s *state) rows() int {
	n := len(s.sealed) * chunkRows
	if s.tail != nil {
		n += len(s.tail.offsets)
	}
	return n
}

// chunk returns a chunk by its number.
func (s *state) chunk(i int) *chunk {
	if i < len(s.sealed) {
		return s.sealed[i]
	}
	return s.tail
}

// chunks returns how many there are.
func (s *state) chunks() int { return (s.rows() + chunkRows - 1) / chunkRows }

// before returns the highest offset of the log before the row where the index begins.
func (s *state) before() vstream.Offset {
	if s.tail == nil {
		return -1
	}
	c := s.chunk(0)
	peak := c.before
	for _, o := range c.offsets[:s.first] {
		peak = max(peak, o)
	}
	return peak
}

// peak returns the highest offset of the log up to the end of the index.
func (s *state) peak() vstream.Offset {
	if s.tail == nil {
		return -1
	}
	return s.tail.peak
}

// place returns the number of the first row by which the log has reached offset: where an
// event of that offset is, or would be if it were not late.
func (s *state) place(offset vstream.Offset) int {
	n := s.chunks()
	i := sort.Search(n, func(i int) bool { return s.chunk(i).peak >= offset })
	if i == n {
		return s.rows()
	}
	c := s.chunk(i)
	if c.before >= offset { // only of the first one: what comes before it is not here
		return i * chunkRows
	}
	return i*chunkRows + slices.IndexFunc(c.offsets, func(o vstream.Offset) bool { return o >= offset })
}

// find returns the number of the row with exactly this offset, which may be late; without
// one it returns its place, and false.
func (s *state) find(offset vstream.Offset) (row int, exact bool) {
	place := s.place(offset)
	for i := place / chunkRows; i < s.chunks(); i++ { // late events come after their place
		c := s.chunk(i)
		if c.lowest > offset {
			continue
		}
		from := max(0, place-i*chunkRows)
		if j := slices.Index(c.offsets[from:], offset); j >= 0 {
			return i*chunkRows + from + j, true
		}
	}
	return place, false
}

// A view is the rows of a state, from one up to another, without it.
type view struct {
	*state
	lo, hi int
}

// A part is some of the rows of a chunk, from one up to another, without it.
type part struct {
	*chunk
	lo, hi int
}

// counted reports whether the part is all of a chunk, whose counts are there.
func (p part) counted() bool { return p.full() && p.lo == 0 && p.hi == len(p.offsets) }

// parts returns the rows chunk by chunk, in log order.
func (v view) parts() iter.Seq[part] {
	return func(yield func(part) bool) {
		for i := v.lo / chunkRows; v.lo < v.hi && i*chunkRows < v.hi; i++ {
			if !yield(v.part(i)) {
				return
			}
		}
	}
}

// backwards is parts with the newest first.
func (v view) backwards() iter.Seq[part] {
	return func(yield func(part) bool) {
		for i := (v.hi - 1) / chunkRows; v.lo < v.hi && i >= v.lo/chunkRows; i-- {
			if !yield(v.part(i)) {
				return
			}
		}
	}
}

// part returns what the view has of a chunk.
func (v view) part(i int) part {
	return part{
		chunk: v.chunk(i),
		lo:    max(0, v.lo-i*chunkRows),
		hi:    min(chunkRows, v.hi-i*chunkRows),
	}
}

// view returns the rows of the events that the log holds now.
func (x *Index) view() view {
	s := x.now()
	if x.Log == nil { // of events, once and for all
		return view{state: s, lo: s.first, hi: s.rows()}
	}
	held, ok := x.Log.Range() // after the state, which can have nothing that the log has yet to get
	if !ok {
		return view{state: s}
	}
	v := view{state: s, lo: s.first, hi: s.rows()}
	// What the log has dropped is the beginning; an event that came late and was not
	// dropped with its neighbours is no place to start from.
	v.lo = max(v.lo, s.place(held.Earliest))
	if held.Latest < s.peak() { // it has lost its end, and Run has yet to notice
		v.hi = s.place(held.Latest + 1)
	}
	v.hi = max(v.hi, v.lo)
	return v
}
