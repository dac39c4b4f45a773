package httpapi

import (
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// nowhere is a connection to a client that takes all at once.
type nowhere struct{ net.Conn }

func (nowhere) Write(b []byte) (int, error)      { return len(b), nil }
func (nowhere) SetWriteDeadline(time.Time) error { return nil }

// watchOf returns a watch with a query, and the log that it reads.
func watchOf(b *testing.B, query string) (*watch, *memlog.Log) {
	b.Helper()
	log := memlog.New(100_000, 1<<30)
	_ = log.SetOrigin(b.Context(), instanceA, 0)
	all := vcentersOf(log)
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "/api/v1/events?watch=true&"+query, nil)
	if err != nil {
		b.Fatal(err)
	}
	q, err := queryOf(r, []*VCenter{&all[0]})
	if err != nil {
		b.Fatal(err)
	}
	f, err := q.open(b.Context(), q.from, q.until)
	if err != nil {
		b.Fatal(err)
	}
	s := &Server{}
	w := &watch{query: q, feed: f, out: &stream{client: &wire{Conn: nowhere{}}}, asked: reduced(r)}
	shared, leave := s.filters.Join(q.filter)
	b.Cleanup(leave)
	w.shared = shared
	return w, log
}

func thousandBytes(o vstream.Offset) vstream.Event {
	e := event("vc1", o, "VmPoweredOnEvent")
	e.VM, e.Message = "web1", "web1 on esx-01 in DC is powered on"
	e.JSON = append(e.JSON[:len(e.JSON)-1:len(e.JSON)-1], `,"data":"`+strings.Repeat("x", 900)+`"}`...)
	return e
}

// BenchmarkWatch is what a watch does for an event that it sends, or leaves out, in batches of
// one and of a hundred: all but waiting and what the kernel does.
func BenchmarkWatch(b *testing.B) {
	for _, c := range []struct {
		name, query string
		batch       int
	}{
		{"json", "", 1},
		{"json-100", "", 100},
		{"sse", "format=sse", 1},
		{"sse-100", "format=sse", 100},
		{"text", "format=text", 1},
		{"of-another-vm", "vm=web2", 1},
		{"of-another-vm-100", "vm=web2", 100},
	} {
		b.Run(c.name, func(b *testing.B) {
			w, _ := watchOf(b, c.query)
			events := make([]vstream.Event, c.batch)
			for i := range events {
				events[i] = thousandBytes(vstream.Offset(i))
			}
			s := w.feed.sources[0]
			n := 0
			b.ReportAllocs()
			for b.Loop() {
				s.events = events
				if err := w.send(b.Context(), s, events); err != nil {
					b.Fatal(err)
				}
				w.out.flush()
				n += c.batch
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
		})
	}
}

// BenchmarkBookmark is what an idle watch costs every fifteen seconds, but for the kernel.
func BenchmarkBookmark(b *testing.B) {
	w, log := watchOf(b, "format=sse")
	appendTo(b, log, 1)
	b.ReportAllocs()
	for b.Loop() {
		w.bookmark(reasonIdle)
		w.out.flush()
	}
}

// BenchmarkFeedNext is what reading costs for each event of a log.
func BenchmarkFeedNext(b *testing.B) {
	w, log := watchOf(b, "offset=earliest")
	for o := range vstream.Offset(10_000) {
		appendTo(b, log, o)
	}
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		s, events, err := w.feed.next(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if len(events) == 0 {
			if w.feed, err = w.open(b.Context(), w.from, w.until); err != nil {
				b.Fatal(err)
			}
		}
		for range events {
			s.pass()
		}
		n += len(events)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(1, n)), "ns/event")
}
