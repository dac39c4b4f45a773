package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"time"

	"vstream"
	"vstream/internal/filter"
)

// untilGrace is how long after until a watch waits for events from before.
const untilGrace = 10 * time.Second

// Why a watch ends as planned.
var (
	errStopping = errors.New("the server is stopping")
	errMaxAge   = errors.New("the watch reached its age limit")
	errLimit    = errors.New("the watch has sent as many events as were asked for")
	errUntil    = errors.New("the watch has sent all events of the time asked for")
	errRevoked  = errors.New("who asked may read no more")
)

// getWatch streams events until the client goes, or the watch or the server ends. Those
// ends are proper ones, with a final chunk. Where it can take the connection from net/http,
// it returns once the stream has begun, and that goes on without it.
func (s *Server) getWatch(stopping context.Context, q *query, w http.ResponseWriter, r *http.Request) error {
	ctx, end := context.WithCancelCause(stopping)
	release, err := s.admit(r, func() { end(errRevoked) })
	if err != nil {
		end(nil)
		return err
	}
	leave := func() {
		end(nil)
		release()
	}
	handedOver := false
	defer func() {
		if !handedOver {
			leave()
		}
	}()
	ranges := rangesOf(q.vcenters...)
	f, err := q.openUnless(stopping, r.Context())
	if err != nil {
		return err
	}
	h := w.Header()
	setRanges(h, ranges, len(q.served) > 1)
	h.Set("Stream-Next-Cursor", f.cursor().String())
	h.Set("Content-Type", q.form.stream)
	streamHeaders(h)
	takes := takeable(w, r)
	if takes {
		h.Set("Connection", "close")
	}
	out := &stream{client: &response{w, http.NewResponseController(w)}, unsent: true}
	out.flush() // headers at once: the client learns that it is connected before anything happens
	if r.Method == http.MethodHead {
		return nil
	}
	span := measuredOf(w).streams()

	age := s.watchAge()
	if q.timeout > 0 {
		age = min(age, q.timeout)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, age, errMaxAge)
	watch := &watch{query: q, feed: f, out: out, asked: reduced(r), several: len(s.VCenters) > 1, span: span}
	if takes {
		if c := s.wires.take(w); c != nil {
			handedOver = true
			watch.out = &stream{client: c}
			go s.wires.serve(c, cancel, s.Logger, func() {
				defer leave()
				s.follow(ctx, stopping, watch)
			})
			return nil
		}
	}
	defer cancel()
	defer context.AfterFunc(r.Context(), cancel)()
	s.follow(ctx, stopping, watch)
	return nil
}

// openUnless opens the logs, unless the server stops meanwhile.
func (q *query) openUnless(stopping, ctx context.Context) (*feed, error) {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	defer context.AfterFunc(stopping, func() { end(errStopping) })()
	f, err := q.open(ctx, q.from, q.until)
	if errors.Is(err, errStopping) {
		return nil, errShuttingDown
	}
	return f, err
}

// reduced returns what a watch has to know of its request, without what keeps net/http's
// part of a connection in memory.
func reduced(r *http.Request) *http.Request {
	asked := &http.Request{URL: r.URL, RemoteAddr: r.RemoteAddr}
	if name := r.PathValue("name"); name != "" {
		asked.SetPathValue("name", name)
	}
	return asked
}

