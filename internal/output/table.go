package output

import (
	"encoding/csv"
	"slices"
	"strings"
	"unicode/utf8"
)

// A grid is the columns that a form shows, each padded to a width.
type grid struct {
	Options
	in     In
	cut    bool
	header bool

	shown  []int // the columns there are; nil before the first row
	widths []int
	rows   [][]string // of a list that ends: kept until then
}

func newLines(o Options) *grid {
	o.Stream = true
	return &grid{Options: o, in: InLine}
}

func newTable(o Options, in In) *grid {
	return &grid{Options: o, in: in, cut: in == InTable, header: !o.NoHeaders}
}

func (g *grid) Append(to []byte, r Record) ([]byte, error) {
	cells := r.Cells()
	if g.shown == nil {
		for i, c := range g.Columns {
			if c.In&g.in != 0 && (c.Omit == nil || !c.Omit()) {
				g.shown = append(g.shown, i)
				width := c.Width
				if g.header {
					width = max(width, len(c.Name))
				}
				g.widths = append(g.widths, width)
			}
		}
		if g.Stream && g.header {
			to = g.row(to, g.titles())
		}
	}
	row := make([]string, len(g.shown))
	for i, column := range g.shown {
		if row[i] = Clean(cells[column]); row[i] == "" {
			row[i] = "-"
		}
	}
	if g.Stream {
		return g.row(to, row), nil
	}
	g.rows = append(g.rows, row)
	return to, nil
}

// End writes the rows of a list.
func (g *grid) End(to []byte) ([]byte, error) {
	if g.Stream || len(g.rows) == 0 {
		return to, nil
	}
	if g.header {
		g.rows = slices.Insert(g.rows, 0, g.titles())
	}
	for i := range g.widths {
		g.widths[i] = 0
		for _, row := range g.rows {
			g.widths[i] = max(g.widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	g.cut = false
	for _, row := range g.rows {
		to = g.row(to, row)
	}
	return to, nil
}

func (g *grid) titles() []string {
	var row []string
	for _, i := range g.shown {
		row = append(row, strings.ToUpper(g.Columns[i].Name))
	}
	return row
}

// row appends a line. What is too long for its column is cut, or moves what follows. The
// last column is as it is.
func (g *grid) row(to []byte, cells []string) []byte {
	for i, text := range cells {
		if i == len(cells)-1 {
			return append(append(to, text...), '\n')
		}
		if g.cut {
			text = shorten(text, g.widths[i])
		}
		pad := g.widths[i] - utf8.RuneCountInString(text) + 2
		color := ""
		if g.Color && g.Columns[g.shown[i]].Name == "severity" {
			color = colors[text]
		}
		if color != "" {
			to = append(append(append(to, color...), text...), plainColor...)
		} else {
			to = append(to, text...)
		}
		for range max(pad, 2) {
			to = append(to, ' ')
		}
	}
	return to
}

// colors of severities. What is not here has none.
var colors = map[string]string{"error": "\x1b[31m", "warning": "\x1b[33m", "user": "\x1b[36m"}

const plainColor = "\x1b[0m"

// shorten keeps the end of long names: that is where they differ. A width of 0 is any.
func shorten(s string, most int) string {
	if most == 0 || len(s) <= most {
		return s
	}
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return "…" + string(r[len(r)-most+1:])
}

// values writes CSV (RFC 4180). Its columns are always the same.
type values struct {
	Options
	begun bool
}

func (v *values) Append(to []byte, r Record) ([]byte, error) {
	to, err := v.begin(to)
	if err != nil {
		return to, err
	}
	cells := r.Cells()
	var row []string
	for i, c := range v.Columns {
		if c.In&InCSV != 0 {
			row = append(row, harmless(Clean(cells[i])))
		}
	}
	return appendCSV(to, row)
}

// End writes the header of a list that is empty.
func (v *values) End(to []byte) ([]byte, error) { return v.begin(to) }

func (v *values) begin(to []byte) ([]byte, error) {
	if v.begun || v.NoHeaders {
		return to, nil
	}
	v.begun = true
	var row []string
	for _, c := range v.Columns {
		if c.In&InCSV != 0 {
			row = append(row, c.Name)
		}
	}
	return appendCSV(to, row)
}

// harmless puts a ' before what a spreadsheet would take for a formula.
func harmless(s string) string {
	if s != "" && strings.IndexByte("=+-@", s[0]) >= 0 {
		return "'" + s
	}
	return s
}

func appendCSV(to []byte, row []string) ([]byte, error) {
	a := appender(to)
	w := csv.NewWriter(&a)
	if err := w.Write(row); err != nil {
		return to, err
	}
	w.Flush()
	return a, w.Error()
}

// An appender is a text that grows.
type appender []byte

func (a *appender) Write(p []byte) (int, error) {
	*a = append(*a, p...)
	return len(p), nil
}
