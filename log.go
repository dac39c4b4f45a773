package vstream

import (
	"context"
	"time"
)

// Log is the event log of one vCenter: the contract of the whole program. One goroutine
// appends; any number open, read and get at the same time.
//
// Log order is the order of appending. Offsets grow along it, but for late events: a
// vCenter may tell a lower key after a higher one, and the log keeps it where it came.
// An offset that is asked for always means the first event, in log order, at that offset
// or later.
type Log interface {
	// Append stores events in the order given, which must be that of their offsets
	// except for late ones. When it returns nil they are kept as durably as the log
	// promises and every waiting Reader has been woken, or will be in some milliseconds
	// where so many wait that they are still being served. Offsets the log already holds
	// are skipped. The log owns events and all they refer to from then on.
	Append(ctx context.Context, events []Event) error

	// Range returns what the log holds; ok is false while it has never held anything.
	Range() (r Range, ok bool)

	// Tag returns what tells this log from one that is in its place later, whose offsets
	// mean other events: see TagOf. It is the same for as long as the log is, also where
	// another vCenter's events follow in a later epoch, and the same for another log that
	// began with the same vCenter in the same epoch. It is known before there are events,
	// and empty before that, and where nobody has told it.
	Tag() string

	// Usage returns how much the log holds, and may hold.
	Usage() Usage

	// Get returns the event at exactly this offset, an *ExpiredError if the offset is
	// older than the log, or else a *NotFoundError.
	Get(ctx context.Context, offset Offset) (Event, error)

	// Open returns a Reader that starts at p. It fails with an *ExpiredError when p is
	// an offset older than the log; an offset still to come is waited for.
	Open(ctx context.Context, p Position) (Reader, error)
}

// Usage is how much a log holds, and may hold. What it may hold is 0 where that is not
// limited.
type Usage struct {
	Events, MaxEvents int64
	Bytes, MaxBytes   int64         // as the log counts them: in memory, or in its store
	MaxAge            time.Duration // how long an event is kept
}

// A Reader is a position in a log. It holds nothing but that position: the log is the
// buffer, so a slow reader is behind but never skipped over. It is used by one goroutine.
type Reader interface {
	// Next returns the events that follow, in log order, and moves past them. At the
	// tail of the log it returns none and no error, without waiting. When the log has
	// dropped events that this reader had yet to see it returns an *ExpiredError, now
	// and ever after. The events are shared: callers must not change them.
	Next(ctx context.Context) ([]Event, error)

	// More returns a channel that is closed once the log holds something after the reader's
	// position; one that is closed already when it does.
	More() <-chan struct{}
}

// A Position says where a Reader starts: At, After, Before, Newest, Oldest or Since.
type Position interface{ position() }

type (
	// At starts at the first event at this offset or later.
	At Offset
	// After starts right behind the event at this offset, in log order: with late events that
	// came later, too. Where there is no such event it is At the next offset. It is expired
	// when the log may have held something between the two that it does not hold now; an
	// offset is where a reader goes on, so what it had read itself may well be dropped. In
	// a log that holds nothing yet, this shows once it does.
	After Offset
	// Before starts N events before the event at Offset, or at the oldest one when there are
	// fewer, and ends right before that event: its Reader finds a tail there. Where there is
	// no such event, it ends before the first one, in log order, at a higher offset.
	Before struct {
		Offset Offset
		N      int
	}
	// Newest starts so many events before the tail, or at the oldest event when there
	// are fewer. Newest(0) starts at the tail: with what comes next.
	Newest int
	// Oldest starts at the oldest event the log still holds.
	Oldest struct{}
	// Since starts at the first event, in log order, that happened at this time or later:
	// at the oldest event when all did, at the tail when none did. A time finds a place, it
	// does not select: events that came late may be older.
	Since time.Time
)

func (At) position()     {}
func (After) position()  {}
func (Before) position() {}
func (Newest) position() {}
func (Oldest) position() {}
func (Since) position()  {}
