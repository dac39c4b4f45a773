package index_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"vstream"
	"vstream/internal/filter"
	"vstream/internal/index"
	"vstream/internal/memlog"
)

func TestAnswersAreThoseOfLookingAtEachEvent(t *testing.T) {
	for _, c := range []struct{ events, held, maxRows int }{
		{300, 1000, 1000},      // less than a chunk
		{300, 20, 1000},        // the log drops
		{300, 1000, 20},        // the index drops
		{18_000, 100_000, 1e6}, // several chunks
		{18_000, 7777, 1e6},
		{18_000, 100_000, 5555},
		{16_384, 100_000, 8192}, // ends with a chunk
		{18_000, 7777, 7777},
	} {
		for _, late := range []float64{0, 0.02} {
			t.Run(fmt.Sprintf("%d-%d-%d-%v", c.events, c.held, c.maxRows, late), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newStory(uint64(c.events + c.maxRows))
					s.late = late
					log := memlog.New(c.held, noLimit)
					appendTo(t, log, s.events(c.events/4)...) // is there before anybody indexes
					x := follow(t, log, c.maxRows)
					for range 3 {
						appendTo(t, log, s.events(c.events/4)...)
						synctest.Wait()
						compare(t, s.Rand, x, held(t, log, c.maxRows))
					}
				})
			})
		}
	}
}

// compare compares every kind of answer with what it should be.
func compare(t *testing.T, random *rand.Rand, x *index.Index, all []vstream.Event) {
	t.Helper()
	c := x.Coverage()
	if c.Building || c.Rows != len(all) || c.From != all[0].Offset || !c.Since.Equal(all[0].Time) {
		t.Fatalf("Coverage = %+v, want %d rows from %d, %v", c, len(all), all[0].Offset, all[0].Time)
	}
	if diff := gocmp.Diff(typesOf(all), x.Types()); diff != "" {
		t.Fatalf("Types (-want +got):\n%s", diff)
	}
	from, to, ok := x.Span()
	if wantFrom, wantTo := spanOf(all); !ok || !from.Equal(wantFrom) || !to.Equal(wantTo) {
		t.Fatalf("Span = %v, %v, %v, want %v, %v", from, to, ok, wantFrom, wantTo)
	}
	pick := func() *vstream.Event { return &all[random.IntN(len(all))] }
	for _, query := range []string{
		"",
		"vm=" + pick().VM + "&vm=" + strings.ToUpper(pick().VM),
		"severity=error,warning",
		"type=TaskEvent",
		"vm=nobody",
		fmt.Sprintf("chain=%d", pick().Chain),
		fmt.Sprintf("chain=!%d,!%d&eventclass=event&host=%s&host=esx-00*&user=%s,%s,%s", pick().Chain, pick().Chain, pick().Host,
			url.QueryEscape(pick().User), url.QueryEscape(pick().User), url.QueryEscape(pick().User)),
		"datastore=!*&network=!*&datacenter=" + pick().Datacenter,
		"cluster=!cluster-1,!cluster-2&network=net-1*",
	} {
		f := parse(t, query)
		passing := matching(t, f, all)
		for _, times := range [][2]time.Time{{from, to}, {pick().Time, pick().Time}} {
			times := times
			if times[0].After(times[1]) {
				times[0], times[1] = times[1], times[0]
			}
			begin, width, n := index.Buckets(times[0], times[1], 2+random.IntN(200))
			if diff := gocmp.Diff(countsOf(passing, begin, width, n), x.Count(f, begin, width, n)); diff != "" {
				t.Fatalf("Count(%v, %v, %v, %d) (-want +got):\n%s", f, begin, width, n, diff)
			}
			got := x.Facets(f, times[0], times[1])
			for _, field := range index.FacetFields {
				want, wantOthers := topOf(passing, field, times[0], times[1], 5)
				top, others := got.Top(field, 5)
				if diff := gocmp.Diff(want, top); diff != "" || others != wantOthers {
					t.Fatalf("Top(%d) of %v: %d others, want %d (-want +got):\n%s", field, f, others, wantOthers, diff)
				}
			}
		}
		for range 5 {
			i, n := random.IntN(len(all)), random.IntN(30)
			place := all[i].Offset
			earlier, later := matching(t, f, all[:i]), matching(t, f, all[i+1:])
			earlier = earlier[max(0, len(earlier)-n):]
			later = later[:min(n, len(later))]
			if got := before(x, f, place, n); !slices.Equal(got, offsetsOf(earlier)) {
				t.Fatalf("Before(%v, %d, %d) = %v, want %v", f, place, n, got, offsetsOf(earlier))
			}
			if got := after(x, f, place, n); !slices.Equal(got, offsetsOf(later)) {
				t.Fatalf("After(%v, %d, %d) = %v, want %v", f, place, n, got, offsetsOf(later))
			}
		}
		if got := after(x, f, -1, len(all)); !slices.Equal(got, offsetsOf(passing)) {
			t.Fatalf("all events of %v are %d, want %d", f, len(got), len(passing))
		}
		if got := before(x, f, index.End, len(all)); !slices.Equal(got, offsetsOf(passing)) {
			t.Fatalf("all events of %v are %d, want %d", f, len(got), len(passing))
		}
	}
}

func offsetsOf(events []vstream.Event) []vstream.Offset {
	var offsets []vstream.Offset
	for _, e := range events {
		offsets = append(offsets, e.Offset)
	}
	return offsets
}

func spanOf(all []vstream.Event) (from, to time.Time) {
	earliest := slices.MinFunc(all, func(a, b vstream.Event) int { return a.Time.Compare(b.Time) })
	latest := slices.MaxFunc(all, func(a, b vstream.Event) int { return a.Time.Compare(b.Time) })
	return earliest.Time, latest.Time.Add(time.Microsecond)
}

func typesOf(all []vstream.Event) []index.TypeCount {
	var types []index.TypeCount
	for _, e := range all {
		i := slices.IndexFunc(types, func(c index.TypeCount) bool { return c.Name == e.Type && c.Class == e.Class })
		if i < 0 {
			i = len(types)
			types = append(types, index.TypeCount{Name: e.Type, Class: e.Class, First: e.Offset})
		}
		c := &types[i]
		c.Count++
		c.First, c.Last = min(c.First, e.Offset), max(c.Last, e.Offset)
	}
	slices.SortFunc(types, func(a, b index.TypeCount) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Class, b.Class))
	})
	return types
}

func countsOf(passing []vstream.Event, begin time.Time, width time.Duration, n int) []index.Counts {
	counts := make([]index.Counts, n)
	for _, e := range passing {
		i := e.Time.Sub(begin) / width
		if e.Time.Before(begin) || i >= time.Duration(n) {
			continue
		}
		switch e.Severity {
		case "info":
			counts[i].Info++
		case "warning":
			counts[i].Warning++
		case "error":
			counts[i].Error++
		case "user":
			counts[i].User++
		default:
			counts[i].Other++
		}
	}
	return counts
}

func topOf(passing []vstream.Event, field filter.Field, from, to time.Time, n int) (top []index.Value, others int) {
	counts := map[string]int64{}
	for _, e := range passing {
		if value := field.Of("", &e); value != "" && !e.Time.Before(from) && e.Time.Before(to) {
			counts[value]++
		}
	}
	for value, count := range counts {
		top = append(top, index.Value{Value: value, Count: count})
	}
	slices.SortFunc(top, func(a, b index.Value) int {
		return cmp.Or(-cmp.Compare(a.Count, b.Count), cmp.Compare(a.Value, b.Value))
	})
	if len(top) > n {
		return top[:n], len(top) - n
	}
	return top, 0
}
