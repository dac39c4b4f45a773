package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"vstream"
	"vstream/internal/cloudevent"
	"vstream/internal/httpapi"
	"vstream/internal/index"
	"vstream/internal/memlog"
)

var rewrite = flag.Bool("rewrite", false, "write into the documents what their commands print")

// documentedServers serves the events of testdata/documented: at the address that
// documents call localhost:8080 those of vc1, and at localhost:8081 those of both vCenters.
func documentedServers(t *testing.T) map[string]string {
	t.Helper()
	began := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	var all []httpapi.VCenter
	for _, name := range []string{"vc1", "vc2"} {
		text, err := os.ReadFile("testdata/documented/" + name + ".ndjson")
		if err != nil {
			t.Fatal(err)
		}
		log := memlog.New(100, 1<<20)
		instance := map[string]string{"vc1": "6ba4e4a6-31e8-4d5c-a0e5-e93e3bf6a1d2", "vc2": "0f7d2c58-93ab-4c1e-8a64-2b9d6e5f1c37"}[name]
		if err := log.SetOrigin(ctx, instance, 0); err != nil {
			t.Fatal(err)
		}
		var events []vstream.Event
		for line := range bytes.Lines(text) {
			e, err := cloudevent.Decode(bytes.TrimSpace(line), "")
			if err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
		}
		if err := log.Append(t.Context(), events); err != nil {
			t.Fatal(err)
		}
		last := events[len(events)-1].Time
		indexed := &index.Index{Log: log, MaxRows: 100, Logger: slog.New(slog.DiscardHandler)}
		running.Go(func() { _ = indexed.Run(ctx) })
		for indexed.Coverage().Building {
			time.Sleep(time.Millisecond)
		}
		all = append(all, httpapi.VCenter{Name: name, Log: log, Index: indexed, Types: func() []vstream.EventType {
			return []vstream.EventType{{Name: "VmPoweredOnEvent", Class: "event", Description: "VM powered on", Category: "info"}}
		}, Status: func() vstream.Status {
			return vstream.Status{
				Name: name, URL: "https://" + name + ".example.com/sdk", State: vstream.Collecting, Since: began,
				SourceStatus: vstream.SourceStatus{Product: "VMware vCenter Server 8.0.3 build-24022515", APIVersion: "8.0.3.0",
					Instance: instance, LastPoll: last.Add(5 * time.Second)},
				LastEvent: last, Lag: 412 * time.Millisecond, Rate: 2.017, KeyHeadroom: 1<<31 - 51,
			}
		}})
	}
	addresses := map[string]string{}
	for documented, vcenters := range map[string][]httpapi.VCenter{"localhost:8080": all[:1], "localhost:8081": all} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := &httpapi.Server{
			Listener: listener, VCenters: vcenters, WatchMaxAge: time.Hour, Logger: slog.New(slog.DiscardHandler), Version: "v1.0.0",
			Views: []httpapi.View{defaultViews[2], {Name: "Errors of the last day", Query: "severity=error&since=24h"}},
		}
		running.Go(func() {
			if err := s.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		addresses[documented] = listener.Addr().String()
	}
	return addresses
}

// Every command of the document is run, and prints what the document says. There, … stands
// for anything within a line, and a line of it for any lines. What goes on for ever is
// ended when it has printed that much.
func TestEveryCurlLineOfTheDocumentPrintsWhatItSays(t *testing.T) {
	for _, tool := range []string{"sh", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("the documented commands need %s: %v", tool, err)
		}
	}
	servers := documentedServers(t)
	for _, name := range []string{"../../docs/api.md", "../../docs/filters.md"} {
		document, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		commands := 0
		blocks := regexp.MustCompile("(?s)```console\n(.*?)```")
		text := blocks.ReplaceAllStringFunc(string(document), func(block string) string {
			var b strings.Builder
			for _, c := range commandsOf(blocks.FindStringSubmatch(block)[1]) {
				commands++
				got := runDocumented(t, servers, c)
				if !*rewrite && !c.printed(got) {
					t.Errorf("%s: $ %s\nprints\n%s\nthe document says\n%s", name, c.command, got, c.output)
				}
				said := c.output
				if !c.printed(got) {
					said = got
				}
				fmt.Fprintf(&b, "$ %s\n%s", c.command, said)
			}
			return "```console\n" + b.String() + "```"
		})
		if commands < 3 {
			t.Errorf("%s holds %d commands", name, commands)
		}
		if *rewrite {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A documented is a command of a document and what it prints.
type documented struct{ command, output string }

func commandsOf(block string) (all []documented) {
	for line := range strings.Lines(block) {
		switch command, begins := strings.CutPrefix(line, "$ "); {
		case begins:
			all = append(all, documented{command: strings.TrimSuffix(command, "\n")})
		case len(all) == 0:
		case all[len(all)-1].output == "" && strings.HasSuffix(all[len(all)-1].command, `\`):
			all[len(all)-1].command += "\n" + strings.TrimSuffix(line, "\n")
		default:
			all[len(all)-1].output += line
		}
	}
	return all
}

// printed reports whether got is the output that the document shows.
func (c documented) printed(got string) bool {
	pattern := regexp.QuoteMeta(c.output)
	pattern = regexp.MustCompile(`(?m)^…\n`).ReplaceAllString(pattern, `(?:.*\n)*`)
	pattern = strings.ReplaceAll(pattern, "…", ".*")
	return regexp.MustCompile(`^` + pattern + `$`).MatchString(got)
}

// runDocumented returns what a command prints, until it has printed what the document
// shows and a moment more, or has ended.
func runDocumented(t *testing.T, servers map[string]string, c documented) string {
	t.Helper()
	command := c.command
	for documented, address := range servers {
		command = strings.ReplaceAll(command, documented, address)
	}
	p := &process{Cmd: exec.Command("sh", "-c", command), t: t, grew: make(chan struct{}), done: make(chan struct{})}
	p.Dir = t.TempDir() // some write files
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.begin()
	defer p.killGroup()
	said := func() string {
		text := p.text()
		for documented, address := range servers {
			text = strings.ReplaceAll(text, address, documented)
		}
		if text != "" && !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		return strings.ReplaceAll(text, "\r\n", "\n") // headers
	}
	endless := strings.Contains(c.command, "curl -N") && !strings.Contains(c.command, "limit=")
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		select {
		case <-p.done:
			return said()
		default:
		}
		if endless && c.printed(said()) && c.output != "" {
			return said()
		}
		if *rewrite && endless && time.Until(deadline) < patience-2*time.Second {
			return said()
		}
	}
	return said()
}
