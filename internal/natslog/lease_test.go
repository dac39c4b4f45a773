package natslog

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"vstream"
)

// testLease is how long a lease lasts in tests. JetStream tells of the end of nothing that
// is kept for less than a second.
const testLease = 3 * time.Second

// startServer runs a NATS server until the test ends.
func startServer(t *testing.T, change ...func(*server.Options)) *server.Server {
	t.Helper()
	options := &server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: t.TempDir(), JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 16 << 30,
	}
	for _, c := range change {
		c(options)
	}
	ns, err := server.NewServer(options)
	if err != nil {
		t.Fatal(err)
	}
	ns.Start()
	t.Cleanup(func() {
		ns.Shutdown()
		ns.WaitForShutdown()
	})
	if !ns.ReadyForConnections(time.Minute) {
		t.Fatal("the NATS server does not start")
	}
	return ns
}

// clusterConfig is one for logs at a server.
func clusterConfig(t *testing.T, url string) Config {
	config := testConfig(t)
	config.Dir, config.URL, config.leaseTime = "", url, testLease
	return config
}

// member is a replica in this process: an engine, and what collects in it.
type member struct {
	*Engine
	stop func() // collecting, then the engine

	mu         sync.Mutex
	collecting map[string]int // under mu; how many collect from each vCenter
}

// join starts a replica that would collect from all vCenters.
func join(t *testing.T, config Config, vcenters ...string) *member {
	t.Helper()
	m := &member{collecting: map[string]int{}}
	var leave func()
	m.Engine, leave = start(t, config, vcenters...)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, name := range vcenters {
		all.Go(func() {
			err := m.Collect(ctx, name, func(ctx context.Context) error {
				m.count(name, 1)
				<-ctx.Done()
				m.count(name, -1)
				return nil
			})
			if err != nil {
				t.Errorf("Collect: %v", err)
			}
		})
	}
	m.stop = sync.OnceFunc(func() {
		cancel()
		all.Wait()
		leave()
	})
	t.Cleanup(m.stop)
	return m
}

func (m *member) count(vcenter string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.collecting[vcenter] += n
}

// collects returns how many vCenters it collects from.
func (m *member) collects() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := 0
	for _, n := range m.collecting {
		sum += n
	}
	return sum
}

func (m *member) has(vcenter string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.collecting[vcenter] > 0
}

// comesAbout waits until ok is true.
func comesAbout(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not come about that %s", what)
		}
	}
}

func names(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("vc%d", i))
	}
	return all
}

func TestEachVCenterIsCollectedByOneReplicaAndTheyShareEvenly(t *testing.T) {
	config := clusterConfig(t, startServer(t).ClientURL())
	all := names(6)
	replicas := []*member{join(t, config, all...)}
	comesAbout(t, "the only replica collects all", func() bool { return replicas[0].collects() == 6 })
	replicas = append(replicas, join(t, config, all...), join(t, config, all...))
	comesAbout(t, "each of three collects two", func() bool {
		for _, name := range all {
			n := 0
			for _, r := range replicas {
				if r.has(name) {
					n++
				}
			}
			if n > 1 {
				t.Fatalf("%d replicas collect %s", n, name)
			}
		}
		for _, r := range replicas {
			if r.collects() != 2 {
				return false
			}
		}
		return true
	})
	for _, name := range all {
		comesAbout(t, "all replicas know who collects", func() bool {
			first, _ := replicas[0].Collector(name)
			ours := 0
			for _, r := range replicas {
				id, our := r.Collector(name)
				if our {
					ours++
				}
				if id == "" || id != first {
					return false
				}
			}
			return ours == 1
		})
	}
}

func TestAReplicaThatDoesNotKnowAVCenterIsLeftNone(t *testing.T) {
	config := clusterConfig(t, startServer(t).ClientURL())
	old := join(t, config, "vc0")
	comesAbout(t, "the old one collects", func() bool { return old.has("vc0") })
	fresh := join(t, config, names(4)...)
	comesAbout(t, "the new one collects the rest", func() bool { return fresh.collects() == 3 })
	fresh.leases.mu.Lock()
	fresh.leases.balanced = time.Time{}
	fresh.leases.mu.Unlock()
	heard := func() time.Time {
		fresh.leases.mu.Lock()
		defer fresh.leases.mu.Unlock()
		return fresh.leases.replicas[old.leases.id].heard
	}
	for last, n := heard(), 0; n < 2; { // the old one's announcements make it think anew
		comesAbout(t, "the old one is heard again", func() bool { return heard().After(last) })
		last = heard()
		n++
	}
	if n := fresh.collects(); n != 3 {
		t.Errorf("it collects %d of the 3 that only it knows", n)
	}
}

