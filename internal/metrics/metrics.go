// Package metrics tells Prometheus how collecting from vCenters goes. It keeps nothing: each
// scrape asks for the status as it is then.
package metrics

import (
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vstream"
)

// Handler serves the metrics of the process and of the vCenters whose status the functions
// return.
func Handler(statuses ...func() vstream.Status) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		vcenters(statuses))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
}

// vcenters collects the metrics of each vCenter, told apart by the label vcenter, its name.
type vcenters []func() vstream.Status

// A metric is a number in a status. value is nil-safe: ok is false where there is none yet.
type metric struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*vstream.Status) (v float64, ok bool)
}

func number(name, help string, kind prometheus.ValueType, value func(*vstream.Status) (float64, bool)) metric {
	return metric{prometheus.NewDesc("vstream_vcenter_"+name, help, []string{"vcenter"}, nil), kind, value}
}

func total(name, help string, value func(*vstream.Status) int64) metric {
	return number(name+"_total", help, prometheus.CounterValue, func(s *vstream.Status) (float64, bool) { return float64(value(s)), true })
}

func instant(name, help string, value func(*vstream.Status) time.Time) metric {
	return number(name+"_timestamp_seconds", help, prometheus.GaugeValue, func(s *vstream.Status) (float64, bool) {
		t := value(s)
		return float64(t.UnixMilli()) / 1000, !t.IsZero()
	})
}

func audited(name, help string, value func(*vstream.Audit) int64) metric {
	return number("audit_"+name, help, prometheus.GaugeValue, func(s *vstream.Status) (float64, bool) {
		if s.Audit == nil {
			return 0, false
		}
		return float64(value(s.Audit)), true
	})
}

var metrics = []metric{
	number("up", "Whether events are being collected: 1, or 0 while the vCenter is away, refuses, or is silent.", prometheus.GaugeValue,
		func(s *vstream.Status) (float64, bool) {
			if s.State == vstream.Collecting {
				return 1, true
			}
			return 0, true
		}),
	number("lag_seconds", "How long the newest event took from happening until it could be read.", prometheus.GaugeValue,
		func(s *vstream.Status) (float64, bool) { return s.Lag.Seconds(), !s.LastEvent.IsZero() }),
	number("key_headroom", "How many keys are left until they start over.", prometheus.GaugeValue,
		func(s *vstream.Status) (float64, bool) { return float64(s.KeyHeadroom), !s.LastEvent.IsZero() }),
	instant("last_poll", "When events were last asked for with success.", func(s *vstream.Status) time.Time { return s.LastPoll }),
	instant("last_event", "When the newest event happened, by the vCenter's clock.", func(s *vstream.Status) time.Time { return s.LastEvent }),
	total("reconnects", "How often collecting was interrupted.", func(s *vstream.Status) int64 { return s.Reconnects }),
	total("key_restarts", "How often the keys started over.", func(s *vstream.Status) int64 { return s.Restarts }),
	total("late_events", "Events that came after one with a higher key.", func(s *vstream.Status) int64 { return s.Late }),
	total("gaps", "How often events may have been lost, for the vCenter no longer had what was known.", func(s *vstream.Status) int64 { return s.Gaps }),
	total("unknown_events", "Events and parts of events of types that are not understood.", func(s *vstream.Status) int64 { return s.Unknown }),
	number("audit_timestamp_seconds", "When the log was last compared with the vCenter's history.", prometheus.GaugeValue,
		func(s *vstream.Status) (float64, bool) {
			if s.Audit == nil {
				return 0, false
			}
			return float64(s.Audit.At.UnixMilli()) / 1000, true
		}),
	audited("missing_events", "Events that the last audit found missing, and fetched.", func(a *vstream.Audit) int64 { return a.Missing }),
	audited("extra_events", "Events of the log that the vCenter's history does not hold, in the last audit.", func(a *vstream.Audit) int64 { return a.Extra }),
	audited("folded_events", "Events of the log that the vCenter has folded into one, in the last audit.", func(a *vstream.Audit) int64 { return a.Folded }),
}

// Describe implements [prometheus.Collector].
func (v vcenters) Describe(to chan<- *prometheus.Desc) {
	for _, m := range metrics {
		to <- m.desc
	}
}

// Collect implements [prometheus.Collector].
func (v vcenters) Collect(to chan<- prometheus.Metric) {
	for _, status := range v {
		s := status()
		for _, m := range metrics {
			if value, ok := m.value(&s); ok {
				to <- prometheus.MustNewConstMetric(m.desc, m.kind, value, s.Name)
			}
		}
	}
}
