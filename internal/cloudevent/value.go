package cloudevent

import (
	"encoding/base64"
	"math"
	"reflect"
	"strconv"
	"sync"
	"time"
)

// An encodeFunc appends a value of the one type it was made for.
type encodeFunc func(*writer, reflect.Value)

// encoders holds the encodeFunc of every type met so far. There are only as many types
// as govmomi has.
var encoders sync.Map // of reflect.Type to encodeFunc

func encoderOf(t reflect.Type) encodeFunc {
	if f, ok := encoders.Load(t); ok {
		return f.(encodeFunc)
	}
	f, _ := encoders.LoadOrStore(t, newEncodeFunc(t))
	return f.(encodeFunc)
}

var timeType = reflect.TypeFor[time.Time]()

func newEncodeFunc(t reflect.Type) encodeFunc {
	if t == timeType {
		return encodeTime
	}
	switch t.Kind() {
	case reflect.Bool:
		return encodeBool
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return encodeInt
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return encodeUint
	case reflect.Float32:
		return func(w *writer, v reflect.Value) { w.buf = appendFloat(w.buf, v.Float(), 32) }
	case reflect.Float64:
		return func(w *writer, v reflect.Value) { w.buf = appendFloat(w.buf, v.Float(), 64) }
	case reflect.String:
		return encodeString
	case reflect.Interface:
		return encodeInterface
	case reflect.Pointer:
		return newPointerFunc(t)
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return encodeBytes
		}
		return newListFunc(t)
	case reflect.Array:
		return newListFunc(t)
	case reflect.Struct:
		return newStructFunc(t)
	default:
		// Maps, functions, channels: no vSphere type has any.
		return encodeNull
	}
}

func encodeNull(w *writer, _ reflect.Value) { w.buf = append(w.buf, "null"...) }

func encodeBool(w *writer, v reflect.Value) { w.buf = strconv.AppendBool(w.buf, v.Bool()) }

func encodeInt(w *writer, v reflect.Value) { w.buf = strconv.AppendInt(w.buf, v.Int(), 10) }

func encodeUint(w *writer, v reflect.Value) { w.buf = strconv.AppendUint(w.buf, v.Uint(), 10) }

func encodeString(w *writer, v reflect.Value) { w.buf = appendString(w.buf, v.String()) }

func encodeTime(w *writer, v reflect.Value) {
	t, ok := reflect.TypeAssert[time.Time](v)
	if !ok {
		encodeNull(w, v)
		return
	}
	b, err := t.AppendText(append(w.buf, '"'))
	if err != nil { // not in RFC 3339: five digits of year, or a day of zone offset
		encodeNull(w, v)
		return
	}
	w.buf = append(b, '"')
}

func encodeBytes(w *writer, v reflect.Value) {
	if v.IsNil() {
		encodeNull(w, v)
		return
	}
	w.buf = append(w.buf, '"')
	w.buf = base64.StdEncoding.AppendEncode(w.buf, v.Bytes())
	w.buf = append(w.buf, '"')
}

// appendFloat appends f as encoding/json does, which is as JavaScript does: plain notation
// from 1e-6 up to 1e21, and no leading zero in an exponent.
func appendFloat(b []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, "null"...)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 {
		if bits == 64 && (abs < 1e-6 || abs >= 1e21) ||
			bits == 32 && (float32(abs) < 1e-6 || float32(abs) >= 1e21) {
			format = 'e'
		}
	}
	b = strconv.AppendFloat(b, f, format, -1, bits)
	if n := len(b); format == 'e' && b[n-4] == 'e' && b[n-3] == '-' && b[n-2] == '0' {
		b = append(b[:n-2], b[n-1])
	}
	return b
}

func encodeInterface(w *writer, v reflect.Value) {
	if v.IsNil() {
		encodeNull(w, v)
		return
	}
	if !w.enter() {
		return
	}
	v = v.Elem()
	encoderOf(v.Type())(w, v)
	w.leave()
}

// newPointerFunc and newListFunc look their element's encoder up when they first need
// it: a type may contain itself by way of a pointer or a slice.

func newPointerFunc(t reflect.Type) encodeFunc {
	elem := sync.OnceValue(func() encodeFunc { return encoderOf(t.Elem()) })
	return func(w *writer, v reflect.Value) {
		if v.IsNil() {
			encodeNull(w, v)
			return
		}
		if !w.enter() {
			return
		}
		elem()(w, v.Elem())
		w.leave()
	}
}

func newListFunc(t reflect.Type) encodeFunc {
	elem := sync.OnceValue(func() encodeFunc { return encoderOf(t.Elem()) })
	slice := t.Kind() == reflect.Slice
	return func(w *writer, v reflect.Value) {
		if slice && v.IsNil() {
			encodeNull(w, v)
			return
		}
		if !w.enter() {
			return
		}
		f := elem()
		w.buf = append(w.buf, '[')
		for i := range v.Len() {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			f(w, v.Index(i))
		}
		w.buf = append(w.buf, ']')
		w.leave()
	}
}
