package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"

	"vstream"
)

// problem is an error as clients see it: a problem document after RFC 9457. It never
// holds the text of an internal error; that is its cause, for the logger.
type problem struct {
	Slug   string `json:"-"` // becomes Type
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`

	Parameter string          `json:"parameter,omitempty"` // the query parameter at fault
	Requested *vstream.Offset `json:"requested,omitempty"`
	Earliest  *vstream.Offset `json:"earliest,omitempty"`
	Latest    *vstream.Offset `json:"latest,omitempty"`
	Missed    *int64          `json:"missed,omitempty"` // how many events at most
	Resume    string          `json:"resume,omitempty"` // where reading can go on
	Paths     []string        `json:"paths,omitempty"`  // that could have been meant

	cause error
}

func (p *problem) Error() string { return p.Detail }

// problemOf maps an error to what the client of r is told about it. This is the one
// place that knows.
func problemOf(err error, r *http.Request) *problem {
	var (
		p           *problem
		expired     *vstream.ExpiredError
		notFound    *vstream.NotFoundError
		unavailable *vstream.UnavailableError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &expired):
		missed := int64(expired.Earliest - expired.Requested)
		p = &problem{Status: http.StatusGone, Slug: "offset-expired", Title: "The log no longer holds this offset",
			Requested: &expired.Requested, Earliest: &expired.Earliest, Latest: &expired.Latest,
			Missed: &missed, Resume: resumeURL(r, expired.Earliest)}
	case errors.As(err, &notFound):
		p = &problem{Status: http.StatusNotFound, Slug: "event-not-found", Title: "No event at this offset",
			Requested: &notFound.Requested}
		if held := notFound.Range; held != nil {
			p.Earliest, p.Latest = &held.Earliest, &held.Latest
		}
	case errors.As(err, &unavailable):
		return &problem{Status: http.StatusServiceUnavailable, Slug: "log-unavailable", Title: "The log cannot be read now",
			Detail: "the log is not open yet, or its store cannot be reached; try again in a moment", cause: err}
	default:
		return &problem{Status: http.StatusInternalServerError, Slug: "internal", Title: "Internal error",
			Detail: "the server could not answer; its log says why", cause: err}
	}
	p.Detail = err.Error()
	return p
}

// resumeURL is r's own request, or the list for requests of one event, begun at earliest.
func resumeURL(r *http.Request, earliest vstream.Offset) string {
	q := r.URL.Query()
	q.Set("offset", earliest.String())
	path := base + "/events"
	if name := r.PathValue("name"); name != "" {
		path = base + "/vcenters/" + name + "/events"
	}
	return path + "?" + q.Encode()
}

func invalidParameter(name, detail string) *problem {
	return &problem{Status: http.StatusBadRequest, Slug: "invalid-parameter", Title: "Invalid parameter",
		Parameter: name, Detail: detail}
}

// document is the JSON of p.
func (p *problem) document() []byte {
	p.Type = "urn:vstream:problem:" + p.Slug
	body, err := json.Marshal(p)
	if err != nil {
		panic(err) // only strings and numbers
	}
	return body
}

func (p *problem) write(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeStatus(w, p.Status, "application/problem+json", append(p.document(), '\n'))
}
