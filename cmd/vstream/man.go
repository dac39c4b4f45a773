package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func manCommand() *cobra.Command {
	var dir string
	cmd := &cobra.Command{
		Use:   "man [COMMAND…]",
		Short: "Print the manual page of a command",
		Long:  "Print the manual page of a command, in the language of man(1), or write all of them to a directory.",
		Example: "  vstream man tail | man -l -\n" +
			"  vstream man log export >vstream-log-export.1\n" +
			"  vstream man --dir /usr/local/share/man/man1",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
			return completeCommand(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				of, err := findCommand(cmd.Root(), args)
				if err != nil {
					return err
				}
				return writeMan(cmd.OutOrStdout(), of)
			}
			if len(args) > 0 {
				return usagef("--dir takes the pages of all commands; leave out %q", args[0])
			}
			if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // everybody reads manuals
				return fmt.Errorf("--dir: %w", err)
			}
			return eachCommand(cmd.Root(), func(of *cobra.Command) error {
				var page strings.Builder
				if err := writeMan(&page, of); err != nil {
					return err
				}
				return os.WriteFile(filepath.Join(dir, manName(of)), []byte(page.String()), 0o644) //nolint:gosec // everybody reads manuals
			})
		},
	}
	cmd.Flags().StringVar(&dir, "dir", "", "directory to write the pages of all commands to; it is made if it is not there")
	return cmd
}

// eachCommand calls f with every command that people see, parents first.
func eachCommand(cmd *cobra.Command, f func(*cobra.Command) error) error {
	if err := f(cmd); err != nil {
		return err
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			if err := eachCommand(c, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// manName returns how the page of a command is called.
func manName(cmd *cobra.Command) string { return pageName(cmd) + ".1" }

func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// roff writes text so that it means itself.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text)
	for _, control := range []string{".", "'"} {
		text = strings.ReplaceAll("\n"+text, "\n"+control, "\n"+`\&`+control)[1:]
	}
	return text
}

// writeMan writes the page of a command.
func writeMan(w io.Writer, cmd *cobra.Command) error {
	var b strings.Builder
	page := pageName(cmd)
	fmt.Fprintf(&b, ".TH %q \"1\" \"\" \"vstream\" \"vstream\"\n.nh\n.ad l\n", strings.ToUpper(page))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(page), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n\\fB%s\\fP\n", roff(cmd.UseLine()))
	fmt.Fprintf(&b, ".SH DESCRIPTION\n.nf\n%s\n.fi\n", roff(description(cmd)))
	if flags := flagsOf(cmd); len(flags) > 0 {
		b.WriteString(".SH OPTIONS\n")
		for _, f := range flags {
			fmt.Fprintf(&b, ".TP\n\\fB%s\\fP\n%s\n", roff(flagLine(f)), roff(flagHelp(f)))
		}
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, ".SH EXAMPLES\n.nf\n%s\n.fi\n", roff(cmd.Example))
	}
	if readsServer(cmd) || !cmd.HasParent() {
		fmt.Fprintf(&b, ".SH EXIT STATUS\n.nf\n%s\n.fi\n", roff(exitHelp))
	}
	var others []string
	if cmd.HasParent() {
		others = append(others, pageName(cmd.Parent()))
	}
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() && c.Name() != "help" {
			others = append(others, pageName(c))
		}
	}
	if len(others) > 0 {
		fmt.Fprintf(&b, ".SH SEE ALSO\n%s\n", roff(strings.Join(others, "(1), ")+"(1)"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeMarkdown writes the section of a command for docs/cli.md.
func writeMarkdown(w io.Writer, cmd *cobra.Command) error {
	var b strings.Builder
	fmt.Fprintf(&b, "## %s\n\n%s.\n\n```text\n%s\n```\n\n", cmd.CommandPath(), cmd.Short, cmd.UseLine())
	if cmd.Long != "" {
		fmt.Fprintf(&b, "```text\n%s\n```\n\n", strings.TrimRight(description(cmd), "\n"))
	}
	if flags := flagsOf(cmd); len(flags) > 0 {
		b.WriteString("| Flag | Meaning |\n|---|---|\n")
		for _, f := range flags {
			fmt.Fprintf(&b, "| `%s` | %s |\n", flagLine(f), strings.NewReplacer("|", `\|`, "<", "&lt;", "*", `\*`).Replace(flagHelp(f)))
		}
		b.WriteString("\n")
	}
	if cmd.Example != "" {
		fmt.Fprintf(&b, "```sh\n%s\n```\n\n", strings.ReplaceAll(strings.TrimPrefix(cmd.Example, "  "), "\n  ", "\n"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func description(cmd *cobra.Command) string {
	if cmd.Long == "" {
		return cmd.Short + "."
	}
	return cmd.Long
}

// flagsOf returns the flags of a command but for --help, which all have.
func flagsOf(cmd *cobra.Command) []*pflag.Flag {
	var all []*pflag.Flag
	add := func(f *pflag.Flag) {
		if !f.Hidden && f.Name != "help" && f.Name != "version" {
			all = append(all, f)
		}
	}
	cmd.NonInheritedFlags().VisitAll(add)
	cmd.InheritedFlags().VisitAll(add)
	return all
}

func readsServer(cmd *cobra.Command) bool { return cmd.Flags().Lookup("insecure-skip-verify") != nil }

// flagLine is a flag as it is written.
func flagLine(f *pflag.Flag) string {
	text := "--" + f.Name
	if f.Shorthand != "" {
		text = "-" + f.Shorthand + ", " + text
	}
	if kind, _ := pflag.UnquoteUsage(f); kind != "" {
		text += " " + kind
	}
	return text
}

// flagHelp is what a flag means, and what it is without it.
func flagHelp(f *pflag.Flag) string {
	_, help := pflag.UnquoteUsage(f)
	switch f.DefValue {
	case "", "false", "0", "[]", "0s":
		return help
	}
	return fmt.Sprintf("%s (default %s)", help, f.DefValue)
}
