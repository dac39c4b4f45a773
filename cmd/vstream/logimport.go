package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"vstream"
	"vstream/internal/cloudevent"
	"vstream/internal/natslog"
)

// importBatch and importBytes bound what is read before it is appended.
const (
	importBatch = 500
	importBytes = 8 << 20
)

func (t *logTool) importCommand() *cobra.Command {
	create := false
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Append exported events to a log",
		Long: "Append the events of FILE, one a line as export writes them, or of stdin when FILE is -, to the log\n" +
			"of a vCenter. All lines are checked before the first event is appended. Events that the log holds,\n" +
			"or has dropped already, are skipped, so what was interrupted can be run again.\n\n" +
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
				m := importing{file: file, path: args[0], most: int(c.recordBytes), typePrefix: c.typePrefix(name)}
				return m.run(ctx, cmd, s, name)
			})
		},
	}
	cmd.Flags().BoolVar(&create, "create", false, "make the log if there is none")
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
	shown      *progress
}

func (m *importing) run(ctx context.Context, cmd *cobra.Command, s *natslog.Store, name string) error {
	stat, err := m.file.Stat()
	if err != nil {
		return err
	}
	m.shown = newProgress(cmd.ErrOrStderr(), "checking "+m.path, stat.Size())
	lines := int64(0)
	err = m.each(ctx, func(vstream.Event) error { lines++; return nil })
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
	held := log.Usage().Events
	appended := int64(0)
	var batch []vstream.Event
	size := 0
	flush := func() error {
		n, err := log.AppendNew(ctx, batch)
		appended += int64(n)
		batch, size = nil, 0 // the log has it now
		return err
	}
	err = m.each(ctx, func(e vstream.Event) error {
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
	fmt.Fprintf(cmd.OutOrStdout(), "imported %d events into the log of %s, skipped %d\n", appended, name, lines-appended)
	info, err := s.Info(ctx, name)
	if err == nil && info.Events < held+appended {
		fmt.Fprintf(cmd.ErrOrStderr(), "the log is at its limit, LOG_MAX_BYTES, and has dropped %d events\n", held+appended-info.Events)
	}
	return err
}

// each calls do for every event of the file. The JSON of an event is overwritten
// afterwards. Errors name the line.
func (m *importing) each(ctx context.Context, do func(vstream.Event) error) error {
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
		if err := do(e); err != nil {
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
