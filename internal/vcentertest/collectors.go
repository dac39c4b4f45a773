package vcentertest

import (
	"context"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// maxPage is the most events that one answer holds.
const maxPage = 1000

// collector is an EventHistoryCollector. Its fields are under VCenter.mu.
type collector struct {
	id      string
	session *session
	filter  filter
	excused bool // the client may not know it, or could not destroy it
	known   bool // the client has named it, so the answer to its creation has arrived
	silent  bool

	at   int       // the index in the history of the next event to read
	late []*record // events that appeared before at, to be read first

	page    []*record // the newest events, a ring
	oldest  int       // the index in page that is overwritten next
	size    int       // of page
	looked  int       // the index in the history up to which page is made
	changed int64     // the version at which page changed
}

// filter says which events a collector is for.
type filter struct {
	begin, end  *time.Time // both included
	chain       int32      // or 0
	withMessage bool
}

func (f filter) matches(r *record) bool {
	return !r.hidden && !r.gone &&
		(f.begin == nil || !r.created.Before(*f.begin)) &&
		(f.end == nil || !r.created.After(*f.end)) &&
		(f.chain == 0 || r.chain == f.chain)
}

// Silence says which collectors say nothing more, without an error: their pages are
// empty, and their latestPage does not change.
type Silence int

const (
	// Nothing is silent; those that were go on where they were.
	Nothing Silence = iota
	// Existing silences the collectors there are now. New ones work.
	Existing
	// OpenEnded silences all collectors whose filter has no end time, now and later,
	// and QueryEvents likewise. Windows of time can be read.
	OpenEnded
)

// SetSilence changes which collectors are silent. EventManager.latestEvent always speaks.
func (v *VCenter) SetSilence(s Silence) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.silence = s
	for _, c := range v.collectors {
		c.silent = s == Existing
	}
	v.version++
	v.look()
	v.changed()
}

// ForgetCollectors destroys all collectors. Using one is a ManagedObjectNotFound.
func (v *VCenter) ForgetCollectors() {
	v.mu.Lock()
	defer v.mu.Unlock()
	clear(v.collectors)
	v.changed()
}

func (v *VCenter) silenced(c *collector) bool {
	return c.silent || v.silence == OpenEnded && c.filter.end == nil
}

// look takes what is new in the history into the latest page.
func (c *collector) look(v *VCenter) {
	if v.silenced(c) {
		return
	}
	for ; c.looked < len(v.history); c.looked++ {
		c.seen(v.history[c.looked], v.version)
	}
}

func (c *collector) seen(r *record, version int64) {
	if !c.filter.matches(r) {
		return
	}
	c.changed = version
	if len(c.page) < c.size {
		c.page = append(c.page, r)
		return
	}
	c.page[c.oldest] = r
	c.oldest = (c.oldest + 1) % c.size
}

// inserted accounts for a record that appeared in the midst of the history.
func (c *collector) inserted(v *VCenter, r *record, place int, given bool) {
	if place < c.at {
		c.at++
		if given && c.filter.matches(r) {
			c.late = append(c.late, r)
		}
	}
	if place < c.looked {
		c.looked++
		if given && !v.silenced(c) {
			c.seen(r, v.version)
		}
	}
}

// newCollector makes a collector that is not yet known by a name.
func (v *VCenter) newCollector(s *session, spec types.EventFilterSpec) (*collector, types.BaseMethodFault) {
	unfaked := spec.UserName != nil || spec.Alarm != nil || spec.ScheduledTask != nil ||
		len(spec.Category)+len(spec.Type)+len(spec.Tag)+len(spec.EventTypeId) > 0
	switch {
	case unfaked:
		return nil, &types.NotSupported{}
	case spec.MaxCount < 0 || spec.MaxCount > maxPage:
		return nil, &types.InvalidArgument{InvalidProperty: "maxCount"}
	}
	c := &collector{session: s, size: int(spec.MaxCount)}
	if c.size == 0 {
		c.size = maxPage
	}
	c.filter.chain = spec.EventChainId
	c.filter.withMessage = spec.DisableFullMessage != nil && !*spec.DisableFullMessage
	if spec.Time != nil {
		c.filter.begin, c.filter.end = spec.Time.BeginTime, spec.Time.EndTime
	}
	c.look(v)
	return c, nil
}

