package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// runIndexes runs the indexes of vCenters until the test ends, and returns once they know
// all there is.
func runIndexes(t *testing.T, vcenters []VCenter) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	for i := range vcenters {
		x := vcenters[i].Index
		running.Go(func() { _ = x.Run(ctx) })
		for x.Coverage().Building {
			time.Sleep(time.Millisecond)
		}
	}
}

// An index finds rare events in both directions without the log being read through.
func TestRareEventsAreFoundByTheIndex(t *testing.T) {
	const last, every = 60_000, 10_007
	log := memlog.New(last, 1<<30)
	var want []string
	for o := vstream.Offset(1); o <= last; o++ {
		kind := "Common"
		if o%every == 0 || o%every == 1 && o > 1 {
			kind = "Rare"
			want = append(want, "vc1."+o.String())
		}
		_ = log.Append(t.Context(), []vstream.Event{event("vc1", o, kind)})
	}
	counted := &countingLog{Log: log}
	all := vcentersOf(counted)
	all[0].Index.Log = log
	runIndexes(t, all)
	base := serveAll(t, all)
	for _, query := range []string{"type=Rare&limit=3", "q=rare&limit=3", "filter=type%3D%3D%22Rare%22&limit=3"} {
		for _, way := range []struct{ start, rel string }{{"", "prev"}, {"&offset=earliest", "next"}} {
			var got []string
			for next, n := "/api/v1/events?"+query+way.start, 0; next != "" && n < 10; n++ {
				page, h := readPage(t, base+next)
				if way.rel == "next" {
					got = append(got, page...)
				} else {
					got = append(slices.Clone(page), got...)
				}
				if next = linkOf(h, way.rel); way.rel == "next" && h.Get("Stream-Up-To-Date") == "true" {
					break
				}
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s%s: got %v, want %v", query, way.start, got, want)
			}
		}
	}
	before := counted.read.Load()
	for _, start := range []string{"", "&offset=2"} {
		if page, _ := readPage(t, base+"/api/v1/events?type=Rare&limit=1000"+start); len(page) != len(want) {
			t.Errorf("%v", page)
		}
	}
	if n := counted.read.Load() - before; n > last {
		t.Errorf("%d events were read for two pages of %d", n, last)
	}
	w := openWatch(t, http.DefaultClient, base+"/api/v1/events?type=Rare&watch=true&offset=2&limit="+fmt.Sprint(len(want)))
	lines := 0
	for w.lines.Scan() {
		lines++
	}
	if lines != len(want) {
		t.Errorf("a watch got %d events", lines)
	}
}

