package duration_test

import (
	"strings"
	"testing"
	"time"

	"vstream/internal/duration"
)

func TestParseTakesWeeksAndDaysBeforeWhatGoWrites(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"5m": 5 * time.Minute, "1h30m": 90 * time.Minute, "7d": 168 * time.Hour, "1d12h": 36 * time.Hour, "0": 0, "0d": 0, "1w": 168 * time.Hour, "1w2d3h": 219 * time.Hour, "1.5h": 90 * time.Minute,
	} {
		if d, err := duration.Parse(text); d != want || err != nil {
			t.Errorf("%q is %v, %v; want %v", text, d, err, want)
		}
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":               "is not a length of time",
		"5":              "is not a length of time",
		"d":              "is not a length of time",
		"1d-2h":          "is negative",
		"-5m":            "is negative",
		"-5d":            "is negative",
		"-":              "is not a length of time",
		"999999d":        "is not a length of time",
		"99999d9999999h": "is too long",
		"99999d999999h":  "is too long",
		"9999999999h":    "is too long",
		"five minutes":   "write for example 5m",
		"12h1d":          "is not a length of time",
		"1d12":           "is not a length of time",
		"1d2d":           "is not a length of time",
		"1d2w":           "is not a length of time",
		"1w1w":           "is not a length of time",
		"99999w":         "is not a length of time",
		"-1w":            "is negative",
		"9999w99999d":    "is too long",
		"١d":             "is not a length of time",
		"1e3s":           "is not a length of time",
	} {
		d, err := duration.Parse(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is %v, %v; want an error with %q", text, d, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("1d12h")
	f.Add("-5d")
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := duration.Parse(text); err == nil && d < 0 {
			t.Errorf("%q is %v", text, d)
		}
	})
}
