package httpapi

import (
	"bufio"
	"context"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"vstream"
	"vstream/internal/logtest"
	"vstream/internal/memlog"
)

// answer is what came back, as far as the prototype's record tells it. A negative number
// or an empty string was not recorded.
type answer struct {
	status      int
	contentType string
	length      string
	allow       string
	location    string
	body        string
	noHeaders   bool // nothing came within 400 ms
}

// deviations are the requests of testdata/prototype.txt that are answered otherwise than
// the prototype did, each with the rule of the HTTP contract that asks for it. Where the
// body is a problem document, the table names what it must contain.
var deviations = map[string]struct {
	why  string
	want answer
}{
	"empty GET /api/v1/events/44": {
		"404 for an event that is not there yet; the phrase invalid offset stays",
		problemAnswer(404, "invalid offset"),
	},
	"empty GET /api/v1/events?watch=true": {
		"a watch is never refused for an empty log: headers at once",
		answer{status: 200, contentType: "application/json"},
	},
	"3 events GET /api/v1/events/43": {
		"410 for what is older than the log; the phrase invalid offset stays",
		problemAnswer(410, "invalid offset"),
	},
	"3 events GET /api/v1/events/47": {
		"404 for an event that is not there yet; the phrase invalid offset stays",
		problemAnswer(404, "invalid offset"),
	},
	"3 events GET /api/v1/events/abc": {
		"errors are problem documents",
		problemAnswer(400, "invalid offset"),
	},
	"3 events GET /api/v1/events/44/x": {
		"errors are problem documents",
		problemAnswer(404, "not-found"),
	},
	"3 events GET /api/v1/events?watch=true": {
		"headers at once instead of after the first event",
		answer{status: 200, contentType: "application/json"},
	},
	"3 events GET /api/v1/events?watch=true&offset=-1": {
		"headers at once instead of after the first event",
		answer{status: 200, contentType: "application/json"},
	},
	"3 events GET /api/v1/events?watch=true&offset=-2": {
		"errors are problem documents",
		problemAnswer(400, "invalid offset"),
	},
	"3 events GET /api/v1/events?watch=true&offset=0": {
		"410 for what is older than the log",
		problemAnswer(410, "invalid offset"),
	},
	"3 events GET /api/v1/events?watch=true&offset=47": {
		"headers at once; a future offset is waited for",
		answer{status: 200, contentType: "application/json"},
	},
	"3 events GET /api/v1/events?watch=true&offset=100": {
		"headers at once; a future offset is waited for",
		answer{status: 200, contentType: "application/json"},
	},
	"3 events GET /api/v1/events?watch=true&offset=abc": {
		"errors are problem documents",
		problemAnswer(400, "invalid offset"),
	},
	"3 events GET /api/v1/events?watch=true&offset=": {
		"headers at once; an empty offset means now",
		answer{status: 200, contentType: "application/json"},
	},
	"3 events GET /api/v1/events?watch=false": {
		"false and 0 mean a page",
		answer{status: 200, contentType: "application/json", length: "169", body: `[{"specversion"`},
	},
	"3 events GET /api/v1/events?watch=1": {
		"1 means true",
		answer{status: 200, contentType: "application/json"},
	},
	"3 events GET /api/v1/events?offset=45": {
		"a page begins at its offset instead of ignoring it",
		answer{status: 200, contentType: "application/json", length: "113", body: `[{"specversion":"1.0","id":"45"`},
	},
	"3 events GET /api/v1/events?foo=bar": {
		"unknown parameters are refused instead of ignored",
		problemAnswer(400, `"foo"`),
	},
	"3 events HEAD /api/v1/events": {
		"HEAD answers on every path",
		answer{status: 200, contentType: "application/json", length: "169"},
	},
	"3 events OPTIONS /api/v1/events": {
		"HEAD is allowed on every path",
		answer{status: 200, length: "0", allow: "GET, HEAD, OPTIONS"},
	},
	"3 events POST /api/v1/events": {
		"errors are problem documents, and HEAD is allowed",
		answer{status: 405, contentType: "application/problem+json", allow: "GET, HEAD, OPTIONS", body: "method-not-allowed"},
	},
	"purged GET /api/v1/events/44": {
		"410 for what is older than the log; the phrase invalid offset stays",
		problemAnswer(410, "invalid offset"),
	},
	"purged GET /api/v1/events?watch=true&offset=44": {
		"410 for what is older than the log",
		problemAnswer(410, "invalid offset"),
	},
}