func TestEventsAreCounted(t *testing.T) {
	first, second, third := memlog.New(100, 1<<30), memlog.New(100, 1<<30), memlog.New(100, 1<<30)
	at := func(vcenter string, o vstream.Offset, seconds int, kind, severity, vm string) vstream.Event {
		e := event(vcenter, o, kind)
		e.Time, e.Severity, e.VM = time.Date(2026, 11, 22, 9, 0, seconds, 0, time.UTC), severity, vm
		return e
	}
	_ = first.Append(t.Context(), []vstream.Event{
		at("vc1", 1, 0, "A", "info", "web1"), at("vc1", 2, 1, "A", "info", "web2"), at("vc1", 5, 9, "B", "error", ""),
	})
	_ = second.Append(t.Context(), []vstream.Event{at("vc2", 7, 4, "A", "warning", "web1"), at("vc2", 8, 4, "C", "strange", "web1")})
	all := vcentersOf(first, second, third)
	all[0].Types = func() []vstream.EventType {
		return []vstream.EventType{{Name: "A", Class: "event", Description: "An A", Category: "info", LongDescription: "<x/>"}, {Name: "Z", Class: "event"}}
	}
	runIndexes(t, all)
	several, one := serveAll(t, all), serveAll(t, all[:1])
	const nobody = `{"values":[],"others":0}`
	for _, c := range []struct{ base, query, want string }{
		{one, "types", `[{"id":"A","class":"event","description":"An A","category":"info","longDescription":"<x/>","count":2,"first":1,"last":2},` +
			`{"id":"B","class":"event","description":"","category":"","longDescription":"","count":1,"first":5,"last":5}]`},
		{several, "types", `[{"id":"A","class":"event","description":"An A","category":"info","longDescription":"<x/>","count":3,"vcenters":{"vc1":{"count":2,"first":1,"last":2},"vc2":{"count":1,"first":7,"last":7}}},` +
			`{"id":"B","class":"event","description":"","category":"","longDescription":"","count":1,"vcenters":{"vc1":{"count":1,"first":5,"last":5}}},` +
			`{"id":"C","class":"event","description":"","category":"","longDescription":"","count":1,"vcenters":{"vc2":{"count":1,"first":8,"last":8}}}]`},
		{several, "histogram?buckets=2", `{"from":"2026-11-22T09:00:00Z","to":"2026-11-22T09:00:10Z","width":5,"complete":true,"completeSince":null,"buckets":[` +
			`{"time":"2026-11-22T09:00:00Z","info":2,"warning":1,"error":0,"user":0,"other":1},{"time":"2026-11-22T09:00:05Z","info":0,"warning":0,"error":1,"user":0,"other":0}]}`},
		{several, "histogram?buckets=2&q=web1", `{"from":"2026-11-22T09:00:00Z","to":"2026-11-22T09:00:10Z","width":5,"complete":true,"completeSince":null,"buckets":[` +
			`{"time":"2026-11-22T09:00:00Z","info":1,"warning":1,"error":0,"user":0,"other":1},{"time":"2026-11-22T09:00:05Z","info":0,"warning":0,"error":0,"user":0,"other":0}]}`},
		{several, "histogram?since=2026-11-22T09:00:04Z&until=2026-11-22T09:00:04.5Z&vcenter=vc1", `{"from":"2026-11-22T09:00:04Z","to":"2026-11-22T09:00:05Z","width":1,"complete":true,"completeSince":null,"buckets":[` +
			`{"time":"2026-11-22T09:00:04Z","info":0,"warning":0,"error":0,"user":0,"other":0}]}`},
		{several, "facets?top=1", `{"complete":true,"completeSince":null,"events":5,"facets":{"cluster":` + nobody + `,"datacenter":` + nobody + `,"host":` + nobody + `,` +
			`"severity":{"values":[{"value":"info","count":2}],"others":3},"type":{"values":[{"value":"A","count":3}],"others":2},` +
			`"user":{"values":[{"value":"root","count":5}],"others":0},"vcenter":{"values":[{"value":"vc1","count":3}],"others":1},"vm":{"values":[{"value":"web1","count":3}],"others":1}}}`},
		{several, "facets?filter=vm%3D%3D%27web1%27&severity=!info", `{"complete":true,"completeSince":null,"events":2,"facets":{"cluster":` + nobody + `,"datacenter":` + nobody + `,"host":` + nobody + `,` +
			`"severity":{"values":[{"value":"strange","count":1},{"value":"warning","count":1}],"others":0},"type":{"values":[{"value":"A","count":1},{"value":"C","count":1}],"others":0},` +
			`"user":{"values":[{"value":"root","count":2}],"others":0},"vcenter":{"values":[{"value":"vc2","count":2}],"others":0},"vm":{"values":[{"value":"web1","count":2}],"others":0}}}`},
		{several, "facets?until=2026-11-22T09:00:01Z&since=2026-11-22T09:00:01Z&vcenter=vc1", `{"complete":true,"completeSince":null,"events":1,"facets":{"cluster":` + nobody + `,"datacenter":` + nobody + `,"host":` + nobody + `,` +
			`"severity":{"values":[{"value":"info","count":1}],"others":0},"type":{"values":[{"value":"A","count":1}],"others":0},` +
			`"user":{"values":[{"value":"root","count":1}],"others":0},"vcenter":{"values":[{"value":"vc1","count":1}],"others":0},"vm":{"values":[{"value":"web2","count":1}],"others":0}}}`},
	} {
		res := get(t, c.base+"/api/v1/"+c.query)
		got := strings.TrimSpace(strings.ReplaceAll(body(t, res), `\u003cx/\u003e`, "<x/>"))
		if res.StatusCode != http.StatusOK || got != c.want {
			t.Errorf("%s: %s\n%s\nwant\n%s", c.query, res.Status, got, c.want)
		}
	}
	for query, slug := range map[string]string{
		"types?type=A": "unknown-parameter", "histogram?buckets=0": "invalid-parameter", "histogram?buckets=301": "invalid-parameter",
		"facets?top=101": "invalid-parameter", "facets?since=never": "invalid-parameter", "histogram?filter=1": "invalid-filter",
		"facets?vcenter=vc9": "invalid-parameter", "histogram?vcenter=!vc*": "invalid-parameter",
		"histogram?since=1h&until=2h": "invalid-parameter", "facets?limit=3": "unknown-parameter",
	} {
		var p struct{ Type string }
		res := get(t, one+"/api/v1/"+query)
		if err := json.NewDecoder(res.Body).Decode(&p); err != nil || res.StatusCode != http.StatusBadRequest || p.Type != "urn:vstream:problem:"+slug {
			t.Errorf("%s: %s %+v %v", query, res.Status, p, err)
		}
	}
}

