package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

const (
	profileSuffix = ".cpu.prof"
	profileLines  = 8 // of each kind
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

// making is what makes events to append: it is not what is measured.
const making = `main\.\(\*events\)\.take|main\.manifold`

// top returns as Markdown the functions that take most of a profile's time themselves, and
// those of ours that take most of it together with what they call.
func top(ctx context.Context, path string) (string, error) {
	var failed strings.Builder
	cmd := exec.CommandContext(ctx, "go", "tool", "pprof", "-top", "-relative_percentages", "-ignore="+making, "-nodecount=100000", "-nodefraction=0", path) //nolint:gosec // it is a profile of ours
	cmd.Stderr = &failed
	out, err := cmd.Output()
	if err != nil {
		return "", errors.Join(fmt.Errorf("read the profile %s: %w", path, err), errors.New(failed.String()))
	}
	type row struct {
		flat, sum, name string
		all             float64 // sum as a number
	}
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
		all, _ := strconv.ParseFloat(strings.TrimSuffix(parts[4], "%"), 64)
		rows = append(rows, row{parts[1], parts[4], strings.TrimSuffix(strings.Join(parts[5:], " "), " (inline)"), all})
	}
	lines := [][]string{{"Of " + total + " of CPU time", "itself", "with what it calls"}}
	add := func(some []row) {
		for _, r := range some {
			lines = append(lines, []string{"`" + r.name + "`", r.flat, r.sum})
		}
	}
	add(rows[:min(len(rows), profileLines)])
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(b.all, a.all) })
	var ours []row // of those that only call one another, one
	for _, r := range rows {
		last := len(ours) - 1
		switch {
		case !strings.HasPrefix(r.name, "vstream/"):
		case last < 0 || ours[last].sum != r.sum:
			ours = append(ours, r)
		case r.flat != "0%":
			ours[last] = r
		}
	}
	add(ours[:min(len(ours), profileLines)])
	return grid(lines), nil
}
