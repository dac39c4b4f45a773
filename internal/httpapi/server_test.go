package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"vstream"
	"vstream/internal/index"
	"vstream/internal/memlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// only makes log that of the only vCenter, of which nothing is known.
func only(log vstream.Log) []VCenter {
	return []VCenter{vcenter("vc1", log, vstream.Status{})}
}

// vcenter is one whose index nobody runs, so that it knows nothing.
func vcenter(name string, log vstream.Log, status vstream.Status) VCenter {
	return VCenter{
		Name: name, Log: log,
		Status: func() vstream.Status { return status },
		Index:  &index.Index{Log: log, MaxRows: 1 << 20, Logger: slog.New(slog.DiscardHandler)},
		Types:  func() []vstream.EventType { return nil },
	}
}

// serve runs a server over log until the test ends and returns its base URL.
func serve(t *testing.T, log vstream.Log) string {
	t.Helper()
	return serveAll(t, only(log))
}

// serveAll is serve for several vCenters.
func serveAll(t *testing.T, all []VCenter) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(run(t, &Server{Listener: listener, VCenters: all, WatchMaxAge: time.Hour}))
	return "http://" + listener.Addr().String()
}

// run starts s and returns what stops it and waits for it.
func run(t *testing.T, s *Server) (stop func()) {
	t.Helper()
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		http.DefaultClient.CloseIdleConnections()
	})
}

func get(t *testing.T, url string) *http.Response {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}

