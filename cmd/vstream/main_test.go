package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary stand in for vstream itself, so that tests start real
// processes of it.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vstream": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			taken, err := net.Listen("tcp", ":0")
			if err != nil {
				return err
			}
			env.Defer(func() { taken.Close() })
			env.Setenv("TAKEN_PORT", strconv.Itoa(taken.Addr().(*net.TCPAddr).Port))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits CODE COMMAND… runs a command and checks its exit code. It fails if there is more
// than one line on stderr, or a stack trace: a user gets one line that says what to do.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var failed *exec.ExitError
	switch {
	case errors.As(err, &failed):
		code = failed.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if want, _ := strconv.Atoi(args[0]); code != want {
		ts.Fatalf("exit code is %d, want %d", code, want)
	}
	stderr := ts.ReadFile("stderr")
	if code == exitFailure && strings.Count(stderr, "\n") != 1 {
		ts.Fatalf("an error takes more than a line")
	}
	if strings.Contains(stderr, "goroutine ") {
		ts.Fatalf("a stack trace is no message")
	}
}

var update = flag.Bool("update", false, "write generated documents instead of comparing them")

func TestConfigurationDocumentIsUpToDate(t *testing.T) {
	const path = "../../docs/configuration.md"
	var b strings.Builder
	b.WriteString("# Configuration\n\n<!-- Generated from cmd/vstream/config.go by `make docs`. -->\n\n" +
		"`vstream serve` reads its configuration from the environment. A variable that is unset or empty has\n" +
		"its default. Lengths of time are written `90s`, `5m` or `1h30m`; sizes in plain bytes or with a unit,\n" +
		"`512KiB`, `2GiB`. What cannot be understood is refused at the start, with the name of the variable.\n\n" +
		"| Variable | Default | Meaning |\n|---|---|---|\n")
	for _, s := range new(config).settings() {
		fallback := ""
		if s.fallback != "" {
			fallback = "`" + s.fallback + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.env, fallback, s.help)
	}
	if *update {
		if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != b.String() {
		t.Errorf("%s is not what the settings say (%v); run make docs", path, err)
	}
}

func TestSettingsAreEachDocumentedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range new(config).settings() {
		if seen[s.env] || s.help == "" {
			t.Errorf("%s is there twice, or without a word of help", s.env)
		}
		seen[s.env] = true
		if s.fallback != "" {
			if err := s.set(s.fallback); err != nil {
				t.Errorf("the default of %s: %v", s.env, err)
			}
		}
	}
}

// The names and defaults that deployments of the prototype rely on.
func TestDocumentedEnvironment(t *testing.T) {
	for name, fallback := range map[string]string{
		"VCENTER_URL": "", "VCENTER_INSECURE": "false", "VCENTER_SECRET_PATH": "/var/bindings/vsphere",
		"VCENTER_STREAM_BEGIN": "5m", "LOG_MAX_RECORD_SIZE_BYTES": "524288", "LOG_MAX_SEGMENT_SIZE": "1000",
		"PORT": "8080", "DEBUG": "false",
	} {
		found := false
		for _, s := range new(config).settings() {
			found = found || s.env == name && s.fallback == fallback
		}
		if !found {
			t.Errorf("there is no %s with the default %q", name, fallback)
		}
	}
}

func TestConfigurationIsReadFromTheEnvironment(t *testing.T) {
	env := map[string]string{
		"VCENTER_URL": " https://vc.example.com\n", "VCENTER_STREAM_BEGIN": "1h30m", "LOG_MAX_SEGMENT_SIZE": "10",
		"LOG_MAX_BYTES": "1GiB", "VCENTER_INSECURE": "1", "PORT": "",
	}
	c, err := readConfig(func(name string) string { return env[name] })
	if err != nil {
		t.Fatal(err)
	}
	if c.vcenterURL.String() != "https://vc.example.com/sdk" || c.begin.String() != "1h30m0s" || c.segment != 10 ||
		c.logBytes != 1<<30 || !c.insecure || c.port != 8080 || c.recordBytes != 524288 {
		t.Errorf("read %+v", c)
	}
}
