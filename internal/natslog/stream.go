package natslog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"vstream"
	"vstream/internal/memlog"
)

const (
	// readBytes bounds what is read from a stream at once; a single event may be more.
	readBytes = 4 << 20
	// lookTimeout is how long a look for a stream may take. What was asked for while a cluster
	// had no leader is never answered.
	lookTimeout = 4 * time.Second
	// readTimeout is how long a read may take.
	readTimeout = 10 * time.Second
)

// Metadata of a stream.
const (
	// formatKey says that a stream is ours, and how it is written.
	formatKey, format = "vstream.format", "1"
	// instanceKey and epochKey are those of Origin.
	instanceKey, epochKey = "vstream.instance", "vstream.epoch"
	// mendedKey is up to which sequence number it does not matter what is missing.
	mendedKey = "vstream.mended"
)

// A stream is the stream of a log.
type stream struct {
	name     string
	subjects subjects
	js       jetstream.JetStream
	logger   *slog.Logger
	fetched  *atomic.Int64   // counts reads, for tests; may be nil
	session  context.Context // done when js is of no use any more; may be nil
	jetstream.Stream
}

// subjects are where events are published. Those that come late have one of their own, so
// that they can be found.
type subjects struct{ event, late string }

func streamName(vcenter string) string { return "vstream-" + vcenter }

func subjectsOf(vcenter string) subjects {
	return subjects{"vstream." + vcenter + ".event", "vstream." + vcenter + ".late"}
}

// find opens the stream of a vCenter, makes it if there is none, and gives it the
// configured limits if it has others.
func (c *Config) find(ctx context.Context, js jetstream.JetStream, vcenter string) (*stream, error) {
	s := &stream{name: streamName(vcenter), subjects: subjectsOf(vcenter), js: js, logger: c.Logger, fetched: c.fetched, session: ctx}
	var err error
	look, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	s.Stream, err = js.Stream(look, s.name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		if c.Dir != "" {
			if err := c.holds(s.name); err != nil {
				return nil, err
			}
		}
		s.Stream, err = c.create(ctx, js, s)
	case err == nil:
		err = c.adjust(ctx, s)
	default:
		err = c.explain(s, err)
	}
	if err != nil {
		return nil, err
	}
	if !s.CachedInfo().Config.AllowAtomicPublish {
		return nil, fatal(errors.New("the NATS servers know no atomic batches; vstream needs version 2.12 or newer"))
	}
	return s, nil
}

// create makes a stream with as many copies as are configured; if that is left open, with
// three where the cluster has them.
func (c *Config) create(ctx context.Context, js jetstream.JetStream, s *stream) (jetstream.Stream, error) {
	config := c.streamConfig(s)
	config.Metadata = map[string]string{formatKey: format}
	made, err := js.CreateStream(ctx, config)
	if c.Replicas == 0 && config.Replicas > 1 && tooFewServers(err) {
		config.Replicas = 1
		c.Logger.Warn("the cluster has too few servers for three copies of a log; it gets one", "stream", s.name)
		made, err = js.CreateStream(ctx, config)
	}
	return made, c.explain(s, err)
}

func (c *Config) streamConfig(s *stream) jetstream.StreamConfig {
	replicas := c.Replicas
	switch {
	case c.Dir != "":
		replicas = 1
	case replicas == 0:
		replicas = 3
	}
	return jetstream.StreamConfig{
		Name:               s.name,
		Description:        "events of a vCenter, kept by vstream",
		Subjects:           []string{s.subjects.event, s.subjects.late},
		Retention:          jetstream.LimitsPolicy,
		Discard:            jetstream.DiscardOld,
		Storage:            jetstream.FileStorage,
		Replicas:           replicas,
		MaxBytes:           c.MaxBytes,
		MaxMsgs:            cmp.Or(c.maxRecords, -1),
		AllowDirect:        true,
		AllowAtomicPublish: true,
		DenyDelete:         true,
	}
}

// adjust gives a stream that exists the configured limits.
func (c *Config) adjust(ctx context.Context, s *stream) error {
	has := s.CachedInfo().Config
	if has.Metadata[formatKey] != format {
		return fatal(fmt.Errorf("the stream %s exists, but is not one of vstream's, or of a newer version's; give the vCenter another name, or remove the stream", s.name))
	}
	want := c.streamConfig(s)
	if has.Storage != want.Storage {
		return fatal(fmt.Errorf("the stream %s keeps events in memory, and that cannot be changed; remove it, and it is made anew", s.name))
	}
	if c.Replicas == 0 && (has.Replicas != 1 || s.js.Conn().ConnectedClusterName() == "") {
		want.Replicas = has.Replicas // whoever changed it by other means had a reason
	}
	same := func() bool {
		return has.MaxBytes == want.MaxBytes && has.MaxMsgs == want.MaxMsgs && has.Replicas == want.Replicas &&
			slices.Equal(has.Subjects, want.Subjects) && has.AllowDirect && has.AllowAtomicPublish
	}
	if same() {
		return nil
	}
	want.Metadata = has.Metadata
	changed, err := s.js.UpdateStream(ctx, want)
	if c.Replicas == 0 && tooFewServers(err) { // still one, because there were too few when it was made
		if want.Replicas = has.Replicas; same() {
			return nil
		}
		changed, err = s.js.UpdateStream(ctx, want)
	}
	if err != nil {
		return c.explain(s, err)
	}
	c.Logger.Info("limits of a log changed", "stream", s.name, "max_bytes", want.MaxBytes, "replicas", want.Replicas)
	s.Stream = changed
	return nil
}

