package collector

import (
	"context"
	"time"

	"vstream"
)

// silence is what is known of a vCenter that has newer events than it gives: since when,
// and what has been done about it.
type silence struct {
	looked   time.Time     // when it was last looked for
	since    time.Time     // when it was first noticed; zero while there is none
	tried    int           // 0 nothing, 1 opened anew, 2 walked
	found    bool          // it lasts longer than it may
	patience time.Duration // how long it may last; 0 means minSilence
}

// end is called when new events come, or there are none. Where something was done about a
// silence and events come, that has helped, and the next one is not borne so long.
func (s *silence) end() {
	ended := silence{looked: s.looked, patience: s.patience}
	if s.found {
		ended.patience = 0
	}
	*s = ended
}

func (s *silence) due() bool { return time.Since(s.looked) >= lookInterval }

// listen finds out whether the vCenter has events that it does not give, and if so for
// long, does what is known to help: opens anew, then asks for each span of time by
// itself. Where nothing helps it leaves more and more time in between, for there are
// events that a restricted user never gets to see.
func (c *Collector) listen(ctx context.Context) error {
	s := &c.silence
	s.looked = time.Now()
	key, created, ok, err := c.Source.Latest(ctx)
	if err != nil {
		return err
	}
	if !ok || !c.lacks(key, created) {
		s.end()
		return nil
	}
	if s.since.IsZero() {
		s.since = s.looked
	}
	if s.looked.Sub(s.since) < max(s.patience, minSilence) {
		return nil
	}
	s.found = true
	c.report.polled(true)
	switch s.tried {
	case 0:
		c.Logger.Warn("the vCenter has events that it does not give; opening anew", "newest_key", key, "newest_time", created)
		s.tried = 1
		return c.open(ctx)
	case 1:
		c.Logger.Warn("the vCenter still does not give its events; asking for each span of time", "newest_key", key)
		s.tried = 2
		return c.walk(ctx, c.knownUntil().Add(-overlap), created.Add(time.Second))
	default:
		*s = silence{looked: s.looked, patience: min(2*max(s.patience, minSilence), maxSilence)}
		c.Logger.Info("the vCenter has an event that its user does not get to see", "key", key, "next_look", s.patience)
		return nil
	}
}

// lacks reports whether the event with this key and time is newer than what we have.
func (c *Collector) lacks(key int32, created time.Time) bool {
	if !c.number.some {
		return created.After(c.began)
	}
	newest := c.number.newest
	return created.After(newest.Time) || created.Equal(newest.Time) && uint32(key) > uint32(newest.Offset.Key())
}

// knownUntil is the time of the newest event, or where reading began.
func (c *Collector) knownUntil() time.Time {
	if c.number.some {
		return c.number.newest.Time
	}
	return c.began
}

// walk reads from one time to another in spans, each with a collector of its own.
func (c *Collector) walk(ctx context.Context, from, to time.Time) error {
	const spans = 30
	span := max(to.Sub(from)/spans, 10*time.Second)
	for ; from.Before(to); from = from.Add(span) {
		err := c.Source.History(ctx, from, from.Add(span), func(events []vstream.Event) error {
			fresh, err := c.append(ctx, events)
			if fresh > 0 {
				c.silence.end()
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
