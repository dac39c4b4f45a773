package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// sayings is what the program can say: the texts in its code, and which of them are warnings and
// errors of the logger, and names of problems.
type sayings struct {
	texts, logged, problems []string
}

// readSource collects them from the packages of the server and the command line, and from the page.
func readSource(t *testing.T) sayings {
	t.Helper()
	var s sayings
	for _, root := range []string{".", "../../internal", "../../client", "../../web/src", "../../docs/recipes/code", "../.."} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (root == "../.." && path != root || slices.Contains([]string{"simulator", "testdata", "vcentertest", "logtest", "kubetest"}, d.Name())):
				return filepath.SkipDir
			case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
				s.readGo(t, path)
			case slices.Contains([]string{".ts", ".tsx", ".py"}, filepath.Ext(path)):
				text, err := os.ReadFile(path)
				s.texts = append(s.texts, strings.Join(strings.Fields(string(text)), " "))
				return err
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *sayings) readGo(t *testing.T, path string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			method, ok := n.Fun.(*ast.SelectorExpr)
			if text := literal(n.Args); ok && text != "" && (method.Sel.Name == "Warn" || method.Sel.Name == "Error") {
				s.logged = append(s.logged, text)
			}
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && strings.EqualFold(key.Name, "slug") {
				if text := literal([]ast.Expr{n.Value}); text != "" {
					s.problems = append(s.problems, text)
				}
			}
		case *ast.BasicLit:
			if n.Kind == token.STRING {
				s.texts = append(s.texts, literal([]ast.Expr{n}))
			}
		}
		return true
	})
}

// literal returns the first of the arguments if it is a text.
func literal(args []ast.Expr) string {
	if len(args) == 0 {
		return ""
	}
	text, ok := args[0].(*ast.BasicLit)
	if !ok || text.Kind != token.STRING {
		return ""
	}
	value, _ := strconv.Unquote(text.Value)
	return value
}

// says reports whether a message, in which … stands for anything, is in one of the texts.
func (s sayings) says(message string) bool {
	parts := strings.Split(message, "…")
	return slices.ContainsFunc(s.texts, func(text string) bool {
		for _, part := range parts {
			_, rest, found := strings.Cut(text, part)
			if !found {
				return false
			}
			text = rest
		}
		return true
	})
}

func TestTroubleshootingQuotesWhatTheProgramSays(t *testing.T) {
	text, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	source := readSource(t)
	quoted := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| (.*?) \| `).FindAllStringSubmatch(string(text), -1) {
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			quoted[m[1]] = true
			if m[1] != "type" && !source.says(m[1]) {
				t.Errorf("nothing says %q", m[1])
			}
		}
	}
	if len(quoted) < 100 {
		t.Errorf("only %d messages are quoted", len(quoted))
	}
	for _, message := range slices.Concat(source.logged, source.problems) {
		if !quoted[message] {
			t.Errorf("%q is not explained; add a row", message)
		}
	}
	if len(source.logged) < 20 || len(source.problems) < 15 {
		t.Errorf("the source was not understood: %q, %q", source.logged, source.problems)
	}
}
