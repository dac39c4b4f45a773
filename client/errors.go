package client

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"vstream"
)

// A Problem is what a server says about an error (RFC 9457). Its texts are one line each,
// without control characters. Where something else than vstream has answered, as a proxy,
// there is only the Status.
type Problem struct {
	Status int
	Type   string // such as urn:vstream:problem:offset-expired
	Title  string
	Detail string
}

// or returns what the server says, or else what its status says.
func (p Problem) or(text string) string {
	if p.Detail != "" {
		return p.Detail
	}
	return text
}

// ExpiredError says that the server does not keep events any more that were asked for.
type ExpiredError struct {
	Problem
	VCenter          string         // whose events; may be empty where one vCenter is served
	Requested        vstream.Offset // what was wanted next
	Earliest, Latest vstream.Offset // what there is
	Missed           int64          // how many events are gone, at most
}

func (e *ExpiredError) Error() string {
	return e.or(fmt.Sprintf("invalid offset: %d is older than the log, which holds %d to %d", e.Requested, e.Earliest, e.Latest)) +
		"; begin at the oldest event to read what there is"
}

// As lets the error be taken for that of the log, too.
func (e *ExpiredError) As(target any) bool {
	of, ok := target.(**vstream.ExpiredError)
	if ok {
		*of = &vstream.ExpiredError{Requested: e.Requested, Earliest: e.Earliest, Latest: e.Latest}
	}
	return ok
}

// AheadError says that a cursor is of another log, or beyond the log, though that has all that
// the vCenter has: the log was lost or replaced, or the cursor is of another server.
type AheadError struct {
	Problem
	VCenter          string
	Requested        vstream.Offset // of the cursor
	Earliest, Latest vstream.Offset // what there is; 0 while that is nothing
}

func (e *AheadError) Error() string {
	return e.or("the cursor is not of this log") + "; look whether the server is the right one, then begin anew without the cursor"
}

// AmbiguousError says that several vCenters are served, and that what is asked for is
// something of one: ask the client that [Client.VCenter] returns.
type AmbiguousError struct {
	Problem
	VCenters []string // their names
}

func (e *AmbiguousError) Error() string {
	if len(e.VCenters) == 0 {
		return e.or("several vCenters are served") + "; name one"
	}
	return fmt.Sprintf("several vCenters are served, and each has offsets of its own; name one of %s", strings.Join(e.VCenters, ", "))
}

// UnauthenticatedError says that a token or a certificate is needed, or not valid any more.
type UnauthenticatedError struct{ Problem }

func (e *UnauthenticatedError) Error() string {
	return "not signed in: " + e.or("the server wants to know who asks") + "; give a valid token, or a client certificate"
}

// ForbiddenError says that whoever asks may not read this.
type ForbiddenError struct{ Problem }

func (e *ForbiddenError) Error() string {
	return "forbidden: " + e.or("the server does not permit it") + "; ask whoever runs the server"
}

// NotFoundError says that there is no event at exactly this offset, or not yet, or that there
// is no such vCenter, or nothing at all at this address.
type NotFoundError struct {
	Problem
	Requested vstream.Offset // 0 if it was not about an event
	Range     *vstream.Range // what there is; nil if it was not about an event, or there is none
}

func (e *NotFoundError) Error() string {
	switch {
	case e.Detail == "":
		return "nothing is served at this address; look whether it is that of a vstream server"
	case e.Range != nil && e.Requested > e.Range.Latest:
		return e.Detail + "; a Watch from this offset on waits for it"
	case e.Range != nil:
		return e.Detail + "; a List from this offset on begins with the next one"
	}
	return e.Detail
}

// BadRequestError says that the server does not understand what is asked for.
type BadRequestError struct {
	Problem
	Parameter string // at fault; may be empty
	// Issues are what is wrong in an expression, with [Filter].
	Issues []Issue
}

