package vcenter

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"vstream"
)

// login connects to the vCenter and logs in with the credentials as they are now, for
// they may have been rotated since.
func (s *Source) login(ctx context.Context) error {
	user, err := s.credentials()
	if err != nil {
		return err
	}
	config, err := s.tlsConfig()
	if err != nil {
		return err
	}
	s.user = user
	ctx, cancel := s.limited(ctx, 0)
	defer cancel()
	ctx, cancel = outliving(ctx)
	defer cancel()

	wire := soap.NewClient(s.URL, s.Insecure)
	wire.UserAgent = "vstream"
	// govmomi dials TLS without a deadline and with its own idea of trust.
	base := wire.DefaultTransport()
	base.DialTLSContext = nil
	base.TLSClientConfig = config
	wire.Transport = transport{base}

	client, err := vim25.NewClient(ctx, wire)
	if err != nil {
		wire.CloseIdleConnections()
		return fmt.Errorf("connect to %s: %w", s.URL, explain(err))
	}
	if err := session.NewManager(client).Login(ctx, user); err != nil {
		wire.CloseIdleConnections()
		if fault.Is(err, &types.InvalidLogin{}) {
			return fmt.Errorf("%w: log in to %s as %s: %w; check the files in %s",
				vstream.ErrCredentials, s.URL, user.Username(), err, s.SecretPath)
		}
		return fmt.Errorf("log in to %s: %w", s.URL, err)
	}
	s.client = client
	return nil
}

// traced does something in a span, where somebody follows what is done.
func (s *Source) traced(ctx context.Context, name string, do func(context.Context) error) error {
	if s.Trace == nil {
		return do(ctx)
	}
	ctx, end := s.Trace(ctx, name, time.Now(), slog.String("server.address", s.URL.Hostname()))
	err := do(ctx)
	end(err)
	return err
}

// loggedIn takes note of how a login went.
func (s *Source) loggedIn(err error) {
	rotated := err == nil && s.entered != nil && s.entered.String() != s.user.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.seen.Denied++
		return
	}
	s.seen.Logins++
	if rotated {
		s.seen.Rotated++
	}
	s.entered = s.user
}

// logout ends the session, if there is one.
func (s *Source) logout(ctx context.Context) error {
	if s.client == nil {
		return nil
	}
	err := brief(ctx, "log out", session.NewManager(s.client).Logout)
	s.client.CloseIdleConnections()
	s.client, s.made = nil, nil // what was made goes with the session
	return err
}

// rotated reports whether the secret files have changed since they were used. Kubernetes
// changes them by swapping a symbolic link, editors by renaming, so only a look helps.
func (s *Source) rotated() bool {
	user, err := s.credentials()
	return err == nil && s.user != nil && user.String() != s.user.String()
}

// credentials reads the secret files. Editors and generators end files with a newline
// that belongs to neither name nor password.
func (s *Source) credentials() (*url.Userinfo, error) {
	read := func(name string) (string, error) {
		text, err := os.ReadFile(filepath.Join(s.SecretPath, name))
		if err != nil {
			return "", fmt.Errorf("read credentials: %w", err)
		}
		const mark = "\ufeff" // which some editors begin a file with
		line := strings.TrimSpace(strings.TrimPrefix(string(text), mark))
		switch {
		case line == "":
			return "", fmt.Errorf("read credentials: %s is empty", filepath.Join(s.SecretPath, name))
		case !utf8.ValidString(line) || strings.ContainsAny(line, "\r\n\x00"):
			return "", fmt.Errorf("read credentials: %s is not one line of text in UTF-8", filepath.Join(s.SecretPath, name))
		}
		return line, nil
	}
	name, err := read("username")
	if err != nil {
		return nil, err
	}
	password, err := read("password")
	if err != nil {
		return nil, err
	}
	return url.UserPassword(name, password), nil
}

// CheckCredentials reads the secret files, so that a mistake shows at the start and not
// with the first connection.
func (s *Source) CheckCredentials() error {
	_, err := s.credentials()
	return err
}

// CheckTrust reads CAFile, if there is one, for the same reason.
func (s *Source) CheckTrust() error {
	_, err := s.tlsConfig()
	return err
}

// tlsConfig says whom to trust: the system's authorities, those of CAFile, one
// certificate by its thumbprint, or anybody.
func (s *Source) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: s.Insecure} //nolint:gosec // the operator's choice
	if s.CAFile != "" {
		pem, err := os.ReadFile(s.CAFile)
		if err != nil {
			return nil, fmt.Errorf("read certificate authorities: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read certificate authorities: %s holds no PEM certificate", s.CAFile)
		}
	}
	if s.Thumbprint != "" {
		// The thumbprint alone decides: it names the one certificate to accept, which
		// commonly no authority has signed.
		config.InsecureSkipVerify = true
		config.VerifyConnection = func(state tls.ConnectionState) error {
			cert := state.PeerCertificates[0]
			for _, have := range []string{soap.ThumbprintSHA256(cert), soap.ThumbprintSHA1(cert)} {
				if strings.EqualFold(have, s.Thumbprint) {
					return nil
				}
			}
			return fmt.Errorf("the certificate has the SHA-256 thumbprint %s, not the configured one", soap.ThumbprintSHA256(cert))
		}
	}
	return config, nil
}

// explain adds what to do to errors that a first-time user meets, and removes the address,
// which the caller gives.
func explain(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		err = request.Err
	}
	var (
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
	)
	if errors.As(err, &unknown) || errors.As(err, &hostname) {
		return fmt.Errorf("%w; set VCENTER_CA_FILE or VCENTER_THUMBPRINT, or for a test VCENTER_INSECURE=true", err)
	}
	if strings.Contains(err.Error(), "400 Bad Request") {
		return fmt.Errorf("%w; if the port speaks TLS, the URL begins with https://", err)
	}
	return err
}

// description fetches the vCenter's catalogue of events.
func (s *Source) description(ctx context.Context) ([]types.EventDescriptionEventDetail, error) {
	ctx, cancel := s.limited(ctx, 0)
	defer cancel()
	var manager mo.EventManager
	err := property.DefaultCollector(s.client).RetrieveOne(ctx, *s.client.ServiceContent.EventManager, []string{"description"}, &manager)
	if err != nil {
		return nil, fmt.Errorf("read the event catalogue: %w", err)
	}
	return manager.Description.EventInfo, nil
}
