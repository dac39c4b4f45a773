package output

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// harms reports whether a character does something to a terminal, or to the order in which
// a line is read: control characters, and those that turn the direction of writing.
func harms(r rune) bool {
	return unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069' ||
		r == '\u200e' || r == '\u200f' || r == '\u061c'
}

// Clean makes one line of s that does nothing to a terminal: each run of what would, and of
// space, becomes a space.
func Clean(s string) string {
	if plainASCII(s) {
		return s
	}
	return strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "\ufffd"), func(r rune) bool { return unicode.IsSpace(r) || harms(r) }), " ")
}

// plainASCII reports whether Clean would return s as it is.
func plainASCII(s string) bool {
	space := true // at the beginning, too
	for i := range len(s) {
		c := s[i]
		if c < ' ' || c >= 0x7f || c == ' ' && space {
			return false
		}
		space = c == ' '
	}
	return s == "" || !space
}

// cleanText replaces what does something to a terminal, but for ends of lines and tabs.
func cleanText(s string) string {
	return strings.Map(func(r rune) rune {
		if harms(r) && r != '\n' && r != '\t' {
			return ' '
		}
		return r
	}, s)
}

// cleanAll cleans the texts in decoded JSON.
func cleanAll(v any) any {
	return leaves(v, func(v any) any {
		if text, ok := v.(string); ok {
			return cleanText(text)
		}
		return v
	})
}

// escaped appends JSON in which characters that do something to a terminal, and which JSON
// permits as they are, are written as escapes. They can stand in texts only.
func escaped(to, json []byte) []byte {
	for i := 0; i < len(json); {
		if json[i] < 0x7f {
			to = append(to, json[i])
			i++
			continue
		}
		r, size := utf8.DecodeRune(json[i:])
		if harms(r) {
			to = fmt.Appendf(to, `\u%04x`, r)
		} else {
			to = append(to, json[i:i+size]...)
		}
		i += size
	}
	return to
}
