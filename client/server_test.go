package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vstream"
	"vstream/client"
	"vstream/internal/access"
	"vstream/internal/httpapi"
	"vstream/internal/index"
	"vstream/internal/memlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long something may take that a test waits for.
const patience = time.Minute

// A vcenter is one that a server serves, and all that was ever appended to its log.
type vcenter struct {
	name  string
	log   *memlog.Log
	told  []string // JSON
	state vstream.State
}

func newVCenter(name string, records int) *vcenter {
	return &vcenter{name: name, log: memlog.New(records, 1<<30), state: vstream.Collecting}
}

func (v *vcenter) source() string { return "https://" + v.name + ".example.com/sdk" }

// event is an event as servers keep them. Every tenth is an error, and no two vCenters have
// events of the same time.
func (v *vcenter) event(o vstream.Offset) vstream.Event {
	e := vstream.Event{Offset: o, Time: time.Unix(1_700_000_000+int64(o), int64(v.name[2]-'1')*1e8).UTC(), Type: "VmPoweredOnEvent", Class: "event", Severity: "info",
		User: "root", VM: fmt.Sprintf("web%d", o%3), Message: "something happened", Chain: int32(o)}
	if o%10 == 0 {
		e.Severity, e.Type, e.Class = "error", "esx.problem.x", "eventex"
	}
	e.JSON = fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":%q,"type":"vmware.vsphere.%s.v0","datacontenttype":"application/json","time":%q,`+
		`"data":{"Key":%d,"ChainId":%d,"UserName":"root","Host":null,"Vm":{"Name":%q},"Dvs":{"Name":"dvs"},"FullFormattedMessage":"something happened","EventTypeId":%q},"eventclass":%q,"severity":%q}`,
		o, v.source(), e.Type, e.Time.Format(time.RFC3339Nano), o, o, e.VM, strings.TrimPrefix(e.Type, "VmPoweredOnEvent"), e.Class, e.Severity)
	return e
}

// add appends events at the offsets from first to last.
func (v *vcenter) add(first, last vstream.Offset) {
	var events []vstream.Event
	for o := first; o <= last; o++ {
		e := v.event(o)
		events = append(events, e)
		v.told = append(v.told, string(e.JSON))
	}
	if err := v.log.Append(context.Background(), events); err != nil {
		panic(err)
	}
}

func (v *vcenter) served() httpapi.VCenter {
	indexed := &index.Index{Log: v.log, MaxRows: 1 << 20, Logger: slog.New(slog.DiscardHandler)}
	return httpapi.VCenter{
		Name: v.name, Log: v.log, Index: indexed,
		Status: func() vstream.Status {
			return vstream.Status{Name: v.name, URL: v.source(), State: v.state, Since: time.Now().Add(-time.Hour),
				LastEvent: time.Unix(1_700_000_000, 0), Lag: 1500 * time.Millisecond, Rate: 2.5, KeyHeadroom: 7,
				LastError: "it was away", LastErrorAt: time.Unix(1_600_000_000, 0),
				Audit: &vstream.Audit{At: time.Unix(1_600_000_000, 0), Events: 3}}
		},
		Types: func() []vstream.EventType {
			return []vstream.EventType{{Name: "VmPoweredOnEvent", Class: "event", Description: "VM powered on"}}
		},
	}
}

// A server is the real one, wired as cmd/vstream does.
type server struct {
	t        testing.TB
	listener net.Listener
	address  string
	vcenters []*vcenter
	access   access.Config
	maxAge   time.Duration
	admit    func(*http.Request, func()) (func(), bool)
	stop     func() // properly
}

// serve runs a server of vCenters until the test ends.
func serve(t *testing.T, vcenters ...*vcenter) *server {
	t.Helper()
	s := &server{t: t, vcenters: vcenters}
	s.start()
	return s
}

func (s *server) start() {
	s.t.Helper()
	if s.listener == nil {
		address := s.address
		if address == "" {
			address = "127.0.0.1:0"
		}
		var err error
		if s.listener, err = net.Listen("tcp", address); err != nil {
			s.t.Fatal(err)
		}
	}
	s.address = s.listener.Addr().String()
	logger := slog.New(slog.DiscardHandler)
	s.access.Logger = logger
	guard, err := access.New(s.access)
	if err != nil {
		s.t.Fatal(err)
	}
	if s.maxAge == 0 {
		s.maxAge = time.Hour
	}
	api := &httpapi.Server{Listener: guard.Listener(s.listener), WatchMaxAge: s.maxAge, Admit: s.admit, Logger: logger}
	api.Guard = func(next http.Handler) http.Handler { return guard.Handler(next, api.Deny) }
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, v := range s.vcenters {
		served := v.served()
		running.Go(func() { _ = served.Index.Run(ctx) })
		api.VCenters = append(api.VCenters, served)
	}
	running.Go(func() {
		if err := api.Run(ctx); err != nil {
			s.t.Errorf("Run: %v", err)
		}
	})
	s.listener = nil
	s.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	s.t.Cleanup(s.stop)
}

