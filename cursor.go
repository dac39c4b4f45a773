package vstream

import (
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// A Cursor is a position over several vCenters: the place, for each, of the last event a
// reader is done with. A vCenter that it does not name is read from its oldest event on.
// In text it is as in vc1.1042.k7f2q~vc2.77.m3xba, by name, and ~ when it names none; it
// needs no escaping in URLs.
type Cursor map[string]Place

// A Place is one in the log of a vCenter. Its Tag is that of the log, by which another log
// with the same offsets is known to be another. It is empty, and left out in text, as in
// vc1.1042, where that is not known; then nobody can tell.
type Place struct {
	Offset Offset
	Tag    string
}

// TagOf returns the tag of a log that began with the keys of this vCenter, given by its
// instance uuid, in this epoch: five letters and digits, or none where the uuid is empty.
// It differs from that of any other log, but for one in 33 million.
func TagOf(instance string, epoch uint32) string {
	if instance == "" {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", instance, epoch))
	return tagEncoding.EncodeToString(sum[:])[:5]
}

var tagEncoding = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

const (
	// maxCursor bounds the text of a cursor in bytes: some hundred vCenters.
	maxCursor = 8 << 10
	// maxTag bounds that of a tag. Those that come from a newer version may be longer than ours.
	maxTag = 16
)

var errCursor = errors.New("a cursor is written as vc1.1042.k7f2q or vc1.1042, or for several vCenters vc1.1042.k7f2q~vc2.77.m3xba")

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
		name, place, found := strings.Cut(part, ".")
		number, tag, tagged := strings.Cut(place, ".")
		offset, err := strconv.ParseUint(number, 10, 63)
		if !found || err != nil || !isName(name) || tagged && !isTag(tag) {
			return nil, errCursor
		}
		if _, twice := c[name]; twice {
			return nil, fmt.Errorf("it names %s twice", name)
		}
		c[name] = Place{Offset(offset), tag}
	}
	return c, nil
}

// isName reports whether text can be the name of a vCenter.
func isName(text string) bool {
	return text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == ""
}

// isTag reports whether text can be a tag.
func isTag(text string) bool {
	return text != "" && len(text) <= maxTag && strings.Trim(text, "abcdefghijklmnopqrstuvwxyz0123456789") == ""
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
		at := c[name]
		b.WriteString(name)
		b.WriteByte('.')
		b.WriteString(at.Offset.String())
		if at.Tag != "" {
			b.WriteByte('.')
			b.WriteString(at.Tag)
		}
	}
	return b.String()
}
