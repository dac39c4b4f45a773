package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"vstream"
)

// An Event is one thing that happened in a vCenter, as a CloudEvent. What it refers to is the
// caller's.
type Event struct {
	ID        string         // the offset in decimal; unique together with Source
	Offset    vstream.Offset // in the log of its vCenter
	Source    string         // the address of its vCenter
	Type      string         // as CloudEvents have it, such as vmware.vsphere.VmPoweredOnEvent.v0
	Time      time.Time      // when it happened by vCenter's clock, in UTC; zero where that cannot be written
	Class     string         // event, eventex, extendedevent or unknown
	Severity  string         // info, warning, error or user
	Truncated bool           // it was too long for the server, which has cut it

	// Cursor is the place right behind the event, over all vCenters that are read: where
	// another read goes on with [After]. An event of [Client.Get] has none.
	Cursor vstream.Cursor

	// JSON is the event byte for byte as the server has it, on one line without a newline.
	JSON []byte
}

// newEvent reads what an event says of itself. It keeps text.
func newEvent(text []byte) (Event, error) {
	var in struct {
		ID         string    `json:"id"`
		Source     string    `json:"source"`
		Type       string    `json:"type"`
		Time       time.Time `json:"time"`
		EventClass string    `json:"eventclass"`
		Severity   string    `json:"severity"`
		Truncated  bool      `json:"truncated"`
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return Event{}, errors.New("an event is not valid JSON")
	}
	offset, err := strconv.ParseUint(in.ID, 10, 63)
	if err != nil {
		return Event{}, errors.New("the id of an event is not an offset")
	}
	return Event{
		ID: in.ID, Offset: vstream.Offset(offset), Source: in.Source, Type: in.Type, Time: in.Time.UTC(),
		Class: in.EventClass, Severity: in.Severity, Truncated: in.Truncated, JSON: text,
	}, nil
}

// Decode reads what filters test, and the message: the names of what the event is about, who
// did it, and its short type, such as VmPoweredOnEvent. What the event does not have is
// empty. The work is done with each call.
func (e Event) Decode() (vstream.Event, error) {
	type named struct{ Name string }
	var in struct {
		ChainId                                             int32  //nolint:staticcheck // vSphere's names
		EventTypeId                                         string //nolint:staticcheck // vSphere's names
		UserName, FullFormattedMessage                      string
		Datacenter, ComputeResource, Host, Vm, Ds, Net, Dvs named //nolint:staticcheck // vSphere's names
	}
	err := e.DecodeData(&in)
	out := vstream.Event{
		Offset: e.Offset, Time: e.Time, Type: e.shortType(in.EventTypeId), Class: e.Class, Severity: e.Severity, Chain: in.ChainId,
		User: in.UserName, VM: in.Vm.Name, Host: in.Host.Name, Cluster: in.ComputeResource.Name, Datacenter: in.Datacenter.Name,
		Datastore: in.Ds.Name, Network: in.Net.Name, Message: in.FullFormattedMessage, JSON: e.JSON,
	}
	if out.Network == "" {
		out.Network = in.Dvs.Name
	}
	return out, err
}

// shortType is the type as filters have it: the name of a class, without dots, or the id of
// a type that an extension defines. What is before it can be configured.
func (e Event) shortType(id string) string {
	long := strings.TrimSuffix(e.Type, ".v0")
	if id != "" && strings.HasSuffix(long, "."+id) {
		return id
	}
	if e.Class != "event" {
		for _, prefix := range []string{"vmware.vsphere.", "com.vmware.vsphere."} {
			if short, ok := strings.CutPrefix(long, prefix); ok {
				return short
			}
		}
	}
	return long[strings.LastIndexByte(long, '.')+1:]
}

// DecodeData decodes the member data, the event as vSphere defines it, as [json.Unmarshal]
// does. Its names are vSphere's, in PascalCase.
func (e Event) DecodeData(v any) error {
	var in struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(e.JSON, &in); err != nil {
		return fmt.Errorf("decode event %s: %w", e.ID, err)
	}
	if in.Data == nil {
		return fmt.Errorf("decode event %s: it has no data", e.ID)
	}
	if err := json.Unmarshal(in.Data, v); err != nil {
		return fmt.Errorf("decode the data of event %s: %w", e.ID, err)
	}
	return nil
}
