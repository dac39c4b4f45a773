package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vstream"
	"vstream/internal/memlog"
)

// TestMain lets the test binary be the program's child, as the program itself is.
func TestMain(m *testing.M) {
	if text := os.Getenv(childVariable); text != "" {
		os.Exit(runChild(text))
	}
	os.Exit(m.Run())
}

// The figures are not looked at: that every one is there, and that the events are those
// that were appended, is what is tested.
func TestEveryFigureIsMeasuredAndRecorded(t *testing.T) {
	record := filepath.Join(t.TempDir(), "results.md")
	var out strings.Builder
	err := run(t.Context(), []string{"--quick", "--dir", t.TempDir(), "--output", record}, &out, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	recorded, err := os.ReadFile(record)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"terminal": out.String(), "record": string(recorded)} {
		for _, title := range []string{"Figures to reach", "Ingest", "Fan-out", "Idle watchers", "Latency", "Replay", "Cost by size of the log", "Noise"} {
			if !strings.Contains(text, title) {
				t.Errorf("%s: there is no %q", name, title)
			}
		}
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
		if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
			t.Errorf("%s: something was not measured", name)
		}
	}
	if t.Failed() {
		t.Log(out.String())
	}
}

func TestBadFlagsAreRefused(t *testing.T) {
	for _, args := range [][]string{
		{"lag"}, {"log", "more"}, {"--profiles", "performance.md"}, {"log", "--events", "many"}, {"log", "--events", "10"}, {"log", "--logs", "disk"},
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

func TestPagesAreOfTheEventsThatWereRecorded(t *testing.T) {
	original, err := os.ReadFile("../internal/cloudevent/testdata/events.xml")
	if err != nil {
		t.Fatal(err)
	}
	if string(original) != string(recorded) {
		t.Error("events.xml is not the page that was recorded; copy it again from internal/cloudevent/testdata")
	}
	page, err := newPageText()
	if err != nil {
		t.Fatal(err)
	}
	length := len(page.text)
	page.number(299, time.Now())
	if mean := length / pageSize; mean < 850 || mean > 1000 || len(page.text) != length {
		t.Errorf("an event has %d bytes on average, want about 915", mean)
	}
	for _, want := range []string{"<key>1000299000</key>", "<chainId>1000299999</chainId>"} {
		if strings.Count(string(page.text), want) != 1 {
			t.Errorf("%s is not there once", want)
		}
	}
}

func TestStampsAreFoundHoweverATextIsCut(t *testing.T) {
	const text = "sent@ x sent@0000000007.0000000000000000042 y sent@0000000008.0000000000000000043"
	for cut := range len(text) {
		var numbers []int
		note := func(n int, _ time.Time) { numbers = append(numbers, n) }
		rest := stamps([]byte(text[:cut]), note)
		stamps(append(slices.Clone(rest), text[cut:]...), note)
		if !slices.Equal(numbers, []int{7, 8}) {
			t.Errorf("cut at %d: found %v", cut, numbers)
		}
	}
}

func TestQuantilesAreNeverBelowWhatWasMeasured(t *testing.T) {
	var l latencies
	var all []time.Duration
	for i := range 10_000 {
		d := time.Duration(1+i*i) * 37 * time.Nanosecond
		all = append(all, d)
		l.add(d)
	}
	for _, part := range []float64{0.5, 0.99} {
		want, got := all[int(part*10_000)], l.quantile(part)
		if got < want || float64(got) > 1.02*float64(want) {
			t.Errorf("quantile %g is %v, want %v or at most 2 %% more", part, got, want)
		}
	}
}

func TestATableFindsItsPlace(t *testing.T) {
	const text = "a\n<!-- profile x -->\nold\n<!-- /profile -->\nb\n"
	if got, want := placed(text, "x", "new\n"), "a\n<!-- profile x -->\n\nnew\n\n<!-- /profile -->\nb\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := placed(text, "y", "new\n"); got != text {
		t.Errorf("what has no place was written: %q", got)
	}
}

func TestAFigureIsReachedOnlyIfItIs(t *testing.T) {
	for _, test := range []struct {
		goal goal
		want string
	}{
		{goal{value: 300_000, bound: 300_000}, "yes"},
		{goal{value: 299_999, bound: 300_000}, "missed: 100.0 % of it"},
		{goal{value: 0.0099, bound: 0.01, atMost: true}, "yes"},
		{goal{value: 0.01, bound: 0.01, atMost: true}, "missed: 1.00 times as much"},
		{goal{value: 0.001, bound: 0.01, atMost: true, broken: "3 of 9 were not"}, "missed: 3 of 9 were not"},
	} {
		if got := test.goal.verdict(); got != test.want {
			t.Errorf("%+v: %q, want %q", test.goal, got, test.want)
		}
	}
}

func TestChunksAreReadHoweverTheyAreCut(t *testing.T) {
	const wire, want = "5\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\nA\r\n\r\n5\r\nno\r\n\r\n0\r\n\r\n", "helloabcdefghijklmnopqrstuvwxyz\r\n5\r\nno\r\n\r"
	for size := 1; size <= len(wire); size++ {
		var c chunks
		var got []byte
		for rest := wire; rest != ""; {
			n := min(size, len(rest))
			got = append(got, c.text([]byte(rest[:n]))...)
			rest = rest[n:]
		}
		if string(got) != want {
			t.Errorf("cut every %d bytes: %q, want %q", size, got, want)
		}
	}
}
