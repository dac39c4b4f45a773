package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/client"
)

// Whatever is cut off in the middle of whatever, a loop gets each event once, in order, byte
// for byte.
func TestAWatchGetsEachEventOnceHoweverOftenItIsCutOff(t *testing.T) {
	for _, c := range []struct {
		what     string
		vcenters []string
		opts     []client.ReadOption
		wanted   func(string) bool
		tls      bool
	}{
		{"one vCenter", []string{"vc1"}, nil, nil, false},
		{"two vCenters", []string{"vc1", "vc2"}, nil, nil, false},
		{"two vCenters and a filter", []string{"vc1", "vc2"}, []client.ReadOption{client.Severity("error")},
			func(e string) bool { return strings.Contains(e, `"severity":"error"`) }, false},
		{"HTTP/2 over TLS", []string{"vc1", "vc2"}, nil, nil, true},
	} {
		t.Run(c.what, func(t *testing.T) {
			t.Parallel()
			var vcenters []*vcenter
			for _, name := range c.vcenters {
				vcenters = append(vcenters, newVCenter(name, 1e6))
			}
			const n = 3000
			for _, v := range vcenters {
				v.add(1, n/3)
			}
			s := &server{t: t, vcenters: vcenters}
			scheme, most := "http", 40_000
			var opts []client.Option
			if c.tls {
				dir := t.TempDir()
				ours := newAuthority(t, dir, "ours")
				s.access.CertFile, s.access.KeyFile = ours.issue(t, dir, "server", net.IPv4(127, 0, 0, 1), time.Hour)
				scheme, most = "https", 80_000 // some of which is for the handshake
				opts = append(opts, client.WithCAFile(ours.file))
			}
			s.start()
			p := between(t, s.address, randomly(1, most))
			var writing sync.WaitGroup
			for _, v := range vcenters {
				writing.Go(func() {
					for o := vstream.Offset(n/3 + 1); o <= n; o += 10 {
						v.add(o, o+9)
						time.Sleep(time.Millisecond) // so that it comes while it is read
					}
				})
			}
			got := map[string][]string{}
			reconnects, more := 0, len(vcenters)
			for e, err := range newClient(t, scheme+"://"+p.address(), opts...).Watch(limited(t), slices.Concat(c.opts, []client.ReadOption{client.Earliest(), client.OnReconnect(func(client.Reconnect) error {
				reconnects++
				return nil
			})})...) {
				if err != nil {
					t.Fatal(err)
				}
				got[e.Source] = append(got[e.Source], string(e.JSON))
				if e.Offset == n {
					if more--; more == 0 {
						break
					}
				}
			}
			writing.Wait()
			for _, v := range vcenters {
				want := v.told
				if c.wanted != nil {
					want = slices.DeleteFunc(slices.Clone(want), func(e string) bool { return !c.wanted(e) })
				}
				same(t, v.name, got[v.source()], want)
			}
			t.Logf("over %d connections", p.connections())
			if reconnects < 10 {
				t.Errorf("it was cut off %d times only", reconnects)
			}
		})
	}
}

func TestAWatchGoesOnThroughRestartsOfTheServer(t *testing.T) {
	for _, refilled := range []bool{false, true} {
		t.Run(fmt.Sprintf("refilled %v", refilled), func(t *testing.T) {
			t.Parallel()
			v1, v2 := newVCenter("vc1", 1e6), newVCenter("vc2", 1e6)
			v1.add(1, 100)
			v2.add(1, 100)
			s := serve(t, v1, v2)
			var got []string
			next := vstream.Offset(101)
			restarts := 0
			var starting sync.WaitGroup
			for e, err := range newClient(t, s.url()).Watch(limited(t), client.Earliest()) {
				if err != nil {
					t.Fatal(err)
				}
				if got = append(got, string(e.JSON)); len(got) < 2*int(next-1) {
					continue
				}
				if restarts++; restarts > 3 {
					break
				}
				starting.Wait()
				s.stop()
				if refilled { // as a log in memory is
					for _, v := range s.vcenters {
						told := v.told
						*v = *newVCenter(v.name, 1e6)
						v.add(1, next-1)
						v.told = told
					}
				}
				for _, v := range s.vcenters {
					v.add(next, next+99)
				}
				next += 100
				starting.Go(func() { // while the client finds nobody
					time.Sleep(50 * time.Millisecond)
					s.start()
				})
			}
			starting.Wait()
			for _, v := range s.vcenters {
				same(t, v.name, slices.DeleteFunc(slices.Clone(got), func(e string) bool { return !strings.Contains(e, v.source()) }), v.told)
			}
		})
	}
}

