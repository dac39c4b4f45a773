//go:build unix && !race

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

// Not under the race detector, which makes some expressions dearer than others.

// The limit is only as good as the model behind it: whatever an expression does, reaching the
// limit must take a similar time. The simplest one decodes the event, as all do, and then
// reaches the limit in about a millisecond.
func TestReachingTheLimitTakesASimilarTimeForEveryExpression(t *testing.T) {
	e := large(t)
	reach := func(source string) time.Duration {
		f := expression(t, source)
		return work(func() { _, _ = f.Match("vc1", e) })
	}
	var longest float64
	for _, source := range costly[1:] {
		// Side by side, and again when it was too long: others use this machine too.
		ratio := math.Inf(1)
		for tries := 0; tries < 5 && ratio > 5; tries++ {
			simple := reach(costly[0])
			ratio = min(ratio, float64(reach(source))/float64(simple))
		}
		longest = max(longest, ratio)
		if ratio > 5 {
			t.Errorf("%.80s takes %.1f times as long as the simplest", source, ratio)
		}
	}
	t.Logf("the worst takes %.1f times as long as the simplest", longest)
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
	var longest time.Duration
	for _, source := range sources {
		took := compile(source)
		longest = max(longest, took)
		if took > 200*ordinary {
			t.Errorf("%.40q takes %v, an ordinary expression %v", source, took, ordinary)
		}
	}
	t.Logf("an ordinary expression takes %v, the worst %v", ordinary, longest)
}

// maxExpression is how many bytes an expression may have.
const maxExpression = 4096
