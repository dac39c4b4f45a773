package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"vstream"
	"vstream/internal/natslog"
	"vstream/internal/spelling"
)

func logCommand() *cobra.Command {
	var t logTool
	cmd := &cobra.Command{
		Use:   "log",
		Short: "Look at the logs in LOG_DIR or NATS, copy, check and remove them",
		Long: "Look at the logs that a server keeps in LOG_DIR or NATS, copy, check and remove them. The commands are\n" +
			"configured like the server, by the environment or --config; vCenters need not be configured.\n\n" +
			"A directory is used by one process at a time: stop the server first. With NATS, servers may go on.",
		Example: "  LOG_DIR=/var/lib/vstream vstream log info\n" +
			"  LOG_DIR=/var/lib/vstream vstream log export --vcenter vc1 --output vc1.ndjson",
	}
	cmd.PersistentFlags().StringVar(&t.file, "config", "", "YAML file with the configuration")
	cmd.PersistentFlags().StringVar(&t.vcenter, "vcenter", "", "name of the vCenter whose log it is about")
	cmd.AddCommand(t.infoCommand(), t.exportCommand(), t.importCommand(), t.verifyCommand(), t.deleteCommand())
	return menu(cmd)
}

// alternatives is what to say after "there is no" name.
func alternatives(name string, known []string) string {
	if near := spelling.Nearest(name, known); near != "" {
		return "; did you mean " + near + "?"
	}
	if len(known) == 0 {
		return ""
	}
	return "; there are " + strings.Join(known, ", ")
}

// A logTool is what the commands for logs have in common.
type logTool struct {
	file, vcenter string // flags
}

// config reads the configuration, and fails if it names no place where logs are kept.
func (t *logTool) config() (config, error) {
	c, err := readConfig(os.Getenv, configPath(t.file))
	if err == nil && c.logDir == "" && c.nats.url == "" {
		err = errors.New("neither LOG_DIR nor NATS_URL is set, and a log in memory is seen by its server only; set the one that the server has")
	}
	return c, err
}

// toolMemory is what a command should get along with, unless GOMEMLIMIT says otherwise.
// The embedded server keeps what was read for 10 s, but gives it back to a garbage
// collector that comes; without a limit that is too late for hundreds of MiB.
const toolMemory = 256 << 20

// opener is natslog.Inspect, or natslog.Restore.
type opener func(context.Context, natslog.Config, func(context.Context, *natslog.Store) error) error

// with calls do with what the configuration names.
func (t *logTool) with(cmd *cobra.Command, c *config, open opener, do func(context.Context, *natslog.Store) error) error {
	if os.Getenv("GOMEMLIMIT") == "" {
		defer debug.SetMemoryLimit(debug.SetMemoryLimit(toolMemory))
	}
	level := slog.LevelWarn
	switch {
	case c.debug:
		level = slog.LevelDebug
	case c.logDir != "": // what it would warn of is damage, which the commands tell in their words
		level = slog.LevelError
	}
	logger := slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), &slog.HandlerOptions{Level: level}))
	opened := false
	err := open(cmd.Context(), c.store(logger), func(ctx context.Context, s *natslog.Store) error {
		opened = true
		return do(ctx, s)
	})
	switch {
	case errors.Is(err, context.Canceled):
		return errors.New("interrupted")
	case err != nil && !opened:
		return c.storeError(err)
	}
	return err
}

// choose returns the vCenters with a log that are meant: the one of the flag, or all.
func (t *logTool) choose(ctx context.Context, s *natslog.Store) ([]string, error) {
	names, err := s.VCenters(ctx)
	switch {
	case err != nil:
		return nil, err
	case len(names) == 0:
		return nil, errors.New("there are no logs yet")
	case t.vcenter == "":
		return names, nil
	case !slices.Contains(names, t.vcenter):
		return nil, fmt.Errorf("--vcenter: there is no log of %q%s", t.vcenter, alternatives(t.vcenter, names))
	}
	return []string{t.vcenter}, nil
}

// chooseOne is choose where only one will do.
func (t *logTool) chooseOne(ctx context.Context, s *natslog.Store) (string, error) {
	names, err := t.choose(ctx, s)
	switch {
	case err != nil:
		return "", err
	case len(names) > 1:
		return "", fmt.Errorf("there are the logs of %s; choose one with --vcenter", strings.Join(names, ", "))
	}
	return names[0], nil
}

