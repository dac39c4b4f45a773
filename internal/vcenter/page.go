package vcenter

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"

	"vstream/internal/cloudevent"
)

// cutOut removes all elements of this name from an XML document and returns them, each
// from its start tag to its end tag, and what is left. An element that has no end stays,
// for it means that the document was cut off.
func cutOut(document []byte, name string) (elements [][]byte, rest []byte) {
	for {
		start, end := findElement(document, name)
		if end < 0 {
			return elements, append(rest, document...)
		}
		elements = append(elements, document[start:end])
		rest = append(rest, document[:start]...)
		document = document[end:]
	}
}

// findElement returns where the first element of this name begins and ends; -1 if there is
// none, or it has no end.
//
// It compares bytes and parses nothing, so that no content, however broken, makes it miss
// an element: in well-formed text a "<" is escaped, and no vSphere type has a member of
// the names that are looked for here.
func findElement(document []byte, name string) (start, end int) {
	start = indexTag(document, []byte("<"+name))
	if start < 0 {
		return -1, -1
	}
	if n := bytes.IndexByte(document[start:], '>'); n > 0 && document[start+n-1] == '/' {
		return start, start + n + 1 // <returnval …/>
	}
	tag := []byte("</" + name + ">")
	length := bytes.Index(document[start:], tag)
	if length < 0 {
		return start, -1
	}
	return start, start + length + len(tag)
}

// indexTag returns where the first tag begins that has exactly this name; -1 if none has.
func indexTag(document, open []byte) int {
	for from := 0; ; {
		i := bytes.Index(document[from:], open)
		if i < 0 {
			return -1
		}
		i += from
		if after := i + len(open); after < len(document) && bytes.IndexByte([]byte(" \t\r\n/>"), document[after]) >= 0 {
			return i
		}
		from = i + len(open)
	}
}

var baseEvent = reflect.TypeFor[types.BaseEvent]()

// decoded is an event element after decoding: the event or, when it could not be had, what
// could be read of it.
type decoded struct {
	event   types.BaseEvent // nil when raw is set
	raw     *cloudevent.Raw
	noKey   bool     // raw's key could not be read
	why     error    // there is no event
	unknown []string // types within the event that are not known, so that their values are missing
}

// decode decodes one event element by itself, whatever is in it: one bad event must cost
// neither its neighbours nor itself.
func decode(element []byte) decoded {
	name := typeOf(element)
	d := decoded{}
	t, known := types.TypeFunc()(name)
	switch {
	case !known:
		d.why = fmt.Errorf("there is no type %q in this version of the API", name)
	case !reflect.PointerTo(t).Implements(baseEvent) || t.Kind() != reflect.Struct:
		d.why = fmt.Errorf("%s is no type of event", name)
	default:
		v := reflect.New(t)
		if d.unknown, d.why = unmarshal(element, v.Interface()); d.why != nil {
			// Characters that XML does not allow come from guests and extensions.
			if clean := sanitize(element); !bytes.Equal(clean, element) {
				v = reflect.New(t)
				d.unknown, d.why = unmarshal(clean, v.Interface())
			}
		}
		if d.why == nil {
			d.event = v.Interface().(types.BaseEvent)
			return d
		}
	}
	d.raw, d.noKey = salvage(element, name)
	return d
}

// unmarshal decodes element into v, and reports the types named within that are not
// known. What panics in the decoder is an error like others.
func unmarshal(element []byte, v any) (unknown []string, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decoder panicked: %v", r)
		}
	}()
	find := types.TypeFunc()
	d := xml.NewDecoder(bytes.NewReader(element))
	d.TypeFunc = func(name string) (reflect.Type, bool) {
		t, ok := find(name)
		if !ok {
			unknown = append(unknown, name)
		}
		return t, ok
	}
	return unknown, d.Decode(v)
}

// salvage reads of an undecodable element what all events have, as far as it goes.
func salvage(element []byte, name string) (raw *cloudevent.Raw, noKey bool) {
	clean := sanitize(element)
	raw = &cloudevent.Raw{Type: name, XML: string(clean)}
	if id := member(clean, "eventTypeId"); id != "" && (name == "EventEx" || name == "ExtendedEvent") {
		raw.Type = id
	}
	key, keyErr := parseKey(member(clean, "key"))
	if _, err := unmarshal(clean, &raw.Event); err != nil {
		raw.Event = types.Event{
			UserName:             member(clean, "userName"),
			FullFormattedMessage: member(clean, "fullFormattedMessage"),
		}
		if chain, err := parseKey(member(clean, "chainId")); err == nil {
			raw.Event.ChainId = chain
		}
		if created, err := time.Parse(time.RFC3339, member(clean, "createdTime")); err == nil {
			raw.Event.CreatedTime = created
		}
	}
	raw.Event.Key = key
	return raw, keyErr != nil
}

// parseKey reads a key. Some that are too large for 32 signed bits fit without a sign,
// which is how keys go on in offsets.
func parseKey(s string) (int32, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return 0, err
	}
	if n < -1<<31 || n > 1<<32-1 {
		return 0, errors.New("out of range")
	}
	return int32(uint32(n)), nil
}

// typeOf returns the xsi:type of an element.
func typeOf(element []byte) string {
	tag, _, _ := bytes.Cut(element, []byte{'>'})
	_, value, ok := bytes.Cut(tag, []byte(`type=`))
	if !ok || len(value) == 0 {
		return ""
	}
	quote := value[0]
	value, _, ok = bytes.Cut(value[1:], []byte{quote})
	if !ok || quote != '"' && quote != '\'' {
		return ""
	}
	if _, local, ok := bytes.Cut(value, []byte{':'}); ok {
		value = local
	}
	return string(sanitize(value))
}

// member returns the text of the first member of this name, "" if there is none. What
// all events have comes first in each.
func member(element []byte, name string) string {
	_, rest, ok := bytes.Cut(element, []byte("<"+name+">"))
	if !ok {
		return ""
	}
	text, _, ok := bytes.Cut(rest, []byte("</"+name+">"))
	if !ok {
		return ""
	}
	return html.UnescapeString(string(text))
}

// sanitize returns text with every character that XML 1.0 does not allow (section 2.2)
// replaced by U+FFFD, whether it stands there as bytes or as a reference such as &#x1;.
// It returns text itself when there is none.
func sanitize(text []byte) []byte {
	var clean []byte // of text[:done]; nil while nothing was replaced
	done := 0
	replace := func(from, to int) {
		clean = append(append(clean, text[done:from]...), string(utf8.RuneError)...)
		done = to
	}
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRune(text[i:])
		switch {
		case r == utf8.RuneError && n == 1, !cloudevent.IsXMLChar(r):
			replace(i, i+n)
		case r == '&':
			if length, ok := reference(text[i:]); !ok {
				replace(i, i+length)
				n = length
			}
		}
		i += n
	}
	if done == 0 {
		return text
	}
	return append(clean, text[done:]...)
}

// reference measures the character reference that text begins with. It is ok if it is
// one to a character that XML allows, or none.
func reference(text []byte) (length int, ok bool) {
	const longest = 12
	end := bytes.IndexByte(text[:min(len(text), longest)], ';')
	if end < 3 || text[1] != '#' {
		return 0, true
	}
	digits, base := string(text[2:end]), 10
	if digits[0] == 'x' {
		digits, base = digits[1:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	return end + 1, err == nil && n <= utf8.MaxRune && cloudevent.IsXMLChar(rune(n))
}
