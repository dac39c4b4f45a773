package collector

import (
	"math"
	"sync"
	"time"

	"vstream"
)

// overflowKey is about where vCenter 8.0U1 and later start over.
const overflowKey = 2147480000

// rateWindow is over how long the rate of events is averaged.
const rateWindow = time.Minute

// report is what Status returns. The collector's goroutine writes it, anybody reads.
type report struct {
	c *Collector

	mu      sync.Mutex
	started time.Time      // under mu; written by the collector's goroutine only
	status  vstream.Status // under mu; likewise
	rate    float64        // under mu; events per second, decaying, as of rated
	rated   time.Time      // under mu
}

// begin keeps what is counted. How it went when the collector ran before is over: others have
// collected meanwhile.
func (r *report) begin(c *Collector) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.c, r.started = c, time.Now()
	s := &r.status
	s.Name, s.URL = c.Name, c.URL
	s.State, s.Since = vstream.Connecting, r.started
	s.LastEvent, s.Lag, s.KeyHeadroom, s.Audit = time.Time{}, 0, 0, nil
	r.rate, r.rated = 0, r.started
}

// Status returns how collecting goes. It may be called from any goroutine.
func (c *Collector) Status() vstream.Status {
	c.report.mu.Lock()
	s, started := c.report.status, c.report.started
	s.Rate = c.report.rate * math.Exp(-time.Since(c.report.rated).Seconds()/rateWindow.Seconds())
	c.report.mu.Unlock()
	s.SourceStatus = c.Source.Seen()
	if s.LastPoll.Before(started) {
		s.LastPoll = time.Time{}
	}
	if s.Name == "" { // before Run
		s.Name, s.URL, s.State = c.Name, c.URL, vstream.Connecting
	}
	return s
}

// enter changes the state, and lets the logger hear of it; not under mu, for who asks for the
// status must not wait for a logger that takes nothing.
func (r *report) enter(state vstream.State) {
	before := r.status.State // which nobody else writes
	if before == state {
		return
	}
	r.mu.Lock()
	r.status.State, r.status.Since = state, time.Now()
	r.mu.Unlock()
	r.c.Logger.Info("state changed", "state", state, "before", before)
}

func (r *report) connected() {
	if r.status.State != vstream.Silent {
		r.enter(vstream.Collecting)
	}
}

// polled is called after the vCenter has answered as it should.
func (r *report) polled(silent bool) {
	if silent {
		r.enter(vstream.Silent)
	} else {
		r.enter(vstream.Collecting)
	}
}

func (r *report) failed(err error, wait time.Duration) {
	r.c.Logger.Warn("collecting interrupted", "error", err, "retry_in", wait.Round(time.Millisecond))
	r.mu.Lock()
	r.status.Reconnects++
	r.status.LastError, r.status.LastErrorAt = err.Error(), time.Now()
	r.mu.Unlock()
	if wait >= refusedPause {
		r.enter(vstream.Refused)
	} else {
		r.enter(vstream.Failing)
	}
}

// appended takes note of so many events that the log has taken, of which so many came late.
func (r *report) appended(n, late int) {
	now := time.Now()
	newest := r.c.number.newest
	skew := r.c.Source.Seen().Skew
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Late += int64(late)
	r.status.Collected = r.c.taken
	r.status.Restarts = r.c.number.restarts
	if n > late { // else the newest is the one that it was
		r.status.LastEvent = newest.Time
		r.status.Lag = max(0, now.Add(skew).Sub(newest.Time))
		if key := newest.Offset.Key(); key >= 0 {
			r.status.KeyHeadroom = max(0, overflowKey-int64(key))
		} else {
			r.status.KeyHeadroom = -int64(key) // counting up to zero
		}
	}
	r.rate = r.rate*math.Exp(-now.Sub(r.rated).Seconds()/rateWindow.Seconds()) + float64(n)/rateWindow.Seconds()
	r.rated = now
}

// gap takes note that events may have been lost, and whether that is because another
// vCenter answers.
func (r *report) gap(replaced bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Gaps++
	if replaced {
		r.status.Replaced++
		r.status.ReplacedAt = time.Now()
	} else {
		r.status.GapAt = time.Now()
	}
}

func (r *report) audited(a vstream.Audit) {
	attrs := []any{"from", a.From, "to", a.To, "events", a.Events, "missing", a.Missing, "extra", a.Extra, "folded", a.Folded}
	if a.Missing > 0 || a.Extra > 0 {
		r.c.Logger.Warn("audit found differences; what was missing is in the log now", attrs...)
	} else {
		r.c.Logger.Debug("audit found the log complete", attrs...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.status.Audit = &a
}