func body(t *testing.T, res *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBadParametersAreRefusedBeforeAnythingIsSent(t *testing.T) {
	log := memlog.New(10, 1<<30)
	for o := vstream.Offset(1); o <= 63; o++ {
		appendTo(t, log, o)
	}
	base := serve(t, log)
	for _, c := range []struct {
		url    string
		status int
		slug   string
		detail string // part of it
	}{
		{"/api/v1/events?offset=abc", 400, "invalid-parameter", `invalid offset: "abc" is neither a number nor earliest, latest or now`},
		{"/api/v1/events?offset=EARLIEST", 400, "invalid-parameter", "neither a number nor earliest, latest or now"},
		{"/api/v1/events?offset=-2", 400, "invalid-parameter", "invalid offset: -2 is negative"},
		{"/api/v1/events?offset=9223372036854775808", 400, "invalid-parameter", "invalid offset"},
		{"/api/v1/events?offset=" + strings.Repeat("9", 5000), 400, "invalid-parameter", "invalid offset"},
		{"/api/v1/events?offset=1.5", 400, "invalid-parameter", "invalid offset"},
		{"/api/v1/events?offset=60&offset=61", 400, "invalid-parameter", "invalid offset: given 2 times"},
		{"/api/v1/events/latest", 400, "invalid-parameter", "/api/v1/events?offset=latest"},
		{"/api/v1/vcenters?verbose=1", 400, "unknown-parameter", `"verbose"`},
		{"/api/v1/vcenters/vc2/range", 404, "not-found", `did you mean "vc1"?`},
		{"/api/v1/vcenters/somewhere-else/events", 404, "not-found", "/api/v1/vcenters lists"},
		{"/api/v1/vcenters/vc1", 404, "not-found", ""},
		{"/api/v1/events?watch=foo", 400, "invalid-parameter", `"foo" is neither true nor false`},
		{"/api/v1/events?watch=TRUE", 400, "invalid-parameter", "neither true nor false"},
		{"/api/v1/events?ofset=44", 400, "unknown-parameter", `did you mean "offset"?`},
		{"/api/v1/events?zzz=44", 400, "unknown-parameter", "known are watch, offset"},
		{"/api/v1/events?watch=true&offset=%zz", 400, "invalid-parameter", "query string"},
		{"/api/v1/range?watch=true", 400, "unknown-parameter", `"watch"`},
		{"/api/v1/events?offset=44", 410, "offset-expired", "invalid offset: 44 is older than the log, which holds 54 to 63"},
		{"/api/v1/events?watch=true&offset=53", 410, "offset-expired", "invalid offset"},
		{"/api/v1/events/53", 410, "offset-expired", "invalid offset"},
		{"/api/v1/events/0", 410, "offset-expired", "invalid offset"},
		{"/api/v1/events/64", 404, "event-not-found", "invalid offset: 64 is in the future, the log ends at 63"},
		{"/api/v1/events/-1", 400, "invalid-parameter", "invalid offset"},
		{"/api/v1/events/9223372036854775808", 400, "invalid-parameter", "invalid offset"},
		{"/api/v2/events", 404, "not-found", "/api/v1/events"},
		{"/favicon.ico", 404, "not-found", ""},
	} {
		res := get(t, base+c.url)
		text := body(t, res)
		var p struct {
			Type, Title, Detail string
			Status              int
		}
		if err := json.Unmarshal([]byte(text), &p); err != nil {
			t.Errorf("%.80s: %v in %q", c.url, err, text)
			continue
		}
		if res.StatusCode != c.status || p.Status != c.status || p.Type != "urn:vstream:problem:"+c.slug ||
			!strings.Contains(p.Detail, c.detail) || p.Title == "" || len(text) > 1000 {
			t.Errorf("%.80s: %d %s\nwant %d %s with %q", c.url, res.StatusCode, text, c.status, c.slug, c.detail)
		}
	}
}

func TestAnExpiredOffsetSaysWhatIsMissingAndWhereToGoOn(t *testing.T) {
	log := memlog.New(10, 1<<30)
	for o := vstream.Offset(44); o <= 63; o++ {
		appendTo(t, log, o)
	}
	base := serve(t, log)
	text := body(t, get(t, base+"/api/v1/events?watch=true&offset=44"))
	var p struct {
		Requested, Earliest, Latest, Missed int64
		Resume                              string
	}
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	if p.Requested != 44 || p.Earliest != 54 || p.Latest != 63 || p.Missed != 10 {
		t.Errorf("problem is %s", text)
	}
	lines := bufio.NewScanner(get(t, base+p.Resume).Body)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"id":"54"`) {
		t.Errorf("resuming at %s gave %q", p.Resume, lines.Text())
	}
}

func TestAPageHasTheLastFiftyOrFiftyFromItsOffset(t *testing.T) {
	log := memlog.New(1000, 1<<30)
	for o := vstream.Offset(1); o <= 200; o++ {
		appendTo(t, log, o*2)
	}
	base := serve(t, log)
	for _, c := range []struct {
		query       string
		n           int
		first, last string
	}{
		{"", 50, "302", "400"},
		{"?offset=", 50, "302", "400"},
		{"?_=17&watch=", 50, "302", "400"},
		{"?offset=101", 50, "102", "200"},
		{"?offset=390", 6, "390", "400"},
		{"?offset=earliest", 50, "2", "100"},
		{"?offset=latest", 1, "400", "400"},
		{"?offset=now", 0, "", ""},
		{"?offset=-1", 0, "", ""},
		{"?offset=9223372036854775807", 0, "", ""},
	} {
		res := get(t, base+"/api/v1/events"+c.query)
		var page []struct{ ID string }
		if err := json.NewDecoder(res.Body).Decode(&page); err != nil {
			t.Fatalf("%s: %v", c.query, err)
		}
		if res.StatusCode != 200 || len(page) != c.n {
			t.Errorf("%s: %d with %d events, want 200 with %d", c.query, res.StatusCode, len(page), c.n)
			continue
		}
		if c.n > 0 && (page[0].ID != c.first || page[c.n-1].ID != c.last) {
			t.Errorf("%s: %s to %s, want %s to %s", c.query, page[0].ID, page[c.n-1].ID, c.first, c.last)
		}
	}
}

func TestAnEventHasTheSameBytesInThePageAloneAndInAWatch(t *testing.T) {
	log := memlog.New(10, 1<<30)
	event := vstream.Event{Offset: 44, JSON: []byte(`{"specversion":"1.0","id":"44","data":{"a":"\u003c\"é"}}`)}
	if err := log.Append(t.Context(), []vstream.Event{event}); err != nil {
		t.Fatal(err)
	}
	base := serve(t, log)
	if got := body(t, get(t, base+"/api/v1/events")); got != "["+string(event.JSON)+"]" {
		t.Errorf("page is %s", got)
	}
	if got := body(t, get(t, base+"/api/v1/events/44")); got != string(event.JSON) {
		t.Errorf("event is %s", got)
	}
	line, err := bufio.NewReader(get(t, base+"/api/v1/events?watch=true&offset=44").Body).ReadString('\n')
	if err != nil || line != string(event.JSON)+"\n" {
		t.Errorf("line is %s, %v", line, err)
	}
}

func TestAWatchSendsItsHeadersBeforeThereIsAnEventAndThenEachEventOnce(t *testing.T) {
	log := memlog.New(1000, 1<<30)
	base := serve(t, log)
	for _, offset := range []string{"", "&offset=1", "&offset=now", "&offset=earliest"} {
		res := get(t, base+"/api/v1/events?watch=true"+offset) // returns with the headers
		if res.StatusCode != 200 || res.Header.Get("Content-Type") != "application/json" ||
			res.Header.Get("Cache-Control") != "no-store, no-transform" || res.Header.Get("X-Accel-Buffering") != "no" ||
			res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%q: %d %v", offset, res.StatusCode, res.Header)
		}
	}
	res := get(t, base+"/api/v1/events?watch=true")
	go func() {
		for o := vstream.Offset(1); o <= 500; o++ {
			appendTo(t, log, o)
		}
	}()
	lines := bufio.NewScanner(res.Body)
	for o := 1; o <= 500; o++ {
		if !lines.Scan() || !strings.Contains(lines.Text(), fmt.Sprintf(`"id":"%d"`, o)) {
			t.Fatalf("line %d is %q, %v", o, lines.Text(), lines.Err())
		}
	}
}

func TestHeadOfAWatchDoesNotWait(t *testing.T) {
	base := serve(t, memlog.New(10, 1<<30))
	res, err := http.Head(base + "/api/v1/events?watch=true")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != 200 || res.Header.Get("X-Accel-Buffering") != "no" {
		t.Errorf("HEAD answered %d %v", res.StatusCode, res.Header)
	}
}

func TestProbesAnswerWhileTheLogIsEmpty(t *testing.T) {
	base := serve(t, memlog.New(10, 1<<30))
	for _, path := range []string{"/healthz", "/readyz", "/", "/api/v1/vcenters"} {
		if res := get(t, base+path); res.StatusCode != 200 {
			t.Errorf("%s answered %d", path, res.StatusCode)
		}
	}
}

func TestAServerWhoseLogsAreNotOpenLivesButIsNotReady(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open atomic.Bool
	s := &Server{Listener: listener, VCenters: only(memlog.New(10, 1<<30)), WatchMaxAge: time.Hour, Logger: slog.New(slog.DiscardHandler),
		Ready: func() error {
			if open.Load() {
				return nil
			}
			return errors.New("not yet")
		}}
	defer run(t, s)()
	status := func(path string) int {
		res := get(t, "http://"+listener.Addr().String()+path)
		body(t, res)
		return res.StatusCode
	}
	if live, ready := status("/healthz"), status("/readyz"); live != http.StatusOK || ready != http.StatusServiceUnavailable {
		t.Errorf("before: /healthz %d, /readyz %d", live, ready)
	}
	open.Store(true)
	if ready := status("/readyz"); ready != http.StatusOK {
		t.Errorf("after: /readyz %d", ready)
	}
}

func TestAStopEndsEveryWatchProperly(t *testing.T) {
	log := memlog.New(10, 1<<30)
	appendTo(t, log, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, &Server{Listener: listener, VCenters: only(log), WatchMaxAge: time.Hour})
	var watches []*http.Response
	for range 50 {
		watches = append(watches, get(t, "http://"+listener.Addr().String()+"/api/v1/events?watch=true&offset=1"))
	}
	stop()
	for _, w := range watches {
		if text, err := io.ReadAll(w.Body); err != nil || strings.Count(string(text), "\n") != 1 {
			t.Fatalf("watch ended with %v after %q", err, text) // without a final chunk: unexpected EOF
		}
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("the port still takes connections")
	}
}

func TestAWatchThatRetentionOvertookIsToldAndEnds(t *testing.T) {
	log := memlog.New(10, 1<<30)
	appendTo(t, log, 1)
	reader, err := log.Open(t.Context(), vstream.At(1))
	if err != nil {
		t.Fatal(err)
	}
	for o := vstream.Offset(2); o <= 100; o++ {
		appendTo(t, log, o)
	}
	s := &Server{VCenters: only(log), WatchMaxAge: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	var out bytes.Buffer
	r, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/events?watch=true&offset=1", nil)
	q, err := queryOf(r, []*VCenter{&s.VCenters[0]})
	if err != nil {
		t.Fatal(err)
	}
	q.from = opened{reader}
	if err := s.getWatch(context.Background(), q, &plainWriter{Buffer: &out}, r); err != nil {
		t.Fatal(err)
	}
	var rec struct {
		SpecVersion, ID, Source, Type, EventClass string
		Data                                      struct {
			Requested, Earliest, Latest, Missed int64
			Resume                              string
		}
	}
	if err := json.Unmarshal(out.Bytes(), &rec); err != nil {
		t.Fatalf("%v in %q", err, out.String())
	}
	if rec.Type != "vstream.problem.v1" || rec.EventClass != "control" || rec.SpecVersion != "1.0" || rec.ID == "" ||
		rec.Data.Requested != 1 || rec.Data.Earliest != 91 || rec.Data.Latest != 100 || rec.Data.Missed != 90 {
		t.Errorf("record is %s", out.String())
	}
}

// opened is a place in a log where a reader is already.
type opened struct{ vstream.Reader }

func (o opened) open(_ context.Context, v *VCenter) (*source, error) {
	return &source{vcenter: v, reader: o.Reader, done: -1}, nil
}

type plainWriter struct {
	*bytes.Buffer
	header http.Header
}

func (w *plainWriter) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}
func (w *plainWriter) WriteHeader(int) {}
func (w *plainWriter) Flush()          {}

// pipes is a listener whose connections live in memory, so that a bubble's clock rules
// their deadlines.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func TestAWatchEndsAtARandomMomentInTheLastFifthOfItsAge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		log := memlog.New(10, 1<<30)
		stop := run(t, &Server{Listener: listener, VCenters: only(log), WatchMaxAge: 30 * time.Minute})
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		ends := map[time.Duration]bool{}
		for range 5 {
			began := time.Now()
			res, err := client.Get("http://server/api/v1/events?watch=true")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadAll(res.Body); err != nil {
				t.Errorf("no proper end: %v", err)
			}
			res.Body.Close()
			lasted := time.Since(began)
			if lasted < 24*time.Minute || lasted > 30*time.Minute {
				t.Errorf("a watch lasted %v, want 24 to 30 minutes", lasted)
			}
			ends[lasted] = true
		}
		if len(ends) < 4 {
			t.Errorf("watches end together: %v", ends)
		}
		client.CloseIdleConnections()
		stop()
	})
}

func TestAClientThatTakesNothingIsCutOffAndOneThatIsIdleIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		log := memlog.New(10, 1<<30)
		stop := run(t, &Server{Listener: listener, VCenters: only(log), WatchMaxAge: 24 * time.Hour})
		stuck, err := listener.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		idle, err := client.Get("http://server/api/v1/events?watch=true")
		if err != nil {
			t.Fatal(err)
		}
		lines := make(chan string, 1)
		go func() { // a pipe buffers nothing: whoever is idle still has to be reading
			line, _ := bufio.NewReader(idle.Body).ReadString('\n')
			lines <- line
		}()
		fmt.Fprint(stuck, "GET /api/v1/events?watch=true HTTP/1.1\r\nHost: server\r\n\r\n")
		if _, err := stuck.Read(make([]byte, 4096)); err != nil { // the headers, and then no more
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour) // the bubble's
		appendTo(t, log, 1)
		time.Sleep(2 * writeTimeout)
		if _, err := stuck.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("the stuck client is still connected: %v", err)
		}
		if line := <-lines; !strings.Contains(line, `"id":"1"`) {
			t.Errorf("the idle client got %q", line)
		}
		idle.Body.Close()
		client.CloseIdleConnections()
		stop()
	})
}

func TestAStopDoesNotWaitForAClientThatTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		log := memlog.New(10, 1<<30)
		stop := run(t, &Server{Listener: listener, VCenters: only(log), WatchMaxAge: time.Hour})
		stuck, err := listener.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(stuck, "GET /api/v1/events?watch=true HTTP/1.1\r\nHost: server\r\n\r\n")
		_, _ = stuck.Read(make([]byte, 4096))
		appendTo(t, log, 1)
		synctest.Wait()
		began := time.Now()
		stop()
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the stop took %v", took)
		}
		stuck.Close()
	})
}
