package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"time"

	"vstream"
)

const (
	// writeTimeout is how long a client may take over each writeQuantum bytes. It is set
	// anew for each and cleared while idle: a limit on the whole response would cut
	// long watches, and so does http.Server.WriteTimeout.
	writeTimeout = 30 * time.Second
	writeQuantum = 64 << 10
	// untilGrace is how long after until a watch waits for events from before.
	untilGrace = 10 * time.Second
)

// Why a watch ends as planned.
var (
	errStopping = errors.New("the server is stopping")
	errMaxAge   = errors.New("the watch reached its age limit")
	errLimit    = errors.New("the watch has sent as many events as were asked for")
	errUntil    = errors.New("the watch has sent all events of the time asked for")
)

// getWatch streams events until the client goes, or the watch or the server ends. Those
// ends are proper ones, with a final chunk.
func (s *Server) getWatch(stopping context.Context, q *query, w http.ResponseWriter, r *http.Request) error {
	release, err := s.admit(r)
	if err != nil {
		return err
	}
	defer release()
	ctx, end := context.WithCancelCause(r.Context())
	defer end(nil)
	defer context.AfterFunc(stopping, func() { end(errStopping) })()
	ranges := rangesOf(q.vcenters)
	f, err := q.open(ctx, q.from, q.until)
	if err != nil {
		if errors.Is(err, errStopping) {
			return errShuttingDown
		}
		return err
	}
	h := w.Header()
	setRanges(h, ranges, len(q.served) > 1)
	h.Set("Stream-Next-Cursor", f.cursor().String())
	h.Set("Content-Type", q.form.stream)
	streamHeaders(h)
	out := &stream{w: w, control: http.NewResponseController(w)}
	out.flush() // headers at once: the client learns that it is connected before anything happens
	if r.Method == http.MethodHead {
		return nil
	}

	age := s.watchAge()
	if q.timeout > 0 {
		age = min(age, q.timeout)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, age, errMaxAge)
	defer cancel()
	began := time.Now()
	watch := &watch{query: q, feed: f, out: out, path: r.URL.Path, several: len(s.VCenters) > 1}
	err = watch.run(ctx)
	switch {
	case errors.Is(err, errMaxAge), errors.Is(err, errLimit), errors.Is(err, errUntil):
		watch.bookmark(reasonClose)
	case errors.Is(err, errStopping):
		watch.bookmark(reasonShutdown)
	case r.Context().Err() == nil && out.err == nil:
		watch.problem(problemOf(err, r))
	}
	out.flush()
	s.Logger.Debug("watch ended", "remote", r.RemoteAddr, "form", q.form.name, "filter", q.filter, "events", watch.sent, "bytes", out.bytes,
		"lasted", time.Since(began), "reason", err)
	return nil
}

// admit asks whether one more response that takes its time may begin.
func (s *Server) admit(r *http.Request) (release func(), err error) {
	if s.Admit == nil {
		return func() {}, nil
	}
	release, ok := s.Admit(r)
	if !ok {
		return nil, &problem{Status: http.StatusTooManyRequests, Slug: "too-many-watches", Title: "Too many watches",
			Detail: "there are as many watches, and pages that wait, as may be at once; end some, or come again later"}
	}
	return release, nil
}

// streamHeaders keeps intermediaries from waiting for the end, which may be long.
func streamHeaders(h http.Header) {
	h.Set("Cache-Control", "no-store, no-transform")
	h.Set("X-Accel-Buffering", "no") // nginx
}

// watchAge ends each watch at its own moment, so that after a restart the clients do not
// come back all at once for ever.
func (s *Server) watchAge() time.Duration {
	return time.Duration(float64(s.WatchMaxAge) * (0.8 + 0.2*mathrand.Float64()))
}

// A watch is a response that goes on.
type watch struct {
	*query
	feed     *feed
	out      *stream
	path     string // of the request
	several  bool   // vCenters, so that text says which
	sent     int    // events
	upToDate bool   // everything there was has been sent
	spoke    time.Time
	line     []byte // for reuse
}

// run copies events to the client and flushes whenever it has caught up: a burst costs few
// packets, and a lone event does not wait. It returns why it ended.
func (w *watch) run(ctx context.Context) error {
	var alarm *time.Timer
	var alarmed <-chan time.Time
	pending, _ := w.feed.settle()
	if w.bookmarks || pending || !w.until.IsZero() {
		alarm = time.NewTimer(w.pause())
		defer alarm.Stop()
		alarmed = alarm.C
	}
	for started, caughtUp := false, false; ; {
		s, events, err := w.feed.next(ctx)
		if err != nil {
			return err
		}
		if w.upToDate = len(events) == 0; w.upToDate && pending {
			if pending, err = w.feed.settle(); err != nil {
				return err
			}
			w.upToDate = !pending
		}
		switch {
		case !started:
			w.bookmark(reasonStart)
			started, caughtUp = true, w.upToDate
		case w.upToDate && !caughtUp:
			w.bookmark(reasonCaughtUp)
			caughtUp = true
		case w.bookmarks && time.Since(w.spoke) >= w.heartbeat: // it is busy with what nobody wants
			w.bookmark(reasonIdle)
			w.out.flush()
		}
		if err := w.send(ctx, s, events); err != nil {
			return err
		}
		if len(events) == 0 {
			w.out.flush()
			if w.feed.over() || !w.until.IsZero() && time.Since(w.until) > untilGrace {
				return errUntil
			}
			more, err := w.feed.wait(ctx, alarmed)
			switch {
			case err != nil:
				return err
			case !more:
				if time.Since(w.spoke) >= w.heartbeat {
					w.bookmark(reasonIdle)
					w.out.flush()
					w.spoke = time.Now()
				}
				alarm.Reset(w.pause())
			}
		}
		if w.out.err != nil {
			return w.out.err
		}
		if ctx.Err() != nil { // behind, so never waiting: still to be stopped
			return context.Cause(ctx)
		}
	}
}