// A small log that is filled fast, a server that comes and goes, connections that are cut off:
// each event comes once, or is told to be missed.
func TestEachEventComesOnceOrIsToldToBeMissedWhateverFails(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	const last = 20_000
	v1, v2 := newVCenter("vc1", 1000), newVCenter("vc2", 1000)
	for _, v := range []*vcenter{v1, v2} {
		v.add(1, 100)
	}
	s := serve(t, v1, v2)
	p := between(t, s.address, randomly(seed, 200_000))
	var working sync.WaitGroup
	for i, v := range []*vcenter{v1, v2} {
		working.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(i)))
			for o := vstream.Offset(101); o <= last; {
				burst := 40
				if r.IntN(100) == 0 {
					burst = 2500
				}
				to := min(o+vstream.Offset(r.IntN(burst)), last)
				v.add(o, to)
				o = to + 1
				time.Sleep(time.Duration(r.IntN(8)) * time.Millisecond)
			}
		})
	}
	over := make(chan struct{})
	working.Go(func() {
		for {
			select {
			case <-over:
				return
			case <-time.After(50 * time.Millisecond):
			}
			s.stop()
			s.start()
		}
	})
	got := map[string][]string{}
	gaps := map[string][]client.Gap{}
	more := 2
	for e, err := range newClient(t, p.url()).Watch(limited(t), client.After(vstream.Cursor{"vc1": {Offset: 0}, "vc2": {Offset: 0}}), client.OnGap(func(g client.Gap) error {
		gaps[g.VCenter] = append(gaps[g.VCenter], g)
		return nil
	})) {
		if err != nil {
			t.Fatal(err)
		}
		got[e.Source] = append(got[e.Source], string(e.JSON))
		if e.Offset == last {
			if more--; more == 0 {
				break
			}
		}
	}
	close(over)
	working.Wait()
	for _, v := range []*vcenter{v1, v2} {
		var want []string
		next := 0
		for _, g := range gaps[v.name] {
			want = append(want, v.told[min(next, int(g.Requested)-1):g.Requested-1]...)
			next = int(g.Earliest) - 1
		}
		want = append(want, v.told[next:]...)
		same(t, v.name, got[v.source()], want)
		t.Logf("%s: %d events came, %d gaps, over %d connections", v.name, len(got[v.source()]), len(gaps[v.name]), p.connections())
	}
}

func TestAPlannedEndIsNoFailure(t *testing.T) {
	v := newVCenter("vc1", 1e6)
	v.add(1, 10)
	s := &server{t: t, vcenters: []*vcenter{v}, maxAge: 50 * time.Millisecond}
	s.start()
	ends := 0
	for e, err := range newClient(t, s.url()).Watch(limited(t), client.Offset(10), client.OnReconnect(func(r client.Reconnect) error {
		if r.Err != nil || r.Attempt != 1 || r.Cursor.String() != "vc1.10" {
			t.Errorf("the end is %+v", r)
		}
		if ends++; ends == 3 {
			v.add(11, 11)
		}
		return nil
	})) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Offset == 11 {
			break
		}
	}
}

func TestAReaderOvertakenByRetentionIsToldAndGoesOnIfItWantsTo(t *testing.T) {
	for _, names := range [][]string{{"vc1"}, {"vc1", "vc2"}} {
		t.Run(fmt.Sprint(names), func(t *testing.T) {
			var vcenters []*vcenter
			for _, name := range names {
				vcenters = append(vcenters, newVCenter(name, 50))
			}
			last := vcenters[len(vcenters)-1]
			for _, v := range vcenters {
				v.add(1, 20)
			}
			s := serve(t, vcenters...)
			c := newClient(t, s.url())
			// purge drops what comes after event 10 of the last vCenter, when the client has just
			// dealt with that and lost its connection.
			purge := func(next vstream.Offset) {
				s.stop()
				last.add(next, next+99)
				s.start()
			}

			var expired *client.ExpiredError
			var bound *vstream.ExpiredError
			at := vstream.Cursor{last.name: {Offset: 5}}
			for _, v := range vcenters[:len(vcenters)-1] {
				at[v.name] = vstream.Place{Offset: 20}
			}
			purge(21)
			err := failure(t, c.Watch(limited(t), client.After(at)))
			if !errors.As(err, &expired) || expired.VCenter != last.name || expired.Requested != 6 || expired.Earliest != 71 || expired.Latest != 120 || expired.Missed != 65 {
				t.Fatalf("the error is %#v", err)
			}
			if !errors.As(err, &bound) || bound.Earliest != 71 || !strings.HasPrefix(err.Error(), "invalid offset: 6 is older") || !strings.HasSuffix(err.Error(), "what there is") {
				t.Errorf("the error is %v", err)
			}

			var gaps []client.Gap
			var got []string
			for e, err := range c.Watch(limited(t), client.After(at), client.OnGap(func(g client.Gap) error {
				gaps = append(gaps, g)
				return nil
			})) {
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, string(e.JSON))
				if len(got) == 10 {
					purge(121) // in the middle
				}
				if e.Offset == 220 {
					break
				}
			}
			if len(gaps) != 2 || gaps[0].Requested != 6 || gaps[0].Earliest != 71 || gaps[0].Missed != 65 || gaps[0].Cursor[last.name].Offset != 70 ||
				gaps[1].Earliest != 171 || gaps[1].VCenter != last.name || gaps[1].Requested <= 80 {
				t.Fatalf("the gaps are %+v", gaps)
			}
			// All but what was told to be missed, and some of that may have been under way.
			want := slices.Concat(last.told[70:gaps[1].Requested-1], last.told[170:])
			same(t, last.name, got, want)

			stop := errors.New("not with gaps")
			if err := failure(t, c.Watch(limited(t), client.After(at), client.OnGap(func(client.Gap) error { return stop }))); !errors.Is(err, stop) {
				t.Errorf("an error of OnGap ended it with %v", err)
			}
			if err := failure(t, c.List(limited(t), client.After(at))); !errors.As(err, &expired) {
				t.Errorf("a List ended with %v", err)
			}
		})
	}
}

// When what a stream is about to send is dropped, the stream says so itself.
func TestAGapInTheMiddleOfAStreamIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVCenter("vc1", 20)
		v.add(1, 10)
		_, c, _ := inBubble(t, time.Hour, v)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var gap client.Gap
		var got []string
		for e, err := range c.Watch(ctx, client.Earliest(), client.OnGap(func(g client.Gap) error { gap = g; return nil }), client.OnReconnect(func(r client.Reconnect) error {
			t.Errorf("it goes on after %+v", r)
			return nil
		})) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, string(e.JSON)); len(got) == 10 {
				synctest.Wait()   // the server waits for more
				v.add(11, 11+999) // far more than the log keeps
			}
			if e.Offset == 1010 {
				break
			}
		}
		if gap.Earliest == 0 {
			t.Fatal("no gap was told")
		}
		same(t, "events", got, slices.Concat(v.told[:gap.Requested-1], v.told[gap.Earliest-1:]))
	})
}

