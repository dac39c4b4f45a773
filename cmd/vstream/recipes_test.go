package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
	apps "k8s.io/api/apps/v1"
	strict "sigs.k8s.io/yaml"

	"vstream/internal/vcentertest"
)

const recipes = "../../docs/recipes"

// A recipe is code of docs/recipes that is run as it is.
type recipe struct {
	name  string
	needs []string // programs
	has   string   // a command that fails where a package is missing
	// args start it for a server, keeping its place in the file place. A sink is where it
	// sends events that prints none; it begins with http.
	args func(server, sink string) []string
}

var runnable = []recipe{
	{"follow.py", []string{"python3"}, "", func(server, _ string) []string { return []string{"python3", "follow.py", server, "place"} }},
	{"follow_requests.py", []string{"python3"}, "python3 -c 'import requests'", func(server, _ string) []string { return []string{"python3", "follow_requests.py", server, "place"} }},
	{"follow_httpx.py", []string{"python3"}, "python3 -c 'import httpx'", func(server, _ string) []string { return []string{"python3", "follow_httpx.py", server, "place"} }},
	{"vstream.py", []string{"python3"}, "", func(server, _ string) []string { return []string{"python3", "vstream.py", server, "place"} }},
	{"follow.mjs", []string{"node"}, "", func(server, _ string) []string { return []string{"node", "follow.mjs", server, "place"} }},
	{"eventsource.cjs", []string{"node"}, `node -e 'require.resolve("eventsource")'`, func(server, _ string) []string { return []string{"node", "eventsource.cjs", server, "place"} }},
	{"follow.ps1", []string{"pwsh"}, "", func(server, _ string) []string {
		return []string{"pwsh", "-NoProfile", "-File", "follow.ps1", "-Server", server, "-Place", "place"}
	}},
	{"follow.sh", []string{"sh", "curl", "jq"}, "", func(server, _ string) []string { return []string{"sh", "follow.sh", server, "place"} }},
	{"splunk.jq", []string{"sh", "curl", "jq"}, "", ship("splunk.jq", "Authorization: Splunk secret")},
	{"elastic.jq", []string{"sh", "curl", "jq"}, "", ship("elastic.jq", "Content-Type: application/x-ndjson")},
	{"loki.jq", []string{"sh", "curl", "jq"}, "", ship("loki.jq", "Content-Type: application/json")},
	{"chat.py", []string{"python3"}, "", func(server, sink string) []string {
		return []string{"sh", "-c", `printf %s "$1" >webhook && WEBHOOK_FILE=webhook exec python3 chat.py "$0" place`, server, sink}
	}},
	{"forward.py", []string{"python3"}, "", func(server, sink string) []string { return []string{"python3", "forward.py", server, "place", sink} }},
}

// ship returns what starts ship.sh with a form and a header.
func ship(form, header string) func(server, sink string) []string {
	return func(server, sink string) []string {
		return []string{"sh", "-c", `echo "$1" >headers && exec sh ship.sh "$2" place "$3" "$4" headers`, "sh", header, server, form, sink}
	}
}

// cookable returns those recipes that can be run here, and reports why others cannot.
func cookable(t *testing.T) []recipe {
	return slices.DeleteFunc(slices.Clone(runnable), func(r recipe) bool { return r.absent(t) })
}

// absent reports a test of r as skipped where something is missing for it.
func (r recipe) absent(t *testing.T) bool {
	reason := ""
	for _, program := range r.needs {
		if _, err := exec.LookPath(program); err != nil {
			reason = fmt.Sprintf("there is no %s here; install it to try this recipe", program)
		}
	}
	if reason == "" && r.has != "" {
		if said, err := exec.Command("sh", "-c", r.has).CombinedOutput(); err != nil {
			reason = fmt.Sprintf("a package is not here, as %s tells: %s", r.has, said[max(0, len(said)-200):])
		}
	}
	if reason != "" {
		t.Run(r.name, func(t *testing.T) { t.Skip(reason) })
	}
	return reason != ""
}

// A cook runs a recipe in a directory of its own, which has all of the code.
type cook struct {
	recipe
	t    *testing.T
	dir  string
	args []string
	now  *process
	said strings.Builder // by those that were killed
	sink *sink
}

