package main

import (
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
			server, err := l.open(cmd)
			if err != nil {
				return err
			}
			ctx, cancel := l.bounded(cmd)
			defer cancel()
			all, err := server.VCenters(ctx)
			if err != nil {
				return ended(ctx, cmd, err)
			}
			var records []output.Record
			for _, v := range all {
				records = append(records, output.Record{JSON: v.JSON, Cells: func() []string { return vcenterCells(v, clock) }})
			}
			return l.print(cmd, vcenterColumns, records)
		},
	}
	l.addFlags(cmd, "table")
	return cmd
}

const wideOnly = output.InWide | output.InCSV

var vcenterColumns = []output.Column{
	{Name: "name", In: everyTable}, {Name: "state", In: everyTable}, {Name: "earliest", In: everyTable}, {Name: "latest", In: everyTable},
	{Name: "events", In: everyTable}, {Name: "bytes", In: wideOnly}, {Name: "rate", In: everyTable}, {Name: "lag", In: everyTable},
	{Name: "lastevent", In: everyTable}, {Name: "reconnects", In: wideOnly}, {Name: "gaps", In: wideOnly}, {Name: "product", In: wideOnly},
	{Name: "url", In: wideOnly}, {Name: "lasterror", In: everyTable},
}

func vcenterCells(v client.VCenterStatus, clock output.Clock) []string {
	earliest, latest := "", ""
	if v.Range != nil {
		earliest, latest = v.Range.Earliest.String(), v.Range.Latest.String()
	}
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	return []string{
		v.Name, string(v.State), earliest, latest, number(v.Log.Events), number(v.Log.Bytes), fmt.Sprintf("%.1f/s", v.Rate), inSeconds(v.Lag) + "s",
		clock(v.LastEvent), number(v.Reconnects), number(v.Gaps), v.Product, v.URL, v.LastError,
	}
}

func statusCommand() *cobra.Command {
	var l lister
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show whether the server answers, and whether all is well",
		Long: "Show which server is read, whether it answers and lets in, and whether it collects from all of its\n" +
			"vCenters. The exit code is 0 if it answers; more about each vCenter is told by: vstream vcenters\n\n" + connectionHelp,
		Example: "  vstream status\n" +
			"  vstream status --context prod --jq .collecting",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return l.status(cmd) },
	}
	l.addFlags(cmd, "table")
	return cmd
}

func (l *lister) status(cmd *cobra.Command) error {
	server, err := l.open(cmd)
	if err != nil {
		return err
	}
	ctx, cancel := l.bounded(cmd)
	defer cancel()
	all, err := server.VCenters(ctx)
	if err != nil {
		return ended(ctx, cmd, err)
	}
	_, name, err := l.resolve()
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
	}{Server: server.Server(), Context: name, State: "ok", VCenters: len(all)}
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
	}}})
}
