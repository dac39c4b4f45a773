package httpapi

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime/metrics"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"

	"vstream"
)

// FuzzHandler sends requests of any text. Whatever they are, they are answered: well, or
// with a problem that is the client's fault and does not repeat at length what it sent.
func FuzzHandler(f *testing.F) {
	type seed struct{ method, target, accept, encoding, last, match string }
	for _, s := range []seed{
		{"GET", "/api/v1/events", "", "gzip", "", ""},
		{"GET", "/api/v1/events?limit=3&offset=earliest", "application/x-ndjson", "zstd;q=0.5,gzip;q=0", "", ""},
		{"GET", "/api/v1/events?watch=true&cursor=vc1.20~vc2.1&bookmarks=1&heartbeat=1s&timeoutSeconds=9", "application/x-ndjson", "", "", ""},
		{"GET", "/api/v1/events?type=Vm*,!VmPoweredOffEvent&severity=info&q=x", "text/event-stream", "", "vc1.30~vc2.2", ""},
		{"GET", "/api/v1/vcenters/vc1/events?offset=24&format=text", "text/*;q=0.1, */*;q=0", "", "", ""},
		{"GET", "/api/v1/vcenters/vc2/events?since=15m&until=1s&wait=5", "*/*", "*", "7", ""},
		{"GET", "/api/v1/events?before=vc1.30~vc2.3&vm=web*&chain=1,2&eventclass=event", "application/cloudevents-batch+json", "", "", ""},
		{"GET", "/api/v1/events?filter=type.startsWith(%22Vm%22)%20%26%26%20vm%20in%20%5B%22a%22%5D", "", "", "", ""},
		{"GET", "/api/v1/events?filter=data.x.y%20==%201%20%7C%7C%20message.matches('%5Ea.*')", "", "", "", ""},
		{"GET", "/api/v1/events?since=2026-11-22T09:00:00Z&until=99999999999999&_=1", "text/plain", "", "", ""},
		{"GET", "/api/v1/vcenters/vc1/events/24", "", "", "", `W/"x", *`},
		{"HEAD", "/api/v1/events?watch=1&offset=latest", "", "", "", ""},
		{"GET", "/api/v1/range", "", "", "", ""},
		{"GET", "/api/v1/vcenters", "", "", "", ""},
		{"OPTIONS", "/api/V1/Events//", "", "", "", ""},
		{"POST", "/api/v1/events/1", "", "", "", ""},
		{"GET", "/", "", "", "", ""},
		{"GET", "/healthz", "", "", "", ""},
		{"GET", "http://other/api/v1/../v1/events?%zz", "", "", "", ""},
		{"CONNECT", "other:443", "", "", "", ""},
		{"OPTIONS", "*", "", "", "", ""},
	} {
		f.Add(s.method, s.target, "server:8080", s.accept, s.encoding, s.last, s.match, false, true)
		f.Add(s.method, s.target, "", s.accept, s.encoding, s.last, s.match, s.method == "GET", false)
	}
	zstdEncoder().EncodeAll([]byte("made outside of all bubbles"), nil)
	f.Fuzz(func(t *testing.T, method, target, host, accept, encoding, last, match string, body, several bool) {
		line := strings.NewReplacer("\r", "", "\n", "").Replace
		var text strings.Builder
		fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: %s\r\n", line(method), line(target), line(host))
		for _, h := range [][2]string{{"Accept", accept}, {"Accept-Encoding", encoding}, {"Last-Event-ID", last}, {"If-None-Match", match}} {
			if h[1] != "" {
				fmt.Fprintf(&text, "%s: %s\r\n", h[0], line(h[1]))
			}
		}
		if body {
			text.WriteString("Content-Length: 3\r\n")
		}
		text.WriteString("\r\nabc")
		if text.Len() > maxHeaderBytes { // net/http refuses it
			return
		}
		r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text.String())))
		if err != nil || r.Method == http.MethodOptions && r.RequestURI == "*" { // net/http answers these itself
			return
		}
		synctest.Test(t, func(t *testing.T) {
			// Longer than any page waits; a watch is left.
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			logs := gappyLogs(t)
			big := event("vc2", 9, "VmPoweredOnEvent")
			big.JSON = append(append([]byte(`{"data":"`), strings.Repeat("x", 2*worthCompressing)...), `"}`...)
			if err := logs[1].Append(ctx, []vstream.Event{big}); err != nil {
				t.Fatal(err)
			}
			if !several {
				logs = logs[:1]
			}
			s := &Server{VCenters: vcentersOf(logs...), WatchMaxAge: time.Hour, Logger: slog.New(slog.DiscardHandler)}
			w := httptest.NewRecorder()
			before := allocated()
			s.handler(t.Context()).ServeHTTP(w, r.WithContext(ctx))
			if used := allocated() - before; used > 64<<20 {
				t.Errorf("answering took %d bytes of memory", used)
			}
			checkAnswer(t, r, text.String(), w)
		})
	})
}

