package httpapi

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// A block is one of server-sent events, as a client reads it.
type block struct {
	event, id, retry string
	data             line
}

type line struct {
	ID, Type, Source, EventClass string
	Data                         struct {
		Cursor, Reason, Detail, Resume string
		UpToDate                       bool
		Earliest, Latest               *int64
		Ranges                         map[string]vstream.Range
		Status                         int
	}
}

// reading is an open stream, read line by line.
type reading struct {
	t     *testing.T
	res   *http.Response
	lines *bufio.Scanner
}

// watch opens a watch with these headers, in pairs.
func openWatch(t *testing.T, client *http.Client, url string, headers ...string) *reading {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for pair := range slices.Chunk(headers, 2) {
		req.Header.Set(pair[0], pair[1])
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		t.Fatalf("%s: %s %s", url, res.Status, text)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	return &reading{t, res, lines}
}

// block reads the next block; ok is false at a proper end.
func (r *reading) block() (b block, ok bool) {
	r.t.Helper()
	some := false
	for r.lines.Scan() {
		line := r.lines.Text()
		if line == "" {
			return b, true
		}
		some = true
		name, value, found := strings.Cut(line, ": ")
		switch {
		case name == "event" && found:
			b.event = value
		case name == "id" && found:
			b.id = value
		case name == "retry" && found:
			b.retry = value
		case name == "data" && found:
			if err := json.Unmarshal([]byte(value), &b.data); err != nil {
				r.t.Fatalf("%v in %q", err, value)
			}
		default:
			r.t.Fatalf("line %q", line)
		}
	}
	if err := r.lines.Err(); err != nil || some {
		r.t.Fatalf("the stream breaks off with %v", err)
	}
	return b, false
}

const sse = "text/event-stream"

func TestAnEventSourceGetsEventsAndBookmarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		log := memlog.New(100, 1<<30)
		appendTo(t, log, 1, 2, 3)
		stop := run(t, &Server{Listener: listener, VCenters: vcentersOf(log), WatchMaxAge: time.Hour})
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		w := openWatch(t, client, "http://server/api/v1/events?offset=2", "Accept", sse)
		h := w.res.Header
		if h.Get("Content-Type") != sse || h.Get("Cache-Control") != "no-store, no-transform" || h.Get("X-Accel-Buffering") != "no" ||
			h.Get("Stream-Earliest") != "1" || h.Get("Stream-Latest") != "3" || h.Get("Stream-Next-Cursor") != "vc1.1" {
			t.Errorf("headers are %v", h)
		}
		b, _ := w.block()
		if b.event != "bookmark" || b.id != "vc1.1" || !regexp.MustCompile(`^[1-3]\d{3}$`).MatchString(b.retry) || b.data.Type != "vstream.bookmark.v1" || b.data.EventClass != "control" ||
			b.data.Data.Cursor != "vc1.1" || b.data.Data.Reason != "start" || b.data.Data.UpToDate || *b.data.Data.Earliest != 1 || *b.data.Data.Latest != 3 {
			t.Errorf("at the start came %+v", b)
		}
		for _, o := range []string{"2", "3"} {
			if b, _ := w.block(); b.event != "" || b.id != "vc1."+o || b.data.ID != o {
				t.Errorf("event %s is %+v", o, b)
			}
		}
		if b, _ := w.block(); b.event != "bookmark" || b.data.Data.Reason != "caught-up" || b.id != "vc1.3" || !b.data.Data.UpToDate || b.retry != "" {
			t.Errorf("having caught up came %+v", b)
		}
		began := time.Now()
		for range 3 {
			if b, _ := w.block(); b.data.Data.Reason != "idle" || b.id != "vc1.3" || !b.data.Data.UpToDate {
				t.Errorf("while idle came %+v", b)
			}
		}
		if took := time.Since(began); took != 45*time.Second {
			t.Errorf("three bookmarks took %v", took)
		}
		appendTo(t, log, 4)
		if b, _ := w.block(); b.data.ID != "4" || b.id != "vc1.4" {
			t.Errorf("event 4 is %+v", b)
		}
		stopped := make(chan struct{})
		go func() {
			stop()
			close(stopped)
		}()
		if b, _ := w.block(); b.data.Data.Reason != "shutdown" || b.id != "vc1.4" {
			t.Errorf("at the stop came %+v", b)
		}
		if b, ok := w.block(); ok {
			t.Errorf("after the stop came %+v", b)
		}
		client.CloseIdleConnections()
		<-stopped
	})
}

