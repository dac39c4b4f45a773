// Command grafana writes the dashboard of vstream, as Grafana imports it.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

//go:generate sh -c "go run . >dashboard.json"

// A query is PromQL, and what its lines are called.
type query struct{ expr, legend string }

// A panel is a chart, or another thing of Grafana's; unit is one of its units.
type panel struct {
	title, about string
	kind         string // timeseries without
	unit         string
	queries      []query
	mappings     []any // of values to words
}

// A row is panels side by side under a title.
type row struct {
	title  string
	panels []panel
}

// vc selects the chosen vCenters, of the chosen installation; all what it is about as a whole.
const (
	vc  = `{namespace=~"$namespace",job=~"$job",vcenter=~"$vcenter"}`
	all = `{namespace=~"$namespace",job=~"$job"}`
)

// Of what several replicas say of one vCenter, the one that collects says most.
func best(metric string) string { return "max by (vcenter) (" + metric + vc + ")" }

func sum(metric, by string) string {
	return "sum by (" + by + ") (rate(" + metric + "[$__rate_interval]))"
}

func words(pairs map[string]string) []any {
	options := map[string]any{}
	for value, text := range pairs {
		color := map[string]string{"0": "red", "1": "green"}[value]
		options[value] = map[string]any{"text": text, "color": color}
	}
	return []any{map[string]any{"type": "value", "options": options}}
}

