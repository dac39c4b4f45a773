package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"vstream/internal/output"
)

func TestCommandDocumentsAreUpToDate(t *testing.T) {
	root := rootCommand()
	root.InitDefaultCompletionCmd()
	documents := map[string]string{}
	begins, err := os.ReadFile("testdata/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	b := bytes.NewBufferString(strings.NewReplacer("FORMS\n", output.Help(true), "EXITS", exitHelp).Replace(string(begins)))
	if err := eachCommand(root, func(cmd *cobra.Command) error {
		var page bytes.Buffer
		if err := writeMan(&page, cmd); err != nil {
			return err
		}
		documents["../../docs/man/"+manName(cmd)] = page.String()
		return writeMarkdown(b, cmd)
	}); err != nil {
		t.Fatal(err)
	}
	documents["../../docs/cli.md"] = strings.TrimRight(b.String(), "\n") + "\n"
	old, err := filepath.Glob("../../docs/man/*")
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		for _, path := range old {
			os.Remove(path)
		}
		for path, text := range documents {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	for path, text := range documents {
		have, err := os.ReadFile(path)
		if err != nil || string(have) != text {
			t.Errorf("%s is not what the commands say (%v); run make docs", path, err)
		}
	}
	for _, path := range old {
		if _, there := documents[path]; !there {
			t.Errorf("%s is of no command; run make docs", path)
		}
	}
}

func TestEveryFlagAndCommandHasAWordOfHelp(t *testing.T) {
	if err := eachCommand(rootCommand(), func(cmd *cobra.Command) error {
		if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
			t.Errorf("%s is described %q", cmd.CommandPath(), cmd.Short)
		}
		for _, f := range flagsOf(cmd) {
			if f.Usage == "" {
				t.Errorf("%s --%s is not described", cmd.CommandPath(), f.Name)
			}
		}
		for _, line := range slices.Concat(strings.Split(cmd.Long, "\n"), strings.Split(cmd.Example, "\n")) {
			if len(line) > 110 && cmd.Name() != "serve" {
				t.Errorf("%s has a line of %d characters: %s", cmd.CommandPath(), len(line), line)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
