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
	c.audited = now // also when it fails: what is wrong now may be wrong for long
	to := now.Add(c.Source.Seen().Skew - auditSettle)
	from := c.auditTo
	if from.IsZero() || to.Sub(from) > 10*c.AuditInterval {
		from = to.Add(-c.AuditInterval)
	}
	from = from.Add(-overlap)
	oldest, first, err := heldSince(ctx, c.Log)
	if err != nil {
		return err
	}
	if from.Before(oldest) {
		from = oldest // what was dropped, or came before the begin, is not missing
	}
	if !from.Before(to) {
		return nil
	}

	a, err := compare(ctx, c.Source, c.Log, from, to, first, c.append)
	if err != nil {
		return err
	}
	a.At = now
	c.auditTo = to
	c.report.audited(a)
	return nil
}

// Historian gives the events between two times, as Source.History does.
type Historian interface {
	History(ctx context.Context, from, to time.Time, yield func([]vstream.Event) error) error
}

// Compare compares the history of a vCenter with a log, from one time to another, and
// changes neither. What is older than the log does not count as missing.
func Compare(ctx context.Context, h Historian, log vstream.Log, from, to time.Time) (vstream.Audit, error) {
	n := numbering{log: log}
	if err := n.begin(ctx); err != nil {
		return vstream.Audit{}, err
	}
	oldest, first, err := heldSince(ctx, log)
	if err != nil {
		return vstream.Audit{}, err
	}
	if from.Before(oldest) {
		from = oldest
	}
	if from.After(to) {
		from = to
	}
	return compare(ctx, h, log, from, to, first, func(ctx context.Context, events []vstream.Event) (int, error) {
		missing, err := n.page(ctx, events)
		count := 0
		for i := range missing {
			if missing[i].Offset >= first { // what is older, the log may have dropped
				count++
			}
		}
		return count, err
	})
}

// compare counts what the history and the log, from first on, do not have in common. What is
// held from before the history begins is not compared: vCenters drop events too. missing is
// called with all events of the history and returns how many the log lacks.
func compare(ctx context.Context, h Historian, log vstream.Log, from, to time.Time, first vstream.Offset,
	missing func(context.Context, []vstream.Event) (int, error),
) (vstream.Audit, error) {
	a := vstream.Audit{From: from, To: to}
	type kind struct{ name, user, target string }
	var begins time.Time // the history
	told := map[int32]bool{}
	kinds := map[kind]bool{}
	err := h.History(ctx, from, to, func(events []vstream.Event) error {
		for i := range events {
			a.Events++
			if begins.IsZero() || events[i].Time.Before(begins) {
				begins = events[i].Time
			}
			told[events[i].Offset.Key()] = true
			kinds[kind{events[i].Type, events[i].User, events[i].Target()}] = true
		}
		n, err := missing(ctx, events)
		a.Missing += int64(n)
		return err
	})
	if err != nil {
		return a, err
	}

	held, _ := log.Range()
	reader, err := log.Open(ctx, vstream.At(first))
	for err == nil {
		var events []vstream.Event
		events, err = reader.Next(ctx)
		if len(events) == 0 {
			break
		}
		for i := range events {
			e := &events[i]
			switch {
			case e.Time.Before(begins) && !e.Time.Before(from):
				a.From = begins
			case e.Time.Before(from) || e.Time.After(to) || told[e.Offset.Key()] || e.Offset.Epoch() != held.Latest.Epoch():
			case kinds[kind{e.Type, e.User, e.Target()}]:
				a.Folded++
			default:
				a.Extra++
			}
		}
	}
	var expired *vstream.ExpiredError
	if err != nil && !errors.As(err, &expired) { // overtaken by retention: the rest is not there to compare
		return a, err
	}
	return a, nil
}

// heldSince returns the time and offset of the oldest event in the log.
func heldSince(ctx context.Context, log vstream.Log) (time.Time, vstream.Offset, error) {
	reader, err := log.Open(ctx, vstream.Oldest{})
	if err != nil {
		return time.Time{}, 0, err
	}
	events, err := reader.Next(ctx)
	var expired *vstream.ExpiredError
	if errors.As(err, &expired) { // overtaken by retention between the two calls
		return time.Now(), expired.Earliest, nil
	}
	if err != nil || len(events) == 0 {
		return time.Now(), 0, err
	}
	return events[0].Time, events[0].Offset, nil
}
