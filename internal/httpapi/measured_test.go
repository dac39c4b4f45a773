package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vstream/internal/memlog"
)

// answers keeps what it is told.
type answers struct {
	mu   sync.Mutex
	told []Answer
}

func (a *answers) add(one Answer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.told = append(a.told, one)
}

func (a *answers) all() []Answer {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.told)
}

func TestEachAnswerIsToldOnceByItsRoute(t *testing.T) {
	log := memlog.New(10, 1<<30)
	appendTo(t, log, 1)
	var told answers
	s := &Server{VCenters: only(log), WatchMaxAge: time.Hour, Logger: slog.New(slog.DiscardHandler), Answered: told.add}
	s.Guard = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("stranger") {
				s.Deny(w, r, http.StatusForbidden, "forbidden", "Forbidden", "go away")
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	handler := s.observed(s.Guard(s.handler(t.Context())))
	for _, c := range []struct{ method, path, want string }{
		{"GET", "/api/v1/events", "/api/v1/events GET 200"},
		{"HEAD", "/api/v1/vcenters/vc1/events", "/api/v1/vcenters/{name}/events HEAD 200"},
		{"GET", "/api/v1/vcenters/nobody/events", "/api/v1/vcenters/{name}/events GET 404"},
		{"GET", "/api/v1/events/77", "/api/v1/events/{id} GET 404"},
		{"OPTIONS", "/api/v1/range", "/api/v1/range OPTIONS 200"},
		{"DELETE", "/api/v1/events/1", "/api/v1/events/{id} DELETE 405"},
		{"GET", "/etc/passwd", " GET 404"},
		{"GET", "/api/v1/events?stranger", " GET 403"},
	} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(c.method, c.path, nil))
		all := told.all()
		last := all[len(all)-1]
		if got := fmt.Sprintf("%s %s %d", last.Route, last.Method, last.Status); got != c.want || last.Took < 0 || last.Took > time.Minute {
			t.Errorf("%s %s is told as %s, in %v, want %s", c.method, c.path, got, last.Took, c.want)
		}
	}
	if n := len(told.all()); n != 8 {
		t.Errorf("8 answers are told as %d", n)
	}
}

func TestWaitingForEventsIsNotMeasured(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told answers
		log := memlog.New(10, 1<<30)
		s := &Server{VCenters: only(log), WatchMaxAge: time.Hour, Logger: slog.New(slog.DiscardHandler), Answered: told.add}
		handler := s.observed(s.handler(t.Context()))
		go handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/api/v1/events?offset=now&wait=20s", nil))
		time.Sleep(15 * time.Second)
		appendTo(t, log, 1)
		synctest.Wait()
		if all := told.all(); len(all) != 1 || all[0].Took != 0 || all[0].Status != 200 {
			t.Errorf("a page that waited is told as %v", all)
		}

		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/api/v1/events?watch=true", nil).WithContext(ctx))
		}()
		time.Sleep(15 * time.Second)
		if all := told.all(); len(all) != 2 || all[1].Took != 0 || all[1].Status != 200 {
			t.Errorf("a watch that goes on is told as %v", all)
		}
		cancel()
		<-done
		if n := len(told.all()); n != 2 {
			t.Errorf("when the watch has ended %d answers are told", n)
		}
	})
}

