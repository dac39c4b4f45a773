package output

import (
	"strconv"

	"vstream/client"
)

// EventColumns are the columns of events. Several reports whether events of several vCenters
// are read: only then lines and tables name them.
func EventColumns(several func() bool) []Column {
	const narrow, all = InLine | InTable, InLine | InTable | InWide | InCSV
	return []Column{
		{Name: "offset", Width: 8, In: InTable | InWide | InCSV},
		{Name: "time", Width: 24, In: all},
		{Name: "vcenter", Width: 12, In: all, Omit: func() bool { return !several() }},
		{Name: "severity", Width: 7, In: all},
		{Name: "type", Width: 28, In: all},
		{Name: "target", Width: 20, In: narrow},
		{Name: "vm", Width: 20, In: InWide | InCSV},
		{Name: "host", Width: 20, In: InWide | InCSV},
		{Name: "cluster", Width: 12, In: InWide | InCSV},
		{Name: "datacenter", Width: 12, In: InWide | InCSV},
		{Name: "datastore", Width: 12, In: InWide | InCSV},
		{Name: "network", Width: 12, In: InWide | InCSV},
		{Name: "user", Width: 20, In: all},
		{Name: "chain", Width: 8, In: InWide | InCSV},
		{Name: "eventclass", Width: 13, In: InWide | InCSV},
		{Name: "message", In: all},
	}
}

// EventRecord is an event of a vCenter, whose name vcenter returns. What cannot be decoded has
// empty cells.
func EventRecord(e client.Event, clock Clock, vcenter func(client.Event) string) Record {
	return Record{JSON: e.JSON, Cells: func() []string {
		d, _ := e.Decode()
		chain := ""
		if d.Chain != 0 {
			chain = strconv.Itoa(int(d.Chain))
		}
		return []string{
			e.ID, clock(e.Time), vcenter(e), e.Severity, d.Type, d.Target(), d.VM, d.Host, d.Cluster, d.Datacenter, d.Datastore, d.Network,
			d.User, chain, e.Class, d.Message,
		}
	}}
}
