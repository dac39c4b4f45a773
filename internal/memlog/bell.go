package memlog

import (
	"sync"
	"time"
)

// To serve a reader that was woken takes some microseconds, most of them the kernel's, for
// one event or for several. Where a thousand wait, waking them for each of a hundred events a
// second would take most of a processor.
const (
	// pauseEach is for how long a log wakes nobody after it has woken so many readers, for each
	// of them: about three times what serving one takes.
	pauseEach = 20 * time.Microsecond
	// maxPause is the longest of these pauses, and so how long an event may wait for its
	// readers to be woken.
	maxPause = 50 * time.Millisecond
	// fewReaders is how many are woken without a pause.
	fewReaders = 50
)

// A bell wakes all who wait for it.
type bell struct {
	mu      sync.Mutex
	rung    chan struct{} // under mu; closed and replaced when it rings
	waiting int           // under mu; how often rung was given away
	rest    time.Time     // under mu; until then it does not ring
	due     bool          // under mu; it rings after the rest
}

func newBell() *bell { return &bell{rung: make(chan struct{})} }

// wait returns a channel that is closed when the bell rings next.
func (b *bell) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.waiting++
	return b.rung
}

// ring rings the bell: now, or when it has rested. Having rung, it rests in proportion to how
// many have heard it.
func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.due {
		return
	}
	if rest := time.Until(b.rest); rest > 0 {
		b.due = true
		time.AfterFunc(rest, b.ringNow)
		return
	}
	b.ringLocked()
}

func (b *bell) ringNow() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.due = false
	b.ringLocked()
}

func (b *bell) ringLocked() {
	close(b.rung)
	b.rung = make(chan struct{})
	if b.waiting > fewReaders {
		b.rest = time.Now().Add(min(time.Duration(b.waiting)*pauseEach, maxPause))
	}
	b.waiting = 0
}
