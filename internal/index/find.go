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

// Before returns the offsets of the last n events before a place that f passes, in log order.
// The place is the event of exactly this offset, which is not returned, or else where the log
// first reaches this offset.
func (x *Index) Before(f *filter.Filter, place vstream.Offset, n int) []vstream.Offset {
	v := x.view()
	row, _ := v.find(place)
	v.hi = max(v.lo, min(v.hi, row))
	m := newMatcher(f, time.Time{}, time.Time{})
	var found []vstream.Offset
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
	return found
}

// After returns the offsets of the first n events after a place that f passes, in log order;
// After(f, -1, n) those of the first of all. The place is as of Before.
func (x *Index) After(f *filter.Filter, place vstream.Offset, n int) []vstream.Offset {
	v := x.view()
	row, exact := v.find(place)
	if exact {
		row++
	}
	v.lo = min(v.hi, max(v.lo, row))
	m := newMatcher(f, time.Time{}, time.Time{})
	var found []vstream.Offset
	for p := range v.parts() {
		rows := m.pick(p)
		for _, i := range rows[:min(len(rows), n-len(found))] {
			found = append(found, p.offsets[i])
		}
		if len(found) == n {
			break
		}
	}
	return found
}
