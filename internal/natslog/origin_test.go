package natslog

import (
	"maps"
	"testing"

	"vstream"
	"vstream/internal/logtest"
)

func setOrigin(t *testing.T, log *Log, instance string, epoch uint32) {
	t.Helper()
	if err := log.SetOrigin(t.Context(), instance, epoch); err != nil {
		t.Fatal(err)
	}
}

// Cursors name the log by its tag: they are to stay good over restarts, and when another
// vCenter goes on in the same log.
func TestALogKeepsItsTagOverRestartsAndOtherVCenters(t *testing.T) {
	config := testConfig(t)
	e, stop := start(t, config, "vc")
	setOrigin(t, e.Log("vc"), "a", 0)
	for epoch, instance := range []string{"a", "b", "c"} {
		setOrigin(t, e.Log("vc"), instance, uint32(epoch))
		stop()
		e, stop = start(t, config, "vc")
		if tag := e.Log("vc").Tag(); tag != vstream.TagOf("a", 0) {
			t.Errorf("after a restart with %s the tag is %q", instance, tag)
		}
		if kept, in := e.Log("vc").Origin(); kept != instance || in != uint32(epoch) {
			t.Errorf("after a restart the origin is %s in epoch %d", kept, in)
		}
	}
}

// A log from before there were tags has the one that it would have got then, if the vCenter is
// still the first, and one of its own if not.
func TestALogThatIsOlderThanTagsHasOneAndKeepsIt(t *testing.T) {
	for epoch := range uint32(2) {
		config := testConfig(t)
		e, stop := start(t, config, "vc")
		setOrigin(t, e.Log("vc"), "a", epoch)
		js, stream := outside(t, e.Log("vc"))
		old := stream.CachedInfo().Config
		old.Metadata = maps.Clone(old.Metadata)
		delete(old.Metadata, tagKey)
		if _, err := js.UpdateStream(t.Context(), old); err != nil {
			t.Fatal(err)
		}
		stop()
		e, stop = start(t, config, "vc")
		if tag := e.Log("vc").Tag(); tag != vstream.TagOf("a", epoch) {
			t.Errorf("the tag is %q", tag)
		}
		setOrigin(t, e.Log("vc"), "b", epoch+1)
		stop()
		e, _ = start(t, config, "vc")
		if tag := e.Log("vc").Tag(); tag != vstream.TagOf("a", epoch) {
			t.Errorf("with another vCenter, the tag is %q", tag)
		}
	}
}

// What was told by one replica the others know before they have the first event: a cursor
// without a tag would let a reader pass that no other log should.
func TestReplicasAgreeOnTheTagOfALog(t *testing.T) {
	ns := startServer(t)
	config := clusterConfig(t, ns.ClientURL())
	first, second := join(t, config, "vc"), join(t, config, "vc")
	comesAbout(t, "both have opened it", func() bool { return first.Log("vc").opened() && second.Log("vc").opened() })
	reader := mustOpen(t, second.Log("vc"), vstream.Oldest{})
	setOrigin(t, first.Log("vc"), "a", 0)
	if err := first.Log("vc").Append(t.Context(), logtest.Events(1, 2, 3)); err != nil {
		t.Fatal(err)
	}
	comesAbout(t, "the other has the events", func() bool {
		events, err := reader.Next(t.Context())
		if len(events) > 0 && second.Log("vc").Tag() != vstream.TagOf("a", 0) {
			t.Errorf("it has events and the tag %q", second.Log("vc").Tag())
		}
		return err == nil && len(events) > 0
	})
	if first.Log("vc").Tag() != second.Log("vc").Tag() {
		t.Errorf("the tags are %q and %q", first.Log("vc").Tag(), second.Log("vc").Tag())
	}
}

func TestALogThatIsDeletedAndMadeAnewHasTheTagOfWhatComesThen(t *testing.T) {
	e, _ := start(t, testConfig(t), "vc")
	log := e.Log("vc")
	setOrigin(t, log, "a", 0)
	mustAppend(t, log, logtest.Events(1, 2, 3))
	js, _ := outside(t, log)
	if err := js.DeleteStream(t.Context(), streamName("vc")); err != nil {
		t.Fatal(err)
	}
	becomes(t, "it is made anew", func() bool { _, some := log.Range(); return !some && log.Tag() == "" })
	setOrigin(t, log, "b", 0)
	if tag := log.Tag(); tag != vstream.TagOf("b", 0) {
		t.Errorf("the tag is %q", tag)
	}
}
