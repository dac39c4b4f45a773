package collector_test

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"vstream"
	"vstream/internal/collector"
	"vstream/internal/memlog"
	"vstream/internal/vcenter"
	"vstream/internal/vcentertest"
)

var (
	stormFor  = flag.Duration("storm", 0, "how long TestStorm runs; 0 skips it")
	stormSeed = flag.Uint64("seed", 0, "the seed of TestStorm; 0 picks one")
)

// TestNothingIsLostOrDoubledWhateverFails runs a collector against a vCenter in which
// everything goes wrong that is known to go wrong, at random from a seed, and then compares
// what the vCenter told with what the log holds.
func TestNothingIsLostOrDoubledWhateverFails(t *testing.T) {
	for _, seed := range []uint64{1, 2, 3} {
		storm{seed: seed, rounds: 40}.run(t)
	}
	seed := uint64(rand.Uint32())
	storm{seed: seed, rounds: 40}.run(t)
}

// TestStorm does the same for as long as one likes: make storm.
func TestStorm(t *testing.T) {
	if *stormFor == 0 {
		t.Skip("takes long; run it with make storm")
	}
	seed := *stormSeed
	if seed == 0 {
		seed = uint64(rand.Uint32())
	}
	storm{seed: seed, until: time.Now().Add(*stormFor)}.run(t)
}

// stormRate is how many events happen in a storm, per second.
const stormRate = 200

// storm is a run of the test: so many rounds, or until a time.
type storm struct {
	seed   uint64
	rounds int
	until  time.Time
}

func (s storm) run(t *testing.T) {
	t.Logf("seed %d", s.seed)
	random := rand.New(rand.NewPCG(s.seed, s.seed))
	vc := vcentertest.New(t)
	secret := vc.Secret(t)
	rotate := func() {
		vc.SetUser("user", "pass"+string(rune('a'+random.IntN(26))))
		password, _ := vc.Userinfo().Password()
		next := filepath.Join(secret, "next")
		if err := os.WriteFile(next, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(next, filepath.Join(secret, "password")); err != nil {
			t.Fatal(err)
		}
	}

	log := memlog.New(10_000_000, 8<<30)
	var said lastWords
	source := &vcenter.Source{
		URL: vc.URL(), SecretPath: secret, Insecure: true, Begin: time.Hour, MaxBytes: 64 << 10,
		Logger: slog.New(slog.NewTextHandler(&said, nil)),
	}
	c := &collector.Collector{Name: "vc", Source: hasty{source}, Log: log, Logger: source.Logger, AuditInterval: 2 * time.Second}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Run(ctx)
	}()
	defer func() {
		cancel()
		<-done
		if t.Failed() {
			t.Logf("seed %d; it said last:\n%s", s.seed, said.String())
		}
	}()

	check := newChecker(t, log)
	began, posted := time.Now(), 0
	verify := func() {
		calm(vc)
		check.complete(t, vc)
	}
	for round := 0; s.until.IsZero() && round < s.rounds || time.Now().Before(s.until); round++ {
		due := int(time.Since(began).Seconds()*stormRate) - posted
		vc.PostN(due)
		posted += due
		s.trouble(vc, random, rotate)
		if round%50 == 25 {
			verify()
			rebirth(vc, random)
		}
		time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond)
		if !s.until.IsZero() && round%1000 == 999 {
			verify()
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			t.Logf("round %d: %d events in %v, %d goroutines, %d MiB, %d logins, status %+v", round+1, len(vc.Told()),
				time.Since(began).Round(time.Second), runtime.NumGoroutine(), m.HeapAlloc>>20, vc.Logins(), c.Status().State)
		}
	}
	verify()
	cancel()
	<-done
	if n := vc.Sessions(); n != 0 {
		t.Errorf("seed %d: %d sessions are left behind", s.seed, n)
	}
	if n := vc.Collectors(); n != 0 {
		t.Errorf("seed %d: %d collectors are left behind", s.seed, n)
	}
}

// calm ends all trouble.
func calm(vc *vcentertest.VCenter) {
	vc.Heal()
	vc.Up()
	vc.SetSilence(vcentertest.Nothing)
	vc.SetWakes(true)
}

// rebirth lets the keys start over. What had been told is collected by then, for nobody
// can tell it any more.
func rebirth(vc *vcentertest.VCenter, random *rand.Rand) {
	switch told := vc.Told(); random.IntN(3) {
	case 0:
		vc.Reset("")
	case 1:
		vc.Reset(fmt.Sprint("another ", random.Uint32()))
	case 2:
		last := told[len(told)-1]
		for _, e := range told { // the newest vCenter's events are the last
			if e.Epoch == last.Epoch && !e.Gone && random.IntN(20) == 0 {
				vc.Restore(e.Key)
				break
			}
		}
	}
}

