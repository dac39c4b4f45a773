package client_test

import (
	"context"
	"testing"

	"vstream/client"
)

// The server is in the same process and takes some of the time.
func BenchmarkList(b *testing.B) {
	const n = 100_000
	v := newVCenter("vc1", n)
	v.add(1, n)
	s := &server{t: b, vcenters: []*vcenter{v}}
	s.start()
	c, err := client.New(s.url())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.CloseIdleConnections)
	b.ReportAllocs()
	for b.Loop() {
		got := 0
		for _, err := range c.List(context.Background()) {
			if err != nil {
				b.Fatal(err)
			}
			got++
		}
		if got != n {
			b.Fatalf("%d events came", got)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
