package filter

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// names are what one parameter gives for one field.
type names struct {
	is, not set
}

// match reports whether a field with this value passes: it is one of those wanted, if any
// are, and none of those not wanted. An event without the field passes if nothing is wanted.
func (n *names) match(value string) bool {
	if value == "" {
		return n.is.empty()
	}
	return (n.is.empty() || n.is.has(value)) && !n.not.has(value)
}

// few is up to how many values are compared one by one.
const few = 4

// A set holds values and patterns, folded, each once and sorted.
type set struct {
	exact []string
	index map[string]struct{} // of exact, where those are more than a few
	long  int                 // of the longest in exact, in bytes
	globs []glob
}

// newSet makes a set of folded values, of which those with a * are patterns.
func newSet(values []string) set {
	var s set
	for _, v := range sorted(values) {
		if strings.Contains(v, "*") {
			s.globs = append(s.globs, newGlob(v))
		} else {
			s.exact = append(s.exact, v)
			s.long = max(s.long, len(v))
		}
	}
	if len(s.exact) > few {
		s.index = make(map[string]struct{}, len(s.exact))
		for _, v := range s.exact {
			s.index[v] = struct{}{}
		}
	}
	return s
}

func (s *set) empty() bool { return len(s.exact) == 0 && len(s.globs) == 0 }

// has reports whether value, which is not empty, is in the set in any case.
func (s *set) has(value string) bool {
	if s.index != nil {
		if s.indexed(value) {
			return true
		}
	} else {
		for _, v := range s.exact {
			if rest, found := cutPrefix(value, v); found && rest == "" {
				return true
			}
		}
	}
	for i := range s.globs {
		if s.globs[i].match(value) {
			return true
		}
	}
	return false
}

// indexed looks value up, folded into memory of the stack.
func (s *set) indexed(value string) bool {
	var memory [maxValue + utf8.UTFMax]byte
	key := memory[:0]
	for _, r := range value {
		key = utf8.AppendRune(key, fold(r))
		if len(key) > s.long {
			return false
		}
	}
	_, found := s.index[string(key)]
	return found
}

// texts returns the values and patterns as they are written.
func (s *set) texts() []string {
	texts := slices.Clone(s.exact)
	for i := range s.globs {
		texts = append(texts, s.globs[i].text)
	}
	return texts
}

// A glob is a pattern with at least one *, which stands for any run of characters, also for
// none. It is folded. A pattern that only ends with * is a prefix.
type glob struct {
	text           string
	prefix, suffix string
	parts          []string // what is between, in order
}

// newGlob makes a glob of a text with a * and without ** in it.
func newGlob(text string) glob {
	parts := strings.Split(text, "*")
	last := len(parts) - 1
	return glob{text: text, prefix: parts[0], suffix: parts[last], parts: parts[1:last]}
}

// match reports whether the pattern describes all of value. Taking each part where it first
// is leaves most for the others, so nothing is ever tried again.
func (g *glob) match(value string) bool {
	rest, found := cutPrefix(value, g.prefix)
	if !found {
		return false
	}
	if rest, found = cutSuffix(rest, g.suffix); !found {
		return false
	}
	for _, part := range g.parts {
		if rest, found = cut(rest, part); !found {
			return false
		}
	}
	return true
}

// sorted returns the values in order, each once.
func sorted(values []string) []string {
	slices.Sort(values)
	return slices.Compact(values)
}