// allocated returns how many bytes were ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// checkAnswer checks the answer to a request, which came as text.
func checkAnswer(t *testing.T, r *http.Request, text string, w *httptest.ResponseRecorder) {
	t.Helper()
	answer := w.Body.Bytes()
	if len(answer) > 256<<10 {
		t.Errorf("the answer has %d bytes", len(answer))
	}
	h := w.Header()
	switch {
	case w.Code < 300:
		checkPage(t, h, answer)
		return
	case w.Code < 400:
		if to, err := url.Parse(h.Get("Location")); w.Code != http.StatusNotModified && (err != nil || to.Host != "" && to.Host != r.URL.Host || !strings.HasPrefix(to.Path, "/")) {
			t.Errorf("%d to %q", w.Code, h.Get("Location"))
		}
		return
	}
	var p problem
	if err := json.Unmarshal(answer, &p); err != nil || h.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%d is no problem document: %v %v %q", w.Code, err, h, answer)
	}
	slug, _ := strings.CutPrefix(p.Type, "urn:vstream:problem:")
	if problemStatus[slug] != w.Code || p.Status != w.Code || w.Code >= 500 {
		t.Errorf("%d %s", w.Code, answer)
	}
	sent := text
	if query, err := url.ParseQuery(r.URL.RawQuery); err == nil {
		for name, values := range query {
			sent += "\n" + name + "\n" + strings.Join(values, "\n")
		}
	}
	sent += "\n" + r.URL.Path
	said := []string{p.Title, p.Detail, p.Parameter, p.VCenter}
	for _, issue := range p.Errors {
		said = append(said, issue.Message)
	}
	const most = 100
	for _, s := range said {
		if len(s) > 1000 {
			t.Errorf("%d bytes in %s", len(s), answer)
		}
		for i := range max(0, len(s)-most) {
			if strings.Contains(sent, s[i:i+most+1]) {
				t.Fatalf("it repeats %q", s[i:i+most+1])
			}
		}
	}
}

// checkPage checks what a form promises of any page.
func checkPage(t *testing.T, h http.Header, body []byte) {
	t.Helper()
	var plain io.Reader = bytes.NewReader(body)
	switch h.Get("Content-Encoding") {
	case "gzip":
		z, err := gzip.NewReader(plain)
		if err != nil {
			t.Fatal(err)
		}
		plain = z
	case "zstd":
		z, err := zstd.NewReader(plain, zstd.WithDecoderConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		plain = z
	}
	text, err := io.ReadAll(plain)
	if err != nil {
		t.Fatalf("%v in %q", err, body)
	}
	switch h.Get("Content-Type") {
	case "application/json", "application/cloudevents-batch+json", "application/x-ndjson":
		for lines := json.NewDecoder(bytes.NewReader(text)); ; {
			var value json.RawMessage
			if err := lines.Decode(&value); err == io.EOF {
				return
			} else if err != nil {
				t.Fatalf("%v in %q", err, text)
			}
		}
	case "text/event-stream":
		for block := range strings.SplitSeq(strings.TrimSuffix(string(text), "\n\n"), "\n\n") {
			for line := range strings.SplitSeq(block, "\n") {
				name, value, _ := strings.Cut(line, ": ")
				if name == "data" && !json.Valid([]byte(value)) || !strings.Contains("id data event retry", name) {
					t.Fatalf("line %q of %q", line, text)
				}
			}
		}
	}
}
