package access

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// post sends a body to /signin as the form does, unless headers say otherwise.
func post(g *Guard, body string, headers ...string) *httptest.ResponseRecorder {
	return postTo(g, "/signin", body, headers...)
}

func postTo(g *Guard, target, body string, headers ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest("POST", target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Set(name, value)
	}
	g.Handler(reader, deny).ServeHTTP(w, r)
	return w
}

func withToken(t *testing.T) *Guard {
	t.Helper()
	return guard(t, Config{TokensFile: tokensFile(t, map[string]string{"secret": "alice", strings.Repeat("x", 5000): "long"})})
}

func TestABrowserSignsInAndOut(t *testing.T) {
	g := withToken(t)
	page := ask(g, "GET", "/signin?to=/api/v1/events%3Fwatch=true%26q=%22%3E")
	if h := page.Header(); page.Code != 200 || !strings.HasPrefix(h.Get("Content-Type"), "text/html") || h.Get("Cache-Control") != "no-store" ||
		!strings.HasPrefix(h.Get("Content-Security-Policy"), "default-src 'none'; style-src 'sha256-") || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", page.Code, h)
	}
	if text := page.Body.String(); !strings.Contains(text, `name="to" value="/api/v1/events?watch=true&amp;q=&#34;&gt;"`) || !strings.Contains(text, `<label for="token">`) ||
		strings.Contains(text, "<script") {
		t.Errorf("the page is %s", text)
	}

	w := post(g, url.Values{"token": {" secret\n"}, "to": {"/api/v1/events?watch=true"}}.Encode(), "Sec-Fetch-Site: same-origin")
	cookies := w.Result().Cookies()
	if w.Code != 303 || w.Header().Get("Location") != "/api/v1/events?watch=true" || len(cookies) != 1 {
		t.Fatalf("%d %v", w.Code, w.Header())
	}
	if c := cookies[0]; c.Name != "vstream_session" || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Secure || c.Path != "/" || c.Domain != "" || c.MaxAge != 12*60*60 {
		t.Errorf("the cookie is %v", c)
	}
	if w := ask(g, "GET", "/api/v1/events", "Cookie: "+cookies[0].Name+"="+cookies[0].Value); w.Body.String() != "reader alice" {
		t.Errorf("with the cookie: %d %s", w.Code, w.Body)
	}

	w = postTo(g, "/signout", "", "Sec-Fetch-Site: same-origin")
	if w.Code != 303 || w.Header().Get("Location") != "/signin" {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	gone := map[string]bool{}
	for _, c := range w.Result().Cookies() {
		gone[c.Name] = c.MaxAge < 0 && c.Value == "" && c.Secure == (c.Name == "__Host-vstream_session")
	}
	if !gone["vstream_session"] || !gone["__Host-vstream_session"] {
		t.Errorf("signing out leaves %v", w.Header())
	}
}

