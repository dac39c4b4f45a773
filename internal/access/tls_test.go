package access

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(1e4 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	template.Raw = der
	return &authority{template, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// issue returns a certificate, of a server or a client, and its key.
func (a *authority) issue(t *testing.T, name string, life time.Duration) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(life),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

type pairFiles struct{ cert, key, ca string }

// files writes a certificate, its key and its authority into files.
func (a *authority) files(t *testing.T, name string) pairFiles {
	t.Helper()
	dir := t.TempDir()
	f := pairFiles{filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"), filepath.Join(dir, "ca.pem")}
	cert, key := a.issue(t, name, 90*24*time.Hour)
	write(t, f.cert, cert)
	write(t, f.key, key)
	write(t, f.ca, a.pem)
	return f
}

// serve serves an API behind g that says who reads, and returns its address.
func serve(t *testing.T, g *Guard) string {
	t.Helper()
	return serveHandler(t, g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Proto+" "+Identity(r.Context()))
	}))
}

// serveHandler serves h behind g as httpapi does, and returns its address.
func serveHandler(t *testing.T, g *Guard, h http.Handler) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: g.Handler(h, deny), Protocols: new(http.Protocols), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetHTTP2(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	done := make(chan error, 1)
	go func() { done <- server.Serve(g.Listener(listener)) }()
	t.Cleanup(func() { server.Close(); <-done })
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	return "localhost:" + port
}

func dial(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// client trusts a, and shows what it is given.
func client(t *testing.T, a *authority, shows ...tls.Certificate) *http.Client {
	t.Helper()
	trust := x509.NewCertPool()
	trust.AppendCertsFromPEM([]byte(a.pem))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: trust, Certificates: shows}, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second}
}

// fetch returns status and body, or 0 and the error.
func fetch(c *http.Client, url string) (int, string) {
	res, err := c.Get(url)
	if err != nil {
		return 0, err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(body)
}

func TestTLSSpeaksHTTP2AndHTTP1(t *testing.T) {
	a := newAuthority(t, "authority")
	f := a.files(t, "localhost")
	address := serve(t, guard(t, Config{CertFile: f.cert, KeyFile: f.key}))
	if status, body := fetch(client(t, a), "https://"+address); status != 200 || body != "HTTP/2.0 " {
		t.Errorf("%d %s", status, body)
	}
	old := client(t, a)
	old.Transport.(*http.Transport).TLSClientConfig.NextProtos = []string{"http/1.1"}
	old.Transport.(*http.Transport).ForceAttemptHTTP2 = false
	if status, body := fetch(old, "https://"+address); status != 200 || body != "HTTP/1.1 " {
		t.Errorf("%d %s", status, body)
	}
	if status, body := fetch(client(t, a), "http://"+address); status != 400 || !strings.Contains(body, "HTTPS server") {
		t.Errorf("plain HTTP on the TLS port: %d %s", status, body)
	}
	older := client(t, a)
	older.Transport.(*http.Transport).TLSClientConfig.MinVersion, older.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS10, tls.VersionTLS11
	if status, body := fetch(older, "https://"+address); status != 0 || !strings.Contains(body, "protocol version") {
		t.Errorf("TLS 1.1: %d %s", status, body)
	}
}

func TestWithoutTLSHTTP2IsSpokenInTheClear(t *testing.T) {
	address := serve(t, guard(t, Config{TokensFile: tokensFile(t, map[string]string{"secret": "alice"})}))
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetUnencryptedHTTP2(true)
	defer transport.CloseIdleConnections()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer secret")
	res, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); string(body) != "HTTP/2.0 alice" {
		t.Errorf("%d %s", res.StatusCode, body)
	}
}

func TestANewCertificateIsServedAndABadOneIsNot(t *testing.T) {
	first, second := newAuthority(t, "first"), newAuthority(t, "second")
	f := first.files(t, "localhost")
	g := guard(t, Config{CertFile: f.cert, KeyFile: f.key})
	address := "https://" + serve(t, g)
	if status, body := fetch(client(t, first), address); status != 200 {
		t.Fatal(body)
	}
	cert, key := second.issue(t, "localhost", time.Hour)
	write(t, f.cert, cert) // the key is still that of the first
	if _, err := g.files[0].load(); err == nil {
		t.Error("a certificate without its key is taken")
	}
	if status, body := fetch(client(t, first), address); status != 200 {
		t.Errorf("with the bad pair: %s", body)
	}
	write(t, f.key, key)
	if changed, err := g.files[0].load(); !changed || err != nil {
		t.Errorf("%v, %v", changed, err)
	}
	if status, body := fetch(client(t, second), address); status != 200 {
		t.Errorf("with the new pair: %s", body)
	}
}

