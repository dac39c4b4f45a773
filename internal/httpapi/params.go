package httpapi

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"vstream"
	"vstream/internal/duration"
	"vstream/internal/spelling"
)

// parameters are the query parameters of one request.
type parameters struct{ values url.Values }

// parametersOf reads the query of r. It refuses what it does not know, and names what
// may have been meant, for a misspelt filter that is ignored shows the wrong events.
// Names that begin with an underscore are for breaking caches and are ignored. What is
// given more than once must be among the repeatable.
func parametersOf(r *http.Request, known, repeatable []string) (parameters, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return parameters{}, invalidParameter("", "the query string cannot be read: "+err.Error())
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch {
		case strings.HasPrefix(name, "_"):
			delete(values, name)
		case !slices.Contains(known, name):
			p := &problem{Status: http.StatusBadRequest, Slug: "unknown-parameter", Title: "Unknown parameter",
				Parameter: abbreviated(name), Detail: fmt.Sprintf("there is no parameter %s here", abbreviate(name))}
			if near := spelling.Nearest(name, known); near != "" {
				p.Detail += fmt.Sprintf("; did you mean %q?", near)
			} else if len(known) > 0 {
				p.Detail += "; known are " + strings.Join(known, ", ")
			}
			return parameters{}, p
		case len(values[name]) > 1 && !slices.Contains(repeatable, name):
			return parameters{}, invalidParameter(name, fmt.Sprintf("invalid %s: given %d times; give it once", name, len(values[name])))
		}
	}
	return parameters{values}, nil
}

// get returns the value of a parameter that is given once; an empty one is as none.
func (p parameters) get(name string) string { return p.values.Get(name) }

// flag reads a parameter that is on or off; absent or empty is off.
func (p parameters) flag(name string) (bool, error) {
	switch v := p.values.Get(name); v {
	case "true", "1":
		return true, nil
	case "false", "0", "":
		return false, nil
	default:
		return false, invalidParameter(name, fmt.Sprintf("invalid %s parameter: %s is neither true nor false", name, abbreviate(v)))
	}
}

// duration reads a length of time, which may be written in plain seconds, too.
func (p parameters) duration(name string, fallback, least, most time.Duration) (time.Duration, error) {
	text := p.get(name)
	if text == "" {
		return fallback, nil
	}
	seconds := text
	if strings.Trim(text, "0123456789") == "" {
		seconds += "s"
	}
	d, err := duration.Parse(seconds)
	if err != nil || d < least || d > most {
		return 0, invalidParameter(name, fmt.Sprintf("invalid %s: %s is not a length of time from %s to %s, such as 30s", name, abbreviate(text), short(least), short(most)))
	}
	return d, nil
}

// short writes a length of time as people do: 24h, and not 24h0m0s.
func short(d time.Duration) string {
	text := d.String()
	for _, zeros := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(text, zeros) {
			text = text[:len(text)-2]
		}
	}
	return text
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
	if short := abbreviated(s); short != s {
		return strconv.Quote(short) + "…"
	}
	return strconv.Quote(s)
}

func abbreviated(s string) string {
	const enough = 40
	return s[:min(len(s), enough)]
}
