package natslog

import (
	"context"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

func fill(t testing.TB, log *Log, n int) {
	t.Helper()
	for from := 1; from <= n; from += 5000 {
		if err := log.Append(t.Context(), usual(vstream.Offset(from), vstream.Offset(min(n, from+4999)))); err != nil {
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

// usual is history with the fields that an event usually has.
func usual(from, to vstream.Offset) []vstream.Event {
	events := history(from, to)
	for i := range events {
		e := &events[i]
		e.Time = e.Time.Add(123456789)
		e.Severity, e.Chain = "info", int32(e.Offset)
		e.User, e.VM, e.Host = `VSPHERE.LOCAL\Administrator`, "web-production-0042", "esx-17.example.com"
		e.Cluster, e.Datacenter, e.Datastore = "Cluster A", "Datacenter Nord", "datastore-ssd-3"
		e.JSON = append(e.JSON, `{"FullFormattedMessage":"`+strings.Repeat("m", 100)+`"}`...)
	}
	return events
}

// cpuTime is what the process has used.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func BenchmarkAppendOf1000(b *testing.B) {
	log := benchmarkLog(b)
	var next vstream.Offset
	var cpu time.Duration
	for b.Loop() {
		b.StopTimer()
		events := usual(next+1, next+1000)
		next += 1000
		began := cpuTime(b)
		b.StartTimer()
		if err := log.Append(b.Context(), events); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		cpu += cpuTime(b) - began
		b.StartTimer()
	}
	b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(float64(next)/cpu.Seconds(), "events/cpu-s")
}

func BenchmarkColdRead(b *testing.B) {
	log := benchmarkLog(b)
	fill(b, log, 100_000)
	read := 0
	began := cpuTime(b)
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
	b.ReportMetric(float64(read)/(cpuTime(b)-began).Seconds(), "events/cpu-s")
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

func BenchmarkHeader(b *testing.B) {
	e := usual(1_000_000, 1_000_000)[0]
	before := memlog.Peak{Offset: e.Offset - 1, Time: e.Time}
	var header []byte
	b.ReportAllocs()
	for b.Loop() {
		header = appendHeader(header[:0], &e, before)
	}
}

func BenchmarkParse(b *testing.B) {
	e := usual(1_000_000, 1_000_000)[0]
	m := message("s", &e, memlog.Peak{Offset: e.Offset - 1, Time: e.Time})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parse(1, m.Header, m.Data); err != nil {
			b.Fatal(err)
		}
	}
}
