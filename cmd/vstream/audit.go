package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"vstream"
	"vstream/client"
	"vstream/internal/cloudevent"
	"vstream/internal/collector"
	"vstream/internal/memlog"
)

// auditSettle is how long an event may take until the server has it, before it counts as
// missing.
const auditSettle = 30 * time.Second

func auditCommand() *cobra.Command {
	var (
		file string
		back = moment{given: true, ago: 24 * time.Hour}
		held connection
	)
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Compare what a server holds with the vCenters' own history",
		Long: "Read the vCenters' history and what the server holds of it, and count what the two do not\n" +
			"have in common. It changes nothing. How to read the vCenters is configured like a server: by the\n" +
			"environment or --config. The server to compare with is this machine's, on PORT, unless --server,\n" +
			"--context or " + serverVariable + " names another. The exit code is 1 when the server lacks events.\n\n" +
			"A server does the same by itself every few minutes, and fetches what it lacks; the last\n" +
			"result is at /api/v1/vcenters. Extra events are held but not in the history, folded ones are\n" +
			"repetitions that a vCenter removes from its history.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			since := time.Since(back.time())
			if since <= auditSettle {
				return usagef("--since: %v is too short; the newest %v are left out, for they may be on their way", since.Round(time.Second), auditSettle)
			}
			c, err := readConfig(os.Getenv, configPath(file))
			if err != nil {
				return err
			}
			if held.Server == "" && held.name == "" && os.Getenv(serverVariable) == "" {
				held.Server = "http://localhost:" + strconv.Itoa(c.port)
			}
			server, err := held.open(cmd)
			if err != nil {
				return err
			}
			if c.vcenters[0].url == nil {
				return errNoVCenter
			}
			readings := c.readings(nil, newLogger(io.Discard, false))
			if err := checkFiles(readings); err != nil {
				return err
			}
			ctx, cancel := held.bounded(cmd)
			defer cancel()
			return ended(ctx, cmd, auditAll(ctx, cmd.OutOrStdout(), cmd.ErrOrStderr(), server, readings, since))
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML file with the configuration")
	cmd.Flags().Var(back.flag("24h"), "since", "how far to look back, "+momentHelp)
	held.addFlags(cmd)
	return cmd
}

// auditAll compares one vCenter after the other and prints a line for each.
func auditAll(ctx context.Context, out, stderr io.Writer, server *client.Client, readings []reading, since time.Duration) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer table.Flush()
	header := sync.OnceFunc(func() { fmt.Fprintln(table, "VCENTER\tFROM\tTO\tEVENTS\tMISSING\tEXTRA\tFOLDED") })
	missing := int64(0)
	var failed error
	for _, r := range readings {
		a, err := r.audit(ctx, server, since)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s: %w", r.name, err))
			continue
		}
		missing += a.Missing
		if a.Events == 0 && a.Extra > 0 {
			failed = errors.Join(failed, fmt.Errorf("%s: nothing could be compared: the vCenter's history does not reach back to what the server holds", r.name))
		}
		if !a.From.Before(a.To) {
			fmt.Fprintf(stderr, "vstream: %s: nothing was compared: all that the server holds is of the last %v, which may be on their way; try again later\n", r.name, auditSettle)
		}
		header()
		fmt.Fprintf(table, "%s\t%s\t%s\t%d\t%d\t%d\t%d\n", r.name, a.From.UTC().Format(time.RFC3339), a.To.UTC().Format(time.RFC3339),
			a.Events, a.Missing, a.Extra, a.Folded)
	}
	if failed == nil && missing > 0 {
		failed = fmt.Errorf("the server lacks %d events; it fetches them at its next audit, within %v", missing, auditInterval)
	}
	return failed
}

func (r reading) audit(ctx context.Context, server *client.Client, since time.Duration) (vstream.Audit, error) {
	defer func() { _ = r.source.Close(ctx) }()
	if _, err := r.source.Open(ctx, time.Now()); err != nil {
		return vstream.Audit{}, err
	}
	now := time.Now().Add(r.source.Seen().Skew)
	if err := r.fetch(ctx, server); err != nil {
		return vstream.Audit{}, err
	}
	if _, ok := r.log.Range(); !ok {
		return vstream.Audit{}, errors.New("the server holds no events yet")
	}
	return collector.Compare(ctx, r.source, r.log, now.Add(-since), now.Add(-auditSettle))
}

// fetch fills r.log with what the server holds. Only what a comparison needs is kept.
func (r *reading) fetch(ctx context.Context, server *client.Client) error {
	r.log = memlog.New(1<<30, 1<<50)
	var batch []vstream.Event
	flush := func() error {
		err := r.log.Append(ctx, batch)
		batch = nil
		return err
	}
	absent := func(c client.Reconnect) error {
		if c.Cursor == nil { // it was never there
			return c.Err
		}
		return nil
	}
	for read, err := range server.VCenter(r.name).List(ctx, client.OnReconnect(absent)) {
		if err != nil {
			return fmt.Errorf("read what the server holds: %w", err)
		}
		e, err := cloudevent.Decode(read.JSON, r.typePrefix)
		if err != nil {
			return fmt.Errorf("read what the server holds: event %s is not one of vstream: %w", read.ID, err)
		}
		e.JSON, e.Message = nil, ""
		if batch = append(batch, e); len(batch) == 1000 {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
