package httpapi

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strconv"
	"time"

	"vstream"
)

// A feed reads the logs of vCenters as one: each in its own order, and together by time as
// far as they have been read. At the tail nobody waits for anybody.
type feed struct {
	query   *query    // that it is for
	sources []*source // in the order of their names
	until   time.Time // each ends at its first event after that; zero is never
}

// A source is one vCenter's part of a feed.
type source struct {
	vcenter *VCenter
	reader  vstream.Reader
	events  []vstream.Event // read, and not passed yet
	done    vstream.Offset  // of the event passed last; -1 when a cursor is not to name it
	tag     string          // of the log that done is a place in; empty while that is not known
	highest vstream.Offset  // of the events passed
	barren  int             // events passed since one was wanted, by a leap's count
	wanted  int             // that count
	pending bool            // the log had yet to reach done when it was opened
	more    <-chan struct{} // of the reader, while it is waited for
	over    bool            // the next event comes after the feed's end
	beyond  vstream.Offset  // of that event
}

// A sourceError is an error of one source. Others is where reading is in the logs of other
// vCenters; nil where no others are served.
type sourceError struct {
	vcenter string
	others  vstream.Cursor
	err     error
}

// failure is an error of one vCenter, met by a reader at a cursor.
func (q *query) failure(v *VCenter, at vstream.Cursor, err error) error {
	failed := &sourceError{vcenter: v.Name, err: err}
	if len(q.served) > 1 {
		failed.others = vstream.Cursor{}
		maps.Copy(failed.others, at)
		delete(failed.others, v.Name)
	}
	return failed
}

func (e *sourceError) Error() string { return e.err.Error() }
func (e *sourceError) Unwrap() error { return e.err }

// next returns the events of one source that come next; none when all are at their tails.
// They are to be passed, from the first on, before it is called again.
func (f *feed) next(ctx context.Context) (*source, []vstream.Event, error) {
	var first *source
	for _, s := range f.sources {
		if len(s.events) == 0 && !s.over {
			if err := s.fill(ctx); err != nil {
				return nil, nil, f.query.failure(s.vcenter, f.cursor(), err)
			}
			s.end(f.until)
		}
		if len(s.events) > 0 && (first == nil || s.events[0].Time.Before(first.events[0].Time)) {
			first = s
		}
	}
	if first == nil {
		return nil, nil, nil
	}
	n := len(first.events)
	for _, s := range f.sources {
		if s == first || len(s.events) == 0 {
			continue
		}
		for i := 1; i < n; i++ {
			if first.events[i].Time.After(s.events[0].Time) {
				n = i
			}
		}
	}
	return first, first.events[:n], nil
}

// fill reads the events that come next. It fails with an *aheadError when they are of another
// log than those before.
func (s *source) fill(ctx context.Context) (err error) {
	s.events, err = s.reader.Next(ctx)
	if replaced := s.recognize(); replaced != nil { // which may be why there was an error
		s.events, err = nil, replaced
	}
	return err
}

// recognize fails when the log is not the one that s is a place in. It is asked after reading:
// what is read from another log comes after that has its tag.
func (s *source) recognize() (err error) {
	if s.tag == s.vcenter.Log.Tag() { // as almost always: ten thousand may be waiting for an event
		return nil
	}
	at := vstream.Place{Offset: s.done, Tag: s.tag}
	if s.done < 0 { // in a log without events, which is no place: it misses nothing of another
		at.Tag = ""
	}
	s.tag, err = s.vcenter.recognize(at)
	return err
}

// recognize returns the tag of the log, or that of a place in it while the log has none. It
// fails with an *aheadError when the place is one in another log.
func (v *VCenter) recognize(at vstream.Place) (tag string, err error) {
	tag = v.Log.Tag()
	switch {
	case tag == "":
		return at.Tag, nil
	case at.Tag != "" && at.Tag != tag:
		held, some := v.Log.Range()
		return at.Tag, &aheadError{cursor: at.Offset, held: held, empty: !some, replaced: true}
	}
	return tag, nil
}

