package vcenter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/vmware/govmomi/vim25/soap"
)

// maxAnswer is the longest answer that is read. A page of 1000 events takes about 1 MB;
// decoded, an answer takes several times its length in memory.
const maxAnswer = 64 << 20

// A cutter cuts elements out of the answer to a call, before govmomi decodes it: one that
// govmomi cannot decode would cost the whole answer, and some make it panic.
type cutter interface {
	// room returns what to read the answer into, as far as that suffices.
	room() []byte
	// cut takes what it wants, and returns what is left.
	cut(answer []byte) (rest []byte)
}

// excerpt is a cutter of the elements of one name.
type excerpt struct {
	name     string
	elements [][]byte
}

func (x *excerpt) room() []byte { return nil }

func (x *excerpt) cut(answer []byte) (rest []byte) {
	x.elements, rest = cutOut(answer, x.name)
	return rest
}

type cutterKey struct{}

// cutting returns a context for a call whose answer is to be cut.
func cutting(ctx context.Context, c cutter) context.Context {
	return context.WithValue(ctx, cutterKey{}, c)
}

// transport limits how much of an answer is read, and lets it be cut.
type transport struct{ base http.RoundTripper }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	res.Body = &limitedBody{res.Body, maxAnswer}
	// Proxies and half-started vCenters answer with a page for people, and status 200.
	if kind := res.Header.Get("Content-Type"); res.StatusCode == http.StatusOK && !strings.Contains(kind, "xml") {
		_ = res.Body.Close()
		return nil, fmt.Errorf("the answer is %q and not XML; is this the address of a vCenter, and is it up?", kind)
	}
	c, ok := req.Context().Value(cutterKey{}).(cutter)
	if !ok || res.StatusCode != http.StatusOK {
		return res, nil
	}
	answer, err := readAll(res, c.room())
	if closeErr := res.Body.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	rest := c.cut(answer)
	res.Body = io.NopCloser(bytes.NewReader(rest))
	res.ContentLength = int64(len(rest))
	return res, nil
}

// readAll reads the body of an answer into room, or where that is too small into more.
func readAll(res *http.Response, room []byte) ([]byte, error) {
	b := bytes.NewBuffer(room[:0])
	if n := res.ContentLength; n > 0 && n <= maxAnswer {
		b.Grow(int(n) + bytes.MinRead) // which it wants to have free until it has seen the end
	}
	_, err := b.ReadFrom(res.Body)
	return b.Bytes(), err
}

// CloseIdleConnections is what http.Client looks for.
func (t transport) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

var errTooLong = errors.New("the answer is too long")

// limitedBody is a body that fails when it turns out longer than left.
type limitedBody struct {
	io.ReadCloser
	left int64
}

func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: more than %d MiB", errTooLong, maxAnswer>>20)
	}
	n, err := b.ReadCloser.Read(p[:min(int64(len(p)), b.left)])
	b.left -= int64(n)
	return n, err
}

// isFault reports whether the vCenter itself answered, with a fault, so that the
// connection is fine.
func isFault(err error) bool {
	for ; err != nil; err = errors.Unwrap(err) { // soap looks at the outermost error only
		if soap.IsSoapFault(err) || soap.IsVimFault(err) {
			return true
		}
	}
	return false
}

// guard turns a panic into an error: govmomi takes for granted that an answer holds what
// was asked for, and what comes over the wire may be anything.
func guard(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("the answer cannot be understood: %v", r)
	}
}
