package client_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vstream/client"
	"vstream/internal/access"
)

// write writes a file and returns its path.
func write(t *testing.T, dir, name, content string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// An authority signs certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T, dir, name string) *authority {
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
	file := write(t, dir, name+".pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return &authority{template, key, file}
}

// issue returns the files of a certificate for a name and an address, and of its key.
func (a *authority) issue(t *testing.T, dir, name string, ip net.IP, life time.Duration) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(life),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{ip}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, name+".cert", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))),
		write(t, dir, name+".key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})))
}

func TestWhoMayReadReadsOverTLSAndWhoMayNotIsTold(t *testing.T) {
	dir := t.TempDir()
	ours, others := newAuthority(t, dir, "ours"), newAuthority(t, dir, "others")
	cert, key := ours.issue(t, dir, "server", net.IPv4(127, 0, 0, 1), time.Hour)
	alice, aliceKey := ours.issue(t, dir, "alice", net.IPv4(127, 0, 0, 2), time.Hour)
	const first, second = "first-token", "second-token"
	tokens := write(t, dir, "tokens", fmt.Sprintf("alice:%x\nbob:%x\n", sha256.Sum256([]byte(first)), sha256.Sum256([]byte(second))))
	v := newVCenter("vc1", 1000)
	v.add(1, 100)
	s := &server{t: t, vcenters: []*vcenter{v}, access: access.Config{CertFile: cert, KeyFile: key, ClientCAFile: ours.file, TokensFile: tokens}}
	s.start()
	url := "https://" + s.address
	var said bytes.Buffer
	logger := client.WithLogger(slog.New(slog.NewTextHandler(&said, &slog.HandlerOptions{Level: slog.LevelDebug})))
	trust := client.WithCAFile(ours.file)

	for what, opts := range map[string][]client.Option{
		"a token":           {trust, client.WithToken(first)},
		"a certificate":     {trust, client.WithClientCertificate(alice, aliceKey)},
		"a token of a file": {trust, client.WithTokenFile(write(t, dir, "token", " "+second+"\n"))},
		"whomever":          {client.WithInsecureSkipVerify(), client.WithToken(first)},
	} {
		same(t, what, collect(t, newClient(t, url, append(opts, logger)...).List(limited(t)), 0), v.told)
	}
	for what, q := range map[string]struct {
		url  string
		opts []client.Option
		is   func(error) bool
		says string
	}{
		"no token":            {url, []client.Option{trust}, is[*client.UnauthenticatedError], "give a valid token"},
		"a wrong token":       {url, []client.Option{trust, client.WithToken("wrong-token")}, is[*client.UnauthenticatedError], "the token is not valid"},
		"an unknown signer":   {url, []client.Option{client.WithToken(first)}, is[*client.TLSError], "as a CA file"},
		"another signer":      {url, []client.Option{client.WithCAFile(others.file), client.WithToken(first)}, is[*client.TLSError], "authority that is not known"},
		"another name":        {strings.Replace(url, "127.0.0.1", "localhost", 1), []client.Option{trust}, is[*client.TLSError], "for another name"},
		"no TLS":              {"http://" + s.address, nil, is[*client.BadRequestError], "whether it wants https"},
		"no token in a file":  {url, []client.Option{trust, client.WithTokenFile(write(t, dir, "empty", "\n"))}, is[error], "the token is empty"},
		"no file with tokens": {url, []client.Option{trust, client.WithTokenFile(filepath.Join(dir, "none"))}, is[error], "a file that holds the token"},
	} {
		retried := 0
		c := newClient(t, q.url, append(q.opts, logger)...)
		err := failure(t, c.Watch(limited(t), client.OnReconnect(func(client.Reconnect) error { retried++; return nil })))
		if !q.is(err) || !strings.Contains(err.Error(), q.says) || retried > 0 {
			t.Errorf("%s: after %d tries more: %v", what, retried, err)
		}
		if strings.Contains(err.Error(), "-token") {
			t.Errorf("%s: the error tells the token: %v", what, err)
		}
	}
	if strings.Contains(said.String(), "-token") {
		t.Errorf("the log tells a token: %s", said.String())
	}
	plain := serve(t, v)
	if err := failure(t, newClient(t, "https://"+plain.address).Watch(limited(t))); !is[*client.ProtocolError](err) || !strings.Contains(err.Error(), "http://") {
		t.Errorf("TLS to a server without: %v", err)
	}
}

func TestATokenIsAskedForWithEachRequest(t *testing.T) {
	dir := t.TempDir()
	const first, second = "first-token", "second-token"
	line := func(token string) string { return fmt.Sprintf("alice:%x\n", sha256.Sum256([]byte(token))) }
	v := newVCenter("vc1", 1000)
	v.add(1, 3)
	s := &server{t: t, vcenters: []*vcenter{v}, access: access.Config{TokensFile: write(t, dir, "tokens", line(first))}}
	s.start()
	token := write(t, dir, "token", first)
	var got []string
	for e, err := range newClient(t, s.url(), client.WithTokenFile(token)).Watch(limited(t), client.Earliest()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(e.JSON))
		if e.Offset == 3 {
			s.stop()
			write(t, dir, "tokens", line(second))
			write(t, dir, "token", second)
			v.add(4, 4)
			s.start()
		}
		if e.Offset == 4 {
			break
		}
	}
	same(t, "events", got, v.told)

	gone := errors.New("the vault is closed")
	c := newClient(t, s.url(), client.WithTokenFunc(func(context.Context) (string, error) { return "", gone }))
	if err := failure(t, c.Watch(limited(t))); !errors.Is(err, gone) {
		t.Errorf("without a token it ended with %v", err)
	}
}

func TestSettingsThatCannotBeUsedAreRefusedAtOnce(t *testing.T) {
	dir := t.TempDir()
	bad := write(t, dir, "bad.pem", "no certificate")
	for want, opts := range map[string][]client.Option{
		"the authorities cannot be read":        {client.WithCAFile(filepath.Join(dir, "none"))},
		"holds no PEM certificate":              {client.WithCAFile(bad)},
		"the client certificate cannot be used": {client.WithClientCertificate(bad, bad)},
		"given in more than one way":            {client.WithToken("a"), client.WithTokenFile("b")},
		"set TLS in the transport":              {client.WithHTTPClient(http.DefaultClient), client.WithInsecureSkipVerify()},
		"give a positive number":                {client.WithMaxEventBytes(0)},
		"cannot be negative":                    {client.WithRetry(client.Retry{Min: -1})},
	} {
		if _, err := client.New("http://localhost:8080", opts...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	var said bytes.Buffer
	if _, err := client.New("http://vstream.example.com", client.WithToken("secret"), client.WithLogger(slog.New(slog.NewTextHandler(&said, nil)))); err != nil ||
		!strings.Contains(said.String(), "in the clear") || strings.Contains(said.String(), "secret") {
		t.Errorf("a token without TLS: %v, %s", err, said.String())
	}
}
