package natslog

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
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

// A stream is the stream of a log.
type stream struct {
	name     string
	subjects subjects
	js       jetstream.JetStream
	logger   *slog.Logger
	alone    bool            // no other process can write to it
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
	s := &stream{name: streamName(vcenter), subjects: subjectsOf(vcenter), js: js, logger: c.Logger, alone: c.Dir != "", fetched: c.fetched, session: ctx}
	var err error
	look, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	s.Stream, err = js.Stream(look, s.name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		if err := c.holds(s.name); err != nil {
			return nil, err
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
	records, next = make([]record, 0, n), seq
	err = s.get(ctx, getRequest{Seq: seq, Subject: subject, Batch: n, MaxBytes: readBytes}, func(at uint64, m *nats.Msg) {
		missing := at - next
		next = at + 1
		r, err := parse(at, m.Header, m.Data)
		if err != nil {
			s.logger.Warn("message ignored: vstream has not written it", "stream", s.name, "error", err)
			return
		}
		r.missing = missing
		records = append(records, r)
	})
	switch {
	case err != nil:
		return nil, 0, err
	case next == seq: // an end without a beginning must not pass for the end of the stream
		return nil, 0, errNoAnswer
	}
	return records, next, nil
}

// getRequest asks for messages, as ADR-31 of NATS describes it: at most so many, of so many
// bytes together but for the last, from a sequence number or a time on.
type getRequest struct {
	Seq      uint64     `json:"seq,omitempty"`
	Since    *time.Time `json:"start_time,omitempty"`
	Subject  string     `json:"next_by_subj,omitempty"`
	Batch    int        `json:"batch"`
	MaxBytes int        `json:"max_bytes,omitempty"`
}

// get calls each for every message that answers a request. It returns errNothing if there
// are none, and an error unless the answer is whole.
func (s *stream) get(ctx context.Context, request getRequest, each func(seq uint64, m *nats.Msg)) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	nc := s.js.Conn()
	answers := make(chan *nats.Msg, request.Batch+1)
	inbox := nc.NewInbox()
	sub, err := nc.ChanSubscribe(inbox, answers)
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	if err := nc.PublishRequest("$JS.API.DIRECT.GET."+s.name, inbox, body); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return errNoAnswer
			}
			return context.Cause(ctx)
		case m := <-answers:
			switch status := m.Header.Get("Status"); status {
			case "":
			case "204": // the end of the batch
				return nil
			case "404":
				return errNothing
			case "503":
				return nats.ErrNoResponders
			default:
				return fmt.Errorf("NATS answers %s %s", status, m.Header.Get("Description"))
			}
			seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
			if err != nil {
				return fmt.Errorf("NATS answers with a message without a number: %w", err)
			}
			each(seq, m)
		}
	}
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
		if last, err = parse(m.Sequence, m.Header, m.Data); err != nil {
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

// since returns the number of the first message that came at a time or later, or 0 if none
// is found: never more, for what is before it will be dropped.
func (s *stream) since(ctx context.Context, t time.Time) (first uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = s.get(ctx, getRequest{Since: &t, Batch: 1}, func(seq uint64, _ *nats.Msg) { first = seq })
	if errors.Is(err, errNothing) { // this copy of the stream lags behind
		return 0, nil
	}
	return first, err
}
