package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"hash/maphash"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"vstream/internal/vcentertest"
)

var chaos = flag.Duration("chaos", 0, "how long TestNothingIsLostOrDoubledInAClusterInTrouble goes on making trouble; 0 is once of each kind")

// TestNothingIsLostOrDoubledInAClusterInTrouble runs three replicas on three NATS servers,
// all of them processes, and under load kills them, stops them and cuts them off, in random
// order. Watchers go on reading, at any replica, each with the cursor of the last event
// that it has got. It tells how long events were delayed by each kind of trouble.
func TestNothingIsLostOrDoubledInAClusterInTrouble(t *testing.T) {
	if testing.Short() && *chaos == 0 {
		t.Skip("takes more than a minute")
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := newCluster(t, rand.New(rand.NewPCG(seed, seed)))

	kinds := []struct {
		name string
		make func() (heal func(), healthy []int)
	}{
		{"collecting replica stopped", c.stopCollecting},
		{"collecting replica killed", c.killCollecting},
		{"collecting replica cut off", c.cutCollecting},
		{"another replica cut off", c.cutAnother},
		{"stream leader's server killed", c.killLeader},
	}
	delays := map[string][]time.Duration{}
	for round, began := 0, time.Now(); round == 0 || time.Since(began) < *chaos; round++ {
		for _, i := range c.random.Perm(len(kinds)) {
			c.settle()
			heal, healthy := kinds[i].make()
			began, first := c.posted()
			delay := c.seen(first, healthy).Sub(began)
			t.Logf("%-30s %6.2fs until the next event", kinds[i].name, delay.Seconds())
			delays[kinds[i].name] = append(delays[kinds[i].name], delay)
			time.Sleep(time.Duration(c.random.IntN(3000)) * time.Millisecond) // the moment is the test
			heal()
		}
	}
	c.settle()
	told := c.finish()
	for _, k := range kinds {
		d := delays[k.name]
		slices.Sort(d)
		t.Logf("%-30s %3d times, delay min %.2fs median %.2fs max %.2fs", k.name, len(d), d[0].Seconds(), d[len(d)/2].Seconds(), d[len(d)-1].Seconds())
	}
	t.Logf("%d events", told)
}

// cluster is what the test makes trouble for.
type cluster struct {
	t        *testing.T
	random   *rand.Rand
	servers  []*natsd
	replicas []*replica
	vc       *vcentertest.VCenter

	mu    sync.Mutex
	count int // under mu; events posted

	stopLoad, stopReading func()
	followers             []*follower // the first ones stay each with the replica of their number
}

// natsd is a NATS server that runs in another process.
type natsd struct {
	name   string
	client string // address
	env    []string
	cmd    *exec.Cmd
}

// replica is a vstream that runs in another process and reaches NATS through a proxy.
type replica struct {
	env   []string
	proxy *proxy
	at    address
	p     *process
	said  []*process // all that ever ran
}

func newCluster(t *testing.T, random *rand.Rand) *cluster {
	c := &cluster{t: t, random: random, vc: vcentertest.New(t)}
	ports := freePorts(t, 6)
	var routes, clients []string
	for _, port := range ports[3:] {
		routes = append(routes, "nats://127.0.0.1:"+port)
	}
	for i := range 3 {
		s := &natsd{name: "n" + strconv.Itoa(i), client: "127.0.0.1:" + ports[i]}
		s.env = []string{"NATSD_NAME=" + s.name, "NATSD_PORT=" + ports[i], "NATSD_CLUSTER_PORT=" + ports[i+3],
			"NATSD_ROUTES=" + strings.Join(routes, ","), "NATSD_STORE=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}
		c.servers = append(c.servers, s)
		clients = append(clients, s.client)
		c.startServer(s)
		t.Cleanup(func() { s.kill() })
	}
	for i := range 3 {
		r := &replica{proxy: newProxy(t, slices.Concat(clients[i:], clients[:i]))}
		r.env = []string{
			"PORT=0", "VCENTER_NAME=vc", "VCENTER_STREAM_BEGIN=1h", "VCENTER_INSECURE=true",
			"VCENTER_URL=" + c.vc.URL().String(), "VCENTER_SECRET_PATH=" + c.vc.Secret(t),
			"NATS_URL=nats://" + r.proxy.address, "LOG_REPLICAS=3", "LOG_MAX_BYTES=1GiB", "PATH=" + os.Getenv("PATH"),
		}
		c.replicas = append(c.replicas, r)
		c.startReplica(r)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		for i, r := range c.replicas {
			for _, p := range r.said {
				t.Logf("replica %d said:\n%s", i, p.text())
			}
		}
	})

	loading, stopLoad := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() {
		for loading.Err() == nil { // about 80 events a second, in bursts
			n := rand.IntN(8)
			c.mu.Lock()
			c.vc.PostN(n)
			c.count += n
			c.mu.Unlock()
			time.Sleep(40 * time.Millisecond)
		}
	})
	c.stopLoad = func() { stopLoad(); load.Wait() }
	reading, stopReading := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for i := range 6 {
		f := &follower{first: i % 3, stays: i < 3, next: 1}
		c.followers = append(c.followers, f)
		readers.Go(func() { f.run(reading, c.replicas) })
	}
	c.stopReading = func() { stopReading(); readers.Wait() }
	t.Cleanup(func() { c.stopLoad(); c.stopReading() })
	return c
}

