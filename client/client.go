package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"

	"vstream"
)

const (
	apiPath = "/api/v1"
	// defaultMaxEvent is how long an event may be: sixteen times what servers keep by default.
	defaultMaxEvent = 8 << 20
	// maxDocument bounds all other answers. The longest is that of Types, with some thousand
	// descriptions.
	maxDocument = 32 << 20
	// maxFile bounds files that are read: tokens, certificates and checkpoints.
	maxFile = 4 << 20
)

// A Client reads from one server. Its methods may be called from any goroutine.
type Client struct {
	base      url.URL // without the path of the API
	vcenter   string  // that paths name; empty for those without a name
	http      *http.Client
	token     func(context.Context) (string, error) // nil: none
	userAgent string
	logger    *slog.Logger
	retry     Retry
	maxEvent  int
}

// An Option is a setting of a Client.
type Option func(*settings)

type settings struct {
	Client
	caFile            string
	certFile, keyFile string
	insecure          bool
	tokens            int // how many ways of getting a token were given
}

// WithCAFile trusts the authorities in a PEM file to sign the server's certificate, and no
// others. Without it those of the system are trusted.
func WithCAFile(path string) Option { return func(s *settings) { s.caFile = path } }

// WithClientCertificate shows a certificate to the server. Its PEM files are read for each
// new connection, so they may be replaced.
func WithClientCertificate(certFile, keyFile string) Option {
	return func(s *settings) { s.certFile, s.keyFile = certFile, keyFile }
}

// WithInsecureSkipVerify accepts any certificate, and so any server that is in between. It is
// for trying things out.
func WithInsecureSkipVerify() Option { return func(s *settings) { s.insecure = true } }

// WithHTTPClient uses the transport and the cookies of h, for what the other options do not
// know. Its Timeout is left out, for it would cut watches. Options about TLS cannot be given
// beside it.
func WithHTTPClient(h *http.Client) Option { return func(s *settings) { s.http = h } }

// WithToken authenticates with a token.
func WithToken(token string) Option {
	return WithTokenFunc(func(context.Context) (string, error) { return token, nil })
}

// WithTokenFile authenticates with the token in a file, without the space around it. The
// file is read for each request, so it may be replaced.
func WithTokenFile(path string) Option {
	return WithTokenFunc(func(context.Context) (string, error) {
		text, err := readFile(path)
		if err != nil {
			return "", fmt.Errorf("the token cannot be read: %w; it is to be a file that holds the token and nothing else", err)
		}
		return strings.TrimSpace(string(text)), nil
	})
}

// WithTokenFunc authenticates with what f returns when it is asked before each request, also
// those with which a Watch goes on. Its error ends a Watch; it need not repeat the token.
func WithTokenFunc(f func(context.Context) (string, error)) Option {
	return func(s *settings) { s.token, s.tokens = f, s.tokens+1 }
}

// WithUserAgent names the program to the server.
func WithUserAgent(name string) Option { return func(s *settings) { s.userAgent = name } }

// WithLogger tells l what happens to connections. Without it nobody is told.
func WithLogger(l *slog.Logger) Option { return func(s *settings) { s.logger = l } }

// WithMaxEventBytes sets how long an event may be; a longer one is a [ProtocolError]. It is
// 8 MiB unless set, sixteen times what servers keep unless told otherwise.
func WithMaxEventBytes(n int) Option { return func(s *settings) { s.maxEvent = n } }

// Retry says how a Watch or a List goes on after failures.
type Retry struct {
	// Min and Max bound the pauses, which begin with Min and double; each is then made up to
	// a half shorter or longer. Zero is 500ms and 30s.
	Min, Max time.Duration
	// Attempts is after how many failures in a row, with nothing got in between, the last one
	// is returned. Zero is never for a Watch and 5 for a List.
	Attempts int
}

// WithRetry sets how a Watch or a List goes on after failures.
func WithRetry(r Retry) Option { return func(s *settings) { s.retry = r } }

