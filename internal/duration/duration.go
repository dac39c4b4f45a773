// Package duration reads lengths of time as people write them.
//
// It promises what time.ParseDuration does, weeks and days before it, and errors that say what
// is wrong in words for whoever wrote them.
package duration

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

var (
	days     = regexp.MustCompile(`^(?:(\d{1,4})w)?(?:(\d{1,5})d)?`)
	overflow = regexp.MustCompile(`^[+-]?([0-9.]+(ns|us|µs|ms|s|m|h))+$`)
)

// Parse reads a length of time as Go writes it, and weeks and days before it: 5m, 1d12h, 2w.
// It is not negative.
func Parse(text string) (time.Duration, error) {
	rest, whole := text, time.Duration(0)
	if m := days.FindStringSubmatch(text); m[0] != "" {
		weeks, _ := strconv.Atoi(m[1]) // nothing is 0
		n, _ := strconv.Atoi(m[2])
		whole = time.Duration(7*weeks+n) * 24 * time.Hour
		if rest = text[len(m[0]):]; rest == "" {
			rest = "0s"
		}
	}
	d, err := time.ParseDuration(rest)
	switch {
	case err == nil && d >= 0 && whole >= 0 && whole+d >= whole:
		return whole + d, nil
	case err == nil && d < 0 || strings.HasPrefix(text, "-") && days.FindString(text[1:]) != "":
		return 0, fmt.Errorf("%q is negative; a length of time is written 5m or 1h30m", text)
	case err == nil || overflow.MatchString(rest):
		return 0, fmt.Errorf("%q is too long; the longest are some 290 years", text)
	default:
		return 0, fmt.Errorf("%q is not a length of time; write for example 5m, 1h30m or 7d", text)
	}
}
