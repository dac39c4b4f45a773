package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	sse "github.com/tmaxmax/go-sse"

	"vstream/internal/vcentertest"
)

// TestClientsOfOthersFollowThroughRestarts lets clients that we have not written, as they
// come, follow a filtered stream of two vCenters, while the server is stopped, killed and
// started again at the same address under load.
func TestClientsOfOthersFollowThroughRestarts(t *testing.T) {
	clients := map[string]follow{"go-sse": followWithGoSSE, "Chromium": followWithChromium}
	if _, err := exec.LookPath(browser); err != nil {
		delete(clients, "Chromium")
		t.Run("Chromium", func(t *testing.T) {
			t.Skipf("there is no %s here; install it to test with the EventSource of a browser", browser)
		})
	}
	for _, kept := range []string{"in memory", "in a directory"} {
		t.Run(kept, func(t *testing.T) {
			t.Parallel()
			var settings []string
			if kept == "in a directory" {
				settings = append(settings, "LOG_DIR="+t.TempDir())
			}
			followThroughRestarts(t, settings, clients)
		})
	}
}

// browser is the program with an EventSource.
const browser = "chromium"

// follow begins to follow the events of a server with a client, until the test ends.
type follow func(t *testing.T, base, query string) *received

func followThroughRestarts(t *testing.T, settings []string, clients map[string]follow) {
	rounds := 6
	if testing.Short() {
		rounds = 2
	}
	vcenters := []*vcentertest.VCenter{vcentertest.New(t), vcentertest.New(t)}
	var file strings.Builder
	file.WriteString("vcenters:\n")
	for i, vc := range vcenters {
		vc.PostN(50)
		fmt.Fprintf(&file, "  - {name: vc%d, url: '%s', secretPath: '%s', insecure: true}\n", i+1, vc.URL(), vc.Secret(t))
	}
	path := filepath.Join(t.TempDir(), "vstream.yaml")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	loading, stopLoad := context.WithCancel(t.Context())
	var load sync.WaitGroup
	for _, vc := range vcenters {
		load.Go(func() {
			for loading.Err() == nil { // about 100 events a second, in bursts
				vc.PostN(rand.IntN(10))
				time.Sleep(45 * time.Millisecond)
			}
		})
	}
	defer load.Wait()
	defer stopLoad()

	port := freePorts(t, 1)[0]
	env := append([]string{"PORT=" + port, "LOG_MAX_SEGMENT_SIZE=50000"}, settings...)
	serve := start(t, env, "serve", "--config", path)
	base := api(serve)
	for _, vc := range []string{"vc1", "vc2"} {
		until(t, base+"/vcenters/"+vc+"/events", has(50))
	}
	const query = "type=VmPoweredOnEvent,VmPoweredOffEvent&severity=info"
	all := map[string]*received{}
	for name, follow := range clients {
		all[name] = follow(t, base, query)
	}
	catchUp := func() {
		t.Helper()
		for _, vc := range vcenters {
			told := vc.Told()
			for name, got := range all {
				got.waitFor(t, name, vc, lastSwitched(told))
			}
		}
	}
	catchUp()
	for round := range rounds {
		if round%2 == 0 {
			if err := serve.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			<-serve.done
		} else {
			serve.stop()
		}
		time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond) // the moment is the test
		serve = start(t, env, "serve", "--config", path)
		if base != api(serve) {
			t.Fatalf("the server is at %s, and was at %s", api(serve), base)
		}
		for _, vc := range vcenters {
			vc.PostN(26) // to be sure that there is something to follow
		}
		catchUp()
	}
	stopLoad()
	load.Wait()

	for i, vc := range vcenters {
		told := vc.Told()
		events := base + "/vcenters/vc" + strconv.Itoa(i+1)
		until(t, events+"/range", func(_ int, text string) bool {
			return strings.HasSuffix(text, fmt.Sprintf(`"latest":%d}`+"\n", told[len(told)-1].Key))
		})
		held := readAll(t, events+"/events?offset=earliest&limit=1000&"+query)
		for name, got := range all {
			got.waitFor(t, name, vc, lastSwitched(told))
			got.compare(t, fmt.Sprintf("%s, vc%d", name, i+1), vc, held)
		}
	}
	serve.stop()
}

// lastSwitched returns the key of the last event that powers a virtual machine on or off.
func lastSwitched(told []vcentertest.Event) int32 {
	for _, e := range slices.Backward(told) {
		if e.Type == "VmPoweredOnEvent" || e.Type == "VmPoweredOffEvent" {
			return e.Key
		}
	}
	return 0
}