func clientCertificate(t *testing.T, a *authority, name string, life time.Duration) tls.Certificate {
	t.Helper()
	cert, key := a.issue(t, name, life)
	pair, err := tls.X509KeyPair([]byte(cert), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return pair
}

func TestAClientCertificateLetsInWhileItsAuthorityIsTrusted(t *testing.T) {
	a, people, others := newAuthority(t, "servers"), newAuthority(t, "people"), newAuthority(t, "others")
	f := a.files(t, "localhost")
	write(t, f.ca, people.pem)
	g := guard(t, Config{CertFile: f.cert, KeyFile: f.key, ClientCAFile: f.ca})
	address := "https://" + serve(t, g)
	nobody, alice := client(t, a), client(t, a, clientCertificate(t, people, "alice", time.Hour))
	if status, body := fetch(nobody, address); status != 401 || !strings.Contains(body, "client certificate") {
		t.Errorf("without a certificate: %d %s", status, body)
	}
	if status, body := fetch(nobody, address+"/healthz"); status != 200 {
		t.Errorf("probe: %d %s", status, body)
	}
	if status, body := fetch(alice, address); status != 200 || body != "HTTP/2.0 alice" {
		t.Errorf("alice: %d %s", status, body)
	}
	for name, pair := range map[string]tls.Certificate{
		"of another authority": clientCertificate(t, others, "mallory", time.Hour),
		"expired":              clientCertificate(t, people, "eve", -time.Minute),
	} {
		if status, body := fetch(client(t, a, pair), address); status == 200 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	// The connection of alice stays open, and is of no use any more.
	write(t, f.ca, others.pem)
	if _, err := g.files[0].load(); err != nil {
		t.Fatal(err)
	}
	if status, body := fetch(alice, address); status != 401 {
		t.Errorf("alice, when her authority is gone: %d %s", status, body)
	}
}

func TestACertificateOrATokenIsEnough(t *testing.T) {
	a := newAuthority(t, "authority")
	f := a.files(t, "localhost")
	g := guard(t, Config{CertFile: f.cert, KeyFile: f.key, ClientCAFile: f.ca, TokensFile: tokensFile(t, map[string]string{"secret": "bob"})})
	address := "https://" + serve(t, g)
	for _, c := range []struct {
		client *http.Client
		header string
		want   string
	}{
		{client(t, a, clientCertificate(t, a, "alice", time.Hour)), "X: y", "200 HTTP/2.0 alice"},
		{client(t, a), bearing("secret"), "200 HTTP/2.0 bob"},
		{client(t, a, clientCertificate(t, a, "alice", time.Hour)), bearing("secret"), "200 HTTP/2.0 bob"},
		{client(t, a, clientCertificate(t, a, "alice", time.Hour)), bearing("wrong"), "401 "},
		{client(t, a, clientCertificate(t, a, "alice", time.Hour)), "Cookie: __Host-vstream_session=wrong", "200 HTTP/2.0 alice"},
		{client(t, a), "Cookie: __Host-vstream_session=secret", "200 HTTP/2.0 bob"},
		{client(t, a), "Cookie: vstream_session=secret", "401 "}, // that name can be set from anywhere
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		name, value, _ := strings.Cut(c.header, ": ")
		req.Header.Set(name, value)
		res, err := c.client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if got := fmt.Sprint(res.StatusCode, " ", string(body)); !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %s, want %s", c.header, got, c.want)
		}
	}
}

func TestACertificateIsCalledByItsFirstName(t *testing.T) {
	id := &url.URL{Scheme: "spiffe", Host: "example.com", Path: "/reader"}
	for want, cert := range map[string]*x509.Certificate{
		"alice":                       {Subject: pkix.Name{CommonName: "alice"}, URIs: []*url.URL{id}},
		"spiffe://example.com/reader": {URIs: []*url.URL{id}, DNSNames: []string{"a"}},
		"host.example.com":            {DNSNames: []string{"host.example.com"}},
		"certificate ff":              {SerialNumber: big.NewInt(255)},
	} {
		if cert.SerialNumber == nil {
			cert.SerialNumber = big.NewInt(1)
		}
		if got := nameOf(cert); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestAnExpiringCertificateIsToldOnceADay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log record
		a := newAuthority(t, "authority")
		f := a.files(t, "localhost")
		cert, key := a.issue(t, "localhost", 15*24*time.Hour)
		write(t, f.cert, cert)
		write(t, f.key, key)
		run(t, guard(t, Config{CertFile: f.cert, KeyFile: f.key, Logger: log.logger()}))
		for day, want := range []int{0, 1, 2} {
			synctest.Wait()
			if n := strings.Count(log.String(), "level=WARN msg=\"the certificate of TLS_CERT_FILE expires"); n != want {
				t.Errorf("after %d days it was told %d times, want %d", day, n, want)
			}
			time.Sleep(24*time.Hour + time.Minute)
		}
		cert, key = a.issue(t, "localhost", 90*24*time.Hour)
		write(t, f.cert, cert)
		write(t, f.key, key)
		time.Sleep(time.Minute)
		before := strings.Count(log.String(), "expires soon")
		time.Sleep(25 * time.Hour)
		if strings.Count(log.String(), "expires soon") != before {
			t.Error("it is told of a new certificate too")
		}
	})
}

// A client that never finishes its handshake must not keep others from theirs.
func TestAHandshakeThatHangsHoldsNobodyUp(t *testing.T) {
	a := newAuthority(t, "authority")
	f := a.files(t, "localhost")
	address := serve(t, guard(t, Config{CertFile: f.cert, KeyFile: f.key}))
	for range 20 {
		_, _ = dial(t, address).Write([]byte{0x16})
	}
	if status, body := fetch(client(t, a), "https://"+address); status != 200 {
		t.Errorf("%d %s", status, body)
	}
}
