package natslog

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"vstream/internal/memlog"
)

// follow takes in what is appended to the stream, by this process or another, until ctx is
// done or window and stream disagree.
func (l *Log) follow(ctx context.Context, s *stream) error {
	l.mu.RLock()
	next := l.window.Next()
	l.mu.RUnlock()
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   next,
	})
	if err != nil {
		return err
	}
	feed, err := consumer.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err != nil {
			return
		}
		l.fed(meta.Sequence.Stream, m)
	}, jetstream.PullExpiry(5*time.Second), jetstream.PullHeartbeat(time.Second))
	if err != nil {
		return err
	}
	defer feed.Stop()
	l.trouble.Store(nil)
	tick := time.NewTicker(refreshInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.broken:
			return errors.New("window and stream disagree")
		case <-feed.Closed():
			return errors.New("the feed of the stream has ended")
		case <-tick.C:
			if err := l.refresh(ctx); err != nil {
				return err
			}
			now := time.Now()
			l.heard.Store(&now)
			if err := l.expire(ctx, s); err != nil {
				return err
			}
		}
	}
}

// refreshInterval is how often a log looks what its stream still holds.
const refreshInterval = 2 * time.Second

// fed takes in a message from the feed.
func (l *Log) fed(seq uint64, m jetstream.Msg) {
	if _, end := l.end(); seq > end.next {
		// Append may be about to take in what lies between, and JetStream may have dropped
		// it already.
		l.appending.Lock()
		l.appending.Unlock() //nolint:staticcheck // it is only waited for
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq < l.window.Next() {
		return
	}
	r, err := parse(seq, m.Headers(), m.Data())
	switch {
	case seq > l.window.Next():
		l.disagree()
		return
	case err != nil: // somebody else's: it has a number all the same
		l.logger.Warn("message ignored: vstream has not written it", "error", err)
		old := l.window
		l.window = memlog.NewWindow(l.config.WindowRecords, l.config.WindowBytes, seq+1, old.Peak())
		if l.hole.to != seq {
			l.hole.from = seq
		}
		l.hole.to = seq + 1
		old.Wake()
		return
	case !samePeak(r.before, l.window.Peak()):
		l.disagree()
		return
	}
	l.addLocked(r.event)
	l.window.Wake()
}
