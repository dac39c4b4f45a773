package natslog

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"vstream"
	"vstream/internal/memlog"
)

// A Store is what holds logs, open for a tool: see [Inspect].
type Store struct {
	config *Config
	nc     *nats.Conn
	js     jetstream.JetStream
}

// Inspect opens what config names for a tool, calls do, and closes it again. It does not
// wait for what cannot be reached now.
//
// Unlike an [Engine] it takes part in nothing: no leases, no retention. It changes no
// limits and makes no log; a directory without logs is an error. In a cluster, servers go
// on meanwhile; a directory is its own as long as it is open.
func Inspect(ctx context.Context, config Config, do func(context.Context, *Store) error) error {
	if config.Dir != "" {
		_, err := os.Stat(filepath.Join(config.Dir, "jetstream"))
		switch {
		case errors.Is(err, os.ErrNotExist):
			if _, err := os.Stat(config.Dir); err != nil {
				return fmt.Errorf("there is no directory %s", config.Dir)
			}
			return fmt.Errorf("the directory %s holds no logs", config.Dir)
		case errors.Is(err, syscall.ENOTDIR): // lock says so
		case err != nil:
			return err
		}
	}
	return Restore(ctx, config, do)
}

// Restore is Inspect for a tool that brings logs: it makes the directory if it is not
// there.
func Restore(ctx context.Context, config Config, do func(context.Context, *Store) error) error {
	e := &Engine{config: config}
	session := e.cluster
	if config.Dir != "" {
		unlock, err := lock(config.Dir, "stop that first, or use its HTTP API")
		if err != nil {
			return err
		}
		defer unlock()
		session = e.embedded
	}
	done := false
	var failed error
	err := session(ctx, func(ctx context.Context, nc *nats.Conn) error {
		js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(readTimeout))
		if err != nil {
			return err
		}
		failed = do(ctx, &Store{config: &e.config, nc: nc, js: js})
		done = true
		return failed
	})
	switch {
	case done && ctx.Err() != nil:
		return failed // do knows better how far it has come
	case done && failed != nil && !errors.Is(err, failed):
		return fmt.Errorf("%w; %w", err, failed) // why it came no farther, and how far
	}
	return err
}

// VCenters returns the names of the vCenters that there are logs of, in their order; also of
// those whose log is so damaged that it cannot be opened, and fails when it is.
func (s *Store) VCenters(ctx context.Context) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	var names []string
	streams := s.js.StreamNames(ctx, jetstream.WithStreamListSubject("vstream.>"))
	for name := range streams.Name() {
		if vcenter, ours := strings.CutPrefix(name, streamName("")); ours {
			names = append(names, vcenter)
		}
	}
	if err := streams.Err(); err != nil && !errors.Is(err, jetstream.ErrEndOfData) {
		return nil, s.config.explain(&stream{name: streamName("*")}, err)
	}
	stored, err := s.config.stored()
	if err != nil {
		return nil, err
	}
	for _, name := range stored {
		if vcenter, ours := strings.CutPrefix(name, streamName("")); ours {
			names = append(names, vcenter)
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

// ErrNoLog says that there is no log of a vCenter.
var ErrNoLog = errors.New("there is no log of this vCenter")

// Log opens the log of a vCenter as it is now: what others append later is not seen. It
// fails with an [ErrNoLog] if there is none.
func (s *Store) Log(ctx context.Context, vcenter string) (*Log, error) {
	found, err := s.find(ctx, vcenter)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, vcenter, found)
}

// Create makes the log of a vCenter, with the configured limits, or opens it as Log does
// if there is one.
func (s *Store) Create(ctx context.Context, vcenter string) (*Log, error) {
	if err := s.config.fits(s.nc); err != nil {
		return nil, err
	}
	l, err := s.Log(ctx, vcenter)
	if !errors.Is(err, ErrNoLog) {
		return l, err
	}
	made, err := s.config.find(ctx, s.js, vcenter)
	if err != nil {
		return nil, err
	}
	return s.open(ctx, vcenter, made)
}

// Servers returns the replicas that collect from a vCenter now, or would if no other did. In
// a directory there are none: it would be theirs.
func (s *Store) Servers(ctx context.Context, vcenter string) (ids []string, err error) {
	if s.config.Dir != "" {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	bucket, err := s.js.KeyValue(ctx, leaseBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the bucket of leases: %w", lost(err))
	}
	watch, err := bucket.WatchAll(ctx, jetstream.IgnoreDeletes())
	if err != nil {
		return nil, fmt.Errorf("read the leases: %w", lost(err))
	}
	defer func() { _ = watch.Stop() }()
	for {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("read the leases: %w", lost(ctx.Err()))
		case entry := <-watch.Updates():
			if entry == nil { // that was all
				slices.Sort(ids)
				return slices.Compact(ids), nil
			}
			id, isReplica := strings.CutPrefix(entry.Key(), replicaPrefix)
			switch {
			case entry.Key() == leasePrefix+vcenter:
				ids = append(ids, string(entry.Value()))
			case isReplica && slices.Contains(strings.Fields(string(entry.Value())), vcenter):
				ids = append(ids, id)
			}
		}
	}
}

// Delete removes the log of a vCenter for good. It fails with an [ErrNoLog] if there is
// none. A server that has it open makes it anew, empty: see Servers.
func (s *Store) Delete(ctx context.Context, vcenter string) error {
	found, err := s.find(ctx, vcenter)
	if err != nil {
		return err
	}
	if err := s.js.DeleteStream(ctx, found.name); err != nil {
		return fmt.Errorf("delete the stream %s: %w", found.name, lost(err))
	}
	return nil
}

// find returns the stream of a vCenter.
func (s *Store) find(ctx context.Context, vcenter string) (*stream, error) {
	found := &stream{name: streamName(vcenter), subjects: subjectsOf(vcenter), js: s.js, logger: s.config.Logger}
	var err error
	found.Stream, err = s.js.Stream(ctx, found.name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		if err := s.config.holds(found.name); err != nil {
			return nil, err
		}
		return nil, ErrNoLog
	case err != nil:
		return nil, s.config.explain(found, err)
	}
	if found.CachedInfo().Config.Metadata[formatKey] != format {
		return nil, fmt.Errorf("the stream %s is not one of vstream's, or of a newer version's", found.name)
	}
	return found, nil
}

func (s *Store) open(ctx context.Context, vcenter string, from *stream) (*Log, error) {
	l := newLog(vcenter, s.config)
	if err := l.load(ctx, from); err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", vcenter, err)
	}
	return l, nil
}

