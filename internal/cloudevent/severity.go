package cloudevent

import (
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// Severities returns the category (info, warning, error or user) of each kind of event
// that info, the eventInfo of a vCenter's EventDescription, tells of. Its keys are the
// short names of types, as in vstream.Event.
//
// All entries for EventEx have the same key, as do those for ExtendedEvent; what they
// are about stands in their format, "<eventTypeId>|<text>".
func Severities(info []types.EventDescriptionEventDetail) map[string]string {
	m := make(map[string]string, len(info))
	for i := range info {
		name := info[i].Key
		if name == "EventEx" || name == "ExtendedEvent" {
			id, _, ok := strings.Cut(info[i].FullFormat, "|")
			if !ok {
				continue // speaks of no event in particular
			}
			name = id
		}
		if name != "" && info[i].Category != "" {
			m[name] = info[i].Category
		}
	}
	return m
}