// oneLine returns all of errs as one error, for one line; nil if there are none.
func oneLine(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	texts := make([]string, len(errs))
	for i, err := range errs {
		texts[i] = err.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}

// typePrefix is what types of a vCenter's events begin with, as far as that is configured.
func (c *config) typePrefix(vcenter string) string {
	for _, v := range c.vcenters {
		if v.name == vcenter {
			return v.typePrefix
		}
	}
	return c.vcenters[0].typePrefix
}

func (t *logTool) infoCommand() *cobra.Command {
	asJSON := false
	cmd := &cobra.Command{
		Use:   "info",
		Short: "Say what there is of each log",
		Long: "Say of each log there is how much it holds, from when, and what is wrong with it as far as that\n" +
			"can be seen without reading it. All of it is read by: vstream log verify",
		Example: "  LOG_DIR=/var/lib/vstream vstream log info\n" +
			"  LOG_DIR=/var/lib/vstream vstream log info --json | jq '.[].events'",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := t.config()
			if err != nil {
				return err
			}
			return t.with(cmd, &c, natslog.Inspect, func(ctx context.Context, s *natslog.Store) error {
				names, err := t.choose(ctx, s)
				if err != nil {
					return err
				}
				infos := make([]natslog.Info, 0, len(names))
				var failed []error // one damaged log does not hide the others
				for _, name := range names {
					info, err := s.Info(ctx, name)
					switch {
					case ctx.Err() != nil:
						return context.Cause(ctx)
					case err != nil:
						failed = append(failed, fmt.Errorf("the log of %s: %w", name, err))
					default:
						infos = append(infos, info)
					}
				}
				if asJSON {
					err = printInfoJSON(cmd.OutOrStdout(), infos)
				} else {
					err = printInfo(cmd.OutOrStdout(), infos, c.nats.url != "")
				}
				return cmp.Or(err, oneLine(failed))
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print an array for scripts")
	return cmd
}

// logInfo is natslog.Info as it is printed for scripts. What is not known, or is not there, is
// null.
type logInfo struct {
	VCenter    string         `json:"vcenter"`
	Events     int64          `json:"events"`
	Late       int64          `json:"late"`
	Bytes      int64          `json:"bytes"`
	MaxBytes   int64          `json:"maxBytes"` // 0 without a limit
	MaxAge     float64        `json:"maxAge"`   // in seconds, by the configuration of this command; 0 is for ever
	Range      *vstream.Range `json:"range"`    // null while it has never held anything
	FirstEvent *time.Time     `json:"firstEvent"`
	LastEvent  *time.Time     `json:"lastEvent"`
	FirstEpoch uint32         `json:"firstEpoch"`
	LastEpoch  uint32         `json:"lastEpoch"`
	Instance   *string        `json:"instance"` // of the vCenter
	Holes      int64          `json:"holes"`
	Replicas   int            `json:"replicas"`
	Leader     *string        `json:"leader"` // null without a cluster, and while that has none
}

func printInfoJSON(out io.Writer, infos []natslog.Info) error {
	all := make([]logInfo, len(infos))
	for i := range infos {
		in := &infos[i]
		all[i] = logInfo{
			VCenter: in.VCenter, Events: in.Events, Late: in.Late, Bytes: in.Bytes, MaxBytes: in.MaxBytes, MaxAge: in.MaxAge.Seconds(),
			Range: in.Range, FirstEpoch: in.Epoch, LastEpoch: in.Epoch, Instance: some(in.Instance), Holes: in.Holes, Replicas: in.Replicas, Leader: some(in.Leader),
		}
		if in.Range != nil {
			all[i].FirstEvent, all[i].LastEvent = &in.Oldest, &in.Newest
			all[i].FirstEpoch = in.Range.Earliest.Epoch()
		}
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(all)
}

// some is text, or nil if there is none.
func some(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func printInfo(out io.Writer, infos []natslog.Info, cluster bool) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for i := range infos {
		in := &infos[i]
		if i > 0 {
			fmt.Fprintln(table)
		}
		row := func(name, format string, args ...any) {
			fmt.Fprintf(table, "%s\t"+format+"\n", append([]any{name}, args...)...)
		}
		row("VCENTER", "%s", in.VCenter)
		row("events", "%d, %d of them late", in.Events, in.Late)
		limit, age := "without limit", "for ever"
		if in.MaxBytes > 0 {
			limit = "of at most " + humanize.IBytes(uint64(in.MaxBytes))
		}
		if in.MaxAge > 0 {
			age = in.MaxAge.String()
		}
		if day := 24 * time.Hour; in.MaxAge > 0 && in.MaxAge%day == 0 {
			age = fmt.Sprintf("%dd", in.MaxAge/day)
		}
		row("size", "%s %s", humanize.IBytes(uint64(in.Bytes)), limit)
		row("retention", "%s by this configuration; the server's own counts", age)
		epoch := in.Epoch
		if in.Range != nil {
			row("offsets", "%d to %d", in.Range.Earliest, in.Range.Latest)
			row("times", "%s to %s", in.Oldest.Format(time.RFC3339), in.Newest.Format(time.RFC3339))
			epoch = in.Range.Earliest.Epoch()
		}
		if epoch == in.Epoch {
			row("epoch", "%d", epoch)
		} else {
			row("epochs", "%d to %d", epoch, in.Epoch)
		}
		if in.Instance != "" {
			row("instance", "%s", in.Instance)
		}
		if in.Holes == 0 {
			row("holes", "none seen")
		} else {
			row("holes", "%d events are missing; see: vstream log verify", in.Holes)
		}
		if cluster && in.Leader != "" {
			row("copies", "%d, led by %s", in.Replicas, in.Leader)
		} else if cluster {
			row("copies", "%d, without a leader now", in.Replicas)
		}
	}
	return table.Flush()
}
