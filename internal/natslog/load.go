package natslog

import (
	"context"
	"errors"
	"strconv"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// load makes the window agree with the stream: it goes on from the window's end where that
// is in the stream as it is in the window, and else makes it anew.
func (l *Log) load(ctx context.Context, s *stream) error {
	t, err := s.tail(ctx)
	if err != nil {
		return err
	}
	goesOn, err := l.isPartOf(ctx, s, t)
	if err != nil {
		return err
	}
	front, err := s.front(ctx, t)
	if err != nil {
		return err
	}
	late := map[vstream.Offset]uint64{}
	for seq := uint64(1); ; {
		records, err := s.read(ctx, seq, readBatch, s.subjects.late)
		if errors.Is(err, errNothing) {
			break
		}
		if err != nil {
			return err
		}
		for i := range records {
			late[records[i].event.Offset] = records[i].seq
		}
		seq = records[len(records)-1].seq + 1
	}
	begin := l.windowBegin(t)
	read := s.remembering(begin, l.config.WindowBytes)
	lost, err := s.losses(ctx, read, begin, t)
	if err != nil {
		return err
	}

	l.mu.RLock()
	window, hole := l.window, l.hole
	l.mu.RUnlock()
	if !goesOn {
		if window, hole, err = l.newWindow(ctx, s, read, t); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.stream == nil
	l.stream = s
	l.learnTagLocked(s)
	if lost.messages > 0 && lost.through != l.lost.through {
		l.logger.Warn("the log has lost events; a server fetches them again as far as the vCenter still has them",
			"messages", lost.messages, "holes", lost.holes, "since", lost.since)
	}
	l.lost = lost
	if !goesOn {
		if !first {
			l.logger.Warn("the stream is not the one it was; readers go on by their offsets",
				"latest", int64(window.Peak().Offset), "before", int64(l.window.Peak().Offset))
			l.window.Wake()
			l.generation++
			l.marks.clear(l.generation)
		}
		l.window, l.hole = window, hole
	}
	l.setHeldLocked(front, late)
	l.setCountLocked(t)
	if first {
		close(l.loaded)
	}
	return nil
}

// A reading is [stream.read] of any subject.
type reading func(ctx context.Context, seq uint64, n int) ([]record, error)

// remembering returns a reading that reads but once, from a place on, what is asked for from
// the same place again, up to so many bytes. The search for losses and the window are mostly
// about the same events; to read them once makes opening a log of a million some 5 % shorter.
func (s *stream) remembering(begin uint64, room int64) reading {
	known := map[uint64][]record{}
	return func(ctx context.Context, seq uint64, n int) (records []record, err error) {
		if records = known[seq]; len(records) > 0 && len(records) <= n {
			return records, nil
		}
		if records, err = s.read(ctx, seq, n, ""); err != nil || seq < begin {
			return records, err
		}
		for i := range records {
			room -= int64(records[i].event.Size())
		}
		if room >= 0 {
			known[seq] = records
		}
		return records, nil
	}
}

// A span is the sequence numbers from one up to, but not including, another.
type span struct{ from, to uint64 }

// past returns seq, or if that is in the span, what follows the span.
func (s span) past(seq uint64) uint64 {
	if seq >= s.from && seq < s.to {
		return s.to
	}
	return seq
}

// before returns seq, or if that is in the span, what is before the span.
func (s span) before(seq uint64) uint64 {
	if seq >= s.from && seq < s.to {
		return s.from - 1
	}
	return seq
}

// A loss is what a stream lacks that was in it once and was not dropped, but for what was
// mended.
type loss struct {
	since    time.Time // of the last event before the first hole
	through  uint64    // sequence number of the first event after the last hole
	holes    int
	messages uint64 // that are missing, as far as their numbers show
}

// losses looks for breaks in the chain of events: from a place on that is near the end, or
// in the whole stream if JetStream knows that it lacks something.
func (s *stream) losses(ctx context.Context, read reading, from uint64, t tail) (loss, error) {
	if t.deleted > 0 {
		from = t.first
	}
	mended, _ := strconv.ParseUint(s.CachedInfo().Config.Metadata[mendedKey], 10, 64)
	var found loss
	var last *record
	for seq := max(from, mended, t.first); seq <= t.last; {
		records, err := read(ctx, seq, readBatch)
		if errors.Is(err, errNothing) {
			break
		}
		if err != nil {
			return loss{}, err
		}
		for i := range records {
			r := &records[i]
			if last != nil && r.seq > mended && (r.missing > 0 || !samePeak(r.before, last.after())) {
				if found.holes == 0 {
					found.since = last.after().Time
				}
				found.holes++
				found.messages += max(r.missing, 1)
				found.through = r.seq
			}
			last = r
		}
		seq = last.seq + 1
		if seq > t.last {
			return found, nil
		}
	}
	if t.last >= max(mended, t.first) && t.events > 0 { // nothing can be read at the end
		if found.holes == 0 {
			newest, err := s.newest(ctx)
			if err != nil && !errors.Is(err, errNothing) {
				return loss{}, err
			}
			found.since = newest.after().Time
			if last == nil && newest.seq > 0 {
				last = &newest
			}
		}
		if last == nil {
			return loss{}, nil // nothing at all is left: it is as if the log were new
		}
		found.holes++
		found.messages += t.last - last.seq
		found.through = t.last + 1
	}
	return found, nil
}

// Lost returns the time of the last event before those that the log has lost, by damage to
// its store; ok is false when it has lost none. They can be appended again, and come late.
func (l *Log) Lost() (since time.Time, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.lost.since, l.lost.holes > 0
}

// Mended tells that what the log had lost has been appended again, as far as it can be had:
// Lost does not tell of it any more, after a restart either.
func (l *Log) Mended(ctx context.Context) error {
	l.mu.RLock()
	lost := l.lost
	l.mu.RUnlock()
	if lost.holes == 0 {
		return nil
	}
	if err := l.keepMetadata(ctx, func(metadata map[string]string) {
		metadata[mendedKey] = strconv.FormatUint(lost.through, 10)
	}); err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost.through == lost.through {
		l.lost = loss{}
	}
	return nil
}

// isPartOf reports whether the end of the window is in the stream as it is in the window.
func (l *Log) isPartOf(ctx context.Context, s *stream, t tail) (bool, error) {
	l.mu.RLock()
	if l.stream == nil {
		l.mu.RUnlock()
		return false, nil
	}
	w := l.window
	next, some := w.Next(), w.First() < w.Next()
	var last vstream.Event
	if some {
		last = *w.Event(next - 1)
	}
	peak := w.Peak()
	l.mu.RUnlock()
	if !some {
		if t.last+1 != next {
			return false, nil
		}
		last, err := s.newest(ctx)
		if errors.Is(err, errNothing) {
			return peak.Offset < 0, nil
		}
		return samePeak(last.after(), peak), err
	}
	if t.last+1 < next || t.first >= next {
		return false, nil
	}
	records, err := s.read(ctx, next-1, 1, "")
	if errors.Is(err, errNothing) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	r := &records[0]
	if r.seq != next-1 || r.event.Offset != last.Offset || !samePeak(r.after(), peak) {
		return false, nil
	}
	if t.last >= next { // unless all that should follow is lost: the feed would wait for it for ever
		if _, err = s.read(ctx, next, 1, ""); errors.Is(err, errNothing) {
			return false, nil
		}
	}
	return true, err
}

func samePeak(a, b memlog.Peak) bool { return a.Offset == b.Offset && a.Time.Equal(b.Time) }

// windowBegin is where a window over the end of a stream begins.
func (l *Log) windowBegin(t tail) uint64 {
	if n := uint64(l.config.WindowRecords); t.last >= n {
		return max(t.first, t.last-n+1)
	}
	return t.first
}

// newWindow returns a window over the end of the stream, and where, right before it, the
// stream has nothing.
func (l *Log) newWindow(ctx context.Context, s *stream, read reading, t tail) (*memlog.Window, span, error) {
	fresh := func(seq uint64, peak memlog.Peak) *memlog.Window {
		return memlog.NewWindow(l.config.WindowRecords, l.config.WindowBytes, seq, peak)
	}
	var window *memlog.Window
	for seq := l.windowBegin(t); seq <= t.last; {
		records, err := read(ctx, seq, readBatch)
		if errors.Is(err, errNothing) {
			break
		}
		if err != nil {
			return nil, span{}, err
		}
		for i := range records {
			r := &records[i]
			if window == nil || r.seq != window.Next() || !samePeak(r.before, window.Peak()) {
				window = fresh(r.seq, r.before)
			}
			window.Add(&r.event, nil)
		}
		seq = records[len(records)-1].seq + 1
	}
	if window == nil { // an empty stream, or one that has lost its end
		last, err := s.newest(ctx)
		switch {
		case errors.Is(err, errNothing):
			return fresh(t.last+1, memlog.NoPeak), span{t.first, t.last + 1}, nil
		case err != nil:
			return nil, span{}, err
		}
		window = fresh(last.seq+1, last.after())
	}
	if next := window.Next(); next <= t.last { // lost, or written by something else
		return fresh(t.last+1, window.Peak()), span{next, t.last + 1}, nil
	}
	return window, span{}, nil
}
