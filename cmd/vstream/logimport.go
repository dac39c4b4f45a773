package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vstream"
	"vstream/internal/cloudevent"
	"vstream/internal/natslog"
)

// stdin is what the file - is called.
const stdin = "stdin"

// importBatch and importBytes bound what is read before it is appended.
const (
	importBatch = 500
	importBytes = 8 << 20
)

func (t *logTool) importCommand() *cobra.Command {
	create, elsewhere := false, false
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Append exported events to a log",
		Long: "Append the events of FILE, one a line as export writes them, or of stdin when FILE is -, to the log\n" +
			"of a vCenter. All lines are checked before the first event is appended. Events that the log holds,\n" +
			"or has dropped already, are skipped, so what was interrupted can be run again. A file is refused\n" +
			"if it has another event where the log has one, or no event and no source in common with it.\n\n" +
			"Into a log that is empty, events come in the order they had. Into one that holds newer events they\n" +
			"come after those, as late events do: import before the server has first collected. A server that\n" +
			"starts with an imported log goes on at its end.\n\n" +
			"--vcenter says whose log, unless there is only one. The log is made if the configuration has that\n" +
			"vCenter, or with --create. LOG_RETENTION counts from the import.\n\n" +
			"What an export does not hold is the vCenter's instance uuid and an epoch without an event yet. A\n" +
			"server takes the vCenter it finds for the one that the events are of. So do not let it collect from\n" +
			"a vCenter that was installed anew, or restored, after the export: its events would be mixed up with\n" +
			"those of the old one that have the same keys.",
		Example: "  LOG_DIR=/var/lib/vstream vstream log import --vcenter vc1 --create vc1.ndjson\n" +
			"  zcat vc1-*.ndjson.gz | LOG_DIR=/var/lib/vstream vstream log import --vcenter vc1 -",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%s takes one argument, the file to import, or - for stdin", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := t.config()
			if err != nil {
				return err
			}
			file, remove, err := openWhole(cmd.Context(), cmd.InOrStdin(), args[0])
			if err != nil {
				return err
			}
			defer remove()
			return t.with(cmd, &c, natslog.Restore, func(ctx context.Context, s *natslog.Store) error {
				name, err := t.chooseTarget(ctx, s, &c, create)
				if err != nil {
					return err
				}
				m := importing{file: file, path: args[0], most: int(c.recordBytes), typePrefix: c.typePrefix(name), elsewhere: elsewhere}
				if m.path == "-" {
					m.path = stdin
				}
				return m.run(ctx, cmd, s, name)
			})
		},
	}
	cmd.Flags().BoolVar(&create, "create", false, "make the log if there is none")
	cmd.Flags().BoolVar(&elsewhere, "other-address", false, "the vCenter had another address: take events with another source than those of the log")
	return cmd
}

// chooseTarget returns the vCenter whose log to import into.
func (t *logTool) chooseTarget(ctx context.Context, s *natslog.Store, c *config, create bool) (string, error) {
	names, err := s.VCenters(ctx)
	if err != nil {
		return "", err
	}
	for _, v := range c.vcenters {
		if v.name != "" && !slices.Contains(names, v.name) {
			names = append(names, v.name)
		}
	}
	switch {
	case t.vcenter == "" && len(names) == 1:
		return names[0], nil
	case t.vcenter == "":
		return "", fmt.Errorf("--vcenter is not given; say whose events they are%s", alternatives("", names))
	case slices.Contains(names, t.vcenter):
		return t.vcenter, nil
	case create:
		if _, err := parseName(t.vcenter); err != nil {
			return "", fmt.Errorf("--vcenter: %w", err)
		}
		return t.vcenter, nil
	}
	return "", fmt.Errorf("--vcenter: there is no log of %q%s; --create makes it", t.vcenter, alternatives(t.vcenter, names))
}

