package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"vstream/client"
	"vstream/internal/output"
)

// getLast is how many events get prints, as a page of the API has.
const getLast = 50

func getCommand() *cobra.Command {
	var r reader
	cmd := &cobra.Command{
		Use:   "get [ID]",
		Short: "Print one event, or the newest ones",
		Long: "Print the event with this id, or the newest events that there are. Where the server has several\n" +
			"vCenters, an id is one of --vcenter.\n\n" +
			filterHelp + "\n\n" + connectionHelp,
		Example: "  vstream get\n" +
			"  vstream get 4711 -o yaml\n" +
			"  vstream get 4711 --vcenter vc1 --jq .data.Vm.Name\n" +
			"  vstream get -n 5 --severity error -o wide\n" +
			"  vstream get --chain 4711 --all --exit-status",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%q is too much: %s takes one id", args[1], cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := r.prepare(cmd)
			if err != nil {
				return err
			}
			if len(args) == 1 {
				return r.one(cmd, args[0])
			}
			if r.printURL {
				return r.printAddress(cmd, options)
			}
			_, err = r.run(cmd, cmd.OutOrStdout(), options, nil)
			return err
		},
	}
	r.addFlags(cmd, "line", getLast)
	return cmd
}

// one prints one event.
func (r *reader) one(cmd *cobra.Command, id string) error {
	for _, name := range []string{"since", "until", "offset", "cursor", "last", "all", "cursor-file", "filter", "grep", "field", "chain", "max-events"} {
		if cmd.Flags().Changed(name) {
			return usagef("--%s is for several events; leave it out, or the id", name)
		}
	}
	var o offset
	if err := o.Set(id); err != nil {
		return usagef("%q is not the id of an event, a number", id)
	}
	switch {
	case len(r.values["vcenter"]) > 0:
		return usagef("--vcenter: an id is one of a single vCenter; name that")
	case len(r.values) > 0:
		return usagef("filters are for several events; leave them out, or the id")
	}
	if r.printURL {
		text, err := r.server.URL()
		if err != nil {
			return usageError{err}
		}
		_, err = fmt.Fprintln(cmd.OutOrStdout(), text+"/"+o.String())
		return err
	}
	out := cmd.OutOrStdout()
	ctx, cancel := r.bounded(cmd)
	defer cancel()
	clock, err := r.clock(out)
	if err != nil {
		return err
	}
	form, err := r.parse(ctx, out, output.Options{
		Columns: output.EventColumns(clock, func() bool { return r.vcenters.several(ctx) }), Stream: true, Endless: true,
	})
	if err != nil {
		return err
	}
	e, err := r.server.Get(ctx, o.Offset)
	if err != nil {
		return ended(ctx, cmd, err)
	}
	w := output.NewWriter(out, form)
	if err := w.Write(output.EventRecord(e, clock, func(e client.Event) string { return r.vcenters.of(ctx, e.Source) })); err != nil {
		return r.blame(err)
	}
	return w.Close()
}
