package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"

	"vstream"
	"vstream/internal/filter"
	"vstream/internal/index"
)

const (
	defaultBuckets, maxBuckets = 60, 300
	defaultTop, maxTop         = 10, 100
	// scanMost is how many events that pass a text or an expression are counted at most.
	scanMost = 100_000
)

// eventType is a type of events as clients see it.
type eventType struct {
	ID              string `json:"id"`
	Class           string `json:"class"`
	Description     string `json:"description"`
	Category        string `json:"category"`
	LongDescription string `json:"longDescription"`
	seen
	VCenters map[string]seen `json:"vcenters,omitempty"` // where there are several
}

// seen is how often there is something, and where first and last.
type seen struct {
	Count int64           `json:"count"`
	First *vstream.Offset `json:"first,omitempty"`
	Last  *vstream.Offset `json:"last,omitempty"`
}

// getTypes answers with the types of the events there are, the most frequent first.
func (s *Server) getTypes(w http.ResponseWriter, r *http.Request) error {
	if _, err := parametersOf(r, nil, nil); err != nil {
		return err
	}
	type key struct{ name, class string }
	types := map[key]*eventType{}
	for i := range s.VCenters {
		v := &s.VCenters[i]
		known := map[key]vstream.EventType{}
		for _, t := range v.Types() {
			known[key{t.Name, t.Class}] = t
		}
		for _, n := range v.Index.Types() {
			k := key{n.Name, n.Class}
			t := types[k]
			if t == nil {
				t = &eventType{ID: n.Name, Class: n.Class, VCenters: map[string]seen{}}
				types[k] = t
			}
			if told, ok := known[k]; ok && t.Description == "" {
				t.Description, t.Category, t.LongDescription = told.Description, told.Category, told.LongDescription
			}
			t.Count += n.Count
			t.VCenters[v.Name] = seen{n.Count, &n.First, &n.Last}
		}
	}
	all := slices.SortedFunc(maps.Values(types), func(a, b *eventType) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Class, b.Class))
	})
	if len(s.VCenters) == 1 {
		for _, t := range all {
			t.seen, t.VCenters = t.VCenters[s.VCenters[0].Name], nil
		}
	}
	if all == nil {
		all = []*eventType{}
	}
	return writeJSON(w, r, all)
}

// A counting is what events to count.
type counting struct {
	filter      *filter.Filter
	since, till time.Time // zero without
}

// countingOf reads the parameters of a counting, and one more number.
func countingOf(r *http.Request, number string, fallback, least, most int) (c counting, n int, err error) {
	filters := filter.Parameters()
	params, err := parametersOf(r, slices.Concat(span, []string{number}, filters), filters)
	if err != nil {
		return c, 0, err
	}
	if c.filter, err = filter.Parse(params.values); err != nil {
		return c, 0, err
	}
	if c.since, c.till, err = params.span(); err != nil {
		return c, 0, err
	}
	n = fallback
	if text := params.get(number); text != "" {
		if n, err = strconv.Atoi(text); err != nil || n < least || n > most {
			return c, 0, invalidParameter(number, fmt.Sprintf("invalid %s: %s is not a number from %d to %d", number, abbreviate(text), least, most))
		}
	}
	return c, n, nil
}

// A counted is a part of a log to count in, and whether it is all there is.
type counted struct {
	vcenter *VCenter
	index   *index.Index
	filter  *filter.Filter // that is yet to be applied
	whole   bool
	since   time.Time // from when on it is whole
}

// of returns what of each vCenter to count in. Where a text or an expression decides, the
// events are looked through, the newest first, for as long as scanTime.
func (c counting) of(ctx context.Context, vcenters []*VCenter) ([]counted, error) {
	vcenters, err := chosen(c.filter, vcenters)
	if err != nil {
		return nil, err
	}
	var all []counted
	deadline := time.Now().Add(scanTime)
	for _, v := range vcenters {
		covered := v.Index.Coverage()
		part := counted{v, v.Index, c.filter, covered.Whole, covered.Since}
		if covered.Building { // the newest are missing
			part.whole, part.since = false, time.Time{}
		}
		if c.filter.NeedsMessage() {
			events, from, whole, err := c.scan(ctx, v, deadline)
			if err != nil {
				return nil, &sourceError{vcenter: v.Name, err: err}
			}
			part = counted{v, index.Of(events), nil, whole, from}
		}
		if !part.whole && !c.since.IsZero() && !part.since.IsZero() && part.since.Before(c.since) {
			part.whole = true
		}
		all = append(all, part)
	}
	return all, nil
}

// scan returns the events of a log that pass, without their texts, and from when on that is
// all of them.
func (c counting) scan(ctx context.Context, v *VCenter, deadline time.Time) (events []vstream.Event, from time.Time, whole bool, err error) {
	q := &query{filter: c.filter, limit: maxScanChunk}
	var parts [][]vstream.Event
	n, found := scanChunk, 0
	for at := vstream.Position(vstream.Newest(n)); ; {
		chunk, err := q.readChunk(ctx, v, at, n, math.MaxInt)
		var expired *vstream.ExpiredError
		if len(parts) > 0 && errors.As(err, &expired) {
			chunk, err = scanned{}, nil // dropped meanwhile
		}
		if err != nil {
			return nil, time.Time{}, false, err
		}
		if whole = chunk.events == 0; whole {
			break
		}
		for i := range chunk.matching {
			chunk.matching[i].JSON, chunk.matching[i].Message = nil, ""
		}
		parts = append(parts, chunk.matching)
		found += len(chunk.matching)
		from = chunk.oldest
		if chunk.newest.Before(c.since) || found >= scanMost || time.Now().After(deadline) {
			break
		}
		n = min(2*n, maxScanChunk)
		at = vstream.Before{Offset: chunk.first, N: n}
	}
	slices.Reverse(parts)
	return slices.Concat(parts...), from, whole, nil
}

