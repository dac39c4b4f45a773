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
	there := map[string]string{ // their labels
		"process_cpu_seconds_total": "", "process_resident_memory_bytes": "", "process_open_fds": "",
		"go_memstats_heap_inuse_bytes": "", "go_goroutines": "",
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(vstream_[a-z_]+)` \\| (.*) \\| (gauge|counter|histogram) \\|").FindAllStringSubmatch(string(document), -1) {
		name, labels := m[1], m[2]
		there[name] = labels
		if m[3] == "histogram" {
			there[name+"_bucket"], there[name+"_count"], there[name+"_sum"] = labels+"`le`", labels, labels
		}
	}
	const ofAll = "`namespace` `job` `instance`"
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
				named := regexp.MustCompile(`{{(\w+)}}`).FindAllStringSubmatch(q.legend, -1)
				parser.Inspect(expr, func(node parser.Node, within []parser.Node) error {
					s, ok := node.(*parser.VectorSelector)
					if !ok {
						return nil
					}
					asked[s.Name] = true
					labels, known := there[s.Name]
					if !known {
						t.Errorf("%s asks for %s, which there is not", p.title, s.Name)
					}
					var wanted []string
					for _, m := range s.LabelMatchers {
						wanted = append(wanted, m.Name)
					}
					for _, node := range within {
						if by, ok := node.(*parser.AggregateExpr); ok {
							wanted = append(wanted, by.Grouping...)
						}
					}
					for _, m := range named {
						wanted = append(wanted, m[1])
					}
					for _, label := range wanted {
						if label != "__name__" && !strings.Contains(labels+ofAll, "`"+label+"`") {
							t.Errorf("%s wants the label %s of %s, which has %s", p.title, label, s.Name, labels)
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
