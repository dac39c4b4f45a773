package access

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// certificates are those of the server and of the authorities of its clients.
type certificates struct {
	inForce atomic.Pointer[tls.Config]
	warned  time.Time // when the logger was last told that the certificate expires
}

func (c *certificates) take(paths []string, contents [][]byte) error {
	pair, err := tls.X509KeyPair(contents[0], contents[1])
	if err != nil {
		return &FileError{paths[0], fmt.Errorf("it is not a certificate that goes with the key in %s: %w", paths[1], err)}
	}
	config := &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"},
	}
	if len(paths) > 2 {
		config.ClientCAs = x509.NewCertPool()
		if !config.ClientCAs.AppendCertsFromPEM(contents[2]) {
			return &FileError{paths[2], errors.New("it holds no PEM certificate")}
		}
		// Not required: probes have none. Handler refuses everything else without one.
		config.ClientAuth = tls.VerifyClientCertIfGiven
	}
	c.inForce.Store(config)
	c.warned = time.Time{}
	return nil
}

// Listener returns what serves TLS on l, or l itself where that is not configured. New
// connections get the certificate that is in force.
func (g *Guard) Listener(l net.Listener) net.Listener {
	if g.server == nil {
		return l
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return g.server.inForce.Load(), nil
		},
	})
}

// TLS reports whether Listener serves TLS.
func (g *Guard) TLS() bool { return g.server != nil }

// holder returns who is at the other end of a connection, by its certificate. That is
// verified for each request, since an authority may have been removed, or the certificate
// have expired, while the connection stayed.
func (c *certificates) holder(state *tls.ConnectionState) (name string, ok bool) {
	if state == nil || len(state.PeerCertificates) == 0 {
		return "", false
	}
	leaf, between := state.PeerCertificates[0], x509.NewCertPool()
	for _, cert := range state.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots:         c.inForce.Load().ClientCAs,
		Intermediates: between,
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	})
	return nameOf(leaf), err == nil
}

// nameOf is the common name of a certificate or, of those that have none, the first of
// their other names.
func nameOf(cert *x509.Certificate) string {
	name := cert.Subject.CommonName
	if name == "" && len(cert.URIs) > 0 {
		name = cert.URIs[0].String()
	}
	if name == "" && len(cert.DNSNames) > 0 {
		name = cert.DNSNames[0]
	}
	return cmp.Or(name, "certificate "+cert.SerialNumber.Text(16))
}

// The logger is told once a day of a certificate that expires in less than expirySoon.
const (
	expirySoon     = 14 * 24 * time.Hour
	expiryReminder = 24 * time.Hour
)

// CertificateExpires returns when the server's certificate does, and whether it has one.
func (g *Guard) CertificateExpires() (time.Time, bool) {
	if g.server == nil {
		return time.Time{}, false
	}
	return g.server.inForce.Load().Certificates[0].Leaf.NotAfter, true
}

func (g *Guard) warnOfExpiry() {
	if g.server == nil || time.Since(g.server.warned) < expiryReminder {
		return
	}
	if end, _ := g.CertificateExpires(); time.Until(end) < expirySoon {
		g.server.warned = time.Now()
		g.logger.Warn("the certificate of TLS_CERT_FILE expires soon, or has expired; replace the files, a restart is not needed", "expires", end)
	}
}
