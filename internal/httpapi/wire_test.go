package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// watchServer is a server that knows how many watches there are.
type watchServer struct {
	listener *countedPipes
	log      *memlog.Log
	watches  atomic.Int64
	logged   bytes.Buffer // read when it has stopped
}

// startWatchServer runs one over pipes until stop is called.
func startWatchServer(t *testing.T, wrap func(vstream.Log) vstream.Log) (s *watchServer, stop func()) {
	s = &watchServer{listener: &countedPipes{pipes: newPipes()}, log: memlog.New(1000, 1<<30)}
	var log vstream.Log = s.log
	if wrap != nil {
		log = wrap(log)
	}
	return s, run(t, &Server{Listener: s.listener, VCenters: only(log), WatchMaxAge: time.Hour, Logger: slog.New(slog.NewTextHandler(&s.logged, nil)),
		Admit: func(*http.Request, func()) (func(), bool) {
			s.watches.Add(1)
			return func() { s.watches.Add(-1) }, true
		}})
}

// ask sends a text, and returns the connection and what is read from it.
func (s *watchServer) ask(t *testing.T, text string) (net.Conn, *bufio.Reader) {
	t.Helper()
	c, err := s.listener.dial(t.Context(), "", "")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.WriteString(c, text) }()
	return c, bufio.NewReader(c)
}

// countedPipes counts the writes of the server.
type countedPipes struct {
	*pipes
	writes atomic.Int64
}

func (p *countedPipes) Accept() (net.Conn, error) {
	c, err := p.pipes.Accept()
	return &countedPipe{c, p}, err
}

type countedPipe struct {
	net.Conn
	listener *countedPipes
}

func (c *countedPipe) Write(b []byte) (int, error) {
	c.listener.writes.Add(1)
	return c.Conn.Write(b)
}

func TestAWatchEndsWithALastChunkAndItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := startWatchServer(t, nil)
		_, r := s.ask(t, "GET /api/v1/events?watch=true&limit=2 HTTP/1.1\r\nHost: server\r\n\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !res.Close || len(res.TransferEncoding) != 1 || res.Header.Get("Date") == "" {
			t.Errorf("the answer is %+v", res)
		}
		appendTo(t, s.log, 1, 2, 3)
		text, err := io.ReadAll(res.Body)
		if want := string(event("s", 1, "t").JSON) + "\n" + string(event("s", 2, "t").JSON) + "\n"; string(text) != want || err != nil {
			t.Errorf("got %s, %v", text, err)
		}
		if _, err := r.ReadByte(); err != io.EOF {
			t.Errorf("after the end came %v", err)
		}
		synctest.Wait()
		if n := s.watches.Load(); n != 0 {
			t.Errorf("%d watches go on", n)
		}
		stop()
	})
}

// Who speaks HTTP/1.0 knows no chunks.
func TestAClientWithoutChunksGetsTheSameLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := startWatchServer(t, nil)
		appendTo(t, s.log, 1)
		_, r := s.ask(t, "GET /api/v1/events?watch=true&offset=1&limit=1 HTTP/1.0\r\n\r\n")
		text, err := io.ReadAll(r)
		if _, body, _ := strings.Cut(string(text), "\r\n\r\n"); body != string(event("s", 1, "t").JSON)+"\n" || err != nil {
			t.Errorf("got %s, %v", text, err)
		}
		stop()
	})
}

func TestWhatIsThereAtOnceIsSentAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := startWatchServer(t, nil)
		_, r := s.ask(t, "GET /api/v1/events?watch=true HTTP/1.1\r\nHost: server\r\n\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		lines := bufio.NewReader(res.Body)
		for _, offsets := range [][]vstream.Offset{{1}, {2, 3, 4, 5, 6}} {
			before := s.listener.writes.Load()
			var events []vstream.Event
			for _, o := range offsets {
				events = append(events, event("s", o, "t"))
			}
			if err := s.log.Append(t.Context(), events); err != nil {
				t.Fatal(err)
			}
			for _, o := range offsets {
				if line, err := lines.ReadString('\n'); line != string(event("s", o, "t").JSON)+"\n" {
					t.Errorf("event %d is %s, %v", o, line, err)
				}
			}
			if n := s.listener.writes.Load() - before; n != 1 {
				t.Errorf("%d events took %d writes", len(offsets), n)
			}
		}
		stop()
	})
}

