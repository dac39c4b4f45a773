package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// Instances of vCenters, and the tags of logs that began with them.
const instanceA, instanceB = "5a0e9c1e-0000-4000-8000-00000000000a", "5a0e9c1e-0000-4000-8000-00000000000b"

var tagA, tagB = vstream.TagOf(instanceA, 0), vstream.TagOf(instanceB, 0)

// logOf is a log that began with a vCenter and holds its events up to latest.
func logOf(t *testing.T, name, instance string, latest vstream.Offset) *memlog.Log {
	t.Helper()
	log := memlog.New(1000, 1<<30)
	_ = log.SetOrigin(t.Context(), instance, 0)
	for o := vstream.Offset(1); o <= latest; o++ {
		_ = log.Append(t.Context(), []vstream.Event{event(name, o, "T")})
	}
	return log
}

// The log of another vCenter has events at the same offsets, and more of them than the reader
// has seen: going on would skip those it has not.
func TestACursorOfALogThatWasReplacedIsTold(t *testing.T) {
	base := serveAll(t, vcentersOf(logOf(t, "vc1", instanceB, 20), logOf(t, "vc2", instanceA, 20)))
	for _, c := range []struct{ query, resume string }{
		{"events?cursor=vc1.9." + tagA, "events?cursor=~"},
		{"events?cursor=vc1.9." + tagA + "&wait=10", "events?cursor=~&wait=10"},
		{"events?cursor=vc1.99." + tagA, "events?cursor=~"},
		{"events?cursor=vc1.9." + tagA + "~vc2.18." + tagA, "events?cursor=vc2.18." + tagA},
		{"events?watch=true&cursor=vc1.9." + tagA, "events?cursor=~&watch=true"},
		{"events?format=sse&cursor=vc1.9." + tagA, "events?cursor=~&format=sse"},
		{"events?before=vc1.9." + tagA + "~vc2.18." + tagA, "events?cursor=vc2.18." + tagA},
		{"vcenters/vc1/events?cursor=vc1.9." + tagA, "vcenters/vc1/events?offset=1"},
		{"vcenters/vc1/events?format=sse", "vcenters/vc1/events?format=sse&offset=1"}, // with Last-Event-ID
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/"+c.query, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(c.query, tagA) {
			req.Header.Set("Last-Event-ID", "vc1.9."+tagA)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode != http.StatusConflict {
			t.Errorf("%s: %s", c.query, res.Status)
			res.Body.Close()
			continue
		}
		text := body(t, res)
		res.Body.Close()
		resume := strings.ReplaceAll(c.resume, "~", "%7E")
		if strings.Contains(c.resume, "~") { // as url.Values writes it, or not
			text = strings.ReplaceAll(text, "=~", "=%7E")
		}
		if !strings.Contains(text, `"type":"urn:vstream:problem:cursor-ahead"`) ||
			!strings.Contains(text, "of another log") || !strings.Contains(text, `"earliest":1,"latest":20,"resume":"/api/v1/`+resume+`"`) || !strings.Contains(text, `"vcenter":"vc1"`) {
			t.Errorf("%s: %s", c.query, text)
		}
	}
}

// A cursor without a tag, as a bare number, says nothing of the log that it is of.
func TestACursorOfThisLogOrOfNoneInParticularGoesOn(t *testing.T) {
	log := logOf(t, "vc1", instanceA, 20)
	_ = log.SetOrigin(t.Context(), instanceB, 1) // as another vCenter does whose events follow in this log
	base := serveAll(t, vcentersOf(log))
	for _, cursor := range []string{"vc1.18." + tagA, "vc1.18", "18"} {
		page, h := readPage(t, base+"/api/v1/events?cursor="+cursor)
		if !slices.Equal(page, []string{"vc1.19", "vc1.20"}) || h.Get("Stream-Next-Cursor") != "vc1.20."+tagA {
			t.Errorf("after %s come %v, %v", cursor, page, h)
		}
	}
	for _, cursor := range []string{"vc1.3." + tagA, "vc1.3", "3"} {
		if page, _ := readPage(t, base+"/api/v1/events?before="+cursor); !slices.Equal(page, []string{"vc1.1", "vc1.2"}) {
			t.Errorf("before %s come %v", cursor, page)
		}
	}
}

