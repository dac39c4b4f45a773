package cloudevent

import "unicode/utf8"

// plain tells which bytes stand for themselves in a JSON string, as encoding/json
// writes one.
var plain = func() (t [256]bool) {
	for c := 0x20; c < utf8.RuneSelf; c++ {
		t[c] = c != '"' && c != '\\' && c != '<' && c != '>' && c != '&'
	}
	return t
}()

// short holds the letter of the escapes that have one.
var short = [utf8.RuneSelf]byte{'"': '"', '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't'}

// appendString appends s as a JSON string: byte for byte what encoding/json writes.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	b = appendEscaped(b, s)
	return append(b, '"')
}

// appendEscaped is appendString without the quotes.
func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	done := 0 // s[:done] is in b
	for i := 0; i < len(s); {
		c := s[i]
		if plain[c] {
			i++
			continue
		}
		if c < utf8.RuneSelf {
			b = append(b, s[done:i]...)
			if short[c] != 0 {
				b = append(b, '\\', short[c])
			} else {
				b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
			}
			i++
			done = i
			continue
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = append(b, s[done:i]...)
			b = append(b, `\ufffd`...)
			done = i + n
		case r == '\u2028' || r == '\u2029': // line ends to JavaScript, though not to JSON
			b = append(b, s[done:i]...)
			b = append(b, `\u202`...)
			b = append(b, hex[r&0xf])
			done = i + n
		}
		i += n
	}
	return append(b, s[done:]...)
}
