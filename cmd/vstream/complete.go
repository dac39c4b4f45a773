package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vstream/client"
	"vstream/internal/contexts"
	"vstream/internal/output"
)

// completionTime is how long a shell waits for values from the server.
const completionTime = 2 * time.Second

// candidates returns values that may be meant by the beginning of one.
type candidates func(cmd *cobra.Command, begins string) []string

// completion lets a shell complete with candidates. Of values with commas in between, the
// last is completed; a ! in front stays.
func completion(of candidates) cobra.CompletionFunc {
	return func(cmd *cobra.Command, _ []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
		at := strings.LastIndexByte(text, ',') + 1
		if strings.HasPrefix(text[at:], "!") {
			at++
		}
		given := strings.Split(strings.ReplaceAll(text[:at], "!", ""), ",")
		var found []string
		for _, c := range of(cmd, text[at:]) {
			if !slices.Contains(given, c) {
				found = append(found, text[:at]+c)
			}
		}
		directive := cobra.ShellCompDirectiveNoFileComp
		if slices.ContainsFunc(found, func(s string) bool { return strings.HasSuffix(s, "=") }) {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return found, directive
	}
}

// completeOne lets a shell complete the one argument of a command.
func completeOne(of candidates) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, text string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completion(of)(cmd, args, text)
	}
}

// complete lets a shell complete a flag with candidates.
func complete(cmd *cobra.Command, flag string, of candidates) {
	if err := cmd.RegisterFlagCompletionFunc(flag, completion(of)); err != nil {
		panic(err) // there is no such flag
	}
}

// completeField returns the values of a field that the server's events have, the most
// frequent first. It takes the flags of the command line that say which server, and says
// nothing if that does not answer soon.
func completeField(name string) candidates {
	return func(cmd *cobra.Command, begins string) []string {
		if name == "severity" {
			return []string{"error", "warning", "info", "user"}
		}
		flag := func(name string) string {
			if f := cmd.Flags().Lookup(name); f != nil {
				return f.Value.String()
			}
			return ""
		}
		c := connection{quiet: true, name: flag("context"), Context: contexts.Context{
			Server: flag("server"), TokenFile: flag("token-file"), CAFile: flag("ca-file"), CertFile: flag("cert-file"), KeyFile: flag("key-file"),
			InsecureSkipVerify: flag("insecure-skip-verify") == "true",
		}}
		server, err := c.open(cmd)
		if err != nil {
			return nil
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
		defer cancel()
		options := []client.ReadOption{client.Top(100)}
		for _, of := range fields {
			if of.name == name && !strings.ContainsAny(begins, "*!,") {
				options = append(options, of.option(begins+"*"))
			}
		}
		counts, err := server.Facets(ctx, options...)
		if err != nil {
			return nil
		}
		var values []string
		for _, v := range counts.Facets[name].Values {
			if output.Clean(v.Value) == v.Value && !strings.Contains(v.Value, ",") { // a shell shows it, and a comma separates
				values = append(values, v.Value)
			}
		}
		return values
	}
}
