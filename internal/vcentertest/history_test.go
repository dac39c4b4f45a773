package vcentertest_test

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"vstream/internal/vcentertest"
)

func TestPostStampsWhatIsNotSetAndLeavesItsArgumentsAlone(t *testing.T) {
	vc := vcentertest.New(t)
	now := time.Date(2026, 3, 4, 5, 6, 7, 891_234_567, time.FixedZone("", 3600))
	vc.SetClock(func() time.Time { return now })
	c := login(t, vc)

	mine := &types.EventEx{EventTypeId: "a.b", Arguments: []types.KeyAnyValue{{Key: "n", Value: int32(7)}}}
	set := &types.VmPoweredOffEvent{VmEvent: types.VmEvent{Event: types.Event{
		Key: 99, ChainId: 1, CreatedTime: now.Add(time.Second), UserName: "me", FullFormattedMessage: "off & <gone>",
	}}}
	if got := vc.Post(mine, set); !slices.Equal(got, []int32{1, 2}) {
		t.Errorf("keys are %v", got)
	}
	if mine.Key != 0 || set.Key != 99 {
		t.Error("Post changed its arguments")
	}
	events := c.readAll(c.collect(withMessages()))
	if len(events) != 2 {
		t.Fatalf("read %d events", len(events))
	}
	ex, ok := events[0].(*types.EventEx)
	if !ok || ex.Key != 1 || ex.ChainId != 1 || !ex.CreatedTime.Equal(now.Truncate(time.Microsecond)) || ex.EventTypeId != "a.b" ||
		ex.FullFormattedMessage == "" || ex.UserName == "" || ex.Arguments[0].Value != int32(7) {
		t.Errorf("the first is %+v", events[0])
	}
	off, ok := events[1].(*types.VmPoweredOffEvent)
	if !ok || off.Key != 2 || off.ChainId != 1 || !off.CreatedTime.Equal(set.CreatedTime) || off.UserName != "me" || off.FullFormattedMessage != "off & <gone>" {
		t.Errorf("the second is %+v", events[1])
	}
	if got, err := c.currentTime(); err != nil || !got.Equal(now.Truncate(time.Microsecond)) {
		t.Errorf("CurrentTime is %v, %v", got, err)
	}
}

func TestPostNMakesManyEventsOfManyClassesThatAllDiffer(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	if first, last := vc.PostN(2500); first != 1 || last != 2500 {
		t.Errorf("keys are %d to %d", first, last)
	}
	classes, messages := map[string]bool{}, map[string]bool{}
	events := c.readAll(c.collect(withMessages()))
	told := vc.Told()
	if len(events) != 2500 || len(told) != 2500 {
		t.Fatalf("read %d, told %d", len(events), len(told))
	}
	for i, e := range events {
		base, want := e.GetEvent(), told[i]
		class := strings.TrimPrefix(fmt.Sprintf("%T", e), "*types.")
		classes[class], messages[base.FullFormattedMessage] = true, true
		if base.Key != want.Key || class != want.Type || base.FullFormattedMessage != want.Message || !base.CreatedTime.Equal(want.Created) || base.ChainId != base.Key {
			t.Fatalf("read %T %+v, told %+v", e, base, want)
		}
	}
	if len(classes) < 12 || len(messages) != 2500 {
		t.Errorf("%d classes, %d messages", len(classes), len(messages))
	}
}

