package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"vstream/internal/access"
)

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make tokens that let clients in",
		Args:  noArguments,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(tokenNewCommand())
	return cmd
}

func tokenNewCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "new NAME",
		Short: "Make a token, and its line for the file of tokens",
		Long: "Make a random token for NAME. The token is printed on the standard output, this once: give it\n" +
			"to who is to read. Its line for the file that AUTH_TOKENS_FILE names, which does not tell the\n" +
			"token, is printed on the standard error, so that this does both:\n\n" +
			"  vstream token new NAME 2>>tokens",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("%s takes one argument: what the holder of the token is called", cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			token, line, err := access.NewToken(args[0])
			if err != nil {
				return err
			}
			// The line first: without it the token is worth nothing.
			if _, err := fmt.Fprintln(cmd.ErrOrStderr(), line); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
}
