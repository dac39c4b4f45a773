package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/dustin/go-humanize"
)

// A table is what is told of a log.
type table struct {
	title, note string
	rows        []row
}

// A row is something that was measured, for each number of events. The reference is what
// was measured before natslog was built.
type row struct {
	label     string
	show      func(get func(key string) (float64, bool)) string
	reference string
}

var tables = map[string]table{
	"memory": {
		"In memory",
		"memlog with room for all events. The program's own holds 2000 by default.",
		[]row{
			{"append, 1000 events a call", one(rate, "append.rate"), ""},
			{"read all, one reader", one(rate, "read.rate"), ""},
			{"read, 10 readers, together", one(rate, "readers.rate"), ""},
			{"10 readers to one", ratio("readers.rate", "read.rate"), ""},
			{"seek by offset, median / 99 %", several(seconds, "offset.warm.median", "offset.warm.p99"), ""},
			{"seek by time, median / 99 %", several(seconds, "time.warm.median", "time.warm.p99"), ""},
			{"get by offset, median / 99 %", several(seconds, "get.median", "get.p99"), ""},
			{"memory after append: resident / peak / live heap", memory("append"), "JetStream's memory store: 2 GiB at 1,000,000"},
			{"memory after reading all", memory("read"), ""},
			{"memory after 10 readers", memory("readers"), ""},
		},
	},
	"embedded": {
		"Embedded JetStream",
		"natslog in a directory, synced always, with 2000 events in memory, a tenth of the log at most. What was just written is in the system's cache.",
		[]row{
			{"append, 1000 events a call", one(rate, "append.rate"), "27,000–76,000/s"},
			{"the same per second of CPU", one(rate, "append.cpurate"), ""},
			{"a file appended and synced likewise", one(rate, "file.rate"), ""},
			{"append to that", ratio("append.rate", "file.rate"), ""},
			{"open after kill -9, until ready", one(seconds, "reopen.ready"), "0.8 s at 1,000,000"},
			{"open after kill -9, until the oldest event is read", one(seconds, "reopen.first"), ""},
			{"events lost that Append had returned for", one(count, "reopen.lost"), "0"},
			{"open after a stop, until ready", one(seconds, "ready"), ""},
			{"such a file read through, its lines counted", one(seconds, "file.reopen"), ""},
			{"read all, one reader", one(rate, "read.rate"), "180,000–325,000/s"},
			{"the same per second of CPU", one(rate, "read.cpurate"), ""},
			{"read, 10 readers, together", one(rate, "readers.rate"), ""},
			{"10 readers to one", ratio("readers.rate", "read.rate"), ""},
			{"seek by offset, the first after opening", one(seconds, "offset.first"), ""},
			{"seek by offset, the next, median / 99 %", several(seconds, "offset.cold.median", "offset.cold.p99"), "10–28 ms by binary search"},
			{"seek by offset, others after them, median / 99 %", several(seconds, "offset.warm.median", "offset.warm.p99"), ""},
			{"seek by time, the first after opening", one(seconds, "time.first"), ""},
			{"seek by time, the next, median / 99 %", several(seconds, "time.cold.median", "time.cold.p99"), ""},
			{"seek by time, others after them, median / 99 %", several(seconds, "time.warm.median", "time.warm.p99"), ""},
			{"get by offset, random ones, median / 99 %", several(seconds, "get.median", "get.p99"), ""},
			{"so many of them", one(count, "get.count"), ""},
			{"memory after append: resident / peak / live heap", memory("append"), ""},
			{"memory after reading all", memory("read"), ""},
			{"memory after 10 readers", memory("readers"), ""},
			{"memory after random gets", memory("get"), "up to 5 GiB at 5,000,000, if unbounded"},
			{"on disk", one(bytesOf, "disk"), ""},
		},
	},
	"cluster": {
		"A cluster of three servers, three copies",
		"All three servers, and natslog, in one process on one machine: what the protocol costs, not what a network does. Of a single run.",
		[]row{
			{"append, 1000 events a call", one(rate, "append.rate"), ""},
			{"the same per second of CPU, of all servers", one(rate, "append.cpurate"), ""},
			{"append, servers that sync always", one(rate, "synced.append.rate"), ""},
		},
	},
}