// AppendNew is Append for the only one who appends; it returns how many of the events the
// log did not hold already, also when it fails.
func (l *Log) AppendNew(ctx context.Context, events []vstream.Event) (appended int, err error) {
	_, before := l.end()
	err = l.Append(ctx, events)
	_, after := l.end()
	return int(after.next - before.next), err
}

// Info is what can be told of a log without reading all of it.
type Info struct {
	VCenter string
	vstream.Usage
	Range    *vstream.Range // nil while it has never held anything; Oldest is of the event where it begins
	Newest   time.Time      // the latest time there is
	Late     int64          // events that came late
	Holes    int64          // messages that are missing, as far as that shows: see Verify
	Epoch    uint32         // that the vCenter's keys are in, as far as was kept
	Instance string         // of the vCenter, or "" before it was known
	Replicas int            // copies, as configured
	Leader   string         // server that leads them, "" without a cluster or a leader
}

// Info returns what there is to tell of the log of a vCenter.
func (s *Store) Info(ctx context.Context, vcenter string) (Info, error) {
	l, err := s.Log(ctx, vcenter)
	if err != nil {
		return Info{}, err
	}
	// Damage may have shown only when the log was opened.
	state, err := l.stream.Info(ctx)
	if err != nil {
		return Info{}, s.config.explain(l.stream, err)
	}
	info := Info{VCenter: vcenter, Usage: l.Usage(), Late: int64(len(l.held.late)), Replicas: state.Config.Replicas}
	info.Holes = max(int64(state.State.NumDeleted), int64(l.lost.messages))
	info.MaxBytes = max(state.Config.MaxBytes, 0) // what it is, not what is configured
	info.Instance, info.Epoch = l.Origin()
	if state.Cluster != nil && s.config.Dir == "" {
		info.Leader = state.Cluster.Leader
	}
	held, ok := l.Range()
	if !ok {
		return info, nil
	}
	info.Range, info.Newest = &held, l.window.Peak().Time
	info.Epoch = max(info.Epoch, held.Latest.Epoch())
	oldest, err := l.Get(ctx, held.Earliest)
	var none *vstream.NotFoundError
	if errors.As(err, &none) { // nothing is left but late events
		oldest, err = l.event(ctx, l.held.first)
	}
	info.Oldest = oldest.Time
	return info, err
}

// A Fault is something wrong in a log.
type Fault struct {
	Kind string // a few words, the same for all faults of a kind
	Text string // what it is, and where
	// Mended: the vCenter has been asked for what is missing here, and what it still had has
	// been appended.
	Mended bool
}

// Kinds of faults.
const (
	faultMissing = "messages missing"
	faultChain   = "chain broken"
	faultForeign = "not an event"
	faultSubject = "wrong subject"
	faultTwice   = "held twice"
)

