package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"vstream/internal/access"
)

func tokenCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "token",
		Short: "Make tokens that let clients in",
	}
	cmd.AddCommand(tokenNewCommand())
	return menu(cmd)
}

func tokenNewCommand() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a token, and its line for the file of tokens",
		Long: "Make a random token for NAME. The token is printed on the standard output, this once: give it\n" +
			"to who is to read. Its line for the file that AUTH_TOKENS_FILE names, which does not tell the\n" +
			"token, is appended to the file of --file, or else printed on the standard error.",
		Example: "  vstream token new alice --file tokens >alice.token",
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
			if file == "" {
				_, err = fmt.Fprintln(cmd.ErrOrStderr(), line)
			} else if err = appendLine(file, line); err != nil {
				err = fmt.Errorf("--file: %w", err)
			}
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "file of tokens to append the line to")
	return cmd
}

// appendLine appends a line to a file, which it makes if it is not there, and ends the line before
// if an editor has not.
func appendLine(path, line string) error {
	if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if len(text) > 0 && text[len(text)-1] != '\n' {
			line = "\n" + line
		}
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(line + "\n")
	return errors.Join(err, file.Close())
}
