package cloudevent

import (
	"bytes"
	"encoding/binary"
	"os"
	"reflect"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"

	"vstream"
)

// wire is an encoder as a collector has one.
var wire = Encoder{
	Source: "https://vc.example.com/sdk", APIVersion: "8.0.3.0", MaxBytes: 1 << 20,
	Severity: map[string]string{"VmPoweredOnEvent": "user", "VmFailedToPowerOnEvent": "error", "a.b": "warning"},
}

var elementPattern = regexp.MustCompile(`(?s)<returnval.*?</returnval>`)

// elements returns the events of a page, as they stand there.
func elements(page []byte) [][]byte { return elementPattern.FindAll(page, -1) }

// transcribed compares what Transcode makes of an element with what decoding and encoding
// it gives, and reports whether it made anything.
func transcribed(t testing.TB, e *Encoder, element []byte) bool {
	t.Helper()
	var got vstream.Event
	length, ok := e.Transcode(element, &got, NewSlab(len(element)))
	if !ok {
		return false
	}
	events := tryDecode(element[:length])
	if len(events) != 1 || events[0] == nil {
		t.Fatalf("Transcode takes what cannot be decoded to one event: %s", element)
	}
	want, err := e.Encode(events[0])
	if err != nil {
		t.Fatalf("Transcode takes what cannot be encoded: %v\n%s", err, element)
	}
	if !bytes.Equal(got.JSON, want.JSON) {
		t.Fatalf("of %s\n got …%s\nwant …%s", element, fromDifference(string(got.JSON), string(want.JSON)), fromDifference(string(want.JSON), string(got.JSON)))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("of %s (-want +got)\n%s", element, diff)
	}
	return true
}

func TestTranscodeGivesWhatDecodingAndEncodingGives(t *testing.T) {
	page, err := os.ReadFile("testdata/events.xml")
	if err != nil {
		t.Fatal(err)
	}
	for _, element := range elements(page) {
		if !transcribed(t, &wire, element) {
			t.Errorf("not transcribed: %s", element)
		}
	}
}

// Random content in all members of all event classes, and everything there is in the
// arguments of an EventEx.
func TestTranscodeKnowsEveryClass(t *testing.T) {
	const rounds = 4
	taken, all := map[string]int{}, 0
	for seed := range uint64(rounds) {
		f := newFiller(seed, registered(), true)
		for _, class := range eventClasses(t) {
			ev := f.event(class, 30)
			element := marshal(t, ev)
			all++
			if transcribed(t, &wire, element) {
				taken[class]++
			}
			transcribed(t, &wire, asVCenter(element))
		}
	}
	total := 0
	for _, class := range eventClasses(t) {
		total += taken[class]
		if newClassRecipe(class) == nil {
			t.Errorf("there is no recipe for %s", class)
		}
	}
	t.Logf("%d of %d", total, all)
	// The rest holds what no event of a vCenter holds: references and bytes in values of any
	// type, numbers without a sign.
	if total < all*3/4 {
		t.Errorf("%d of %d events were transcribed", total, all)
	}
}

// asVCenter names types in an element of Go's encoder as vCenter does.
func asVCenter(element []byte) []byte {
	element = bytes.Replace(element, []byte(goTypeOuter), []byte(xsiType), 1)
	return bytes.ReplaceAll(element, []byte(goTypeWithin), []byte(xsiType))
}

// marshal writes an event as an element of a page.
func marshal(t testing.TB, ev types.BaseEvent) []byte {
	t.Helper()
	likeVCenter(reflect.ValueOf(ev))
	var b bytes.Buffer
	if err := xml.NewEncoder(&b).Encode(types.ReadNextEventsResponse{Returnval: []types.BaseEvent{ev}}); err != nil {
		t.Fatal(err)
	}
	return elements(b.Bytes())[0]
}