// An Issue is something wrong in an expression. Lines and columns count from 1.
type Issue struct {
	Line    int
	Column  int
	Message string
}

func (e *BadRequestError) Error() string {
	if e.Detail == "" {
		return "the request was refused; look whether the address is that of a vstream server, and whether it wants https"
	}
	return e.Detail
}

// TooManyError says that a limit of the server is reached.
type TooManyError struct {
	Problem
	RetryAfter time.Duration // when to come again; 0 if the server does not say
}

func (e *TooManyError) Error() string {
	return "too many requests: " + e.or("a limit of the server is reached") + retryHint(e.RetryAfter)
}

// UnavailableError says that a server, or a proxy before it, cannot answer now.
type UnavailableError struct {
	Problem
	RetryAfter time.Duration // when to come again; 0 if the server does not say
}

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the server cannot answer now (%d): %s", e.Status, e.or(strings.ToLower(http.StatusText(e.Status)))) + retryHint(e.RetryAfter)
}

func retryHint(after time.Duration) string {
	if after <= 0 {
		return "; try again later"
	}
	return fmt.Sprintf("; try again in %s", after.Round(time.Second))
}

// StatusError is an answer that the other errors do not describe.
type StatusError struct{ Problem }

func (e *StatusError) Error() string {
	return fmt.Sprintf("the server answers %d: %s; look whether the address is that of a vstream server", e.Status, e.or(strings.ToLower(http.StatusText(e.Status))))
}

// UnreachableError says that there is no connection to the server, or that it broke off.
type UnreachableError struct {
	Server string // host and port
	Err    error
}

func (e *UnreachableError) Error() string {
	if errors.Is(e.Err, io.EOF) || errors.Is(e.Err, io.ErrUnexpectedEOF) || errors.Is(e.Err, errSilent) {
		return fmt.Sprintf("the connection to the server %s broke off: %v; look whether it runs, and what is in between", e.Server, e.Err)
	}
	return fmt.Sprintf("the server %s cannot be reached: %v; look whether it runs, and whether the address is right", e.Server, e.Err)
}

// Unwrap returns how that showed.
func (e *UnreachableError) Unwrap() error { return e.Err }

// TLSError says that the certificate of the server is not to be trusted, or that the server
// does not accept ours.
type TLSError struct {
	Server string // host and port
	Err    error
}

func (e *TLSError) Error() string {
	var (
		unknown x509.UnknownAuthorityError
		name    x509.HostnameError
		invalid x509.CertificateInvalidError
		alert   tls.AlertError
	)
	what, advice := "the certificate cannot be verified", "look at the certificate of the server"
	switch {
	case errors.As(e.Err, &unknown):
		what, advice = "its certificate is signed by an authority that is not known here", "give the certificate of that authority as a CA file"
	case errors.As(e.Err, &name):
		what, advice = "its certificate is for another name", "use a name that is in the certificate"
	case errors.As(e.Err, &invalid) && invalid.Reason == x509.Expired:
		what, advice = "its certificate has expired, or is not valid yet", "have it renewed, and look at the clocks"
	case errors.As(e.Err, &alert):
		what, advice = "it has ended the handshake", "it may want a client certificate, or another one"
	}
	return fmt.Sprintf("no trust between %s and us: %s (%s); %s", e.Server, what, printable(e.Err.Error(), 300), advice)
}

// Unwrap returns how that showed.
func (e *TLSError) Unwrap() error { return e.Err }

// PendingError says that a List has no end yet: the log of a vCenter that cannot be reached
// has yet to get to the cursor, as after a restart of a server with its log in memory.
type PendingError struct {
	Server string // host and port
}

func (e *PendingError) Error() string {
	return fmt.Sprintf("the server %s has yet to read again what the cursor is behind; look at the state of its vCenters, and try again later", e.Server)
}

// ProtocolError says that what answers is no vstream server, or that something in between
// changes what it says.
type ProtocolError struct {
	Server string // host and port
	Reason string // with what to do
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("%s is not understood: %s", e.Server, e.Reason)
}

