package main

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// A section is a table with what is said over it. The first line of the grid is its head.
type section struct {
	title, note string
	grid        [][]string
}

// A goal is a figure to reach, with what was reached, and a peer measured in the same run.
type goal struct {
	what   string
	value  float64
	show   func(float64) string
	atMost bool // a small value is a good one
	bound  float64
	peer   string  // empty: there is none
	other  float64 // the peer's
	broken string  // why it was not reached whatever the value; or empty
	limit  string  // what keeps it from being better, for when it was not reached; or empty
}

// reached reports whether the figure is as it should be.
func (g *goal) reached() bool {
	if g.broken != "" {
		return false
	}
	if g.atMost {
		return g.value < g.bound
	}
	return g.value >= g.bound
}

// verdict says so, and by how much it was missed: never less than it was.
func (g *goal) verdict() string {
	switch {
	case g.reached():
		return "yes"
	case g.broken != "":
		return "missed: " + g.broken
	case g.atMost:
		return fmt.Sprintf("missed: %.2f times as much", g.value/g.bound)
	}
	return fmt.Sprintf("missed: %.1f %% of it", 100*g.value/g.bound)
}

// times is how many times as good as the peer it is.
func (g *goal) times() string {
	switch {
	case g.peer == "" || g.other == 0 || g.value == 0:
		return missing
	case g.atMost:
		return fmt.Sprintf("%.3g×", g.other/g.value)
	}
	return fmt.Sprintf("%.3g×", g.value/g.other)
}

func (b *bench) reach(g goal) { b.goals = append(b.goals, g) }

func (b *bench) add(s section) { b.sections = append(b.sections, s) }

// goalGrid returns the figures to reach.
func (b *bench) goalGrid() [][]string {
	grid := [][]string{{"", "vstream", "peer", "better by", "to reach", "reached"}}
	for i := range b.goals {
		g := &b.goals[i]
		to, peer := "at least ", missing
		if g.atMost {
			to = "below "
		}
		if g.peer != "" {
			peer = g.show(g.other) + ", " + g.peer
		}
		grid = append(grid, []string{g.what, g.show(g.value), peer, g.times(), to + g.show(g.bound), g.verdict()})
	}
	return grid
}

// all returns what there is to show.
func (b *bench) all() []section {
	if len(b.goals) == 0 {
		return b.sections
	}
	note := "Each beside a peer that was measured in the same run, on the same machine. Whether it was reached is decided by the figure as measured, not as shown."
	for i := range b.goals {
		if g := &b.goals[i]; !g.reached() && g.limit != "" {
			note += " Missed, " + g.what + ": " + g.limit + "."
		}
	}
	return append([]section{{"Figures to reach", note, b.goalGrid()}}, b.sections...)
}

// text returns the figures for a terminal.
func (b *bench) text() string {
	var s strings.Builder
	for _, f := range b.facts {
		fmt.Fprintf(&s, "%s: %s\n", f.name, f.value)
	}
	for _, part := range b.all() {
		fmt.Fprintf(&s, "\n%s\n%s\n\n", part.title, part.note)
		w := tabwriter.NewWriter(&s, 0, 0, 3, ' ', 0)
		for _, line := range part.grid {
			fmt.Fprintln(w, strings.TrimRight(strings.Join(line, "\t"), "\t"))
		}
		_ = w.Flush()
	}
	return s.String()
}

// markdown returns the figures for a file.
func (b *bench) markdown() string {
	var s strings.Builder
	s.WriteString("# Results\n\nWritten by `make bench`. What is measured, and how: [README.md](README.md). ")
	s.WriteString("What the figures mean, and where the time goes: [docs/performance.md](../docs/performance.md).\n\n")
	for _, f := range b.facts {
		fmt.Fprintf(&s, "- %s: %s\n", f.name, f.value)
	}
	for _, part := range b.all() {
		fmt.Fprintf(&s, "\n## %s\n\n%s\n\n%s", part.title, part.note, grid(part.grid))
	}
	return s.String()
}

// grid returns a table as Markdown.
func grid(lines [][]string) string {
	var s strings.Builder
	for i, line := range lines {
		fmt.Fprintf(&s, "| %s |\n", strings.Join(line, " | "))
		if i == 0 {
			s.WriteString("|---" + strings.Repeat("|--:", len(line)-1) + "|\n")
		}
	}
	return s.String()
}
