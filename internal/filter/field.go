package filter

import "vstream"

// A Field is what of an event a filter parameter tests.
type Field int

// The fields, in the order in which they are tested: those that few events pass come early.
const (
	Type Field = iota
	Class
	Severity
	VM
	Host
	Cluster
	Datacenter
	Datastore
	Network
	User
	VCenter
)

// Fields is how many fields there are.
const Fields = int(VCenter) + 1

var fieldNames = [Fields]string{
	"type", "eventclass", "severity", "vm", "host", "cluster", "datacenter", "datastore", "network", "user", "vcenter",
}

// String returns the name of the parameter that tests the field.
func (f Field) String() string { return fieldNames[f] }

// Of returns the field of an event of the vCenter of that name, or "" if it has none.
func (f Field) Of(vcenter string, e *vstream.Event) string {
	switch f {
	case Type:
		return e.Type
	case Class:
		return e.Class
	case Severity:
		return e.Severity
	case VM:
		return e.VM
	case Host:
		return e.Host
	case Cluster:
		return e.Cluster
	case Datacenter:
		return e.Datacenter
	case Datastore:
		return e.Datastore
	case Network:
		return e.Network
	case User:
		return e.User
	default:
		return vcenter
	}
}

// known returns the values a field can have where those are few, or nil.
func (f Field) known() []string {
	switch f {
	case Class:
		return []string{"event", "eventex", "extendedevent", "unknown"}
	case Severity:
		return []string{"info", "warning", "error", "user"}
	default:
		return nil
	}
}
