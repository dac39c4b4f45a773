package vcentertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"time"
)

// start begins to serve, on a port that nobody has.
func (v *VCenter) start() {
	v.t.Helper()
	certificate, err := newCertificate()
	if err != nil {
		v.t.Fatal(err)
	}
	v.certificate = certificate.Leaf
	v.config = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	v.server = &http.Server{
		Handler:           http.HandlerFunc(v.serve),
		ReadHeaderTimeout: time.Minute,
		ErrorLog:          log.New(io.Discard, "", 0), // clients that go away are what tests are made of
		ConnState: func(c net.Conn, state http.ConnState) {
			v.mu.Lock()
			defer v.mu.Unlock()
			switch state {
			case http.StateNew:
				v.connections[c] = true
			case http.StateClosed, http.StateHijacked:
				delete(v.connections, c)
			}
		},
	}
	v.Up()
}

// Down makes the vCenter unreachable: connections break off, new ones are refused. It
// knows nothing of what it leaves unanswered, so sessions that are not used again after
// Up do not count as left behind, nor do collectors that their client has not named yet.
func (v *VCenter) Down() {
	v.door.Lock()
	defer v.door.Unlock()
	v.down()
}

func (v *VCenter) down() {
	if v.stopped == nil {
		return
	}
	_ = v.socket.Close()
	<-v.stopped
	v.stopped = nil
	v.hangUp()
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, s := range v.sessions {
		s.excused = true
	}
	for _, c := range v.collectors {
		c.excused = c.excused || !c.known // its id may have been on its way
	}
}

// Up ends Down: the same vCenter at the same address, with its sessions.
func (v *VCenter) Up() {
	v.t.Helper()
	v.door.Lock()
	defer v.door.Unlock()
	if v.stopped != nil {
		return
	}
	address := v.address
	if address == "" {
		address = "127.0.0.1:0"
	}
	// Somebody else may have been given the port for a moment.
	var socket net.Listener
	var err error
	for range 1000 {
		if socket, err = net.Listen("tcp", address); err == nil {
			break
		}
	}
	if err != nil {
		v.t.Errorf("the fake vCenter cannot come up again: %v", err)
		return
	}
	if v.address == "" {
		v.address = socket.Addr().String()
	}
	stopped := make(chan struct{})
	v.socket, v.stopped = socket, stopped
	go func() {
		defer close(stopped)
		_ = v.server.Serve(tls.NewListener(socket, v.config))
	}()
}

// hangUp breaks off all connections.
func (v *VCenter) hangUp() {
	v.mu.Lock()
	var all []net.Conn
	for c := range v.connections {
		all = append(all, c)
	}
	v.mu.Unlock()
	for _, c := range all {
		_ = abort(c)
	}
}

// end stops the server and waits for the calls it is still answering.
func (v *VCenter) end() {
	close(v.ended)
	v.door.Lock()
	defer v.door.Unlock()
	v.down()
	_ = v.server.Close()
	v.busy.Lock()
}

// abort resets a connection: what is on its way is lost, and nobody says goodbye.
func abort(c net.Conn) error {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	return c.Close()
}

// newCertificate makes a certificate for 127.0.0.1 that is its own authority.
func newCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		Subject:               pkix.Name{CommonName: "vcentertest"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(365 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		BasicConstraintsValid: true,
		IsCA:                  true,
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
