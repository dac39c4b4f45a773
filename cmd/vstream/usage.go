package main

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vstream/internal/spelling"
)

// menu makes a command one that has nothing but commands below it: it prints its help, or
// which of them may have been meant.
func menu(cmd *cobra.Command) *cobra.Command {
	cmd.DisableFlagsInUseLine = true
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return unknownCommand(cmd, args[0])
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return cmd
}

// otherCommands are our commands by what other tools call them, or people who look for them.
var otherCommands = map[string]string{
	"events": "get", "event": "get", "list": "get", "ls": "get", "show": "get", "query": "get", "search": "get", "describe": "get",
	"follow": "tail", "stream": "tail", "logs": "tail", "listen": "tail", "subscribe": "tail",
	"top": "stats", "count": "stats", "facets": "stats", "histogram": "stats", "summary": "stats",
	"dump": "export", "save": "export", "download": "export",
	"ping": "status", "health": "status", "info": "status", "cluster-info": "status",
	"contexts": "config", "context": "config", "ctx": "config", "login": "config", "use-context": "config use", "servers": "config",
	"server": "serve", "run": "serve", "start": "serve", "vc": "vcenters", "sources": "vcenters",
}

func unknownCommand(cmd *cobra.Command, name string) error {
	known := childNames(cmd)
	advice := alternatives(name, known)
	if !cmd.HasParent() { // the others are too many to be told here
		near := otherCommands[strings.ToLower(name)]
		if near == "" {
			near = cmp.Or(spelling.Nearest(name, known), otherCommands[spelling.Nearest(name, slices.Sorted(maps.Keys(otherCommands)))])
		}
		if advice = "; see: vstream --help"; near != "" {
			advice = "; did you mean " + near + "?"
		}
	}
	return fmt.Errorf("unknown command %q for %q%s", name, cmd.CommandPath(), advice)
}

// unknownHelp finds that the help of a command is asked for which there is not. Cobra would
// print that of the command above.
func unknownHelp(root *cobra.Command, args []string) error {
	if !slices.Contains(args, "--help") && !slices.Contains(args, "-h") {
		return nil
	}
	of, rest, err := root.Find(args)
	if err != nil || !of.HasSubCommands() || len(rest) == 0 || strings.HasPrefix(rest[0], "-") {
		return nil
	}
	return unknownCommand(of, rest[0])
}

// childNames returns how the commands below one are called, but for those that are hidden.
func childNames(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.IsAdditionalHelpTopicCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// findCommand returns the command of a path, as log export.
func findCommand(root *cobra.Command, path []string) (*cobra.Command, error) {
	of, rest, err := root.Find(path)
	if err == nil && len(rest) > 0 {
		err = unknownCommand(of, rest[0])
	}
	if err != nil {
		return nil, usageError{err}
	}
	return of, nil
}

func completeCommand(cmd *cobra.Command, path []string) ([]cobra.Completion, cobra.ShellCompDirective) {
	of, err := findCommand(cmd.Root(), path)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return childNames(of), cobra.ShellCompDirectiveNoFileComp
}

// helpCommand is cobra's, but fails where there is no such command.
func helpCommand() *cobra.Command {
	return &cobra.Command{
		Use:                   "help [COMMAND…]",
		Short:                 "Print the help of a command, or on a topic",
		DisableFlagsInUseLine: true,
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return completeCommand(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			of, err := findCommand(cmd.Root(), args)
			if err != nil {
				return err
			}
			of.InitDefaultHelpFlag()
			return of.Help()
		},
	}
}

// wrapHelp lets help texts fit the terminal, and what is easy to read.
func wrapHelp(root *cobra.Command) {
	const widest = 100
	width := terminalWidth(root.OutOrStdout())
	switch {
	case width == 0: // most read it on a terminal then, too, through a pager
		width = 80
	case width > widest:
		width = widest
	}
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages", ".FlagUsagesWrapped "+strconv.Itoa(width)))
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) {
		text := wrapped(strings.TrimRight(description(cmd), "\n"), width) + "\n"
		if cmd.Runnable() {
			text += "\n" + cmd.UsageString()
		}
		fmt.Fprint(cmd.OutOrStdout(), text)
	})
}

// tableLine is a line of a table with a name in front.
var tableLine = regexp.MustCompile(`^ +\S+ {2,}`)

