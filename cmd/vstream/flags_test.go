package main

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"vstream"
	"vstream/client"
	"vstream/internal/output"
)

func TestTimesAreReadAsPeopleWriteThem(t *testing.T) {
	zone := time.FixedZone("here", 3600)
	now := time.Date(2026, 11, 22, 15, 4, 5, 0, zone)
	for text, want := range map[string]time.Time{
		"today":                time.Date(2026, 11, 22, 0, 0, 0, 0, zone),
		"yesterday":            time.Date(2026, 11, 21, 0, 0, 0, 0, zone),
		"2026-11-20":           time.Date(2026, 11, 20, 0, 0, 0, 0, zone),
		"2026-11-20 09:30":     time.Date(2026, 11, 20, 9, 30, 0, 0, zone),
		"2026-11-20T09:30:15":  time.Date(2026, 11, 20, 9, 30, 15, 0, zone),
		"2026-11-20T09:30":     time.Date(2026, 11, 20, 9, 30, 0, 0, zone),
		"06:00":                time.Date(2026, 11, 22, 6, 0, 0, 0, zone),
		"06:00:30":             time.Date(2026, 11, 22, 6, 0, 30, 0, zone),
		"@1795338303":          time.Date(2026, 11, 22, 9, 5, 3, 0, time.UTC),
		"@1795338303.5":        time.Date(2026, 11, 22, 9, 5, 3, 500_000_000, time.UTC),
		"1y":                   time.Date(2025, 11, 22, 15, 4, 5, 0, zone),
		"2 years ago":          time.Date(2024, 11, 22, 15, 4, 5, 0, zone),
		"2026-11-20T09:30:15Z": time.Date(2026, 11, 20, 9, 30, 15, 0, time.UTC),
	} {
		if m, err := parseMoment(text, now); err != nil || !m.at.Equal(want) {
			t.Errorf("%s is %v, %v; want %v", text, m.at, err, want)
		}
	}
	if m, err := parseMoment("1d2h", now); err != nil || m.ago != 26*time.Hour || !m.at.IsZero() {
		t.Errorf("1d2h is %+v, %v", m, err)
	}
	for text, want := range map[string]time.Duration{"2w": 336 * time.Hour, "15m ago": 15 * time.Minute, "-5m": 5 * time.Minute, "1 hour ago": time.Hour, "2 days": 48 * time.Hour, "10min ago": 10 * time.Minute} {
		if m, err := parseMoment(text, now); err != nil || m.ago != want {
			t.Errorf("%s is %v, %v; want %v", text, m.ago, err, want)
		}
	}
	if m, err := parseMoment("now", now); err != nil || !m.at.Equal(now) {
		t.Errorf("now is %v, %v", m.at, err)
	}
	for text, want := range map[string]string{"15": "has no unit", "tody": "did you mean today?", "": "is no time", "2026-13-01": "is no time", "--5m": "is no time", "25:00": "is no time", "1795413600": "are written @1795413600", "1 fortnight ago": "is no time", "5 hinutes": "is no time"} {
		if _, err := parseMoment(text, now); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q fails with %v, want %s", text, err, want)
		}
	}
}

func TestGlobsKnowTheStarOnly(t *testing.T) {
	for _, c := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "x", true}, {"vm*", "vmpoweredonevent", true}, {"*on*", "vmpoweredonevent", true}, {"vm", "vmpoweredonevent", false},
		{"a?c", "abc", false}, {"a?c", "a?c", true}, {"[ab]", "a", false}, {"[ab]", "[ab]", true}, {`a\b`, `a\b`, true}, {"esx.*", "esx.a/b", true},
	} {
		if got := globMatches(c.pattern, c.text); got != c.want {
			t.Errorf("%q matches %q: %v", c.pattern, c.text, got)
		}
	}
}

func TestTheRateTellsHowLongItTakes(t *testing.T) {
	for want, got := range map[string]string{
		"2,000 events  1,000/s  3s left": rate(2000, 5000, 2*time.Second),
		"2,000 events  1,000/s":          rate(2000, 0, 2*time.Second),
		"0 events  0/s":                  rate(0, 100, 0),
	} {
		if got != want {
			t.Errorf("it says %q, want %q", got, want)
		}
	}
}

// A server that has events of both Administrator and LAB\\Administrator, the first of which is
// what people write when they mean the other.
func TestABareUserNameIsSaidToLeaveOutThoseOfDomains(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := map[string]int{"Administrator": 1, `*\Administrator`: 7, "root": 3}[r.URL.Query().Get("user")]
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"complete":true,"events":%d,"facets":{}}`, n)
	}))
	defer server.Close()
	c, err := client.New(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	f := filter{named: map[string][]string{"user": {"Administrator,root", `!*\amara`, "*"}}}
	if got := f.unseen(t.Context(), c); len(got) != 1 || got[0] != `'*\Administrator' finds the users of that name in domains` {
		t.Errorf("it says %q", got)
	}
}

func TestTwoThatKeepTheirPlaceInOneFileAreTold(t *testing.T) {
	c, err := client.New("http://127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "place")
	var said strings.Builder
	keeping := func() *flushing {
		r := &reader{connection: connection{stderr: &said}, span: span{cursorFile: path}}
		f := &flushing{Checkpoint: c.CheckpointFile(path), r: r, w: output.NewWriter(io.Discard, nil)}
		if _, err := f.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		return f
	}
	save := func(f *flushing, offset vstream.Offset) {
		if err := f.Save(t.Context(), vstream.Cursor{"vc1": {Offset: offset}}); err != nil {
			t.Fatal(err)
		}
	}
	one := keeping()
	save(one, 1)
	save(one, 2)
	two := keeping()
	save(two, 3)
	if said.Len() > 0 {
		t.Fatalf("one after the other are told %q", said.String())
	}
	save(one, 4)
	save(one, 5)
	if want := "vstream: another process keeps its place in " + path + ", too; give each a file of its own\n"; said.String() != want {
		t.Errorf("they are told %q", said.String())
	}
}
