package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vstream/internal/filter"
)

// A View is a way to look at the events that somebody has given a name.
type View struct {
	Name  string `json:"name"`
	Query string `json:"query"` // as in the address of /api/v1/events, without a place to read from
}

// maxViewQuery is how long the query of a view may be; much longer ones do not fit into
// requests.
const maxViewQuery = 4096

// ViewQuery returns text as the query of a View on vCenters of these names, if they are known.
// It must be what somebody can ask for: filters, since and until. Characters that have no place
// in an address are escaped, so that the query can be put behind a question mark as it is.
func ViewQuery(text string, vcenters []string) (string, error) {
	var b strings.Builder
	for _, c := range []byte(strings.TrimPrefix(text, "?")) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("\"#<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&b, "%%%02X", c)
			continue
		}
		b.WriteByte(c)
	}
	query := b.String()
	if len(query) > maxViewQuery {
		return "", fmt.Errorf("it has more than %d bytes; shorten it", maxViewQuery)
	}
	filters := filter.Parameters()
	params, err := parametersOf(&http.Request{URL: &url.URL{RawQuery: query}}, slices.Concat(span, filters), filters)
	if err != nil {
		return "", err
	}
	passes, err := filter.Parse(params.values)
	if err != nil {
		return "", err
	}
	if _, _, err := params.span(); err != nil {
		return "", err
	}
	if len(vcenters) == 0 {
		return query, nil
	}
	var served []*VCenter
	for _, name := range vcenters {
		served = append(served, &VCenter{Name: name})
	}
	_, err = chosen(passes, served)
	return query, err
}

// span are the parameters that say from when to when.
var span = []string{"since", "until"}

// span returns what they say; zero times without.
func (p parameters) span() (since, until time.Time, err error) {
	for name, t := range map[string]*time.Time{"since": &since, "until": &until} {
		if text := p.get(name); text != "" {
			if *t, err = parseTime(name, text); err != nil {
				return since, until, err
			}
		}
	}
	if !since.IsZero() && !until.IsZero() && until.Before(since) {
		return since, until, invalidParameter("until", "until is earlier than since")
	}
	return since, until, nil
}

// getViews answers with the views, in the order of the configuration.
func (s *Server) getViews(w http.ResponseWriter, r *http.Request) error {
	if _, err := parametersOf(r, nil, nil); err != nil {
		return err
	}
	views := s.Views
	if views == nil {
		views = []View{}
	}
	return writeJSON(w, r, views)
}

// about is what a client may want to know of the server and of itself.
type about struct {
	Version  string  `json:"version"`
	User     *string `json:"user"`
	SignedIn bool    `json:"signedIn"`
}

// getServer answers with what this server is, and who it takes the client for.
func (s *Server) getServer(w http.ResponseWriter, r *http.Request) error {
	if _, err := parametersOf(r, nil, nil); err != nil {
		return err
	}
	answer := about{Version: s.Version}
	if s.Identify != nil {
		if name, signedIn := s.Identify(r); name != "" {
			answer.User, answer.SignedIn = &name, signedIn
		}
	}
	return writeJSON(w, r, answer)
}
