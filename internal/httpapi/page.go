package httpapi

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"vstream"
)

const (
	// pageBytes is about how much a page has at most: one with fewer events than its limit
	// is no end, its links go on.
	pageBytes = 4 << 20
	// scanTime is how long events are looked through for a page with a filter. What was
	// found by then is the page, and its links go on.
	scanTime = 2 * time.Second
	// scanChunk is how many events are read at once to look through them backwards.
	scanChunk, maxScanChunk = 256, 4096
)

// A page is the answer to a query that is no watch.
type page struct {
	items    []item         // oldest first
	bytes    int            // of their JSON
	next     vstream.Cursor // where to go on
	prev     vstream.Cursor // where to go on backwards; nil if there is nothing
	upToDate bool           // there was nothing more
}

// An item is an event and whose it is.
type item struct {
	vcenter *VCenter
	event   vstream.Event
}

func (p *page) add(v *VCenter, e *vstream.Event) {
	p.items = append(p.items, item{v, *e})
	p.bytes += len(e.JSON)
}

// getPage answers with a page.
func (s *Server) getPage(stopping context.Context, q *query, w http.ResponseWriter, r *http.Request) error {
	ranges := rangesOf(q.vcenters...)
	if len(ranges) == 0 && q.wait == 0 {
		return noContent(w, r, q.vcenters)
	}
	// A stop ends waiting only: what is there is worth its answer.
	patience, cancel := context.WithTimeout(r.Context(), q.wait)
	defer cancel()
	defer context.AfterFunc(stopping, cancel)()
	if q.wait > 0 {
		release, err := s.admit(r, cancel)
		if err != nil {
			return err
		}
		defer release()
	}
	var p *page
	var err error
	if q.from != nil {
		p, err = q.forward(r.Context(), stopping, patience)
	} else {
		if len(ranges) == 0 {
			if err := q.begin(r.Context(), patience); err != nil {
				return err
			}
		}
		p, err = q.backward(r.Context())
	}
	measuredOf(w).waited(q.waited)
	if err != nil {
		return err
	}
	measuredOf(w).note(slog.String("vstream.form", q.form.name), slog.Int("vstream.events", len(p.items)))
	h := w.Header()
	setRanges(h, rangesOf(q.vcenters...), len(q.served) > 1)
	h.Set("Cache-Control", "no-store")
	h.Set("Stream-Next-Cursor", p.next.String())
	if p.upToDate {
		h.Set("Stream-Up-To-Date", "true")
	}
	q.link(h, r, p)
	return writeCompressed(w, r, q.form.page(p.items, len(s.VCenters) > 1), q.form)
}

// begin waits until one of the logs holds something, or patience is over.
func (q *query) begin(ctx, patience context.Context) error {
	f, err := q.open(ctx, startOldest{}, time.Time{})
	if err == nil {
		q.await(patience, f)
	}
	return err
}

// await waits until there may be more, which it reports, or patience is over.
func (q *query) await(patience context.Context, f *feed) (more bool) {
	began := time.Now()
	more, _ = f.wait(patience, nil)
	q.waited += time.Since(began)
	return more
}

