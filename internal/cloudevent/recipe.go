package cloudevent

import (
	"encoding"
	"maps"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/vmware/govmomi/vim25/types"
	"github.com/vmware/govmomi/vim25/xml"
)

// A recipe says how the object of a type is written from its XML: step by step, in the
// order that the members have in both.
type recipe struct {
	steps []step
	// absent is what is written, labels and all, for members that are not there: for those
	// from step i up to step j, what begins at starts[i] and ends at starts[j].
	absent string
	starts []int
}

// A step is a member.
type step struct {
	open, end string // "<name" and "</name>"
	label     string // of the JSON, with the comma before it
	dropped   bool   // it is read, but not written
	list      bool   // it may stand several times
	kind      kind
	recipe    func() *recipe // of ofStruct
	variants  *variants      // of ofAny
	note      note
}

// A kind says how a value is written in XML.
type kind uint8

const (
	ofUnknown kind = iota // not one that can be transcribed
	ofText
	ofBool
	ofInt16
	ofInt32
	ofInt64
	ofFloat32
	ofFloat64
	ofTime
	ofReference
	ofStruct
	ofAny // the element says what it holds
)

var (
	referenceType       = reflect.TypeFor[types.ManagedObjectReference]()
	unmarshalerType     = reflect.TypeFor[xml.Unmarshaler]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func kindOf(t reflect.Type) kind {
	switch {
	case t == timeType:
		return ofTime
	case t == referenceType:
		return ofReference
	case reflect.PointerTo(t).Implements(unmarshalerType), reflect.PointerTo(t).Implements(textUnmarshalerType):
		return ofUnknown
	}
	switch t.Kind() {
	case reflect.String:
		return ofText
	case reflect.Bool:
		return ofBool
	case reflect.Int16:
		return ofInt16
	case reflect.Int32:
		return ofInt32
	case reflect.Int64:
		return ofInt64
	case reflect.Float32:
		return ofFloat32
	case reflect.Float64:
		return ofFloat64
	case reflect.Struct:
		return ofStruct
	case reflect.Interface:
		return ofAny
	}
	return ofUnknown
}

// recipes holds the recipe of every type met so far.
var recipes sync.Map // of reflect.Type to *recipe

func recipeOf(t reflect.Type) *recipe {
	if r, ok := recipes.Load(t); ok {
		return r.(*recipe)
	}
	r, _ := recipes.LoadOrStore(t, newRecipe(t, nil))
	return r.(*recipe)
}

// newRecipe makes the recipe of a struct, whose members of some names are to be noted. It is
// nil for a struct that is not like those of vSphere.
func newRecipe(t reflect.Type, noted map[string]note) *recipe {
	r := &recipe{starts: []int{0}}
	if !r.add(t, noted) {
		return nil
	}
	members, names := map[string]bool{}, map[string]bool{}
	for i := range r.steps {
		members[r.steps[i].open], names[r.steps[i].label] = true, true
	}
	if len(members) < len(r.steps) || len(names) < len(r.steps) {
		return nil // members hide one another
	}
	return r
}

// add adds the steps of a struct; those of an embedded one stand in its place.
func (r *recipe) add(t reflect.Type, noted map[string]note) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			if f.Type.Kind() != reflect.Struct || !r.add(f.Type, noted) {
				return false
			}
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("xml"), ",")
		if !f.IsExported() || name == "" || strings.ContainsAny(name, " >:-") || strings.Contains(options, "attr") && !strings.Contains(options, "typeattr") {
			return false
		}
		s := newStep(f, name, noted[f.Name])
		rule := ruleOf(t, f.Name)
		if s.dropped = rule == dropped; !s.dropped {
			if r.absent == "" {
				s.label = s.label[1:] // no comma before the first
			}
			w := newWriter()
			newFieldFunc(f.Type, rule)(w, reflect.Zero(f.Type))
			r.absent += s.label + string(w.buf)
			w.free()
		}
		r.steps, r.starts = append(r.steps, s), append(r.starts, len(r.absent))
	}
	return true
}

