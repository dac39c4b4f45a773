package index

import (
	"math"
	"time"

	"vstream/internal/filter"
)

// A matcher finds the rows that a filter passes and that are of some time. It is used for one
// query.
type matcher struct {
	filter   *filter.Filter
	from, to int64 // times in µs, to excluded

	// What the filter says of a value is asked once; nil where nothing is tested.
	kinds map[*shared[kind]]bool
	names [names]map[*shared[name]]bool

	rows [chunkRows]uint16 // of the last pick
}

// newMatcher returns a matcher for events from one time on up to another, excluded; zero
// times set no bound.
func newMatcher(f *filter.Filter, from, to time.Time) *matcher {
	m := &matcher{filter: f, from: math.MinInt64, to: math.MaxInt64}
	if !from.IsZero() {
		m.from = from.UnixMicro()
	}
	if !to.IsZero() {
		m.to = to.UnixMicro()
	}
	if f.All() {
		return m
	}
	if f.Tests(filter.Type) || f.Tests(filter.Class) || f.Tests(filter.Severity) {
		m.kinds = map[*shared[kind]]bool{}
	}
	for i, field := range nameFields {
		if f.Tests(field) {
			m.names[i] = map[*shared[name]]bool{}
		}
	}
	return m
}

// all reports whether every row of p passes, where that is plain without looking at them.
func (m *matcher) all(p part) bool { return m.filter.All() && m.inside(p) }

func (m *matcher) inside(p part) bool { return m.from <= p.from && p.to < m.to }

func (m *matcher) outside(p part) bool { return p.to < m.from || p.from >= m.to }

// pick returns the numbers of the rows of p that pass, in order, until it is called again.
func (m *matcher) pick(p part) []uint16 {
	if m.outside(p) {
		return nil
	}
	// Dictionaries first: mostly no row of a chunk has the one name that is looked for.
	kinds, some := decide(p.kinds.values, m.kinds, func(k kind) bool {
		return m.filter.Test(filter.Type, k.typ) && m.filter.Test(filter.Class, k.class) && m.filter.Test(filter.Severity, k.severity)
	})
	if !some {
		return nil
	}
	var named [names][]bool
	for i, field := range nameFields {
		named[i], some = decide(p.names[i].values, m.names[i], func(n name) bool { return m.filter.Test(field, string(n)) })
		if !some {
			return nil
		}
	}

	rows := m.rows[:0]
	for i := p.lo; i < p.hi; i++ {
		rows = append(rows, uint16(i))
	}
	if !m.inside(p) {
		rows = keep(rows, func(i uint16) bool { return m.from <= p.times[i] && p.times[i] < m.to })
	}
	rows = keepDecided(rows, p.kinds.ids, kinds)
	for i := range named {
		rows = keepDecided(rows, p.names[i].ids, named[i])
	}
	if !m.filter.All() {
		rows = keep(rows, func(i uint16) bool { return m.filter.TestChain(p.chains[i]) })
	}
	return rows
}

// decide returns which of values pass, nil if all do, and whether some do. What test says is
// remembered in known; where that is nil, nothing is tested.
func decide[T value[T]](values []*shared[T], known map[*shared[T]]bool, test func(T) bool) (pass []bool, some bool) {
	if known == nil {
		return nil, true
	}
	pass = make([]bool, len(values))
	every := true
	for i, v := range values {
		ok, asked := known[v]
		if !asked {
			ok = test(v.value)
			known[v] = ok
		}
		pass[i] = ok
		some, every = some || ok, every && ok
	}
	if every {
		return nil, true
	}
	return pass, some
}

// keep returns, in place, the rows that pass.
func keep(rows []uint16, pass func(row uint16) bool) []uint16 {
	kept := rows[:0]
	for _, i := range rows {
		if pass(i) {
			kept = append(kept, i)
		}
	}
	return kept
}

// keepDecided returns, in place, the rows of which the values pass; all if pass is nil.
func keepDecided(rows, ids []uint16, pass []bool) []uint16 {
	if pass == nil {
		return rows
	}
	kept := rows[:0]
	for _, i := range rows {
		if pass[ids[i]] {
			kept = append(kept, i)
		}
	}
	return kept
}
