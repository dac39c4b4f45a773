package main

import (
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
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

// A usage is what this process has used so far, and has now.
type usage struct {
	CPU     time.Duration
	RSS     float64 // bytes resident
	Heap    float64 // bytes in spans of Go's heap that are in use
	Stacks  float64 // bytes in spans of stacks
	Mallocs uint64
}

// used tells what this process uses, after a collection if its memory is to be known.
func used(collect bool) usage {
	if collect {
		runtime.GC()
		debug.FreeOSMemory()
	}
	u := usage{CPU: cpuTime(), RSS: status("VmRSS")}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	u.Heap, u.Stacks, u.Mallocs = float64(stats.HeapInuse), float64(stats.StackInuse), stats.Mallocs
	return u
}

// calibrate does the same work over and over, and returns how long each took by the clock:
// how much that varies is how noisy the machine is.
func calibrate(times int) []time.Duration {
	block := make([]byte, 8<<20)
	took := make([]time.Duration, times)
	for i := range took {
		began := time.Now()
		sha256.Sum256(block)
		took[i] = time.Since(began)
	}
	return took
}

// spread returns the median, and how far apart the tenth and the ninetieth percentile are,
// as a part of it.
func spread(took []time.Duration) (middle time.Duration, apart float64) {
	sorted := slices.Sorted(slices.Values(took))
	middle = sorted[len(sorted)/2]
	return middle, float64(sorted[len(sorted)*9/10]-sorted[len(sorted)/10]) / float64(middle)
}
