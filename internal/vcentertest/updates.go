package vcentertest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// updater is a property collector. Its fields are under VCenter.mu.
type updater struct {
	filters  map[string]*watch
	canceled chan struct{} // closed and replaced to end pending waits
}

// watch is a property filter, over one object.
type watch struct {
	id      string
	object  types.ManagedObjectReference
	paths   []string
	since   int64 // the version at which it was made
	missing int64 // the version at which its object was found to be gone; 0 before
}

func newUpdater() *updater {
	return &updater{filters: map[string]*watch{}, canceled: make(chan struct{})}
}

// SetWakes says whether WaitForUpdatesEx ends when something happens, as it does at
// first, or only when its time is up, with nothing.
func (v *VCenter) SetWakes(wakes bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.wakes = wakes
	v.changed()
}

func (v *VCenter) updater(s *session, ref types.ManagedObjectReference) (*updater, types.BaseMethodFault) {
	if u := s.updaters[ref.Value]; u != nil {
		return u, nil
	}
	return nil, notFound(ref)
}

func (v *VCenter) createPropertyCollector(_ context.Context, s *session, _ *call) ([]byte, types.BaseMethodFault) {
	ref := types.ManagedObjectReference{Type: "PropertyCollector", Value: v.id("updater")}
	s.updaters[ref.Value] = newUpdater()
	return []byte(textOf(ref)), nil
}

func (v *VCenter) destroyPropertyCollector(_ context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	u, fault := v.updater(s, c.this)
	if fault != nil {
		return nil, fault
	}
	delete(s.updaters, c.this.Value)
	close(u.canceled)
	return nil, nil
}

func (v *VCenter) cancelWaitForUpdates(_ context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	u, fault := v.updater(s, c.this)
	if fault != nil {
		return nil, fault
	}
	close(u.canceled)
	u.canceled = make(chan struct{})
	return nil, nil
}

func (v *VCenter) createFilter(_ context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	u, fault := v.updater(s, c.this)
	if fault != nil {
		return nil, fault
	}
	spec := c.params.(*types.CreateFilter).Spec
	if len(spec.ObjectSet) != 1 || len(spec.PropSet) != 1 {
		return nil, &types.NotSupported{}
	}
	w := &watch{id: v.id("filter"), object: spec.ObjectSet[0].Obj, paths: spec.PropSet[0].PathSet}
	for _, path := range w.paths {
		if _, fault := v.property(s, w.object, path); fault != nil {
			return nil, fault
		}
	}
	v.version++
	w.since = v.version
	u.filters[w.id] = w
	v.changed()
	return []byte(textOf(types.ManagedObjectReference{Type: "PropertyFilter", Value: w.id})), nil
}

func (v *VCenter) destroyPropertyFilter(_ context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	for _, u := range s.updaters {
		if u.filters[c.this.Value] != nil {
			delete(u.filters, c.this.Value)
			return nil, nil
		}
	}
	return nil, notFound(c.this)
}

// waitForUpdatesEx lets go of v.mu while it waits.
func (v *VCenter) waitForUpdatesEx(ctx context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	params := c.params.(*types.WaitForUpdatesEx)
	u, fault := v.updater(s, c.this)
	if fault != nil {
		return nil, fault
	}
	known := int64(-1)
	if params.Version != "" {
		var err error
		if known, err = strconv.ParseInt(params.Version, 10, 64); err != nil || known > v.version {
			return nil, &types.InvalidCollectorVersion{}
		}
	}
	var up <-chan time.Time // never, without a limit
	if o := params.Options; o != nil && o.MaxWaitSeconds != nil {
		timer := time.NewTimer(time.Duration(*o.MaxWaitSeconds) * time.Second)
		defer timer.Stop()
		up = timer.C
	}
	canceled := u.canceled
	for {
		// A session that was lost has nothing to tell, not even that.
		if v.sessions[s.id] == s && (v.wakes || known < 0) {
			if update := v.updates(s, u, known); update != nil {
				return update, nil
			}
		}
		happening := v.happening
		v.mu.Unlock()
		var over bool
		select {
		case <-happening:
		case <-canceled:
			fault, over = &types.RequestCanceled{}, true
		case <-up:
			over = true
		case <-ctx.Done():
			over = true
		case <-v.ended:
			over = true
		}
		v.mu.Lock()
		if over {
			return nil, fault
		}
	}
}