func TestAWatchEndsWithItsContextAndAListSaysThatItHasNotEnded(t *testing.T) {
	v := newVCenter("vc1", 100)
	v.add(1, 10)
	s := serve(t, v)
	c := newClient(t, s.url())
	for _, timing := range []string{"in the body", "while it waits", "before", "between connections"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("enough")
		target := c
		switch timing {
		case "before":
			cancel(cause)
		case "between connections":
			target = newClient(t, "http://127.0.0.1:1", client.WithRetry(client.Retry{Min: time.Hour, Max: time.Hour, Attempts: 2}))
			time.AfterFunc(20*time.Millisecond, func() { cancel(cause) })
		}
		opts := []client.ReadOption{client.Earliest(), client.OnBookmark(func(b client.Bookmark) {
			if timing == "while it waits" && b.Reason == "caught-up" {
				cancel(cause)
			}
		})}
		got := 0
		for e, err := range target.Watch(ctx, opts...) {
			if err != nil {
				t.Fatalf("%s: %v", timing, err)
			}
			if got++; timing == "in the body" && e.Offset == 5 {
				cancel(cause)
			}
		}
		if want := map[string]int{"in the body": 5, "while it waits": 10}[timing]; got != want {
			t.Errorf("%s: %d events, want %d", timing, got, want)
		}
		if timing == "while it waits" {
			continue // a List does not
		}
		if err := failure(t, target.List(ctx, opts...)); !errors.Is(err, cause) {
			t.Errorf("%s: a List ended with %v", timing, err)
		}
	}
}

func TestAListEndsWhereTheLogEnds(t *testing.T) {
	v1, v2 := newVCenter("vc1", 1e5), newVCenter("vc2", 1e5)
	s := serve(t, v1, v2)
	c := newClient(t, s.url())
	if got := collect(t, c.List(limited(t)), 0); len(got) != 0 {
		t.Errorf("an empty log has %d events", len(got))
	}
	v1.add(1, 2500)
	v2.add(1, 2500)
	for _, q := range []struct {
		what  string
		c     *client.Client
		opts  []client.ReadOption
		count int
	}{
		{"all", c, nil, 5000},
		{"one", c.VCenter("vc2"), nil, 2500},
		{"one by filter", c, []client.ReadOption{client.VCenter("vc2")}, 2500},
		{"from an offset", c.VCenter("vc1"), []client.ReadOption{client.Offset(2000)}, 501},
		{"from an offset to come", c.VCenter("vc1"), []client.ReadOption{client.Offset(1e6)}, 0},
		{"from now", c, []client.ReadOption{client.Now()}, 0},
		{"the newest", c, []client.ReadOption{client.Latest()}, 2},
		{"behind a cursor", c, []client.ReadOption{client.After(vstream.Cursor{"vc1": {Offset: 2499}, "vc2": {Offset: 2400}})}, 101},
		{"a part", c, []client.ReadOption{client.Limit(7)}, 7},
		{"since", c, []client.ReadOption{client.Since(time.Unix(1_700_000_000+2401, 0))}, 200},
		{"until", c, []client.ReadOption{client.Until(time.Unix(1_700_000_000+100, 5e8))}, 200},
		{"errors", c, []client.ReadOption{client.Severity("error")}, 500},
		{"nothing", c, []client.ReadOption{client.Type("Nothing*")}, 0},
		{"last", c, []client.ReadOption{client.Last(10)}, 10},
		{"last of a part", c, []client.ReadOption{client.Last(10), client.Limit(3)}, 3},
		{"many last", c, []client.ReadOption{client.Last(2345)}, 2345},
		{"more than there are", c, []client.ReadOption{client.Last(1e6)}, 5000},
		{"last errors", c, []client.ReadOption{client.Last(15), client.Severity("error")}, 15},
		{"last of a time", c, []client.ReadOption{client.Last(4), client.Until(time.Unix(1_700_000_000+100, 5e8))}, 4},
		{"many last of a time", c, []client.ReadOption{client.Last(1500), client.Until(time.Unix(1_700_000_000+1000, 5e8))}, 1500},
		{"last of none", c, []client.ReadOption{client.Last(0)}, 0},
		{"last of nothing", c, []client.ReadOption{client.Last(10), client.Type("Nothing*")}, 0},
	} {
		got := collect(t, q.c.List(limited(t), q.opts...), 0)
		if len(got) != q.count {
			t.Errorf("%s: %d events, want %d", q.what, len(got), q.count)
		}
		if strings.HasPrefix(q.what, "last of a time") || q.what == "last" || q.what == "many last" {
			end := 2500
			if q.what == "last of a time" {
				end = 100
			}
			mine := slices.DeleteFunc(got, func(e string) bool { return !strings.Contains(e, v1.source()) })
			same(t, q.what, mine, v1.told[end-len(mine):end])
		}
	}
}

