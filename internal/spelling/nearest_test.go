package spelling_test

import (
	"strings"
	"testing"

	"vstream/internal/spelling"
)

func TestNearestForgivesASlipOrTwoAndMoreInLongNames(t *testing.T) {
	known := []string{"watch", "offset", "secretPath", "LOG_MAX_SEGMENT_SIZE", "LOG_MAX_BYTES"}
	for name, want := range map[string]string{
		"ofset":                 "offset",
		"OFFSETS":               "offset",
		"secretpath":            "secretPath",
		"LOG_SEGMENT_SIZE":      "LOG_MAX_SEGMENT_SIZE",
		"LOG_MAX_BYTE":          "LOG_MAX_BYTES",
		"zzz":                   "",
		"":                      "",
		"limit":                 "",
		strings.Repeat("x", 99): "",
	} {
		if got := spelling.Nearest(name, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}

func TestTheBeginningOfANameIsNearerThanAnythingElse(t *testing.T) {
	known := []string{"user", "severity", "warning", "vm", "host"}
	for name, want := range map[string]string{"sev": "severity", "warn": "warning", "ho": "host"} {
		if got := spelling.Nearest(name, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}

func TestHalfOfAShortNameIsNoSlip(t *testing.T) {
	known := []string{"all", "yaml", "wide", "last", "vm"}
	for name, want := range map[string]string{"tail": "", "name": "", "line": "", "lsat": "last", "vn": "vm"} {
		if got := spelling.Nearest(name, known); got != want {
			t.Errorf("nearest to %q is %q, want %q", name, got, want)
		}
	}
}
