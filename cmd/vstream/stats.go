package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"vstream/client"
	"vstream/internal/output"
)

// countable are the fields that servers count by, and time.
var countable = []string{"severity", "type", "vm", "host", "cluster", "datacenter", "user", "vcenter", "time"}

// A counting is how to count events: flags.
type counting struct {
	lister
	filter
	by           string
	top, buckets int
	since, until moment
}

func statsCommand() *cobra.Command {
	var c counting
	cmd := &cobra.Command{
		Use:   "stats --by FIELD",
		Short: "Count events by a field, or over time",
		Long: "Count the events that the server keeps by severity, type, vm, host, cluster, datacenter, user or\n" +
			"vcenter, the most frequent value first, or over time. Events without a value do not count.\n\n" +
			filterHelp + "\n\n" + connectionHelp,
		Example: "  vstream stats --by user --since 1d\n" +
			"  vstream stats --by vm --type 'VmPowered*' --top 5\n" +
			"  vstream stats --by time --since today --severity error",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains(countable, c.by) {
				return usagef("--by: events are not counted by %q%s", c.by, alternatives(c.by, countable))
			}
			options, err := c.options()
			if err == nil {
				err = inOrder(c.since, c.until)
			}
			if err != nil {
				return err
			}
			if c.since.given {
				options = append(options, c.since.since())
			}
			if c.until.given {
				options = append(options, client.Until(c.until.time()))
			}
			if c.by == "time" {
				return c.explain(c.overTime(cmd, options))
			}
			return c.explain(c.byField(cmd, options))
		},
	}
	flags := cmd.Flags()
	flags.SortFlags = false // they are in groups
	flags.StringVar(&c.by, "by", "type", "count by severity, type, vm, host, cluster, datacenter, user, vcenter or time")
	flags.IntVar(&c.top, "top", 20, "how many values, 1 to 100")
	flags.IntVar(&c.buckets, "buckets", 24, "into how many parts to divide the time at most, 2 to 300")
	flags.VarP(c.since.flag(""), "since", "s", "count from the first event of this time, "+momentHelp)
	flags.Var(c.until.flag(""), "until", "count to the last event of this time")
	c.filter.addFlags(cmd)
	c.lister.addFlags(cmd, "table")
	complete(cmd, "by", func(*cobra.Command, string) []string { return countable })
	return cmd
}

const everyTable = output.InTable | output.InWide | output.InCSV

func (c *counting) byField(cmd *cobra.Command, options []client.ReadOption) error {
	var unseen []string
	counts, err := ask(cmd, &c.connection, func(ctx context.Context, server *client.Client) (client.Facets, error) {
		counts, err := server.Facets(ctx, append(options, client.Top(c.top))...)
		if err == nil && !c.quiet && (counts.Events == 0 || c.forPeople() && len(c.named["user"]) > 0) {
			unseen = c.unseen(ctx, server)
		}
		if err == nil && c.since.given && c.forPeople() {
			c.sayReach(ctx, server, c.since)
		}
		return counts, err
	})
	if err != nil {
		return err
	}
	var records []output.Record
	facet := counts.Facets[c.by]
	for _, v := range facet.Values {
		share := fmt.Sprintf("%.1f", 100*float64(v.Count)/float64(max(counts.Events, 1)))
		records = append(records, output.Record{
			JSON: document(struct {
				Value string `json:"value"`
				Count int64  `json:"count"`
			}{v.Value, v.Count}),
			Cells: func() []string { return []string{v.Value, strconv.FormatInt(v.Count, 10), share} },
		})
	}
	for _, text := range unseen {
		c.talk("%s", text)
	}
	if err := c.print(cmd, []output.Column{
		{Name: c.by, Least: 16, In: everyTable}, {Name: "count", In: everyTable}, {Name: "percent", Unit: "%", In: everyTable},
	}, records, "no events found"); err != nil {
		return err
	}
	if facet.Others > 0 {
		c.talk("%d more; --top shows up to 100", facet.Others)
	}
	c.coverage(counts.Completeness)
	return nil
}

func (c *counting) overTime(cmd *cobra.Command, options []client.ReadOption) error {
	clock, err := c.clock(cmd.OutOrStdout())
	if err != nil {
		return err
	}
	var oldest time.Time
	counts, err := ask(cmd, &c.connection, func(ctx context.Context, server *client.Client) (client.Histogram, error) {
		counts, err := server.Histogram(ctx, append(options, client.Buckets(c.buckets))...)
		if err == nil && c.since.given {
			oldest = oldestTime(ctx, server)
			if c.forPeople() {
				c.sayReach(ctx, server, c.since)
			}
		}
		return counts, err
	})
	if err != nil {
		return err
	}
	var records []output.Record
	for _, b := range counts.Buckets {
		total := b.Info + b.Warning + b.Error + b.User + b.Other
		if total == 0 && !b.Time.Add(counts.Width).After(oldest) {
			continue // before the log: it is not known that there was nothing
		}
		records = append(records, output.Record{
			JSON: document(struct {
				Time    time.Time `json:"time"`
				Count   int64     `json:"count"`
				Info    int64     `json:"info"`
				Warning int64     `json:"warning"`
				Error   int64     `json:"error"`
				User    int64     `json:"user"`
				Other   int64     `json:"other"`
			}{b.Time, total, b.Info, b.Warning, b.Error, b.User, b.Other}),
			Cells: func() []string {
				cells := []string{clock(b.Time)}
				for _, n := range []int64{total, b.Info, b.Warning, b.Error, b.User, b.Other} {
					cells = append(cells, strconv.FormatInt(n, 10))
				}
				return cells
			},
		})
	}
	var columns []output.Column
	for _, name := range []string{"time", "count", "info", "warning", "error", "user", "other"} {
		columns = append(columns, output.Column{Name: name, In: everyTable})
	}
	if err := c.print(cmd, columns, records, "no events found"); err != nil {
		return err
	}
	c.coverage(counts.Completeness)
	return nil
}

// coverage says which events were counted, if not all.
func (c *counting) coverage(of client.Completeness) {
	switch {
	case of.Complete:
	case of.CompleteSince.IsZero():
		c.talk("not all events are counted; the server is still looking through its log, or a filter takes too long: narrow it")
	default:
		c.talk("all events are counted from %s on, older ones in part", of.CompleteSince.Local().Format(time.DateTime))
	}
}