func TestAWatchBeginsWithTheLastEventsAndGoesOn(t *testing.T) {
	v1, v2 := newVCenter("vc1", 1e5), newVCenter("vc2", 1e5)
	v1.add(1, 1500)
	v2.add(1, 3)
	s := serve(t, v1, v2)
	begun := false
	var got []string
	for e, err := range newClient(t, s.url()).Watch(limited(t), client.Last(1200), client.OnBookmark(func(b client.Bookmark) {
		if b.Reason == "caught-up" && !begun {
			begun = true
			if len(got) != 1200 {
				t.Errorf("there are %d events before those to come", len(got))
			}
			v1.add(1501, 1501)
			v2.add(4, 4)
		}
	})) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, string(e.JSON)); len(got) == 1202 {
			break
		}
	}
	same(t, "vc1", slices.DeleteFunc(slices.Clone(got), func(e string) bool { return !strings.Contains(e, v1.source()) }), v1.told[300:])
	same(t, "vc2", slices.DeleteFunc(slices.Clone(got), func(e string) bool { return !strings.Contains(e, v2.source()) }), v2.told[3:])
}

func TestWhatAFilterDoesNotPassIsNotLookedThroughAgain(t *testing.T) {
	v := newVCenter("vc1", 100)
	v.add(1, 50)
	s := serve(t, v)
	p := between(t, s.address, never)
	stop := errors.New("seen")
	err := failure(t, newClient(t, p.url()).Watch(limited(t), client.Earliest(), client.Type("Nothing"), client.OnBookmark(func(b client.Bookmark) {
		if b.Reason == "caught-up" {
			p.cutAll()
		}
	}), client.OnReconnect(func(r client.Reconnect) error {
		if r.Cursor.String() != "vc1.50" {
			t.Errorf("it goes on at %s", r.Cursor)
		}
		return stop
	})))
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}

// Nobody is to get events from before the offset that was asked for, because the connection
// was lost before it was there.
func TestAnOffsetToComeIsStillWaitedForAfterAReconnect(t *testing.T) {
	v := newVCenter("vc1", 100)
	v.add(1, 5)
	s := serve(t, v)
	p := between(t, s.address, never)
	cuts := 0
	for e, err := range newClient(t, p.url()).Watch(limited(t), client.Offset(9), client.OnBookmark(func(client.Bookmark) {
		switch cuts++; cuts {
		case 1, 2:
			p.cutAll()
		case 3:
			v.add(6, 8)
			p.cutAll()
		case 4:
			v.add(9, 9)
		}
	})) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Offset != 9 {
			t.Errorf("event %d came", e.Offset)
		}
		break
	}
}

func TestAWatchOfATimeEndsWhenThatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, _ := inBubble(t, time.Minute, newVCenter("vc1", 100)) // many connections
		began := time.Now()
		for _, err := range c.Watch(t.Context(), client.Until(began.Add(time.Hour))) {
			t.Fatal(err)
		}
		if took := time.Since(began); took < time.Hour || took > time.Hour+2*time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

// A List ends where the server says that it has all. Where it cannot say so, the List must not
// wait for ever.
func TestAListThatHasNoEndYetSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVCenter("vc1", 100)
		v.add(1, 3)
		v.state = vstream.Failing
		_, c, _ := inBubble(t, time.Hour, v)
		began := time.Now()
		err := failure(t, c.List(t.Context(), client.After(vstream.Cursor{"vc1": {Offset: 7}})))
		if took := time.Since(began); !is[*client.PendingError](err) || took > time.Minute {
			t.Errorf("after %v: %v", took, err)
		}
	})
}

// A sleeper is a connection that brings nothing any more when it is told to.
type sleeper struct {
	net.Conn
	asleep *atomic.Bool
	closed chan struct{}
	once   sync.Once
}

func (s *sleeper) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p)
	if s.asleep.Load() {
		<-s.closed
		return 0, net.ErrClosed
	}
	return n, err
}

func (s *sleeper) Close() error {
	s.once.Do(func() { close(s.closed) })
	return s.Conn.Close()
}

func TestASilentConnectionIsGivenUpAndASlowLoopIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVCenter("vc1", 100)
		v.add(1, 3)
		_, c, listener := inBubble(t, time.Hour, v)
		var first atomic.Bool
		listener.wrap = func(conn net.Conn) net.Conn {
			listener.wrap = nil // the second one is well
			return &sleeper{Conn: conn, asleep: &first, closed: make(chan struct{})}
		}
		var silent *client.UnreachableError
		var reconnected time.Time
		var got []string
		var slept time.Time
		for e, err := range c.Watch(t.Context(), client.Earliest(), client.OnReconnect(func(r client.Reconnect) error {
			if !errors.As(r.Err, &silent) || r.Cursor.String() != "vc1.3" {
				t.Errorf("it goes on after %+v", r)
			}
			reconnected = time.Now()
			return nil
		})) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, string(e.JSON))
			switch e.Offset {
			case 2:
				time.Sleep(20 * time.Second) // the loop's own time is not the server's silence
			case 3:
				time.Sleep(25 * time.Second)
				first.Store(true)
				v.add(4, 4)
				slept = time.Now()
			}
			if e.Offset == 4 {
				break
			}
		}
		same(t, "events", got, v.told)
		if silent == nil {
			t.Fatal("the silent connection was not given up")
		}
		if took := reconnected.Sub(slept); took < 30*time.Second || took > 31*time.Second {
			t.Errorf("it was given up after %v", took)
		}
	})
}

// A server ends connections of which nothing is taken. What is lost with it comes again.
func TestALoopThatTakesVeryLongMissesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVCenter("vc1", 10_000)
		v.add(1, 2000) // more than is buffered on the way
		_, c, _ := inBubble(t, time.Hour, v)
		reconnects := 0
		var got []string
		for e, err := range c.List(t.Context(), client.OnReconnect(func(client.Reconnect) error { reconnects++; return nil })) {
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, string(e.JSON)); e.Offset%500 == 1 {
				time.Sleep(10 * time.Minute)
			}
		}
		same(t, "events", got, v.told)
		if reconnects == 0 {
			t.Error("it was never cut off")
		}
	})
}

