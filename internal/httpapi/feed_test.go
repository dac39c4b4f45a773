package httpapi

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/index"
	"vstream/internal/memlog"
)

// The index may hold less than the log: what it does not know is looked through, once.
func TestAnIndexOfTheNewestEventsDoublesNone(t *testing.T) {
	const last = 40_000
	log := memlog.New(last, 1<<30)
	var want []string
	for o := vstream.Offset(1); o <= last; o++ {
		kind := "Common"
		if o%5_003 == 0 {
			kind = "Rare"
			want = append(want, "vc1."+o.String())
		}
		_ = log.Append(t.Context(), []vstream.Event{event("vc1", o, kind)})
	}
	for _, rows := range []int{1_000, 12_000} {
		all := vcentersOf(log)
		all[0].Index = &index.Index{Log: log, MaxRows: rows, Logger: all[0].Index.Logger}
		runIndexes(t, all)
		base := serveAll(t, all)
		for _, query := range []string{"type=Rare&limit=1000", "q=rare&limit=1000"} {
			if page, _ := readPage(t, base+"/api/v1/events?"+query); !slices.Equal(page, want) {
				t.Errorf("%s with %d rows: %v, want %v", query, rows, page, want)
			}
		}
	}
}

// A filter by vCenter says which logs are read, so the others cost nothing and their trouble
// is nobody's.
func TestAFilterByVCenterLeavesTheOthersAlone(t *testing.T) {
	log, second := memlog.New(1000, 1<<30), memlog.New(1000, 1<<30)
	for o := vstream.Offset(1); o <= 100; o++ {
		_ = log.Append(t.Context(), []vstream.Event{event("vc1", o, "T")})
	}
	_ = second.Append(t.Context(), []vstream.Event{event("vc2", 7, "T"), event("vc2", 9, "T")})
	first, third := &countingLog{Log: log}, &closedLog{Log: memlog.New(1000, 1<<30)}
	third.closed.Store(true)
	base := serveAll(t, vcentersOf(first, second, third))
	for _, query := range []string{"vcenter=vc2", "vcenter=!vc1,!vc3&offset=earliest", "vcenter=vc2&cursor=vc1.500~vc2.6", "vcenter=VC2&before=vc1.1~vc2.10"} {
		page, h := readPage(t, base+"/api/v1/events?"+query)
		if !slices.Equal(page, []string{"vc2.7", "vc2.9"}) || h.Get("Stream-Next-Cursor") != "vc2.9" || h.Get("Stream-Earliest") != "vc2.7" {
			t.Errorf("%s: %v, %v", query, page, h)
		}
	}
	if n := first.read.Load(); n != 0 {
		t.Errorf("%d events of vc1 were read", n)
	}
	res := get(t, base+"/api/v1/events?vcenter=vc9")
	if text := body(t, res); res.StatusCode != http.StatusBadRequest || !strings.Contains(text, `"parameter":"vcenter"`) {
		t.Errorf("of no vCenter: %s %s", res.Status, text)
	}
}

// overtakenLog is a log that retention overtakes its readers in when it is told to.
type overtakenLog struct {
	vstream.Log
	overtaken atomic.Bool
}

func (l *overtakenLog) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	r, err := l.Log.Open(ctx, p)
	return overtakenReader{r, l}, err
}

type overtakenReader struct {
	vstream.Reader
	log *overtakenLog
}

func (r overtakenReader) Next(ctx context.Context) ([]vstream.Event, error) {
	if held, _ := r.log.Range(); r.log.overtaken.Load() {
		return nil, &vstream.ExpiredError{Requested: held.Earliest - 1, Earliest: held.Earliest, Latest: held.Latest}
	}
	return r.Reader.Next(ctx)
}

