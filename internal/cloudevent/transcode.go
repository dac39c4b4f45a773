package cloudevent

import (
	"bytes"
	"strings"
	"sync"

	"vstream"
)

// Transcode writes an event without decoding it: in one pass over its XML, by recipes made
// from govmomi's types. It takes the element that document begins with, makes ev the event
// just as [Encoder.Encode] would write the decoded one, with its JSON in slab, and returns
// the element's length.
//
// It is not ok for an element that is not written plainly: members that are unknown, out of
// order or told twice, comments, values that do not parse, text that XML forbids, an event
// beyond MaxBytes. Such an element is to be decoded and encoded, which knows what to do. What
// it meets by a mistake of its own, which makes it panic, is such an element too.
func (e *Encoder) Transcode(document []byte, ev *vstream.Event, slab *Slab) (length int, ok bool) {
	t := transcripts.Get().(*transcript)
	defer func() {
		if recover() != nil {
			length, ok = 0, false
			return // t may be in any state
		}
		t.free()
	}()
	t.begin(document)
	r := t.class()
	if r == nil || !t.structure(r.recipe) || !t.skip("</"+Element+">") {
		return 0, false
	}
	key, numbered := t.noted[noteKey].int32(document)
	chain, chained := t.noted[noteChain].int32(document)
	if !numbered || !chained || t.noted[noteTime].absent() {
		return 0, false
	}
	ev.Offset, ev.Time, ev.Chain = vstream.OffsetOf(0, key), t.created.UTC(), chain
	t.nameAll(ev, slab)
	e.grade(ev, r.class, r.name)

	end := len(t.buf)
	t.buf = e.appendHead(t.buf, ev, t.utc)
	first := headRoom - (len(t.buf) - end)
	if first < 0 {
		return 0, false
	}
	copy(t.buf[first:], t.buf[end:])
	t.buf = e.appendTail(t.buf[:end], ev, false)
	if e.MaxBytes > 0 && len(t.buf)-first > e.MaxBytes {
		return 0, false
	}
	ev.JSON = slab.clone(t.buf[first:])
	return t.at, true
}

// A Slab is memory for the JSON and the names of the events of a page, which come and go
// together: an event that is kept keeps up to slabSize bytes of its neighbours, and
// nameSlabSize of their names.
type Slab struct {
	free   []byte
	names  strings.Builder
	likely int // bytes that the events to come take
}

const slabSize, nameSlabSize = 32 << 10, 4 << 10

// NewSlab returns a slab for events that have so many bytes of XML.
func NewSlab(xml int) *Slab {
	return &Slab{likely: xml + xml/2}
}

func (s *Slab) clone(b []byte) []byte {
	n := len(b)
	if n > len(s.free) {
		s.free = make([]byte, max(n, min(s.likely, slabSize)))
	}
	c := s.free[:n:n]
	copy(c, b)
	s.free, s.likely = s.free[n:], s.likely-n
	return c
}

// text returns where to write text to, of which there are so many bytes at most: all within
// one piece of memory, so that strings of it stay what they are.
func (s *Slab) text(most int) *strings.Builder {
	if s.names.Cap()-s.names.Len() < most {
		s.names = strings.Builder{}
		s.names.Grow(max(most, min(s.likely/8, nameSlabSize)))
	}
	return &s.names
}

// Element is what the elements of a page of events are called.
const Element = "returnval"

// What begins the attribute that names a value's type: as vCenter writes it, everywhere, and
// as Go's encoder does, in an event's own tag and within the event.
const (
	xsiType      = ` xsi:type="`
	goTypeOuter  = ` xmlns:_XMLSchema-instance="http://www.w3.org/2001/XMLSchema-instance"` + goTypeWithin
	goTypeWithin = ` _XMLSchema-instance:type="`
)

// headRoom is how much of the buffer is kept free for what comes before the data, which is
// known only after it.
const headRoom = 512

// A note is something of an event that is needed beside its JSON.
type note uint8