// completeness is what counts say about themselves.
type completeness struct {
	Complete bool `json:"complete"`
	// CompleteSince is from when on they are complete, if they are so from some time on.
	CompleteSince *time.Time `json:"completeSince"`
}

func completenessOf(parts []counted) completeness {
	c := completeness{Complete: true}
	var since time.Time
	for _, p := range parts {
		switch {
		case p.whole:
		case p.since.IsZero():
			return completeness{}
		default:
			c.Complete = false
			if p.since.After(since) {
				since = p.since
			}
		}
	}
	c.CompleteSince = instant(since)
	return c
}

type histogram struct {
	From  *time.Time `json:"from"` // null when there is nothing to count
	To    *time.Time `json:"to"`
	Width float64    `json:"width"` // of a bucket, in seconds
	completeness
	Buckets []bucket `json:"buckets"`
}

type bucket struct {
	Time    time.Time `json:"time"` // when it begins
	Info    int64     `json:"info"`
	Warning int64     `json:"warning"`
	Error   int64     `json:"error"`
	User    int64     `json:"user"`
	Other   int64     `json:"other"`
}

// getHistogram answers with how many events there were when.
func (s *Server) getHistogram(w http.ResponseWriter, r *http.Request) error {
	c, most, err := countingOf(r, "buckets", defaultBuckets, 2, maxBuckets)
	if err != nil {
		return err
	}
	parts, err := c.of(r.Context(), s.all())
	if err != nil {
		return err
	}
	answer := histogram{completeness: completenessOf(parts), Buckets: []bucket{}}
	from, to := c.since, c.till
	for i := range s.VCenters { // of all events, so that filters do not move the axis
		first, last, some := s.VCenters[i].Index.Span()
		if c.since.IsZero() && some && (from.IsZero() || first.Before(from)) {
			from = first
		}
		if c.till.IsZero() && some && last.After(to) {
			to = last
		}
	}
	if from.IsZero() || !from.Before(to) {
		return writeJSON(w, r, answer)
	}
	begin, width, n := index.Buckets(from, to, most)
	counts := make([]index.Counts, n)
	for _, p := range parts {
		for i, count := range p.index.Count(p.filter, begin, width, n) {
			counts[i].Add(count)
		}
	}
	end := begin.Add(time.Duration(n) * width)
	answer.From, answer.To, answer.Width = &begin, &end, width.Seconds()
	for i, n := range counts {
		answer.Buckets = append(answer.Buckets, bucket{begin.Add(time.Duration(i) * width), n.Info, n.Warning, n.Error, n.User, n.Other})
	}
	return writeJSON(w, r, answer)
}

type facets struct {
	completeness
	Events int64            `json:"events"`
	Facets map[string]facet `json:"facets"`
}

type facet struct {
	Values []facetValue `json:"values"` // the most frequent first
	Others int          `json:"others"` // how many more values there are
}

type facetValue struct {
	Value string `json:"value"`
	Count int64  `json:"count"`
}

// getFacets answers with the values that most events have.
func (s *Server) getFacets(w http.ResponseWriter, r *http.Request) error {
	c, top, err := countingOf(r, "top", defaultTop, 1, maxTop)
	if err != nil {
		return err
	}
	parts, err := c.of(r.Context(), s.all())
	if err != nil {
		return err
	}
	till := c.till
	if !till.IsZero() {
		till = till.Add(time.Microsecond) // the index leaves out the end
	}
	sum := index.Of(nil).Facets(nil, time.Time{}, time.Time{})
	vcenters := facet{Values: []facetValue{}}
	for _, p := range parts {
		of := p.index.Facets(p.filter, c.since, till)
		if n := of.Events(); n > 0 {
			vcenters.Values = append(vcenters.Values, facetValue{p.vcenter.Name, n})
		}
		sum.Add(of)
	}
	slices.SortFunc(vcenters.Values, func(a, b facetValue) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Value, b.Value))
	})
	if more := len(vcenters.Values) - top; more > 0 {
		vcenters.Values, vcenters.Others = vcenters.Values[:top], more
	}
	answer := facets{completeness: completenessOf(parts), Events: sum.Events(), Facets: map[string]facet{filter.VCenter.String(): vcenters}}
	for _, field := range index.FacetFields {
		values, others := sum.Top(field, top)
		f := facet{Values: []facetValue{}, Others: others}
		for _, v := range values {
			f.Values = append(f.Values, facetValue(v))
		}
		answer.Facets[field.String()] = f
	}
	return writeJSON(w, r, answer)
}

// writeJSON answers with a document.
func writeJSON(w http.ResponseWriter, r *http.Request, document any) error {
	body, err := json.Marshal(document)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeCompressed(w, r, append(body, '\n'), formJSON)
}
