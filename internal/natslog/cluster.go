package natslog

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/nats-io/nkeys"
)

// cluster calls keep with a connection to the servers of URL, which is made anew for as long
// as it takes whenever it breaks.
func (e *Engine) cluster(ctx context.Context, keep func(context.Context, *nats.Conn) error) error {
	c := &e.config
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	// Connections last until keep has ended, but a stop does not wait for the first one.
	dialing, hangUp := context.WithCancel(context.WithoutCancel(ctx))
	defer hangUp()
	connecting := context.AfterFunc(ctx, hangUp)
	options := []nats.Option{
		nats.Name("vstream"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, 250*time.Millisecond),
		nats.PingInterval(3 * time.Second), // a connection that is cut in silence shows after three
		nats.MaxPingsOutstanding(2),
		nats.Timeout(dialTimeout),
		nats.SetCustomDialer(dialer{dialing}),
		nats.ReconnectBufSize(-1), // what cannot be sent now is decided about anew
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil && dialing.Err() == nil {
				c.Logger.Warn("connection to NATS lost", "error", c.redact(err))
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { c.Logger.Info("connected to NATS again", "server", nc.ConnectedAddr()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			c.Logger.Debug("NATS says", "error", c.redact(err)) // what it hinders says so itself
		}),
		nats.ClosedHandler(func(nc *nats.Conn) {
			end(c.redact(fmt.Errorf("connection to NATS closed: %w", cmp.Or(nc.LastError(), nats.ErrConnectionClosed))))
		}),
	}
	if err := c.CheckCredentials(); err != nil {
		return fatal(of("NATS_CREDENTIALS_FILE", err))
	}
	if c.Credentials != "" {
		options = append(options, nats.UserCredentials(c.Credentials))
	}
	roots, err := c.roots()
	if err != nil {
		return fatal(of("NATS_CA_FILE", err))
	}
	if roots != nil {
		options = append(options, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}))
	}
	nc, err := nats.Connect(c.URL, options...)
	connecting()
	switch {
	case errors.Is(err, nats.ErrAuthorization) && c.Credentials != "":
		return fatal(of("NATS_CREDENTIALS_FILE", errors.New("NATS refuses the credentials")))
	case errors.Is(err, nats.ErrAuthorization):
		return fatal(errors.New("NATS refuses the credentials; set NATS_CREDENTIALS_FILE, or check the user in NATS_URL"))
	case errors.Is(err, nats.ErrNoServers):
		return fmt.Errorf("connect to NATS: no server answers at %s", c.servers())
	case err != nil:
		return c.redact(fmt.Errorf("connect to NATS: %w", err))
	}
	defer nc.Close()
	c.Logger.Info("connected to NATS", "server", nc.ConnectedAddr(), "version", nc.ConnectedServerVersion())
	if err := checkVersion(nc.ConnectedServerVersion()); err != nil {
		return err
	}
	err = keep(ctx, nc)
	hangUp() // Close would wait for a connection that is being made
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// CheckCredentials reads Credentials, if there are any, so that a mistake shows before the
// first connection.
func (c *Config) CheckCredentials() error {
	if c.Credentials == "" {
		return nil
	}
	text, err := os.ReadFile(c.Credentials)
	if err != nil {
		return fmt.Errorf("read the credentials for NATS: %w", err)
	}
	if _, err := nkeys.ParseDecoratedUserNKey(text); err != nil {
		return fmt.Errorf("%s holds no credentials of a NATS user, as nsc writes them", c.Credentials)
	}
	return nil
}

// CheckTrust reads CAFile, if there is one, for the same reason.
func (c *Config) CheckTrust() error {
	_, err := c.roots()
	return err
}

// roots returns the authorities of CAFile, or nil if there is none.
func (c *Config) roots() (*x509.CertPool, error) {
	if c.CAFile == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(c.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read the authorities for NATS: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read the authorities for NATS: %s holds no PEM certificate", c.CAFile)
	}
	return roots, nil
}

// dialTimeout is how long a server may take to answer a new connection.
const dialTimeout = 5 * time.Second

// dialer connects for as long as ctx is not done, so that no stop waits for a server that
// does not answer.
type dialer struct{ ctx context.Context }

func (d dialer) Dial(network, address string) (net.Conn, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(d.ctx, network, address)
	if err != nil {
		return nil, err
	}
	closed := &dialed{Conn: conn}
	closed.stop = context.AfterFunc(d.ctx, func() { _ = conn.Close() })
	return closed, nil
}

