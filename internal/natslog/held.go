package natslog

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"vstream"
)

// held is what is known of the part of the log that is only in the stream.
type held struct {
	first    uint64         // sequence number of the oldest event
	dropped  vstream.Offset // highest offset ever dropped, -1 before
	earliest vstream.Offset // lowest that can be read from, noOffset if there is none
	late     map[vstream.Offset]uint64
	events   uint64 // how many there are
	bytes    uint64 // that they take in the stream
}

const noOffset = math.MaxInt64

// refresh finds out what the stream still holds.
func (l *Log) refresh(ctx context.Context) error {
	l.mu.RLock()
	s, next, peak := l.stream, l.window.Next(), l.window.Peak()
	firstKnown, generation := l.held.first, l.generation
	l.mu.RUnlock()
	t, err := s.tail(ctx)
	if err != nil {
		return err
	}
	if t.last+1 < next || t.events == 0 && peak.Offset >= 0 { // it lost its tail, or was emptied
		l.disagree()
		return nil
	}
	l.learnTag(s)
	if t.first == firstKnown {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.setCountLocked(t)
		return nil
	}
	front, err := s.front(ctx, t)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if front.first < l.held.first || l.generation != generation {
		return nil // another was faster
	}
	late := l.held.late
	for o, seq := range late {
		if seq < front.first {
			delete(late, o)
		}
	}
	l.setHeldLocked(front, late)
	l.setCountLocked(t)
	l.marks.forget(front.first)
	return nil
}

// setCountLocked sets how much the log holds, from what its stream held a moment ago: the
// window may have gone on since, or have yet to take in what the stream has. Called under
// mu.
func (l *Log) setCountLocked(t tail) {
	l.held.events = uint64(max(0, int64(t.events)+int64(l.window.Next())-1-int64(t.last)))
	l.held.bytes = t.bytes
}

// front is what is learnt at the beginning of a stream.
func (s *stream) front(ctx context.Context, t tail) (held, error) {
	h := held{first: t.first, dropped: -1, earliest: noOffset, events: t.events, bytes: t.bytes}
	for seq := t.first; seq <= t.last; {
		records, err := s.read(ctx, seq, 16, "")
		if errors.Is(err, errNothing) {
			break
		}
		if err != nil {
			return held{}, err
		}
		if seq == t.first {
			h.first, h.dropped = records[0].seq, records[0].before.Offset
		}
		for _, r := range records {
			if r.event.Offset > h.dropped {
				h.earliest = r.event.Offset
				return h, nil
			}
		}
		seq = records[len(records)-1].seq + 1
	}
	return h, nil // nothing, or late events only, which are no place to start from
}

// setHeldLocked sets held; late are all late events there are. Called under mu.
func (l *Log) setHeldLocked(h held, late map[vstream.Offset]uint64) {
	for o := range late {
		if o > h.dropped {
			h.earliest = min(h.earliest, o)
		}
	}
	h.late = late
	l.held = h
}

// expire drops what is older than the retention, but for the newest event: with it the log
// would forget where it ends, which is why JetStream's own MaxAge is not used.
func (l *Log) expire(ctx context.Context, s *stream) error {
	if l.config.Retention == 0 {
		return nil
	}
	t, err := s.tail(ctx)
	if err != nil || t.events < 2 {
		return err
	}
	cutoff := time.Now().Add(-l.config.Retention)
	if !t.oldest.Before(cutoff) {
		return nil
	}
	keep := t.last
	if !t.newest.Before(cutoff) {
		if keep, err = s.since(ctx, cutoff); err != nil {
			return err
		}
	}
	if keep <= t.first {
		return nil
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(keep)); err != nil {
		return err
	}
	return l.refresh(ctx)
}
