package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"vstream"
)

// A Bookmark says where a read is, also while there is nothing to tell.
type Bookmark struct {
	Cursor   vstream.Cursor           // where to go on
	Range    *vstream.Range           // what the log of the one vCenter holds; nil while it is empty
	Ranges   map[string]vstream.Range // what the logs of several vCenters hold
	UpToDate bool                     // all there was has been sent
	Reason   string                   // start, caught-up, idle, close or shutdown
	Time     time.Time                // by the server's clock
}

// A Gap is what a read has missed, for the server does not keep it any more.
type Gap struct {
	VCenter          string         // whose events
	Requested        vstream.Offset // what was to come next
	Earliest, Latest vstream.Offset // what there is
	Missed           int64          // how many events, at most
	Cursor           vstream.Cursor // where the read goes on: at Earliest
}

// A Reconnect is that a read goes on over another connection.
type Reconnect struct {
	Err     error          // why; nil at an end that the server has planned
	Attempt int            // how many there were since something came, this one included
	Pause   time.Duration  // until then
	Cursor  vstream.Cursor // where it goes on; nil if there was no connection yet
}

// Watch returns events as they happen, from now on or from where an option says, until ctx
// is done: then the loop ends without an error. It goes on by itself, where it was, after
// whatever passes; see the description of the package for what does. An error is the last
// thing that comes.
//
// The events are read while the loop asks for them. One that is slow is behind, and misses
// nothing unless what it has yet to get is not kept so long.
func (c *Client) Watch(ctx context.Context, opts ...ReadOption) iter.Seq2[Event, error] {
	return c.read(ctx, false, opts)
}

// List returns the events that there are, from the oldest on or from where an option says,
// and ends when it has got them all. It goes on by itself after what passes, as a Watch
// does, but gives up after five failures in a row. When ctx is done before the end, it ends
// with the cause.
func (c *Client) List(ctx context.Context, opts ...ReadOption) iter.Seq2[Event, error] {
	return c.read(ctx, true, opts)
}

// listAttempts is how often a List tries, unless Retry says so.
const listAttempts = 5

func (c *Client) read(ctx context.Context, list bool, opts []ReadOption) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		options, err := newRead(opts)
		if err != nil {
			yield(Event{}, err)
			return
		}
		r := &reading{read: options, client: c, list: list, attempts: c.retry.Attempts, yield: yield, left: options.limit}
		if list {
			if r.attempts == 0 {
				r.attempts = listAttempts
			}
			if r.last > 0 && (r.left == 0 || r.last < r.left) {
				r.left = r.last
			}
			if len(r.positions) == 0 {
				r.values.Set("offset", "earliest")
			}
		}
		r.pause = &backoff.ExponentialBackOff{InitialInterval: c.retry.Min, MaxInterval: c.retry.Max, Multiplier: 2, RandomizationFactor: 0.5}
		r.pause.Reset()
		err = r.run(ctx)
		if saved := r.saveLast(ctx); saved != nil {
			if errors.Is(err, errLeft) {
				c.logger.Error("the place cannot be kept", "error", saved) // there is nobody to be told
			} else if err == nil {
				err = saved
			}
		}
		if err != nil && !errors.Is(err, errLeft) {
			yield(Event{}, err)
		}
	}
}

// A reading is a Watch or a List under way.
type reading struct {
	*read
	client   *Client
	list     bool
	attempts int // 0: any number
	yield    func(Event, error) bool

	cursor   vstream.Cursor // behind all that the loop is done with; nil before the first connection
	left     int            // how many events are still to come; 0: any number
	failures int            // in a row
	tries    int            // in a row, planned ends too
	gapped   bool           // nothing came since a gap
	pause    *backoff.ExponentialBackOff

	loaded  bool           // the checkpoint was asked where to begin
	begun   bool           // the server has taken where to begin
	kept    vstream.Cursor // by the checkpoint
	keptAt  time.Time
	stalled vstream.Cursor // of the idle bookmark before, if the end could not be told then
}

var (
	errLeft = errors.New("the loop was left")
	errDone = errors.New("all has been read")
	// errPlanned is that the server has ended the connection as it had planned.
	errPlanned = errors.New("the server has ended the stream")
)

