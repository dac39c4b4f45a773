package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A latencies counts durations in buckets less than two per cent wide, from any number of
// goroutines.
type latencies struct {
	buckets [64 * 64]atomic.Int64
	most    atomic.Int64
}

// add counts a duration.
func (l *latencies) add(d time.Duration) {
	l.buckets[bucketOf(d)].Add(1)
	for {
		most := l.most.Load()
		if int64(d) <= most || l.most.CompareAndSwap(most, int64(d)) {
			return
		}
	}
}

// bucketOf returns the bucket of a duration: its highest bit, and the six after it.
func bucketOf(d time.Duration) int {
	n := uint64(max(d, 64))
	high := bits.Len64(n) - 1
	return (high-6)<<6 | int(n>>(high-6)&63)
}

// quantile returns a duration that so many of all are not above, or up to two per cent more.
func (l *latencies) quantile(part float64) time.Duration {
	total := int64(0)
	for i := range l.buckets {
		total += l.buckets[i].Load()
	}
	left := int64(part*float64(total)) + 1
	for i := range l.buckets {
		if left -= l.buckets[i].Load(); left <= 0 {
			return min(time.Duration(uint64(64+i&63+1)<<(i>>6))-1, time.Duration(l.most.Load()))
		}
	}
	return time.Duration(l.most.Load())
}

// A watched is what watchers have seen.
type watched struct {
	Deliveries    int64
	Missing       int64 // deliveries that had not come when patience ended
	Disordered    int64 // events that were not the next
	P50, P99, Max time.Duration
}

// crowd is many watchers in one process, each a connection and a goroutine that reads it.
type crowd struct {
	next       int // event that a watcher sees first
	delivered  atomic.Int64
	disordered atomic.Int64
	late       atomic.Pointer[latencies]
	conns      []net.Conn
}

// A watchersOrder says with which number the events begin.
type watchersOrder struct{ First int }

// watchersChild watches a server over many connections.
func watchersChild(ctx context.Context, c *child) error {
	var o watchersOrder
	if err := errors.Join(c.settings(&o), permitFiles()); err != nil {
		return err
	}
	if err := c.say("ready"); err != nil {
		return err
	}
	all := crowd{next: o.First}
	all.late.Store(new(latencies))
	for m := range c.commands {
		switch m.Do {
		case "connect":
			if err := all.connect(ctx, m.URL, m.Number); err != nil {
				return err
			}
			if err := c.say(len(all.conns)); err != nil {
				return err
			}
		case "await":
			if err := c.say(all.await(int64(m.Number)*int64(len(all.conns)), m.Time)); err != nil {
				return err
			}
		case "usage":
			if err := c.say(used(false)); err != nil {
				return err
			}
		default:
			return fmt.Errorf("there is no command %q", m.Do)
		}
	}
	for _, conn := range all.conns {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // leave no connections behind that the next measurement would find
		}
		_ = conn.Close()
	}
	return nil
}

// connect opens so many connections, and returns when the server has answered on all.
func (a *crowd) connect(ctx context.Context, address string, n int) error {
	u, err := url.Parse(address)
	if err != nil {
		return err
	}
	request := "GET " + u.RequestURI() + " HTTP/1.1\r\nHost: " + u.Host + "\r\n\r\n"
	var group sync.WaitGroup
	const atOnce = 32
	conns, errs := make([]net.Conn, n), make([]error, n)
	for worker := range atOnce {
		group.Go(func() {
			for i := worker; i < n; i += atOnce {
				conns[i], errs[i] = a.watch(ctx, u.Host, request)
			}
		})
	}
	group.Wait()
	for _, conn := range conns {
		if conn != nil {
			a.conns = append(a.conns, conn)
		}
	}
	return errors.Join(errs...)
}

// watch opens a connection, and reads from it until it ends.
func (a *crowd) watch(ctx context.Context, host, request string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, request); err != nil {
		return conn, err
	}
	in := bufio.NewReaderSize(conn, 4<<10)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return conn, err
	}
	if res.StatusCode != http.StatusOK {
		return conn, errors.Join(fmt.Errorf("watch: %s", res.Status), res.Body.Close())
	}
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return conn, err
	}
	early, err := in.Peek(in.Buffered())
	if err != nil {
		return conn, err
	}
	go a.read(raw, early)
	return conn, nil
}

// read reads a body in chunks, of which some came early with the headers, with one system
// call each time that something has come: what watchers cost, the server cannot have.
func (a *crowd) read(conn syscall.RawConn, early []byte) {
	buffer, held, next, body := make([]byte, 4<<10), 0, a.next, chunks{}
	got := func(n int) {
		now := time.Now()
		text := buffer[:held+len(body.text(buffer[held:held+n]))]
		rest := stamps(text, func(number int, sent time.Time) {
			a.saw(number, &next, sent, now)
		})
		held = copy(buffer, rest)
	}
	got(copy(buffer, early))
	_ = conn.Read(func(fd uintptr) (done bool) {
		for {
			room := buffer[held:]
			n, err := syscall.Read(int(fd), room)
			if n > 0 {
				got(n)
			}
			switch {
			case errors.Is(err, syscall.EAGAIN), err == nil && 0 < n && n < len(room):
				return false // until there is more
			case n <= 0 && !errors.Is(err, syscall.EINTR):
				return true
			}
		}
	})
}

// chunks reads a body in HTTP/1.1's chunked coding.
type chunks struct {
	left   int // bytes of the chunk still to come
	size   int // of the next one, as far as it has been read
	digits bool
}

// text returns what of b is text, in its place.
func (c *chunks) text(b []byte) []byte {
	text := b[:0]
	for len(b) > 0 {
		if n := min(c.left, len(b)); n > 0 {
			text, b = append(text, b[:n]...), b[n:]
			c.left -= n
			continue
		}
		switch d := b[0]; {
		case '0' <= d && d <= '9':
			c.size, c.digits = c.size<<4|int(d-'0'), true
		case 'a' <= d|0x20 && d|0x20 <= 'f':
			c.size, c.digits = c.size<<4|int(d|0x20-'a'+10), true
		case d == '\n' && c.digits:
			*c = chunks{left: c.size}
		}
		b = b[1:]
	}
	return text
}

// saw takes note of an event that a watcher has got, and for which it was the next one or not.
func (a *crowd) saw(number int, next *int, sent, now time.Time) {
	if number != *next {
		a.disordered.Add(1)
	}
	*next = number + 1
	a.late.Load().add(now.Sub(sent))
	a.delivered.Add(1)
}

// await waits until so many events were delivered since it was last called, or its patience
// ends, and tells how it went.
func (a *crowd) await(deliveries int64, patience time.Duration) watched {
	for deadline := time.Now().Add(patience); a.delivered.Load() < deliveries && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	late := a.late.Swap(new(latencies))
	w := watched{
		Deliveries: a.delivered.Load(), Disordered: a.disordered.Load(),
		P50: late.quantile(0.5), P99: late.quantile(0.99), Max: time.Duration(late.most.Load()),
	}
	w.Missing = deliveries - w.Deliveries
	a.delivered.Store(0)
	return w
}