func newCook(t *testing.T, r recipe, server string) *cook {
	t.Helper()
	c := &cook{recipe: r, t: t, dir: t.TempDir(), sink: newSink(t, r.name)}
	if err := os.CopyFS(c.dir, os.DirFS(filepath.Join(recipes, "code"))); err != nil {
		t.Fatal(err)
	}
	c.args = r.args(server, c.sink.URL)
	c.begin()
	return c
}

func (c *cook) begin() {
	c.now = &process{Cmd: exec.Command(c.args[0], c.args[1:]...), t: c.t, grew: make(chan struct{}), done: make(chan struct{})}
	c.now.Dir = c.dir
	c.now.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with what it starts
	c.now.begin()
	c.t.Cleanup(c.now.killGroup)
}

func (c *cook) kill() {
	c.now.killGroup()
	c.said.WriteString(c.now.text())
	c.now = nil
}

// got returns the ids of the events that were dealt with, in their order.
func (c *cook) got() []int {
	var ids []int
	for _, m := range regexp.MustCompile(`(?m)^(\d+)[ \t]`).FindAllStringSubmatch(c.said.String()+c.now.text(), -1) {
		id, _ := strconv.Atoi(m[1])
		ids = append(ids, id)
	}
	return append(ids, c.sink.got()...)
}

func (c *cook) waitFor(key int32) {
	c.t.Helper()
	for deadline := time.Now().Add(patience); !slices.Contains(c.got(), int(key)); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: event %d does not come; there are %v, and it says %s", c.name, key, c.got(), c.now.text())
		}
	}
}

// A sink is where recipes send events. It refuses some requests.
type sink struct {
	*httptest.Server
	t        *testing.T
	form     string
	mu       sync.Mutex
	ids      []int // under mu
	requests int   // under mu
}

func newSink(t *testing.T, form string) *sink {
	s := &sink{t: t, form: form}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

func (s *sink) got() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ids)
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	switch {
	case err != nil: // it was killed on the way
	case s.requests == 2 && s.form == "elastic.jq":
		fmt.Fprint(w, `{"took":1,"errors":true,"items":[]}`)
	case s.requests == 2:
		w.Header().Set("Retry-After", "1")
		http.Error(w, "too much", http.StatusServiceUnavailable)
	default:
		ids, err := s.read(r, body)
		if err != nil {
			s.t.Errorf("%s sends what cannot be read: %v in %.500s", s.form, err, body)
		}
		s.ids = append(s.ids, ids...)
		fmt.Fprint(w, `{"took":1,"errors":false}`)
	}
}

// read returns the ids of the events in a request.
func (s *sink) read(r *http.Request, body []byte) (ids []int, err error) {
	type event struct{ ID, Time string }
	var events []event
	switch decoder := json.NewDecoder(bytes.NewReader(body)); s.form {
	case "splunk.jq":
		for decoder.More() && err == nil {
			var e struct {
				Time  float64
				Event event
			}
			err = decoder.Decode(&e)
			if at, _ := time.Parse(time.RFC3339, e.Event.Time); err == nil && math.Abs(e.Time-float64(at.UnixMicro())/1e6) > 1e-3 {
				err = fmt.Errorf("%f is not %s", e.Time, e.Event.Time)
			}
			events = append(events, e.Event)
		}
		if err == nil && r.Header.Get("Authorization") != "Splunk secret" {
			err = fmt.Errorf("the headers are %v", r.Header)
		}
	case "elastic.jq":
		if kind := r.Header.Get("Content-Type"); kind != "application/x-ndjson" {
			return nil, fmt.Errorf("it comes as %s", kind)
		}
		for decoder.More() && err == nil {
			var action struct {
				Index struct {
					ID string `json:"_id"`
				}
			}
			var e event
			if err = decoder.Decode(&action); err == nil {
				err = decoder.Decode(&e)
			}
			if err == nil && !strings.HasSuffix(action.Index.ID, " "+e.ID) {
				err = fmt.Errorf("the id is %q", action.Index.ID)
			}
			events = append(events, e)
		}
	case "loki.jq":
		var push struct {
			Streams []struct{ Values [][2]string }
		}
		err = decoder.Decode(&push)
		for _, stream := range push.Streams {
			for _, v := range stream.Values {
				var e event
				if err = json.Unmarshal([]byte(v[1]), &e); err != nil {
					return nil, err
				}
				if at, _ := time.Parse(time.RFC3339, e.Time); v[0] != strconv.FormatInt(at.UnixNano(), 10) {
					return nil, fmt.Errorf("%s is not %s", v[0], e.Time)
				}
				events = append(events, e)
			}
		}
	case "chat.py":
		m := regexp.MustCompile(`"text": "[A-Z]+ (\d+) at `).FindSubmatch(body)
		if m == nil {
			return nil, fmt.Errorf("there is no text")
		}
		events = append(events, event{ID: string(m[1])})
	case "forward.py":
		var e struct {
			event
			Type string
		}
		err = decoder.Decode(&e)
		if r.Header.Get("Content-Type") != "application/cloudevents+json" || !strings.HasPrefix(e.Type, "com.vmware.vsphere.") {
			err = fmt.Errorf("it is %s as %s", e.Type, r.Header.Get("Content-Type"))
		}
		events = append(events, e.event)
	}
	for _, e := range events {
		id, bad := strconv.Atoi(e.ID)
		if bad != nil {
			err = bad
		}
		ids = append(ids, id)
	}
	return ids, err
}