// A watch whose filter matches nothing is told where it is, so that a resume does not look
// through again what it has looked through.
func TestTheCursorOfAWatchThatMatchesNothingAdvances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		log := memlog.New(100_000, 1<<30)
		counted := &countingLog{Log: log}
		stop := run(t, &Server{Listener: listener, VCenters: vcentersOf(counted), WatchMaxAge: 2 * time.Hour})
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		fill, filled := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(filled)
			for o := vstream.Offset(1); ; o++ {
				select {
				case <-fill:
					return
				case <-time.After(time.Second):
					appendTo(t, log, o)
				}
			}
		}()
		w := openWatch(t, client, "http://server/api/v1/events?type=Nothing", "Accept", sse)
		began, last, marks := time.Now(), "", 0
		for time.Since(began) < time.Hour {
			b, ok := w.block()
			if !ok || b.event != "bookmark" || b.id == last {
				t.Fatalf("after %v and %q came %+v", time.Since(began), last, b)
			}
			last = b.id
			marks++
		}
		if want := int(time.Hour / (15 * time.Second)); marks < want-2 || marks > want+2 {
			t.Errorf("%d bookmarks in an hour", marks)
		}
		w.res.Body.Close()
		close(fill)
		<-filled
		before := counted.read.Load()
		again := openWatch(t, client, "http://server/api/v1/events?type=Nothing", "Accept", sse, "Last-Event-ID", last)
		if b, _ := again.block(); b.data.Data.Reason != "start" {
			t.Errorf("the resume began with %+v", b)
		}
		if n := counted.read.Load() - before; n > 20 {
			t.Errorf("the resume looked through %d events", n)
		}
		again.res.Body.Close()
		client.CloseIdleConnections()
		stop()
	})
}

func TestLinesHaveBookmarksForThoseWhoAskAndNothingElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		log := memlog.New(100, 1<<30)
		appendTo(t, log, 1)
		stop := run(t, &Server{Listener: listener, VCenters: vcentersOf(log), WatchMaxAge: time.Hour})
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		for query, want := range map[string]string{
			"watch=true&offset=1&timeoutSeconds=8":                                           "1",
			"watch=true&offset=1&timeoutSeconds=20&format=ndjson":                            "1",
			"watch=true&offset=1&timeoutSeconds=8&format=ndjson&bookmarks=true&heartbeat=3s": "start 1 caught-up idle idle close",
			"watch=true&offset=now&timeoutSeconds=8&format=ndjson&bookmarks=1":               "start close",
			"watch=true&offset=1&limit=1&format=ndjson&bookmarks=true":                       "start 1 close",
		} {
			w := openWatch(t, client, "http://server/api/v1/events?"+query)
			var got []string
			for w.lines.Scan() {
				var r line
				if err := json.Unmarshal(w.lines.Bytes(), &r); err != nil {
					t.Fatal(err)
				}
				if r.EventClass == "control" {
					got = append(got, r.Data.Reason)
				} else {
					got = append(got, r.ID)
				}
			}
			if text := strings.Join(got, " "); strings.TrimSuffix(text, " idle close") != strings.TrimSuffix(want, " idle close") && text != want || w.lines.Err() != nil {
				t.Errorf("%s: got %s, want %s; %v", query, text, want, w.lines.Err())
			}
		}
		client.CloseIdleConnections()
		stop()
	})
}

// countingLog counts the events that are read.
type countingLog struct {
	vstream.Log
	read atomic.Int64
}

func (l *countingLog) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	r, err := l.Log.Open(ctx, p)
	return countingReader{r, l}, err
}

type countingReader struct {
	vstream.Reader
	log *countingLog
}

func (r countingReader) Next(ctx context.Context) ([]vstream.Event, error) {
	events, err := r.Reader.Next(ctx)
	r.log.read.Add(int64(len(events)))
	return events, err
}