// New returns a client of the server at an address such as http://localhost:8080. What the
// API adds to it, /api/v1, may be there or not. It does not connect. Its errors are about
// the address and the files that options name.
func New(baseURL string, opts ...Option) (*Client, error) {
	s := settings{Client: Client{userAgent: "vstream-client", logger: slog.New(slog.DiscardHandler), maxEvent: defaultMaxEvent}}
	for _, option := range opts {
		option(&s)
	}
	base, err := parseBase(baseURL)
	if err != nil {
		return nil, err
	}
	s.base = *base
	switch {
	case s.tokens > 1:
		return nil, errors.New("a token is given in more than one way; give it once")
	case s.maxEvent < 1:
		return nil, fmt.Errorf("events of at most %d bytes are none; give a positive number", s.maxEvent)
	case s.retry.Min < 0 || s.retry.Max < 0 || s.retry.Attempts < 0:
		return nil, errors.New("pauses and attempts cannot be negative; zero stands for what is usual")
	}
	s.retry.Min = cmp.Or(s.retry.Min, 500*time.Millisecond)
	s.retry.Max = max(cmp.Or(s.retry.Max, 30*time.Second), s.retry.Min)
	if s.http, err = s.httpClient(); err != nil {
		return nil, err
	}
	if s.token != nil && base.Scheme == "http" && !isLoopback(base.Hostname()) {
		s.logger.Warn("the token travels in the clear; use https", "server", base.String())
	}
	c := s.Client
	return &c, nil
}

// parseBase reads the address of a server. What is wrong with it may be a password that
// stands in it, so it is not repeated.
func parseBase(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "":
		return nil, errors.New("the address of the server cannot be understood; it is written as http://localhost:8080 or https://vstream.example.com")
	case u.User != nil:
		return nil, errors.New("the address of the server holds a user or a password; leave it out, and authenticate with a token")
	case u.RawQuery != "" || u.Fragment != "":
		return nil, errors.New("the address of the server holds a query; give scheme, host and port only, and what to read as options")
	}
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return nil, errors.New("the address of the server has a port that there is not; ports are 1 to 65535")
		}
	}
	path := strings.TrimSuffix(strings.TrimRight(u.Path, "/"), apiPath)
	return &url.URL{Scheme: u.Scheme, Host: strings.ToLower(u.Host), Path: strings.TrimRight(path, "/")}, nil
}

// httpClient returns what sends requests.
func (s *settings) httpClient() (*http.Client, error) {
	if s.http != nil {
		if s.caFile != "" || s.certFile != "" || s.keyFile != "" || s.insecure {
			return nil, errors.New("options about TLS and an http.Client are given; set TLS in the transport of the http.Client")
		}
		own := *s.http
		own.Timeout = 0
		own.CheckRedirect = checkRedirect(s.http.CheckRedirect)
		return &own, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if s.insecure {
		config.InsecureSkipVerify = true
		s.logger.Warn("the certificate of the server is not verified", "server", s.base.String())
	}
	if s.caFile != "" {
		text, err := readFile(s.caFile)
		if err != nil {
			return nil, fmt.Errorf("the authorities cannot be read: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("the file of authorities %s holds no PEM certificate; it begins with -----BEGIN CERTIFICATE-----", s.caFile)
		}
	}
	if s.certFile != "" || s.keyFile != "" {
		load := func() (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(s.certFile, s.keyFile)
			if err != nil {
				return nil, fmt.Errorf("the client certificate cannot be used: %w; give a certificate and its key as PEM files", err)
			}
			return &pair, nil
		}
		if _, err := load(); err != nil {
			return nil, err
		}
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return load() }
	}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    10 * time.Second,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 256 << 10,
		ForceAttemptHTTP2:      true,
		// A connection that several watches share must not stay when it is dead.
		HTTP2: &http.HTTP2Config{SendPingTimeout: 15 * time.Second, PingTimeout: 15 * time.Second},
	}
	return &http.Client{Transport: transport, CheckRedirect: checkRedirect(nil)}, nil
}

