package httpapi

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"vstream/internal/memlog"
)

// net/http waits for an announced body before it answers, and for the rest of it before
// it closes the connection.
func TestABodyThatNeverComesHoldsNothingUp(t *testing.T) {
	log := memlog.New(10, 1<<30)
	appendTo(t, log, 1)
	address := strings.TrimPrefix(serve(t, log), "http://")
	for _, c := range []struct {
		request, headers string
		status           int
	}{
		{"GET /api/v1/range", "Content-Length: 10", 400},
		{"GET /api/v1/events?watch=true", "Content-Length: 10", 400},
		{"GET /api/v1/events?watch=true", "Transfer-Encoding: chunked", 400},
		{"GET /api/v1/events/1", "Content-Length: 10\r\nExpect: 100-continue", 400},
		{"GET /api/v1/vcenters/vc1/range", "Content-Length: 1000000000", 400},
		{"GET /healthz", "Content-Length: 10", 400},
		{"POST /api/v1/events", "Content-Length: 10", 405},
		{"GET /nothing", "Content-Length: 10", 404},
		{"GET /api/v1/range/", "Content-Length: 10", 301},
		{"GET /api/v1/range", "Content-Length: 0\r\nConnection: close", 200},
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		const enough = 8 * time.Second // less than any timeout of the server, but for that of bodies
		_ = conn.SetDeadline(time.Now().Add(enough))
		fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: server\r\n%s\r\n\r\n", c.request, c.headers)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Errorf("%s with %q: %v", c.request, c.headers, err)
			continue
		}
		if res.StatusCode != c.status || !res.Close {
			t.Errorf("%s with %q: %d, closes: %v, want %d", c.request, c.headers, res.StatusCode, res.Close, c.status)
		}
		if c.status == 400 && res.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s with %q: %v", c.request, c.headers, res.Header)
		}
		if _, err := io.Copy(io.Discard, conn); err != nil {
			t.Errorf("%s with %q: the connection stays open: %v", c.request, c.headers, err)
		}
		conn.Close()
	}
}
