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

// What is transcribed is what decoding and encoding gives, whatever the XML.
func FuzzTranscode(f *testing.F) {
	page, err := os.ReadFile("testdata/events.xml")
	if err != nil {
		f.Fatal(err)
	}
	for _, element := range elements(page) {
		f.Add(element)
	}
	random := newFiller(1, registered(), true)
	for _, class := range []string{"EventEx", "ExtendedEvent", "VmReconfiguredEvent", "TaskEvent", "AlarmStatusChangedEvent"} {
		for range 3 {
			element := marshal(f, random.event(class, 10))
			f.Add(element)
			f.Add(asVCenter(element))
		}
	}
	for _, value := range []string{
		`<value xsi:type="xsd:string">a]]&gt;b</value>`, `<value xsi:type="xsd:string">a]]>b</value>`, `<value xsi:type="xsd:int">-0</value>`,
		`<value xsi:type="xsd:dateTime">2024-02-29T23:59:60Z</value>`, `<value xsi:type="xsd:boolean">1</value>`, `<value xsi:type="xsd:double">1e400</value>`,
		`<value xsi:type="ManagedObjectReference" type="VirtualMachine">vm-1</value>`, `<value xsi:type="ArrayOfInt"><int>1</int><int>2</int></value>`,
		`<value xsi:type="xsd:string"><!-- no -->text<![CDATA[<raw>]]></value>`, `<value xsi:type="KeyAnyValue"><key/></value>`,
	} {
		f.Add([]byte(`<returnval xsi:type="EventEx"><key>1</key><chainId>1</chainId><createdTime>2022-01-14T13:26:22.5Z</createdTime><userName/>` +
			`<eventTypeId>a.b</eventTypeId><arguments><key>k</key>` + value + `</arguments></returnval>`))
	}
	f.Fuzz(func(t *testing.T, element []byte) { transcribed(t, &wire, element) })
}
