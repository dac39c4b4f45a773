package output

import (
	"bytes"
	"encoding/json"

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
type documents struct{ begun bool }

func (d *documents) Append(to []byte, r Record) ([]byte, error) {
	var node yaml.Node // JSON is YAML; as a node its members stay in their order
	if err := yaml.Unmarshal(r.JSON, &node); err != nil {
		return to, err
	}
	block(&node)
	var b bytes.Buffer
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(&node); err != nil {
		return to, err
	}
	if err := encoder.Close(); err != nil {
		return to, err
	}
	if d.begun {
		to = append(to, "---\n"...)
	}
	d.begun = true
	return append(to, b.Bytes()...), nil
}

func (*documents) End(to []byte) ([]byte, error) { return to, nil }

// block lets a document be written as people write YAML, not as the JSON that it was. Texts
// stay texts where they look like something else.
func block(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		block(c)
	}
}
