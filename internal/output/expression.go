package output

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"text/template"

	"github.com/itchyny/gojq"
	"k8s.io/client-go/util/jsonpath"
)

// decode decodes a record for expressions: whole numbers are int, so that they are not
// written as 4.2e+06.
func decode(text []byte, terminal bool) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		return nil, err
	}
	if v = numbers(v); terminal {
		v = cleanAll(v)
	}
	return v, nil
}

// numbers makes numbers of what was decoded as their text.
func numbers(v any) any {
	return leaves(v, func(v any) any {
		text, ok := v.(json.Number)
		if !ok {
			return v
		}
		if n, err := text.Int64(); err == nil && int64(int(n)) == n {
			return int(n)
		}
		f, _ := text.Float64() // the nearest one where it is too large
		return f
	})
}

// leaves replaces what is in decoded JSON, but for arrays and objects.
func leaves(v any, replace func(any) any) any {
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = leaves(v[i], replace)
		}
		return v
	case map[string]any:
		for k := range v {
			v[k] = leaves(v[k], replace)
		}
		return v
	}
	return replace(v)
}

// A line writes what something makes of each record, and ends it as a line. Where that is
// nothing there is no line, unless there is always one.
type line struct {
	terminal bool
	always   bool
	execute  func(to *bytes.Buffer, v any) error
}

func (l line) Append(to []byte, r Record) ([]byte, error) {
	v, err := decode(r.JSON, l.terminal)
	if err != nil {
		return to, err
	}
	var b bytes.Buffer
	if err := l.execute(&b, v); err != nil {
		return to, err
	}
	if (b.Len() > 0 || l.always) && !bytes.HasSuffix(b.Bytes(), []byte("\n")) {
		b.WriteByte('\n')
	}
	return append(to, b.Bytes()...), nil
}

func (line) End(to []byte) ([]byte, error) { return to, nil }

// newPath parses a JSONPath template of kubectl. Braces, and the dot in front, may be left
// out. What is not there is nothing.
func newPath(text string) (*jsonpath.JSONPath, error) {
	text = strings.TrimSpace(text)
	if !strings.Contains(text, "{") {
		text = "{." + strings.TrimPrefix(strings.TrimPrefix(text, "$"), ".") + "}"
	}
	text = whole.ReplaceAllString(text, "{@}")
	if err := itemsError(text, "{.data.Vm.Name}"); err != nil {
		return nil, err
	}
	path := jsonpath.New("").AllowMissingKeys(true)
	if err := path.Parse(text); err != nil {
		return nil, fmt.Errorf("%w; write for example {.data.Vm.Name}", err)
	}
	return path, nil
}

// whole is how people write all that there is, which to JSONPath is what has no name.
var whole = regexp.MustCompile(`\{\s*[.$]+\s*\}`)

var items = regexp.MustCompile(`(^|[^\w])\.items\b`)

// itemsError is for those who write templates as for kubectl, which hands them whole lists.
func itemsError(text, example string) error {
	if items.MatchString(text) {
		return fmt.Errorf("there is no .items, for what there is comes one by one; write for example %s", example)
	}
	return nil
}

// newJSONPath writes a line for each record, so that lines can be told apart also where some
// do not have what is asked for.
func newJSONPath(text string, o Options) (Form, error) {
	path, err := newPath(text)
	if err != nil {
		return nil, err
	}
	return line{o.Terminal, true, func(b *bytes.Buffer, v any) error { return path.Execute(b, v) }}, nil
}

// nothing is null for templates: its members are nothing too, where null has none and an error
// would end what is written.
type nothing map[string]any

func (nothing) String() string { return "<no value>" } // as text/template writes what is not there

// withNothing puts nothing in the place of null.
func withNothing(v any) any {
	return leaves(v, func(v any) any {
		if v == nil {
			return nothing(nil)
		}
		return v
	})
}

// newTemplate parses a Go template. It has the functions of text/template, none of which
// reads anything but what it is given.
func newTemplate(text string, o Options) (Form, error) {
	const example = "{{.id}} {{.data.UserName}}"
	if err := itemsError(text, example); err != nil {
		return nil, err
	}
	t, err := template.New("template").Parse(text)
	if err != nil {
		return nil, fmt.Errorf("line %s; write for example %s", strings.TrimPrefix(err.Error(), "template: template:"), example)
	}
	return line{o.Terminal, false, func(b *bytes.Buffer, v any) error {
		err := t.Execute(b, withNothing(v))
		if err != nil {
			if _, where, found := strings.Cut(err.Error(), `executing "template" at `); found {
				err = errors.New(where)
			}
		}
		return err
	}}, nil
}

// A custom is a table whose columns are JSONPath templates. Where records come one by one, its
// columns grow with what is in them.
type custom struct {
	*grid
	paths []*jsonpath.JSONPath
}

func newCustom(text string, o Options) (Form, error) {
	c := custom{}
	o.Columns = nil
	for _, spec := range strings.Split(text, ",") {
		name, expression, found := strings.Cut(spec, ":")
		if name = strings.TrimSpace(name); !found || name == "" || expression == "" {
			return nil, fmt.Errorf("%q is not NAME:PATH; write for example ID:.id,VM:.data.Vm.Name", Clean(spec))
		}
		path, err := newPath(expression)
		if err != nil {
			return nil, err
		}
		c.paths = append(c.paths, path)
		o.Columns = append(o.Columns, Column{Name: name, In: InWide})
	}
	c.grid = newTable(o, InWide)
	c.grows = true
	return c, nil
}

func (c custom) Append(to []byte, r Record) ([]byte, error) {
	v, err := decode(r.JSON, false)
	if err != nil {
		return to, err
	}
	cells := make([]string, len(c.paths))
	for i, path := range c.paths {
		var b bytes.Buffer
		if err := path.Execute(&b, v); err != nil {
			return to, err
		}
		cells[i] = b.String()
	}
	return c.grid.Append(to, Record{Cells: func() []string { return cells }})
}

// NewJQ returns a form that writes the results of a jq program for each record: texts as they
// are, all else as JSON, a line each. The program sees neither the environment nor files,
// and ends when ctx is done.
func NewJQ(ctx context.Context, program string, o Options) (Form, error) {
	query, err := gojq.Parse(program)
	var code *gojq.Code
	if err == nil {
		code, err = gojq.Compile(query)
	}
	if err != nil {
		return nil, fmt.Errorf("%w; write for example .data.Vm.Name", err)
	}
	return line{o.Terminal, false, func(b *bytes.Buffer, v any) error {
		results := code.RunWithContext(ctx, v)
		for {
			result, more := results.Next()
			if !more {
				return nil
			}
			switch result := result.(type) {
			case error:
				var halt *gojq.HaltError
				if errors.As(result, &halt) && halt.Value() == nil {
					return nil
				}
				return result
			case string:
				b.WriteString(result)
			default:
				text, err := gojq.Marshal(result)
				if err != nil {
					return err
				}
				if o.Terminal {
					text = escaped(nil, text)
				}
				b.Write(text)
			}
			b.WriteByte('\n')
		}
	}}, nil
}