// run reads until there is a reason not to. That is nil when all has been read, and for a
// Watch when ctx is done.
func (r *reading) run(ctx context.Context) error {
	for {
		err := r.begin(ctx)
		if err == nil {
			err = r.follow(ctx)
		}
		switch {
		case errors.Is(err, errLeft):
			return err
		case errors.Is(err, errDone):
			return nil
		case ctx.Err() != nil && r.list:
			return context.Cause(ctx)
		case ctx.Err() != nil:
			return nil
		}
		after, again := passes(err)
		var expired *ExpiredError
		switch {
		case errors.As(err, &expired) && r.onGap != nil && expired.VCenter != "":
			if err := r.skip(expired); err != nil {
				return err
			}
			if !r.gapped { // else the log is faster than we are
				r.gapped = true
				continue
			}
		case errors.Is(err, errPlanned):
			err = nil
		case !again:
			return err
		default:
			if r.failures++; r.failures == r.attempts {
				return err
			}
		}
		if err := r.wait(ctx, err, after); err != nil {
			return err
		}
	}
}

// skip goes on at the oldest event of a vCenter.
func (r *reading) skip(e *ExpiredError) error {
	at := vstream.Cursor{}
	maps.Copy(at, r.cursor)
	if delete(at, e.VCenter); e.Earliest > 0 {
		// Not without a name, which would mean the oldest event by then: what is dropped until
		// then is to be told, too.
		at[e.VCenter] = vstream.Place{Offset: e.Earliest - 1, Tag: r.cursor[e.VCenter].Tag}
	}
	err := r.onGap(Gap{e.VCenter, e.Requested, e.Earliest, e.Latest, e.Missed, maps.Clone(at)})
	if err == nil {
		r.cursor = at
		r.client.logger.Warn("events are gone before they were read", "vcenter", e.VCenter, "requested", e.Requested, "earliest", e.Earliest)
	}
	return err
}

// wait waits before another connection is made.
func (r *reading) wait(ctx context.Context, why error, after time.Duration) error {
	r.tries++
	pause := max(r.pause.NextBackOff(), after)
	if r.onReconnect != nil {
		if err := r.onReconnect(Reconnect{why, r.tries, pause, maps.Clone(r.cursor)}); err != nil {
			return err
		}
	}
	r.client.logger.Debug("reading goes on over another connection", "server", r.client.base.Host, "reason", why, "pause", pause, "cursor", r.cursor)
	timer := time.NewTimer(pause)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done(): // which the next request sees
	}
	return nil
}

// progress takes note that something came.
func (r *reading) progress() {
	r.failures, r.tries, r.gapped = 0, 0, false
	r.pause.Reset()
}

// begin finds the place to begin at, where that takes more than a parameter.
func (r *reading) begin(ctx context.Context) (err error) {
	if r.cursor != nil {
		return nil
	}
	if r.checkpoint != nil && !r.loaded {
		if r.cursor, err = r.checkpoint.Load(ctx); err != nil {
			return err
		}
		r.loaded, r.kept = true, r.cursor
	}
	if r.cursor == nil {
		r.cursor = r.after
	}
	if r.cursor == nil && r.last > 0 {
		r.cursor, err = r.client.beforeLast(ctx, r.read)
	}
	return err
}

// follow reads one stream to its end.
func (r *reading) follow(ctx context.Context) error {
	c := r.client
	values := maps.Clone(r.values)
	if r.cursor != nil {
		for _, name := range []string{"offset", "since"} {
			values.Del(name)
		}
		values.Set("cursor", r.cursor.String())
	}
	if r.left > 0 {
		values.Set("limit", strconv.Itoa(r.left))
	}
	values.Set("watch", "true")
	a, err := c.send(ctx, http.MethodGet, c.resource("events", values), mediaStream, requestSilence)
	if err != nil {
		c.forget(err)
		return err
	}
	defer a.Close()
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != mediaStream {
		return c.garbled("it answers with something else than server-sent events")
	}
	a.limit = r.heartbeat + silence
	if text := a.Header.Get("Stream-Next-Cursor"); text != "" {
		at, err := c.parseCursor(text)
		if err != nil {
			return err
		}
		r.reach(at)
	}
	c.logger.Debug("reading", "server", c.base.Host, "cursor", r.cursor)
	stream := newDecoder(a, c.maxEvent)
	for planned := false; ; {
		m, err := stream.next()
		switch {
		case errors.Is(err, io.EOF) && planned:
			return errPlanned
		case err != nil:
			err = c.failed(ctx, err)
			c.forget(err)
			return err
		}
		switch m.event {
		case "", "message":
			err = r.event(ctx, m)
		case "bookmark":
			planned, err = r.bookmark(ctx, m)
		case "problem":
			err = c.problem(m, stream.retry)
		}
		if err != nil {
			return err
		}
	}
}

