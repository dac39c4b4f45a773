package vcentertest_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"

	"vstream/internal/vcentertest"
)

func isFault(err error, target types.BaseMethodFault) bool {
	return err != nil && fault.Is(err, target)
}

func TestACollectorReadsOnWherePagesEndAndGoesOnWithWhatComes(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	vc.PostN(1500)
	collector := c.collect(withMessages())
	if n := len(c.read(collector, 5000)); n != 1000 {
		t.Errorf("the first page has %d events, want the limit", n)
	}
	if page := c.read(collector, 300); len(page) != 300 || page[0].GetEvent().Key != 1001 {
		t.Errorf("the second page has %d events from %d on", len(page), page[0].GetEvent().Key)
	}
	if n := len(c.readAll(collector)); n != 200 {
		t.Errorf("%d events remain", n)
	}
	vc.Post(vm())
	if got := keys(c.readAll(collector)); !slices.Equal(got, []int32{1501}) {
		t.Errorf("then comes %v", got)
	}
	res, err := methods.ReadPreviousEvents(c.ctx, c, &types.ReadPreviousEvents{This: collector, MaxCount: 2})
	if err != nil || !slices.Equal(keys(res.Returnval), []int32{1501, 1500}) {
		t.Errorf("backwards: %v, %v", res, err)
	}
	if _, err := c.tryRead(collector, 0); !isFault(err, &types.InvalidArgument{}) {
		t.Errorf("none asked for: %v", err)
	}
}

func TestFiltersByTimeIncludeBothEnds(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	began := time.Now().Truncate(time.Second)
	at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
	for s := range 10 {
		vc.SetClock(func() time.Time { return at(s) })
		vc.Post(vm())
	}
	for _, x := range []struct {
		filter types.EventFilterSpec
		want   []int32
	}{
		{between(at(7), time.Time{}), []int32{8, 9, 10}},
		{between(time.Time{}, at(1)), []int32{1, 2}},
		{between(at(3), at(5)), []int32{4, 5, 6}},
		{between(at(3).Add(1), at(5).Add(-1)), []int32{5}},
		{types.EventFilterSpec{EventChainId: 4}, []int32{4}},
	} {
		if got := keys(c.readAll(c.collect(x.filter))); !slices.Equal(got, x.want) {
			t.Errorf("collected %v, want %v", got, x.want)
		}
		res, err := methods.QueryEvents(c.ctx, c, &types.QueryEvents{This: *c.ServiceContent.EventManager, Filter: x.filter})
		if err != nil || !slices.Equal(keys(res.Returnval), x.want) {
			t.Errorf("queried %v, %v, want %v", res, err, x.want)
		}
	}
}

func TestQueryEventsGivesTheNewestThousand(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	vc.PostN(2345)
	res, err := methods.QueryEvents(c.ctx, c, &types.QueryEvents{This: *c.ServiceContent.EventManager, Filter: withMessages()})
	if err != nil || len(res.Returnval) != 1000 || res.Returnval[0].GetEvent().Key != 1346 || res.Returnval[999].GetEvent().Key != 2345 {
		t.Errorf("%d events, %v", len(res.Returnval), err)
	}
	if vc.Collectors() != 0 {
		t.Error("QueryEvents left a collector")
	}
}

func TestMessagesComeOnlyWhenAskedFor(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	vc.Post(vm())
	vc.PostN(1)
	for _, e := range c.readAll(c.collect(types.EventFilterSpec{})) {
		if e.GetEvent().FullFormattedMessage != "" {
			t.Errorf("there is the message %q", e.GetEvent().FullFormattedMessage)
		}
	}
}

func TestASessionHasSoManyCollectorsOnly(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	var last types.ManagedObjectReference
	for range 32 {
		last = c.collect(withMessages())
	}
	if _, err := c.tryCollect(withMessages()); !isFault(err, &types.InvalidState{}) {
		t.Errorf("the 33rd: %v", err)
	}
	if err := c.destroy(last); err != nil {
		t.Error(err)
	}
	c.collect(withMessages())
	vc.SetMaxCollectors(1)
	other := login(t, vc)
	other.collect(withMessages())
	if _, err := other.tryCollect(withMessages()); !isFault(err, &types.InvalidState{}) {
		t.Errorf("the second of one: %v", err)
	}
	if n := vc.Collectors(); n != 33 {
		t.Errorf("there are %d", n)
	}
}

