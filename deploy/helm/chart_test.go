// Package helm_test holds the Helm chart to what it promises: that its values, their schema and
// their documentation agree, and, given helm itself, that what it renders are the objects that
// vstream needs, and that contradictions are refused with a message that says what to do.
package helm_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

var (
	helm   = flag.String("helm", "", "the `program` helm, to render the chart with")
	update = flag.Bool("update", false, "write what is generated")
)

//go:generate go test . -run ^Test(TheReadmeListsEveryValue|TheChartHoldsTheFilesOfTheTree)$ -update

const chart = "vstream"

// value is one value of the chart, as values.yaml has it.
type value struct {
	path    string // with dots
	meaning string // its comment
	group   bool   // holds others that have comments of their own
	fallback,
	short string // the default, in full and as a table has it
}

func values(t *testing.T) []value {
	t.Helper()
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(read(t, chart+"/values.yaml")), &document); err != nil {
		t.Fatal(err)
	}
	return within(t, "", document.Content[0])
}

func within(t *testing.T, path string, node *yaml.Node) []value {
	t.Helper()
	var all []value
	for i := 0; i < len(node.Content); i += 2 {
		key, content := node.Content[i], node.Content[i+1]
		_, comment, found := cutLast(key.HeadComment, "\n\n") // what is above is about the file
		if !found {
			comment = key.HeadComment
		}
		v := value{path: path + key.Value, meaning: strings.Join(strings.Fields(strings.ReplaceAll(comment, "#", "")), " ")}
		v.group = content.Kind == yaml.MappingNode && slices.ContainsFunc(content.Content, func(n *yaml.Node) bool { return n.HeadComment != "" })
		if !v.group {
			var decoded any
			if err := content.Decode(&decoded); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(decoded)
			if err != nil {
				t.Fatal(err)
			}
			v.fallback = string(text)
			v.short = "`" + v.fallback + "`"
			if len(v.short) > 50 {
				v.short = "see values.yaml"
			}
		}
		all = append(all, v)
		if v.group {
			all = append(all, within(t, v.path+".", content)...)
		}
	}
	return all
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

func TestEveryValueSaysWhatItIs(t *testing.T) {
	titles := regexp.MustCompile(`^(image|log|tls|limits|service|networkPolicy|podDisruptionBudget|serviceMonitor|prometheusRule|dashboard|serviceAccount)$`)
	for _, v := range values(t) {
		if v.meaning == "" && !(v.group && titles.MatchString(v.path)) {
			t.Errorf("%s has no comment in values.yaml", v.path)
		}
	}
}

func TestTheReadmeListsEveryValue(t *testing.T) {
	var b strings.Builder
	b.WriteString("| Value | Default | Meaning |\n|---|---|---|\n")
	for _, v := range values(t) {
		if v.group && v.meaning == "" {
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", v.path, strings.ReplaceAll(v.short, "|", `\|`), strings.ReplaceAll(v.meaning, "|", `\|`))
	}
	const begin, end = "<!-- values: generated from values.yaml by `make docs` -->\n", "<!-- end of values -->"
	path := chart + "/README.md"
	readme := read(t, path)
	before, rest, ok := strings.Cut(readme, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table of values, between %q and %q", path, begin, end)
	}
	want := before + begin + "\n" + b.String() + "\n" + end + after
	if *update {
		write(t, path, want)
	} else if readme != want {
		t.Errorf("%s does not list the values as they are; run make docs", path)
	}
}

// Helm reads files within the chart only, so the chart has copies.
func TestTheChartHoldsTheFilesOfTheTree(t *testing.T) {
	for original, path := range map[string]string{
		"../prometheus/alerts.yaml": chart + "/files/alerts.yaml",
		"../grafana/dashboard.json": chart + "/files/dashboard.json",
	} {
		want := read(t, original)
		if *update {
			write(t, path, want)
			continue
		}
		if have, err := os.ReadFile(path); err != nil || string(have) != want {
			t.Errorf("%s is not %s (%v); run make docs", path, original, err)
		}
	}
}

// schema is the part of JSON Schema that the schema of the values uses.
type schema struct {
	Type                 any                `json:"type"`
	Ref                  string             `json:"$ref"`
	Properties           map[string]*schema `json:"properties"`
	AdditionalProperties any                `json:"additionalProperties"`
	Definitions          map[string]*schema `json:"definitions"`
}

func TestTheSchemaKnowsTheValuesAndNoOthers(t *testing.T) {
	var root schema
	if err := json.Unmarshal([]byte(read(t, chart+"/values.schema.json")), &root); err != nil {
		t.Fatal(err)
	}
	resolve := func(s *schema) *schema {
		if name, ok := strings.CutPrefix(s.Ref, "#/definitions/"); ok {
			return root.Definitions[name]
		}
		return s
	}
	var known []string
	var walk func(path string, s *schema)
	walk = func(path string, s *schema) {
		if s.AdditionalProperties != false {
			t.Errorf("the schema lets unknown keys pass in %q", path)
		}
		for name, p := range s.Properties {
			known = append(known, path+name)
			if p = resolve(p); len(p.Properties) > 0 && path+name != "serviceMonitor.tokenSecret" && path+name != "test.tokenSecret" {
				walk(path+name+".", p)
			}
		}
	}
	walk("", &root)
	var have []string
	for _, v := range values(t) {
		have = append(have, v.path)
		if !slices.Contains(known, v.path) {
			t.Errorf("the schema does not know %s", v.path)
		}
	}
	for _, path := range known {
		if !slices.Contains(have, path) && path != "global" { // Helm's own
			t.Errorf("the schema knows %s, which values.yaml does not have", path)
		}
	}
}

// run runs helm and returns what it says on stdout and stderr.
func run(t *testing.T, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	if *helm == "" {
		t.Skip("no -helm given; .ci/run helm gives one")
	}
	home := t.TempDir() // no plugin and no repository of whoever runs this
	cmd := exec.CommandContext(t.Context(), *helm, args...)
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home, "KUBECONFIG="+home+"/none")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// arguments is what tells helm the values of one of the examples in ci, and more of them as YAML.
func arguments(t *testing.T, example, more string) []string {
	t.Helper()
	args := []string{chart, "--namespace", "vcenter-stream", "--values", filepath.Join(chart, "ci", example+"-values.yaml")}
	if more != "" {
		path := filepath.Join(t.TempDir(), "values.yaml")
		write(t, path, more)
		args = append(args, "--values", path)
	}
	return args
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
