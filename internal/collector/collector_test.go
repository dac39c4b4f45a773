package collector_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/collector"
	"vstream/internal/logtest"
	"vstream/internal/memlog"
)

// script is a Source that plays a list of steps: pages, errors, and at the end silence.
type script struct {
	steps  []any // []vstream.Event or error; what Next returns
	opens  []time.Time
	fails  int // how many Opens fail first
	isOpen bool
	closed int
}

func (s *script) Open(_ context.Context, since time.Time) error {
	if s.isOpen {
		return errors.New("opened twice")
	}
	s.isOpen = true
	s.opens = append(s.opens, since)
	if s.fails > 0 {
		s.fails--
		return errors.New("connection refused")
	}
	return nil
}

func (s *script) Next(ctx context.Context) ([]vstream.Event, error) {
	if len(s.steps) == 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	step := s.steps[0]
	s.steps = s.steps[1:]
	if err, ok := step.(error); ok {
		return nil, err
	}
	return step.([]vstream.Event), nil
}

func (s *script) Close(ctx context.Context) error {
	if ctx.Err() != nil {
		return errors.New("closed with a context that is over")
	}
	s.isOpen = false
	s.closed++
	return nil
}

// play collects from s in a bubble for a while and returns the log and what was logged.
func play(t *testing.T, s *script, while time.Duration) (vstream.Log, string) {
	t.Helper()
	log := memlog.New(1000, 1<<30)
	var said bytes.Buffer
	c := &collector.Collector{Source: s, Log: log, Logger: slog.New(slog.NewTextHandler(&said, nil))}
	ctx, cancel := context.WithTimeout(t.Context(), while)
	defer cancel()
	if err := c.Run(ctx); err != nil {
		t.Errorf("Run: %v", err)
	}
	if s.isOpen {
		t.Error("the source was left open")
	}
	return log, said.String()
}

func offsets(t *testing.T, log vstream.Log) []vstream.Offset {
	t.Helper()
	r, err := log.Open(t.Context(), vstream.Oldest{})
	if err != nil {
		t.Fatal(err)
	}
	events, err := r.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var all []vstream.Offset
	for _, e := range events {
		all = append(all, e.Offset)
	}
	return all
}

func want(t *testing.T, got []vstream.Offset, want ...vstream.Offset) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("the log holds %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("the log holds %v, want %v", got, want)
		}
	}
}

func TestEventsOfAPageAreAppendedInTheOrderOfTheirKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log, _ := play(t, &script{steps: []any{logtest.Events(3, 1, 2), logtest.Events(5, 4)}}, time.Minute)
		want(t, offsets(t, log), 1, 2, 3, 4, 5)
	})
}

func TestAfterAnErrorReadingBeginsAMinuteBeforeTheEndOfTheLogAndNothingIsDoubled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{steps: []any{
			logtest.Events(1, 2, 100),
			errors.New("session expired"),
			logtest.Events(2, 100, 101),
		}}
		log, said := play(t, s, time.Minute)
		want(t, offsets(t, log), 1, 2, 100, 101)
		if len(s.opens) != 2 || !s.opens[0].IsZero() || !s.opens[1].Equal(time.Unix(100, 0).Add(-time.Minute)) {
			t.Errorf("opened at %v", s.opens)
		}
		if !strings.Contains(said, "session expired") {
			t.Errorf("the log does not say why: %s", said)
		}
	})
}

func TestAVCenterThatIsAwayIsTriedAgainAtGrowingIntervals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{fails: 8, steps: []any{logtest.Events(1)}}
		log, said := play(t, s, time.Hour)
		want(t, offsets(t, log), 1)
		if n := strings.Count(said, "collecting interrupted"); n != 8 {
			t.Errorf("said %d times that it was interrupted, want 8", n)
		}
		if s.closed != 9 {
			t.Errorf("closed %d times, want after each Open", s.closed)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		s := &script{fails: 1_000_000}
		_, _ = play(t, s, 24*time.Hour)
		if n := len(s.opens); n < 24*60/2 || n > 24*60*3 {
			t.Errorf("tried %d times in a day, want about once a minute", n)
		}
	})
}

func TestAStopDuringThePauseIsImmediate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		play(t, &script{fails: 1_000_000}, 10*time.Minute)
		if took := time.Since(began); took != 10*time.Minute {
			t.Errorf("stopped after %v", took)
		}
	})
}