// forward reads a page from its beginning on. When there is nothing yet, it waits for the
// first event until patience is done.
func (q *query) forward(ctx, stopping, patience context.Context) (*page, error) {
	opening, end := context.WithCancelCause(ctx) // which may wait for a log to be filled
	defer end(nil)
	defer context.AfterFunc(stopping, func() { end(errStopping) })()
	f, err := q.open(opening, q.from, q.until)
	if errors.Is(err, errStopping) {
		return nil, errShuttingDown
	}
	if err != nil {
		return nil, err
	}
	p := &page{prev: vstream.Cursor{}}
	scanUntil := time.Now().Add(scanTime)
	for {
		s, events, err := f.next(ctx)
		if err != nil {
			return nil, err
		}
		if p.upToDate = false; len(events) == 0 {
			pending, err := f.settle()
			if err != nil {
				return nil, err
			}
			p.upToDate = !pending
			if len(p.items) > 0 || f.over() {
				break
			}
			if !q.await(patience, f) {
				break
			}
			scanUntil = time.Now().Add(scanTime)
			continue
		}
		if _, begun := p.prev[s.vcenter.Name]; !begun {
			p.prev[s.vcenter.Name] = vstream.Place{Offset: events[0].Offset, Tag: s.tag}
		}
		for i := range events {
			wanted, err := q.filter.Match(s.vcenter.Name, &events[i])
			if err != nil {
				return nil, err
			}
			s.pass()
			if wanted {
				p.add(s.vcenter, &events[i])
			}
			if len(p.items) == q.limit || p.bytes >= pageBytes {
				break
			}
		}
		if len(p.items) == q.limit || p.bytes >= pageBytes || !q.filter.All() && time.Now().After(scanUntil) {
			break
		}
		if err := f.leap(ctx, s, len(p.items)); err != nil {
			return nil, err
		}
	}
	p.next = f.cursor()
	for _, s := range f.sources {
		name := s.vcenter.Name
		if _, begun := p.prev[name]; !begun {
			p.prev[name] = vstream.Place{Offset: s.upcoming(), Tag: s.tag}
		}
		if held, some := s.vcenter.Log.Range(); !some || p.prev[name].Offset <= held.Earliest {
			delete(p.prev, name)
		}
	}
	return p, nil
}

// backward reads a page up to its end.
func (q *query) backward(ctx context.Context) (*page, error) {
	scanUntil := time.Now().Add(scanTime)
	parts := make([]*part, len(q.vcenters))
	for i, v := range q.vcenters {
		var err error
		if parts[i], err = q.readPart(ctx, v, scanUntil); err != nil {
			return nil, q.failure(v, q.before, err)
		}
	}
	p := &page{next: vstream.Cursor{}, upToDate: q.before == nil && q.until.IsZero()}
	for len(p.items) < q.limit && p.bytes < pageBytes { // the newest first
		var newest *part
		for _, part := range parts {
			if n := len(part.events); n > 0 && (newest == nil || !part.events[n-1].Time.Before(newest.events[len(newest.events)-1].Time)) {
				newest = part
			}
		}
		if newest == nil {
			break
		}
		n := len(newest.events) - 1
		p.add(newest.vcenter, &newest.events[n])
		newest.begin, newest.cut = newest.events[n].Offset, true
		newest.events = newest.events[:n]
	}
	slices.Reverse(p.items)
	p.prev = vstream.Cursor{}
	for _, part := range parts { // those that are read to their beginning are not of the page before
		name := part.vcenter.Name
		if part.last >= 0 {
			p.next[name] = vstream.Place{Offset: part.last, Tag: part.tag}
		}
		before := part.end
		switch {
		case len(part.events) == 0 && part.whole: // what it had is in the page
			continue
		case len(part.events) == 0:
			before = part.first
		case part.cut:
			before = part.begin
		}
		if before >= 0 {
			p.prev[name] = vstream.Place{Offset: before, Tag: part.tag}
		}
	}
	return p, nil
}

// A part is what one vCenter may give to a page that is read backwards.
type part struct {
	vcenter     *VCenter
	tag         string          // of its log, as far as known
	events      []vstream.Event // that the filter passes, in log order
	bytes       int             // of their JSON
	first, last vstream.Offset  // of those looked at, the filter's passing or not; -1 if there was none
	whole       bool            // there is nothing before first
	end         vstream.Offset  // that it was read backwards from
	begin       vstream.Offset  // of the events taken out of the part, the first one
	cut         bool            // there is a begin
}

// enough reports whether the part fills a page.
func (p *part) enough(q *query) bool { return len(p.events) >= q.limit || p.bytes >= pageBytes }

