// Command bench measures what the program claims, beside its peers, and records it.
//
//	go run ./bench            everything: ten minutes; writes bench/RESULTS.md
//	go run ./bench fanout     one part: ingest, fanout, latency, replay, log or size
//	go run ./bench --quick    everything in little, to see that it works
//	go run ./bench --cpuprofile DIR --profiles docs/performance.md
//	                          where the time goes, as tables in that file
//
// What is measured, its server and its clients are processes of their own, so that CPU time
// and memory are those of one side. Figures go to standard output, progress to standard error.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if text := os.Getenv(childVariable); text != "" {
		os.Exit(runChild(text))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// A part is what can be measured by itself.
type part struct {
	name    string
	measure func(*bench, context.Context) error
}

var parts = []part{
	{"ingest", (*bench).ingest},
	{"fanout", (*bench).fanout},
	{"latency", (*bench).latency},
	{"replay", (*bench).replay},
	{"log", (*bench).logs},
	{"size", (*bench).retained},
}

// results is where the figures of a whole run go, unless that is said.
const results = "bench/RESULTS.md"

const usageText = "usage: go run ./bench [ingest|fanout|latency|replay|log|size] [flags]; go run ./bench -help lists them"

// bench is a run of the program: what it was told, and what it has measured.
type bench struct {
	scale
	logNames                  []string
	dir                       string
	cpuProfiles, heapProfiles string
	progress                  io.Writer

	facts    []fact
	goals    []goal
	sections []section
	calm     []time.Duration // how long the calibration took, again and again
}

// A scale is how much is measured.
type scale struct {
	repeat     int           // how often, for medians
	spend      time.Duration // longest measurement of one stretch where there is no end to it
	warmPages  int           // pages of the ingest that are not counted
	pages      int           // pages that are counted at most
	loads      []load        // of watchers
	idle       time.Duration
	posts      int           // events for the latency
	pause      time.Duration // between them, on average
	replayed   int           // events
	sizes      []int         // of logs
	retained   []int         // events in the log, for the cost by size
	appended   int           // events per measurement of that cost
	logRepeat  int
	logSpend   time.Duration
	seriesSize int // seeks per measurement
}

var whole = scale{
	repeat: 3, spend: 4 * time.Second, warmPages: 10, pages: 300,
	loads: []load{{100, 100, 8 * time.Second}, {1000, 100, 8 * time.Second}, {10_000, 10, 10 * time.Second}},
	idle:  20 * time.Second, posts: 300, pause: 70 * time.Millisecond, replayed: 1_000_000,
	sizes: []int{100_000}, logRepeat: 3, logSpend: 500 * time.Millisecond,
	retained: []int{1000, 10_000, 100_000, 1_000_000}, appended: 200_000, seriesSize: 100_000,
}