// openWhole opens a file to be read more than once; what can be read only once is copied.
func openWhole(ctx context.Context, stdin io.Reader, path string) (file *os.File, remove func(), err error) {
	if path == "-" {
		return spool(ctx, stdin)
	}
	named, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	info, err := named.Stat()
	switch {
	case err == nil && info.Mode().IsRegular():
		return named, func() { named.Close() }, nil
	case err == nil && info.IsDir():
		err = fmt.Errorf("%s is a directory, not a file with events", path)
	case err == nil:
		file, remove, err = spool(ctx, named)
	}
	named.Close()
	return file, remove, err
}

// spool copies what is read from source into a file that remove removes.
func spool(ctx context.Context, source io.Reader) (file *os.File, remove func(), err error) {
	copied, err := os.CreateTemp("", "vstream-import-*")
	if err != nil {
		return nil, nil, err
	}
	remove = func() {
		copied.Close()
		os.Remove(copied.Name())
	}
	done := make(chan error, 1)
	go func() { // for a read may wait for ever
		_, err := io.Copy(copied, source)
		done <- err
	}()
	select {
	case err = <-done:
	case <-ctx.Done():
	}
	if ctx.Err() != nil {
		err = errors.New("interrupted; nothing is imported")
	}
	if err != nil {
		remove()
		return nil, nil, err
	}
	return copied, remove, nil
}

// importing is a file on its way into a log.
type importing struct {
	file       *os.File
	path       string
	most       int // bytes of an event
	typePrefix string
	elsewhere  bool // events of another source are taken
	shown      *progress
}

