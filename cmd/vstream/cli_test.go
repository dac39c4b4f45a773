package main

import (
	"encoding/pem"
	"log/slog"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"vstream/internal/access"
	"vstream/internal/httpapi"
)

// A shop is the servers that scripts of the command line read from.
type shop struct {
	one, both string // of the events of testdata/documented: of vc1, and of both vCenters
	tls       string // the first, behind a certificate of its own
	tokens    string // the first, for those who have a token
	ca        []byte
	token     string
}

func newShop(t *testing.T) *shop {
	t.Helper()
	addresses := documentedServers(t)
	s := &shop{one: "http://" + addresses["localhost:8080"], both: "http://" + addresses["localhost:8081"]}
	target, err := url.Parse(s.one)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.FlushInterval = -1
	secure := httptest.NewTLSServer(proxy)
	t.Cleanup(secure.Close)
	s.tls = secure.URL
	s.ca = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw})

	token, line, err := access.NewToken("alice")
	if err != nil {
		t.Fatal(err)
	}
	s.token = token
	file := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	guard, err := access.New(access.Config{TokensFile: file, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	denying := &httpapi.Server{Logger: slog.New(slog.DiscardHandler)}
	guarded := httptest.NewServer(guard.Handler(proxy, denying.Deny))
	t.Cleanup(guarded.Close)
	s.tokens = guarded.URL
	return s
}

// tell lets a script find the servers.
func (s *shop) tell(env *testscript.Env) error {
	env.Setenv("ONE", s.one)
	env.Setenv("HOST_ONE", strings.TrimPrefix(s.one, "http://"))
	env.Setenv("BOTH", s.both)
	env.Setenv("TLS", s.tls)
	env.Setenv("HOST_TLS", strings.TrimPrefix(s.tls, "https://"))
	env.Setenv("TOKENS", s.tokens)
	env.Setenv("TOKEN", s.token)
	env.Setenv("VSTREAM_CLI_CONFIG", filepath.Join(env.WorkDir, "contexts", "config.yaml"))
	env.Setenv("TZ", "UTC")
	if err := os.WriteFile(filepath.Join(env.WorkDir, "ca.pem"), s.ca, 0o600); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(env.WorkDir, "token"), []byte(s.token+"\n"), 0o600)
}