// front is a transport that answers by itself until it is satisfied.
type front struct {
	next   http.RoundTripper
	answer func(*http.Request) *http.Response // nil: let it pass
}

func (f front) RoundTrip(r *http.Request) (*http.Response, error) {
	if res := f.answer(r); res != nil {
		res.Request, res.ProtoMajor, res.ProtoMinor = r, 1, 1
		return res, nil
	}
	return f.next.RoundTrip(r)
}

func respond(status int, contentType, body string, headers ...string) *http.Response {
	h := http.Header{"Content-Type": {contentType}}
	for pair := range slices.Chunk(headers, 2) {
		h.Set(pair[0], pair[1])
	}
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(strings.NewReader(body))}
}

func TestPausesGrowAndAreNotShorterThanRetryAfter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVCenter("vc1", 100)
		v.add(1, 1)
		listener := newPipes()
		s := &server{t: t, listener: listener, vcenters: []*vcenter{v}}
		s.start()
		transport := &http.Transport{DialContext: listener.dial}
		defer transport.CloseIdleConnections()
		n := 0
		c, err := client.New("http://server", client.WithHTTPClient(&http.Client{Transport: front{transport, func(*http.Request) *http.Response {
			switch n++; {
			case n <= 10:
				return respond(502, "text/html", "<h1>Bad Gateway</h1>")
			case n == 11:
				return respond(503, "application/problem+json", `{"status":503}`, "Retry-After", "120")
			case n == 12:
				return respond(429, "application/problem+json", `{"status":429}`, "Retry-After", time.Now().Add(200*time.Second).UTC().Format(http.TimeFormat))
			case n == 13:
				return respond(429, "application/problem+json", `{"status":429}`, "Retry-After", "999999999")
			case n == 14:
				return respond(200, "text/event-stream", "retry: 100000\nevent: problem\ndata: {\"data\":{\"status\":503}}\n\n")
			}
			return nil
		}}}))
		if err != nil {
			t.Fatal(err)
		}
		var pauses []time.Duration
		last := time.Now()
		for _, err := range c.Watch(t.Context(), client.Earliest(), client.OnReconnect(func(r client.Reconnect) error {
			if len(pauses) > 0 && time.Since(last) != pauses[len(pauses)-1] {
				t.Errorf("after a pause of %v it went on after %v", pauses[len(pauses)-1], time.Since(last))
			}
			if pauses, last = append(pauses, r.Pause), time.Now(); r.Attempt != len(pauses) || r.Err == nil {
				t.Errorf("number %d is %+v", len(pauses), r)
			}
			return nil
		})) {
			if err != nil {
				t.Fatal(err)
			}
			break
		}
		want := []time.Duration{500 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second}
		for i, pause := range pauses[:10] {
			middle := 30 * time.Second
			if i < len(want) {
				middle = want[i]
			}
			if pause < middle/2 || pause > middle*3/2+1 {
				t.Errorf("pause %d is %v, want about %v", i+1, pause, middle)
			}
		}
		for i, want := range []time.Duration{120 * time.Second, 199 * time.Second, 10 * time.Minute, 100 * time.Second} {
			if pauses[10+i] < want || pauses[10+i] > want+time.Second {
				t.Errorf("pause %d is %v, want %v", 11+i, pauses[10+i], want)
			}
		}
	})
}

