package cloudevent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"vstream"
)

// head is what every event begins with, up to its id.
const head = `{"specversion":"1.0","id":"`

// maxOffset is the highest offset there can be.
const maxOffset = 1<<53 - 1

// Decode returns the event that was written as text: what Encode and EncodeRaw gave beside
// the JSON, made from the JSON alone. The event refers to text, which must not change any
// more.
//
// typePrefix is what types begin with, DefaultTypePrefix when empty. It counts for the few
// events only whose data does not tell the type: those that are truncated or of the class
// unknown. A time that RFC 3339 cannot hold is not in the JSON, and so is zero here.
func Decode(text []byte, typePrefix string) (vstream.Event, error) {
	type named struct{ Name string }
	var in struct {
		Type, EventClass, Severity string
		Time                       string
		Data                       *struct {
			ChainId                                             int32 //nolint:staticcheck // vSphere's names
			UserName, FullFormattedMessage                      string
			Datacenter, ComputeResource, Host, Vm, Ds, Net, Dvs *named  //nolint:staticcheck // vSphere's names
			EventTypeId                                         *string //nolint:staticcheck // vSphere's names
		}
	}
	rest, ok := bytes.CutPrefix(text, []byte(head))
	if !ok {
		return vstream.Event{}, fmt.Errorf("it does not begin with %s", head)
	}
	id, _, _ := bytes.Cut(rest, []byte{'"'})
	offset, err := strconv.ParseInt(string(id), 10, 64)
	if err != nil || offset < 0 || offset > maxOffset || strconv.FormatInt(offset, 10) != string(id) {
		return vstream.Event{}, fmt.Errorf("its id %.40q is not an offset", id)
	}
	if err := json.Unmarshal(text, &in); err != nil {
		return vstream.Event{}, fmt.Errorf("it is not valid: %w", err)
	}
	if in.Data == nil {
		return vstream.Event{}, errors.New("it has no data")
	}
	e := vstream.Event{
		Offset: vstream.Offset(offset), Class: in.EventClass, Severity: in.Severity, Chain: in.Data.ChainId,
		User: in.Data.UserName, Message: in.Data.FullFormattedMessage, JSON: text,
	}
	for target, n := range map[*string]*named{
		&e.VM: in.Data.Vm, &e.Host: in.Data.Host, &e.Cluster: in.Data.ComputeResource,
		&e.Datacenter: in.Data.Datacenter, &e.Datastore: in.Data.Ds, &e.Network: in.Data.Net,
	} {
		if n != nil {
			*target = n.Name
		}
	}
	if in.Data.Net == nil && in.Data.Dvs != nil {
		e.Network = in.Data.Dvs.Name
	}
	if in.Time != "" {
		if e.Time, err = time.Parse(time.RFC3339Nano, in.Time); err != nil {
			return vstream.Event{}, fmt.Errorf("its time: %w", err)
		}
		e.Time = e.Time.UTC()
	}
	if e.Severity == "" {
		return vstream.Event{}, errors.New("it has no severity")
	}
	long, ok := strings.CutSuffix(in.Type, ".v0")
	if !ok {
		return vstream.Event{}, fmt.Errorf("its type %.80q does not end with .v0", in.Type)
	}
	typeID := in.Data.EventTypeId
	switch {
	case e.Class == "event", typeID != nil && *typeID == "": // the name of a class of vSphere, without dots
		e.Type = long[strings.LastIndexByte(long, '.')+1:]
	case e.Class != "eventex" && e.Class != "extendedevent" && e.Class != "unknown":
		return vstream.Event{}, fmt.Errorf("its eventclass is %.40q", e.Class)
	case typeID != nil && strings.HasSuffix(long, "."+*typeID):
		e.Type = *typeID
	default:
		e.Type, err = withoutPrefix(long, typePrefix)
	}
	return e, err
}

// withoutPrefix takes from a type what it begins with: what is configured, or has been the
// default at some time.
func withoutPrefix(long, typePrefix string) (string, error) {
	for _, prefix := range []string{typePrefix, DefaultTypePrefix, "com.vmware.vsphere"} {
		if short, ok := strings.CutPrefix(long, prefix+"."); ok && prefix != "" {
			return short, nil
		}
	}
	return "", fmt.Errorf("its type %.80q does not begin with %q", long, typePrefix)
}