var rows = []row{
	{"Overview", []panel{
		{title: "Collecting", about: "Whether events of each vCenter are collected, by any replica.", kind: "stat", queries: []query{{best("vstream_vcenter_up"), "{{vcenter}}"}},
			mappings: words(map[string]string{"0": "no", "1": "yes"})},
		{title: "State", about: "1 for the state each vCenter is in, on any replica.", kind: "state-timeline", queries: []query{{`max by (vcenter, state) (vstream_vcenter_state` + vc + `) == 1`, "{{vcenter}} {{state}}"}}},
		{title: "Since the last poll", about: "It grows while no question about events is answered. A quiet vCenter answers.", unit: "s", queries: []query{{"time() - " + best("vstream_vcenter_last_poll_timestamp_seconds"), "{{vcenter}}"}}},
		{title: "Alerts", kind: "alertlist"},
	}},
	{"Collecting", []panel{
		{title: "Events by severity", unit: "eps", queries: []query{{sum("vstream_vcenter_events_total"+vc, "severity"), "{{severity}}"}}},
		{title: "Events by vCenter", unit: "eps", queries: []query{{sum("vstream_vcenter_events_total"+vc, "vcenter"), "{{vcenter}}"}}},
		{title: "Lag of the newest event", about: "From when it happened until it could be read. It stays while nothing happens.", unit: "s", queries: []query{{best("vstream_vcenter_lag_seconds"), "{{vcenter}}"}}},
		{title: "Interruptions and logins", unit: "short", queries: []query{
			{`sum by (vcenter) (increase(vstream_vcenter_reconnects_total` + vc + `[$__rate_interval]))`, "{{vcenter}} interrupted"},
			{`sum by (vcenter, result) (increase(vstream_vcenter_logins_total` + vc + `[$__rate_interval]))`, "{{vcenter}} login, {{result}}"},
			{`sum by (vcenter) (increase(vstream_vcenter_credential_changes_total` + vc + `[$__rate_interval]))`, "{{vcenter}} new credentials"},
		}},
		{title: "Gaps, late and unknown events", about: "Gaps: events may have been lost.", unit: "short", queries: []query{
			{`sum by (vcenter, reason) (increase(vstream_vcenter_gaps_total` + vc + `[$__rate_interval]))`, "{{vcenter}} gap, {{reason}}"},
			{`sum by (vcenter) (increase(vstream_vcenter_late_events_total` + vc + `[$__rate_interval]))`, "{{vcenter}} late"},
			{`sum by (vcenter) (increase(vstream_vcenter_unknown_events_total` + vc + `[$__rate_interval]))`, "{{vcenter}} unknown"},
			{`sum by (vcenter) (increase(vstream_vcenter_key_restarts_total` + vc + `[$__rate_interval]))`, "{{vcenter}} keys start over"},
		}},
		{title: "Last audit", about: "What the log and the vCenter's history did not have in common.", unit: "short", queries: []query{
			{best("vstream_vcenter_audit_missing_events"), "{{vcenter}} missing"},
			{best("vstream_vcenter_audit_extra_events"), "{{vcenter}} extra"},
			{best("vstream_vcenter_audit_folded_events"), "{{vcenter}} folded"},
		}},
	}},
	{"Log", []panel{
		{title: "Events held", unit: "short", queries: []query{{best("vstream_log_events"), "{{vcenter}}"}}},
		{title: "Bytes, of what it may have", unit: "percentunit", queries: []query{{best("vstream_log_bytes") + " / " + best("vstream_log_max_bytes"), "{{vcenter}}"}}},
		{title: "How far it goes back, of what it should", unit: "s", queries: []query{
			{"time() - " + best("vstream_log_oldest_event_timestamp_seconds"), "{{vcenter}}"},
			{best("vstream_log_retention_seconds"), "{{vcenter}} should"},
		}},
		{title: "Can be written", kind: "stat", queries: []query{{best("vstream_log_writable"), "{{vcenter}}"}}, mappings: words(map[string]string{"0": "no", "1": "yes"})},
		{title: "Keys left", about: "Until the vCenter's numbers start over.", unit: "short", queries: []query{{"min by (vcenter) (vstream_vcenter_key_headroom" + vc + ")", "{{vcenter}}"}}},
		{title: "Offsets", unit: "none", queries: []query{{best("vstream_log_first_offset"), "{{vcenter}} first"}, {best("vstream_log_last_offset"), "{{vcenter}} last"}}},
	}},
	{"Readers", []panel{
		{title: "Watches", unit: "short", queries: []query{{"sum by (form) (vstream_watches" + all + ")", "{{form}}"}}},
		{title: "Watches behind", about: "That have had something to send for longer than a second: they read history, or their clients are slow.", unit: "short", queries: []query{{"sum by (form) (vstream_watches_behind" + all + ")", "{{form}}"}}},
		{title: "Furthest behind", unit: "s", queries: []query{{"max by (form) (vstream_watches_lag_max_seconds" + all + ")", "{{form}}"}}},
		{title: "Sent", unit: "Bps", queries: []query{{sum("vstream_watches_sent_bytes_total"+all, "form"), "{{form}}"}}},
		{title: "Events sent", unit: "eps", queries: []query{{sum("vstream_watches_sent_events_total"+all, "form"), "{{form}}"}}},
		{title: "Opened and closed", unit: "cps", queries: []query{{"sum(rate(vstream_watches_opened_total" + all + "[$__rate_interval]))", "opened"}, {sum("vstream_watches_closed_total"+all, "reason"), "closed: {{reason}}"}}},
	}},
	{"HTTP", []panel{
		{title: "Requests", unit: "reqps", queries: []query{{sum("vstream_http_request_duration_seconds_count"+all, "route"), "{{route}}"}}},
		{title: "Requests by status", unit: "reqps", queries: []query{{sum("vstream_http_request_duration_seconds_count"+all, "status"), "{{status}}"}}},
		{title: "Duration, 95 %", about: "Of watches until they begin; without waiting for events.", unit: "s", queries: []query{{"histogram_quantile(0.95, " + sum("vstream_http_request_duration_seconds_bucket"+all, "le, route") + ")", "{{route}}"}}},
	}},
	{"Process", []panel{
		{title: "Processor", unit: "percentunit", queries: []query{{"rate(process_cpu_seconds_total" + all + "[$__rate_interval])", "{{instance}}"}}},
		{title: "Memory", unit: "bytes", queries: []query{{"process_resident_memory_bytes" + all, "{{instance}}"}, {"go_memstats_heap_inuse_bytes" + all, "{{instance}} heap"}}},
		{title: "Goroutines and files", unit: "short", queries: []query{{"go_goroutines" + all, "{{instance}} goroutines"}, {"process_open_fds" + all, "{{instance}} files"}}},
		{title: "What runs", kind: "table", queries: []query{{"vstream_build_info" + all, ""}}},
		{title: "Leases", about: "Which replica collects. Only where replicas share a cluster.", kind: "state-timeline", queries: []query{{"vstream_vcenter_lease" + vc, "{{vcenter}} {{instance}}"}}},
		{title: "Files and certificate", about: "Files that cannot be used, and days until the certificate expires.", unit: "short", queries: []query{
			{"max by (instance, files) (vstream_files_stale" + all + ")", "{{instance}} {{files}} cannot be used"},
			{`sum by (instance, files, result) (increase(vstream_files_reloads_total` + all + `[$__rate_interval]))`, "{{instance}} {{files}} read again: {{result}}"},
			{"(vstream_tls_certificate_expiry_timestamp_seconds" + all + " - time()) / 86400", "{{instance}} days left"},
		}},
	}},
}

