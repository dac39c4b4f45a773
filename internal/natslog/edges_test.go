package natslog

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"vstream"
	"vstream/internal/logtest"
)

func mustOpen(t *testing.T, log vstream.Log, p vstream.Position) vstream.Reader {
	t.Helper()
	r, err := log.Open(t.Context(), p)
	if err != nil {
		t.Fatalf("Open(%T(%v)): %v", p, p, err)
	}
	return r
}

func want(t *testing.T, what string, got, want []vstream.Offset) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: %d events %v, want %d %v", what, len(got), ends(got), len(want), ends(want))
	}
}

func ends(o []vstream.Offset) []vstream.Offset {
	if len(o) > 20 {
		return slices.Concat(o[:10], []vstream.Offset{-1}, o[len(o)-10:])
	}
	return o
}

func upTo(from, to vstream.Offset) (all []vstream.Offset) {
	for o := from; o <= to; o++ {
		all = append(all, o)
	}
	return all
}

// becomes waits until something holds.
func becomes(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("in a minute: %s", what)
		}
	}
}

func TestEventsReadFromTheStreamAreWhatWasAppended(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.WindowRecords = 1
	e, _ := start(t, config, "vc")
	log := e.Log("vc")
	var events []vstream.Event
	for i, text := range weird {
		ev := logtest.Events(vstream.Offset(10 + i))[0]
		ev.Message = "message \"quoted\" ü " + strings.Repeat("m", i)
		ev.JSON = []byte(`{"specversion":"1.0","id":"x","data":{"FullFormattedMessage":"message \"quoted\" ü ` + strings.Repeat("m", i) + `"}}`)
		ev.Chain = int32(i - 3)
		for _, header := range texts {
			*header.field(&ev) = text
		}
		events = append(events, ev)
	}
	large := logtest.Events(1000)[0]
	large.JSON = append(large.JSON, make([]byte, int(config.MaxRecord)-len(large.JSON))...)
	events = append(events, large, logtest.Events(1001)[0])
	mustAppend(t, log, slices.Clone(events))
	var got []vstream.Event
	for r := mustOpen(t, log, vstream.Oldest{}); len(got) < len(events); {
		some, err := r.Next(t.Context())
		if err != nil || len(some) == 0 {
			t.Fatalf("Next after %d events = %d, %v", len(got), len(some), err)
		}
		got = append(got, some...)
	}
	if diff := cmp.Diff(events, got); diff != "" {
		t.Errorf("read from the stream (-want +got):\n%s", diff)
	}
}

// A reader that comes from the stream into the window sees late events on either side of
// the border once, where they came.
func TestAReaderCrossesFromStreamToWindowExactly(t *testing.T) {
	t.Parallel()
	var order []vstream.Offset
	for o := vstream.Offset(1); o <= 60; o += 3 { // every third comes late
		order = append(order, o, o+2, o+1)
	}
	for _, window := range []int{1, 2, 3, 4, 30, 59, 60} {
		config := testConfig(t)
		config.WindowRecords = window
		e, stop := start(t, config, "vc")
		log := e.Log("vc")
		mustAppend(t, log, logtest.Events(order...))
		check := func() {
			t.Helper()
			for n := range order {
				want(t, "newest", rest(t, mustOpen(t, log, vstream.Newest(n))), order[len(order)-n:])
			}
			for o := vstream.Offset(1); o <= 60; o++ {
				from := slices.IndexFunc(order, func(x vstream.Offset) bool { return x >= o })
				want(t, "at", rest(t, mustOpen(t, log, vstream.At(o))), order[from:])
				if e, err := log.Get(t.Context(), o); err != nil || e.Offset != o {
					t.Errorf("Get(%d) = %d, %v", o, e.Offset, err)
				}
			}
			mustAppend(t, log, logtest.Events(order...)) // which it has
			want(t, "oldest", rest(t, mustOpen(t, log, vstream.Oldest{})), order)
		}
		check()
		stop()
		e, stop = start(t, config, "vc")
		log = e.Log("vc")
		check()
		stop()
	}
}

func TestBatchesOfAnySizeAreAppendedOnce(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	e, _ := start(t, config, "vc")
	log := e.Log("vc")
	var order []vstream.Offset
	for o := vstream.Offset(1); o <= 1200; o++ { // with repeats, inside a batch and across
		order = append(order, o, o, max(1, o-600))
	}
	mustAppend(t, log, logtest.Events(order...))
	want(t, "repeats", readAll(t, log), upTo(1, 1200))

	huge := logtest.Events(upTo(1201, 1240)...)
	for i := range huge {
		huge[i].JSON = append(huge[i].JSON, make([]byte, int(config.MaxRecord)-len(huge[i].JSON))...)
	}
	mustAppend(t, log, huge) // 20 MiB
	want(t, "huge", readAll(t, log), upTo(1, 1240))

	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := log.Append(ctx, logtest.Events(1241)); !errors.Is(err, context.Canceled) {
		t.Errorf("Append with a context that is over = %v", err)
	}
	var fenced error
	becomes(t, "Append works again", func() bool {
		fenced = log.Append(t.Context(), logtest.Events(1241, 1242))
		return fenced == nil
	})
	want(t, "after", readAll(t, log), upTo(1, 1242))
}

