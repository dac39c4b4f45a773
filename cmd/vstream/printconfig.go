package main

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// printConfig writes the configuration as a file that can be used in its place, with where
// each value is from. Secrets are masked.
func printConfig(getenv func(string) string, path string, out io.Writer) error {
	c, found := gatherConfig(getenv, path)
	found.add(c.vcenterMissing())
	if len(found) > 0 {
		return found
	}
	file := mapping()
	var vcenters []*yaml.Node
	for i := range c.vcenters {
		v := &c.vcenters[i]
		entry := mapping()
		for _, s := range v.settings() {
			g, ok := v.given[s.env]
			if s.env == "VCENTER_NAME" && !ok {
				g, ok = given{v.name, "made of the address"}, true
			}
			if ok {
				put(entry, s.key, g.text, g.origin)
			}
		}
		vcenters = append(vcenters, entry)
	}
	add(file, vcentersKey, list(vcenters))
	for _, s := range c.settings() {
		g, ok := c.given[s.env]
		switch {
		case s.env == "LOG_RETENTION" && c.logDir == "" && c.nats.url == "":
			continue // it would be refused: in memory it means nothing
		case s.env == "LOG_MAX_BYTES" && !ok:
			g, ok = given{fmt.Sprintf("%dMiB", c.defaultLogBytes()>>20), byDefault}, true
		case s.env == "NATS_URL" && ok && masked(g.text) != g.text:
			g = given{masked(g.text), g.origin + "; put its secret in the place of " + maskedText}
		}
		if ok {
			put(file, s.key, g.text, g.origin)
		}
	}
	views := make([]*yaml.Node, len(c.views))
	for i, v := range c.views {
		views[i] = mapping()
		put(views[i], viewName.key, v.Name, "")
		put(views[i], viewQuery.key, v.Query, "")
	}
	add(file, viewsKey, list(views))
	const head = "# What vstream serve goes by, and where each value is from. Secrets are not shown.\n" +
		"# To use it with --config, unset the variables that it takes the place of.\n"
	if _, err := io.WriteString(out, head); err != nil {
		return err
	}
	encoder := yaml.NewEncoder(out)
	encoder.SetIndent(2)
	return cmp.Or(encoder.Encode(file), encoder.Close())
}

// defaultLogBytes is how much a log may hold unless LOG_MAX_BYTES says.
func (c *config) defaultLogBytes() int64 {
	if c.logDir == "" && c.nats.url == "" {
		return memoryBytes
	}
	return storeBytes
}

func mapping() *yaml.Node { return &yaml.Node{Kind: yaml.MappingNode} }

func list(entries []*yaml.Node) *yaml.Node {
	return &yaml.Node{Kind: yaml.SequenceNode, Content: entries}
}

func add(to *yaml.Node, key string, value *yaml.Node) {
	to.Content = append(to.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: key}, value)
}

// put adds a text at a key, within others where it has dots, with a comment behind it.
func put(to *yaml.Node, key, text, comment string) {
	if outer, inner, nested := strings.Cut(key, "."); nested {
		n := len(to.Content)
		if n < 2 || to.Content[n-2].Value != outer {
			add(to, outer, mapping())
			n = len(to.Content)
		}
		put(to.Content[n-1], inner, text, comment)
		return
	}
	value := &yaml.Node{Kind: yaml.ScalarNode, Value: text}
	if !regexp.MustCompile(`^(\d+|true|false)$`).MatchString(text) {
		value.SetString(text)
	}
	value.LineComment = comment
	add(to, key, value)
}
