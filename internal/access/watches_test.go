package access

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestWatchesAreLimitedInAllAndPerClient(t *testing.T) {
	w := newWatches(3, 2)
	first := &watch{client: "alice"}
	add := func(client string) bool { return w.add(&watch{client: client}) }
	if !w.add(first) || !add("alice") {
		t.Fatal("the first two are refused")
	}
	if add("alice") {
		t.Error("alice has three")
	}
	if !add("bob") || add("carol") {
		t.Error("there are two, or four")
	}
	w.remove(first)
	w.remove(first) // counts once
	if !add("carol") {
		t.Error("what was released is not free")
	}
	if add("carol") {
		t.Error("what was released once is free twice")
	}
}

func TestWatchesWithoutLimitsAreNotLimited(t *testing.T) {
	g := guard(t, Config{})
	for range 1000 {
		if _, ok := g.Admit(httptest.NewRequest("GET", "/", nil), func() {}); !ok {
			t.Fatal("refused")
		}
	}
}

func TestNothingIsKeptOfClientsThatAreGone(t *testing.T) {
	w := newWatches(50, 5)
	var group sync.WaitGroup
	var most, now atomic.Int64
	for n := range 200 {
		group.Go(func() {
			for range 100 {
				one := &watch{client: string(rune('a' + n%26))}
				if w.add(one) {
					most.Store(max(most.Load(), now.Add(1)))
					now.Add(-1)
					w.remove(one)
				}
			}
		})
	}
	group.Wait()
	if len(w.all) != 0 || len(w.their) != 0 || most.Load() > 50 {
		t.Errorf("%d in all, %d clients, %d at a time", len(w.all), len(w.their), most.Load())
	}
}

// begin begins a watch with what the headers show, and reports whether it has been ended.
func begin(t *testing.T, g *Guard, headers ...string) (ended *atomic.Bool, release func()) {
	t.Helper()
	ended = new(atomic.Bool)
	watching := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		release, _ = g.Admit(r, func() { ended.Store(true) })
	})
	r := httptest.NewRequest("GET", "/", nil)
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	g.Handler(watching, deny).ServeHTTP(w, r)
	if release == nil {
		t.Fatalf("the watch is refused: %d %s", w.Code, w.Body)
	}
	return ended, release
}

func TestAWatchEndsWithTheTokenItWasBegunWith(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := tokensFile(t, map[string]string{"one": "alice", "two": "alice", "three": "bob"})
		g := guard(t, Config{TokensFile: path})
		run(t, g)
		one, _ := begin(t, g, bearing("one"))
		cookie, _ := begin(t, g, "Cookie: "+plainCookie+"=one")
		two, _ := begin(t, g, bearing("two"))
		three, release := begin(t, g, bearing("three"))
		expect := func(when string, first, second bool) {
			t.Helper()
			time.Sleep(2 * reloadInterval)
			synctest.Wait()
			if one.Load() != first || cookie.Load() != first || two.Load() != second {
				t.Errorf("%s: ended are %t, with a cookie %t, with another token %t", when, one.Load(), cookie.Load(), two.Load())
			}
		}
		expect("at the start", false, false)
		write(t, path, "half a li")
		expect("when the file makes no sense", false, false)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		expect("when the file is gone", false, false)
		release()
		write(t, path, tokenLines(map[string]string{"two": "alice"}))
		expect("when one token is removed", true, false)
		write(t, path, "")
		expect("when all are", true, true)
		if three.Load() {
			t.Error("a watch that was over is ended")
		}
	})
}

// A file may be read again after the guard has let a request pass, and before its watch is
// known.
func TestAWatchThatBeginsWhileItsTokenIsRemovedEndsAtOnce(t *testing.T) {
	path := tokensFile(t, map[string]string{"one": "alice"})
	g := guard(t, Config{TokensFile: path})
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer one")
	var ended atomic.Bool
	g.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		write(t, path, "")
		if _, err := g.files[0].load(); err != nil {
			t.Error(err)
		}
		g.Admit(r, func() { ended.Store(true) })
	}), deny).ServeHTTP(httptest.NewRecorder(), r)
	if !ended.Load() {
		t.Error("it goes on")
	}
}

func TestAWatchEndsWhenAJSONWebTokenExpires(t *testing.T) {
	f := newFakeIssuer(t)
	g := believes(t, f)
	expiry := time.Now().Add(time.Hour).Truncate(time.Second)
	ended, _ := begin(t, g, bearing(f.token(t, claims{"exp": expiry.Unix()})))
	if g.watches.review(false); ended.Load() {
		t.Error("it has ended before")
	}
	for w := range g.watches.all {
		if !w.who.until.Equal(expiry) {
			t.Errorf("it would end at %v, not at %v", w.who.until, expiry)
		}
		w.who.until = time.Now().Add(-clockSkew - time.Second)
	}
	if g.watches.review(false); !ended.Load() {
		t.Error("it goes on")
	}
}

func TestAWatchEndsWithTheAuthorityOfItsCertificate(t *testing.T) {
	a, people, others := newAuthority(t, "servers"), newAuthority(t, "people"), newAuthority(t, "others")
	f := a.files(t, "localhost")
	write(t, f.ca, people.pem)
	g := guard(t, Config{CertFile: f.cert, KeyFile: f.key, ClientCAFile: f.ca})
	var ended atomic.Bool
	address := "https://" + serveHandler(t, g, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		g.Admit(r, func() { ended.Store(true) })
	}))
	if status, body := fetch(client(t, a, clientCertificate(t, people, "alice", time.Hour)), address); status != 200 {
		t.Fatalf("%d %s", status, body)
	}
	if g.watches.review(true); ended.Load() {
		t.Error("it has ended before")
	}
	write(t, f.ca, others.pem)
	if _, err := g.files[0].load(); err != nil {
		t.Fatal(err)
	}
	if g.watches.review(true); !ended.Load() {
		t.Error("it goes on")
	}
}
