package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

const (
	profileSuffix = ".cpu.prof"
	profileLines  = 14
)

// showProfiles prints the top of each profile as a table, and writes those for which a file
// has a place into it: between "<!-- profile NAME -->" and "<!-- /profile -->".
func (b *bench) showProfiles(ctx context.Context, out io.Writer, file string) error {
	profiles, err := filepath.Glob(filepath.Join(b.cpuProfiles, "*"+profileSuffix))
	if err != nil {
		return err
	}
	slices.Sort(profiles)
	text := []byte{}
	if file != "" {
		if text, err = os.ReadFile(file); err != nil {
			return err
		}
	}
	for _, path := range profiles {
		name := strings.TrimSuffix(filepath.Base(path), profileSuffix)
		table, err := top(ctx, path)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "\n## %s\n\n%s", name, table); err != nil {
			return err
		}
		text = []byte(placed(string(text), name, table))
	}
	if file == "" {
		return nil
	}
	return os.WriteFile(file, text, 0o644) //nolint:gosec // it is to be read
}

// placed writes a table to the place that a text has for it, if it has one.
func placed(text, name, table string) string {
	begin, end := "<!-- profile "+name+" -->\n", "<!-- /profile -->"
	before, rest, found := strings.Cut(text, begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		return text
	}
	return before + begin + "\n" + table + "\n" + end + after
}

// top returns the functions in which most of a profile's time was spent, those they call
// included, as Markdown: the packages of Go's own that are everywhere are left to what
// calls them.
func top(ctx context.Context, path string) (string, error) {
	var failed strings.Builder
	cmd := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-nodecount=100000", "-nodefraction=0", path) //nolint:gosec // it is a profile of ours
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		return "", errors.Join(fmt.Errorf("read the profile %s: %w", path, err), errors.New(failed.String()))
	}
	type row struct{ flat, sum, name string }
	var rows []row
	total := ""
	for line := range strings.Lines(string(out)) {
		if _, samples, ok := strings.Cut(line, "Total samples = "); ok {
			total, _, _ = strings.Cut(strings.TrimSpace(samples), " ")
		}
		parts := strings.Fields(line)
		if len(parts) < 6 || !strings.HasSuffix(parts[1], "%") || !strings.HasSuffix(parts[4], "%") {
			continue
		}
		rows = append(rows, row{parts[1], parts[4], strings.Join(parts[5:], " ")})
	}
	lines := [][]string{{"Function, " + total + " in all", "itself", "with what it calls"}}
	for _, r := range rows[:min(len(rows), profileLines)] { // by what they take themselves
		lines = append(lines, []string{"`" + r.name + "`", r.flat, r.sum})
	}
	return grid(lines), nil
}
