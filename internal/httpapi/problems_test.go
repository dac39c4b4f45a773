package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// problemStatus is all problems that there are and their status.
var problemStatus = map[string]int{
	"invalid-parameter": 400, "unknown-parameter": 400, "invalid-filter": 400, "invalid-cursor": 400, "unexpected-body": 400,
	"event-not-found": 404, "not-found": 404, "method-not-allowed": 405, "not-acceptable": 406,
	"ambiguous-vcenter": 409, "cursor-ahead": 409, "offset-expired": 410,
	"log-unavailable": 503, "shutting-down": 503,
}

// gappyLogs are two: vc1 holds 20, 22, 24 and so on up to 38, and vc2 0 to 4.
func gappyLogs(t *testing.T) []vstream.Log {
	t.Helper()
	first, second := memlog.New(10, 1<<30), memlog.New(10, 1<<30)
	for o := vstream.Offset(1); o < 20; o++ {
		if err := first.Append(t.Context(), []vstream.Event{event("vc1", 2*o, "VmPoweredOnEvent")}); err != nil {
			t.Fatal(err)
		}
	}
	for o := range vstream.Offset(5) {
		if err := second.Append(t.Context(), []vstream.Event{event("vc2", o, "UserLoginSessionEvent")}); err != nil {
			t.Fatal(err)
		}
	}
	return []vstream.Log{first, second}
}

