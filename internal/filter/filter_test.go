package filter_test

import (
	"errors"
	"net/url"
	"slices"
	"strings"
	"testing"

	"vstream"
	"vstream/internal/filter"
)

// parse compiles a query that must be good.
func parse(t testing.TB, query string) *filter.Filter {
	t.Helper()
	values, err := url.ParseQuery(query)
	if err != nil {
		t.Fatal(err)
	}
	f, err := filter.Parse(values)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return f
}

// refused returns the error of a query that must be bad.
func refused(t testing.TB, query url.Values) *filter.Error {
	t.Helper()
	_, err := filter.Parse(query)
	var e *filter.Error
	if !errors.As(err, &e) {
		t.Fatalf("%.80v: the error is %v, want an *Error", query, err)
	}
	return e
}

// matches reports whether an event passes a filter on which it cannot cost too much.
func matches(t testing.TB, f *filter.Filter, e *vstream.Event) bool {
	t.Helper()
	passes, err := f.Match("vc1", e)
	if err != nil {
		t.Fatal(err)
	}
	return passes
}

var poweredOn = &vstream.Event{
	Offset: 44, Type: "VmPoweredOnEvent", Class: "event", Severity: "info", Chain: 43,
	User: `VSPHERE.LOCAL\Administrator`, VM: "web1", Host: "esx-01.example.com", Cluster: "Größe", Datacenter: "DC 1",
	Message: "web1 on esx-01.example.com in DC 1 has powered on",
	JSON:    []byte(`{"specversion":"1.0","id":"44","source":"https://vc1/sdk","data":{"Key":44,"Vm":{"Name":"web1"}}}`),
}

func TestFieldsAreTestedAsDocumented(t *testing.T) {
	for _, c := range []struct {
		query  string
		passes bool
	}{
		{"", true},
		{"vm=", true},
		{"vm=,,", true},
		{"vm=web1", true},
		{"vm=WEB1", true},
		{"vm=web", false},
		{"vm=web11", false},
		{"vm=db1,web1", true},
		{"vm=db1&vm=web1", true},
		{"vm=db1, web1 ", true},
		{"vm=db1,db2", false},
		{"vm=a,b,c,d,e,web1", true}, // more than a few
		{"vm=a,b,c,d,e,WEB1", true},
		{"vm=a,b,c,d,e,web11", false},
		{"vm=a,b,c,d,e,web*", true},
		{"vm=web1&host=esx-01.example.com", true},
		{"vm=web1&host=esx-02.example.com", false},
		{"vm=db1&host=esx-01.example.com", false},
		{"vm=web*", true},
		{"vm=*1", true},
		{"vm=w*b*1", true},
		{"vm=W*B*", true},
		{"vm=web1*", true},
		{"vm=web1*1", false}, // one character is not two
		{"vm=*db*", false},
		{"vm=*", true},
		{"vm=**", true},
		{"datastore=*", false}, // has none
		{"datastore=!*", true},
		{"vm=!*", false},
		{"datastore=ds1", false},
		{"datastore=!ds1", true}, // an event without the field matches the negation
		{"datastore=!ds*", true},
		{"datastore=!ds1,ds2", false},
		{"vm=!web1", false},
		{"vm=!WEB*", false},
		{"vm=!db1", true},
		{"vm=!db1,!db2", true},
		{"vm=!db1,!web1", false}, // neither one nor the other
		{"vm=!db1&vm=!web1", false},
		{"vm=web*,!web3", true},
		{"vm=web*,!web1", false},
		{"vm=db*,!db1", false},
		{"cluster=grösse", false}, // simple folding keeps ß
		{"cluster=GRÖßE", true},
		{"cluster=gr*E", true},
		{"cluster=gr%C3%96*", true},
		{"host=ESX-01.*", true},
		{"host=esx-01.example.com", true},
		{"datacenter=dc 1", true},
		{"user=*\\administrator", true},
		{"user=VSPHERE.LOCAL\\*", true},
		{"network=vlan1", false},
		{"vcenter=VC1", true},
		{"vcenter=vc2", false},
		{"vcenter=!vc2", true},
		{"type=VmPoweredOnEvent", true},
		{"type=vmpoweredonevent", true},
		{"type=Vm*", true},
		{"type=!Vm*", false},
		{"type=vmware.vsphere.VmPoweredOnEvent.v0", true},
		{"type=com.vmware.vsphere.VmPowered*Event.v0", true},
		{"type=vmware.vsphere.*.v0", true},
		{"type=!vmware.vsphere.VmPoweredOnEvent.v0", false},
		{"type=vmware.vsphere.VmPoweredOnEvent.v1", false},
		{"type=vmware.vsphere..v0", false},
		{"eventclass=event", true},
		{"eventclass=Event", true},
		{"eventclass=eventex,extendedevent,unknown", false},
		{"eventclass=event*", true},
		{"severity=info", true},
		{"severity=INFO,warning", true},
		{"severity=!info", false},
		{"severity=error", false},
		{"severity=w*,e*", false},
		{"chain=43", true},
		{"chain=44", false},
		{"chain=44,43", true},
		{"chain=!43", false},
		{"chain=!44,!45", true},
		{"chain=43,!43", false},
		{"chain=-5", false},
		{"q=POWERED ON", true},
		{"q=powered off", false},
		{"q=größe", true},
		{"q=adminis", true},
		{"q=VmPowered", true},
		{"q=web1", true},
		{"q=esx-01", true},
		{"q=dc 1", true},
		{"q=vc1", false}, // not a part of the event
		{"q=&q=powered", true},
		{"filter=", true},
		{"filter=%20", true},
		{"filter=vm == 'web1'", true},
		{"filter=vm == 'web2'", false},
		{"vm=web1&q=powered&filter=severity == 'info'", true},
		{"vm=web1&q=powered&filter=severity == 'error'", false},
		{"vm=web2&q=powered&filter=severity == 'info'", false},
		{"watch=true&offset=5&limit=x", true}, // others' parameters
	} {
		f := parse(t, c.query)
		if got := matches(t, f, poweredOn); got != c.passes {
			t.Errorf("%s: passes is %t, want %t", c.query, got, c.passes)
		}
	}
}

