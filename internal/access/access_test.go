package access

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// guard makes a Guard of c, with a logger that is silent unless c has one.
func guard(t *testing.T, c Config) *Guard {
	t.Helper()
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	g, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// reader is the API behind a guard: it says who reads.
var reader = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "reader "+Identity(r.Context()))
})

func deny(w http.ResponseWriter, _ *http.Request, status int, slug, title, detail string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(status)
	fmt.Fprintf(w, "%s: %s: %s", slug, title, detail)
}

// ask sends a request to the API behind g. Headers are given as "Name: value".
func ask(g *Guard, method, target string, headers ...string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, target, nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	g.Handler(reader, deny).ServeHTTP(w, r)
	return w
}

func bearing(token string) string { return "Authorization: Bearer " + token }

// tokensFile writes a file of tokens, name by token, and returns its path.
func tokensFile(t *testing.T, tokens map[string]string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	write(t, path, tokenLines(tokens))
	return path
}

func tokenLines(tokens map[string]string) string {
	var b strings.Builder
	for token, name := range tokens {
		fmt.Fprintf(&b, "%s:%x\n", name, sha256.Sum256([]byte(token)))
	}
	return b.String()
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// record is a logger that can be read while it is written.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(b)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

func (r *record) logger() *slog.Logger { return slog.New(slog.NewTextHandler(r, nil)) }

func TestWithoutConfigurationEverybodyPasses(t *testing.T) {
	g := guard(t, Config{})
	for _, header := range []string{"X: y", bearing("anything"), "Cookie: vstream_session=x", "Origin: https://evil.example.com"} {
		w := ask(g, "GET", "/api/v1/events", header)
		if w.Code != 200 || w.Body.String() != "reader " || len(w.Header()) > 1 {
			t.Errorf("%s: %d %s %v", header, w.Code, w.Body, w.Header())
		}
	}
	if w := ask(g, "GET", "/signin"); w.Body.String() != "reader " {
		t.Errorf("there is a sign-in where there are no tokens: %s", w.Body)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	if g.Listener(listener) != listener {
		t.Error("the listener is not plain")
	}
}

func TestATokenLetsInWhoHasIt(t *testing.T) {
	g := guard(t, Config{TokensFile: tokensFile(t, map[string]string{"secret-1": "alice", "secret-2": "bob", "secret-3": "alice"})})
	for _, c := range []struct{ header, want string }{
		{bearing("secret-1"), "alice"},
		{bearing("secret-2"), "bob"},
		{bearing("secret-3"), "alice"},
		{"Authorization: bearer  secret-2 ", "bob"},
		{"Cookie: other=1; vstream_session=secret-2", "bob"},
		{"Cookie: __Host-vstream_session=secret-2", "bob"},
	} {
		w := ask(g, "GET", "/api/v1/events", c.header)
		if w.Code != 200 || w.Body.String() != "reader "+c.want {
			t.Errorf("%s: %d %s, want %s", c.header, w.Code, w.Body, c.want)
		}
	}
}

func TestWhatIsNoValidTokenIsRefused(t *testing.T) {
	const none, invalid = `Bearer realm="vstream"`, `Bearer realm="vstream", error="invalid_token"`
	path := tokensFile(t, map[string]string{"secret": "alice"})
	for _, c := range []struct{ header, challenge string }{
		{"X: y", none},
		{"Authorization: ", none},
		{"Authorization: Basic c2VjcmV0Og==", none},
		{"Authorization: secret", none},
		{"Authorization: Bearer", invalid},
		{bearing(""), invalid},
		{bearing("secre"), invalid},
		{bearing("secret1"), invalid},
		{bearing("Secret"), invalid},
		{bearing("secret secret"), invalid},
		{bearing("secret, Bearer secret"), invalid},
		{bearing("sec\x00ret"), invalid},
		{bearing("a.b.c"), invalid},
		{bearing(strings.Repeat("x", 1<<20)), invalid},
		{bearing(strings.Repeat("=", 1<<16)), invalid},
		{"Cookie: vstream_session", none},
		{"Cookie: vstream_session=", none},
		{"Cookie: =secret; ;;; vstream_session==", invalid},
		{`Cookie: vstream_session="secret`, none},
		{"Cookie: vstream_session=se cret", invalid},
		{"Cookie: VSTREAM_SESSION=secret", none},
		{"Cookie: vstream_session=" + strings.Repeat("x", 1<<16), invalid},
		{"X-Forwarded-User: alice", none},
	} {
		g := guard(t, Config{TokensFile: path}) // anew, for none has many attempts
		w := ask(g, "GET", "/api/v1/events", c.header)
		if w.Code != 401 || w.Header().Get("WWW-Authenticate") != c.challenge || !strings.HasPrefix(w.Body.String(), "unauthenticated: ") {
			t.Errorf("%.60s: %d %q %s, want 401 %q", c.header, w.Code, w.Header().Get("WWW-Authenticate"), w.Body, c.challenge)
		}
	}
	g := guard(t, Config{TokensFile: path})
	for _, target := range []string{"/api/v1/events?token=secret", "/api/v1/events?access_token=secret", "/", "/metrics", "/nothing", "/healthz/", "/HEALTHZ", "/api/../healthz/x"} {
		if w := ask(g, "GET", target); w.Code != 401 {
			t.Errorf("%s: %d", target, w.Code)
		}
	}
}

func TestProbesStayOpen(t *testing.T) {
	g := guard(t, Config{TokensFile: tokensFile(t, nil), RequestRate: 0.01})
	for range 100 {
		for _, path := range []string{"/healthz", "/readyz"} {
			if w := ask(g, "GET", path); w.Code != 200 {
				t.Fatalf("%s answers %d", path, w.Code)
			}
		}
	}
}

func TestWrongTokensGetSlowerButThoseWhoWereRightPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Config{TokensFile: tokensFile(t, map[string]string{"old": "alice", "new": "bob"})})
		if w := ask(g, "GET", "/", bearing("old")); w.Code != 200 {
			t.Fatal(w.Code)
		}
		for n := range attemptsAtOnce {
			if w := ask(g, "GET", "/", bearing(fmt.Sprint("guess", n))); w.Code != 401 {
				t.Fatalf("attempt %d: %d", n, w.Code)
			}
		}
		for _, token := range []string{"guess", "new"} { // a right guess does not show either
			w := ask(g, "GET", "/", bearing(token))
			if w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.HasPrefix(w.Body.String(), "too-many-attempts: ") {
				t.Errorf("%s: %d %v %s", token, w.Code, w.Header(), w.Body)
			}
		}
		if w := ask(g, "GET", "/", bearing("old")); w.Code != 200 {
			t.Errorf("who was right before gets %d", w.Code)
		}
		if w := ask(g, "GET", "/"); w.Code != 401 {
			t.Errorf("who shows nothing gets %d", w.Code)
		}
		time.Sleep(attemptInterval)
		if w := ask(g, "GET", "/", bearing("new")); w.Code != 200 {
			t.Errorf("later: %d", w.Code)
		}
	})
}