// readPart reads backwards until there is enough for a page.
func (q *query) readPart(ctx context.Context, v *VCenter, scanUntil time.Time) (*part, error) {
	p := &part{vcenter: v, first: -1, last: -1}
	var err error
	if p.tag, err = v.recognize(q.before[v.Name]); err != nil {
		return nil, err
	}
	held, _ := v.Log.Range()
	end, named, err := q.end(ctx, v)
	if err != nil {
		return nil, err
	}
	if !named { // by a cursor that wants all that follows
		p.whole = true
		return p, nil
	}
	p.end = end
	n := q.limit
	if !q.filter.All() {
		n = max(n, scanChunk)
	}
	for looked := 0; ; {
		began := time.Now()
		var at vstream.Position = vstream.Newest(n)
		if end >= 0 {
			at = vstream.Before{Offset: end, N: n}
		}
		chunk, err := q.readChunk(ctx, v, at, n, pageBytes)
		var expired *vstream.ExpiredError
		if p.first >= 0 && errors.As(err, &expired) {
			chunk, err = scanned{}, nil // dropped meanwhile
		}
		if err != nil {
			return nil, err
		}
		if chunk.events == 0 {
			p.whole = true
			return p, nil
		}
		p.first, end = chunk.first, chunk.first
		if p.last < 0 {
			p.last = chunk.last
			if p.end < 0 {
				p.end = max(held.Latest, chunk.highest) + 1
			}
		}
		p.events = slices.Concat(chunk.matching, p.events)
		p.bytes += chunk.bytes
		if chunk.full || p.enough(q) || time.Now().After(scanUntil) {
			return p, nil
		}
		if looked += chunk.events; time.Since(began) < scanTime/8 { // it is not to take long after time is over
			n = min(2*n, maxScanChunk)
		}
		if looked < maxScanChunk {
			continue
		}
		for { // where few events may pass, the index knows them
			found, err := q.lookUp(ctx, v, p)
			if err != nil {
				return nil, err
			}
			if p.whole || p.enough(q) || found && time.Now().After(scanUntil) {
				return p, nil
			}
			if end = p.first; !found {
				break
			}
		}
	}
}

// lookUp reads further back what the index says may pass, if that is so little that it is
// better than to read all.
func (q *query) lookUp(ctx context.Context, v *VCenter, p *part) (found bool, err error) {
	n := min(q.limit-len(p.events), scanChunk)
	if q.filter.NeedsMessage() { // much of it may not pass after all
		n = scanChunk
	}
	offsets, from, known := v.Index.Before(q.filter, p.first, n)
	if !known || len(offsets) == n && p.first-offsets[0] < vstream.Offset(16*n) {
		return false, nil
	}
	for _, offset := range slices.Backward(offsets) {
		e, err := v.Log.Get(ctx, offset)
		var notFound *vstream.NotFoundError
		var expired *vstream.ExpiredError
		if errors.As(err, &notFound) || errors.As(err, &expired) {
			continue // dropped meanwhile
		}
		if err != nil {
			return false, err
		}
		p.first = offset
		wanted, err := q.filter.Match(v.Name, &e)
		if err != nil {
			return false, err
		}
		if wanted {
			p.events = slices.Insert(p.events, 0, e)
			p.bytes += len(e.JSON)
		}
		if p.enough(q) {
			return true, nil
		}
	}
	if len(offsets) < n {
		whole := v.Index.Coverage().Whole
		if p.first == from && !whole {
			return false, nil
		}
		p.first, p.whole = from, whole
	}
	return true, nil
}

// end returns the offset that a page ends before, which is -1 for the end of the log; or
// that it is no page of this vCenter at all.
func (q *query) end(ctx context.Context, v *VCenter) (before vstream.Offset, some bool, err error) {
	if q.before != nil {
		at, some := q.before[v.Name]
		return at.Offset, some, nil
	}
	if q.until.IsZero() {
		return -1, true, nil
	}
	r, err := v.Log.Open(ctx, vstream.Since(q.until.Add(1)))
	if err != nil {
		return 0, false, err
	}
	after, err := r.Next(ctx)
	if err != nil || len(after) == 0 {
		return -1, true, err
	}
	return after[0].Offset, true, nil
}

// scanned is what was found in a chunk of a log.
type scanned struct {
	matching    []vstream.Event // no more than a page needs: the newest
	bytes       int             // of their JSON
	events      int             // that were looked at
	first, last vstream.Offset  // of them; first is that of the oldest matching when full
	highest     vstream.Offset  // of them
	oldest      time.Time       // the first one's
	newest      time.Time       // the latest of them
	full        bool            // there were more matching than a page needs
}