// updates tells what changed after a version; nil when nothing did.
func (v *VCenter) updates(s *session, u *updater, known int64) []byte {
	var b []byte
	for _, w := range u.filters {
		changed, there := v.changedAt(w.object)
		if !there && w.missing == 0 {
			v.version++
			w.missing = v.version
		}
		if max(changed, w.since, w.missing) <= known {
			continue
		}
		b = fmt.Appendf(b, "<filterSet>%s<objectSet>", element("filter", types.ManagedObjectReference{Type: "PropertyFilter", Value: w.id}))
		kind := "modify"
		switch {
		case !there:
			kind = "leave"
		case w.since > known:
			kind = "enter"
		}
		b = fmt.Appendf(b, "<kind>%s</kind>%s", kind, element("obj", w.object))
		for _, path := range w.paths {
			if val, fault := v.property(s, w.object, path); fault == nil {
				b = fmt.Appendf(b, "<changeSet><name>%s</name><op>assign</op>%s</changeSet>", path, val)
			}
		}
		b = append(b, "</objectSet>"...)
		if !there {
			b = append(b, element("missingSet", types.MissingObject{
				Obj:   w.object,
				Fault: types.LocalizedMethodFault{Fault: notFound(w.object), LocalizedMessage: inWords("ManagedObjectNotFound")},
			})...)
		}
		b = append(b, "</filterSet>"...)
	}
	if b == nil {
		return nil
	}
	return fmt.Appendf(nil, "<returnval><version>%d</version>%s</returnval>", v.version, b)
}

// changedAt is the version at which an object last changed, and whether it is there.
func (v *VCenter) changedAt(ref types.ManagedObjectReference) (int64, bool) {
	if ref == eventManager {
		return v.latestAt, true
	}
	if c := v.collectors[ref.Value]; c != nil {
		return c.changed, true
	}
	return 0, false
}

func (v *VCenter) retrieveProperties(_ context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	return v.retrieve(s, c.params.(*types.RetrieveProperties).SpecSet, "returnval")
}

func (v *VCenter) retrievePropertiesEx(_ context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	b, fault := v.retrieve(s, c.params.(*types.RetrievePropertiesEx).SpecSet, "objects")
	if b == nil {
		return nil, fault
	}
	return fmt.Appendf(nil, "<returnval>%s</returnval>", b), nil
}

// retrieve gives the properties asked for, each object in an element of the name tag.
func (v *VCenter) retrieve(s *session, specs []types.PropertyFilterSpec, tag string) ([]byte, types.BaseMethodFault) {
	var b []byte
	for _, spec := range specs {
		for _, object := range spec.ObjectSet {
			b = fmt.Appendf(b, "<%s>%s", tag, element("obj", object.Obj))
			for _, props := range spec.PropSet {
				if props.Type != object.Obj.Type {
					continue
				}
				if props.All != nil && *props.All {
					return nil, &types.NotSupported{}
				}
				for _, path := range props.PathSet {
					val, fault := v.property(s, object.Obj, path)
					if fault != nil {
						return nil, fault
					}
					if val != "" {
						b = fmt.Appendf(b, "<propSet><name>%s</name>%s</propSet>", path, val)
					}
				}
			}
			b = fmt.Appendf(b, "</%s>", tag)
		}
	}
	return b, nil
}

// property is the element val of a property; empty when it is not set.
func (v *VCenter) property(s *session, ref types.ManagedObjectReference, path string) (string, types.BaseMethodFault) {
	switch ref.Type + "." + path {
	case "EventManager.description":
		return typed("val", description()), nil
	case "EventManager.maxCollector":
		return fmt.Sprintf(`<val xsi:type="xsd:int">%d</val>`, v.maxCollectors), nil
	case "EventManager.latestEvent":
		for _, r := range slices.Backward(v.history) {
			if !r.gone || r.hidden {
				return string(r.write(nil, "val", true)), nil
			}
		}
		return "", nil
	case "EventHistoryCollector.latestPage":
		c := v.collectors[ref.Value]
		if c == nil || c.session != s {
			return "", notFound(ref)
		}
		b := []byte(`<val xsi:type="ArrayOfEvent">`)
		for _, r := range c.page {
			b = r.write(b, "Event", c.filter.withMessage)
		}
		return string(append(b, "</val>"...)), nil
	case "ServiceInstance.serverClock":
		return fmt.Sprintf(`<val xsi:type="xsd:dateTime">%s</val>`, written(v.now())), nil
	}
	if known := ref == eventManager || ref == serviceInstance || v.collectors[ref.Value] != nil; !known {
		return "", notFound(ref)
	}
	return "", &types.InvalidProperty{Name: path}
}
