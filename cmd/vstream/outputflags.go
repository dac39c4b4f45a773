package main

import (
	"context"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"vstream/internal/output"
)

// An outputChoice is how to write what is read: flags.
type outputChoice struct {
	form, jq, times, color string
	noHeaders              bool
	lines                  bool // lines are a form of what is written
}

func (o *outputChoice) addFlags(cmd *cobra.Command, form string) {
	o.lines = form == "line" || cmd.Name() == "export"
	flags := cmd.Flags()
	flags.StringVarP(&o.form, "output", "o", form, "form: "+strings.Join(output.Names(o.lines), ", "))
	flags.StringVar(&o.jq, "jq", "", "write what this jq program makes of the JSON of each, as in .data.Vm.Name")
	flags.BoolVar(&o.noHeaders, "no-headers", false, "write tables and CSV without their header")
	flags.StringVar(&o.times, "time", "", "times: "+strings.Join(output.Clocks(), ", ")+" (default local on a terminal, short on a narrow one, else rfc3339)")
	flags.StringVar(&o.color, "color", "auto", "severities in color: auto, always, never")
	complete(cmd, "output", func(*cobra.Command, string) []string { return output.Names(o.lines) })
	complete(cmd, "time", func(*cobra.Command, string) []string { return output.Clocks() })
	complete(cmd, "color", func(*cobra.Command, string) []string { return []string{"auto", "always", "never"} })
}

// shortBelow is how narrow a terminal is on which times are short.
const shortBelow = 120

// clock returns how times are written to out.
func (o *outputChoice) clock(out io.Writer) (output.Clock, error) {
	name := o.times
	if name == "" {
		width := terminalWidth(out)
		switch {
		case !isTerminal(out) || o.form == "csv":
			name = "rfc3339"
		case width > 0 && width < shortBelow && o.form != "wide":
			name = "short"
		default:
			name = "local"
		}
	}
	clock, err := output.ParseClock(name)
	if err != nil {
		return nil, usagef("--time: %w", err)
	}
	return clock, nil
}

// parse returns the form that was chosen; options are those that are no flags.
func (o *outputChoice) parse(ctx context.Context, out io.Writer, options output.Options) (output.Form, error) {
	terminal := isTerminal(out)
	options.NoHeaders, options.Terminal, options.Width = o.noHeaders, terminal, terminalWidth(out)
	switch o.color {
	case "auto":
		options.Color = terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	case "always":
		options.Color = true
	case "never":
	default:
		return nil, usagef("--color: %q is none of auto, always, never", o.color)
	}
	if o.jq != "" {
		form, err := output.NewJQ(ctx, o.jq, options)
		if err != nil {
			return nil, usagef("--jq: %w", err)
		}
		return form, nil
	}
	form, err := output.Parse(o.form, o.lines, options)
	if err != nil {
		return nil, usagef("--output: %w", err)
	}
	return form, nil
}

// forPeople reports whether the form is one for people to read, who wonder when there is
// nothing.
func (o *outputChoice) forPeople() bool {
	name, _, _ := strings.Cut(o.form, "=")
	return o.jq == "" && slices.Contains([]string{"line", "table", "wide", "custom-columns"}, name)
}

// write writes a list that is there as a whole.
func (o *outputChoice) write(cmd *cobra.Command, columns []output.Column, records []output.Record) error {
	form, err := o.parse(cmd.Context(), cmd.OutOrStdout(), output.Options{Columns: columns})
	if err != nil {
		return err
	}
	w := output.NewWriter(cmd.OutOrStdout(), form)
	for _, r := range records {
		if err := w.Write(r); err != nil {
			_ = w.Flush() // what came before; where that fails, err says it
			return o.blame(err)
		}
	}
	return w.Close()
}

// blame says which flag an error of a form is about.
func (o *outputChoice) blame(err error) error {
	switch {
	case !is[*output.FormError](err):
		return err
	case o.jq != "":
		return usagef("--jq: %w", err)
	}
	return usagef("--output: %w", err)
}
