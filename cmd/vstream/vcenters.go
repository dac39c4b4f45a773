package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"vstream"
	"vstream/client"
	"vstream/internal/output"
)

func vcentersCommand() *cobra.Command {
	var l lister
	cmd := &cobra.Command{
		Use:   "vcenters",
		Short: "List the vCenters that the server reads, and how that goes",
		Long: "List the vCenters that the server reads, with what it holds of each and the last error, if there\n" +
			"was one. What the states mean is in docs/api.md.\n\n" + connectionHelp,
		Example: "  vstream vcenters\n" +
			"  vstream vcenters -o wide\n" +
			"  vstream vcenters -o custom-columns=NAME:.name,AUDIT:.audit.at",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			clock, err := l.clock(cmd.OutOrStdout())
			if err != nil {
				return err
			}
			all, err := l.vcenters(cmd)
			if err != nil {
				return err
			}
			var records []output.Record
			for _, v := range all {
				records = append(records, output.Record{JSON: v.JSON, Cells: func() []string { return vcenterCells(v, clock) }})
			}
			return l.print(cmd, vcenterColumns, records, "no vCenters found")
		},
	}
	l.addFlags(cmd, "table")
	return cmd
}

// vcenters returns the vCenters of the server.
func (l *lister) vcenters(cmd *cobra.Command) ([]client.VCenterStatus, error) {
	return ask(cmd, &l.connection, func(ctx context.Context, server *client.Client) ([]client.VCenterStatus, error) {
		return server.VCenters(ctx)
	})
}

const wideOnly = output.InWide | output.InCSV

var vcenterColumns = []output.Column{
	{Name: "name", In: everyTable}, {Name: "state", In: everyTable}, {Name: "earliest", In: everyTable}, {Name: "latest", In: everyTable},
	{Name: "events", In: everyTable}, {Name: "bytes", In: wideOnly}, {Name: "rate", Unit: "/s", In: everyTable}, {Name: "lag", Unit: "s", In: everyTable},
	{Name: "lastevent", In: everyTable}, {Name: "reconnects", In: wideOnly}, {Name: "gaps", In: wideOnly}, {Name: "product", In: wideOnly},
	{Name: "url", In: wideOnly}, {Name: "lasterror", Least: 16, In: everyTable},
}

func vcenterCells(v client.VCenterStatus, clock output.Clock) []string {
	earliest, latest := "", ""
	if v.Range != nil {
		earliest, latest = v.Range.Earliest.String(), v.Range.Latest.String()
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{
		v.Name, string(v.State), earliest, latest, number(v.Log.Events), number(v.Log.Bytes), fmt.Sprintf("%.1f", v.Rate), inSeconds(v.Lag),
		clock(v.LastEvent), number(v.Reconnects), number(v.Gaps), v.Product, v.URL, v.LastError,
	}
}

func statusCommand() *cobra.Command {
	var l lister
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether the server answers, and whether all is well",
		Long: "Show which server is read, whether it answers, and whether it collects from all of its vCenters.\n" +
			"The exit code is 0 if it answers; more about each vCenter is told by: vstream vcenters\n\n" + connectionHelp,
		Example: "  vstream status\n" +
			"  vstream status --context prod --jq .collecting",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return l.status(cmd) },
	}
	l.addFlags(cmd, "table")
	return cmd
}

func (l *lister) status(cmd *cobra.Command) error {
	all, err := l.vcenters(cmd)
	if err != nil {
		return err
	}
	target, name, err := l.resolve()
	if err != nil {
		return err
	}
	s := struct {
		Server     string  `json:"server"`
		Context    string  `json:"context"`
		State      string  `json:"state"`
		VCenters   int     `json:"vcenters"`
		Collecting int     `json:"collecting"`
		Events     int64   `json:"events"`
		Bytes      int64   `json:"bytes"`
		Rate       float64 `json:"rate"`
	}{Server: target.Server, Context: name, State: "ok", VCenters: len(all)}
	for _, v := range all {
		if v.State == vstream.Collecting || v.State == vstream.Standby {
			s.Collecting++
		} else {
			s.State = "degraded"
			l.talk("%s is %s: %s", v.Name, v.State, v.LastError)
		}
		s.Events, s.Bytes, s.Rate = s.Events+v.Log.Events, s.Bytes+v.Log.Bytes, s.Rate+v.Rate
	}
	var columns []output.Column
	for _, name := range []string{"server", "context", "state", "vcenters", "events", "size", "rate"} {
		columns = append(columns, output.Column{Name: name, In: everyTable})
	}
	return l.print(cmd, columns, []output.Record{{JSON: document(s), Cells: func() []string {
		return []string{s.Server, s.Context, s.State, fmt.Sprintf("%d of %d collecting", s.Collecting, s.VCenters), humanize.Comma(s.Events),
			humanize.IBytes(uint64(s.Bytes)), fmt.Sprintf("%.1f/s", s.Rate)}
	}}}, "")
}
