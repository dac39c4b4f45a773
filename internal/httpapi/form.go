package httpapi

import (
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// A form is how events are written.
type form struct {
	name   string // as the parameter format has it
	media  string // as Accept has it, and Content-Type but for its parameters
	stream string // Content-Type of a watch; empty if it cannot be watched
	// separator, between the events of a page, and around them all.
	begin, separator, end string
}

// The forms there are. The first is what those get who take anything.
var (
	formJSON   = &form{name: "json", media: "application/json", stream: "application/json", begin: "[", separator: ",", end: "]"}
	formNDJSON = &form{name: "ndjson", media: "application/x-ndjson", stream: "application/x-ndjson", separator: "\n", end: "\n"}
	formSSE    = &form{name: "sse", media: "text/event-stream", stream: "text/event-stream"}
	formBatch  = &form{name: "batch", media: "application/cloudevents-batch+json", begin: "[", separator: ",", end: "]"}
	formText   = &form{name: "text", media: "text/plain", stream: "text/plain; charset=utf-8", separator: "\n", end: "\n"}

	forms = []*form{formJSON, formNDJSON, formText, formSSE, formBatch}
)

// formOf returns the form that the parameter format asks for, or else Accept.
func formOf(r *http.Request, format string) (*form, error) {
	if format != "" {
		for _, f := range forms {
			if f.name == format {
				return f, nil
			}
		}
		var names []string
		for _, f := range forms {
			names = append(names, f.name)
		}
		return nil, invalidParameter("format", "invalid format parameter: "+abbreviate(format)+" is none of "+strings.Join(names, ", "))
	}
	ranges := mediaRanges(r.Header.Values("Accept"))
	if len(ranges) == 0 {
		return formJSON, nil
	}
	for _, wanted := range ranges {
		for _, f := range forms {
			if wanted.q > 0 && wanted == decisive(ranges, f.media) {
				return f, nil
			}
		}
	}
	return nil, notAcceptable("there are no events in a form that Accept names", forms)
}

// decisive returns the part of Accept that is about a type: of those that take it, the most
// exact one.
func decisive(ranges []mediaRange, media string) (most mediaRange) {
	for _, m := range ranges {
		if m.takes(media) && (most.text == "" || strings.Count(m.text, "*") < strings.Count(most.text, "*")) {
			most = m
		}
	}
	return most
}

func notAcceptable(detail string, available []*form) *problem {
	p := &problem{Status: http.StatusNotAcceptable, Slug: "not-acceptable", Title: "Not acceptable", Detail: detail}
	for _, f := range available {
		p.Available = append(p.Available, f.media)
	}
	return p
}

// A mediaRange is a part of Accept, as RFC 9110 has it.
type mediaRange struct {
	text string // such as text/plain, text/* or */*
	q    float64
}

func (m mediaRange) takes(media string) bool {
	kind, open := strings.CutSuffix(m.text, "*")
	return m.text == media || m.text == "*/*" || open && strings.HasPrefix(media, kind)
}

// maxRanges is how many parts of an Accept header are looked at.
const maxRanges = 32

// mediaRanges reads Accept headers: what is wanted most comes first. What cannot be read
// is passed over.
func mediaRanges(headers []string) []mediaRange {
	var all []mediaRange
	for _, header := range headers {
		for part := range strings.SplitSeq(header, ",") {
			text, parameters, err := mime.ParseMediaType(part)
			if err != nil || len(all) == maxRanges {
				continue
			}
			q := 1.0
			if given, ok := parameters["q"]; ok {
				if q, err = strconv.ParseFloat(given, 64); err != nil {
					continue
				}
			}
			all = append(all, mediaRange{text, q})
		}
	}
	slices.SortStableFunc(all, func(a, b mediaRange) int { // the more exact first among equals
		switch {
		case a.q != b.q && a.q > b.q:
			return -1
		case a.q != b.q:
			return 1
		}
		return strings.Count(a.text, "*") - strings.Count(b.text, "*")
	})
	return all
}