func problemAnswer(status int, contains string) answer {
	return answer{status: status, contentType: "application/problem+json", body: contains}
}

func TestEveryRequestRecordedFromThePrototypeIsAnsweredAsItWasOrAsTheContractSays(t *testing.T) {
	used := map[string]bool{}
	records := prototypeRecords(t)
	if len(records) != 36 {
		t.Fatalf("read %d recorded requests, want 36", len(records))
	}
	for _, rec := range records {
		key := rec.log + " " + rec.method + " " + rec.url
		t.Run(key, func(t *testing.T) {
			want := rec.want
			if d, ok := deviations[key]; ok {
				used[key] = true
				if d.why == "" {
					t.Fatal("a deviation without a reason")
				}
				want = d.want
			}
			log := memlog.New(10, 1<<30)
			switch rec.log {
			case "3 events":
				appendTo(t, log, 44, 45, 46)
			case "purged":
				for o := vstream.Offset(44); o <= 63; o++ {
					appendTo(t, log, o)
				}
			}
			check(t, request(t, serve(t, log), rec.method, rec.url), want)
		})
	}
	for key := range deviations {
		if !used[key] {
			t.Errorf("the deviation %q is of no recorded request", key)
		}
	}
}

func check(t *testing.T, got, want answer) {
	t.Helper()
	if want.noHeaders {
		t.Fatal("the prototype sent no headers here; the contract must say what we send")
	}
	if got.status != want.status {
		t.Errorf("status %d, want %d", got.status, want.status)
	}
	if got.contentType != want.contentType && want.status != http.StatusMovedPermanently {
		t.Errorf("content type %q, want %q", got.contentType, want.contentType)
	}
	if want.length != "" && got.length != want.length && want.status != http.StatusMovedPermanently {
		t.Errorf("content length %q, want %q", got.length, want.length)
	}
	if got.allow != want.allow {
		t.Errorf("allow %q, want %q", got.allow, want.allow)
	}
	if got.location != want.location {
		t.Errorf("location %q, want %q", got.location, want.location)
	}
	if !strings.Contains(got.body, want.body) {
		t.Errorf("body %q does not contain %q", got.body, want.body)
	}
}

// request asks once. Of a watch it returns the lines that are there by the time its
// headers and all events held have come.
func request(t *testing.T, base, method, url string) answer {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, base+url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	got := answer{
		status:      res.StatusCode,
		contentType: res.Header.Get("Content-Type"),
		length:      res.Header.Get("Content-Length"),
		allow:       res.Header.Get("Allow"),
		location:    res.Header.Get("Location"),
	}
	held := 0
	if strings.Contains(url, "watch=true&offset=45") {
		held = 2
	}
	lines := bufio.NewReader(res.Body)
	for n := 0; res.ContentLength >= 0 || n < held; n++ {
		line, err := lines.ReadString('\n')
		got.body += line
		if err != nil {
			break
		}
	}
	return got
}

type record struct {
	log, method, url string
	want             answer
}

// prototypeRecords reads testdata/prototype.txt: what the prototype answered over an
// empty log, one with the events 44 to 46, and one that was filled with 44 to 63 and
// keeps ten.
func prototypeRecords(t *testing.T) []record {
	t.Helper()
	text, err := os.ReadFile("testdata/prototype.txt")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile(`(?m)^(empty|3 events|purged) +([A-Z]+) +(\S+) +-> (.*)$`)
	full := regexp.MustCompile(`^(\d+) ct="(.*?)" cl="(.*?)" allow="(.*?)" loc="(.*?)" body=(".*")$`)
	var records []record
	for _, m := range line.FindAllStringSubmatch(string(text), -1) {
		r := record{log: m[1], method: m[2], url: m[3]}
		if f := full.FindStringSubmatch(m[4]); f != nil {
			r.want.status, _ = strconv.Atoi(f[1])
			body, err := strconv.Unquote(f[6])
			if err != nil {
				t.Fatalf("%s: %v", f[6], err)
			}
			body, _, _ = strings.Cut(body, "...") // long bodies were cut in the record
			r.want = answer{status: r.want.status, contentType: f[2], length: f[3], allow: f[4], location: f[5], body: body}
		} else {
			r.want.noHeaders = strings.HasPrefix(m[4], "no response headers")
		}
		records = append(records, r)
	}
	return records
}

func appendTo(t testing.TB, log vstream.Log, offsets ...vstream.Offset) {
	t.Helper()
	if err := log.Append(t.Context(), logtest.Events(offsets...)); err != nil {
		t.Fatal(err)
	}
}
