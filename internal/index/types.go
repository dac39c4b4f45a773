package index

import (
	"cmp"
	"slices"

	"vstream"
)

// A TypeCount says how often there is a type of event.
type TypeCount struct {
	Name, Class string
	Count       int64
	First, Last vstream.Offset // the lowest and the highest
}

// Types returns the types of the events there are, sorted by name and class.
func (x *Index) Types() []TypeCount {
	type sum struct {
		count int64
		span
	}
	kinds := map[*shared[kind]]*sum{}
	for p := range x.view().parts() {
		counts, spans := p.kindSums()
		for i, k := range p.kinds.values {
			if counts[i] == 0 {
				continue
			}
			s := kinds[k]
			if s == nil {
				s = &sum{span: noSpan}
				kinds[k] = s
			}
			s.count += int64(counts[i])
			s.add(spans[i].first, spans[i].last)
		}
	}
	var types []TypeCount
	for k, s := range kinds {
		types = append(types, TypeCount{k.value.typ, k.value.class, s.count, s.first, s.last})
	}
	slices.SortFunc(types, func(a, b TypeCount) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Class, b.Class))
	})
	// What differs in severity alone is one type.
	merged := types[:0]
	for _, t := range types {
		if n := len(merged); n > 0 && merged[n-1].Name == t.Name && merged[n-1].Class == t.Class {
			same := &merged[n-1]
			same.Count += t.Count
			same.First, same.Last = min(same.First, t.First), max(same.Last, t.Last)
			continue
		}
		merged = append(merged, t)
	}
	return merged
}

// kindSums returns how often the kinds of the chunk are in the part, and where.
func (p part) kindSums() ([]uint16, []span) {
	if p.counted() {
		return p.kinds.counts, p.spans
	}
	counts, spans := make([]uint16, len(p.kinds.values)), make([]span, len(p.kinds.values))
	for i := range spans {
		spans[i] = noSpan
	}
	for i := p.lo; i < p.hi; i++ {
		id, o := p.kinds.ids[i], p.offsets[i]
		counts[id]++
		spans[id].add(o, o)
	}
	return counts, spans
}
