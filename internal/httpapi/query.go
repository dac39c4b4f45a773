package httpapi

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"vstream"
	"vstream/internal/duration"
	"vstream/internal/filter"
)

const (
	defaultLimit     = 50 // the documented page
	maxLimit         = 1000
	maxWait          = time.Minute
	defaultHeartbeat = 15 * time.Second
	minHeartbeat     = time.Second
	maxHeartbeat     = 10 * time.Minute
)

// A query is what a request for events asks for.
type query struct {
	served    []*VCenter // that the request's path is about, in the order of their names
	vcenters  []*VCenter // of these, those that the filter passes: the others are not read at all
	form      *form
	watch     bool
	filter    *filter.Filter
	from      start          // nil for the last page
	before    vstream.Cursor // where a page ends that is read backwards; nil is none
	until     time.Time      // where reading ends; zero is nowhere
	limit     int            // of events; 0 is none, for watches
	wait      time.Duration  // for the first event of a page
	bookmarks bool
	heartbeat time.Duration // of bookmarks
	timeout   time.Duration // of a watch; 0 is as long as it may live
}

// own are the parameters beside those of filters.
var own = []string{"watch", "offset", "cursor", "before", "since", "until", "limit", "wait", "bookmarks", "heartbeat", "timeoutSeconds", "format"}

// queryOf reads the query of a request for the events of these vCenters.
func queryOf(r *http.Request, vcenters []*VCenter) (*query, error) {
	filters := filter.Parameters()
	params, err := parametersOf(r, slices.Concat(own, filters), filters)
	if err != nil {
		return nil, err
	}
	q := &query{served: vcenters}
	if q.filter, err = filter.Parse(params.values); err != nil {
		return nil, err
	}
	if q.vcenters, err = chosen(q.filter, vcenters); err != nil {
		return nil, err
	}
	if q.form, err = formOf(r, params.get("format")); err != nil {
		return nil, err
	}
	if q.watch, err = params.flag("watch"); err != nil {
		return nil, err
	}
	if q.form == formSSE {
		if params.get("watch") != "" && !q.watch {
			return nil, invalidParameter("watch", "invalid watch parameter: server-sent events are a watch; leave it out, or ask for another form")
		}
		q.watch = true
	}
	if q.watch && q.form.stream == "" {
		return nil, notAcceptable("a watch is not to be had as "+q.form.media, slices.DeleteFunc(slices.Clone(forms), func(f *form) bool { return f.stream == "" }))
	}
	for _, read := range []func(*http.Request, parameters) error{q.readStart, q.readEnd, q.readTimes} {
		if err := read(r, params); err != nil {
			return nil, err
		}
	}
	return q, nil
}

// chosen returns the vCenters that a filter passes, which must be one at least.
func chosen(f *filter.Filter, vcenters []*VCenter) (all []*VCenter, err error) {
	for _, v := range vcenters {
		if f.Test(filter.VCenter, v.Name) {
			all = append(all, v)
		}
	}
	if len(all) == 0 {
		return nil, invalidParameter("vcenter", "invalid vcenter: none of those that are served here passes; "+base+"/vcenters lists them")
	}
	return all, nil
}

// readStart reads where to begin, or with before where to end.
func (q *query) readStart(r *http.Request, params parameters) error {
	positions := slices.DeleteFunc([]string{"cursor", "offset", "since", "before"}, func(name string) bool { return params.get(name) == "" })
	if len(positions) > 1 {
		return invalidParameter(positions[1], fmt.Sprintf("%s and %s both say where to read; give one of them", positions[0], positions[1]))
	}
	// An EventSource that comes again sends the address it began with, so this counts.
	if last := r.Header.Get("Last-Event-ID"); last != "" {
		c, err := q.cursor("Last-Event-ID", last)
		q.from = startAfter{c}
		return err
	}
	if q.watch {
		q.from = startNow{}
	}
	if len(positions) == 0 {
		return nil
	}
	var err error
	switch name := positions[0]; name {
	case "offset":
		q.from, err = q.offset(params.get(name))
	case "cursor":
		var c vstream.Cursor
		c, err = q.cursor(name, params.get(name))
		q.from = startAfter{c}
	case "since":
		var t time.Time
		t, err = parseTime(name, params.get(name))
		q.from = startSince(t)
	case "before":
		if q.watch {
			return invalidParameter(name, "before is for pages; a watch goes forward only")
		}
		q.before, err = q.cursor(name, params.get(name))
	}
	return err
}

