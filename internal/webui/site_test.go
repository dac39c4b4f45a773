package webui_test

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"vstream"
	"vstream/internal/access"
	"vstream/internal/httpapi"
	"vstream/internal/index"
	"vstream/internal/webui"
)

// views are those that every site offers.
var views = []httpapi.View{
	{Name: "Problems", Query: "severity=warning,error"},
	{Name: "Machines", Query: "type=VmPoweredOnEvent,VmPoweredOffEvent,VmReconfiguredEvent,VmMigratedEvent,VmCreatedEvent"},
}

// A site is a server of made-up vCenters, which can be stopped and started again at the same
// address.
type site struct {
	t        *testing.T
	address  string // from the first start on
	vcenters []*vcenter
	tokens   string // the file of them; none is asked for where it is empty
	stop     func()
}

// serve starts a server of vCenters, which runs until the test ends.
func serve(t *testing.T, vcenters ...*vcenter) *site {
	t.Helper()
	s := &site{t: t, address: "127.0.0.1:0", vcenters: vcenters}
	s.start()
	t.Cleanup(func() { s.stop() })
	return s
}

// serveOne starts a server of one vCenter that has n events, of the offsets from 1001 on.
func serveOne(t *testing.T, n int) (*site, *vcenter) {
	t.Helper()
	v := newVCenter("vc-01", 1001)
	if n > 0 {
		v.postN(t, n)
	}
	return serve(t, v), v
}

// start serves what the logs of the vCenters hold, whatever they are by now.
func (s *site) start() {
	s.t.Helper()
	listener, err := new(net.ListenConfig).Listen(s.t.Context(), "tcp", s.address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address = listener.Addr().String()
	server := &httpapi.Server{Listener: listener, WatchMaxAge: time.Hour, UI: webui.Files(), Views: views, Logger: slog.New(slog.DiscardHandler)}
	if s.tokens != "" {
		guard, err := access.New(access.Config{TokensFile: s.tokens, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			s.t.Fatal(err)
		}
		server.Guard = func(next http.Handler) http.Handler { return guard.Handler(next, server.Deny) }
	}
	ctx, end := context.WithCancel(context.Background())
	var running sync.WaitGroup
	for _, v := range s.vcenters {
		x := &index.Index{Log: v.log, MaxRows: 300_000, Logger: slog.New(slog.DiscardHandler)}
		server.VCenters = append(server.VCenters, httpapi.VCenter{
			Name: v.name, Log: v.log, Status: v.collected, Index: x, Types: func() []vstream.EventType { return catalogue },
		})
		running.Go(func() { _ = x.Run(ctx) })
		for x.Coverage().Building {
			time.Sleep(time.Millisecond)
		}
	}
	running.Go(func() {
		if err := server.Run(ctx); err != nil {
			s.t.Error(err)
		}
	})
	s.stop = func() {
		end()
		running.Wait()
	}
}

// url returns the address of the page with a query string, which may be empty.
func (s *site) url(query string) string { return "http://" + s.address + "/" + query }

// wantToken makes the server want a new token, from the next start on, and returns it.
func (s *site) wantToken() string {
	s.t.Helper()
	token, line, err := access.NewToken("amara")
	if err != nil {
		s.t.Fatal(err)
	}
	s.tokens = filepath.Join(s.t.TempDir(), "tokens")
	if err := os.WriteFile(s.tokens, []byte(line+"\n"), 0o600); err != nil {
		s.t.Fatal(err)
	}
	return token
}