// source is the data source that is chosen above the dashboard.
var source = map[string]any{"type": "prometheus", "uid": "${datasource}"}

func (p panel) json(id, x, y, width int) map[string]any {
	const height = 8
	j := map[string]any{
		"id": id, "title": p.title, "description": p.about, "type": "timeseries", "datasource": source,
		"gridPos": map[string]int{"h": height, "w": width, "x": x, "y": y},
	}
	if p.kind != "" {
		j["type"] = p.kind
	}
	if p.kind == "alertlist" {
		j["options"] = map[string]any{"alertName": "Vstream", "viewMode": "list"}
		return j
	}
	defaults := map[string]any{"unit": p.unit, "min": 0, "custom": map[string]any{"spanNulls": false}}
	if p.mappings != nil {
		defaults["mappings"] = p.mappings
	}
	j["fieldConfig"] = map[string]any{"defaults": defaults, "overrides": []any{}}
	targets := make([]any, len(p.queries))
	now := p.kind == "table" || p.kind == "stat" // of a range, a stat would show what was last, however long ago
	for i, q := range p.queries {
		targets[i] = map[string]any{
			"refId": string(rune('A' + i)), "datasource": source, "expr": q.expr, "legendFormat": q.legend,
			"instant": now, "range": !now,
			"format": map[bool]string{true: "table", false: "time_series"}[p.kind == "table"],
		}
	}
	j["targets"] = targets
	return j
}

// variable is a choice above the dashboard, of the values of a label. All is whatever there is
// or, of a label that all vstreams have, those values: others have a go_goroutines too.
func variable(name, label string, optional bool) map[string]any {
	v := map[string]any{
		"name": name, "label": label, "type": "query", "datasource": source, "query": fmt.Sprintf("label_values(vstream_vcenter_up, %s)", name),
		"refresh": 2, "includeAll": true, "multi": true, "current": map[string]any{"text": "All", "value": "$__all"}, "sort": 1,
	}
	if optional {
		v["allValue"] = ".*"
	}
	return v
}

// dashboard is all of it.
func dashboard() ([]byte, error) {
	var panels []any
	id, y := 0, 0
	for _, r := range rows {
		id++
		panels = append(panels, map[string]any{"id": id, "type": "row", "title": r.title, "collapsed": false, "panels": []any{}, "gridPos": map[string]int{"h": 1, "w": 24, "x": 0, "y": y}})
		y++
		columns := 3
		if len(r.panels)%4 == 0 {
			columns = 4
		}
		for i, p := range r.panels {
			id++
			width := 24 / columns
			panels = append(panels, p.json(id, i%columns*width, y+i/columns*8, width))
		}
		y += (len(r.panels) + columns - 1) / columns * 8
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(map[string]any{
		"uid": "vstream", "title": "vstream", "tags": []string{"vstream", "vsphere"}, "schemaVersion": 41, "editable": true,
		"time": map[string]string{"from": "now-6h", "to": "now"}, "refresh": "30s", "panels": panels,
		"templating": map[string]any{"list": []any{
			map[string]any{"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"},
			variable("namespace", "Namespace", true), variable("job", "Job", false), variable("vcenter", "vCenter", false),
		}},
	})
	return text.Bytes(), err
}

func main() {
	text, err := dashboard()
	if err == nil {
		_, err = os.Stdout.Write(text)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "grafana:", err)
		os.Exit(1)
	}
}