func TestSigningInOverTLSBindsTheCookieToTheHost(t *testing.T) {
	g := withToken(t)
	for _, header := range []string{"X: y", "Origin: https://example.com"} { // here, and at a proxy before us
		w := httptest.NewRecorder()
		target := "https://example.com/signin"
		if header != "X: y" {
			target = "http://example.com/signin"
		}
		r := httptest.NewRequest("POST", target, strings.NewReader("token=secret"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		name, value, _ := strings.Cut(header, ": ")
		r.Header.Set(name, value)
		g.Handler(reader, deny).ServeHTTP(w, r)
		cookies := w.Result().Cookies()
		if len(cookies) != 1 || cookies[0].Name != "__Host-vstream_session" || !cookies[0].Secure || cookies[0].Path != "/" || cookies[0].Domain != "" {
			t.Errorf("%s: %d %v", header, w.Code, w.Header())
		}
	}
}

func TestSigningInGoesOnAtThisServerOnly(t *testing.T) {
	g := withToken(t)
	for to, want := range map[string]string{
		"/":                          "/",
		"/ui?x=1#y":                  "/ui?x=1#y",
		"":                           "/",
		"ui":                         "/",
		"//evil.example.com":         "/",
		"///evil.example.com":        "/",
		"/\\evil.example.com":        "/",
		"\\\\evil.example.com":       "/",
		"/\t/evil.example.com":       "/",
		"/\n/evil.example.com":       "/",
		" //evil.example.com":        "/",
		"https://evil.example.com/":  "/",
		"https:evil.example.com":     "/",
		"javascript:alert(1)":        "/",
		"/%2fevil.example.com":       "/%2fevil.example.com", // stays a path
		"/%":                         "/",
		"/x\r\nSet-Cookie: a=b":      "/",
		"http://user@evil.example/":  "/",
		"/ui?to=//evil.example.com/": "/ui?to=//evil.example.com/",
	} {
		w := post(g, url.Values{"token": {"secret"}, "to": {to}}.Encode())
		if got := w.Header().Get("Location"); w.Code != 303 || got != want {
			t.Errorf("%q goes to %d %q, want %q", to, w.Code, got, want)
		}
	}
}

func TestSigningInIsRefused(t *testing.T) {
	for _, c := range []struct {
		name, target, body, header string
		status                     int
		contains                   string
	}{
		{"a wrong token", "/signin", "token=wrong", "X: y", 401, `role="alert">the token is not valid`},
		{"no token", "/signin", "to=/", "X: y", 401, `role="alert"`},
		{"a wrong token as JSON", "/signin", `{"token":"wrong"}`, "Content-Type: application/json", 401, "unauthenticated: "},
		{"broken JSON", "/signin", `{"token":`, "Content-Type: application/json", 400, "invalid-body: "},
		{"no JSON object", "/signin", `["secret"]`, "Content-Type: application/json", 400, "invalid-body: "},
		{"a broken form", "/signin", "token=%zz", "X: y", 400, "invalid-body: "},
		{"another type", "/signin", "token=secret", "Content-Type: text/plain", 400, "invalid-body: "},
		{"a strange type", "/signin", "token=secret", "Content-Type: ;;;", 400, "invalid-body: "},
		{"a huge form", "/signin", "token=" + strings.Repeat("x", 1<<20), "X: y", 400, "invalid-body: "},
		{"a token too long for cookies", "/signin", "token=" + strings.Repeat("x", 5000), "X: y", 400, "too long for a cookie"},
		{"the token in the URL", "/signin?token=secret", "", "X: y", 400, "unknown-parameter: "},
		{"a broken URL", "/signin?%zz", "token=secret", "X: y", 400, "unknown-parameter: "},
		{"a page of another site", "/signin", "token=secret", "Sec-Fetch-Site: cross-site", 403, "forbidden: "},
		{"a page of a neighbour", "/signin", "token=secret", "Sec-Fetch-Site: same-site", 403, "forbidden: "},
		{"an old browser elsewhere", "/signin", "token=secret", "Origin: https://evil.example.com", 403, "forbidden: "},
		{"a hidden origin", "/signin", "token=secret", "Origin: null", 403, "forbidden: "},
		{"signing out from elsewhere", "/signout", "", "Sec-Fetch-Site: cross-site", 403, "forbidden: "},
	} {
		w := postTo(withToken(t), c.target, c.body, c.header)
		if w.Code != c.status || !strings.Contains(w.Body.String(), c.contains) || len(w.Result().Cookies()) > 0 || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: %d %v %s, want %d %s", c.name, w.Code, w.Header(), w.Body, c.status, c.contains)
		}
	}
	g := withToken(t)
	if w := ask(g, "GET", "/signout"); w.Code != 405 || w.Header().Get("Allow") != "POST" {
		t.Errorf("signing out by a link: %d %v", w.Code, w.Header())
	}
	if w := ask(g, "DELETE", "/signin"); w.Code != 405 || w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("DELETE: %d %v", w.Code, w.Header())
	}
}

