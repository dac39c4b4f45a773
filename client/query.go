package client

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"time"

	"vstream"
)

// A ReadOption says which events to read, from where, or how. Those that are parameters of
// the API say which in their first line; [QueryOf] shows the mapping. Values are as in
// docs/filters.md: * stands for any characters, a leading ! for all others, and several
// values, of one call or of several, for any of them.
type ReadOption func(*read)

// read is how to read.
type read struct {
	values    url.Values
	positions []string // the names of the options that say where to begin
	last      int
	after     vstream.Cursor // nil: none
	offset    vstream.Offset // of a plain one; 0: none
	limit     int
	until     time.Time
	heartbeat time.Duration
	err       error // of an option

	onBookmark  func(Bookmark)
	onGap       func(Gap) error
	onReconnect func(Reconnect) error
	checkpoint  Checkpoint
	saveEvery   time.Duration
}

func newRead(opts []ReadOption) (*read, error) {
	r := &read{values: url.Values{}, heartbeat: 15 * time.Second}
	for _, option := range opts {
		option(r)
	}
	if r.err == nil && len(r.positions) > 1 {
		r.err = fmt.Errorf("%s and %s both say where to begin; give one of them", r.positions[0], r.positions[1])
	}
	return r, r.err
}

func (r *read) fail(text string) {
	if r.err == nil {
		r.err = errors.New(text)
	}
}

func field(name string, values []string) ReadOption {
	return func(r *read) {
		for _, v := range values {
			r.values.Add(name, v)
		}
	}
}

// Type reads events of types (type): short names, such as VmPoweredOnEvent or VmPowered*.
func Type(names ...string) ReadOption { return field("type", names) }

// Class reads events of classes (eventclass): event, eventex, extendedevent or unknown.
func Class(names ...string) ReadOption { return field("eventclass", names) }

// Severity reads events of severities (severity): info, warning, error or user.
func Severity(names ...string) ReadOption { return field("severity", names) }

// VM reads events about virtual machines (vm).
func VM(names ...string) ReadOption { return field("vm", names) }

// Host reads events about hosts (host).
func Host(names ...string) ReadOption { return field("host", names) }

// Cluster reads events about clusters (cluster).
func Cluster(names ...string) ReadOption { return field("cluster", names) }

// Datacenter reads events about datacenters (datacenter).
func Datacenter(names ...string) ReadOption { return field("datacenter", names) }

// Datastore reads events about datastores (datastore).
func Datastore(names ...string) ReadOption { return field("datastore", names) }

// Network reads events about networks (network).
func Network(names ...string) ReadOption { return field("network", names) }

// User reads what users did (user).
func User(names ...string) ReadOption { return field("user", names) }

// VCenter reads events of vCenters (vcenter), by their names in the server's configuration.
// The logs of others are not read at all, and cursors do not name them.
func VCenter(names ...string) ReadOption { return field("vcenter", names) }

// Chain reads all events of operations (chain), by their ChainId.
func Chain(ids ...int32) ReadOption {
	return func(r *read) {
		for _, id := range ids {
			r.values.Add("chain", strconv.Itoa(int(id)))
		}
	}
}

// Text reads events with a text in their message, type or names, in any case (q).
func Text(text string) ReadOption { return func(r *read) { r.values.Set("q", text) } }

// Filter reads events for which a CEL expression is true (filter).
func Filter(expression string) ReadOption {
	return func(r *read) { r.values.Set("filter", expression) }
}

func position(option, name, value string) ReadOption {
	return func(r *read) {
		r.positions = append(r.positions, option)
		r.values.Set(name, value)
	}
}

// Offset begins with the event at this offset, or the next later one (offset). One that is
// still to come is waited for by a Watch.
func Offset(o vstream.Offset) ReadOption {
	return func(r *read) {
		r.offset = o
		position("Offset", "offset", o.String())(r)
	}
}

// Earliest begins with the oldest event there is (offset=earliest), as List does by itself.
func Earliest() ReadOption { return position("Earliest", "offset", "earliest") }

// Latest begins with the newest event of each vCenter (offset=latest).
func Latest() ReadOption { return position("Latest", "offset", "latest") }

// Now begins with what comes next (offset=now), as Watch does by itself.
func Now() ReadOption { return position("Now", "offset", "now") }

// Since begins with the first event of this time (since).
func Since(t time.Time) ReadOption {
	return position("Since", "since", t.UTC().Format(time.RFC3339Nano))
}

// Ago begins with the first event of so long ago, by the server's clock (since).
func Ago(d time.Duration) ReadOption {
	return func(r *read) {
		if d < 0 {
			r.fail("events of the future cannot be had; give Ago a positive length of time")
		}
		position("Ago", "since", d.String())(r)
	}
}

