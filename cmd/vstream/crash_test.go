package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"vstream/internal/vcentertest"
)

// TestNothingIsLostOrDoubledHoweverOftenItIsKilled kills serve at random moments, also
// while it starts, with its log in a directory. Meanwhile a vCenter goes on telling events
// and watchers go on reading, each with the cursor of the last event it has got.
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
	serving := &replica{env: env}
	at := []*replica{serving}
	watchers := make([]*follower, 3)
	var wg sync.WaitGroup
	for i := range watchers {
		watchers[i] = &follower{stays: true, next: 1}
		wg.Go(func() { watchers[i].run(reading, at) })
	}
	defer wg.Wait()
	defer stopReading()

	for range rounds {
		serve := startAgain(t, env)
		serving.at.set(api(serve))
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
	serving.at.set(base)
	told := vc.Told()
	last := int(told[len(told)-1].Key)
	until(t, base+"/range", func(_ int, text string) bool { return strings.HasSuffix(text, fmt.Sprintf(`"latest":%d}`+"\n", last)) })
	all := &follower{stays: true, next: 1, enough: len(told)}
	finite, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	all.run(finite, at)
	for _, w := range watchers {
		for deadline := time.Now().Add(patience); w.when(len(told)-1).IsZero() && time.Now().Before(deadline); {
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
			if w.events[j].id != int(told[j].Key) || w.events[j].sum != all.events[j].sum {
				t.Fatalf("watcher %d: event %d is %d, told was %d, or its text is another now", i, j, w.events[j].id, told[j].Key)
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
	p.Env = append([]string{atOnce}, env...)
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