func TestBadValuesAreRefusedAndTheErrorSaysWhatToDo(t *testing.T) {
	many := strings.Repeat("a,", 201)
	long := strings.Repeat("a", 513)
	for _, c := range []struct{ parameter, value, detail string }{
		{"severity", "eror", `invalid severity: there is no "eror"; did you mean "error"?`},
		{"severity", "!Warnings", `invalid severity: there is no "Warnings"; did you mean "warning"?`},
		{"severity", "catastrophe", `invalid severity: there is no "catastrophe"; known are info, warning, error, user`},
		{"eventclass", "evnt", `invalid eventclass: there is no "evnt"; did you mean "event"?`},
		{"vm", "!", "invalid vm: there is nothing after a !; use !* for events that have none"},
		{"vm", many, "invalid vm: there are more than 200 values; use a * for several of them"},
		{"host", long, `invalid host: "` + long[:40] + `"… has more than 512 bytes; use a * for a part of it`},
		{"user", "a\xff", `invalid user: "a\xff" is not UTF-8`},
		{"chain", "x", `invalid chain: "x" is not a number of 32 bits; use the ChainId of an event`},
		{"chain", "2147483648", `invalid chain: "2147483648" is not a number of 32 bits; use the ChainId of an event`},
		{"q", strings.Repeat("ä", 257), "invalid q: it has more than 256 characters; shorten it"},
		{"q", "\xff", "invalid q: it is not UTF-8"},
		{"filter", "true ||" + strings.Repeat(" ", 4086) + "true", "invalid filter: it has more than 4096 bytes; shorten it"},
	} {
		e := refused(t, url.Values{c.parameter: {c.value}})
		if e.Parameter != c.parameter || e.Detail != c.detail || e.Error() != e.Detail {
			t.Errorf("%s=%.40s: the error is\n%q, want\n%q", c.parameter, c.value, e.Detail, c.detail)
		}
	}
	for _, name := range []string{"q", "filter"} {
		if e := refused(t, url.Values{name: {"true", "false"}}); e.Detail != "invalid "+name+": it is given more than once; give it once" {
			t.Errorf("%s twice: the error is %q", name, e.Detail)
		}
	}
	parse(t, "q="+strings.Repeat("%C3%A4", 256))
	parse(t, "vm="+strings.Repeat("a,", 200)+"&vm=,")
}

func TestEachFieldTestsItsField(t *testing.T) {
	e := &vstream.Event{Type: "type", Class: "eventclass", Severity: "severity", VM: "vm", Host: "host", Cluster: "cluster",
		Datacenter: "datacenter", Datastore: "datastore", Network: "network", User: "user"}
	for i := range filter.Fields {
		field := filter.Field(i)
		if got := field.Of("vcenter", e); got != field.String() {
			t.Errorf("%v of the event is %q", field, got)
		}
	}
	want := []string{"type", "eventclass", "severity", "vm", "host", "cluster", "datacenter", "datastore", "network", "user",
		"vcenter", "chain", "q", "filter"}
	if got := filter.Parameters(); !slices.Equal(got, want) {
		t.Errorf("parameters are %v, want %v", got, want)
	}
}