// Verify reads all of the log of a vCenter, up to where it ends now, and calls visit for
// each message, in log order. It looks at how the messages go together: that none is
// missing, that each event follows the one that it followed when it was written, that none
// is there twice. What the event of a message says is left to visit; it is nil for a
// message that is none.
func (s *Store) Verify(ctx context.Context, vcenter string, visit func(e *vstream.Event, faults []Fault)) error {
	found, err := s.find(ctx, vcenter)
	if err != nil {
		return err
	}
	t, err := found.tail(ctx)
	if err != nil {
		return err
	}
	v := verifier{subjects: found.subjects, next: t.first, peak: memlog.NoPeak, known: t.first == 1, late: map[vstream.Offset]bool{}}
	v.mended, _ = strconv.ParseUint(found.CachedInfo().Config.Metadata[mendedKey], 10, 64)
	for seq := uint64(1); ; {
		records, err := found.read(ctx, seq, readBatch, found.subjects.late)
		if errors.Is(err, errNothing) {
			break
		}
		if err != nil {
			return fmt.Errorf("read from the log of %s: %w", vcenter, err)
		}
		for i := range records {
			v.late[records[i].event.Offset] = false
		}
		seq = records[len(records)-1].seq + 1
	}
	for v.next <= t.last {
		messages, err := found.messages(ctx, v.next)
		for try := 0; errors.Is(err, errNothing) && try < 5; try++ { // a copy may lag behind
			time.Sleep(time.Duration(try) * 100 * time.Millisecond)
			messages, err = found.messages(ctx, v.next)
		}
		if errors.Is(err, errNothing) {
			visit(nil, []Fault{v.missing(t.last + 1)})
			return nil
		}
		if err != nil {
			return fmt.Errorf("read from the log of %s: %w", vcenter, err)
		}
		if messages[0].seq > v.next { // or it was dropped just now, as is its right
			now, err := found.tail(ctx)
			if err != nil {
				return err
			}
			if now.first > v.next {
				v.next, v.known = now.first, false
			}
		}
		for _, m := range messages {
			if m.seq > t.last { // it has come since
				if v.next <= t.last {
					visit(nil, []Fault{v.missing(t.last + 1)})
				}
				return nil
			}
			if m.seq >= v.next {
				visit(v.look(m))
			}
		}
	}
	return nil
}

// A verifier is where Verify is in a log.
type verifier struct {
	subjects subjects
	next     uint64                  // sequence number that should come
	peak     memlog.Peak             // before that
	known    bool                    // whether peak is: it is not at the beginning
	mended   uint64                  // up to which sequence number what is missing was fetched again
	late     map[vstream.Offset]bool // all late events, and whether their offset was met
}

// A numbered message is one as it is in the stream.
type numbered struct {
	seq uint64
	*nats.Msg
}

// messages returns at least one message from seq on, as it is in the stream, or errNothing.
func (s *stream) messages(ctx context.Context, seq uint64) (messages []numbered, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	err = s.get(ctx, getRequest{Seq: seq, Batch: readBatch, MaxBytes: readBytes}, func(seq uint64, m *nats.Msg) {
		messages = append(messages, numbered{seq, m})
	})
	return messages, err
}

// look returns the event of a message, and what is wrong with it.
func (v *verifier) look(m numbered) (*vstream.Event, []Fault) {
	var faults []Fault
	fault := func(kind, format string, args ...any) {
		faults = append(faults, Fault{Kind: kind, Text: fmt.Sprintf(format, args...)})
	}
	if m.seq > v.next {
		faults = append(faults, v.missing(m.seq))
	}
	v.next = m.seq + 1
	r, err := parse(m.seq, m.Header, m.Data)
	if err != nil {
		fault(faultForeign, "%v", err)
		return nil, faults
	}
	e := &r.event
	if v.known && !samePeak(v.peak, r.before) {
		fault(faultChain, "event %d was written after %s, and follows %s", e.Offset, showPeak(r.before), showPeak(v.peak))
		faults[len(faults)-1].Mended = m.seq <= v.mended
	}
	isLate := e.Offset <= r.before.Offset
	if want := v.subjects.of(isLate); m.Header.Get(jetstream.SubjectHeader) != want {
		fault(faultSubject, "event %d is on %s, it belongs on %s", e.Offset, m.Header.Get(jetstream.SubjectHeader), want)
	}
	if met, some := v.late[e.Offset]; some {
		if met {
			fault(faultTwice, "event %d is there again, in message %d", e.Offset, m.seq)
		}
		v.late[e.Offset] = true
	}
	v.peak, v.known = r.after(), true
	return e, faults
}

// missing returns the fault that there is nothing until the message with this sequence
// number. What the chain is behind it is not known.
func (v *verifier) missing(seq uint64) Fault {
	v.known = false
	return Fault{Kind: faultMissing, Text: fmt.Sprintf("%d after %s", seq-v.next, showPeak(v.peak)), Mended: seq <= v.mended}
}

func (s subjects) of(late bool) string {
	if late {
		return s.late
	}
	return s.event
}

func showPeak(p memlog.Peak) string {
	if p.Offset < 0 {
		return "nothing"
	}
	return fmt.Sprintf("event %d, %s", p.Offset, p.Time.Format(time.RFC3339Nano))
}
