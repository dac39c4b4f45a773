package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	mathrand "math/rand/v2"
	"net/http"
	"strconv"

	"vstream"
	"vstream/internal/filter"
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
	Missed    *int64          `json:"missed,omitempty"`    // how many events at most
	Resume    string          `json:"resume,omitempty"`    // where reading can go on
	Paths     []string        `json:"paths,omitempty"`     // that could have been meant
	Available []string        `json:"available,omitempty"` // media types
	VCenter   string          `json:"vcenter,omitempty"`   // whose log it is about
	Errors    []filterIssue   `json:"errors,omitempty"`    // in an expression

	cause error
}

// A filterIssue is something wrong in an expression. Lines and columns count from 1.
type filterIssue struct {
	Line    int    `json:"line"`
	Column  int    `json:"column"`
	Message string `json:"message"`
}

func (p *problem) Error() string { return p.Detail }

var errShuttingDown = &problem{Status: http.StatusServiceUnavailable, Slug: "shutting-down", Title: "Shutting down",
	Detail: "the server is stopping; try again in a moment"}

var errNoResource = &problem{Status: http.StatusNotFound, Slug: "not-found", Title: "No such resource",
	Detail: "nothing is served at this path; see " + base + "/vcenters and " + base + "/events"}

// problemOf maps an error to what the client of r is told about it. This is the one
// place that knows.
func problemOf(err error, r *http.Request) *problem {
	var (
		p           *problem
		expired     *vstream.ExpiredError
		notFound    *vstream.NotFoundError
		unavailable *vstream.UnavailableError
		damaged     *vstream.DamageError
		ahead       *aheadError
		invalid     *filter.Error
		costly      *filter.CostError
		failed      *sourceError
		vcenter     string
		others      vstream.Cursor
	)
	if errors.As(err, &failed) {
		vcenter, others = failed.vcenter, failed.others
	}
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &expired):
		missed := int64(expired.Earliest - expired.Requested)
		p = &problem{Status: http.StatusGone, Slug: "offset-expired", Title: "The log no longer holds this offset",
			Requested: &expired.Requested, Earliest: &expired.Earliest, Latest: &expired.Latest,
			Missed: &missed, Resume: resumeURL(r, others, expired.Earliest.String()), VCenter: vcenter}
	case errors.As(err, &ahead):
		p = &problem{Status: http.StatusConflict, Slug: "cursor-ahead", Title: "The cursor is not of this log",
			Requested: &ahead.cursor, Resume: resumeURL(r, others, "earliest"), VCenter: vcenter}
		if !ahead.empty {
			p.Earliest, p.Latest = &ahead.held.Earliest, &ahead.held.Latest
			p.Resume = resumeURL(r, others, ahead.held.Earliest.String())
		}
	case errors.As(err, &invalid):
		p = invalidParameter(invalid.Parameter, invalid.Detail)
		if invalid.Parameter == "filter" {
			p.Slug, p.Title = "invalid-filter", "Invalid filter"
		}
		for _, issue := range invalid.Issues {
			p.Errors = append(p.Errors, filterIssue(issue))
		}
	case errors.As(err, &costly):
		p = &problem{Status: http.StatusBadRequest, Slug: "invalid-filter", Title: "Invalid filter", Parameter: "filter",
			Requested: &costly.Offset, VCenter: vcenter}
	case errors.As(err, &notFound):
		p = &problem{Status: http.StatusNotFound, Slug: "event-not-found", Title: "No event at this offset",
			Requested: &notFound.Requested}
		if held := notFound.Range; held != nil {
			p.Earliest, p.Latest = &held.Earliest, &held.Latest
		}
	case errors.As(err, &damaged):
		return &problem{Status: http.StatusServiceUnavailable, Slug: "log-unavailable", Title: "The log cannot be read",
			Detail: "the store of the log is damaged, and does not heal by itself; what the server says about itself tells what to do", VCenter: vcenter, cause: err}
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

// resumeURL is r's own request, or the list for requests of one event, begun where the log
// of a vCenter begins: at an offset, or, where there are others, where reading is in those.
func resumeURL(r *http.Request, others vstream.Cursor, earliest string) string {
	path := base + "/events"
	if name := r.PathValue("name"); name != "" {
		path = base + "/vcenters/" + name + "/events"
	}
	q := r.URL.Query()
	for _, position := range []string{"cursor", "before", "since", "offset"} {
		q.Del(position)
	}
	if others != nil {
		q.Set("cursor", others.String())
	} else {
		q.Set("offset", earliest)
	}
	return path + "?" + q.Encode()
}

func invalidParameter(name, detail string) *problem {
	return &problem{Status: http.StatusBadRequest, Slug: "invalid-parameter", Title: "Invalid parameter",
		Parameter: name, Detail: detail}
}

// document is the JSON of p.
func (p problem) document() []byte {
	p.Type = "urn:vstream:problem:" + p.Slug
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false) // for addresses to be copied
	if err := encoder.Encode(p); err != nil {
		panic(err) // only strings and numbers
	}
	return bytes.TrimSuffix(body.Bytes(), []byte("\n"))
}

func (p *problem) write(w http.ResponseWriter) {
	w.Header().Set("Cache-Control", "no-store")
	if w.Header().Get("Retry-After") == "" {
		switch p.Status {
		case http.StatusServiceUnavailable:
			w.Header().Set("Retry-After", "1")
		case http.StatusTooManyRequests:
			w.Header().Set("Retry-After", strconv.Itoa(5+mathrand.IntN(10))) // not all at once again
		}
	}
	writeStatus(w, p.Status, "application/problem+json", append(p.document(), '\n'))
}
