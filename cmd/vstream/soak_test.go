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

	"github.com/dustin/go-humanize"

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
	// soakFilter is what every fifth watcher asks for.
	soakFilter = "warning,error"
)

// TestSoak runs serve with its log in a directory, which soon is as full as it may be, and
// hundreds of watchers, while the vCenter fails in every way and serve is killed and stopped.
// For the last half it runs through, so that its memory can be looked at. For a long run:
// make soak.
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
	until(t, base+"/range", func(status int, _ string) bool { return status == http.StatusOK })

	reading, stopReading := context.WithCancel(t.Context())
	watchers := make([]*soakWatcher, soakWatchers)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer stopReading()
	for i := range watchers {
		watchers[i] = &soakWatcher{some: i%5 == 4}
		wg.Go(func() { watchers[i].run(reading, strings.TrimSuffix(base, "/api/v1")) })
	}

	s.storm()
	s.calm()
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
	before := s.vc.Sessions() // also those of servers that were killed
	s.serve.stop()
	if after := s.vc.Sessions(); before > 0 && after != before-1 {
		t.Errorf("of %d sessions %d are left behind by the stop", before, after)
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
	serve   *process
	began   time.Time
	posted  int
	kills   int
	stops   int
	faults  map[string]int
	memory  []int64 // of serve since its last start, in bytes, every memoryEvery
	sampled time.Time
}

const memoryEvery = time.Second

// storm lets events happen, and everything go wrong.
func (s *soak) storm() {
	half := *soakFor / 2
	restart := s.began.Add(half / 8)
	for {
		passed := time.Since(s.began)
		if passed > *soakFor {
			return
		}
		if due := int(passed.Seconds()*soakRate) - s.posted; due > 0 {
			s.vc.PostN(due)
			s.posted += due
		}
		if s.random.IntN(20) == 0 {
			s.trouble()
		}
		if passed < half && time.Now().After(restart) {
			s.restart()
			restart = time.Now().Add(half / 8)
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
	s.memory = nil
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

// sample notes how much memory serve has now.
func (s *soak) sample() {
	if time.Since(s.sampled) < memoryEvery {
		return
	}
	s.sampled = time.Now()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.serve.Process.Pid))
	if err != nil {
		return // not on this system
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	if fields := strings.Fields(rest); len(fields) > 0 {
		if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
			s.memory = append(s.memory, n<<10)
		}
	}
}

// growth compares the memory of the last quarter of the time that serve ran through with that
// of the second one. In the first it fills.
func (s *soak) growth() (before, after int64, ok bool) {
	n := len(s.memory)
	if n < 8 {
		return 0, 0, false
	}
	return middle(s.memory[n/4 : n/2]), middle(s.memory[n-n/4:]), true
}

func middle(values []int64) int64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
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

// report checks the memory, and writes what was seen.
func (s *soak) report(seed uint64, watchers []*soakWatcher) {
	reconnects, deliveries := 0, 0
	for _, w := range watchers {
		reconnects += w.reconnects
		deliveries += max(w.told(!w.some).events, 0)
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, fmt.Sprintf(format, args...))
	}
	b.WriteString("# A soak\n\nWritten by `make soak`: serve with its log in a directory, watchers with the Go client, a vCenter that fails in every way\n" +
		"it is known to, and a server that is killed and stopped in the first half.\n\n| | |\n|---|---|\n")
	line("Took", "%v", time.Since(s.began).Round(time.Second))
	line("Events", "%s, %d a second", humanize.Comma(int64(s.posted+1)), soakRate)
	line("Watchers", "%d, every fifth with a filter", len(watchers))
	line("Deliveries", "%s", humanize.Comma(int64(deliveries)))
	line("Server killed, stopped", "%d, %d times", s.kills, s.stops)
	line("Watches taken up again", "%s", humanize.Comma(int64(reconnects)))
	line("Faults of the vCenter", "%d calls failed", s.vc.Struck())
	var names []string
	for name := range s.faults {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		line(name, "%d", s.faults[name])
	}
	before, after, ok := s.growth()
	if ok {
		line("Memory of the server while it ran through", "%s in the second quarter, %s in the last", humanize.IBytes(uint64(before)), humanize.IBytes(uint64(after)))
	}
	// A quarter is what a shared machine and the collector of garbage may make of the same.
	if ok && *soakFor >= 10*time.Minute && after > before+before/4 {
		s.t.Errorf("the memory of the server has grown from %d to %d bytes", before, after)
	}
	verdict := "nothing lost, nothing doubled, nobody told of a gap"
	if s.t.Failed() {
		verdict = "FAILED"
	}
	line("Result", "%s", verdict)
	line("Seed", "%d", seed)
	s.t.Log("\n" + b.String())
	if *soakReport != "" {
		if err := os.WriteFile(*soakReport, []byte(b.String()), 0o644); err != nil {
			s.t.Error(err)
		}
	}
}
