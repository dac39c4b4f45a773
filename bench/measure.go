package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// cpuTime is what this process has used, all its threads together.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// A clock measures wall-clock and CPU time of what lies between start and stop.
type clock struct {
	wall, cpu time.Duration
	began     time.Time
	cpuBegan  time.Duration
}

func (c *clock) start() { c.began, c.cpuBegan = time.Now(), cpuTime() }

func (c *clock) stop() {
	c.wall += time.Since(c.began)
	c.cpu += cpuTime() - c.cpuBegan
}

// memory reports what this process takes: resident now and at most since
// forgetPeak, and what is live on Go's heap.
func (f figures) memory(name string) {
	f[name+".rss"], f[name+".peak"] = status("VmRSS"), status("VmHWM")
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	f[name+".heap"] = float64(stats.HeapAlloc)
}

// status reads a size from what Linux says of this process; 0 elsewhere.
func status(field string) float64 {
	text, _ := os.ReadFile("/proc/self/status")
	return kibibytes(string(text), field)
}

// kibibytes finds "field:   123 kB", and returns it in bytes.
func kibibytes(text, field string) float64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			n, _ := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			return n * 1024
		}
	}
	return 0
}

// forgetPeak makes the resident memory of now the highest so far, where Linux permits it.
func forgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// quantiles reports the median and the 99th percentile of what took so long.
func (f figures) quantiles(name string, took []time.Duration) {
	slices.Sort(took)
	f[name+".median"] = took[len(took)/2].Seconds()
	f[name+".p99"] = took[len(took)*99/100].Seconds()
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// sizeOf returns how many bytes the files in a directory have.
func sizeOf(dir string) (size int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			size += info.Size()
		}
		return err
	})
	return size, err
}

// fsyncTime returns how long it takes to write 4 KiB to a file and have them on the disk.
func fsyncTime(dir string) (time.Duration, error) {
	file, err := os.CreateTemp(dir, "fsync")
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	var took []time.Duration
	for range 50 {
		began := time.Now()
		if _, err := file.Write(make([]byte, 4<<10)); err != nil {
			return 0, err
		}
		if err := file.Sync(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	return took[len(took)/2], nil
}
