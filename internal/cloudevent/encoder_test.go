package cloudevent

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmware/govmomi/vim25/types"

	"vstream"
)

func TestEncodeFillsTheFieldsForFilters(t *testing.T) {
	named := func(name string) types.EntityEventArgument { return types.EntityEventArgument{Name: name} }
	ev := types.Event{
		Key:                  -5,
		ChainId:              41,
		CreatedTime:          time.Date(2024, 2, 29, 1, 30, 0, 5000, time.FixedZone("", 2*3600)),
		UserName:             "root",
		Datacenter:           &types.DatacenterEventArgument{EntityEventArgument: named("dc")},
		ComputeResource:      &types.ComputeResourceEventArgument{EntityEventArgument: named("cluster")},
		Host:                 &types.HostEventArgument{EntityEventArgument: named("esx")},
		Vm:                   &types.VmEventArgument{EntityEventArgument: named("web")},
		Ds:                   &types.DatastoreEventArgument{EntityEventArgument: named("ds")},
		Net:                  &types.NetworkEventArgument{EntityEventArgument: named("net")},
		Dvs:                  &types.DvsEventArgument{EntityEventArgument: named("dvs")},
		FullFormattedMessage: "text",
	}
	got, err := new(Encoder).Encode(&types.VmPoweredOnEvent{VmEvent: types.VmEvent{Event: ev}})
	if err != nil {
		t.Fatal(err)
	}
	head := `{"specversion":"1.0","id":"4294967291","source":"","type":"vmware.vsphere.VmPoweredOnEvent.v0",` +
		`"datacontenttype":"application/json","time":"2024-02-28T23:30:00.000005Z","data":{"Key":-5,"ChainId":41,` +
		`"CreatedTime":"2024-02-29T01:30:00.000005+02:00",`
	if !strings.HasPrefix(string(got.JSON), head) {
		t.Errorf("got %s\nwant %s…", got.JSON, head)
	}
	got.JSON = nil
	want := vstream.Event{
		Offset: 4294967291, Time: ev.CreatedTime.UTC(), Type: "VmPoweredOnEvent", Class: "event", Severity: "info",
		Chain: 41, User: "root", VM: "web", Host: "esx", Cluster: "cluster", Datacenter: "dc", Datastore: "ds",
		Network: "net", Message: "text",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if got.Time.Location() != time.UTC {
		t.Errorf("time is in %v", got.Time.Location())
	}

	ev.Net = nil
	if got, _ = new(Encoder).Encode(&ev); got.Network != "dvs" {
		t.Errorf("network is %q without Net", got.Network)
	}
}

// A customEvent is a class that govmomi does not have, with a field of every kind that
// no vSphere type has.
type customEvent struct {
	types.VmEvent
	*types.Description
	hidden int //nolint:unused // reflection sees it
	Map    map[string]int
	Func   func()
	Chan   chan int
	Cplx   complex64
	Any    any
	Array  [2]int
}

func TestEncodeClassifies(t *testing.T) {
	e := Encoder{
		Source: "https://vc/sdk?a&b", TypePrefix: "com.example", APIVersion: "8.0.3.0",
		Severity: map[string]string{"VmPoweredOnEvent": "user", "backup.failed": "error", "esx.x": "error"},
	}
	for _, tt := range []struct {
		ev                    types.BaseEvent
		class, name, severity string
	}{
		{&types.Event{}, "event", "Event", "info"},
		{&types.VmPoweredOnEvent{}, "event", "VmPoweredOnEvent", "user"},
		{&types.VmPoweredOffEvent{}, "event", "VmPoweredOffEvent", "info"},
		{&types.EventEx{EventTypeId: "esx.x", Severity: "warning"}, "eventex", "esx.x", "warning"},
		{&types.EventEx{EventTypeId: "esx.x"}, "eventex", "esx.x", "info"},
		{&types.EventEx{EventTypeId: "a\"b\n<c>"}, "eventex", "a\"b\n<c>", "info"},
		{&types.EventEx{}, "eventex", "EventEx", "info"},
		{&types.ExtendedEvent{EventTypeId: "backup.failed"}, "extendedevent", "backup.failed", "error"},
		{&types.ExtendedEvent{}, "extendedevent", "ExtendedEvent", "info"},
		{&customEvent{}, "event", "customEvent", "info"},
	} {
		got, err := e.Encode(tt.ev)
		if err != nil {
			t.Fatal(err)
		}
		if got.Class != tt.class || got.Type != tt.name || got.Severity != tt.severity {
			t.Errorf("%T: got %s %s %s, want %s %s %s", tt.ev, got.Class, got.Type, got.Severity, tt.class, tt.name, tt.severity)
		}
		var envelope map[string]any
		if err := json.Unmarshal(got.JSON, &envelope); err != nil {
			t.Fatalf("%v: %s", err, got.JSON)
		}
		delete(envelope, "data")
		want := map[string]any{
			"specversion": "1.0", "id": "0", "source": e.Source, "type": "com.example." + tt.name + ".v0",
			"datacontenttype": "application/json", "time": "0001-01-01T00:00:00Z",
			"eventclass": tt.class, "vsphereapiversion": "8.0.3.0", "severity": tt.severity,
		}
		if diff := cmp.Diff(want, envelope); diff != "" {
			t.Errorf("%T: (-want +got)\n%s", tt.ev, diff)
		}
		if tail := `,"eventclass":"` + tt.class + `","vsphereapiversion":"8.0.3.0","severity":"` + tt.severity + `"}`; !strings.HasSuffix(string(got.JSON), tail) {
			t.Errorf("extensions out of order: %s", got.JSON)
		}
	}
}

type orphan struct{}

func (*orphan) GetEvent() *types.Event { return nil }

func TestEncodeRefusesAnEventThatIsNone(t *testing.T) {
	for _, ev := range []types.BaseEvent{nil, (*types.Event)(nil), (*types.VmPoweredOnEvent)(nil), (*types.EventEx)(nil), (*orphan)(nil), &orphan{}} {
		if got, err := new(Encoder).Encode(ev); err == nil {
			t.Errorf("%T gave %s", ev, got.JSON)
		}
	}
}

func TestEncodeWritesNullForWhatJSONCannotHold(t *testing.T) {
	far := time.Date(12345, 1, 1, 0, 0, 0, 0, time.UTC)
	var noFault *types.NotSupported
	ev := &customEvent{Map: map[string]int{"a": 1}, Func: func() {}, Chan: make(chan int), Any: []any{
		math.NaN(), math.Inf(-1), float32(math.Inf(1)), far, time.Now().In(time.FixedZone("", 25*3600)),
		noFault, (*string)(nil), []string(nil), []byte(nil), []byte{}, []string{}, struct{}{}, [0]int{},
		types.LocalizedMethodFault{Fault: noFault},
	}}
	ev.CreatedTime = far
	got, err := new(Encoder).Encode(ev)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(got.JSON, []byte(`"time":`)) {
		t.Errorf("the envelope has a time that is no RFC 3339: %s", got.JSON)
	}
	if !strings.HasPrefix(dataOf(t, got.JSON), `{"Key":0,"ChainId":0,"CreatedTime":null,`) {
		t.Errorf("got %s", got.JSON)
	}
	want := `"Map":null,"Func":null,"Chan":null,"Cplx":null,"Any":[null,null,null,null,null,` +
		`null,null,null,null,"",[],{},[],{"Fault":null,"LocalizedMessage":""}],"Array":[0,0]}`
	if data := dataOf(t, got.JSON); !strings.HasSuffix(data, want) {
		t.Errorf("got %s\nwant …%s", data, want)
	}
}

func TestEncodeBoundsDepth(t *testing.T) {
	// nested returns an event with n faults, each the cause of the one before.
	nested := func(n int) types.BaseEvent {
		var cause *types.LocalizedMethodFault
		for range n {
			fault := &types.MethodFault{FaultCause: cause}
			cause = &types.LocalizedMethodFault{Fault: fault}
		}
		return &types.EventEx{Fault: cause}
	}
	got, err := new(Encoder).Encode(nested(40))
	if err != nil || !json.Valid(got.JSON) {
		t.Errorf("40 faults: %v, %s", err, got.JSON)
	}
	if _, err := new(Encoder).Encode(nested(100000)); !errors.Is(err, errDepth) {
		t.Errorf("100000 faults: %v", err)
	}

	loop := &types.MethodFault{}
	loop.FaultCause = &types.LocalizedMethodFault{Fault: loop}
	type self []self
	endless := self{nil, nil, nil}
	endless[0], endless[1], endless[2] = endless, endless, endless
	var itself any
	itself = &itself
	type pointer *pointer
	var p pointer
	p = &p
	for _, v := range []any{loop, endless, itself, p} {
		ev := &types.EventEx{Arguments: []types.KeyAnyValue{{Value: v}, {Value: v}}}
		if _, err := new(Encoder).Encode(ev); !errors.Is(err, errDepth) {
			t.Errorf("a cycle of %T: %v", v, err)
		}
	}
}

// Embedding follows encoding/json, which is asked directly here: these types, unlike
// govmomi's, have no tags.
func TestMembersAreThoseOfEncodingJSON(t *testing.T) {
	type Deep struct{ A, B, C int }
	type Left struct {
		Deep
		B, X int
	}
	type Right struct {
		*Deep
		X, Y int
	}
	type inner struct{ P, q int }
	type Named int
	type Loop struct {
		*Loop
		Z int
	}
	type Same struct{ Same int }
	for _, v := range []any{
		struct{}{},
		Left{Deep{1, 2, 3}, 4, 5},
		Right{nil, 1, 2},
		Right{&Deep{1, 2, 3}, 1, 2},
		struct {
			Left
			Right
			Z int
		}{},
		struct {
			Left
			Right
			X int
		}{Right: Right{Deep: &Deep{}}},
		struct {
			inner
			Named
			M int
		}{inner{1, 2}, 3, 4},
		struct {
			*Deep
			A int
		}{},
		struct{ *Deep }{},
		Loop{Z: 1},
		Loop{Loop: &Loop{Z: 2}, Z: 1},
		struct{ Same }{Same{1}},
		struct {
			M int
			*Deep
			É int
		}{},
	} {
		want, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var w writer
		encoderOf(reflect.TypeOf(v))(&w, reflect.ValueOf(v))
		if string(w.buf) != string(want) {
			t.Errorf("%T: got %s, want %s", v, w.buf, want)
		}
	}
}

func TestByteSlicesAreBase64(t *testing.T) {
	ev := &types.EventEx{Arguments: []types.KeyAnyValue{{Value: types.HostSubSpecification{Data: types.ByteSlice{0, 1, 0xff}}}}}
	got, err := new(Encoder).Encode(ev)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(got.JSON, []byte(`"Data":"AAH/"`)) {
		t.Errorf("got %s", got.JSON)
	}
}
