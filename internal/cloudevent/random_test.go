package cloudevent

import (
	"encoding/base64"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	_ "unsafe" // for linkname

	"github.com/google/go-cmp/cmp"
	"github.com/vmware/govmomi/vim25/types"
)

// registry is where govmomi keeps its types by their names in vSphere. It can be asked
// for a name, but not for all of them; only the tests need that.
//
//go:linkname registry github.com/vmware/govmomi/vim25/types.t
var registry map[string]reflect.Type

// eventClasses returns all names under which govmomi decodes an event, from their
// committed list. Those of the form Base<class> are second names.
func eventClasses(t testing.TB) []string {
	t.Helper()
	b, err := os.ReadFile("testdata/classes.txt")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Fields(string(b))
}

func TestAllEventClassesAreListed(t *testing.T) {
	var got []string
	for name, typ := range registry {
		if typ.Kind() == reflect.Struct && reflect.PointerTo(typ).Implements(reflect.TypeFor[types.BaseEvent]()) {
			got = append(got, name)
		}
	}
	slices.Sort(got)
	want := eventClasses(t)
	if !slices.Equal(got, want) {
		t.Errorf("testdata/classes.txt is not what govmomi has (-want +got)\n%s", cmp.Diff(want, got))
	}
	for _, name := range want {
		if _, ok := types.TypeFunc()(name); !ok {
			t.Errorf("govmomi does not know %s", name)
		}
	}
}

// A filler puts random content into vSphere values: the same for the same seed.
type filler struct {
	*rand.Rand
	names []string // of the types that interfaces may hold
	wire  bool     // only what survives XML, in both versions of govmomi
	room  int      // how many more structs
	byFit map[reflect.Type][]reflect.Type
}

func newFiller(seed uint64, names []string, wire bool) *filler {
	return &filler{
		Rand:  rand.New(rand.NewPCG(seed, 0)),
		names: names,
		wire:  wire,
		byFit: map[reflect.Type][]reflect.Type{},
	}
}

// registered returns the names of all struct types, in a fixed order.
func registered() []string {
	return slices.DeleteFunc(slices.Sorted(maps.Keys(registry)), func(name string) bool {
		return registry[name].Kind() != reflect.Struct || registry[name].Name() != name
	})
}

// event returns a new event of the class; its content has about room structs.
func (f *filler) event(class string, room int) types.BaseEvent {
	v := reflect.New(registry[class])
	f.room = room
	f.fill(v.Elem(), 0)
	return v.Interface().(types.BaseEvent)
}

// want decides whether to go on, ever less likely with depth.
func (f *filler) want(depth int) bool {
	return f.room > 0 && f.Float64() < 0.9-0.1*float64(depth)
}

func (f *filler) fill(v reflect.Value, depth int) {
	switch v.Type() {
	case timeType:
		v.Set(reflect.ValueOf(f.time()))
		return
	case reflect.TypeFor[types.ByteSlice]():
		if !f.wire { // v0.30 could not read them, see the package comment
			v.SetBytes(f.bytes())
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(f.IntN(2) == 0)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(pick(f, []int64{0, 1, -1, 42, math.MaxInt64, math.MinInt64, f.Int64()}) >> (64 - v.Type().Bits()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(f.Uint64() >> (64 - v.Type().Bits()))
	case reflect.Float32, reflect.Float64:
		fs := []float64{0, 1, -0.5, 100, 1e20, 1e21, 1e22, 1e-6, 9.9e-7, -1e-9, f.NormFloat64(), f.ExpFloat64() * 1e12}
		if !f.wire {
			fs = append(fs, math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1))
		}
		v.SetFloat(pick(f, fs))
	case reflect.String:
		v.SetString(f.string())
	case reflect.Struct:
		f.room--
		for i := range v.NumField() {
			f.fill(v.Field(i), depth)
		}
	case reflect.Pointer:
		if f.want(depth) {
			v.Set(reflect.New(v.Type().Elem()))
			f.fill(v.Elem(), depth+1)
		}
	case reflect.Slice:
		switch {
		case !f.want(depth):
		case v.Type().Elem().Kind() == reflect.Uint8:
			v.SetBytes(f.bytes())
		default:
			n := 1 + f.IntN(3)
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				f.fill(v.Index(i), depth+1)
				if e := v.Index(i); e.Kind() == reflect.Interface && e.IsNil() && f.wire {
					f.hold(e, depth+1) // XML has no nil element
				}
			}
		}
	case reflect.Interface:
		if f.want(depth) {
			f.hold(v, depth)
		}
	}
}

// hold puts something into an interface: for AnyType that may also be a plain value.
func (f *filler) hold(v reflect.Value, depth int) {
	if v.NumMethod() > 0 {
		elem := reflect.New(pick(f, f.fitting(v.Type())))
		f.fill(elem.Elem(), depth+1)
		v.Set(elem)
		return
	}
	plain := []any{
		false, int8(0), int16(0), int32(0), int64(0), uint8(0), uint16(0), uint32(0), uint64(0),
		float32(0), 0.0, "", time.Time{}, types.ManagedEntityStatus(""), types.ManagedObjectReference{},
		types.ArrayOfString{}, types.ArrayOfInt{}, types.ArrayOfManagedObjectReference{},
	}
	typ := reflect.TypeOf(pick(f, plain))
	if f.IntN(2) == 0 {
		typ = registry[pick(f, f.names)]
	}
	elem := reflect.New(typ).Elem()
	f.fill(elem, depth+1)
	v.Set(elem)
}

// fitting returns the types an interface may hold a pointer to.
func (f *filler) fitting(iface reflect.Type) []reflect.Type {
	fit, ok := f.byFit[iface]
	if !ok {
		for _, name := range f.names {
			if reflect.PointerTo(registry[name]).Implements(iface) {
				fit = append(fit, registry[name])
			}
		}
		f.byFit[iface] = fit
	}
	return fit
}

func (f *filler) time() time.Time {
	t := time.Unix(1.6e9+f.Int64N(1e9), pick(f, []int64{0, 120e6, 85413700, f.Int64N(1e9)}))
	minutes := pick(f, []int{0, 120, -480, 330, -210, 14 * 60})
	if minutes == 0 {
		return t.UTC()
	}
	return t.In(time.FixedZone("", minutes*60))
}

func (f *filler) string() string {
	words := []string{
		"", "", "vm-42", "web 01", `VSPHERE.LOCAL\Administrator`, "<b>&amp;\"'</b>", "Zürich 東京 🚀", "a\u2028b\u2029c",
		"line\n\tline\r\n", "\u007f\u0080\u00a0\ufffd", " padded ", "null", "[ds1] a/b.vmdk", "{\"x\":1}",
	}
	if !f.wire {
		words = append(words, "\x00\x01\b\f\v\x1f", "\xff\xc3(\xed\xa0\x80", "cut \xe2\x80")
	}
	return pick(f, words)
}

func (f *filler) bytes() []byte {
	b := make([]byte, f.IntN(20))
	for i := range b {
		b[i] = byte(f.IntN(256))
	}
	if f.wire {
		return []byte(base64.StdEncoding.EncodeToString(append(b, 0)))
	}
	return b
}

func pick[T any](f *filler, from []T) T { return from[f.IntN(len(from))] }
