package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"vstream/internal/spelling"
)

// configFile is what a configuration file says, with nothing understood yet: texts, and
// where they stand.
type configFile struct {
	global   section
	vcenters []section
	views    []section // nil where the file does not say; empty for none
}

// section is the settings of one part of the file.
type section struct {
	path   string // of the file
	prefix string // of the keys, in messages
	values map[string]entry
}

type entry struct {
	value string
	line  int
}

// lookup finds the value of a setting, and how to call it.
func (s section) lookup(wanted setting) (value, label string) {
	if found, ok := s.values[wanted.key]; ok {
		return found.value, fmt.Sprintf("%s:%d: %s%s", s.path, found.line, s.prefix, wanted.key)
	}
	return "", s.path + ": " + s.prefix + wanted.key
}

func (s section) has(wanted setting) bool { return s.values[wanted.key].value != "" }

// readFile reads a configuration file. It knows the keys of the settings and no others: a
// misspelt one that is ignored shows much later.
func readFile(path string) (configFile, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return configFile{}, fmt.Errorf("read the configuration: %w", err)
	}
	var document, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF): // nothing but comments
		return configFile{global: section{path: path}}, nil
	case err != nil:
		return configFile{}, notYAML(path, err)
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return configFile{}, fmt.Errorf("%s: there is more than one document in it", path)
	}
	file := configFile{global: section{path: path, values: map[string]entry{}}}
	lists, err := file.global.read(document.Content[0], "", keysOf(new(config).settings()), vcentersKey, viewsKey)
	if err != nil {
		return file, err
	}
	if file.vcenters, err = file.global.entries(lists, vcentersKey, "each vCenter", keysOf(new(vcenterConfig).settings())); err != nil {
		return file, err
	}
	file.views, err = file.global.entries(lists, viewsKey, "each view", viewKeys)
	return file, err
}

// entries reads a list of mappings with these keys. It returns nil where there is no list.
func (s section) entries(lists map[string]*yaml.Node, key, each string, known []string) ([]section, error) {
	list := lists[key]
	if list == nil {
		return nil, nil
	}
	if list.Kind != yaml.SequenceNode {
		return nil, fmt.Errorf("%s:%d: %s is not a list; begin %s with a dash", s.path, list.Line, key, each)
	}
	all := []section{}
	for i, node := range list.Content {
		e := section{path: s.path, prefix: fmt.Sprintf("%s[%d].", key, i), values: map[string]entry{}}
		if _, err := e.read(node, "", known); err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	return all, nil
}

// read takes the settings out of a mapping. Where a known key goes on after a dot, it
// looks within. The values of the keys in lists are returned as they are.
func (s section) read(node *yaml.Node, within string, known []string, lists ...string) (map[string]*yaml.Node, error) {
	node = target(node)
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil, nil
	}
	if node.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: there should be settings here, as in port: 8080", s.path, node.Line)
	}
	found := map[string]*yaml.Node{}
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		name, value := node.Content[i], target(node.Content[i+1])
		key := within + name.Value
		if seen[key] {
			return nil, fmt.Errorf("%s:%d: %s%s is there twice", s.path, name.Line, s.prefix, key)
		}
		seen[key] = true
		switch inner, leaf := describes(known, key); {
		case slices.Contains(lists, key):
			if value.Tag != "!!null" {
				found[key] = value
			}
			continue
		case leaf && value.Kind == yaml.ScalarNode && value.Tag == "!!null":
			continue
		case leaf && value.Kind == yaml.ScalarNode:
			s.values[key] = entry{value.Value, value.Line}
			continue
		case inner:
			if _, err := s.read(value, key+".", known); err != nil {
				return nil, err
			}
			continue
		case leaf:
			return nil, fmt.Errorf("%s:%d: %s%s is not a single value", s.path, value.Line, s.prefix, key)
		}
		return nil, s.unknown(name.Line, key, known, lists)
	}
	return found, nil
}

// describes reports whether key is a setting, and whether it is the beginning of some.
func describes(known []string, key string) (inner, leaf bool) {
	for _, k := range known {
		leaf = leaf || k == key
		inner = inner || strings.HasPrefix(k, key+".")
	}
	return inner, leaf
}

func (s section) unknown(line int, key string, known, lists []string) error {
	candidates := slices.Concat(known, lists)
	for _, k := range known {
		if outer, _, ok := strings.Cut(k, "."); ok {
			candidates = append(candidates, outer)
		}
	}
	err := fmt.Errorf("%s:%d: there is no setting %s%s", s.path, line, s.prefix, key)
	if near := spelling.Nearest(key, candidates); near != "" {
		return fmt.Errorf("%w; did you mean %s?", err, near)
	}
	return fmt.Errorf("%w; there are %s", err, strings.Join(candidates, ", "))
}

// target is what an alias stands for.
func target(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func keysOf(settings []setting) []string {
	keys := make([]string, len(settings))
	for i, s := range settings {
		keys[i] = s.key
	}
	return keys
}

// notYAML puts the line in front, where editors and people look for it.
func notYAML(path string, err error) error {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	if m := regexp.MustCompile(`^line (\d+): (.*)`).FindStringSubmatch(text); m != nil {
		return fmt.Errorf("%s:%s: not YAML: %s", path, m[1], m[2])
	}
	return fmt.Errorf("%s: not YAML: %s", path, text)
}
