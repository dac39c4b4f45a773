// Command vstream turns the events of a VMware vCenter into a log that anyone can read
// over HTTP.
//
// It is the only package that knows all others: one file a command, and serve.go wires
// what they share.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // for filters that name a time zone, where the machine knows none

	"github.com/spf13/cobra"
)

func main() {
	ignoreSignals()
	// The first signal asks for a clean stop, the second gets the default treatment.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	began := false // the command itself, so that what fails before is the command line's fault
	root := rootCommand()
	root.PersistentPreRun = func(*cobra.Command, []string) { began = true }
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	wrapHelp(root)
	if err := unknownHelp(root, args); err != nil {
		fmt.Fprintf(stderr, "vstream: %v\n", err)
		return exitUsage
	}
	cmd, err := root.ExecuteContextC(ctx)
	code := exitCode(err)
	switch {
	case code == 0:
	case (code == exitTimeout || code == exitNothing) && isSet(cmd, "quiet"): // the code says it
	case began:
		say(stderr, err)
	default:
		fmt.Fprintf(stderr, "vstream: %v\nRun '%s --help' for usage.\n", err, cmd.CommandPath())
		code = exitUsage
	}
	return code
}

// isSet reports whether a flag that is true or false is true.
func isSet(cmd *cobra.Command, name string) bool {
	f := cmd.Flags().Lookup(name)
	return f != nil && f.Value.String() == "true"
}

// The groups of commands, in help texts.
const (
	readGroup  = "read"
	serveGroup = "serve"
	tryGroup   = "try"
)

func rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "vstream",
		Short: "The events of vSphere as a log that anyone can read over HTTP",
		Long: "vstream turns the events of VMware vCenters into a log that anyone can read over HTTP, and reads\n" +
			"it: list, replay from any point, watch live.\n\n" +
			"Without a vCenter at hand, begin with: vstream demo\n" +
			"and in another terminal:               vstream tail",
		Example: "  vstream tail --severity error,warning         # follow what goes wrong\n" +
			"  vstream get --since 1h --vm 'web*'            # what happened to these in the last hour\n" +
			"  vstream stats --by user --since today         # who does most\n" +
			"  vstream config set prod --server https://vstream.example.com",
		Version:           versionText(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
	}
	root.AddGroup(&cobra.Group{ID: readGroup, Title: "Read events from a server:"}, &cobra.Group{ID: serveGroup, Title: "Run a server:"}, &cobra.Group{ID: tryGroup, Title: "Try it out:"})
	for group, commands := range map[string][]*cobra.Command{
		readGroup:  {tailCommand(), getCommand(), exportCommand(), typesCommand(), statsCommand(), statusCommand(), vcentersCommand(), configCommand()},
		serveGroup: {serveCommand(), auditCommand(), logCommand(), tokenCommand()},
		tryGroup:   {demoCommand(), simulateCommand()},
	} {
		for _, c := range commands {
			c.GroupID = group
			root.AddCommand(c)
		}
	}
	root.AddCommand(manCommand(), versionCommand())
	root.AddCommand(topics()...)
	root.SetVersionTemplate("vstream {{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(helpCommand())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			menu(c)
		}
	}
	return menu(root)
}

// noArguments is cobra.NoArgs with words for people who took vstream serve for a menu.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%q is too much: %s takes no arguments", args[0], cmd.CommandPath())
	}
	return nil
}

// version is set by the linker for releases.
var version = ""

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "vstream", versionText())
			return err
		},
	}
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