func TestATokenIsInNoLog(t *testing.T) {
	var log record
	g := guard(t, Config{TokensFile: tokensFile(t, map[string]string{"hunter2": "alice"}), Issuer: "http://127.0.0.1:1", Audience: "vstream",
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	ask(g, "GET", "/?token=hunter3", bearing("hunter3"))
	ask(g, "GET", "/", bearing("hunter3.hunter3.hunter3"))
	ask(g, "GET", "/", "Cookie: vstream_session=hunter3")
	ask(g, "GET", "/", bearing("hunter2"))
	post(g, "token=hunter3&to=/")
	post(g, "token=hunter2&to=/")
	if text := log.String(); strings.Contains(text, "hunter") || !strings.Contains(text, "invalid token") || !strings.Contains(text, "name=alice") {
		t.Errorf("logged:\n%s", text)
	}
}

func TestRequestsOfEachClientAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := guard(t, Config{RequestRate: 2, TokensFile: tokensFile(t, map[string]string{"a": "alice", "b": "bob"})})
		passed := 0
		for range 50 {
			if ask(g, "GET", "/", bearing("a")).Code == 200 {
				passed++
			}
		}
		if passed != 20 {
			t.Errorf("%d pass at once, want 20", passed)
		}
		w := ask(g, "GET", "/", bearing("a"))
		if w.Code != 429 || w.Header().Get("Retry-After") == "" || !strings.HasPrefix(w.Body.String(), "too-many-requests: ") {
			t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
		}
		if w := ask(g, "GET", "/", bearing("b")); w.Code != 200 {
			t.Errorf("the other client gets %d", w.Code)
		}
		time.Sleep(time.Second)
		for n, want := range []int{200, 200, 429} {
			if w := ask(g, "GET", "/", bearing("a")); w.Code != want {
				t.Errorf("request %d after a second: %d", n, w.Code)
			}
		}
	})
}

func TestAClientIsItsNameOrItsNetwork(t *testing.T) {
	for remote, want := range map[string]string{
		"192.0.2.7:4711":            "192.0.2.7",
		"[::1]:1":                   "::/64",
		"[2001:db8:1:2:3:4:5:6]:99": "2001:db8:1:2::/64",
		"[::ffff:192.0.2.7]:99":     "::ffff:192.0.2.7",
		"@":                         "@",
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = remote
		r.Header.Set("X-Forwarded-For", "198.51.100.1")
		if got := Client(r); got != want {
			t.Errorf("%s is %s, want %s", remote, got, want)
		}
	}
}

func TestAdviceIsGivenWhereItMatters(t *testing.T) {
	path := tokensFile(t, map[string]string{"a": "alice"})
	everywhere, loopback := &net.TCPAddr{IP: net.IPv6unspecified}, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}
	cert := newAuthority(t, "server").files(t, "localhost")
	for _, c := range []struct {
		config  Config
		address net.Addr
		want    string
	}{
		{Config{}, loopback, ""},
		{Config{}, everywhere, "level=WARN msg=\"whoever reaches the port"},
		{Config{TokensFile: path}, loopback, ""},
		{Config{TokensFile: path}, everywhere, "level=WARN msg=\"tokens travel in the clear"},
		{Config{TokensFile: path, CertFile: cert.cert, KeyFile: cert.key}, everywhere, ""},
	} {
		var log record
		c.config.Logger = log.logger()
		guard(t, c.config).Advise(c.address)
		if text := log.String(); (c.want == "") != (text == "") || !strings.Contains(text, c.want) {
			t.Errorf("%+v on %v: %s", c.config, c.address, text)
		}
	}
}

func TestARecentForgetsTheOldest(t *testing.T) {
	r := newRecent[int](10)
	n := 0
	fresh := func() int { n++; return n }
	kept := r.get("kept", fresh)
	for i := range 1000 {
		r.get(fmt.Sprint(i), fresh)
		if r.get("kept", fresh) != kept {
			t.Fatalf("what is asked for all the time is forgotten after %d others", i)
		}
		if len(r.young)+len(r.old) > 20 {
			t.Fatalf("it keeps %d", len(r.young)+len(r.old))
		}
	}
	if r.has("0") || !r.has("999") {
		t.Error("it keeps the wrong ones")
	}
}
