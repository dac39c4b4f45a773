package collector_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// torn is a log that has lost events.
type torn struct {
	vstream.Log
	since  time.Time
	mended int
}

func (l *torn) Lost() (time.Time, bool) { return l.since, l.mended == 0 }

func (l *torn) Mended(context.Context) error {
	l.mended++
	return nil
}

func TestWhatTheLogHasLostIsFetchedAgainOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		for key := range int32(5) {
			f.happen(key + 1)
			time.Sleep(10 * time.Minute)
		}
		log := &torn{Log: memlog.New(100, 1<<30), since: f.history[1].Time}
		for _, i := range []int{0, 1, 4} {
			if err := log.Append(t.Context(), f.history[i:i+1]); err != nil {
				t.Fatal(err)
			}
		}
		r := collectInto(t, f, log)
		time.Sleep(time.Minute)
		r.holds(1, 2, 5, 3, 4)
		time.Sleep(30 * time.Minute) // it opens anew, without going so far back
		r.stop()
		if log.mended != 1 {
			t.Errorf("the log was told %d times that it is mended", log.mended)
		}
		if want := log.since.Add(-time.Minute); !f.opens[0].Equal(want) {
			t.Errorf("reading began at %v, want %v", f.opens[0], want)
		}
		if last := f.opens[len(f.opens)-1]; len(f.opens) < 2 || last.Before(f.history[3].Time) {
			t.Errorf("opened at %v: again at what was lost", f.opens)
		}
	})
}
