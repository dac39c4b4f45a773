package natslog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/synadia-io/orbit.go/jetstreamext"

	"vstream"
	"vstream/internal/memlog"
)

const (
	// readBytes bounds what is read from a stream at once; a single event may be more.
	readBytes = 4 << 20
	// readTimeout is how long a read may take.
	readTimeout = 10 * time.Second
)

// Metadata of a stream.
const (
	// formatKey says that a stream is ours, and how it is written.
	formatKey, format = "vstream.format", "1"
	// instanceKey and epochKey are those of Origin.
	instanceKey, epochKey = "vstream.instance", "vstream.epoch"
)

// A stream is the stream of a log.
type stream struct {
	name     string
	subjects subjects
	js       jetstream.JetStream
	logger   *slog.Logger
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
	s := &stream{name: streamName(vcenter), subjects: subjectsOf(vcenter), js: js, logger: c.Logger}
	var err error
	s.Stream, err = js.Stream(ctx, s.name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		s.Stream, err = c.create(ctx, js, s)
	case err == nil:
		err = c.adjust(ctx, s)
	}
	if err != nil {
		return nil, err
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
	if c.Replicas == 0 {
		want.Replicas = has.Replicas // whoever changed it by other means had a reason
	}
	same := has.MaxBytes == want.MaxBytes && has.MaxMsgs == want.MaxMsgs && has.Replicas == want.Replicas &&
		slices.Equal(has.Subjects, want.Subjects) && has.AllowDirect && has.AllowAtomicPublish
	if same {
		return nil
	}
	want.Metadata = has.Metadata
	changed, err := s.js.UpdateStream(ctx, want)
	if err != nil {
		return c.explain(s, err)
	}
	c.Logger.Info("limits of a log changed", "stream", s.name, "max_bytes", want.MaxBytes, "replicas", want.Replicas)
	s.Stream = changed
	return nil
}

// tail is what a stream holds.
type tail struct {
	first, last   uint64 // sequence numbers; first is last+1 when it is empty
	events, bytes uint64
}

func (s *stream) tail(ctx context.Context) (tail, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	info, err := s.Info(ctx)
	if err != nil {
		return tail{}, err
	}
	t := tail{info.State.FirstSeq, info.State.LastSeq, info.State.Msgs, info.State.Bytes}
	if t.events == 0 {
		t.first = t.last + 1
	}
	return t, nil
}

// errNothing says that a stream holds nothing from some sequence number on.
var errNothing = errors.New("the stream holds nothing from there on")

// read returns at least one and at most n records from the first at seq or later on; of the
// given subject, unless it is empty.
func (s *stream) read(ctx context.Context, seq uint64, n int, subject string) ([]record, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	options := []jetstreamext.GetBatchOpt{jetstreamext.GetBatchSeq(max(seq, 1)), jetstreamext.GetBatchMaxBytes(readBytes)}
	if subject != "" {
		options = append(options, jetstreamext.GetBatchSubject(subject))
	}
	messages, err := jetstreamext.GetBatch(ctx, s.js, s.name, n, options...)
	if err != nil {
		return nil, err
	}
	records := make([]record, 0, n)
	for m, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			break
		}
		if err != nil {
			return nil, err
		}
		r, err := parse(m)
		if err != nil {
			s.logger.Warn("message ignored: vstream has not written it", "error", err)
			continue
		}
		records = append(records, r)
	}
	if len(records) == 0 {
		return nil, errNothing
	}
	return records, nil
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
		time.Sleep(time.Duration(try) * 20 * time.Millisecond)
	}
	if err != nil {
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
	s, next := l.stream, l.window.Next()
	firstKnown := l.held.first
	l.mu.RUnlock()
	t, err := s.tail(ctx)
	if err != nil {
		return err
	}
	if t.last+1 < next {
		l.disagree()
	}
	if t.first == firstKnown && t.events > 0 {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.held.events, l.held.bytes = t.events, t.bytes
		return nil
	}
	front, err := s.front(ctx, t)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if front.first < l.held.first {
		return nil // another was faster
	}
	late := l.held.late
	for o, seq := range late {
		if seq < front.first {
			delete(late, o)
		}
	}
	l.setHeldLocked(front, late)
	l.marks.forget(front.first)
	return nil
}

// front is what is learnt at the beginning of a stream.
func (s *stream) front(ctx context.Context, t tail) (held, error) {
	h := held{first: t.first, dropped: -1, events: t.events, bytes: t.bytes}
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

	l.mu.RLock()
	window := l.window
	l.mu.RUnlock()
	if !goesOn {
		if window, err = l.newWindow(ctx, s, t); err != nil {
			return err
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	first := l.stream == nil
	l.stream = s
	l.setHeldLocked(front, late)
	if !goesOn {
		if !first {
			l.window.Wake()
			l.generation++
			l.marks.clear()
		}
		l.window = window
	}
	if first {
		close(l.loaded)
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
		return t.last+1 == next, nil
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

// newWindow returns a window over the end of the stream.
func (l *Log) newWindow(ctx context.Context, s *stream, t tail) (*memlog.Window, error) {
	fresh := func(seq uint64, peak memlog.Peak) *memlog.Window {
		return memlog.NewWindow(l.config.WindowRecords, l.config.WindowBytes, seq, peak)
	}
	begin := t.first
	if n := uint64(l.config.WindowRecords); t.last >= n {
		begin = max(begin, t.last-n+1)
	}
	window := fresh(t.last+1, memlog.NoPeak)
	for seq, began := begin, false; seq <= t.last; {
		records, err := s.read(ctx, seq, readBatch, "")
		if errors.Is(err, errNothing) {
			break
		}
		if err != nil {
			return nil, err
		}
		for i := range records {
			r := &records[i]
			switch {
			case !began:
				window, began = fresh(r.seq, r.before), true
			case r.seq != window.Next() || !samePeak(r.before, window.Peak()):
				l.logger.Warn("the log has lost events; the next audit fetches what the vCenter still has",
					"after", int64(window.Peak().Offset), "messages", r.seq-window.Next())
				window = fresh(r.seq, r.before)
			}
			window.Add(r.event, nil)
		}
		seq = records[len(records)-1].seq + 1
	}
	if window.Next() <= t.last {
		window = fresh(t.last+1, window.Peak())
	}
	return window, nil
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
	keep := t.last
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	messages, err := jetstreamext.GetBatch(ctx, s.js, s.name, 1, jetstreamext.GetBatchStartTime(cutoff))
	if err != nil {
		return err
	}
	for m, err := range messages {
		if errors.Is(err, jetstreamext.ErrNoMessages) {
			break
		}
		if err != nil {
			return err
		}
		keep = m.Sequence
	}
	if keep <= t.first {
		return nil
	}
	if err := s.Purge(ctx, jetstream.WithPurgeSequence(keep)); err != nil {
		return err
	}
	return l.refresh(ctx)
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
	l.mu.RLock()
	s := l.stream
	l.mu.RUnlock()
	if s == nil {
		return l.unavailable(nil)
	}
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	info, err := s.Info(ctx)
	if err != nil {
		return l.unavailable(err)
	}
	config := info.Config
	config.Metadata[instanceKey], config.Metadata[epochKey] = instance, strconv.FormatUint(uint64(epoch), 10)
	changed, err := s.js.UpdateStream(ctx, config)
	if err != nil {
		return l.unavailable(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	with := *s
	with.Stream = changed
	l.stream = &with
	return nil
}
