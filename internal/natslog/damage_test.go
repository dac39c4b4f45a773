package natslog

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vstream"
	"vstream/internal/logtest"
)

// history is what a vCenter has told: events with some JSON, a second apart.
func history(from, to vstream.Offset) []vstream.Event {
	var all []vstream.Offset
	for o := from; o <= to; o++ {
		all = append(all, o)
	}
	events := logtest.Events(all...)
	for i := range events {
		events[i].JSON = append(events[i].JSON[:len(events[i].JSON)-1], `,"x":"`+strings.Repeat("x", 1000)+`"}`...)
	}
	return events
}

// readAll returns the offsets of all events that a log holds.
func readAll(t *testing.T, log vstream.Log) []vstream.Offset {
	t.Helper()
	r, err := log.Open(t.Context(), vstream.Oldest{})
	if err != nil {
		t.Fatal(err)
	}
	return rest(t, r)
}

// rest reads to the tail. What cannot be had now is tried again for a while.
func rest(t *testing.T, r vstream.Reader) []vstream.Offset {
	t.Helper()
	var all []vstream.Offset
	deadline := time.Now().Add(time.Minute)
	for {
		events, err := r.Next(t.Context())
		var unavailable *vstream.UnavailableError
		if errors.As(err, &unavailable) && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		if err != nil {
			t.Fatalf("Next after %d events: %v", len(all), err)
		}
		if len(events) == 0 {
			return all
		}
		for i := range events {
			all = append(all, events[i].Offset)
		}
	}
}

func mustAppend(t *testing.T, log vstream.Log, events []vstream.Event) {
	t.Helper()
	if err := log.Append(t.Context(), events); err != nil {
		t.Fatalf("Append: %v", err)
	}
}

func storeFiles(t *testing.T, dir, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "jetstream", "$G", "streams", "vstream-vc", pattern))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files %s: %v", pattern, err)
	}
	slices.SortFunc(files, func(a, b string) int { return len(a)*1000 - len(b)*1000 + strings.Compare(a, b) }) // 2.blk before 10.blk
	return files
}

