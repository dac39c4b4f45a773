package httpapi

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"vstream/internal/memlog"
)

func TestAWatchOfWhomeverMayReadNoMoreEndsProperly(t *testing.T) {
	log := memlog.New(10, 1<<30)
	appendTo(t, log, 1)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ends := make(chan func(), 1)
	s := &Server{Listener: listener, VCenters: only(log), WatchMaxAge: time.Hour, Admit: func(_ *http.Request, end func()) (func(), bool) {
		ends <- end
		return func() {}, true
	}}
	defer run(t, s)()
	base := "http://" + listener.Addr().String() + "/api/v1/events?"
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols}
	defer transport.CloseIdleConnections()
	for name, client := range map[string]*http.Client{"HTTP/1.1": http.DefaultClient, "HTTP/2": {Transport: transport}} {
		t.Run(name, func(t *testing.T) {
			res, err := client.Get(base + "watch=true&format=sse&offset=earliest")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			(<-ends)()
			text, err := io.ReadAll(res.Body)
			records := strings.Split(strings.TrimSpace(string(text)), "\n\n")
			if last := records[len(records)-1]; err != nil || !strings.Contains(last, `"reason":"`+reasonClose+`"`) {
				t.Errorf("%v; it ends with %s", err, last)
			}

			waiting := make(chan int, 1)
			go func() {
				res, err := client.Get(base + "wait=60s&offset=now")
				if err != nil {
					t.Error(err)
					waiting <- 0
					return
				}
				res.Body.Close()
				waiting <- res.StatusCode
			}()
			(<-ends)()
			select {
			case status := <-waiting:
				if status != http.StatusOK && status != http.StatusNoContent {
					t.Errorf("a page that waited: %d", status)
				}
			case <-time.After(30 * time.Second):
				t.Error("a page goes on waiting")
			}
		})
	}
	counted := func() (n int64) {
		for _, w := range s.Watches() {
			n += w.Closed[closedByGuard]
		}
		return n
	}
	for deadline := time.Now().Add(20 * time.Second); counted() < 2; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("they are not counted: %+v", s.Watches())
		}
	}
}
