package index

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"vstream"
)

const (
	// maxRowBytes is how much memory, on average, an event may take.
	maxRowBytes = 128
	// pause is how long to wait before a log that could not be read is tried again.
	pause = time.Second
)

// Index is an index of one log. Its exported fields are set before its first use. One
// goroutine calls Run; its other methods may be called from any, at any time.
type Index struct {
	Log vstream.Log
	// MaxRows is how many events are indexed at most, the newest; it must be positive.
	MaxRows int
	Logger  *slog.Logger

	state atomic.Pointer[state] // nil before the first row

	// Run's own:
	sealed []*chunk // shared with states: what is in it is not overwritten
	tail   *builder
	bytes  int // of sealed, without values
	values *values
}

// now returns the state as it is now.
func (x *Index) now() *state {
	if s := x.state.Load(); s != nil {
		return s
	}
	return &state{building: true}
}

// Run follows the log until ctx is done, and then returns nil. What the log has lost, by
// damage or because it was replaced, is noticed when the log ends before the index does;
// then the index is built anew.
func (x *Index) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		err := x.follow(ctx)
		if ctx.Err() != nil {
			break
		}
		x.Logger.Debug("index is built anew", "reason", err)
		var expired *vstream.ExpiredError
		if !errors.As(err, &expired) && !errors.Is(err, errCut) {
			sleep(ctx, pause)
		}
	}
	return nil
}

// Of returns an index of just these events, which are in log order. It is complete, and
// never changes; Run and Coverage are not for it.
func Of(events []vstream.Event) *Index {
	x := &Index{MaxRows: max(1, len(events)), values: newValues()}
	if len(events) > 0 {
		x.begin(&events[0], true)
		x.add(events)
	}
	s := &state{sealed: x.sealed}
	if x.tail != nil {
		s.tail = x.tail.view()
	}
	x.state.Store(s)
	return x
}

// errCut says that the log has lost its end.
var errCut = errors.New("the log ends before the index")

// follow builds the index from nothing and keeps it up to date, until it must be built anew.
func (x *Index) follow(ctx context.Context) error {
	x.sealed, x.tail, x.bytes, x.values = nil, nil, 0, newValues()
	x.state.Store(nil)
	r, whole, err := x.open(ctx)
	if err != nil {
		return err
	}
	building := true
	for {
		if held, ok := x.Log.Range(); x.tail != nil && (!ok || held.Latest < x.tail.peak) {
			return errCut
		}
		events, err := r.Next(ctx)
		var unavailable *vstream.UnavailableError
		switch {
		case errors.As(err, &unavailable):
			x.Logger.Debug("index waits for the log", "error", err)
			sleep(ctx, pause)
		case err != nil:
			return err
		case len(events) > 0:
			if x.tail == nil {
				x.begin(&events[0], whole)
			}
			x.add(events)
			x.publish(building)
		default:
			if building {
				building = false
				x.publish(building)
			}
			select {
			case <-r.More():
			case <-ctx.Done():
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// open returns a reader from where the index begins; whole tells that this is where the log
// begins.
func (x *Index) open(ctx context.Context) (r vstream.Reader, whole bool, err error) {
	if r, err = x.Log.Open(ctx, vstream.Oldest{}); err != nil {
		return nil, false, err
	}
	if x.Log.Usage().Events <= int64(x.MaxRows) {
		return r, true, nil
	}
	r, err = x.Log.Open(ctx, vstream.Newest(x.MaxRows))
	return r, false, err
}

// begin makes the index begin at e.
func (x *Index) begin(e *vstream.Event, whole bool) {
	before := vstream.Offset(-1)
	if !whole {
		before = e.Offset - 1
	}
	x.tail = newBuilder(before, x.values)
}

// add adds rows.
func (x *Index) add(events []vstream.Event) {
	for i := range events {
		x.tail.add(&events[i])
		if len(x.tail.offsets) < chunkRows {
			continue
		}
		c := x.tail.seal()
		x.sealed = append(x.sealed, c)
		x.bytes += c.bytes()
		x.tail = newBuilder(c.peak, x.values)
	}
}

// drop drops chunks of which all rows are too many, or no longer in the log.
func (x *Index) drop() {
	held, _ := x.Log.Range()
	rows := len(x.sealed) * chunkRows
	if x.tail != nil {
		rows += len(x.tail.offsets)
	}
	n := 0
	for n < len(x.sealed) && (rows-chunkRows >= x.MaxRows || x.bytes+x.values.bytes() > x.MaxRows*maxRowBytes || x.sealed[n].peak < held.Earliest) {
		x.bytes -= x.sealed[n].bytes()
		x.sealed[n].release(x.values)
		rows -= chunkRows
		n++
	}
	if n > 0 {
		x.sealed = slices.Clone(x.sealed[n:]) // the old array keeps what was dropped alive
	}
}

// publish lets others see the rows there are, but for those to be dropped.
func (x *Index) publish(building bool) {
	x.drop()
	s := &state{sealed: x.sealed, building: building}
	if x.tail != nil {
		s.tail = x.tail.view()
	}
	s.first = max(0, s.rows()-x.MaxRows)
	x.state.Store(s)
}

// sleep waits so long, or until ctx is done.
func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// Coverage is what an index knows of its log.
type Coverage struct {
	// Building tells that the end of the log has not been reached yet, after a start or
	// when the log has become another: the newest events are missing.
	Building bool
	// Whole tells that there is nothing older in the log than in the index.
	Whole bool
	Rows  int // events that are indexed, of those that the log holds

	// Of these; meaningless without any:
	From    vstream.Offset // of the first one
	Since   time.Time      // its time
	Through vstream.Offset // the highest
}

// Coverage tells of which events other answers are.
func (x *Index) Coverage() Coverage {
	v := x.view()
	c := Coverage{Building: v.building, Whole: !v.building, Rows: v.hi - v.lo}
	held, ok := x.Log.Range()
	if ok && v.tail != nil {
		c.Whole = held.Earliest > v.before()
	}
	if c.Rows > 0 {
		first := v.part(v.lo / chunkRows)
		c.From, c.Since = first.offsets[first.lo], time.UnixMicro(first.times[first.lo]).UTC()
		c.Through = min(v.peak(), held.Latest)
	}
	return c
}
