package natslog

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"vstream"
	"vstream/internal/memlog"
)

const (
	// maxBatch and maxBatchBytes bound what is written at once, and so is either there
	// after a crash or not. JetStream takes 1000 messages, as many as a page of a vCenter has. A
	// batch costs the embedded server some six syncs, however large it is: with 1000 instead of 500
	// it takes 8 % more events per second of CPU, and 20 % more a second.
	maxBatch      = 1000
	maxBatchBytes = 8 << 20
	// writeTimeout is how long a batch may take. One that was sent to a leader that has died is
	// lost, and it takes a cluster 4 to 9 s to have another.
	writeTimeout = 8 * time.Second
	// lastAnswer is how long the answer of the embedded server is waited for when nobody wants it
	// any more. It takes a few milliseconds, unless the disk hangs.
	lastAnswer = time.Second
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
		fresh = make([]vstream.Event, 0, min(len(events), maxBatch))
		size  int
		peak  = window.peak
	)
	for dealt < len(events) && len(fresh) < maxBatch && size < maxBatchBytes {
		e := &events[dealt]
		dealt++
		if e.Offset <= peak.Offset {
			if slices.ContainsFunc(fresh, func(f vstream.Event) bool { return f.Offset == e.Offset }) {
				continue
			}
			known, err := l.knows(ctx, e.Offset)
			if err != nil {
				return 0, err
			}
			if known {
				continue
			}
		}
		fresh = append(fresh, *e)
		peak = peak.With(e)
		size += len(e.JSON)
	}
	if len(fresh) == 0 {
		return dealt, nil
	}
	last := window.next - 1
	got, err := s.publish(ctx, fresh, window)
	var refused *jetstream.APIError
	switch {
	case errors.As(err, &refused) && (refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant):
		t, failed := s.tail(ctx)
		switch {
		case s.alone && failed == nil && t.last == last:
			l.disagree()
			l.refuse(errAtOdds, window.next)
			return 0, errAtOdds
		case s.alone && failed == nil && t.last > last && l.takeIn(ctx, s, t) == nil: // what no feed brings
		default:
			l.disagree()
		}
		return 0, ErrFenced
	case err != nil && ctx.Err() != nil:
		return 0, context.Cause(ctx) // written or not: the feed will tell
	case err != nil:
		l.refuse(err, window.next)
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

// A refusal is that the stream did not take an event, for as long as the log ends where it did.
type refusal struct {
	Trouble
	next uint64 // sequence number that the event would have got
}

// refuse tells that the stream does not take events.
func (l *Log) refuse(err error, next uint64) {
	now := time.Now()
	r := &refusal{Trouble{Err: lost(err), Since: now, At: now}, next}
	if before := l.refused.Load(); before != nil && before.next == next {
		r.Since = before.Since
	}
	l.refused.Store(r)
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

// publish writes events as one batch behind the given end, that is there in full afterwards or
// not at all, and returns the sequence number of the last. Each message is written out and sent
// before the next is made, so that the server works beside it.
func (s *stream) publish(ctx context.Context, events []vstream.Event, behind end) (last uint64, err error) {
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	asked := ctx
	if s.alone {
		ctx = context.WithoutCancel(ctx)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, writeTimeout, errNoAnswer)
	defer cancel()
	if s.alone { // no feed would tell whether it was written: the answer is waited for a little
		defer context.AfterFunc(asked, func() { time.AfterFunc(lastAnswer, cancel) })()
	}
	if s.session != nil { // once that is over there will be no answer
		defer context.AfterFunc(s.session, cancel)()
	}
	id, count := rand.Text(), len(events)
	if count == 1 && s.alone {
		// A batch of one costs several times as much. Only where nobody else writes: a cluster
		// holds what a single message expects against what it has agreed on so far, not against
		// what is under way.
		id, count = "", 0
	}
	var (
		peak   = behind.peak
		m      = &nats.Msg{Header: nats.Header{contentTypeHeader: {contentType}}} // sending leaves nothing of it behind
		header []byte
	)
	m.Header[jetstream.ExpectedLastSeqHeader] = []string{strconv.FormatUint(behind.next-1, 10)}
	m.Header[jetstream.ExpectedStreamHeader] = []string{s.name}
	if id != "" {
		m.Header[batchIDHeader] = []string{id}
	}
	for i := range events {
		e := &events[i]
		m.Subject = s.subjects.of(e.Offset <= peak.Offset)
		header = appendHeader(header[:0], e, peak)
		m.Header[eventHeader] = []string{string(header)}
		m.Data = e.JSON
		peak = peak.With(e)
		if id != "" {
			m.Header[batchSequenceHeader] = []string{strconv.Itoa(i + 1)}
		}
		if i == 1 {
			delete(m.Header, jetstream.ExpectedLastSeqHeader)
			delete(m.Header, jetstream.ExpectedStreamHeader)
		}
		final := i == len(events)-1
		if final && id != "" {
			m.Header[batchCommitHeader] = []string{"1"}
		}
		// In a cluster the answer to the first is waited for, so that what is refused costs little.
		// Embedded nothing usually is: the server prepares the batch while the others are sent.
		if !final && (i > 0 || s.alone) {
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
		if len(answer.Data) == 0 && !final {
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
			return 0, fmt.Errorf("NATS answers with %q to a batch of %d", answer.Data, len(events))
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
	if l.held.events == 0 {
		l.held.oldest = e.Time
	}
	l.held.events++
	l.held.bytes += uint64(e.Size())
	l.window.Add(&e, nil)
	if next := l.window.Next(); next%markEvery == 0 {
		l.marks.set(l.generation, next-1, l.window.Peak())
	}
}