func TestEveryCursorThatIsToldNamesItsLog(t *testing.T) {
	base := serveAll(t, vcentersOf(logOf(t, "vc1", instanceA, 20), logOf(t, "vc2", instanceB, 20), memlog.New(10, 1<<30)))
	both := func(first, second int) string { return fmt.Sprintf("vc1.%d.%s~vc2.%d.%s", first, tagA, second, tagB) }
	for query, want := range map[string][]string{ // Stream-Next-Cursor, next, prev
		"offset=earliest&limit=4": {both(2, 2), both(2, 2), ""},
		"cursor=vc1.4~vc2.4":      {both(20, 20), both(20, 20), both(5, 5)},
		"limit=4":                 {both(20, 20), both(20, 20), both(19, 19)},
		"before=vc1.9~vc2.9":      {both(8, 8), both(8, 8), ""},
	} {
		_, h := readPage(t, base+"/api/v1/events?"+query)
		next, prev := linkOf(h, "next"), linkOf(h, "prev")
		if got := h.Get("Stream-Next-Cursor"); got != want[0] || !strings.Contains(next, "cursor="+strings.ReplaceAll(want[1], "~", "%7E")) && !strings.Contains(next, "cursor="+want[1]) ||
			(prev == "") != (want[2] == "") || !strings.Contains(prev, strings.ReplaceAll(want[2], "~", "%7E")) && !strings.Contains(prev, want[2]) {
			t.Errorf("%s: %s, links to %s and %s", query, got, next, prev)
		}
		if h.Get("Stream-Earliest") != both(1, 1) || h.Get("Stream-Latest") != both(20, 20) {
			t.Errorf("%s: the logs hold %s to %s", query, h.Get("Stream-Earliest"), h.Get("Stream-Latest"))
		}
	}
	w := openWatch(t, http.DefaultClient, base+"/api/v1/events?format=sse&cursor=vc1.19~vc2.19&limit=2")
	if got := w.res.Header.Get("Stream-Next-Cursor"); got != both(19, 19) {
		t.Errorf("a watch begins at %s", got)
	}
	for _, want := range []string{both(19, 19), both(20, 19), both(20, 20), both(20, 20)} {
		b, ok := w.block()
		if !ok || b.id != want || b.event == "bookmark" && b.data.Data.Cursor != want {
			t.Errorf("at %s came %+v", want, b)
		}
	}
}

// While a vCenter has not answered yet, nobody knows whose log it will be. A reader keeps the
// tag it came with, and is told as soon as that is known.
func TestALogThatNobodyKnowsYetMayTurnOutToBeAnother(t *testing.T) {
	for _, c := range []struct {
		instance string
		told     bool
	}{{instanceA, false}, {instanceB, true}, {"", false}} {
		synctest.Test(t, func(t *testing.T) {
			listener := newPipes()
			log := memlog.New(100, 1<<30)
			all := vcentersOf(log)
			all[0].Status = func() vstream.Status { return vstream.Status{State: vstream.Connecting} }
			stop := run(t, &Server{Listener: listener, VCenters: all, WatchMaxAge: time.Hour})
			client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
			w := openWatch(t, client, "http://server/api/v1/events?format=sse&cursor=vc1.9."+tagA)
			if b, _ := w.block(); b.data.Data.Reason != "start" || b.id != "vc1.9."+tagA || w.res.Header.Get("Stream-Next-Cursor") != b.id {
				t.Errorf("it begins with %+v", b)
			}
			if b, _ := w.block(); b.data.Data.Reason != "idle" || b.id != "vc1.9."+tagA {
				t.Errorf("while nobody knows came %+v", b)
			}
			_ = log.SetOrigin(t.Context(), c.instance, 0)
			appendTo(t, log, 8, 9, 10)
			b, _ := w.block()
			if told := b.event == "problem" && b.data.Data.Status == http.StatusConflict; told != c.told || !told && (b.data.ID != "10" || b.id != "vc1.10."+tagA) {
				t.Errorf("of %q came %+v", c.instance, b)
			}
			w.res.Body.Close()
			client.CloseIdleConnections()
			stop()
		})
	}
}

