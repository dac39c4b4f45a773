package index_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/filter"
	"vstream/internal/index"
	"vstream/internal/memlog"
)

func TestAnIndexOfAnEmptyLogIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := follow(t, memlog.New(10, noLimit), 10)
		synctest.Wait()
		if c := x.Coverage(); c != (index.Coverage{Whole: true}) {
			t.Errorf("Coverage = %+v", c)
		}
		if _, _, ok := x.Span(); ok {
			t.Error("it spans some time")
		}
		if n := len(x.Types()) + len(before(x, everything, index.End, 5)) + len(after(x, everything, -1, 5)); n != 0 {
			t.Errorf("%d things are found", n)
		}
		if top, _ := x.Facets(everything, time.Time{}, time.Time{}).Top(filter.VM, 5); len(top) != 0 {
			t.Errorf("names are found: %v", top)
		}
		if got := x.Count(everything, time.Unix(0, 0), time.Second, 1); got[0] != (index.Counts{}) {
			t.Errorf("events are counted: %v", got)
		}
	})
}

func TestAnIndexTellsWhatItCovers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(1)
		log := memlog.New(100, noLimit)
		appendTo(t, log, s.events(80)...)
		all := held(t, log, 1000)
		unrun := &index.Index{Log: log, MaxRows: 10}
		if c := unrun.Coverage(); !c.Building || c.Whole || c.Rows != 0 {
			t.Errorf("before Run: %+v", c)
		}
		whole, part := follow(t, log, 1000), follow(t, log, 30)
		synctest.Wait()
		if c := whole.Coverage(); !c.Whole || c.Rows != 80 || c.From != 1 || c.Through != all[79].Offset {
			t.Errorf("of all: %+v", c)
		}
		if c := part.Coverage(); c.Whole || c.Rows != 30 || c.From != all[50].Offset || !c.Since.Equal(all[50].Time) {
			t.Errorf("of a part: %+v", c)
		}
		appendTo(t, log, s.events(300)...) // the log has dropped what it had
		synctest.Wait()
		if c := whole.Coverage(); !c.Whole || c.Rows != 100 {
			t.Errorf("of all: %+v", c)
		}
		if c := part.Coverage(); c.Whole || c.Rows != 30 {
			t.Errorf("of a part: %+v", c)
		}
	})
}

// One that begins in the midst of a log is whole once the log has dropped what came before.
func TestAnIndexOfAPartBecomesWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(2)
		log := memlog.New(30, 64<<10)
		appendTo(t, log, s.events(30)...)
		x := follow(t, log, 20)
		synctest.Wait()
		if c := x.Coverage(); c.Whole || c.Rows != 20 {
			t.Errorf("at first: %+v", c)
		}
		large := s.event()
		large.JSON = make([]byte, 60<<10)
		appendTo(t, log, large)
		synctest.Wait()
		if c := x.Coverage(); !c.Whole || c.Rows != len(held(t, log, 30)) || c.Rows > 19 {
			t.Errorf("when the log has dropped more: %+v", c)
		}
	})
}

// What the index would drop at once is not read.
func TestOnlyWhatIsIndexedIsRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &troubled{log: memlog.New(100_000, noLimit)}
		appendTo(t, log, newStory(12).events(100_000)...)
		x := follow(t, log, 1000)
		synctest.Wait()
		if c, n := x.Coverage(), log.reads.Load(); c.Rows != 1000 || n > 10 {
			t.Errorf("for %d rows it read %d times", c.Rows, n)
		}
	})
}

