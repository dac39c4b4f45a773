package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"vstream"
	"vstream/internal/duration"
	"vstream/internal/natslog"
)

// An export is what of a log to write.
type export struct {
	since    string // flag
	from, to offset // flags
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
			if err := x.check(cmd.Flags().Changed("since")); err != nil {
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
	cmd.Flags().Var(&x.from, "from", "begin at this offset")
	cmd.Flags().Var(&x.to, "to", "end with this offset")
	cmd.Flags().StringVar(&x.output, "output", "", "file to write instead of stdout")
	return cmd
}

// An offset is a flag whose value is one. That nothing was given is written as nothing.
type offset struct {
	vstream.Offset
	given bool
}

func (o *offset) String() string {
	if !o.given {
		return ""
	}
	return o.Offset.String()
}

func (*offset) Type() string { return "offset" }

func (o *offset) Set(text string) error {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return errors.New("it is not an offset, the number that is the id of an event")
	}
	*o = offset{vstream.Offset(n), true}
	return nil
}

// check looks at the flags.
func (x *export) check(since bool) error {
	x.start = vstream.Oldest{}
	switch {
	case since && x.from.given:
		return errors.New("--since and --from both say where to begin; give one of them")
	case x.from.given:
		x.start = vstream.At(x.from.Offset)
	case since:
		d, err := duration.Parse(x.since)
		if err != nil {
			return fmt.Errorf("--since: %w", err)
		}
		x.start = vstream.Since(time.Now().Add(-d))
	}
	if !x.to.given {
		x.to.Offset = math.MaxInt64
	}
	if x.to.Offset < x.from.Offset {
		return fmt.Errorf("--to: %d is before where it begins, %d", x.to.Offset, x.from.Offset)
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
	if _, all := x.start.(vstream.Oldest); !all || x.to.given {
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
	fmt.Fprintf(cmd.ErrOrStderr(), "exported %d events of %s%s\n", count, name, x.remark(&info))
	return nil
}

// remark is what else there is to say of an export.
func (x *export) remark(info *natslog.Info) string {
	switch {
	case info.Range == nil:
		return "; the log has never held any"
	case x.from.given && x.from.Offset == info.Range.Latest+1:
		return fmt.Sprintf("; nothing is newer than %d, where the log ends", info.Range.Latest)
	case x.from.given && x.from.Offset > info.Range.Latest:
		return fmt.Sprintf("; the log ends at %d, before --from %d: is it the log that you mean?", info.Range.Latest, x.from.Offset)
	case info.Holes > 0:
		return fmt.Sprintf("; %d are missing in the log, see: vstream log verify", info.Holes)
	}
	return ""
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
			if events[i].Offset > x.to.Offset {
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
		return notWritten(path, err)
	}
	defer os.Remove(file.Name()) // in vain when it has its name
	defer file.Close()
	if err := write(file); err != nil {
		var failed *fs.PathError
		if errors.As(err, &failed) && failed.Path == file.Name() {
			return notWritten(path, err)
		}
		return err
	}
	if err := errors.Join(file.Sync(), file.Close()); err != nil {
		return notWritten(path, err)
	}
	if err := os.Rename(file.Name(), path); err != nil {
		return notWritten(path, err)
	}
	return nil
}

// notWritten says why there is no file at path, whatever other name it had meanwhile.
func notWritten(path string, err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return fmt.Errorf("--output: %s cannot be written: %w", path, err)
}
