package access

import (
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"
)

// A refusal is why a request does not pass, as its client is told.
type refusal struct {
	status              int
	slug, title, detail string
	challenge           string        // WWW-Authenticate; empty for none
	allow               string        // Allow; empty for none
	retryAfter          time.Duration // 0 for none
}

func (f *refusal) answer(w http.ResponseWriter, r *http.Request, deny Deny) {
	f.setHeaders(w)
	deny(w, r, f.status, f.slug, f.title, f.detail)
}

func (f *refusal) setHeaders(w http.ResponseWriter) {
	if f.challenge != "" {
		w.Header().Set("WWW-Authenticate", f.challenge)
	}
	if f.allow != "" {
		w.Header().Set("Allow", f.allow)
	}
	if f.retryAfter > 0 {
		w.Header().Set("Retry-After", retryAfter(f.retryAfter))
	}
}

// retryAfter is d in whole seconds, and up to half as much again, so that those who were
// refused together do not come back together.
func retryAfter(d time.Duration) string {
	seconds := max(1, int((d+time.Second-1)/time.Second))
	return strconv.Itoa(seconds + rand.IntN(seconds/2+2))
}

func unauthenticated(challenge, detail string) *refusal {
	return &refusal{status: http.StatusUnauthorized, slug: "unauthenticated", title: "Not authenticated",
		detail: detail, challenge: challenge}
}

const realm = `Bearer realm="vstream"`

// nothingShown is for requests that come with nothing to be known by.
func (g *Guard) nothingShown() *refusal {
	switch {
	case !g.signsIn():
		return unauthenticated(realm, "a client certificate of a trusted authority is needed")
	case g.clients:
		return unauthenticated(realm, "a token in the Authorization header, or a client certificate of a trusted authority, is needed; browsers sign in at /signin")
	default:
		return unauthenticated(realm, "a token in the Authorization header is needed, as Authorization: Bearer …; browsers sign in at /signin")
	}
}

func invalidToken(detail string) *refusal {
	return unauthenticated(realm+`, error="invalid_token"`, detail)
}

func badRequest(slug, title, detail string) *refusal {
	return &refusal{status: http.StatusBadRequest, slug: slug, title: title, detail: detail}
}