func TestProgramsSignInWithJSON(t *testing.T) {
	w := post(withToken(t), `{"token":"secret"}`, "Content-Type: application/json; charset=utf-8")
	if w.Code != 204 || len(w.Result().Cookies()) != 1 {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestGuessingAtTheSignInIsLimitedToo(t *testing.T) {
	g := withToken(t)
	for range attemptsAtOnce {
		post(g, "token=guess")
	}
	w := post(g, "token=guess")
	if w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "too many") {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestAPersonWhoOpensAPageIsSentToTheSignIn(t *testing.T) {
	g := withToken(t)
	for target, want := range map[string]string{
		"/ui?vm=a%26b":       "/signin?to=%2Fui%3Fvm%3Da%2526b",
		"//evil.example.com": "/signin?to=%2F%2Fevil.example.com", // which the form does not follow
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		r.URL, r.RequestURI = &url.URL{Path: strings.Split(target, "?")[0]}, target
		if _, query, ok := strings.Cut(target, "?"); ok {
			r.URL.RawQuery = query
		}
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		g.Handler(reader, deny).ServeHTTP(w, r)
		if w.Code != 303 || w.Header().Get("Location") != want {
			t.Errorf("%s: %d to %s, want %s", target, w.Code, w.Header().Get("Location"), want)
		}
	}
	if w := ask(g, "GET", "/ui", "Sec-Fetch-Mode: cors"); w.Code != 401 {
		t.Errorf("a script of a page gets %d", w.Code)
	}
	for header, status := range map[string]int{ // of browsers, over plain HTTP, and of others
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": 303,
		"Accept: */*":              401,
		"Accept: application/json": 401,
	} {
		if w := ask(g, "GET", "/ui", header); w.Code != status {
			t.Errorf("%s: %d, want %d", header, w.Code, status)
		}
	}
}

func TestALinkOfAnotherSiteIsOpenedAgainFromHere(t *testing.T) {
	g := guard(t, Config{TokensFile: tokensFile(t, map[string]string{"a": "alice"})})
	navigate := []string{"Sec-Fetch-Mode: navigate", "Sec-Fetch-Site: cross-site"}
	for target, address := range map[string]string{
		"/?vm=web*&q=a%22b&since=1h": "/?vm=web*&amp;q=a%22b&amp;since=1h",
		"/?q=%3Cscript%3E'":          "/?q=%3Cscript%3E&#39;",
		"//evil.example.com/":        "/",
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		path, query, _ := strings.Cut(target, "?")
		r.URL = &url.URL{Path: path, RawQuery: query}
		for _, h := range navigate {
			name, value, _ := strings.Cut(h, ": ")
			r.Header.Set(name, value)
		}
		g.Handler(reader, deny).ServeHTTP(w, r)
		if w.Code != 200 || !strings.Contains(w.Body.String(), `content="0;url=`+address+`"`) || w.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v %s", target, w.Code, w.Header(), w.Body)
		}
	}
	for header, status := range map[string]int{"Sec-Fetch-Site: same-origin": 303, "Sec-Fetch-Site: none": 303} {
		if w := ask(g, "GET", "/", "Sec-Fetch-Mode: navigate", header); w.Code != status {
			t.Errorf("%s: %d, want %d", header, w.Code, status)
		}
	}
	if w := ask(g, "GET", "/", append(navigate, "Cookie: "+plainCookie+"=a")...); w.Code != 200 || strings.Contains(w.Body.String(), "refresh") {
		t.Errorf("with a cookie: %d %s", w.Code, w.Body)
	}
}

func TestWhoSignedInCanSignOutAndOthersCannot(t *testing.T) {
	g := guard(t, Config{TokensFile: tokensFile(t, map[string]string{"a": "alice"})})
	for header, signedIn := range map[string]bool{
		bearing("a"):                         false,
		"Cookie: " + plainCookie + "=" + "a": true,
	} {
		var name string
		var can bool
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/", nil)
		key, value, _ := strings.Cut(header, ": ")
		r.Header.Set(key, value)
		g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			name, can = Identity(r.Context()), SignedIn(r.Context())
		}), deny).ServeHTTP(w, r)
		if w.Code != 200 || name != "alice" || can != signedIn {
			t.Errorf("%s: %d, %q, signed in: %t", header, w.Code, name, can)
		}
	}
}

// A pipes is a listener of connections within a bubble.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if conn, ok := <-p; ok {
		return conn, nil
	}
	return nil, net.ErrClosed
}
func (p pipes) Close() error   { return nil }
func (p pipes) Addr() net.Addr { return &net.TCPAddr{} }

func TestABodyThatNeverComesIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Config{TokensFile: tokensFile(t, nil), Origins: []string{"https://ui.example.com"}})
		server := &http.Server{Handler: g.Handler(reader, deny)}
		listener := make(pipes)
		done := make(chan error, 1)
		go func() { done <- server.Serve(listener) }()
		for head, status := range map[string]int{
			"POST /signin HTTP/1.1\r\nContent-Type: application/json":                                    400,
			"GET /signin HTTP/1.1\r\nX: y":                                                               200,
			"POST /signout HTTP/1.1\r\nX: y":                                                             303,
			"GET / HTTP/1.1\r\nSec-Fetch-Mode: navigate":                                                 303,
			"OPTIONS / HTTP/1.1\r\nOrigin: https://ui.example.com\r\nAccess-Control-Request-Method: GET": 204,
		} {
			ours, theirs := net.Pipe()
			listener <- theirs
			began := time.Now()
			fmt.Fprint(ours, head+"\r\nHost: a\r\nContent-Length: 10\r\n\r\n{")
			answer, err := http.ReadResponse(bufio.NewReader(ours), nil)
			if err != nil || answer.StatusCode != status || time.Since(began) > formTimeout {
				t.Errorf("%s: %v, %v after %v", head, answer, err, time.Since(began))
			}
			ours.Close()
		}
		close(listener)
		server.Close()
		<-done
	})
}
