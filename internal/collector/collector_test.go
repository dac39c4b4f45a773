package collector_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/collector"
	"vstream/internal/memlog"
)

// fake is a Source over a history that the test writes. It runs in a bubble.
type fake struct {
	sync.Mutex // the test's goroutine writes what the collector's reads
	history    []vstream.Event
	instance   string
	position   int       // in history, of Next
	from       time.Time // of the stream
	isOpen     bool
	opens      []time.Time
	closed     int

	openErrs []error // of the next Opens
	nextErrs []error // of the next Nexts
	deaf     bool    // streams give nothing
	deafer   bool    // streams opened from now on give nothing either
	polled   time.Time
	hidden   map[int32]bool
}

func event(key int32, at time.Time) vstream.Event {
	o := vstream.OffsetOf(0, key)
	return vstream.Event{Offset: o, Time: at, Type: "VmPoweredOnEvent", Class: "event", Severity: "info",
		JSON: fmt.Appendf(nil, `{"specversion":"1.0","id":"%d"}`, o)}
}

// happen adds an event of each key, a second after one another.
func (f *fake) happen(keys ...int32) {
	f.Lock()
	defer f.Unlock()
	for i, key := range keys {
		f.history = append(f.history, event(key, time.Now().Add(time.Duration(i)*time.Second)))
	}
}

func (f *fake) Open(_ context.Context, since time.Time) (time.Time, error) {
	f.Lock()
	defer f.Unlock()
	f.opens = append(f.opens, since)
	if len(f.openErrs) > 0 {
		err := f.openErrs[0]
		f.openErrs = f.openErrs[1:]
		if err != nil {
			return time.Time{}, err
		}
	}
	f.isOpen, f.position, f.from, f.deaf = true, 0, since, f.deafer
	return since, nil
}

func (f *fake) Next(ctx context.Context) ([]vstream.Event, error) {
	page, err := f.page()
	if err == nil && len(page) == 0 {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return page, err
}

func (f *fake) page() ([]vstream.Event, error) {
	f.Lock()
	defer f.Unlock()
	if !f.isOpen {
		return nil, errors.New("not open")
	}
	if len(f.nextErrs) > 0 {
		err := f.nextErrs[0]
		f.nextErrs = f.nextErrs[1:]
		if err != nil {
			f.isOpen = false
			return nil, err
		}
	}
	f.polled = time.Now()
	var page []vstream.Event
	for ; !f.deaf && f.position < len(f.history) && len(page) < 1000; f.position++ {
		if e := f.history[f.position]; !e.Time.Before(f.from) && !f.hidden[e.Offset.Key()] {
			page = append(page, e)
		}
	}
	return page, nil
}

func (f *fake) opened() int {
	f.Lock()
	defer f.Unlock()
	return len(f.opens)
}

// change changes what the vCenter is like.
func (f *fake) change(how func()) {
	f.Lock()
	defer f.Unlock()
	how()
}

func (f *fake) History(_ context.Context, from, to time.Time, yield func([]vstream.Event) error) error {
	f.Lock()
	var page []vstream.Event
	for _, e := range f.history {
		if !e.Time.Before(from) && !e.Time.After(to) && !f.hidden[e.Offset.Key()] {
			page = append(page, e)
		}
	}
	f.Unlock()
	return yield(page)
}

func (f *fake) Latest(context.Context) (int32, time.Time, bool, error) {
	f.Lock()
	defer f.Unlock()
	if len(f.history) == 0 {
		return 0, time.Time{}, false, nil
	}
	last := f.history[len(f.history)-1]
	return last.Offset.Key(), last.Time, true, nil
}

func (f *fake) Pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

func (f *fake) Seen() vstream.SourceStatus {
	f.Lock()
	defer f.Unlock()
	return vstream.SourceStatus{Instance: f.instance, LastPoll: f.polled}
}

func (f *fake) Close(ctx context.Context) error {
	if ctx.Err() != nil {
		return errors.New("closed with a context that is over")
	}
	f.isOpen = false
	f.closed++
	return nil
}

// run is a collector at work in a bubble.
type run struct {
	t    *testing.T
	c    *collector.Collector
	log  vstream.Log
	said said
	stop func()
}

// said is what the logger heard.
type said struct {
	sync.Mutex
	text strings.Builder
}

func (s *said) Write(b []byte) (int, error) {
	s.Lock()
	defer s.Unlock()
	return s.text.Write(b)
}

func (s *said) String() string {
	s.Lock()
	defer s.Unlock()
	return s.text.String()
}

func collect(t *testing.T, f *fake) *run {
	t.Helper()
	return collectInto(t, f, memlog.New(10_000, 1<<30))
}

func collectInto(t *testing.T, f *fake, log vstream.Log) *run {
	t.Helper()
	r := &run{t: t, log: log}
	r.c = &collector.Collector{Name: "vc", Source: f, Log: r.log, AuditInterval: 5 * time.Minute,
		Logger: slog.New(slog.NewTextHandler(&r.said, nil))}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.c.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	r.stop = func() {
		cancel()
		<-done
		if f.isOpen {
			t.Error("the source was left open")
		}
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("it said:\n%s", r.said.String())
		}
	})
	return r
}

