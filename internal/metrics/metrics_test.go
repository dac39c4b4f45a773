package metrics

import (
	"flag"
	"fmt"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"vstream"
)

// log is a log that the test describes.
type log struct {
	held  *vstream.Range
	usage vstream.Usage
}

func (l log) Usage() vstream.Usage { return l.usage }

func (l log) Range() (vstream.Range, bool) {
	if l.held == nil {
		return vstream.Range{}, false
	}
	return *l.held, true
}

// everything is a process of which all is known, and of one of its vCenters nothing.
func everything() Process {
	at := time.Unix(1_700_000_000, 500_000_000)
	collecting := vstream.Status{
		Name: "vc1", State: vstream.Collecting, LastEvent: at, Lag: 1500 * time.Millisecond, KeyHeadroom: 7,
		Reconnects: 3, Gaps: 3, Replaced: 1, Collected: vstream.Severities{Info: 5, Error: 2}, Audit: &vstream.Audit{At: at, Missing: 2, Folded: 4},
		SourceStatus: vstream.SourceStatus{LastPoll: at, Logins: 2, Denied: 1, Rotated: 1},
	}
	requests := NewRequests()
	requests.Answered("/api/v1/events", "GET", 200, 3*time.Millisecond)
	requests.Answered("", "BREW", 418, time.Millisecond)
	requests.Answered("/api/v1/events", "GET", 0, time.Millisecond)
	return Process{
		Version: "v1.2.3",
		VCenters: []VCenter{{
			Name: "vc1", Status: func() vstream.Status { return collecting }, Collector: func() vstream.Status { return collecting },
			Log: log{&vstream.Range{Earliest: 3, Latest: vstream.OffsetOf(1, -5)}, vstream.Usage{Events: 6, Bytes: 600, MaxBytes: 1000, MaxEvents: 10, MaxAge: time.Hour, Oldest: at}},
		}, {
			Name:      "vc2",
			Status:    func() vstream.Status { return vstream.Status{Name: "vc2", State: vstream.Standby} },
			Collector: func() vstream.Status { return vstream.Status{Name: "vc2", State: vstream.Failing, Reconnects: 9} },
			Log:       log{}, Writable: func() (bool, bool) { return false, true }, Leased: func() bool { return false },
		}, {
			Name:      "vc3",
			Status:    func() vstream.Status { return vstream.Status{Name: "vc3", State: vstream.Standby} },
			Collector: func() vstream.Status { return vstream.Status{Name: "vc3", ReplacedAt: at} },
			Log:       log{}, Writable: func() (bool, bool) { return false, false },
		}},
		Watches: func() []Watches {
			return []Watches{{Form: "sse", Open: 3, Opened: 5, Closed: map[string]int64{"client": 2}, Events: 70, Bytes: 7000, Behind: 1, Lag: 90 * time.Second}}
		},
		Reloads:            func() []Reload { return []Reload{{Files: "tls", Taken: 1, Failed: 2, Stale: true}} },
		CertificateExpires: func() time.Time { return at },
		Requests:           requests,
	}
}

