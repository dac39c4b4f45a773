package index_test

import (
	"testing"
	"time"

	"vstream"
	"vstream/internal/index"
)

func BenchmarkMillion(b *testing.B) {
	const n = 1_000_000
	s := newStory(30)
	began := time.Now()
	x, bytes := indexed(b, n, n, s.event)
	b.Logf("%.0f events/s, making them up included; %d bytes each", n/time.Since(began).Seconds(), bytes/n)
	from, to, _ := x.Span()
	begin, width, buckets := index.Buckets(from, to, 300)
	for name, query := range map[string]string{
		"All": "", "OneVM": "vm=vm-00007.example", "NoVM": "vm=nobody", "Glob": "vm=*-000*.ex*", "Errors": "severity=error", "Chain": "chain=7",
		"Three": `severity=info&host=esx-001*&user=LAB\user-1`,
	} {
		f := parse(b, query)
		for what, do := range map[string]func(){
			"Count":     func() { x.Count(f, begin, width, buckets) },
			"CountPart": func() { x.Count(f, begin.Add(7*time.Hour), time.Hour, 48) },
			"Facets": func() {
				facets := x.Facets(f, time.Time{}, time.Time{})
				for _, field := range index.FacetFields {
					facets.Top(field, 10)
				}
			},
			"Before": func() { before(x, f, index.End, 50) },
			"After":  func() { after(x, f, -1, 50) },
		} {
			b.Run(what+"/"+name, func(b *testing.B) {
				for b.Loop() {
					do()
				}
			})
		}
	}
	b.Run("Types", func(b *testing.B) {
		for b.Loop() {
			x.Types()
		}
	})
	b.Run("Span", func(b *testing.B) {
		for b.Loop() {
			x.Span()
		}
	})
}

// Every event that is collected is indexed once, whoever asks for it.
func BenchmarkAdd(b *testing.B) {
	s := newStory(31)
	events := make([]vstream.Event, 100_000)
	for i := range events {
		events[i] = s.event()
	}
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		index.Of(events)
		n += len(events)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/event")
}