func change(t *testing.T, file string, with func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, with(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func garble(data []byte) []byte {
	middle := data[len(data)/2:]
	for i := range min(len(middle), 5000) {
		middle[i] ^= 0x5a
	}
	return data
}

func half(data []byte) []byte { return data[:len(data)/2] }

const damaged = 20_000 // events, of some 1.3 KiB: three blocks

// Whatever happens to the files of a log, it opens again, tells what it lacks, and takes
// that anew, so that each event is there once.
func TestADamagedStoreIsMendedFromTheVCenter(t *testing.T) {
	all := history(1, damaged)
	index := func(dir string) { _ = os.Remove(filepath.Join(dir, "jetstream/$G/streams/vstream-vc/msgs/index.db")) }
	for name, damage := range map[string]func(t *testing.T, dir string){
		"nothing":         func(*testing.T, string) {},
		"no index":        func(_ *testing.T, dir string) { index(dir) },
		"a garbled index": func(t *testing.T, dir string) { change(t, storeFiles(t, dir, "msgs/index.db")[0], garble) },
		"a garbled block": func(t *testing.T, dir string) { change(t, storeFiles(t, dir, "msgs/*.blk")[1], garble) },
		"a garbled block and no index": func(t *testing.T, dir string) {
			change(t, storeFiles(t, dir, "msgs/*.blk")[1], garble)
			index(dir)
		},
		"a garbled first block": func(t *testing.T, dir string) { change(t, storeFiles(t, dir, "msgs/*.blk")[0], garble) },
		"a lost block": func(t *testing.T, dir string) {
			if err := os.Remove(storeFiles(t, dir, "msgs/*.blk")[1]); err != nil {
				t.Fatal(err)
			}
		},
		"a cut last block": func(t *testing.T, dir string) {
			files := storeFiles(t, dir, "msgs/*.blk")
			change(t, files[len(files)-1], half)
		},
		"a cut last block and no index": func(t *testing.T, dir string) {
			files := storeFiles(t, dir, "msgs/*.blk")
			change(t, files[len(files)-1], half)
			index(dir)
		},
		"an empty last block": func(t *testing.T, dir string) {
			files := storeFiles(t, dir, "msgs/*.blk")
			change(t, files[len(files)-1], func([]byte) []byte { return nil })
		},
		"no blocks": func(t *testing.T, dir string) {
			for _, file := range storeFiles(t, dir, "msgs/*.blk") {
				_ = os.Remove(file)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := testConfig(t)
			e, stop := start(t, config, "vc")
			mustAppend(t, e.Log("vc"), all)
			stop()
			damage(t, config.Dir)

			e, stop = start(t, config, "vc")
			log := e.Log("vc")
			held := readAll(t, log)
			since, lost := log.Lost()
			r, some := log.Range()
			t.Logf("holds %d events of range %v %v, lost %v %v", len(held), r, some, since, lost)
			if !slices.IsSorted(held) {
				t.Error("events are not in order")
			}
			there := map[vstream.Offset]bool{}
			for _, o := range held {
				there[o] = true
			}
			first := vstream.Offset(0)
			for i := range all {
				e := &all[i]
				if some && e.Offset >= r.Earliest && e.Offset <= r.Latest && !there[e.Offset] && (!lost || since.After(e.Time)) {
					t.Fatalf("event %d is lost, and Lost = %v, %v", e.Offset, since, lost)
				}
			}
			from := 0 // what a collector appends
			if some {
				first, from = r.Earliest, int(r.Latest)-60
			}
			if lost {
				from = min(from, int(since.Unix())-60)
			}
			from = max(from, 0)
			mustAppend(t, log, all[from:])
			if err := log.Mended(t.Context()); err != nil {
				t.Fatal(err)
			}
			again := 0
			check := func() {
				t.Helper()
				again++
				got := readAll(t, log)
				slices.Sort(got)
				if len(got) == 0 || got[len(got)-1] != damaged || len(got) != int(damaged-got[0]+1) || !slices.IsSorted(got) || got[0] > max(first, 1) {
					t.Errorf("check %d: the mended log holds %d events, %v to %v", again, len(got), got[0], got[len(got)-1])
				}
				if since, lost := log.Lost(); lost {
					t.Errorf("check %d: the mended log has lost events since %v", again, since)
				}
			}
			check()
			stop()
			e, _ = start(t, config, "vc")
			log = e.Log("vc")
			check()
			mustAppend(t, log, history(damaged+1, damaged+10))
		})
	}
}

// A store may find out that it is damaged only when it is read, and then ask for what it
// does not have: it was taken for another process that had written, for ever.
func TestAStoreThatFindsItsDamageOnlyWhenItIsReadIsOpenedAgain(t *testing.T) {
	t.Parallel()
	config := testConfig(t)
	e, stop := start(t, config, "vc")
	all := history(1, 900)
	for batch := range slices.Chunk(all, 3) {
		mustAppend(t, e.Log("vc"), slices.Clone(batch))
	}
	stop()
	change(t, storeFiles(t, config.Dir, "msgs/*.blk")[0], func(data []byte) []byte {
		clear(data[len(data)/2:][:3000])
		return data
	})
	e, _ = start(t, config, "vc")
	log := e.Log("vc")
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		since, lost := log.Lost()
		from := 0
		if lost {
			from = int(since.Unix()) - 60
		} else if r, ok := log.Range(); ok {
			from = int(r.Latest) - 60
		}
		err := log.Append(t.Context(), slices.Clone(all[max(from, 0):]))
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("in a minute it takes nothing: %v", err)
		}
	}
	if got := readAll(t, log); !slices.Equal(slices.Sorted(slices.Values(got)), upTo(1, 900)) {
		t.Errorf("holds %d events", len(got))
	}
}