func TestAReplicaThatStopsHandsOverAtOnce(t *testing.T) {
	config := clusterConfig(t, startServer(t).ClientURL())
	config.leaseTime = 10 * time.Minute // so nothing here can be the end of a lease
	first := join(t, config, names(2)...)
	second := join(t, config, names(2)...)
	comesAbout(t, "each collects one", func() bool { return first.collects() == 1 && second.collects() == 1 })
	first.stop()
	comesAbout(t, "the second collects both", func() bool { return second.collects() == 2 })
}

// wire is a proxy to a NATS server that can be cut.
type wire struct {
	address string
	mu      sync.Mutex
	down    bool              // under mu
	conns   map[net.Conn]bool // under mu
}

func newWire(t *testing.T, target string) *wire {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{address: l.Addr().String(), conns: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			client, err := l.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil || !w.keep(client, server) {
				client.Close()
				continue
			}
			for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
				all.Go(func() {
					_, _ = io.Copy(pair[0], pair[1])
					pair[0].Close()
					pair[1].Close()
				})
			}
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.cut()
		all.Wait()
	})
	return w
}

func (w *wire) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		if w.down {
			c.Close()
		} else {
			w.conns[c] = true
		}
	}
	return !w.down
}

// cut breaks all connections, and lets new ones be of no use.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = true
	for c := range w.conns {
		c.Close()
	}
	clear(w.conns)
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.down = false
}

func TestAReplicaThatIsCutOffIsReplacedAndCannotWrite(t *testing.T) {
	ns := startServer(t)
	w := newWire(t, ns.Addr().String())
	lost := join(t, clusterConfig(t, "nats://"+w.address), "vc")
	comesAbout(t, "it collects", func() bool { return lost.has("vc") })
	add := func(m *member, from, to int) error {
		var events []vstream.Event
		for i := from; i <= to; i++ {
			events = append(events, vstream.Event{Offset: vstream.Offset(i), Time: time.Unix(int64(i), 0).UTC(), JSON: fmt.Appendf(nil, `{"id":"%d"}`, i)})
		}
		return m.Log("vc").Append(t.Context(), events)
	}
	if err := add(lost, 1, 3); err != nil {
		t.Fatal(err)
	}
	other := join(t, clusterConfig(t, ns.ClientURL()), "vc")

	w.cut()
	comesAbout(t, "it gives up collecting", func() bool { return !lost.has("vc") })
	if other.has("vc") {
		t.Error("the other began before it gave up")
	}
	comesAbout(t, "the other collects", func() bool { return other.has("vc") })
	if err := add(other, 4, 6); err != nil {
		t.Fatal(err)
	}
	comesAbout(t, "it says that it is not ready", func() bool { return lost.Ready() != nil })
	t.Log(lost.Ready())
	if lost.Trouble("vc") == nil || other.Trouble("vc") != nil {
		t.Errorf("trouble is %v, that of the other %v", lost.Trouble("vc"), other.Trouble("vc"))
	}
	if err := other.Ready(); err != nil {
		t.Errorf("the other is not ready: %v", err)
	}
	var unavailable *vstream.UnavailableError
	if err := add(lost, 4, 4); !errors.As(err, &unavailable) {
		t.Errorf("while it is cut off, Append fails with %v", err)
	}
	if e, err := lost.Log("vc").Get(t.Context(), 2); err != nil || e.Offset != 2 {
		t.Errorf("while it is cut off, what is in memory is %v, %v", e.Offset, err)
	}
	w.mend()
	comesAbout(t, "it is ready again and knows what the other wrote", func() bool {
		r, _ := lost.Log("vc").Range()
		return lost.Ready() == nil && lost.Trouble("vc") == nil && r.Latest == 6
	})
}

