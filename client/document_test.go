package client_test

import (
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// Each program of the document is type-checked as it stands.
func TestTheCodeOfTheDocumentCompiles(t *testing.T) {
	document, err := os.ReadFile("../docs/client.md")
	if err != nil {
		t.Fatal(err)
	}
	known := exports(t, "vstream/client", "database/sql", "log", "os/signal")
	programs := 0
	for _, block := range regexp.MustCompile("(?s)```go\n(.*?)```").FindAllStringSubmatch(string(document), -1) {
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, "docs/client.md", wrapped(block[1]), 0)
		if err != nil {
			t.Errorf("%v in\n%s", err, block[1])
			continue
		}
		config := types.Config{Importer: importer.ForCompiler(files, "gc", func(path string) (io.ReadCloser, error) { return os.Open(known[path]) })}
		if _, err := config.Check("main", files, []*ast.File{file}, nil); err != nil {
			t.Errorf("%v in\n%s", err, block[1])
		}
		programs++
	}
	if programs < 3 {
		t.Errorf("the document has %d programs", programs)
	}
}

// exports returns where the compiler has kept what packages, and those that they import,
// export.
func exports(t *testing.T, packages ...string) map[string]string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", append([]string{"list", "-export", "-deps", "-f", "{{.ImportPath}} {{.Export}}"}, packages...)...)
	list.Stderr = t.Output()
	text, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for line := range strings.Lines(string(text)) {
		path, file, _ := strings.Cut(strings.TrimSpace(line), " ")
		files[path] = file
	}
	return files
}

// wrapped makes a program of statements.
func wrapped(code string) string {
	if strings.HasPrefix(code, "package ") {
		return code
	}
	return `package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"vstream"
	"vstream/client"
)

var _ = []any{errors.New, fmt.Println, log.Fatal, os.Exit, time.Now, vstream.ParseCursor, client.New, sql.ErrNoRows}

func handle(client.Event) error { return nil }

func read(ctx context.Context, c *client.Client, db *sql.DB) error {
` + code + `
return nil
}
`
}
