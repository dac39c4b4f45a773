package natslog

import (
	"context"
	"encoding/json"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// runBatch is how many events a run asks for at once, of readBytes together. Up to two batches
	// are on the way.
	runBatch = 1000
	// runLeast is how many events a reader must be behind for a run to pay.
	runLeast = 4 * runBatch
	// maxRuns is how many runs there are at most over a log, with 2 to 8 MiB on the way each; other
	// readers read batches.
	maxRuns = 8
	// runPatience is how soon a reader must come back for more to be worth a run, and runIdle how
	// long a run then waits for it.
	runPatience = 250 * time.Millisecond
	runIdle     = 2 * time.Second
	// runPause is how long a reader starts no other run after one has ended early.
	runPause = time.Second
	// runStall is how long a run waits for the next message before it is given up.
	runStall = time.Second
)

// errRunOver says that a run has ended. What is wrong, if anything is, a read from the same
// place tells.
var errRunOver = errors.New("the run has ended")

// A run reads a stream from some place on, for one reader that is far behind: a consumer in the
// server, of which the next batch is asked for while the last still comes. A message costs the
// server half of what it costs in a batch by itself, which gets five headers more: of a second of
// CPU one reader gets 130,000 events instead of 80,000.
//
// A run gives messages without a gap or it ends, and what is read in its place tells what is
// missing: dropped, damaged or not ours. It ends by itself when it is not used.
type run struct {
	s        *stream
	consumer string
	inbox    string
	answers  chan *nats.Msg
	sub      *nats.Subscription
	runs     *atomic.Int32 // how many there are; this one is counted in it until it ends

	mu    sync.Mutex
	over  bool        // under mu
	idle  *time.Timer // under mu; ends the run
	next  uint64      // under mu; sequence number of the first record to come
	asked int         // under mu; how many messages are to come of those that were asked for
	ended bool        // under mu; no more can be asked for
}

// startRun starts a run at a place in the stream, unless there are too many. Close it.
func (s *stream) startRun(ctx context.Context, seq uint64, runs *atomic.Int32) (r *run, err error) {
	if runs.Add(1) > maxRuns {
		runs.Add(-1)
		return nil, errRunOver
	}
	defer func() {
		if err != nil {
			runs.Add(-1)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, runStall)
	defer cancel()
	consumer, err := s.CreateConsumer(ctx, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       seq,
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: 2 * runIdle, // should nobody remove it
	})
	if err != nil {
		return nil, err
	}
	nc := s.js.Conn()
	r = &run{
		s: s, consumer: consumer.CachedInfo().Name, inbox: nc.NewInbox(), next: seq, runs: runs,
		answers: make(chan *nats.Msg, 2*runBatch+10), // all that is asked for, and what the server says of it
	}
	if r.sub, err = nc.ChanSubscribe(r.inbox, r.answers); err != nil {
		r.remove()
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err = r.ask(); err != nil {
		_ = r.sub.Unsubscribe()
		r.remove()
		return nil, err
	}
	r.idle = time.AfterFunc(runIdle, r.close)
	return r, nil
}

// close ends the run. It may be called more than once, and waits for nothing.
func (r *run) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over {
		return
	}
	r.over = true
	r.idle.Stop()
	_ = r.sub.Unsubscribe()
	r.remove()
	r.runs.Add(-1)
}

// remove has the server remove the consumer. Its answer goes nowhere.
func (r *run) remove() {
	nc := r.s.js.Conn()
	_ = nc.PublishRequest("$JS.API.CONSUMER.DELETE."+r.s.name+"."+r.consumer, nc.NewInbox(), nil)
}

// ask asks for another batch, unless enough is on the way. Called under mu.
func (r *run) ask() error {
	if r.ended || r.asked >= runBatch {
		return nil
	}
	request, err := json.Marshal(struct {
		Batch    int  `json:"batch"`
		MaxBytes int  `json:"max_bytes"`
		NoWait   bool `json:"no_wait"`
	}{runBatch, readBytes, true})
	if err != nil {
		return err
	}
	r.asked += runBatch
	return r.s.js.Conn().PublishRequest("$JS.API.CONSUMER.MSG.NEXT."+r.s.name+"."+r.consumer, r.inbox, request)
}

// read returns the records that follow, which begin with the one at seq, no more than a batch has.
// Its error is errRunOver, or that of ctx. Then the run is closed.
func (r *run) read(ctx context.Context, seq uint64) (records []record, err error) {
	defer func() {
		if err != nil {
			r.close()
		}
	}()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.over || r.next != seq {
		return nil, errRunOver
	}
	r.idle.Stop()
	defer r.idle.Reset(runIdle)
	records = make([]record, 0, readBatch)
	stall := time.NewTimer(runStall)
	defer stall.Stop()
	for size := 0; len(records) < readBatch && size < readBytes; {
		if r.ask() != nil {
			return nil, errRunOver
		}
		if r.asked == 0 {
			break
		}
		var m *nats.Msg
		select {
		case m = <-r.answers:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-stall.C:
			return nil, errRunOver
		}
		if m.Reply == "" { // no event, which would have a subject to acknowledge it
			r.told(m)
			continue
		}
		r.asked--
		meta, err := m.Metadata()
		if err == nil && meta.Sequence.Stream == r.next {
			var next record
			if next, err = parse(r.next, m.Header, m.Data); err == nil {
				records = append(records, next)
				r.next++
				size += len(m.Data)
				continue
			}
		}
		r.next = 0 // no other read gets on, but what has come so far is good
		break
	}
	if len(records) == 0 {
		return nil, errRunOver
	}
	return records, nil
}

// told takes in what the server says of a batch that was asked for, at its end: how much
// of it will not come. Called under mu.
func (r *run) told(m *nats.Msg) {
	rest, err := strconv.Atoi(m.Header.Get("Nats-Pending-Messages"))
	if err != nil { // it takes no more requests, or has nothing for them; what was asked for before may still come
		rest = runBatch
	}
	if rest >= runBatch { // not even one: the next is larger than a batch may be, or there is none
		r.ended = true
	}
	r.asked -= min(rest, r.asked)
}
