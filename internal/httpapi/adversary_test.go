//go:build unix

package httpapi

import (
	"fmt"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// TestSlowAndSilentClientsDoNotDelayTheOthers holds a thousand connections open that do
// what no good client does, while a hundred good ones watch.
func TestSlowAndSilentClientsDoNotDelayTheOthers(t *testing.T) {
	const goodOnes = 100
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur < 3000 {
		t.Skipf("only %d files may be open, %v; this test wants 3000 (ulimit -n)", files.Cur, err)
	}
	listener := newCountingListener(t)
	log := memlog.New(100_000, 1<<30)
	t.Cleanup(run(t, &Server{Listener: listener, VCenters: vcentersOf(log), WatchMaxAge: time.Hour}))
	m := &meter{t: t, log: log}
	m.watch("http://"+listener.Addr().String(), goodOnes)
	m.measure() // once for all that is done only once

	for attempt := 1; ; attempt++ {
		alone := m.measure()
		goroutines, memory := runtime.NumGoroutine(), memoryInUse()
		a := attack(t, listener)
		listener.awaitAtMost(t, goodOnes+len(a.conns)-a.leaving)
		among := m.measure()
		grown := memoryInUse() - memory
		t.Logf("alone %v; among %d others %v, who take %d KB each", alone, len(a.conns), among, grown>>10/int64(len(a.conns)))
		if most := int64(len(a.conns)+a.streams) * 64 << 10; grown > most {
			t.Errorf("%d connections with %d streams take %d bytes of memory, more than %d", len(a.conns), a.streams, grown, most)
		}
		quick := among.median <= 5*alone.median+50*time.Millisecond && among.p99 <= 5*alone.p99+300*time.Millisecond
		if quick {
			// Those that have not asked for anything by then are cut off.
			listener.awaitAtMost(t, goodOnes+len(a.conns)-a.leaving-a.mute)
		}
		a.end()
		listener.awaitAtMost(t, goodOnes)
		awaitGoroutines(t, goroutines+20)
		if quick {
			break
		}
		if attempt == 3 {
			t.Fatal("the good ones wait for the others")
		}
	}
	m.check()
}

// memoryInUse returns how many bytes the heap and the stacks take, without garbage.
func memoryInUse() int64 {
	runtime.GC()
	runtime.GC() // what pools still hold goes with the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

func awaitGoroutines(t *testing.T, most int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); runtime.NumGoroutine() > most; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines go on, want at most %d", runtime.NumGoroutine(), most)
		}
	}
}

// countingListener knows how many of its connections are open. They buffer little, so that
// who does not read is soon noticed.
type countingListener struct {
	net.Listener
	accepted, open atomic.Int64 // connections
	done           atomic.Int64 // reads and writes
}

func newCountingListener(t *testing.T) *countingListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &countingListener{Listener: l}
}

func (l *countingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	if err := c.(*net.TCPConn).SetWriteBuffer(16 << 10); err != nil {
		return nil, err
	}
	l.accepted.Add(1)
	l.open.Add(1)
	return &countedConn{Conn: c, listener: l, closed: sync.OnceFunc(func() { l.open.Add(-1) })}, nil
}

// awaitAccepted waits until there have been n connections.
func (l *countingListener) awaitAccepted(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); l.accepted.Load() < int64(n); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections have come, want %d", l.accepted.Load(), n)
		}
	}
}

// awaitAtMost waits until no more than n connections are open.
func (l *countingListener) awaitAtMost(t *testing.T, n int) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); l.open.Load() > int64(n); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections stay open, want at most %d", l.open.Load(), n)
		}
	}
}

// awaitRest waits until nothing is read or written any more: what a thousand connections
// cost when they come is another matter than what they cost when they are there.
func (l *countingListener) awaitRest(t *testing.T) {
	t.Helper()
	for deadline, before := time.Now().Add(time.Minute), int64(-1); ; time.Sleep(200 * time.Millisecond) {
		done := l.done.Load()
		if done == before {
			return
		}
		if before = done; time.Now().After(deadline) {
			t.Fatal("the connections do not come to rest")
		}
	}
}

type countedConn struct {
	net.Conn
	listener *countingListener
	closed   func()
}

func (c *countedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.listener.done.Add(1)
	return n, err
}

func (c *countedConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	c.listener.done.Add(1)
	return n, err
}

func (c *countedConn) Close() error {
	c.closed()
	return c.Conn.Close()
}

// meter measures how long after their Append has returned events are with those who watch.
type meter struct {
	t        *testing.T
	log      vstream.Log
	watchers []*goodWatcher
	appended []time.Time // when that of event 1, 2 and so on had returned
}

// latency is of many events to many watchers.
type latency struct{ median, p99 time.Duration }

func (l latency) String() string { return fmt.Sprintf("median %v, p99 %v", l.median, l.p99) }

// goodWatcher reads all that comes.
type goodWatcher struct {
	even bool // it wants only every other event
	mu   sync.Mutex
	seen []receipt // under mu
}

type receipt struct {
	offset int
	at     time.Time
}

func (w *goodWatcher) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.seen)
}