func TestWhatPassesIsTriedAgainAndWhatDoesNotIsNot(t *testing.T) {
	problem := func(status int, slug, members string) func() *http.Response {
		return func() *http.Response {
			return respond(status, "application/problem+json", fmt.Sprintf(`{"type":"urn:vstream:problem:%s","status":%d,"detail":"so it is"%s}`, slug, status, members))
		}
	}
	for _, c := range []struct {
		what  string
		res   func() *http.Response
		again bool
		is    func(error) bool
	}{
		{"400", problem(400, "invalid-parameter", `,"parameter":"vm"`), false, is[*client.BadRequestError]},
		{"400 of a filter", problem(400, "invalid-filter", `,"parameter":"filter","errors":[{"line":2,"column":3,"message":"no"}]`), false, func(err error) bool {
			var e *client.BadRequestError
			return errors.As(err, &e) && e.Parameter == "filter" && len(e.Issues) == 1 && e.Issues[0] == client.Issue{Line: 2, Column: 3, Message: "no"}
		}},
		{"400 of another", func() *http.Response {
			return respond(400, "text/plain", "Client sent an HTTP request to an HTTPS server.")
		}, false,
			func(err error) bool {
				return is[*client.BadRequestError](err) && strings.Contains(err.Error(), "https")
			}},
		{"401", problem(401, "unauthenticated", ""), false, is[*client.UnauthenticatedError]},
		{"403", problem(403, "forbidden", ""), false, is[*client.ForbiddenError]},
		{"404", problem(404, "not-found", ""), false, is[*client.NotFoundError]},
		{"406", problem(406, "not-acceptable", ""), false, is[*client.StatusError]},
		{"409", problem(409, "ambiguous-vcenter", `,"paths":["/api/v1/vcenters/vc1/range","/api/v1/vcenters/vc2/range"]`), false, func(err error) bool {
			var e *client.AmbiguousError
			return errors.As(err, &e) && slices.Equal(e.VCenters, []string{"vc1", "vc2"}) && strings.HasSuffix(err.Error(), "name one of vc1, vc2")
		}},
		{"409 ahead", problem(409, "cursor-ahead", `,"requested":9,"earliest":1,"latest":2,"vcenter":"vc1"`), false, func(err error) bool {
			var e *client.AheadError
			return errors.As(err, &e) && e.Requested == 9 && e.Latest == 2 && e.VCenter == "vc1"
		}},
		{"410", problem(410, "offset-expired", `,"requested":1,"earliest":5,"latest":9,"missed":4,"vcenter":"vc1"`), false, is[*client.ExpiredError]},
		{"410 cut off", func() *http.Response {
			res := respond(410, "application/problem+json", "")
			res.Body = io.NopCloser(io.MultiReader(strings.NewReader(`{"status":410,`), iotest.ErrReader(io.ErrUnexpectedEOF)))
			return res
		}, true, is[*client.UnreachableError]},
		{"418", problem(418, "teapot", ""), false, is[*client.StatusError]},
		{"429", problem(429, "too-many-watches", ""), true, is[*client.TooManyError]},
		{"500", problem(500, "internal", ""), true, is[*client.UnavailableError]},
		{"502 of a proxy", func() *http.Response { return respond(502, "text/html", strings.Repeat("<p>", 1e6)) }, true, is[*client.UnavailableError]},
		{"503", problem(503, "shutting-down", ""), true, is[*client.UnavailableError]},
		{"another page", func() *http.Response { return respond(200, "text/html", "<h1>Welcome</h1>") }, false, is[*client.ProtocolError]},
		{"an end without a bookmark", func() *http.Response { return respond(200, "text/event-stream", "") }, true, is[*client.UnreachableError]},
		{"an end after the start", func() *http.Response {
			return respond(200, "text/event-stream", "event: bookmark\ndata: {\"data\":{\"cursor\":\"vc1.1\",\"reason\":\"start\"}}\n\n")
		}, true, is[*client.UnreachableError]},
		{"in the stream 410", func() *http.Response {
			return respond(200, "text/event-stream", "event: problem\ndata: {\"data\":{\"status\":410,\"requested\":1,\"earliest\":5,\"latest\":9}}\n\n")
		}, false, is[*client.ExpiredError]},
		{"in the stream 503", func() *http.Response {
			return respond(200, "text/event-stream", "event: problem\ndata: {\"data\":{\"status\":503}}\n\n")
		}, true, is[*client.UnavailableError]},
		{"an event without a cursor", func() *http.Response { return respond(200, "text/event-stream", "data: {\"id\":\"1\"}\n\n") }, false, is[*client.ProtocolError]},
		{"an event that is none", func() *http.Response { return respond(200, "text/event-stream", "id: vc1.1\ndata: hello\n\n") }, false, is[*client.ProtocolError]},
	} {
		n := 0
		transport := front{nil, func(*http.Request) *http.Response { n++; return c.res() }}
		retry := client.Retry{Min: time.Nanosecond, Max: time.Nanosecond, Attempts: 3}
		err := failure(t, newClient(t, "http://server", client.WithHTTPClient(&http.Client{Transport: transport}), client.WithRetry(retry)).Watch(limited(t)))
		if want := map[bool]int{false: 1, true: 3}[c.again]; n != want {
			t.Errorf("%s: it tried %d times, want %d", c.what, n, want)
		}
		if !c.is(err) {
			t.Errorf("%s: the error is %#v", c.what, err)
		}
		if text := err.Error(); strings.ContainsAny(text, "\n<") || len(text) > 300 {
			t.Errorf("%s: the error says %q", c.what, text)
		}
	}
}

func is[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return ok
}

func TestAServerThatIsNotThereIsTriedForEverByAWatchOnly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close() // nobody is there now
	c := newClient(t, "http://"+l.Addr().String())
	tries := 0
	err = failure(t, c.List(limited(t), client.OnReconnect(func(client.Reconnect) error { tries++; return nil })))
	if !is[*client.UnreachableError](err) || tries != 4 {
		t.Errorf("after %d pauses a List ends with %v", tries, err)
	}
	stop := errors.New("enough")
	tries = 0
	err = failure(t, c.Watch(limited(t), client.OnReconnect(func(r client.Reconnect) error {
		if tries++; tries == 20 {
			return stop
		}
		return nil
	})))
	if !errors.Is(err, stop) {
		t.Errorf("a Watch ends with %v", err)
	}
	if _, _, err := c.Range(limited(t)); !is[*client.UnreachableError](err) || !strings.Contains(err.Error(), "look whether it runs") {
		t.Errorf("Range: %v", err)
	}
}

func TestAWatchThatIsOneTooManyComesAgain(t *testing.T) {
	v := newVCenter("vc1", 100)
	v.add(1, 1)
	var refusals atomic.Int32
	s := &server{t: t, vcenters: []*vcenter{v}, admit: func(*http.Request, func()) (func(), bool) { return func() {}, refusals.Add(1) > 1 }}
	s.start()
	told := 0
	for e, err := range newClient(t, s.url()).Watch(limited(t), client.Earliest(), client.OnReconnect(func(r client.Reconnect) error {
		if told++; !is[*client.TooManyError](r.Err) || r.Pause < time.Second {
			t.Errorf("it goes on after %+v", r)
		}
		return nil
	})) {
		if err != nil || e.Offset != 1 || told != 1 {
			t.Errorf("event %d, %v, after %d refusals", e.Offset, err, told)
		}
		break
	}
}

// endless gives the same text for ever.
type endless struct {
	text string
	sent int64
}

func (e *endless) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		n += copy(p[n:], e.text)
	}
	e.sent += int64(n)
	return n, nil
}
func (e *endless) Close() error { return nil }

