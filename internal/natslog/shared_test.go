package natslog

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/logtest"
)

func TestManyReadersThatAreBehindReadTheStreamTogether(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.WindowRecords, config.fetched = 10, new(atomic.Int64)
	e, _ := start(t, config, "vc")
	log := e.Log("vc")
	order := longAgo(t, log, 3000)
	var group sync.WaitGroup
	before := config.fetched.Load()
	for i := range 100 {
		group.Go(func() {
			begin := 10 * i // each somewhere else
			r := mustOpen(t, log, vstream.Before{Offset: order[len(order)-1] + 11, N: len(order) - begin})
			want(t, "one of many", rest(t, r), order[begin:])
		})
	}
	group.Wait()
	// Each finds its place, and reads up to where the others are; then one reads for all.
	if n := config.fetched.Load() - before; n > 2*100+10*3000/readBatch {
		t.Errorf("the stream was read %d times", n)
	}
}

func TestAReaderReadsForItselfWhenWhoItWaitsForHasGone(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.WindowRecords = 10
	e, _ := start(t, config, "vc")
	log := e.Log("vc")
	order := longAgo(t, log, 1000)
	log.mu.RLock()
	at := place{log.generation, log.held.first}
	log.mu.RUnlock()
	if _, found, other := log.shared.get(at); found || other != nil {
		t.Fatalf("there is something already: %t, %v", found, other)
	}
	r, got := mustOpen(t, log, vstream.Oldest{}), make(chan error, 1)
	go func() {
		events, err := r.Next(t.Context())
		if err == nil && (len(events) == 0 || events[0].Offset != order[0]) {
			err = errors.New("it gets something else")
		}
		got <- err
	}()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := mustOpen(t, log, vstream.Oldest{}).Next(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("one that has gone itself gets %v", err)
	}
	log.shared.put(at, stretch{}, nil)
	if err := <-got; err != nil {
		t.Error(err)
	}
}

func TestAReaderIsToldWhatWentWrongForWhomItWaitedFor(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	config.WindowRecords = 10
	e, _ := start(t, config, "vc")
	log := e.Log("vc")
	longAgo(t, log, 100)
	log.mu.RLock()
	at := place{log.generation, log.held.first}
	log.mu.RUnlock()
	_, _, _ = log.shared.get(at)
	odd := &loading{done: make(chan struct{}), err: errors.New("odd")}
	close(odd.done)
	log.shared.loading[at] = odd
	if _, err := mustOpen(t, log, vstream.Oldest{}).Next(t.Context()); !errors.Is(err, odd.err) {
		t.Errorf("it gets %v", err)
	}
}

func TestWhoeverMayNotReadForTooLongIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := newLog("vc", &Config{Logger: slog.New(slog.DiscardHandler)})
		for range maxReads {
			log.reads <- struct{}{}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := log.read(ctx, 1, 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("one who has gone gets %v", err)
		}
		began := time.Now()
		var unavailable *vstream.UnavailableError
		if _, err := log.read(t.Context(), 1, 1); !errors.As(err, &unavailable) || time.Since(began) != readTimeout {
			t.Errorf("one who waits gets %v after %v", err, time.Since(began))
		}
		go func() {
			time.Sleep(time.Second)
			<-log.reads
		}()
		if err := log.turn(t.Context()); err != nil {
			t.Errorf("one whose turn comes gets %v", err)
		}
	})
}

func TestWhatIsSharedIsBoundedAndForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var a sharing
		read := func(generation int, seq uint64) {
			p := place{generation, seq}
			if _, found, _ := a.get(p); found {
				return
			}
			s := stretch{[]uint64{seq, seq + 2}, logtest.Events(vstream.Offset(seq), vstream.Offset(seq+2))}
			s.events[0].JSON = make([]byte, maxShared/10)
			a.put(p, s, nil)
		}
		holds := func(seq uint64) bool {
			a.mu.Lock()
			p := place{a.generation, seq}
			a.mu.Unlock()
			part, found, _ := a.get(p)
			if !found {
				a.put(p, stretch{}, nil)
			}
			return found && part.seqs[0] == seq
		}
		kept := func() (stretches, bytes int) {
			a.mu.Lock()
			defer a.mu.Unlock()
			return len(a.all), a.bytes
		}
		for i := range uint64(30) {
			read(1, 10*i)
			read(1, 0) // which is in use
		}
		if n, bytes := kept(); bytes > maxShared || n != 9 || !holds(0) || !holds(2) || holds(1) || holds(10) || !holds(290) {
			t.Errorf("it holds %d stretches, %d bytes", n, bytes)
		}
		read(2, 50)
		read(1, 60) // of what was
		if n, _ := kept(); n != 1 || !holds(52) || holds(62) || holds(0) {
			t.Errorf("of another stream it holds %d stretches", n)
		}
		for range 10 {
			time.Sleep(sharedIdle / 2)
			read(2, 50)
		}
		if !holds(50) {
			t.Error("what is in use is forgotten")
		}
		time.Sleep(3 * sharedIdle)
		if n, bytes := kept(); n != 0 || bytes != 0 {
			t.Errorf("it goes on holding %d stretches, %d bytes", n, bytes)
		}
	})
}