// watch begins n watches of all forms.
func (m *meter) watch(base string, n int) {
	m.t.Helper()
	// Each has a connection of its own: HTTP/1.1 has one for each watch.
	transport := &http.Transport{MaxIdleConnsPerHost: -1}
	m.t.Cleanup(transport.CloseIdleConnections)
	for i := range n {
		w := &goodWatcher{even: i%4 == 3}
		query := "?watch=true&format=" + []string{"json", "ndjson", "sse"}[i%3]
		if w.even {
			query += "&type=VmPoweredOffEvent"
		}
		r := openWatch(m.t, &http.Client{Transport: transport}, base+"/api/v1/events"+query)
		var done sync.WaitGroup
		done.Go(func() {
			for r.lines.Scan() {
				now := time.Now()
				text, _ := strings.CutPrefix(r.lines.Text(), "data: ")
				text, found := strings.CutPrefix(text, `{"specversion":"1.0","id":"`)
				id, _, _ := strings.Cut(text, `"`)
				offset, err := strconv.Atoi(id)
				if !found || err != nil { // a bookmark, or no data
					continue
				}
				w.mu.Lock()
				w.seen = append(w.seen, receipt{offset, now})
				w.mu.Unlock()
			}
		})
		m.t.Cleanup(func() { r.res.Body.Close(); done.Wait() })
		m.watchers = append(m.watchers, w)
	}
}

// measure appends a hundred events and returns how long they took to the watchers.
func (m *meter) measure() latency {
	m.t.Helper()
	const events = 100
	begin := len(m.appended)
	for range events {
		o := vstream.Offset(len(m.appended) + 1)
		e := event("vc1", o, []string{"VmPoweredOffEvent", "VmPoweredOnEvent"}[o%2])
		e.JSON = fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"vc1","type":"%s","data":"%s"}`, o, e.Type, strings.Repeat("x", 1000))
		if err := m.log.Append(m.t.Context(), []vstream.Event{e}); err != nil {
			m.t.Fatal(err)
		}
		m.appended = append(m.appended, time.Now())
		time.Sleep(15 * time.Millisecond) // what is measured is not how fast many go through
	}
	var all []time.Duration
	for i, w := range m.watchers {
		want := len(m.appended)
		if w.even {
			want /= 2
		}
		for deadline := time.Now().Add(time.Minute); w.count() < want; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				m.t.Fatalf("watcher %d has got %d of %d events", i, w.count(), want)
			}
		}
		w.mu.Lock()
		for _, s := range w.seen {
			if s.offset > begin && s.offset <= len(m.appended) {
				all = append(all, max(0, s.at.Sub(m.appended[s.offset-1])))
			}
		}
		w.mu.Unlock()
	}
	slices.Sort(all)
	return latency{all[len(all)/2], all[len(all)*99/100]}
}

// check checks that each watcher has got each event once, in order.
func (m *meter) check() {
	m.t.Helper()
	for i, w := range m.watchers {
		w.mu.Lock()
		step := 1
		if w.even {
			step = 2
		}
		if len(w.seen) != len(m.appended)/step {
			m.t.Errorf("watcher %d has got %d events", i, len(w.seen))
		}
		for j, s := range w.seen {
			if s.offset != (j+1)*step {
				m.t.Errorf("watcher %d: event %d is %d", i, j, s.offset)
				break
			}
		}
		w.mu.Unlock()
	}
}

// adversaries are connections to a server that do what no good client does.
type adversaries struct {
	conns   []*net.TCPConn
	mute    int // of them never ask for anything
	leaving int // of them say that they have nothing more to say, and are let go
	streams int // there are in them, beside the first of each
	stop    chan struct{}
	all     sync.WaitGroup
}

// attack opens a thousand connections, and checks what those take that only are there.
func attack(t *testing.T, listener *countingListener) *adversaries {
	t.Helper()
	const watch = "GET /api/v1/events?watch=true&offset=earliest HTTP/1.1\r\nHost: server\r\n\r\n"
	const streams = 25
	a := &adversaries{stop: make(chan struct{})}
	accepted, memory := int(listener.accepted.Load()), memoryInUse()
	open := func(n int, text string) []*net.TCPConn {
		for range n {
			c, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			tcp := c.(*net.TCPConn)
			a.conns = append(a.conns, tcp)
			if err := tcp.SetReadBuffer(4 << 10); err != nil {
				t.Fatal(err)
			}
			if _, err := tcp.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		return a.conns[len(a.conns)-n:]
	}
	open(200, "")
	open(150, "GET /api/v1/ev")
	dripping := open(150, "GET /api/v1/events HTTP/1.1\r\nHost: server\r\nX-Long: ")
	a.mute = len(a.conns)
	listener.awaitAccepted(t, accepted+a.mute)
	if each := (memoryInUse() - memory) / int64(a.mute); each > 48<<10 {
		t.Errorf("each connection that has not asked for anything takes %d bytes of memory", each)
	} else {
		t.Logf("each connection that has not asked for anything takes %d KB", each>>10)
	}
	open(200, watch)
	sipping := open(150, watch)
	for _, c := range open(60, strings.Replace(watch, "earliest", "now", 1)) {
		if err := c.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		a.leaving++
	}
	open(40, http2Streams(streams))
	a.streams = 40 * (streams - 1)
	open(50, http2Pings(5000))
	listener.awaitAccepted(t, accepted+len(a.conns))
	listener.awaitRest(t)

	a.all.Go(func() { // a byte of a header every other second
		for a.sleep(2 * time.Second) {
			for _, c := range dripping {
				_, _ = c.Write([]byte("x")) // until it is cut off
			}
		}
	})
	a.all.Go(func() { // a byte of an event every second
		for a.sleep(time.Second) {
			for _, c := range sipping {
				_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
				_, _ = c.Read(make([]byte, 1))
			}
		}
	})
	return a
}

// sleep is false when it is time to end.
func (a *adversaries) sleep(d time.Duration) bool {
	select {
	case <-a.stop:
		return false
	case <-time.After(d):
		return true
	}
}

func (a *adversaries) end() {
	close(a.stop)
	for _, c := range a.conns {
		_ = c.Close()
	}
	a.all.Wait()
}
