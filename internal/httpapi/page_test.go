package httpapi

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/klauspost/compress/zstd"

	"vstream"
	"vstream/internal/memlog"
)

// vcentersOf makes vCenters vc1, vc2 and so on of logs, with which all is well.
func vcentersOf(logs ...vstream.Log) []VCenter {
	var all []VCenter
	for i, log := range logs {
		all = append(all, vcenter(fmt.Sprintf("vc%d", i+1), log, vstream.Status{State: vstream.Collecting}))
	}
	return all
}

// event is an event of a vCenter, a second after the one at the offset before.
func event(vcenter string, o vstream.Offset, kind string) vstream.Event {
	return vstream.Event{
		Offset: o, Time: time.Unix(1_700_000_000+int64(o), 0).UTC(), Type: kind, Class: "event", Severity: "info",
		User: "root", VM: "web" + o.String(), Message: "something happened",
		JSON: fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"%s","type":"%s"}`, o, vcenter, kind),
	}
}

// told is what a test reads of an event.
type told struct{ ID, Source, Type, EventClass string }

func (e told) String() string { return e.Source + "." + e.ID }

// readPage returns the events of a page and its headers.
func readPage(t *testing.T, url string) ([]string, http.Header) {
	t.Helper()
	res := get(t, url)
	text := body(t, res)
	var page []told
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %s", url, res.Status, text)
	}
	if err := json.Unmarshal([]byte(text), &page); err != nil {
		t.Fatalf("%s: %v in %q", url, err, text)
	}
	var all []string
	for _, e := range page {
		all = append(all, e.String())
	}
	return all, res.Header
}

// linkOf returns where a link of a page leads; empty if there is none.
func linkOf(h http.Header, rel string) string {
	for _, link := range h.Values("Link") {
		if m := regexp.MustCompile(`^<(.*)>; rel="(.*)"$`).FindStringSubmatch(link); m != nil && m[2] == rel {
			return m[1]
		}
	}
	return ""
}

// Whoever follows the links of pages, either way, gets each event once and in order,
// whatever the filter, however many vCenters, late events and all.
func TestPagesLeadThroughAllEventsInBothDirections(t *testing.T) {
	seed := rand.Uint64()
	random := rand.New(rand.NewPCG(seed, 1))
	t.Log("seed", seed)
	for round := range 12 {
		var logs []vstream.Log
		perLog := map[string][]string{}
		total := 0
		for i := range 1 + round%3 {
			log := memlog.New(1<<20, 1<<30)
			name := fmt.Sprintf("vc%d", i+1)
			var events []vstream.Event
			offset := vstream.Offset(random.IntN(50))
			for range random.IntN(900) {
				offset += 1 + vstream.Offset(random.IntN(3))
				kind := []string{"VmPoweredOnEvent", "VmPoweredOffEvent", "UserLoginSessionEvent"}[random.IntN(3)]
				e := event(name, offset, kind)
				if n := len(events); n > 1 && random.IntN(20) == 0 { // this one came late
					events = slices.Insert(events, n-1-random.IntN(min(n, 5)-1), e)
					events[n], events[n-1] = events[n-1], events[n]
					continue
				}
				events = append(events, e)
			}
			if err := log.Append(t.Context(), events); err != nil {
				t.Fatal(err)
			}
			for _, e := range events {
				perLog[name+"/"+e.Type] = append(perLog[name+"/"+e.Type], name+"."+e.Offset.String())
				perLog[name+"/"] = append(perLog[name+"/"], name+"."+e.Offset.String())
			}
			total += len(events)
			logs = append(logs, log)
		}
		if total == 0 {
			continue
		}
		base := serveAll(t, vcentersOf(logs...))
		limit := 1 + random.IntN(60)
		for _, kind := range []string{"", "VmPoweredOnEvent", "NothingOfTheKind"} {
			check := func(direction string, all []string) {
				t.Helper()
				for i := range logs {
					name := fmt.Sprintf("vc%d", i+1)
					var got []string
					for _, e := range all {
						if strings.HasPrefix(e, name+".") {
							got = append(got, e)
						}
					}
					if want := perLog[name+"/"+kind]; !slices.Equal(got, want) {
						t.Fatalf("round %d, %s, limit %d, type %q, %s:\ngot  %v\nwant %v", round, direction, limit, kind, name, got, want)
					}
				}
			}
			query := fmt.Sprintf("limit=%d", limit)
			if kind != "" {
				query += "&type=" + kind
			}
			var all []string
			for next, n := "/api/v1/events?offset=earliest&"+query, 0; ; n++ {
				page, h := readPage(t, base+next)
				all = append(all, page...)
				next = linkOf(h, "next")
				if h.Get("Stream-Up-To-Date") == "true" {
					break
				}
				if n > total+1 {
					t.Fatal("pages without end")
				}
			}
			check("forward", all)
			all = nil
			for prev, n := "/api/v1/events?"+query, 0; prev != ""; n++ {
				page, h := readPage(t, base+prev)
				all = append(slices.Clone(page), all...)
				if n > 0 && len(page) > 0 { // the page before leads back
					again, _ := readPage(t, base+linkOf(h, "next"))
					if len(logs) == 1 && kind == "" && !slices.Equal(again, all[len(page):][:len(again)]) {
						t.Fatalf("after %v comes %v, not %v", page, again, all[len(page):])
					}
				}
				prev = linkOf(h, "prev")
				if n > total+1 {
					t.Fatal("pages without end")
				}
			}
			check("backward", all)
		}
	}
}

func TestAPageIsWhatItsPositionSays(t *testing.T) {
	log := memlog.New(1000, 1<<30)
	for o := vstream.Offset(1); o <= 200; o++ {
		if err := log.Append(t.Context(), []vstream.Event{event("vc1", 2*o, "T")}); err != nil {
			t.Fatal(err)
		}
	}
	base := serveAll(t, vcentersOf(log))
	at := func(o int) string { return strconv.Itoa(1_700_000_000 + o) }
	for _, c := range []struct {
		query string
		n     int
		first string
		last  string
	}{
		{"limit=3", 3, "396", "400"},
		{"limit=1000", 200, "2", "400"},
		{"cursor=vc1.100", 50, "102", "200"},
		{"cursor=100&limit=2", 2, "102", "104"},
		{"cursor=99&limit=2", 2, "100", "102"},
		{"cursor=~&limit=2", 2, "2", "4"},
		{"cursor=vc1.400", 0, "", ""},
		{"before=100&limit=2", 2, "96", "98"},
		{"before=vc1.101&limit=2", 2, "98", "100"},
		{"before=2", 0, "", ""},
		{"before=~", 0, "", ""},
		{"since=" + at(300) + "&limit=2", 2, "300", "302"},
		{"since=" + at(301) + "000&limit=2", 2, "302", "304"},
		{"since=2023-11-14T22:18:20Z&limit=1", 1, "300", "300"},
		{"since=15m", 0, "", ""},
		{"since=" + at(300) + "&until=" + at(304), 3, "300", "304"},
		{"until=" + at(304) + "&limit=2", 2, "302", "304"},
		{"until=" + at(1), 0, "", ""},
		{"until=" + at(2), 1, "2", "2"},
		{"offset=earliest&until=" + at(5), 2, "2", "4"},
		{"_=17&limit=&since=&cursor=", 50, "302", "400"},
	} {
		page, h := readPage(t, base+"/api/v1/events?"+c.query)
		if len(page) != c.n || c.n > 0 && (page[0] != "vc1."+c.first || page[c.n-1] != "vc1."+c.last) {
			t.Errorf("%s: %v, want %d from %s to %s", c.query, page, c.n, c.first, c.last)
		}
		if h.Get("Stream-Earliest") != "2" || h.Get("Stream-Latest") != "400" || h.Get("Stream-Next-Cursor") == "" {
			t.Errorf("%s: %v", c.query, h)
		}
		if want := "vc1." + c.last; c.n > 0 && h.Get("Stream-Next-Cursor") != want {
			t.Errorf("%s: the next cursor is %s, want %s", c.query, h.Get("Stream-Next-Cursor"), want)
		}
	}
}

func TestThePageBeforeIsOfThoseOnlyThatHaveSomethingBefore(t *testing.T) {
	short, long := memlog.New(1, 1<<30), memlog.New(100, 1<<30)
	if err := short.Append(t.Context(), []vstream.Event{event("vc1", 9, "X")}); err != nil {
		t.Fatal(err)
	}
	for o := range vstream.Offset(10) {
		if err := long.Append(t.Context(), []vstream.Event{event("vc2", o+1, "X")}); err != nil {
			t.Fatal(err)
		}
	}
	base := serveAll(t, vcentersOf(short, long))
	for _, first := range []string{"limit=4", "limit=4&cursor=vc2.7"} {
		_, header := readPage(t, base+"/api/v1/events?"+first)
		prev := linkOf(header, "prev")
		if strings.Contains(prev, "vc1.") || !strings.Contains(prev, "vc2.") {
			t.Errorf("%s: before it is %s", first, prev)
		}
		// The log whose beginning was read drops that; whoever goes back does not miss it.
		if err := short.Append(t.Context(), []vstream.Event{event("vc1", 20+vstream.Offset(len(first)), "X")}); err != nil {
			t.Fatal(err)
		}
		if got, _ := readPage(t, base+prev); len(got) != 4 || got[3] != "https://vc2/sdk.7" && got[3] != "vc2.7" {
			t.Errorf("%s: before it there is %v", first, got)
		}
	}
}

func TestAPageThatWaitsIsAnsweredWithTheFirstEvent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		first, second := memlog.New(10, 1<<30), memlog.New(10, 1<<30)
		stop := run(t, &Server{Listener: listener, VCenters: vcentersOf(first, second), WatchMaxAge: time.Hour})
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		ask := func(query string) (string, time.Duration) {
			began := time.Now()
			res, err := client.Get("http://server/api/v1/events?" + query)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			text, _ := io.ReadAll(res.Body)
			return strconv.Itoa(res.StatusCode) + " " + string(text), time.Since(began)
		}
		if text, took := ask("wait=20s"); text != "200 []" || took != 20*time.Second {
			t.Errorf("of empty logs: %s after %v", text, took)
		}
		var all sync.WaitGroup
		for _, query := range []string{"wait=60", "wait=30s&offset=now", "wait=30s&cursor=~", "wait=30s&offset=now&type=B"} {
			all.Go(func() {
				text, took := ask(query)
				wantTime, want := 10*time.Second, `"id":"5"`
				if strings.Contains(query, "type=B") {
					wantTime, want = 15*time.Second, `"id":"6"`
				}
				if !strings.Contains(text, want) || took != wantTime {
					t.Errorf("%s: %s after %v", query, text, took)
				}
			})
		}
		time.Sleep(10 * time.Second)
		_ = second.Append(t.Context(), []vstream.Event{event("vc2", 5, "A")})
		time.Sleep(5 * time.Second)
		_ = first.Append(t.Context(), []vstream.Event{event("vc1", 6, "B")})
		all.Wait()
		stopped := make(chan struct{})
		go func() {
			time.Sleep(time.Second)
			stop()
			close(stopped)
		}()
		if text, took := ask("wait=60&offset=now"); text != "200 []" || took != time.Second {
			t.Errorf("at a stop: %s after %v", text, took)
		}
		client.CloseIdleConnections()
		<-stopped
	})
}

func TestAPageIsBoundedInBytesAndItsLinksGoOn(t *testing.T) {
	log := memlog.New(1000, 1<<30)
	for o := vstream.Offset(1); o <= 100; o++ {
		e := event("vc1", o, "T")
		e.JSON = fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"vc1","x":"%s"}`, o, strings.Repeat("x", 500_000))
		if err := log.Append(t.Context(), []vstream.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	base := serveAll(t, vcentersOf(log))
	for _, way := range []struct{ start, rel string }{{"?offset=earliest&limit=1000", "next"}, {"?limit=1000", "prev"}} {
		seen := 0
		for at := "/api/v1/events" + way.start; at != "" && seen < 100; {
			page, h := readPage(t, base+at)
			if len(page) > 40 || len(page) == 0 {
				t.Fatalf("%s has %d events", at, len(page))
			}
			seen += len(page)
			at = linkOf(h, way.rel)
		}
		if seen != 100 {
			t.Errorf("%s: %d events", way.start, seen)
		}
	}
}