// outside returns the stream as somebody else may use it.
func outside(t *testing.T, log *Log) (jetstream.JetStream, jetstream.Stream) {
	t.Helper()
	log.mu.RLock()
	defer log.mu.RUnlock()
	return log.stream.js, log.stream.Stream
}

func TestMessagesOfOthersAreNotEvents(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.WindowRecords = 5
	e, stop := start(t, config, "vc")
	log := e.Log("vc")
	var next vstream.Offset
	js, _ := outside(t, log)
	tail := mustOpen(t, log, vstream.Newest(0))
	add := func(n vstream.Offset) {
		t.Helper()
		becomes(t, "the log takes events", func() bool { return log.Append(t.Context(), logtest.Events(upTo(next+1, next+n)...)) == nil })
		next += n
	}
	disturb := func(n int) {
		t.Helper()
		for range n {
			m := nats.NewMsg("vstream.vc.event")
			m.Header.Set(eventHeader, "offset=77&type=theirs")
			m.Data = []byte("not ours")
			if _, err := js.PublishMsg(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	check := func() {
		t.Helper()
		want(t, "all", readAll(t, log), upTo(1, next))
		for o := vstream.Offset(1); o <= next; o++ {
			if e, err := log.Get(t.Context(), o); err != nil || e.Offset != o {
				t.Fatalf("Get(%d) = %d, %v", o, e.Offset, err)
			}
			want(t, "before", rest(t, mustOpen(t, log, vstream.Before{Offset: o, N: 1})), upTo(max(1, o-1), o-1))
		}
		want(t, "newest", rest(t, mustOpen(t, log, vstream.Newest(1))), upTo(next, next))
		want(t, "tail", rest(t, tail), nil)
	}
	disturb(1)
	add(20)
	want(t, "tail", rest(t, tail), upTo(1, next))
	disturb(300)
	check()
	add(3)
	want(t, "tail", rest(t, tail), upTo(21, next))
	disturb(1)
	add(1)
	want(t, "tail", rest(t, tail), upTo(24, next))
	disturb(2)
	stop()
	e, _ = start(t, config, "vc")
	log = e.Log("vc")
	js, _ = outside(t, log)
	tail = mustOpen(t, log, vstream.Newest(0))
	check()
	add(4)
	want(t, "tail", rest(t, tail), upTo(next-3, next))
	check()
}

// What is done to a stream from outside shows within seconds, and the log goes on.
func TestALogGoesOnWhenItsStreamIsEmptiedOrDeletedFromOutside(t *testing.T) {
	t.Parallel()
	for name, how := range map[string]func(js jetstream.JetStream, s jetstream.Stream) error{
		"emptied": func(_ jetstream.JetStream, s jetstream.Stream) error { return s.Purge(t.Context()) },
		"deleted": func(js jetstream.JetStream, _ jetstream.Stream) error {
			return js.DeleteStream(t.Context(), "vstream-vc")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := testConfig(t)
			e, _ := start(t, config, "vc")
			log := e.Log("vc")
			mustAppend(t, log, logtest.Events(upTo(1, 100)...))
			tail, middle := mustOpen(t, log, vstream.Newest(0)), mustOpen(t, log, vstream.At(50))
			js, s := outside(t, log)
			if err := how(js, s); err != nil {
				t.Fatal(err)
			}
			becomes(t, "the log is found empty", func() bool { _, ok := log.Range(); return !ok })
			mustAppend(t, log, logtest.Events(upTo(90, 110)...)) // what the vCenter tells again
			want(t, "a reader at the tail", rest(t, tail), upTo(101, 110))
			var expired *vstream.ExpiredError
			if _, err := middle.Next(t.Context()); !errors.As(err, &expired) || expired.Requested != 50 {
				t.Errorf("a reader of what was dropped got %v", err)
			}
			want(t, "all", readAll(t, log), upTo(90, 110))
			if r, ok := log.Range(); !ok || r != (vstream.Range{Earliest: 90, Latest: 110}) {
				t.Errorf("Range = %v, %v, want 90 to 110", r, ok)
			}
		})
	}
}

func TestAPurgeOfThePastShows(t *testing.T) {
	t.Parallel()
	e, _ := start(t, testConfig(t), "vc")
	log := e.Log("vc")
	mustAppend(t, log, logtest.Events(upTo(1, 100)...))
	behind := mustOpen(t, log, vstream.At(10))
	_, s := outside(t, log)
	if err := s.Purge(t.Context(), jetstream.WithPurgeSequence(40)); err != nil {
		t.Fatal(err)
	}
	becomes(t, "Range says so", func() bool { r, _ := log.Range(); return r.Earliest == 40 })
	var expired *vstream.ExpiredError
	if _, err := behind.Next(t.Context()); !errors.As(err, &expired) || expired.Requested != 10 || expired.Earliest != 40 {
		t.Errorf("Next of a reader that was overtaken = %v", err)
	}
	if u := log.Usage(); u.Events != 61 {
		t.Errorf("Usage = %+v, want 61 events", u)
	}
	mustAppend(t, log, logtest.Events(5, 101))
	want(t, "all", readAll(t, log), upTo(40, 101))
}

func TestRetentionByAgeKeepsTheNewest(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.Retention = time.Second
	e, stop := start(t, config, "vc")
	log := e.Log("vc")
	mustAppend(t, log, logtest.Events(upTo(1, 100)...))
	becomes(t, "all but the newest are dropped", func() bool { return log.Usage().Events == 1 })
	if r, ok := log.Range(); !ok || r != (vstream.Range{Earliest: 100, Latest: 100}) {
		t.Errorf("Range = %v, %v, want just 100", r, ok)
	}
	var expired *vstream.ExpiredError
	if _, err := log.Get(t.Context(), 99); !errors.As(err, &expired) {
		t.Errorf("Get(99) = %v", err)
	}
	stop()
	config.Retention = 0
	e, stop = start(t, config, "vc")
	log = e.Log("vc")
	mustAppend(t, log, logtest.Events(upTo(90, 200)...))
	want(t, "after a restart", readAll(t, log), upTo(100, 200))
	stop()
	config.Retention = time.Millisecond
	e, _ = start(t, config, "vc")
	becomes(t, "the shorter retention holds", func() bool { return e.Log("vc").Usage().Events == 1 })
}

func TestRetentionByBytesChangesAtARestart(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.MaxBytes = 4 << 20
	e, stop := start(t, config, "vc")
	log := e.Log("vc")
	check := func(last vstream.Offset) vstream.Range {
		t.Helper()
		got := readAll(t, log)
		r, ok := log.Range()
		if !ok || r.Earliest != got[0] || r.Latest != last {
			t.Errorf("Range = %v, %v, and it holds %v to %v", r, ok, got[0], got[len(got)-1])
		}
		want(t, "held", got, upTo(got[0], last))
		if u := log.Usage(); u.Bytes > config.MaxBytes || u.MaxBytes != config.MaxBytes || u.Events != int64(len(got)) {
			t.Errorf("Usage = %+v, with %d events", u, len(got))
		}
		return r
	}
	for o := vstream.Offset(1); o < 10_000; o += 500 {
		mustAppend(t, log, history(o, o+499))
	}
	wide := check(10_000)
	stop()
	config.MaxBytes = 1 << 20
	e, stop = start(t, config, "vc")
	log = e.Log("vc")
	if narrow := check(10_000); narrow.Earliest <= wide.Earliest {
		t.Errorf("a quarter of the bytes holds %v, all of them %v", narrow, wide)
	}
	stop()
	config.MaxBytes = 8 << 20
	e, _ = start(t, config, "vc")
	log = e.Log("vc")
	mustAppend(t, log, history(10_001, 12_000))
	check(12_000)
}

// Late events, several epochs, and times that leap make no seek long.
func TestSeeksReadTheStreamAFewTimesOnly(t *testing.T) {
	t.Parallel()
	const n = 50_000
	config := testConfig(t)
	config.WindowRecords, config.fetched = 100, new(atomic.Int64)
	e, stop := start(t, config, "vc")
	var events []vstream.Event
	at := time.Unix(1_700_000_000, 0).UTC()
	for i := range n {
		epoch, key := uint32(i/20_000), int32(i%20_000)*2*(1+int32(i/10_000))
		if i%10 == 9 && key > 80 {
			key -= 71 // late
		}
		at = at.Add(time.Duration(i%7) * time.Millisecond)
		if i%9_000 == 0 {
			at = at.Add(1000 * time.Hour)
		}
		ev := logtest.Events(vstream.OffsetOf(epoch, key))[0]
		ev.Time = at
		events = append(events, ev)
	}
	mustAppend(t, e.Log("vc"), slices.Clone(events))
	stop()
	const most = 2*16 + 4
	for i := 17; i < n-200; i += 4797 {
		e, stop := start(t, config, "vc") // that knows nothing yet
		log := e.Log("vc")
		for _, p := range []vstream.Position{vstream.At(events[i].Offset), vstream.Since(events[i].Time)} {
			before := config.fetched.Load()
			r := mustOpen(t, log, p)
			got, err := r.Next(t.Context())
			if err != nil || len(got) == 0 {
				t.Fatalf("Next = %v, %v", len(got), err)
			}
			if used := config.fetched.Load() - before; used > most {
				t.Errorf("%T of event %d took %d reads, want at most %d", p, i, used, most)
			}
			first := slices.IndexFunc(events, func(e vstream.Event) bool {
				if since, ok := p.(vstream.Since); ok {
					return !e.Time.Before(time.Time(since))
				}
				return e.Offset >= events[i].Offset
			})
			if got[0].Offset != events[first].Offset {
				t.Errorf("%T of event %d finds %d, want %d", p, i, got[0].Offset, events[first].Offset)
			}
		}
		stop()
	}
}

func TestADirectoryThatCannotBeUsedIsToldClearly(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	start(t, config, "vc")
	if err := New(config, "vc").Run(t.Context()); err == nil || !strings.Contains(err.Error(), config.Dir+" is in use by another vstream") {
		t.Errorf("Run over the directory of another = %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{file, filepath.Join(file, "logs"), filepath.Join(file, "more", "logs")} {
		config.Dir = dir
		if err := New(config, "vc").Run(t.Context()); err == nil || err.Error() != file+" is a file, not a directory for logs" {
			t.Errorf("Run in %s = %v", dir, err)
		}
		if err := Inspect(t.Context(), config, nil); err == nil || err.Error() != file+" is a file, not a directory for logs" {
			t.Errorf("Inspect of %s = %v", dir, err)
		}
	}
}

func TestADirectoryIsClaimedBeforeAnEngineRunsAndUntilItHasEnded(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	e := New(config, "vc")
	for range 2 { // again is nothing
		if err := e.Claim(); err != nil {
			t.Fatal(err)
		}
	}
	another := New(config, "vc")
	refused := func(err error) bool {
		return err != nil && strings.Contains(err.Error(), config.Dir+" is in use by another vstream")
	}
	if err := another.Claim(); !refused(err) {
		t.Errorf("Claim of what another has claimed = %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- e.Run(ctx) }()
	becomes(t, "the logs are open", func() bool { return e.Ready() == nil })
	if err := another.Claim(); !refused(err) {
		t.Errorf("Claim of what another uses = %v", err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run = %v", err)
	}
	if err := another.Claim(); err != nil {
		t.Errorf("Claim of what was left = %v", err)
	}
	another.unlock()
}

// A new stream must not take the place of one that JetStream does not recognize.
func TestAStreamThatCannotBeReadIsNotReplaced(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, dir string){
		"no settings": func(t *testing.T, dir string) {
			if err := os.Remove(storeFiles(t, dir, "meta.inf")[0]); err != nil {
				t.Fatal(err)
			}
		},
		"garbled settings": func(t *testing.T, dir string) { change(t, storeFiles(t, dir, "meta.inf")[0], garble) },
		"empty settings": func(t *testing.T, dir string) {
			change(t, storeFiles(t, dir, "meta.inf")[0], func([]byte) []byte { return nil })
		},
		"no sum": func(t *testing.T, dir string) {
			if err := os.Remove(storeFiles(t, dir, "meta.sum")[0]); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := testConfig(t)
			e, stop := start(t, config, "vc", "other")
			mustAppend(t, e.Log("vc"), logtest.Events(upTo(1, 10)...))
			stop()
			kept := map[string][]byte{}
			for _, file := range storeFiles(t, config.Dir, "meta.*") {
				kept[file], _ = os.ReadFile(file)
			}
			damage(t, config.Dir)
			e = New(config, "vc", "other")
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- e.Run(ctx) }()
			other := e.Log("other")
			becomes(t, "the other log works", func() bool { return other.Append(t.Context(), logtest.Events(1)) == nil })
			if err := e.Log("vc").Append(t.Context(), logtest.Events(11)); err == nil {
				t.Error("a log that cannot be read takes events")
			}
			becomes(t, "it says why, and that waiting does not help", func() bool {
				err := e.Ready()
				return err != nil && strings.HasPrefix(err.Error(), "the log of vc is not open: the directory ") &&
					errors.As(err, new(*vstream.DamageError)) && strings.Contains(err.Error(), "which does not heal by itself; put back ")
			})
			for file, data := range kept { // as the message says
				if err := os.WriteFile(file, data, 0o600); err != nil {
					t.Error(err)
				}
			}
			cancel()
			if err := <-done; err != nil {
				t.Errorf("Run: %v", err)
			}
			e, _ = start(t, config, "vc", "other")
			want(t, "put back", readAll(t, e.Log("vc")), upTo(1, 10))
		})
	}
}
