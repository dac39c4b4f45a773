package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
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
	d.demo.Env = []string{"PATH=" + ts.Getenv("PATH"), "TMPDIR=" + ts.Getenv("WORK"), "PORT=0"}
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