type getter = func(key string) (float64, bool)

const missing = "–"

// one shows a figure, and several show figures with slashes between.
func one(format func(float64) string, key string) func(getter) string { return several(format, key) }

func several(format func(float64) string, keys ...string) func(getter) string {
	return func(get getter) string {
		var texts []string
		for _, key := range keys {
			value, ok := get(key)
			if !ok {
				return missing
			}
			texts = append(texts, format(value))
		}
		return strings.Join(texts, " / ")
	}
}

func memory(name string) func(getter) string {
	return several(bytesOf, name+".rss", name+".peak", name+".heap")
}

func ratio(key, to string) func(getter) string {
	return func(get getter) string {
		a, ok := get(key)
		b, also := get(to)
		if !ok || !also {
			return missing
		}
		return fmt.Sprintf("%.2f", a/b)
	}
}

func count(v float64) string { return humanize.Comma(int64(v)) }

func exactRate(v float64) string { return humanize.Comma(int64(v)) + "/s" }

func factor(v float64) string { return fmt.Sprintf("%.2f×", v) }

func decimal(v float64) string { return fmt.Sprintf("%.3g", v) }

func percent(v float64) string { return fmt.Sprintf("%.2f %%", 100*v) }

func kibibytesOf(v float64) string { return fmt.Sprintf("%.1f KiB", v/1024) }

func rate(v float64) string { return humanize.Comma(int64(round(v))) + "/s" }

func bytesOf(v float64) string {
	switch {
	case v == 0:
		return "?"
	case v >= 10<<30:
		return fmt.Sprintf("%.0f GiB", v/(1<<30))
	case v >= 1<<30:
		return fmt.Sprintf("%.1f GiB", v/(1<<30))
	case v >= 10<<20:
		return fmt.Sprintf("%.0f MiB", v/(1<<20))
	}
	return fmt.Sprintf("%.1f MiB", v/(1<<20))
}

func seconds(v float64) string {
	for _, unit := range []struct {
		name string
		size float64
	}{{"s", 1}, {"ms", 1e-3}, {"µs", 1e-6}} {
		if v >= unit.size {
			return fmt.Sprintf("%.3g %s", round(v/unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%.0f ns", v*1e9)
}

// round leaves three digits; more would be noise.
func round(v float64) float64 {
	if v == 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-2)
	return math.Round(v/unit) * unit
}

// grid returns the table of a log as cells, the first line its head.
func (b *logs) grid(log string) [][]string {
	head := []string{"Events"}
	for _, n := range b.sizes {
		head = append(head, humanize.Comma(int64(n)))
	}
	lines := [][]string{append(head, "Reference")}
	for _, r := range tables[log].rows {
		line := []string{r.label}
		for _, n := range b.sizes {
			line = append(line, r.show(func(key string) (float64, bool) { return b.figure(log, n, key) }))
		}
		lines = append(lines, append(line, r.reference))
	}
	return lines
}

// syncGrid returns what syncing costs, batches of each size.
func (b *logs) syncGrid() [][]string {
	get := func(key string) (float64, bool) { return b.figure("embedded", 0, key) }
	lines := [][]string{{"Events at once", "Append", "a batch, median / 99 %", "to one at a time", "Reference"}}
	for _, size := range batchSizes {
		name, reference := fmt.Sprintf("sync.%d", size), ""
		if size == 100 || size == 500 {
			reference = "27,000–76,000/s"
		}
		lines = append(lines, []string{
			humanize.Comma(int64(size)), one(rate, name+".rate")(get), several(seconds, name+".median", name+".p99")(get),
			ratio(name+".rate", "sync.1.rate")(get), reference,
		})
	}
	return lines
}

// told returns what is told of the logs.
func (b *logs) told() []section {
	var all []section
	for _, log := range b.logNames {
		t := tables[log]
		all = append(all, section{t.title, t.note, b.grid(log)})
		if log == "embedded" {
			fsync, _ := b.figure(log, 0, "fsync")
			all = append(all, section{
				"What syncing costs, embedded",
				"Batches of different sizes, one after the other. JetStream writes at most 500 at once. To write 4 KiB to a file and sync it takes " + seconds(fsync) + " here.",
				b.syncGrid(),
			})
		}
	}
	return all
}