// readAll returns the events of a page and all that follow it.
func readAll(t *testing.T, page string) []string {
	t.Helper()
	var all []string
	for {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
		if err != nil {
			t.Fatal(err)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var events []json.RawMessage
		if err := json.NewDecoder(res.Body).Decode(&events); err != nil || res.StatusCode != http.StatusOK {
			t.Fatalf("%s answers %s, %v", page, res.Status, err)
		}
		for _, e := range events {
			all = append(all, string(e))
		}
		if res.Header.Get("Stream-Up-To-Date") == "true" {
			return all
		}
		next := regexp.MustCompile(`<([^>]*)>; rel="next"`).FindStringSubmatch(strings.Join(res.Header.Values("Link"), ", "))
		if next == nil {
			t.Fatalf("%s leads nowhere: %v", page, res.Header)
		}
		if page, err = resolve(page, next[1]); err != nil {
			t.Fatal(err)
		}
	}
}

func resolve(base, reference string) (string, error) {
	req, err := http.NewRequest(http.MethodGet, base, nil)
	if err != nil {
		return "", err
	}
	to, err := req.URL.Parse(reference)
	if err != nil {
		return "", err
	}
	return to.String(), nil
}

// received is what a client has got: the texts of events, by their sources.
type received struct {
	mu       sync.Mutex
	bySource map[string][]string // under mu
	err      error               // under mu; why it has given up
}

// add takes the data of a message.
func (r *received) add(data string) {
	var e struct{ Source, ID string }
	err := json.Unmarshal([]byte(data), &e)
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.err = fmt.Errorf("%w in %s", err, data)
		return
	}
	if r.bySource == nil {
		r.bySource = map[string][]string{}
	}
	r.bySource[e.Source] = append(r.bySource[e.Source], data)
}

func (r *received) fail(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.err = err
}

// waitFor waits until the event with this key of a vCenter has come, or a later one.
func (r *received) waitFor(t *testing.T, client string, vc *vcentertest.VCenter, key int32) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		r.mu.Lock()
		events, err := r.bySource[vc.URL().String()], r.err
		r.mu.Unlock()
		if err != nil {
			t.Fatalf("%s: %v", client, err)
		}
		last := "0"
		if len(events) > 0 {
			last = decode(t, events[len(events)-1]).ID
		}
		if n, _ := strconv.Atoi(last); n >= int(key) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: after event %s nothing more comes of what was told up to %d", client, last, key)
		}
	}
}

// compare checks that from the first event that came of a vCenter on just those came that
// the log holds, each once and in order.
func (r *received) compare(t *testing.T, what string, vc *vcentertest.VCenter, held []string) {
	t.Helper()
	r.mu.Lock()
	came := slices.Clone(r.bySource[vc.URL().String()])
	r.mu.Unlock()
	first := slices.Index(held, came[0])
	if first < 0 {
		t.Errorf("%s: the first event is not in the log: %s", what, came[0])
		return
	}
	t.Logf("%s: %d events, from number %d of %d on", what, len(came), first+1, len(held))
	if held = held[first:]; slices.Equal(came, held) {
		return
	}
	at := 0
	for at < min(len(came), len(held)) && came[at] == held[at] {
		at++
	}
	t.Errorf("%s: %d events came, the log holds %d; they differ from number %d on\ncame %v\nheld %v", what, len(came), len(held), at+1,
		came[at:min(at+2, len(came))], held[at:min(at+2, len(held))])
}

// followWithGoSSE follows with the defaults of that library.
func followWithGoSSE(t *testing.T, base, query string) *received {
	got := new(received)
	ctx, cancel := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/events?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	connection := sse.NewConnection(req)
	connection.SubscribeMessages(func(e sse.Event) { got.add(e.Data) })
	var done sync.WaitGroup
	done.Go(func() {
		if err := connection.Connect(); !errors.Is(err, context.Canceled) {
			got.fail(fmt.Errorf("go-sse has given up: %w", err))
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	return got
}

// followWithChromium follows with the EventSource of a browser, on a page of the server
// itself, which outlives the server.
func followWithChromium(t *testing.T, base, query string) *received {
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true))
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	tab, closeTab := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	t.Cleanup(closeTab)
	if err := chromedp.Do(tab, chromedp.Navigate(base+"/vcenters")); err != nil {
		t.Fatal(err)
	}
	begin := fmt.Sprintf(`
		globalThis.got = [];
		globalThis.source = new EventSource(%q);
		source.onmessage = message => got.push(message.data);
		new Promise(resolve => source.addEventListener("bookmark", resolve, {once: true})).then(() => true)`, "/api/v1/events?"+query)
	if _, err := chromedp.Run(tab, chromedp.Evaluate[bool](begin, chromedp.EvalAwaitPromise)); err != nil {
		t.Fatal(err)
	}
	got := new(received)
	var done sync.WaitGroup
	ended := make(chan struct{})
	done.Go(func() {
		for {
			page, err := chromedp.Run(tab, chromedp.Evaluate[struct {
				State  int      `json:"state"`
				Events []string `json:"events"`
			}](`({state: source.readyState, events: got.splice(0)})`))
			switch {
			case err != nil:
				got.fail(fmt.Errorf("chromium: %w", err))
				return
			case page.State == 2:
				got.fail(errors.New("the EventSource has given up"))
				return
			}
			for _, e := range page.Events {
				got.add(e)
			}
			select {
			case <-ended:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	t.Cleanup(func() { close(ended); done.Wait() })
	return got
}
