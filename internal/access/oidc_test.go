package access

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A fakeIssuer is an OpenID Connect issuer on this machine.
type fakeIssuer struct {
	*httptest.Server
	down    atomic.Bool
	fetches atomic.Int64

	mu   sync.Mutex
	keys map[string]*ecdsa.PrivateKey // under mu
}

func newFakeIssuer(t *testing.T) *fakeIssuer {
	t.Helper()
	f := &fakeIssuer{keys: map[string]*ecdsa.PrivateKey{}}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if f.down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/.well-known/openid-configuration":
			f.fetches.Add(1)
			// HS256 is what a careless verifier would take the public key as a secret for.
			fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"id_token_signing_alg_values_supported":["HS256","none"]}`, f.URL, f.URL+"/keys")
		case "/keys":
			f.mu.Lock()
			defer f.mu.Unlock()
			keys := []any{map[string]string{"kty": "secret-sauce", "kid": "odd"}, map[string]string{"kty": "oct", "k": "c2VjcmV0", "kid": "symmetric"}}
			for id, k := range f.keys {
				keys = append(keys, jose.JSONWebKey{Key: &k.PublicKey, KeyID: id, Use: "sig"})
			}
			_ = json.NewEncoder(w).Encode(map[string]any{"keys": keys})
		}
	}))
	t.Cleanup(f.Close)
	f.rotate(t, "key-1")
	return f
}

// rotate makes id the only key.
func (f *fakeIssuer) rotate(t *testing.T, id string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.keys = map[string]*ecdsa.PrivateKey{id: key}
}

func (f *fakeIssuer) key(id string) *ecdsa.PrivateKey {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.keys[id]
}

type claims map[string]any

// claims are those of a good token, but for changes.
func (f *fakeIssuer) claims(changes claims) claims {
	c := claims{"iss": f.URL, "aud": "vstream", "sub": "0815", "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range changes {
		c[name] = value
		if value == nil {
			delete(c, name)
		}
	}
	return c
}

func sign(t *testing.T, algorithm jose.SignatureAlgorithm, key any, id string, c claims) string {
	t.Helper()
	options := &jose.SignerOptions{}
	if id != "" {
		options = options.WithHeader("kid", id)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: key}, options)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	token, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (f *fakeIssuer) token(t *testing.T, changes claims) string {
	t.Helper()
	return sign(t, jose.ES256, f.key("key-1"), "key-1", f.claims(changes))
}

func believes(t *testing.T, f *fakeIssuer) *Guard {
	t.Helper()
	return guard(t, Config{Issuer: f.URL, Audience: "vstream"})
}

// later lets the pause between two fetches go by.
func later(g *Guard) {
	<-g.issuer.turn
	g.issuer.tried = time.Time{}
	g.issuer.turn <- struct{}{}
}

func TestATokenOfTheIssuerLetsInByTheNameItHolds(t *testing.T) {
	f := newFakeIssuer(t)
	g := believes(t, f)
	for _, c := range []struct {
		changes claims
		want    string
	}{
		{claims{}, "0815"},
		{claims{"preferred_username": "alice"}, "alice"},
		{claims{"preferred_username": "alice", "email": "alice@example.com"}, "alice@example.com"},
		{claims{"email": "alice@example.com", "email_verified": true}, "alice@example.com"},
		{claims{"email": "root@example.com", "email_verified": false, "preferred_username": "alice"}, "alice"},
		{claims{"email": "root@example.com", "email_verified": "false"}, "0815"},
		{claims{"aud": []string{"other", "vstream"}}, "0815"},
		{claims{"exp": time.Now().Add(-10 * time.Second).Unix()}, "0815"}, // clocks differ
	} {
		if w := ask(g, "GET", "/", bearing(f.token(t, c.changes))); w.Body.String() != "reader "+c.want {
			t.Errorf("%v: %d %s, want %s", c.changes, w.Code, w.Body, c.want)
		}
	}
	if w := ask(g, "GET", "/", bearing(sign(t, jose.ES256, f.key("key-1"), "", f.claims(nil)))); w.Code != 200 {
		t.Errorf("a token that names no key: %d %s", w.Code, w.Body)
	}
	if n := f.fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
}

func TestATokenThatIsNotTheIssuersOrNotForUsIsRefused(t *testing.T) {
	f := newFakeIssuer(t)
	g := believes(t, f)
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := f.token(t, nil)
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"of another audience":       f.token(t, claims{"aud": "other"}),
		"of no audience":            f.token(t, claims{"aud": nil}),
		"of another issuer":         f.token(t, claims{"iss": "https://evil.example.com"}),
		"expired":                   f.token(t, claims{"exp": time.Now().Add(-2 * clockSkew).Unix()}),
		"that never expires":        f.token(t, claims{"exp": nil}),
		"not yet valid":             f.token(t, claims{"nbf": time.Now().Add(time.Hour).Unix()}),
		"of nobody":                 f.token(t, claims{"sub": nil}),
		"of another key":            sign(t, jose.ES256, other, "key-1", f.claims(nil)),
		"of another key, unnamed":   sign(t, jose.ES256, other, "", f.claims(nil)),
		"of an unknown key":         sign(t, jose.ES256, other, "key-2", f.claims(nil)),
		"signed with a secret":      sign(t, jose.HS256, []byte(strings.Repeat("secret", 10)), "symmetric", f.claims(nil)),
		"not signed":                "eyJhbGciOiJub25lIn0." + parts[1] + ".",
		"signed by nothing":         parts[0] + "." + parts[1] + ".",
		"with other claims":         parts[0] + "." + strings.Split(f.token(t, claims{"sub": "root"}), ".")[1] + "." + parts[2],
		"with an odd header":        "e30." + parts[1] + "." + parts[2],
		"of dots":                   "..",
		"that is not base64":        "a.b.c",
		"of more than one part too": good + "." + parts[1],
	} {
		w := ask(g, "GET", "/", bearing(token))
		g.attempts = newAttempts()
		if w.Code != 401 || w.Header().Get("WWW-Authenticate") != `Bearer realm="vstream", error="invalid_token"` {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
		if name == "expired" && !strings.Contains(w.Body.String(), "has expired") {
			t.Errorf("expired: %s", w.Body)
		}
	}
	if w := ask(g, "GET", "/", bearing(good)); w.Code != 200 {
		t.Errorf("the good one: %d %s", w.Code, w.Body)
	}
	if n := f.fetches.Load(); n != 1 {
		t.Errorf("keys that were made up led to %d fetches", n)
	}
}

func TestWhileTheIssuerIsDownNobodyUnknownIsLetInAndTheKnownGoOn(t *testing.T) {
	f := newFakeIssuer(t)
	f.down.Store(true)
	var log record
	g := guard(t, Config{Issuer: f.URL, Audience: "vstream", Logger: log.logger()})
	token := f.token(t, nil)
	for range 2 * attemptsAtOnce { // which are no failed attempts of the client
		w := ask(g, "GET", "/", bearing(token))
		if w.Code != 503 || w.Header().Get("Retry-After") == "" || !strings.HasPrefix(w.Body.String(), "issuer-unavailable: ") {
			t.Fatalf("%d %v %s", w.Code, w.Header(), w.Body)
		}
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("logged %d times:\n%s", n, log.String())
	}
	f.down.Store(false)
	later(g)
	if w := ask(g, "GET", "/", bearing(token)); w.Code != 200 {
		t.Errorf("when it is back: %d %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "can be had again") {
		t.Errorf("logged:\n%s", log.String())
	}

	f.down.Store(true)
	later(g)
	if w := ask(g, "GET", "/", bearing(f.token(t, claims{"sub": "4711"}))); w.Body.String() != "reader 4711" {
		t.Errorf("a known key when it is down again: %d %s", w.Code, w.Body)
	}
	unknown := sign(t, jose.ES256, f.key("key-1"), "key-9", f.claims(nil))
	if w := ask(g, "GET", "/", bearing(unknown)); w.Code != 503 {
		t.Errorf("an unknown key: %d %s", w.Code, w.Body)
	}
	g.issuer.known.Store(&keySet{g.issuer.known.Load().keys, time.Now().Add(-staleKeys)})
	if w := ask(g, "GET", "/", bearing(token)); w.Code != 503 {
		t.Errorf("keys of yesterday: %d %s", w.Code, w.Body)
	}
}

func TestReloadsTellWhetherTheKeysOfTheIssuerCanBeHad(t *testing.T) {
	f := newFakeIssuer(t)
	g := believes(t, f)
	for _, step := range []struct {
		down bool
		want Reload
	}{
		{false, Reload{"oidc", 1, 0, false}},
		{true, Reload{"oidc", 1, 1, true}},
		{true, Reload{"oidc", 1, 1, true}},
		{false, Reload{"oidc", 2, 1, false}},
		{true, Reload{"oidc", 2, 2, true}},
	} {
		f.down.Store(step.down)
		later(g)
		_ = g.issuer.refresh(t.Context())
		if got := g.Reloads(); len(got) != 1 || got[0] != step.want {
			t.Errorf("%+v, want %+v", got, step.want)
		}
	}
}

func TestNewKeysOfTheIssuerAreFetchedAndOldOnesForgotten(t *testing.T) {
	f := newFakeIssuer(t)
	g := believes(t, f)
	old := f.token(t, nil)
	if w := ask(g, "GET", "/", bearing(old)); w.Code != 200 {
		t.Fatal(w.Code)
	}
	f.rotate(t, "key-2")
	later(g)
	if w := ask(g, "GET", "/", bearing(sign(t, jose.ES256, f.key("key-2"), "key-2", f.claims(nil)))); w.Code != 200 {
		t.Errorf("the new key: %d %s", w.Code, w.Body)
	}
	if w := ask(g, "GET", "/", bearing(old)); w.Code != 401 {
		t.Errorf("the old key: %d %s", w.Code, w.Body)
	}
}

func TestManyWhoComeAtOnceFetchTheKeysOnce(t *testing.T) {
	f := newFakeIssuer(t)
	g := believes(t, f)
	token := f.token(t, nil)
	var group sync.WaitGroup
	for range 50 {
		group.Go(func() {
			if w := ask(g, "GET", "/", bearing(token)); w.Code != 200 {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	group.Wait()
	if n := f.fetches.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
}

func TestRunFetchesTheKeysBeforeATokenComes(t *testing.T) {
	f := newFakeIssuer(t)
	g := believes(t, f)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- g.Run(ctx) }()
	for deadline := time.Now().Add(20 * time.Second); g.issuer.due(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the keys are not fetched")
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestSigningInEndsWithTheToken(t *testing.T) {
	f := newFakeIssuer(t)
	g := believes(t, f)
	w := post(g, "token="+f.token(t, claims{"exp": time.Now().Add(30 * time.Minute).Unix()}))
	if cookies := w.Result().Cookies(); len(cookies) != 1 || cookies[0].MaxAge > 30*60 || cookies[0].MaxAge < 20*60 {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

func TestAnIssuerMustBeProtectedByTLS(t *testing.T) {
	for address, ok := range map[string]bool{
		"https://login.example.com/realms/main":  true,
		"http://127.0.0.1:8080":                  true,
		"http://[::1]:8080/x":                    true,
		"http://localhost/x":                     true,
		"http://login.example.com":               false,
		"http://127.0.0.1.example.com":           false,
		"http://10.0.0.1":                        false,
		"ftp://login.example.com":                false,
		"login.example.com":                      false,
		"https://":                               false,
		"https://user:hunter2@login.example.com": false,
		"https://login.example.com?x=y":          false,
	} {
		_, err := ParseIssuer(address)
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestKeysAreNotFetchedInTheClearNorWithoutEnd(t *testing.T) {
	for name, document := range map[string]func(issuer string) string{
		"a jwks_uri in the clear": func(issuer string) string {
			return fmt.Sprintf(`{"issuer":%q,"jwks_uri":"http://keys.example.com/"}`, issuer)
		},
		"no jwks_uri":    func(issuer string) string { return fmt.Sprintf(`{"issuer":%q}`, issuer) },
		"another issuer": func(string) string { return `{"issuer":"https://evil.example.com","jwks_uri":"https://127.0.0.1:1/"}` },
		"an endless one": func(issuer string) string {
			return fmt.Sprintf(`{"issuer":%q,"x":%q}`, issuer, strings.Repeat("x", 2*maxAnswer))
		},
		"no keys":    func(issuer string) string { return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, issuer+"/none") },
		"not JSON":   func(string) string { return "<html>" },
		"a redirect": nil,
		"keys not found": func(issuer string) string {
			return fmt.Sprintf(`{"issuer":%q,"jwks_uri":%q}`, issuer, issuer+"/nothing")
		},
		"keys not allowed": func(issuer string) string {
			return fmt.Sprintf(`{"issuer":%q,"jwks_uri":"file:///etc/passwd"}`, issuer)
		},
	} {
		t.Run(name, func(t *testing.T) {
			var server *httptest.Server
			server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch {
				case document == nil:
					http.Redirect(w, r, "http://login.example.com/", http.StatusFound)
				case r.URL.Path == "/none":
					fmt.Fprint(w, `{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}`)
				case r.URL.Path == "/.well-known/openid-configuration":
					fmt.Fprint(w, document(server.URL))
				default:
					http.NotFound(w, r)
				}
			}))
			defer server.Close()
			g := guard(t, Config{Issuer: server.URL, Audience: "vstream"})
			if err := g.issuer.refresh(t.Context()); err == nil {
				t.Error("keys were taken")
			}
		})
	}
}
