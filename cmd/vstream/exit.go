package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"unicode"

	"vstream/client"
)

// Exit codes, as exitHelp describes them.
const (
	exitFailure     = 1
	exitUsage       = 2
	exitNothing     = 3
	exitDenied      = 4
	exitUnreachable = 5
	exitGap         = 6
	exitGone        = 7
	exitTimeout     = 124
	exitInterrupted = 130
)

// exitHelp is what help texts and documents say of exit codes.
const exitHelp = `  0    all is well; also when the reader of the output has had enough (| head)
  1    it failed
  2    the command line, or a filter, is not understood; or serve --check-config finds problems
  3    nothing matched, with --exit-status; 124 where --timeout was the end
  4    not signed in, or not permitted
  5    the server cannot be reached or trusted, or is another; a tail that has reached it once waits for it
  6    events were missed, with --fail-on-gap
  7    the offset or cursor is gone: the log does not reach back, or was replaced
  124  --timeout is over, whatever was printed until then
  130  interrupted`

var (
	// errInterrupted says that a start was broken off because somebody asked for it: an end as
	// good as any.
	errInterrupted = errors.New("interrupted")
	// errStopped says that a command was ended before it was through.
	errStopped = errors.New("interrupted")
	errTimeout = errors.New("--timeout is over")
	errNothing = errors.New("nothing matched")
)

// A usageError is the fault of the command line.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// A gapError says that events were missed, and that this was not to be.
type gapError struct{ client.Gap }

func (e *gapError) Error() string {
	return gapText(e.Gap) + "; what was written before is whole"
}

// A toldError is an error in the words of the command line, with what to do.
type toldError struct {
	error
	text string
}

func (e *toldError) Error() string { return e.text }
func (e *toldError) Unwrap() error { return e.error }

func gapText(g client.Gap) string {
	return fmt.Sprintf("gap: up to %d events of %s were missed, for the server keeps %d to %d only, and %d was next", g.Missed, g.VCenter, g.Earliest, g.Latest, g.Requested)
}

// exitCode returns what a command that ended with err ends the process with.
func exitCode(err error) int {
	switch {
	case err == nil, errors.Is(err, errInterrupted), isBrokenPipe(err):
		return 0
	case errors.Is(err, errStopped):
		return exitInterrupted
	case errors.Is(err, errTimeout):
		return exitTimeout
	case errors.Is(err, errNothing):
		return exitNothing
	case is[usageError](err), is[problems](err), is[*client.BadRequestError](err) && !isForeign(err):
		return exitUsage
	case is[*client.UnauthenticatedError](err), is[*client.ForbiddenError](err):
		return exitDenied
	case isForeign(err), is[*client.UnreachableError](err), is[*client.UnavailableError](err), is[*client.TLSError](err), is[*client.ProtocolError](err):
		return exitUnreachable
	case is[*gapError](err):
		return exitGap
	case is[*client.ExpiredError](err), is[*client.AheadError](err):
		return exitGone
	}
	return exitFailure
}

func is[E error](err error) bool {
	var of E
	return errors.As(err, &of)
}

// isForeign reports whether what has answered is no vstream server, or one at another path, or
// one that wants https: what is wrong is not what was asked for.
func isForeign(err error) bool {
	var (
		bad    *client.BadRequestError
		absent *client.NotFoundError
	)
	return errors.As(err, &bad) && bad.Detail == "" ||
		errors.As(err, &absent) && (absent.Detail == "" || absent.Title == "No such resource")
}

// isBrokenPipe reports whether the reader of our output has had enough.
func isBrokenPipe(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, brokenPipe)
}

