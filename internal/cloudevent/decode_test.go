package cloudevent

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmware/govmomi/vim25/types"

	"vstream"
)

// inverts fails unless Decode gives back what an encoder gave.
func inverts(t *testing.T, e Encoder, want vstream.Event, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(want.JSON, e.TypePrefix)
	if err != nil {
		t.Errorf("%v: %s", err, want.JSON)
		return
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-encoded +decoded)\n%s\n%s", diff, want.JSON)
	}
	if got.Time.Location() != time.UTC {
		t.Errorf("time is in %v", got.Time.Location())
	}
}

func TestDecodeInvertsEncodeForAllRecordedEventsWholeAndTruncated(t *testing.T) {
	events := decodePage(t, readGzip(t, pageFile))
	page, err := os.ReadFile("testdata/events.xml")
	if err != nil {
		t.Fatal(err)
	}
	events = append(events, decodePage(t, page)...)
	for _, e := range []Encoder{
		{Source: "https://vc/sdk"},
		{Source: "https://vc/sdk?a&b", TypePrefix: "my.own", APIVersion: "8.0.3.0", Severity: map[string]string{"VmPoweredOnEvent": "user"}},
		{MaxBytes: 1},
	} {
		for i, ev := range events {
			got, err := e.Encode(ev)
			if err == nil {
				got = got.WithOffset(vstream.OffsetOf(uint32(i%3), got.Offset.Key()))
			}
			inverts(t, e, got, err)
		}
	}
	t.Logf("%d events", len(events))
}

func TestDecodeInvertsEncodeWhereTheTypeIsHardToTell(t *testing.T) {
	long := strings.Repeat("x", 20<<10)
	named := types.EntityEventArgument{Name: "name"}
	both := types.Event{Net: &types.NetworkEventArgument{}, Dvs: &types.DvsEventArgument{EntityEventArgument: named}}
	for _, e := range []Encoder{{}, {TypePrefix: "a.b"}, {MaxBytes: 10 << 10}} {
		for _, ev := range []types.BaseEvent{
			&types.EventEx{EventTypeId: "com.vmware.vc.ha.X"},
			&types.EventEx{EventTypeId: "com.vmware.vc.ha.X", Message: long},
			&types.EventEx{EventTypeId: ".v0"},
			&types.EventEx{},
			&types.ExtendedEvent{EventTypeId: "a\"b\n<ü>.c"},
			&types.ExtendedEvent{},
			&types.VmPoweredOnEvent{},
			&both,
		} {
			got, err := e.Encode(ev)
			inverts(t, e, got, err)
		}
		for _, raw := range []*Raw{{}, {Type: "a.b.c"}, {Type: "StrangeEvent", XML: long}} {
			got, err := e.EncodeRaw(raw)
			inverts(t, e, got, err)
		}
	}
}

func TestDecodeSaysWhatIsNoEvent(t *testing.T) {
	for text, want := range map[string]string{
		``:                                "does not begin with",
		`{"id":"1","specversion":"1.0"}`:  "does not begin with",
		head + `x"}`:                      `its id "x" is not an offset`,
		head + `01"}`:                     `its id "01" is not an offset`,
		head + `-1"}`:                     `its id "-1" is not an offset`,
		head + `9007199254740992"}`:       "is not an offset",
		head + `1"`:                       "it is not valid: unexpected end of JSON input",
		head + `1","data":{"Host":1}}`:    "it is not valid",
		head + `1"}`:                      "it has no data",
		head + `1","data":{},"time":"x"}`: "its time",
		head + `1","data":{}}`:            "it has no severity",
		head + `1","data":{},"severity":"info","type":"X"}`:                                       "does not end with .v0",
		head + `1","data":{},"severity":"info","type":"vmware.vsphere.X.v0","eventclass":"y"}`:    `its eventclass is "y"`,
		head + `1","data":{},"severity":"info","type":"other.X.v0","eventclass":"unknown"}`:       "does not begin with",
		head + `1","data":{},"severity":"info","type":"vmware.vsphere.X.v0","eventclass":"event"`: "it is not valid",
	} {
		if got, err := Decode([]byte(text), ""); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, %v; want an error with %q", text, got, err, want)
		}
	}
}
