package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	prototype "github.com/embano1/memlog"
	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/vim25/types"

	"vstream"
	"vstream/internal/collector"
	"vstream/internal/memlog"
	"vstream/internal/vcenter"
)

// An ingestOrder says who is to read which history.
type ingestOrder struct {
	Reader     string
	URL        string
	Warm, Most int // events: what is not counted, and what there is
	Spend      time.Duration
}

// An ingested is how it went.
type ingested struct {
	Events  int
	CPU     time.Duration
	Wall    time.Duration
	Mallocs uint64
	RSS     float64
}

// ingestReaders are who reads a vCenter's history, fastest last.
var ingestReaders = []struct{ name, label string }{
	{"prototype", "the prototype's way: govmomi, CloudEvents SDK, embano1/memlog"},
	{"govmomi", "govmomi alone: decoded, and thrown away"},
	{"small", "vstream, with a page in memory"},
	{"vstream", "vstream"},
}

// ingest measures what it costs to bring a vCenter's history from its pages over TLS into
// a log in memory.
func (b *bench) ingest(ctx context.Context) error {
	all := map[string][]ingested{}
	most := (b.warmPages + b.pages) * pageSize
	err := b.within(ctx, "pages", "", pagesOrder{Pages: b.warmPages + b.pages}, func(_ *process, address string) error {
		for range b.repeat {
			for _, r := range ingestReaders { // each has a collector, and so the history from its beginning
				var got ingested
				if err := b.measured(ctx, "ingest", "ingest-"+r.name, ingestOrder{
					Reader: r.name, URL: address, Warm: b.warmPages * pageSize, Most: most, Spend: b.spend,
				}, &got); err != nil {
					return fmt.Errorf("%s: %w", r.name, err)
				}
				all[r.name] = append(all[r.name], got)
				fmt.Fprintf(b.progress, "%s: %d events in %v of CPU time, %v\n", r.name, got.Events, got.CPU.Round(time.Millisecond), got.Wall.Round(time.Millisecond))
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	middle := func(reader string, of func(ingested) float64) float64 {
		var values []float64
		for _, i := range all[reader] {
			values = append(values, of(i))
		}
		return median(values)
	}
	perCPU := func(i ingested) float64 { return float64(i.Events) / i.CPU.Seconds() }
	perSecond := func(i ingested) float64 { return float64(i.Events) / i.Wall.Seconds() }
	allocations := func(i ingested) float64 { return float64(i.Mallocs) / float64(i.Events) }
	plain := middle("govmomi", perCPU)
	table := section{
		title: "Ingest",
		note: fmt.Sprintf("From pages of %d recorded events over TLS to the log in memory, in one process; the vCenter is another. "+
			"At most %s events, or %v of CPU time, after %d pages to warm up; medians of %d runs in turn. "+
			"govmomi alone keeps nothing, vstream and the prototype encode every event and append it.",
			pageSize, count(float64(b.pages*pageSize)), b.spend, b.warmPages, b.repeat),
		grid: [][]string{{"Reader", "events per CPU-second", "to govmomi", "CPU per event", "allocations per event", "events per second", "resident"}},
	}
	for _, r := range ingestReaders {
		v := middle(r.name, perCPU)
		table.grid = append(table.grid, []string{r.label, rate(v), fmt.Sprintf("%.2f×", v/plain), seconds(1 / v),
			fmt.Sprintf("%.1f", middle(r.name, allocations)), rate(middle(r.name, perSecond)), bytesOf(middle(r.name, func(i ingested) float64 { return i.RSS }))})
	}
	b.add(table)
	fast := middle("vstream", perCPU)
	b.reach(goal{what: "ingest, events per CPU-second", value: fast, show: exactRate, bound: 300_000, peer: "the prototype's way", other: middle("prototype", perCPU),
		limit: fmt.Sprintf("a second of CPU is worth what the machine gives in it: the plain govmomi reader beside it read %s, so look at the ratio; where the time goes is in docs/performance.md", exactRate(plain))})
	b.reach(goal{what: "ingest, times a plain govmomi reader", value: fast / plain, show: factor, bound: 12, peer: "govmomi alone", other: 1})
	b.reach(goal{what: "ingest, allocations per event", value: middle("vstream", allocations), show: decimal, atMost: true, bound: 4, peer: "govmomi alone", other: middle("govmomi", allocations)})
	return nil
}

// A meter counts events as they come, and notes what the process used from the end of the
// warming up to the end.
type meter struct {
	ingestOrder
	c        *child
	count    int
	warm     bool
	from     int
	began    time.Time
	before   usage
	endTrial func() error
}

// at takes note that so many events have come. It reports whether that is enough.
func (m *meter) at(count int) (enough bool, err error) {
	m.count = count
	switch {
	case !m.warm && count >= m.Warm:
		if m.endTrial, err = m.c.profile(); err != nil {
			return false, err
		}
		m.warm, m.from, m.began, m.before = true, count, time.Now(), used(false)
	case m.warm:
		return count >= m.Most || cpuTime()-m.before.CPU >= m.Spend, nil
	}
	return count >= m.Most, nil
}

// result says how it went.
func (m *meter) result() error {
	after := used(false)
	if m.count == m.from {
		return fmt.Errorf("%d events came, and all while it warmed up", m.count)
	}
	result := ingested{
		Events: m.count - m.from, CPU: after.CPU - m.before.CPU, Wall: time.Since(m.began),
		Mallocs: after.Mallocs - m.before.Mallocs, RSS: after.RSS,
	}
	if err := m.endTrial(); err != nil {
		return err
	}
	return m.c.say(result)
}

// ingestChild reads a history.
func ingestChild(ctx context.Context, c *child) error {
	m := meter{c: c}
	if err := c.settings(&m.ingestOrder); err != nil {
		return err
	}
	switch m.Reader {
	case "vstream":
		return m.vstream(ctx, 2*pageSize)
	case "small":
		return m.vstream(ctx, pageSize)
	case "govmomi":
		return m.govmomi(ctx, func(types.BaseEvent) error { return nil })
	case "prototype":
		log, err := prototype.New(ctx, prototype.WithMaxSegmentSize(pageSize))
		if err != nil {
			return err
		}
		return m.govmomi(ctx, func(e types.BaseEvent) error { return prototypeAppend(ctx, log, m.URL, e) })
	}
	return fmt.Errorf("there is no reader %q", m.Reader)
}

// vstream reads with what the program reads with, wired as it wires it.
func (m *meter) vstream(ctx context.Context, window int) error {
	address, err := url.Parse(m.URL)
	if err != nil {
		return err
	}
	secrets, err := os.MkdirTemp("", "vstream-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(secrets)
	for name, text := range map[string]string{"username": "bench", "password": "bench"} {
		if err := os.WriteFile(filepath.Join(secrets, name), []byte(text), 0o600); err != nil {
			return err
		}
	}
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	log := memlog.New(window, maxBytes)
	source := &vcenter.Source{
		URL: address, SecretPath: secrets, Insecure: true, Begin: 7 * 24 * time.Hour,
		MaxBytes: maxRecord, Logger: logger,
	}
	collect := &collector.Collector{Name: "vc", URL: m.URL, Source: source, Log: log, Logger: logger}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- collect.Run(ctx) }()
	for count, enough := 0, false; ; {
		reader, err := log.Open(ctx, vstream.Newest(0)) // first, so that nothing is waited for that is there
		if err != nil {
			return err
		}
		if held, ok := log.Range(); ok {
			count = int(held.Latest.Key()) - firstKey + 1
		}
		if enough, err = m.at(count); err != nil {
			return err
		}
		if enough {
			break
		}
		select {
		case err := <-done:
			return fmt.Errorf("the collector ended early: %w", err)
		case <-reader.More():
		}
	}
	if err := m.result(); err != nil {
		return err
	}
	if unknown := source.Seen().Unknown; unknown > 0 {
		return fmt.Errorf("%d events were not understood", unknown)
	}
	cancel()
	return <-done
}

// govmomi reads with the collector that govmomi has, as its examples do.
func (m *meter) govmomi(ctx context.Context, do func(types.BaseEvent) error) error {
	client, err := login(ctx, m.URL)
	if err != nil {
		return err
	}
	collector, err := event.NewManager(client.Client).CreateCollectorForEvents(ctx, everything(client))
	if err != nil {
		return err
	}
	for count, enough := 0, false; !enough; {
		page, err := collector.ReadNextEvents(ctx, pageSize)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			return fmt.Errorf("there are %d events, want %d", count, m.Most)
		}
		for _, e := range page {
			if err := do(e); err != nil {
				return err
			}
		}
		count += len(page)
		if enough, err = m.at(count); err != nil {
			return err
		}
	}
	if err := m.result(); err != nil {
		return err
	}
	if err := collector.Destroy(ctx); err != nil {
		return err
	}
	return client.Logout(ctx)
}

// prototypeAppend does with an event what the prototype did.
func prototypeAppend(ctx context.Context, log *prototype.Log, source string, e types.BaseEvent) error {
	base := e.GetEvent()
	class, name := "event", fmt.Sprintf("%T", e)[len("*types."):]
	switch e := e.(type) {
	case *types.EventEx:
		class, name = "eventex", e.EventTypeId
	case *types.ExtendedEvent:
		class, name = "extendedevent", e.EventTypeId
	}
	out := cloudevents.New()
	out.SetSource(source)
	out.SetID(strconv.Itoa(int(base.Key)))
	out.SetType("vmware.vsphere." + name + ".v0")
	out.SetTime(base.CreatedTime)
	out.SetExtension("eventclass", class)
	if err := out.SetData("application/json", e); err != nil {
		return err
	}
	text, err := json.Marshal(out)
	if err != nil {
		return err
	}
	_, err = log.Write(ctx, text)
	return err
}
