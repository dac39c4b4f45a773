package httpapi

import (
	"bytes"
	"compress/gzip"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/klauspost/compress/zstd"

	"vstream/internal/memlog"
)

const (
	someIndex  = "<!doctype html>\n<script src=\"/assets/main-AB12.js\"></script>\n"
	someScript = "console.log(1);\n"
	someCSS    = "body { margin: 0 }\n"
)

// somePage is a page as webui has it.
var somePage = fstest.MapFS{
	"index.html":             {Data: []byte(someIndex)},
	"assets/main-AB12.js":    {Data: []byte(someScript)},
	"assets/main-CD34.css":   {Data: []byte(someCSS)},
	"assets/icon-0.svg":      {Data: []byte("<svg/>")},
	"assets/licences-09.txt": {Data: []byte("MIT")},
}

// ask sends a request with headers, written as "Name: value", to a server with somePage.
func ask(t *testing.T, method, target string, headers ...string) *http.Response {
	t.Helper()
	s := &Server{VCenters: only(memlog.New(10, 1<<20)), UI: somePage, Logger: slog.New(slog.DiscardHandler)}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	s.handler(t.Context()).ServeHTTP(w, r)
	return w.Result()
}

const browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"

func TestBrowsersGetThePageAndOthersTheText(t *testing.T) {
	for accept, page := range map[string]bool{
		browser:                                  true,
		"Accept: text/html":                      true,
		"Accept: TEXT/HTML;q=0.5, */*;q=0.1":     true,
		"Accept: text/html, text/plain, */*":     true, // lynx
		"Accept: */*":                            false,
		"Accept: text/*":                         false,
		"Accept: text/plain":                     false,
		"Accept: application/json":               false,
		"Accept: text/plain, text/html;q=0.9":    false,
		"Accept: text/html;q=0":                  false,
		"Accept: nonsense":                       false,
		"X-None: ":                               false,
		"Accept: text/html;level=1;q=1, */*;q=1": true,
	} {
		res := ask(t, http.MethodGet, "/?severity=error&q=anything", accept)
		text := body(t, res)
		if res.StatusCode != 200 || (text == someIndex) != page || !page && !strings.HasPrefix(text, "vstream: ") {
			t.Errorf("%s: %d %q", accept, res.StatusCode, text)
		}
		if !strings.Contains(strings.Join(res.Header.Values("Vary"), ","), "Accept") {
			t.Errorf("%s: Vary is %q", accept, res.Header.Values("Vary"))
		}
	}
}

func TestWithoutAPageAllGetTheTextThatTheyAlwaysGot(t *testing.T) {
	s := &Server{VCenters: only(memlog.New(10, 1<<20))}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Accept", "text/html")
	s.handler(t.Context()).ServeHTTP(w, r)
	if w.Code != 200 || w.Header().Get("Vary") != "" || !strings.HasPrefix(w.Body.String(), "vstream: ") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestBrowsersAreToldWhatThePageMayDo(t *testing.T) {
	for target, caching := range map[string]string{
		"/":                       "no-cache",
		"/assets/main-AB12.js":    forEver,
		"/assets/main-CD34.css":   forEver,
		"/assets/icon-0.svg":      forEver,
		"/assets/licences-09.txt": forEver,
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			res := ask(t, method, target, browser)
			for name, want := range map[string]string{
				"Cache-Control":                caching,
				"Cross-Origin-Opener-Policy":   "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin",
				"Referrer-Policy":              "same-origin",
				"X-Content-Type-Options":       "nosniff",
				"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
					"base-uri 'none'; form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
			} {
				if got := res.Header.Get(name); got != want {
					t.Errorf("%s %s: %s is %q, want %q", method, target, name, got, want)
				}
			}
		}
	}
}

func TestEachFileOfThePageHasItsType(t *testing.T) {
	for target, want := range map[string]string{
		"/":                       "text/html; charset=utf-8",
		"/assets/main-AB12.js":    "text/javascript; charset=utf-8",
		"/assets/main-CD34.css":   "text/css; charset=utf-8",
		"/assets/icon-0.svg":      "image/svg+xml",
		"/assets/licences-09.txt": "text/plain; charset=utf-8",
	} {
		if got := ask(t, http.MethodGet, target, browser).Header.Get("Content-Type"); got != want {
			t.Errorf("%s is %s, want %s", target, got, want)
		}
	}
}

func TestThePageIsCompressedForWhoTakesThat(t *testing.T) {
	for target, want := range map[string]string{"/": someIndex, "/assets/main-AB12.js": someScript, "/assets/main-CD34.css": someCSS} {
		for accept, encoding := range map[string]string{"gzip, deflate, br, zstd": "zstd", "gzip, deflate": "gzip", "br": "", "gzip;q=0": ""} {
			res := ask(t, http.MethodGet, target, browser, "Accept-Encoding: "+accept)
			var content io.Reader = res.Body
			var err error
			switch res.Header.Get("Content-Encoding") {
			case "zstd":
				content, err = zstd.NewReader(content)
			case "gzip":
				content, err = gzip.NewReader(content)
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := io.ReadAll(content)
			if err != nil || string(text) != want || res.Header.Get("Content-Encoding") != encoding ||
				!strings.Contains(strings.Join(res.Header.Values("Vary"), ","), "Accept-Encoding") {
				t.Errorf("%s, %s: %q %v, %v", target, accept, text, err, res.Header)
			}
		}
	}
}

func TestWhoHasThePageIsToldThatItIsTheSame(t *testing.T) {
	for _, target := range []string{"/", "/assets/main-AB12.js"} {
		etag := ask(t, http.MethodGet, target, browser).Header.Get("ETag")
		res := ask(t, http.MethodGet, target, browser, "If-None-Match: "+etag)
		if text := body(t, res); etag == "" || res.StatusCode != http.StatusNotModified || text != "" || res.Header.Get("ETag") != etag {
			t.Errorf("%s: %q, then %d %q", target, etag, res.StatusCode, text)
		}
		if res := ask(t, http.MethodGet, target, browser, `If-None-Match: W/"0123456789abcdef"`); res.StatusCode != 200 {
			t.Errorf("%s: who has another gets %d", target, res.StatusCode)
		}
	}
}

func TestHeadOfThePageHasNoBody(t *testing.T) {
	s := &Server{VCenters: only(memlog.New(10, 1<<20)), UI: somePage}
	server := httptest.NewServer(s.handler(t.Context()))
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/html")
	res, err := server.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || len(text) > 0 || res.StatusCode != 200 || res.ContentLength != int64(len(someIndex)) {
		t.Errorf("%d, %d bytes, said to be %d, %v", res.StatusCode, len(text), res.ContentLength, err)
	}
}

func TestWhatThePageDoesNotHaveIsNotFound(t *testing.T) {
	for _, target := range []string{"/assets", "/assets/", "/assets/main-0000.js", "/assets/../index.html", "/index.html", "/assets/%2e%2e/index.html", "/favicon.ico"} {
		res := ask(t, http.MethodGet, target, browser)
		if text := body(t, res); res.StatusCode/100 == 2 || bytes.Contains([]byte(text), []byte("doctype")) || res.Header.Get("Cache-Control") == forEver {
			t.Errorf("%s: %d %v %s", target, res.StatusCode, res.Header, text)
		}
	}
}

func TestAPageOfAFileThatNobodyKnowsTheTypeOfIsAMistake(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("it is served")
		}
	}()
	uiFiles(fstest.MapFS{"index.html": {}, "assets/a.wasm": {}})
}