// end drops what was read from the first event after until on.
func (s *source) end(until time.Time) {
	if until.IsZero() {
		return
	}
	for i := range s.events {
		if s.events[i].Time.After(until) {
			s.events, s.over, s.beyond = s.events[:i], true, s.events[i].Offset
			return
		}
	}
}

// pass moves past the next event of a source.
func (s *source) pass() {
	s.done = s.events[0].Offset
	s.highest = max(s.highest, s.done)
	s.barren++
	s.events = s.events[1:]
}

// leapAfter is how many events in a row nobody wants before it is worth asking the index
// where the next one is.
const leapAfter = 2000

// leap moves s past events that the filter does not pass, where there are many and the index
// knows it. Wanted is how many events have been wanted so far.
func (f *feed) leap(ctx context.Context, s *source, wanted int) error {
	if wanted != s.wanted {
		s.wanted, s.barren = wanted, 0
	}
	if s.barren < leapAfter || len(s.events) > 0 || s.over {
		return nil
	}
	s.barren = 0
	covered := s.vcenter.Index.Coverage()
	next, known := s.vcenter.Index.After(f.query.filter, s.done, 1)
	if !known || covered.Rows == 0 || covered.Through <= s.highest {
		return nil
	}
	var to vstream.Position = vstream.After(covered.Through)
	at := covered.Through
	if len(next) > 0 {
		if next[0] <= s.highest { // it came late: that offset is no place ahead
			return nil
		}
		to, at = vstream.At(next[0]), s.done
	}
	r, err := s.vcenter.Log.Open(ctx, to)
	if err != nil {
		return f.query.failure(s.vcenter, f.cursor(), err)
	}
	s.reader, s.more, s.done, s.highest = r, nil, at, max(s.highest, at)
	return nil
}

// upcoming returns the offset of the event that comes next, or at the tail one that is
// higher than all.
func (s *source) upcoming() vstream.Offset {
	switch {
	case len(s.events) > 0:
		return s.events[0].Offset
	case s.over:
		return s.beyond
	}
	held, _ := s.vcenter.Log.Range()
	return held.Latest + 1
}

// over reports whether there will never be more.
func (f *feed) over() bool {
	for _, s := range f.sources {
		if !s.over || len(s.events) > 0 {
			return false
		}
	}
	return true
}