// Of what is near an event that is not indexed, nothing is said: it may lie before the index.
func TestOnlyIndexedEventsArePlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(100, noLimit)
		events := newStory(14).events(60)
		for i := range events {
			events[i].Offset = vstream.Offset(2*i + 2) // to 120
		}
		appendTo(t, log, events...)
		x := follow(t, log, 10) // from 102 on
		synctest.Wait()
		for place, want := range map[vstream.Offset]bool{1: false, 50: false, 100: false, 102: true, 103: false, 120: true, 122: false} {
			found, from, ok := x.Before(everything, place, 100)
			if ok != want || ok && (from != 102 || len(found) != int(place-102)/2) {
				t.Errorf("Before(%d) = %v, %d, %v", place, found, from, ok)
			}
			if found, ok := x.After(everything, place, 100); ok != want || ok && len(found) != int(120-place)/2 {
				t.Errorf("After(%d) = %v, %v", place, found, ok)
			}
		}
	})
}

func TestALateEventIsAPlaceOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 10_000 // more than two chunks
		events := newStory(13).events(n)
		for i := range events {
			events[i].Offset = vstream.Offset(i + 1)
		}
		events[n-2].Offset = 5 // late by two chunks; there is no n-1, and no 6
		log := memlog.New(2*n, noLimit)
		appendTo(t, log, slices.Delete(events, 4, 6)...)
		x := follow(t, log, 2*n)
		synctest.Wait()
		for _, c := range []struct {
			place         vstream.Offset
			before, after []vstream.Offset
		}{
			{4, []vstream.Offset{2, 3}, []vstream.Offset{7, 8}},
			{5, []vstream.Offset{n - 3, n - 2}, []vstream.Offset{n}},
			{n, []vstream.Offset{n - 2, 5}, nil},
			{index.End, []vstream.Offset{5, n}, nil},
			{1, nil, []vstream.Offset{2, 3}},
			{-1, nil, []vstream.Offset{1, 2}},
		} {
			if got := before(x, everything, c.place, 2); !slices.Equal(got, c.before) {
				t.Errorf("before %d are %v, want %v", c.place, got, c.before)
			}
			if got := after(x, everything, c.place, 2); !slices.Equal(got, c.after) {
				t.Errorf("after %d are %v, want %v", c.place, got, c.after)
			}
		}
	})
}

// A troubled log is a log that fails when it is told to, and that can be replaced.
type troubled struct {
	mu  sync.Mutex
	log vstream.Log // under mu
	err error       // under mu; what Open and Next fail with, until it is taken away
	// reads counts calls of Next.
	reads atomic.Int64
}

func (l *troubled) set(log vstream.Log, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if log != nil {
		l.log = log
	}
	l.err = err
}

func (l *troubled) now() (vstream.Log, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.log, l.err
}

func (l *troubled) Append(ctx context.Context, events []vstream.Event) error {
	log, _ := l.now()
	return log.Append(ctx, events)
}

func (l *troubled) Range() (vstream.Range, bool) {
	log, _ := l.now()
	return log.Range()
}

func (l *troubled) Tag() string { return "" }

func (l *troubled) Usage() vstream.Usage {
	log, _ := l.now()
	return log.Usage()
}

func (l *troubled) Get(ctx context.Context, o vstream.Offset) (vstream.Event, error) {
	log, _ := l.now()
	return log.Get(ctx, o)
}

func (l *troubled) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	log, err := l.now()
	if err != nil {
		return nil, err
	}
	r, err := log.Open(ctx, p)
	return &troubledReader{r, l}, err
}

type troubledReader struct {
	vstream.Reader
	log *troubled
}

func (r *troubledReader) Next(ctx context.Context) ([]vstream.Event, error) {
	r.log.reads.Add(1)
	if _, err := r.log.now(); err != nil {
		return nil, err
	}
	return r.Reader.Next(ctx)
}

