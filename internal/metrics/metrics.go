// Package metrics tells Prometheus how collecting, keeping and reading events goes. Of all but
// requests it keeps nothing: each scrape asks how things are then.
//
// Labels have few values, which none but the operator chooses: names of vCenters, and words
// that stand in the program. docs/metrics.md lists all metrics.
package metrics

import (
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"vstream"
)

// Process is what is told of. What is nil is left out.
type Process struct {
	Version  string
	VCenters []VCenter
	Watches  func() []Watches
	Reloads  func() []Reload
	// CertificateExpires is zero where there is no certificate.
	CertificateExpires func() time.Time
	Requests           *Requests
}

// VCenter is what is asked of one.
type VCenter struct {
	Name string
	// Status is how collecting from it goes, whoever does.
	Status func() vstream.Status
	// Collector is how it goes in this process, which counts, also while another collects.
	Collector func() vstream.Status
	Log       Log
	// Writable reports whether the log can be written, if that is known, as it is to who
	// collects; nil is always.
	Writable func() (yes, known bool)
	// Leased reports whether this process is the one to collect; nil where there are no others.
	Leased func() bool
}

// Log is what is asked of a log.
type Log interface {
	Range() (vstream.Range, bool)
	Usage() vstream.Usage
}

// Watches is what is told of the watches in one form.
type Watches struct {
	Form          string
	Open          int64
	Opened        int64            // ever
	Closed        map[string]int64 // ever, by reason
	Events, Bytes int64            // sent, ever
	Behind        int64            // have had something to send for longer than a second
	Lag           time.Duration    // of the one that is furthest behind
}

// Reload is how reading files again went, that belong together.
type Reload struct {
	Files         string // what they hold
	Taken, Failed int64
	Stale         bool // what is in force is not what the files hold
}

// Handler serves the metrics of p.
func Handler(p Process) http.Handler {
	return promhttp.HandlerFor(registry(p), promhttp.HandlerOpts{})
}

func registry(p Process) *prometheus.Registry {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), process(p))
	if p.Requests != nil {
		r.MustRegister(p.Requests.took)
	}
	return r
}

// process collects what is asked for at each scrape.
type process Process

// A metric is numbers that are asked for at each scrape.
type metric struct {
	desc   *prometheus.Desc
	kind   prometheus.ValueType
	name   string
	help   string
	labels []string
	tell   func(*process, emit)
}

// emit takes a number, and the values of the labels.
type emit func(value float64, labels ...string)

func newMetric(name, help string, tell func(*process, emit), labels ...string) metric {
	kind := prometheus.GaugeValue
	if strings.HasSuffix(name, "_total") {
		kind = prometheus.CounterValue
	}
	name = "vstream_" + name
	return metric{prometheus.NewDesc(name, help, labels, nil), kind, name, help, labels, tell}
}

// Describe implements [prometheus.Collector].
func (p process) Describe(to chan<- *prometheus.Desc) {
	for _, m := range metrics {
		to <- m.desc
	}
}

// Collect implements [prometheus.Collector].
func (p process) Collect(to chan<- prometheus.Metric) {
	p = p.once()
	for _, m := range metrics {
		m.tell(&p, func(value float64, labels ...string) {
			to <- prometheus.MustNewConstMetric(m.desc, m.kind, value, labels...)
		})
	}
}

// once returns p as it is at the first question, so that one scrape tells of one state, and
// asks for it once.
func (p process) once() process {
	if p.Watches != nil {
		p.Watches = sync.OnceValue(p.Watches)
	}
	p.VCenters = slices.Clone(p.VCenters)
	for i := range p.VCenters {
		v := &p.VCenters[i]
		v.Status, v.Collector = sync.OnceValue(v.Status), sync.OnceValue(v.Collector)
	}
	return p
}

