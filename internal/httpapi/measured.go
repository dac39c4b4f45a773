package httpapi

import (
	"context"
	"log/slog"
	"net/http"
	"time"
)

// An Answer is how a request was answered.
type Answer struct {
	Route  string // the pattern of its path; empty where no resource was asked, or the guard refused
	Method string
	Status int           // 0 where the client went before there was one
	Took   time.Duration // until all of it was written; of a watch, until it began; without waiting for events
}

// A Span is a part of the work on a request, for those who follow what the program does. It
// is ended once, with what is known then.
type Span = func(...slog.Attr)

// A measured is a response under way.
type measured struct {
	http.ResponseWriter
	route  string
	status int
	began  time.Time
	told   bool // it has been measured
	tell   func(Answer)
	method string
	span   Span        // nil where nobody wants it, or the watch has it
	notes  []slog.Attr // for the span
}

// observed measures what next answers, where somebody wants to know.
func (s *Server) observed(next http.Handler) http.Handler {
	if s.Answered == nil && s.Trace == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m := &measured{ResponseWriter: w, began: time.Now(), tell: s.Answered, method: r.Method}
		if s.Trace != nil {
			var ctx context.Context
			ctx, m.span = s.Trace(r)
			r = r.WithContext(ctx)
		}
		whole := false
		defer func() {
			switch {
			case m.status > 0:
			case !whole: // it panics
				m.status = http.StatusInternalServerError
			case r.Context().Err() == nil:
				m.status = http.StatusOK
			}
			m.measure()
			if m.span != nil {
				m.span(append(m.notes, slog.String("http.route", m.route), slog.Int("http.response.status_code", m.status))...)
			}
		}()
		next.ServeHTTP(m, r)
		whole = true
	})
}

// measuredOf returns the answer that w writes; nil where nobody wants to know of it.
func measuredOf(w http.ResponseWriter) *measured {
	m, _ := w.(*measured)
	return m
}

// Unwrap is for [http.ResponseController].
func (m *measured) Unwrap() http.ResponseWriter { return m.ResponseWriter }

// WriteHeader takes note of the status.
func (m *measured) WriteHeader(status int) {
	if m.status == 0 && status >= http.StatusOK {
		m.status = status
	}
	m.ResponseWriter.WriteHeader(status)
}

func (m *measured) Write(b []byte) (int, error) {
	if m.status == 0 {
		m.status = http.StatusOK
	}
	return m.ResponseWriter.Write(b)
}

// measure tells how long it took, once.
func (m *measured) measure() {
	if m.told || m.tell == nil {
		return
	}
	m.told = true
	m.tell(Answer{Route: m.route, Method: m.method, Status: m.status, Took: time.Since(m.began)})
}

// found takes note of what was asked for.
func (m *measured) found(route string) {
	if m != nil {
		m.route = route
	}
}

// waited takes note that some of the time has gone by until there was something to answer.
func (m *measured) waited(d time.Duration) {
	if m != nil {
		m.began = m.began.Add(d)
	}
}

// note takes note of something for the span.
func (m *measured) note(attributes ...slog.Attr) {
	if m != nil && m.span != nil {
		m.notes = append(m.notes, attributes...)
	}
}

// streams takes note that the answer has begun and goes on as a watch, which gets the span.
func (m *measured) streams() Span {
	if m == nil {
		return nil
	}
	m.status = http.StatusOK
	m.measure()
	span := m.span
	m.span = nil
	if span == nil {
		return nil
	}
	notes := append(m.notes, slog.String("http.route", m.route), slog.Int("http.response.status_code", http.StatusOK))
	return func(attributes ...slog.Attr) { span(append(notes, attributes...)...) } // nothing of the request is kept
}
