package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vstream"
	"vstream/client"
	"vstream/internal/vcentertest"
)

var (
	soakFor    = flag.Duration("soak", 10*time.Second, "how long TestSoak runs")
	soakReport = flag.String("soak-report", "", "the file that TestSoak writes its report to")
)

const (
	soakRate     = 100 // events a second
	soakWatchers = 500
	soakRestarts = 7
	// soakFilter is what every fifth watcher asks for.
	soakFilter = "warning,error"
)

// TestSoak runs serve with its log in a directory, which soon is as full as it may be, and
// hundreds of watchers, while the vCenter fails in every way and, for the first third of the
// time, serve is killed and stopped. After the first and the second half it rests, so that
// what it takes then can be compared: it has run through all of the second half. For a long
// run: make soak.
func TestSoak(t *testing.T) {
	seed := rand.Uint64()
	s := &soak{t: t, random: rand.New(rand.NewPCG(seed, seed)), vc: vcentertest.New(t), began: time.Now(), faults: map[string]int{}}
	s.secret = s.vc.Secret(t)
	port := freePorts(t, 1)[0]
	s.env = []string{
		"PORT=" + port, "VCENTER_NAME=vc", "VCENTER_STREAM_BEGIN=1h", "VCENTER_INSECURE=true", "VCENTER_URL=" + s.vc.URL().String(),
		"VCENTER_SECRET_PATH=" + s.secret, "LOG_DIR=" + t.TempDir(), "LOG_MAX_BYTES=32MiB", "WATCH_MAX_AGE=2m", "GOMEMLIMIT=1GiB",
	}
	s.vc.PostN(1)
	s.serve = startAgain(t, s.env)
	base := api(s.serve)
	s.server = strings.TrimSuffix(base, "/api/v1")
	until(t, base+"/range", func(status int, _ string) bool { return status == http.StatusOK })

	reading, stopReading := context.WithCancel(t.Context())
	watchers := make([]*soakWatcher, soakWatchers)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopReading()
	for i := range watchers {
		watchers[i] = &soakWatcher{some: i%5 == 4}
		wg.Go(func() { watchers[i].run(reading, s.server) })
	}

	s.storm(*soakFor/3, soakRestarts)
	s.storm(*soakFor/6, 0)
	before := s.rest()
	run := len(s.taken)
	s.storm(*soakFor/2, 0)
	load := s.taken[run:]
	after := s.rest()
	last := s.posted + 1
	for i, w := range watchers {
		w.await(t, i, last)
	}
	stopReading()
	wg.Wait()
	reference, some := watchers[0].told(true), watchers[0].told(false)
	for i, w := range watchers {
		switch got := w.told(!w.some); {
		case w.err != nil:
			t.Errorf("watcher %d: %v", i, w.err)
		case !w.some && got != reference, w.some && got != some:
			t.Errorf("watcher %d has got %+v, another one %+v of all, %+v of %s", i, got, reference, some, soakFilter)
		}
	}
	if reference.events != last {
		t.Errorf("%d events happened, %d were told", last, reference.events)
	}
	sessions := s.vc.Sessions() // also those of servers that were killed
	s.serve.stop()
	if left := s.vc.Sessions(); sessions > 0 && left != sessions-1 {
		t.Errorf("of %d sessions %d are left behind by the stop", sessions, left)
	}
	s.compare("at rest", before, after)
	if n := len(load) / 2; n > 0 {
		s.compare("under load", middle(load[:n]), middle(load[n:]))
	}
	s.report(seed, watchers)
}

// A soak is one run of the test.
type soak struct {
	t       *testing.T
	random  *rand.Rand
	vc      *vcentertest.VCenter
	secret  string
	env     []string
	server  string // its URL, the same after each start
	serve   *process
	began   time.Time
	stormed time.Duration // in all
	posted  int
	kills   int
	stops   int
	faults  map[string]int
	taken   []use // every sampleEvery
	sampled time.Time
	memory  strings.Builder // lines of the report
}

// storm lets events happen, and everything go wrong, for a time in which serve begins anew
// so often.
func (s *soak) storm(d time.Duration, restarts int) {
	began, begun := time.Now(), 0
	defer func() { s.stormed += d }()
	for {
		passed := time.Since(began)
		if passed > d {
			return
		}
		if due := int((s.stormed+passed).Seconds()*soakRate) - s.posted; due > 0 {
			s.vc.PostN(due)
			s.posted += due
		}
		if s.random.IntN(20) == 0 {
			s.trouble()
		}
		if begun < restarts && passed > time.Duration(begun+1)*d/time.Duration(restarts+1) {
			s.restart()
			begun++
		}
		s.sample()
		time.Sleep(50 * time.Millisecond)
	}
}

// restart kills serve, or stops it, and starts it again.
func (s *soak) restart() {
	if s.random.IntN(2) == 0 {
		_ = s.serve.Process.Kill()
		<-s.serve.done
		s.kills++
	} else {
		s.serve.stop()
		s.stops++
	}
	s.serve = startAgain(s.t, s.env)
}

