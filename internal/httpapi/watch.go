package httpapi

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
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
)

var (
	errStopping = errors.New("the server is stopping")
	errMaxAge   = errors.New("the watch reached its age limit")
)

// watch streams the events of reader, one a line, until the client goes, the watch
// reaches its age or the server stops. The last two end with a proper final chunk.
func (s *Server) watch(stopping context.Context, w http.ResponseWriter, r *http.Request, reader vstream.Reader) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store, no-transform") // an intermediary that waits for the end would wait long
	h.Set("X-Accel-Buffering", "no")                 // nginx
	h.Set("X-Content-Type-Options", "nosniff")
	out := &stream{w: w, control: http.NewResponseController(w)}
	out.flush() // headers at once: the client learns that it is connected before anything happens
	if r.Method == http.MethodHead {
		return
	}

	ctx, cancel := context.WithTimeoutCause(r.Context(), s.watchAge(), errMaxAge)
	defer cancel()
	ctx, end := context.WithCancelCause(ctx)
	defer context.AfterFunc(stopping, func() { end(errStopping) })()
	defer end(nil)

	began := time.Now()
	err := follow(ctx, reader, out)
	var expired *vstream.ExpiredError
	if errors.As(err, &expired) {
		out.line(controlRecord(r.URL.Path, "vstream.problem.v1", problemOf(err, r).document()))
		out.flush()
	}
	s.Logger.Debug("watch ended", "remote", r.RemoteAddr, "events", out.lines, "bytes", out.bytes,
		"lasted", time.Since(began), "reason", err)
}

// follow copies events from reader to out, and flushes whenever it has caught up: a
// burst costs few packets, and a lone event does not wait. It returns why it ended.
func follow(ctx context.Context, reader vstream.Reader, out *stream) error {
	for {
		events, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		for i := range events {
			out.line(events[i].JSON)
		}
		if len(events) == 0 {
			out.flush()
			if err := reader.Wait(ctx); err != nil {
				return err
			}
		}
		if out.err != nil {
			return out.err
		}
		if ctx.Err() != nil { // behind, so never waiting: still to be stopped
			return context.Cause(ctx)
		}
	}
}

// watchAge ends each watch at its own moment, so that after a restart the clients do not
// come back all at once for ever.
func (s *Server) watchAge() time.Duration {
	return time.Duration(float64(s.WatchMaxAge) * (0.8 + 0.2*mathrand.Float64()))
}

// stream writes lines to a client that may take them slowly or not at all. The first
// error ends it; what follows does nothing.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	armed   bool // a write deadline runs
	quantum int  // bytes written since it was set
	lines   int
	bytes   int64
	err     error
}

func (s *stream) line(text []byte) {
	if s.err != nil {
		return
	}
	s.arm()
	if _, s.err = s.w.Write(text); s.err == nil {
		_, s.err = s.w.Write([]byte{'\n'})
	}
	s.lines++
	s.bytes += int64(len(text)) + 1
	s.quantum += len(text) + 1
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

// controlRecord is what a stream says about itself: a CloudEvent like all its lines, of
// the event class control, so that every line parses as one schema.
func controlRecord(source, kind string, data []byte) []byte {
	record, err := json.Marshal(struct {
		SpecVersion     string          `json:"specversion"`
		ID              string          `json:"id"`
		Source          string          `json:"source"`
		Type            string          `json:"type"`
		DataContentType string          `json:"datacontenttype"`
		Time            time.Time       `json:"time"`
		Data            json.RawMessage `json:"data"`
		EventClass      string          `json:"eventclass"`
	}{"1.0", rand.Text(), source, kind, "application/json", time.Now().UTC(), data, "control"})
	if err != nil {
		panic(err) // only what was just made
	}
	return record
}