// trouble makes something go wrong, or right again.
func (s storm) trouble(vc *vcentertest.VCenter, random *rand.Rand, rotate func()) {
	methods := []string{"*", "ReadNextEvents", "WaitForUpdatesEx", "CreateCollectorForEvents", "CurrentTime",
		"Login", "RetrieveServiceContent", "DestroyCollector", "CreateFilter", "RetrieveProperties"}
	quick := []vcentertest.Kind{vcentertest.NotAuthenticated, vcentertest.ManagedObjectNotFound, vcentertest.InvalidState,
		vcentertest.RuntimeFault, vcentertest.Status500, vcentertest.Status503, vcentertest.HTMLPage,
		vcentertest.CutChunked, vcentertest.CutShort, vcentertest.LostAnswer, vcentertest.EmptyBody}
	switch random.IntN(30) {
	case 0, 1, 2, 3, 4, 5, 6, 7:
		vc.Inject(vcentertest.Fault{
			Method: methods[random.IntN(len(methods))],
			After:  random.IntN(4),
			Times:  1 + random.IntN(3),
			Kind:   quick[random.IntN(len(quick))],
		})
	case 8:
		vc.TerminateSessions()
	case 9:
		vc.ForgetCollectors()
	case 10:
		vc.Restart()
	case 11:
		vc.Down()
	case 12, 13:
		vc.Up()
	case 14:
		vc.SkipKeys(1 + random.Int32N(50))
	case 15:
		vc.PostXML(func(key int32, created time.Time) string { return crafted(random, key, created) })
	case 16:
		if random.IntN(20) == 0 {
			vc.PostN(1500) // a burst beyond a page
		}
	case 17:
		vc.SetWakes(random.IntN(2) == 0)
	case 18:
		rotate()
	case 19:
		vc.SetSilence(vcentertest.Existing)
	case 20:
		vc.Heal()
	}
}

// crafted is an event that cannot be decoded, or hardly.
func crafted(random *rand.Rand, key int32, created time.Time) string {
	base := vcentertest.Base(key, created)
	switch random.IntN(7) {
	case 0:
		return `<returnval xsi:type="NobodyKnowsThisEvent">` + base + `<x>1</x></returnval>`
	case 1:
		return `<returnval xsi:type="VirtualDisk">` + base + `</returnval>`
	case 2:
		return `<returnval xsi:type="VmPoweredOnEvent">` + base + "<fullFormattedMessage>\x01 &#x1; \xff</fullFormattedMessage></returnval>"
	case 3:
		return `<returnval xsi:type="VmPoweredOnEvent">` + base + `<template>perhaps</template></returnval>`
	case 4:
		return `<returnval xsi:type="EventEx">` + base + `<eventTypeId>a.b</eventTypeId><broken></returnval>`
	case 5:
		return `<returnval xsi:type="VmPoweredOnEvent">` + base + `<fullFormattedMessage>` + strings.Repeat("long ", 100_000) + `</fullFormattedMessage></returnval>`
	default:
		return `<returnval xsi:type="EventEx">` + base + `<eventTypeId>a.b</eventTypeId><arguments><key>k</key><value xsi:type="NobodyKnowsThis">1</value></arguments></returnval>`
	}
}

// complete waits until the log holds all that the vCenter told, and checks that it holds
// nothing else, nothing twice, and all in order.
func complete(t *testing.T, vc *vcentertest.VCenter, log vstream.Log) {
	t.Helper()
	newChecker(t, log).complete(t, vc)
}

// A checker compares a log with what a vCenter told. It looks at each event once, however
// often it is asked.
type checker struct {
	reader vstream.Reader
	got    map[vstream.Offset]time.Time
}

func newChecker(t *testing.T, log vstream.Log) *checker {
	t.Helper()
	reader, err := log.Open(t.Context(), vstream.Oldest{})
	if err != nil {
		t.Fatal(err)
	}
	return &checker{reader, map[vstream.Offset]time.Time{}}
}

func (c *checker) complete(t *testing.T, vc *vcentertest.VCenter) {
	t.Helper()
	want := map[vstream.Offset]vcentertest.Event{}
	for _, e := range vc.Told() {
		want[vstream.OffsetOf(uint32(e.Epoch), e.Key)] = e
	}
	for deadline := time.Now().Add(time.Minute); len(c.got) < len(want); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			var missing []vstream.Offset
			for o := range want {
				if _, ok := c.got[o]; !ok {
					missing = append(missing, o)
				}
			}
			slices.Sort(missing)
			t.Fatalf("the log holds %d of %d events; the first it lacks is %d of %v, the last %d of %v", len(c.got), len(want),
				missing[0], want[missing[0]].Created, missing[len(missing)-1], want[missing[len(missing)-1]].Created)
		}
		c.read(t)
	}
	for o, at := range c.got {
		told, ok := want[o]
		if !ok {
			t.Fatalf("event %d of %v was never told", o, at)
		}
		if !at.Equal(told.Created) {
			t.Fatalf("event %d is of %v, want %v", o, at, told.Created)
		}
	}
}

func (c *checker) read(t *testing.T) {
	t.Helper()
	for {
		events, err := c.reader.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return
		}
		for i := range events {
			o := events[i].Offset
			if _, ok := c.got[o]; ok {
				t.Fatalf("event %d is there twice", o)
			}
			c.got[o] = events[i].Time
		}
	}
}

// hasty is a source whose pauses are short: the storm has no time.
type hasty struct{ *vcenter.Source }

func (h hasty) Pause(ctx context.Context, d time.Duration) {
	h.Source.Pause(ctx, min(d, 50*time.Millisecond))
}

// lastWords keeps the end of what a logger heard.
type lastWords struct {
	mu   sync.Mutex
	text []byte
}

func (l *lastWords) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, b...)
	if over := len(l.text) - 5_000; over > 5_000 {
		l.text = append([]byte(nil), l.text[over:]...)
	}
	return len(b), nil
}

func (l *lastWords) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}