func (s *server) url() string { return "http://" + s.address }

// newClient returns a client with short pauses.
func newClient(t *testing.T, url string, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(url, append([]client.Option{client.WithRetry(client.Retry{Min: time.Millisecond, Max: 20 * time.Millisecond})}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// limited is the test's context, with an end.
func limited(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// collect returns the JSON of n events, or of all for 0.
func collect(t *testing.T, events iter.Seq2[client.Event, error], n int) []string {
	t.Helper()
	var all []string
	for e, err := range events {
		if err != nil {
			t.Fatalf("after %d events: %v", len(all), err)
		}
		if all = append(all, string(e.JSON)); len(all) == n {
			return all
		}
	}
	if n > 0 {
		t.Fatalf("got %d events, want %d", len(all), n)
	}
	return all
}

// failure returns the error that a read ends with.
func failure(t *testing.T, events iter.Seq2[client.Event, error]) error {
	t.Helper()
	var last error
	for _, err := range events {
		last = err
	}
	if last == nil {
		t.Fatal("it ended without an error")
	}
	return last
}

// same checks that just these events came, in this order.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if slices.Equal(got, want) {
		return
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	show := func(all []string) []string {
		var ids []string
		for _, text := range all[min(at, len(all)):min(at+3, len(all))] {
			ids = append(ids, text[:min(60, len(text))])
		}
		return ids
	}
	t.Errorf("%s: got %d events, want %d; they differ from number %d on:\ngot  %q\nwant %q", what, len(got), len(want), at+1, show(got), show(want))
}

// A proxy is between a client and a server, and does them harm.
type proxy struct {
	listener net.Listener
	to       string
	cut      func() int // after how many bytes of answers a connection is cut off; 0 is never

	mu    sync.Mutex
	conns map[net.Conn]bool // under mu
	count int               // under mu; of connections there were
	all   sync.WaitGroup
}

func between(t *testing.T, to string, cut func() int) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{listener: l, to: to, cut: cut, conns: map[net.Conn]bool{}}
	p.all.Go(p.run)
	t.Cleanup(func() {
		l.Close()
		p.cutAll()
		p.all.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }
func (p *proxy) url() string     { return "http://" + p.address() }

func (p *proxy) run() {
	for {
		in, err := p.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.to)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns[in], p.conns[out] = true, true
		p.count++
		p.mu.Unlock()
		end := func() {
			in.Close()
			out.Close()
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.conns, in)
			delete(p.conns, out)
		}
		p.all.Go(func() {
			defer end()
			_, _ = io.Copy(out, in)
		})
		p.all.Go(func() {
			defer end()
			if most := p.cut(); most > 0 {
				_, _ = io.CopyN(in, out, int64(most))
				return
			}
			_, _ = io.Copy(in, out)
		})
	}
}

// cutAll cuts all connections off.
func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func never() int { return 0 }

// randomly cuts in the middle of something, more often early than late.
func randomly(seed uint64, most int) func() int {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 0))
	return func() int {
		mu.Lock()
		defer mu.Unlock()
		return 1 + int(float64(most)*r.Float64()*r.Float64())
	}
}

// pipes is a listener whose connections live in memory, so that a bubble's clock rules
// their deadlines.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	wrap   func(net.Conn) net.Conn // of the client's end; nil does not
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }
func (p *pipes) dial(context.Context, string, string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		if p.wrap != nil {
			near = p.wrap(near)
		}
		return near, nil
	case <-p.closed:
		return nil, errors.New("nobody listens")
	}
}

// inBubble returns a server over pipes, with watches of this age, and a client of it with the
// pauses that it has by itself.
func inBubble(t *testing.T, maxAge time.Duration, vcenters ...*vcenter) (*server, *client.Client, *pipes) {
	t.Helper()
	listener := newPipes()
	s := &server{t: t, listener: listener, vcenters: vcenters, maxAge: maxAge}
	s.start()
	transport := &http.Transport{DialContext: listener.dial}
	c, err := client.New("http://server", client.WithHTTPClient(&http.Client{Transport: transport}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return s, c, listener
}
