package natslog

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"vstream"
	"vstream/internal/logtest"
)

// longAgo fills a log with n events, of which every tenth comes late and but a few are in the
// window, and returns their offsets in the order of the log.
func longAgo(t *testing.T, log *Log, n int) (order []vstream.Offset) {
	t.Helper()
	for o := 1; o <= n; o += 10 {
		for i := 1; i < 10; i++ {
			order = append(order, vstream.Offset(o+i))
		}
		order = append(order, vstream.Offset(o))
	}
	for some := range slices.Chunk(order, 1000) {
		mustAppend(t, log, logtest.Events(some...))
	}
	return order
}

// untilItRuns reads until the reader has a run, and returns what it has read.
func untilItRuns(t *testing.T, r vstream.Reader) (got []vstream.Offset) {
	t.Helper()
	for r.(*reader).run == nil {
		events, err := r.Next(t.Context())
		if err != nil || len(events) == 0 {
			t.Fatalf("Next after %d events, without a run: %d, %v", len(got), len(events), err)
		}
		for i := range events {
			got = append(got, events[i].Offset)
		}
	}
	return got
}

// consumers returns how many consumers the stream of a log has.
func consumers(t *testing.T, log *Log) (n int) {
	t.Helper()
	_, s := outside(t, log)
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info.State.Consumers
}

func TestReadersFarBehindReadEverythingOnceAndLeaveNothing(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) *Log{
		"embedded": func(t *testing.T) *Log {
			config := testConfig(t)
			config.WindowRecords = 10
			e, _ := start(t, config, "vc")
			return e.Log("vc")
		},
		"cluster": func(t *testing.T) *Log {
			config := clusterConfig(t, startServer(t).ClientURL())
			config.WindowRecords = 10
			m := join(t, config, "vc")
			comesAbout(t, "the log is open", func() bool { return m.Ready() == nil })
			return m.Log("vc")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := open(t)
			before := consumers(t, log)
			order := longAgo(t, log, 10_000)
			want(t, "before", rest(t, mustOpen(t, log, vstream.Before{Offset: order[7000], N: 6500})), order[500:7000])
			r := mustOpen(t, log, vstream.Oldest{})
			got := untilItRuns(t, r)
			want(t, "with a run", append(got, rest(t, r)...), order)

			var group sync.WaitGroup
			for range 3 * maxRuns {
				group.Go(func() {
					r := mustOpen(t, log, vstream.Oldest{})
					want(t, "one of many", rest(t, r), order)
				})
			}
			group.Wait()
			if n := log.runs.Load(); n != 0 {
				t.Errorf("%d runs are left", n)
			}
			becomes(t, "the consumers are removed", func() bool { return consumers(t, log) == before })
		})
	}
}

func TestThereAreButAFewRunsAndTheyEndWhenNotUsed(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.WindowRecords = 10
	e, _ := start(t, config, "vc")
	log := e.Log("vc")
	order := longAgo(t, log, 10_000)
	var readers []vstream.Reader
	var got [][]vstream.Offset
	for range maxRuns {
		r := mustOpen(t, log, vstream.Oldest{})
		readers, got = append(readers, r), append(got, untilItRuns(t, r))
	}
	want(t, "one more", rest(t, mustOpen(t, log, vstream.Oldest{})), order)
	if n := log.runs.Load(); n > maxRuns {
		t.Errorf("there are %d runs", n)
	}
	becomes(t, "they have ended", func() bool { return log.runs.Load() == 0 && consumers(t, log) == 0 })
	for i, r := range readers {
		want(t, "goes on", append(got[i], rest(t, r)...), order)
	}
}