func (r *run) holds(want ...vstream.Offset) {
	r.t.Helper()
	reader, err := r.log.Open(r.t.Context(), vstream.Oldest{})
	if err != nil {
		r.t.Fatal(err)
	}
	var got []vstream.Offset
	for {
		events, err := reader.Next(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		if len(events) == 0 {
			break
		}
		for _, e := range events {
			got = append(got, e.Offset)
			if !strings.Contains(string(e.JSON), fmt.Sprintf(`"id":"%d"`, e.Offset)) {
				r.t.Errorf("event %d is written %s", e.Offset, e.JSON)
			}
		}
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("the log holds %v, want %v", got, want)
	}
}

const epoch1, epoch2 = 1 << 32, 2 << 32

func TestEventsOfAPageAreAppendedInTheOrderOfTheirKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.happen(3, 1, 2, 5, 4)
		r := collect(t, f)
		time.Sleep(time.Minute)
		r.holds(1, 2, 3, 4, 5)
		r.stop()
	})
}

func TestAfterAnErrorReadingBeginsAMinuteBeforeTheEndOfTheLogAndNothingIsDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		f := &fake{nextErrs: []error{nil, errors.New("session expired"), nil, errors.New("reset"), errors.New("again")}}
		f.happen(1, 2, 100)
		r := collect(t, f)
		time.Sleep(time.Minute)
		f.happen(101)
		time.Sleep(time.Minute)
		r.holds(1, 2, 100, 101)
		if !f.opens[0].IsZero() || !f.opens[1].Equal(began.Add(2*time.Second-time.Minute)) {
			t.Errorf("opened at %v", f.opens)
		}
		s := r.c.Status()
		if s.Reconnects != 3 || s.State != vstream.Collecting || s.LastError != "again" || s.Gaps != 0 {
			t.Errorf("status is %+v", s)
		}
		r.stop()
	})
}

func TestAVCenterThatIsAwayIsTriedAgainAtGrowingIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		for range 100_000 {
			f.openErrs = append(f.openErrs, errors.New("connection refused"))
		}
		r := collect(t, f)
		time.Sleep(time.Minute)
		if n := f.opened(); n < 4 || n > 30 {
			t.Errorf("tried %d times in the first minute", n)
		}
		if s := r.c.Status(); s.State != vstream.Failing || s.LastError != "connection refused" {
			t.Errorf("status is %+v", s)
		}
		time.Sleep(24 * time.Hour)
		if n := f.opened(); n < 24*60/2 || n > 24*60*3 {
			t.Errorf("tried %d times in a day, want about once a minute", n)
		}
		r.stop()
	})
}

func TestAVCenterThatRefusesTheCredentialsIsLeftAloneForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		for range 1000 {
			f.openErrs = append(f.openErrs, fmt.Errorf("log in: %w", vstream.ErrCredentials))
		}
		r := collect(t, f)
		time.Sleep(time.Hour)
		if n := f.opened(); n < 9 || n > 13 {
			t.Errorf("tried %d times in an hour, want every five minutes or a little more", n)
		}
		if s := r.c.Status(); s.State != vstream.Refused {
			t.Errorf("state is %s", s.State)
		}
		r.stop()
	})
}

func TestAStopDuringAPauseIsImmediate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{openErrs: []error{vstream.ErrCredentials}}
		r := collect(t, f)
		time.Sleep(time.Minute)
		began := time.Now()
		r.stop()
		if took := time.Since(began); took != 0 {
			t.Errorf("stopped after %v", took)
		}
		if f.closed != 1 {
			t.Errorf("the source was closed %d times", f.closed)
		}
	})
}

