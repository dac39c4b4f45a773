package output

import (
	"bytes"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// plain writes the bytes of records as they are.
type plain struct{ Options }

func (p plain) Append(to []byte, r Record) ([]byte, error) {
	if p.Terminal {
		to = escaped(to, r.JSON)
	} else {
		to = append(to, r.JSON...)
	}
	return append(to, '\n'), nil
}

func (plain) End(to []byte) ([]byte, error) { return to, nil }

// indented writes JSON for people: an array, or one record after the other where they go on
// coming.
type indented struct {
	Options
	begun bool
}

func (f *indented) Append(to []byte, r Record) ([]byte, error) {
	prefix := ""
	switch {
	case f.Endless:
	case f.begun:
		to, prefix = append(to, ",\n  "...), "  "
	default:
		to, prefix = append(to, "[\n  "...), "  "
	}
	f.begun = true
	var b bytes.Buffer
	if err := json.Indent(&b, r.JSON, prefix, "  "); err != nil {
		return to, err
	}
	text := bytes.TrimRight(b.Bytes(), "\n")
	if f.Terminal {
		to = escaped(to, text)
	} else {
		to = append(to, text...)
	}
	if f.Endless {
		to = append(to, '\n')
	}
	return to, nil
}

func (f *indented) End(to []byte) ([]byte, error) {
	switch {
	case f.Endless:
		return to, nil
	case !f.begun:
		return append(to, "[]\n"...), nil
	}
	return append(to, "\n]\n"...), nil
}

// documents writes YAML, each record a document.
type documents struct {
	Options
	begun bool
}

func (d *documents) Append(to []byte, r Record) ([]byte, error) {
	decoder := json.NewDecoder(bytes.NewReader(r.JSON))
	decoder.UseNumber()
	node, err := d.node(decoder)
	if err != nil {
		return to, err
	}
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := errors.Join(encoder.Encode(node), encoder.Close()); err != nil {
		return to, err
	}
	if d.begun {
		to = append(to, "---\n"...)
	}
	d.begun = true
	return append(to, b.Bytes()...), nil
}

func (*documents) End(to []byte) ([]byte, error) { return to, nil }

// node reads a value of JSON as one of YAML, whose members stay in their order. JSON as it is
// would not do, though it is said to be YAML: that has no control characters, nor pairs of
// surrogates.
func (d *documents) node(decoder *json.Decoder) (*yaml.Node, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	switch v := token.(type) {
	case json.Delim:
		n := &yaml.Node{Kind: yaml.SequenceNode}
		if v == '{' {
			n.Kind = yaml.MappingNode
		}
		for decoder.More() { // in an object, names and values in turn
			child, err := d.node(decoder)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, child)
		}
		if len(n.Content) == 0 {
			n.Style = yaml.FlowStyle
		}
		_, err := decoder.Token()
		return n, err
	case string:
		if d.Terminal {
			v = cleanText(v)
		}
		n := new(yaml.Node)
		n.SetString(v)
		return n, nil
	case json.Number:
		kind := "!!int"
		if strings.ContainsAny(v.String(), ".eE") {
			kind = "!!float"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: kind, Value: v.String()}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}