// tail is what a stream holds.
type tail struct {
	first, last    uint64 // sequence numbers; first is last+1 when it is empty
	events, bytes  uint64
	deleted        int       // how many are missing between first and last
	oldest, newest time.Time // when first and last came
}

func (s *stream) tail(ctx context.Context) (tail, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	info, err := s.Info(ctx)
	if err != nil {
		return tail{}, err
	}
	t := tail{info.State.FirstSeq, info.State.LastSeq, info.State.Msgs, info.State.Bytes, info.State.NumDeleted, info.State.FirstTime, info.State.LastTime}
	if t.events == 0 {
		t.first = t.last + 1
	}
	return t, nil
}

// errNothing says that a stream holds nothing from some sequence number on.
var errNothing = errors.New("the stream holds nothing from there on")

// read returns at least one and at most n records from the first at seq or later on; of the
// given subject, unless it is empty. It passes over what vstream has not written.
func (s *stream) read(ctx context.Context, seq uint64, n int, subject string) ([]record, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	for seq = max(seq, 1); ; {
		records, next, err := s.fetch(ctx, seq, n, subject)
		if err != nil || len(records) > 0 {
			return records, err
		}
		seq = next
	}
}

// fetch is one read from the stream. It may find nothing but messages that vstream has not
// written; next is the number after the last it has seen.
func (s *stream) fetch(ctx context.Context, seq uint64, n int, subject string) (records []record, next uint64, err error) {
	if s.fetched != nil {
		s.fetched.Add(1)
	}
	options := []jetstreamext.GetBatchOpt{jetstreamext.GetBatchSeq(seq), jetstreamext.GetBatchMaxBytes(readBytes)}
	if subject != "" {
		options = append(options, jetstreamext.GetBatchSubject(subject))
	}
	messages, err := jetstreamext.GetBatch(ctx, s.js, s.name, n, options...)
	if err != nil {
		return nil, 0, err
	}
	records, next = make([]record, 0, n), seq
	for m, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			return nil, 0, errNothing
		}
		if err != nil {
			return nil, 0, err
		}
		missing := m.Sequence - next
		next = m.Sequence + 1
		r, err := parse(m)
		if err != nil {
			s.logger.Warn("message ignored: vstream has not written it", "stream", s.name, "error", err)
			continue
		}
		r.missing = missing
		records = append(records, r)
	}
	if next == seq { // a timeout ends the messages without an error, and must not pass for the end of the stream
		return nil, 0, cmp.Or(context.Cause(ctx), errNoAnswer)
	}
	return records, next, nil
}

var errNoAnswer = errors.New("no answer from NATS")

// newest returns the last record there is, of either subject, or errNothing.
func (s *stream) newest(ctx context.Context) (record, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var last record
	for _, subject := range []string{s.subjects.event, s.subjects.late} {
		m, err := s.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return record{}, err
		}
		if m.Sequence < last.seq {
			continue
		}
		if last, err = parse(m); err != nil {
			return s.newestBefore(ctx, m.Sequence)
		}
	}
	if last.seq == 0 {
		return record{}, errNothing
	}
	return last, nil
}

// newestBefore is newest where the stream ends with messages that vstream has not written.
func (s *stream) newestBefore(ctx context.Context, seq uint64) (record, error) {
	for step := uint64(readBatch); ; step *= 2 {
		from := seq - min(step, seq-1)
		var last record
		for at := from; ; {
			records, err := s.read(ctx, at, readBatch, "")
			if errors.Is(err, errNothing) {
				break
			}
			if err != nil {
				return record{}, err
			}
			last = records[len(records)-1]
			at = last.seq + 1
		}
		if last.seq != 0 {
			return last, nil
		}
		if from == 1 {
			return record{}, errNothing
		}
	}
}

