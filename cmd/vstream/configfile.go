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
func (s section) lookup(wanted setting) value {
	if found, ok := s.values[wanted.key]; ok {
		place := fmt.Sprintf("%s:%d", s.path, found.line)
		return value{found.value, place + ": " + s.prefix + wanted.key, place}
	}
	return value{label: s.path + ": " + s.prefix + wanted.key}
}

func (s section) has(wanted setting) bool { return s.values[wanted.key].value != "" }

// readFile reads a configuration file. It knows the keys of the settings and no others: a
// misspelt one that is ignored shows much later. What can be read is returned beside the
// problems.
func readFile(path string) (configFile, problems) {
	text, err := os.ReadFile(path)
	if err != nil {
		return configFile{}, problems{fmt.Errorf("read the configuration that --config or %s names: %w", fileVariable, err)}
	}
	var document, more yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(&document); {
	case errors.Is(err, io.EOF): // nothing but comments
		return configFile{global: section{path: path}}, nil
	case err != nil:
		return configFile{}, problems{notYAML(path, err)}
	}
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		return configFile{}, problems{fmt.Errorf("%s: there is more than one document in it", path)}
	}
	file := configFile{global: section{path: path, values: map[string]entry{}}}
	var found problems
	lists := found.read(file.global, document.Content[0], "", keysOf(new(config).settings()), vcentersKey, viewsKey)
	file.vcenters = found.entries(file.global, lists, vcentersKey, "each vCenter", keysOf(new(vcenterConfig).settings()))
	file.views = found.entries(file.global, lists, viewsKey, "each view", viewKeys)
	return file, found
}

// entries reads a list of mappings with these keys. It returns nil where there is no list.
func (p *problems) entries(s section, lists map[string]*yaml.Node, key, each string, known []string) []section {
	list := lists[key]
	if list == nil {
		return nil
	}
	if list.Kind != yaml.SequenceNode {
		p.add(fmt.Errorf("%s:%d: %s is not a list; begin %s with a dash", s.path, list.Line, key, each))
		return nil
	}
	all := []section{}
	for i, node := range list.Content {
		e := section{path: s.path, prefix: fmt.Sprintf("%s[%d].", key, i), values: map[string]entry{}}
		p.read(e, node, "", known)
		if target(node).Kind != yaml.ScalarNode || target(node).Tag == "!!null" { // of others there is nothing to tell
			all = append(all, e)
		}
	}
	return all
}

// read takes the settings of s out of a mapping. Where a known key goes on after a dot, it
// looks within. The values of the keys in lists are returned as they are.
func (p *problems) read(s section, node *yaml.Node, within string, known []string, lists ...string) map[string]*yaml.Node {
	node = target(node)
	if node.Kind == yaml.ScalarNode && node.Tag == "!!null" {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		p.add(s.noSettings(node.Line, within, known))
		return nil
	}
	found := map[string]*yaml.Node{}
	seen := map[string]bool{}
	for i := 0; i < len(node.Content); i += 2 {
		name, value := node.Content[i], target(node.Content[i+1])
		key := within + name.Value
		if _, elsewhere := s.values[key]; elsewhere || seen[key] { // log.dir is also dir within log
			p.add(fmt.Errorf("%s:%d: %s%s is there twice", s.path, name.Line, s.prefix, key))
			continue
		}
		seen[key] = true
		switch inner, leaf := describes(known, key); {
		case slices.Contains(lists, key):
			if value.Tag != "!!null" {
				found[key] = value
			}
		case leaf && value.Kind == yaml.ScalarNode && value.Tag == "!!null":
		case leaf && value.Kind == yaml.ScalarNode:
			s.values[key] = entry{value.Value, value.Line}
		case inner:
			p.read(s, value, key+".", known)
		case leaf:
			p.add(fmt.Errorf("%s:%d: %s%s is not a single value", s.path, value.Line, s.prefix, key))
		default:
			p.add(s.unknown(name.Line, key, known, lists))
		}
	}
	return found
}

func (s section) noSettings(line int, within string, known []string) error {
	if outer := strings.TrimSuffix(within, "."); outer != "" {
		below := slices.DeleteFunc(slices.Clone(known), func(k string) bool { return !strings.HasPrefix(k, within) })
		return fmt.Errorf("%s:%d: %s has no value of its own; there are %s", s.path, line, outer, strings.Join(below, ", "))
	}
	example := "port: 8080"
	if s.prefix != "" {
		example = known[0] + ": …"
	}
	return fmt.Errorf("%s:%d: there should be settings here, as in %s", s.path, line, example)
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
	near := spelling.Nearest(key, candidates)
	if near == "" && s.prefix == "" {
		near = misplaced(key)
	}
	if near != "" {
		return fmt.Errorf("%w; did you mean %s?", err, near)
	}
	return fmt.Errorf("%w; there are %s", err, strings.Join(slices.Concat(known, lists), ", "))
}

// misplaced returns the key of the setting that has the last word of a key elsewhere, or whose
// variable it is; or "".
func misplaced(key string) string {
	last := func(k string) string { return k[strings.LastIndex(k, ".")+1:] }
	means := func(s setting) bool { return s.env == key || strings.EqualFold(last(s.key), last(key)) }
	global, each := new(config).settings(), new(vcenterConfig).settings()
	if i := slices.IndexFunc(global, means); i >= 0 {
		return global[i].key
	}
	if i := slices.IndexFunc(each, means); i >= 0 {
		return vcentersKey + "[]." + each[i].key
	}
	return ""
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