func TestALogThatCannotBeReadIsTriedAgainNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := &vstream.UnavailableError{Err: errors.New("away")}
		log := &troubled{log: memlog.New(1000, noLimit), err: away}
		s := newStory(3)
		appendTo(t, log, s.events(10)...)
		x := follow(t, log, 1000)
		time.Sleep(time.Minute)
		if c := x.Coverage(); !c.Building || c.Rows != 0 {
			t.Errorf("while it is away: %+v", c)
		}
		log.set(nil, nil)
		time.Sleep(2 * time.Second)
		if c := x.Coverage(); c.Building || c.Rows != 10 {
			t.Errorf("when it has come: %+v", c)
		}
		for _, err := range []error{away, errors.New("something else")} {
			log.set(nil, err)
			reads := log.reads.Load()
			appendTo(t, log, s.events(10)...)
			time.Sleep(time.Minute)
			if n := log.reads.Load() - reads; n > 100 {
				t.Errorf("it was tried %d times in a minute", n)
			}
			log.set(nil, nil)
			time.Sleep(2 * time.Second)
			compare(t, s.Rand, x, held(t, log, 1000))
		}
	})
}

// A slow log is one of which reading a page takes a second.
type slow struct{ *memlog.Log }

func (l slow) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	r, err := l.Log.Open(ctx, p)
	return slowReader{r}, err
}

type slowReader struct{ vstream.Reader }

func (r slowReader) Next(ctx context.Context) ([]vstream.Event, error) {
	time.Sleep(time.Second)
	return r.Reader.Next(ctx)
}

func TestAnIndexThatRetentionOvertookIsBuiltAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(4)
		log := slow{memlog.New(1000, noLimit)}
		appendTo(t, log, s.events(1000)...)
		x := follow(t, log, 1e6)
		time.Sleep(2500 * time.Millisecond)
		c := x.Coverage()
		if !c.Building || c.Rows == 0 || c.Rows == 1000 {
			t.Fatalf("half built: %+v", c)
		}
		appendTo(t, log, s.events(950)...)
		time.Sleep(time.Minute)
		compare(t, s.Rand, x, held(t, log, 1e6))
	})
}

func TestAnIndexOfALogThatWasReplacedIsBuiltAnew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old, s := memlog.New(1000, noLimit), newStory(5)
		log := &troubled{log: old}
		appendTo(t, log, s.events(500)...)
		x := follow(t, log, 1000)
		synctest.Wait()
		other, cut := newStory(6), memlog.New(1000, noLimit)
		log.set(cut, nil)
		if c := x.Coverage(); c.Rows != 0 {
			t.Errorf("of a log that is empty now it covers %+v", c)
		}
		appendTo(t, log, other.events(100)...)
		now, _ := log.Range()
		if found := before(x, everything, index.End, 1); len(found) == 0 || found[0] > now.Latest {
			t.Errorf("the newest event is said to be %d, of a log that holds %v", found, now)
		}
		// What waits for the old log is woken, as by every log that turns out to be another.
		if err := old.Append(t.Context(), s.events(1)); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		compare(t, s.Rand, x, held(t, log, 1000))
		appendTo(t, log, other.events(100)...)
		synctest.Wait()
		compare(t, s.Rand, x, held(t, log, 1000))
	})
}

func TestEventsOfOddTimesDoNotStretchTheSpan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStory(7)
		events := s.events(5000) // more than a chunk
		events[10].Time, events[4500].Time = time.Time{}, time.Time{}
		log := memlog.New(10_000, noLimit)
		appendTo(t, log, events...)
		x := follow(t, log, 10_000)
		synctest.Wait()
		from, to, ok := x.Span()
		if wantTo := events[len(events)-1].Time.Add(time.Microsecond); !ok || !from.Equal(events[0].Time) || !to.Equal(wantTo) {
			t.Errorf("Span = %v, %v, %v", from, to, ok)
		}
		if got := x.Facets(everything, time.Time{}, from); len(top(got, filter.Type)) == 0 {
			t.Error("events without a time are nowhere")
		}
	})
}

func top(f *index.Facets, field filter.Field) []index.Value {
	values, _ := f.Top(field, 10)
	return values
}

func TestLongTextsAreFoundByTheirBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newStory(8).event()
		e.User = strings.Repeat("ä", 300_000)
		log := memlog.New(10, noLimit)
		appendTo(t, log, e)
		x := follow(t, log, 10)
		synctest.Wait()
		got := top(x.Facets(everything, time.Time{}, time.Time{}), filter.User)
		if len(got) != 1 || got[0].Value != strings.Repeat("ä", 256) {
			t.Errorf("the names are %.600v", got)
		}
	})
}

func TestManyReadWhileItGrows(t *testing.T) {
	log := memlog.New(15_000, noLimit)
	x := follow(t, log, 12_000)
	s := newStory(9)
	s.late = 0.01
	done := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			f := parse(t, []string{"", "vm=vm-00007.example", "severity=error", "chain=7"}[i])
			for {
				select {
				case <-done:
					return
				default:
				}
				c := x.Coverage()
				found := before(x, f, index.End, 1_000_000)
				if len(found) > 12_000 {
					t.Errorf("%d events are found", len(found))
				}
				x.Types()
				x.Facets(f, time.Time{}, time.Time{}).Top(filter.VM, 10)
				if from, to, ok := x.Span(); ok {
					begin, width, n := index.Buckets(from, to, 300)
					x.Count(f, begin, width, n)
				}
				after(x, f, c.From, 100)
			}
		})
	}
	for range 60 {
		appendTo(t, log, s.events(1000)...)
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		r, _ := log.Range()
		if c := x.Coverage(); c.Through == r.Latest && !c.Building {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not catch up")
		}
	}
	close(done)
	readers.Wait()
	compare(t, s.Rand, x, held(t, log, 12_000))
}

