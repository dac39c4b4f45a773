package collector

import (
	"testing"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// Numbering and appending is what a page costs between the source and the log.
func BenchmarkNumberAndAppend(b *testing.B) {
	log := memlog.New(2000, 1<<40)
	n := numbering{log: log}
	page := make([]vstream.Event, 1000)
	json := make([]byte, 1200)
	began, key, events := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC), int32(0), 0
	b.ReportAllocs()
	for b.Loop() {
		for i := range page {
			key = (key + 1) & (1<<30 - 1)
			began = began.Add(time.Millisecond)
			page[i] = vstream.Event{Offset: vstream.OffsetOf(0, key), Time: began, Type: "VmPoweredOnEvent", Class: "event", JSON: json}
		}
		fresh, err := n.page(b.Context(), page)
		if err != nil || len(fresh) != len(page) {
			b.Fatalf("%d of %d events were new: %v", len(fresh), len(page), err)
		}
		_ = log.Append(b.Context(), fresh)
		events += len(page)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(events), "ns/event")
}