var quick = scale{
	repeat: 1, spend: time.Second, warmPages: 1, pages: 3,
	loads: []load{{3, 50, 200 * time.Millisecond}, {20, 50, 200 * time.Millisecond}},
	idle:  200 * time.Millisecond, posts: 5, pause: 20 * time.Millisecond, replayed: 3000,
	sizes: []int{2000}, logRepeat: 1, logSpend: 10 * time.Millisecond,
	retained: []int{1000, 10_000}, appended: 2000, seriesSize: 1000,
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	b := bench{progress: progress, scale: whole}
	chosen, output := parts, results
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		i := slices.IndexFunc(parts, func(p part) bool { return p.name == args[0] })
		if i < 0 {
			return errors.New(usageText)
		}
		chosen, args, output = parts[i:i+1], args[1:], ""
	}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(progress)
	little := flags.Bool("quick", false, "everything in little: to see that it works, not what it gives")
	repeat := flags.Int("repeat", 0, "how often to measure, for medians; 0 is three times")
	spend := flags.Duration("spend", 0, "of the log: longest series of seeks, and of batches of each size; gets have five times as long, ten readers ten times")
	sizes := flags.String("events", "", "of the log: how many events the logs have, with commas between")
	logs := flags.String("logs", "memory,embedded,cluster", "of the log: which logs to measure")
	profiles := flags.String("profiles", "", "file with places for the tables of profiles to be written to; wants --cpuprofile")
	note := flags.String("note", "", "what else the reader of the figures should know")
	flags.StringVar(&output, "output", output, "file to write the figures to, as Markdown; none if empty. With profiles none is written: they cost time")
	flags.StringVar(&b.dir, "dir", "", "directory to make files in, and remove them from; the system's for temporary files if empty")
	flags.StringVar(&b.cpuProfiles, "cpuprofile", "", "directory for CPU profiles, one for each process that is measured; their tops are printed")
	flags.StringVar(&b.heapProfiles, "heapprofile", "", "directory for heap profiles, likewise")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return errors.New(usageText)
	}
	if *little {
		b.scale = quick
	}
	if *repeat > 0 {
		b.repeat, b.logRepeat = *repeat, *repeat
	}
	if *spend > 0 {
		b.logSpend = *spend
	}
	if *profiles != "" && b.cpuProfiles == "" {
		return errors.New("--profiles: there are none without --cpuprofile; give it a directory")
	}
	for _, path := range []string{filepath.Dir(output), cmp.Or(*profiles, ".")} { // before all is measured for nothing
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("%w; run this where the module begins, or name another file", err)
		}
	}
	if *sizes != "" {
		b.sizes = nil
		for text := range strings.SplitSeq(*sizes, ",") {
			n, err := strconv.Atoi(text)
			if err != nil || n < 100 {
				return fmt.Errorf("--events: %q is not a number of events from 100 on", text)
			}
			b.sizes = append(b.sizes, n)
		}
	}
	for name := range strings.SplitSeq(*logs, ",") {
		if tables[name].rows == nil {
			return fmt.Errorf("--logs: there is no log %q; there are memory, embedded and cluster", name)
		}
		b.logNames = append(b.logNames, name)
	}
	for _, dir := range []string{b.cpuProfiles, b.heapProfiles} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return err
		}
	}
	if err := b.measureAll(ctx, chosen); err != nil {
		return err
	}
	if *little {
		b.facts = append(b.facts, fact{"Quick", "everything in little, so that the figures mean nothing"})
	}
	if *note != "" {
		b.facts = append(b.facts, fact{"Note", *note})
	}
	if _, err := io.WriteString(out, b.text()); err != nil {
		return err
	}
	if b.cpuProfiles != "" {
		return b.showProfiles(ctx, out, *profiles)
	}
	if output == "" {
		return nil
	}
	return os.WriteFile(output, []byte(b.markdown()), 0o644) //nolint:gosec // it is to be read
}

// measureAll measures one part after the other.
func (b *bench) measureAll(ctx context.Context, chosen []part) error {
	b.facts = machine(ctx, b.dir)
	before, began := loadAverage(), time.Now()
	b.rest()
	for _, p := range chosen {
		fmt.Fprintf(b.progress, "%s\n", p.name)
		start := time.Now()
		if err := p.measure(b, ctx); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		fmt.Fprintf(b.progress, "%s took %v\n", p.name, time.Since(start).Round(time.Second))
		b.rest()
	}
	middle, apart := spread(b.calm)
	b.facts = append(b.facts,
		fact{"Took", time.Since(began).Round(time.Second).String()},
		fact{"Load before, after", before + ", " + loadAverage()},
		fact{"Noise", fmt.Sprintf("the same work, %d times between the parts, took %s; from the tenth to the ninetieth percentile it varied by %.0f %%",
			len(b.calm), seconds(middle.Seconds()), 100*apart)})
	return nil
}

// rest does what shows how noisy the machine is just now.
func (b *bench) rest() { b.calm = append(b.calm, calibrate(20)...) }