// checkRedirect lets requests be redirected at the same server only: another one must not
// get the token, and should be named by whoever wants to read from it.
func checkRedirect(next func(*http.Request, []*http.Request) error) func(*http.Request, []*http.Request) error {
	return func(r *http.Request, via []*http.Request) error {
		from := via[0].URL
		switch {
		case r.URL.Scheme != from.Scheme || !strings.EqualFold(r.URL.Host, from.Host):
			return &ProtocolError{Server: from.Host, Reason: fmt.Sprintf("it redirects to %s://%s; if that is the server, give its address",
				printable(r.URL.Scheme, 10), printable(r.URL.Host, 100))}
		case next != nil:
			return next(r, via)
		case len(via) >= 5:
			return &ProtocolError{Server: from.Host, Reason: "it redirects again and again; look at what is in front of the server"}
		}
		return nil
	}
}

// VCenter returns a client of the events of one vCenter, by its name: its Range, Get, List
// and Watch, and counts, are about that alone. VCenters and Types stay those of the server.
func (c *Client) VCenter(name string) *Client {
	of := *c
	of.vcenter = name
	return &of
}

// checkName fails if the vCenter cannot exist, for what its name may hold would lead to other
// paths.
func (c *Client) checkName() error {
	if c.vcenter == "" || isName(c.vcenter) {
		return nil
	}
	return &NotFoundError{Problem: Problem{Status: http.StatusNotFound,
		Detail: fmt.Sprintf("no vCenter is called %q; names have lower-case letters, digits and dashes, and VCenters tells them", printable(c.vcenter, 100))}}
}

// CloseIdleConnections closes connections that are not in use. A Client that is not needed
// any more need not be closed otherwise.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// Server returns the address of the server, without the path of the API.
func (c *Client) Server() string { return c.base.String() }

// URL returns the address at which a page of what List and Watch read is to be had, for
// people and other programs. It holds no token.
func (c *Client) URL(opts ...ReadOption) (string, error) {
	q, err := QueryOf(opts...)
	if err == nil {
		err = c.checkName()
	}
	if err != nil {
		return "", err
	}
	return c.resource("events", q.Values()).String(), nil
}

// resource returns the address of a resource that each vCenter has.
func (c *Client) resource(path string, values url.Values) *url.URL {
	if c.vcenter != "" {
		return c.root(values, "vcenters", c.vcenter, path)
	}
	return c.root(values, path)
}

// root returns the address of a resource that a server has.
func (c *Client) root(values url.Values, path ...string) *url.URL {
	u := c.base.JoinPath(append([]string{apiPath}, path...)...)
	u.RawQuery = values.Encode()
	return u
}

// Range returns the offsets of the oldest and the newest event that the log holds; ok is
// false while it has never held one. Where several vCenters are served it is an
// [AmbiguousError], unless asked of one: c.VCenter("vc1").Range(ctx).
func (c *Client) Range(ctx context.Context) (r vstream.Range, ok bool, err error) {
	body, err := c.get(ctx, c.resource("range", nil), "application/json", maxDocument)
	if err != nil || body == nil {
		return r, false, err
	}
	return r, true, c.decode(body, &r)
}

// Get returns the event at exactly this offset. Where it is older than the log, the error is
// an [ExpiredError], where there is none, or not yet, a [NotFoundError], and where several
// vCenters are served an [AmbiguousError], unless asked of one. The event has no Cursor.
func (c *Client) Get(ctx context.Context, offset vstream.Offset) (Event, error) {
	body, err := c.get(ctx, c.resource("events/"+offset.String(), nil), "application/json", c.maxEvent)
	if err != nil {
		return Event{}, err
	}
	e, err := newEvent(body)
	if err != nil {
		return Event{}, c.garbled(err.Error())
	}
	return e, nil
}

// decode reads a document that the server sent.
func (c *Client) decode(body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return c.garbled("an answer is not as documented")
	}
	return nil
}

// garbled is the error for answers that no vstream server gives.
func (c *Client) garbled(what string) *ProtocolError {
	return &ProtocolError{Server: c.base.Host, Reason: what + "; look whether the address is that of a vstream server, and what is in between"}
}

// readFile reads a file of reasonable size.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, maxFile)
}

var nameSyntax = regexp.MustCompile(`^[a-z0-9-]+$`)

// isName reports whether text can be the name of a vCenter.
func isName(text string) bool { return nameSyntax.MatchString(text) }
