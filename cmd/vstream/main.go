// Command vstream turns the events of a VMware vCenter into a log that anyone can read
// over HTTP.
//
// It is the only package that knows all others: one file a command, and serve.go wires
// what they share.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // for filters that name a time zone, where the machine knows none

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	// A reader of our output that has had enough (| head) shows as a failed write. As a
	// signal it would end us with everything left lying about.
	signal.Ignore(syscall.SIGPIPE)
	// The first signal asks for a clean stop, the second gets the default treatment.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	began := false // the command itself, so that what fails before is the command line's fault
	root := &cobra.Command{
		Use:   "vstream",
		Short: "The events of vSphere as a log that anyone can read over HTTP",
		Long: "vstream turns the events of a VMware vCenter into a log that anyone can read over\n" +
			"HTTP: list, replay from an offset, watch live.\n\n" +
			"Without a vCenter at hand, begin with: vstream demo",
		Version:           versionText(),
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRun:  func(*cobra.Command, []string) { began = true },
		CompletionOptions: cobra.CompletionOptions{HiddenDefaultCmd: true},
	}
	root.AddCommand(serveCommand(), auditCommand(), logCommand(), tokenCommand(), demoCommand(), simulateCommand(), versionCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetVersionTemplate("vstream {{.Version}}\n")
	cmd, err := root.ExecuteContextC(ctx)
	switch {
	case err == nil, errors.Is(err, errInterrupted), errors.Is(err, syscall.EPIPE):
		return 0
	case began:
		fmt.Fprintf(stderr, "vstream: %v\n", err)
		return exitFailure
	default:
		fmt.Fprintf(stderr, "vstream: %v\nRun '%s --help' for usage.\n", err, cmd.CommandPath())
		return exitUsage
	}
}

// errInterrupted says that a start was broken off because somebody asked for it: an end as
// good as any.
var errInterrupted = errors.New("interrupted")

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
