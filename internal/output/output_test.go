package output_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"vstream/client"
	"vstream/internal/output"
)

// hostile is a name with what terminals, spreadsheets and readers could be harmed by.
const hostile = "=web\x1b[2J\u009b31m\u202eevil\r\n\x07\u2028end"

func event(t *testing.T) client.Event {
	t.Helper()
	data, err := json.Marshal(map[string]any{"Key": 4000000, "ChainId": 7, "Host": nil, "UserName": hostile, "FullFormattedMessage": hostile, "Vm": map[string]string{"Name": hostile}})
	if err != nil {
		t.Fatal(err)
	}
	return client.Event{ID: "42", Offset: 42, Severity: "error", Class: "event", Type: "vmware.vsphere.VmPoweredOnEvent.v0",
		JSON: []byte(`{"id":"42","type":"vmware.vsphere.VmPoweredOnEvent.v0","data":` + string(data) + `}`)}
}

// write returns what a form makes of records.
func write(t *testing.T, form output.Form, records ...output.Record) string {
	t.Helper()
	var b strings.Builder
	w := output.NewWriter(&b, form)
	for _, r := range records {
		if err := w.Write(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func clock(t *testing.T) output.Clock {
	t.Helper()
	clock, err := output.ParseClock("rfc3339")
	if err != nil {
		t.Fatal(err)
	}
	return clock
}

func record(t *testing.T) output.Record {
	t.Helper()
	return output.EventRecord(event(t), clock(t), func(client.Event) string { return "vc1" })
}

func TestNothingInAnEventDoesAnythingToATerminal(t *testing.T) {
	options := output.Options{Columns: output.EventColumns(clock(t), func() bool { return true }), Stream: true, Terminal: true}
	jq, err := output.NewJQ(t.Context(), ".data.Vm.Name, .data", options)
	if err != nil {
		t.Fatal(err)
	}
	forms := map[string]output.Form{"jq": jq}
	for _, name := range []string{"line", "table", "wide", "json", "ndjson", "yaml", "csv", "jsonpath={.data.Vm.Name}", "go-template={{.data.Vm.Name}}", "custom-columns=VM:.data.Vm.Name"} {
		if forms[name], err = output.Parse(name, true, options); err != nil {
			t.Fatal(err)
		}
	}
	for name, form := range forms {
		text := write(t, form, record(t))
		if !strings.Contains(text, "end") {
			t.Errorf("%s is %q", name, text)
		}
		for _, r := range text {
			if unicode.IsControl(r) && r != '\n' || r >= '\u2028' && r <= '\u202e' {
				t.Errorf("%s lets %U through: %q", name, r, text)
				break
			}
		}
	}
}

func TestWhatJSONBecomesForATerminalMeansTheSame(t *testing.T) {
	e := event(t)
	for _, name := range []string{"json", "ndjson"} {
		form, err := output.Parse(name, true, output.Options{Stream: true, Endless: true, Terminal: true})
		if err != nil {
			t.Fatal(err)
		}
		var got, want any
		if err := errors.Join(json.Unmarshal([]byte(write(t, form, record(t))), &got), json.Unmarshal(e.JSON, &want)); err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		if string(a) != string(b) {
			t.Errorf("as %s it is %s, and was %s", name, a, b)
		}
	}
}

func TestAFormulaIsNoneInCSV(t *testing.T) {
	form, err := output.Parse("csv", true, output.Options{Columns: output.EventColumns(clock(t), func() bool { return true })})
	if err != nil {
		t.Fatal(err)
	}
	if text := write(t, form, record(t)); !strings.Contains(text, ",'=web [2J 31m evil end,") {
		t.Errorf("CSV is %s", text)
	}
}

func TestExpressionsSeeWholeNumbersAndNeitherTheEnvironmentNorFiles(t *testing.T) {
	t.Setenv("SECRET", "hunter2")
	for program, want := range map[string]string{
		".data.Key": "4000000\n", "$ENV.SECRET, env.SECRET": "null\nnull\n", "empty": "", ".nothing": "null\n", "halt": "",
	} {
		form, err := output.NewJQ(t.Context(), program, output.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if got := write(t, form, record(t)); got != want {
			t.Errorf("%s is %q, want %q", program, got, want)
		}
	}
	for _, program := range []string{"input", `import "x" as x; 1`, "input_filename", "error(1)"} {
		form, err := output.NewJQ(t.Context(), program, output.Options{})
		if err != nil {
			continue
		}
		if err := output.NewWriter(new(strings.Builder), form).Write(record(t)); err == nil && program != "input_filename" {
			t.Errorf("%s does something", program)
		}
	}
	for spec, want := range map[string]string{
		"go-template={{.data.Key}}": "4000000\n", "jsonpath={.data.Key}": "4000000\n", "jsonpath=data.Nothing": "\n", "jsonpath={.data.Host.Name}": "\n",
		"go-template={{.data.Host.Name}} {{.data.Host}} {{.data.Host.Parent.Name}}":                                                    "<no value> <no value> <no value>\n",
		"go-template={{if .data.Host}}a{{end}}{{with .data.Host}}b{{end}}{{range .data.Host}}c{{end}}{{if eq .data.Host nil}}d{{end}}": "d\n",
		"go-template={{if .data.Host}}a{{end}}":                                                                                        "",
		"custom-columns=A:.data.Key,B:.nothing":                                                                                        "A        B\n4000000  -\n",
	} {
		form, err := output.Parse(spec, true, output.Options{Stream: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := write(t, form, record(t)); got != want {
			t.Errorf("%s is %q, want %q", spec, got, want)
		}
	}
}

// A short writer takes so many bytes.
type short struct {
	*os.File
	left int
}

var errFull = errors.New("no space left")

func (s *short) Write(p []byte) (int, error) {
	n := min(len(p), s.left)
	s.left -= n
	if _, err := s.File.Write(p[:n]); err != nil {
		return 0, err
	}
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func TestOfWhatDidNotFitNothingCountsAsWritten(t *testing.T) {
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	form, err := output.Parse("ndjson", true, output.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w := output.NewWriter(&short{file, 20}, form)
	written := 0
	for range 5 {
		if err := w.Write(output.Record{JSON: []byte(`"123456"`), Written: func() { written++ }}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); !errors.Is(err, errFull) {
		t.Errorf("it fails with %v", err)
	}
	if err := w.Write(output.Record{JSON: []byte("1")}); !errors.Is(err, errFull) {
		t.Errorf("it goes on with %v", err)
	}
	if written != 2 || w.Bytes() != 18 {
		t.Errorf("%d records of %d bytes count as written", written, w.Bytes())
	}
}

func TestAnExpressionThatFailsSaysWhereInWords(t *testing.T) {
	for spec, want := range map[string]string{
		"go-template={{len .data.Key}}":              "<len .data.Key>: error calling len: len of type int",
		"go-template={{.data.Key":                    "line 1: unclosed action; write for example",
		"go-template={{range .items}}{{.id}}{{end}}": "there is no .items",
		"jsonpath={range .items[*]}{.id}{end}":       "there is no .items",
		"jsonpath={.items[*].id}":                    "there is no .items",
		"custom-columns=A:.items.id":                 "there is no .items",
	} {
		form, err := output.Parse(spec, true, output.Options{Stream: true})
		if err == nil {
			err = output.NewWriter(new(strings.Builder), form).Write(record(t))
		}
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "template: template") {
			t.Errorf("%s fails with %v, want %s", spec, err, want)
		}
	}
}

// named returns a record of an event with names of usual length.
func named(t *testing.T) output.Record {
	t.Helper()
	e := client.Event{ID: "4711", Offset: 4711, Time: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), Severity: "warning", Class: "eventex",
		Type: "vmware.vsphere.esx.problem.net.redundancy.lost.v0"}
	e.JSON = []byte(`{"data":{"EventTypeId":"esx.problem.net.redundancy.lost","UserName":"VSPHERE.LOCAL\\Administrator","Vm":{"Name":"web-server-of-production-1"},` +
		`"FullFormattedMessage":"Uplink redundancy is lost on esx-11.example.com: vmnic1 is down, which nobody has looked at yet, or so it seems"}}`)
	return output.EventRecord(e, clock(t), func(client.Event) string { return "vc1" })
}

func TestOnATerminalATableFitsItAndALineKeepsItsMessage(t *testing.T) {
	for _, width := range []int{40, 80, 100, 120, 160, 200, 400} {
		options := output.Options{Columns: output.EventColumns(clock(t), func() bool { return false }), Stream: true, Terminal: true, Width: width}
		for _, name := range []string{"table", "line", "wide"} {
			form, err := output.Parse(name, true, options)
			if err != nil {
				t.Fatal(err)
			}
			text := write(t, form, named(t))
			lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
			for _, line := range lines {
				if n := utf8.RuneCountInString(line); name == "table" && width >= 80 && n > width {
					t.Errorf("on %d columns a row of a table has %d: %s", width, n, line)
				}
			}
			last := lines[len(lines)-1]
			if name != "table" && !strings.HasSuffix(last, "or so it seems") {
				t.Errorf("on %d columns %s cuts the message: %s", width, name, last)
			}
			if cut := strings.Contains(text, "…"); name != "wide" && cut != (width < 400) && name == "table" || name == "wide" && cut {
				t.Errorf("on %d columns %s is cut: %v\n%s", width, name, cut, text)
			}
			if before, _, _ := strings.Cut(last, "Uplink"); name == "line" && utf8.RuneCountInString(before) > max(width-30, 70) {
				t.Errorf("on %d columns the message begins at %d: %s", width, len(before), last)
			}
		}
	}
}

func TestWhereThereIsNoTerminalNothingIsCut(t *testing.T) {
	for _, name := range []string{"table", "line", "wide", "custom-columns=TYPE:.data.EventTypeId,MESSAGE:.data.FullFormattedMessage"} {
		form, err := output.Parse(name, true, output.Options{Columns: output.EventColumns(clock(t), func() bool { return false }), Stream: true})
		if err != nil {
			t.Fatal(err)
		}
		text := write(t, form, named(t))
		if strings.Contains(text, "…") || !strings.Contains(text, "esx.problem.net.redundancy.lost  ") || !strings.HasSuffix(text, "or so it seems\n") {
			t.Errorf("%s is %s", name, text)
		}
	}
}

func TestAListFitsATerminalByPressingItsWidestColumn(t *testing.T) {
	columns := []output.Column{
		{Name: "name", Least: 8, In: output.InTable}, {Name: "share", Unit: "%", In: output.InTable | output.InCSV}, {Name: "description", Least: 8, In: output.InTable},
	}
	r := output.Record{Cells: func() []string {
		return []string{"esx.problem.net.redundancy.lost", "95.5", strings.Repeat("word ", 20)}
	}}
	for width, want := range map[int]string{
		0:  "NAME                             SHARE  DESCRIPTION\nesx.problem.net.redundancy.lost  95.5%  " + strings.TrimSpace(strings.Repeat("word ", 20)) + "\n",
		60: "NAME                        SHARE  DESCRIPTION\n…oblem.net.redundancy.lost  95.5%  word word word word word…\n",
	} {
		form, err := output.Parse("table", false, output.Options{Columns: columns, Terminal: width > 0, Width: width})
		if err != nil {
			t.Fatal(err)
		}
		if got := write(t, form, r); got != want {
			t.Errorf("on %d columns it is\n%swant\n%s", width, got, want)
		}
	}
	form, err := output.Parse("csv", false, output.Options{Columns: columns})
	if err != nil {
		t.Fatal(err)
	}
	if got := write(t, form, r); got != "share\n95.5\n" {
		t.Errorf("CSV is %q", got)
	}
}

// The message stays where it is in all rows, as far as there is room.
func TestAfterANameThatIsTooLongColumnsThatAreNotFullMakeUpForIt(t *testing.T) {
	long := client.Event{ID: "4711", Offset: 4711, Time: time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC), Severity: "error", Class: "eventex",
		Type: "vmware.vsphere.esx.problem.net.redundancy.lost.and.more.v0"}
	long.JSON = []byte(`{"data":{"EventTypeId":"esx.problem.net.redundancy.lost.and.more","Vm":{"Name":"web-01"},"FullFormattedMessage":"Uplink redundancy is lost"}}`)
	form, err := output.Parse("line", true, output.Options{Columns: output.EventColumns(clock(t), func() bool { return false }), Stream: true})
	if err != nil {
		t.Fatal(err)
	}
	usual := long
	usual.JSON = []byte(`{"data":{"EventTypeId":"esx.problem.net","Vm":{"Name":"web-01"},"FullFormattedMessage":"Uplink redundancy is lost"}}`)
	name := func(client.Event) string { return "vc1" }
	lines := strings.Split(write(t, form, output.EventRecord(usual, clock(t), name), output.EventRecord(long, clock(t), name)), "\n")
	if strings.Index(lines[0], "Uplink") != strings.Index(lines[1], "Uplink") || !strings.Contains(lines[1], "and.more  web-01  ") {
		t.Errorf("they are\n%s\n%s", lines[0], lines[1])
	}
}