func TestAPageIsWrittenInTheFormThatIsAskedFor(t *testing.T) {
	log := memlog.New(10, 1<<30)
	_ = log.Append(t.Context(), []vstream.Event{event("vc1", 1, "A"), event("vc1", 2, "B")})
	base := serveAll(t, vcentersOf(log))
	const one, two = `{"specversion":"1.0","id":"1","source":"vc1","type":"A"}`, `{"specversion":"1.0","id":"2","source":"vc1","type":"B"}`
	const text = "2023-11-14T22:13:21.000Z  info     A                             web1                  root                  something happened\n" +
		"2023-11-14T22:13:22.000Z  info     B                             web2                  root                  something happened\n"
	for _, c := range []struct{ accept, query, contentType, body string }{
		{"", "", "application/json", "[" + one + "," + two + "]"},
		{"*/*", "", "application/json", "[" + one + "," + two + "]"},
		{"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "", "application/json", "[" + one + "," + two + "]"},
		{"application/*", "", "application/json", "[" + one + "," + two + "]"},
		{"application/x-ndjson", "", "application/x-ndjson", one + "\n" + two + "\n"},
		{"application/json;q=0.5, application/x-ndjson", "", "application/x-ndjson", one + "\n" + two + "\n"},
		{"application/json;q=0, */*", "", "application/x-ndjson", one + "\n" + two + "\n"},
		{"text/event-stream", "?limit=1", "text/event-stream", "retry: "},
		{"application/cloudevents-batch+json", "", "application/cloudevents-batch+json", "[" + one + "," + two + "]"},
		{"text/plain", "", "text/plain; charset=utf-8", text},
		{"application/*;q=0, text/plain;q=0.1, */*;q=0.2", "?limit=2&_=", "text/event-stream", "retry: "},
		{"application/json;q=0.1, */*", "", "application/x-ndjson", one + "\n" + two + "\n"},
		{"text/*;q=0.1", "", "text/plain; charset=utf-8", text},
		{"", "?format=text", "text/plain; charset=utf-8", text},
		{"text/plain", "?format=ndjson", "application/x-ndjson", one + "\n" + two + "\n"},
		{"", "?format=text&offset=now", "text/plain; charset=utf-8", ""},
		{"image/png", "", "application/problem+json", `"available":["application/json","application/x-ndjson","text/plain","text/event-stream","application/cloudevents-batch+json"]`},
		{"application/cloudevents-batch+json", "?watch=true", "application/problem+json", `"available":["application/json","application/x-ndjson","text/plain","text/event-stream"]`},
		{"text/event-stream", "?watch=false", "application/problem+json", "server-sent events are a watch"},
		{"", "?format=xml", "application/problem+json", `is none of json, ndjson, text, sse, batch`},
	} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/events"+c.query, nil)
		if c.accept != "" {
			req.Header.Set("Accept", c.accept)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		if strings.HasPrefix(c.body, "retry") {
			got = make([]byte, len(c.body))
			_, _ = io.ReadFull(res.Body, got)
		} else {
			got, _ = io.ReadAll(res.Body)
		}
		res.Body.Close()
		problem := c.contentType == "application/problem+json"
		if res.Header.Get("Content-Type") != c.contentType || !problem && string(got) != c.body || problem && !bytes.Contains(got, []byte(c.body)) {
			t.Errorf("%q %s: %s %s\n%s\nwant %s\n%s", c.accept, c.query, res.Status, res.Header.Get("Content-Type"), got, c.contentType, c.body)
		}
	}
}

func TestTextHoldsNothingThatATerminalObeys(t *testing.T) {
	log := memlog.New(10, 1<<30)
	e := event("vc1", 1, "A\x1b[31m")
	e.Message, e.User, e.VM = "two\nlines \x1b]0;title\x07 and\u009b31m \u2028 more", "a\tb", "\r"
	_ = log.Append(t.Context(), []vstream.Event{e})
	base := serveAll(t, vcentersOf(log))
	text := body(t, get(t, base+"/api/v1/events?format=text"))
	if strings.Count(text, "\n") != 1 || strings.ContainsAny(text, "\x1b\x07\r\t\u009b\u2028") || !strings.Contains(text, "two lines ]0;title and 31m more") {
		t.Errorf("%q", text)
	}
}

func TestPagesAreCompressedForThoseWhoTakeThat(t *testing.T) {
	log := memlog.New(1000, 1<<30)
	for o := vstream.Offset(1); o <= 100; o++ {
		appendTo(t, log, o)
	}
	base := serveAll(t, vcentersOf(log))
	plain := body(t, get(t, base+"/api/v1/events"))
	for accept, want := range map[string]string{
		"gzip": "gzip", "zstd": "zstd", "gzip, deflate, br, zstd": "zstd", "zstd;q=0.5, gzip;q=0.8": "gzip", "*": "gzip",
		"gzip;q=0": "", "identity": "", "br": "", "gzip;q=x": "", "GZIP ; q=1.0": "gzip", "*;q=0": "",
	} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/events", nil)
		req.Header.Set("Accept-Encoding", accept)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var in io.Reader = res.Body
		switch res.Header.Get("Content-Encoding") {
		case "gzip":
			in, err = gzip.NewReader(res.Body)
		case "zstd":
			in, err = zstd.NewReader(res.Body)
		}
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(in)
		res.Body.Close()
		if res.Header.Get("Content-Encoding") != want || string(got) != plain || err != nil || !slices.Contains(res.Header.Values("Vary"), "Accept-Encoding") {
			t.Errorf("%q: %s, %v, %d bytes", accept, res.Header.Get("Content-Encoding"), err, len(got))
		}
	}
}

func TestAnEventIsCachedByItsContent(t *testing.T) {
	log := memlog.New(10, 1<<30)
	appendTo(t, log, 44)
	base := serveAll(t, vcentersOf(log))
	res := get(t, base+"/api/v1/events/44")
	etag := res.Header.Get("ETag")
	if etag == "" || res.Header.Get("Cache-Control") != "private, max-age=31536000, immutable" {
		t.Errorf("headers are %v", res.Header)
	}
	for tag, status := range map[string]int{etag: 304, `"x", W/` + etag: 304, "*": 304, `"x"`: 200, "": 200} {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/api/v1/events/44", nil)
		req.Header.Set("If-None-Match", tag)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		text := body(t, res)
		if res.Body.Close(); res.StatusCode != status || (status == 304) != (text == "") || res.Header.Get("ETag") != etag {
			t.Errorf("If-None-Match %s: %s %q", tag, res.Status, text)
		}
	}
}
