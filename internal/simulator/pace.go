package simulator

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	// lateAfter is how far behind the schedule is late: long enough for one operation.
	lateAfter = 50 * time.Millisecond
	// maxDebt is how much is caught up at most, so that a machine that slept, or a rate
	// that it cannot give, ends in no flood.
	maxDebt = time.Second
)

// A pace spreads events over time like a Poisson process of the given rate.
type pace struct {
	rate  float64 // events per second
	rand  *rand.Rand
	now   func() time.Time
	sleep func(context.Context, time.Duration) error

	due time.Time // when the next event should come
}

// after waits as long as n events should take, counted from when they were due and not
// from now, so that the time they took to make does not slow the rate. When the
// schedule is behind it does not wait, and late says by how much it matters.
func (p *pace) after(ctx context.Context, n int) (late bool, err error) {
	now := p.now()
	if p.due.IsZero() {
		p.due = now
	}
	for range n {
		p.due = p.due.Add(time.Duration(p.rand.ExpFloat64() / p.rate * float64(time.Second)))
	}
	wait := p.due.Sub(now)
	if wait > 0 {
		return false, p.sleep(ctx, wait)
	}
	if wait < -maxDebt {
		p.due = now.Add(-maxDebt)
	}
	return wait < -lateAfter, context.Cause(ctx)
}

// sleep waits for d in real time.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
