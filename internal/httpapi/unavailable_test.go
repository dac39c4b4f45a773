package httpapi

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"vstream"
	"vstream/internal/memlog"
)

// closedLog is a log that is not open, or one that can no longer be read.
type closedLog struct {
	vstream.Log
	closed atomic.Bool
	err    error // of a closed log; nil is errClosed
}

func (l *closedLog) reason() error {
	if l.err != nil {
		return l.err
	}
	return errClosed
}

var errClosed = &vstream.UnavailableError{Err: errors.New("no secret of ours")}

func (l *closedLog) Get(ctx context.Context, o vstream.Offset) (vstream.Event, error) {
	if l.closed.Load() {
		return vstream.Event{}, l.reason()
	}
	return l.Log.Get(ctx, o)
}

func (l *closedLog) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	if l.closed.Load() {
		return nil, l.reason()
	}
	r, err := l.Log.Open(ctx, p)
	return closedReader{r, l}, err
}

type closedReader struct {
	vstream.Reader
	log *closedLog
}

func (r closedReader) Next(ctx context.Context) ([]vstream.Event, error) {
	if r.log.closed.Load() {
		return nil, r.log.reason()
	}
	return r.Reader.Next(ctx)
}

func TestALogThatIsNotOpenIsNoEmptyLog(t *testing.T) {
	log := &closedLog{Log: memlog.New(10, 1<<30)}
	log.closed.Store(true)
	base := serveAll(t, only(log))
	for _, path := range []string{"/range", "/events", "/events/44", "/events?watch=true", "/events?offset=earliest"} {
		res := get(t, base+"/api/v1"+path)
		text := body(t, res)
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || !strings.Contains(text, "log-unavailable") || strings.Contains(text, "secret") {
			t.Errorf("%s answers %s %v %s", path, res.Status, res.Header, text)
		}
	}
}

// Who comes again is told why: a record in mid-stream is for what a reader has missed.
func TestAWatchWhoseLogCannotBeReadAnyMoreEnds(t *testing.T) {
	log := &closedLog{Log: memlog.New(10, 1<<30)}
	appendTo(t, log.Log.(*memlog.Log), 44)
	base := serveAll(t, only(log))
	res := get(t, base+"/api/v1/events?watch=true&offset=44")
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	if !lines.Scan() || !strings.Contains(lines.Text(), `"id":"44"`) {
		t.Fatalf("the first line is %s", lines.Text())
	}
	log.closed.Store(true)
	appendTo(t, log.Log.(*memlog.Log), 45)
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("it goes on with %s, %v", lines.Text(), lines.Err())
	}
}

func TestWhatTheLogHoldsIsInTheHeadersOfWhatIsReadFromIt(t *testing.T) {
	log := memlog.New(10, 1<<30)
	appendTo(t, log, 44, 45, 46)
	base := serveAll(t, only(log))
	for _, path := range []string{"/range", "/events", "/events/45"} {
		res := get(t, base+"/api/v1"+path)
		body(t, res)
		if res.Header.Get("Stream-Earliest") != "44" || res.Header.Get("Stream-Latest") != "46" {
			t.Errorf("%s has the headers %v", path, res.Header)
		}
	}
}

func TestALogThatDoesNotHealIsNotToBeTriedAgainInAMoment(t *testing.T) {
	log := &closedLog{Log: memlog.New(10, 1<<30), err: &vstream.UnavailableError{Err: &vstream.DamageError{Err: errors.New("no secret of ours")}}}
	log.closed.Store(true)
	res := get(t, serveAll(t, only(log))+"/api/v1/range")
	if text := body(t, res); res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(text, "does not heal by itself") || strings.Contains(text, "secret") {
		t.Errorf("%s %s", res.Status, text)
	}
}