// Each recipe is run against a server that is killed, away and stopped in the middle, and half of
// them are killed themselves.
func TestTheRecipesLoseNothingThroughRestartsOfThemAndOfTheServer(t *testing.T) {
	vc := vcentertest.New(t)
	vc.PostN(40)
	port := freePorts(t, 1)[0]
	server := "http://127.0.0.1:" + port
	page := newPage(t, server)
	env := []string{"PORT=" + port, "LOG_DIR=" + t.TempDir(), "VCENTER_URL=" + vc.URL().String(), "VCENTER_SECRET_PATH=" + vc.Secret(t), "VCENTER_NAME=vc1",
		"VCENTER_INSECURE=true", "VCENTER_STREAM_BEGIN=1h", "CLOUDEVENT_TYPE_PREFIX=com.vmware.vsphere", "CORS_ORIGINS=" + page.URL}
	serve := start(t, env, "serve")
	base := api(serve)
	until(t, base+"/events", has(40))
	if _, text := fetch(t, base+"/events?format=sse&offset=earliest&limit=1"); !strings.HasPrefix(text, "retry: ") { // for those that have but an address
		t.Errorf("the bare address is answered with %.200s", text)
	}

	var cooks []*cook
	for _, r := range cookable(t) {
		cooks = append(cooks, newCook(t, r, server))
	}
	exporter := recipe{name: "exporter.py", needs: []string{"python3"}, args: func(server, _ string) []string {
		return []string{"python3", "exporter.py", server, "place", "0"}
	}}
	var exports *cook
	if !exporter.absent(t) {
		exports = newCook(t, exporter, server)
	}
	shown := page.open(t)
	all := func() {
		t.Helper()
		told := vc.Told()
		last := told[len(told)-1].Key
		for _, c := range cooks {
			c.waitFor(last)
		}
		if shown != nil {
			shown.waitFor(last)
		}
		if exports != nil {
			checkExported(t, exports, told)
		}
	}
	all()

	kill(serve)
	for i, c := range cooks {
		if i%2 == 0 {
			c.kill()
		}
	}
	vc.PostN(40)
	serve = start(t, env, "serve")
	serve.says(`address=`)
	for i, c := range cooks {
		if i%2 == 0 {
			c.begin()
		}
	}
	vc.PostN(40)
	all()

	if shown != nil {
		shown.again()
	}
	serve.stop()
	vc.PostN(40)
	serve = start(t, env, "serve")
	serve.says(`address=`)
	vc.PostN(40)
	all()
	for i, c := range cooks {
		checkAll(t, c.name, c.got(), vc, i%2 == 0)
	}
	if shown != nil {
		checkAll(t, "page.html", shown.ids(), vc, false)
	}
}

// checkAll checks that all that was told has come, in its order, and nothing else; and nothing twice,
// unless the client was killed.
func checkAll(t *testing.T, what string, got []int, vc *vcentertest.VCenter, killed bool) {
	t.Helper()
	seen := map[int]int{}
	for _, id := range got {
		seen[id]++
	}
	for _, e := range vc.Told() {
		if n := seen[int(e.Key)]; n == 0 || n > 1 && !killed {
			t.Errorf("%s: event %d came %d times", what, e.Key, n)
		}
		delete(seen, int(e.Key))
	}
	if len(seen) > 0 {
		t.Errorf("%s: there are no events %v", what, seen)
	}
}