// After retention has overtaken a watch of several vCenters, the resume that its problem
// names goes on with the others where the watch was.
func TestTheResumeOfAMergedWatchGoesOnWhereItWas(t *testing.T) {
	for _, query := range []string{"", "&cursor=vc1.1~vc2.1", "&offset=earliest"} {
		log, second := memlog.New(300, 1<<30), memlog.New(300, 1<<30)
		_ = log.Append(t.Context(), []vstream.Event{event("vc1", 1, "T")})
		_ = second.Append(t.Context(), []vstream.Event{event("vc2", 1, "T")})
		first := &overtakenLog{Log: log}
		base := serveAll(t, vcentersOf(first, second))
		w := openWatch(t, http.DefaultClient, base+"/api/v1/events?format=ndjson&watch=true&type=T"+query)
		_ = second.Append(t.Context(), []vstream.Event{event("vc2", 2, "T")})
		for w.lines.Scan() && !strings.Contains(w.lines.Text(), `"2"`) {
		}
		first.overtaken.Store(true)
		_ = log.Append(t.Context(), []vstream.Event{event("vc1", 3, "T")})
		var problem line
		for w.lines.Scan() {
			_ = json.Unmarshal(w.lines.Bytes(), &problem)
		}
		first.overtaken.Store(false)
		if problem.Type != typeProblem {
			t.Fatalf("%q: the watch ended with %+v", query, problem)
		}
		resume := strings.NewReplacer("watch=true", "watch=false", "ndjson", "json").Replace(problem.Data.Resume)
		if page, _ := readPage(t, base+resume); !slices.Equal(page, []string{"vc1.1", "vc1.3"}) {
			t.Errorf("%q: %s gives %v", query, resume, page)
		}
	}
}

// A log that is empty after a restart proves nothing about a cursor. Once it is not, it does.
func TestACursorBeyondALogThatWasEmptyIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		log := memlog.New(100, 1<<30)
		stop := run(t, &Server{Listener: listener, VCenters: vcentersOf(log), WatchMaxAge: time.Hour})
		client := &http.Client{Transport: &http.Transport{DialContext: listener.dial}}
		w := openWatch(t, client, "http://server/api/v1/events?format=sse&cursor=vc1.9")
		if b, _ := w.block(); b.data.Data.Reason != "start" || b.id != "vc1.9" || b.data.Data.Earliest != nil {
			t.Errorf("it begins with %+v", b)
		}
		appendTo(t, log, 1, 2)
		for {
			b, ok := w.block()
			if !ok {
				t.Error("it ended without a problem")
				break
			}
			if b.event == "problem" {
				if b.data.Data.Status != http.StatusConflict {
					t.Errorf("the problem is %+v", b)
				}
				break
			}
			if b.data.Data.Earliest != nil {
				t.Errorf("events 1 and 2 were passed over: %+v", b)
				break
			}
		}
		w.res.Body.Close()
		client.CloseIdleConnections()
		stop()
	})
}

// Where a watch begins is told as a place in the log: whoever comes again from there, having
// got nothing, misses nothing of what the first one would have got, however late it came.
func TestTheCursorOfABeginningIsItsPlace(t *testing.T) {
	for _, c := range []struct {
		query     string
		log, late []vstream.Offset // what comes before the watch, and after
		want      []string
	}{
		{"offset=12", []vstream.Offset{10, 12, 11, 13}, nil, []string{"12", "11", "13"}},
		{"offset=12", []vstream.Offset{10, 12}, []vstream.Offset{11, 13}, []string{"12", "11", "13"}},
		{"offset=latest", []vstream.Offset{10, 12}, []vstream.Offset{11}, []string{"12", "11"}},
		{"since=1700000012", []vstream.Offset{10, 12, 11}, nil, []string{"12", "11"}},
		{"since=1700000001", []vstream.Offset{10, 12, 9}, nil, []string{"10", "12", "9"}},
		{"offset=now", []vstream.Offset{10, 12, 11}, []vstream.Offset{13}, []string{"13"}},
		{"offset=13", []vstream.Offset{10, 12}, []vstream.Offset{11, 13}, []string{"11", "13"}}, // from a place on
		{"offset=earliest", []vstream.Offset{10, 12, 11}, nil, []string{"10", "12", "11"}},
		{"offset=earliest", nil, []vstream.Offset{10, 12, 11}, []string{"10", "12", "11"}},
	} {
		log := memlog.New(100, 1<<30)
		add := func(offsets []vstream.Offset) {
			for _, o := range offsets {
				_ = log.Append(t.Context(), []vstream.Event{event("vc1", o, "T")})
			}
		}
		add(c.log)
		base := serveAll(t, vcentersOf(log))
		w := openWatch(t, http.DefaultClient, base+"/api/v1/events?watch=1&"+c.query)
		cursor := w.res.Header.Get("Stream-Next-Cursor")
		add(c.late)
		page, _ := readPage(t, base+"/api/v1/events?cursor="+cursor)
		for i := range page {
			page[i] = strings.TrimPrefix(page[i], "vc1.")
		}
		if !slices.Equal(page, c.want) {
			t.Errorf("%s of %v begins at %s, from where come %v, want %v", c.query, c.log, cursor, page, c.want)
		}
	}
}