// wrapped breaks what is longer than width between words: paragraphs, in which lines are
// filled anew, and lines of tables, which go on where their text begins.
func wrapped(text string, width int) string {
	var paragraphs []string
	for _, paragraph := range strings.Split(text, "\n\n") {
		lines := strings.Split(paragraph, "\n")
		long := func(line string) bool { return utf8.RuneCountInString(line) > width }
		indented := func(line string) bool { return strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") }
		if slices.ContainsFunc(lines, long) && !slices.ContainsFunc(lines, indented) {
			lines = []string{strings.Join(lines, " ")}
		}
		for i, line := range lines {
			if name := tableLine.FindString(line); long(line) && (name != "" || !indented(line)) {
				lines[i] = name + filled(line[len(name):], width, len(name))
			}
		}
		paragraphs = append(paragraphs, strings.Join(lines, "\n"))
	}
	return strings.Join(paragraphs, "\n\n")
}

// filled makes lines of text that end before width, where the first begins at indent and
// others are indented so.
func filled(text string, width, indent int) string {
	var b strings.Builder
	at := indent
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > width:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	return b.String()
}

// otherFlags are our flags by what other tools call them: what to write instead.
var otherFlags = map[string]string{
	"tail": "--last", "lines": "--last", "num": "--last", "limit": "--last", "count": "--last", "head": "--max-events", "max": "--max-events",
	"follow": "vstream tail", "watch": "vstream tail", "reverse": "--last",
	"since-time": "--since", "from": "--since", "after": "--since", "start": "--since", "begin": "--since",
	"to": "--until", "before": "--until", "end": "--until",
	"format": "--output", "template": "-o go-template=…", "json": "-o json", "yaml": "-o yaml", "csv": "-o csv", "wide": "-o wide", "no-header": "--no-headers",
	"selector": "--filter", "field-selector": "--filter", "query": "--filter", "where": "--filter", "cel": "--filter",
	"include": "--grep", "search": "--grep", "text": "--grep", "q": "--grep", "exclude": "--filter",
	"priority": "--severity", "level": "--severity", "kind": "--type", "name": "--vm", "cluster-name": "--cluster",
	"url": "--server", "address": "--server", "endpoint": "--server",
	"token": "--token-file", "ca": "--ca-file", "cacert": "--ca-file", "certificate-authority": "--ca-file",
	"cert": "--cert-file", "client-certificate": "--cert-file", "key": "--key-file", "client-key": "--key-file",
	"insecure": "--insecure-skip-verify", "insecure-skip-tls-verify": "--insecure-skip-verify",
	"no-color": "--color never", "utc": "--time utc", "timestamps": "--time rfc3339", "short": "--time short",
	"silent": "--quiet", "debug": "--verbose", "request-timeout": "--timeout",
}

// otherShorthands are the same for flags of one letter.
var otherShorthands = map[string]string{
	"w": "vstream tail", "f": "vstream tail", "p": "--severity", "u": "--user", "k": "--insecure-skip-verify", "l": "--filter", "r": "--last", "c": "--context",
}

// flagError says what is wrong with a flag in words for whoever wrote it, and which may have
// been meant.
func flagError(cmd *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		invalid *pflag.InvalidValueError
	)
	switch {
	case errors.As(err, &invalid):
		return valueError(err, invalid)
	case !errors.As(err, &unknown):
		return err
	}
	if advice := flagAdvice(cmd, unknown.GetSpecifiedName(), unknown.GetSpecifiedShortnames() != ""); advice != "" {
		return fmt.Errorf("%w; %s", err, advice)
	}
	return err
}

// valueError says what is wrong with the value of a flag.
func valueError(err error, invalid *pflag.InvalidValueError) error {
	value, flag := strconv.Quote(invalid.GetValue()), invalid.GetFlag()
	is := ""
	switch kind := flag.Value.Type(); {
	case errors.Is(err, strconv.ErrRange):
		is = "too large a number"
	case !errors.Is(err, strconv.ErrSyntax):
	case kind == "bool":
		is = "neither true nor false"
	case strings.HasPrefix(kind, "float"):
		is = "not a number"
	default:
		is = "not a whole number"
	}
	if is != "" {
		return fmt.Errorf("--%s: %s is %s", flag.Name, value, is)
	}
	if why := invalid.Unwrap(); strings.HasPrefix(why.Error(), value) {
		return fmt.Errorf("--%s: %w", flag.Name, why)
	}
	return err
}

// flagAdvice says which flag may have been meant by a name or a letter that is not known; it
// is empty where none comes to mind.
func flagAdvice(cmd *cobra.Command, name string, shorthand bool) string {
	if cmd.Flags().Lookup("config") != nil || cmd.Name() == "demo" {
		for _, s := range slices.Concat(new(vcenterConfig).settings(), new(config).settings()) {
			if s.env == strings.ToUpper(strings.ReplaceAll(name, "-", "_")) {
				return "it is a variable: " + s.env
			}
		}
	}
	flags := map[string]string{} // the command that has it, where it is below this one
	cmd.Flags().VisitAll(func(f *pflag.Flag) { flags[f.Name] = "" })
	for _, below := range cmd.Commands() {
		below.Flags().VisitAll(func(f *pflag.Flag) {
			if _, there := flags[f.Name]; !there || below.Name() == "tail" {
				flags[f.Name] = below.CommandPath()
			}
		})
	}
	near := otherFlags[name]
	if shorthand {
		near = otherShorthands[name]
	} else if _, there := flags[name]; there {
		near = "--" + name
	} else if near == "" {
		if near = spelling.Nearest(name, slices.Sorted(maps.Keys(flags))); near != "" {
			near = "--" + near
		}
	}
	if near == "" || near == cmd.CommandPath() {
		return ""
	}
	if flag, isFlag := strings.CutPrefix(near, "--"); isFlag {
		flag, _, _ = strings.Cut(flag, " ")
		command, there := flags[flag]
		if !there {
			return ""
		}
		if command != "" {
			near = command + " " + near
		}
	}
	return "did you mean " + near + "?"
}