func TestEachProblemIsTheOneThatTheContractNames(t *testing.T) {
	const (
		events = "/api/v1/events"
		vc1    = "/api/v1/vcenters/vc1"
		vc2    = "/api/v1/vcenters/vc2"
	)
	long := strings.Repeat("x", 5000)
	type want map[string]string // JSON of members, or a part of it
	for _, c := range []struct {
		slug    string
		request string // method and path
		want    want
		headers []string // in pairs
	}{
		{"invalid-parameter", "GET " + events + "?watch=perhaps", want{"parameter": `"watch"`}, nil},
		{"invalid-parameter", "GET " + events + "?watch=" + long, want{"parameter": `"watch"`}, nil},
		{"invalid-parameter", "GET " + events + "?limit=0", want{"parameter": `"limit"`}, nil},
		{"invalid-parameter", "GET " + events + "?limit=1001", want{"parameter": `"limit"`, "detail": "1 to 1000"}, nil},
		{"invalid-parameter", "GET " + events + "?limit=99999999999999999999", want{"parameter": `"limit"`}, nil},
		{"invalid-parameter", "GET " + events + "?wait=61s", want{"parameter": `"wait"`}, nil},
		{"invalid-parameter", "GET " + events + "?wait=-1s", want{"parameter": `"wait"`}, nil},
		{"invalid-parameter", "GET " + events + "?watch=1&wait=1s", want{"parameter": `"wait"`}, nil},
		{"invalid-parameter", "GET " + events + "?watch=1&heartbeat=1ms", want{"parameter": `"heartbeat"`}, nil},
		{"invalid-parameter", "GET " + events + "?watch=1&timeoutSeconds=0", want{"parameter": `"timeoutSeconds"`}, nil},
		{"invalid-parameter", "GET " + events + "?watch=1&timeoutSeconds=9999999999999999999999", want{"parameter": `"timeoutSeconds"`}, nil},
		{"invalid-parameter", "GET " + events + "?watch=1&before=vc1.30", want{"parameter": `"before"`}, nil},
		{"invalid-parameter", "GET " + events + "?watch=false&format=sse", want{"parameter": `"watch"`}, nil},
		{"invalid-parameter", "GET " + events + "?watch=1&format=text&bookmarks=1", want{"parameter": `"bookmarks"`}, nil},
		{"invalid-parameter", "GET " + events + "?format=" + long, want{"parameter": `"format"`}, nil},
		{"invalid-parameter", "GET " + events + "?since=30", want{"parameter": `"since"`, "detail": "as long ago as 15m"}, nil},
		{"invalid-parameter", "GET " + events + "?watch=1&until=3s", want{"parameter": `"until"`, "detail": "timeoutSeconds"}, nil},
		{"invalid-parameter", "GET " + events + "?timeoutSeconds=0", want{"detail": "from 1s to 24h, such as 30s"}, nil},
		{"invalid-parameter", "GET " + events + "?format=json&watch=1&bookmarks=1", want{"parameter": `"bookmarks"`}, nil},
		{"invalid-parameter", "GET " + events + "?since=yesterday", want{"parameter": `"since"`}, nil},
		{"invalid-parameter", "GET " + events + "?since=1m&until=2m", want{"parameter": `"until"`}, nil},
		{"invalid-parameter", "GET " + events + "?cursor=~&offset=now", want{"parameter": `"offset"`}, nil},
		{"invalid-parameter", "GET " + events + "?since=1m&before=~", want{"parameter": `"before"`}, nil},
		{"invalid-parameter", "GET " + events + "?offset=-2", want{"detail": "invalid offset: -2"}, nil},
		{"invalid-parameter", "GET " + events + "?offset=" + strings.Repeat("9", 5000), want{"detail": "invalid offset: "}, nil},
		{"invalid-parameter", "GET " + events + "?offset=%00", want{"parameter": `"offset"`}, nil},
		{"invalid-parameter", "GET " + events + "?severity=terrible", want{"parameter": `"severity"`}, nil},
		{"invalid-parameter", "GET " + events + "?chain=" + long, want{"parameter": `"chain"`}, nil},
		{"invalid-parameter", "GET " + events + "?vm=%ff", want{"parameter": `"vm"`}, nil},
		{"invalid-parameter", "GET " + events + "?vm=!", want{"parameter": `"vm"`}, nil},
		{"invalid-parameter", "GET " + events + "?q=" + long, want{"parameter": `"q"`}, nil},
		{"invalid-parameter", "GET " + events + "?limit=1&limit=2", want{"parameter": `"limit"`}, nil},
		{"invalid-parameter", "GET " + events + "?a=%zz", nil, nil},
		{"invalid-parameter", "GET " + events + "?a;b", nil, nil},
		{"invalid-parameter", "GET " + vc1 + "/events/latest", want{"parameter": `"id"`}, nil},
		{"unknown-parameter", "GET " + events + "?ofset=1", want{"parameter": `"ofset"`, "detail": `did you mean \"offset\"`}, nil},
		{"unknown-parameter", "GET " + events + "?" + long + "=1", nil, nil},
		{"unknown-parameter", "GET " + vc1 + "/range?offset=1", want{"parameter": `"offset"`}, nil},
		{"invalid-filter", "GET " + events + "?filter=" + url.QueryEscape("type ==\n  1 +"), want{"parameter": `"filter"`, "errors": `"line":2`}, nil},
		{"invalid-filter", "GET " + events + "?filter=nothing", want{"parameter": `"filter"`, "errors": `"column":1`}, nil},
		{"invalid-filter", "GET " + events + "?filter=" + strings.Repeat("(", 4000), want{"parameter": `"filter"`}, nil},
		{"invalid-cursor", "GET " + events + "?cursor=nonsense", want{"parameter": `"cursor"`}, nil},
		{"invalid-cursor", "GET " + events + "?cursor=vc1.1~vc1.2", want{"parameter": `"cursor"`}, nil},
		{"invalid-cursor", "GET " + events + "?cursor=vc1.-1", want{"parameter": `"cursor"`}, nil},
		{"invalid-cursor", "GET " + events + "?cursor=vc3.1", want{"parameter": `"cursor"`, "detail": `vc3`}, nil},
		{"invalid-cursor", "GET " + events + "?cursor=" + long + ".1", want{"parameter": `"cursor"`}, nil},
		{"invalid-cursor", "GET " + events + "?before=vc1.1~", want{"parameter": `"before"`}, nil},
		{"invalid-cursor", "GET " + vc1 + "/events?cursor=vc2.1", want{"parameter": `"cursor"`}, nil},
		{"invalid-cursor", "GET " + vc1 + "/events?cursor=" + strings.Repeat("9", 30), want{"parameter": `"cursor"`}, nil},
		{"invalid-cursor", "GET " + events + "?watch=1", want{"parameter": `"Last-Event-ID"`}, []string{"Last-Event-ID", "nonsense"}},
		{"unexpected-body", "GET " + events, nil, []string{"Content-Length", "3"}},
		{"event-not-found", "GET " + vc1 + "/events/21", want{"requested": "21", "latest": "38", "detail": "invalid offset: "}, nil},
		{"event-not-found", "GET " + vc1 + "/events/40", want{"requested": "40", "latest": "38", "detail": "invalid offset: 40 is in the future"}, nil},
		{"not-found", "GET /api/v1/nothing", nil, nil},
		{"not-found", "GET /index.php", nil, nil},
		{"not-found", "GET /api/v1/vcenters/vc3/events", want{"detail": "did you mean"}, nil},
		{"not-found", "GET /api/v1/vcenters/" + long + "/events", nil, nil},
		{"not-found", "GET /api/v1/vcenters/%2e%2e%2fvc1/events", nil, nil},
		{"not-found", "GET /api/v1/vcenters/%00/range", nil, nil},
		{"method-not-allowed", "POST " + events, nil, nil},
		{"method-not-allowed", "DELETE " + vc1 + "/events/20", nil, nil},
		{"not-acceptable", "GET " + events, want{"available": `"text/event-stream"`}, []string{"Accept", "image/png"}},
		{"not-acceptable", "GET " + events + "?watch=1&format=batch", want{"available": `"application/x-ndjson"`}, nil},
		{"ambiguous-vcenter", "GET /api/v1/range", want{"paths": `["/api/v1/vcenters/vc1/range","/api/v1/vcenters/vc2/range"]`}, nil},
		{"ambiguous-vcenter", "GET " + events + "/20", want{"paths": `["/api/v1/vcenters/vc1/events/20","/api/v1/vcenters/vc2/events/20"]`}, nil},
		{"ambiguous-vcenter", "GET " + events + "?offset=20&watch=1", want{"paths": vc2 + "/events?offset=20"}, nil},
		{"ambiguous-vcenter", "GET " + events + "?cursor=20", nil, nil},
		{"ambiguous-vcenter", "GET " + events + "?watch=1", nil, []string{"Last-Event-ID", "20"}},
		{"cursor-ahead", "GET " + events + "?cursor=vc1.20~vc2.9", want{"requested": "9", "latest": "4", "vcenter": `"vc2"`}, nil},
		{"cursor-ahead", "GET " + events + "?watch=1&format=sse", want{"requested": "99"}, []string{"Last-Event-ID", "vc1.99~vc2.1"}},
		{"cursor-ahead", "GET " + vc2 + "/events?cursor=9223372036854775807", want{"latest": "4"}, nil},
		{"offset-expired", "GET " + vc1 + "/events?offset=1", want{"requested": "1", "earliest": "20", "latest": "38", "missed": "19", "resume": vc1 + "/events?offset=20", "detail": "invalid offset: "}, nil},
		{"offset-expired", "GET " + vc1 + "/events/1", want{"earliest": "20", "resume": vc1 + "/events?offset=20"}, nil},
		{"offset-expired", "GET " + events + "?watch=1&cursor=vc1.1~vc2.1", want{"vcenter": `"vc1"`, "resume": "cursor=vc2.1"}, nil},
		{"offset-expired", "GET " + events + "?watch=1&format=sse", want{"vcenter": `"vc1"`, "resume": "cursor=vc2.1"}, []string{"Last-Event-ID", "vc1.1~vc2.1"}},
		{"shutting-down", "GET " + events, nil, nil},
		{"shutting-down", "GET " + vc1 + "/events?watch=1", nil, nil},
		{"log-unavailable", "GET " + vc1 + "/events", nil, nil},
		{"log-unavailable", "GET " + events + "?watch=1", nil, nil},
	} {
		t.Run(fmt.Sprintf("%s %.60s", c.slug, c.request), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stopping, stop := context.WithCancel(t.Context())
				defer stop()
				logs := gappyLogs(t)
				switch c.slug {
				case "shutting-down":
					stop()
				case "log-unavailable":
					closed := &closedLog{Log: logs[0]}
					closed.closed.Store(true)
					logs[0] = closed
				}
				s := &Server{VCenters: vcentersOf(logs...), WatchMaxAge: time.Hour, Logger: slog.New(slog.DiscardHandler)}
				method, target, _ := strings.Cut(c.request, " ")
				r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
				for pair := range slices.Chunk(c.headers, 2) {
					r.Header.Set(pair[0], pair[1])
					if pair[0] == "Content-Length" {
						r.ContentLength = 3
					}
				}
				w := httptest.NewRecorder()
				s.handler(stopping).ServeHTTP(w, r)
				p := map[string]json.RawMessage{}
				if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
					t.Fatalf("%v in %s", err, w.Body)
				}
				status := problemStatus[c.slug]
				if h := w.Header(); w.Code != status || string(p["status"]) != fmt.Sprint(status) || string(p["type"]) != `"urn:vstream:problem:`+c.slug+`"` ||
					len(p["title"]) < 4 || len(p["detail"]) < 10 || h.Get("Content-Type") != "application/problem+json" || h.Get("Cache-Control") != "no-store" {
					t.Errorf("%d %v %s", w.Code, h, w.Body)
				}
				if (w.Header().Get("Retry-After") != "") != (status == http.StatusServiceUnavailable) {
					t.Errorf("Retry-After is %q", w.Header().Get("Retry-After"))
				}
				if status == http.StatusMethodNotAllowed && w.Header().Get("Allow") == "" {
					t.Error("there is no Allow")
				}
				for _, name := range slices.Sorted(maps.Keys(c.want)) {
					if got := string(p[name]); !strings.Contains(strings.ReplaceAll(got, `\u0026`, "&"), c.want[name]) {
						t.Errorf("%s is %s, want %s", name, got, c.want[name])
					}
				}
				if len(p["detail"])+len(p["parameter"]) > 800 {
					t.Errorf("the problem repeats too much: %s", w.Body)
				}
			})
		})
	}
}
