package collector

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"

	"vstream"
)

const (
	// overlap is how far before the newest event in the log reading begins again. Events of
	// the same moment become visible in any order, and some a little later.
	overlap = time.Minute
	// minPause and maxPause bound the growing pauses between tries.
	minPause, maxPause = time.Second, time.Minute
	// refusedPause is how long to leave a vCenter alone that refuses the credentials.
	// vCenter's own default locks an account after five failures within three minutes.
	refusedPause = 5 * time.Minute
	// renewInterval is how often reading begins anew though nothing has failed, since
	// collectors are known to go silent.
	renewInterval = 10 * time.Minute
	// lookInterval is how often, while there are no events, the vCenter is asked whether
	// it has any.
	lookInterval = 10 * time.Second
	// minSilence and maxSilence bound how long a collector may be silent, though the
	// vCenter has events, before something is done about it.
	minSilence, maxSilence = 30 * time.Second, 10 * time.Minute
)

// Source is a vCenter as the collector reads it. Events come at the offsets of their keys
// in epoch 0.
type Source interface {
	// Open begins to read at the events of since, or where the first Open began if since
	// is zero, and returns where that is. It may be called again at any time, and must be
	// after an error.
	Open(ctx context.Context, since time.Time) (began time.Time, err error)
	// Next returns the next events, or none after waiting a little. They are overwritten by
	// the next call.
	Next(ctx context.Context) ([]vstream.Event, error)
	// History calls yield with pages of the events between two times, both included.
	History(ctx context.Context, from, to time.Time, yield func([]vstream.Event) error) error
	// Latest returns key and time of the vCenter's newest event, if it tells one.
	Latest(ctx context.Context) (key int32, created time.Time, ok bool, err error)
	// Pause waits so long, or until there is a reason to try again earlier.
	Pause(ctx context.Context, d time.Duration)
	// Seen returns what is known of the vCenter.
	Seen() vstream.SourceStatus
	// Close gives up what Open took, whether or not it succeeded.
	Close(ctx context.Context) error
}

// A keeper is a log that also keeps, for the collector that comes after a restart, which
// vCenter its events are from, and the epoch in which that one's keys began. It is told
// before it gets events of that vCenter, and makes its tag of what it is told first.
type keeper interface {
	Origin() (instance string, epoch uint32)
	SetOrigin(ctx context.Context, instance string, epoch uint32) error
}

// A mender is a log that can tell that it has lost events, by damage to its store, and takes
// them again.
type mender interface {
	// Lost returns the time of the last event before those that were lost, if any were.
	Lost() (since time.Time, ok bool)
	// Mended tells that what the vCenter still has of them has been appended.
	Mended(ctx context.Context) error
}

// Collector carries events from Source to Log. Its exported fields are set before Run.
type Collector struct {
	Name   string // of the vCenter
	URL    string
	Source Source
	Log    vstream.Log
	Logger *slog.Logger
	// AuditInterval is how often the log is compared with the vCenter's history; 0 is never.
	AuditInterval time.Duration

	number   numbering
	instance string    // the vCenter's uuid; empty before it is known
	began    time.Time // of the stream that is read
	opened   time.Time // when that was
	mending  bool      // it began at what the log has lost
	silence  silence
	audited  time.Time // when the last audit was, and how far it looked
	auditTo  time.Time
	report   report
}

// Run collects until ctx is done, and then returns nil. The source is closed by then. It
// may be called again after it has returned; others may have appended to the log meanwhile.
func (c *Collector) Run(ctx context.Context) error {
	c.forget()
	c.instance, c.silence, c.audited, c.auditTo = "", silence{}, time.Time{}, time.Time{}
	c.report.begin(c)
	pause := backoff.NewExponentialBackOff() // with jitter: vCenters come back to many clients
	pause.InitialInterval, pause.MaxInterval = minPause, maxPause
	for {
		err := c.collect(ctx, pause.Reset)
		if ctx.Err() != nil {
			// The context of the stop is over, but the source still has to say goodbye.
			if err := c.Source.Close(context.WithoutCancel(ctx)); err != nil {
				c.Logger.Debug("source not closed properly", "error", err)
			}
			return nil
		}
		wait := pause.NextBackOff()
		if errors.Is(err, vstream.ErrCredentials) {
			wait = refusedPause + rand.N(refusedPause/5)
		}
		c.report.failed(err, wait)
		c.Source.Pause(ctx, wait)
	}
}

// collect reads from the end of the log on and appends until something fails. It calls
// worked whenever the vCenter has answered as it should.
func (c *Collector) collect(ctx context.Context, worked func()) error {
	if err := c.open(ctx); err != nil {
		return err
	}
	for {
		events, err := c.Source.Next(ctx)
		if err != nil {
			return err
		}
		fresh, err := c.append(ctx, events)
		if err != nil {
			return err
		}
		worked()
		if fresh > 0 {
			c.silence.end()
		}
		c.report.polled(c.silence.found)
		idle := len(events) == 0
		switch {
		case idle && c.mending: // all that was lost has been told again
			c.mending = false
			err = c.Log.(mender).Mended(ctx)
		case time.Since(c.opened) > renewInterval:
			err = c.open(ctx)
		case idle && c.auditDue():
			err = c.audit(ctx)
		case idle && c.silence.due():
			err = c.listen(ctx)
		}
		if err != nil {
			return err
		}
	}
}