const (
	noNote note = iota
	noteKey
	noteChain
	noteTime
	noteSwitch
	noteUser // and from here on all are texts of an event
	noteMessage
	noteDatacenter
	noteCluster
	noteHost
	noteVM
	noteDatastore
	noteNetwork
	noteType
	noteSeverity
	notes

	firstText = noteUser
)

// A span is where in the XML the text of a member is.
type span struct {
	from, to int32 // from is 0 while there is none
	coded    bool
}

func (s span) absent() bool { return s.from == 0 }

// int32 reads a number that was found to be one.
func (s span) int32(xml []byte) (n int32, ok bool) {
	if s.absent() {
		return 0, false
	}
	digits, negative := xml[s.from:s.to], false
	if digits[0] == '-' {
		digits, negative = digits[1:], true
	}
	for _, d := range digits {
		n = n*10 - int32(d-'0') // the negative range is the larger one
	}
	if !negative {
		n = -n
	}
	return n, true
}

// begin makes t ready for another event.
func (t *transcript) begin(document []byte) {
	t.xml, t.at, t.depth = document, 0, 0
	t.buf = t.buf[:headRoom]
	t.noted, t.utc = [notes]span{}, nil
}

// class reads the element's tag and returns the recipe of the class that it names; nil if
// there is none.
func (t *transcript) class() *classRecipe {
	if !t.skip("<" + Element) {
		return nil
	}
	var name []byte
	switch {
	case t.skip(xsiType):
		t.typed, name = xsiType, t.quoted()
	case t.skip(goTypeOuter):
		t.typed, name = goTypeWithin, t.quoted()
	}
	if name == nil || !t.skip(">") {
		return nil
	}
	return classes.get(name, newClassRecipe)
}

// nameAll fills in the texts of an event.
func (t *transcript) nameAll(ev *vstream.Event, slab *Slab) {
	if t.noted[noteNetwork].absent() {
		t.noted[noteNetwork] = t.noted[noteSwitch]
	}
	most := int32(0)
	for n := firstText; n < notes; n++ {
		most += t.noted[n].to - t.noted[n].from // a reference is longer than its character
	}
	b := slab.text(int(most))
	var ends [notes]int
	ends[firstText-1] = b.Len()
	for n := firstText; n < notes; n++ {
		s := t.noted[n]
		if s.coded {
			t.names = appendDecoded(t.names[:0], t.xml[s.from:s.to])
			b.Write(t.names)
		} else {
			b.Write(t.xml[s.from:s.to])
		}
		ends[n] = b.Len()
	}
	all := b.String()
	text := func(n note) string { return all[ends[n-1]:ends[n]] }
	ev.User, ev.Message = text(noteUser), text(noteMessage)
	ev.Datacenter, ev.Cluster, ev.Host, ev.VM = text(noteDatacenter), text(noteCluster), text(noteHost), text(noteVM)
	ev.Datastore, ev.Network = text(noteDatastore), text(noteNetwork)
	ev.Type, ev.Severity = text(noteType), text(noteSeverity)
}

// appendDecoded appends the text of XML that was transcribed, so that its references are
// known to be ones.
func appendDecoded(b, text []byte) []byte {
	for {
		i := bytes.IndexByte(text, '&')
		if i < 0 {
			return append(b, text...)
		}
		b = append(b, text[:i]...)
		c, length, _ := reference(text[i:])
		b = append(b, string(c)...)
		text = text[i+length:]
	}
}

// transcripts are kept for reuse.
var transcripts = sync.Pool{New: func() any {
	return &transcript{buf: make([]byte, headRoom, 8<<10), names: make([]byte, 0, 1<<10)}
}}

func (t *transcript) free() {
	if cap(t.buf)+cap(t.names) > 1<<20 { // blown up by an exceptional event
		return
	}
	t.xml, t.utc = nil, nil
	transcripts.Put(t)
}

// className returns the class that events of a Go type have.
func className(goName string) string {
	switch goName {
	case "EventEx", "ExtendedEvent":
		return strings.ToLower(goName)
	}
	return "event"
}