func newStep(f reflect.StructField, name string, n note) step {
	s := step{
		open: "<" + name, end: "</" + name + ">",
		label: "," + string(appendString(nil, f.Name)) + ":",
		note:  n,
	}
	t := f.Type
	switch t.Kind() {
	case reflect.Slice:
		s.list = true
		t = t.Elem()
	case reflect.Pointer:
		t = t.Elem()
	}
	switch s.kind = kindOf(t); {
	case s.kind == ofAny:
		s.variants = variantsOf(t)
	case s.kind == ofStruct && n != noNote: // its name is what is wanted
		s.recipe = sync.OnceValue(func() *recipe { return newRecipe(t, map[string]note{"Name": n}) })
	case s.kind == ofStruct:
		s.recipe = sync.OnceValue(func() *recipe { return recipeOf(t) })
	}
	return s
}

// A classRecipe is the recipe of an event class.
type classRecipe struct {
	name   string // of the Go type
	class  string // of the event
	recipe *recipe
}

var classes lookup[classRecipe]

func newClassRecipe(name string) *classRecipe {
	t, ok := types.TypeFunc()(name)
	if !ok || t.Kind() != reflect.Struct || !reflect.PointerTo(t).Implements(reflect.TypeFor[types.BaseEvent]()) {
		return nil
	}
	noted := map[string]note{
		"Key": noteKey, "ChainId": noteChain, "CreatedTime": noteTime,
		"UserName": noteUser, "FullFormattedMessage": noteMessage,
		"Datacenter": noteDatacenter, "ComputeResource": noteCluster, "Host": noteHost, "Vm": noteVM,
		"Ds": noteDatastore, "Net": noteNetwork, "Dvs": noteSwitch,
	}
	class := className(t.Name())
	if class != "event" {
		noted["EventTypeId"] = noteType
	}
	if class == "eventex" {
		noted["Severity"] = noteSeverity
	}
	r := newRecipe(t, noted)
	if r == nil {
		return nil
	}
	return &classRecipe{t.Name(), class, r}
}

// variants are the types that an interface may hold, by their names in XML.
type variants struct {
	lookup[variant]
	holder reflect.Type
}

type variant struct {
	kind   kind
	recipe func() *recipe
}

var holders sync.Map // of reflect.Type to *variants

func variantsOf(t reflect.Type) *variants {
	v, _ := holders.LoadOrStore(t, &variants{holder: t})
	return v.(*variants)
}

// plainTypes are the types of XML Schema that govmomi has for values of any type.
var plainTypes = map[string]kind{
	"boolean": ofBool, "short": ofInt16, "int": ofInt32, "long": ofInt64,
	"float": ofFloat32, "double": ofFloat64, "string": ofText, "dateTime": ofTime,
}

func (v *variants) find(name string) *variant {
	if schema, ok := strings.CutPrefix(name, "xsd:"); ok {
		if k := plainTypes[schema]; k != ofUnknown && v.holder.NumMethod() == 0 {
			return &variant{kind: k}
		}
		return nil
	}
	t, ok := types.TypeFunc()(name)
	if !ok || plainTypes[name] != ofUnknown || !t.Implements(v.holder) && !reflect.PointerTo(t).Implements(v.holder) {
		return nil
	}
	k := kindOf(t)
	if k != ofStruct && k != ofText {
		return nil
	}
	return &variant{kind: k, recipe: sync.OnceValue(func() *recipe { return recipeOf(t) })}
}

// A lookup finds what there is to a name in bytes, and keeps it. What comes over the wire
// can name nothing that it keeps but types that govmomi has.
type lookup[T any] struct {
	known atomic.Pointer[map[string]*T]
	mu    sync.Mutex // for those who add
}

// get returns what there is to a name: as known, or else as found.
func (l *lookup[T]) get(name []byte, find func(string) *T) *T {
	if known := l.known.Load(); known != nil {
		if v, ok := (*known)[string(name)]; ok {
			return v
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	v := find(string(name))
	if v == nil {
		return nil
	}
	more := map[string]*T{string(name): v}
	if known := l.known.Load(); known != nil {
		maps.Copy(more, *known)
	}
	l.known.Store(&more)
	return v
}
