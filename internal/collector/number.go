package collector

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"vstream"
)

// overflowType is what a vCenter announces with that its keys start over (8.0U1 and
// later, around key 2147480000).
const overflowType = "com.vmware.vc.EventIdOverflow"

// farBack is a fall of keys that lateness does not explain.
const farBack = 1 << 30

// numbering turns keys into offsets: it knows in which epoch a vCenter's keys are.
//
// A vCenter's keys start over when they overflow, when it is installed anew and when it
// is restored from a backup. What tells that from an event that is told again, or late,
// is in number.
type numbering struct {
	log vstream.Log

	epoch  uint32
	began  time.Time            // of the epoch; zero if it is not known, and in epoch 0
	ended  map[uint32]time.Time // when earlier epochs were over, as far as known
	newest vstream.Event        // with the highest offset; just offset, time, type and class
	some   bool                 // there is a newest
	// forgotten: the vCenter no longer has the newest event we know, or has announced that
	// its keys start over. So a lower key is not a late one.
	forgotten bool

	restarts int64
}

// begin takes up where the log ends.
func (n *numbering) begin(ctx context.Context) error {
	held, ok := n.log.Range()
	if !ok {
		return nil
	}
	newest, err := n.log.Get(ctx, held.Latest)
	var notFound *vstream.NotFoundError
	if errors.As(err, &notFound) { // dropped in between: the events after it are newer
		return nil
	}
	if err != nil {
		return err
	}
	n.epoch, n.some = newest.Offset.Epoch(), true
	n.keep(&newest)
	if k, ok := n.log.(keeper); ok {
		if _, epoch := k.Origin(); epoch > n.epoch { // begun, and nothing has come of it yet
			n.epoch = epoch
			return nil
		}
	}
	if n.epoch == 0 {
		return nil
	}
	first, err := n.log.Open(ctx, vstream.At(vstream.OffsetOf(n.epoch, 0)))
	var expired *vstream.ExpiredError
	if errors.As(err, &expired) {
		return nil
	}
	if err != nil {
		return err
	}
	events, err := first.Next(ctx)
	if err == nil && len(events) > 0 {
		n.began = events[0].Time
	}
	return err
}

func (n *numbering) keep(e *vstream.Event) {
	n.newest = vstream.Event{Offset: e.Offset, Time: e.Time, Type: e.Type, Class: e.Class}
}

// startOver begins a new epoch; at is the time of its first event, zero if it is not
// known.
func (n *numbering) startOver(at time.Time) {
	if !at.IsZero() {
		if n.ended == nil {
			n.ended = map[uint32]time.Time{}
		}
		n.ended[n.epoch] = at
	}
	n.epoch++
	n.began = at
	n.restarts++
	n.forgotten = false
}

// page returns the events of a page that the log lacks, at their offsets and in their
// order. Events come at the offsets of their keys in epoch 0, as the vCenter ordered them.
// The result takes the place of events.
func (n *numbering) page(ctx context.Context, events []vstream.Event) ([]vstream.Event, error) {
	fresh := events[:0]
	highest := vstream.Offset(-1)      // in fresh
	inPage := map[vstream.Offset]int{} // index in fresh of those known
	known := 0                         // of fresh
	find := func(o vstream.Offset) *vstream.Event {
		if o > highest { // as for almost all
			return nil
		}
		for ; known < len(fresh); known++ {
			inPage[fresh[known].Offset] = known
		}
		if i, ok := inPage[o]; ok {
			return &fresh[i]
		}
		return nil
	}
	for i := range events {
		e := &events[i]
		offset, repeat, err := n.number(ctx, e, find)
		if err != nil {
			return nil, err
		}
		if repeat {
			continue
		}
		if offset != e.Offset {
			*e = e.WithOffset(offset)
		}
		if !n.some || offset > n.newest.Offset {
			if n.some && !e.Time.Before(n.newest.Time) {
				n.forgotten = false // it goes on from there: the keys have not started over
			}
			n.keep(e)
			n.some = true
		}
		if e.Type == overflowType {
			n.forgotten = true
		}
		highest = max(highest, offset)
		if len(fresh) == i {
			fresh = events[:i+1] // where it is
		} else {
			fresh = append(fresh, *e)
		}
	}
	byOffset := func(a, b vstream.Event) int { return cmp.Compare(a.Offset, b.Offset) }
	if !slices.IsSortedFunc(fresh, byOffset) {
		slices.SortStableFunc(fresh, byOffset)
	}
	return fresh, nil
}

// number says where e belongs, and whether it is only told again. It begins a new epoch
// where that is what e shows.
func (n *numbering) number(ctx context.Context, e *vstream.Event, page func(vstream.Offset) *vstream.Event) (offset vstream.Offset, repeat bool, err error) {
	key := e.Offset.Key()
	holds := func(o vstream.Offset) (held, same bool, err error) {
		if known := page(o); known != nil {
			return true, e.SameAs(known), nil
		}
		known, err := n.log.Get(ctx, o)
		var (
			notFound *vstream.NotFoundError
			expired  *vstream.ExpiredError
		)
		switch {
		case err == nil:
			return true, e.SameAs(&known), nil
		case errors.As(err, &notFound), errors.As(err, &expired):
			return false, false, nil
		}
		return false, false, err
	}

	// What was told before the keys started over may be told again after it.
	if n.epoch > 0 {
		oldest := n.epoch
		if r, ok := n.log.Range(); ok {
			oldest = min(oldest, r.Earliest.Epoch())
		}
		before := vstream.OffsetOf(n.epoch-1, key)
		taken := false // by another event
		for epoch := n.epoch; epoch > oldest; epoch-- {
			// What happened after an epoch is not of it, nor of one before.
			if end, known := n.ended[epoch-1]; known && e.Time.After(end.Add(overlap)) {
				break
			}
			o := vstream.OffsetOf(epoch-1, key)
			held, same, err := holds(o)
			if err != nil || held && same {
				return o, true, err
			}
			taken = taken || held && o == before
		}
		if e.Time.Before(n.began) && !taken {
			return before, false, nil // late, from the epoch before
		}
	}
	offset = vstream.OffsetOf(n.epoch, key)
	if !n.some || offset > n.newest.Offset {
		return offset, false, nil
	}
	held, same, err := holds(offset)
	switch {
	case err != nil:
		return 0, false, err
	case held && same:
		return offset, true, nil
	case held && e.Class == "unknown":
		return offset, true, nil // its key may be a guess
	case held,
		n.forgotten && e.Time.After(n.newest.Time),
		n.newest.Offset-offset > farBack && !e.Time.Before(n.newest.Time):
		n.startOver(e.Time)
		return vstream.OffsetOf(n.epoch, key), false, nil
	}
	return offset, false, nil // late
}
