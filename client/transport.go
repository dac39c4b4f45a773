package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

// silence is for how long an answer may bring nothing, or the next part of it, beyond what
// was agreed.
const silence = 15 * time.Second

// requestSilence is silence for requests that may make the server look through its log, or
// wait for it to be filled, before it says anything.
const requestSilence = silence + 15*time.Second

var (
	errSilent  = errors.New("it has not said anything for too long")
	errTooLong = errors.New("an answer is longer than permitted")
)

// An answer is what a server says to a request. It is read by one goroutine and closed.
type answer struct {
	*http.Response
	ctx    context.Context
	cancel context.CancelCauseFunc
	limit  time.Duration // that it may be silent
	alarm  *time.Timer   // runs while it is waited for
}

// Read reads the body. Only time that is waited for the server counts as its silence, not
// what the caller does in between.
func (a *answer) Read(p []byte) (int, error) {
	a.alarm.Reset(a.limit)
	n, err := a.Body.Read(p)
	a.alarm.Stop()
	if err != nil && !errors.Is(err, io.EOF) {
		err = reason(a.ctx, err)
	}
	return n, err
}

// Close gives the connection back, or ends it when there is more to come.
func (a *answer) Close() {
	a.alarm.Stop()
	a.cancel(nil)
	_ = a.Body.Close()
}

// reason prefers why a request was ended to how that shows.
func reason(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// tokenSyntax is what RFC 6750 lets a token be.
var tokenSyntax = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

// send sends a request. An answer other than 200 or 204 is an error, see [errorOf].
func (c *Client) send(ctx context.Context, method string, u *url.URL, accept string, limit time.Duration) (*answer, error) {
	if err := c.checkName(); err != nil {
		return nil, err
	}
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	r, err := http.NewRequestWithContext(ctx, method, u.String(), nil)
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("make a request: %w", err)
	}
	r.Header.Set("Accept", accept)
	r.Header.Set("User-Agent", c.userAgent)
	if accept == mediaStream {
		r.Header.Set("Accept-Encoding", "identity") // what compresses a stream keeps it back
	}
	if c.token != nil {
		token, err := c.token(ctx)
		if err == nil && !tokenSyntax.MatchString(token) {
			err = errors.New("the token is empty, or holds characters that no token has; look at where it comes from")
		}
		if err != nil {
			cancel(nil)
			return nil, err
		}
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a := &answer{ctx: ctx, cancel: cancel, limit: limit}
	a.alarm = time.AfterFunc(limit, func() { cancel(errSilent) })
	a.Response, err = c.http.Do(r) //nolint:bodyclose // Close does, of which callers take care
	a.alarm.Stop()
	if err != nil {
		err = c.failed(outer, reason(ctx, err))
		cancel(nil)
		return nil, err
	}
	if a.StatusCode == http.StatusOK || a.StatusCode == http.StatusNoContent {
		return a, nil
	}
	defer a.Close()
	text, err := readAll(a, maxProblem)
	if err != nil && !errors.Is(err, errTooLong) { // half a problem says too little
		return nil, c.failed(outer, err)
	}
	var document *problemDocument
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); err == nil && kind == mediaProblem {
		document = parseProblem(text)
	}
	return nil, c.errorOf(a.StatusCode, document, retryAfter(a.Header.Get("Retry-After")))
}

const (
	mediaStream  = "text/event-stream"
	mediaProblem = "application/problem+json"
)

// get returns the body of an answer, or nil if it has none (204).
func (c *Client) get(ctx context.Context, u *url.URL, accept string, most int) ([]byte, error) {
	a, err := c.send(ctx, http.MethodGet, u, accept, requestSilence)
	if err != nil {
		return nil, err
	}
	defer a.Close()
	if a.StatusCode == http.StatusNoContent {
		return nil, nil
	}
	if kind, _, _ := mime.ParseMediaType(a.Header.Get("Content-Type")); kind != accept {
		return nil, c.garbled("it answers with something else than events")
	}
	body, err := readAll(a, most)
	if err != nil {
		return nil, c.failed(ctx, err)
	}
	return body, nil
}

// readAll reads so many bytes at most; more is errTooLong.
func readAll(r io.Reader, most int) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, int64(most)+1))
	if err == nil && len(text) > most {
		err = errTooLong
	}
	return text, err
}

// failed says what it means that there was no answer, or no whole one. The end of ctx is
// returned as its cause.
func (c *Client) failed(ctx context.Context, err error) error {
	var (
		protocol    *ProtocolError
		certificate *tls.CertificateVerificationError
		alert       tls.AlertError
		record      tls.RecordHeaderError
	)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.As(err, &protocol):
		return protocol
	case errors.Is(err, errTooLong):
		return c.garbled(errTooLong.Error())
	case errors.As(err, &certificate), errors.As(err, &alert):
		return &TLSError{Server: c.base.Host, Err: unwrapURL(err)}
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return &ProtocolError{Server: c.base.Host, Reason: "it does not speak TLS; write its address with http://, or give the port for https"}
	}
	return &UnreachableError{Server: c.base.Host, Err: unwrapURL(err)}
}

// unwrapURL takes away what net/http puts before errors: the whole address.
func unwrapURL(err error) error {
	var of *url.Error
	if errors.As(err, &of) {
		return of.Err
	}
	return err
}

// maxRetryAfter bounds what a server can ask for.
const maxRetryAfter = 10 * time.Minute

// retryAfter reads the header Retry-After: seconds, or a date.
func retryAfter(text string) time.Duration {
	d := time.Duration(0)
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		d = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		d = time.Until(at)
	}
	return min(max(d, 0), maxRetryAfter)
}

// isLoopback reports whether a host is this machine.
func isLoopback(host string) bool {
	return host == "localhost" || net.ParseIP(host).IsLoopback()
}