// indexed returns an index of a log of these events, which is done with reading them, and
// how much memory it takes.
func indexed(t testing.TB, maxRows, n int, next func() vstream.Event) (x *index.Index, bytes int64) {
	t.Helper()
	log := &generated{n: n, next: next}
	x = &index.Index{Log: log, MaxRows: maxRows, Logger: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(t.Context())
	log.done = cancel
	before := heap()
	if err := x.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return x, heap() - before
}

func heap() int64 {
	var m runtime.MemStats
	for range 3 { // what is shared by all is let go of in steps
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A generated log makes its events when they are read, and holds none.
type generated struct {
	vstream.Log
	n    int
	next func() vstream.Event
	done func()
	peak vstream.Offset
}

func (l *generated) Open(context.Context, vstream.Position) (vstream.Reader, error) { return l, nil }
func (l *generated) Usage() vstream.Usage                                           { return vstream.Usage{} }
func (l *generated) Range() (vstream.Range, bool) {
	return vstream.Range{Earliest: 0, Latest: l.peak}, true
}

func (l *generated) Next(context.Context) ([]vstream.Event, error) {
	batch := make([]vstream.Event, 0, 256)
	for l.n > 0 && len(batch) < cap(batch) {
		batch = append(batch, l.next())
		l.n--
		l.peak = max(l.peak, batch[len(batch)-1].Offset)
	}
	return batch, nil
}

func (l *generated) More() <-chan struct{} {
	l.done()
	return nil
}

func TestAnEventTakesLittleMemory(t *testing.T) {
	const n = 200_000
	x, bytes := indexed(t, n, n, newStory(10).event)
	if c := x.Coverage(); c.Rows != n {
		t.Fatalf("%+v", c)
	}
	t.Logf("%d bytes an event", bytes/n)
	if bytes > n*80 {
		t.Errorf("%d events take %d bytes, %d each", n, bytes, bytes/n)
	}
}

func TestMemoryIsBoundedHoweverManyEventsAndNames(t *testing.T) {
	const maxRows = 50_000
	s := newStory(11)
	x, bytes := indexed(t, maxRows, 4*maxRows, func() vstream.Event {
		e := s.event()
		e.User = fmt.Sprint(strings.Repeat("x", 200), s.Uint64())
		e.VM = fmt.Sprint("vm", s.Uint64())
		return e
	})
	c := x.Coverage()
	t.Logf("%d rows in %d bytes", c.Rows, bytes)
	// The newest chunk is beyond it.
	if limit := int64(128*maxRows + 4096*600); bytes > limit {
		t.Errorf("it takes %d bytes, more than %d", bytes, limit)
	}
	if c.Rows < 5000 || c.Rows == maxRows || c.Whole {
		t.Errorf("it covers %+v", c)
	}
}

func TestBucketsAreAsNarrowAsFits(t *testing.T) {
	at := func(s string) time.Time {
		t.Helper()
		v, err := time.Parse(time.RFC3339Nano, s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		from, to string
		most     int
		begin    string
		width    time.Duration
		n        int
	}{
		{"2026-11-22T10:00:00Z", "2026-11-22T10:05:00Z", 300, "2026-11-22T10:00:00Z", time.Second, 300},
		{"2026-11-22T10:00:00Z", "2026-11-22T10:05:00.000001Z", 300, "2026-11-22T10:00:00Z", 5 * time.Second, 61},
		{"2026-11-22T10:07:33Z", "2026-11-22T12:00:00Z", 30, "2026-11-22T10:05:00Z", 5 * time.Minute, 23},
		{"2026-11-22T10:07:33Z", "2026-11-29T12:00:00Z", 100, "2026-11-22T09:00:00Z", 3 * time.Hour, 57},
		{"2026-11-22T10:07:33+05:30", "2027-11-22T12:00:00Z", 400, "2026-11-22T00:00:00Z", 24 * time.Hour, 366},
		{"2026-11-22T10:00:00.5Z", "2026-11-22T10:00:00.5Z", 300, "2026-11-22T10:00:00Z", time.Second, 1}, // no time at all
		{"2026-11-22T10:00:00Z", "2025-11-22T10:00:00Z", 300, "2026-11-22T10:00:00Z", time.Second, 1},     // less than that
		{"0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", 300, "1970-01-01T00:00:00Z", 448 * 24 * time.Hour, 239},
		{"0001-01-01T00:00:00Z", "9999-12-31T00:00:00Z", 2, "1970-01-01T00:00:00Z", (28 << 11) * 24 * time.Hour, 2},
	} {
		begin, width, n := index.Buckets(at(c.from), at(c.to), c.most)
		if !begin.Equal(at(c.begin)) || width != c.width || n != c.n {
			t.Errorf("%s to %s in %d: %v, %v, %d, want %s, %v, %d", c.from, c.to, c.most, begin, width, n, c.begin, c.width, c.n)
		}
	}
}

func TestAnswersOfSeveralLogsAddUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all []vstream.Event
		sum := make([]index.Counts, 50)
		begin := newStory(0).time
		var facets *index.Facets
		for seed := range uint64(3) {
			log, s := memlog.New(10_000, noLimit), newStory(20+seed)
			appendTo(t, log, s.events(5000)...)
			x := follow(t, log, 10_000)
			synctest.Wait()
			all = slices.Concat(all, held(t, log, 10_000))
			for i, c := range x.Count(everything, begin, time.Hour, len(sum)) {
				sum[i].Add(c)
			}
			if f := x.Facets(everything, time.Time{}, time.Time{}); facets == nil {
				facets = f
			} else {
				facets.Add(f)
			}
		}
		if want := countsOf(all, begin, time.Hour, len(sum)); !slices.Equal(sum, want) {
			t.Errorf("counts are %v, want %v", sum, want)
		}
		for _, field := range index.FacetFields {
			want, wantOthers := topOf(all, field, begin, begin.AddDate(1, 0, 0), 7)
			if got, others := facets.Top(field, 7); !slices.Equal(got, want) || others != wantOthers {
				t.Errorf("of field %d the top is %v and %d, want %v and %d", field, got, others, want, wantOthers)
			}
		}
	})
}