// maxProblem is how long a problem document is read.
const maxProblem = 64 << 10

// problemDocument is a problem as servers write it.
type problemDocument struct {
	Type, Title, Detail string
	Status              int
	Parameter           string
	Requested           vstream.Offset
	Earliest, Latest    *vstream.Offset
	Missed              int64
	Paths               []string
	VCenter             string
	Errors              []Issue
}

// parseProblem reads a problem document; nil if it is none.
func parseProblem(text []byte) *problemDocument {
	p := new(problemDocument)
	if err := json.Unmarshal(text, p); err != nil {
		return nil
	}
	return p
}

// errorOf is the table of what statuses mean: what the server writes, read backwards.
// Document is nil where there is none.
func (c *Client) errorOf(status int, document *problemDocument, after time.Duration) error {
	p := Problem{Status: status}
	if document == nil {
		document = new(problemDocument)
	}
	const long = 1000
	p.Type, p.Title, p.Detail = printable(document.Type, long), printable(document.Title, long), printable(document.Detail, long)
	var earliest, latest vstream.Offset
	some := document.Earliest != nil && document.Latest != nil
	if some {
		earliest, latest = *document.Earliest, *document.Latest
	}
	vcenter := printable(document.VCenter, 100)
	slug := strings.TrimPrefix(p.Type, "urn:vstream:problem:")
	switch {
	case status == http.StatusBadRequest:
		bad := &BadRequestError{Problem: p, Parameter: printable(document.Parameter, 100)}
		for _, issue := range document.Errors[:min(len(document.Errors), 100)] {
			bad.Issues = append(bad.Issues, Issue{issue.Line, issue.Column, printable(issue.Message, long)})
		}
		return bad
	case status == http.StatusUnauthorized:
		return &UnauthenticatedError{p}
	case status == http.StatusForbidden:
		return &ForbiddenError{p}
	case status == http.StatusNotFound:
		e := &NotFoundError{Problem: p, Requested: document.Requested}
		if some {
			e.Range = &vstream.Range{Earliest: earliest, Latest: latest}
		}
		return e
	case status == http.StatusGone && some:
		return &ExpiredError{p, vcenter, document.Requested, earliest, latest, document.Missed}
	case slug == "cursor-ahead":
		return &AheadError{p, vcenter, document.Requested, earliest, latest}
	case slug == "ambiguous-vcenter":
		e := &AmbiguousError{Problem: p}
		for _, path := range document.Paths {
			_, name, _ := strings.Cut(path, apiPath+"/vcenters/")
			if name, _, _ = strings.Cut(name, "/"); isName(name) {
				e.VCenters = append(e.VCenters, name)
			}
		}
		return e
	case status == http.StatusTooManyRequests:
		return &TooManyError{p, after}
	case status >= 500, status == http.StatusRequestTimeout, status == http.StatusTooEarly:
		return &UnavailableError{p, after}
	}
	return &StatusError{p}
}

// printable makes one line of a text of others, of at most so many bytes, that does nothing
// to a terminal.
func printable(s string, most int) string {
	cut := s
	if len(s) > most {
		cut = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return strings.Join(strings.FieldsFunc(cut, func(r rune) bool {
		return r <= ' ' || r >= 0x7f && r < 0xa0 || r == 0x2028 || r == 0x2029 || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
	}), " ")
}

// passes reports whether an error passes by itself, and when to come again.
func passes(err error) (after time.Duration, ok bool) {
	var (
		unreachable *UnreachableError
		tooMany     *TooManyError
		unavailable *UnavailableError
	)
	switch {
	case errors.As(err, &tooMany):
		return tooMany.RetryAfter, true
	case errors.As(err, &unavailable):
		return unavailable.RetryAfter, true
	}
	return 0, errors.As(err, &unreachable)
}