func (v *VCenter) createCollectorForEvents(_ context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	has := 0
	for _, h := range v.collectors {
		if h.session == s {
			has++
		}
	}
	if has >= v.maxCollectors {
		return nil, &types.InvalidState{}
	}
	h, fault := v.newCollector(s, c.params.(*types.CreateCollectorForEvents).Filter)
	if fault != nil {
		return nil, fault
	}
	h.id = v.id("collector")
	v.collectors[h.id] = h
	c.collector = h
	return []byte(textOf(h.ref())), nil
}

func (c *collector) ref() types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "EventHistoryCollector", Value: c.id}
}

// queryEvents gives the newest events there are, as many as a page holds.
func (v *VCenter) queryEvents(_ context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	h, fault := v.newCollector(s, c.params.(*types.QueryEvents).Filter)
	if fault != nil {
		return nil, fault
	}
	var b []byte
	for _, r := range h.inOrder() {
		b = r.write(b, "returnval", h.filter.withMessage)
	}
	return b, nil
}

// inOrder is the latest page, oldest first.
func (c *collector) inOrder() []*record {
	return append(c.page[c.oldest:len(c.page):len(c.page)], c.page[:c.oldest]...)
}

// find returns the collector that a call is for. Others' are as good as not there.
func (v *VCenter) find(s *session, c *call) (*collector, types.BaseMethodFault) {
	h := v.collectors[c.this.Value]
	if h == nil || h.session != s {
		return nil, notFound(c.this)
	}
	h.known, h.excused = true, false
	return h, nil
}

func (v *VCenter) readNextEvents(_ context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	h, fault := v.find(s, c)
	if fault != nil {
		return nil, fault
	}
	left := c.params.(*types.ReadNextEvents).MaxCount
	if left <= 0 {
		return nil, &types.InvalidArgument{InvalidProperty: "maxCount"}
	}
	left = min(left, maxPage)
	if v.silenced(h) {
		return nil, nil
	}
	var b []byte
	for ; left > 0 && len(h.late) > 0; h.late = h.late[1:] {
		b = h.late[0].write(b, "returnval", h.filter.withMessage)
		left--
	}
	for ; left > 0 && h.at < len(v.history); h.at++ {
		if r := v.history[h.at]; h.filter.matches(r) {
			b = r.write(b, "returnval", h.filter.withMessage)
			left--
		}
	}
	return b, nil
}

// readPreviousEvents goes back from where reading is, and gives the newest first.
func (v *VCenter) readPreviousEvents(_ context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	h, fault := v.find(s, c)
	if fault != nil {
		return nil, fault
	}
	left := c.params.(*types.ReadPreviousEvents).MaxCount
	if left <= 0 {
		return nil, &types.InvalidArgument{InvalidProperty: "maxCount"}
	}
	left = min(left, maxPage)
	if v.silenced(h) {
		return nil, nil
	}
	var b []byte
	for ; left > 0 && h.at > 0; h.at-- {
		if r := v.history[h.at-1]; h.filter.matches(r) {
			b = r.write(b, "returnval", h.filter.withMessage)
			left--
		}
	}
	return b, nil
}

// setCollectorPageSize loses the position in some vCenters, so nobody may use it.
func (v *VCenter) setCollectorPageSize(context.Context, *session, *call) ([]byte, types.BaseMethodFault) {
	return nil, &types.InvalidState{}
}

func (v *VCenter) destroyCollector(_ context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	h, fault := v.find(s, c)
	if fault != nil {
		return nil, fault
	}
	delete(v.collectors, h.id)
	v.changed()
	return nil, nil
}
