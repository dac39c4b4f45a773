package index

import (
	"math"
	"slices"
	"time"

	"vstream"
	"vstream/internal/filter"
)

// End is the place after all events, for Before.
const End vstream.Offset = math.MaxInt64

// Before returns the offsets of the last n events that f passes before the event at place, in
// log order. Where there are fewer, all events from the one at from on were looked at. It is
// not ok if the event at place is not indexed, for then nothing is known of what is near it.
func (x *Index) Before(f *filter.Filter, place vstream.Offset, n int) (found []vstream.Offset, from vstream.Offset, ok bool) {
	v := x.view()
	row, exact := v.find(place)
	if !exact && place != End || row < v.lo {
		return nil, 0, false
	}
	if v.lo == v.hi {
		return nil, place, true
	}
	v.hi = min(v.hi, row)
	m := newMatcher(f, time.Time{}, time.Time{})
	for p := range v.backwards() {
		for _, i := range slices.Backward(m.pick(p)) {
			if len(found) == n {
				break
			}
			found = append(found, p.offsets[i])
		}
		if len(found) == n {
			break
		}
	}
	slices.Reverse(found)
	first := v.part(v.lo / chunkRows)
	return found, first.offsets[first.lo], true
}

// After returns the offsets of the first n events that f passes after the event at place, in
// log order; After(f, -1, n) those of the first of all. It is not ok if the event at place is
// not indexed.
func (x *Index) After(f *filter.Filter, place vstream.Offset, n int) (found []vstream.Offset, ok bool) {
	v := x.view()
	if place >= 0 {
		row, exact := v.find(place)
		if !exact || row < v.lo {
			return nil, false
		}
		v.lo = min(v.hi, row+1)
	}
	m := newMatcher(f, time.Time{}, time.Time{})
	for p := range v.parts() {
		rows := m.pick(p)
		for _, i := range rows[:min(len(rows), n-len(found))] {
			found = append(found, p.offsets[i])
		}
		if len(found) == n {
			break
		}
	}
	return found, true
}
