package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vstream"
	"vstream/client"
	"vstream/internal/output"
	"vstream/internal/spelling"
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

// print prints what there is, or says that there is nothing.
func (l *lister) print(cmd *cobra.Command, columns []output.Column, records []output.Record, nothing string) error {
	err := l.write(cmd, columns, records)
	switch {
	case err != nil || len(records) > 0:
	case l.exitStatus:
		return errNothing
	case l.forPeople():
		l.talk("%s", nothing)
	}
	return err
}

func typesCommand() *cobra.Command {
	var l lister
	cmd := &cobra.Command{
		Use:   "types [GLOB]",
		Short: "List the types of events there are, and how many of each",
		Long: "List the types of the events that the server keeps, the most frequent first, with what the vCenter\n" +
			"says of them, and of which offsets the first and the last are. A * in GLOB stands for any characters;\n" +
			"case counts for nothing. To count those of some time, or some vm: vstream stats --by type\n\n" + connectionHelp,
		Example: "  vstream types\n" +
			"  vstream types 'esx.problem.*' -o wide\n" +
			"  vstream types VmPoweredOnEvent --jq .description",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usagef("%q is too much: %s takes one GLOB; put it in quotes", args[1], cmd.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: completeOne(completeField("type")),
		RunE: func(cmd *cobra.Command, args []string) error {
			types, err := ask(cmd, &l.connection, func(ctx context.Context, server *client.Client) ([]client.TypeCount, error) { return server.Types(ctx) })
			if err != nil {
				return err
			}
			glob := "*"
			if len(args) == 1 {
				glob = strings.ToLower(args[0])
			}
			var (
				records []output.Record
				names   []string
			)
			for _, t := range types {
				names = append(names, output.Clean(t.Name))
				if !globMatches(glob, strings.ToLower(t.Name)) {
					continue
				}
				records = append(records, output.Record{JSON: t.JSON, Cells: func() []string {
					return []string{t.Name, t.Class, strconv.FormatInt(t.Count, 10), orNothing(t.First), orNothing(t.Last), t.Category, t.Description}
				}})
			}
			nothing := "no types found"
			if len(args) == 1 && !strings.Contains(args[0], "*") {
				nothing = fmt.Sprintf("no type is called %q; %s", args[0], similar(args[0], names, "those there are: vstream types"))
			}
			return l.print(cmd, []output.Column{
				{Name: "type", Least: 16, In: everyTable}, {Name: "class", In: wideOnly}, {Name: "count", In: everyTable},
				{Name: "firstoffset", In: wideOnly}, {Name: "lastoffset", In: wideOnly},
				{Name: "category", In: everyTable}, {Name: "description", Least: 16, In: everyTable},
			}, records, nothing)
		},
	}
	l.addFlags(cmd, "table")
	return cmd
}

// similar says how to find a value that a name stands for, or else what else helps. Of some
// that contain the name, one that is near is not the better guess.
func similar(name string, known []string, otherwise string) string {
	lower := strings.ToLower(name)
	if slices.ContainsFunc(known, func(value string) bool { return strings.Contains(strings.ToLower(value), lower) }) {
		return fmt.Sprintf("'*%s*' finds what contains it", name)
	}
	if near := spelling.Nearest(name, known); near != "" {
		return "did you mean " + near + "?"
	}
	return otherwise
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
