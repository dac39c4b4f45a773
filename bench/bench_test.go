package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vstream"
	"vstream/internal/memlog"
)

// TestMain lets the test binary be the program's child, as the program itself is.
func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		os.Exit(child(text))
	}
	os.Exit(m.Run())
}

// The figures are not looked at: that every one is there, and that the events are those
// that were appended, is what is tested.
func TestEveryFigureOfLogsIsMeasuredAndRecorded(t *testing.T) {
	record := filepath.Join(t.TempDir(), "log.md")
	var out strings.Builder
	err := run(t.Context(), []string{"log", "--events", "2000", "--repeat", "1", "--spend", "10ms", "--dir", t.TempDir(), "--record", record}, &out, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"terminal": out.String(), "record": string(recorded)} {
		for _, table := range tables {
			if !strings.Contains(text, table.title) {
				t.Errorf("%s: there is no table %q", name, table.title)
			}
			for _, row := range table.rows {
				if !strings.Contains(text, row.label) {
					t.Errorf("%s: there is no row %q", name, row.label)
				}
			}
		}
		for line := range strings.Lines(text) {
			if strings.Contains(line, missing+" ") {
				t.Errorf("%s: something was not measured: %s", name, line)
			}
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

func TestBadFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{}, {"lag"}, {"log", "more"}, {"log", "--events", "many"}, {"log", "--events", "10"}, {"log", "--logs", "disk"},
	} {
		if err := run(t.Context(), args, t.Output(), t.Output()); err == nil {
			t.Errorf("run(%q) succeeded, want an error", args)
		}
	}
}

func TestTheSameEventsAreMadeAgain(t *testing.T) {
	all, again := newEvents().take(3000), newEvents()
	size := 0
	for i, want := range all {
		got := again.take(1)[0]
		if string(got.JSON) != string(want.JSON) || got.Offset != want.Offset || !got.Time.Equal(want.Time) {
			t.Fatalf("event %d differs:\n%s\n%s", i, got.JSON, want.JSON)
		}
		if i > 0 && (want.Offset <= all[i-1].Offset || !want.Time.After(all[i-1].Time)) {
			t.Fatalf("event %d at %d, %v comes after %d, %v", i, want.Offset, want.Time, all[i-1].Offset, all[i-1].Time)
		}
		size += len(want.JSON)
	}
	if mean := size / len(all); mean < 900 || mean > 1400 {
		t.Errorf("events have %d bytes on average, want about 1 KiB", mean)
	}
}

func TestALogThatLostOrChangedAnEventFailsTheBenchmark(t *testing.T) {
	p := phase{Events: 1000}
	filled := func(n int, change func([]vstream.Event) []vstream.Event) vstream.Log {
		log := memlog.New(10_000, 1<<40)
		if err := log.Append(t.Context(), change(newEvents().take(n))); err != nil {
			t.Fatal(err)
		}
		return log
	}
	last := func(n int) vstream.Offset { return newEvents().take(n)[n-1].Offset }
	asMade := func(e []vstream.Event) []vstream.Event { return e }
	for name, test := range map[string]struct {
		log   vstream.Log
		acked vstream.Offset
		good  bool
	}{
		"all there":               {filled(500, asMade), last(500), true},
		"some nobody was told of": {filled(500, asMade), last(450), true},
		"many nobody was told of": {filled(500, asMade), last(300), false},
		"the last is lost":        {filled(499, asMade), last(500), false},
		"one is lost":             {filled(500, func(e []vstream.Event) []vstream.Event { return append(e[:100:100], e[101:]...) }), last(500), false},
		"one has changed":         {filled(500, func(e []vstream.Event) []vstream.Event { e[7].JSON[300] ^= 1; return e }), last(500), false},
	} {
		p.Acked = test.acked
		if err := p.reopen(t.Context(), test.log, figures{}); (err == nil) != test.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}
