package output

import (
	"fmt"
	"strings"

	"vstream/internal/spelling"
)

// A Record is one thing to write: an event, a type, a vCenter.
type Record struct {
	// JSON is the record as the API has it, on one line.
	JSON []byte
	// Cells returns the text of each column. It is called by the forms that have columns.
	Cells func() []string
	// Written is called once the record, as a whole, has been handed to the operating system;
	// it may be nil.
	Written func()
}

// In is the forms that have a column.
type In uint8

// The forms with columns.
const (
	InLine In = 1 << iota
	InTable
	InWide
	InCSV
)

// A Column is a part of a record that forms with columns show.
type Column struct {
	Name  string // in lower case
	Unit  string // behind each value, but in CSV
	Width int    // in characters, where records come one by one; 0 is not padded
	Least int    // to which a narrow terminal presses it; 0 is not at all
	Spare int    // of those that are not 0, a terminal that is too narrow leaves out the highest first
	In    In
	Fit   bool // it is as wide as the first record has it
	// Omit, which may be nil, is asked before the first row of a line or a table whether to
	// leave the column out.
	Omit func() bool
}

// Options say what a form is for.
type Options struct {
	Columns   []Column
	Stream    bool // records come one by one: tables do not wait for all
	Endless   bool // or there is one: JSON is no array
	NoHeaders bool
	Color     bool // severities have one
	Terminal  bool // what is written is read by a terminal
	Width     int  // of that, in characters; 0 is any, as it is elsewhere: nothing is cut
}

// A Form says how records are written.
type Form interface {
	// Append appends a record to a text, and before the first one what has to be there.
	Append(to []byte, r Record) ([]byte, error)
	// End appends what comes after the last record.
	End(to []byte) ([]byte, error)
}

// forms is the table of forms: how they are called, whether they go on behind a =, and how
// they are made from that. Line is first.
var forms = []struct {
	name, help string
	takes      bool
	make       func(argument string, o Options) (Form, error)
}{
	{"line", "a line for people: time, severity, type, target, user, message", false, func(_ string, o Options) (Form, error) { return newLines(o), nil }},
	{"table", "the same with a header and the offset; on a terminal, cut to fit a line", false, func(_ string, o Options) (Form, error) { return newTable(o, InTable), nil }},
	{"wide", "a table with more columns, in which nothing is cut", false, func(_ string, o Options) (Form, error) { return newTable(o, InWide), nil }},
	{"json", "indented JSON: an array, or one after the other while following", false, func(_ string, o Options) (Form, error) { return &indented{Options: o}, nil }},
	{"ndjson", "the JSON of the API, one a line", false, func(_ string, o Options) (Form, error) { return plain{o}, nil }},
	{"yaml", "YAML documents", false, func(_ string, o Options) (Form, error) { return &documents{Options: o}, nil }},
	{"csv", "comma-separated values, with a header", false, func(_ string, o Options) (Form, error) { return &values{Options: o}, nil }},
	{"jsonpath", "what a JSONPath template makes of each, as in jsonpath={.data.Vm.Name}", true, newJSONPath},
	{"go-template", "what a Go template makes of each, as in 'go-template={{.id}} {{.severity}}'", true, newTemplate},
	{"custom-columns", "a table of your own, as in custom-columns=ID:.id,VM:.data.Vm.Name", true, newCustom},
}

// Names returns how the forms are called, with a = at the end where an argument follows. Only
// events have lines.
func Names(lines bool) []string {
	var names []string
	for _, f := range forms {
		switch {
		case f.takes:
			names = append(names, f.name+"=")
		case f.name != "line" || lines:
			names = append(names, f.name)
		}
	}
	return names
}

// Help describes the forms, a line each.
func Help(lines bool) string {
	var b strings.Builder
	for i, name := range Names(lines) {
		f := forms[i+len(forms)-len(Names(lines))]
		help := f.help
		if !lines && f.name == "table" {
			help = "a table with a header; on a terminal cut to fit"
		}
		fmt.Fprintf(&b, "  %-16s %s\n", name, help)
	}
	return b.String()
}

// Parse returns the form that text names. Its errors are about text, and say what to do.
func Parse(text string, lines bool, o Options) (Form, error) {
	name, argument, takes := strings.Cut(text, "=")
	var known []string
	for _, f := range forms {
		if f.name == "line" && !lines {
			continue
		}
		known = append(known, f.name)
		switch {
		case f.name != name:
			continue
		case f.takes && argument == "":
			return nil, fmt.Errorf("%s wants to know what to write behind a =: %s", name, f.help)
		case !f.takes && takes:
			return nil, fmt.Errorf("%s takes nothing behind a =", name)
		}
		form, err := f.make(argument, o)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return form, nil
	}
	advice := "there are " + strings.Join(known, ", ")
	if near := spelling.Nearest(name, known); near != "" {
		advice = "did you mean " + near + "?"
	}
	where := ""
	if name == "line" {
		where = " here"
	}
	return nil, fmt.Errorf("there is no form %q%s; %s", Clean(name), where, advice)
}