// Several vCenters are merged, and a reader that comes again with the cursor of any event
// gets all that follow, of each, once.
func TestAMergedWatchGoesOnAtEachOfItsCursors(t *testing.T) {
	first, second := memlog.New(1000, 1<<30), memlog.New(1000, 1<<30)
	for o := vstream.Offset(1); o <= 30; o++ {
		log, name := first, "vc1"
		if o%3 == 0 {
			log, name = second, "vc2"
		}
		_ = log.Append(t.Context(), []vstream.Event{event(name, o*10, "T")})
	}
	_ = first.Append(t.Context(), []vstream.Event{event("vc1", 285, "T")}) // late
	base := serveAll(t, vcentersOf(first, second))
	read := func(url string, headers ...string) (events, cursors []string) {
		w := openWatch(t, http.DefaultClient, base+url, headers...)
		defer w.res.Body.Close()
		for {
			b, ok := w.block()
			if !ok || b.data.Data.UpToDate {
				return events, cursors
			}
			if b.event == "" {
				events = append(events, b.data.Source+"."+b.data.ID)
				cursors = append(cursors, b.id)
			}
		}
	}
	all, cursors := read("/api/v1/events?offset=earliest", "Accept", sse)
	if len(all) != 31 || !slices.Contains(cursors, "vc1.100~vc2.90") || cursors[0] != "vc1.10~vc2.29" {
		t.Fatalf("read %v with %v", all, cursors)
	}
	for i, cursor := range cursors {
		for _, from := range [][]string{{"/api/v1/events?offset=now", "Accept", sse, "Last-Event-ID", cursor}, {"/api/v1/events?watch=1&cursor=" + cursor, "Accept", sse}} {
			rest, _ := read(from[0], from[1:]...)
			for _, name := range []string{"vc1", "vc2"} {
				of := func(events []string) []string {
					return slices.DeleteFunc(slices.Clone(events), func(e string) bool { return !strings.HasPrefix(e, name) })
				}
				if !slices.Equal(of(rest), of(all[i+1:])) {
					t.Errorf("after %s: %v, want %v", cursor, rest, all[i+1:])
				}
			}
		}
	}
}

func TestACursorBeyondTheLogIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		log, filling := memlog.New(100, 1<<30), memlog.New(100, 1<<30)
		appendTo(t, log, 1, 2, 3)
		all := vcentersOf(log, filling)
		var state atomic.Value
		state.Store(vstream.Collecting)
		all[1].Status = func() vstream.Status { return vstream.Status{State: state.Load().(vstream.State)} }
		stop := run(t, &Server{Listener: listener, VCenters: all, WatchMaxAge: time.Hour})
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		ask := func(query string) string {
			res, err := client.Get("http://server/api/v1/" + query)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			text, _ := io.ReadAll(res.Body)
			return fmt.Sprint(res.StatusCode, " ", string(text))
		}
		for _, query := range []string{"events?cursor=vc1.9", "events?watch=true&cursor=vc1.9", "vcenters/vc1/events?cursor=9", "events?watch=true&format=sse&cursor=vc1.9~vc2.7"} {
			if text := ask(query); !strings.HasPrefix(text, "409 ") || !strings.Contains(text, "problem:cursor-ahead") || !strings.Contains(text, `"latest":3`) {
				t.Errorf("%s: %s", query, text)
			}
		}
		// A log that is being filled again after a restart gets there, and holds up nobody.
		state.Store(vstream.Connecting)
		appendTo(t, filling, 1)
		began := time.Now()
		if text := ask("vcenters/vc2/events?cursor=9"); text != "200 []" || time.Since(began) > 0 {
			t.Errorf("of a log that is yet to be filled: %s after %v", text, time.Since(began))
		}
		for _, query := range []string{"vcenters/vc2/events?format=sse&cursor=9", "events?format=sse&cursor=vc1.2~vc2.9"} {
			w := openWatch(t, client, "http://server/api/v1/"+query)
			merged := strings.HasPrefix(query, "events")
			if b, _ := w.block(); b.data.Data.Reason != "start" || b.data.Data.UpToDate || b.id != strings.TrimPrefix(query[strings.Index(query, "cursor=")+7:], "9") && b.id != "vc2.9" {
				t.Errorf("%s: at the start came %+v", query, b)
			}
			if merged {
				if b, _ := w.block(); b.data.ID != "3" {
					t.Errorf("%s: the other log is held up: %+v", query, b)
				}
			}
			if b, _ := w.block(); b.data.Data.Reason != "idle" || b.data.Data.UpToDate {
				t.Errorf("%s: while the log is filled came %+v", query, b)
			}
			w.res.Body.Close()
		}
		go func() {
			time.Sleep(3 * time.Second)
			appendTo(t, filling, 8)
			time.Sleep(3 * time.Second)
			appendTo(t, filling, 9, 10)
		}()
		if text := ask("vcenters/vc2/events?cursor=9&wait=20"); text != `200 [{"specversion":"1.0","id":"10","source":"s","type":"t"}]` {
			t.Errorf("while the log is filled: %s", text)
		}
		// One that turns out to be another is told in mid-stream.
		w := openWatch(t, client, "http://server/api/v1/vcenters/vc2/events?format=sse&cursor=99")
		if b, _ := w.block(); b.data.Data.Reason != "start" || b.data.Data.UpToDate {
			t.Errorf("at the start came %+v", b)
		}
		state.Store(vstream.Collecting)
		if b, _ := w.block(); b.data.Data.Reason != "idle" {
			t.Errorf("while it waits came %+v", b)
		}
		if b, _ := w.block(); b.event != "problem" || b.data.Data.Status != 409 {
			t.Errorf("of a log that ends before the cursor came %+v", b)
		}
		if b, ok := w.block(); ok {
			t.Errorf("and then %+v", b)
		}
		client.CloseIdleConnections()
		stop()
	})
}

