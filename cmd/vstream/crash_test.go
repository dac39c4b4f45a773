package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vstream/internal/vcentertest"
)

// TestNothingIsLostOrDoubledHoweverOftenItIsKilled kills serve at random moments, also
// while it starts, with its log in a directory. Meanwhile a vCenter goes on telling events
// and watchers go on reading, each at the offset after the last event it has got.
func TestNothingIsLostOrDoubledHoweverOftenItIsKilled(t *testing.T) {
	rounds := 50
	if testing.Short() {
		rounds = 5
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, seed))
	vc := vcentertest.New(t)
	ctx, stop := context.WithCancel(t.Context())
	var load sync.WaitGroup
	load.Go(func() {
		for ctx.Err() == nil { // about 300 events a second, in bursts
			vc.PostN(rand.IntN(12))
			if rand.IntN(200) == 0 {
				vc.PostN(1200)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	defer load.Wait()
	defer stop()

	env := []string{
		"PORT=0", "VCENTER_NAME=vc", "VCENTER_STREAM_BEGIN=1h", "VCENTER_INSECURE=true",
		"VCENTER_URL=" + vc.URL().String(), "VCENTER_SECRET_PATH=" + vc.Secret(t), "LOG_DIR=" + t.TempDir(),
	}
	reading, stopReading := context.WithCancel(t.Context())
	var servers address
	watchers := make([]*watcher, 3)
	var wg sync.WaitGroup
	for i := range watchers {
		watchers[i] = &watcher{next: 1}
		wg.Go(func() { watchers[i].run(reading, &servers) })
	}
	defer wg.Wait()
	defer stopReading()

	for range rounds {
		serve := startAgain(t, env)
		servers.set(api(serve))
		time.Sleep(time.Duration(random.IntN(700)) * time.Millisecond) // the moment is the test
		if err := serve.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-serve.done
	}
	stop()
	load.Wait()

	serve := startAgain(t, env)
	base := api(serve)
	servers.set(base)
	told := vc.Told()
	last := int(told[len(told)-1].Key)
	until(t, base+"/range", func(_ int, text string) bool { return strings.HasSuffix(text, fmt.Sprintf(`"latest":%d}`+"\n", last)) })
	all := &watcher{next: 1}
	for _, w := range append(watchers, all) {
		if w == all {
			finite, cancel := context.WithTimeout(t.Context(), patience)
			w.until(finite, base, len(told))
			cancel()
		}
		for deadline := time.Now().Add(patience); w.count() < len(told) && time.Now().Before(deadline); {
			time.Sleep(10 * time.Millisecond)
		}
	}
	stopReading()
	wg.Wait()
	for i, w := range append(watchers, all) {
		if len(w.events) != len(told) {
			t.Errorf("watcher %d has got %d events of %d", i, len(w.events), len(told))
			continue
		}
		for j := range told {
			if w.events[j].id != int(told[j].Key) || !bytes.Equal(w.events[j].line, all.events[j].line) {
				t.Fatalf("watcher %d: event %d is %s, told was %d, and now it is %s", i, j, w.events[j].line, told[j].Key, all.events[j].line)
			}
		}
	}
	t.Logf("%d rounds, %d events", rounds, len(told))
	serve.stop()
}

// startAgain is start for tests that start so often that nothing of an earlier process
// may be kept until the end.
func startAgain(t *testing.T, env []string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("vstream", "serve"), t: t, grew: make(chan struct{}), done: make(chan struct{})}
	p.Env = env
	p.begin()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.done
	})
	return p
}

// address is where a server is now.
type address struct {
	mu  sync.Mutex
	url string
}

func (a *address) set(url string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.url = url
}

func (a *address) get() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.url
}

// watcher is a client as the documentation wants it: it goes on after the last event that
// it has got.
type watcher struct {
	mu     sync.Mutex
	next   int     // under mu
	events []event // under mu
}

type event struct {
	id   int
	line []byte
}

func (w *watcher) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.events)
}

// run watches until ctx is done, whatever becomes of the servers.
func (w *watcher) run(ctx context.Context, servers *address) {
	for ctx.Err() == nil {
		w.watch(ctx, servers.get(), -1)
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// until watches until it has got n events.
func (w *watcher) until(ctx context.Context, base string, n int) {
	for ctx.Err() == nil && w.count() < n {
		w.watch(ctx, base, n)
	}
}

func (w *watcher) watch(ctx context.Context, base string, n int) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	w.mu.Lock()
	url := base + "/events?watch=true&offset=" + strconv.Itoa(w.next)
	w.mu.Unlock()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
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
	lines := bufio.NewReader(res.Body)
	for w.count() != n {
		line, err := lines.ReadBytes('\n')
		var e struct{ ID string }
		if err != nil || json.Unmarshal(line, &e) != nil {
			return // what was cut off comes again
		}
		id, err := strconv.Atoi(e.ID)
		if err != nil {
			return
		}
		w.mu.Lock()
		w.events = append(w.events, event{id, line})
		w.next = id + 1
		w.mu.Unlock()
	}
}