func TestTheRecipesSayWhatTheyMissedAndGoOn(t *testing.T) {
	vc := vcentertest.New(t)
	vc.PostN(100)
	serve := start(t, []string{"PORT=0", "LOG_MAX_SEGMENT_SIZE=10", "VCENTER_URL=" + vc.URL().String(), "VCENTER_SECRET_PATH=" + vc.Secret(t), "VCENTER_NAME=vc1",
		"VCENTER_INSECURE=true", "VCENTER_STREAM_BEGIN=1h", "CLOUDEVENT_TYPE_PREFIX=com.vmware.vsphere"}, "serve")
	base := api(serve)
	text := until(t, base+"/range", func(_ int, body string) bool { return strings.HasSuffix(body, `"latest":100}`+"\n") })
	var held struct{ Earliest int }
	if err := json.Unmarshal([]byte(text), &held); err != nil {
		t.Fatal(err)
	}
	var cooks []*cook
	for _, r := range cookable(t) {
		args := r.args
		r.args = func(server, sink string) []string { // it was away for long
			return append([]string{"sh", "-c", `echo vc1.5 >place && exec "$0" "$@"`}, args(server, sink)...)
		}
		cooks = append(cooks, newCook(t, r, strings.TrimSuffix(base, "/api/v1")))
	}
	for _, c := range cooks {
		c.waitFor(100)
		c.now.says(`missed up to \d+ events`)
		if got := c.got(); slices.Min(got) != held.Earliest || len(got) != 101-held.Earliest {
			t.Errorf("%s goes on with %v, and the log begins with %d", c.name, got, held.Earliest)
		}
	}
}

// A recipe shows a token, and an answer that breaks off in the middle of an event or a page is asked for
// again.
func TestTheRecipesShowATokenAndGoOnAfterHalfAnAnswer(t *testing.T) {
	vc := vcentertest.New(t)
	vc.PostN(40)
	serve := start(t, []string{"PORT=0", "VCENTER_URL=" + vc.URL().String(), "VCENTER_SECRET_PATH=" + vc.Secret(t), "VCENTER_NAME=vc1",
		"VCENTER_INSECURE=true", "VCENTER_STREAM_BEGIN=1h", "CLOUDEVENT_TYPE_PREFIX=com.vmware.vsphere"}, "serve")
	base := api(serve)
	until(t, base+"/events", has(40))
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var cooks []*cook
	for _, r := range cookable(t) {
		t.Setenv("VSTREAM_TOKEN_FILE", token)
		cooks = append(cooks, newCook(t, r, newBrittle(t, base)))
	}
	for _, c := range cooks {
		c.waitFor(40)
		checkAll(t, c.name, c.got(), vc, false)
	}
}

// newBrittle returns the address of something in front of a server that refuses who has no token and
// breaks off its first answer.
func newBrittle(t *testing.T, server string) string {
	address, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	address.Path = ""
	var once sync.Once
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(address) },
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ModifyResponse: func(r *http.Response) error {
			once.Do(func() {
				whole := r.Body
				r.Body = struct {
					io.Reader
					io.Closer
				}{io.MultiReader(io.LimitReader(whole, 5000), iotest.ErrReader(io.ErrUnexpectedEOF)), whole}
			})
			return nil
		},
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer secret" {
			http.Error(w, `{"status":401,"detail":"who are you?"}`, http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL
}

// A page serves page.html, as one of another origin than the events.
type page struct{ *httptest.Server }

func newPage(t *testing.T, server string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(recipes, "code", "page.html"))
	if err != nil {
		t.Fatal(err)
	}
	text = []byte(strings.NewReplacer("http://localhost:8080", server, "severity=error,warning", "type=*").Replace(string(text)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write(text)
	}))
	t.Cleanup(s.Close)
	return page{s}
}

// A shownPage is one in a browser.
type shownPage struct {
	t      *testing.T
	url    string
	tab    context.Context
	before []int // what it has shown before it was opened again
}