// dialed is a connection that does not outlive the context of its dialer.
type dialed struct {
	net.Conn
	stop func() bool
}

func (d *dialed) Close() error {
	d.stop()
	return d.Conn.Close()
}

// addresses are those of URL.
func (c *Config) addresses() []*url.URL {
	var all []*url.URL
	for address := range strings.SplitSeq(c.URL, ",") {
		if u, err := url.Parse(strings.TrimSpace(address)); err == nil {
			all = append(all, u)
		}
	}
	return all
}

// servers are the addresses without the user they may hold.
func (c *Config) servers() string {
	var hosts []string
	for _, u := range c.addresses() {
		hosts = append(hosts, u.Host)
	}
	return strings.Join(hosts, ", ")
}

// redact removes the secrets of URL from an error: a password, or the token that stands
// where a user would.
func (c *Config) redact(err error) error {
	text := err.Error()
	for _, u := range c.addresses() {
		if u.User == nil {
			continue
		}
		secret, some := u.User.Password()
		if !some {
			secret = u.User.Username()
		}
		for _, s := range []string{u.User.String(), secret} {
			if s != "" {
				text = strings.ReplaceAll(text, s, "xxxxx")
			}
		}
	}
	if text == err.Error() {
		return err
	}
	return errors.New(text)
}

// checkVersion fails for servers that would store the messages of a batch one by one.
func checkVersion(version string) error {
	var major, minor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil || major > 2 || major == 2 && minor >= 12 {
		return nil
	}
	return fatal(fmt.Errorf("the NATS server has version %s; vstream needs 2.12 or newer", version))
}

// Codes of errors that JetStream's client has no names for.
const (
	codeNoPeers  = 10005 // no suitable peers for placement
	codeAlone    = 10074 // replicas > 1 not supported in non-clustered mode
	codeOverlap  = 10065 // subjects overlap with an existing stream
	codeDisabled = 10039 // JetStream not enabled for account
	codeNoStore  = 10047 // insufficient storage resources
	codeNoLeader = 10008 // JetStream system temporarily unavailable
	codeLimit    = 10002 // resource limits exceeded for account
)

func tooFewServers(err error) bool {
	var refused *jetstream.APIError
	return errors.As(err, &refused) && (refused.ErrorCode == codeNoPeers || refused.ErrorCode == codeAlone)
}

// explain adds what to do to what JetStream says about a stream, and tells what can heal
// from what cannot.
func (c *Config) explain(s *stream, err error) error {
	var refused *jetstream.APIError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, nats.ErrNoResponders):
		return fmt.Errorf("NATS has no JetStream, or it is not ready; vstream needs it enabled")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return fmt.Errorf("open the stream %s: JetStream does not answer; it may have no leader", s.name)
	case !errors.As(err, &refused):
		return fmt.Errorf("open the stream %s: %w", s.name, lost(err))
	}
	switch refused.ErrorCode {
	case codeDisabled:
		return fatal(errors.New("the NATS account has no JetStream; enable it for the account of vstream"))
	case codeNoLeader:
		return fmt.Errorf("open the stream %s: JetStream is not ready; the cluster may have no leader", s.name)
	case codeAlone:
		return fatal(of("LOG_REPLICAS", fmt.Errorf("%d copies need a cluster, and this NATS server is alone; set LOG_REPLICAS=1", c.Replicas)))
	case codeNoPeers:
		return of("LOG_REPLICAS", fmt.Errorf("the cluster has no %d servers for the copies of %s: %w", c.streamConfig(s).Replicas, s.name, err))
	case codeOverlap:
		return fatal(fmt.Errorf("another stream takes the subjects of %s already; remove that stream, or give the vCenter another name: %w", s.name, err))
	case codeNoStore, codeLimit:
		return of("LOG_MAX_BYTES", fmt.Errorf("NATS has no room for a stream of %d bytes: %w", c.MaxBytes, err))
	}
	return fmt.Errorf("open the stream %s: %w", s.name, err)
}

// lost says in clear words that there is no connection, or nobody to answer.
func lost(err error) error {
	switch {
	case errors.Is(err, nats.ErrReconnectBufExceeded), errors.Is(err, nats.ErrDisconnected), errors.Is(err, nats.ErrConnectionClosed):
		return errors.New("the connection to NATS is lost")
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return errors.New("the stream has no leader, or is not ready")
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return errors.New("NATS does not answer")
	}
	return err
}