// Until an offset that is still to come is there, it is no place to come again to.
func TestTheCursorOfAnOffsetToComeIsWhereTheLogIs(t *testing.T) {
	log := memlog.New(10, 1<<30)
	appendTo(t, log, 1, 2, 3)
	base := serveAll(t, vcentersOf(log, memlog.New(10, 1<<30)))
	page, h := readPage(t, base+"/api/v1/vcenters/vc1/events?offset=100")
	if next := h.Get("Stream-Next-Cursor"); len(page) > 0 || next != "vc1.3" {
		t.Errorf("the page is %v, and goes on at %s", page, next)
	}
	readPage(t, base+linkOf(h, "next"))
	if next := get(t, base+"/api/v1/vcenters/vc2/events?watch=true&offset=100").Header.Get("Stream-Next-Cursor"); next != "~" {
		t.Errorf("a watch of an empty log begins at %s", next)
	}
}

func TestAWatchOfSomeTimeEndsWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		first, second := memlog.New(100, 1<<30), memlog.New(100, 1<<30)
		stop := run(t, &Server{Listener: listener, VCenters: vcentersOf(first, second), WatchMaxAge: 30 * time.Hour})
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		until := time.Now().Add(time.Hour)
		w := openWatch(t, client, "http://server/api/v1/events?watch=true&until="+until.UTC().Format(time.RFC3339))
		now := func(name string, o vstream.Offset) vstream.Event {
			e := event(name, o, "T")
			e.Time = time.Now()
			return e
		}
		go func() {
			_ = first.Append(t.Context(), []vstream.Event{now("vc1", 1)})
			time.Sleep(time.Hour + time.Second)
			_ = first.Append(t.Context(), []vstream.Event{now("vc1", 2)})
		}()
		if text, err := io.ReadAll(w.res.Body); err != nil || string(text) != string(event("vc1", 1, "T").JSON)+"\n" {
			t.Errorf("got %s, %v", text, err)
		}
		if late := time.Since(until); late < 0 || late > time.Minute {
			t.Errorf("it ended %v after its time", late)
		}
		client.CloseIdleConnections()
		stop()
	})
}

func TestAWatchThatIsOneTooManyIsRefused(t *testing.T) {
	listener := newPipes()
	admitted := make(chan struct{}, 1)
	stop := run(t, &Server{Listener: listener, VCenters: vcentersOf(memlog.New(10, 1<<30)), WatchMaxAge: time.Hour,
		Admit: func(*http.Request, func()) (func(), bool) {
			select {
			case admitted <- struct{}{}:
				return func() { <-admitted }, true
			default:
				return nil, false
			}
		}})
	defer stop()
	client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
	defer client.CloseIdleConnections()
	w := openWatch(t, client, "http://server/api/v1/events?watch=true")
	for query, status := range map[string]int{"watch=true": 429, "wait=1": 429, "format=sse": 200} { // which comes again
		res, err := client.Get("http://server/api/v1/events?" + query)
		if err != nil {
			t.Fatal(err)
		}
		text := body(t, res)
		if res.Body.Close(); res.StatusCode != status || status == 429 && res.Header.Get("Retry-After") == "" || !strings.Contains(text, "too-many-watches") {
			t.Errorf("%s: %s %v %s", query, res.Status, res.Header, text)
		}
	}
	w.res.Body.Close()
	for len(admitted) > 0 {
		time.Sleep(time.Millisecond)
	}
}

