package cloudevent

import (
	"fmt"
	"reflect"

	"github.com/vmware/govmomi/vim25/types"

	"vstream"
)

// Raw is an event that could not be decoded: what all events have, as far as it could be
// read, and the XML as vCenter sent it, valid UTF-8.
type Raw struct {
	Event types.Event
	Type  string // name of its class or, where there is one, its eventTypeId
	XML   string
}

// rawData is the data of such an event: the members of every event, and the XML.
type rawData struct {
	types.Event
	Xml string //nolint:staticcheck // the name of the member in the JSON
}

// EncodeRaw returns r as the log keeps it, an event of the class unknown, at the offset of
// its key in epoch 0.
func (e *Encoder) EncodeRaw(r *Raw) (vstream.Event, error) {
	data := rawData{r.Event, r.XML}
	encoded := func(truncated bool) (vstream.Event, error) {
		name := r.Type
		if name == "" {
			name = "UnknownEvent"
		}
		out := e.describe(&data.Event, &data.Event, cutText(name, 256))
		out.Class = "unknown"
		w := newWriter()
		defer w.free()
		e.write(w, &out, reflect.ValueOf(data), truncated)
		if w.err != nil {
			return vstream.Event{}, fmt.Errorf("encode the raw event %d: %w", r.Event.Key, w.err)
		}
		out.JSON = append([]byte(nil), w.buf...)
		return out, nil
	}
	out, err := encoded(false)
	if err == nil && e.MaxBytes > 0 && len(out.JSON) > e.MaxBytes {
		data = rawData{*cutDown(&r.Event, max(64, e.MaxBytes/256)), cutText(r.XML, e.MaxBytes/16)}
		return encoded(true)
	}
	return out, err
}