// Also of a log that a reader has yet to get something of, it is told what it missed.
func TestWhatIsDroppedBeforeItWasReadIsMissed(t *testing.T) {
	first, second := memlog.New(100, 1<<30), memlog.New(10, 1<<30)
	_ = first.Append(t.Context(), []vstream.Event{event("vc1", 1, "T"), event("vc1", 2, "T")})
	_ = second.Append(t.Context(), []vstream.Event{event("vc2", 50, "T"), event("vc2", 51, "T")})
	base := serveAll(t, vcentersOf(first, second))
	_, h := readPage(t, base+"/api/v1/events?offset=earliest&limit=2")
	for o := vstream.Offset(52); o < 70; o++ {
		_ = second.Append(t.Context(), []vstream.Event{event("vc2", o, "T")})
	}
	res := get(t, base+linkOf(h, "next"))
	if text := body(t, res); res.StatusCode != http.StatusGone || !strings.Contains(text, `"requested":50,"earliest":60`) {
		t.Errorf("%s: %s %s", linkOf(h, "next"), res.Status, text)
	}
}

// A page that is read backwards has what is left when the log drops its oldest event at the
// moment it is read.
func TestAPageHasWhatIsLeftWhileTheLogDropsEvents(t *testing.T) {
	log := memlog.New(300, 1<<30)
	for o := vstream.Offset(1); o <= 300; o++ {
		_ = log.Append(t.Context(), []vstream.Event{event("vc1", o, "T")})
	}
	dropping := &droppingLog{Log: log, next: 301}
	base := serveAll(t, vcentersOf(dropping))
	for _, query := range []string{"limit=300", "type=T&limit=1000"} {
		dropping.left.Store(2)
		page, _ := readPage(t, base+"/api/v1/events?"+query)
		held, _ := log.Range()
		if len(page) != 300 || page[0] != "vc1."+held.Earliest.String() {
			t.Errorf("%s: %d events from %v on", query, len(page), page[:min(1, len(page))])
		}
	}
	dropping.left.Store(2)
	if res := get(t, base+"/api/v1/facets?q=happened"); res.StatusCode != http.StatusOK {
		t.Errorf("facets: %s", body(t, res))
	}
}

// droppingLog drops its oldest event for a new one whenever it has been opened, while some
// are left.
type droppingLog struct {
	vstream.Log
	left atomic.Int64
	next vstream.Offset
}

func (l *droppingLog) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	r, err := l.Log.Open(ctx, p)
	if l.left.Add(-1) >= 0 {
		_ = l.Append(ctx, []vstream.Event{event("vc1", l.next, "T")})
		l.next++
	}
	return r, err
}

// droppingBefore is a log that once, when somebody has looked for what is before an event,
// drops its oldest events for new ones.
type droppingBefore struct {
	*memlog.Log
	fresh  []vstream.Event
	looked bool
}

func (l *droppingBefore) Range() (vstream.Range, bool) {
	if l.looked {
		_ = l.Append(context.Background(), l.fresh)
		l.fresh = nil
	}
	return l.Log.Range()
}

func (l *droppingBefore) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	_, before := p.(vstream.Before)
	l.looked = l.looked || before
	return l.Log.Open(ctx, p)
}

// Retention moves on while a reader is given its beginning, before it has got an event. It had
// a cursor that named no place, and so began anew with what was left, without a word.
func TestWhoComesAgainFromABeginningThatWasDroppedIsTold(t *testing.T) {
	for _, query := range []string{"offset=earliest", "offset=20", "since=1700000020"} {
		log := &droppingBefore{Log: memlog.New(3, 1<<30), fresh: []vstream.Event{event("vc1", 23, "T"), event("vc1", 24, "T")}}
		for _, o := range []vstream.Offset{20, 21, 22} {
			_ = log.Append(t.Context(), []vstream.Event{event("vc1", o, "T")})
		}
		base := serveAll(t, vcentersOf(log))
		w := openWatch(t, http.DefaultClient, base+"/api/v1/events?watch=1&"+query)
		cursor := w.res.Header.Get("Stream-Next-Cursor")
		res := get(t, base+"/api/v1/events?cursor="+cursor)
		if text := body(t, res); res.StatusCode != http.StatusGone || !strings.Contains(text, `"requested":20,"earliest":22`) {
			t.Errorf("%s begins at %s; whoever comes again gets %s %s", query, cursor, res.Status, text)
		}
	}
}