// follow runs a watch to its end. Ctx is done when the watch has reached its age, the server
// stops or the client is gone.
func (s *Server) follow(ctx, stopping context.Context, w *watch) {
	began, reason := time.Now(), closedForTrouble
	s.gauges.begin(&w.gauge, w.form)
	defer func() {
		w.gauge.sent(w.sent, w.out.bytes)
		s.gauges.end(&w.gauge, reason)
	}()
	var leave func()
	w.shared, leave = s.filters.Join(w.filter)
	defer leave()
	w.filter = w.shared.Filter // of which there is one then
	err := w.run(ctx)
	if ctx.Err() != nil { // whatever it was that this has cut short
		err = context.Cause(ctx)
	}
	switch {
	case errors.Is(err, errMaxAge), errors.Is(err, errLimit), errors.Is(err, errUntil), errors.Is(err, errRevoked):
		w.bookmark(reasonClose)
	case stopping.Err() != nil:
		err = errStopping
		w.bookmark(reasonShutdown)
	case ctx.Err() == nil && w.out.err == nil:
		w.problem(problemOf(err, w.asked))
	}
	w.out.flush()
	reason = reasonOf(err, w.out.err)
	if w.span != nil {
		w.span(slog.String("vstream.form", w.form.name), slog.Int("vstream.events", w.sent), slog.Int64("vstream.bytes", w.out.bytes), slog.String("vstream.reason", reason))
	}
	s.Logger.Debug("watch ended", "remote", w.asked.RemoteAddr, "form", w.form.name, "filter", w.filter, "events", w.sent, "bytes", w.out.bytes,
		"lasted", time.Since(began), "reason", err)
}

// admit asks whether one more response that takes its time may begin.
func (s *Server) admit(r *http.Request, end func()) (release func(), err error) {
	if s.Admit == nil {
		return func() {}, nil
	}
	release, ok := s.Admit(r, end)
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
	shared   *filter.Shared // its filter
	feed     *feed
	out      *stream
	asked    *http.Request // reduced
	several  bool          // vCenters, so that text says which
	sent     int           // events
	upToDate bool          // everything there was has been sent
	spoke    time.Time
	gauge    gauge  // beside what is written with it
	span     Span   // nil where there is none
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
	barren := 0 // events in a row that nobody wants
	busy := false
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
		if busy { // it does not wait, so it says how far it is
			w.gauge.sent(w.sent, w.out.bytes)
		}
		busy = len(events) > 0
		before := w.sent
		if err := w.send(ctx, s, events); err != nil {
			return err
		}
		switch barren += len(events); {
		case w.sent > before:
			barren = 0
		case barren >= leapAfter: // until one is wanted, the client's time must not run
			w.out.flush()
			barren = 0
		}
		if len(events) == 0 {
			w.out.flush()
			if w.out.err != nil {
				return w.out.err
			}
			if w.feed.over() || !w.until.IsZero() && time.Since(w.until) > untilGrace {
				return errUntil
			}
			w.gauge.sent(w.sent, w.out.bytes)
			w.gauge.rests()
			more, err := w.feed.wait(ctx, alarmed)
			switch {
			case err != nil:
				return err
			case more:
				w.gauge.wakes()
			default:
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
		wanted, err := w.shared.Match(s.vcenter.Name, e)
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
	if w.form == formSSE && reason == reasonStart {
		w.out.write(fmt.Appendf(nil, "retry: %d\n", retry()), nil, "")
	}
	var memory [256]byte
	data := w.appendBookmark(memory[:0], reason)
	line, end := w.line[:0], "\n"
	if w.form == formSSE {
		line = append(w.feed.appendCursor(append(line, "event: bookmark\nid: "...)), "\ndata: "...)
		end = "\n\n"
	}
	w.line = appendControl(line, w.asked.URL.Path, typeBookmark, data)
	w.out.write(nil, w.line, end)
	w.touch()
}

// retry is after how many milliseconds an EventSource is to come again: each after another
// time, so that they do not come all at once.
func retry() int { return 1000 + mathrand.IntN(3000) }

// problem tells the reader what ends the watch before its time. The form of the prototype
// has nothing but events, save for what its reader misses for good.
func (w *watch) problem(p *problem) {
	switch record := appendControl(nil, w.asked.URL.Path, typeProblem, p.document()); {
	case w.form == formSSE:
		w.out.write([]byte("event: problem\ndata: "), record, "\n\n")
	case w.form == formText:
		w.out.write([]byte("# "+printable(p.Detail)), nil, "\n")
	case w.form == formNDJSON || p.Status != http.StatusServiceUnavailable:
		w.out.write(nil, record, "\n")
	}
}
