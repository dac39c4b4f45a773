package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"vstream"
	"vstream/internal/spelling"
)

// parameters are the query parameters of one request.
type parameters struct{ values url.Values }

// parametersOf reads the query of r. It refuses what it does not know, and names what
// may have been meant, for a misspelt filter that is ignored shows the wrong events.
// Names that begin with an underscore are for breaking caches and are ignored.
func parametersOf(r *http.Request, known ...string) (parameters, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return parameters{}, invalidParameter("", "the query string cannot be read: "+err.Error())
	}
	for name, given := range values {
		switch {
		case strings.HasPrefix(name, "_"):
		case !slices.Contains(known, name):
			p := &problem{Status: http.StatusBadRequest, Slug: "unknown-parameter", Title: "Unknown parameter",
				Parameter: name, Detail: fmt.Sprintf("there is no parameter %q here", name)}
			if near := spelling.Nearest(name, known); near != "" {
				p.Detail += fmt.Sprintf("; did you mean %q?", near)
			} else if len(known) > 0 {
				p.Detail += "; known are " + strings.Join(known, ", ")
			}
			return parameters{}, p
		case len(given) > 1:
			return parameters{}, invalidParameter(name, fmt.Sprintf("invalid %s: given %d times; give it once", name, len(given)))
		}
	}
	return parameters{values}, nil
}

// flag reads a parameter that is on or off; absent or empty is off.
func (p parameters) flag(name string) (bool, error) {
	switch v := p.values.Get(name); v {
	case "true", "1":
		return true, nil
	case "false", "0", "":
		return false, nil
	default:
		return false, invalidParameter(name, fmt.Sprintf("invalid %s parameter: %q is neither true nor false", name, v))
	}
}

// position reads where a read starts; fallback where the parameter is absent or empty.
func (p parameters) position(fallback vstream.Position) (vstream.Position, error) {
	switch v := p.values.Get("offset"); v {
	case "":
		return fallback, nil
	case "now", "-1":
		return vstream.Newest(0), nil
	case "latest":
		return vstream.Newest(1), nil
	case "earliest":
		return vstream.Oldest{}, nil
	default:
		offset, err := parseOffset(v)
		switch {
		case errors.Is(err, errNoNumber):
			return nil, invalidParameter("offset", fmt.Sprintf("invalid offset: %s is neither a number nor earliest, latest or now", abbreviate(v)))
		case err != nil:
			return nil, invalidParameter("offset", err.Error()+"; use the number of an event, earliest, latest or now")
		}
		return vstream.At(offset), nil
	}
}

var errNoNumber = errors.New("is not a number")

// parseOffset reads the number of an event. Its errors begin with the documented words
// "invalid offset".
func parseOffset(s string) (vstream.Offset, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case errors.Is(err, strconv.ErrRange):
		return 0, fmt.Errorf("invalid offset: %s is more than 64 bits hold", abbreviate(s))
	case err != nil:
		return 0, fmt.Errorf("invalid offset: %s %w", abbreviate(s), errNoNumber)
	case n < 0:
		return 0, fmt.Errorf("invalid offset: %d is negative", n)
	}
	return vstream.Offset(n), nil
}

// abbreviate quotes what a client sent, without sending all of it back.
func abbreviate(s string) string {
	const enough = 40
	if len(s) > enough {
		return strconv.Quote(s[:enough]) + "…"
	}
	return strconv.Quote(s)
}