// freePorts returns ports that nobody listens on, for servers that must know them of one
// another before they start.
func freePorts(t *testing.T, n int) []string {
	var ports []string
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports = append(ports, port)
	}
	return ports
}

// natsServer is what the test binary does when it is started as natsd.
func natsServer() {
	number := func(name string) int {
		n, _ := strconv.Atoi(os.Getenv(name))
		return n
	}
	ns, err := server.NewServer(&server.Options{
		ServerName: os.Getenv("NATSD_NAME"), Host: "127.0.0.1", Port: number("NATSD_PORT"), NoSigs: true, NoLog: true,
		JetStream: true, StoreDir: os.Getenv("NATSD_STORE"), SyncAlways: true, JetStreamMaxMemory: 64 << 20, JetStreamMaxStore: 16 << 30,
		// Clients are to come through their proxies only, and so must not be told of others.
		Cluster: server.ClusterOpts{Name: "test", Host: "127.0.0.1", Port: number("NATSD_CLUSTER_PORT"), NoAdvertise: true, PoolSize: -1},
		Routes:  server.RoutesFromStr(os.Getenv("NATSD_ROUTES")),
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	ns.Start()
	if ns.ReadyForConnections(patience) {
		fmt.Println("ready")
	}
	_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends, however it does
	os.Exit(0)
}

func (c *cluster) startServer(s *natsd) {
	c.t.Helper()
	s.cmd = exec.Command("natsd")
	s.cmd.Env = s.env
	if _, err := s.cmd.StdinPipe(); err != nil {
		c.t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		c.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	if line, _ := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		c.t.Fatalf("the NATS server says %q", line)
	}
}

func (s *natsd) kill() {
	_ = s.cmd.Process.Kill()
	_ = s.cmd.Wait()
}

func (c *cluster) startReplica(r *replica) {
	c.t.Helper()
	r.p = startAgain(c.t, r.env)
	r.said = append(r.said, r.p)
	r.at.set(api(r.p))
}

// posted returns the time, and the number of the first event after it.
func (c *cluster) posted() (time.Time, int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now(), c.count
}

// seen waits until the event of this number has been seen at a replica that is healthy, and
// returns when that was.
func (c *cluster) seen(number int, healthy []int) time.Time {
	c.t.Helper()
	for deadline := time.Now().Add(2 * patience); ; time.Sleep(5 * time.Millisecond) {
		var first time.Time
		for _, i := range healthy {
			if at := c.followers[i].when(number); !at.IsZero() && (first.IsZero() || at.Before(first)) {
				first = at
			}
		}
		if !first.IsZero() {
			return first
		}
		if time.Now().After(deadline) {
			c.t.Fatal("no event comes any more")
		}
	}
}

// settle waits until nothing is in trouble: each copy of each stream is there and current,
// and events reach the watchers of every replica.
func (c *cluster) settle() {
	c.t.Helper()
	c.leader()
	_, first := c.posted()
	for i := range c.replicas {
		c.seen(first, []int{i})
	}
	for _, r := range c.replicas {
		until(c.t, strings.TrimSuffix(r.at.get(), "/api/v1")+"/readyz", func(status int, _ string) bool { return status == 200 })
	}
}

// leader waits until each copy of each stream is there and current, and returns the server
// that leads the stream of the log.
func (c *cluster) leader() *natsd {
	c.t.Helper()
	for deadline := time.Now().Add(2 * patience); ; time.Sleep(50 * time.Millisecond) {
		s, err := c.leads()
		if err == nil {
			return s
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("the NATS servers do not recover: %v", err)
		}
	}
}

// leads returns the server that leads the stream of the log, unless something is missing.
func (c *cluster) leads() (*natsd, error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	var urls []string
	for _, s := range c.servers {
		urls = append(urls, "nats://"+s.client)
	}
	nc, err := nats.Connect(strings.Join(urls, ","))
	if err != nil {
		return nil, err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	name := ""
	for _, stream := range []string{"KV_vstream-leases", "vstream-vc"} {
		s, err := js.Stream(ctx, stream)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", stream, err)
		}
		info := s.CachedInfo().Cluster
		if info.Leader == "" || len(info.Replicas) != 2 {
			return nil, fmt.Errorf("%s has %d followers of %q", stream, len(info.Replicas), info.Leader)
		}
		for _, r := range info.Replicas {
			if r.Offline || !r.Current {
				return nil, fmt.Errorf("%s: %s is behind", stream, r.Name)
			}
		}
		name = info.Leader
	}
	return c.servers[slices.IndexFunc(c.servers, func(s *natsd) bool { return s.name == name })], nil
}

// collecting returns the number of the replica that collects.
func (c *cluster) collecting() int {
	c.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		for i, r := range c.replicas {
			if status, text := fetch(c.t, r.at.get()+"/vcenters"); status == 200 && strings.Contains(text, `"state":"collecting"`) {
				return i
			}
		}
		if time.Now().After(deadline) {
			c.t.Fatal("no replica collects")
		}
	}
}

func but(i int) []int { return []int{(i + 1) % 3, (i + 2) % 3} }

func (c *cluster) stopCollecting() (heal func(), healthy []int) {
	i := c.collecting()
	c.replicas[i].p.stop()
	return func() { c.startReplica(c.replicas[i]) }, but(i)
}

func (c *cluster) killCollecting() (heal func(), healthy []int) {
	i := c.collecting()
	_ = c.replicas[i].p.Process.Kill()
	<-c.replicas[i].p.done
	return func() { c.startReplica(c.replicas[i]) }, but(i)
}

func (c *cluster) cutCollecting() (heal func(), healthy []int) {
	i := c.collecting()
	c.replicas[i].proxy.cut()
	return c.replicas[i].proxy.heal, but(i)
}

func (c *cluster) cutAnother() (heal func(), healthy []int) {
	i := but(c.collecting())[c.random.IntN(2)]
	c.replicas[i].proxy.cut()
	return c.replicas[i].proxy.heal, but(i)
}

func (c *cluster) killLeader() (heal func(), healthy []int) {
	s := c.leader()
	s.kill()
	return func() { c.startServer(s) }, []int{0, 1, 2}
}

// finish ends the load, and compares what every watcher has seen, and what every replica
// tells now, with what the vCenter has told. It returns how many events that were.
func (c *cluster) finish() int {
	c.t.Helper()
	c.stopLoad()
	told := c.vc.Told()
	after := make([]*follower, len(c.replicas))
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	var all sync.WaitGroup
	for i := range after {
		after[i] = &follower{first: i, stays: true, next: 1, enough: len(told)}
		all.Go(func() { after[i].run(ctx, c.replicas) })
	}
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if !slices.ContainsFunc(c.followers, func(f *follower) bool { return f.when(len(told) - 1).IsZero() }) {
			break
		}
	}
	all.Wait()
	c.stopReading()
	for i, f := range slices.Concat(after, c.followers) {
		if len(f.events) != len(told) {
			c.t.Errorf("watcher %d has got %d events of %d", i, len(f.events), len(told))
			continue
		}
		for j := range told {
			if f.events[j].id != int(told[j].Key) || f.events[j].sum != after[0].events[j].sum {
				c.t.Errorf("watcher %d: event %d is %d, told was %d, or its text is another", i, j, f.events[j].id, told[j].Key)
				break
			}
		}
	}
	for _, r := range c.replicas {
		r.p.stop()
	}
	return len(told)
}