// reach takes note of a place that the server has told without an event. While an offset is
// waited for that is still to come, that is the place before all that comes earlier, which is
// not wanted.
func (r *reading) reach(at vstream.Cursor) {
	if r.cursor == nil {
		for _, place := range at {
			if place.Offset < r.offset-1 {
				return
			}
		}
	}
	r.cursor = at
}

// forget closes a connection that may be dead, so that the next request gets another.
func (c *Client) forget(err error) {
	if errors.Is(err, errSilent) {
		c.http.CloseIdleConnections()
	}
}

// event hands an event to the loop, and moves past it when that is done with it.
func (r *reading) event(ctx context.Context, m message) error {
	e, err := newEvent(m.data)
	if err != nil {
		return r.client.garbled(err.Error())
	}
	if e.Cursor, err = r.client.parseCursor(m.id); err != nil {
		return err
	}
	behind := maps.Clone(e.Cursor) // the loop may change its own
	r.begun = true
	r.progress()
	if !r.yield(e, nil) {
		return errLeft
	}
	r.cursor, r.stalled = behind, nil
	if r.left > 0 {
		if r.left--; r.left == 0 {
			return errDone
		}
	}
	if err := r.save(ctx, false); err != nil {
		return err
	}
	return ctx.Err()
}

// bookmark takes note of where the stream is. Planned is whether it is going to end.
func (r *reading) bookmark(ctx context.Context, m message) (planned bool, err error) {
	var in struct {
		Time time.Time
		Data struct {
			Cursor           string
			Earliest, Latest *vstream.Offset
			Ranges           map[string]vstream.Range
			UpToDate         bool
			Reason           string
		}
	}
	if err := json.Unmarshal(m.data, &in); err != nil {
		return false, r.client.garbled("a bookmark is not valid JSON")
	}
	at, err := r.client.parseCursor(in.Data.Cursor)
	if err != nil {
		return false, err
	}
	r.reach(at)
	r.begun = true
	mark := Bookmark{Cursor: maps.Clone(at), Ranges: in.Data.Ranges, UpToDate: in.Data.UpToDate, Reason: in.Data.Reason, Time: in.Time}
	if in.Data.Earliest != nil && in.Data.Latest != nil {
		mark.Range = &vstream.Range{Earliest: *in.Data.Earliest, Latest: *in.Data.Latest}
	}
	if mark.Reason != "start" { // a server that gets no further than that is not well
		r.progress()
	}
	if r.onBookmark != nil {
		r.onBookmark(mark)
	}
	if err := r.save(ctx, false); err != nil {
		return false, err
	}
	planned = mark.Reason == "close" || mark.Reason == "shutdown"
	switch {
	case ctx.Err() != nil:
		return planned, ctx.Err()
	case r.list && mark.UpToDate:
		return planned, errDone
	case mark.Reason == "close" && mark.UpToDate && !r.until.IsZero() && !mark.Time.Before(r.until):
		return planned, errDone
	case r.list && mark.Reason == "idle":
		if r.stalled != nil && maps.Equal(r.stalled, at) {
			return planned, &PendingError{r.client.base.Host}
		}
		r.stalled = at
	}
	return planned, nil
}

// problem is the error that ends a stream before its time.
func (c *Client) problem(m message, retry time.Duration) error {
	var in struct{ Data json.RawMessage }
	if err := json.Unmarshal(m.data, &in); err != nil {
		return c.garbled("a problem record is not valid JSON")
	}
	document := parseProblem(in.Data)
	if document == nil {
		return c.garbled("a problem record holds no problem")
	}
	return c.errorOf(document.Status, document, retry)
}

