// Package deploy_test holds what vstream is installed with to what its documentation promises, and
// what is said in several places to one another.
package deploy_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// unit is the settings of a systemd unit, by section and name, in the order in which they stand.
type unit map[string][]string

func readUnit(t *testing.T) unit {
	t.Helper()
	u, section := unit{}, ""
	for i, line := range strings.Split(read(t, "systemd/vstream.service"), "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
		default:
			name, value, ok := strings.Cut(line, "=")
			if !ok || section == "" {
				t.Fatalf("line %d is no setting: %s", i+1, line)
			}
			u[section+"."+name] = append(u[section+"."+name], value)
		}
	}
	return u
}

func TestTheServiceRunsAsNobodyAndCanDoNextToNothing(t *testing.T) {
	u := readUnit(t)
	for name, want := range map[string]string{
		"DynamicUser": "yes", "NoNewPrivileges": "yes", "CapabilityBoundingSet": "",
		"ProtectSystem": "strict", "ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes", "PrivateUsers": "yes",
		"ProtectKernelTunables": "yes", "ProtectKernelModules": "yes", "ProtectKernelLogs": "yes", "ProtectControlGroups": "yes",
		"ProtectClock": "yes", "ProtectHostname": "yes", "ProtectProc": "invisible",
		"RestrictNamespaces": "yes", "RestrictRealtime": "yes", "RestrictSUIDSGID": "yes", "LockPersonality": "yes",
		"MemoryDenyWriteExecute": "yes", "SystemCallArchitectures": "native", "UMask": "0077",
	} {
		if got := u["Service."+name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := u["Service.SystemCallFilter"]; !slices.Equal(got, []string{"@system-service", "~@privileged @resources"}) {
		t.Errorf("SystemCallFilter is %q", got)
	}
	for name := range u {
		if strings.HasPrefix(name, "Service.ReadWritePaths") || name == "Service.User" || name == "Service.AmbientCapabilities" {
			t.Errorf("%s gives it more than it needs", name)
		}
	}
}

func TestTheServiceGetsItsSecretsAsCredentialsOnly(t *testing.T) {
	u := readUnit(t)
	if got := u["Service.LoadCredential"]; !slices.Equal(got, []string{"username:/etc/vstream/username", "password:/etc/vstream/password"}) {
		t.Errorf("LoadCredential is %q", got)
	}
	environment := strings.Join(u["Service.Environment"], " ")
	for _, want := range []string{"VCENTER_SECRET_PATH=%d", "LOG_DIR=%S/vstream"} {
		if !slices.Contains(strings.Fields(environment), want) {
			t.Errorf("Environment is %q, without %s", environment, want)
		}
	}
	if got := u["Service.StateDirectory"]; !slices.Equal(got, []string{"vstream"}) {
		t.Errorf("StateDirectory is %q, where LOG_DIR is", got)
	}
}

func TestTheServiceIsTheProgramOfThePackagesAndStopsInTime(t *testing.T) {
	u := readUnit(t)
	for name, want := range map[string]string{
		"Service.ExecStart": "/usr/bin/vstream serve", "Service.EnvironmentFile": "/etc/vstream/vstream.env",
		"Service.Restart": "on-failure", "Service.TimeoutStopSec": "15s", "Install.WantedBy": "multi-user.target",
	} {
		if got := u[name]; !slices.Equal(got, []string{want}) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	manual := read(t, "../docs/configuration.md")
	for _, m := range regexp.MustCompile(`(?m)^#?([A-Z_]+)=`).FindAllStringSubmatch(read(t, "systemd/vstream.env"), -1) {
		if !strings.Contains(manual, "`"+m[1]+"`") {
			t.Errorf("vstream.env has %s, which vstream does not know", m[1])
		}
	}
}

// dpkg runs the script on other occasions than a removal, too, and rpm before each upgrade.
func TestOnlyARemovalOfThePackageStopsTheService(t *testing.T) {
	shell, err := exec.LookPath("sh")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(dir+"/systemctl", []byte("#!/bin/sh\necho \"$@\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	script := strings.ReplaceAll(read(t, "systemd/preremove.sh"), "/run/systemd/system", dir)
	for occasion, want := range map[string]string{
		"remove": "disable --now vstream.service\n", "0": "disable --now vstream.service\n", // of deb and of rpm
		"upgrade": "", "1": "", "failed-upgrade": "", "deconfigure": "",
	} {
		cmd := exec.CommandContext(t.Context(), shell, "-c", script, "preremove", occasion)
		cmd.Env = []string{"PATH=" + dir}
		if out, err := cmd.CombinedOutput(); err != nil || string(out) != want {
			t.Errorf("%s: systemctl gets %q, want %q (%v)", occasion, out, want, err)
		}
	}
}

// release is the part of .goreleaser.yaml that others have to agree with.
type release struct {
	Builds []struct {
		Main         string
		Goos, Goarch []string
	}
	Archives []struct{ Files []any }
	NFPMs    []struct {
		Formats  []string
		Bindir   string
		Contents []struct{ Src, Dst string }
		Scripts  map[string]string
	} `yaml:"nfpms"`
	KOs []struct {
		BaseImage string `yaml:"base_image"`
		Platforms []string
	} `yaml:"kos"`
	SBOMs, Signs []map[string]any
}

func TestAReleaseHasWhatItsFilesNameForAllPlatforms(t *testing.T) {
	var r release
	if err := yaml.Unmarshal([]byte(read(t, "../.goreleaser.yaml")), &r); err != nil {
		t.Fatal(err)
	}
	var platforms []string
	for _, system := range r.Builds[0].Goos {
		for _, architecture := range r.Builds[0].Goarch {
			platforms = append(platforms, system+"/"+architecture)
		}
	}
	if want := "PLATFORMS ?= " + strings.Join(platforms, " ") + "\n"; !strings.Contains(read(t, "../Makefile"), want) {
		t.Errorf("the Makefile builds for other platforms than %v", platforms)
	}
	sources := []string{r.NFPMs[0].Scripts["postinstall"], r.NFPMs[0].Scripts["preremove"]}
	destinations := map[string]bool{}
	for _, c := range r.NFPMs[0].Contents {
		sources = append(sources, c.Src)
		destinations[c.Dst] = true
	}
	for _, f := range r.Archives[0].Files {
		if path, ok := f.(string); ok {
			sources = append(sources, path)
		}
	}
	for _, source := range sources {
		if strings.HasPrefix(source, "release/") {
			continue // made by make release-files
		}
		if found, err := filepath.Glob("../" + source); err != nil || len(found) == 0 {
			t.Errorf("there is no %s (%v)", source, err)
		}
	}
	for _, want := range []string{"/usr/lib/systemd/system/vstream.service", "/etc/vstream/vstream.env", "/usr/share/man/man1/", "/usr/share/bash-completion/completions/vstream"} {
		if !destinations[want] {
			t.Errorf("the packages lack %s", want)
		}
	}
	if r.NFPMs[0].Bindir != "/usr/bin" || len(r.SBOMs) == 0 || len(r.Signs) == 0 {
		t.Error("want packages with /usr/bin/vstream, lists of contents, and signatures")
	}
}

func TestAllImagesAreTheSame(t *testing.T) {
	var r release
	var ko struct {
		DefaultBaseImage string   `yaml:"defaultBaseImage"`
		DefaultPlatforms []string `yaml:"defaultPlatforms"`
	}
	for path, into := range map[string]any{"../.goreleaser.yaml": &r, "../.ko.yaml": &ko} {
		if err := yaml.Unmarshal([]byte(read(t, path)), into); err != nil {
			t.Fatal(err)
		}
	}
	dockerfile := read(t, "Dockerfile")
	if !strings.Contains(dockerfile, "\nFROM "+ko.DefaultBaseImage+"\n") || r.KOs[0].BaseImage != ko.DefaultBaseImage {
		t.Errorf("the Dockerfile or GoReleaser has another base than ko, %s", ko.DefaultBaseImage)
	}
	if !slices.Equal(r.KOs[0].Platforms, ko.DefaultPlatforms) {
		t.Errorf("GoReleaser makes images for %v, ko for %v", r.KOs[0].Platforms, ko.DefaultPlatforms)
	}
	if !strings.Contains(dockerfile, "\nUSER 65532:65532\n") {
		t.Error("the Dockerfile names no user by its number")
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(read(t, "../go.mod"))[1]
	if !strings.Contains(dockerfile, " golang:"+version+" AS build\n") {
		t.Errorf("the Dockerfile builds with another Go than %s", version)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
