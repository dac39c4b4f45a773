package vcentertest_test

import (
	"testing"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"vstream/internal/vcentertest"
)

// watching is a client that waits for the latest page of a collector.
func watching(t *testing.T, vc *vcentertest.VCenter) (c *client, collector types.ManagedObjectReference, p *property.Collector, version string) {
	t.Helper()
	c = login(t, vc)
	filter := between(time.Now().Add(-time.Hour), time.Time{})
	filter.MaxCount = 1
	collector = c.collect(filter)
	p = c.subscribe(collector, "latestPage")
	set, err := c.wait(p, "", 0)
	if err != nil || set == nil || set.FilterSet[0].ObjectSet[0].Kind != types.ObjectUpdateKindEnter {
		t.Fatalf("the first answer is %+v, %v", set, err)
	}
	return c, collector, p, set.Version
}

func TestAWaitEndsWithANewEventWithinMilliseconds(t *testing.T) {
	vc := vcentertest.New(t)
	c, collector, p, version := watching(t, vc)
	for i := range 20 {
		calls := vc.Calls("WaitForUpdatesEx")
		posted := make(chan time.Time, 1)
		go func() {
			vc.AwaitCalls("WaitForUpdatesEx", calls+1)
			posted <- time.Now()
			vc.Post(vm())
		}()
		set, err := c.wait(p, version, 30)
		if err != nil || set == nil {
			t.Fatalf("%+v, %v", set, err)
		}
		if took := time.Since(<-posted); took > 500*time.Millisecond {
			t.Errorf("waking took %v", took)
		}
		update := set.FilterSet[0].ObjectSet[0]
		page := update.ChangeSet[0].Val.(types.ArrayOfEvent).Event
		if update.Obj != collector || update.Kind != types.ObjectUpdateKindModify || update.ChangeSet[0].Name != "latestPage" ||
			len(page) != 1 || page[0].GetEvent().Key != int32(i+1) {
			t.Fatalf("the update is %+v", update)
		}
		version = set.Version
	}
}

func TestAWaitEndsAtOnceWithWhatHappenedSinceItsVersion(t *testing.T) {
	vc := vcentertest.New(t)
	c, _, p, version := watching(t, vc)
	if set, err := c.wait(p, version, 0); set != nil || err != nil {
		t.Errorf("without news: %+v, %v", set, err)
	}
	vc.PostN(3)
	set, err := c.wait(p, version, 0)
	if set == nil || err != nil || set.Version == version {
		t.Fatalf("with news: %+v, %v", set, err)
	}
	if again, err := c.wait(p, version, 0); again == nil || err != nil {
		t.Errorf("an answer that was lost is not given again: %+v, %v", again, err)
	}
	if set, err := c.wait(p, set.Version, 0); set != nil || err != nil {
		t.Errorf("told twice: %+v, %v", set, err)
	}
	if _, err := c.wait(p, "yesterday", 0); !isFault(err, &types.InvalidCollectorVersion{}) {
		t.Errorf("no version: %v", err)
	}
}

func TestAWaitEndsWithNothingWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	vc := vcentertest.New(t)
	c, _, p, version := watching(t, vc)
	vc.PostHidden(vm()) // matches no collector
	began := time.Now()
	set, err := c.wait(p, version, 1)
	if set != nil || err != nil || time.Since(began) < time.Second {
		t.Errorf("%+v, %v after %v", set, err, time.Since(began))
	}
}

func TestAWaitThatDoesNotWakeEndsWithNothingWhenItsTimeIsUp(t *testing.T) {
	t.Parallel()
	vc := vcentertest.New(t)
	c, _, p, version := watching(t, vc)
	vc.SetWakes(false)
	vc.Post(vm())
	if set, err := c.wait(p, version, 1); set != nil || err != nil {
		t.Errorf("%+v, %v", set, err)
	}
	vc.SetWakes(true)
	if set, err := c.wait(p, version, 1); set == nil || err != nil {
		t.Errorf("awake again: %+v, %v", set, err)
	}
}

func TestAWaitDoesNotNoticeThatItsSessionIsGone(t *testing.T) {
	t.Parallel()
	vc := vcentertest.New(t)
	c, _, p, version := watching(t, vc)
	go func() {
		vc.AwaitCalls("WaitForUpdatesEx", 2)
		vc.TerminateSessions()
		vc.Post(vm())
	}()
	if set, err := c.wait(p, version, 1); set != nil || isFault(err, &types.ManagedObjectNotFound{}) {
		t.Errorf("%+v, %v", set, err)
	}
	if _, err := c.wait(p, version, 1); !isFault(err, &types.NotAuthenticated{}) {
		t.Errorf("the next one: %v", err)
	}
}

func TestAWaitTellsThatItsCollectorIsGone(t *testing.T) {
	vc := vcentertest.New(t)
	c, collector, p, version := watching(t, vc)
	vc.ForgetCollectors()
	set, err := c.wait(p, version, 30)
	if err != nil || set == nil {
		t.Fatalf("%+v, %v", set, err)
	}
	if f := set.FilterSet[0]; f.ObjectSet[0].Kind != types.ObjectUpdateKindLeave || f.MissingSet[0].Obj != collector {
		t.Errorf("the update is %+v", f)
	}
	if set, err := c.wait(p, set.Version, 0); set != nil || err != nil {
		t.Errorf("told twice: %+v, %v", set, err)
	}
}

func TestAPendingWaitEndsWhenItIsCanceledOrDestroyed(t *testing.T) {
	for name, end := range map[string]func(*client, *property.Collector) error{
		"canceled": func(c *client, p *property.Collector) error { return p.CancelWaitForUpdates(c.ctx) },
		"destroyed": func(c *client, p *property.Collector) error {
			_, err := methods.DestroyPropertyCollector(c.ctx, c, &types.DestroyPropertyCollector{This: p.Reference()})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			vc := vcentertest.New(t)
			c, _, p, version := watching(t, vc)
			ended := make(chan error)
			go func() {
				vc.AwaitCalls("WaitForUpdatesEx", 2)
				ended <- end(c, p)
			}()
			if _, err := c.wait(p, version, 30); !isFault(err, &types.RequestCanceled{}) {
				t.Errorf("the wait ends with %v", err)
			}
			if err := <-ended; err != nil {
				t.Error(err)
			}
		})
	}
}
