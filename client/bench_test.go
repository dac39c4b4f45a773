package client_test

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"vstream/client"
	"vstream/internal/httpapi"
)

func BenchmarkList(b *testing.B) {
	const n = 100_000
	v := newVCenter("vc1", 2*n)
	v.add(1, n)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	api := &httpapi.Server{Listener: l, VCenters: []httpapi.VCenter{v.served()}, WatchMaxAge: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = api.Run(ctx) }()
	c, _ := client.New("http://" + l.Addr().String())
	b.ReportAllocs()
	for b.Loop() {
		got := 0
		for _, err := range c.List(ctx) {
			if err != nil {
				b.Fatal(err)
			}
			got++
		}
		if got != n {
			b.Fatal(got)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	c.CloseIdleConnections()
	cancel()
	<-done
}
