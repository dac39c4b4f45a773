package main

import (
	"bytes"
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
)

func TestTheDashboardIsUpToDate(t *testing.T) {
	want, err := dashboard()
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("dashboard.json")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("dashboard.json is not what the program writes; run make docs (%v)", err)
	}
}

// A stat over a range shows what was last in it: all is well, hours after the last scrape.
func TestStatsTellOfNow(t *testing.T) {
	for _, r := range rows {
		for _, p := range r.panels {
			if p.kind != "stat" {
				continue
			}
			for _, target := range p.json(1, 0, 0, 6)["targets"].([]any) {
				if ask := target.(map[string]any); ask["instant"] != true || ask["range"] != false {
					t.Errorf("%s asks for a range", p.title)
				}
			}
		}
	}
}

// Where all jobs are chosen, which is so at first, those are the jobs of vstream.
func TestNoProcessOfOthersIsShown(t *testing.T) {
	document, err := dashboard()
	if err != nil {
		t.Fatal(err)
	}
	var d struct {
		Templating struct {
			List []struct{ Name, Query, AllValue string }
		}
	}
	if err := json.Unmarshal(document, &d); err != nil {
		t.Fatal(err)
	}
	there := false
	for _, v := range d.Templating.List {
		if v.Name == "job" {
			there = v.Query == "label_values(vstream_vcenter_up, job)" && v.AllValue == ""
		}
	}
	if !there {
		t.Errorf("jobs are chosen by %+v", d.Templating.List)
	}
}

func TestEveryPanelAsksForMetricsThatThereAre(t *testing.T) {
	document, err := os.ReadFile("../../docs/metrics.md") // of which another test knows that it is true
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{
		"process_cpu_seconds_total": true, "process_resident_memory_bytes": true, "process_open_fds": true,
		"go_memstats_heap_inuse_bytes": true, "go_goroutines": true,
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(vstream_[a-z_]+)` \\| .* \\| (gauge|counter|histogram) \\|").FindAllSubmatch(document, -1) {
		name := string(m[1])
		there[name] = true
		if string(m[2]) == "histogram" {
			there[name+"_bucket"], there[name+"_count"], there[name+"_sum"] = true, true, true
		}
	}
	language := parser.NewParser(parser.Options{})
	asked := map[string]bool{}
	for _, r := range rows {
		for _, p := range r.panels {
			for _, q := range p.queries {
				expr, err := language.ParseExpr(strings.ReplaceAll(q.expr, "$__rate_interval", "5m"))
				if err != nil {
					t.Errorf("%s: %s: %v", p.title, q.expr, err)
					continue
				}
				parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
					if s, ok := node.(*parser.VectorSelector); ok {
						asked[s.Name] = true
						if !there[s.Name] {
							t.Errorf("%s asks for %s, which there is not", p.title, s.Name)
						}
					}
					return nil
				})
			}
		}
	}
	if len(asked) < 30 {
		t.Errorf("only %d metrics are asked for", len(asked))
	}
}
