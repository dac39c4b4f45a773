package cloudevent

import (
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/vmware/govmomi/vim25/types"
)

// cutDown returns a copy of ev, the part that all events have, with no text longer than
// most bytes.
func cutDown(ev *types.Event, most int) *types.Event {
	small := *ev
	cutTexts(reflect.ValueOf(&small).Elem(), most)
	return &small
}

// cutTexts shortens the texts in v to most bytes, also behind pointers, which point to
// copies afterwards.
func cutTexts(v reflect.Value, most int) {
	switch {
	case v.Kind() == reflect.String:
		v.SetString(cutText(v.String(), most))
	case v.Kind() == reflect.Pointer && !v.IsNil():
		c := reflect.New(v.Type().Elem())
		c.Elem().Set(v.Elem())
		cutTexts(c.Elem(), most)
		v.Set(c)
	case v.Kind() == reflect.Struct && v.Type() != timeType:
		for i := range v.NumField() {
			cutTexts(v.Field(i), most)
		}
	}
}

// cutText shortens s to most bytes, between characters, and shows that it did. It does
// not keep the rest of s in memory.
func cutText(s string, most int) string {
	const mark = "…"
	if len(s) <= most {
		return s
	}
	end := most - len(mark)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return strings.Clone(s[:end]) + mark
}
