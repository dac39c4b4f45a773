package contexts_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vstream/internal/contexts"
)

func TestWhatIsSavedIsLoaded(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new", "config.yaml")
	empty, err := contexts.Load(path)
	if err != nil || len(empty.Contexts) > 0 {
		t.Fatalf("a file that is not there is %+v, %v", empty, err)
	}
	want := &contexts.File{Current: "a", Contexts: map[string]contexts.Context{
		"a": {Server: "https://a.example.com", TokenFile: "/t"}, "b": {Server: "http://b", InsecureSkipVerify: true},
	}}
	if err := want.Save(path); err != nil {
		t.Fatal(err)
	}
	got, err := contexts.Load(path)
	if err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v, %s", err, cmp.Diff(want, got))
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside the file there is %v, %v", entries, err)
	}
}

func TestWhatIsNoFileOfContextsIsRefused(t *testing.T) {
	for text, want := range map[string]string{"contxts: {}": "contxts", "contexts: [": "is not understood", "contexts: {a: {token: secret}}": "token"} {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := contexts.Load(path)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s fails with %v", text, err)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("a secret is told: %v", err)
		}
	}
}
