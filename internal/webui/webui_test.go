package webui_test

import (
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vstream"
	"vstream/internal/httpapi"
	"vstream/internal/index"
	"vstream/internal/memlog"
	"vstream/internal/webui"
)

// files returns the page, by name.
func files(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	if err := fs.WalkDir(webui.Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(webui.Files(), name)
		all[name] = string(text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

var reference = regexp.MustCompile(`/(assets/[\w.-]+)`)

func TestAllThatThePageLoadsIsThereAndNothingElse(t *testing.T) {
	all := files(t)
	loaded := []string{"index.html"}
	for name, text := range all {
		for _, match := range reference.FindAllStringSubmatch(text, -1) {
			loaded = append(loaded, match[1])
			if _, ok := all[match[1]]; !ok {
				t.Errorf("%s refers to %s, which is not there", name, match[1])
			}
		}
	}
	for name := range all {
		if !slices.Contains(loaded, name) {
			t.Errorf("nothing refers to %s", name)
		}
		if name != "index.html" && !regexp.MustCompile(`^assets/\w+-[0-9a-zA-Z]{8}\.\w+$`).MatchString(name) {
			t.Errorf("the name of %s does not change with its content", name)
		}
	}
}

func TestThePageHasNothingThatItsPolicyRefuses(t *testing.T) {
	index := files(t)["index.html"]
	for what, pattern := range map[string]string{
		"a script within it":       `<script[^>]*>[^<]`,
		"a style within it":        `<style|\sstyle=`,
		"a handler within it":      `\son\w+=`,
		"something of other sites": `(src|href)="(https?:)?//`,
	} {
		if found := regexp.MustCompile(pattern).FindString(index); found != "" {
			t.Errorf("there is %s: %s", what, found)
		}
	}
}

func TestThePageSaysWhatToDoWithoutJavaScript(t *testing.T) {
	_, without, _ := strings.Cut(files(t)["index.html"], "<noscript>")
	for _, wanted := range []string{"curl -sN", "/api/v1/events?format=text", "/api/v1/vcenters"} {
		if !strings.Contains(without, wanted) {
			t.Errorf("there is no %s in it", wanted)
		}
	}
}

func TestTheLicencesOfWhatThePageContainsAreWithIt(t *testing.T) {
	for name, text := range files(t) {
		if strings.HasPrefix(name, "assets/licences-") {
			if !strings.Contains(text, "preact ") || !strings.Contains(text, "MIT") {
				t.Errorf("they are %s", text)
			}
			return
		}
	}
	t.Error("there are none")
}

func TestThePageIsServedWithAllItLoads(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	log, logger := memlog.New(10, 1<<20), slog.New(slog.DiscardHandler)
	server := &httpapi.Server{
		Listener: listener, UI: webui.Files(), WatchMaxAge: time.Minute, Logger: logger,
		VCenters: []httpapi.VCenter{{
			Name: "vc1", Log: log, Index: &index.Index{Log: log, MaxRows: 10, Logger: logger},
			Status: func() vstream.Status { return vstream.Status{Name: "vc1"} },
			Types:  func() []vstream.EventType { return nil },
		}},
	}
	done := make(chan error, 1)
	go func() { done <- server.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for name, want := range files(t) {
		res := get(t, "http://"+listener.Addr().String()+"/"+strings.TrimSuffix(name, "index.html"))
		if text, err := io.ReadAll(res.Body); err != nil || res.StatusCode != 200 || string(text) != want {
			t.Errorf("%s: %s, %d bytes, %v", name, res.Status, len(text), err)
		}
	}
}

// get asks for an address as browsers do.
func get(t *testing.T, address string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { res.Body.Close() })
	return res
}
