package index

import (
	"math"
	"slices"

	"vstream"
	"vstream/internal/filter"
)

// chunkRows is how many rows a chunk has: few enough that what is dropped late wastes little
// and that a row's number in it fits 16 bits, enough that the dictionaries are small against
// the rows.
const chunkRows = 4096

// The columns of names.
const (
	vm = iota
	host
	cluster
	datacenter
	datastore
	network
	user
	names // how many there are
)

var nameFields = [names]filter.Field{
	filter.VM, filter.Host, filter.Cluster, filter.Datacenter, filter.Datastore, filter.Network, filter.User,
}

// A column holds one field of the rows of a chunk, as numbers in a dictionary.
type column[T value[T]] struct {
	ids    []uint16     // of the rows, in values
	values []*shared[T] // each once
	counts []uint16     // rows of each value; nil until the chunk is full
}

// A chunk is a run of consecutive rows, an event each, in log order. It never changes.
type chunk struct {
	before, peak vstream.Offset // highest offsets of the log before the chunk and up to its end
	lowest       vstream.Offset // of the rows; below before only where one came late
	from, to     int64          // earliest and latest time of the rows
	start        int64          // earliest time that is one: some events tell none

	offsets []vstream.Offset
	times   []int64 // µs since 1970
	chains  []int32
	kinds   column[kind]
	names   [names]column[name]

	spans []span // of the kinds; nil until the chunk is full
}

// A span is the lowest and highest offset of something.
type span struct{ first, last vstream.Offset }

func (s *span) add(first, last vstream.Offset) {
	s.first, s.last = min(s.first, first), max(s.last, last)
}

var noSpan = span{math.MaxInt64, -1}

// full reports whether the chunk has all its rows, and so counts and spans.
func (c *chunk) full() bool { return c.spans != nil }

// bytes returns how much memory the chunk takes, without the values that it shares.
func (c *chunk) bytes() int {
	const (
		row   = 8 + 8 + 4 + 2*(1+names)
		value = 8 + 2
		kind  = value + 16
	)
	n := len(c.offsets)*row + len(c.kinds.values)*kind
	for i := range c.names {
		n += len(c.names[i].values) * value
	}
	return n
}

// A builder is a chunk that rows are added to.
type builder struct {
	chunk
	values  *values
	kindIDs map[kind]uint16
	nameIDs [names]map[name]uint16
}

// newBuilder returns a chunk without rows, at a place in a log up to which the highest
// offset is peak. It takes what it shares from values.
func newBuilder(peak vstream.Offset, values *values) *builder {
	b := &builder{
		chunk: chunk{
			before: peak, peak: peak, lowest: math.MaxInt64,
			from: math.MaxInt64, to: math.MinInt64, start: math.MaxInt64,
			offsets: make([]vstream.Offset, 0, chunkRows),
			times:   make([]int64, 0, chunkRows),
			chains:  make([]int32, 0, chunkRows),
		},
		values:  values,
		kindIDs: map[kind]uint16{},
	}
	b.kinds.ids = make([]uint16, 0, chunkRows)
	for i := range b.names {
		b.names[i].ids = make([]uint16, 0, chunkRows)
		b.nameIDs[i] = map[name]uint16{}
	}
	return b
}

// add adds a row, of which there must be room for one. The chunk keeps nothing of e itself.
func (b *builder) add(e *vstream.Event) {
	t := e.Time.UnixMicro()
	b.peak, b.lowest = max(b.peak, e.Offset), min(b.lowest, e.Offset)
	b.from, b.to = min(b.from, t), max(b.to, t)
	if t >= 0 {
		b.start = min(b.start, t)
	}
	b.offsets = append(b.offsets, e.Offset)
	b.times = append(b.times, t)
	b.chains = append(b.chains, e.Chain)
	b.kinds.add(kind{short(e.Type), short(e.Class), short(e.Severity)}, b.kindIDs, &b.values.kinds)
	for i, text := range [names]string{
		vm: e.VM, host: e.Host, cluster: e.Cluster, datacenter: e.Datacenter,
		datastore: e.Datastore, network: e.Network, user: e.User,
	} {
		b.names[i].add(name(short(text)), b.nameIDs[i], &b.values.names)
	}
}

// add adds a row with v; ids are the numbers of the values.
func (c *column[T]) add(v T, ids map[T]uint16, pool *pool[T]) {
	id, known := ids[v]
	if !known {
		id = uint16(len(c.values))
		s := pool.take(v)
		c.values = append(c.values, s)
		ids[s.value] = id // v is part of an event
	}
	c.ids = append(c.ids, id)
}

// view returns the chunk as it is now; more rows may be added without changing that.
func (b *builder) view() *chunk {
	c := b.chunk
	return &c
}

// seal returns the chunk, to which no row will be added, with what can be counted in advance.
func (b *builder) seal() *chunk {
	c := b.view() // without the builder's maps
	c.kinds.seal()
	for i := range c.names {
		c.names[i].seal()
	}
	c.spans = make([]span, len(c.kinds.values))
	for i := range c.spans {
		c.spans[i] = noSpan
	}
	for i, id := range c.kinds.ids {
		c.spans[id].add(c.offsets[i], c.offsets[i])
	}
	return c
}

func (c *column[T]) seal() {
	c.values = slices.Clone(c.values)
	c.counts = make([]uint16, len(c.values))
	for _, id := range c.ids {
		c.counts[id]++
	}
}

// release gives back the values that the chunk shares. It can still be read.
func (c *chunk) release(values *values) {
	for _, k := range c.kinds.values {
		values.kinds.give(k)
	}
	for i := range c.names {
		for _, n := range c.names[i].values {
			values.names.give(n)
		}
	}
}
