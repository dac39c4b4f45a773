package cloudevent

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"testing"

	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// Whatever can be decoded at all can be encoded, by the rules.
func FuzzEncode(f *testing.F) {
	page, err := os.ReadFile("testdata/events.xml")
	if err != nil {
		f.Fatal(err)
	}
	for _, element := range regexp.MustCompile(`(?s)<returnval.*?</returnval>`).FindAll(page, -1) {
		f.Add(element)
	}
	f.Add([]byte(`<returnval xsi:type="EventEx"><createdTime>9999-12-31T23:59:59-23:59</createdTime><arguments><key>&#x2028;</key>` +
		`<value xsi:type="xsd:double">INF</value></arguments><arguments><value xsi:type="KeyAnyValue"/></arguments></returnval>`))
	walk := newWalk(f)
	f.Fuzz(func(t *testing.T, element []byte) {
		for _, ev := range tryDecode(element) {
			if ev == nil {
				continue
			}
			got, err := new(Encoder).Encode(ev)
			if err != nil {
				continue // too deep
			}
			walk.checkEvent(t, got.JSON, ev)
		}
	})
}

// tryDecode returns the events in the elements, or none if govmomi fails on them, as it
// may by a panic: a registered type that is no event is one way to it.
func tryDecode(elements []byte) (events []types.BaseEvent) {
	defer func() {
		if recover() != nil {
			events = nil
		}
	}()
	var page types.ReadNextEventsResponse
	d := xml.NewDecoder(bytes.NewReader(bytes.Join([][]byte{
		[]byte(`<page xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">`), elements, []byte("</page>"),
	}, nil)))
	d.TypeFunc = types.TypeFunc()
	if err := d.Decode(&page); err != nil {
		return nil
	}
	return page.Returnval
}

// What Decode takes is an event that the rest of the program can live with.
func FuzzDecode(f *testing.F) {
	for _, e := range []types.BaseEvent{&types.EventEx{EventTypeId: "a.b"}, &types.VmPoweredOnEvent{}} {
		got, err := new(Encoder).Encode(e)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(got.JSON))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		e, err := Decode(text, "")
		if err != nil {
			return
		}
		if moved := e.WithOffset(e.Offset + 1); !json.Valid(e.JSON) || !json.Valid(moved.JSON) || e.Offset < 0 || e.Class == "" {
			t.Errorf("%q gives %+v", text, e)
		}
	})
}