// pause is after what time a watch that has nothing to send has something to say, or is over.
func (w *watch) pause() time.Duration {
	pause := w.heartbeat
	if !w.spoke.IsZero() {
		pause -= time.Since(w.spoke)
	}
	if !w.until.IsZero() {
		pause = min(pause, time.Until(w.until)+untilGrace+time.Millisecond)
	}
	return max(pause, time.Millisecond)
}

// send writes the events that the filter passes.
func (w *watch) send(ctx context.Context, s *source, events []vstream.Event) error {
	for i := range events {
		e := &events[i]
		wanted, err := w.filter.Match(s.vcenter.Name, e)
		if err != nil {
			return err
		}
		s.pass()
		if !wanted {
			continue
		}
		w.event(s, e)
		if w.sent++; w.sent == w.limit {
			return errLimit
		}
	}
	if len(events) == 0 {
		return nil
	}
	if w.bookmarks {
		w.touch()
	}
	return w.feed.leap(ctx, s, w.sent)
}

// touch takes note that something was sent, if something was.
func (w *watch) touch() {
	if w.out.spoken {
		w.spoke, w.out.spoken = time.Now(), false
	}
}

// event writes an event.
func (w *watch) event(s *source, e *vstream.Event) {
	switch w.form {
	case formSSE:
		w.line = append(w.feed.appendCursor(append(w.line[:0], "id: "...)), "\ndata: "...)
		w.out.write(w.line, e.JSON, "\n\n")
	case formText:
		w.line = appendText(w.line[:0], s.vcenter, e, w.several)
		w.out.write(w.line, nil, "\n")
	default:
		w.out.write(nil, e.JSON, "\n")
	}
}

// bookmark tells the reader where it is, in the forms that have bookmarks.
func (w *watch) bookmark(reason string) {
	if !w.bookmarks {
		return
	}
	mark := bookmark{Cursor: w.feed.cursor().String(), UpToDate: w.upToDate, Reason: reason}
	ranges := rangesOf(w.vcenters)
	if len(w.served) > 1 {
		mark.Ranges = ranges
	} else if held, some := ranges[w.vcenters[0].Name]; some {
		mark.Earliest, mark.Latest = &held.Earliest, &held.Latest
	}
	data, err := json.Marshal(mark)
	if err != nil {
		panic(err) // only strings and numbers
	}
	record := controlRecord(w.path, typeBookmark, data)
	if w.form != formSSE {
		w.out.write(nil, record, "\n")
	} else {
		w.line = w.line[:0]
		if reason == reasonStart {
			w.line = fmt.Appendf(w.line, "retry: %d\n", retry())
		}
		w.line = append(w.line, "event: bookmark\nid: "...)
		w.line = append(w.feed.appendCursor(w.line), "\ndata: "...)
		w.out.write(w.line, record, "\n\n")
	}
	w.touch()
}

// retry is after how many milliseconds an EventSource is to come again: each after another
// time, so that they do not come all at once.
func retry() int { return 1000 + mathrand.IntN(3000) }

// problem tells the reader what ends the watch before its time. The form of the prototype
// has nothing but events, save for what its reader misses for good.
func (w *watch) problem(p *problem) {
	switch record := controlRecord(w.path, typeProblem, p.document()); {
	case w.form == formSSE:
		w.out.write([]byte("event: problem\ndata: "), record, "\n\n")
	case w.form == formText:
		w.out.write([]byte("# "+printable(p.Detail)), nil, "\n")
	case w.form == formNDJSON || p.Status != http.StatusServiceUnavailable:
		w.out.write(nil, record, "\n")
	}
}

// stream writes to a client that may take it slowly or not at all. The first error ends
// it; what follows does nothing.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	armed   bool // a write deadline runs
	quantum int  // bytes written since it was set
	bytes   int64
	spoken  bool // something was written since this was reset
	err     error
}

// write writes a text in three parts.
func (s *stream) write(begin, middle []byte, end string) {
	if s.err != nil {
		return
	}
	s.arm()
	n := len(begin) + len(middle) + len(end)
	if len(begin) > 0 {
		_, s.err = s.w.Write(begin)
	}
	if len(middle) > 0 && s.err == nil {
		_, s.err = s.w.Write(middle)
	}
	if s.err == nil {
		_, s.err = s.w.Write([]byte(end))
	}
	s.bytes += int64(n)
	s.quantum += n
	s.spoken = true
}

// flush sends what was written and lets the connection idle without a deadline.
func (s *stream) flush() {
	if s.err != nil {
		return
	}
	s.arm()
	s.err = s.control.Flush()
	_ = s.control.SetWriteDeadline(time.Time{})
	s.armed = false
}

func (s *stream) arm() {
	if !s.armed || s.quantum >= writeQuantum {
		limitWrite(s.control)
		s.armed, s.quantum = true, 0
	}
}

// limitWrite gives the client writeTimeout from now to take what is written. Where the
// connection knows no deadlines, as in some tests, there is none.
func limitWrite(c *http.ResponseController) { _ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) }
