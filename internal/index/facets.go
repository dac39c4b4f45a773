package index

import (
	"cmp"
	"slices"
	"time"

	"vstream/internal/filter"
)

// maxValues is how many different values of a field are told apart in one answer. User names
// come from whoever tries to log in.
const maxValues = 100_000

// Facets says how many events have each value.
type Facets struct {
	kinds map[kind]int64
	names [names]map[name]int64
}

// FacetFields are the fields of which values are counted.
var FacetFields = []filter.Field{
	filter.Severity, filter.Type, filter.VM, filter.Host, filter.Cluster, filter.Datacenter, filter.User,
}

// A Value is a value of a field, and how many events have it.
type Value struct {
	Value string
	Count int64
}

// Facets counts the values of the events that f passes, from one time on up to another,
// excluded; zero times set no bound. All of f applies to all fields, the one it tests too.
func (x *Index) Facets(f *filter.Filter, from, to time.Time) *Facets {
	kinds := counter[kind]{}
	var named [names]counter[name]
	for i, field := range nameFields {
		if slices.Contains(FacetFields, field) {
			named[i] = counter[name]{}
		}
	}
	m := newMatcher(f, from, to)
	for p := range x.view().parts() {
		var rows []uint16 // nil if the chunk's own counts will do
		if !p.counted() || !m.all(p) {
			if rows = m.pick(p); len(rows) == 0 {
				continue
			}
		}
		kinds.count(&p.kinds, rows)
		for i := range named {
			if named[i] != nil {
				named[i].count(&p.names[i], rows)
			}
		}
	}
	a := &Facets{kinds: kinds.values()}
	for i := range named {
		a.names[i] = named[i].values()
	}
	return a
}

// A counter counts the values of one column.
type counter[T value[T]] map[*shared[T]]int64

// count counts the values of rows; of all rows if they are nil.
func (n counter[T]) count(c *column[T], rows []uint16) {
	counts := c.counts
	if rows != nil {
		counts = make([]uint16, len(c.values))
		for _, i := range rows {
			counts[c.ids[i]]++
		}
	}
	for id, count := range counts {
		if count > 0 {
			add(n, c.values[id], int64(count))
		}
	}
}

func (n counter[T]) values() map[T]int64 {
	values := make(map[T]int64, len(n))
	for s, count := range n {
		values[s.value] = count
	}
	return values
}

// add adds to the count of a value, unless it is one value too many.
func add[K comparable](counts map[K]int64, value K, n int64) {
	if len(counts) < maxValues {
		counts[value] += n
	} else if old, ok := counts[value]; ok {
		counts[value] = old + n
	}
}

// Add adds what b has counted, of another log.
func (a *Facets) Add(b *Facets) {
	for k, n := range b.kinds {
		add(a.kinds, k, n)
	}
	for i := range a.names {
		for v, n := range b.names[i] {
			add(a.names[i], v, n)
		}
	}
}

// Events returns how many events were counted.
func (a *Facets) Events() (sum int64) {
	for _, n := range a.kinds {
		sum += n
	}
	return sum
}

// Top returns the n values of one of FacetFields that most events have, and how many other
// values there are. Events without the field are not counted. Of more than 100,000 different
// values, only as many are known.
func (a *Facets) Top(field filter.Field, n int) (top []Value, others int) {
	counts := map[string]int64{}
	switch field {
	case filter.Severity:
		for k, n := range a.kinds {
			counts[k.severity] += n
		}
	case filter.Type:
		for k, n := range a.kinds {
			counts[k.typ] += n
		}
	default:
		for v, n := range a.names[slices.Index(nameFields[:], field)] {
			counts[string(v)] = n
		}
	}
	delete(counts, "")
	for value, count := range counts {
		top = append(top, Value{value, count})
	}
	slices.SortFunc(top, func(a, b Value) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	if len(top) > n {
		top, others = top[:n:n], len(top)-n
	}
	return top, others
}
