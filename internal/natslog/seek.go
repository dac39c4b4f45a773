package natslog

import (
	"context"
	"slices"
	"sync"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

const (
	// seekBatch is how many events are read at once where one is looked for: few, for each
	// costs as much as a tenth of a look elsewhere, but some, for the next looks are often near.
	seekBatch = 32
	// markEvery is how many events lie between the places that are remembered while a log
	// grows.
	markEvery = 1024
	// maxMarks bounds how many places are remembered, about 50 bytes each.
	maxMarks = 20_000
)

// A goal says what is looked for in a log: the first event, in log order, after which the
// peak has reached something.
type goal struct {
	reached func(memlog.Peak) bool
	inside  func(w *memlog.Window) uint64 // the place in the window
	// share guesses how much of the way from one peak to another the goal is, from 0 to 1.
	share func(from, to memlog.Peak) float64
}

func byOffset(o vstream.Offset) goal {
	return goal{
		reached: func(p memlog.Peak) bool { return p.Offset >= o },
		inside:  func(w *memlog.Window) uint64 { return w.Seek(o) },
		share: func(from, to memlog.Peak) float64 {
			return float64(o-from.Offset) / float64(to.Offset-from.Offset)
		},
	}
}

func byTime(t time.Time) goal {
	return goal{
		reached: func(p memlog.Peak) bool { return !p.Time.Before(t) },
		inside:  func(w *memlog.Window) uint64 { return w.SeekTime(t) },
		share: func(from, to memlog.Peak) float64 {
			return t.Sub(from.Time).Seconds() / to.Time.Sub(from.Time).Seconds()
		},
	}
}

// seek returns the sequence number of the first event, in log order, that reaches the
// goal; the number that the next event will get if none does.
func (l *Log) seek(ctx context.Context, g goal) (uint64, error) {
	l.mu.RLock()
	w := l.window
	base := w.Base()
	if !g.reached(base) {
		defer l.mu.RUnlock()
		return max(g.inside(w), l.held.first), nil
	}
	low, high := l.held.first, l.hole.before(w.First()-1)
	generation := l.generation
	l.mu.RUnlock()
	if low > high {
		return low, nil
	}
	if seq, ok := l.cached(generation, g); ok && seq >= low {
		return seq, nil
	}
	// It is in low to high: the peak after high has reached it.
	under, over := memlog.NoPeak, base
	if m, ok := l.marks.below(g.reached); ok && m.seq >= low {
		low, under = m.seq+1, m.peak
	}
	if m, ok := l.marks.above(g.reached); ok && m.seq <= high {
		high, over = m.seq, m.peak
	}
	for guess := true; low < high && high-low >= seekBatch; guess = !guess {
		middle := low + (high-low)/2
		if guess && under.Offset >= 0 { // else there is nothing to guess from
			share := min(max(g.share(under, over), 0), 1)
			if share == share { // a number
				middle = low + uint64(share*float64(high-low-1))
			}
		}
		records, err := l.read(ctx, middle, 1)
		if err != nil {
			return 0, err
		}
		r := &records[0] // at middle, or after a hole
		after := r.after()
		l.marks.set(generation, r.seq, after)
		if g.reached(after) {
			high, over = middle, after // no matter how large the hole: it must come to an end
		} else {
			low, under = r.seq+1, after
		}
	}
	for low <= high {
		records, err := l.readCached(ctx, low)
		if err != nil {
			return 0, err
		}
		for i := range records {
			if r := &records[i]; g.reached(r.after()) {
				return r.seq, nil
			}
		}
		low = records[len(records)-1].seq + 1
	}
	return low, nil
}

// marks are places in a stream that are known, by which others are found. The zero value
// knows none.
type marks struct {
	mu         sync.Mutex
	generation int    // under mu; what they are marks of
	all        []mark // under mu; by seq
}

// A mark is the peak of a log after a message.
type mark struct {
	seq  uint64
	peak memlog.Peak
}

func (m *marks) set(generation int, seq uint64, peak memlog.Peak) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if generation != m.generation {
		return
	}
	i, found := slices.BinarySearchFunc(m.all, seq, func(k mark, seq uint64) int { return int(int64(k.seq) - int64(seq)) })
	if found {
		return
	}
	m.all = slices.Insert(m.all, i, mark{seq, peak})
	if len(m.all) > maxMarks { // every second is enough
		kept := m.all[:0]
		for i := range m.all {
			if i%2 == 0 {
				kept = append(kept, m.all[i])
			}
		}
		m.all = kept
	}
}

// above returns the first mark that has reached a goal, and below the last that has not.
func (m *marks) above(reached func(memlog.Peak) bool) (mark, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.firstLocked(reached); i < len(m.all) {
		return m.all[i], true
	}
	return mark{}, false
}

func (m *marks) below(reached func(memlog.Peak) bool) (mark, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := m.firstLocked(reached); i > 0 {
		return m.all[i-1], true
	}
	return mark{}, false
}

func (m *marks) firstLocked(reached func(memlog.Peak) bool) int {
	i, _ := slices.BinarySearchFunc(m.all, true, func(k mark, _ bool) int {
		if reached(k.peak) {
			return 1
		}
		return -1
	})
	return i
}

// forget drops the marks before a sequence number.
func (m *marks) forget(first uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = slices.DeleteFunc(m.all, func(k mark) bool { return k.seq < first })
}

func (m *marks) clear(generation int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.generation, m.all = generation, nil
}
