package natslog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"vstream"
)

// maxReads is how many reads for readers there are at a time: what NATS has to say to us besides,
// it says over the same connection.
const maxReads = 16

// read returns at least one and at most n records from the first at seq or later on.
func (l *Log) read(ctx context.Context, seq uint64, n int) ([]record, error) {
	if err := l.turn(ctx); err != nil {
		return nil, err
	}
	defer func() { <-l.reads }()
	l.mu.RLock()
	s := l.stream
	l.mu.RUnlock()
	var records []record
	var err error
	for try := range 5 {
		if records, err = s.read(ctx, seq, n, ""); !errors.Is(err, errNothing) {
			break
		}
		// Dropped, or this copy of the stream lags behind.
		if err := l.refresh(ctx); err != nil {
			return nil, l.unavailable(err)
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(time.Duration(try) * 20 * time.Millisecond):
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, l.unavailable(fmt.Errorf("read from the log of %s: %w", l.name, err))
	}
	if records[0].seq > seq {
		if err := l.refresh(ctx); err != nil {
			return nil, l.unavailable(err)
		}
	}
	return records, nil
}

// turn waits until a read may begin, and no longer than for an answer to it: where NATS gives
// none, those who come last are not to wait for all before them.
func (l *Log) turn(ctx context.Context) error {
	patience := time.NewTimer(readTimeout)
	defer patience.Stop()
	select {
	case l.reads <- struct{}{}:
		return nil
	case <-patience.C:
		return l.unavailable(errNoAnswer)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// cache keeps the records that were read last for Get, which is often called for one event
// after the other.
type cache struct {
	mu         sync.Mutex
	generation int      // under mu
	records    []record // under mu
}

// cached returns the place of a goal if it is among the records that were read last.
func (l *Log) cached(generation int, g goal) (seq uint64, ok bool) {
	l.cold.mu.Lock()
	defer l.cold.mu.Unlock()
	known := l.cold.records
	if l.cold.generation != generation || len(known) == 0 || g.reached(known[0].before) || !g.reached(known[len(known)-1].after()) {
		return 0, false
	}
	i, _ := slices.BinarySearchFunc(known, true, func(r record, _ bool) int {
		if g.reached(r.after()) {
			return 1
		}
		return -1
	})
	return known[i].seq, true
}

// readCached is read for who looks at the first record only.
func (l *Log) readCached(ctx context.Context, seq uint64) ([]record, error) {
	l.mu.RLock()
	generation := l.generation
	l.mu.RUnlock()
	l.cold.mu.Lock()
	if known := l.cold.records; l.cold.generation == generation && len(known) > 0 && known[0].seq <= seq {
		i, found := slices.BinarySearchFunc(known, seq, func(r record, seq uint64) int { return int(int64(r.seq) - int64(seq)) })
		if found {
			l.cold.mu.Unlock()
			return known[i:], nil
		}
	}
	l.cold.mu.Unlock()
	records, err := l.read(ctx, seq, seekBatch)
	if err != nil {
		return nil, err
	}
	l.cold.mu.Lock()
	defer l.cold.mu.Unlock()
	l.cold.generation, l.cold.records = generation, records
	return records, nil
}

// event returns the event with this sequence number.
func (l *Log) event(ctx context.Context, seq uint64) (vstream.Event, error) {
	l.mu.RLock()
	if w := l.window; seq >= w.First() && seq < w.Next() {
		defer l.mu.RUnlock()
		return *w.Event(seq), nil
	}
	l.mu.RUnlock()
	records, err := l.readCached(ctx, seq)
	if err != nil {
		return vstream.Event{}, err
	}
	return records[0].event, nil
}
