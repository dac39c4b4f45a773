package natslog

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"vstream"
)

func fill(t testing.TB, log *Log, n int) {
	t.Helper()
	for from := 1; from <= n; from += 5000 {
		if err := log.Append(t.Context(), history(vstream.Offset(from), vstream.Offset(min(n, from+4999)))); err != nil {
			t.Fatal(err)
		}
	}
}

func benchmarkLog(b *testing.B) *Log {
	config := Config{Dir: b.TempDir(), MaxBytes: 1 << 40, MaxRecord: 512 << 10, WindowRecords: 100, WindowBytes: 256 << 20, Logger: slog.New(slog.DiscardHandler)}
	e := New(config, "vc")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	for e.Ready() != nil {
		time.Sleep(time.Millisecond)
	}
	return e.Log("vc")
}

func BenchmarkAppendOf500(b *testing.B) {
	log := benchmarkLog(b)
	var next vstream.Offset
	for b.Loop() {
		b.StopTimer()
		events := history(next+1, next+500)
		next += 500
		b.StartTimer()
		if err := log.Append(b.Context(), events); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkColdRead(b *testing.B) {
	log := benchmarkLog(b)
	fill(b, log, 100_000)
	read := 0
	for b.Loop() {
		r, err := log.Open(b.Context(), vstream.Oldest{})
		if err != nil {
			b.Fatal(err)
		}
		for {
			events, err := r.Next(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if len(events) == 0 {
				break
			}
			read += len(events)
		}
	}
	b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkColdSeek(b *testing.B) {
	log := benchmarkLog(b)
	fill(b, log, 100_000)
	at := vstream.Offset(1)
	for b.Loop() {
		at = (at + 7919) % 99_000
		log.marks.clear(0)
		if _, err := log.Get(b.Context(), at+1); err != nil {
			b.Fatal(err)
		}
	}
}
