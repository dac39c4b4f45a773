package cloudevent

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestStringsAreThoseOfEncodingJSON(t *testing.T) {
	check := func(s string) {
		t.Helper()
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendString(nil, s); string(got) != string(want) {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	}
	for r := rune(0); r < 0x100; r++ {
		check(string(r))
		check("a" + string(r) + "b" + string(r))
		check(string([]byte{byte(r)}))
		check(string([]byte{'a', byte(r), 0x80, 'b'}))
	}
	for _, s := range []string{
		"", "plain", `"`, `\`, "<script>&</script>", "\u2027\u2028\u2029\u202a", "\ufffd", "\xef\xbf\xbd\xef\xbf",
		"\xed\xa0\x80", "\xf4\x90\x80\x80", "\xc0\x80", "\xff\xfe", "🚀\xf0\x9f\x9a", "é世", "\x7f",
	} {
		check(s)
		check(s + s)
	}
	for range 2000 {
		b := make([]byte, rand.IntN(40))
		for i := range b {
			b[i] = byte(rand.Uint32())
		}
		check(string(b))
	}
}

func TestFloatsAreThoseOfEncodingJSON(t *testing.T) {
	check := func(v any) {
		t.Helper()
		want, err := json.Marshal(v)
		if err != nil {
			want = []byte("null")
		}
		var w writer
		encoderOf(reflect.TypeOf(v))(&w, reflect.ValueOf(v))
		if string(w.buf) != string(want) {
			t.Errorf("%v: got %s, want %s", v, w.buf, want)
		}
	}
	for _, f := range []float64{
		0, math.Copysign(0, -1), 1, -1, 0.1, 1e20, 1e21, 1e-6, 1e-7, 9.999999e-7, 1e-10, 1e100, 1e-100,
		math.MaxFloat64, math.SmallestNonzeroFloat64, math.MaxFloat32, math.NaN(), math.Inf(1), math.Inf(-1),
	} {
		check(f)
		check(float32(f))
	}
	for range 2000 {
		check(math.Float64frombits(rand.Uint64()))
		check(math.Float32frombits(rand.Uint32()))
	}
}

func FuzzString(f *testing.F) {
	f.Add("<\u2028\xff\b")
	f.Fuzz(func(t *testing.T, s string) {
		want, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := appendString(nil, s); string(got) != string(want) {
			t.Errorf("%q: got %s, want %s", s, got, want)
		}
	})
}
