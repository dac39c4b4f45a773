package httpapi

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"vstream"
)

// A bookmark tells a reader where it is, in a stream. Earliest and Latest are what the log
// of the one vCenter holds, Ranges those of several.
type bookmark struct {
	Cursor   string                   `json:"cursor"`
	Earliest *vstream.Offset          `json:"earliest,omitempty"`
	Latest   *vstream.Offset          `json:"latest,omitempty"`
	Ranges   map[string]vstream.Range `json:"ranges,omitempty"`
	UpToDate bool                     `json:"upToDate"`
	Reason   string                   `json:"reason"`
}

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

// controlRecord is what a stream says about itself: a CloudEvent like all its lines, of
// the event class control, so that every line parses as one schema.
func controlRecord(source, kind string, data []byte) []byte {
	record, err := json.Marshal(struct {
		SpecVersion     string          `json:"specversion"`
		ID              string          `json:"id"`
		Source          string          `json:"source"`
		Type            string          `json:"type"`
		DataContentType string          `json:"datacontenttype"`
		Time            time.Time       `json:"time"`
		Data            json.RawMessage `json:"data"`
		EventClass      string          `json:"eventclass"`
	}{"1.0", rand.Text(), source, kind, "application/json", time.Now().UTC(), data, "control"})
	if err != nil {
		panic(err) // only what was just made
	}
	return record
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
