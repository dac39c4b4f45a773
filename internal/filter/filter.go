package filter

import (
	"cmp"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"vstream"
)

// A Filter tests events. It is immutable. A nil Filter passes everything.
type Filter struct {
	fields     [Fields]*names // nil where there is no test
	chain      *chains        // nil where there is no test
	text       string         // folded; empty where there is no test
	expression *expression    // nil where there is no test
}

// Parameters returns the names of all parameters that Parse reads.
func Parameters() []string {
	return append(slices.Clone(fieldNames[:]), "chain", "q", "filter")
}

// All reports whether the filter passes everything.
func (f *Filter) All() bool {
	return f == nil || f.fields == [Fields]*names{} && f.chain == nil && !f.NeedsMessage()
}

// Match reports whether the event, of the vCenter of that name, passes the filter. The error
// is a *CostError: the expression costs too much on this event. Any other trouble of an
// expression with an event, such as a field of data that this event does not have, means
// that the event does not pass.
func (f *Filter) Match(vcenter string, e *vstream.Event) (bool, error) {
	if f == nil {
		return true, nil
	}
	for i, n := range f.fields {
		if n != nil && !n.match(Field(i).Of(vcenter, e)) {
			return false, nil
		}
	}
	if !f.TestChain(e.Chain) || f.text != "" && !mentions(e, f.text) {
		return false, nil
	}
	if f.expression == nil {
		return true, nil
	}
	return f.expression.match(vcenter, e)
}

// mentions reports whether a text of the event contains text, which is folded, in any case.
func mentions(e *vstream.Event, text string) bool {
	for _, s := range [...]string{e.Message, e.Type, e.User, e.VM, e.Host, e.Cluster, e.Datacenter, e.Datastore, e.Network} {
		if _, found := cut(s, text); found {
			return true
		}
	}
	return false
}

// Test reports whether an event whose field has this value, or "" for none, passes the tests
// of that field.
func (f *Filter) Test(field Field, value string) bool {
	return !f.Tests(field) || f.fields[field].match(value)
}

// Tests reports whether the filter has tests of the field.
func (f *Filter) Tests(field Field) bool { return f != nil && f.fields[field] != nil }

// TestChain reports whether an event of this chain passes the tests of the chain.
func (f *Filter) TestChain(chain int32) bool {
	return f == nil || f.chain == nil || f.chain.match(chain)
}

// NeedsMessage reports whether fields and chain alone do not decide: there is a q, or an
// expression.
func (f *Filter) NeedsMessage() bool {
	return f != nil && (f.text != "" || f.expression != nil)
}

// String returns the filter as a query that is the same for filters that differ in order,
// case and repetition of values only. Filters with equal strings are equal. It is "" for a
// filter that passes everything.
func (f *Filter) String() string {
	if f.All() {
		return ""
	}
	var parts []string
	add := func(name string, values ...string) {
		for i, v := range values {
			values[i] = readable.Replace(url.QueryEscape(v))
		}
		parts = append(parts, name+"="+strings.Join(values, ","))
	}
	for i, n := range f.fields {
		if n != nil {
			add(Field(i).String(), append(negated(n.not.texts()), n.is.texts()...)...)
		}
	}
	if f.chain != nil {
		add("chain", append(negated(decimals(f.chain.not)), decimals(f.chain.is)...)...)
	}
	if f.text != "" {
		add("q", f.text)
	}
	if f.expression != nil {
		add("filter", f.expression.source)
	}
	return strings.Join(parts, "&")
}

// readable leaves in a query what need not be escaped there.
var readable = strings.NewReplacer("%2A", "*", "%21", "!")

func negated(texts []string) []string {
	for i := range texts {
		texts[i] = "!" + texts[i]
	}
	return texts
}

func decimals(numbers []int32) []string {
	var texts []string
	for _, n := range numbers {
		texts = append(texts, strconv.Itoa(int(n)))
	}
	return texts
}

// chains are what the parameter chain gives, each sorted.
type chains struct {
	is, not []int32
}

func (c *chains) match(chain int32) bool {
	return (len(c.is) == 0 || has(c.is, chain)) && !has(c.not, chain)
}

func has[T cmp.Ordered](values []T, v T) bool {
	_, found := slices.BinarySearch(values, v)
	return found
}
