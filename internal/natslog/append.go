package natslog

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"vstream"
	"vstream/internal/memlog"
)

const (
	// maxBatch and maxBatchBytes bound what is written at once, and so is either there
	// after a crash or not. JetStream takes 1000 messages; from 100 on it does not get faster.
	maxBatch      = 500
	maxBatchBytes = 8 << 20
	// writeTimeout is how long a batch may take. One that was sent to a leader that has died is
	// lost, and it takes a cluster 4 to 9 s to have another.
	writeTimeout = 8 * time.Second
)

// Append implements [vstream.Log]. It fails with an [ErrFenced] when the log does not end
// where it seemed to: somebody else has appended.
func (l *Log) Append(ctx context.Context, events []vstream.Event) error {
	l.appending.Lock()
	defer l.appending.Unlock()
	for len(events) > 0 {
		n, err := l.appendSome(ctx, events)
		if err != nil {
			return fmt.Errorf("append to the log of %s: %w", l.name, err)
		}
		events = events[n:]
	}
	return nil
}

// ErrFenced says that somebody else has appended to a log.
var ErrFenced = errors.New("another process has written to it")

// appendSome appends some of events at once, and returns how many it has dealt with.
func (l *Log) appendSome(ctx context.Context, events []vstream.Event) (dealt int, err error) {
	s, window := l.end()
	if s == nil {
		return 0, l.unavailable(nil)
	}
	var (
		fresh    []vstream.Event
		messages []*nats.Msg
		size     int
		peak     = window.peak
		inBatch  = map[vstream.Offset]bool{}
	)
	for dealt < len(events) && len(fresh) < maxBatch && size < maxBatchBytes {
		e := events[dealt]
		subject := s.subjects.event
		if e.Offset <= peak.Offset {
			known, err := l.knows(ctx, e.Offset)
			if err != nil {
				return 0, err
			}
			if known || inBatch[e.Offset] {
				dealt++
				continue
			}
			subject = s.subjects.late
		}
		messages = append(messages, message(subject, &e, peak))
		fresh = append(fresh, e)
		inBatch[e.Offset] = true
		peak = peak.With(&e)
		size += len(e.JSON)
		dealt++
	}
	if len(fresh) == 0 {
		return dealt, nil
	}
	last := window.next - 1
	messages[0].Header[jetstream.ExpectedLastSeqHeader] = []string{fmt.Sprint(last)}
	messages[0].Header[jetstream.ExpectedStreamHeader] = []string{s.name}
	got, err := s.publish(ctx, messages)
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant):
		l.disagree()
		if t, err := s.tail(ctx); s.alone && err == nil && t.last == last {
			l.fail()
			return 0, errAtOdds
		}
		return 0, ErrFenced
	case err != nil && ctx.Err() != nil:
		return 0, context.Cause(ctx) // written or not: the feed will tell
	case err != nil:
		l.fail()
		return 0, l.unavailable(err) // written or not, as above
	case got != last+uint64(len(fresh)):
		l.disagree()
		return 0, fmt.Errorf("the stream took message %d for %d", got, last+uint64(len(fresh)))
	}
	if l.take(last+1, fresh) {
		// The stream is at its limit, and has dropped something.
		if err := l.refresh(ctx); err != nil {
			l.logger.Debug("not known what the log has dropped", "error", err)
		}
	}
	return dealt, nil
}

// errAtOdds says that a store that nobody else writes to says one thing about its end when
// asked and another when written to, as after damage to its files.
var errAtOdds = errors.New("the store is at odds with itself about where it ends, perhaps because of damage; it is opened again")

// fail tells that the stream does not take events.
func (l *Log) fail() {
	select {
	case l.failing <- struct{}{}:
	default:
	}
}

// Headers of a batch's messages, after ADR-50 of NATS.
const (
	batchIDHeader       = "Nats-Batch-Id"
	batchSequenceHeader = "Nats-Batch-Sequence"
	batchCommitHeader   = "Nats-Batch-Commit"
)

