package filter

import (
	"bytes"
	"encoding/json"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"vstream"
)

// maxSeen is how many bytes of a text an expression sees. Work that is linear in a text is
// cheap up to here, so that counting such calls is enough.
const maxSeen = 64 << 10

// variables gives one evaluation what it asks for of an event. What is only in the JSON is
// read when first asked for.
type variables struct {
	vcenter string
	event   *vstream.Event
	data    any // of the event, decoded
	decoded bool
}

// Parent implements cel.Activation.
func (*variables) Parent() cel.Activation { return nil }

// ResolveName implements cel.Activation. A name that is not found ends the evaluation with an
// error, so an event whose JSON cannot be read does not pass.
func (v *variables) ResolveName(name string) (any, bool) {
	e := v.event
	switch name {
	case "data":
		return v.decode()
	case "source":
		return source(e.JSON)
	case "time":
		return types.Timestamp{Time: e.Time}, true
	case "id":
		return types.String(e.Offset.String()), true
	case "message":
		return types.String(clip(e.Message, maxSeen)), true
	}
	for i, field := range fieldNames {
		if field == name {
			return types.String(clip(Field(i).Of(v.vcenter, e), maxSeen)), true
		}
	}
	return nil, false
}

// decode returns the data of the event.
func (v *variables) decode() (any, bool) {
	if !v.decoded {
		v.decoded = true
		var envelope struct {
			Data any `json:"data"`
		}
		d := json.NewDecoder(bytes.NewReader(v.event.JSON))
		d.UseNumber() // integers stay exact
		if d.Decode(&envelope) == nil {
			v.data = envelope.Data
		}
	}
	return v.data, v.data != nil
}

// source returns the source of a CloudEvent. It reads no further than to there.
func source(event []byte) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(event))
	if _, err := d.Token(); err != nil { // the brace
		return nil, false
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, false
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, false
		}
		if name == "source" {
			var text string
			err := json.Unmarshal(value, &text)
			return types.String(clip(text, maxSeen)), err == nil
		}
	}
	return nil, false
}

// adapter makes values of CEL from values of JSON.
type adapter struct{ types.Adapter }

// NativeToValue implements types.Adapter.
func (a adapter) NativeToValue(value any) ref.Val {
	switch v := value.(type) {
	case string:
		return types.String(clip(v, maxSeen))
	case map[string]any:
		return types.NewStringInterfaceMap(a, v)
	case []any:
		return types.NewDynamicList(a, v)
	default:
		return a.Adapter.NativeToValue(value)
	}
}
