package cloudevent

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
	"time"
	"unicode/utf8"
)

// A transcript is the data of one event in the making, from its XML. Its methods read on at
// a place and append to the buffer; they return false when the XML is not as they know it,
// and then place and buffer are of no further use.
//
// What they take, encoding/xml takes too and reads alike: that is what the tests compare.
type transcript struct {
	xml     []byte
	at      int
	buf     []byte
	typed   string // what begins an attribute that names a type
	depth   int
	noted   [notes]span
	created time.Time // at noteTime
	utc     []byte    // how that is written in UTC, if it is
	names   []byte    // for nameAll
}

// maxNesting is how deep XML is followed. Events of vSphere stay below 20.
const maxNesting = 64

// skip moves past what comes next, if it is this.
func (t *transcript) skip(s string) bool {
	rest := t.xml[t.at:]
	if len(rest) < len(s) || string(rest[:len(s)]) != s {
		return false
	}
	t.at += len(s)
	return true
}

// opens reports whether the next element is the one that open, "<name", begins, and moves
// past that if so.
func (t *transcript) opens(open string) bool {
	rest := t.xml[t.at:]
	if len(rest) <= len(open) || rest[1] != open[1] || string(rest[:len(open)]) != open {
		return false
	}
	if c := rest[len(open)]; c != '>' && c != ' ' && c != '/' {
		return false
	}
	t.at += len(open)
	return true
}

// closes reports whether a tag comes next that ends an element.
func (t *transcript) closes() bool {
	rest := t.xml[t.at:]
	return len(rest) > 1 && rest[0] == '<' && rest[1] == '/'
}

// blank moves past white space between elements.
func (t *transcript) blank() {
	for t.at < len(t.xml) && (t.xml[t.at] == ' ' || t.xml[t.at] == '\n' || t.xml[t.at] == '\t') {
		t.at++
	}
}

// quoted returns the value of an attribute, and moves past the quote that ends it.
func (t *transcript) quoted() []byte {
	end := bytes.IndexByte(t.xml[t.at:], '"')
	if end < 0 {
		return nil
	}
	value := t.xml[t.at : t.at+end]
	t.at += end + 1
	return value
}

// structure writes the object that a recipe describes, up to the tag that ends it.
func (t *transcript) structure(r *recipe) bool {
	if r == nil || t.depth == maxNesting {
		return false
	}
	t.depth++
	t.buf = append(t.buf, '{')
	t.blank()
	for i := 0; ; i++ {
		next := i // the step of the member that comes next
		if t.closes() {
			next = len(r.steps)
		}
		for next < len(r.steps) && !t.opens(r.steps[next].open) {
			next++
		}
		t.buf = append(t.buf, r.absent[r.starts[i]:r.starts[next]]...)
		if i = next; i == len(r.steps) {
			break
		}
		s := &r.steps[i]
		before := len(t.buf)
		t.buf = append(t.buf, s.label...)
		if !t.member(s) {
			return false
		}
		if s.dropped {
			t.buf = t.buf[:before]
		}
	}
	t.buf = append(t.buf, '}')
	t.depth--
	return true
}

// member writes the values of a member, whose first has just been opened.
func (t *transcript) member(s *step) bool {
	if !s.list {
		ok := t.element(s)
		t.blank()
		return ok
	}
	t.buf = append(t.buf, '[')
	for {
		if !t.element(s) {
			return false
		}
		t.blank()
		if !t.opens(s.open) {
			break
		}
		t.buf = append(t.buf, ',')
	}
	t.buf = append(t.buf, ']')
	return true
}

// element writes one value, from within its start tag to behind its end tag.
func (t *transcript) element(s *step) bool {
	kind := s.kind
	if kind == ofAny {
		if !t.skip(t.typed) {
			return false
		}
		name := t.quoted()
		if name == nil {
			return false
		}
		v := s.variants.get(name, s.variants.find)
		return v != nil && t.skip(">") && t.value(v.kind, v.recipe, noNote) && t.skip(s.end)
	}
	if kind == ofReference {
		return t.reference() && t.skip(s.end)
	}
	if !t.skip(">") {
		if kind == ofText && t.skip("/>") {
			t.buf = append(t.buf, `""`...)
			return s.note == noNote
		}
		return false
	}
	return t.value(kind, s.recipe, s.note) && t.skip(s.end)
}

