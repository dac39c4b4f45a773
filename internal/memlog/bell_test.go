package memlog_test

import (
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/logtest"
	"vstream/internal/memlog"
)

// crowd is readers that wait, take what there is, and wait again.
type crowd struct {
	t     *testing.T
	log   *memlog.Log
	woken atomic.Int64 // times
}

func (c *crowd) join(n int) {
	for range n {
		r, err := c.log.Open(c.t.Context(), vstream.Newest(0))
		if err != nil {
			c.t.Fatal(err)
		}
		go func() {
			for {
				select {
				case <-r.More():
				case <-c.t.Context().Done():
					return
				}
				c.woken.Add(1)
				for events, _ := r.Next(c.t.Context()); len(events) > 0; events, _ = r.Next(c.t.Context()) {
				}
			}
		}()
	}
	synctest.Wait()
}

// append appends an event, and returns how many wake now.
func (c *crowd) append(o vstream.Offset) int64 {
	c.t.Helper()
	before := c.woken.Load()
	if err := c.log.Append(c.t.Context(), logtest.Events(o)); err != nil {
		c.t.Fatal(err)
	}
	synctest.Wait()
	return c.woken.Load() - before
}

func TestManyReadersAreNotWokenAgainBeforeTheyCanHaveBeenServed(t *testing.T) {
	for readers, rest := range map[int]time.Duration{1: 0, 50: 0, 51: 1020 * time.Microsecond, 1000: 20 * time.Millisecond, 5000: 50 * time.Millisecond} {
		t.Run(strconv.Itoa(readers), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := &crowd{t: t, log: memlog.New(10, noLimit)}
				c.join(readers)
				all := int64(readers)
				if n := c.append(1); n != all {
					t.Errorf("a lone event wakes %d at once", n)
				}
				if rest == 0 {
					if n := c.append(2); n != all {
						t.Errorf("the next one wakes %d at once", n)
					}
					return
				}
				before := c.woken.Load()
				time.Sleep(rest / 2)
				if n := c.append(2) + c.append(3); n != 0 {
					t.Errorf("%d are woken while they are served", n)
				}
				time.Sleep(rest/2 - time.Nanosecond)
				if n := c.woken.Load() - before; n != 0 {
					t.Errorf("%d are woken before %v", n, rest)
				}
				time.Sleep(2 * time.Nanosecond)
				synctest.Wait()
				if n := c.woken.Load() - before; n != all {
					t.Errorf("after %v %d are woken", rest, n)
				}
				time.Sleep(rest)
				if n := c.append(4); n != all {
					t.Errorf("after a rest a lone event wakes %d at once", n)
				}
			})
		})
	}
}

// Only who waits is made to wait: there is no pause for who comes, or was behind.
func TestWhoIsBehindDoesNotWaitForTheCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &crowd{t: t, log: memlog.New(10, noLimit)}
		c.join(1000)
		r, err := c.log.Open(t.Context(), vstream.Newest(0))
		if err != nil {
			t.Fatal(err)
		}
		c.append(1)
		c.append(2)
		select {
		case <-r.More():
		default:
			t.Error("a reader that is behind waits")
		}
		if events, err := r.Next(t.Context()); len(events) != 2 {
			t.Errorf("Next returned %d events, %v", len(events), err)
		}
	})
}

// BenchmarkWake is what an event costs for each of fifty readers, who are woken without a
// pause, take it and wait.
func BenchmarkWake(b *testing.B) {
	const readers = 50
	log := memlog.New(1000, noLimit)
	var served sync.WaitGroup
	for range readers {
		r, err := log.Open(b.Context(), vstream.Newest(0))
		if err != nil {
			b.Fatal(err)
		}
		go func() {
			for {
				select {
				case <-r.More():
				case <-b.Context().Done():
					return
				}
				events, _ := r.Next(b.Context())
				served.Add(-len(events))
			}
		}()
	}
	b.ReportAllocs()
	var o vstream.Offset
	for b.Loop() {
		o++
		served.Add(readers)
		_ = log.Append(b.Context(), logtest.Events(o))
		served.Wait()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(o*readers), "ns/delivery")
}