func TestPostXMLIsToldToTheByteAndBreaksThePageItIsOn(t *testing.T) {
	for name, broken := range map[string]func(int32, time.Time) string{
		"a control character": func(k int32, at time.Time) string {
			return `<returnval xsi:type="VmPoweredOnEvent">` + vcentertest.Base(k, at) + "<fullFormattedMessage>\x01</fullFormattedMessage></returnval>"
		},
		"a control character, escaped": func(k int32, at time.Time) string {
			return `<returnval xsi:type="VmPoweredOnEvent">` + vcentertest.Base(k, at) + "<fullFormattedMessage>&#x1;</fullFormattedMessage></returnval>"
		},
		"invalid UTF-8": func(k int32, at time.Time) string {
			return `<returnval xsi:type="VmPoweredOnEvent">` + vcentertest.Base(k, at) + "<fullFormattedMessage>\xff\xfe</fullFormattedMessage></returnval>"
		},
		"a bad date": func(k int32, _ time.Time) string {
			return fmt.Sprintf(`<returnval xsi:type="VmPoweredOnEvent"><key>%d</key><chainId>1</chainId><createdTime>soon</createdTime></returnval>`, k)
		},
		"a key beyond its type": func(_ int32, at time.Time) string {
			return `<returnval xsi:type="VmPoweredOnEvent">` + strings.Replace(vcentertest.Base(0, at), "<key>0", "<key>2147483648", 1) + "</returnval>"
		},
		"broken markup": func(k int32, at time.Time) string {
			return `<returnval xsi:type="VmPoweredOnEvent">` + vcentertest.Base(k, at) + "<vm></returnval>"
		},
	} {
		t.Run(name, func(t *testing.T) {
			vc := vcentertest.New(t)
			c := login(t, vc)
			vc.Post(vm())
			if key := vc.PostXML(broken); key != 2 {
				t.Errorf("key is %d", key)
			}
			vc.Post(vm())
			collector := c.collect(withMessages())
			if events, err := c.tryRead(collector, 1000); err == nil {
				t.Errorf("read %v", keys(events))
			}
			if rest := c.read(collector, 1000); len(rest) != 0 {
				t.Errorf("the position did not move: %v", keys(rest))
			}
			if told := vc.Told(); len(told) != 3 || told[1].Type != "VmPoweredOnEvent" || told[1].Key != 2 {
				t.Errorf("told %+v", told)
			}
		})
	}

	t.Run("an unknown class", func(t *testing.T) {
		vc := vcentertest.New(t)
		c := login(t, vc)
		vc.PostXML(func(k int32, at time.Time) string {
			return `<returnval xsi:type="NewInNineEvent">` + vcentertest.Base(k, at) + "</returnval>"
		})
		if events := c.read(c.collect(withMessages()), 10); len(events) != 1 || events[0] != nil {
			t.Errorf("govmomi makes %v of it; it is known to give nil", events)
		}
		if vc.Told()[0].Type != "NewInNineEvent" {
			t.Errorf("told %+v", vc.Told())
		}
	})
}

func TestKeysHaveGapsWrapAndStartOver(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	vc.Post(vm())
	vc.SkipKeys(5)
	vc.Post(vm())
	vc.SetNextKey(math.MaxInt32)
	vc.Post(vm(), vm())
	vc.SetNextKey(-1)
	vc.Post(vm(), vm())
	vc.SetNextKey(1)
	vc.Post(vm())
	vc.SetNextKey(1)
	vc.Post(vm())

	want := []int32{1, 7, math.MaxInt32, math.MinInt32, -1, 0, 1, 1}
	if got := keys(c.readAll(c.collect(withMessages()))); !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
	epochs := []int{0, 0, 0, 0, 0, 1, 1, 2}
	for i, e := range vc.Told() {
		if e.Key != want[i] || e.Epoch != epochs[i] || e.Serial != i+1 {
			t.Errorf("told %+v, want key %d in epoch %d", e, want[i], epochs[i])
		}
	}
}

func TestALateEventIsGivenNextOrNotAtAllAndInItsPlaceToNewCollectors(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	vc.Post(vm())
	vc.SkipKeys(2)
	vc.Post(vm())
	passed, before := c.collect(withMessages()), c.collect(withMessages())
	c.read(passed, 1000)
	c.read(before, 1)

	vc.PostLate(3, vm())
	vc.PostBehind(2, vm())
	vc.Post(vm())
	for collector, want := range map[types.ManagedObjectReference][]int32{
		passed:                    {3, 5},
		before:                    {2, 3, 4, 5},
		c.collect(withMessages()): {1, 2, 3, 4, 5},
	} {
		if got := keys(c.readAll(collector)); !slices.Equal(got, want) {
			t.Errorf("read %v, want %v", got, want)
		}
	}
	for i, e := range vc.Told() {
		if e.Key != int32(i+1) || e.Epoch != 0 {
			t.Errorf("told %+v", e)
		}
	}
}

func TestHiddenEventsShowInLatestEventOnly(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	vc.Post(vm(), vm(), vm())
	vc.PostHidden(vm())
	vc.Hide(2)
	if got := keys(c.readAll(c.collect(withMessages()))); !slices.Equal(got, []int32{1, 3}) {
		t.Errorf("read %v", got)
	}
	if key := c.eventManager("latestEvent").LatestEvent.GetEvent().Key; key != 4 {
		t.Errorf("latestEvent is %d", key)
	}
	told := vc.Told()
	if len(told) != 3 || told[0].Gone || !told[1].Gone || told[2].Gone {
		t.Errorf("told %+v", told)
	}
}

