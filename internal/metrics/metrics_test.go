package metrics

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"vstream"
)

func status() vstream.Status {
	at := time.Unix(1_700_000_000, 500_000_000)
	return vstream.Status{
		Name: "vc1", State: vstream.Collecting, LastEvent: at, Lag: 1500 * time.Millisecond, KeyHeadroom: 7,
		Reconnects: 3, Gaps: 1, Audit: &vstream.Audit{At: at, Missing: 2, Folded: 4},
	}
}

func TestMetricsTellTheStatusOfEachVCenter(t *testing.T) {
	down := func() vstream.Status { return vstream.Status{Name: "vc2", State: vstream.Failing, Reconnects: 9} }
	answer := httptest.NewRecorder()
	Handler(status, down).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	text := answer.Body.String()
	for _, line := range []string{
		`vstream_vcenter_up{vcenter="vc1"} 1`, `vstream_vcenter_up{vcenter="vc2"} 0`,
		`vstream_vcenter_lag_seconds{vcenter="vc1"} 1.5`, `vstream_vcenter_key_headroom{vcenter="vc1"} 7`,
		`vstream_vcenter_reconnects_total{vcenter="vc1"} 3`, `vstream_vcenter_reconnects_total{vcenter="vc2"} 9`,
		`vstream_vcenter_last_event_timestamp_seconds{vcenter="vc1"} 1.7000000005e+09`,
		`vstream_vcenter_audit_missing_events{vcenter="vc1"} 2`, `vstream_vcenter_audit_folded_events{vcenter="vc1"} 4`,
		`go_goroutines `,
	} {
		if !strings.Contains(text, "\n"+line) {
			t.Errorf("there is no %s", line)
		}
	}
	// What is not known yet is left out: a zero would be an alarm.
	for _, absent := range []string{`lag_seconds{vcenter="vc2"}`, `key_headroom{vcenter="vc2"}`, `audit_missing_events{vcenter="vc2"}`, `last_poll_timestamp_seconds{vcenter="vc1"}`} {
		if strings.Contains(text, absent) {
			t.Errorf("there is %s", absent)
		}
	}
}

func TestNamesAreAsPrometheusWantsThem(t *testing.T) {
	s := status()
	s.LastPoll = s.LastEvent
	problems, err := testutil.CollectAndLint(vcenters{func() vstream.Status { return s }})
	if err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
