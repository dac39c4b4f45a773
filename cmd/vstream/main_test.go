package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary stand in for vstream itself, so that tests start real
// processes of it; and for a NATS server, to kill.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"vstream": main, "natsd": natsServer})
}

func TestScripts(t *testing.T) {
	access, err := os.ReadFile("../../docs/access.md")
	if err != nil {
		t.Fatal(err)
	}
	servers := newShop(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			taken, err := net.Listen("tcp", ":0")
			if err != nil {
				return err
			}
			env.Defer(func() { taken.Close() })
			env.Setenv("TAKEN_PORT", strconv.Itoa(taken.Addr().(*net.TCPAddr).Port))
			env.Vars = append(env.Vars, atOnce)
			document := &documentation{rest: string(access)}
			env.Defer(document.stop)
			env.Values["document"] = document
			return servers.tell(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":        exits,
			"certificates": certificates,
			"block": func(ts *testscript.TestScript, neg bool, args []string) {
				ts.Value("document").(*documentation).block(ts, neg, args)
			},
		},
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

func allSettings() []setting {
	return slices.Concat(new(vcenterConfig).settings(), new(config).settings())
}

var update = flag.Bool("update", false, "write generated documents instead of comparing them")

// configurationText is docs/configuration.md around its tables, with apostrophes for
// backquotes.
const configurationText = `# Configuration

<!-- Generated from the settings in cmd/vstream/config.go, and main_test.go, by 'make docs'. -->

'vstream serve' reads its configuration from the environment, which is enough for one vCenter, or from
a file. What is unset or empty has its default. Lengths of time are written '90s', '1h30m', '7d' or '2w';
sizes in plain bytes or with a unit, '512KiB' or '2GiB'. What cannot be understood is refused at the start,
with the name of the setting. [Before a start](#before-a-start) all of that can be checked.

## One vCenter

%s
## For all vCenters alike

Limits of the log hold for the log of each vCenter.

%s
## The file

'vstream serve --config FILE', or its path in 'VSTREAM_CONFIG'. It is YAML:

'''yaml
port: 8080
vcenters:
  - name: vc1
    url: https://vc1.example.com
    secretPath: /var/bindings/vc1
    thumbprint: AA:BB:…
    begin: 1h
  - name: vc2
    url: https://vc2.example.com
    secretPath: /var/bindings/vc2
log:
  dir: /var/lib/vstream
  retention: 30d
  maxBytes: 20GiB
'''

The variables of the second table override what the file says. The list of vCenters is described by one
of the two only: if the file has 'vcenters', the variables of the first table must not be set. A file
without 'vcenters' goes with the variables.

Each vCenter has a collector, a log and limits of its own, so that one that is down touches no other. Their
names are part of paths, as in '/api/v1/vcenters/vc1/events'; no two may be the same. If files of one
vCenter cannot be read at the start, the others are served, with a warning, and it is tried again.

Unknown keys in the file are refused. Unknown variables that begin as settings do, with 'VCENTER_', 'LOG_', 'VSTREAM_',
'TLS_', 'AUTH_' and so on, are named in a warning, since Kubernetes makes such variables from the names of
services. Both are told with the nearest name that there is. Values that contradict one another are refused, and both are named.

## Before a start

'vstream serve --check-config' reads the settings and the files that they name, and tells all that is wrong at once:
unknown keys and values, what contradicts what, secrets, certificates and tokens that cannot be read, views that cannot
be asked for, a directory that cannot be written. It connects to nothing, changes nothing, and may run beside a server. It
ends with 0 if a server would start, and with 2 if not, so it is good before a start: 'ExecStartPre' of systemd, an init
container, a pipeline that rolls out a change.

'''console
$ vstream serve --config vstream.yaml --check-config
vstream: vstream.yaml:4: there is no setting vcenters[0].secretpath; did you mean secretPath?
vstream: vstream.yaml:6: log.maxBytes: "lots" is not a size; write for example 524288 or 256MiB
vstream: CORS_ORIGINS: * is for servers that anybody may read, but AUTH_TOKENS_FILE says who may; name the origins whose pages may
'''

'vstream serve --print-config' writes what a server would go by as such a file, each value with where it is from: the
environment, a line of the file, or the default. It moves a configuration from the environment into a file. Secrets
are in files, which it names and does not read; a password in 'NATS_URL' is masked.

Some settings do what they say, and may be regretted. A server warns of them at each start, and so does '--check-config':

| Setting | Why |
|---|---|
| none of 'AUTH_TOKENS_FILE', 'OIDC_ISSUER', 'TLS_CLIENT_CA_FILE' | whoever reaches the port reads all events |
| tokens without 'TLS_CERT_FILE' | they travel in the clear, unless a proxy in front has TLS |
| 'VCENTER_INSECURE=true', 'VCENTER_URL=http://…' | who is on the way to the vCenter gets its password |
| 'CORS_ORIGINS=*' | every page in a browser that reaches the port may read |
| 'WATCH_MAX=0' | readers can use up the memory |
| one address for two vCenters | each of its events is there twice |
| a password in 'NATS_URL' | it shows wherever the address does |

## Saved views

The page offers views, ways to look at the events that have a name, and '/api/v1/views' lists them. The file may have
others than the usual ones: 'views' is a list, in the order in which they are offered, and an empty one ('views: []') is
for none. A 'query' is what would stand in the address of '/api/v1/events': [filters](filters.md), 'since' and 'until'.
It is checked at the start. A 'name' has up to 60 characters.

'''yaml
views:
  - name: Errors of the last day
    query: severity=error&since=24h
  - name: Backups
    query: user=*svc-backup*
'''

Without 'views' these are offered, which can be copied from here:

'''yaml
%s'''

Who may read, and over what, is the subject of [access.md](access.md).
`

func TestConfigurationDocumentIsUpToDate(t *testing.T) {
	const path = "../../docs/configuration.md"
	table := func(settings []setting, prefix string) string {
		var b strings.Builder
		b.WriteString("| Variable | Key in the file | Default | Meaning |\n|---|---|---|---|\n")
		for _, s := range settings {
			fallback := ""
			if s.fallback != "" {
				fallback = "`" + s.fallback + "`"
			}
			fmt.Fprintf(&b, "| `%s` | `%s%s` | %s | %s |\n", s.env, prefix, s.key, fallback, s.help)
		}
		return b.String()
	}
	text := fmt.Sprintf(strings.ReplaceAll(configurationText, "'", "`"), table(new(vcenterConfig).settings(), vcentersKey+"[]."), table(new(config).settings(), ""), viewsYAML(t))
	if *update {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(path)
	if err != nil || string(have) != text {
		t.Errorf("%s is not what the settings say (%v); run make docs", path, err)
	}
}

func TestSettingsAreEachDocumentedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range allSettings() {
		if seen[s.env] || seen[s.key] || s.key == "" || s.help == "" {
			t.Errorf("%s or %s is there twice, or without a word of help", s.env, s.key)
		}
		seen[s.env], seen[s.key] = true, true
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
		for _, s := range allSettings() {
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
	c, err := readConfig(func(name string) string { return env[name] }, "")
	if err != nil {
		t.Fatal(err)
	}
	v := c.vcenters[0]
	if v.url.String() != "https://vc.example.com/sdk" || v.name != "vc" || v.begin.String() != "1h30m0s" || c.segment != 10 ||
		c.logBytes != 1<<30 || !v.insecure || c.port != 8080 || c.recordBytes != 524288 {
		t.Errorf("read %+v", c)
	}
}

func TestAVCenterIsNamedAfterItsAddress(t *testing.T) {
	for address, want := range map[string]string{
		"https://VC1.example.com":       "vc1",
		"https://vc_1.example.com:443":  "vc-1",
		"https://192.0.2.7":             "192-0-2-7",
		"https://127.0.0.1:8989/sdk":    "127-0-0-1-8989",
		"https://[2001:db8::1]:8443":    "2001-db8-1-8443",
		"https://vcenter.example.com:8": "vcenter-8",
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		name := nameOf(u)
		if name != want {
			t.Errorf("%s is named %q, want %q", address, name, want)
		}
		if _, err := parseName(name); err != nil {
			t.Error(err)
		}
	}
}

func TestVariablesThatAreNoSettingsAreNoticedButNotThoseOfServices(t *testing.T) {
	got := strangers([]string{
		"VCENTER_URL=https://vc", "VSTREAM_CONFIG=x", "PATH=/bin", "VCENTER_SECRETPATH=/x", "LOG_LEVEL=debug",
		"VCENTER_PORT=tcp://10.0.0.1:443", "VCENTER_PORT_443_TCP_ADDR=10.0.0.1", "VCENTER_SERVICE_HOST=10.0.0.1",
		"VCSIM_SERVICE_PORT=1", "WATCH_MAXAGE=1h", "VCENTRE_URL=https://vc", "VCENTER_PASSWORD=hunter2", "VSTREAM_LOG_DIR=/x",
		"VSTREAM_PORT=tcp://10.0.0.1:8080", "VSTREAM_SERVER=http://localhost", "LOGNAME=me", "CENTRAL_URL=x", "SHELL_NAME=x",
	})
	want := []string{"LOG_LEVEL", "VCENTER_PASSWORD (did you mean VCENTER_SECRET_PATH?)", "VCENTER_SECRETPATH (did you mean VCENTER_SECRET_PATH?)",
		"VCENTRE_URL (did you mean VCENTER_URL?)", "VSTREAM_LOG_DIR (did you mean LOG_DIR?)", "WATCH_MAXAGE (did you mean WATCH_MAX_AGE?)"}
	if !slices.Equal(got, want) {
		t.Errorf("noticed %q, want %q", got, want)
	}
}

func TestASecretThatMayNotBeReadIsNotCalledAbsent(t *testing.T) {
	if got := secretAdvice(fmt.Errorf("read: %w", fs.ErrPermission)); !strings.Contains(got, "readable by the user") {
		t.Errorf("advice is %q", got)
	}
}
