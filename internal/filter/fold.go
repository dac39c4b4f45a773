package filter

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// fold returns the rune that stands for all runes that differ from r in case only, by simple
// folding of Unicode. It is never longer in UTF-8 than r.
func fold(r rune) rune {
	if r < utf8.RuneSelf {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}
	least := r
	for other := unicode.SimpleFold(r); other != r; other = unicode.SimpleFold(other) {
		least = min(least, other)
	}
	if 'A' <= least && least <= 'Z' { // the Kelvin sign is a k
		least += 'a' - 'A'
	}
	return least
}

// folded returns s with each rune folded.
func folded(s string) string { return strings.Map(fold, s) }

// cutPrefix returns s without the prefix, which is folded, and whether s began with it in any
// case.
func cutPrefix(s, prefix string) (rest string, found bool) {
	for _, want := range prefix {
		r, size := utf8.DecodeRuneInString(s)
		if size == 0 || fold(r) != want {
			return "", false
		}
		s = s[size:]
	}
	return s, true
}

// cutSuffix is cutPrefix for the other end.
func cutSuffix(s, suffix string) (rest string, found bool) {
	for suffix != "" {
		want, n := utf8.DecodeLastRuneInString(suffix)
		r, size := utf8.DecodeLastRuneInString(s)
		if size == 0 || fold(r) != want {
			return "", false
		}
		s, suffix = s[:len(s)-size], suffix[:len(suffix)-n]
	}
	return s, true
}

// cut returns what follows part, which is folded and not empty, where it first is in s in any
// case, and whether it is there.
func cut(s, part string) (rest string, found bool) {
	first, _ := utf8.DecodeRuneInString(part)
	for s != "" {
		r, size := utf8.DecodeRuneInString(s)
		if fold(r) == first {
			if rest, found := cutPrefix(s, part); found {
				return rest, true
			}
		}
		s = s[size:]
	}
	return "", false
}
