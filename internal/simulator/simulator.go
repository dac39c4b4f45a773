package simulator

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// Options is what a Simulator may be told. The zero value is usable.
type Options struct {
	// Rate is how many events Run makes per second in the long run; 5 when it is zero.
	Rate float64
	// Rand decides what happens and when. Only Run uses it. A source with a random seed
	// when it is nil.
	Rand *rand.Rand
	// Logger hears of operations that failed, at debug level, and of what http.Server
	// has to say. Nothing is logged when it is nil.
	Logger *slog.Logger
}

// A Simulator is a running vCenter. Start makes one, Close ends it.
type Simulator struct {
	url    *url.URL
	cert   *x509.Certificate
	logger *slog.Logger

	model    *vcsim.Model
	registry *vcsim.Registry // vcsim's objects: read and changed under their own locks
	guard    *guard
	server   *http.Server
	served   chan struct{} // closed when server no longer serves
	dir      string        // where the datastores keep their files

	users map[string]*user // by name; fixed after Start
	site  *site            // only Run uses it, once Start is done

	activity *activity // only Run uses it
}

// Start starts a vCenter on listen ("127.0.0.1:8989"; port 0 picks one) and returns once
// it answers and its site is built, which takes about half a second. Its first events
// tell of the building.
func Start(ctx context.Context, listen string, o Options) (*Simulator, error) {
	if o.Rate < 0 {
		return nil, fmt.Errorf("start simulator: %g events per second is no rate", o.Rate)
	}
	if o.Rate == 0 {
		o.Rate = 5
	}
	if o.Rand == nil {
		o.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}

	s := &Simulator{logger: o.Logger, users: map[string]*user{}, served: make(chan struct{})}
	if err := s.serve(listen); err != nil {
		return nil, fmt.Errorf("start simulator: %w", err)
	}
	if err := s.prepare(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("start simulator: %w", err)
	}
	s.activity = newActivity(s, o.Rate, o.Rand)
	return s, nil
}

// serve brings up an empty vCenter. It does by hand what vcsim's own NewServer does,
// because that panics when the port is taken, uses a certificate that a client can
// hardly verify, and lets http.Server write to the standard logger.
func (s *Simulator) serve(listen string) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	address := listener.Addr().(*net.TCPAddr)
	host := address.IP.String()
	if address.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	pair, err := newCertificate(host)
	if err != nil {
		listener.Close()
		return err
	}
	s.cert = pair.Leaf
	s.url = &url.URL{
		Scheme: "https",
		Host:   net.JoinHostPort(host, fmt.Sprint(address.Port)),
		Path:   "/sdk",
	}

	s.model = vcsim.VPX()
	s.model.Datacenter = 0 // prepare builds the site, through the API and with better names
	introduce(&s.model.ServiceContent.About)
	if err := s.model.Create(); err != nil {
		listener.Close()
		return err
	}
	service := s.model.Service
	s.registry = service.Context.Map
	events := s.registry.EventManager()
	events.Description.EventInfo = descriptions()
	// vcsim frees collectors only on request; the guard does it for clients that vanish,
	// but much later than a test restarts them.
	events.MaxCollector = 256
	s.guard = newGuard(s.registry)
	s.registry.Handler = s.guard.handle

	service.Listen = s.url
	config := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	sessions := s.registry.SessionManager()
	sessions.ServiceHostName = s.url.Host
	sessions.TLS = func() *tls.Config { return config }
	service.RegisterSDK(s.registry, s.registry.Path+"/vimService")
	service.ServeMux.HandleFunc(s.registry.Path+"/vimServiceVersions.xml", service.ServiceVersions)

	s.server = &http.Server{
		Handler:           whole(service.ServeMux),
		TLSConfig:         config,
		ReadHeaderTimeout: 10 * time.Second,
		// Every client that does not trust the certificate makes a line here.
		ErrorLog: log.New(logWriter{s.logger}, "", 0),
		// vcsim knows no HTTP/2, and no vCenter client needs it.
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
	}
	go func() {
		defer close(s.served)
		if err := s.server.ServeTLS(listener, "", ""); !errors.Is(err, http.ErrServerClosed) {
			s.logger.Error("simulator stopped serving", "error", err)
		}
	}()
	return nil
}

// introduce makes vcsim call itself a vCenter of today; its own answer is one of 2016.
func introduce(about *types.AboutInfo) {
	about.Version, about.Build, about.ApiVersion = "8.0.3", "24022515", "8.0.3.0"
	about.FullName = "VMware vCenter Server " + about.Version + " build-" + about.Build
	about.LicenseProductVersion = "8.0"
	about.InstanceUuid = newUUID() // else all vcsims claim to be the same
}

// prepare builds the site, as the administrator would, and logs in the other users.
func (s *Simulator) prepare(ctx context.Context) (err error) {
	if s.dir, err = os.MkdirTemp("", "vstream-simulator-"); err != nil {
		return err
	}
	for _, who := range []account{administrator, amara, jonas, backup} {
		u, err := s.login(ctx, who)
		if err != nil {
			return err
		}
		s.users[who.name] = u
	}
	s.site, err = s.build(ctx)
	return err
}

// URL returns where the vCenter is, such as https://127.0.0.1:8989/sdk, without a user.
func (s *Simulator) URL() *url.URL {
	u := *s.url
	return &u
}

// Certificate returns the certificate the vCenter shows, made anew by every Start. A
// client that has it among its roots can verify the connection.
func (s *Simulator) Certificate() *x509.Certificate { return s.cert }

// Run makes events until ctx is done, and returns nil then. Failures of single
// operations are logged at debug level and do not end it. Only one Run may be under way.
func (s *Simulator) Run(ctx context.Context) error { return s.activity.run(ctx) }

// Close ends the vCenter: pending calls are cancelled, connections closed, the port is
// free when it returns, and nothing is left on disk. Run must have returned before.
func (s *Simulator) Close() {
	for _, u := range s.users {
		u.soap.CloseIdleConnections()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if s.server.Shutdown(ctx) != nil {
			s.server.Close()
		}
	}()
	// Shutdown waits for calls under way, and vcsim's wait for updates does not notice
	// that its client has gone: cancel again and again, for a client may ask once more.
	for waiting := true; waiting; {
		s.guard.cancelWaits()
		select {
		case <-done:
			waiting = false
		case <-time.After(10 * time.Millisecond):
		}
	}
	<-s.served
	// The last tasks go on by themselves. They write files that are about to go, and use
	// what vcsim keeps for all vCenters of a process. Tasks that clients made may never end.
	tasks, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	for _, task := range s.registry.AllReference("Task") {
		_, _ = s.finish(tasks, task.Reference())
	}
	s.model.Remove()
	if s.dir != "" {
		os.RemoveAll(s.dir)
	}
}

// whole reads a request's body before next sees it. vcsim writes to the standard logger
// about each client that goes away in the middle of one.
func whole(next http.Handler) http.Handler {
	const limit = 16 << 20
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
		if err != nil {
			http.Error(w, "the request cannot be read", http.StatusBadRequest)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(w, r)
	})
}

// logWriter passes the lines of a standard logger on.
type logWriter struct{ logger *slog.Logger }

var _ io.Writer = logWriter{}

func (w logWriter) Write(line []byte) (int, error) {
	w.logger.Debug("simulator http server", "message", string(line))
	return len(line), nil
}
