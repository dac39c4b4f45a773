package httpapi

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"vstream"
)

// Reasons of bookmarks.
const (
	reasonStart    = "start"     // of a stream
	reasonCaughtUp = "caught-up" // all there was has been sent
	reasonIdle     = "idle"      // nothing was to be sent for a while
	reasonClose    = "close"     // the stream ends as planned
	reasonShutdown = "shutdown"  // the server stops
)

// Types of control records.
const (
	typeBookmark = "vstream.bookmark.v1"
	typeProblem  = "vstream.problem.v1"
)

// appendControl appends what a stream says about itself, of which data is JSON: a CloudEvent
// like all its lines, of the event class control, so that every line parses as one schema.
func appendControl(b []byte, source, kind string, data []byte) []byte {
	b = append(b, `{"specversion":"1.0","id":"`...)
	b = append(b, rand.Text()...)
	b = append(b, `","source":`...)
	b = appendJSON(b, source)
	b = append(b, `,"type":"`...)
	b = append(b, kind...)
	b = append(b, `","datacontenttype":"application/json","time":"`...)
	b = time.Now().UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","data":`...)
	b = append(b, data...)
	return append(b, `,"eventclass":"control"}`...)
}

// appendBookmark appends the data of a bookmark, which tells a reader where it is in a stream.
// With one vCenter, earliest and latest are what its log holds; with several, ranges are.
func (w *watch) appendBookmark(b []byte, reason string) []byte {
	b = append(b, `{"cursor":"`...)
	b = w.feed.appendCursor(b)
	b = append(b, '"')
	several, some := len(w.served) > 1, false
	for _, v := range w.vcenters {
		held, ok := v.Log.Range()
		if !ok {
			continue
		}
		b = append(b, ',')
		if several {
			if !some {
				b = append(b, `"ranges":{`...)
			}
			b = append(appendJSON(b, v.Name), ":{"...)
		}
		some = true
		b = strconv.AppendInt(append(b, `"earliest":`...), int64(held.Earliest), 10)
		b = strconv.AppendInt(append(b, `,"latest":`...), int64(held.Latest), 10)
		if several {
			b = append(b, '}')
		}
	}
	if several && some {
		b = append(b, '}')
	}
	b = strconv.AppendBool(append(b, `,"upToDate":`...), w.upToDate)
	b = append(b, `,"reason":"`...)
	b = append(b, reason...)
	return append(b, `"}`...)
}

// appendJSON appends a text as JSON has it.
func appendJSON(b []byte, text string) []byte {
	quoted, err := json.Marshal(text)
	if err != nil {
		panic(err) // of no text
	}
	return append(b, quoted...)
}

// page returns the body of a page.
func (f *form) page(items []item, several bool) []byte {
	size := len(f.begin) + len(f.end)
	for i := range items {
		size += len(items[i].event.JSON) + len(f.separator)
	}
	body := append(make([]byte, 0, size), f.begin...)
	for i := range items {
		if i > 0 {
			body = append(body, f.separator...)
		}
		if f == formText {
			body = appendText(body, items[i].vcenter, &items[i].event, several)
		} else {
			body = append(body, items[i].event.JSON...)
		}
	}
	if len(items) == 0 && f.begin == "" {
		return body
	}
	return append(body, f.end...)
}

// appendText appends an event as a line for people, without its end. What names and
// messages hold of control characters, a terminal must not see.
func appendText(b []byte, v *VCenter, e *vstream.Event, several bool) []byte {
	b = e.Time.AppendFormat(b, "2006-01-02T15:04:05.000Z07:00")
	if several {
		b = fmt.Appendf(b, "  %-12s", v.Name)
	}
	return fmt.Appendf(b, "  %-7s  %-28s  %-20s  %-20s  %s", e.Severity, printable(e.Type), printable(orDash(e.Target())), printable(orDash(e.User)), printable(e.Message))
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// printable makes one line of s.
func printable(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 }), " ")
}
