package output_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"vstream/client"
	"vstream/internal/output"
)

// hostile is a name with what terminals, spreadsheets and readers could be harmed by.
const hostile = "=web\x1b[2J\u009b31m\u202eevil\r\n\x07\u2028end"

func event(t *testing.T) client.Event {
	t.Helper()
	data, err := json.Marshal(map[string]any{"Key": 4000000, "ChainId": 7, "UserName": hostile, "FullFormattedMessage": hostile, "Vm": map[string]string{"Name": hostile}})
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

func record(t *testing.T) output.Record {
	t.Helper()
	clock, err := output.ParseClock("rfc3339")
	if err != nil {
		t.Fatal(err)
	}
	return output.EventRecord(event(t), clock, func(client.Event) string { return "vc1" })
}

func TestNothingInAnEventDoesAnythingToATerminal(t *testing.T) {
	options := output.Options{Columns: output.EventColumns(func() bool { return true }), Stream: true, Terminal: true}
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
	form, err := output.Parse("csv", true, output.Options{Columns: output.EventColumns(func() bool { return true })})
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
		"go-template={{.data.Key}}": "4000000\n", "jsonpath={.data.Key}": "4000000\n", "jsonpath=data.Nothing": "",
		"custom-columns=A:.data.Key,B:.nothing": "A                         B\n4000000                   -\n",
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
