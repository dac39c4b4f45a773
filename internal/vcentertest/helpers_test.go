package vcentertest_test

import (
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"go.uber.org/goleak"

	"vstream/internal/vcentertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// client is a user of the vCenter: govmomi, with little around it.
type client struct {
	*vim25.Client
	t   *testing.T
	ctx context.Context
}

// connect makes a client that is not logged in.
func connect(t *testing.T, vc *vcentertest.VCenter) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	transport := soap.NewClient(vc.URL(), true)
	t.Cleanup(func() {
		cancel()
		transport.CloseIdleConnections()
	})
	c, err := vim25.NewClient(ctx, transport)
	if err != nil {
		t.Fatal(err)
	}
	return &client{Client: c, t: t, ctx: ctx}
}

// login makes a client that is logged in.
func login(t *testing.T, vc *vcentertest.VCenter) *client {
	t.Helper()
	c := connect(t, vc)
	if err := c.login(vc.Userinfo()); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *client) login(user *url.Userinfo) error {
	return session.NewManager(c.Client).Login(c.ctx, user)
}

func (c *client) logout() error { return session.NewManager(c.Client).Logout(c.ctx) }

// withMessages is a filter that matches everything.
func withMessages() types.EventFilterSpec {
	return types.EventFilterSpec{
		Entity:             &types.EventFilterSpecByEntity{Entity: types.ManagedObjectReference{Type: "Folder", Value: "group-d1"}, Recursion: "all"},
		DisableFullMessage: types.NewBool(false),
	}
}

func between(begin, end time.Time) types.EventFilterSpec {
	f := withMessages()
	f.Time = &types.EventFilterSpecByTime{}
	if !begin.IsZero() {
		f.Time.BeginTime = &begin
	}
	if !end.IsZero() {
		f.Time.EndTime = &end
	}
	return f
}

func (c *client) tryCollect(filter types.EventFilterSpec) (types.ManagedObjectReference, error) {
	res, err := methods.CreateCollectorForEvents(c.ctx, c, &types.CreateCollectorForEvents{This: *c.ServiceContent.EventManager, Filter: filter})
	if err != nil {
		return types.ManagedObjectReference{}, err
	}
	return res.Returnval, nil
}

func (c *client) collect(filter types.EventFilterSpec) types.ManagedObjectReference {
	c.t.Helper()
	ref, err := c.tryCollect(filter)
	if err != nil {
		c.t.Fatal(err)
	}
	return ref
}

func (c *client) tryRead(collector types.ManagedObjectReference, n int32) ([]types.BaseEvent, error) {
	res, err := methods.ReadNextEvents(c.ctx, c, &types.ReadNextEvents{This: collector, MaxCount: n})
	if err != nil {
		return nil, err
	}
	return res.Returnval, nil
}

func (c *client) read(collector types.ManagedObjectReference, n int32) []types.BaseEvent {
	c.t.Helper()
	events, err := c.tryRead(collector, n)
	if err != nil {
		c.t.Fatal(err)
	}
	return events
}

// readAll reads until a page is empty.
func (c *client) readAll(collector types.ManagedObjectReference) []types.BaseEvent {
	c.t.Helper()
	var all []types.BaseEvent
	for {
		page := c.read(collector, 1000)
		if len(page) == 0 {
			return all
		}
		all = append(all, page...)
	}
}

func (c *client) destroy(collector types.ManagedObjectReference) error {
	_, err := methods.DestroyCollector(c.ctx, c, &types.DestroyCollector{This: collector})
	return err
}

func (c *client) currentTime() (time.Time, error) {
	now, err := methods.GetCurrentTime(c.ctx, c)
	if err != nil {
		return time.Time{}, err
	}
	return *now, nil
}

func (c *client) eventManager(path string) mo.EventManager {
	c.t.Helper()
	var m mo.EventManager
	if err := property.DefaultCollector(c.Client).RetrieveOne(c.ctx, *c.ServiceContent.EventManager, []string{path}, &m); err != nil {
		c.t.Fatal(err)
	}
	return m
}

// subscribe makes a property collector that watches one property.
func (c *client) subscribe(object types.ManagedObjectReference, path string) *property.Collector {
	c.t.Helper()
	p, err := property.DefaultCollector(c.Client).Create(c.ctx)
	if err != nil {
		c.t.Fatal(err)
	}
	_, err = p.CreateFilter(c.ctx, types.CreateFilter{Spec: types.PropertyFilterSpec{
		PropSet:   []types.PropertySpec{{Type: object.Type, PathSet: []string{path}}},
		ObjectSet: []types.ObjectSpec{{Obj: object}},
	}})
	if err != nil {
		c.t.Fatal(err)
	}
	return p
}

// wait waits for updates, for ever if seconds is negative.
func (c *client) wait(p *property.Collector, version string, seconds int32) (*types.UpdateSet, error) {
	options := &types.WaitOptions{}
	if seconds >= 0 {
		options.MaxWaitSeconds = &seconds
	}
	res, err := methods.WaitForUpdatesEx(c.ctx, c, &types.WaitForUpdatesEx{This: p.Reference(), Version: version, Options: options})
	if err != nil {
		return nil, err
	}
	return res.Returnval, nil
}

func keys(events []types.BaseEvent) []int32 {
	var all []int32
	for _, e := range events {
		all = append(all, e.GetEvent().Key)
	}
	return all
}

// vm is an event as tests post them.
func vm() types.BaseEvent { return &types.VmPoweredOnEvent{} }