func TestOneFieldCanBeTestedByItself(t *testing.T) {
	f := parse(t, "vm=web*&severity=!info&chain=7")
	if !f.Tests(filter.VM) || !f.Tests(filter.Severity) || f.Tests(filter.Host) {
		t.Error("it does not know which fields it tests")
	}
	if !f.Test(filter.VM, "web1") || f.Test(filter.VM, "db1") || f.Test(filter.VM, "") {
		t.Error("the test of vm is wrong")
	}
	if f.Test(filter.Severity, "info") || !f.Test(filter.Severity, "") || !f.Test(filter.Host, "any") {
		t.Error("the tests of severity and host are wrong")
	}
	if !f.TestChain(7) || f.TestChain(8) {
		t.Error("the test of chain is wrong")
	}
	if f.All() || f.NeedsMessage() {
		t.Error("it says that it passes everything, or needs the message")
	}
	for _, query := range []string{"q=x", "filter=true"} {
		if f := parse(t, query); f.All() || !f.NeedsMessage() {
			t.Errorf("%s: it says that it passes everything, or does not need the message", query)
		}
	}
}

func TestNoFilterAndAnEmptyOnePassEverything(t *testing.T) {
	for _, f := range []*filter.Filter{nil, parse(t, ""), parse(t, "vm=&q=&filter=")} {
		passes, err := f.Match("vc1", poweredOn)
		if !passes || err != nil || !f.All() || f.NeedsMessage() || f.Tests(filter.VM) || !f.Test(filter.VM, "x") ||
			!f.TestChain(1) || f.String() != "" {
			t.Errorf("%v does not pass everything", f)
		}
	}
}

func TestFiltersThatMeanTheSameAreWrittenTheSame(t *testing.T) {
	for _, c := range []struct{ a, b, written string }{
		{"vm=b,A&vm=a", "vm=a,B", "vm=a,b"},
		{"vm=!b,a,!B", "vm=a,!b", "vm=!b,a"},
		{"vm=a**&vm=a*", "vm=A*", "vm=a*"},
		{"host=x&vm=y", "vm=Y&host=X", "vm=y&host=x"},
		{"chain=5,3,!7,5", "chain=3,!7,5", "chain=!7,3,5"},
		{"q=Powered ON", "q=powered on", "q=powered+on"},
		{"type=vmware.vsphere.VmPoweredOnEvent.v0", "type=VmPoweredOnEvent", "type=vmpoweredonevent"},
		{"filter=%20true%0A", "filter=true", "filter=true"},
		{"vm=%E2%84%AA", "vm=k", "vm=k"}, // the Kelvin sign
		{"vm=a%26b=c%25", "vm=A%26B=C%25", "vm=a%26b%3Dc%25"},
		{"severity=&offset=3", "", ""},
	} {
		a, b := parse(t, c.a), parse(t, c.b)
		if a.String() != c.written || b.String() != c.written {
			t.Errorf("%s is written %s, and %s is written %s; want %s", c.a, a, c.b, b, c.written)
		}
		if again := parse(t, a.String()); again.String() != a.String() {
			t.Errorf("%s, parsed, is written %s", a, again)
		}
	}
	written := map[string]string{}
	for _, query := range []string{"vm=a", "vm=!a", "vm=a*", "host=a", "vm=a,b", "q=a", "chain=1", "chain=!1", "filter=true",
		"filter=vm == 'A'", "filter=vm == 'a'", "q=a%26vm=b", "q=a&vm=b", "vm=%C4%B0", "vm=i",
		"type=!a", "type=!!a", "type=vmware.vsphere.!a.v0", "type=!vmware.vsphere.!a.v0"} {
		s := parse(t, query).String()
		if other, found := written[s]; found {
			t.Errorf("%s and %s are both written %s", query, other, s)
		}
		written[s] = query
	}
}

// reference matches a folded pattern rune by rune, in the plainest way.
func reference(pattern, value []rune) bool {
	reach := make([]bool, len(value)+1) // whether the pattern so far describes value up to here
	reach[0] = true
	for _, p := range pattern {
		next := make([]bool, len(value)+1)
		for i := range reach {
			if p == '*' {
				next[i] = reach[i] || i > 0 && next[i-1]
			} else if i > 0 {
				next[i] = reach[i-1] && strings.EqualFold(string(value[i-1]), string(p))
			}
		}
		reach = next
	}
	return reach[len(value)]
}