func TestKeysThatStartOverBeginAnEpoch(t *testing.T) {
	for name, c := range map[string]struct {
		before []int32
		change func(*fake)
		after  []int32
		want   []vstream.Offset
	}{
		"announced": {
			[]int32{2147479998, 2147479999},
			func(f *fake) {
				overflow := event(2147480000, time.Now())
				overflow.Type = "com.vmware.vc.EventIdOverflow"
				f.history = append(f.history, overflow)
			},
			[]int32{1, 2, 3},
			[]vstream.Offset{2147479998, 2147479999, 2147480000, epoch1 + 1, epoch1 + 2, epoch1 + 3},
		},
		"not announced": {
			[]int32{2147479998, 2147479999}, func(*fake) {}, []int32{1, 2},
			[]vstream.Offset{2147479998, 2147479999, epoch1 + 1, epoch1 + 2},
		},
		"negative first": {
			[]int32{2147483647}, func(*fake) {}, []int32{-2147483648, -2},
			[]vstream.Offset{2147483647, 2147483648, 4294967294},
		},
		"and over": {
			[]int32{-2, -1}, func(*fake) {}, []int32{1, 2},
			[]vstream.Offset{4294967294, 4294967295, epoch1 + 1, epoch1 + 2},
		},
		"installed anew": {
			[]int32{500, 501},
			func(f *fake) {
				f.history, f.instance = nil, "another"
				f.nextErrs = []error{errors.New("not authenticated")}
			},
			[]int32{700, 701}, // not even lower
			[]vstream.Offset{500, 501, epoch1 + 700, epoch1 + 701},
		},
		"started anew with the same uuid": {
			[]int32{500, 501},
			func(f *fake) { f.history, f.nextErrs = nil, []error{errors.New("not authenticated")} },
			[]int32{1, 2},
			[]vstream.Offset{500, 501, epoch1 + 1, epoch1 + 2},
		},
		"restored from a backup": {
			[]int32{500, 501, 502, 503},
			func(f *fake) { f.history, f.nextErrs = f.history[:2], []error{errors.New("not authenticated")} },
			[]int32{502, 503, 504},
			[]vstream.Offset{500, 501, 502, 503, epoch1 + 502, epoch1 + 503, epoch1 + 504},
		},
		"the same key with other content": {
			[]int32{500, 501},
			func(f *fake) { f.history, f.position = nil, 0 }, // and nobody noticed
			[]int32{500, 501, 502},
			[]vstream.Offset{500, 501, epoch1 + 500, epoch1 + 501, epoch1 + 502},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := &fake{instance: "one"}
				f.happen(c.before...)
				r := collect(t, f)
				time.Sleep(time.Minute)
				f.change(func() { c.change(f) })
				time.Sleep(time.Minute)
				f.happen(c.after...)
				time.Sleep(time.Hour) // with renewals and audits that tell everything again
				r.holds(c.want...)
				if s := r.c.Status(); s.Late != 0 {
					t.Errorf("%d events count as late", s.Late)
				}
				r.stop()
			})
		})
	}
}

func TestEventsAreNotDoubledWhenKeysStartOverTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{instance: "one"}
		f.happen(10, 11)
		r := collect(t, f)
		time.Sleep(10 * time.Second)
		for _, instance := range []string{"two", "three"} {
			f.change(func() { f.history, f.instance, f.nextErrs = nil, instance, []error{errors.New("gone")} })
			f.happen(10, 11)
			time.Sleep(10 * time.Second)
		}
		time.Sleep(time.Hour)
		r.holds(10, 11, epoch1+10, epoch1+11, epoch2+10, epoch2+11)
		if s := r.c.Status(); s.Restarts != 2 {
			t.Errorf("status is %+v", s)
		}
		r.stop()
	})
}

func TestAnEventThatComesLateIsDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hidden: map[int32]bool{11: true}}
		f.happen(10, 11, 12)
		r := collect(t, f)
		time.Sleep(30 * time.Second)
		r.holds(10, 12)
		f.change(func() { f.history = append(f.history, event(9, time.Now()), event(13, time.Now())) })
		time.Sleep(time.Minute)
		r.holds(10, 12, 9, 13)
		if s := r.c.Status(); s.Late != 1 {
			t.Errorf("%d events count as late", s.Late)
		}
		f.change(func() { f.history = append(f.history, event(8, time.Now())) })
		time.Sleep(time.Minute)
		r.holds(10, 12, 9, 13, 8)
		if s := r.c.Status(); s.Late != 2 || s.Lag > 2*time.Second {
			t.Errorf("%d events count as late, and the lag of the newest one is %v", s.Late, s.Lag)
		}
		r.stop()
	})
}

