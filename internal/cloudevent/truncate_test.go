package cloudevent

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/vmware/govmomi/vim25/types"
)

func TestAnEventThatIsTooLongKeepsWhatAllEventsHaveAndSaysSo(t *testing.T) {
	long := strings.Repeat("<é", 200_000) // each six times as long when escaped
	ref := types.ManagedObjectReference{Type: long, Value: long}
	name := types.EntityEventArgument{Name: long}
	full := types.Event{
		Key: 7, ChainId: 6, UserName: long, FullFormattedMessage: long, ChangeTag: long,
		Datacenter:      &types.DatacenterEventArgument{EntityEventArgument: name, Datacenter: ref},
		ComputeResource: &types.ComputeResourceEventArgument{EntityEventArgument: name, ComputeResource: ref},
		Host:            &types.HostEventArgument{EntityEventArgument: name, Host: ref},
		Vm:              &types.VmEventArgument{EntityEventArgument: name, Vm: ref},
		Ds:              &types.DatastoreEventArgument{EntityEventArgument: name, Datastore: ref},
		Net:             &types.NetworkEventArgument{EntityEventArgument: name, Network: ref},
		Dvs:             &types.DvsEventArgument{EntityEventArgument: name, Dvs: ref},
	}
	for what, ev := range map[string]types.BaseEvent{
		"everything":     &types.EventEx{Event: full, EventTypeId: long, Severity: long},
		"its own fields": &types.EventEx{Event: types.Event{Key: 7, ChainId: 6, UserName: "root"}, EventTypeId: "a.b.c", Message: long},
		"its message":    &types.VmPoweredOnEvent{VmEvent: types.VmEvent{Event: types.Event{Key: 7, ChainId: 6, UserName: "root", FullFormattedMessage: long}}},
	} {
		e := Encoder{MaxBytes: 512 << 10}
		got, err := e.Encode(ev)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.JSON) > e.MaxBytes || got.Size() > 2*e.MaxBytes {
			t.Errorf("%s too long: %d bytes of JSON, %d in all", what, len(got.JSON), got.Size())
		}
		var ce struct {
			ID        string
			Truncated bool
			Data      map[string]any
		}
		if err := json.Unmarshal(got.JSON, &ce); err != nil {
			t.Fatal(err)
		}
		if !ce.Truncated || ce.ID != "7" || ce.Data["ChainId"] != 6.0 || got.Chain != 6 {
			t.Errorf("%s too long: %.300s", what, got.JSON)
		}
		if len(ce.Data) != 13 {
			t.Errorf("%s too long: data has %d members, want the 13 of every event", what, len(ce.Data))
		}
	}
}

func TestAnEventWithinItsLimitIsLeftAlone(t *testing.T) {
	ev := &types.EventEx{Event: types.Event{Key: 7}, EventTypeId: "a.b.c", Message: strings.Repeat("x", 1000)}
	free, err := new(Encoder).Encode(ev)
	if err != nil {
		t.Fatal(err)
	}
	limited, err := (&Encoder{MaxBytes: len(free.JSON)}).Encode(ev)
	if err != nil || string(limited.JSON) != string(free.JSON) {
		t.Errorf("at exactly its limit it is %s, %v", limited.JSON, err)
	}
	limited, err = (&Encoder{MaxBytes: len(free.JSON) - 1}).Encode(ev)
	if err != nil || !strings.HasSuffix(string(limited.JSON), `,"truncated":true}`) {
		t.Errorf("a byte over its limit it is %s, %v", limited.JSON, err)
	}
}

func TestTextIsCutBetweenCharacters(t *testing.T) {
	for most := 3; most < 20; most++ {
		got := cutText("aéé日本日本日本日本", most)
		if len(got) > most || !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
			t.Errorf("cut to %d bytes it is %q", most, got)
		}
	}
	if got := cutText("short", 5); got != "short" {
		t.Errorf("got %q", got)
	}
}
