package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"vstream"
	"vstream/internal/natslog"
)

// An export is what of a log to write.
type export struct {
	since    string // flag
	from, to int64  // flags
	start    vstream.Position
	output   string
}

func (t *logTool) exportCommand() *cobra.Command {
	var x export
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the events of a log, one a line",
		Long: "Write the events of a log in their order, each as the line of JSON that clients get. It goes to\n" +
			"stdout, or to the file of --output, which is there when all of it is.\n\n" +
			"--from and --since begin at the first event that has that offset or time, or a later one; --to\n" +
			"ends before the first event with a later offset. An event that came late is where it came.\n\n" +
			"What is not exported is what the log knows beside its events: the vCenter's instance uuid, and\n" +
			"an epoch that has begun without an event yet. See: vstream log import --help",
		Example: "  LOG_DIR=/var/lib/vstream vstream log export --vcenter vc1 --output vc1.ndjson\n" +
			"  LOG_DIR=/var/lib/vstream vstream log export --since 1d | jq -r .data.FullFormattedMessage\n" +
			"  LOG_DIR=/var/lib/vstream vstream log export --from 4712 | gzip > vc1-from-4712.ndjson.gz",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := x.check(cmd.Flags().Changed); err != nil {
				return err
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
				return x.run(ctx, cmd, s, name)
			})
		},
	}
	cmd.Flags().StringVar(&x.since, "since", "", "begin so long before now, as in 24h or 7d")
	cmd.Flags().Int64Var(&x.from, "from", 0, "begin at this offset")
	cmd.Flags().Int64Var(&x.to, "to", 0, "end with this offset")
	cmd.Flags().StringVar(&x.output, "output", "", "file to write instead of stdout")
	return cmd
}

// check looks at the flags.
func (x *export) check(given func(string) bool) error {
	x.start = vstream.Oldest{}
	switch {
	case given("since") && given("from"):
		return errors.New("--since and --from both say where to begin; give one of them")
	case given("from") && x.from < 0:
		return fmt.Errorf("--from: %d is not an offset", x.from)
	case given("from"):
		x.start = vstream.At(x.from)
	case given("since"):
		d, err := parseDuration(x.since)
		if err != nil {
			return fmt.Errorf("--since: %w", err)
		}
		x.start = vstream.Since(time.Now().Add(-d))
	}
	if !given("to") {
		x.to = math.MaxInt64
	}
	if x.to < x.from {
		return fmt.Errorf("--to: %d is before where it begins, %d", x.to, x.from)
	}
	return nil
}

func (x *export) run(ctx context.Context, cmd *cobra.Command, s *natslog.Store, name string) error {
	info, err := s.Info(ctx, name)
	if err != nil {
		return err
	}
	log, err := s.Log(ctx, name)
	if err != nil {
		return err
	}
	reader, err := log.Open(ctx, x.start)
	if err != nil {
		return err
	}
	total := info.Events
	if _, all := x.start.(vstream.Oldest); !all || x.to != math.MaxInt64 {
		total = 0
	}
	shown := newProgress(cmd.ErrOrStderr(), "exporting "+name, total)
	count := int64(0)
	write := func(w io.Writer) error {
		defer shown.end()
		var err error
		count, err = x.write(ctx, w, reader, shown)
		return err
	}
	if _, err := os.Lstat(x.output); x.output != "" && err == nil {
		return fmt.Errorf("--output: %s is there already; give another name, or remove it", x.output)
	}
	if x.output == "" {
		err = write(cmd.OutOrStdout())
	} else {
		err = writeWhole(x.output, write)
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %d events; the export is not complete", count)
	case err != nil:
		return err
	}
	holes := ""
	if info.Holes > 0 {
		holes = fmt.Sprintf("; %d are missing in the log, see: vstream log verify", info.Holes)
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "exported %d events of %s%s\n", count, name, holes)
	return nil
}

// write writes what reader gives, up to x.to, and returns how many events that were.
func (x *export) write(ctx context.Context, w io.Writer, reader vstream.Reader, shown *progress) (count int64, err error) {
	out := bufio.NewWriterSize(w, 1<<20)
	for {
		events, err := reader.Next(ctx)
		if err != nil {
			return count, errors.Join(err, out.Flush())
		}
		if len(events) == 0 {
			return count, out.Flush()
		}
		for i := range events {
			if int64(events[i].Offset) > x.to {
				return count, out.Flush()
			}
			_, _ = out.Write(events[i].JSON) // an error stays, and comes again
			if err := out.WriteByte('\n'); err != nil {
				return count, err
			}
			count++
		}
		if ctx.Err() != nil { // the newest events come from memory, which does not look
			return count, context.Cause(ctx)
		}
		shown.at(count, fmt.Sprintf("%d events", count))
	}
}

// writeWhole makes the file at path of what write writes: all of it, safe on its disk, or
// the file stays what it was.
func writeWhole(path string, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	defer os.Remove(file.Name()) // in vain when it has its name
	defer file.Close()
	if err := write(file); err != nil {
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return fmt.Errorf("--output: %w", err)
	}
	return nil
}