// After begins behind a place (cursor): the Cursor of the last event that was dealt with.
func After(c vstream.Cursor) ReadOption {
	return func(r *read) {
		r.after = vstream.Cursor{}
		maps.Copy(r.after, c)
		position("After", "cursor", c.String())(r)
	}
}

// Last begins with the n-th newest of the events that the filters pass, or the oldest where
// there are fewer (limit, of a page). A List then has those that were the newest when it
// began; a Watch goes on with what comes.
func Last(n int) ReadOption {
	return func(r *read) {
		if n < 0 {
			r.fail("Last takes the number of events to begin with; give 0 or more")
		}
		if r.last = n; n == 0 {
			Now()(r)
			return
		}
		r.positions = append(r.positions, "Last")
	}
}

// Until ends with the last event of this time (until). A Watch of a time to come ends when
// that is over.
func Until(t time.Time) ReadOption {
	return func(r *read) {
		r.until = t
		r.values.Set("until", t.UTC().Format(time.RFC3339Nano))
	}
}

// Limit ends after so many events (limit).
func Limit(n int) ReadOption {
	return func(r *read) {
		if n < 1 {
			r.fail("Limit takes the number of events to end after; give 1 or more")
		}
		r.limit = n
	}
}

// Buckets sets how many buckets a histogram has at most (buckets), 2 to 300; without it, 60.
func Buckets(n int) ReadOption {
	return func(r *read) { r.values.Set("buckets", strconv.Itoa(n)) }
}

// Top sets how many values of each field facets list (top), 1 to 100; without it, 10.
func Top(n int) ReadOption { return func(r *read) { r.values.Set("top", strconv.Itoa(n)) } }

// Heartbeat sets how often the server says something while there is nothing to tell
// (heartbeat): 1s to 10m, without it 15s. A server that is silent for 15 seconds more is given up, and
// the read goes on over another connection.
func Heartbeat(d time.Duration) ReadOption {
	return func(r *read) {
		if d < time.Second || d > 10*time.Minute {
			r.fail("a heartbeat is 1s to 10m")
			return
		}
		r.heartbeat = d
		r.values.Set("heartbeat", d.String())
	}
}

// OnBookmark calls f with each bookmark that comes, between events.
func OnBookmark(f func(Bookmark)) ReadOption { return func(r *read) { r.onBookmark = f } }

// OnGap goes on at the oldest event where the server does not keep those that come next,
// after a call of f, instead of ending with an [ExpiredError]. An error of f ends the read
// and is what it ends with.
func OnGap(f func(Gap) error) ReadOption { return func(r *read) { r.onGap = f } }

// OnReconnect calls f before each pause after which the read goes on over another
// connection. An error of f ends the read and is what it ends with.
func OnReconnect(f func(Reconnect) error) ReadOption { return func(r *read) { r.onReconnect = f } }

// WithCheckpoint begins where an earlier read with it has ended, and at the place that other
// options name only if there was none. It keeps the place behind each event once the body of
// the loop has returned for it and the next one is asked for. So an event at which the
// loop is left, by break or return, comes again; end it with [Limit] or ctx to have it
// counted. A vCenter that is read with a checkpoint for the first time, because [VCenter] has left it
// out before or the server did not have it, is read from its oldest event on.
func WithCheckpoint(c Checkpoint) ReadOption { return func(r *read) { r.checkpoint = c } }

// SaveEvery lets so much time pass between two times that the place is kept, for it costs
// some milliseconds where it goes to a disk. The last one is kept at the end in any case; a
// crash repeats more.
func SaveEvery(d time.Duration) ReadOption { return func(r *read) { r.saveEvery = d } }

// A Query is what a read asks for, as parameters of the API.
type Query struct{ values url.Values }

// QueryOf returns what options ask for. Its error is that of options that contradict one
// another.
func QueryOf(opts ...ReadOption) (Query, error) {
	r, err := newRead(opts)
	if err != nil {
		return Query{}, err
	}
	return r.query(), nil
}

func (r *read) query() Query {
	values := maps.Clone(r.values)
	limit := r.limit
	if r.last > 0 && (limit == 0 || r.last < limit) {
		limit = r.last
	}
	if limit > 0 {
		values.Set("limit", strconv.Itoa(limit))
	}
	return Query{values}
}

// Values returns the parameters of /api/v1/events. Callbacks and checkpoints have none. A
// List adds offset=earliest where there is no position.
func (q Query) Values() url.Values { return maps.Clone(q.values) }
