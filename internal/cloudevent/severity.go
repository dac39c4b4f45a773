package cloudevent

import "github.com/vmware/govmomi/vim25/types"

// Severities returns the category (info, warning, error or user) of each kind of event
// that info, the eventInfo of a vCenter's EventDescription, tells of. Its keys are the
// short names of types, as in vstream.Event.
func Severities(info []types.EventDescriptionEventDetail) map[string]string {
	m := make(map[string]string, len(info))
	for i := range info {
		name, _ := typeOf(&info[i])
		if name != "" && info[i].Category != "" {
			m[name] = info[i].Category
		}
	}
	return m
}