// follower is a client as the documentation wants it: it goes on after the last event that
// it has got, at another replica when one ends its watch or tells nothing.
type follower struct {
	first  int  // the replica it begins with
	stays  bool // with that
	enough int  // events, unless it is 0

	mu     sync.Mutex
	next   int         // under mu
	events []seenEvent // under mu
}

type seenEvent struct {
	id  int
	sum uint64
	at  time.Time
}

var sumSeed = maphash.MakeSeed()

// when returns when it has got the event of this number, zero if it has not.
func (f *follower) when(number int) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if number >= len(f.events) {
		return time.Time{}
	}
	return f.events[number].at
}

func (f *follower) run(ctx context.Context, replicas []*replica) {
	for i := f.first; ctx.Err() == nil; {
		f.watch(ctx, replicas[i].at.get())
		f.mu.Lock()
		done := f.enough > 0 && len(f.events) >= f.enough
		f.mu.Unlock()
		if done {
			return
		}
		if !f.stays {
			i = (i + 1) % len(replicas)
		}
		select {
		case <-ctx.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// stall is after what time without an event a watcher tries another replica.
const stall = 5 * time.Second

func (f *follower) watch(ctx context.Context, base string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	impatience := time.AfterFunc(stall, cancel)
	defer impatience.Stop()
	f.mu.Lock()
	next := f.next
	f.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/vcenters/vc/events?watch=true&cursor=vc."+strconv.Itoa(next-1), nil)
	if err != nil {
		return
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return
	}
	for lines := bufio.NewReader(res.Body); ; {
		line, err := lines.ReadBytes('\n')
		var e struct{ ID string }
		if err != nil || json.Unmarshal(line, &e) != nil {
			return // what was cut off comes again
		}
		id, err := strconv.Atoi(e.ID)
		if err != nil {
			return
		}
		impatience.Reset(stall)
		f.mu.Lock()
		f.events = append(f.events, seenEvent{id, maphash.Bytes(sumSeed, line), time.Now()})
		f.next = id + 1
		enough := f.enough > 0 && len(f.events) >= f.enough
		f.mu.Unlock()
		if enough {
			return
		}
	}
}

// proxy passes connections on to the first of its targets that answers. While it is cut it
// keeps what it is given, as a network does that has lost its way, and tells nobody.
type proxy struct {
	address string
	targets []string

	mu   sync.Mutex
	open chan struct{} // under mu; closed while it is not cut
}

func newProxy(t *testing.T, targets []string) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: l.Addr().String(), targets: targets, open: make(chan struct{})}
	close(p.open)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { p.serve(ctx, conn) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		all.Wait()
	})
	return p
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open = make(chan struct{})
}

func (p *proxy) heal() {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.open)
}

// pass waits until the proxy is not cut.
func (p *proxy) pass(ctx context.Context) bool {
	p.mu.Lock()
	open := p.open
	p.mu.Unlock()
	select {
	case <-open:
		return true
	case <-ctx.Done():
		return false
	}
}

func (p *proxy) serve(ctx context.Context, client net.Conn) {
	defer client.Close()
	if !p.pass(ctx) {
		return
	}
	var target net.Conn
	for _, address := range p.targets {
		var err error
		if target, err = (&net.Dialer{}).DialContext(ctx, "tcp", address); err == nil {
			break
		}
	}
	if target == nil {
		return
	}
	defer target.Close()
	stop := context.AfterFunc(ctx, func() { client.Close(); target.Close() })
	defer stop()
	var both sync.WaitGroup
	both.Go(func() { p.copy(ctx, target, client) })
	both.Go(func() { p.copy(ctx, client, target) })
	both.Wait()
}

func (p *proxy) copy(ctx context.Context, to, from net.Conn) {
	defer to.Close()
	buffer := make([]byte, 64<<10)
	for {
		n, err := from.Read(buffer)
		if !p.pass(ctx) {
			return
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
