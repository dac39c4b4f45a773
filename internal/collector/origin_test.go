package collector_test

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/collector"
	"vstream/internal/memlog"
)

// keptLog is a log that outlives its collectors, and keeps what they tell it.
type keptLog struct {
	*memlog.Log
	instance string
	epoch    uint32
	failures int // of the next SetOrigins
	kept     int // how often
}

func (l *keptLog) Origin() (string, uint32) { return l.instance, l.epoch }

func (l *keptLog) SetOrigin(_ context.Context, instance string, epoch uint32) error {
	if l.failures > 0 {
		l.failures--
		return errors.New("not now")
	}
	l.instance, l.epoch = instance, epoch
	l.kept++
	return nil
}

func TestAfterARestartAnotherVCenterIsStillAnotherOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &keptLog{Log: memlog.New(1000, 1<<30), failures: 1}
		f := &fake{instance: "a"}
		f.happen(1, 2)
		r := collectInto(t, f, log)
		time.Sleep(time.Minute)
		r.stop()
		r.holds(1, 2)

		// Its keys go on where the other one's ended, so that they tell nothing.
		other := &fake{instance: "b"}
		other.happen(3, 4)
		r = collectInto(t, other, log)
		time.Sleep(time.Minute)
		r.stop()
		r.holds(1, 2, epoch1+3, epoch1+4)

		other.happen(5)
		r = collectInto(t, other, log)
		time.Sleep(time.Minute)
		r.stop()
		r.holds(1, 2, epoch1+3, epoch1+4, epoch1+5)
		if log.kept != 2 {
			t.Errorf("the origin was kept %d times, want once for each vCenter", log.kept)
		}
	})
}

// As one that somebody has deleted: its tag has to be known before its events are.
func TestALogThatWasMadeAnewIsToldWhoseEventsComeBeforeItGetsThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &keptLog{Log: memlog.New(1000, 1<<30)}
		f := &fake{instance: "a"}
		f.happen(1, 2)
		r := collectInto(t, f, log)
		time.Sleep(time.Minute)
		synctest.Wait()
		log.instance, log.failures = "", 1
		f.happen(3)
		time.Sleep(time.Minute)
		f.happen(4)
		time.Sleep(time.Minute)
		r.stop()
		r.holds(1, 2, 3, 4)
		if log.instance != "a" || log.kept != 2 {
			t.Errorf("it keeps %q, told %d times", log.instance, log.kept)
		}
	})
}

func TestAnEpochThatHadBegunWithoutAnEventIsGoneOnWithAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &keptLog{Log: memlog.New(1000, 1<<30)}
		f := &fake{instance: "a"}
		f.happen(1, 2)
		r := collectInto(t, f, log)
		time.Sleep(time.Minute)
		r.stop()

		empty := &fake{instance: "b"}
		r = collectInto(t, empty, log)
		time.Sleep(time.Minute)
		r.stop()
		empty.happen(7)
		r = collectInto(t, empty, log)
		time.Sleep(time.Minute)
		r.stop()
		r.holds(1, 2, epoch1+7)
	})
}

// As replicas do that take turns: what the other has appended meanwhile counts as known.
func TestACollectorThatRunsAgainGoesOnAtTheEndOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(1000, 1<<30)
		f := &fake{}
		f.happen(1, 2)
		first := collectInto(t, f, log)
		time.Sleep(time.Minute)
		first.stop()
		f.happen(3, 4)
		second := collectInto(t, f, log)
		time.Sleep(time.Minute)
		second.stop()

		f.happen(5)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- first.c.Run(ctx) }()
		time.Sleep(time.Minute)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		first.holds(1, 2, 3, 4, 5)
		if s := first.c.Status(); s.Restarts != 0 || s.Gaps != 0 {
			t.Errorf("that counts as %d restarts and %d gaps of keys", s.Restarts, s.Gaps)
		}
	})
}

// What it knew when it collected last says nothing of now, and must not alarm; what is counted
// must not fall.
func TestACollectorThatRunsAgainTellsNothingOfTheTimeBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.happen(1, 2)
		r := collect(t, f)
		time.Sleep(time.Hour)
		r.stop()
		s := r.c.Status()
		if s.LastPoll.IsZero() || s.LastEvent.IsZero() || s.KeyHeadroom == 0 || s.Audit == nil {
			t.Fatalf("when it stops, status is %+v", s)
		}
		f.happen(3)
		for range 1000 {
			f.openErrs = append(f.openErrs, errors.New("connection refused"))
		}
		time.Sleep(time.Hour)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- r.c.Run(ctx) }()
		time.Sleep(time.Minute)
		s = r.c.Status()
		if !s.LastPoll.IsZero() || !s.LastEvent.IsZero() || s.Lag != 0 || s.KeyHeadroom != 0 || s.Audit != nil || s.Rate != 0 {
			t.Errorf("when it runs again and gets nothing, status is %+v", s)
		}
		if s.Collected.Info != 2 {
			t.Errorf("%d events count as collected", s.Collected.Info)
		}
		f.change(func() { f.openErrs = nil })
		time.Sleep(10 * time.Minute)
		if s = r.c.Status(); s.LastPoll.IsZero() || s.LastEvent.IsZero() || s.Audit == nil || s.Collected.Info != 3 {
			t.Errorf("when it has worked again, status is %+v", s)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// stuck is where a logger writes to that nobody reads, until it is let go.
type stuck struct{ let chan struct{} }

func (s stuck) Write(b []byte) (int, error) {
	<-s.let
	return len(b), nil
}

func TestWhoAsksForTheStatusDoesNotWaitForTheLogger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.happen(1)
		let := make(chan struct{})
		c := &collector.Collector{Name: "vc", Source: f, Log: memlog.New(10, 1<<30), Logger: slog.New(slog.NewTextHandler(stuck{let}, nil))}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		synctest.Wait() // it has something to say
		asked := make(chan vstream.State, 1)
		go func() { asked <- c.Status().State }()
		synctest.Wait()
		if len(asked) == 0 {
			t.Error("the status is not told")
		} else if state := <-asked; state != vstream.Collecting {
			t.Errorf("the state is %s", state)
		}
		close(let)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// countingLog counts how often it is asked for an event.
type countingLog struct {
	*memlog.Log
	gets atomic.Int64
}

func (l *countingLog) Get(ctx context.Context, o vstream.Offset) (vstream.Event, error) {
	l.gets.Add(1)
	return l.Log.Get(ctx, o)
}

// In the storm, keys that had started over 400 times cost 400 looks for every event, and
// the collector fell behind.
func TestEventsDoNotCostMoreTheMoreOftenKeysHaveStartedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &countingLog{Log: memlog.New(10_000, 1<<30)}
		f := &fake{}
		r := collectInto(t, f, log)
		for range 50 {
			f.happen(1, 2, 3)
			time.Sleep(10 * time.Minute)
		}
		if s := r.c.Status(); s.Restarts != 49 {
			t.Fatalf("the keys started over %d times", s.Restarts)
		}
		before := log.gets.Load()
		for key := range int32(1000) {
			f.happen(10 + key)
		}
		time.Sleep(time.Minute)
		if n := log.gets.Load() - before; n > 5_000 {
			t.Errorf("1000 events cost %d looks", n)
		}
		r.stop()
	})
}
