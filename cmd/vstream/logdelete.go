package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"vstream/internal/natslog"
)

func (t *logTool) deleteCommand() *cobra.Command {
	sure := false
	cmd := &cobra.Command{
		Use:   "delete",
		Short: "Remove the log of a vCenter for good",
		Long: "Remove the log of a vCenter for good, as that of one that is gone, or has another name now. It is\n" +
			"refused while a server collects into it, or would; with NATS, one that was killed counts for some\n" +
			"15 seconds more.",
		Example: "  LOG_DIR=/var/lib/vstream vstream log export --vcenter old --output old.ndjson\n" +
			"  LOG_DIR=/var/lib/vstream vstream log delete --vcenter old --yes",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if t.vcenter == "" {
				return errors.New("--vcenter is not given; say whose log to remove")
			}
			c, err := t.config()
			if err != nil {
				return err
			}
			return t.with(cmd, &c, natslog.Inspect, func(ctx context.Context, s *natslog.Store) error {
				name, err := t.chooseOne(ctx, s)
				if err != nil {
					return err
				}
				servers, err := s.Servers(ctx, name)
				if err != nil {
					return err
				}
				if len(servers) > 0 {
					return fmt.Errorf("the log of %s is in use by %s; stop that first, or take the vCenter out of its configuration", name, strings.Join(servers, ", "))
				}
				info, err := s.Info(ctx, name)
				if err != nil {
					return err
				}
				what := fmt.Sprintf("the log of %s, %d events, %s", name, info.Events, humanize.IBytes(uint64(info.Bytes)))
				if !sure {
					return fmt.Errorf("this removes %s, for good; add --yes if that is meant", what)
				}
				if err := s.Delete(ctx, name); err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), "removed "+what)
				return err
			})
		},
	}
	cmd.Flags().BoolVar(&sure, "yes", false, "yes, remove it")
	return cmd
}
