package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// A fact is something that figures depend on. Facts name neither the machine nor places on
// it: they are published.
type fact struct{ name, value string }

// machine returns the facts of this machine; dir is where the stores are.
func machine(ctx context.Context, dir string) []fact {
	if dir == "" {
		dir = os.TempDir()
	}
	cpu := fmt.Sprintf("%d cores", runtime.NumCPU())
	if model := field("/proc/cpuinfo", "model name", ":"); model != "" {
		cpu += ", " + model
	}
	memory, _ := os.ReadFile("/proc/meminfo")
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	facts := []fact{
		{"Date", time.Now().UTC().Format("2006-01-02 15:04 UTC")},
		{"Commit", commit(ctx)},
		{"CPU", cpu},
		{"Memory", bytesOf(kibibytes(string(memory), "MemTotal"))},
		{"System", strings.TrimSpace(runtime.GOOS + "/" + runtime.GOARCH + " " + string(kernel))},
		{"File system", fileSystem(dir)},
		{"Go", runtime.Version()},
	}
	if build, ok := debug.ReadBuildInfo(); ok {
		for _, module := range build.Deps {
			if slices.ContainsFunc(measuredModules, func(path string) bool { return strings.HasPrefix(module.Path, path) }) {
				facts = append(facts, fact{module.Path, module.Version})
			}
		}
	}
	return facts
}

// measuredModules are those whose versions matter to the figures.
var measuredModules = []string{"github.com/nats-io/nats", "github.com/vmware/govmomi", "github.com/embano1/memlog", "github.com/cloudevents/sdk-go"}

// commit says which commit was measured, and whether the work tree was as it has it. What
// was measured before does not count.
func commit(ctx context.Context) string {
	id, err := exec.CommandContext(ctx, "git", "rev-parse", "--short=8", "HEAD").Output()
	if err != nil {
		return "unknown"
	}
	text := strings.TrimSpace(string(id))
	changed, err := exec.CommandContext(ctx, "git", "status", "--porcelain", "--", ":/", ":(top,exclude)"+results).Output()
	if err != nil || len(changed) > 0 {
		text += ", dirty: files differ from it"
	}
	return text
}

// loadAverage returns how many processes wanted to run in the last minute, on average.
func loadAverage() string {
	load, _ := os.ReadFile("/proc/loadavg")
	first, _, _ := strings.Cut(string(load), " ")
	return cmp.Or(first, "unknown")
}

// field returns the value of the first line of a file with this name in front of a
// separator.
func field(file, name, separator string) string {
	text, _ := os.ReadFile(file)
	for line := range strings.Lines(string(text)) {
		if key, value, ok := strings.Cut(line, separator); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// fileSystem returns the kind of file system that a directory is on.
func fileSystem(dir string) string {
	dir, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return "unknown"
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	kind, longest := "unknown", ""
	for line := range strings.Lines(string(mounts)) {
		parts := strings.Fields(line)
		if len(parts) < 3 {
			continue
		}
		at := parts[1]
		below := dir == at || strings.HasPrefix(dir, strings.TrimSuffix(at, "/")+"/")
		if below && len(at) >= len(longest) {
			kind, longest = parts[2], at
		}
	}
	return kind
}