func (c *Client) parseCursor(text string) (vstream.Cursor, error) {
	at, err := vstream.ParseCursor(text)
	if err != nil {
		return nil, c.garbled("a cursor cannot be read, or is not there")
	}
	return at, nil
}

// save keeps where the loop is, unless that was done a short while ago.
func (r *reading) save(ctx context.Context, last bool) error {
	if r.checkpoint == nil || !r.begun || r.cursor == nil || maps.Equal(r.cursor, r.kept) && r.kept != nil ||
		!last && time.Since(r.keptAt) < r.saveEvery {
		return nil
	}
	if err := r.checkpoint.Save(ctx, maps.Clone(r.cursor)); err != nil {
		return err
	}
	r.kept, r.keptAt = r.cursor, time.Now()
	return nil
}

// saveTimeout is how long the last save may take, which the end of a context does not cut off.
const saveTimeout = 10 * time.Second

func (r *reading) saveLast(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
	defer cancel()
	return r.save(ctx, true)
}

// maxPage bounds how much of a page is read: servers send some 4 MiB and one event more.
const maxPage = 64 << 20

// most events of a page.
const pageLimit = 1000

var prevLink = regexp.MustCompile(`^<([^>]*)>; *rel="?prev"?$`)

// beforeLast returns the place before the last events. It reads pages backwards to count
// them, for only the loop knows what is done with each: keeping them would take as much
// memory as they are.
func (c *Client) beforeLast(ctx context.Context, q *read) (vstream.Cursor, error) {
	values := maps.Clone(q.values)
	for missing := q.last; ; {
		values.Set("limit", strconv.Itoa(min(missing, pageLimit)))
		n, h, err := c.countPage(ctx, values)
		if err != nil {
			return nil, err
		}
		links := h.Values("Link")
		if len(links) == 0 && n >= 0 {
			return nil, errors.New("the filter is too long to find the last events with; say where to begin by a time")
		}
		before := ""
		for _, link := range links {
			for part := range strings.SplitSeq(link, ", ") {
				if m := prevLink.FindStringSubmatch(part); m != nil {
					if to, err := url.Parse(m[1]); err == nil {
						before = to.Query().Get("before")
					}
				}
			}
		}
		if before == "" { // all there is
			return vstream.Cursor{}, nil
		}
		values.Del("until")
		values.Set("before", before)
		if missing -= n; missing <= 0 {
			break
		}
	}
	place := url.Values{"before": values["before"], "limit": {"1"}}
	if of := values["vcenter"]; of != nil {
		place["vcenter"] = of
	}
	a, err := c.send(ctx, http.MethodHead, c.resource("events", place), "application/x-ndjson", requestSilence)
	var expired *ExpiredError
	switch {
	case errors.As(err, &expired): // just now
		return vstream.Cursor{}, nil
	case err != nil:
		return nil, err
	}
	a.Close()
	return c.parseCursor(a.Header.Get("Stream-Next-Cursor"))
}

// countPage returns how many events a page has, and its headers; -1 while there has never
// been one.
func (c *Client) countPage(ctx context.Context, values url.Values) (int, http.Header, error) {
	a, err := c.send(ctx, http.MethodGet, c.resource("events", values), "application/x-ndjson", requestSilence)
	if err != nil {
		return 0, nil, err
	}
	defer a.Close()
	if a.StatusCode == http.StatusNoContent {
		return -1, a.Header, nil
	}
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != "application/x-ndjson" {
		return 0, nil, c.garbled("it answers with something else than events")
	}
	lines, size := 0, 0
	for buffer := make([]byte, 32<<10); ; {
		n, err := a.Read(buffer)
		lines += bytes.Count(buffer[:n], []byte("\n"))
		switch size += n; {
		case errors.Is(err, io.EOF):
			return lines, a.Header, nil
		case err != nil:
			return 0, nil, c.failed(ctx, err)
		case size > maxPage:
			return 0, nil, c.garbled(errTooLong.Error())
		}
	}
}
