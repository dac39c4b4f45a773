package cloudevent

import (
	"os"
	"testing"
)

func BenchmarkEncode(b *testing.B) {
	page, err := os.ReadFile("testdata/events.xml")
	if err != nil {
		b.Fatal(err)
	}
	events := decodePage(b, page)
	e := Encoder{Source: "https://vc.example.com/sdk", APIVersion: "8.0.3.0"}
	b.ReportAllocs()
	bytes, n := 0, 0
	for b.Loop() {
		ev, err := e.Encode(events[n%len(events)])
		if err != nil {
			b.Fatal(err)
		}
		bytes += len(ev.JSON)
		n++
	}
	b.SetBytes(int64(bytes / n))
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}