// say writes what an error means, and what to do, in the words of the command line.
func say(w io.Writer, err error) {
	var (
		denied    *client.UnauthenticatedError
		bad       *expressionError
		refused   *client.BadRequestError
		ambiguous *client.AmbiguousError
		expired   *client.ExpiredError
		absent    *client.NotFoundError
		ahead     *client.AheadError
		place     *client.CheckpointError
		trust     *client.TLSError
	)
	text := err.Error()
	switch {
	case errors.Is(err, errStopped):
		return
	case is[*toldError](err):
	case is[*client.BadRequestError](err) && isForeign(err):
		text = "the server does not understand what it is asked; if it has TLS, write https:// before its address, else look whether it is a vstream server (--server, --context)"
	case isForeign(err):
		text = "the server serves nothing at this path; look whether it is a vstream server, and whether its address has to have a path (--server, --context)"
	case errors.As(err, &denied):
		text = "not signed in: " + denied.Detail + "; give a token with --token-file, or a certificate with --cert-file and --key-file"
	case errors.As(err, &bad) && len(bad.Issues) > 0:
		sayIssues(w, bad)
		return
	case errors.As(err, &refused) && refused.Parameter == "vcenter":
		text, _, _ = strings.Cut(text, "; ")
		text += "; those there are: vstream vcenters"
	case errors.As(err, &ambiguous):
		text += " with --vcenter"
	case errors.As(err, &expired):
		text = strings.TrimSuffix(text, "to read what there is") + fmt.Sprintf("with --offset %d, or --all", expired.Earliest)
	case errors.As(err, &absent) && absent.Range != nil && absent.Requested > absent.Range.Latest:
		text = fmt.Sprintf("%s; to wait for it: vstream tail --offset %d", absent.Detail, absent.Requested)
	case errors.As(err, &absent) && absent.Range != nil:
		text = fmt.Sprintf("%s; for the next one: vstream get --offset %d --max-events 1", absent.Detail, absent.Requested)
	case errors.As(err, &ahead):
		text += " (--cursor)"
	case errors.As(err, &refused) && refused.Parameter == "until":
		text, _, _ = strings.Cut(text, "; ")
		text += "; leave --until out, or say with --since where to begin"
	case errors.As(err, &place):
		// There it is any place, here it is what --cursor-file names.
		text = strings.Replace(text, "the checkpoint "+place.Path, "the cursor file "+place.Path, 1)
		text = strings.Replace(text, "no checkpoint;", "none;", 1)
	case is[*client.UnreachableError](err):
		text += " (--server, --context)"
	case errors.As(err, &trust):
		text = trustText(trust)
	}
	fmt.Fprintf(w, "vstream: %s\n", text)
}

// trustText says why a connection is not trusted, and which flag to mend it with.
func trustText(err *client.TLSError) string {
	var (
		unknown x509.UnknownAuthorityError
		alert   tls.AlertError
	)
	text := strings.TrimPrefix(err.Error(), "no trust between "+err.Server+" and us: ")
	switch {
	case errors.As(err, &unknown):
		return "the server " + err.Server + " is not trusted: " + text + " (--ca-file)"
	case errors.As(err, &alert):
		return "the server " + err.Server + " does not let us in: " + text + " (--cert-file, --key-file)"
	}
	return "the server " + err.Server + " is not trusted: " + text + " (--server, --context)"
}

// An expressionError is what a server says of an expression, beside the expression.
type expressionError struct {
	*client.BadRequestError
	expression string
}

func (e *expressionError) Unwrap() error { return e.BadRequestError }

// sayIssues writes what is wrong in an expression, and shows where.
func sayIssues(w io.Writer, bad *expressionError) {
	lines := strings.Split(bad.expression, "\n")
	for _, issue := range bad.Issues {
		fmt.Fprintf(w, "vstream: --filter: %d:%d: %s\n", issue.Line, issue.Column, issue.Message)
		if issue.Line < 1 || issue.Line > len(lines) {
			continue
		}
		runes := []rune(lines[issue.Line-1])
		for i, r := range runes { // as wide as before, and nothing to a terminal
			if !unicode.IsPrint(r) {
				runes[i] = ' '
			}
		}
		at := min(max(issue.Column-1, 0), len(runes))
		fmt.Fprintf(w, "  %s\n  %s^\n", string(runes), strings.Repeat(" ", at))
	}
}
