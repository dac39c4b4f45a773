package memlog_test

import (
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"

	"vstream"
	"vstream/internal/logtest"
	"vstream/internal/memlog"
)

const noLimit = 1 << 40

func TestLogDoesWhatEveryLogMust(t *testing.T) {
	logtest.Run(t, func(_ *testing.T, maxRecords int) vstream.Log { return memlog.New(maxRecords, noLimit) })
}

func TestLogKeepsItsLimitInBytes(t *testing.T) {
	const limit = 8 << 20
	log := memlog.New(1_000_000, limit)
	random := rand.New(rand.NewPCG(1, 2))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for o := range vstream.Offset(20_000) {
		e := logtest.Events(o)[0]
		e.JSON = make([]byte, 1+random.IntN(20_000))
		if err := log.Append(t.Context(), []vstream.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if used := int64(after.HeapAlloc) - int64(before.HeapAlloc); used > limit*5/4 {
		t.Errorf("a log limited to %d bytes takes %d", limit, used)
	}
	r, ok := log.Range()
	if !ok || r.Latest != 19_999 || r.Latest-r.Earliest < 500 {
		t.Errorf("Range = %v, %v: keeps too little of 8 MiB", r, ok)
	}
	runtime.KeepAlive(log)
}

func TestLogKeepsTheNewestEventHoweverLarge(t *testing.T) {
	log := memlog.New(10, 1000)
	for o := range vstream.Offset(5) {
		e := logtest.Events(o)[0]
		e.JSON = make([]byte, 5000)
		if err := log.Append(t.Context(), []vstream.Event{e}); err != nil {
			t.Fatal(err)
		}
	}
	if r, ok := log.Range(); !ok || r != (vstream.Range{Earliest: 4, Latest: 4}) {
		t.Errorf("Range = %v, %v, want just event 4", r, ok)
	}
}

// A late event whose neighbours are gone is no place to start from: what should follow
// it cannot be read any more.
func TestEarliestIsNotALateEventBelowWhatWasDropped(t *testing.T) {
	log := memlog.New(3, noLimit)
	for _, o := range []vstream.Offset{10, 12, 11, 13, 14} {
		if err := log.Append(t.Context(), logtest.Events(o)); err != nil {
			t.Fatal(err)
		}
	}
	if r, _ := log.Range(); r != (vstream.Range{Earliest: 13, Latest: 14}) {
		t.Errorf("Range = %v, want 13 to 14", r)
	}
	if _, err := log.Open(t.Context(), vstream.At(12)); err == nil {
		t.Error("a reader from 12, which was dropped, was let in")
	}
}

func TestAllWaitingReadersWakeOnOneAppend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(10, noLimit)
		woken := make(chan struct{}, 100)
		for range cap(woken) {
			r, err := log.Open(t.Context(), vstream.Newest(0))
			if err != nil {
				t.Fatal(err)
			}
			go func() {
				<-r.More()
				woken <- struct{}{}
			}()
		}
		synctest.Wait()
		if len(woken) != 0 {
			t.Fatalf("%d readers woke before there was anything", len(woken))
		}
		if err := log.Append(t.Context(), logtest.Events(1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if len(woken) != cap(woken) {
			t.Errorf("%d of %d readers woke", len(woken), cap(woken))
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	log := memlog.New(100_000, noLimit)
	events := logtest.Events(make([]vstream.Offset, 100)...)
	var o vstream.Offset
	b.ReportAllocs()
	for b.Loop() {
		for i := range events {
			o++
			events[i].Offset = o
		}
		_ = log.Append(b.Context(), events)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(o), "ns/event")
}