func TestWhatIsNotFakedIsAFault(t *testing.T) {
	c := login(t, vcentertest.New(t))
	collector := c.collect(withMessages())
	if _, err := c.tryCollect(types.EventFilterSpec{EventTypeId: []string{"VmPoweredOnEvent"}}); !isFault(err, &types.NotSupported{}) {
		t.Errorf("a filter by type: %v", err)
	}
	if _, err := c.tryCollect(types.EventFilterSpec{MaxCount: 1001}); !isFault(err, &types.InvalidArgument{}) {
		t.Errorf("a page beyond the limit: %v", err)
	}
	if _, err := methods.SetCollectorPageSize(c.ctx, c, &types.SetCollectorPageSize{This: collector, MaxCount: 10}); !isFault(err, &types.InvalidState{}) {
		t.Errorf("SetCollectorPageSize: %v", err)
	}
	if _, err := methods.RewindCollector(c.ctx, c, &types.RewindCollector{This: collector}); !isFault(err, &types.MethodNotFound{}) {
		t.Errorf("RewindCollector: %v", err)
	}
	var m mo.EventManager
	err := property.DefaultCollector(c.Client).RetrieveOne(c.ctx, *c.ServiceContent.EventManager, []string{"surprise"}, &m)
	if !isFault(err, &types.InvalidProperty{}) {
		t.Errorf("a property that is not there: %v", err)
	}
}

func TestCollectorsOfOthersAndForgottenOnesAreNotFound(t *testing.T) {
	vc := vcentertest.New(t)
	c, other := login(t, vc), login(t, vc)
	collector := c.collect(withMessages())
	if _, err := other.tryRead(collector, 1); !isFault(err, &types.ManagedObjectNotFound{}) {
		t.Errorf("another's: %v", err)
	}
	c.read(collector, 1)
	vc.ForgetCollectors()
	if _, err := c.tryRead(collector, 1); !isFault(err, &types.ManagedObjectNotFound{}) {
		t.Errorf("a forgotten one: %v", err)
	}
	if err := c.destroy(collector); !isFault(err, &types.ManagedObjectNotFound{}) {
		t.Errorf("destroying a forgotten one: %v", err)
	}
}

func TestSilencedCollectorsSayNothingAndNewOnesWork(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	old := c.collect(withMessages())
	vc.Post(vm())
	vc.SetSilence(vcentertest.Existing)
	vc.Post(vm())
	if got := c.read(old, 10); len(got) != 0 {
		t.Errorf("the silent one says %v", keys(got))
	}
	if got := keys(c.read(c.collect(withMessages()), 10)); !slices.Equal(got, []int32{1, 2}) {
		t.Errorf("a new one says %v", got)
	}
	if key := c.eventManager("latestEvent").LatestEvent.GetEvent().Key; key != 2 {
		t.Errorf("latestEvent is %d", key)
	}
	vc.SetSilence(vcentertest.Nothing)
	if got := keys(c.read(old, 10)); !slices.Equal(got, []int32{1, 2}) {
		t.Errorf("then it says %v", got)
	}
}

func TestWhenOpenEndedCollectorsAreSilencedOnlyWindowsSpeak(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	old := c.collect(withMessages())
	vc.SetSilence(vcentertest.OpenEnded)
	vc.Post(vm(), vm())
	for name, filter := range map[string]types.EventFilterSpec{"whole": withMessages(), "since": between(time.Now().Add(-time.Hour), time.Time{})} {
		if got := c.readAll(c.collect(filter)); len(got) != 0 {
			t.Errorf("%s: %v", name, keys(got))
		}
		res, err := methods.QueryEvents(c.ctx, c, &types.QueryEvents{This: *c.ServiceContent.EventManager, Filter: filter})
		if err != nil || len(res.Returnval) != 0 {
			t.Errorf("%s: queried %v, %v", name, res, err)
		}
	}
	if got := c.readAll(old); len(got) != 0 {
		t.Errorf("the old one says %v", keys(got))
	}
	window := between(time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if got := keys(c.readAll(c.collect(window))); !slices.Equal(got, []int32{1, 2}) {
		t.Errorf("a window says %v", got)
	}
	vc.SetSilence(vcentertest.Nothing)
	if got := keys(c.readAll(old)); !slices.Equal(got, []int32{1, 2}) {
		t.Errorf("then the old one says %v", got)
	}
}

func TestTheLatestPageIsTheNewestInNoOrder(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	filter := withMessages()
	filter.MaxCount = 3
	collector := c.collect(filter)
	vc.Post(vm(), vm(), vm(), vm())
	var h mo.EventHistoryCollector
	if err := property.DefaultCollector(c.Client).RetrieveOne(c.ctx, collector, []string{"latestPage"}, &h); err != nil {
		t.Fatal(err)
	}
	got := keys(h.LatestPage)
	if slices.IsSorted(got) {
		t.Errorf("%v is in order", got)
	}
	if slices.Sort(got); !slices.Equal(got, []int32{2, 3, 4}) {
		t.Errorf("it holds %v", got)
	}
	if !strings.Contains(fmt.Sprintf("%T", h.LatestPage[0]), "VmPoweredOnEvent") || h.LatestPage[0].GetEvent().FullFormattedMessage == "" {
		t.Errorf("it holds %+v", h.LatestPage[0])
	}
}