// open opens the page, or returns nil if there is no browser.
func (p page) open(t *testing.T) *shownPage {
	if _, err := exec.LookPath(browser); err != nil {
		t.Run("page.html", func(t *testing.T) { t.Skipf("there is no %s here; install it to try this recipe", browser) })
		return nil
	}
	options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(browser), chromedp.NoSandbox, chromedp.DisableGPU)
	allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(end)
	tab, closeTab := chromedp.NewContext(allocator, chromedp.WithErrorf(t.Logf))
	t.Cleanup(closeTab)
	s := &shownPage{t: t, url: p.URL, tab: tab}
	s.again()
	return s
}

// again opens the page anew.
func (s *shownPage) again() {
	s.t.Helper()
	if s.before != nil {
		s.before = s.ids()
	} else {
		s.before = []int{}
	}
	if err := chromedp.Do(s.tab, chromedp.Navigate(s.url)); err != nil {
		s.t.Fatal(err)
	}
}

func (s *shownPage) ids() []int {
	s.t.Helper()
	got, err := chromedp.Run(s.tab, chromedp.Evaluate[[]int](`[...document.querySelectorAll("li")].map(item => parseInt(item.textContent))`))
	if err != nil {
		s.t.Fatal(err)
	}
	return slices.Concat(s.before, got)
}

func (s *shownPage) waitFor(key int32) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !slices.Contains(s.ids(), int(key)); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("page.html: event %d does not come; there are %v", key, s.ids())
		}
	}
}

// checkExported checks that the exporter comes to know all types of events.
func checkExported(t *testing.T, c *cook, told []vcentertest.Event) {
	t.Helper()
	address := "http://127.0.0.1:" + c.now.says(`metrics at port (\d+)`)[1] + "/metrics"
	until(t, address, func(_ int, text string) bool {
		return !slices.ContainsFunc(told, func(e vcentertest.Event) bool {
			return !strings.HasPrefix(e.Type, "E") && // EventEx and ExtendedEvent go by other names
				!strings.Contains(text, fmt.Sprintf("vsphere_event_last_timestamp_seconds{type=%q,", "com.vmware.vsphere."+e.Type+".v0"))
		})
	})
}

// The code in the pages is that which is run.
func TestRecipesAreUpToDate(t *testing.T) {
	pages, err := filepath.Glob(filepath.Join(recipes, "*.md"))
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	shown := map[string]bool{}
	block := regexp.MustCompile("(?s)(<!-- code/(\\S+) -->\n\n```(\\w+)\n)(.*?)(```\n)")
	for _, path := range pages {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := block.ReplaceAllFunc(text, func(b []byte) []byte {
			m := block.FindSubmatch(b)
			code, err := os.ReadFile(filepath.Join(recipes, "code", string(m[2])))
			if err != nil {
				t.Error(err)
			}
			shown[string(m[2])] = true
			return slices.Concat(m[1], code, m[5])
		})
		if bytes.Equal(text, want) {
			continue
		}
		if *update {
			if err := os.WriteFile(path, want, 0o644); err != nil {
				t.Fatal(err)
			}
			continue
		}
		t.Errorf("%s does not show the code as it is; run make docs", path)
	}
	files, err := os.ReadDir(filepath.Join(recipes, "code"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if !shown[f.Name()] {
			t.Errorf("no page shows %s", f.Name())
		}
		if text, err := os.ReadFile(filepath.Join(recipes, "code", f.Name())); err != nil || !parses(f.Name(), text) {
			t.Errorf("%s cannot be read as what it is: %v", f.Name(), err)
		}
	}
}

// parses reports whether text is what the end of its file's name says, as far as that is known.
func parses(name string, text []byte) bool {
	var any any
	switch filepath.Ext(name) {
	case ".yaml":
		switch name {
		case "forwarder.yaml":
			return strict.UnmarshalStrict(text, new(apps.StatefulSet)) == nil
		case "alerts.yaml":
			_, errs := rulefmt.Parse(text, false, model.UTF8Validation, parser.NewParser(parser.Options{}), slog.New(slog.DiscardHandler))
			return errs == nil
		}
		return yaml.Unmarshal(text, &any) == nil
	case ".json":
		return json.Valid(text)
	}
	return true
}
