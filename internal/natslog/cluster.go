package natslog

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// cluster keeps the logs on the servers of URL until ctx is done.
func (e *Engine) cluster(ctx context.Context) error {
	c := &e.config
	options := []nats.Option{
		nats.Name("vstream"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.ReconnectJitter(250*time.Millisecond, 250*time.Millisecond),
		nats.PingInterval(5 * time.Second), // a connection that is cut in silence shows after two
		nats.MaxPingsOutstanding(2),
		nats.Timeout(5 * time.Second),
		nats.ReconnectBufSize(-1), // what cannot be sent now is decided about anew
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				c.Logger.Warn("connection to NATS lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) { c.Logger.Info("connected to NATS again", "server", nc.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { c.Logger.Warn("NATS says", "error", err) }),
	}
	if c.Credentials != "" {
		if _, err := os.Stat(c.Credentials); err != nil {
			return fatal(fmt.Errorf("read the credentials for NATS: %w", err))
		}
		options = append(options, nats.UserCredentials(c.Credentials))
	}
	if c.CAFile != "" {
		pem, err := os.ReadFile(c.CAFile)
		if err != nil {
			return fatal(fmt.Errorf("read the authorities for NATS: %w", err))
		}
		roots := x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return fatal(fmt.Errorf("read the authorities for NATS: %s holds no PEM certificate", c.CAFile))
		}
		options = append(options, nats.Secure(&tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}))
	}
	nc, err := nats.Connect(c.URL, options...)
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return fatal(errors.New("NATS refuses the credentials; check NATS_CREDENTIALS_FILE, or the user in NATS_URL"))
	case err != nil:
		return fmt.Errorf("connect to NATS: %w", err)
	}
	defer nc.Close()
	c.Logger.Info("connected to NATS", "server", nc.ConnectedUrlRedacted(), "version", nc.ConnectedServerVersion())
	return e.keep(ctx, nc)
}

// Codes of errors that JetStream's client has no names for.
const (
	codeNoPeers  = 10005 // no suitable peers for placement
	codeAlone    = 10074 // replicas > 1 not supported in non-clustered mode
	codeOverlap  = 10065 // subjects overlap with an existing stream
	codeDisabled = 10039 // JetStream not enabled for account
	codeNoStore  = 10047 // insufficient storage resources
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
	case errors.Is(err, jetstream.ErrJetStreamNotEnabled):
		return fmt.Errorf("NATS has no JetStream, or it is not ready: %w", err)
	case !errors.As(err, &refused):
		return fmt.Errorf("open the stream %s: %w", s.name, err)
	}
	switch refused.ErrorCode {
	case codeDisabled:
		return fatal(errors.New("the NATS account has no JetStream; enable it for the account of vstream"))
	case codeAlone:
		return fatal(fmt.Errorf("LOG_REPLICAS: %d copies need a cluster, and this NATS server is alone; set LOG_REPLICAS=1", c.Replicas))
	case codeNoPeers:
		return fmt.Errorf("LOG_REPLICAS: the cluster has no %d servers for the copies of %s: %w", c.Replicas, s.name, err)
	case codeOverlap:
		return fatal(fmt.Errorf("another stream takes the subjects of %s already; remove that stream, or give the vCenter another name: %w", s.name, err))
	case codeNoStore:
		return fmt.Errorf("LOG_MAX_BYTES: NATS has no room for a stream of %d bytes: %w", c.MaxBytes, err)
	}
	return fmt.Errorf("open the stream %s: %w", s.name, err)
}
