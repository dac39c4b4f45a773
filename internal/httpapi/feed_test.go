package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"testing"

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
