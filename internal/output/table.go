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
	fits   bool // into the width of the terminal, if that is known
	grows  bool // columns are as wide as the widest cell so far
	header bool

	shown  []int      // the columns there are; nil before the first row
	widths []int      // of those; 0 of the last one is any
	rows   [][]string // of a list that ends: kept until then
}

func newLines(o Options) *grid {
	o.Stream = true
	return &grid{Options: o, in: InLine, fits: true}
}

func newTable(o Options, in In) *grid {
	return &grid{Options: o, in: in, fits: in == InTable, header: !o.NoHeaders}
}

func (g *grid) Append(to []byte, r Record) ([]byte, error) {
	cells := r.Cells()
	first := g.shown == nil
	if first {
		g.show(cells)
	}
	row := make([]string, len(g.shown))
	for i, column := range g.shown {
		if row[i] = Clean(cells[column]); row[i] == "" {
			row[i] = "-"
		} else {
			row[i] += g.Columns[column].Unit
		}
		if g.grows {
			g.widths[i] = max(g.widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	if !g.Stream {
		g.rows = append(g.rows, row)
		return to, nil
	}
	if first && g.header {
		to = g.row(to, g.titles())
	}
	return g.row(to, row), nil
}

// show chooses the columns, and how wide they are where records come one by one, the first
// with these cells.
func (g *grid) show(cells []string) {
	g.shown = []int{}
	g.Columns = slices.Clone(g.Columns)
	for i, c := range g.Columns {
		if c.In&g.in != 0 && (c.Omit == nil || !c.Omit()) {
			g.shown = append(g.shown, i)
		}
		if c.Fit {
			g.Columns[i].Width = utf8.RuneCountInString(cells[i])
		}
	}
	pressed := g.fits && g.Width > 0 && g.Stream
	if pressed {
		g.leaveOut()
	}
	g.widths = make([]int, len(g.shown))
	for i := range g.shown {
		g.widths[i] = g.usual(i)
	}
	if pressed {
		g.press()
	}
}

// press gives the columns, of which each has what is usual, what the terminal has room for.
func (g *grid) press() {
	columns := g.widths[:len(g.widths)-1]
	left := g.Width - g.need() // besides what the last one is least
	last := min(max(left, 0), usualLast-leastLast)
	left -= last
	for i := range columns {
		columns[i] = g.least(i)
	}
	left = share(columns, left, g.usual)
	// Names that are longer than usual come before a message that is.
	if more := left - (goodLast - usualLast); more > 0 {
		left += share(columns, more, func(i int) int {
			if g.Columns[g.shown[i]].Least == 0 {
				return 0
			}
			return 2 * g.usual(i)
		}) - more
	}
	if g.in == InTable {
		g.widths[len(columns)] = max(leastLast+last+left, len("MESSAGE"))
	}
}

// share gives columns what there is, in turn, until they have the most they are to have. It
// returns what is left.
func share(columns []int, left int, most func(int) int) int {
	for given := true; given; {
		given = false
		for i := range columns {
			if left > 0 && columns[i] < most(i) {
				columns[i]++
				left--
				given = true
			}
		}
	}
	return left
}

const (
	gap = "  " // between columns
	// leastLast is how wide the last column, the message, is on a terminal where that can be had
	// by leaving out others, usualLast where it can by pressing them, and goodLast what it gets
	// before others have more than usual.
	leastLast, usualLast, goodLast = 22, 30, 80
)

// usual is how wide a column is where there is room.
func (g *grid) usual(shown int) int {
	c := g.Columns[g.shown[shown]]
	if g.header {
		return max(c.Width, len(c.Name))
	}
	return c.Width
}

// least is how narrow a column may be.
func (g *grid) least(shown int) int {
	if least := g.Columns[g.shown[shown]].Least; least > 0 {
		return least
	}
	return g.usual(shown)
}

// need is how wide a row is whose columns are as narrow as they may be.
func (g *grid) need() int {
	sum := leastLast
	for i := range len(g.shown) - 1 {
		sum += g.least(i) + len(gap)
	}
	return sum
}

// leaveOut leaves out columns that can be spared until the others fit.
func (g *grid) leaveOut() {
	for g.need() > g.Width {
		most := -1
		for i, column := range g.shown {
			if spare := g.Columns[column].Spare; spare > 0 && (most < 0 || spare > g.Columns[g.shown[most]].Spare) {
				most = i
			}
		}
		if most < 0 {
			return
		}
		g.shown = slices.Delete(g.shown, most, most+1)
	}
}

// End writes the rows of a list.
func (g *grid) End(to []byte) ([]byte, error) {
	if g.Stream || len(g.rows) == 0 {
		return to, nil
	}
	if g.header {
		g.rows = slices.Insert(g.rows, 0, g.titles())
	}
	total := len(gap) * (len(g.widths) - 1)
	for i := range g.widths {
		g.widths[i] = 0
		for _, row := range g.rows {
			g.widths[i] = max(g.widths[i], utf8.RuneCountInString(row[i]))
		}
		total += g.widths[i]
	}
	for ; g.fits && g.Width > 0 && total > g.Width; total-- {
		widest := -1
		for i, column := range g.shown {
			if least := g.Columns[column].Least; least > 0 && g.widths[i] > least && (widest < 0 || g.widths[i] >= g.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		g.widths[widest]--
	}
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

// row appends a line. What is too long for its column is cut on a terminal, and elsewhere
// moves what follows, until columns that are not full make up for it. The last column is not
// padded.
func (g *grid) row(to []byte, cells []string) []byte {
	cut := g.fits && g.Width > 0
	over := 0 // by how much we are behind where the column begins
	for i, text := range cells {
		if i == len(cells)-1 {
			if cut {
				text = cutEnd(text, g.widths[i])
			}
			return append(append(to, text...), '\n')
		}
		if cut && !g.Columns[g.shown[i]].Fit {
			text = cutBeginning(text, g.widths[i])
		}
		pad := g.widths[i] - utf8.RuneCountInString(text) - over
		if over = max(-pad, 0); g.widths[i] == 0 {
			over = 0
		}
		color := ""
		if g.Color && g.Columns[g.shown[i]].Name == "severity" {
			color = colors[text]
		}
		if color != "" {
			to = append(append(append(to, color...), text...), plainColor...)
		} else {
			to = append(to, text...)
		}
		for range pad {
			to = append(to, ' ')
		}
		to = append(to, gap...)
	}
	return to
}

// colors of severities. What is not here has none.
var colors = map[string]string{"error": "\x1b[31m", "warning": "\x1b[33m", "user": "\x1b[36m"}

const plainColor = "\x1b[0m"

// cutBeginning keeps the end of long names: that is where they differ. A width of 0 is any.
func cutBeginning(s string, most int) string {
	if r := tooLong(s, most); r != nil {
		return "…" + string(r[len(r)-most+1:])
	}
	return s
}

// cutEnd keeps the beginning of long texts. A width of 0 is any.
func cutEnd(s string, most int) string {
	if r := tooLong(s, most); r != nil {
		return string(r[:most-1]) + "…"
	}
	return s
}

// tooLong returns the characters of a text of more than so many, and nil of others.
func tooLong(s string, most int) []rune {
	if most == 0 || len(s) <= most {
		return nil
	}
	if r := []rune(s); len(r) > most {
		return r
	}
	return nil
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
