package cloudevent

import (
	"reflect"
	"slices"

	"github.com/vmware/govmomi/vim25/types"
)

// A rule says how a field differs from what its present Go type would give.
type rule uint8

const (
	asIs        rule = iota
	dropped          // added to the type since v0.30.4
	zeroWhenNil      // a plain value in v0.30.4, a pointer now
)

// ruleOf returns the rule for a field that the struct t declares itself. Rules are
// about govmomi's types; somebody else's type of the same name is left alone.
func ruleOf(t reflect.Type, field string) rule {
	if t.PkgPath() != eventType.PkgPath() {
		return asIs
	}
	return shape[t.Name()+"."+field]
}

var eventType = reflect.TypeFor[types.Event]()

// A member is one step of writing a struct, in order. It is a field, or an embedded
// struct whose own members follow one another in its place.
type member struct {
	index    int // of the field in its struct
	label    string
	encode   encodeFunc
	embedded []member // instead of label and encode
}

func newStructFunc(t reflect.Type) encodeFunc {
	members := plan(t, visible(t), nil)
	return func(w *writer, v reflect.Value) {
		if !w.enter() {
			return
		}
		w.buf = append(w.buf, '{')
		w.members(members, v)
		w.buf = append(w.buf, '}')
		w.leave()
	}
}

func (w *writer) members(ms []member, v reflect.Value) {
	for i := range ms {
		m := &ms[i]
		f := v.Field(m.index)
		if m.embedded != nil {
			if f.Kind() == reflect.Pointer {
				if f.IsNil() {
					continue // as encoding/json, which has no place for its members
				}
				f = f.Elem()
			}
			w.members(m.embedded, f)
			continue
		}
		label := m.label
		if w.buf[len(w.buf)-1] == '{' {
			label = label[1:] // no comma before the first
		}
		w.buf = append(w.buf, label...)
		m.encode(w, f)
	}
}

// plan returns the members of t, a struct at path within the one being planned, that
// are among the visible fields.
func plan(t reflect.Type, visible [][]int, path []int) []member {
	ms := []member{}
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(slices.Clone(path), i)
		switch inner := embeddedStruct(f); {
		case inner != nil:
			if slices.ContainsFunc(visible, func(p []int) bool { return hasPrefix(p, at) }) {
				ms = append(ms, member{index: i, embedded: plan(inner, visible, at)})
			}
		case slices.ContainsFunc(visible, func(p []int) bool { return slices.Equal(p, at) }):
			ms = append(ms, member{
				index:  i,
				label:  "," + string(appendString(nil, f.Name)) + ":",
				encode: newFieldFunc(f.Type, ruleOf(t, f.Name)),
			})
		}
	}
	return ms
}

func newFieldFunc(t reflect.Type, r rule) encodeFunc {
	encode := encoderOf(t)
	if r != zeroWhenNil {
		return encode
	}
	zero, encodeZero := reflect.Zero(t.Elem()), encoderOf(t.Elem())
	return func(w *writer, v reflect.Value) {
		if v.IsNil() {
			encodeZero(w, zero)
			return
		}
		encode(w, v)
	}
}

// visible returns the paths of the fields that are members of t's JSON by the rules of
// encoding/json: of fields with the same name the least deep one counts, and none when
// there are several at that depth. Fields that are dropped hide nothing.
func visible(t reflect.Type) [][]int {
	var found [][]int
	taken := map[string]bool{} // by a field less deep

	type level struct {
		t    reflect.Type
		path []int
	}
	seen := map[reflect.Type]bool{}
	for now := []level{{t, nil}}; len(now) > 0; {
		var next []level
		here := map[string][][]int{}
		for _, l := range now {
			// A type that embeds itself through a pointer ends here. One met twice at
			// the same depth must not: its fields hide each other.
			if seen[l.t] {
				continue
			}
			for i := range l.t.NumField() {
				f := l.t.Field(i)
				at := append(slices.Clone(l.path), i)
				if ruleOf(l.t, f.Name) == dropped {
					continue
				}
				if inner := embeddedStruct(f); inner != nil {
					next = append(next, level{inner, at})
				} else if f.IsExported() && !taken[f.Name] {
					here[f.Name] = append(here[f.Name], at)
				}
			}
		}
		for _, l := range now {
			seen[l.t] = true
		}
		for name, paths := range here {
			taken[name] = true
			if len(paths) == 1 {
				found = append(found, paths[0])
			}
		}
		now = next
	}
	return found
}

// embeddedStruct returns the struct that f embeds, or nil when f is a field like any
// other. A pointer to an unexported struct is one that reflection may not follow.
func embeddedStruct(f reflect.StructField) reflect.Type {
	t := f.Type
	if !f.Anonymous {
		return nil
	}
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == timeType {
		return nil
	}
	return t
}

func hasPrefix(path, prefix []int) bool {
	return len(path) >= len(prefix) && slices.Equal(path[:len(prefix)], prefix)
}