func TestAHostileServerCannotUseUpTheMemory(t *testing.T) {
	const enough = 1 << 20
	for what, c := range map[string]struct {
		status   int
		kind     string
		text     string
		read     func(*client.Client) error
		expected func(error) bool
	}{
		"a line without end":    {200, "text/event-stream", "data: xxxxxxxxxxxxxxxxxxxxx", watch, is[*client.ProtocolError]},
		"an event without end":  {200, "text/event-stream", "data: x\n", watch, is[*client.ProtocolError]},
		"empty data for ever":   {200, "text/event-stream", "data\n", watch, is[*client.ProtocolError]},
		"a cursor without end":  {200, "text/event-stream", "id: 1111111111111111111111", watch, is[*client.ProtocolError]},
		"a problem without end": {400, "application/problem+json", `{"detail": "`, watch, is[*client.BadRequestError]},
		"a range without end": {200, "application/json", "[", func(c *client.Client) error {
			_, _, err := c.Range(context.Background())
			return err
		}, is[*client.ProtocolError]},
		"one event without end": {200, "application/json", "[", func(c *client.Client) error {
			_, err := c.Get(context.Background(), 1)
			return err
		}, is[*client.ProtocolError]},
		"a page without end": {200, "application/x-ndjson", "{}\n", func(c *client.Client) error {
			var last error
			for _, err := range c.Watch(context.Background(), client.Last(5)) {
				last = err
			}
			return last
		}, is[*client.ProtocolError]},
	} {
		body := &endless{text: c.text}
		transport := front{nil, func(*http.Request) *http.Response {
			res := respond(c.status, c.kind, "")
			res.Body = body
			return res
		}}
		hostile, err := client.New("http://server", client.WithHTTPClient(&http.Client{Transport: transport}), client.WithMaxEventBytes(enough))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.read(hostile); !c.expected(err) {
			t.Errorf("%s: %v", what, err)
		}
		if body.sent > 65<<20 {
			t.Errorf("%s: %d bytes were read", what, body.sent)
		}
	}
}

func watch(c *client.Client) error {
	var last error
	for _, err := range c.Watch(context.Background()) {
		last = err
	}
	return last
}

func TestTextsOfAServerDoNothingToATerminal(t *testing.T) {
	transport := front{nil, func(*http.Request) *http.Response {
		return respond(400, "application/problem+json", `{"detail":"\u001b[2Jone\ntwo\u202e`+strings.Repeat("x", 5000)+`"}`)
	}}
	err := watch(newClient(t, "http://server", client.WithHTTPClient(&http.Client{Transport: transport})))
	if text := err.Error(); !strings.HasPrefix(text, "[2Jone two xxx") || len(text) > 1100 {
		t.Errorf("the error says %q", text)
	}
}

func TestEventsAreReadAsTheyAre(t *testing.T) {
	v := newVCenter("vc1", 100)
	v.add(9, 10)
	s := serve(t, v)
	c := newClient(t, s.url())
	var first, second client.Event
	for e, err := range c.List(limited(t)) {
		if err != nil {
			t.Fatal(err)
		}
		first, second = second, e
	}
	if first.ID != "9" || first.Offset != 9 || first.Source != v.source() || first.Type != "vmware.vsphere.VmPoweredOnEvent.v0" || first.Class != "event" ||
		first.Severity != "info" || !first.Time.Equal(time.Unix(1_700_000_009, 0)) || first.Cursor.String() != "vc1.9" || first.Truncated {
		t.Errorf("the event is %+v", first)
	}
	d, err := first.Decode()
	if err != nil || d.Type != "VmPoweredOnEvent" || d.VM != "web0" || d.User != "root" || d.Host != "" || d.Network != "dvs" || d.Chain != 9 ||
		d.Message != "something happened" || d.Target() != "web0" {
		t.Errorf("it is %+v, %v", d, err)
	}
	if d, err := second.Decode(); err != nil || d.Type != "esx.problem.x" {
		t.Errorf("the other is %+v, %v", d, err)
	}
	var data struct{ Key int32 }
	if err := first.DecodeData(&data); err != nil || data.Key != 9 {
		t.Errorf("its data is %+v, %v", data, err)
	}
	alone, err := c.Get(limited(t), 10)
	if err != nil || string(alone.JSON) != v.told[1] || alone.Cursor != nil || alone.Offset != 10 {
		t.Errorf("alone it is %+v, %v", alone, err)
	}
}

func TestWhatIsAskedOfOneEventSaysWhatIsWrong(t *testing.T) {
	v1, v2 := newVCenter("vc1", 10), newVCenter("vc2", 10)
	v1.add(1, 30)
	s := serve(t, v1, v2)
	all := newClient(t, s.url())
	c := all.VCenter("vc1")
	ctx := limited(t)
	if r, ok, err := c.Range(ctx); err != nil || !ok || r != (vstream.Range{Earliest: 21, Latest: 30}) {
		t.Errorf("the range is %v, %v, %v", r, ok, err)
	}
	if _, ok, err := all.VCenter("vc2").Range(ctx); ok || err != nil {
		t.Errorf("the range of an empty log is %v, %v", ok, err)
	}
	if _, _, err := all.Range(ctx); !is[*client.AmbiguousError](err) {
		t.Errorf("Range: %v", err)
	}
	if _, err := all.Get(ctx, 1); !is[*client.AmbiguousError](err) {
		t.Errorf("Get: %v", err)
	}
	if err := failure(t, all.List(ctx, client.Offset(1))); !is[*client.AmbiguousError](err) {
		t.Errorf("List: %v", err)
	}
	if _, err := c.Get(ctx, 5); !is[*client.ExpiredError](err) {
		t.Errorf("Get(5): %v", err)
	}
	var notFound *client.NotFoundError
	if _, err := c.Get(ctx, 31); !errors.As(err, &notFound) || notFound.Requested != 31 || *notFound.Range != (vstream.Range{Earliest: 21, Latest: 30}) {
		t.Errorf("Get(31): %#v", err)
	}
	for _, name := range []string{"vc3", "..", "../vc1", "VC1", ""} {
		_, _, err := all.VCenter(name).Range(ctx)
		if name == "" && is[*client.AmbiguousError](err) || name != "" && is[*client.NotFoundError](err) {
			continue
		}
		t.Errorf("of %q: %v", name, err)
	}
	var bad *client.BadRequestError
	if err := failure(t, all.Watch(ctx, client.Filter("severity ==\n 'x' &&"))); !errors.As(err, &bad) || bad.Parameter != "filter" || len(bad.Issues) == 0 || bad.Issues[0].Line != 2 || bad.Issues[0].Message == "" {
		t.Errorf("a bad filter: %#v", err)
	}
	if err := failure(t, all.Watch(ctx, client.Earliest(), client.Now())); !strings.Contains(err.Error(), "Earliest and Now") {
		t.Errorf("two positions: %v", err)
	}
	if err := failure(t, all.Watch(ctx, client.After(vstream.Cursor{"vc1": {Offset: 1000}}))); !is[*client.AheadError](err) {
		t.Errorf("a cursor ahead: %v", err)
	}
}

