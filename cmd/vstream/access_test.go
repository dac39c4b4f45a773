package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"vstream/internal/access"
)

// A documentation runs the sh blocks of a document, one after the other.
type documentation struct {
	rest string
	demo *exec.Cmd // under way
}

// block CONTAINS runs the next block, which must contain the text. One that runs vstream
// demo goes on until the next such block, which begins when it has shown an event; URL is
// where it serves. What a block says of
// localhost:8080 is said to that. ! block checks that there is no other.
func (d *documentation) block(ts *testscript.TestScript, neg bool, args []string) {
	_, rest, found := strings.Cut(d.rest, "```sh\n")
	if neg || !found {
		if neg == found {
			ts.Fatalf("there are other blocks than expected")
		}
		return
	}
	block, rest, _ := strings.Cut(rest, "```")
	d.rest = rest
	if !strings.Contains(block, args[0]) {
		ts.Fatalf("the next block is\n%s", block)
	}
	if strings.Contains(block, "vstream demo") {
		d.stop()
		d.start(ts, block)
		return
	}
	_, address, _ := strings.Cut(ts.Getenv("URL"), "//")
	ts.Check(ts.Exec("sh", "-eu", "-c", strings.ReplaceAll(block, "localhost:8080", address)))
}

func (d *documentation) start(ts *testscript.TestScript, block string) {
	out, err := os.Create(ts.MkAbs("demo.out"))
	ts.Check(err)
	defer out.Close()
	d.demo = exec.Command("sh", "-eu", "-c", block)
	d.demo.Dir, d.demo.Stdout, d.demo.Stderr = ts.MkAbs("."), out, out
	d.demo.Env = []string{atOnce, "PATH=" + ts.Getenv("PATH"), "TMPDIR=" + ts.Getenv("WORK"), "PORT=0"}
	d.demo.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // with the shell
	ts.Check(d.demo.Start())
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		said := ts.ReadFile("demo.out")
		if m := regexp.MustCompile(`(https?)://127\.0\.0\.1(:\d+)/api/v1/range(?s:.*)\n *\d+  \d\d:\d\d:\d\d  `).FindStringSubmatch(said); m != nil {
			ts.Setenv("URL", m[1]+"://localhost"+m[2])
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("the demo does not start:\n%s", said)
		}
	}
}

func (d *documentation) stop() {
	if d.demo != nil {
		_ = syscall.Kill(-d.demo.Process.Pid, syscall.SIGKILL)
		_ = d.demo.Wait()
	}
}

func TestAServerWithTokensAnswersBeforeABodyComesAndStopsCleanly(t *testing.T) {
	dir := t.TempDir()
	token, line, err := access.NewToken("alice")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"username": "user", "password": "pass", "tokens": line + "\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	serve := start(t, []string{"PORT=0", "VCENTER_URL=https://127.0.0.1:1", "VCENTER_SECRET_PATH=" + dir, "AUTH_TOKENS_FILE=" + dir + "/tokens", "AUTH_TOKEN_FILE=x"}, "serve")
	serve.says(`AUTH_TOKEN_FILE \(did you mean AUTH_TOKENS_FILE\?\)`)
	address := "127.0.0.1:" + serve.says(`address=\S*:(\d+)`)[1]
	serve.says(`tokens travel in the clear`)
	for request, want := range map[string]int{
		"GET /api/v1/range HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n":                                 401,
		"POST /signin HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\nSec-Fetch-Site: cross-site\r\n\r\n":        403,
		"GET /api/v1/range HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer " + token + "\r\n\r\n":                204,
		"GET /api/v1/events?watch=1 HTTP/1.1\r\nHost: a\r\nCookie: vstream_session=" + token + "\r\n\r\n":     200,
		"GET /api/v1/range HTTP/1.1\r\nHost: a\r\nAuthorization: " + strings.Repeat("x", 64<<10) + "\r\n\r\n": 431,
	} {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(8 * time.Second)) // less than any timeout of the server
		_, _ = conn.Write([]byte(request))
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || res.StatusCode != want {
			t.Errorf("%.80q: %v, %v, want %d", request, res, err, want)
		}
	}
	serve.stop() // with a watch under way
	if strings.Contains(serve.text(), token) {
		t.Error("the token is logged")
	}
}

// certificates writes what docs/access.md takes for granted: cert.pem with key.pem of the
// authority ca.pem, and alice.pem with alice-key.pem of the authority people.pem.
func certificates(ts *testscript.TestScript, _ bool, _ []string) {
	write := func(file, kind string, der []byte) {
		ts.Check(os.WriteFile(ts.MkAbs(file), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	}
	for _, pair := range []struct{ authority, cert, key, name string }{
		{"ca.pem", "cert.pem", "key.pem", "localhost"},
		{"people.pem", "alice.pem", "alice-key.pem", "alice"},
	} {
		root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: pair.authority}, NotAfter: time.Now().Add(time.Hour),
			IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
		leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: pair.name}, NotAfter: time.Now().Add(time.Hour),
			DNSNames: []string{pair.name}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
		rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		ts.Check(err)
		leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		ts.Check(err)
		der, err := x509.CreateCertificate(rand.Reader, root, root, &rootKey.PublicKey, rootKey)
		ts.Check(err)
		write(pair.authority, "CERTIFICATE", der)
		der, err = x509.CreateCertificate(rand.Reader, leaf, root, &leafKey.PublicKey, rootKey)
		ts.Check(err)
		write(pair.cert, "CERTIFICATE", der)
		der, err = x509.MarshalPKCS8PrivateKey(leafKey)
		ts.Check(err)
		write(pair.key, "PRIVATE KEY", der)
	}
}

func TestWatchesAreLimitedAsConfigured(t *testing.T) {
	env := environment(t, start(t, nil, "simulate", "--listen", "127.0.0.1:0", "--seed", "1"))
	for setting, want := range map[string]string{"WATCH_MAX=2": "200 200 429", "WATCH_MAX_PER_CLIENT=1": "200 429 429", "WATCH_MAX=0": "200 200 200"} {
		base := api(start(t, append(env, setting), "serve"))
		var got []string
		for range 3 {
			res, err := http.Get(base + "/events?watch=true")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { res.Body.Close() })
			got = append(got, res.Status[:3])
		}
		if text := strings.Join(got, " "); text != want {
			t.Errorf("with %s three watches are answered %s, want %s", setting, text, want)
		}
	}
}