func FuzzGlob(f *testing.F) {
	for _, seed := range [][2]string{
		{"web*", "web1"}, {"*", "x"}, {"a*a", "a"}, {"*ab*ab", "abab"}, {"*ab*ab", "ab"}, {"a*b*c", "aXbXbc"}, {"*aab", "aaaab"},
		{"K*", "\u212aelvin"}, {"*ſ", "S"}, {"ß*", "SS"}, {"*a*a*a*a*b", strings.Repeat("a", 60)}, {"x", "X"}, {"Ⱥ*ⱥ", "ȺxȺ"},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, pattern, value string) {
		if strings.ContainsAny(pattern, ",!") || len(pattern) > 100 || len(value) > 1000 || value == "" {
			return
		}
		pattern = strings.TrimSpace(strings.ToValidUTF8(pattern, "?"))
		if pattern == "" {
			return
		}
		compiled, err := filter.Parse(url.Values{"vm": {pattern}})
		if err != nil {
			t.Fatal(err)
		}
		want := reference([]rune(pattern), []rune(value))
		if got := compiled.Test(filter.VM, value); got != want {
			t.Errorf("%q on %q is %t, want %t", pattern, value, got, want)
		}
		more, err := filter.Parse(url.Values{"vm": {"1,2,3,4,5", pattern}}) // a set looked up, not compared
		if err != nil {
			t.Fatal(err)
		}
		if got := more.Test(filter.VM, value); got != want && (len(value) > 1 || value < "1" || value > "5") {
			t.Errorf("%q among others on %q is %t, want %t", pattern, value, got, want)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "vm=web*,!web3&severity=error&chain=!5,7", "q=powered&type=!*", "vm=**a**&vm=!", "severity=eror", "chain=99999999999",
		"filter=vm == 'web1' %26%26 data.Vm.Name.startsWith('web')", "filter=data.L.exists(x, x == data)", "filter=[[1]].map(a,a%2Ba)[0] == data.L",
		"filter=message.matches('(a|b)*c')", "filter=!!(!!!(((!!", "filter=google.protobuf.Any{}", "filter=time.getHours('Europe/Berlin') > 5",
		"filter=size(data) > 3 ? true : vm in ['a', 1]", "filter=dyn(b'x') in ['a']", "filter=1/0 == data.Key", "filter='\\u0000' == \"", "%ff=%ff&vm=%ff",
	} {
		f.Add(seed)
	}
	samples := []*vstream.Event{poweredOn, {}, {Message: strings.Repeat("ab", 500), JSON: []byte(`{"data":{"L":[1,[2],{"a":null}],"S":"x"}}`)}, {JSON: []byte(`[`)}}
	f.Fuzz(func(t *testing.T, query string) {
		if len(query) > 20_000 {
			return
		}
		values, _ := url.ParseQuery(query)
		compiled, err := filter.Parse(values)
		if err != nil {
			var e *filter.Error
			if !errors.As(err, &e) || e.Parameter == "" || len(e.Detail) > 1000 || len(e.Issues) > 10 {
				t.Fatalf("the error is %v", err)
			}
			return
		}
		for _, e := range samples {
			var cost *filter.CostError
			if _, err := compiled.Match("vc1", e); err != nil && !errors.As(err, &cost) {
				t.Fatal(err)
			}
		}
		written, err := url.ParseQuery(compiled.String())
		if err != nil {
			t.Fatal(err)
		}
		again, err := filter.Parse(written)
		if err != nil || again.String() != compiled.String() {
			t.Fatalf("%s, parsed, is %s (%v)", compiled, again, err)
		}
	})
}

// various are filters that need no expression, of every kind.
var various = []string{
	"vm=web1,web2", "vm=!a,!b,!c,!d,!web1,!f", "vm=WEB*", "host=*.example.com", "cluster=*RÖ*E", "type=Vm*&severity=info,warning",
	"chain=1,2,43", "q=powered on", "q=nowhere", "user=!*\\administrator", "vcenter=vc1",
}

func TestTestingAnEventAllocatesNothing(t *testing.T) {
	for _, query := range various {
		f := parse(t, query)
		if n := testing.AllocsPerRun(100, func() { _, _ = f.Match("vc1", poweredOn) }); n != 0 {
			t.Errorf("%s: %v allocations", query, n)
		}
	}
}