func TestThatNATSTakesNoEventsIsTroubleToWhoCollects(t *testing.T) {
	ns := startServer(t)
	one := join(t, clusterConfig(t, ns.ClientURL()), "vc")
	comesAbout(t, "it collects", func() bool { return one.has("vc") })
	other := join(t, clusterConfig(t, ns.ClientURL()), "vc")
	log := one.Log("vc")
	mustAppend(t, log, history(1, 3))
	js, s := outside(t, log)
	limit := func(bytes int32) {
		t.Helper()
		config := s.CachedInfo().Config
		config.MaxMsgSize = bytes
		if _, err := js.UpdateStream(t.Context(), config); err != nil {
			t.Fatal(err)
		}
	}
	limit(1)
	var unavailable *vstream.UnavailableError
	if err := log.Append(t.Context(), history(4, 4)); !errors.As(err, &unavailable) {
		t.Fatalf("Append fails with %v", err)
	}
	first := one.Trouble("vc")
	if first == nil || other.Trouble("vc") != nil {
		t.Fatalf("trouble is %v, that of the other %v", first, other.Trouble("vc"))
	}
	if err := log.Append(t.Context(), history(4, 4)); !errors.As(err, &unavailable) {
		t.Fatalf("Append fails with %v", err)
	}
	if again := one.Trouble("vc"); again == nil || !again.Since.Equal(first.Since) || !again.At.After(first.At) {
		t.Errorf("when it is tried again trouble is %+v, was %+v", again, first)
	}
	limit(-1)
	mustAppend(t, log, history(4, 4))
	if trouble := one.Trouble("vc"); trouble != nil {
		t.Errorf("when NATS takes events again, trouble is %v", trouble)
	}
}

// A deposed collector may be in the middle of a write, and know nothing of what the other
// has written.
func TestAWriteOfADeposedCollectorIsRefused(t *testing.T) {
	ns := startServer(t)
	e, _ := start(t, clusterConfig(t, ns.ClientURL()), "vc")
	l := e.Log("vc")
	event := func(i int) vstream.Event {
		return vstream.Event{Offset: vstream.Offset(i), Time: time.Unix(int64(i), 0).UTC(), JSON: fmt.Appendf(nil, `{"id":"%d"}`, i)}
	}
	if err := l.Append(t.Context(), []vstream.Event{event(1)}); err != nil {
		t.Fatal(err)
	}
	// One that does not run hears nothing, as one whose feed is late.
	deaf := New(clusterConfig(t, ns.ClientURL()), "vc")
	nc, err := nats.Connect(ns.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	s, err := deaf.config.find(t.Context(), js, "vc")
	if err != nil {
		t.Fatal(err)
	}
	if err := deaf.Log("vc").load(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if err := l.Append(t.Context(), []vstream.Event{event(2)}); err != nil {
		t.Fatal(err)
	}
	if err := deaf.Log("vc").Append(t.Context(), []vstream.Event{event(2), event(3)}); !errors.Is(err, ErrFenced) {
		t.Errorf("its Append returns %v", err)
	}
	if err := l.Append(t.Context(), []vstream.Event{event(3)}); err != nil {
		t.Fatal(err)
	}
	reader, err := l.Open(t.Context(), vstream.Oldest{})
	if err != nil {
		t.Fatal(err)
	}
	events, err := reader.Next(t.Context())
	if err != nil || len(events) != 3 {
		t.Fatalf("the log holds %v, %v", events, err)
	}
	for i, e := range events {
		if e.Offset != vstream.Offset(i+1) {
			t.Errorf("event %d has the offset %d", i, e.Offset)
		}
	}
}

func TestAKilledReplicaIsReplacedWhenItsLeaseEnds(t *testing.T) {
	ns := startServer(t)
	config := clusterConfig(t, ns.ClientURL())
	nc, err := nats.Connect(ns.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	// What a killed one leaves behind.
	killed := newLeases([]string{"vc"}, testLease, slog.New(slog.DiscardHandler))
	bucket, err := killed.open(t.Context(), js, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := killed.announce(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if _, err := bucket.Create(t.Context(), leasePrefix+"vc", []byte(killed.id)); err != nil {
		t.Fatal(err)
	}
	heir := join(t, config, "vc")
	comesAbout(t, "the heir collects", func() bool { return heir.has("vc") })
	if took := time.Since(began); took < testLease {
		t.Errorf("it began after %v, when the lease of %v had not ended", took, testLease)
	}
}

func TestLeasesGoOnWhenTheServerForgetsThem(t *testing.T) {
	dir, port := t.TempDir(), -1
	with := func(o *server.Options) { o.StoreDir, o.Port = dir, port }
	ns := startServer(t, with)
	port = ns.Addr().(*net.TCPAddr).Port
	config := clusterConfig(t, ns.ClientURL())
	a, b := join(t, config, names(2)...), join(t, config, names(2)...)
	shared := func() bool { return a.collects() == 1 && b.collects() == 1 }
	comesAbout(t, "each collects one", shared)
	ns.Shutdown() // the bucket is in memory
	ns.WaitForShutdown()
	comesAbout(t, "nobody collects", func() bool { return a.collects()+b.collects() == 0 })
	startServer(t, with)
	comesAbout(t, "each collects one again", shared)
}