func TestWatchesAreCountedByFormAndByWhyTheyWereClosed(t *testing.T) {
	log := memlog.New(100, 1<<30)
	appendTo(t, log, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Listener: listener, VCenters: only(log), WatchMaxAge: time.Hour}
	stop := run(t, s)
	defer stop()
	base := "http://" + listener.Addr().String() + "/api/v1/events?watch=true&offset=earliest"
	of := func(form string) Watches {
		all := s.Watches()
		return all[slices.IndexFunc(all, func(w Watches) bool { return w.Form == form })]
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("not so: %s: %+v", what, s.Watches())
			}
		}
	}

	limited := body(t, get(t, base+"&limit=1"))
	until("one was closed at its limit", func() bool {
		w := of("json")
		return w.Opened == 1 && w.Open == 0 && w.Closed[closedAtLimit] == 1 && w.Events == 1 && w.Bytes == int64(len(limited))
	})
	res := get(t, base+"&format=sse")
	if _, err := bufio.NewReader(res.Body).ReadString('{'); err != nil {
		t.Fatal(err)
	}
	until("one is open and rests", func() bool { w := of("sse"); return w.Open == 1 && w.Events == 1 && w.Lag == 0 && w.Bytes > 0 })
	res.Body.Close()
	until("it was closed by its client", func() bool { w := of("sse"); return w.Open == 0 && w.Closed[closedByClient] == 1 && w.Events == 1 })
	get(t, base+"&format=text")
	until("one more is open", func() bool { return of("text").Open == 1 })
	stop()
	if w := of("text"); w.Open != 0 || w.Closed[closedByStop] != 1 {
		t.Errorf("when the server has stopped there is %+v", w)
	}
}

// stuck is a connection to a client that takes nothing until it is let go.
type stuck struct {
	nowhere
	let chan struct{}
}

func (c stuck) Write(b []byte) (int, error) {
	<-c.let
	return len(b), nil
}

func TestAWatchWhoseClientTakesNothingIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := memlog.New(100, 1<<30)
		all := vcentersOf(log)
		q, err := queryOf(httptest.NewRequest(http.MethodGet, "/api/v1/events?watch=true", nil), []*VCenter{&all[0]})
		if err != nil {
			t.Fatal(err)
		}
		f, err := q.open(t.Context(), q.from, q.until)
		if err != nil {
			t.Fatal(err)
		}
		s := &Server{Logger: slog.New(slog.DiscardHandler)}
		let := make(chan struct{})
		w := &watch{query: q, feed: f, out: &stream{client: &wire{Conn: stuck{let: let}}}, asked: httptest.NewRequest(http.MethodGet, "/", nil)}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.follow(ctx, ctx, w)
		}()
		time.Sleep(time.Hour)
		if json := s.Watches()[0]; json.Open != 1 || json.Lag != 0 || json.Behind != 0 {
			t.Errorf("one that waits for events is %+v", json)
		}
		appendTo(t, log, 1)
		time.Sleep(7 * time.Second)
		if json := s.Watches()[0]; json.Lag != 7*time.Second || json.Behind != 1 {
			t.Errorf("one whose client has taken nothing for 7 s is %+v", json)
		}
		close(let)
		synctest.Wait()
		if json := s.Watches()[0]; json.Lag != 0 || json.Behind != 0 || json.Events != 1 {
			t.Errorf("one whose client has taken all is %+v", json)
		}
		cancel()
		<-done
	})
}

func TestTheSpanOfAWatchEndsWithIt(t *testing.T) {
	log := memlog.New(100, 1<<30)
	appendTo(t, log, 1, 2, 3)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan string, 10)
	stop := run(t, &Server{Listener: listener, VCenters: only(log), WatchMaxAge: time.Hour, Trace: func(r *http.Request) (context.Context, Span) {
		return r.Context(), func(attributes ...slog.Attr) { ended <- fmt.Sprint(attributes) }
	}})
	defer stop()
	for query, want := range map[string][]string{
		"watch=true&offset=earliest&limit=2&format=sse": {"http.route=/api/v1/vcenters/{name}/events", "status_code=200", "vcenter=vc1", "form=sse", "events=2", "reason=limit"},
		"limit=1": {"http.route=/api/v1/vcenters/{name}/events", "status_code=200", "vcenter=vc1", "form=json", "events=1"},
	} {
		body(t, get(t, "http://"+listener.Addr().String()+"/api/v1/vcenters/vc1/events?"+query))
		got := <-ended
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("the span of %s ends with %s, want %s in it", query, got, w)
			}
		}
	}
	if len(ended) > 0 {
		t.Errorf("a span ends again, with %s", <-ended)
	}
}
