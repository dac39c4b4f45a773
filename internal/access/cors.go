package access

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// AnyOrigin stands for all origins.
const AnyOrigin = "*"

// origins are those whose pages may read.
type origins []string

// ParseOrigins reads origins with commas between, as https://ui.example.com, or AnyOrigin.
func ParseOrigins(s string) ([]string, error) {
	var all []string
	for origin := range strings.SplitSeq(s, ",") {
		origin = strings.ToLower(strings.TrimSpace(origin))
		u, err := url.Parse(origin)
		switch {
		case origin == AnyOrigin:
		case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Scheme+"://"+u.Host != origin,
			strings.Contains(origin, AnyOrigin):
			return nil, fmt.Errorf("%q is not an origin; write scheme, host and port only, as https://ui.example.com", origin)
		case u.Scheme == "http" && u.Port() == "80", u.Scheme == "https" && u.Port() == "443":
			return nil, fmt.Errorf("%q: browsers leave the usual port out; write %s://%s", origin, u.Scheme, u.Hostname())
		}
		all = append(all, origin)
	}
	if len(all) > 1 && slices.Contains(all, AnyOrigin) {
		return nil, errors.New("* stands for all origins; give it alone")
	}
	return all, nil
}

// What pages of other origins may send, see, and for how long browsers remember it.
const (
	corsMethods = "GET, HEAD"
	corsHeaders = "Authorization, Last-Event-ID, If-None-Match, Accept"
	corsExposed = "Stream-Earliest, Stream-Latest, Stream-Next-Cursor, Stream-Up-To-Date, Link, ETag, Retry-After"
	corsMaxAge  = "7200"
)

// handled tells a browser in w whether the page that sent r may see the answer. It answers
// r itself, and returns true, if r is only the question, a preflight.
func (o origins) handled(w http.ResponseWriter, r *http.Request) bool {
	if len(o) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	preflight := origin != "" && r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != ""
	if preflight {
		bound(w)
	}
	switch {
	case origin == "":
		return false
	case slices.Contains(o, AnyOrigin):
		h.Set("Access-Control-Allow-Origin", AnyOrigin)
	case slices.Contains(o, origin):
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Allow-Credentials", "true")
	case preflight:
		w.WriteHeader(http.StatusNoContent)
		return true
	default:
		return false
	}
	if !preflight {
		h.Set("Access-Control-Expose-Headers", corsExposed)
		return false
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", corsMaxAge)
	w.WriteHeader(http.StatusNoContent)
	return true
}
