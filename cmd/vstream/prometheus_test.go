package main

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	prom "github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/model/textparse"
	staleness "github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

const alertsFile = "../../deploy/prometheus/alerts.yaml"

// scrapeEvery is how often a prometheus scrapes, and looks at its rules.
const scrapeEvery = 15 * time.Second

// A prometheus keeps what it scraped and looks at the alerts in alertsFile, with the parser
// and the engine of the real one, at times that the test says.
type prometheus struct {
	t      *testing.T
	engine *promql.Engine
	rules  []rulefmt.Rule
	series map[string]*series   // by labels
	named  map[string][]*series // by name
	now    time.Time
	active map[string]map[string]time.Time // since when, by alert and labels
	fired  map[string][]prom.Labels        // with which labels each alert has fired
}

type series struct {
	labels  prom.Labels
	samples []chunks.Sample
	there   bool // in the last scrape
}

func newPrometheus(t *testing.T, now time.Time) *prometheus {
	t.Helper()
	language := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.ParseFile(alertsFile, false, model.UTF8Validation, language, slog.New(slog.DiscardHandler))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	p := &prometheus{
		t: t, now: now, series: map[string]*series{}, named: map[string][]*series{}, active: map[string]map[string]time.Time{}, fired: map[string][]prom.Labels{},
		engine: promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute, Parser: language}),
	}
	t.Cleanup(func() { p.engine.Close() })
	for _, g := range groups.Groups {
		p.rules = append(p.rules, g.Rules...)
	}
	return p
}

// A sample is one of a millisecond.
type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// take takes a scrape of an instance. What tells a time in it counts from real, when it was
// made; it is as if it had been made now.
func (p *prometheus) take(instance, text string, real time.Time) {
	p.t.Helper()
	shift := p.now.Sub(real).Seconds()
	lines, err := textparse.New([]byte(text), "text/plain", prom.NewSymbolTable(), textparse.ParserOptions{})
	if err != nil {
		p.t.Fatal(err)
	}
	for {
		entry, err := lines.Next()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			p.t.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var of prom.Labels
		lines.Labels(&of)
		name := of.Get(model.MetricNameLabel)
		if !strings.HasPrefix(name, "vstream_") {
			continue
		}
		_, _, v := lines.Series()
		if strings.HasSuffix(name, "_timestamp_seconds") {
			v += shift
		}
		of = prom.NewBuilder(of).Set("job", "vstream").Set("instance", instance).Labels()
		key := of.String()
		if p.series[key] == nil {
			p.series[key] = &series{labels: of}
			p.named[name] = append(p.named[name], p.series[key])
		}
		s := p.series[key]
		s.samples, s.there = append(s.samples, sample{p.now.UnixMilli(), v}), true
	}
}

// look ends a round of scrapes: it looks at all alerts, and lets time go by until the next.
func (p *prometheus) look() {
	p.t.Helper()
	for _, s := range p.series {
		if n := len(s.samples); !s.there && !staleness.IsStaleNaN(s.samples[n-1].F()) {
			s.samples = append(s.samples, sample{p.now.UnixMilli(), math.Float64frombits(staleness.StaleNaN)})
		}
		s.there = false
	}
	for _, r := range p.rules {
		q, err := p.engine.NewInstantQuery(p.t.Context(), p, nil, r.Expr, p.now)
		if err != nil {
			p.t.Fatalf("%s: %v", r.Alert, err)
		}
		result := q.Exec(p.t.Context())
		vector, err := result.Vector()
		if err != nil {
			p.t.Fatalf("%s: %v", r.Alert, err)
		}
		before := p.active[r.Alert]
		p.active[r.Alert] = map[string]time.Time{}
		for _, s := range vector {
			key := s.Metric.String()
			since, was := before[key]
			if !was {
				since = p.now
			}
			p.active[r.Alert][key] = since
			if p.now.Sub(since) >= time.Duration(r.For) && !slices.ContainsFunc(p.fired[r.Alert], func(l prom.Labels) bool { return prom.Equal(l, s.Metric) }) {
				p.fired[r.Alert] = append(p.fired[r.Alert], s.Metric.Copy())
			}
		}
		q.Close()
	}
	p.now = p.now.Add(scrapeEvery)
}

// alerts are the names of those that have fired.
func (p *prometheus) alerts() []string { return slices.Sorted(maps.Keys(p.fired)) }

// lacking returns the labels that annotations of alerts that have fired name, and that those have
// not.
func (p *prometheus) lacking() (names []string) {
	for _, r := range p.rules {
		for _, text := range r.Annotations {
			for _, m := range regexp.MustCompile(`\$labels\.(\w+)`).FindAllStringSubmatch(text, -1) {
				if slices.ContainsFunc(p.fired[r.Alert], func(l prom.Labels) bool { return l.Get(m[1]) == "" }) {
					names = append(names, m[1])
				}
			}
		}
	}
	return names
}

// Querier implements [storage.Queryable].
func (p *prometheus) Querier(from, to int64) (storage.Querier, error) {
	return querier{p, from, to}, nil
}

type querier struct {
	p        *prometheus
	from, to int64
}

func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*prom.Matcher) storage.SeriesSet {
	found := &found{}
	of := slices.IndexFunc(matchers, func(m *prom.Matcher) bool { return m.Name == model.MetricNameLabel })
	for _, s := range q.p.named[matchers[of].Value] {
		if slices.ContainsFunc(matchers, func(m *prom.Matcher) bool { return !m.Matches(s.labels.Get(m.Name)) }) {
			continue
		}
		begin, _ := slices.BinarySearchFunc(s.samples, q.from, func(s chunks.Sample, t int64) int { return int(s.T() - t) })
		end, _ := slices.BinarySearchFunc(s.samples, q.to+1, func(s chunks.Sample, t int64) int { return int(s.T() - t) })
		if begin < end {
			found.series = append(found.series, storage.NewListSeries(s.labels, s.samples[begin:end]))
		}
	}
	return found
}

func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*prom.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errors.New("not asked for by rules")
}

func (querier) LabelNames(context.Context, *storage.LabelHints, ...*prom.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, errors.New("not asked for by rules")
}

func (querier) Close() error { return nil }

// found is a SeriesSet; at counts from 1.
type found struct {
	series []storage.Series
	at     int
}

func (f *found) Next() bool                        { f.at++; return f.at <= len(f.series) }
func (f *found) At() storage.Series                { return f.series[f.at-1] }
func (f *found) Err() error                        { return nil }
func (f *found) Warnings() annotations.Annotations { return nil }