// read returns at least one and at most n records from the first at seq or later on.
func (l *Log) read(ctx context.Context, seq uint64, n int) ([]record, error) {
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
	records, err := l.read(ctx, seq, readBatch)
	if err != nil {
		return nil, err
	}
	l.cold.mu.Lock()
	defer l.cold.mu.Unlock()
	l.cold.generation, l.cold.records = generation, records
	return records, nil
}

// refresh finds out what the stream still holds.
func (l *Log) refresh(ctx context.Context) error {
	l.mu.RLock()
	s, next, peak := l.stream, l.window.Next(), l.window.Peak()
	firstKnown, generation := l.held.first, l.generation
	l.mu.RUnlock()
	t, err := s.tail(ctx)
	if err != nil {
		return err
	}
	if t.last+1 < next || t.events == 0 && peak.Offset >= 0 { // it lost its tail, or was emptied
		l.disagree()
		return nil
	}
	if t.first == firstKnown {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.setCountLocked(t)
		return nil
	}
	front, err := s.front(ctx, t)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if front.first < l.held.first || l.generation != generation {
		return nil // another was faster
	}
	late := l.held.late
	for o, seq := range late {
		if seq < front.first {
			delete(late, o)
		}
	}
	l.setHeldLocked(front, late)
	l.setCountLocked(t)
	l.marks.forget(front.first)
	return nil
}

// setCountLocked sets how much the log holds, from what its stream held a moment ago: the
// window may have gone on since, or have yet to take in what the stream has. Called under
// mu.
func (l *Log) setCountLocked(t tail) {
	l.held.events = uint64(max(0, int64(t.events)+int64(l.window.Next())-1-int64(t.last)))
	l.held.bytes = t.bytes
}

// front is what is learnt at the beginning of a stream.
func (s *stream) front(ctx context.Context, t tail) (held, error) {
	h := held{first: t.first, dropped: -1, earliest: noOffset, events: t.events, bytes: t.bytes}
	for seq := t.first; seq <= t.last; {
		records, err := s.read(ctx, seq, 16, "")
		if errors.Is(err, errNothing) {
			break
		}
		if err != nil {
			return held{}, err
		}
		if seq == t.first {
			h.first, h.dropped = records[0].seq, records[0].before.Offset
		}
		for _, r := range records {
			if r.event.Offset > h.dropped {
				h.earliest = r.event.Offset
				return h, nil
			}
		}
		seq = records[len(records)-1].seq + 1
	}
	return h, nil // nothing, or late events only, which are no place to start from
}