// likeVCenter makes of the references in v such as a vCenter sends: with the name of a type,
// and without a server.
func likeVCenter(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.Kind() == reflect.Interface && !v.IsNil() && v.Elem().Kind() == reflect.Struct {
			c := reflect.New(v.Elem().Type()).Elem()
			c.Set(v.Elem())
			likeVCenter(c)
			v.Set(c)
		} else if !v.IsNil() {
			likeVCenter(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			likeVCenter(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() == referenceType {
			v.FieldByName("ServerGUID").SetString("")
			v.FieldByName("Type").SetString("VirtualMachine")
		} else if v.Type() != timeType {
			for i := range v.NumField() {
				likeVCenter(v.Field(i))
			}
		}
	}
}

func BenchmarkTranscode(b *testing.B) {
	page, err := os.ReadFile("testdata/events.xml")
	if err != nil {
		b.Fatal(err)
	}
	all := elements(page)
	b.ReportAllocs()
	var ev vstream.Event
	size, n := 0, 0
	slab := NewSlab(0)
	for b.Loop() {
		if n%1000 == 0 {
			slab = NewSlab(1000 * len(all[0]))
		}
		element := all[n%len(all)]
		if _, ok := wire.Transcode(element, &ev, slab); !ok {
			b.Fatalf("not transcribed: %s", element)
		}
		size += len(element)
		n++
	}
	b.SetBytes(int64(size / n))
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "events/s")
}

func TestEightBytesArePlainIfEachIs(t *testing.T) {
	var w [8]byte
	for c := range 256 {
		for i := range w {
			for j := range w {
				w[j] = "azAZ09 ~"[j]
			}
			w[i] = byte(c)
			if got := allPlain(binary.LittleEndian.Uint64(w[:])); got != plain[c] {
				t.Errorf("allPlain(%q) = %v", w, got)
			}
		}
	}
}

func TestTimesInUTCAreReadAsTheStandardLibraryDoes(t *testing.T) {
	for _, text := range []string{
		"2022-01-14T13:26:22.0854137Z", "2022-01-14T13:26:22Z", "2022-01-14T13:26:22.120Z", "2022-01-14T13:26:22.000000Z", "2022-01-14T13:26:20.1Z",
		"2022-12-28T23:59:59.999999999Z", "0000-01-01T00:00:00Z", "9999-01-01T00:00:00.10Z", "2022-01-14T13:26:22.Z", "2022-01-14T13:26:22.1234567890Z",
		"2022-02-29T13:26:22Z", "2022-13-01T13:26:22Z", "2022-01-14T24:26:22Z", "2022-01-14T13:60:22Z", "2022-01-14T13:26:60Z", "2022-01-00T00:00:00Z",
		"2022-01-14t13:26:22Z", "2022-01-14T13:26:22z", "2022-01-14T13:26:22,5Z", "2022-01-14T1:26:22Z", "+022-01-14T13:26:22Z", "2022-01-14T13:26:22.-1Z",
		"2022-01-14T13:26:22+00:00", "", "Z", "2022-01-14", "00000000000000000000Z", "00000000000000000000000000000Z", "2022-01-14T13:26:220000Z",
	} {
		at, digits, ok := parseUTC([]byte(text))
		if !ok {
			continue
		}
		var want time.Time
		if err := want.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%q is taken, though %v", text, err)
		} else if !at.Equal(want) || text[:digits]+"Z" != want.Format(time.RFC3339Nano) {
			t.Errorf("%q is read as %v, to be written %q; want %v", text, at, text[:digits]+"Z", want)
		}
	}
	if _, _, ok := parseUTC([]byte("2022-01-14T13:26:22.0854137Z")); !ok {
		t.Error("a plain time is not taken")
	}
}

// A time that JSON cannot hold costs the event its transcription, and not those that follow.
func TestATimeThatCannotBeWrittenLeavesTranscriptsInOrder(t *testing.T) {
	page, err := os.ReadFile("testdata/events.xml")
	if err != nil {
		t.Fatal(err)
	}
	const time = "2022-01-14T13:26:22+24:00" // there is no such zone, but time.Time reads it
	for range 100 {
		for _, element := range [][]byte{
			[]byte(`<returnval xsi:type="Event"><key>1</key><chainId>1</chainId><createdTime>` + time + `</createdTime><userName>u</userName></returnval>`),
			[]byte(`<returnval xsi:type="EventEx"><key>1</key><chainId>1</chainId><createdTime>2022-01-14T13:26:22Z</createdTime><userName>u</userName>` +
				`<eventTypeId>a.b</eventTypeId><arguments><key>k</key><value xsi:type="xsd:dateTime">` + time + `</value></arguments></returnval>`),
		} {
			if transcribed(t, &wire, element) {
				t.Errorf("transcribed: %s", element)
			}
		}
		if !transcribed(t, &wire, elements(page)[0]) {
			t.Fatal("what follows is not transcribed")
		}
	}
}

func TestAMistakeInARecipeCostsNoEvent(t *testing.T) {
	classes.get([]byte("MistakenEvent"), func(string) *classRecipe {
		wrong := step{open: "<key", end: "</key>", kind: ofStruct, recipe: func() *recipe { panic("wrong") }}
		return &classRecipe{"MistakenEvent", "event", &recipe{steps: []step{wrong}, starts: []int{0, 0}}}
	})
	element := []byte(`<returnval xsi:type="MistakenEvent"><key>1</key></returnval>`)
	if _, ok := wire.Transcode(element, new(vstream.Event), NewSlab(0)); ok {
		t.Error("an event came of a recipe that panics")
	}
	for range 100 { // whatever is used again
		if !transcribed(t, &wire, []byte(`<returnval xsi:type="VmPoweredOnEvent"><key>1</key><chainId>1</chainId><createdTime>2022-01-14T13:26:22Z</createdTime></returnval>`)) {
			t.Fatal("a plain event is not transcribed any more")
		}
	}
}
