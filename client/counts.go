package client

import (
	"context"
	"encoding/json"
	"time"

	"vstream"
)

// A VCenterStatus is how collecting from a vCenter goes, and what its log holds.
type VCenterStatus struct {
	vstream.Status                // but for Skew, which servers do not tell
	Range          *vstream.Range // nil while the log is empty
	Log            vstream.Usage
	JSON           []byte // as the server has sent it
}

// VCenters returns all vCenters that are served, in the order of the server's configuration.
func (c *Client) VCenters(ctx context.Context) ([]VCenterStatus, error) {
	var raw []json.RawMessage
	if err := c.document(ctx, "vcenters", &raw); err != nil {
		return nil, err
	}
	all := make([]VCenterStatus, len(raw))
	for i, text := range raw {
		var in struct {
			Name, URL, Product, APIVersion, Instance  string
			State                                     vstream.State
			Since, LastPoll, LastEvent                time.Time
			Range                                     *vstream.Range
			Rate                                      float64
			Lag                                       float64
			KeyHeadroom                               int64
			Reconnects, Restarts, Late, Gaps, Unknown int64
			CollectedBy                               string
			LastError                                 struct {
				Message string
				At      time.Time
			}
			Audit *vstream.Audit
			Log   struct {
				Events, MaxEvents, Bytes, MaxBytes int64
				MaxAge                             float64
			}
		}
		if err := c.decode(text, &in); err != nil {
			return nil, err
		}
		all[i] = VCenterStatus{
			Status: vstream.Status{
				Name: in.Name, URL: in.URL, State: in.State, Since: in.Since, CollectedBy: in.CollectedBy,
				SourceStatus: vstream.SourceStatus{Product: in.Product, APIVersion: in.APIVersion, Instance: in.Instance, LastPoll: in.LastPoll, Unknown: in.Unknown},
				LastEvent:    in.LastEvent, Lag: seconds(in.Lag), Rate: in.Rate, KeyHeadroom: in.KeyHeadroom,
				Reconnects: in.Reconnects, Restarts: in.Restarts, Late: in.Late, Gaps: in.Gaps,
				LastError: in.LastError.Message, LastErrorAt: in.LastError.At, Audit: in.Audit,
			},
			Range: in.Range,
			Log: vstream.Usage{Events: in.Log.Events, MaxEvents: in.Log.MaxEvents, Bytes: in.Log.Bytes, MaxBytes: in.Log.MaxBytes,
				MaxAge: seconds(in.Log.MaxAge)},
			JSON: text,
		}
	}
	return all, nil
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// A TypeCount is a type of the events there are, with what the vCenter says of it.
type TypeCount struct {
	vstream.EventType
	Seen
	// VCenters is what there is in which vCenter, by name, where there are several.
	VCenters map[string]Seen
	JSON     []byte // as the server has sent it
}

// Seen is how many events there are, and the offsets of the first and the last one. Over
// several vCenters those are 0.
type Seen struct {
	Count       int64
	First, Last vstream.Offset
}

// Types returns the types of the events there are, the most frequent first.
func (c *Client) Types(ctx context.Context) ([]TypeCount, error) {
	var raw []json.RawMessage
	if err := c.document(ctx, "types", &raw); err != nil {
		return nil, err
	}
	all := make([]TypeCount, len(raw))
	for i, text := range raw {
		var in struct {
			ID, Class, Description, Category, LongDescription string
			Seen
			VCenters map[string]Seen
		}
		if err := c.decode(text, &in); err != nil {
			return nil, err
		}
		all[i] = TypeCount{
			EventType: vstream.EventType{Name: in.ID, Class: in.Class, Description: in.Description, Category: in.Category, LongDescription: in.LongDescription},
			Seen:      in.Seen, VCenters: in.VCenters, JSON: text,
		}
	}
	return all, nil
}

// Completeness says whether counts are of all that there is.
type Completeness struct {
	Complete bool
	// CompleteSince is from when on they are; zero if they are everywhere, or not known to be
	// anywhere.
	CompleteSince time.Time
}

// A Histogram is how many events there were when.
type Histogram struct {
	Completeness
	From, To time.Time     // zero when there is nothing to count
	Width    time.Duration // of a bucket
	Buckets  []Bucket
	JSON     []byte `json:"-"` // as the server has sent it
}

// A Bucket is how many events there were from a time on, by severity.
type Bucket struct {
	Time                              time.Time
	Info, Warning, Error, User, Other int64
}

// Histogram counts events over time. It takes filters, [Since], [Ago], [Until] and [Buckets].
func (c *Client) Histogram(ctx context.Context, opts ...ReadOption) (Histogram, error) {
	var in struct {
		Histogram
		Width float64
	}
	text, err := c.count(ctx, "histogram", opts, &in)
	in.Histogram.Width, in.JSON = seconds(in.Width), text
	return in.Histogram, err
}

// Facets are the values that most events have.
type Facets struct {
	Completeness
	Events int64            // that were counted
	Facets map[string]Facet // by field, as parameters call it: severity, type, vm and more
	JSON   []byte           `json:"-"` // as the server has sent it
}

// A Facet is the values of one field, the most frequent first.
type Facet struct {
	Values []FacetValue
	Others int // how many more values there are
}

// A FacetValue is a value, and how many events have it.
type FacetValue struct {
	Value string
	Count int64
}

// Facets counts values. It takes filters, [Since], [Ago], [Until] and [Top].
func (c *Client) Facets(ctx context.Context, opts ...ReadOption) (Facets, error) {
	var in Facets
	text, err := c.count(ctx, "facets", opts, &in)
	in.JSON = text
	return in, err
}

// count reads a document about the events that options select, and returns its text.
func (c *Client) count(ctx context.Context, path string, opts []ReadOption, to any) ([]byte, error) {
	q, err := QueryOf(opts...)
	if err != nil {
		return nil, err
	}
	values := q.Values()
	if c.vcenter != "" { // there are no paths of one vCenter for these
		values.Add("vcenter", c.vcenter)
	}
	body, err := c.get(ctx, c.root(values, path), "application/json", maxDocument)
	if err != nil {
		return nil, err
	}
	return body, c.decode(body, to)
}

// document reads a document of the server as a whole.
func (c *Client) document(ctx context.Context, path string, to any) error {
	body, err := c.get(ctx, c.root(nil, path), "application/json", maxDocument)
	if err != nil {
		return err
	}
	return c.decode(body, to)
}