func TestStreamsAreServedByHTTP2WithoutTLS(t *testing.T) {
	log := memlog.New(10, 1<<30)
	appendTo(t, log, 1)
	base := serveAll(t, vcentersOf(log))
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	w := openWatch(t, &http.Client{Transport: transport}, base+"/api/v1/events?watch=true&offset=1")
	if w.lines.Scan(); w.res.ProtoMajor != 2 || !strings.Contains(w.lines.Text(), `"id":"1"`) {
		t.Errorf("HTTP/%d: %s", w.res.ProtoMajor, w.lines.Text())
	}
}

// HTTP/2 has two ways to take nothing: not to read what comes, and to read but permit no
// more of a response to come.
func TestAnHTTP2ClientThatTakesNothingIsCutOffAndOneThatIsIdleIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		log := memlog.New(10, 1<<30)
		appendTo(t, log, 1)
		var watches atomic.Int64
		stop := run(t, &Server{Listener: listener, VCenters: only(log), WatchMaxAge: 24 * time.Hour, Admit: func(*http.Request, func()) (func(), bool) {
			watches.Add(1)
			return func() { watches.Add(-1) }, true
		}})
		protocols := new(http.Protocols)
		protocols.SetUnencryptedHTTP2(true)
		transport := &http.Transport{Protocols: protocols, DialContext: listener.dial}
		idle := openWatch(t, &http.Client{Transport: transport}, "http://server/api/v1/events?watch=true")
		var all sync.WaitGroup
		connect := func() net.Conn {
			c, err := listener.dial(t.Context(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			all.Go(func() { _, _ = c.Write([]byte(http2Streams(2))) })
			return c
		}
		unread, ungranted := connect(), connect()
		all.Go(func() { _, _ = io.Copy(io.Discard, ungranted) })
		time.Sleep(time.Second)
		if n := watches.Load(); n != 5 {
			t.Errorf("there are %d watches, want 5", n)
		}
		time.Sleep(2 * writeTimeout)
		if n := watches.Load(); n != 1 {
			t.Errorf("%d watches go on, want 1", n)
		}
		if _, err := unread.Write(http2Frame(6, 0, 0, make([]byte, 8))); err == nil {
			t.Error("the client that reads nothing is still connected")
		}
		appendTo(t, log, 2)
		if idle.lines.Scan(); !strings.Contains(idle.lines.Text(), `"id":"2"`) {
			t.Errorf("the idle client got %q, %v", idle.lines.Text(), idle.lines.Err())
		}
		unread.Close()
		ungranted.Close()
		idle.res.Body.Close()
		transport.CloseIdleConnections()
		stop()
		all.Wait()
	})
}

// http2Begin is how a client begins that lets the server send nothing but headers.
func http2Begin() []byte {
	const initialWindowSize = 4
	text := []byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	text = append(text, http2Frame(4, 0, 0, []byte{0, initialWindowSize, 0, 0, 0, 0})...)
	return append(text, http2Frame(4, 1, 0, nil)...) // those of the server are as well as known
}

// http2Streams begins n watches, and grants none a byte.
func http2Streams(n int) string {
	const path = "/api/v1/events?watch=true&offset=earliest"
	text := http2Begin()
	for i := range n {
		// As HPACK has it: GET and http by their indexes; path and authority in plain letters.
		block := append([]byte{0x82, 0x86, 0x04, byte(len(path))}, path...)
		block = append(append(block, 0x01, 1), 's')
		const endOfStream, endOfHeaders = 1, 4
		text = append(text, http2Frame(1, endOfStream|endOfHeaders, uint32(2*i+1), block)...)
	}
	return string(text)
}

// http2Pings asks for n answers.
func http2Pings(n int) string {
	text := http2Begin()
	for range n {
		text = append(text, http2Frame(6, 0, 0, make([]byte, 8))...)
		text = append(text, http2Frame(4, 0, 0, nil)...)
	}
	return string(text)
}

func http2Frame(kind, flags byte, stream uint32, payload []byte) []byte {
	head := binary.BigEndian.AppendUint32(nil, uint32(len(payload))<<8|uint32(kind))
	return append(binary.BigEndian.AppendUint32(append(head, flags), stream), payload...)
}