// setHeldLocked sets held; late are all late events there are. Called under mu.
func (l *Log) setHeldLocked(h held, late map[vstream.Offset]uint64) {
	for o := range late {
		if o > h.dropped {
			h.earliest = min(h.earliest, o)
		}
	}
	h.late = late
	l.held = h
}

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
	lost, err := s.losses(ctx, l.windowBegin(t), t)
	if err != nil {
		return err
	}

	l.mu.RLock()
	window, hole := l.window, l.hole
	l.mu.RUnlock()
	if !goesOn {
		if window, hole, err = l.newWindow(ctx, s, t); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.stream == nil
	l.stream = s
	if lost.messages > 0 && lost.through != l.lost.through {
		l.logger.Warn("the log has lost events; they are fetched again as far as the vCenter still has them",
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
func (s *stream) losses(ctx context.Context, from uint64, t tail) (loss, error) {
	if t.deleted > 0 {
		from = t.first
	}
	mended, _ := strconv.ParseUint(s.CachedInfo().Config.Metadata[mendedKey], 10, 64)
	var found loss
	var last *record
	for seq := max(from, mended, t.first); seq <= t.last; {
		records, err := s.read(ctx, seq, readBatch, "")
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
	if err := l.keepMetadata(ctx, map[string]string{mendedKey: strconv.FormatUint(lost.through, 10)}); err != nil {
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
	return r.seq == next-1 && r.event.Offset == last.Offset && samePeak(r.after(), peak), nil
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
func (l *Log) newWindow(ctx context.Context, s *stream, t tail) (*memlog.Window, span, error) {
	fresh := func(seq uint64, peak memlog.Peak) *memlog.Window {
		return memlog.NewWindow(l.config.WindowRecords, l.config.WindowBytes, seq, peak)
	}
	var window *memlog.Window
	for seq := l.windowBegin(t); seq <= t.last; {
		records, err := s.read(ctx, seq, readBatch, "")
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
			window.Add(r.event, nil)
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

// follow takes in what is appended to the stream, by this process or another, until ctx is
// done or window and stream disagree.
func (l *Log) follow(ctx context.Context, s *stream) error {
	l.mu.RLock()
	next := l.window.Next()
	l.mu.RUnlock()
	consumer, err := s.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:   next,
	})
	if err != nil {
		return err
	}
	feed, err := consumer.Consume(func(m jetstream.Msg) {
		meta, err := m.Metadata()
		if err != nil {
			return
		}
		l.fed(meta.Sequence.Stream, m)
	}, jetstream.PullExpiry(5*time.Second), jetstream.PullHeartbeat(time.Second))
	if err != nil {
		return err
	}
	defer feed.Stop()
	tick := time.NewTicker(refreshInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-l.broken:
			return errors.New("window and stream disagree")
		case <-feed.Closed():
			return errors.New("the feed of the stream has ended")
		case <-tick.C:
			if err := l.refresh(ctx); err != nil {
				return err
			}
			now := time.Now()
			l.heard.Store(&now)
			if err := l.expire(ctx, s); err != nil {
				return err
			}
		}
	}
}

// refreshInterval is how often a log looks what its stream still holds.
const refreshInterval = 2 * time.Second

// fed takes in a message from the feed.
func (l *Log) fed(seq uint64, m jetstream.Msg) {
	if _, end := l.end(); seq > end.next {
		// Append may be about to take in what lies between, and JetStream may have dropped
		// it already.
		l.appending.Lock()
		l.appending.Unlock() //nolint:staticcheck // it is only waited for
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq < l.window.Next() {
		return
	}
	r, err := parseHeader(seq, m.Headers(), m.Data())
	switch {
	case seq > l.window.Next():
		l.disagree()
		return
	case err != nil: // somebody else's: it has a number all the same
		l.logger.Warn("message ignored: vstream has not written it", "error", err)
		old := l.window
		l.window = memlog.NewWindow(l.config.WindowRecords, l.config.WindowBytes, seq+1, old.Peak())
		if l.hole.to != seq {
			l.hole.from = seq
		}
		l.hole.to = seq + 1
		old.Wake()
		return
	case !samePeak(r.before, l.window.Peak()):
		l.disagree()
		return
	}
	l.addLocked(r.event)
	l.window.Wake()
}

// expire drops what is older than the retention, but for the newest event: with it the log
// would forget where it ends, which is why JetStream's own MaxAge is not used.
func (l *Log) expire(ctx context.Context, s *stream) error {
	if l.config.Retention == 0 {
		return nil
	}
	t, err := s.tail(ctx)
	if err != nil || t.events < 2 {
		return err
	}
	cutoff := time.Now().Add(-l.config.Retention)
	if !t.oldest.Before(cutoff) {
		return nil
	}
	keep := t.last
	if !t.newest.Before(cutoff) {
		if keep, err = s.since(ctx, cutoff); err != nil {
			return err
		}
	}
	if keep <= t.first {
		return nil
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(keep)); err != nil {
		return err
	}
	return l.refresh(ctx)
}

// since returns the number of the first message that came at a time or later, or 0 if none
// is found: never more, for what is before it will be dropped.
func (s *stream) since(ctx context.Context, t time.Time) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	messages, err := jetstreamext.GetBatch(ctx, s.js, s.name, 1, jetstreamext.GetBatchStartTime(t))
	if err != nil {
		return 0, err
	}
	for m, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) { // this copy of the stream lags behind
			return 0, nil
		}
		if err != nil {
			return 0, err
		}
		return m.Sequence, nil
	}
	return 0, cmp.Or(context.Cause(ctx), errNoAnswer)
}

// Origin returns what SetOrigin kept.
func (l *Log) Origin() (instance string, epoch uint32) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.stream == nil {
		return "", 0
	}
	metadata := l.stream.CachedInfo().Config.Metadata
	n, _ := strconv.ParseUint(metadata[epochKey], 10, 32)
	return metadata[instanceKey], uint32(n)
}

// SetOrigin keeps with the log which vCenter its events come from, and in which epoch its
// keys are.
func (l *Log) SetOrigin(ctx context.Context, instance string, epoch uint32) error {
	return l.keepMetadata(ctx, map[string]string{instanceKey: instance, epochKey: strconv.FormatUint(uint64(epoch), 10)})
}

// keepMetadata keeps some values with the stream.
func (l *Log) keepMetadata(ctx context.Context, values map[string]string) error {
	l.mu.RLock()
	s, generation := l.stream, l.generation
	l.mu.RUnlock()
	if s == nil {
		return l.unavailable(nil)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, writeTimeout, errNoAnswer)
	defer cancel()
	info, err := s.Info(ctx)
	if err != nil {
		return l.unavailable(err)
	}
	config := info.Config
	config.Metadata = map[string]string{} // info's own is others' to read
	maps.Copy(config.Metadata, info.Config.Metadata)
	maps.Copy(config.Metadata, values)
	changed, err := s.js.UpdateStream(ctx, config)
	if err != nil {
		return l.unavailable(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stream.js == s.js && l.generation == generation {
		with := *s
		with.Stream = changed
		l.stream = &with
	}
	return nil
}
