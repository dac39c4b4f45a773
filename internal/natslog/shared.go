package natslog

import (
	"context"
	"slices"
	"sync"
	"time"

	"vstream"
)

const (
	// maxShared is how many bytes of events are kept for other readers, but for the last stretch.
	maxShared = 16 << 20
	// sharedIdle is how long a stretch is kept that nobody reads.
	sharedIdle = 3 * time.Second
)

// A stretch is what was read of a stream at once: the events at these sequence numbers, which
// nobody changes.
type stretch struct {
	seqs   []uint64
	events []vstream.Event
}

func stretchOf(records []record) stretch {
	s := stretch{make([]uint64, len(records)), make([]vstream.Event, len(records))}
	for i := range records {
		s.seqs[i], s.events[i] = records[i].seq, records[i].event
	}
	return s
}

// from returns what is in the stretch from seq on, if seq is.
func (s stretch) from(seq uint64) (stretch, bool) {
	i, found := slices.BinarySearch(s.seqs, seq)
	return stretch{s.seqs[i:], s.events[i:]}, found
}

// until returns what is in the stretch before seq.
func (s stretch) until(seq uint64) stretch {
	i, _ := slices.BinarySearch(s.seqs, seq)
	return stretch{s.seqs[:i:i], s.events[:i:i]}
}

// A sharing has readers read together what they are behind: after an outage all of them are, by
// much the same. Ten thousand that read each by itself would keep the stream busy until it does
// not answer any more, and as many copies in memory. The zero value is ready for use.
type sharing struct {
	mu         sync.Mutex
	generation int                // under mu; what all is of
	all        []*shared          // under mu; the last was used last
	bytes      int                // under mu; of all
	loading    map[place]*loading // under mu
	idle       *time.Timer        // under mu; nil while there is nothing to forget
}

type place struct {
	generation int
	seq        uint64
}

type shared struct {
	stretch
	bytes int
	used  time.Time
}

// A loading is a read that others wait for.
type loading struct {
	done chan struct{}
	err  error // once done; nil also when who was reading has gone away
}

// readShared returns at least one and at most n events from the first at seq or later on.
func (l *Log) readShared(ctx context.Context, generation int, seq uint64, n int) (stretch, error) {
	for {
		part, found, other := l.shared.get(place{generation, seq})
		switch {
		case found:
			return part.until(seq + uint64(n)), nil
		case other == nil:
			records, err := l.read(ctx, seq, n)
			whole := stretchOf(records)
			if ctx.Err() != nil {
				l.shared.put(place{generation, seq}, stretch{}, nil)
			} else {
				l.shared.put(place{generation, seq}, whole, err)
			}
			return whole, err
		}
		select {
		case <-other.done:
			if other.err != nil {
				return stretch{}, other.err
			}
		case <-ctx.Done():
			return stretch{}, context.Cause(ctx)
		}
	}
}

// get returns what is kept from a place on, or the read of others that begins there. If there is
// neither, the caller has to read, and then to put what it got.
func (a *sharing) get(p place) (part stretch, found bool, other *loading) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p.generation == a.generation {
		for i, s := range slices.Backward(a.all) {
			if part, found := s.from(p.seq); found {
				s.used = time.Now()
				a.all = append(slices.Delete(a.all, i, i+1), s)
				return part, true, nil
			}
		}
	}
	if other := a.loading[p]; other != nil {
		return stretch{}, false, other
	}
	if a.loading == nil {
		a.loading = map[place]*loading{}
	}
	a.loading[p] = &loading{done: make(chan struct{})}
	return stretch{}, false, nil
}

// put keeps what was read from a place on, and lets those know who wait for it.
func (a *sharing) put(p place, read stretch, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	l := a.loading[p]
	delete(a.loading, p)
	l.err = err
	close(l.done)
	if p.generation > a.generation {
		a.generation, a.all, a.bytes = p.generation, nil, 0
	}
	if len(read.events) == 0 || p.generation < a.generation {
		return
	}
	s := &shared{stretch: read, used: time.Now()}
	for i := range read.events {
		s.bytes += len(read.events[i].JSON)
	}
	a.all = append(a.all, s)
	a.bytes += s.bytes
	for len(a.all) > 1 && a.bytes > maxShared {
		a.dropLocked()
	}
	if a.idle == nil {
		a.idle = time.AfterFunc(sharedIdle, a.forget)
	}
}

// dropLocked drops what was used longest ago. Called under mu.
func (a *sharing) dropLocked() {
	a.bytes -= a.all[0].bytes
	a.all = slices.Delete(a.all, 0, 1)
}

// forget drops what nobody has read for a while.
func (a *sharing) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for len(a.all) > 0 && time.Since(a.all[0].used) >= sharedIdle {
		a.dropLocked()
	}
	if a.idle = nil; len(a.all) > 0 {
		a.idle = time.AfterFunc(sharedIdle, a.forget)
	}
}
