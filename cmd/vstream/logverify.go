package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vstream"
	"vstream/internal/cloudevent"
	"vstream/internal/natslog"
)

// shownFaults is how many faults of a kind are told one by one.
const shownFaults = 5

func (t *logTool) verifyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "Read all of each log and say what is wrong with it",
		Long: "Read all of each log and check that no event is missing or there twice, that each is valid, and\n" +
			"that what is kept beside it for filters is what it says. The exit code is 1 if something is wrong.\n\n" +
			"What is missing is fetched again by a server, as far as the vCenter still has it; from then on it\n" +
			"is told as asked for again and no error: the vCenter may not have had all of it. Types are checked\n" +
			"with the prefix CLOUDEVENT_TYPE_PREFIX.",
		Example: "  LOG_DIR=/var/lib/vstream vstream log verify\n" +
			"  NATS_URL=nats://nats:4222 vstream log verify --vcenter vc1",
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
				var wrong []string
				var failed []error
				for _, name := range names {
					faulty, err := verify(ctx, cmd, s, name, c.typePrefix(name))
					if ctx.Err() != nil {
						return errors.New("interrupted; not all was read")
					}
					switch {
					case err != nil:
						failed = append(failed, fmt.Errorf("the log of %s: %w", name, err))
					case faulty:
						wrong = append(wrong, name)
					}
				}
				if len(wrong) > 0 {
					failed = append(failed, fmt.Errorf("something is wrong with the log of %s", strings.Join(wrong, ", ")))
				}
				return oneLine(failed)
			})
		},
	}
}

// verify reads the log of a vCenter and prints what is wrong with it.
func verify(ctx context.Context, cmd *cobra.Command, s *natslog.Store, name, typePrefix string) (faulty bool, err error) {
	info, err := s.Info(ctx, name)
	if err != nil {
		return false, err
	}
	shown := newProgress(cmd.ErrOrStderr(), "reading "+name, info.Events)
	events, faults := int64(0), findings{}
	err = s.Verify(ctx, name, func(e *vstream.Event, found []natslog.Fault) {
		for _, f := range found {
			faults.add(f)
		}
		if e == nil {
			return
		}
		events++
		shown.at(events, fmt.Sprintf("%d events", events))
		for _, f := range compare(e, typePrefix) {
			faults.add(f)
		}
	})
	shown.end()
	if err != nil {
		return false, err
	}
	return faults.print(cmd.OutOrStdout(), fmt.Sprintf("%s: %d events read", name, events)), nil
}

// compare returns how an event differs from what its JSON says.
func compare(e *vstream.Event, typePrefix string) []natslog.Fault {
	said, err := cloudevent.Decode(e.JSON, typePrefix)
	if err != nil {
		return []natslog.Fault{{Kind: "not valid", Text: fmt.Sprintf("event %d: %v", e.Offset, err)}}
	}
	if said.Offset != e.Offset {
		return []natslog.Fault{{Kind: "wrong id", Text: fmt.Sprintf("event %d has the id %d", e.Offset, said.Offset)}}
	}
	var differ []string
	if !said.Time.IsZero() && !said.Time.Equal(e.Time) {
		differ = append(differ, "time")
	}
	if said.Chain != e.Chain {
		differ = append(differ, "chain")
	}
	for _, field := range []struct{ name, kept, said string }{
		{"type", e.Type, said.Type}, {"class", e.Class, said.Class}, {"severity", e.Severity, said.Severity},
		{"user", e.User, said.User}, {"vm", e.VM, said.VM}, {"host", e.Host, said.Host}, {"cluster", e.Cluster, said.Cluster},
		{"datacenter", e.Datacenter, said.Datacenter}, {"datastore", e.Datastore, said.Datastore},
		{"network", e.Network, said.Network}, {"message", e.Message, said.Message},
	} {
		if field.kept != field.said {
			differ = append(differ, field.name)
		}
	}
	if len(differ) == 0 {
		return nil
	}
	return []natslog.Fault{{Kind: "fields differ", Text: fmt.Sprintf("event %d is kept with another %s", e.Offset, strings.Join(differ, ", "))}}
}

// findings are faults by their kinds: how many, and the first few in words.
type findings map[string]*finding

type finding struct {
	count int
	first []string
}

// mended is the kind of all faults that are none any more.
const mended = "missing, and asked for again"

func (f findings) add(fault natslog.Fault) {
	kind, text := fault.Kind, fault.Text
	if fault.Mended {
		kind, text = mended, kind+": "+text
	}
	if f[kind] == nil {
		f[kind] = new(finding)
	}
	f[kind].count++
	if len(f[kind].first) < shownFaults {
		f[kind].first = append(f[kind].first, text)
	}
}

// print prints all and reports whether something is wrong.
func (f findings) print(out io.Writer, title string) (faulty bool) {
	kinds := make([]string, 0, len(f))
	for kind := range f {
		kinds = append(kinds, kind)
		faulty = faulty || kind != mended
	}
	slices.Sort(kinds)
	switch {
	case faulty:
	case len(kinds) > 0:
		title += ", nothing else is wrong"
	default:
		title += ", nothing is wrong"
	}
	fmt.Fprintln(out, title)
	for _, kind := range kinds {
		fmt.Fprintf(out, "  %s: %d\n", kind, f[kind].count)
		for _, text := range f[kind].first {
			fmt.Fprintf(out, "    %s\n", text)
		}
		if more := f[kind].count - len(f[kind].first); more > 0 {
			fmt.Fprintf(out, "    and %d more\n", more)
		}
	}
	return faulty
}