// open begins to read before the end of the log, or where reading first began while that
// is empty.
func (c *Collector) open(ctx context.Context) error {
	if !c.number.some {
		if err := c.number.begin(ctx); err != nil {
			return fmt.Errorf("look for the end of the log: %w", err)
		}
	}
	var since time.Time
	if c.number.some {
		since = c.number.newest.Time
		lost, ok := time.Time{}, false
		if m, mends := c.Log.(mender); mends {
			lost, ok = m.Lost()
		}
		if c.mending = ok; ok && lost.Before(since) {
			since = lost
		}
		since = since.Add(-overlap)
	}
	began, err := c.Source.Open(ctx, since)
	if err != nil {
		return err
	}
	c.began, c.opened = began, time.Now()
	if err := c.recognize(ctx); err != nil {
		return err
	}
	c.report.connected()
	return nil
}

// recognize finds out whether this is still the vCenter whose events the log holds: the
// same one, that still knows the newest of them.
func (c *Collector) recognize(ctx context.Context) (err error) {
	keep, keeps := c.Log.(keeper)
	if keeps && c.instance == "" {
		c.instance, _ = keep.Origin()
	}
	known := c.instance
	c.instance = c.Source.Seen().Instance
	if keeps {
		defer func() {
			if kept, _ := keep.Origin(); err == nil && kept != c.instance {
				err = keep.SetOrigin(ctx, c.instance, c.number.epoch)
			}
		}()
	}
	if !c.number.some {
		return nil
	}
	if known != "" && known != c.instance {
		c.Logger.Warn("another vCenter answers at this address; its keys start over", "instance", c.instance, "before", known)
		c.number.startOver(time.Time{})
		c.report.gap()
		return nil
	}
	newest, found := c.number.newest, false
	err = c.Source.History(ctx, newest.Time.Add(-time.Second), newest.Time.Add(time.Second), func(events []vstream.Event) error {
		for i := range events {
			found = found || events[i].Offset.Key() == newest.Offset.Key() && (newest.Class == "unknown" || events[i].SameAs(&newest))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if !found && !c.number.forgotten {
		c.Logger.Warn("the vCenter no longer has the newest event in the log; it may have been restored, or have lost events",
			"offset", int64(newest.Offset), "time", newest.Time)
		c.report.gap()
	}
	c.number.forgotten = !found
	return nil
}

// append gives the events of a page their offsets and appends what the log lacks. It
// returns how many the log has taken.
func (c *Collector) append(ctx context.Context, events []vstream.Event) (int, error) {
	if len(events) == 0 {
		return 0, nil
	}
	restarts, newest := c.number.restarts, vstream.Offset(-1)
	if c.number.some {
		newest = c.number.newest.Offset
	}
	fresh, err := c.number.page(ctx, events)
	if err != nil {
		c.forget()
		return 0, fmt.Errorf("number %d events: %w", len(events), err)
	}
	if c.number.restarts != restarts {
		c.Logger.Warn("the vCenter's keys start over", "epoch", c.number.epoch)
	}
	if len(fresh) == 0 {
		return 0, nil
	}
	if err := c.introduce(ctx); err != nil {
		c.forget()
		return 0, fmt.Errorf("keep which vCenter the events are from: %w", err)
	}
	if err := c.Log.Append(ctx, fresh); err != nil {
		c.forget()
		return 0, fmt.Errorf("append %d events: %w", len(fresh), err)
	}
	taken, late := 0, 0
	for i := range fresh {
		if fresh[i].Offset > newest {
			taken++
		} else if held, err := c.Log.Get(ctx, fresh[i].Offset); err == nil && held.SameAs(&fresh[i]) {
			// Late, then. One that the log has dropped, and told again, it does not take.
			taken++
			late++
		}
	}
	c.report.appended(taken, late)
	return taken, nil
}

// introduce tells a log that does not know, for it was deleted and made anew since the last
// open, which vCenter its events are from.
func (c *Collector) introduce(ctx context.Context) error {
	keep, keeps := c.Log.(keeper)
	if !keeps || c.instance == "" {
		return nil
	}
	if kept, _ := keep.Origin(); kept != "" {
		return nil
	}
	return keep.SetOrigin(ctx, c.instance, c.number.epoch)
}

// forget drops what was numbered: events that may not be in the log must not count as
// known. The next open looks there again.
func (c *Collector) forget() {
	c.number = numbering{log: c.Log, restarts: c.number.restarts, ended: c.number.ended}
}
