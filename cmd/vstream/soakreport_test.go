package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// sampleEvery is how often the soak looks at what serve takes.
const sampleEvery = time.Second

// A use is what serve takes at one time.
type use struct {
	at         time.Duration // since the soak began
	resident   float64       // bytes
	goal       float64       // bytes; the heap at which the next collection of garbage starts: follows what is alive
	goroutines float64
	files      float64
}

// sample notes what serve takes now.
func (s *soak) sample() {
	if time.Since(s.sampled) < sampleEvery {
		return
	}
	s.sampled = time.Now()
	ctx, cancel := context.WithTimeout(s.t.Context(), sampleEvery)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.server+"/metrics", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return // it starts
	}
	defer res.Body.Close()
	taken := use{at: time.Since(s.began)}
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), " ")
		into := map[string]*float64{
			"process_resident_memory_bytes": &taken.resident,
			"go_memstats_next_gc_bytes":     &taken.goal,
			"go_goroutines":                 &taken.goroutines,
			"process_open_fds":              &taken.files,
		}[name]
		if into == nil {
			continue
		}
		if *into, err = strconv.ParseFloat(value, 64); err != nil {
			s.t.Fatal(err)
		}
	}
	if taken.goal > 0 {
		s.taken = append(s.taken, taken)
	}
}

// rest lets nothing happen for a sixth of the time, and returns what serve takes then: of memory
// the least, which is what is alive while nothing is under way, as an audit or a watch that
// begins. Garbage is collected every two minutes where little happens.
func (s *soak) rest() use {
	s.calm()
	n := len(s.taken)
	for began := time.Now(); time.Since(began) < *soakFor/6; time.Sleep(sampleEvery / 4) {
		s.sample()
	}
	usual, least := middle(s.taken[n:]), least(s.taken[n:])
	usual.resident, usual.goal = least.resident, least.goal
	return usual
}

// compare reports what serve took before and after, and complains where that has grown.
func (s *soak) compare(when string, before, after use) {
	if before.goal == 0 || after.goal == 0 { // a short soak
		return
	}
	for _, c := range []struct {
		what   string
		of     func(use) float64
		format string
		only   string // when it is to stay the same; empty: always
	}{
		{"Resident memory", func(u use) float64 { return u.resident / (1 << 20) }, "%.0f MiB", ""},
		// Under load the heap goes up and down with what the vCenter does.
		{"Goal of the heap", func(u use) float64 { return u.goal / (1 << 20) }, "%.0f MiB", "at rest"},
		{"Goroutines", func(u use) float64 { return u.goroutines }, "%.0f", ""},
		{"Open files", func(u use) float64 { return u.files }, "%.0f", ""},
	} {
		then, now := c.of(before), c.of(after)
		line := fmt.Sprintf("| %s %s | "+c.format+" | "+c.format+" |\n", c.what, when, then, now)
		s.memory.WriteString(line)
		// A quarter is what a shared machine and the collector of garbage may make of the same.
		if *soakFor >= 10*time.Minute && now > then+then/4 && (c.only == "" || c.only == when) {
			s.t.Errorf("it has grown: %s", line)
		}
	}
}

// middle returns the median of each thing.
func middle(taken []use) use {
	return of(taken, func(sorted []float64) float64 { return sorted[len(sorted)/2] })
}

// least returns the least of each thing.
func least(taken []use) use { return of(taken, func(sorted []float64) float64 { return sorted[0] }) }

// of is what choose takes of each thing; nothing where there is none.
func of(taken []use, choose func(sorted []float64) float64) use {
	if len(taken) == 0 {
		return use{}
	}
	chosen := func(thing func(use) float64) float64 {
		values := make([]float64, len(taken))
		for i, u := range taken {
			values[i] = thing(u)
		}
		slices.Sort(values)
		return choose(values)
	}
	return use{
		at:         taken[0].at,
		resident:   chosen(func(u use) float64 { return u.resident }),
		goal:       chosen(func(u use) float64 { return u.goal }),
		goroutines: chosen(func(u use) float64 { return u.goroutines }),
		files:      chosen(func(u use) float64 { return u.files }),
	}
}

// report writes what was seen.
func (s *soak) report(seed uint64, watchers []*soakWatcher) {
	reconnects, deliveries := 0, 0
	for _, w := range watchers {
		reconnects += w.reconnects
		deliveries += max(w.told(!w.some).events, 0)
	}
	var b strings.Builder
	line := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "| %s | %s |\n", name, fmt.Sprintf(format, args...))
	}
	b.WriteString("# A soak\n\nWritten by `make soak`: serve with its log in a directory, watchers with the Go client, a vCenter that fails in every way\n" +
		"it is known to, and a server that is killed and stopped in the first third of the time.\n\n| | |\n|---|---|\n")
	line("Took", "%v", time.Since(s.began).Round(time.Second))
	line("Events", "%s, %d a second", humanize.Comma(int64(s.posted+1)), soakRate)
	line("Watchers", "%d, every fifth with a filter", len(watchers))
	line("Deliveries", "%s", humanize.Comma(int64(deliveries)))
	line("Server killed, stopped", "%d, %d times", s.kills, s.stops)
	line("Watches taken up again", "%s", humanize.Comma(int64(reconnects)))
	line("Faults of the vCenter", "%d calls failed", s.vc.Struck())
	var names []string
	for name := range s.faults {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		line(name, "%d", s.faults[name])
	}
	verdict := "nothing lost, nothing doubled, nobody told of a gap"
	if s.t.Failed() {
		verdict = "FAILED"
	}
	line("Result", "%s", verdict)
	line("Seed", "%d", seed)
	b.WriteString("\n## Does it grow?\n\nAt rest nothing happens, after the first half and after the second one: the least of some minutes. Under load are the\n" +
		"medians of the two quarters between.\n" +
		"The goal is the size of the heap at which the next collection of garbage starts.\n\n| | before | after |\n|---|---|---|\n" + s.memory.String())
	b.WriteString(s.minutes())
	s.t.Log("\n" + b.String())
	if *soakReport != "" {
		if err := os.WriteFile(*soakReport, []byte(b.String()), 0o644); err != nil {
			s.t.Error(err)
		}
	}
}

// minutes is what the server took in each minute: the median of each thing.
func (s *soak) minutes() string {
	var b strings.Builder
	b.WriteString("\n## Minute by minute\n\n" +
		"| Minute | Resident memory | Goal of the heap | Goroutines | Open files |\n|---|---|---|---|---|\n")
	for rest := s.taken; len(rest) > 0; {
		minute := rest[0].at / time.Minute
		n := slices.IndexFunc(rest, func(u use) bool { return u.at/time.Minute != minute })
		if n < 0 {
			n = len(rest)
		}
		m := middle(rest[:n])
		fmt.Fprintf(&b, "| %d | %s | %s | %.0f | %.0f |\n", minute+1, mebibytes(m.resident), mebibytes(m.goal), m.goroutines, m.files)
		rest = rest[n:]
	}
	return b.String()
}

func mebibytes(n float64) string { return fmt.Sprintf("%.0f MiB", n/(1<<20)) }