// publish writes messages as one batch, that is there in full afterwards or not at all, and
// returns the sequence number of the last. It waits for the answer to the first before it
// sends the others, so that what is refused costs little.
func (s *stream) publish(ctx context.Context, messages []*nats.Msg) (last uint64, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, writeTimeout, errNoAnswer)
	defer cancel()
	if s.session != nil { // once that is over there will be no answer
		defer context.AfterFunc(s.session, cancel)()
	}
	id, count := rand.Text(), len(messages)
	if count == 1 && s.alone {
		// A batch of one costs several times as much. Only where nobody else writes: a cluster
		// holds what a single message expects against what it has agreed on so far, not against
		// what is under way.
		id, count = "", 0
	}
	for i, m := range messages {
		if id != "" {
			m.Header[batchIDHeader] = []string{id}
			m.Header[batchSequenceHeader] = []string{strconv.Itoa(i + 1)}
		}
		if i == len(messages)-1 {
			if id != "" {
				m.Header[batchCommitHeader] = []string{"1"}
			}
		} else if i > 0 {
			if err := s.js.Conn().PublishMsg(m); err != nil {
				return 0, err
			}
			continue
		}
		answer, err := s.js.Conn().RequestMsgWithContext(ctx, m)
		if err != nil {
			if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
				err = errNoAnswer
			}
			return 0, err
		}
		if len(answer.Data) == 0 && i < len(messages)-1 {
			continue
		}
		var ack struct {
			Error    *jetstream.APIError `json:"error"`
			Sequence uint64              `json:"seq"`
			Batch    string              `json:"batch"`
			Count    int                 `json:"count"`
		}
		switch err := json.Unmarshal(answer.Data, &ack); {
		case err != nil:
			return 0, fmt.Errorf("NATS answers with %q: %w", answer.Data, err)
		case ack.Error != nil:
			return 0, ack.Error
		case ack.Batch != id || ack.Count != count:
			return 0, fmt.Errorf("NATS answers with %q to a batch of %d", answer.Data, len(messages))
		}
		last = ack.Sequence
	}
	return last, nil
}

// end is where the log ends, as far as it is known here.
type end struct {
	next uint64
	peak memlog.Peak
}

func (l *Log) end() (*stream, end) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.stream == nil {
		return nil, end{}
	}
	return l.stream, end{l.window.Next(), l.window.Peak()}
}

// knows reports whether the log holds this offset, or has dropped it: it cannot tell a late
// event from one it had before.
func (l *Log) knows(ctx context.Context, offset vstream.Offset) (bool, error) {
	_, err := l.Get(ctx, offset)
	var (
		expired  *vstream.ExpiredError
		notFound *vstream.NotFoundError
	)
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &expired), errors.As(err, &notFound):
		l.mu.RLock()
		defer l.mu.RUnlock()
		return offset <= l.held.dropped, nil
	}
	return false, err
}

// take puts events that are in the stream from seq on into the window, but for those that
// it has already. It reports whether the stream has reached its limits, or nearly.
func (l *Log) take(seq uint64, events []vstream.Event) (full bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if next := l.window.Next(); seq <= next && seq+uint64(len(events)) > next {
		for i := next - seq; i < uint64(len(events)); i++ {
			l.addLocked(events[i])
		}
		l.window.Wake()
	}
	most := l.config.maxRecords
	return l.held.bytes > uint64(l.config.MaxBytes/100*95) || most > 0 && l.held.events > uint64(most)
}

func (l *Log) addLocked(e vstream.Event) {
	if e.Offset < l.window.Peak().Offset {
		l.held.late[e.Offset] = l.window.Next()
	}
	if e.Offset > l.held.dropped {
		l.held.earliest = min(l.held.earliest, e.Offset)
	}
	l.held.events++
	l.held.bytes += uint64(e.Size())
	l.window.Add(e, nil)
	if next := l.window.Next(); next%markEvery == 0 {
		l.marks.set(l.generation, next-1, l.window.Peak())
	}
}