// value writes what stands between two tags.
func (t *transcript) value(k kind, r func() *recipe, n note) bool {
	switch k {
	case ofText:
		return t.text(n)
	case ofBool:
		return t.bool()
	case ofInt16, ofInt32, ofInt64:
		return t.int(k, n)
	case ofFloat32:
		return t.float(32)
	case ofFloat64:
		return t.float(64)
	case ofTime:
		return t.time(n)
	case ofStruct:
		if n != noNote {
			t.noted[n] = span{from: int32(t.at), to: int32(t.at)}
		}
		return t.structure(r())
	}
	return false
}

// text writes text as a JSON string.
func (t *transcript) text(n note) bool {
	x, i := t.xml, t.at
	b := append(t.buf, '"')
	from := i // x[from:i] is still to be written
	coded := false
	for {
		for i+8 <= len(x) && allPlain(binary.LittleEndian.Uint64(x[i:])) {
			i += 8
		}
		for i < len(x) && plain[x[i]] {
			i++
		}
		if i == len(x) {
			return false
		}
		c := x[i]
		if c == '<' {
			break
		}
		b = append(b, x[from:i]...)
		switch {
		case c == '&':
			r, length, ok := reference(x[i:])
			if !ok {
				return false
			}
			b = appendEscaped(b, string(r))
			coded = true
			i += length
		case c == '>':
			if bytes.HasSuffix(x[t.at:i], []byte("]]")) { // is an error in XML
				return false
			}
			b = append(b, `\u003e`...)
			i++
		case c == '\n' || c == '\t' || c == '"' || c == '\\':
			b = append(b, '\\', short[c])
			i++
		case c < utf8.RuneSelf: // not of XML, or a line end, which XML rewrites
			return false
		default:
			r, length := utf8.DecodeRune(x[i:])
			if r == utf8.RuneError && length == 1 || !IsXMLChar(r) {
				return false
			}
			b = appendEscaped(b, string(x[i:i+length]))
			i += length
		}
		from = i
	}
	t.buf = append(append(b, x[from:i]...), '"')
	if n != noNote {
		t.noted[n] = span{int32(t.at), int32(i), coded}
	}
	t.at = i
	return true
}

// allPlain reports whether eight bytes are all plain: ASCII from the space on, without the
// five characters that JSON in HTML escapes.
func allPlain(w uint64) bool {
	const (
		each = 0x0101010101010101
		high = 0x80 * each
	)
	has := func(c, alike uint64) uint64 { // high in each byte that is c, but for the bits alike
		w := (w | alike*each) ^ c*each
		return (w - each) &^ w
	}
	control := (w - ' '*each) &^ w
	return (w|control|has('>', '<'^'>')|has('&', '"'^'&')|has('\\', 0))&high == 0
}

// reference returns the character that text begins with a reference to, and the
// reference's length.
func reference(text []byte) (r rune, length int, ok bool) {
	const longest = 12
	end := bytes.IndexByte(text[:min(len(text), longest)], ';')
	if end < 0 {
		return 0, 0, false
	}
	switch name := string(text[1:end]); name {
	case "lt":
		r = '<'
	case "gt":
		r = '>'
	case "amp":
		r = '&'
	case "quot":
		r = '"'
	case "apos":
		r = '\''
	default:
		if len(name) < 2 || name[0] != '#' {
			return 0, 0, false
		}
		digits, base := name[1:], 10
		if digits[0] == 'x' {
			digits, base = digits[1:], 16
		}
		n, err := strconv.ParseUint(digits, base, 31)
		if err != nil || !IsXMLChar(rune(n)) {
			return 0, 0, false
		}
		r = rune(n)
	}
	return r, end + 1, true
}

// IsXMLChar reports whether text in XML may hold r: the production Char of XML 1.0, section
// 2.2.
func IsXMLChar(r rune) bool {
	return r == '\t' || r == '\n' || r == '\r' || r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000 && r <= utf8.MaxRune
}

// upToTag returns the text up to the next tag.
func (t *transcript) upToTag() (text []byte, ok bool) {
	n := bytes.IndexByte(t.xml[t.at:], '<')
	if n < 0 {
		return nil, false
	}
	return t.xml[t.at : t.at+n], true
}

func (t *transcript) bool() bool {
	switch {
	case t.skip("true"):
		t.buf = append(t.buf, "true"...)
	case t.skip("false"):
		t.buf = append(t.buf, "false"...)
	default:
		return false
	}
	return true
}

