package access

import (
	"cmp"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
)

// algorithms are those with which a token may be signed: with a private key only, for what
// verifies must not be able to sign.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

const (
	// clockSkew is how far the issuer's clock may be behind.
	clockSkew = 30 * time.Second
	// fetchTimeout bounds a fetch, and so how long a request waits for one.
	fetchTimeout = 5 * time.Second
	// refreshPause is how long to wait after a fetch until the next, so that tokens with
	// keys made up do not become requests to the issuer.
	refreshPause = 10 * time.Second
	// freshKeys is after how long keys are fetched again, so that withdrawn ones are noticed;
	// staleKeys is how long they are believed while that fails.
	freshKeys = 15 * time.Minute
	staleKeys = 24 * time.Hour
	// maxAnswer is how much the issuer may answer.
	maxAnswer = 1 << 20
)

// ParseIssuer checks the address of an issuer. It must be https, but on this machine.
func ParseIssuer(s string) (string, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New("it is not the address of an issuer, as https://login.example.com/realms/main")
	}
	return s, protected(u)
}

// protected returns an error for addresses at which anybody on the way could put keys of
// their own.
func protected(u *url.URL) error {
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return fmt.Errorf("%q does not begin with https://; keys that come in the clear prove nothing", u.Redacted())
}

// An issuer verifies the JSON Web Tokens of an OpenID Connect issuer.
type issuer struct {
	url, audience string
	client        *http.Client
	logger        *slog.Logger

	known atomic.Pointer[keySet]

	turn  chan struct{} // holds an element; who has taken it fetches, and has what follows
	tried time.Time     // when a fetch ended last
	err   error         // of that fetch

	fetched, failed atomic.Int64 // how often they could be, and how often that began to fail
	stale           atomic.Bool  // they could not be the last time
}

// A keySet is the public keys of an issuer.
type keySet struct {
	keys    []jose.JSONWebKey
	fetched time.Time
}

func newIssuer(address, audience string, logger *slog.Logger) *issuer {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableKeepAlives = true // there are two requests in a quarter of an hour
	i := &issuer{
		url: address, audience: audience,
		client: &http.Client{Transport: careful{transport}},
		logger: logger,
		turn:   make(chan struct{}, 1),
	}
	i.known.Store(&keySet{})
	i.turn <- struct{}{}
	return i
}

// verify returns whose token this is. Its errors are errUnavailable, errExpired, and others
// for what is invalid.
func (i *issuer) verify(ctx context.Context, raw string) (holder, error) {
	signed, err := jose.ParseSignedCompact(raw, algorithms)
	if err != nil {
		return holder{}, err
	}
	keys, err := i.keysFor(ctx, signed.Signatures[0].Header)
	if err != nil {
		return holder{}, err
	}
	token, err := oidc.NewVerifier(i.url, &oidc.StaticKeySet{PublicKeys: keys}, &oidc.Config{
		ClientID:             i.audience,
		SupportedSigningAlgs: []string{signed.Signatures[0].Header.Algorithm}, // which is one of ours
		Now:                  func() time.Time { return time.Now().Add(-clockSkew) },
	}).Verify(ctx, raw)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return holder{}, errExpired
	case err != nil:
		return holder{}, err
	}
	var claims struct {
		Email    string `json:"email"`
		Verified any    `json:"email_verified"` // some write it as text
		Username string `json:"preferred_username"`
	}
	if err := token.Claims(&claims); err != nil {
		return holder{}, err
	}
	if claims.Verified == false || claims.Verified == "false" {
		claims.Email = "" // anybody's, perhaps
	}
	name := cmp.Or(claims.Email, claims.Username, token.Subject)
	if name == "" {
		return holder{}, errors.New("the token names nobody")
	}
	return holder{name: name, until: token.Expiry}, nil
}

// keysFor returns the keys that may have made a signature; none if the issuer has no such
// key.
func (i *issuer) keysFor(ctx context.Context, signature jose.Header) ([]crypto.PublicKey, error) {
	set := i.known.Load()
	if keys := set.matching(signature); len(keys) > 0 && time.Since(set.fetched) < staleKeys {
		return keys, nil
	}
	if i.refresh(ctx) != nil {
		return nil, errUnavailable
	}
	return i.known.Load().matching(signature), nil
}

func (s *keySet) matching(signature jose.Header) []crypto.PublicKey {
	var keys []crypto.PublicKey
	for _, k := range s.keys {
		if (signature.KeyID == "" || signature.KeyID == k.KeyID) && (k.Algorithm == "" || k.Algorithm == signature.Algorithm) {
			keys = append(keys, k.Key)
		}
	}
	return keys
}

// due reports whether keys should be fetched again before anybody waits for them.
func (i *issuer) due() bool { return time.Since(i.known.Load().fetched) > freshKeys }

// refresh fetches the keys, or returns how that ended if it was a moment ago.
func (i *issuer) refresh(ctx context.Context) error {
	select {
	case <-i.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { i.turn <- struct{}{} }()
	if time.Since(i.tried) < refreshPause {
		return i.err
	}
	// Others wait for it, so it goes on when the client is gone.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
	defer cancel()
	keys, err := i.fetch(ctx)
	switch {
	case err != nil:
		if i.err == nil {
			i.failed.Add(1)
		}
		i.logger.Warn("the keys of the issuer of tokens cannot be had", "issuer", i.url, "error", fmt.Sprintf("%.300s", err.Error()))
	case i.err != nil:
		i.logger.Info("the keys of the issuer of tokens can be had again", "issuer", i.url)
	}
	if err == nil {
		i.known.Store(&keySet{keys, time.Now()})
		i.fetched.Add(1)
	}
	i.stale.Store(err != nil)
	i.tried, i.err = time.Now(), err
	return err
}

// fetch asks the issuer where its keys are, and for them.
func (i *issuer) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, i.client), i.url)
	if err != nil {
		return nil, err
	}
	var document struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&document); err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, document.Keys, nil)
	if err != nil {
		return nil, err
	}
	res, err := i.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", document.Keys, res.Status)
	}
	var set struct{ Keys []json.RawMessage }
	if err := json.NewDecoder(res.Body).Decode(&set); err != nil {
		return nil, fmt.Errorf("%s: %w", document.Keys, err)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var key jose.JSONWebKey
		// RFC 7517 asks to ignore what is not understood: others use it.
		if json.Unmarshal(raw, &key) == nil && key.Valid() && key.IsPublic() && key.Use != "enc" {
			keys = append(keys, key)
		}
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%s holds no key to verify signatures with", document.Keys)
	}
	return keys, nil
}

// careful does not ask in the clear, also not when redirected, and does not read without
// end.
type careful struct{ *http.Transport }

func (c careful) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := protected(r.URL); err != nil {
		return nil, err
	}
	res, err := c.Transport.RoundTrip(r)
	if err == nil {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(res.Body, maxAnswer), res.Body}
	}
	return res, err
}
