package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

// tailLast is with how many events tail begins.
const tailLast = 10

func tailCommand() *cobra.Command {
	var (
		r                reader
		follow, noFollow bool
	)
	cmd := &cobra.Command{
		Use:     "tail",
		Aliases: []string{"watch"},
		Short:   "Follow events as they happen",
		Long: "Print the newest events, and those that happen, until stopped. When the connection or the server\n" +
			"goes away it comes again, where it was: no event is lost, and none is printed twice. What the\n" +
			"server did not keep until then is told on stderr.\n\n" +
			"With --cursor-file another run goes on behind what this one has written. The place is kept several\n" +
			"times a second: after a kill -9 or a loss of power, up to a second of events may come again. What was\n" +
			"written to a pipe counts as done with, though the program behind it may not have read it. A program\n" +
			"that must not miss an event keeps the place itself, as the Go package client does, or leaves out what\n" +
			"it has by the id, and begins some events earlier with --offset.\n\n" +
			filterHelp + "\n\n" + connectionHelp,
		Example: "  vstream tail\n" +
			"  vstream tail --severity error,warning --cluster 'prod-*'\n" +
			"  vstream tail --since 15m --type 'VmPowered*' --user '!*svc-backup'\n" +
			"  vstream tail --filter 'type == \"UserLoginSessionEvent\" && !data.IpAddress.startsWith(\"10.\")'\n" +
			"  vstream tail --cursor-file /var/lib/pager/place -o ndjson | ./pager\n" +
			"  vstream tail --since today --no-follow -o csv >today.csv\n" +
			"  vstream tail --jq '[.id, .data.FullFormattedMessage] | @tsv'",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := noArguments(cmd, args); err != nil {
				return fmt.Errorf("%w; events with this text: vstream tail --grep %s", err, args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			r.follow = follow && !noFollow
			options, err := r.prepare(cmd)
			if err != nil {
				return err
			}
			if r.printURL {
				return r.printAddress(cmd, options)
			}
			_, err = r.run(cmd, cmd.OutOrStdout(), options, nil)
			return err
		},
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", true, "print what happens from now on, too; tail does so without it")
	cmd.Flags().BoolVar(&noFollow, "no-follow", false, "end when all there is has been printed")
	r.addFlags(cmd, "line", tailLast)
	return cmd
}
