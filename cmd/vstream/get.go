package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"vstream/client"
	"vstream/internal/output"
)

// getLast is how many events get prints, as a page of the API has.
const getLast = 50

func getCommand() *cobra.Command {
	var r reader
	cmd := &cobra.Command{
		Use:   "get [ID…]",
		Short: "Print events by their id, or the newest ones",
		Long: "Print the events with these ids, or the newest events that there are: 50, unless --last, --since,\n" +
			"--offset, --cursor or --all say others. --since has all events of its time. Where the server has several\n" +
			"vCenters, an id is one of --vcenter.\n\n" +
			filterHelp + "\n\n" + connectionHelp,
		Example: "  vstream get\n" +
			"  vstream get 4711 -o yaml\n" +
			"  vstream get 4711 4712 --vcenter vc1 --jq .data.Vm.Name\n" +
			"  vstream get -n 5 --severity error -o wide\n" +
			"  vstream get --since today -n 20\n" +
			"  vstream get --chain 4711 --all --exit-status",
		RunE: func(cmd *cobra.Command, args []string) error {
			options, err := r.prepare(cmd)
			if err != nil {
				return err
			}
			if len(args) > 0 {
				return r.some(cmd, args)
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

// some prints the events with these ids.
func (r *reader) some(cmd *cobra.Command, ids []string) error {
	for _, name := range []string{"since", "until", "offset", "cursor", "last", "all", "cursor-file", "filter", "grep", "field", "chain", "max-events"} {
		if cmd.Flags().Changed(name) {
			return usagef("--%s is for searching events; leave it out, or the id", name)
		}
	}
	ids = strings.FieldsFunc(strings.Join(ids, ","), func(r rune) bool { return r == ',' })
	if len(ids) == 0 {
		return usagef("the id is empty; without one, the newest events are printed")
	}
	offsets := make([]offset, len(ids))
	for i, id := range ids {
		if err := offsets[i].Set(id); err != nil {
			return usagef("%q is not the id of an event, a number; without one, the newest events are printed", id)
		}
	}
	switch {
	case len(r.values["vcenter"]) > 0:
		return usagef("--vcenter: an id is one of a single vCenter; name that")
	case len(r.values) > 0:
		return usagef("filters are for searching events; leave them out, or the id")
	case r.printURL:
		return r.printAddresses(cmd.OutOrStdout(), offsets)
	}
	out := cmd.OutOrStdout()
	ctx, cancel := r.bounded(cmd)
	defer cancel()
	clock, err := r.clock(out)
	if err != nil {
		return err
	}
	form, err := r.parse(ctx, out, output.Options{
		Columns: output.EventColumns(clock, func() bool { return r.vcenters.several(ctx) }), Stream: true, Endless: len(ids) == 1,
	})
	if err != nil {
		return err
	}
	w := output.NewWriter(out, form)
	missing, err := r.writeSome(ctx, w, clock, offsets)
	switch {
	case err != nil:
		_ = w.Flush() // what came before; err says what ended it
		return ended(ctx, cmd, err)
	case missing != nil && len(ids) == 1:
		return missing
	}
	if err := w.Close(); err != nil {
		return err
	}
	return missing
}

// writeSome writes the events at offsets. Those that are not there are said and left out; the
// error about the last of them is returned.
func (r *reader) writeSome(ctx context.Context, w *output.Writer, clock output.Clock, offsets []offset) (missing, err error) {
	for _, o := range offsets {
		e, err := r.server.Get(ctx, o.Offset)
		err = r.explain(err)
		var expired *client.ExpiredError
		if errors.As(err, &expired) {
			err = &toldError{err, fmt.Sprintf("event %s is gone, or never was: the log holds %d to %d; those there are: vstream get --all", o.String(), expired.Earliest, expired.Latest)}
		}
		if is[*client.NotFoundError](err) || is[*client.ExpiredError](err) {
			if missing != nil {
				say(r.stderr, missing)
			}
			missing = err
			continue
		}
		if err == nil {
			err = r.blame(w.Write(output.EventRecord(e, clock, func(e client.Event) string { return r.vcenters.of(ctx, e.Source) })))
		}
		if err != nil {
			return nil, err
		}
	}
	return missing, nil
}

// printAddresses prints where the API has events.
func (r *reader) printAddresses(out io.Writer, offsets []offset) error {
	text, err := r.server.URL()
	if err != nil {
		return usageError{err}
	}
	for _, o := range offsets {
		if _, err := fmt.Fprintln(out, text+"/"+o.String()); err != nil {
			return err
		}
	}
	return nil
}