func TestCountsSayFromWhenOnTheyAreComplete(t *testing.T) {
	log := memlog.New(1<<20, 1<<30)
	all := vcentersOf(log)
	for _, path := range []string{"histogram", "facets", "types"} { // nothing is known yet
		text := body(t, get(t, serveAll(t, all)+"/api/v1/"+path))
		if path != "types" && !strings.Contains(text, `"complete":false,"completeSince":null`) || path == "types" && text != "[]\n" {
			t.Errorf("%s of an index that does not run: %s", path, text)
		}
	}
	all[0].Index.MaxRows = 10
	for o := vstream.Offset(1); o <= 10_000; o++ {
		_ = log.Append(t.Context(), []vstream.Event{event("vc1", o, "A")})
	}
	runIndexes(t, all)
	base := serveAll(t, all)
	since := time.Unix(1_700_000_000+9991, 0).UTC().Format(time.RFC3339)
	for _, c := range []struct{ query, want string }{
		{"facets", `{"complete":false,"completeSince":"` + since + `","events":10,`},
		{"facets?since=1700009995", `{"complete":true,"completeSince":null,"events":6,`},
		{"facets?q=happened", `{"complete":true,"completeSince":null,"events":10000,`}, // the log is read
	} {
		if got := body(t, get(t, base+"/api/v1/"+c.query)); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %.200s, want %s", c.query, got, c.want)
		}
	}
}

// halfRead is a log of which only the first events can be read now.
type halfRead struct{ vstream.Log }

func (l halfRead) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	r, err := l.Log.Open(ctx, p)
	return &halfReader{Reader: r}, err
}

type halfReader struct {
	vstream.Reader
	read bool
}

func (r *halfReader) Next(ctx context.Context) ([]vstream.Event, error) {
	if r.read {
		return nil, errClosed
	}
	r.read = true
	return r.Reader.Next(ctx)
}

func TestCountsAreNotCompleteWhileTheIndexIsBuilt(t *testing.T) {
	log := memlog.New(10_000, 1<<30)
	for o := vstream.Offset(1); o <= 1000; o++ {
		_ = log.Append(t.Context(), []vstream.Event{event("vc1", o, "A")})
	}
	all := vcentersOf(log)
	all[0].Index.Log = halfRead{log}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	running.Go(func() { _ = all[0].Index.Run(ctx) })
	for all[0].Index.Coverage().Rows == 0 {
		time.Sleep(time.Millisecond)
	}
	if got := body(t, get(t, serveAll(t, all)+"/api/v1/facets?since=1700000001")); !strings.HasPrefix(got, `{"complete":false,"completeSince":null,`) {
		t.Errorf("%.100s", got)
	}
}

func TestLargeEventsAreCountedWholly(t *testing.T) {
	log := memlog.New(10_000, 1<<30)
	for o := vstream.Offset(1); o <= 100; o++ {
		e := event("vc1", o, "A")
		e.JSON = fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","x":"%s"}`, o, strings.Repeat("x", 100_000))
		_ = log.Append(t.Context(), []vstream.Event{e})
	}
	all := vcentersOf(log)
	runIndexes(t, all)
	if got := body(t, get(t, serveAll(t, all)+"/api/v1/facets?q=happened")); !strings.HasPrefix(got, `{"complete":true,"completeSince":null,"events":100,`) {
		t.Errorf("%.100s", got)
	}
}