// readEnd reads where to end.
func (q *query) readEnd(_ *http.Request, params parameters) (err error) {
	if text := params.get("until"); text != "" {
		if q.before != nil {
			return invalidParameter("until", "before and until both say where a page ends; give one of them")
		}
		if q.until, err = parseTime("until", text); err != nil {
			return err
		}
		if since, ok := q.from.(startSince); ok && q.until.Before(time.Time(since)) {
			return invalidParameter("until", "until is earlier than since")
		}
	}
	if _, now := q.from.(startNow); now && !q.until.IsZero() && time.Now().After(q.until) {
		return invalidParameter("until", "until is over, and this begins now; timeoutSeconds ends a watch after so long")
	}
	if !q.watch {
		q.limit = defaultLimit
	}
	if text := params.get("limit"); text != "" {
		n, err := strconv.Atoi(text)
		most := maxLimit
		if q.watch {
			most = math.MaxInt32
		}
		if err != nil || n < 1 || n > most {
			return invalidParameter("limit", fmt.Sprintf("invalid limit: %s is not a number from 1 to %d", abbreviate(text), most))
		}
		q.limit = n
	}
	return nil
}

// readTimes reads how long to wait, and how often to say so.
func (q *query) readTimes(_ *http.Request, params parameters) (err error) {
	if q.wait, err = params.duration("wait", 0, 0, maxWait); err != nil {
		return err
	}
	if q.wait > 0 && (q.watch || q.before != nil) {
		return invalidParameter("wait", "wait is for pages that go forward; a watch waits by itself")
	}
	if q.heartbeat, err = params.duration("heartbeat", defaultHeartbeat, minHeartbeat, maxHeartbeat); err != nil {
		return err
	}
	if q.timeout, err = params.duration("timeoutSeconds", 0, time.Second, 24*time.Hour); err != nil {
		return err
	}
	if q.bookmarks, err = params.flag("bookmarks"); err != nil {
		return err
	}
	if q.bookmarks && q.form != formNDJSON && q.form != formSSE {
		return invalidParameter("bookmarks", q.form.name+" has no bookmarks; ask for ndjson or sse")
	}
	q.bookmarks = q.bookmarks || q.form == formSSE
	return nil
}

// offset reads the parameter offset.
func (q *query) offset(text string) (start, error) {
	switch text {
	case "now", "-1":
		return startNow{}, nil
	case "latest":
		return startLatest{}, nil
	case "earliest":
		return startOldest{}, nil
	}
	offset, err := parseOffset(text)
	switch {
	case errors.Is(err, errNoNumber):
		return nil, invalidParameter("offset", fmt.Sprintf("invalid offset: %s is neither a number nor earliest, latest or now", abbreviate(text)))
	case err != nil:
		return nil, invalidParameter("offset", err.Error()+"; use the number of an event, earliest, latest or now")
	case len(q.served) > 1:
		return nil, errAmbiguous
	}
	return startAt(offset), nil
}

// cursor reads a cursor, or with one vCenter an offset.
func (q *query) cursor(name, text string) (vstream.Cursor, error) {
	invalid := func(detail string) *problem {
		return &problem{Status: http.StatusBadRequest, Slug: "invalid-cursor", Title: "Invalid cursor",
			Parameter: name, Detail: fmt.Sprintf("invalid cursor %s: %s", abbreviate(text), detail)}
	}
	if strings.Trim(text, "0123456789") == "" {
		offset, err := parseOffset(text)
		switch {
		case err != nil:
			return nil, invalid(err.Error())
		case len(q.served) > 1:
			return nil, errAmbiguous
		}
		return vstream.Cursor{q.served[0].Name: {Offset: offset}}, nil
	}
	c, err := vstream.ParseCursor(text)
	if err != nil {
		return nil, invalid(err.Error())
	}
	for vcenter := range c {
		if !slices.ContainsFunc(q.served, func(v *VCenter) bool { return v.Name == vcenter }) {
			return nil, invalid(fmt.Sprintf("the vCenter %s is not served at this path; %s/vcenters lists those that are served", abbreviate(vcenter), base))
		}
	}
	return c, nil
}

// parseTime reads a moment: as RFC 3339 has it, in seconds or milliseconds since 1970, or
// so long before now.
func parseTime(name, text string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if d, err := duration.Parse(text); err == nil {
		return time.Now().Add(-d), nil
	}
	const firstMilliseconds = 100_000_000_000 // in seconds the year 5138, in milliseconds 1973
	const firstSeconds = 100_000_000          // in 1973: less is meant as a length of time
	if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= firstSeconds {
		if n < firstMilliseconds {
			return time.Unix(n, 0), nil
		}
		return time.UnixMilli(n), nil
	}
	hint := ""
	if strings.Contains(text, " ") {
		hint = "; a plus sign in a URL is written %2B"
	}
	return time.Time{}, invalidParameter(name, fmt.Sprintf("invalid %s: %s is neither a time as 2026-11-22T09:00:00Z, nor seconds or milliseconds since 1970, nor as long ago as 15m or 2d%s", name, abbreviate(text), hint))
}