// int writes a number as it stands, if that is how it would be written.
func (t *transcript) int(k kind, n note) bool {
	const longest = 19 // digits of an int64, all of which a uint64 holds
	text, ok := t.upToTag()
	if !ok {
		return false
	}
	digits, limit := text, uint64(math.MaxInt64)
	switch k {
	case ofInt16:
		limit = math.MaxInt16
	case ofInt32:
		limit = math.MaxInt32
	}
	if len(digits) > 0 && digits[0] == '-' {
		digits = digits[1:]
		limit++
	}
	if len(digits) == 0 || len(digits) > longest || digits[0] == '0' && len(text) > 1 {
		return false
	}
	sum := uint64(0)
	for _, d := range digits {
		if d < '0' || d > '9' {
			return false
		}
		sum = sum*10 + uint64(d-'0')
	}
	if sum > limit {
		return false
	}
	if n != noNote {
		t.noted[n] = span{from: int32(t.at), to: int32(t.at + len(text))}
	}
	t.buf = append(t.buf, text...)
	t.at += len(text)
	return true
}

func (t *transcript) float(bits int) bool {
	text, ok := t.upToTag()
	if !ok {
		return false
	}
	f, err := strconv.ParseFloat(string(text), bits)
	if err != nil {
		return false
	}
	t.buf = appendFloat(t.buf, f, bits)
	t.at += len(text)
	return true
}

func (t *transcript) time(n note) bool {
	text, ok := t.upToTag()
	if !ok {
		return false
	}
	from := len(t.buf) + 1
	t.buf = append(t.buf, '"')
	at, digits, utc := parseUTC(text)
	if utc {
		t.buf = append(append(t.buf, text[:digits]...), 'Z')
	} else {
		if at.UnmarshalText(text) != nil {
			return false
		}
		b, err := at.AppendText(t.buf)
		if err != nil { // and b is nil
			return false
		}
		t.buf = b
	}
	t.buf = append(t.buf, '"')
	if n != noNote {
		t.noted[n], t.created = span{from: int32(t.at), to: int32(t.at + len(text))}, at
		if utc {
			t.utc = t.buf[from : len(t.buf)-1]
		}
	}
	t.at += len(text)
	return true
}

// parseUTC reads a time as vCenters write theirs, 2026-11-22T09:30:00.123456Z, and returns
// how much of the text is to be kept: all but zeros at the end of the fraction, and the Z. It
// is not ok for one that is none, or in another zone.
func parseUTC(text []byte) (at time.Time, digits int, ok bool) {
	const seconds, longest = len("2026-11-22T09:30:00"), len("2026-11-22T09:30:00.123456789Z")
	if len(text) <= seconds || len(text) > longest || text[len(text)-1] != 'Z' {
		return time.Time{}, 0, false
	}
	number := func(from, to int) (n int) {
		for _, c := range text[from:to] {
			if c < '0' || c > '9' {
				ok = false
			}
			n = n*10 + int(c-'0')
		}
		return n
	}
	ok = text[4] == '-' && text[7] == '-' && text[10] == 'T' && text[13] == ':' && text[16] == ':'
	year, month, day := number(0, 4), number(5, 7), number(8, 10)
	hour, minute, second := number(11, 13), number(14, 16), number(17, 19)
	nanos, digits := 0, seconds
	if end := len(text) - 1; end > seconds {
		nanos = number(seconds+1, end)
		ok = ok && text[seconds] == '.' && end > seconds+1
		for i := end; i < longest-1; i++ {
			nanos *= 10
		}
		for digits = end; ok && text[digits-1] == '0'; digits-- { // up to the point at most
		}
		if text[digits-1] == '.' {
			digits--
		}
	}
	// Every month has 28 days; what is beyond is left to those who know the calendar.
	if !ok || month < 1 || month > 12 || day < 1 || day > 28 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, 0, false
	}
	return time.Date(year, time.Month(month), day, hour, minute, second, nanos, time.UTC), digits, true
}

// reference writes a ManagedObjectReference, which has its type in an attribute.
func (t *transcript) reference() bool {
	if !t.skip(` type="`) {
		return false
	}
	kind := t.at
	for t.at < len(t.xml) && plain[t.xml[t.at]] {
		t.at++
	}
	kindEnd := t.at
	if !t.skip(`">`) {
		return false
	}
	t.buf = append(t.buf, `{"Type":"`...)
	t.buf = append(t.buf, t.xml[kind:kindEnd]...)
	t.buf = append(t.buf, `","Value":`...)
	if !t.text(noNote) {
		return false
	}
	t.buf = append(t.buf, '}')
	return true
}