// wait returns when there may be more, or at once if there is, and then its result is true;
// or when alarm has something, or ctx is done, which is its error.
func (f *feed) wait(ctx context.Context, alarm <-chan time.Time) (bool, error) {
	if len(f.sources) == 1 {
		s := f.sources[0]
		select {
		case <-s.growth():
			s.more = nil
			return true, nil
		case <-alarm:
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	cases := make([]reflect.SelectCase, 0, len(f.sources)+2)
	add := func(c any) {
		cases = append(cases, reflect.SelectCase{Dir: reflect.SelectRecv, Chan: reflect.ValueOf(c)})
	}
	add(ctx.Done())
	add(alarm)
	var open []*source
	for _, s := range f.sources {
		if !s.over {
			add(s.growth())
			open = append(open, s)
		}
	}
	switch i, _, _ := reflect.Select(cases); i {
	case 0:
		return false, context.Cause(ctx)
	case 1:
		return false, nil
	default:
		open[i-2].more = nil
		return true, nil
	}
}

// growth returns what is closed once the log has grown. It is asked for once for each time of
// that: a log goes by how many wait for it.
func (s *source) growth() <-chan struct{} {
	if s.more == nil {
		s.more = s.reader.More()
	}
	return s.more
}

// cursor is where the feed is.
func (f *feed) cursor() vstream.Cursor {
	c := vstream.Cursor{}
	for _, s := range f.sources {
		if s.done >= 0 {
			c[s.vcenter.Name] = vstream.Place{Offset: s.done, Tag: s.tag}
		}
	}
	return c
}

// appendCursor appends the text of cursor.
func (f *feed) appendCursor(b []byte) []byte {
	begin := len(b)
	for _, s := range f.sources {
		if s.done < 0 {
			continue
		}
		if len(b) > begin {
			b = append(b, '~')
		}
		b = append(b, s.vcenter.Name...)
		b = append(b, '.')
		b = strconv.AppendInt(b, int64(s.done), 10)
		if s.tag != "" {
			b = append(b, '.')
			b = append(b, s.tag...)
		}
	}
	if len(b) == begin {
		b = append(b, '~')
	}
	return b
}

// open opens the logs at a start.
func (q *query) open(ctx context.Context, from start, until time.Time) (*feed, error) {
	f := &feed{query: q, until: until}
	for _, v := range q.vcenters {
		s, err := from.open(ctx, v)
		if err != nil {
			after, _ := from.(startAfter)
			return nil, q.failure(v, after.Cursor, err)
		}
		s.end(until)
		f.sources = append(f.sources, s)
	}
	return f, nil
}

// A start is where to begin to read, one of the following.
type start interface {
	open(context.Context, *VCenter) (*source, error)
}

type (
	startNow    struct{}                 // with what comes next
	startOldest struct{}                 // with the oldest events held
	startLatest struct{}                 // with the newest event of each vCenter
	startAt     vstream.Offset           // with the first event at this offset or later
	startSince  time.Time                // with the first event of this time or later
	startAfter  struct{ vstream.Cursor } // behind the events that it names
)

func (startNow) open(ctx context.Context, v *VCenter) (*source, error) {
	// The newest event is read too, for it tells the place where the reader is.
	s, err := startLatest{}.open(ctx, v)
	if err == nil && len(s.events) > 0 {
		s.pass()
	}
	return s, err
}

func (startOldest) open(ctx context.Context, v *VCenter) (*source, error) {
	return v.open(ctx, vstream.Oldest{}, -1)
}

func (startLatest) open(ctx context.Context, v *VCenter) (*source, error) {
	return v.open(ctx, vstream.Newest(1), -1)
}

func (o startAt) open(ctx context.Context, v *VCenter) (*source, error) {
	done := vstream.Offset(-1)
	if held, some := v.Log.Range(); some { // an offset still to come is no place yet
		done = min(vstream.Offset(o)-1, held.Latest)
	}
	return v.open(ctx, vstream.At(o), done)
}

func (t startSince) open(ctx context.Context, v *VCenter) (*source, error) {
	done := vstream.Offset(-1)
	if before, some := v.Log.Range(); some {
		done = before.Latest
	}
	return v.open(ctx, vstream.Since(t), done)
}

// open returns a source that begins at a position. Until there is an event to read, done is
// where it is; after that, it is behind the event that comes before: an offset between the
// two may be that of an event that comes late.
func (v *VCenter) open(ctx context.Context, at vstream.Position, done vstream.Offset) (*source, error) {
	r, err := v.Log.Open(ctx, at)
	if err != nil {
		return nil, err
	}
	s := &source{vcenter: v, reader: r, done: done}
	if err := s.fill(ctx); err != nil {
		return nil, err
	}
	if len(s.events) == 0 {
		return s, nil
	}
	first := s.events[0].Offset
	var previous []vstream.Event
	if r, err = v.Log.Open(ctx, vstream.Before{Offset: first, N: 1}); err == nil {
		previous, err = r.Next(ctx)
	}
	var expired *vstream.ExpiredError
	held, _ := v.Log.Range()
	switch {
	case err != nil && !errors.As(err, &expired):
		return nil, err
	case len(previous) > 0:
		s.done = previous[len(previous)-1].Offset
	case err == nil && held.Earliest <= first: // the oldest; below the earliest offset not even a late event is held
		s.done = held.Earliest - 1
	default: // dropped just now, or a late event whose neighbours were: who comes again here has missed something
		s.done = first - 1
		for v.holds(ctx, s.done) { // a late event, whose place is elsewhere
			s.done--
		}
	}
	return s, nil
}

// holds reports whether the log holds an event at exactly this offset.
func (v *VCenter) holds(ctx context.Context, offset vstream.Offset) bool {
	_, err := v.Log.Get(ctx, offset)
	return err == nil
}

// aheadPatience is how long a log may take to reach a cursor after its vCenter was reached:
// after a restart, a log in memory is filled again. Later, a copy of a log may still lag
// behind.
const aheadPatience, laterPatience = 10 * time.Second, time.Second

func (c startAfter) open(ctx context.Context, v *VCenter) (*source, error) {
	after, named := c.Cursor[v.Name]
	if !named {
		return startOldest{}.open(ctx, v)
	}
	reached, err := v.reaches(ctx, after)
	if err != nil {
		return nil, err
	}
	s := &source{vcenter: v, done: after.Offset, highest: after.Offset, tag: after.Tag, pending: !reached}
	s.reader, err = v.Log.Open(ctx, vstream.After(after.Offset))
	if replaced := s.recognize(); replaced != nil {
		err = replaced
	}
	return s, err
}

// reaches waits until the log holds this offset or a higher one, and fails if it should do so
// and does not, or is another log. While the vCenter cannot be reached, or has nothing to tell,
// there is no telling, and no waiting either, for there may be others to be read.
func (v *VCenter) reaches(ctx context.Context, at vstream.Place) (bool, error) {
	patience := time.NewTimer(max(laterPatience, aheadPatience-v.collected()))
	defer patience.Stop()
	for over := false; ; {
		r, err := v.Log.Open(ctx, vstream.Newest(0))
		if err != nil {
			return false, err
		}
		if _, err := v.recognize(at); err != nil {
			return false, err
		}
		held, some := v.Log.Range()
		switch {
		case some && held.Latest >= at.Offset:
			return true, nil
		case v.collected() == 0 || over && !some:
			return false, nil
		case over:
			return false, &aheadError{cursor: at.Offset, held: held}
		}
		select {
		case <-r.More():
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-patience.C:
			over = true
		}
	}
}

// collected returns for how long the log should have held what the vCenter has; 0 if it need
// not.
func (v *VCenter) collected() time.Duration {
	s := v.Status()
	if s.State != vstream.Collecting && s.State != vstream.Silent && s.State != vstream.Standby {
		return 0
	}
	return max(1, time.Since(s.Since))
}

// settle finds out about sources that wait for their logs to reach them: it fails if one of
// them should have. It reports whether there still are any.
func (f *feed) settle() (pending bool, err error) {
	for _, s := range f.sources {
		if !s.pending {
			continue
		}
		held, some := s.vcenter.Log.Range()
		switch {
		case some && held.Latest >= s.done:
			s.pending = false
		case some && s.vcenter.collected() > aheadPatience:
			return true, f.query.failure(s.vcenter, f.cursor(), &aheadError{cursor: s.done, held: held})
		default:
			pending = true
		}
	}
	return pending, nil
}

// An aheadError says that a cursor is of a log that went further than this one, or of another
// log altogether.
type aheadError struct {
	cursor   vstream.Offset
	held     vstream.Range
	empty    bool // there is nothing held
	replaced bool // the tags tell so
}

func (e *aheadError) Error() string {
	if e.replaced {
		return fmt.Sprintf("the cursor is at %d of another log: the one here was begun anew, with another vCenter or one that was installed anew, or the cursor is of another server", e.cursor)
	}
	return fmt.Sprintf("the cursor is at %d, and the log ends at %d: it was lost or replaced, or the cursor is of another server", e.cursor, e.held.Latest)
}
