package vstream

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Cursor is a position over several vCenters: the offset, for each, of the last event a
// reader is done with. A vCenter that it does not name is read from its oldest event on.
// In text it is as in vc1.1042~vc2.77, by name, and ~ when it names none; it needs no
// escaping in URLs.
type Cursor map[string]Offset

// maxCursor bounds the text of a cursor in bytes: some hundred vCenters.
const maxCursor = 8 << 10

var errCursor = errors.New("a cursor is written as vc1.1042, or for several vCenters vc1.1042~vc2.77")

// ParseCursor reads what String has written. Its errors do not repeat the text.
func ParseCursor(text string) (Cursor, error) {
	if len(text) > maxCursor {
		return nil, fmt.Errorf("it is longer than %d bytes", maxCursor)
	}
	c := Cursor{}
	if text == "~" {
		return c, nil
	}
	for part := range strings.SplitSeq(text, "~") {
		name, number, found := strings.Cut(part, ".")
		offset, err := strconv.ParseUint(number, 10, 63)
		if !found || err != nil || !isName(name) {
			return nil, errCursor
		}
		if _, twice := c[name]; twice {
			return nil, fmt.Errorf("it names %s twice", name)
		}
		c[name] = Offset(offset)
	}
	return c, nil
}

// isName reports whether text can be the name of a vCenter.
func isName(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// String returns the text of a cursor.
func (c Cursor) String() string {
	if len(c) == 0 {
		return "~"
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c)) {
		if b.Len() > 0 {
			b.WriteByte('~')
		}
		fmt.Fprintf(&b, "%s.%d", name, c[name])
	}
	return b.String()
}