func TestMetricsTellHowItGoesWithEachPart(t *testing.T) {
	answer := httptest.NewRecorder()
	Handler(everything()).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	text := answer.Body.String()
	for _, line := range []string{
		`vstream_build_info{goversion="go`,
		`vstream_vcenter_up{vcenter="vc1"} 1`, `vstream_vcenter_up{vcenter="vc2"} 0`,
		`vstream_vcenter_state{state="collecting",vcenter="vc1"} 1`, `vstream_vcenter_state{state="failing",vcenter="vc1"} 0`,
		`vstream_vcenter_lease{vcenter="vc2"} 0`,
		`vstream_vcenter_lag_seconds{vcenter="vc1"} 1.5`, `vstream_vcenter_key_headroom{vcenter="vc1"} 7`,
		`vstream_vcenter_last_key{vcenter="vc1"} 4.294967291e+09`,
		`vstream_vcenter_events_total{severity="info",vcenter="vc1"} 5`, `vstream_vcenter_events_total{severity="error",vcenter="vc1"} 2`,
		`vstream_vcenter_reconnects_total{vcenter="vc1"} 3`, `vstream_vcenter_reconnects_total{vcenter="vc2"} 9`,
		`vstream_vcenter_gaps_total{reason="forgotten",vcenter="vc1"} 2`, `vstream_vcenter_gaps_total{reason="replaced",vcenter="vc1"} 1`,
		`vstream_vcenter_gaps_total{reason="forgotten",vcenter="vc2"} 0`, // so that the first one is an increase
		`vstream_vcenter_last_gap_timestamp_seconds{reason="replaced",vcenter="vc3"} 1.7000000005e+09`,
		`vstream_vcenter_logins_total{result="failure",vcenter="vc1"} 1`,
		`vstream_vcenter_last_event_timestamp_seconds{vcenter="vc1"} 1.7000000005e+09`,
		`vstream_vcenter_audit_missing_events{vcenter="vc1"} 2`, `vstream_vcenter_audit_folded_events{vcenter="vc1"} 4`,
		`vstream_log_writable{vcenter="vc1"} 1`, `vstream_log_writable{vcenter="vc2"} 0`,
		`vstream_log_bytes{vcenter="vc1"} 600`, `vstream_log_max_bytes{vcenter="vc1"} 1000`, `vstream_log_retention_seconds{vcenter="vc1"} 3600`,
		`vstream_log_first_offset{vcenter="vc1"} 3`, `vstream_log_last_offset{vcenter="vc1"} 8.589934587e+09`,
		`vstream_log_oldest_event_timestamp_seconds{vcenter="vc1"} 1.7000000005e+09`,
		`vstream_watches{form="sse"} 3`, `vstream_watches_closed_total{form="sse",reason="client"} 2`, `vstream_watches_lag_max_seconds{form="sse"} 90`,
		`vstream_files_reloads_total{files="tls",result="failure"} 2`, `vstream_files_stale{files="tls"} 1`,
		`vstream_tls_certificate_expiry_timestamp_seconds 1.7000000005e+09`,
		`vstream_http_request_duration_seconds_bucket{method="GET",route="/api/v1/events",status="2xx",le="0.005"} 1`,
		`vstream_http_request_duration_seconds_count{method="other",route="other",status="4xx"} 1`,
		`vstream_http_request_duration_seconds_count{method="GET",route="/api/v1/events",status="gone"} 1`,
		`go_goroutines `,
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("there is no %s", line)
		}
	}
	// What is not known yet is left out: a zero would be an alarm.
	for _, absent := range []string{
		`lag_seconds{vcenter="vc2"}`, `key_headroom{vcenter="vc2"}`, `audit_missing_events{vcenter="vc2"}`, `last_poll_timestamp_seconds{vcenter="vc2"}`,
		`offset{vcenter="vc2"}`, `oldest_event_timestamp_seconds{vcenter="vc2"}`, `max_bytes{vcenter="vc2"}`, `lease{vcenter="vc1"}`,
		`log_writable{vcenter="vc3"}`, `gap_timestamp_seconds{reason="forgotten",vcenter="vc3"}`,
	} {
		if strings.Contains(text, absent) {
			t.Errorf("there is %s", absent)
		}
	}
}

func TestNamesAreAsPrometheusWantsThem(t *testing.T) {
	problems, err := testutil.GatherAndLint(registry(everything()))
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}

var update = flag.Bool("update", false, "write generated documents instead of comparing them")

const documentPath = "../../docs/metrics.md"

//go:generate go test . -run ^TestTheDocumentListsEveryMetric$ -update

func TestTheDocumentListsEveryMetric(t *testing.T) {
	const begin, end = "<!-- generated: make docs -->\n", "<!-- end of what is generated -->\n"
	var table strings.Builder
	table.WriteString("| Metric | Labels | Kind | What it tells |\n|---|---|---|---|\n")
	row := func(name string, labels []string, kind, help string) {
		list := ""
		for _, l := range labels {
			list += ", `" + l + "`"
		}
		fmt.Fprintf(&table, "| `%s` | %s | %s | %s |\n", name, strings.TrimPrefix(list, ", "), kind, help)
	}
	for _, m := range metrics {
		kind := "gauge"
		if m.kind == prometheus.CounterValue {
			kind = "counter"
		}
		row(m.name, m.labels, kind, m.help)
	}
	row(requestsName, requestsLabels, "histogram", requestsHelp)

	old, err := os.ReadFile(documentPath)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, found := strings.Cut(string(old), begin)
	_, after, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", documentPath)
	}
	document := before + begin + table.String() + end + after
	if document == string(old) {
		return
	}
	if !*update {
		t.Fatal("docs/metrics.md does not list the metrics as they are; run make docs")
	}
	if err := os.WriteFile(documentPath, []byte(document), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestTheTableOfMetricsIsAllThereIs(t *testing.T) {
	families, err := registry(everything()).Gather()
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	for _, f := range families {
		there[f.GetName()] = true
	}
	for _, m := range metrics {
		if !there[m.name] {
			t.Errorf("%s is listed, and a process of which all is known does not tell it", m.name)
		}
		delete(there, m.name)
	}
	delete(there, requestsName)
	for name := range there {
		if strings.HasPrefix(name, "vstream_") {
			t.Errorf("%s is told, and not listed", name)
		}
	}
}
