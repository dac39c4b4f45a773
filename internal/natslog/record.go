package natslog

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"vstream"
	"vstream/internal/memlog"
)

// Headers of a message.
const (
	contentTypeHeader = "content-type"
	// eventHeader holds, as a form does (key=value&…, percent-encoded), what is known of the
	// event without its payload: offset, time, chain, the texts of fields that are not empty,
	// and before, the peak of the log before the event. That makes the stream a chain, in which a
	// lost message shows, and one that can be searched though events come late. It is one
	// header, for each costs both server and client more than what is in it.
	eventHeader = "Vstream-Event"
)

const contentType = "application/cloudevents+json; charset=utf-8"

// texts are the fields of an event that are texts.
var texts = []struct {
	key   string
	field func(*vstream.Event) *string
}{
	{"type", func(e *vstream.Event) *string { return &e.Type }},
	{"class", func(e *vstream.Event) *string { return &e.Class }},
	{"severity", func(e *vstream.Event) *string { return &e.Severity }},
	{"user", func(e *vstream.Event) *string { return &e.User }},
	{"vm", func(e *vstream.Event) *string { return &e.VM }},
	{"host", func(e *vstream.Event) *string { return &e.Host }},
	{"cluster", func(e *vstream.Event) *string { return &e.Cluster }},
	{"datacenter", func(e *vstream.Event) *string { return &e.Datacenter }},
	{"datastore", func(e *vstream.Event) *string { return &e.Datastore }},
	{"network", func(e *vstream.Event) *string { return &e.Network }},
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
	return &nats.Msg{Subject: subject, Data: e.JSON, Header: nats.Header{
		contentTypeHeader: {contentType},
		eventHeader:       {string(appendHeader(nil, e, before))},
	}}
}

// appendHeader appends the text of eventHeader.
func appendHeader(b []byte, e *vstream.Event, before memlog.Peak) []byte {
	b = append(b, "offset="...)
	b = strconv.AppendInt(b, int64(e.Offset), 10)
	b = append(b, "&before="...)
	b = appendPeak(b, before)
	b = append(b, "&time="...)
	b = appendTime(b, e.Time)
	if e.Chain != 0 {
		b = append(b, "&chain="...)
		b = strconv.AppendInt(b, int64(e.Chain), 10)
	}
	for i := range texts {
		if value := *texts[i].field(e); value != "" {
			b = append(b, '&')
			b = append(b, texts[i].key...)
			b = append(b, '=')
			b = append(b, url.QueryEscape(value)...)
		}
	}
	return b
}

// parse reads a message back. Keys that it does not know are a later version's to add.
func parse(seq uint64, h nats.Header, data []byte) (record, error) {
	r := record{seq: seq, event: vstream.Event{Offset: -1, JSON: data, Message: messageOf(data)}}
	header := h.Get(eventHeader)
	for field := range strings.SplitSeq(header, "&") {
		key, value, _ := strings.Cut(field, "=")
		if err := r.set(key, value); err != nil {
			return r, fmt.Errorf("message %d, header %s, %s: %w", seq, eventHeader, key, err)
		}
	}
	if r.event.Offset < 0 || !strings.Contains(header, "&before=") || !strings.Contains(header, "&time=") {
		return r, fmt.Errorf("message %d is no event of vstream: its header %s is %q", seq, eventHeader, header)
	}
	return r, nil
}

// set takes in what the header says about one thing.
func (r *record) set(key, value string) (err error) {
	e := &r.event
	switch key {
	case "offset":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("%q is no offset", value)
		}
		e.Offset = vstream.Offset(n)
	case "before":
		r.before, err = readPeak(value)
	case "time":
		e.Time, err = readTime(value)
	case "chain":
		n, err := strconv.ParseInt(value, 10, 32)
		if err != nil {
			return err
		}
		e.Chain = int32(n)
	default:
		for _, text := range texts {
			if text.key == key {
				*text.field(e), err = url.QueryUnescape(value)
			}
		}
	}
	return err
}

// appendTime writes seconds since 1970 and, after a point, nanoseconds: unlike RFC 3339 it
// has room for every year that a vCenter may tell.
func appendTime(b []byte, t time.Time) []byte {
	b = strconv.AppendInt(b, t.Unix(), 10)
	nanos := strconv.AppendInt(nil, 1e9+int64(t.Nanosecond()), 10)
	nanos[0] = '.' // for the 1: all its zeros are kept
	return append(b, nanos...)
}

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

func appendPeak(b []byte, p memlog.Peak) []byte {
	if p.Offset < 0 {
		return append(b, "-1"...)
	}
	b = strconv.AppendInt(b, int64(p.Offset), 10)
	b = append(b, ',')
	return appendTime(b, p.Time)
}

func readPeak(s string) (memlog.Peak, error) {
	if s == "-1" {
		return memlog.NoPeak, nil
	}
	first, second, _ := strings.Cut(s, ",")
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
	if plain(rest[1:end]) {
		return string(rest[1:end])
	}
	var text string
	if json.Unmarshal(rest[:end+1], &text) != nil {
		return ""
	}
	return text
}

// plain reports whether the inside of a string in JSON stands for itself, as it nearly always
// does. To decode it all the same was 7 % of reading old events.
func plain(text []byte) bool {
	for _, c := range text {
		if c < ' ' || c == '\\' {
			return false
		}
	}
	return utf8.Valid(text)
}
