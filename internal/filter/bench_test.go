package filter_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"vstream/internal/filter"
)

// Tests of fields take nanoseconds and allocate nothing; an expression takes microseconds, and
// what is shared of it as little as a test of a field.
func BenchmarkMatch(b *testing.B) {
	hundred := make([]string, 100)
	for i := range hundred {
		hundred[i] = fmt.Sprintf("web-%d.example.com", i)
	}
	for _, c := range []struct{ name, query string }{
		{"everything", ""},
		{"exact", "vm=web1"},
		{"exact-of-another", "vm=vm-17"},
		{"case-folded", "vm=WEB1"},
		{"not-ascii", "cluster=GRÖSSE,GRÖẞE"},
		{"prefix", "host=esx-*"},
		{"infix", "host=*example*"},
		{"four-values", "vm=db1,db2,db3,web1"},
		{"hundred-values", "vm=" + strings.Join(hundred, ",")},
		{"not", "vm=!db1"},
		{"five-fields", "vm=web1&host=esx-*&severity=info,warning&eventclass=event&vcenter=vc1"},
		{"text", "q=powered+on"},
		{"text-of-another", "q=vm-17"},
		{"expression", "filter=" + url.QueryEscape(`severity == "info"`)},
		{"expression-of-data", "filter=" + url.QueryEscape(`data.Vm.Name == "web1"`)},
	} {
		b.Run(c.name, func(b *testing.B) {
			f := parse(b, c.query)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = f.Match("vc1", poweredOn)
			}
		})
	}
	b.Run("expression-shared", func(b *testing.B) {
		var sharing filter.Sharing
		f := parse(b, "filter="+url.QueryEscape(`data.Vm.Name == "web1"`))
		shared, leave := sharing.Join(f)
		defer leave()
		_, leave = sharing.Join(f)
		defer leave()
		e := *poweredOn
		b.ReportAllocs()
		b.RunParallel(func(p *testing.PB) {
			for p.Next() {
				_, _ = shared.Match("vc1", &e)
			}
		})
	})
}
