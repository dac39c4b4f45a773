//go:build unix

package filter_test

import (
	"math"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	"vstream/internal/filter"
)

// work returns how much time of the processor f takes: the least of several times.
func work(f func()) time.Duration {
	used := func() time.Duration {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			panic(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	least := time.Duration(math.MaxInt64)
	for range 5 {
		before := used()
		f()
		least = min(least, used()-before)
	}
	return least
}

// The limit is only as good as the model behind it: whatever an expression does, reaching the
// limit must take a similar time. The simplest expression reaches it in about a millisecond.
// Decoding the event, which all of them do once, is much of the time of all of them.
func TestReachingTheLimitTakesASimilarTimeForEveryExpression(t *testing.T) {
	e := large(t)
	reach := func(source string) time.Duration {
		f := expression(t, source)
		return work(func() { _, _ = f.Match("vc1", e) })
	}
	simple := reach(costly[0])
	for _, source := range costly[1:] {
		if took := reach(source); took > 5*simple {
			t.Errorf("%.80s takes %v, the simplest %v", source, took, simple)
		}
	}
	t.Logf("the simplest takes %v", simple)
}

func TestCompilingIsQuickWhateverIsCompiled(t *testing.T) {
	compile := func(source string) time.Duration {
		return work(func() { _, _ = filter.Parse(url.Values{"filter": {source}}) })
	}
	ordinary := compile(strings.Repeat(`vm == "web1" || `, 20) + "true")
	sources := []string{strings.Repeat(`vm.matches("a{450}") || `, 160) + "true", `vm.matches("` + strings.Repeat("a{1000}", 36) + `")`}
	for _, motif := range crooked {
		sources = append(sources, strings.Repeat(motif, maxExpression/len(motif)))
	}
	for _, source := range sources {
		if took := compile(source); took > 100*ordinary {
			t.Errorf("%.40q takes %v, an ordinary expression %v", source, took, ordinary)
		}
	}
	t.Logf("an ordinary expression takes %v", ordinary)
}

// maxExpression is how many bytes an expression may have.
const maxExpression = 4096