func one(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// instant emits a time, if there is one.
func instant(t time.Time, emit emit, labels ...string) {
	if !t.IsZero() {
		emit(float64(t.UnixMilli())/1000, labels...)
	}
}

// status is a number of how collecting goes. What is not known yet is left out: a zero
// would be an alarm.
func status(name, help string, value func(*vstream.Status) (v float64, ok bool)) metric {
	return newMetric("vcenter_"+name, help, func(p *process, emit emit) {
		for _, v := range p.VCenters {
			s := v.Status()
			if value, ok := value(&s); ok {
				emit(value, v.Name)
			}
		}
	}, "vcenter")
}

func statusTime(name, help string, value func(*vstream.Status) time.Time) metric {
	return newMetric("vcenter_"+name+"_timestamp_seconds", help, func(p *process, emit emit) {
		for _, v := range p.VCenters {
			s := v.Status()
			instant(value(&s), emit, v.Name)
		}
	}, "vcenter")
}

func audited(name, help string, value func(*vstream.Audit) int64) metric {
	return status("audit_"+name, help, func(s *vstream.Status) (float64, bool) {
		if s.Audit == nil {
			return 0, false
		}
		return float64(value(s.Audit)), true
	})
}

// counted is what this process has counted of collecting. It is there from the start on, so
// that the first of something shows as an increase.
func counted(name, help string, tell func(s *vstream.Status, emit emit), labels ...string) metric {
	return newMetric("vcenter_"+name+"_total", help, func(p *process, emit emit) {
		for _, v := range p.VCenters {
			s := v.Collector()
			tell(&s, func(value float64, labels ...string) { emit(value, append([]string{v.Name}, labels...)...) })
		}
	}, append([]string{"vcenter"}, labels...)...)
}

func total(name, help string, value func(*vstream.Status) int64) metric {
	return counted(name, help, func(s *vstream.Status, emit emit) { emit(float64(value(s))) })
}

func logNumber(name, help string, value func(vstream.Usage) float64) metric {
	return newMetric("log_"+name, help, func(p *process, emit emit) {
		for _, v := range p.VCenters {
			emit(value(v.Log.Usage()), v.Name)
		}
	}, "vcenter")
}

// logLimit is a limit that a log may not have.
func logLimit(name, help string, value func(vstream.Usage) float64) metric {
	return newMetric("log_"+name, help, func(p *process, emit emit) {
		for _, v := range p.VCenters {
			if most := value(v.Log.Usage()); most > 0 {
				emit(most, v.Name)
			}
		}
	}, "vcenter")
}

func logOffset(name, help string, value func(vstream.Range) float64) metric {
	return newMetric(name, help, func(p *process, emit emit) {
		for _, v := range p.VCenters {
			if held, some := v.Log.Range(); some {
				emit(value(held), v.Name)
			}
		}
	}, "vcenter")
}

func watched(name, help string, value func(Watches) float64) metric {
	return newMetric(name, help, func(p *process, emit emit) {
		if p.Watches == nil {
			return
		}
		for _, w := range p.Watches() {
			emit(value(w), w.Form)
		}
	}, "form")
}

func reloaded(name, help string, tell func(Reload, emit), labels ...string) metric {
	return newMetric(name, help, func(p *process, emit emit) {
		if p.Reloads == nil {
			return
		}
		for _, r := range p.Reloads() {
			tell(r, func(value float64, labels ...string) { emit(value, append([]string{r.Files}, labels...)...) })
		}
	}, append([]string{"files"}, labels...)...)
}

var states = []vstream.State{vstream.Connecting, vstream.Collecting, vstream.Silent, vstream.Failing, vstream.Refused, vstream.Standby}

var metrics = []metric{
	newMetric("build_info", "Always 1. What runs here.", func(p *process, emit emit) { emit(1, p.Version, runtime.Version()) }, "version", "goversion"),

	status("up", "Whether events are being collected: 1, or 0 while the vCenter is away, refuses, or is silent, and where another replica collects.",
		func(s *vstream.Status) (float64, bool) { return one(s.State == vstream.Collecting), true }),
	newMetric("vcenter_state", "How collecting goes: 1 for the state it is in, 0 for the others.", func(p *process, emit emit) {
		for _, v := range p.VCenters {
			now := v.Status().State
			for _, state := range states {
				emit(one(state == now), v.Name, string(state))
			}
		}
	}, "vcenter", "state"),
	newMetric("vcenter_lease", "Whether this replica is the one to collect. Only where replicas share a cluster.", func(p *process, emit emit) {
		for _, v := range p.VCenters {
			if v.Leased != nil {
				emit(one(v.Leased()), v.Name)
			}
		}
	}, "vcenter"),
	statusTime("last_poll", "When events were last asked for with success, whether or not there were any.", func(s *vstream.Status) time.Time { return s.LastPoll }),
	statusTime("last_event", "When the newest event happened, by the vCenter's clock.", func(s *vstream.Status) time.Time { return s.LastEvent }),
	status("lag_seconds", "How long the newest event took from happening until it could be read.",
		func(s *vstream.Status) (float64, bool) { return s.Lag.Seconds(), !s.LastEvent.IsZero() }),
	logOffset("vcenter_last_key", "The vCenter's own number of the newest event.", func(r vstream.Range) float64 { return float64(uint32(r.Latest.Key())) }),
	status("key_headroom", "How many keys are left until they start over.",
		func(s *vstream.Status) (float64, bool) { return float64(s.KeyHeadroom), !s.LastEvent.IsZero() }),
	counted("events", "Events that the log has taken.", func(s *vstream.Status, emit emit) {
		emit(float64(s.Collected.Info), "info")
		emit(float64(s.Collected.Warning), "warning")
		emit(float64(s.Collected.Error), "error")
		emit(float64(s.Collected.User), "user")
		emit(float64(s.Collected.Other), "other")
	}, "severity"),
	total("late_events", "Events that came after one with a higher key.", func(s *vstream.Status) int64 { return s.Late }),
	total("unknown_events", "Events and parts of events of types that are not understood. The events are kept.", func(s *vstream.Status) int64 { return s.Unknown }),
	total("reconnects", "How often collecting was interrupted.", func(s *vstream.Status) int64 { return s.Reconnects }),
	counted("logins", "Logins at the vCenter, and how they went.", func(s *vstream.Status, emit emit) {
		emit(float64(s.Logins), "success")
		emit(float64(s.Denied), "failure")
	}, "result"),
	total("credential_changes", "How often changed credentials were taken up.", func(s *vstream.Status) int64 { return s.Rotated }),
	total("key_restarts", "How often the keys started over.", func(s *vstream.Status) int64 { return s.Restarts }),
	counted("gaps", "How often events may have been lost: the vCenter had forgotten the newest event in the log, or another vCenter answered.", func(s *vstream.Status, emit emit) {
		emit(float64(s.Gaps-s.Replaced), "forgotten")
		emit(float64(s.Replaced), "replaced")
	}, "reason"),
	newMetric("vcenter_last_gap_timestamp_seconds", "When events may have been lost last, as this process has seen it.", func(p *process, emit emit) {
		for _, v := range p.VCenters {
			s := v.Collector()
			instant(s.GapAt, emit, v.Name, "forgotten")
			instant(s.ReplacedAt, emit, v.Name, "replaced")
		}
	}, "vcenter", "reason"),
	statusTime("audit", "When the log was last compared with the vCenter's history.", func(s *vstream.Status) (at time.Time) {
		if s.Audit != nil {
			at = s.Audit.At
		}
		return at
	}),
	audited("missing_events", "Events that the last audit found missing, and fetched.", func(a *vstream.Audit) int64 { return a.Missing }),
	audited("extra_events", "Events of the log that the vCenter's history does not hold, in the last audit.", func(a *vstream.Audit) int64 { return a.Extra }),
	audited("folded_events", "Events of the log that the vCenter has folded into one, in the last audit.", func(a *vstream.Audit) int64 { return a.Folded }),

	newMetric("log_writable", "Whether the store takes events: 1, or 0 while it refuses them or cannot be reached. Left out where another replica collects.", func(p *process, emit emit) {
		for _, v := range p.VCenters {
			yes, known := true, true
			if v.Writable != nil {
				yes, known = v.Writable()
			}
			if known {
				emit(one(yes), v.Name)
			}
		}
	}, "vcenter"),
	logNumber("events", "Events that the log holds.", func(u vstream.Usage) float64 { return float64(u.Events) }),
	logLimit("max_events", "Events that the log may hold. Left out where that is not limited.", func(u vstream.Usage) float64 { return float64(u.MaxEvents) }),
	logNumber("bytes", "What the events take, in memory or in the store.", func(u vstream.Usage) float64 { return float64(u.Bytes) }),
	logLimit("max_bytes", "What the events may take. Left out where that is not limited.", func(u vstream.Usage) float64 { return float64(u.MaxBytes) }),
	logLimit("retention_seconds", "How long an event is kept, as LOG_RETENTION says. Left out where that is not limited.", func(u vstream.Usage) float64 { return u.MaxAge.Seconds() }),
	logOffset("log_first_offset", "The oldest offset that can be read.", func(r vstream.Range) float64 { return float64(r.Earliest) }),
	logOffset("log_last_offset", "The newest offset.", func(r vstream.Range) float64 { return float64(r.Latest) }),
	newMetric("log_oldest_event_timestamp_seconds", "When the oldest event in the log happened, by the vCenter's clock.", func(p *process, emit emit) {
		for _, v := range p.VCenters {
			instant(v.Log.Usage().Oldest, emit, v.Name)
		}
	}, "vcenter"),

	watched("watches", "Watches that are open.", func(w Watches) float64 { return float64(w.Open) }),
	watched("watches_opened_total", "Watches that have begun.", func(w Watches) float64 { return float64(w.Opened) }),
	newMetric("watches_closed_total", "Watches that have ended, and why: client (it went), age, limit (all was sent that was asked for), stopping, revoked (the token or certificate is not valid any more), expired (retention overtook it), slow (the client took nothing), error.",
		func(p *process, emit emit) {
			if p.Watches == nil {
				return
			}
			for _, w := range p.Watches() {
				for reason, n := range w.Closed {
					emit(float64(n), w.Form, reason)
				}
			}
		}, "form", "reason"),
	watched("watches_behind", "Watches that have had something to send for longer than a second: those that read history, and those whose clients are slow.",
		func(w Watches) float64 { return float64(w.Behind) }),
	watched("watches_lag_max_seconds", "For how long the watch that is furthest behind has had something to send.", func(w Watches) float64 { return w.Lag.Seconds() }),
	watched("watches_sent_events_total", "Events that watches have sent.", func(w Watches) float64 { return float64(w.Events) }),
	watched("watches_sent_bytes_total", "Bytes that watches have sent, before TLS and chunks.", func(w Watches) float64 { return float64(w.Bytes) }),

	reloaded("files_reloads_total", "How often changed files were read again: those of TLS, and of tokens; and the keys of the issuer of tokens were fetched (oidc). A failure is counted once until something changes.", func(r Reload, emit emit) {
		emit(float64(r.Taken), "success")
		emit(float64(r.Failed), "failure")
	}, "result"),
	reloaded("files_stale", "Whether files cannot be used, or keys be fetched, so that what there was before stays in force: 1, or else 0.", func(r Reload, emit emit) { emit(one(r.Stale)) }),
	newMetric("tls_certificate_expiry_timestamp_seconds", "When the server's certificate expires. Only with TLS_CERT_FILE.", func(p *process, emit emit) {
		if p.CertificateExpires != nil {
			instant(p.CertificateExpires(), emit)
		}
	}),
}
