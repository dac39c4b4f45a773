package access

import (
	"crypto/sha256"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

// A holder is who showed a token or a certificate.
type holder struct {
	name    string
	until   time.Time // when what was shown ends; zero: not by itself
	session bool      // a cookie showed it
	// valid says whether it is so by what the files hold now; nil: they do not say.
	valid func() bool
}

// over reports whether what was shown has ended by itself.
func (h holder) over() bool { return !h.until.IsZero() && time.Since(h.until) > clockSkew }

// still reports whether the files, as they are now, let pass what was shown.
func (h holder) still() bool { return h.valid == nil || h.valid() }

// identify finds out who sent r. One of what is configured is enough. A token in the header
// decides alone; a cookie, which browsers send unasked, counts only without a certificate.
func (g *Guard) identify(r *http.Request) (holder, *refusal) {
	if !g.authenticates() {
		return holder{}, nil
	}
	if token, ok := bearer(r); ok && g.signsIn() {
		return g.verify(r, token)
	}
	if g.clients {
		state := r.TLS // alone: valid must not keep the request in memory
		if name, ok := g.server.holder(state); ok {
			valid := func() bool { _, ok := g.server.holder(state); return ok }
			return holder{name: name, until: state.PeerCertificates[0].NotAfter, valid: valid}, nil
		}
	}
	if token, ok := sessionOf(r); ok && g.signsIn() {
		who, refused := g.verify(r, token)
		who.session = true
		return who, refused
	}
	return holder{}, g.nothingShown()
}

// bearer returns the token of the Authorization header. Other schemes are of others, such
// as a proxy.
func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.TrimSpace(token), strings.EqualFold(scheme, "Bearer")
}

// tokenSyntax is what RFC 6750 lets a token in the header be. All of it may also be in a
// cookie.
var tokenSyntax = regexp.MustCompile(`^[A-Za-z0-9._~+/-]+=*$`)

var (
	errUnknownToken = errors.New("unknown token")
	errExpired      = errors.New("expired token")
	// errUnavailable is for tokens of which it cannot be known now whether they are valid.
	errUnavailable = errors.New("the keys of the issuer cannot be had")
)

// verify returns whose token this is. Each address has some wrong ones and no more, so that
// tokens cannot be guessed at speed. Tokens that have been right are exempt, for behind a
// proxy everybody has the address of whoever guesses.
func (g *Guard) verify(r *http.Request, token string) (holder, *refusal) {
	address := network(r.RemoteAddr)
	sum := sha256.Sum256([]byte(token))
	if !g.attempts.allowed(address, sum) {
		return holder{}, &refusal{status: http.StatusTooManyRequests, slug: "too-many-attempts", title: "Too many failed attempts",
			detail: "too many invalid tokens came from this address; wait as Retry-After says", retryAfter: attemptInterval}
	}
	who, err := g.check(r, token, sum)
	switch {
	case err == nil:
		g.attempts.right(sum)
		return who, nil
	case errors.Is(err, errUnavailable):
		return holder{}, &refusal{status: http.StatusServiceUnavailable, slug: "issuer-unavailable", title: "Tokens cannot be verified now",
			detail: "the keys of the issuer of tokens cannot be had; try again in a moment", retryAfter: refreshPause / 2}
	case errors.Is(err, errExpired): // it was right once, so it is no guess
		return holder{}, invalidToken("the token has expired; get a new one")
	default:
		g.attempts.wrong(address)
		g.logger.Info("invalid token", "remote", r.RemoteAddr, "path", r.URL.Path, "reason", err)
		return holder{}, invalidToken("the token is not valid")
	}
}

// check asks those who can know the token.
func (g *Guard) check(r *http.Request, token string, sum [sha256.Size]byte) (holder, error) {
	if !tokenSyntax.MatchString(token) {
		return holder{}, errUnknownToken
	}
	if g.tokens != nil {
		if name, ok := g.tokens.holder(sum); ok {
			valid := func() bool { _, ok := g.tokens.holder(sum); return ok }
			return holder{name: name, valid: valid}, nil
		}
	}
	if g.issuer != nil && strings.Count(token, ".") == 2 {
		return g.issuer.verify(r.Context(), token)
	}
	return holder{}, errUnknownToken
}

// attempts counts wrong tokens by the address they came from.
type attempts struct {
	addresses *recent[*rate.Limiter]
	known     *recent[struct{}] // the sums of tokens that were right
}

// Each address may be wrong attemptsAtOnce times, and once more each attemptInterval.
const (
	attemptsAtOnce  = 10
	attemptInterval = 5 * time.Second
)

func newAttempts() attempts {
	return attempts{newRecent[*rate.Limiter](manyClients), newRecent[struct{}](manyClients)}
}

func (a attempts) of(address string) *rate.Limiter {
	return a.addresses.get(address, func() *rate.Limiter {
		return rate.NewLimiter(rate.Every(attemptInterval), attemptsAtOnce)
	})
}

func (a attempts) allowed(address string, sum [sha256.Size]byte) bool {
	return a.known.has(string(sum[:])) || a.of(address).Tokens() >= 1
}

func (a attempts) wrong(address string) { a.of(address).Allow() }

func (a attempts) right(sum [sha256.Size]byte) {
	a.known.get(string(sum[:]), func() struct{} { return struct{}{} })
}