func (m *importing) run(ctx context.Context, cmd *cobra.Command, s *natslog.Store, name string) error {
	stat, err := m.file.Stat()
	if err != nil {
		return err
	}
	held, err := s.Log(ctx, name)
	isNew := errors.Is(err, natslog.ErrNoLog)
	if err != nil && !isNew {
		return err
	}
	m.shown = newProgress(cmd.ErrOrStderr(), "checking "+m.path, stat.Size())
	events, err := m.check(ctx, held, name)
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted; nothing is imported")
	case err != nil:
		return fmt.Errorf("%w; nothing is imported", err)
	}

	m.shown = newProgress(cmd.ErrOrStderr(), "importing "+m.path, stat.Size())
	log, err := s.Create(ctx, name)
	if err != nil {
		return err
	}
	before := log.Usage().Events
	peak := vstream.Offset(-1)
	if r, ok := log.Range(); ok {
		peak = r.Latest
	}
	var appended, inOrder int64
	var batch []vstream.Event
	size := 0
	flush := func() error {
		n, err := log.AppendNew(ctx, batch)
		appended += int64(n)
		batch, size = nil, 0 // the log has it now
		return err
	}
	err = m.each(ctx, func(_ int, e vstream.Event) error {
		if e.Offset > peak {
			peak = e.Offset
			inOrder++
		}
		e.JSON = bytes.Clone(e.JSON)
		batch = append(batch, e)
		if size += len(e.JSON); len(batch) < importBatch && size < importBytes {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("interrupted after %d events were imported; run it again to go on", appended)
	case errors.Is(err, natslog.ErrFenced):
		return fmt.Errorf("%w; a server collects into it, stop that first (%d events were imported)", err, appended)
	case err != nil:
		return fmt.Errorf("%w; %d events were imported, run it again to go on", err, appended)
	}
	which := "the log"
	if isNew {
		which = "a new log"
	}
	fmt.Fprintf(cmd.OutOrStdout(), "imported %d events into %s of %s, %d of them late; skipped %d that it had\n", appended, which, name, appended-inOrder, events-appended)
	info, err := s.Info(ctx, name)
	if err == nil && info.Events < before+appended {
		fmt.Fprintf(cmd.ErrOrStderr(), "the log is at its limit, LOG_MAX_BYTES, and has dropped %d events\n", before+appended-info.Events)
	}
	return err
}

// check reads all of the file and returns how many events it has. It fails if there are
// none, and if they cannot be of the vCenter that held is the log of; held is nil if there
// is none yet.
func (m *importing) check(ctx context.Context, held *natslog.Log, name string) (events int64, err error) {
	if err := m.hint(); err != nil {
		return 0, err
	}
	var r vstream.Range
	known := map[string]bool{} // the sources of the log
	if held != nil {
		r, _ = held.Range()
		for _, o := range []vstream.Offset{r.Earliest, r.Latest} {
			if e, err := held.Get(ctx, o); err == nil {
				known[sourceOf(e.JSON)] = true
			}
		}
	}
	same := len(known) == 0 || m.elsewhere
	source := ""
	err = m.each(ctx, func(line int, e vstream.Event) error {
		events++
		source = sourceOf(e.JSON)
		same = same || known[source]
		if e.Offset > r.Latest || held == nil {
			return nil
		}
		there, err := held.Get(ctx, e.Offset)
		var unavailable *vstream.UnavailableError
		switch {
		case errors.As(err, &unavailable):
			return err
		case err != nil: // it is not there, or no more
			return nil
		}
		if e.Time.IsZero() { // it could not be written
			e.Time = there.Time
		}
		if !there.SameAs(&e) {
			return fmt.Errorf("%s, line %d: event %d is %s of %s, but %s of %s in the log of %s; they are of different vCenters, or one was installed anew or restored in between",
				m.path, line, e.Offset, e.Type, e.Time.Format(time.RFC3339), there.Type, there.Time.Format(time.RFC3339), name)
		}
		same = true
		return nil
	})
	switch {
	case err != nil:
		return events, err
	case events == 0:
		return 0, fmt.Errorf("%s holds no events", m.path)
	case !same:
		return events, fmt.Errorf("%s is of %s, the log of %s of %s, and they have no event in common; if it is the same vCenter, at another address then, add --other-address",
			m.path, source, name, strings.Join(slices.Sorted(maps.Keys(known)), " and "))
	}
	return events, nil
}

// hint fails for what is often taken for a file with an event a line, and says how to make
// one of it.
func (m *importing) hint() error {
	first := make([]byte, 64)
	n, err := m.file.ReadAt(first, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	first = bytes.TrimSpace(first[:n])
	what, with := "", ""
	switch {
	case bytes.HasPrefix(first, []byte("\x1f\x8b")):
		what, with = "is compressed", "zcat"
	case bytes.HasPrefix(first, []byte("[")):
		what, with = "is one array, not an event a line", "jq -c '.[]'"
	default:
		return nil
	}
	if m.path != stdin {
		with += " " + m.path
	}
	return fmt.Errorf("%s %s; import what this gives: %s", m.path, what, with)
}

// sourceOf returns the source of an event, as it is written in its JSON.
func sourceOf(text []byte) string {
	_, rest, _ := bytes.Cut(text, []byte(`"source":"`))
	source, _, _ := bytes.Cut(rest, []byte{'"'})
	return string(source)
}

// each calls do for every event of the file, and its line. The JSON of an event is
// overwritten afterwards. Errors name the line.
func (m *importing) each(ctx context.Context, do func(line int, e vstream.Event) error) error {
	defer m.shown.end()
	if _, err := m.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	lines := bufio.NewScanner(m.file)
	lines.Buffer(make([]byte, 0, 64<<10), m.most+len("\r\n")+1)
	done := int64(0)
	n := 0
	for lines.Scan() {
		n++
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line := lines.Bytes()
		done += int64(len(line)) + 1
		m.shown.at(done, fmt.Sprintf("%d events", n))
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		if len(line) > m.most {
			return m.tooLong(n)
		}
		e, err := cloudevent.Decode(line, m.typePrefix)
		if err != nil {
			return fmt.Errorf("%s, line %d is not an event of vstream: %w", m.path, n, err)
		}
		if err := do(n, e); err != nil {
			return err
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return m.tooLong(n + 1)
	}
	return lines.Err()
}

func (m *importing) tooLong(line int) error {
	return fmt.Errorf("%s, line %d is longer than %d bytes, LOG_MAX_RECORD_SIZE_BYTES", m.path, line, m.most)
}
