// Command bench measures what the design claims, and records it.
//
//	go run ./bench log                         logs in memory, embedded, in a cluster
//	go run ./bench log --events 10000          quickly
//	go run ./bench log --record results/log.md with the figures as Markdown
//
// Every phase runs in a process of its own, so that memory and a cold start are those of
// what it measures. Figures go to standard output, progress to standard error.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	if text := os.Getenv(childVariable); text != "" {
		os.Exit(child(text))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

const usage = "usage: go run ./bench log [flags]; go run ./bench log -help lists them"

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	if len(args) == 0 || args[0] != "log" {
		return errors.New(usage)
	}
	b := bench{progress: progress}
	flags := flag.NewFlagSet("log", flag.ContinueOnError)
	flags.SetOutput(progress)
	events := flags.String("events", "10000,100000,1000000", "how many events the logs have, with commas between")
	logs := flags.String("logs", "memory,embedded,cluster", "which logs to measure")
	record := flags.String("record", "", "file to write the figures to, as Markdown")
	note := flags.String("note", "", "what else the reader of the figures should know")
	flags.StringVar(&b.dir, "dir", "", "directory to make the stores in, and remove them from; the system's for temporary files if empty")
	flags.IntVar(&b.repeat, "repeat", 0, "how often to measure, for medians; 0 is three times, once from half a million events on")
	flags.DurationVar(&b.spend, "spend", time.Second, "longest series of seeks, and of batches of each size; gets have five times as long, ten readers ten times")
	flags.StringVar(&b.cpuProfiles, "cpuprofile", "", "directory for CPU profiles, one for each phase")
	flags.StringVar(&b.heapProfiles, "heapprofile", "", "directory for heap profiles, likewise")
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return errors.New(usage)
	}
	for text := range strings.SplitSeq(*events, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 100 {
			return fmt.Errorf("--events: %q is not a number of events from 100 on", text)
		}
		b.sizes = append(b.sizes, n)
	}
	for name := range strings.SplitSeq(*logs, ",") {
		if tables[name].rows == nil {
			return fmt.Errorf("--logs: there is no log %q; there are memory, embedded and cluster", name)
		}
		b.logs = append(b.logs, name)
	}
	before := machine(b.dir)
	began := time.Now()
	if err := b.measure(ctx); err != nil {
		return err
	}
	b.facts = append(before,
		fact{"Events", fmt.Sprintf("%.0f bytes of JSON on average", b.meanSize())},
		fact{"Longest series of seeks, of batches", b.spend.String()},
		fact{"Took", time.Since(began).Round(time.Second).String()})
	if *note != "" {
		b.facts = append(b.facts, fact{"Note", *note})
	}
	if _, err := io.WriteString(out, b.text()); err != nil {
		return err
	}
	if *record == "" {
		return nil
	}
	return os.WriteFile(*record, []byte(b.markdown()), 0o644) //nolint:gosec // it is to be read
}
