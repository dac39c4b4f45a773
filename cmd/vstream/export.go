package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"vstream/client"
	"vstream/internal/output"
)

func exportCommand() *cobra.Command {
	var (
		r     reader
		path  string
		again bool
	)
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all events there are, or those of some time, to a file",
		Long: "Write the events that the server keeps, from the oldest on or from where a flag says, and end. On a\n" +
			"terminal it shows how far it is. At the end it says how many events there were, of which offsets,\n" +
			"and the SHA-256 of what was written.\n\n" +
			"Where it ends early, as when the disk is full, what was written are whole lines, and it says with\n" +
			"which --cursor to go on. With --cursor-file and --append, another export goes on by itself.\n\n" +
			"To copy the log of a server between directories, see: vstream log export --help\n\n" +
			filterHelp + "\n\n" + connectionHelp,
		Example: "  vstream export -f events.ndjson\n" +
			"  vstream export --since yesterday --until today -o csv -f yesterday.csv\n" +
			"  vstream export --vcenter vc1 | gzip >vc1.ndjson.gz\n" +
			"  vstream export --cursor-file archive.place --append -f archive.ndjson",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			name := path
			if name == "-" {
				name = ""
			}
			if !cmd.Flags().Changed("output") && !cmd.Flags().Changed("jq") {
				r.form, err = formOf(name, again)
			}
			if err != nil {
				return err
			}
			options, err := r.prepare(cmd)
			switch {
			case err != nil:
				return err
			case again && r.form == "json" && r.jq == "":
				return usagef("--append: nothing can be added to the array of -o json; use -o ndjson")
			case r.printURL:
				return r.printAddress(cmd, options)
			case again && name == "":
				return usagef("--append is for a file; name it with --file")
			case name == "":
				return r.export(cmd, cmd.OutOrStdout(), options)
			}
			return r.exportFile(cmd, name, again, options)
		},
	}
	r.addFlags(cmd, "ndjson", 0)
	cmd.Flags().StringVarP(&path, "file", "f", "", "file to write instead of stdout, which is - here; it must not be there. Without --output, a name that ends with .csv, .yaml, .json or .ndjson says the form")
	cmd.Flags().BoolVar(&again, "append", false, "write behind what is in the file")
	return cmd
}

// exportFile writes events to a new file or, again, behind what is in one.
func (r *reader) exportFile(cmd *cobra.Command, path string, again bool, options []client.ReadOption) error {
	flags := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if again {
		flags = os.O_WRONLY | os.O_CREATE | os.O_APPEND
		info, err := os.Stat(path)
		r.noHeaders = r.noHeaders || err == nil && info.Size() > 0
	}
	file, err := os.OpenFile(path, flags, 0o600)
	switch {
	case errors.Is(err, os.ErrExist):
		return fmt.Errorf("--file: %s is there already; give another name, or --append", path)
	case err != nil:
		return fmt.Errorf("--file: %w", err)
	}
	err = r.export(cmd, file, options)
	if closed := errors.Join(file.Sync(), file.Close()); err == nil && closed != nil {
		err = fmt.Errorf("--file: %w", closed)
	}
	if info, failed := os.Stat(path); err != nil && !errors.Is(err, errNothing) && failed == nil && info.Size() == 0 && !again {
		_ = os.Remove(path) // so that the same can be tried again
	}
	return err
}

// formOf returns the form that the name of a file tells. An array cannot be gone on with.
func formOf(path string, again bool) (string, error) {
	switch ending := strings.ToLower(filepath.Ext(path)); ending {
	case ".csv":
		return "csv", nil
	case ".yaml", ".yml":
		return "yaml", nil
	case ".json":
		if !again {
			return "json", nil
		}
	case "", ".ndjson", ".jsonl", ".log", ".txt":
	case ".gz", ".zst", ".xz", ".bz2", ".zip":
		return "", usagef("--file: nothing is compressed here; leave %s out, or write to a program, as in: vstream export | gzip >FILE", ending)
	default:
		return "", usagef("--file: no form is known by the ending %s; say it with --output, as in -o ndjson", ending)
	}
	return "ndjson", nil
}

// export writes events to out, and says what it has written.
func (r *reader) export(cmd *cobra.Command, out io.Writer, options []client.ReadOption) error {
	progress := io.Discard
	if !r.quiet && !isTerminal(out) {
		progress = cmd.ErrOrStderr()
	}
	began := time.Now()
	shown := newProgress(progress, "exporting", r.total(cmd, progress))
	w, err := r.run(cmd, out, options, func() { shown.at(r.written, rate(r.written, shown.total, time.Since(began))) })
	shown.end()
	if w == nil {
		return err
	}
	last := ""
	if len(r.at) > 0 {
		last = "; it ends at the cursor " + r.at.String()
	}
	switch {
	case err == nil, errors.Is(err, errNothing), isBrokenPipe(err):
		r.talk("exported %s%s", r.amount(w), last)
	case w.Bytes() > 0:
		r.talk("not complete: %s were written%s", r.amount(w), cmp.Or(last, "; none is whole"))
	}
	return err
}

// amount says how much was written.
func (r *reader) amount(w *output.Writer) string {
	text := fmt.Sprintf("%d events", r.written)
	if len(r.first) == 1 && len(r.at) == 1 {
		for _, first := range r.first {
			for _, last := range r.at {
				text += fmt.Sprintf(" (offsets %d to %d)", first, last.Offset)
			}
		}
	}
	return fmt.Sprintf("%s, %d bytes, SHA-256 %s", text, w.Bytes(), w.Sum())
}

// total returns how many events there are to come, or 0 where that is not known.
func (r *reader) total(cmd *cobra.Command, shown io.Writer) int64 {
	if !isTerminal(shown) || r.exact() || r.cursorFile != "" {
		return 0
	}
	options, err := r.filter.options()
	if err != nil {
		return 0
	}
	if r.since.given {
		options = append(options, r.since.since())
	}
	if r.until.given {
		options = append(options, client.Until(r.until.time()))
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 5*time.Second)
	defer cancel()
	counted, err := r.server.Facets(ctx, append(options, client.Top(1))...)
	if err != nil || !counted.Complete {
		return 0
	}
	total := counted.Events
	for _, most := range []int{r.max, r.last} {
		if most > 0 {
			total = min(total, int64(most))
		}
	}
	return total
}

// rate says how fast it goes, and how long it takes.
func rate(done, total int64, d time.Duration) string {
	each := float64(done) / max(d.Seconds(), 0.001)
	text := fmt.Sprintf("%s events  %s/s", humanize.Comma(done), humanize.Comma(int64(each)))
	if left := total - done; left > 0 && each > 0 {
		text += "  " + time.Duration(float64(left)/each*float64(time.Second)).Round(time.Second).String() + " left"
	}
	return text
}
