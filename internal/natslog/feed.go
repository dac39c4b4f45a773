package natslog

import (
	"context"
	"errors"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"vstream/internal/memlog"
)

// follow takes in what is appended to the stream, by this process or another, until ctx is
// done or window and stream disagree.
func (l *Log) follow(ctx context.Context, s *stream) error {
	var ended <-chan struct{}
	if s.alone {
		if err := l.catchUp(ctx, s); err != nil {
			return err
		}
	} else {
		feed, err := l.feed(ctx, s)
		if err != nil {
			return err
		}
		defer feed.Stop()
		ended = feed.Closed()
	}
	l.trouble.Store(nil)
	tick := time.NewTicker(refreshInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.broken:
			return errors.New("window and stream disagree")
		case <-ended:
			return errors.New("the feed of the stream has ended")
		case <-tick.C:
			if err := l.refresh(ctx); err != nil {
				return err
			}
			now := time.Now()
			l.heard.Store(&now)
			if s.alone {
				if err := l.catchUp(ctx, s); err != nil {
					return err
				}
			}
			if err := l.expire(ctx, s); err != nil {
				return err
			}
		}
	}
}

// feed has the stream send what is appended to it from the window's end on.
func (l *Log) feed(ctx context.Context, s *stream) (jetstream.ConsumeContext, error) {
	l.mu.RLock()
	next := l.window.Next()
	l.mu.RUnlock()
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   next,
	})
	if err != nil {
		return nil, err
	}
	return consumer.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err != nil {
			return
		}
		l.fed(ctx, s, meta.Sequence.Stream, m.Headers(), m.Data())
	}, jetstream.PullExpiry(5*time.Second), jetstream.PullHeartbeat(time.Second))
}

// catchUp takes in what an embedded stream has beyond the window: what a write left whose answer
// was lost, or somebody else's doing, which should not be. It is looked for now and then only. A
// feed would send each event back that Append has taken in already, and then appending takes 40 %
// more time of the CPU.
func (l *Log) catchUp(ctx context.Context, s *stream) error {
	t, err := s.tail(ctx)
	if err != nil {
		return err
	}
	l.appending.Lock() // once it is free, what t has of this process is in the window
	defer l.appending.Unlock()
	return l.takeIn(ctx, s, t)
}

// takeIn is catchUp up to a tail. Called under appending.
func (l *Log) takeIn(ctx context.Context, s *stream, t tail) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	_, end := l.end()
	var err error
	for next := end.next; next <= t.last && err == nil; {
		err = s.get(ctx, getRequest{Seq: next, Batch: readBatch, MaxBytes: readBytes}, func(seq uint64, m *nats.Msg) {
			next = seq + 1
			l.received(seq, m.Header, m.Data)
		})
	}
	if errors.Is(err, errNothing) { // dropped meanwhile, or lost, which shows elsewhere
		return nil
	}
	return err
}

// refreshInterval is how often a log looks what its stream still holds.
const refreshInterval = 2 * time.Second

// fed takes in a message from the feed.
func (l *Log) fed(ctx context.Context, s *stream, seq uint64, header nats.Header, data []byte) {
	_, end := l.end()
	if seq > end.next {
		// Append may be about to take in what lies between, and JetStream may have dropped
		// it already.
		l.appending.Lock()
		l.appending.Unlock() //nolint:staticcheck // it is only waited for
	}
	if end.peak.Offset < 0 && l.Tag() == "" { // the first event: whoever appended it has told before whose it is
		if _, err := s.tail(ctx); err != nil {
			l.disagree()
			return
		}
		l.learnTag(s)
	}
	l.received(seq, header, data)
}

// received takes in a message that may be somebody else's.
func (l *Log) received(seq uint64, header nats.Header, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq < l.window.Next() {
		return
	}
	r, err := parse(seq, header, data)
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
