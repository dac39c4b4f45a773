package vstream

import (
	"fmt"
	"strconv"
	"time"
)

// An Offset is where an event is in the log of its vCenter:
//
//	int64(epoch)<<32 | int64(uint32(key))
//
// The key is vCenter's own number of the event. In epoch 0, the first and for most
// vCenters the only one, the offset is the key. Offsets are sparse, because keys have
// gaps, and stay below 2^53, so that JavaScript reads them exactly.
type Offset int64

// maxEpoch keeps offsets below 2^53.
const maxEpoch = 1<<21 - 1

// OffsetOf returns the offset of the event that vCenter numbered key while its keys had
// started over epoch times. A negative key, as vCenters before 8.0U1 gave after 2^31
// events, counts on from the positive ones. It panics if epoch is above 2^21-1.
func OffsetOf(epoch uint32, key int32) Offset {
	if epoch > maxEpoch {
		panic(fmt.Sprintf("vstream: epoch %d is out of range", epoch))
	}
	return Offset(epoch)<<32 | Offset(uint32(key))
}

// Epoch returns how often the vCenter's keys had started over.
func (o Offset) Epoch() uint32 { return uint32(o >> 32) }

// Key returns vCenter's own number of the event.
func (o Offset) Key() int32 { return int32(uint32(o)) }

// String returns the offset in decimal, as it stands in URLs and in an event's id.
func (o Offset) String() string { return strconv.FormatInt(int64(o), 10) }

// Range is what a log holds: the offsets of its oldest and its newest event, both
// included.
type Range struct {
	Earliest Offset `json:"earliest"`
	Latest   Offset `json:"latest"`
}

// An Event is one thing that happened in a vCenter, as the log keeps it: the bytes that
// every reader gets, and beside them the few fields that finding and filtering need. It
// is immutable once it is in a log. Absent names are empty.
type Event struct {
	Offset   Offset
	Time     time.Time // when it happened by vCenter's clock, in UTC
	Type     string    // short name: a class such as VmPoweredOnEvent, or the id of an EventEx
	Class    string    // event, eventex or extendedevent
	Severity string    // info, warning, error or user
	Chain    int32     // key of the event that began the chain this one belongs to

	User, VM, Host, Cluster, Datacenter, Datastore, Network string

	Message string // vCenter's formatted text

	// JSON is the event as a CloudEvent 1.0 in JSON, on one line without a newline.
	// All parts of the program pass these bytes around; nobody encodes them again.
	JSON []byte
}

// idPrefix is what every CloudEvent of ours begins with, up to its id, which is the
// offset in decimal.
const idPrefix = `{"specversion":"1.0","id":"`

// WithOffset returns e at another offset, and with that as its id.
func (e Event) WithOffset(o Offset) Event {
	if o == e.Offset {
		return e
	}
	old := len(idPrefix) + len(e.Offset.String())
	if len(e.JSON) < old || string(e.JSON[:old]) != idPrefix+e.Offset.String() {
		panic(fmt.Sprintf("vstream: event %d is not written as an event", e.Offset))
	}
	moved := append([]byte(idPrefix), o.String()...)
	e.Offset, e.JSON = o, append(moved, e.JSON[old:]...)
	return e
}

// SameAs reports whether two events at one offset are the same, told twice, and not two
// events that got the same key. How an event is written may change in between: with an
// upgrade, or a setting.
func (e *Event) SameAs(other *Event) bool {
	return e.Time.Equal(other.Time) && e.Type == other.Type
}

// Target returns the most specific thing the event is about, or "".
func (e *Event) Target() string {
	for _, name := range []string{e.VM, e.Host, e.Datastore, e.Network, e.Cluster, e.Datacenter} {
		if name != "" {
			return name
		}
	}
	return ""
}

// Size returns how many bytes of memory the event takes, within a few per cent: what
// limits in bytes count.
func (e *Event) Size() int {
	const fixed = 280 // the struct itself and the headers of its allocations
	return fixed + len(e.JSON) + len(e.Message) + len(e.Type) + len(e.User) + len(e.VM) +
		len(e.Host) + len(e.Cluster) + len(e.Datacenter) + len(e.Datastore) + len(e.Network)
}