// A changing log is a log that can become another.
type changing struct {
	mu sync.Mutex
	vstream.Log
}

func (l *changing) now() vstream.Log {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Log
}

func (l *changing) become(log vstream.Log) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Log = log
}

func (l *changing) Tag() string                  { return l.now().Tag() }
func (l *changing) Range() (vstream.Range, bool) { return l.now().Range() }
func (l *changing) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	r, err := l.now().Open(ctx, p)
	return &changingReader{r, l, l.now(), vstream.At(1)}, err
}

// changingReader goes on by its offset when the log has become another, as one of natslog does.
type changingReader struct {
	vstream.Reader
	log    *changing
	of     vstream.Log
	wanted vstream.At
}

func (r *changingReader) Next(ctx context.Context) (events []vstream.Event, err error) {
	if now := r.log.now(); now != r.of {
		r.of = now
		if r.Reader, err = now.Open(ctx, r.wanted); err != nil {
			return nil, err
		}
	}
	events, err = r.Reader.Next(ctx)
	for i := range events {
		r.wanted = vstream.At(events[i].Offset + 1)
	}
	return events, err
}

func TestAWatchIsToldThatItsLogHasBecomeAnother(t *testing.T) {
	for _, form := range []string{"sse", "ndjson", "json"} {
		synctest.Test(t, func(t *testing.T) {
			listener := newPipes()
			first := logOf(t, "vc1", instanceA, 9)
			log := &changing{Log: first}
			stop := run(t, &Server{Listener: listener, VCenters: vcentersOf(log), WatchMaxAge: time.Hour})
			client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
			w := openWatch(t, client, "http://server/api/v1/events?watch=1&offset=9&format="+form)
			for w.lines.Scan() && !strings.Contains(w.lines.Text(), `"id":"9"`) {
			}
			synctest.Wait() // it has caught up
			log.become(logOf(t, "vc1", instanceB, 20))
			appendTo(t, first, 10) // which wakes it, as natslog does
			var rest []string
			for w.lines.Scan() {
				rest = append(rest, w.lines.Text())
			}
			if text := strings.Join(rest, "\n"); !strings.Contains(text, "problem:cursor-ahead") || !strings.Contains(text, "of another log") || strings.Contains(text, `"source":"vc1"`) {
				t.Errorf("as %s came %s", form, text)
			}
			client.CloseIdleConnections()
			stop()
		})
	}
}

// Of a log that has held nothing, a reader has seen nothing: it gets all of the next one.
func TestAWatchOfAnEmptyLogGetsAllOfTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		first := logOf(t, "vc1", instanceA, 0)
		log := &changing{Log: first}
		stop := run(t, &Server{Listener: listener, VCenters: vcentersOf(log), WatchMaxAge: time.Hour})
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		w := openWatch(t, client, "http://server/api/v1/events?format=sse&offset=earliest&limit=3")
		synctest.Wait()
		log.become(logOf(t, "vc1", instanceB, 3))
		appendTo(t, first, 10) // which wakes it
		var ids []string
		for b, ok := w.block(); ok; b, ok = w.block() {
			ids = append(ids, b.id)
		}
		if text := strings.Join(ids, " "); !strings.HasSuffix(text, fmt.Sprintf("~ vc1.1.%[1]s vc1.2.%[1]s vc1.3.%[1]s vc1.3.%[1]s", tagB)) {
			t.Errorf("it got %s", text)
		}
		client.CloseIdleConnections()
		stop()
	})
}