func TestFoldedEventsAreToldLiveAndGoneAfterwards(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	live := c.collect(withMessages())
	vc.Post(vm(), vm(), vm())
	if got := c.read(live, 1000); len(got) != 3 {
		t.Errorf("read %v", keys(got))
	}
	vc.Fold(2, 3)
	if got := keys(c.readAll(c.collect(withMessages()))); !slices.Equal(got, []int32{1}) {
		t.Errorf("a replay is %v", got)
	}
	if key := c.eventManager("latestEvent").LatestEvent.GetEvent().Key; key != 1 {
		t.Errorf("latestEvent is %d", key)
	}
	if told := vc.Told(); len(told) != 3 || told[0].Gone || !told[1].Gone || !told[2].Gone {
		t.Errorf("told %+v", told)
	}
}

func TestResetIsAnotherVCenterAtTheSameAddress(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	c.collect(withMessages())
	vc.Post(vm(), vm())
	vc.Reset("5a0e9c1e-0000-4000-8000-000000000002")
	c.CloseIdleConnections() // which are reset
	if _, err := c.currentTime(); !isFault(err, &types.NotAuthenticated{}) {
		t.Errorf("the old session gives %v", err)
	}
	if vc.Sessions() != 0 || vc.Collectors() != 0 {
		t.Errorf("%d sessions, %d collectors", vc.Sessions(), vc.Collectors())
	}
	vc.Post(vm())
	c = login(t, vc)
	if got := c.ServiceContent.About.InstanceUuid; got != "5a0e9c1e-0000-4000-8000-000000000002" {
		t.Errorf("instanceUuid is %s", got)
	}
	if got := keys(c.readAll(c.collect(withMessages()))); !slices.Equal(got, []int32{1}) {
		t.Errorf("read %v", got)
	}
	told := vc.Told()
	if len(told) != 3 || !told[1].Gone || told[2].Gone || told[2].Epoch != 1 || told[2].Key != 1 || told[2].Message == told[0].Message {
		t.Errorf("told %+v", told)
	}
}

func TestRestoreGivesKeysASecondTime(t *testing.T) {
	vc := vcentertest.New(t)
	vc.Post(vm(), vm(), vm())
	vc.Restore(2)
	vc.Post(vm())
	c := login(t, vc)
	if got := keys(c.readAll(c.collect(withMessages()))); !slices.Equal(got, []int32{1, 2, 3}) {
		t.Errorf("read %v", got)
	}
	told := vc.Told()
	if len(told) != 4 || !told[2].Gone || told[3].Key != 3 || told[3].Epoch != 1 || told[3].Serial != 4 {
		t.Errorf("told %+v", told)
	}
}

func TestTheDescriptionHoldsClassesAndIds(t *testing.T) {
	c := login(t, vcentertest.New(t))
	found := map[string]string{}
	for _, d := range c.eventManager("description").Description.EventInfo {
		id, _, _ := strings.Cut(d.FullFormat, "|")
		found[d.Key] = d.Category
		found[id] = d.Category
	}
	if found["VmFailedToPowerOnEvent"] != "error" || found["vprob.example.alarm.cleared"] != "warning" || found["com.example.backup.done"] != "user" {
		t.Errorf("found %v", found)
	}
}

func TestLatestEventIsAbsentWhenNothingHappened(t *testing.T) {
	c := login(t, vcentertest.New(t))
	if e := c.eventManager("latestEvent").LatestEvent; e != nil {
		t.Errorf("latestEvent is %+v", e)
	}
	res, err := methods.RetrieveProperties(c.ctx, c, &types.RetrieveProperties{
		This: c.ServiceContent.PropertyCollector,
		SpecSet: []types.PropertyFilterSpec{{
			PropSet:   []types.PropertySpec{{Type: "EventManager", PathSet: []string{"maxCollector"}}},
			ObjectSet: []types.ObjectSpec{{Obj: *c.ServiceContent.EventManager}},
		}},
	})
	if err != nil || res.Returnval[0].PropSet[0].Val != int32(32) {
		t.Errorf("maxCollector is %+v, %v", res, err)
	}
}
