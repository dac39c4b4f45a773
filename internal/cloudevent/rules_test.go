package cloudevent

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// The rules of data in the package comment, checked without the encoder: a walk along
// the value and the tokens of its JSON, side by side. Of the past it knows only what
// was recorded.
func TestEveryClassFollowsTheRules(t *testing.T) {
	names, walk := registered(), newWalk(t)
	for _, seed := range []uint64{1, 2, 3, rand.Uint64()} {
		f := newFiller(seed, names, false)
		for _, class := range eventClasses(t) {
			ev := f.event(class, 80)
			got, err := new(Encoder).Encode(ev)
			if err != nil {
				t.Fatalf("seed %d: %s: %v", seed, class, err)
			}
			walk.checkEvent(t, got.JSON, ev)
			if t.Failed() {
				t.Fatalf("seed %d: %s: %s", seed, class, got.JSON)
			}
		}
	}
}

// A walk knows what each type had to show in v0.30.4: its members in order, each with
// the JSON of its zero value.
type walk struct{ was map[string][]jsonMember }

func newWalk(t testing.TB) walk {
	w := walk{was: map[string][]jsonMember{}}
	for name, zero := range readShape(t) {
		w.was[name] = membersOf(t, zero)
	}
	return w
}

func (k walk) checkEvent(t testing.TB, event []byte, ev types.BaseEvent) {
	t.Helper()
	var compact bytes.Buffer
	if err := json.Compact(&compact, event); err != nil || !bytes.Equal(compact.Bytes(), event) {
		t.Errorf("not compact JSON: %v", err)
		return
	}
	if bytes.ContainsAny(event, "\n<>&") || bytes.Contains(event, []byte("ServerGUID")) {
		t.Error("it has a newline, an unescaped character or a ServerGUID")
	}
	var names []string
	for _, m := range membersOf(t, string(event)) {
		names = append(names, m.name)
		if m.name == "data" {
			d := json.NewDecoder(strings.NewReader(m.value))
			d.UseNumber()
			k.check(t, "data", d, reflect.ValueOf(ev))
		}
	}
	want := []string{"specversion", "id", "source", "type", "datacontenttype", "time", "data", "eventclass", "severity"}
	if y := ev.GetEvent().CreatedTime.UTC().Year(); y < 0 || y > 9999 {
		want = slices.Delete(want, 5, 6)
	}
	if !slices.Equal(names, want) {
		t.Errorf("members are %v", names)
	}
}

// check reads one value from d and compares it with v.
func (k walk) check(t testing.TB, path string, d *json.Decoder, v reflect.Value) {
	t.Helper()
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			k.token(t, path, d, nil)
			return
		}
		v = v.Elem()
	}
	if v.Type() == timeType {
		if tm := v.Interface().(time.Time); tm.Year() < 0 || tm.Year() > 9999 {
			k.token(t, path, d, nil)
		} else {
			k.token(t, path, d, tm.Format(time.RFC3339Nano))
		}
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		k.token(t, path, d, v.Bool())
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		k.token(t, path, d, json.Number(strconv.FormatInt(v.Int(), 10)))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		k.token(t, path, d, json.Number(strconv.FormatUint(v.Uint(), 10)))
	case reflect.Float32, reflect.Float64:
		if math.IsNaN(v.Float()) || math.IsInf(v.Float(), 0) {
			k.token(t, path, d, nil)
			return
		}
		b, err := json.Marshal(v.Interface())
		if err != nil {
			t.Fatal(err)
		}
		k.token(t, path, d, json.Number(b))
	case reflect.String:
		k.token(t, path, d, string([]rune(v.String()))) // bad bytes become U+FFFD, one by one
	case reflect.Slice:
		if v.IsNil() {
			k.token(t, path, d, nil)
			return
		}
		if v.Type().Elem().Kind() == reflect.Uint8 {
			k.token(t, path, d, base64.StdEncoding.EncodeToString(v.Bytes()))
			return
		}
		k.token(t, path, d, json.Delim('['))
		for i := range v.Len() {
			k.check(t, path+"["+strconv.Itoa(i)+"]", d, v.Index(i))
		}
		k.token(t, path, d, json.Delim(']'))
	case reflect.Struct:
		k.token(t, path, d, json.Delim('{'))
		for _, m := range k.members(v.Type()) {
			k.token(t, path, d, m.name)
			f := v.FieldByName(m.name)
			if f.Kind() == reflect.Pointer && f.IsNil() && m.value != "null" {
				f = reflect.Zero(f.Type().Elem())
			}
			k.check(t, path+"."+m.name, d, f)
		}
		k.token(t, path, d, json.Delim('}'))
	default:
		t.Errorf("%s: a %s in a vSphere type", path, v.Kind())
	}
}

func (walk) token(t testing.TB, path string, d *json.Decoder, want json.Token) {
	t.Helper()
	if got, err := d.Token(); err != nil || got != want {
		t.Errorf("%s: %v, want %v (%v)", path, got, want, err)
	}
}

// members returns what has been recorded of a type, or what Go's own rules for
// promoted fields make of one that came later.
func (k walk) members(t reflect.Type) []jsonMember {
	if ms, ok := k.was[t.Name()]; ok && t.PkgPath() == reflect.TypeFor[types.Event]().PkgPath() {
		return ms
	}
	var ms []jsonMember
	for _, f := range reflect.VisibleFields(t) {
		if !f.Anonymous {
			ms = append(ms, jsonMember{f.Name, "null"})
		}
	}
	k.was[t.Name()] = ms
	return ms
}