func TestCountsAreRead(t *testing.T) {
	v1, v2 := newVCenter("vc1", 1000), newVCenter("vc2", 1000)
	v1.add(1, 100)
	v2.add(1, 50)
	s := serve(t, v1, v2)
	c := newClient(t, s.url())
	ctx := limited(t)
	for { // until the index has them
		f, err := c.Facets(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if f.Complete && f.Events == 150 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if f, err := c.Facets(ctx, client.Severity("error"), client.Top(1)); err != nil || f.Events != 15 || !json.Valid(f.JSON) || f.Facets["vm"].Others != 2 || f.Facets["vcenter"].Values[0] != (client.FacetValue{Value: "vc1", Count: 10}) {
		t.Errorf("facets are %+v, %v", f, err)
	}
	if f, err := c.VCenter("vc2").Facets(ctx); err != nil || f.Events != 50 {
		t.Errorf("facets of vc2 are %+v, %v", f, err)
	}
	if h, err := c.Histogram(ctx, client.Buckets(5)); err != nil || h.Width <= 0 || !json.Valid(h.JSON) || len(h.Buckets) == 0 || h.Buckets[0].Info == 0 || !h.From.Before(h.To) || !h.Complete {
		t.Errorf("the histogram is %+v, %v", h, err)
	}
	types, err := c.Types(ctx)
	if err != nil || len(types) != 2 || types[0].Name != "VmPoweredOnEvent" || types[0].Count != 135 || types[0].Description != "VM powered on" || types[0].VCenters["vc2"].Last != 49 || !json.Valid(types[0].JSON) {
		t.Errorf("types are %+v, %v", types, err)
	}
	vcenters, err := c.VCenters(ctx)
	if err != nil || len(vcenters) != 2 {
		t.Fatalf("vCenters are %+v, %v", vcenters, err)
	}
	vc1 := vcenters[0]
	if vc1.Name != "vc1" || vc1.State != vstream.Collecting || *vc1.Range != (vstream.Range{Earliest: 1, Latest: 100}) || vc1.Lag != 1500*time.Millisecond || vc1.Rate != 2.5 ||
		vc1.Log.Events != 100 || vc1.Log.MaxEvents != 1000 || vc1.LastError != "it was away" || vc1.Audit.Events != 3 || !json.Valid(vc1.JSON) || vc1.Since.IsZero() {
		t.Errorf("vc1 is %+v", vc1)
	}
	if _, err := c.Facets(ctx, client.Limit(3)); !is[*client.BadRequestError](err) {
		t.Errorf("a limit of facets: %v", err)
	}
}

func TestARedirectTakesNoTokenElsewhere(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the other server was asked, with %q", r.Header.Get("Authorization"))
	}))
	defer elsewhere.Close()
	v := newVCenter("vc1", 10)
	v.add(1, 1)
	real := serve(t, v)
	var authorized atomic.Int32
	here := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "Bearer secret-token" {
			authorized.Add(1)
		}
		switch r.URL.Path {
		case "/api/v1/range":
			http.Redirect(w, r, elsewhere.URL+"/login?next=x", http.StatusFound)
		case "/api/v1/events/1":
			http.Redirect(w, r, "/moved/1", http.StatusMovedPermanently)
		case "/moved/1":
			res, err := http.Get(real.url() + "/api/v1/events/1")
			if err == nil {
				defer res.Body.Close()
				w.Header().Set("Content-Type", "application/json")
				_, _ = io.Copy(w, res.Body)
			}
		default:
			http.Redirect(w, r, r.URL.Path, http.StatusFound)
		}
	}))
	defer here.Close()
	defer http.DefaultClient.CloseIdleConnections()
	c := newClient(t, here.URL, client.WithToken("secret-token"))
	if _, _, err := c.Range(limited(t)); !is[*client.ProtocolError](err) || !strings.Contains(err.Error(), elsewhere.URL) || strings.Contains(err.Error(), "next") {
		t.Errorf("Range: %v", err)
	}
	if e, err := c.Get(limited(t), 1); err != nil || e.Offset != 1 || authorized.Load() != 3 {
		t.Errorf("Get: %v, %v; %d requests with the token", e.ID, err, authorized.Load())
	}
	if _, err := c.Types(limited(t)); !is[*client.ProtocolError](err) {
		t.Errorf("Types: %v", err)
	}
}