// Whatever befalls a stream or its consumer, a reader goes on without one, and is told what it
// missed.
func TestAReaderWithARunGoesOnWhateverHappensToIt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		befalls func(t *testing.T, log *Log, js jetstream.JetStream, s jetstream.Stream) error
		expired bool
	}{
		"its consumer is removed": {befalls: func(t *testing.T, log *Log, js jetstream.JetStream, s jetstream.Stream) error {
			for name := range s.ConsumerNames(t.Context()).Name() {
				if err := s.DeleteConsumer(t.Context(), name); err != nil {
					return err
				}
			}
			return nil
		}},
		"what it reads is dropped": {expired: true, befalls: func(t *testing.T, log *Log, js jetstream.JetStream, s jetstream.Stream) error {
			return s.Purge(t.Context(), jetstream.WithPurgeSequence(15_000))
		}},
		"the stream is deleted": {expired: true, befalls: func(t *testing.T, log *Log, js jetstream.JetStream, s jetstream.Stream) error {
			if err := js.DeleteStream(t.Context(), "vstream-vc"); err != nil {
				return err
			}
			becomes(t, "the log is found empty", func() bool { _, ok := log.Range(); return !ok })
			return log.Append(t.Context(), logtest.Events(upTo(30_000, 30_010)...))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := testConfig(t)
			config.WindowRecords = 10
			e, _ := start(t, config, "vc")
			log := e.Log("vc")
			order := longAgo(t, log, 20_000)
			r := mustOpen(t, log, vstream.Oldest{})
			got := untilItRuns(t, r)
			js, s := outside(t, log)
			if err := c.befalls(t, log, js, s); err != nil {
				t.Fatal(err)
			}
			var err error
			for len(got) < len(order) && err == nil {
				var events []vstream.Event
				if events, err = r.Next(t.Context()); err == nil && len(events) == 0 {
					t.Fatalf("a tail after %d events", len(got))
				}
				for i := range events {
					got = append(got, events[i].Offset)
				}
			}
			want(t, "what came", got, order[:len(got)])
			var expired *vstream.ExpiredError
			if errors.As(err, &expired) != c.expired || !c.expired && err != nil {
				t.Errorf("after %d events: %v", len(got), err)
			}
		})
	}
}

func TestARunPassesOverWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.WindowRecords = 10
	e, _ := start(t, config, "vc")
	log := e.Log("vc")
	js, _ := outside(t, log)
	for from := vstream.Offset(1); from <= 12_000; from += 3000 {
		becomes(t, "the log takes events", func() bool { return log.Append(t.Context(), logtest.Events(upTo(from, from+2999)...)) == nil })
		if _, err := js.PublishMsg(t.Context(), &nats.Msg{Subject: "vstream.vc.event", Data: []byte("not ours")}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		want(t, "all", rest(t, mustOpen(t, log, vstream.Oldest{})), upTo(1, 12_000))
	}
}

// What is larger than all that is asked for at once comes by itself.
func TestARunPassesOverAnEventThatIsTooLargeForIt(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.WindowRecords, config.MaxRecord = 10, readBytes+1<<20
	e, _ := start(t, config, "vc")
	log := e.Log("vc")
	events := logtest.Events(upTo(1, 12_000)...)
	for _, i := range []int{5000, 5001, 9000} {
		events[i].JSON = append(events[i].JSON, make([]byte, readBytes)...)
	}
	mustAppend(t, log, events)
	r := mustOpen(t, log, vstream.Oldest{})
	want(t, "all", append(untilItRuns(t, r), rest(t, r)...), upTo(1, 12_000))
}

func TestAReaderWithARunObeysItsContext(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.WindowRecords = 10
	e, _ := start(t, config, "vc")
	log := e.Log("vc")
	order := longAgo(t, log, 10_000)
	r := mustOpen(t, log, vstream.Oldest{})
	got := untilItRuns(t, r)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for {
		events, err := r.Next(ctx)
		if errors.Is(err, context.Canceled) {
			break
		}
		if err != nil || len(events) == 0 {
			t.Fatalf("Next with a context that is over = %d, %v", len(events), err)
		}
		for i := range events {
			got = append(got, events[i].Offset)
		}
	}
	want(t, "afterwards", append(got, rest(t, r)...), order)
}

// A reader that is in the same place of another stream, as after the loss of its end, does not
// get what was at hand of the stream before.
func TestARunEndsWithItsStream(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.WindowRecords = 10
	e, _ := start(t, config, "vc")
	log := e.Log("vc")
	order := longAgo(t, log, 10_000)
	r := mustOpen(t, log, vstream.Oldest{})
	got := untilItRuns(t, r)
	run := r.(*reader).run
	run.idle.Stop() // the reader comes back in time, however slow this machine is
	becomes(t, "more is at hand", func() bool { return len(run.answers) >= readBatch })
	js, _ := outside(t, log)
	if err := js.DeleteStream(t.Context(), "vstream-vc"); err != nil {
		t.Fatal(err)
	}
	becomes(t, "the log is found empty", func() bool { _, ok := log.Range(); return !ok })
	kept, instead := order[:len(got)], upTo(30_001, 36_000)
	mustAppend(t, log, logtest.Events(kept...))
	mustAppend(t, log, logtest.Events(instead...))
	want(t, "all", append(got, rest(t, r)...), slices.Concat(kept, instead))
	if n := log.runs.Load(); n != 0 {
		t.Errorf("%d runs are left", n)
	}
}
