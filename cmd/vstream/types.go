package main

import (
	"encoding/json"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vstream"
	"vstream/internal/output"
)

// A lister is a command that prints a list which is there as a whole.
type lister struct {
	connection
	outputChoice
	exitStatus bool
}

func (l *lister) addFlags(cmd *cobra.Command, form string) {
	cmd.Flags().SortFlags = false // they are in groups
	l.outputChoice.addFlags(cmd, form)
	cmd.Flags().BoolVar(&l.exitStatus, "exit-status", false, "end with the exit code 3 if there is nothing to print")
	l.connection.addFlags(cmd)
}

// print prints what there is.
func (l *lister) print(cmd *cobra.Command, columns []output.Column, records []output.Record) error {
	err := l.write(cmd, columns, records)
	if err == nil && len(records) == 0 && l.exitStatus {
		err = errNothing
	}
	return err
}

func typesCommand() *cobra.Command {
	var l lister
	cmd := &cobra.Command{
		Use:   "types [GLOB]",
		Short: "List the types of events there are, and how many of each",
		Long: "List the types of the events that the server keeps, the most frequent first, with what the vCenter\n" +
			"says of them. A * in GLOB stands for any characters; case counts for nothing.\n\n" + connectionHelp,
		Example: "  vstream types\n" +
			"  vstream types 'esx.problem.*' -o wide\n" +
			"  vstream types VmPoweredOnEvent --jq .longDescription",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%q is too much: %s takes one GLOB; put it in quotes", args[1], cmd.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: completeOne(completeField("type")),
		RunE: func(cmd *cobra.Command, args []string) error {
			server, err := l.open(cmd)
			if err != nil {
				return err
			}
			glob := "*"
			if len(args) == 1 {
				glob = strings.ToLower(args[0])
			}
			ctx, cancel := l.bounded(cmd)
			defer cancel()
			types, err := server.Types(ctx)
			if err != nil {
				return ended(ctx, cmd, err)
			}
			var records []output.Record
			for _, t := range types {
				if !globMatches(glob, strings.ToLower(t.Name)) {
					continue
				}
				records = append(records, output.Record{JSON: t.JSON, Cells: func() []string {
					return []string{t.Name, t.Class, strconv.FormatInt(t.Count, 10), orNothing(t.First), orNothing(t.Last), t.Category, t.Description}
				}})
			}
			if len(records) == 0 && len(args) == 1 && !strings.Contains(args[0], "*") {
				l.talk("no type is called %q; '*%s*' finds what contains it", args[0], args[0])
			}
			const all = output.InTable | output.InWide | output.InCSV
			return l.print(cmd, []output.Column{
				{Name: "type", In: all}, {Name: "class", In: output.InWide | output.InCSV}, {Name: "count", In: all},
				{Name: "first", In: output.InWide | output.InCSV}, {Name: "last", In: output.InWide | output.InCSV},
				{Name: "category", In: all}, {Name: "description", In: all},
			}, records)
		},
	}
	l.addFlags(cmd, "table")
	return cmd
}

// globMatches reports whether text is as pattern says, in which only * is special.
func globMatches(pattern, text string) bool {
	escaped := strings.NewReplacer(`\`, `\\`, "?", `\?`, "[", `\[`).Replace(pattern)
	ok, err := path.Match(escaped, strings.ReplaceAll(text, "/", " "))
	return ok && err == nil
}

// orNothing writes an offset, or nothing where there is none.
func orNothing(o vstream.Offset) string {
	if o == 0 {
		return ""
	}
	return o.String()
}

// document returns v as JSON on one line.
func document(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err) // it is made of texts and numbers
	}
	return text
}

// seconds writes a length of time in seconds, as the API does.
func inSeconds(d time.Duration) string {
	return strconv.FormatFloat(d.Round(time.Millisecond).Seconds(), 'f', -1, 64)
}