// An event may be larger than what is sent at once.
func TestALargeEventArrivesWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := startWatchServer(t, nil)
		_, r := s.ask(t, "GET /api/v1/events?format=sse&offset=earliest HTTP/1.1\r\nHost: server\r\n\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		blocks := bufio.NewReader(res.Body)
		for !strings.HasPrefix(readLine(t, blocks), "data: ") { // the bookmark
		}
		readLine(t, blocks)
		for i, size := range []int{1, bufferSize - 40, bufferSize - 1, bufferSize, bufferSize + 1, 512 << 10} {
			e := vstream.Event{Offset: vstream.Offset(i + 1), JSON: bytes.Repeat([]byte("x"), size)}
			if err := s.log.Append(t.Context(), []vstream.Event{e}); err != nil {
				t.Fatal(err)
			}
			if text := readLine(t, blocks) + readLine(t, blocks) + readLine(t, blocks); text != fmt.Sprintf("id: vc1.%d\ndata: %s\n\n", e.Offset, e.JSON) {
				t.Errorf("an event of %d bytes came as %.40q, %d bytes", size, text, len(text))
			}
		}
		stop()
	})
}

func readLine(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestAClientThatGoesWhileNothingHappensIsMissed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := startWatchServer(t, nil)
		c, r := s.ask(t, "GET /api/v1/events?watch=true HTTP/1.1\r\nHost: server\r\n\r\n")
		if _, err := http.ReadResponse(r, nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		if n := s.watches.Load(); n != 1 {
			t.Errorf("there are %d watches", n)
		}
		c.Close()
		synctest.Wait()
		if n := s.watches.Load(); n != 0 {
			t.Errorf("%d watches go on", n)
		}
		stop()
	})
}

// halves are pipes that can be closed for writing, though a client does not notice.
type halves struct{ *pipes }

type half struct{ net.Conn }

func (h halves) Accept() (net.Conn, error) {
	c, err := h.pipes.Accept()
	return half{c}, err
}

func (half) CloseWrite() error { return nil }

// A connection that is closed with something unread in it may take with it what is still on
// its way to the client.
func TestAConnectionThatIsOverIsLeftToTheClientForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		listener := halves{newPipes()}
		log := memlog.New(10, 1<<30)
		appendTo(t, log, 1)
		stop := run(t, &Server{Listener: listener, VCenters: only(log), WatchMaxAge: time.Hour})
		c, err := listener.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(c, "GET /api/v1/events?watch=true&offset=1&limit=1 HTTP/1.1\r\nHost: server\r\n\r\n")
		r := bufio.NewReader(c)
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(res.Body); err != nil {
			t.Error(err)
		}
		began := time.Now()
		if _, err := r.ReadByte(); err != io.EOF || time.Since(began) != farewell {
			t.Errorf("after %v came %v", time.Since(began), err)
		}
		stop()
	})
}

// What a client says after its request is about nothing.
func TestAClientThatSaysMoreGetsItsWatch(t *testing.T) {
	const watch = "GET /api/v1/events?watch=true&limit=1 HTTP/1.1\r\nHost: server\r\n\r\n"
	for name, pause := range map[string]time.Duration{"at once": 0, "later": time.Minute} {
		t.Run(name, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			log := memlog.New(10, 1<<30)
			t.Cleanup(run(t, &Server{Listener: listener, VCenters: only(log), WatchMaxAge: time.Hour}))
			c, err := net.Dial("tcp", listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			more := "GET / HTTP/1.1\r\nHost: server\r\n\r\n"
			if pause == 0 {
				fmt.Fprint(c, watch+more)
			} else {
				fmt.Fprint(c, watch)
			}
			r := bufio.NewReader(c)
			res, err := http.ReadResponse(r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if pause > 0 {
				fmt.Fprint(c, more)
			}
			appendTo(t, log, 1)
			text, err := io.ReadAll(res.Body)
			if string(text) != string(event("s", 1, "t").JSON)+"\n" || err != nil {
				t.Errorf("got %s, %v", text, err)
			}
			if _, err := r.ReadByte(); err != io.EOF { // and no reset, which could take the end with it
				t.Errorf("after the end came %v", err)
			}
		})
	}
}

// brokenLog panics when an event is read.
type brokenLog struct{ vstream.Log }

type brokenReader struct{ vstream.Reader }

func (l brokenLog) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	r, err := l.Log.Open(ctx, p)
	return brokenReader{r}, err
}

