package httpapi

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"
)

// A wire is a connection that was taken from net/http after the headers of a watch: a client
// of HTTP/1.1 without TLS, which gets a body in chunks until the connection is closed.
//
// Net/http keeps some 20 KiB for each response under way: buffers, and a stack that parsing a
// request has made large. A wire needs two small stacks, and borrows a buffer to write.
type wire struct {
	net.Conn
	deaf   bool      // the client has said more already: it is not listened to
	failed bool      // a write has failed
	until  time.Time // when the deadline for writes is
}

// A chunk begins with its size in four hexadecimal digits at most, and ends as its size does.
const (
	beforeChunk = len("4000\r\n")
	afterChunk  = len("\r\n")
	lastChunk   = "0\r\n\r\n"
)

// send implements client: with one write, and so mostly in one segment.
func (c *wire) send(b *buffer) error {
	const digits = "0123456789abcdef"
	end := beforeChunk + b.n
	copy(b.data[end:], "\r\n")
	begin := beforeChunk - 2
	copy(b.data[begin:], "\r\n")
	for n := b.n; n > 0; n >>= 4 {
		begin--
		b.data[begin] = digits[n&15]
	}
	_, err := c.Write(b.data[begin : end+afterChunk])
	c.failed = err != nil
	return err
}

func (c *wire) flush() error { return nil }

// limitSlack is how much longer than writeTimeout a client may have, so that the deadline is
// not set for each event.
const limitSlack = 5 * time.Second

func (c *wire) limit() {
	if now := time.Now(); c.until.Sub(now) < writeTimeout {
		c.until = now.Add(writeTimeout + limitSlack)
		_ = c.SetWriteDeadline(c.until)
	}
}

// unlimit leaves the deadline as it is: it ends no connection on which nothing is written, and
// is set anew before that.
func (c *wire) unlimit() {}

// listen calls gone when the client closes the connection, or its half of it. Of a client that
// says something, it expects no more.
func (c *wire) listen(gone func()) {
	if c.deaf {
		return
	}
	var b [1]byte
	if n, _ := c.Read(b[:]); n == 0 {
		gone()
	}
}

// farewell is how long a client has to close a connection that is over, before that is closed
// for it: closed with something unread in it, it loses what was sent last.
const farewell = 500 * time.Millisecond

// end ends the body, if it is whole, and closes the connection.
func (c *wire) end() {
	defer c.Close()
	if c.failed {
		return
	}
	c.limit()
	if _, err := io.WriteString(c, lastChunk); err != nil {
		return
	}
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
		_ = c.SetReadDeadline(time.Now().Add(farewell))
		_, _ = io.Copy(io.Discard, c.Conn)
	}
}

// wires are the connections that were taken. Its zero value is ready for use.
type wires struct {
	mu   sync.Mutex
	open map[*wire]struct{} // under mu
	over bool               // under mu; no more are taken
}

// takeable reports whether a watch may have its connection for itself.
func takeable(w http.ResponseWriter, r *http.Request) bool {
	if a := measuredOf(w); a != nil {
		w = a.ResponseWriter
	}
	_, hijacker := w.(http.Hijacker)
	return hijacker && r.TLS == nil && r.ProtoMajor == 1 && r.ProtoAtLeast(1, 1) && r.Method == http.MethodGet
}

// take takes the connection of a response whose headers are under way; nil where it cannot.
func (a *wires) take(w http.ResponseWriter) *wire {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil
	}
	c := &wire{Conn: conn, deaf: buffered.Reader.Buffered() > 0}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over {
		_ = conn.Close()
	}
	if a.open == nil {
		a.open = map[*wire]struct{}{}
	}
	a.open[c] = struct{}{}
	return c
}

// serve lets follow write to a wire, and calls gone when the client is. It returns when the
// connection is closed.
func (a *wires) serve(c *wire, gone context.CancelFunc, logger *slog.Logger, follow func()) {
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.open, c)
	}()
	defer gone()
	defer func() { // one watch must not end all, as net/http has it
		if p := recover(); p != nil {
			logger.Error("a watch ended by a mistake of the program", "panic", p, "stack", string(debug.Stack()))
			_ = c.Close()
		}
	}()
	go c.listen(gone)
	follow()
	c.end()
}

// wait waits until all connections are closed. Those that are open when ctx is done, it
// closes.
func (a *wires) wait(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !a.closed(ctx.Err() != nil) {
		<-tick.C
	}
}

// closed reports whether all connections are closed, and closes them if by force.
func (a *wires) closed(force bool) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if force {
		for c := range a.open {
			_ = c.Close()
		}
	}
	a.over = force || len(a.open) == 0
	return len(a.open) == 0
}
