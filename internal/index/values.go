package index

import "strings"

// A value is what a column holds.
type value[T any] interface {
	comparable
	own() T    // a copy that is not part of anything larger
	size() int // of its texts, in bytes
}

// A kind is what the type of an event nearly always decides, in one column.
type kind struct{ typ, class, severity string }

func (k kind) own() kind {
	return kind{strings.Clone(k.typ), strings.Clone(k.class), strings.Clone(k.severity)}
}

func (k kind) size() int { return len(k.typ) + len(k.class) + len(k.severity) }

// A name is that of an object or a user; empty where an event has none.
type name string

func (n name) own() name { return name(strings.Clone(string(n))) }
func (n name) size() int { return len(n) }

// maxText is the length of the longest text that is kept, in bytes. Names of objects have up
// to 80 characters; names of users come from whoever tries to log in.
const maxText = 512

// short returns text, or the beginning of a long one.
func short(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "")
}

// A shared value is in the dictionaries of any number of chunks. Two of an index are the
// same only if their values are.
type shared[T any] struct {
	value T
	uses  int // Run's own; how many dictionaries it is in
}

// A pool has each value that is in some dictionary of an index once. Unlike with the package
// unique, what they take is known.
type pool[T value[T]] struct {
	all   map[T]*shared[T]
	bytes int // of memory
}

// sharedBytes is what a value in a pool takes beside its texts.
const sharedBytes = 160

// take returns the shared value of v, for a dictionary.
func (p *pool[T]) take(v T) *shared[T] {
	s := p.all[v]
	if s == nil {
		s = &shared[T]{value: v.own()}
		p.all[s.value] = s
		p.bytes += sharedBytes + v.size()
	}
	s.uses++
	return s
}

// give gives back what take returned.
func (p *pool[T]) give(s *shared[T]) {
	if s.uses--; s.uses == 0 {
		delete(p.all, s.value)
		p.bytes -= sharedBytes + s.value.size()
	}
}

// values are those of all columns of an index.
type values struct {
	kinds pool[kind]
	names pool[name]
}

func newValues() *values {
	return &values{
		kinds: pool[kind]{all: map[kind]*shared[kind]{}},
		names: pool[name]{all: map[name]*shared[name]{}},
	}
}

func (v *values) bytes() int { return v.kinds.bytes + v.names.bytes }
