package main

import (
	"github.com/spf13/cobra"

	"vstream/internal/output"
)

// topics are what help tells beside the commands.
func topics() []*cobra.Command {
	return []*cobra.Command{
		{Use: "forms", Short: "How events and lists can be written (--output)", Long: "Forms of --output:\n\n" + output.Help(true) +
			"\nLists of other things than events have no lines. --jq goes without --output: it writes what a jq\n" +
			"program makes of the JSON of each event. See what is in one with: vstream get -n 1 -o json"},
		{Use: "exit-codes", Short: "What the exit codes of commands that read from a server mean", Long: "Exit codes of commands that read from a server:\n\n" + exitHelp},
		{Use: "environment", Short: "Variables that the commands that read from a server know", Long: "Variables of the environment that the commands that read from a server know:\n\n" +
			"  " + serverVariable + "      address of the server, where no flag says another\n" +
			"  " + tokenVariable + "  file with the token, where the server is not that of a context\n" +
			"  " + contextsVariable + "  file with the contexts, instead of the usual one; see: vstream config --help\n" +
			"  NO_COLOR            if it is not empty, there are no colors unless --color says so\n" +
			"  COLUMNS             how wide the terminal is, if it is not to be asked\n" +
			"  HTTPS_PROXY, HTTP_PROXY, NO_PROXY\n" +
			"                      the proxy to use\n" +
			"  SSL_CERT_FILE       authorities to trust instead of the system's, as --ca-file\n\n" +
			"Those of servers are told by: vstream serve --help"},
	}
}