// readChunk reads n events from a position on, which is as far from its end. Where the log
// drops the first ones at this very moment, it reads those that are left.
func (q *query) readChunk(ctx context.Context, v *VCenter, at vstream.Position, n, bytes int) (c scanned, err error) {
	for range 5 {
		var r vstream.Reader
		if r, err = v.Log.Open(ctx, at); err != nil {
			return c, err
		}
		c, err = q.scan(ctx, v, r, n, bytes)
		var expired *vstream.ExpiredError
		if !errors.As(err, &expired) {
			break
		}
	}
	return c, err
}

// scan reads n events, and keeps the newest that match, of so many bytes of JSON.
func (q *query) scan(ctx context.Context, v *VCenter, r vstream.Reader, n, bytes int) (c scanned, err error) {
	for c.events < n {
		events, err := r.Next(ctx)
		if err == nil {
			err = context.Cause(ctx) // who is gone wants no more looked through
		}
		if err != nil {
			return c, err
		}
		if len(events) == 0 {
			break
		}
		events = events[:min(len(events), n-c.events)]
		if c.events == 0 {
			c.first, c.oldest = events[0].Offset, events[0].Time
		}
		c.last = events[len(events)-1].Offset
		c.events += len(events)
		for i := range events {
			c.highest = max(c.highest, events[i].Offset)
			if events[i].Time.After(c.newest) {
				c.newest = events[i].Time
			}
			wanted, err := q.filter.Match(v.Name, &events[i])
			if err != nil {
				return c, err
			}
			if !wanted {
				continue
			}
			c.matching = append(c.matching, events[i])
			for c.bytes += len(events[i].JSON); len(c.matching) > q.limit || c.bytes > bytes && len(c.matching) > 1; {
				c.bytes -= len(c.matching[0].JSON)
				c.matching, c.full = c.matching[1:], true
			}
		}
	}
	if c.full {
		c.first = c.matching[0].Offset
	}
	return c, nil
}

// maxLinked is how long a query may be to be repeated in links: proxies take some kilobytes
// of headers only.
const maxLinked = 1500

// link says where to go from a page, as RFC 8288 has it.
func (q *query) link(h http.Header, r *http.Request, p *page) {
	if len(r.URL.RawQuery) > maxLinked {
		return
	}
	to := func(rel, name, value string) {
		values := r.URL.Query()
		for _, position := range []string{"cursor", "offset", "since", "before"} {
			values.Del(position)
		}
		for parameter, given := range values {
			if len(given) == 1 && given[0] == "" || strings.HasPrefix(parameter, "_") {
				values.Del(parameter)
			}
		}
		if name != "" {
			values.Set(name, value)
		}
		if rel != "next" {
			values.Del("wait")
		}
		if rel == "last" || rel == "prev" {
			values.Del("until")
		}
		h.Add("Link", "<"+(&url.URL{Path: r.URL.Path, RawQuery: values.Encode()}).RequestURI()+`>; rel="`+rel+`"`)
	}
	to("next", "cursor", p.next.String())
	if len(p.prev) > 0 {
		to("prev", "before", p.prev.String())
	}
	to("first", "offset", "earliest")
	to("last", "", "")
}

// holdings are what logs hold, by the names of their vCenters, and their tags.
type holdings map[string]taggedRange

type taggedRange struct {
	vstream.Range
	tag string
}

// rangesOf returns what the logs of vCenters hold, without those that hold nothing.
func rangesOf(vcenters ...*VCenter) holdings {
	all := holdings{}
	for _, v := range vcenters {
		if held, some := v.Log.Range(); some {
			all[v.Name] = taggedRange{held, v.Log.Tag()}
		}
	}
	return all
}

// setRanges tells what logs hold, in headers: of one an offset, of several a cursor, also
// while only one of them holds something.
func setRanges(h http.Header, all holdings, several bool) {
	earliest, latest := vstream.Cursor{}, vstream.Cursor{}
	for name, held := range all {
		earliest[name], latest[name] = vstream.Place{Offset: held.Earliest, Tag: held.tag}, vstream.Place{Offset: held.Latest, Tag: held.tag}
	}
	text := func(c vstream.Cursor) string {
		for _, at := range c {
			if !several {
				return at.Offset.String()
			}
		}
		return c.String()
	}
	if len(all) > 0 {
		h.Set("Stream-Earliest", text(earliest))
		h.Set("Stream-Latest", text(latest))
	}
}