func TestAnEventOfTheEpochBeforeThatComesLateKeepsIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		began := time.Now()
		f.happen(2147479998, 2147480000)
		f.history[1].Type = "com.vmware.vc.EventIdOverflow"
		r := collect(t, f)
		time.Sleep(30 * time.Second)
		f.happen(1, 2)
		time.Sleep(30 * time.Second)
		f.change(func() { f.history = append(f.history, event(2147479999, began)) })
		time.Sleep(30 * time.Second)
		f.happen(3)
		time.Sleep(time.Hour)
		r.holds(2147479998, 2147480000, epoch1+1, epoch1+2, 2147479999, epoch1+3)
		r.stop()
	})
}

// The events of a vCenter that has just started are not quite in the order of its clock.
func TestAnEventOfANewEpochMayBeOlderThanItsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{instance: "one"}
		f.happen(1, 2, 3)
		r := collect(t, f)
		time.Sleep(time.Minute)
		f.change(func() {
			f.nextErrs = []error{errors.New("gone")}
			f.history = []vstream.Event{
				event(1, time.Now().Add(100*time.Millisecond)), event(2, time.Now()), event(3, time.Now().Add(time.Second)),
			}
		})
		time.Sleep(time.Hour)
		r.holds(1, 2, 3, epoch1+1, epoch1+2, epoch1+3)
		r.stop()
	})
}

func TestWhatWasToldBeforeTwoBackupsIsNotDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{instance: "one"}
		f.happen(1, 2, 3)
		r := collect(t, f)
		time.Sleep(10 * time.Second)
		for range 2 {
			f.change(func() { f.history, f.nextErrs = f.history[:2:2], []error{errors.New("gone")} })
			f.happen(3)
			time.Sleep(10 * time.Second)
		}
		time.Sleep(time.Hour)
		r.holds(1, 2, 3, epoch1+3, epoch2+3)
		r.stop()
	})
}

func TestAGuessedKeyStartsNoEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.happen(10, 11)
		r := collect(t, f)
		time.Sleep(time.Minute)
		f.change(func() {
			guessed := event(11, time.Now())
			guessed.Class, guessed.Type = "unknown", "Strange"
			f.history = append(f.history, guessed, event(12, time.Now()))
		})
		time.Sleep(time.Minute)
		r.holds(10, 11, 12)
		r.stop()
	})
}

func TestACollectorThatGoesSilentIsOpenedAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.happen(1)
		r := collect(t, f)
		time.Sleep(30 * time.Second)
		f.change(func() { f.deaf = true })
		f.happen(2, 3)
		time.Sleep(20 * time.Second)
		r.holds(1)
		time.Sleep(40 * time.Second)
		r.holds(1, 2, 3)
		if s := r.c.Status(); s.State != vstream.Collecting || !strings.Contains(r.said.String(), "state=silent") {
			t.Errorf("state is %s", s.State)
		}
		r.stop()
	})
}

func TestAVCenterWhoseCollectorsAllGoSilentIsAskedForEachSpanOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.happen(1)
		r := collect(t, f)
		time.Sleep(30 * time.Second)
		f.change(func() { f.deaf, f.deafer = true, true })
		f.happen(2, 3)
		time.Sleep(90 * time.Second)
		r.holds(1, 2, 3)
		r.stop()
	})
}

func TestAnEventThatTheUserMayNotSeeIsLookedForLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{hidden: map[int32]bool{2: true}}
		f.happen(1)
		r := collect(t, f)
		time.Sleep(30 * time.Second)
		f.happen(2)
		time.Sleep(2 * time.Hour)
		opens := f.opened()
		time.Sleep(10 * time.Hour)
		// Six renewals an hour, and hardly more for the event.
		if n := f.opened() - opens; n > 10*6+70 {
			t.Errorf("opened %d times in ten hours", n)
		}
		f.happen(3)
		time.Sleep(time.Minute)
		r.holds(1, 3)
		if s := r.c.Status(); s.State != vstream.Collecting {
			t.Errorf("state is %s", s.State)
		}
		r.stop()
	})
}

func TestReadingBeginsAnewEveryTenMinutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.happen(1)
		r := collect(t, f)
		time.Sleep(time.Hour + time.Minute)
		if n := f.opened(); n < 6 || n > 8 {
			t.Errorf("opened %d times in an hour", n)
		}
		if s := r.c.Status(); s.Reconnects != 0 {
			t.Errorf("that counts as %d interruptions", s.Reconnects)
		}
		r.stop()
	})
}

func TestAnAuditFindsAndFetchesWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.happen(1, 2)
		r := collect(t, f)
		time.Sleep(4 * time.Minute)
		f.happen(3, 4, 5, 6, 7)
		time.Sleep(5 * time.Second)
		r.holds(1, 2, 3, 4, 5, 6, 7)
		// One more that came too late for any overlap, one taken back, two folded into another.
		f.change(func() {
			tooLate := event(20, f.history[2].Time)
			f.history = append(f.history[:2:2], append([]vstream.Event{tooLate}, f.history[4:]...)...)
			f.position = len(f.history)
		})
		time.Sleep(90 * time.Second)
		s := r.c.Status()
		if s.Audit == nil || s.Audit.Missing != 1 || s.Audit.Folded != 2 || s.Audit.Extra != 0 {
			t.Fatalf("audit found %+v", s.Audit)
		}
		r.holds(1, 2, 3, 4, 5, 6, 7, 20)
		if !strings.Contains(r.said.String(), "audit found differences") {
			t.Error("the logger did not hear of it")
		}
		time.Sleep(10 * time.Minute)
		if s := r.c.Status(); s.Audit.Missing != 0 {
			t.Errorf("the next audit found %+v", s.Audit)
		}
		r.stop()
	})
}

func TestCompareCountsAndChangesNothing(t *testing.T) {
	f := &fake{}
	f.happen(1, 2, 3, 4, 5, 6)
	log := memlog.New(100, 1<<30)
	held := []vstream.Event{f.history[0], f.history[1], f.history[3], f.history[5]}
	odd := event(40, f.history[3].Time)
	odd.Type = "VmPoweredOffEvent"
	if err := log.Append(t.Context(), append(held, event(41, f.history[3].Time), odd)); err != nil {
		t.Fatal(err)
	}
	before, _ := log.Range()
	a, err := collector.Compare(t.Context(), f, log, time.Time{}, f.history[5].Time)
	if err != nil {
		t.Fatal(err)
	}
	if a.Events != 6 || a.Missing != 2 || a.Folded != 1 || a.Extra != 1 {
		t.Errorf("comparing gave %+v", a)
	}
	if after, _ := log.Range(); after != before {
		t.Errorf("the log became %v", after)
	}
}

func TestWhatTheVCenterHasDroppedIsNotCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.happen(1, 2, 3)
		time.Sleep(time.Minute)
		f.happen(4, 5)
		time.Sleep(time.Minute)
		log := memlog.New(100, 1<<30)
		if err := log.Append(t.Context(), f.history); err != nil {
			t.Fatal(err)
		}
		f.history = f.history[3:]
		a, err := collector.Compare(t.Context(), f, log, time.Time{}, time.Now())
		if want := (vstream.Audit{From: f.history[0].Time, To: a.To, Events: 2}); err != nil || a != want {
			t.Errorf("comparing gave %+v, %v, want %+v", a, err, want)
		}
	})
}

// A log that is full drops events of the very moment that its oldest one is of. They are
// told again at each audit, and are not missing.
func TestWhatTheLogHasDroppedIsNotMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		at := time.Now()
		for key := range int32(100) {
			f.history = append(f.history, event(key, at))
		}
		r := collectInto(t, f, memlog.New(10, 1<<30))
		time.Sleep(20 * time.Minute)
		if s := r.c.Status(); s.Audit == nil || s.Audit.Missing != 0 || s.Late != 0 {
			t.Errorf("status is %+v, audit %+v", s, s.Audit)
		}
		r.stop()
	})
}

func TestStatusTellsRateAndHeadroom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		r := collect(t, f)
		for key := range int32(600) {
			f.happen(2147479000 + key)
			time.Sleep(500 * time.Millisecond)
		}
		s := r.c.Status()
		if s.Rate < 1.8 || s.Rate > 2.2 {
			t.Errorf("rate is %.2f, want 2", s.Rate)
		}
		if s.KeyHeadroom < 400 || s.KeyHeadroom > 405 {
			t.Errorf("headroom is %d", s.KeyHeadroom)
		}
		if n := s.Collected.Info; n < 595 || n > 600 || s.Collected != (vstream.Severities{Info: n}) { // the newest may be on their way
			t.Errorf("collected are %+v, want 600 of info", s.Collected)
		}
		if s.Lag < 0 || s.Lag > 2*time.Second {
			t.Errorf("lag is %v", s.Lag)
		}
		r.stop()
	})
}
