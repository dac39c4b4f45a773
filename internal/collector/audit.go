package collector

import (
	"context"
	"errors"
	"time"

	"vstream"
)

// auditSettle is how long an event may take until it is in the log, before an audit
// counts it as missing.
const auditSettle = 30 * time.Second

// auditDue reports whether the time for an audit has come.
func (c *Collector) auditDue() bool {
	return c.AuditInterval > 0 && c.number.some && time.Since(c.audited) >= c.AuditInterval &&
		time.Since(c.report.started) >= c.AuditInterval
}

// audit compares the vCenter's history with the log, from the last audit on, and appends
// what the log lacks.
func (c *Collector) audit(ctx context.Context) error {
	now := time.Now()
	to := now.Add(c.Source.Seen().Skew - auditSettle)
	from := c.auditTo
	if from.IsZero() || to.Sub(from) > 10*c.AuditInterval {
		from = to.Add(-c.AuditInterval)
	}
	from = from.Add(-overlap)
	oldest, first, err := c.heldSince(ctx)
	if err != nil {
		return err
	}
	if from.Before(oldest) {
		from = oldest // what was dropped, or came before the begin, is not missing
	}
	if !from.Before(to) {
		return nil
	}

	a := vstream.Audit{At: now, From: from, To: to}
	type kind struct{ name, user, target string }
	told := map[int32]bool{}
	kinds := map[kind]bool{}
	err = c.Source.History(ctx, from, to, func(events []vstream.Event) error {
		for i := range events {
			a.Events++
			told[events[i].Offset.Key()] = true
			kinds[kind{events[i].Type, events[i].User, events[i].Target()}] = true
		}
		fresh, err := c.append(ctx, events)
		a.Missing += int64(fresh)
		return err
	})
	if err != nil {
		return err
	}

	reader, err := c.Log.Open(ctx, vstream.At(first))
	for err == nil {
		var events []vstream.Event
		events, err = reader.Next(ctx)
		if len(events) == 0 {
			break
		}
		for i := range events {
			e := &events[i]
			switch {
			case e.Time.Before(from) || e.Time.After(to) || told[e.Offset.Key()] || e.Offset.Epoch() != c.number.epoch:
			case kinds[kind{e.Type, e.User, e.Target()}]:
				a.Folded++
			default:
				a.Extra++
			}
		}
	}
	var expired *vstream.ExpiredError
	if err != nil && !errors.As(err, &expired) { // overtaken by retention: the rest is not there to compare
		return err
	}
	c.audited, c.auditTo = now, to
	c.report.audited(a)
	return nil
}

// heldSince returns the time and offset of the oldest event in the log.
func (c *Collector) heldSince(ctx context.Context) (time.Time, vstream.Offset, error) {
	reader, err := c.Log.Open(ctx, vstream.Oldest{})
	if err != nil {
		return time.Time{}, 0, err
	}
	events, err := reader.Next(ctx)
	if err != nil || len(events) == 0 {
		return time.Now(), 0, err
	}
	return events[0].Time, events[0].Offset, nil
}
