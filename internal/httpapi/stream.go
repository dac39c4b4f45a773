package httpapi

import (
	"net/http"
	"sync"
	"time"
)

const (
	// writeTimeout is how long a client may take over each writeQuantum bytes. It counts
	// while there is something to be sent: a limit on the whole response would cut long
	// watches, and so does http.Server.WriteTimeout.
	writeTimeout = 30 * time.Second
	writeQuantum = 64 << 10
)

// stream writes to a client that may take it slowly or not at all. The first error ends
// it; what follows does nothing.
type stream struct {
	client  client
	pending *buffer // what is written and not sent; nil while that is nothing
	unsent  bool    // there is something to flush
	armed   bool    // a limit on the time of writing runs
	quantum int     // bytes sent since it was set
	bytes   int64
	spoken  bool // something was written since this was reset
	err     error
}

// A client is where a stream goes.
type client interface {
	// send takes what is in the buffer, and empties it.
	send(*buffer) error
	// flush sees to it that what was sent is under way.
	flush() error
	// limit gives the client writeTimeout from now to take what is sent, and unlimit as long
	// as it likes.
	limit()
	unlimit()
}

// A buffer holds a part of a stream until it is sent, with room around it for what a chunk
// begins and ends with. It is borrowed: who waits, or has nothing to send, holds none.
type buffer struct {
	n    int // bytes of text in use
	data [beforeChunk + bufferSize + afterChunk]byte
}

// bufferSize is how much is sent at once. More makes bursts cheaper, and each client dearer
// that takes nothing.
const bufferSize = 16 << 10

func (b *buffer) text() []byte { return b.data[beforeChunk : beforeChunk+b.n] }

var buffers = sync.Pool{New: func() any { return new(buffer) }}

// write writes a text in three parts.
func (s *stream) write(begin, middle []byte, end string) {
	add(s, begin)
	add(s, middle)
	add(s, end)
	s.spoken = true
}

// add writes a part of a text. What is sent before it is flushed is a full buffer.
func add[T []byte | string](s *stream, part T) {
	for len(part) > 0 && s.err == nil {
		if s.pending == nil {
			s.pending = buffers.Get().(*buffer)
			s.unsent = true
		}
		b := s.pending
		n := copy(b.data[beforeChunk+b.n:beforeChunk+bufferSize], part)
		b.n += n
		part = part[n:]
		if b.n == bufferSize {
			s.send()
		}
	}
}

// send sends what is pending.
func (s *stream) send() {
	if s.pending == nil {
		return
	}
	n := s.pending.n
	if s.err == nil {
		s.arm()
		s.err = s.client.send(s.pending)
	}
	s.pending.n = 0
	buffers.Put(s.pending)
	s.pending = nil
	s.bytes += int64(n)
	s.quantum += n
}

// flush sends what was written, and lets the client be idle for as long as there is nothing.
func (s *stream) flush() {
	if !s.unsent {
		return
	}
	s.send()
	if s.err != nil {
		return
	}
	s.arm()
	s.err = s.client.flush()
	s.client.unlimit()
	s.unsent, s.armed = false, false
}

func (s *stream) arm() {
	if !s.armed || s.quantum >= writeQuantum {
		s.client.limit()
		s.armed, s.quantum = true, 0
	}
}

// A response is a client by way of net/http.
type response struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (r *response) send(b *buffer) error {
	_, err := r.w.Write(b.text())
	return err
}

func (r *response) flush() error { return r.control.Flush() }
func (r *response) limit()       { limitWrite(r.control) }

// unlimit clears the limit: a stream of HTTP/2 is reset by one that runs out while idle.
func (r *response) unlimit() { _ = r.control.SetWriteDeadline(time.Time{}) }

// limitWrite gives the client writeTimeout from now to take what is written. Where the
// connection knows no deadlines, as in some tests, there is none.
func limitWrite(c *http.ResponseController) { _ = c.SetWriteDeadline(time.Now().Add(writeTimeout)) }
