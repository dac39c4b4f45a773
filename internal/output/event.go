package output

import (
	"strconv"
	"time"

	"vstream/client"
)

// EventColumns are the columns of events, with times as clock writes them. Several reports
// whether events of several vCenters are read: only then lines and tables name them.
func EventColumns(clock Clock, several func() bool) []Column {
	const narrow, all = InLine | InTable, InLine | InTable | InWide | InCSV
	// Events come in the order of time: where the first is of today, all are.
	today := len(clock(time.Now())) == len(time.TimeOnly)
	return []Column{
		{Name: "offset", Width: 8, In: InTable | InWide | InCSV},
		{Name: "time", Width: len(clock(time.Unix(1, 0))), Fit: today, In: all},
		{Name: "vcenter", Width: 12, Least: 7, In: all, Omit: func() bool { return !several() }},
		{Name: "severity", Width: 7, In: all},
		{Name: "type", Width: 32, Least: 16, Spare: 1, In: all},
		{Name: "target", Width: 20, Least: 14, In: narrow},
		{Name: "vm", Width: 20, In: InWide | InCSV},
		{Name: "host", Width: 20, In: InWide | InCSV},
		{Name: "cluster", Width: 12, In: InWide | InCSV},
		{Name: "datacenter", Width: 12, In: InWide | InCSV},
		{Name: "datastore", Width: 12, In: InWide | InCSV},
		{Name: "network", Width: 12, In: InWide | InCSV},
		{Name: "user", Width: 28, Least: 12, Spare: 2, In: all},
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