func (r brokenReader) Next(ctx context.Context) ([]vstream.Event, error) {
	events, err := r.Reader.Next(ctx)
	if len(events) > 0 {
		panic("broken")
	}
	return events, err
}

func TestAMistakeEndsOneWatchOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := startWatchServer(t, func(log vstream.Log) vstream.Log { return brokenLog{log} })
		_, r := s.ask(t, "GET /api/v1/events?watch=true HTTP/1.1\r\nHost: server\r\n\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		appendTo(t, s.log, 1)
		if text, err := io.ReadAll(res.Body); err == nil { // no proper end
			t.Errorf("got %s", text)
		}
		c, r := s.ask(t, "GET /healthz HTTP/1.1\r\nHost: server\r\n\r\n")
		if res, err := http.ReadResponse(r, nil); err != nil || res.StatusCode != http.StatusOK {
			t.Errorf("then the server answers %v, %v", res, err)
		}
		c.Close()
		stop()
		if n := s.watches.Load(); n != 0 || !strings.Contains(s.logged.String(), "broken") {
			t.Errorf("%d watches go on, and the log says %s", n, &s.logged)
		}
	})
}

// A deadline that is set anew for few of many writes still cuts off who takes nothing, soon
// after the time there is for it.
func TestAClientThatStopsTakingIsCutOffInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, stop := startWatchServer(t, nil)
		c, r := s.ask(t, "GET /api/v1/events?watch=true HTTP/1.1\r\nHost: server\r\n\r\n")
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(res.Body)
		for o := vstream.Offset(1); o <= 100; o++ { // a second apart
			appendTo(t, s.log, o)
			readLine(t, lines)
			time.Sleep(time.Second)
		}
		appendTo(t, s.log, 101)
		time.Sleep(writeTimeout - time.Millisecond)
		if n := s.watches.Load(); n != 1 {
			t.Error("it is cut off too early")
		}
		time.Sleep(limitSlack + time.Second)
		if n := s.watches.Load(); n != 0 {
			t.Error("it is not cut off")
		}
		c.Close()
		stop()
	})
}

// slowLog takes a second to read a batch.
type slowLog struct{ vstream.Log }

type slowReader struct{ vstream.Reader }

func (l slowLog) Open(ctx context.Context, p vstream.Position) (vstream.Reader, error) {
	r, err := l.Log.Open(ctx, p)
	return slowReader{r}, err
}

func (r slowReader) Next(ctx context.Context) ([]vstream.Event, error) {
	events, err := r.Reader.Next(ctx)
	if len(events) > 0 {
		time.Sleep(time.Second)
	}
	return events, err
}

// The time that a client has to take what is sent does not run while what nobody wants is
// passed over, and what was wanted is not kept that long.
func TestALongSearchCutsNobodyOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const wanted, unwanted = 400, 256 * int(2*writeTimeout/time.Second) // more than is sent at once, and longer than that may take
		log := memlog.New(1<<20, 1<<30)
		var events []vstream.Event
		for i := range wanted + unwanted + 1 {
			kind := "other"
			if i < wanted || i == wanted+unwanted {
				kind = "wanted"
			}
			events = append(events, event("s", vstream.Offset(i+1), kind))
		}
		if err := log.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		listener := newPipes()
		stop := run(t, &Server{Listener: listener, VCenters: only(slowLog{log}), WatchMaxAge: time.Hour})
		c, err := listener.dial(t.Context(), "", "")
		if err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		fmt.Fprintf(c, "GET /api/v1/events?watch=true&offset=1&limit=%d&type=wanted HTTP/1.1\r\nHost: server\r\n\r\n", wanted+1)
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(res.Body)
		for range wanted {
			readLine(t, lines)
		}
		if passed := time.Since(began); passed > writeTimeout {
			t.Errorf("what is wanted came after %v", passed)
		}
		if text, err := io.ReadAll(lines); err != nil || string(text) != string(events[len(events)-1].JSON)+"\n" {
			t.Errorf("then came %q, %v", text, err)
		}
		c.Close()
		stop()
	})
}
