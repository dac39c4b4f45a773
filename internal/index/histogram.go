package index

import (
	"math"
	"time"

	"vstream/internal/filter"
)

// Counts says how many events there are of each severity.
type Counts struct {
	Info, Warning, Error, User int64
	Other                      int64 // an EventEx may bring a severity of its own
}

// Add adds other, as of another log.
func (c *Counts) Add(other Counts) {
	c.Info += other.Info
	c.Warning += other.Warning
	c.Error += other.Error
	c.User += other.User
	c.Other += other.Other
}

// A tally is Counts while counting.
type tally [severities]int64

const (
	info = iota
	warning
	failure
	people
	other
	severities // how many there are
)

func severityOf(k kind) uint8 {
	switch k.severity {
	case "info":
		return info
	case "warning":
		return warning
	case "error":
		return failure
	case "user":
		return people
	}
	return other
}

// Span returns the time of the earliest event, and the end of the microsecond of the latest;
// ok is false without any. Events that tell no time, or one before 1970, are left out.
func (x *Index) Span() (from, to time.Time, ok bool) {
	first, last := int64(math.MaxInt64), int64(math.MinInt64)
	for p := range x.view().parts() {
		if p.counted() {
			first, last = min(first, p.start), max(last, p.to)
			continue
		}
		for _, t := range p.times[p.lo:p.hi] {
			if t >= 0 {
				first, last = min(first, t), max(last, t)
			}
		}
	}
	if first > last {
		return time.Time{}, time.Time{}, false
	}
	return time.UnixMicro(first).UTC(), time.UnixMicro(last + 1).UTC(), true
}

const day = 24 * time.Hour

// widths are those that people read easily.
var widths = []time.Duration{
	time.Second, 5 * time.Second, 15 * time.Second, 30 * time.Second,
	time.Minute, 5 * time.Minute, 15 * time.Minute, 30 * time.Minute,
	time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour,
	day, 2 * day, 7 * day, 14 * day, 28 * day,
}

// Buckets divides the time from one moment up to another into n buckets of the same width, of
// which the first begins at begin: as narrow ones as are at most as many as most, which must
// be at least 2. They begin at whole multiples of their width, in UTC, and there is at least
// one. Times before 1970 or after 2262 are taken for the next ones between.
func Buckets(from, to time.Time, most int) (begin time.Time, width time.Duration, n int) {
	const latest = math.MaxInt64 / 1000
	first := min(max(0, from.UnixMicro()), latest-1)
	end := min(max(first+1, to.UnixMicro()), latest)
	for i := 0; ; i++ {
		if i < len(widths) {
			width = widths[i]
		} else {
			width *= 2
		}
		w := width.Microseconds()
		b := first / w * w
		if n := (end - b + w - 1) / w; n <= int64(most) {
			return time.UnixMicro(b).UTC(), width, int(n)
		}
	}
}

// Count returns how many events that f passes there are in each of n buckets of this width,
// the first of which begins at begin.
func (x *Index) Count(f *filter.Filter, begin time.Time, width time.Duration, n int) []Counts {
	first, w := begin.UnixMicro(), width.Microseconds()
	m := newMatcher(f, begin, time.UnixMicro(first+int64(n)*w))
	tallies := make([]tally, n)
	for p := range x.view().parts() {
		if m.outside(p) {
			continue
		}
		severity := make([]uint8, len(p.kinds.values)) // of the kinds
		for i, k := range p.kinds.values {
			severity[i] = severityOf(k.value)
		}
		if bucket := (p.from - first) / w; p.counted() && m.all(p) && bucket == (p.to-first)/w {
			for i, n := range p.kinds.counts {
				tallies[bucket][severity[i]] += int64(n)
			}
			continue
		}
		// Rows lie mostly in the bucket of the row before, from lo to hi; a division for each
		// would take most of the time.
		var into *tally
		var lo, hi int64
		for _, i := range m.pick(p) {
			if t := p.times[i]; t < lo || t >= hi || into == nil {
				bucket := (t - first) / w
				lo = first + bucket*w
				hi = lo + w
				into = &tallies[bucket]
			}
			into[severity[p.kinds.ids[i]]]++
		}
	}
	buckets := make([]Counts, n)
	for i, t := range tallies {
		buckets[i] = Counts{Info: t[info], Warning: t[warning], Error: t[failure], User: t[people], Other: t[other]}
	}
	return buckets
}
