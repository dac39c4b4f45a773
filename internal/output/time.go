package output

import (
	"fmt"
	"strings"
	"time"

	"vstream/internal/spelling"
)

// A Clock writes times.
type Clock func(time.Time) string

var clocks = []struct {
	name  string
	write Clock
}{
	{"local", func(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05.000") }},
	{"short", func(t time.Time) string {
		if t.Local().Format(time.DateOnly) == time.Now().Format(time.DateOnly) {
			return t.Local().Format(time.TimeOnly)
		}
		return t.Local().Format(time.Stamp)
	}},
	{"utc", func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }},
	{"relative", func(t time.Time) string { return ago(time.Since(t)) }},
	{"rfc3339", func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }},
}

// Clocks returns how the ways of writing times are called.
func Clocks() []string {
	var names []string
	for _, c := range clocks {
		names = append(names, c.name)
	}
	return names
}

// ParseClock returns the way of writing times that is called so. A time that is not known
// is written as nothing.
func ParseClock(name string) (Clock, error) {
	for _, c := range clocks {
		if c.name == name {
			return func(t time.Time) string {
				if t.IsZero() {
					return ""
				}
				return c.write(t)
			}, nil
		}
	}
	advice := "there are " + strings.Join(Clocks(), ", ")
	if near := spelling.Nearest(name, Clocks()); near != "" {
		advice = "did you mean " + near + "?"
	}
	return nil, fmt.Errorf("times are not written %q; %s", Clean(name), advice)
}

// ago writes how long ago something was, in one unit.
func ago(d time.Duration) string {
	sign := " ago"
	if d < 0 {
		d, sign = -d, " ahead"
	}
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds%s", int(d.Seconds()), sign)
	case d < time.Hour:
		return fmt.Sprintf("%dm%s", int(d.Minutes()), sign)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%s", int(d.Hours()), sign)
	}
	return fmt.Sprintf("%dd%s", int(d.Hours()/24), sign)
}
