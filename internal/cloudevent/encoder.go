package cloudevent

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"vstream"
)

// DefaultTypePrefix is what the type of every CloudEvent begins with, unless it is
// configured otherwise.
const DefaultTypePrefix = "vmware.vsphere"

// An Encoder makes events of one vCenter. Its fields are set before it is used; after
// that any number of goroutines may encode with it.
type Encoder struct {
	Source     string            // URL of the vCenter's SDK, https://vc.example.com/sdk
	TypePrefix string            // DefaultTypePrefix when empty
	APIVersion string            // extension vsphereapiversion; left out when empty
	Severity   map[string]string // made by Severities; nil makes events "info"
	// MaxBytes is how long the JSON of an event may be. The data of a longer one is cut
	// down to what all events have, its long texts are cut off, and it has the extension
	// truncated. 0 sets no limit; below 8 KiB a cut event may still be longer.
	MaxBytes int
}

// Encode returns ev as the log keeps it, at the offset of its key in epoch 0. The
// result shares ev's strings but nothing that can change.
//
// It fails on a nil event and on one nested so deeply that it must be a cycle or an
// attack; nothing that vCenter sends comes near.
func (e *Encoder) Encode(ev types.BaseEvent) (vstream.Event, error) {
	v := reflect.ValueOf(ev)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if !v.IsValid() {
		return vstream.Event{}, errors.New("encode event: it is nil")
	}
	base := ev.GetEvent()
	if base == nil {
		return vstream.Event{}, fmt.Errorf("encode event: %T without an event in it", ev)
	}

	w := newWriter()
	defer w.free()
	out := e.describe(ev, base, v.Type().Name())
	e.write(w, &out, v, false)
	if w.err == nil && e.MaxBytes > 0 && len(w.buf) > e.MaxBytes {
		texts := max(64, e.MaxBytes/128) // so many that all of them, escaped, fit
		small := cutDown(base, texts)
		out = e.describe(ev, small, v.Type().Name())
		out.Type, out.Severity = cutText(out.Type, texts), cutText(out.Severity, texts)
		w.buf = w.buf[:0]
		e.write(w, &out, reflect.ValueOf(small).Elem(), true)
	}
	if w.err != nil {
		return vstream.Event{}, fmt.Errorf("encode event %d, a %s: %w", base.Key, out.Type, w.err)
	}
	out.JSON = bytes.Clone(w.buf)
	return out, nil
}

// describe returns all of an event but its JSON.
func (e *Encoder) describe(ev types.BaseEvent, base *types.Event, goName string) vstream.Event {
	out := vstream.Event{
		Offset:  vstream.OffsetOf(0, base.Key),
		Time:    base.CreatedTime.UTC(),
		Chain:   base.ChainId,
		User:    base.UserName,
		Message: base.FullFormattedMessage,
	}
	e.classify(&out, ev, goName)
	nameTargets(&out, base)
	return out
}

// write writes the CloudEvent of what out describes, with data.
func (e *Encoder) write(w *writer, out *vstream.Event, data reflect.Value, truncated bool) {
	w.buf = e.appendHead(w.buf, out, nil)
	encoderOf(data.Type())(w, data)
	w.buf = e.appendTail(w.buf, out, truncated)
}

// classify says what kind of event ev is. Extensions and vCenter's own newer parts do
// not add classes: they send an EventEx or an ExtendedEvent with an id of its own.
func (e *Encoder) classify(out *vstream.Event, ev types.BaseEvent, goName string) {
	class := "event"
	switch ev := ev.(type) {
	case *types.EventEx:
		class, out.Type, out.Severity = "eventex", ev.EventTypeId, ev.Severity
	case *types.ExtendedEvent:
		class, out.Type = "extendedevent", ev.EventTypeId
	}
	e.grade(out, class, goName)
}

// grade fills in what an event does not say itself of its type and severity.
func (e *Encoder) grade(out *vstream.Event, class, goName string) {
	out.Class = class
	if out.Type == "" {
		out.Type = goName
	}
	if out.Severity == "" && class != "eventex" {
		out.Severity = e.Severity[out.Type]
	}
	if out.Severity == "" {
		out.Severity = "info"
	}
}

func nameTargets(out *vstream.Event, ev *types.Event) {
	if ev.Vm != nil {
		out.VM = ev.Vm.Name
	}
	if ev.Host != nil {
		out.Host = ev.Host.Name
	}
	if ev.ComputeResource != nil {
		out.Cluster = ev.ComputeResource.Name
	}
	if ev.Datacenter != nil {
		out.Datacenter = ev.Datacenter.Name
	}
	if ev.Ds != nil {
		out.Datastore = ev.Ds.Name
	}
	switch {
	case ev.Net != nil:
		out.Network = ev.Net.Name
	case ev.Dvs != nil:
		out.Network = ev.Dvs.Name
	}
}

// appendHead appends the CloudEvent up to where its data begins. The order of members
// is part of the contract. At is the event's time as it is to be written, if that is known.
func (e *Encoder) appendHead(b []byte, ev *vstream.Event, at []byte) []byte {
	prefix := e.TypePrefix
	if prefix == "" {
		prefix = DefaultTypePrefix
	}
	b = append(b, `{"specversion":"1.0","id":"`...)
	b = strconv.AppendInt(b, int64(ev.Offset), 10)
	b = append(b, `","source":"`...)
	b = appendEscaped(b, e.Source)
	b = append(b, `","type":"`...)
	b = appendEscaped(b, prefix)
	b = append(b, '.')
	b = appendEscaped(b, ev.Type)
	b = append(b, `.v0","datacontenttype":"application/json"`...)
	// The attribute is optional; a time that RFC 3339 cannot hold is left out.
	if y := ev.Time.Year(); len(at) > 0 || y >= 0 && y <= 9999 {
		b = append(b, `,"time":"`...)
		if len(at) > 0 {
			b = append(b, at...)
		} else {
			b = ev.Time.AppendFormat(b, time.RFC3339Nano)
		}
		b = append(b, '"')
	}
	return append(b, `,"data":`...)
}

// appendTail appends what follows the data: the extension attributes.
func (e *Encoder) appendTail(b []byte, ev *vstream.Event, truncated bool) []byte {
	b = append(b, `,"eventclass":"`...)
	b = append(b, ev.Class...)
	if e.APIVersion != "" {
		b = append(b, `","vsphereapiversion":"`...)
		b = appendEscaped(b, e.APIVersion)
	}
	b = append(b, `","severity":"`...)
	b = appendEscaped(b, ev.Severity)
	if truncated {
		return append(b, `","truncated":true}`...)
	}
	return append(b, `"}`...)
}
