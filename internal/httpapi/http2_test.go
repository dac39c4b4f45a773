package httpapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// h2c returns what speaks HTTP/2 without TLS over connections that dial makes.
func h2c(dial func(context.Context, string, string) (net.Conn, error)) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{Protocols: protocols, DialContext: dial}
}

// A client that takes nothing of a whole connection is cut off with HTTP/2, too, where the
// deadlines of streams alone would wait for a frame that is never sent.
func TestAConnectionOfHTTP2ThatTakesNothingIsCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		log := memlog.New(10, 1<<30)
		released := make(chan struct{})
		stop := run(t, &Server{Listener: listener, VCenters: only(log), WatchMaxAge: 24 * time.Hour,
			Admit: func(*http.Request, func()) (func(), bool) { return func() { close(released) }, true }})
		var stuck *stuckConn
		transport := h2c(func(ctx context.Context, network, address string) (net.Conn, error) {
			c, err := listener.dial(ctx, network, address)
			stuck = &stuckConn{Conn: c, over: make(chan struct{})}
			return stuck, err
		})
		res, err := (&http.Client{Transport: transport}).Get("http://server/api/v1/events?watch=true")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * time.Hour) // the bubble's
		select {
		case <-released:
			t.Error("an idle client was cut off")
		default:
		}
		stuck.stick()
		for o := range vstream.Offset(10) {
			appendTo(t, log, o)
			time.Sleep(writeTimeout / 5)
		}
		time.Sleep(writeTimeout)
		select {
		case <-released:
		default:
			t.Error("the stuck client still has its watch")
		}
		stuck.Close()
		res.Body.Close()
		transport.CloseIdleConnections()
		stop()
	})
}

// A stuckConn can be made to read no more.
type stuckConn struct {
	net.Conn
	mu    sync.Mutex
	stuck bool
	over  chan struct{}
}

func (c *stuckConn) stick() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck = true
}

func (c *stuckConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.mu.Lock()
	stuck := c.stuck
	c.mu.Unlock()
	if stuck {
		<-c.over
		return 0, io.EOF
	}
	return n, err
}

func (c *stuckConn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.over:
	default:
		close(c.over)
	}
	return c.Conn.Close()
}

// A stop ends watches of all forms and pages that wait, over HTTP/1.1 and HTTP/2, properly.
func TestAStopEndsWhateverWaitsProperly(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log, second := memlog.New(1000, 1<<30), memlog.New(1000, 1<<30)
	appendTo(t, log, 1)
	var requests atomic.Int64
	vcenters := vcentersOf(log, second)
	began := time.Now()
	vcenters[0].Status = func() vstream.Status { return vstream.Status{State: vstream.Collecting, Since: began} }
	stop := run(t, &Server{Listener: listener, VCenters: vcenters, WatchMaxAge: time.Hour,
		Guard: func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				next.ServeHTTP(w, r)
			})
		}})
	defer stop()
	two := h2c(nil)
	defer two.CloseIdleConnections()
	one := &http.Transport{}
	defer one.CloseIdleConnections()
	var all sync.WaitGroup
	broken := make(chan error, 2000)
	n := 0
	for range 100 {
		for _, query := range []string{"watch=1", "format=sse", "watch=1&format=ndjson&bookmarks=1", "watch=1&format=text", "wait=60&offset=now", "wait=60&cursor=vc1.1"} {
			for _, transport := range []*http.Transport{one, two} {
				n++
				all.Go(func() {
					res, err := (&http.Client{Transport: transport}).Get("http://" + listener.Addr().String() + "/api/v1/events?" + query)
					if err == nil {
						_, err = io.ReadAll(res.Body)
						res.Body.Close()
					}
					if err != nil {
						broken <- fmt.Errorf("%s: %w", query, err)
					}
				})
			}
		}
	}
	n++
	all.Go(func() { // it waits for the log to be filled
		res, err := (&http.Client{Transport: one}).Get("http://" + listener.Addr().String() + "/api/v1/events?cursor=vc1.9")
		if err != nil {
			broken <- err
			return
		}
		defer res.Body.Close()
		if res.StatusCode != http.StatusServiceUnavailable {
			broken <- fmt.Errorf("a page that waits for its log: %s", res.Status)
		}
	})
	for requests.Load() < int64(n) {
		time.Sleep(time.Millisecond)
	}
	stop()
	all.Wait()
	close(broken)
	for err := range broken {
		t.Error(err)
	}
}

// One stream that nobody reads is cut off, and the others of its connection go on.
func TestAStreamOfHTTP2ThatNobodyReadsIsCutOffAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := newPipes()
		log := memlog.New(1000, 1<<30)
		var watches atomic.Int64
		stop := run(t, &Server{Listener: listener, VCenters: only(log), WatchMaxAge: 24 * time.Hour,
			Admit: func(*http.Request, func()) (func(), bool) {
				watches.Add(1)
				return func() { watches.Add(-1) }, true
			}})
		transport := h2c(listener.dial)
		client := &http.Client{Transport: transport}
		idle := openWatch(t, client, "http://server/api/v1/events?watch=true&offset=1000")
		unread := openWatch(t, client, "http://server/api/v1/events?watch=true&offset=0")
		for o := range vstream.Offset(20) {
			e := event("vc1", o, "T")
			e.JSON = append(e.JSON, make([]byte, 500_000)...)
			_ = log.Append(t.Context(), []vstream.Event{e})
		}
		time.Sleep(2 * writeTimeout)
		if n := watches.Load(); n != 1 {
			t.Errorf("there are %d watches", n)
		}
		_ = log.Append(t.Context(), []vstream.Event{event("vc1", 1000, "T")})
		if !idle.lines.Scan() {
			t.Errorf("the other watch ended: %v", idle.lines.Err())
		}
		idle.res.Body.Close()
		unread.res.Body.Close()
		transport.CloseIdleConnections()
		stop()
	})
}
