package main

import (
	"cmp"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"vstream/client"
	"vstream/internal/contexts"
	"vstream/internal/output"
)

func configCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Name the servers that you read from, and choose one",
		Long: "A context is a server under a name, and how to get into it. Contexts are in the file config.yaml in\n" +
			"the directory vstream of your configuration (~/.config on Linux), or in the file that " + contextsVariable + "\n" +
			"names. Only you may read it. It names files with tokens, and holds none.\n\n" +
			"The configuration of a server is something else: see docs/configuration.md.",
		Example: "  vstream config set prod --server https://vstream.example.com --token-file ~/.config/vstream/prod.token\n" +
			"  vstream config use prod\n" +
			"  vstream tail\n" +
			"  vstream tail --context lab",
	}
	cmd.AddCommand(configCurrentCommand(), configListCommand(), configUseCommand(), configSetCommand(), configDeleteCommand())
	return menu(cmd)
}

// changeContexts changes what is in the file of contexts, and says what was done: what change
// returns, and which context is used now.
func changeContexts(cmd *cobra.Command, change func(*contexts.File) (string, error)) error {
	file, path, err := loadContexts()
	done := ""
	if err == nil {
		done, err = change(file)
	}
	if err == nil {
		err = file.Save(path)
	}
	if err != nil {
		return err
	}
	if file.Current == "" {
		done += "; no context is chosen now"
	} else {
		done += "; " + file.Current + " is the one to use"
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "vstream: %s\n", done)
	return nil
}

// noContext says that none of the contexts in a file is chosen.
func noContext(file *contexts.File) error {
	if len(file.Contexts) == 0 {
		return fmt.Errorf("no context is chosen; make one with: vstream config set NAME --server URL")
	}
	return fmt.Errorf("no context is chosen; there are: %s; choose one with: vstream config use NAME", strings.Join(file.Names(), ", "))
}

// oneContext wants the name of a context.
func oneContext(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usagef("%s takes the name of one context, as in: %s prod", cmd.CommandPath(), cmd.CommandPath())
	}
	return nil
}

func completeContext(*cobra.Command, string) []string { return contextNames() }

func configCurrentCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "current",
		Aliases: []string{"current-context"},
		Short:   "Print the name of the context that is used",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, _, err := loadContexts()
			if err != nil {
				return err
			}
			if file.Current == "" {
				return noContext(file)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), file.Current)
			return err
		},
	}
}

func configListCommand() *cobra.Command {
	var o outputChoice
	cmd := &cobra.Command{
		Use:     "list",
		Aliases: []string{"view", "get-contexts"},
		Short:   "List the contexts",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			file, _, err := loadContexts()
			if err != nil {
				return err
			}
			if err := checkFlags(cmd); err != nil {
				return err
			}
			var records []output.Record
			for _, name := range file.Names() {
				c := file.Contexts[name]
				current := ""
				if name == file.Current {
					current = "*"
				}
				records = append(records, output.Record{
					JSON: document(struct {
						Name      string `json:"name"`
						Current   bool   `json:"current"`
						Server    string `json:"server"`
						TokenFile string `json:"tokenFile,omitempty"`
						CAFile    string `json:"caFile,omitempty"`
						CertFile  string `json:"certFile,omitempty"`
						KeyFile   string `json:"keyFile,omitempty"`
						Insecure  bool   `json:"insecureSkipVerify,omitempty"`
					}{name, name == file.Current, c.Server, c.TokenFile, c.CAFile, c.CertFile, c.KeyFile, c.InsecureSkipVerify}),
					Cells: func() []string { return []string{current, name, c.Server, c.TokenFile, c.CAFile, c.CertFile} },
				})
			}
			if len(records) == 0 && o.forPeople() {
				fmt.Fprintln(cmd.ErrOrStderr(), "vstream: there are no contexts; make one with: vstream config set NAME --server URL")
			}
			return o.write(cmd, []output.Column{
				{Name: "current", In: everyTable}, {Name: "name", In: everyTable}, {Name: "server", Least: 20, In: everyTable},
				{Name: "tokenfile", Least: 16, In: everyTable}, {Name: "cafile", In: wideOnly}, {Name: "certfile", In: wideOnly},
			}, records)
		},
	}
	o.addFlags(cmd, "table")
	return cmd
}

func configUseCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "use NAME",
		Aliases:           []string{"use-context"},
		Short:             "Choose the context to use where nothing else is said",
		Args:              oneContext,
		ValidArgsFunction: completeOne(completeContext),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeContexts(cmd, func(file *contexts.File) (string, error) {
				of, err := file.Get(args[0])
				if err != nil {
					return "", usageError{err}
				}
				file.Current = args[0]
				return "the server is " + of.Server, nil
			})
		},
	}
}

func configSetCommand() *cobra.Command {
	var c connection
	cmd := &cobra.Command{
		Use:     "set NAME",
		Aliases: []string{"set-context"},
		Short:   "Make a context, or change what flags say of one",
		Long: "Make a context, or change what flags say of one; an empty value takes away. The first context is\n" +
			"the one to use. It does not connect; vstream status --context NAME does.",
		Example: "  vstream config set prod --server https://vstream.example.com --token-file ~/.config/vstream/prod.token\n" +
			"  vstream config set prod --ca-file company-ca.pem",
		Args:              oneContext,
		ValidArgsFunction: completeOne(completeContext),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := contexts.CheckName(args[0]); err != nil {
				return usageError{err}
			}
			return changeContexts(cmd, func(file *contexts.File) (string, error) {
				of := file.Contexts[args[0]]
				if err := c.change(&of, cmd.Flags().Changed); err != nil {
					return "", err
				}
				file.Contexts[args[0]] = of
				file.Current = cmp.Or(file.Current, args[0])
				return fmt.Sprintf("the context %s is kept, with the server %s", args[0], of.Server), nil
			})
		},
	}
	c.addContextFlags(cmd.Flags())
	return cmd
}

// change changes what flags say of a context.
func (c *connection) change(of *contexts.Context, changed func(string) bool) error {
	for flag, set := range map[string]func() error{
		"server":               func() (err error) { of.Server, err = withScheme(c.Server); return err },
		"token-file":           func() error { return absolute(&of.TokenFile, c.TokenFile) },
		"ca-file":              func() error { return absolute(&of.CAFile, c.CAFile) },
		"cert-file":            func() error { return absolute(&of.CertFile, c.CertFile) },
		"key-file":             func() error { return absolute(&of.KeyFile, c.KeyFile) },
		"insecure-skip-verify": func() error { of.InsecureSkipVerify = c.InsecureSkipVerify; return nil },
	} {
		if changed(flag) {
			if err := set(); err != nil {
				return err
			}
		}
	}
	if of.Server == "" {
		return usagef("a context needs the address of its server; give it with --server")
	}
	if _, err := client.New(of.Server); err != nil {
		return usagef("--server: %w", err)
	}
	return nil
}

// absolute keeps the path of a file, which is to mean the same everywhere.
func absolute(to *string, path string) (err error) {
	if *to = path; path != "" {
		*to, err = filepath.Abs(path)
	}
	return err
}

func configDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "delete NAME",
		Aliases:           []string{"delete-context"},
		Short:             "Remove a context",
		Long:              "Remove a context. The files that it names stay.",
		Args:              oneContext,
		ValidArgsFunction: completeOne(completeContext),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeContexts(cmd, func(file *contexts.File) (string, error) {
				if _, err := file.Get(args[0]); err != nil {
					return "", usageError{err}
				}
				delete(file.Contexts, args[0])
				if file.Current == args[0] {
					file.Current = ""
				}
				return fmt.Sprintf("the context %s is removed", args[0]), nil
			})
		},
	}
}