// trouble makes something go wrong, or right again.
func (s *soak) trouble() {
	kinds := []vcentertest.Kind{
		vcentertest.NotAuthenticated, vcentertest.ManagedObjectNotFound, vcentertest.InvalidState, vcentertest.RuntimeFault, vcentertest.Status500,
		vcentertest.Status503, vcentertest.HTMLPage, vcentertest.CutChunked, vcentertest.CutShort, vcentertest.LostAnswer, vcentertest.EmptyBody,
	}
	what := ""
	switch n := s.random.IntN(16); n {
	case 0:
		what = "sessions ended"
		s.vc.TerminateSessions()
	case 1:
		what = "collectors forgotten"
		s.vc.ForgetCollectors()
	case 2:
		what = "vCenter restarted"
		s.vc.Restart()
	case 3:
		what = "vCenter away"
		s.vc.Down()
	case 4, 5, 6:
		s.vc.Up()
		s.vc.Heal()
		s.vc.SetSilence(vcentertest.Nothing)
	case 7:
		what = "collectors silent"
		s.vc.SetSilence(vcentertest.Existing)
	case 8:
		what = "password changed"
		s.rotate()
	default:
		kind := kinds[s.random.IntN(len(kinds))]
		what = kind.String()
		s.vc.Inject(vcentertest.Fault{Method: "*", After: s.random.IntN(4), Times: 1 + s.random.IntN(3), Kind: kind})
	}
	if what != "" {
		s.faults[what]++
	}
}

func (s *soak) rotate() {
	s.vc.SetUser("user", "pass"+strconv.Itoa(s.random.IntN(1000)))
	password, _ := s.vc.Userinfo().Password()
	next := filepath.Join(s.secret, "next")
	if err := os.WriteFile(next, []byte(password+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Rename(next, filepath.Join(s.secret, "password")); err != nil {
		s.t.Fatal(err)
	}
}

// calm ends all trouble.
func (s *soak) calm() {
	s.vc.Up()
	s.vc.Heal()
	s.vc.SetSilence(vcentertest.Nothing)
	_, _ = s.vc.PostN(1)
	s.posted++
}

// soakPatience is how long watchers may take to get the last event when all is well again:
// a vCenter that was away is asked again after a minute at most.
const soakPatience = 3 * time.Minute

// A soakWatcher reads all events, or some, with the Go client, and never comes back.
type soakWatcher struct {
	some bool

	mu         sync.Mutex
	all        soakSum // under mu; of all events
	chosen     soakSum // under mu; of those that soakFilter passes
	latest     int     // under mu; the last event or bookmark
	reconnects int     // under mu
	err        error   // under mu until run has ended; the first thing that was wrong
}

// A soakSum is a digest of events in their order.
type soakSum struct {
	events int
	sum    uint64
}

func (s *soakSum) add(id string) {
	h := fnv.New64a()
	fmt.Fprintf(h, "%d %s", s.sum, id)
	s.events, s.sum = s.events+1, h.Sum64()
}

func (w *soakWatcher) run(ctx context.Context, server string) {
	c, err := client.New(server, client.WithRetry(client.Retry{Min: 50 * time.Millisecond, Max: 2 * time.Second}))
	if err != nil {
		w.fail(err)
		return
	}
	options := []client.ReadOption{
		client.Earliest(), client.Heartbeat(2 * time.Second),
		client.OnGap(func(g client.Gap) error { return fmt.Errorf("told of a gap: %+v", g) }),
		client.OnReconnect(func(client.Reconnect) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.reconnects++
			return nil
		}),
		client.OnBookmark(func(b client.Bookmark) { w.reach(b.Cursor) }),
	}
	if w.some {
		options = append(options, client.Severity(strings.Split(soakFilter, ",")...))
	}
	for e, err := range c.Watch(ctx, options...) {
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			w.fail(err)
			return
		}
		w.take(e)
	}
}

func (w *soakWatcher) take(e client.Event) {
	w.mu.Lock()
	if before := w.all.events; !w.some && int(e.Offset) != before+1 {
		w.err = errors.Join(w.err, fmt.Errorf("event %s came after %d events", e.ID, before))
	}
	w.all.add(e.ID)
	if slices.Contains(strings.Split(soakFilter, ","), e.Severity) {
		w.chosen.add(e.ID)
	}
	w.mu.Unlock()
	w.reach(e.Cursor)
}

func (w *soakWatcher) reach(c vstream.Cursor) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.latest = max(w.latest, int(c["vc"].Offset))
}

func (w *soakWatcher) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = errors.Join(w.err, err)
}

func (w *soakWatcher) told(all bool) soakSum {
	w.mu.Lock()
	defer w.mu.Unlock()
	if all {
		return w.all
	}
	return w.chosen
}

// await waits until the watcher is done with the last event.
func (w *soakWatcher) await(t *testing.T, i, last int) {
	t.Helper()
	for deadline := time.Now().Add(soakPatience); ; time.Sleep(20 * time.Millisecond) {
		w.mu.Lock()
		latest, err := w.latest, w.err
		w.mu.Unlock()
		if err != nil || latest >= last {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("watcher %d has got to %d of %d", i, latest, last)
		}
	}
}
