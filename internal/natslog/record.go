package natslog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"vstream"
	"vstream/internal/memlog"
)

// Headers of a message. Those that are empty are left out; in their values control
// characters and per cent signs are percent-encoded.
const (
	contentTypeHeader = "content-type"
	offsetHeader      = "Vstream-Offset"
	// beforeHeader is the peak of the log before the event: highest offset and latest time,
	// "-1" for the first event of all. It makes the stream a chain, in which a lost message
	// shows, and one that can be searched though events come late.
	beforeHeader = "Vstream-Before"
	timeHeader   = "Vstream-Time"
	chainHeader  = "Vstream-Chain"
)

const contentType = "application/cloudevents+json; charset=utf-8"

// textHeaders are the fields of an event that are kept as they are.
var textHeaders = []struct {
	name  string
	field func(*vstream.Event) *string
}{
	{"Vstream-Type", func(e *vstream.Event) *string { return &e.Type }},
	{"Vstream-Class", func(e *vstream.Event) *string { return &e.Class }},
	{"Vstream-Severity", func(e *vstream.Event) *string { return &e.Severity }},
	{"Vstream-User", func(e *vstream.Event) *string { return &e.User }},
	{"Vstream-Vm", func(e *vstream.Event) *string { return &e.VM }},
	{"Vstream-Host", func(e *vstream.Event) *string { return &e.Host }},
	{"Vstream-Cluster", func(e *vstream.Event) *string { return &e.Cluster }},
	{"Vstream-Datacenter", func(e *vstream.Event) *string { return &e.Datacenter }},
	{"Vstream-Datastore", func(e *vstream.Event) *string { return &e.Datastore }},
	{"Vstream-Network", func(e *vstream.Event) *string { return &e.Network }},
}

// A record is an event in its stream.
type record struct {
	seq     uint64
	missing uint64      // how many sequence numbers right before it are not there, as far as was read
	before  memlog.Peak // of the log before it
	event   vstream.Event
}

// after is the peak of the log once the record is in it.
func (r *record) after() memlog.Peak { return r.before.With(&r.event) }

// message returns e as it is published.
func message(subject string, e *vstream.Event, before memlog.Peak) *nats.Msg {
	h := nats.Header{
		contentTypeHeader: {contentType},
		offsetHeader:      {e.Offset.String()},
		beforeHeader:      {writePeak(before)},
		timeHeader:        {writeTime(e.Time)},
	}
	if e.Chain != 0 {
		h[chainHeader] = []string{strconv.Itoa(int(e.Chain))}
	}
	for _, text := range textHeaders {
		if value := *text.field(e); value != "" {
			h[text.name] = []string{escape(value)}
		}
	}
	return &nats.Msg{Subject: subject, Header: h, Data: e.JSON}
}

// parse reads a message back.
func parse(m *jetstream.RawStreamMsg) (record, error) {
	return parseHeader(m.Sequence, m.Header, m.Data)
}

func parseHeader(seq uint64, h nats.Header, data []byte) (record, error) {
	r := record{seq: seq}
	offset, err := strconv.ParseInt(h.Get(offsetHeader), 10, 64)
	if err != nil || offset < 0 {
		return r, fmt.Errorf("message %d is no event of vstream: its header %s is %q", seq, offsetHeader, h.Get(offsetHeader))
	}
	if r.before, err = readPeak(h.Get(beforeHeader)); err != nil {
		return r, fmt.Errorf("message %d, header %s: %w", seq, beforeHeader, err)
	}
	r.event = vstream.Event{Offset: vstream.Offset(offset), JSON: data, Message: messageOf(data)}
	if r.event.Time, err = readTime(h.Get(timeHeader)); err != nil {
		return r, fmt.Errorf("message %d, header %s: %w", seq, timeHeader, err)
	}
	if chain := h.Get(chainHeader); chain != "" {
		n, err := strconv.ParseInt(chain, 10, 32)
		if err != nil {
			return r, fmt.Errorf("message %d, header %s: %w", seq, chainHeader, err)
		}
		r.event.Chain = int32(n)
	}
	for _, text := range textHeaders {
		if value := h.Get(text.name); value != "" {
			*text.field(&r.event) = unescape(value)
		}
	}
	return r, nil
}

// writeTime writes seconds since 1970 and, after a point, nanoseconds: unlike RFC 3339 it
// has room for every year that a vCenter may tell.
func writeTime(t time.Time) string { return fmt.Sprintf("%d.%09d", t.Unix(), t.Nanosecond()) }

func readTime(s string) (time.Time, error) {
	whole, part, _ := strings.Cut(s, ".")
	seconds, err := strconv.ParseInt(whole, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	nanos, err := strconv.ParseInt(part, 10, 64)
	if err != nil {
		return time.Time{}, err
	}
	return time.Unix(seconds, nanos).UTC(), nil
}

func writePeak(p memlog.Peak) string {
	if p.Offset < 0 {
		return "-1"
	}
	return p.Offset.String() + " " + writeTime(p.Time)
}

func readPeak(s string) (memlog.Peak, error) {
	if s == "-1" {
		return memlog.NoPeak, nil
	}
	first, second, _ := strings.Cut(s, " ")
	offset, err := strconv.ParseInt(first, 10, 64)
	if err != nil {
		return memlog.Peak{}, err
	}
	t, err := readTime(second)
	return memlog.Peak{Offset: vstream.Offset(offset), Time: t}, err
}

// messageOf returns vCenter's formatted text from an event's JSON. It stands among the
// members that all events have, before any other text that could look like it.
func messageOf(data []byte) string {
	_, rest, found := bytes.Cut(data, []byte(`"FullFormattedMessage":`))
	if !found || len(rest) == 0 || rest[0] != '"' {
		return ""
	}
	end := 1
	for end < len(rest) && rest[end] != '"' {
		if rest[end] == '\\' {
			end++
		}
		end++
	}
	if end >= len(rest) {
		return ""
	}
	var text string
	if json.Unmarshal(rest[:end+1], &text) != nil {
		return ""
	}
	return text
}

const hexDigits = "0123456789ABCDEF"

// escape percent-encodes what a header cannot hold, or would lose.
func escape(s string) string {
	special := func(i int) bool {
		c := s[i]
		return c < ' ' || c == 0x7f || c == '%' || c == ' ' && (i == 0 || i == len(s)-1)
	}
	clean := true
	for i := range len(s) {
		clean = clean && !special(i)
	}
	if clean {
		return s
	}
	var b strings.Builder
	for i := range len(s) {
		if special(i) {
			b.Write([]byte{'%', hexDigits[s[i]>>4], hexDigits[s[i]&15]})
		} else {
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

// unescape undoes escape. What is not of its making stays as it is.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b.WriteByte(byte(n))
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
