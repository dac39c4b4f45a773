package filter_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"vstream"
	"vstream/internal/filter"
)

// expression compiles a CEL expression that must be good.
func expression(t testing.TB, source string) *filter.Filter {
	t.Helper()
	f, err := filter.Parse(url.Values{"filter": {source}})
	if err != nil {
		t.Fatalf("%.100s: %v", source, err)
	}
	return f
}

// event makes an event of a short name and its data, as JSON.
func event(shortName, data string, with ...func(*vstream.Event)) *vstream.Event {
	e := &vstream.Event{
		Offset: 7, Type: shortName, Class: "event", Severity: "info", User: `VSPHERE.LOCAL\Administrator`,
		VM: "web1", Host: "esx-01", Cluster: "prod", Datacenter: "dc1", Datastore: "ds1", Network: "vlan1",
		Time: time.Date(2026, 3, 2, 21, 30, 0, 0, time.UTC), Message: "what happened",
		JSON: []byte(`{"specversion":"1.0","id":"7","source":"https://vc1/sdk","type":"vmware.vsphere.` + shortName +
			`.v0","datacontenttype":"application/json","data":` + data + `,"eventclass":"event"}`),
	}
	for _, w := range with {
		w(e)
	}
	return e
}

func TestExpressionsSeeTheEvent(t *testing.T) {
	e := event("SomeEvent", `{"Key":7,"Big":9007199254740993,"Half":0.5,"Vm":{"Name":"web1","Vm":{"Value":"vm-5"}},"Host":null,
		"Flag":true,"List":[{"Key":"a","Value":"1"},{"Key":"b","Value":2}],"At":"2026-03-02T21:30:00Z"}`)
	for source, passes := range map[string]bool{
		`id == "7"`:                                 true,
		`type == "SomeEvent"`:                       true, // the short name
		`type(data) == map`:                         true,
		`source == "https://vc1/sdk"`:               true,
		`time == timestamp("2026-03-02T21:30:00Z")`: true,
		`time.getHours() == 21 && time.getHours("+02:00") == 23`:                                                   true,
		`time > timestamp(data.At) - duration("1h")`:                                                               true,
		`eventclass == "event" && severity == "info"`:                                                              true,
		`user.endsWith("\\Administrator")`:                                                                         true,
		`[vm, host, cluster, datacenter, datastore, network] == ["web1", "esx-01", "prod", "dc1", "ds1", "vlan1"]`: true,
		`vcenter == "vc1"`:                                        true,
		`message.contains("happened")`:                            true,
		`message.upperAscii() == "WHAT HAPPENED"`:                 true,
		`vm.matches("^web[0-9]+$")`:                               true,
		`vm.matches("^db")`:                                       false,
		`dyn(vm).matches("^web")`:                                 true,
		`matches(vm, "^web")`:                                     true,
		`data.Vm.Name == vm`:                                      true,
		`data.Vm.Name == data.Vm.Vm.Value`:                        false,
		`data.Vm.Name != data.Vm.Vm.Value`:                        true,
		`data.Key == 7`:                                           true,
		`data.Key > 6 && data.Key < 7.5`:                          true,
		`data.Key + 1 == 8`:                                       true,
		`data.Big == 9007199254740993`:                            true, // exact
		`data.Big == 9007199254740992`:                            false,
		`data.Half == 0.5`:                                        true,
		`data.Flag == true`:                                       true,
		`data.Host == null`:                                       true,
		`data.Host.Name == "esx-01"`:                              false, // there is no host
		`!(data.Host.Name == "esx-01")`:                           false, // neither
		`data.Host == null || data.Host.Name != "esx-01"`:         true,
		`has(data.Vm) && has(data.Vm.Name) && !has(data.Nothing)`: true,
		`data.Nothing == 1`:                                       false,
		`data.Vm > 5`:                                             false, // no such overload
		`1 / (data.Key - 7) == 1`:                                 false, // division by zero
		`data.List.exists(p, p.Key == "b" && p.Value == 2)`:       true,
		`data.List.all(p, p.Key != "a")`:                          false,
		`data.List[5].Key == "a"`:                                 false,
		`data.List == data.List && data != data.List`:             true,
		`"a" in data.List.map(p, p.Key)`:                          true,
		`data.Vm.Name in data.List.map(p, p.Key)`:                 false,
		`vm in ["web1", "web2"]`:                                  true,
		`dyn(b"x") in ["a"]`:                                      false, // panics in cel-go: it cannot be hashed
		`"Key" in data`:                                           true,
		`data.Key in data`:                                        false,
		`data.Vm.Name in data.Key`:                                false,
		`type.split("E")[0] == "Some"`:                            true,
	} {
		if got := matches(t, expression(t, source), e); got != passes {
			t.Errorf("%s: passes is %t, want %t", source, got, passes)
		}
	}
}

func TestEventsThatCannotBeReadDoNotPass(t *testing.T) {
	for _, text := range []string{"", "{", "[]", `{"data":`, `{"source":5}`, `{"data":null}`, `{"source":`, "5"} {
		e := &vstream.Event{JSON: []byte(text)}
		for _, source := range []string{`data.Key == 1`, `data != null`, `source == ""`} {
			if matches(t, expression(t, source), e) {
				t.Errorf("%s passes %q", source, text)
			}
		}
	}
}

func TestTheSourceIsFoundWithoutReadingTheRest(t *testing.T) {
	e := &vstream.Event{JSON: []byte(`{"specversion":"1.0","source":"here", broken`)}
	if !matches(t, expression(t, `source == "here"`), e) {
		t.Error("it does not pass")
	}
}

func TestWrongExpressionsAreRefusedWithPlaceAndReason(t *testing.T) {
	for _, c := range []struct {
		source       string
		line, column int
		detail       string
	}{
		{`vm == foo`, 1, 7, `undeclared reference to 'foo'`},
		{"vm == 'x' &&\n  foo == 1", 2, 3, `undeclared reference to 'foo'`},
		{`vm == 'ööö' && foo == 1`, 1, 16, `undeclared reference to 'foo'`},
		{`  foo == 1`, 1, 3, `undeclared reference to 'foo'`},
		{`vm = 1`, 1, 4, `Syntax error: token recognition error at: '= '; equality is written ==`},
		{`vm == 1`, 1, 4, `found no matching overload for '_==_' applied to '(string, int)'`},
		{`vm`, 1, 1, `the result is not bool but string; compare it with something`},
		{`data.Flag`, 1, 1, `the result is not bool but dyn; compare it with something`},
		{`vm.matches("(")`, 1, 12, "error parsing regexp: missing closing ): `(`"},
		{`vm.matches(host)`, 1, 12, `the pattern of matches must be written as it is, not computed`},
		{`vm.matches("` + strings.Repeat("x", 257) + `")`, 1, 12, `the pattern of matches has more than 256 bytes; shorten it`},
		{`vm.matches("(x{500}){2}")`, 1, 12, `the regular expressions are too large; shorten them, or count less with {}`},
		{`vm.indexOf("x") == 1`, 1, 11, `indexOf is not available in a filter; use contains or matches`},
		{`vm.replace("", vm) == ""`, 1, 11, `replace is not available in a filter`},
		{`[vm].join(vm) == ""`, 1, 10, `join is not available in a filter`},
		{`"%s".format([vm]) == ""`, 1, 12, `undeclared reference to 'format'`},
		{`strings.quote(vm) == ""`, 1, 1, `undeclared reference to 'strings' (did you mean 'string'?)`},
		{`google.protobuf.Int32Value{value: 1} == 1`, 1, 27, `messages cannot be made in a filter`},
		{`severity >= "warning"`, 1, 10, `severities have no order; write severity in ["warning", "error"]`},
		{`!("info" < severity)`, 1, 10, `severities have no order; write severity in ["warning", "error"]`},
		{`time > timestamp("x")`, 1, 18, `invalid timestamp argument`},
		{`time - time > duration("x")`, 1, 24, `invalid duration argument`},
		{`[1].map(a, a).map(a, a).map(a, a).map(a, a).map(a, a) == []`, 1, 8, `comprehension exceeds nesting limit`},
	} {
		e := refused(t, url.Values{"filter": {c.source}})
		want := fmt.Sprintf("invalid filter: %d:%d: %s", c.line, c.column, c.detail)
		if e.Detail != want || len(e.Issues) == 0 || e.Issues[0] != (filter.Issue{Line: c.line, Column: c.column, Message: c.detail}) {
			t.Errorf("%.60s: the error is\n%s\n%v, want\n%s", c.source, e.Detail, e.Issues, want)
		}
	}
	if e := refused(t, url.Values{"filter": {"foo == bar"}}); len(e.Issues) != 2 {
		t.Errorf("the issues are %v, want two", e.Issues)
	}
}

func TestLongExpressionsAreAcceptedWhereTheyAreFlat(t *testing.T) {
	for _, source := range []string{
		strings.Repeat(`vm == "web1" || `, 200) + "true",
		strings.Repeat(`vm == "web1" && `, 200) + "true",
		`vm + "` + strings.Repeat(`" + "`, 20) + `" == ""`,
		strings.Repeat(`severity == "info" ? true : `, 9) + "false",
		strings.Repeat(`(`, 12) + "true" + strings.Repeat(`)`, 12),
		`vm in ["` + strings.Repeat(`web1", "`, 400) + `"]`,
		`data` + strings.Repeat(`.a`, 25) + ` == 1`,
	} {
		expression(t, source)
	}
}

// crooked are texts that hurt parsers when they are repeated.
var crooked = []string{"!!(!!!!!!(!!!!(((((!!(!!(!!!!((", "(", "[", "{", "a?", "a?b:", "-", "!-", "a.", "a[", "a(", "1+", "a||", "a&&b||", `"a"+`,
	"{a:", "[a,", "a{", "a.b{c:", "((a)+", "?", ")", "$", `"`, "a ", "[1].map(x,", "a?[b:c,{", "!(a)?(b:", "`a`.", "\xff", "ä", "\n", "a in ", "true||exists(`a`b'-", "dataexists(!!x,==intrue"}

func TestCrookedExpressionsAreRefusedInFewWords(t *testing.T) {
	for _, motif := range crooked {
		for _, length := range []int{40, 400, 4096} {
			_, err := filter.Parse(url.Values{"filter": {strings.Repeat(motif, length/len(motif))}})
			var e *filter.Error
			if err == nil && strings.TrimSpace(motif) == "" {
				continue
			}
			if !errors.As(err, &e) || len(e.Detail) > 400 || len(e.Issues) > 10 {
				t.Errorf("%q: the error is %.500v", motif, err)
			}
		}
	}
}

// large returns an event of half a megabyte: a list, a text and an object with many members.
func large(t testing.TB) *vstream.Event {
	t.Helper()
	data := map[string]any{"S": strings.Repeat("a", 200_000), "One": "1", "Two": "2"}
	list := make([]any, 70_000)
	for i := range list {
		list[i] = "x"
	}
	data["L"] = list
	for i := range 20 {
		data[fmt.Sprint("k", i)] = i
	}
	text, err := json.Marshal(data)
	if err != nil {
		t.Fatal(err)
	}
	e := event("LargeEvent", string(text))
	e.Message = strings.Repeat("b", 100_000)
	return e
}

// costly are expressions that would run for long, or take much memory, on a large event.
var costly = []string{
	`data.L.all(x, x == "x")`,
	`data.L.all(x, data.L.all(y, y == x))`,
	`data == data`,
	`data.L == data.L`,
	`data.L != data.L`,
	`[data.L] == [data.L]`,
	`{"a": data.L} == {"a": data.L}`,
	`data.L.exists(x, [data.L, data.S] == [1])`,
	`data.L.exists(x, {"a": data.L, "b": 1} == {"a": x, "b": 2})`,
	`data.L.exists(x, data.L in [1])`,
	`data.L.exists(x, data.L in data.k1)`,
	`data.L.exists(x, data[data.S] == 1)`,
	`data.L.exists(x, size(data.S) == 0)`,
	`data.L.exists(x, data.S.contains("b"))`,
	`data.L.exists(x, data.S == data.S + "x")`,
	`data.L.exists(x, data.S in data.L)`,
	`data.L.exists(x, x + "y" in data.L)`,
	`data.L.exists(x, "y" in data.L)`,
	`data.L.exists(x, x.matches("y$"))`,
	`data.L.exists(x, data.S.matches("y$"))`,
	`message.matches("[a-z]*.*x.{100}")`,
	`data.L.exists(x, message.matches(".*.*.*x"))`,
	`message.split("").size() == 0`,
	`data.L.exists(x, data.S.lowerAscii() == "")`,
	`data.L.exists(x, time.getHours("Europe/Berlin") == 77)`,
	`data.L.exists(x, time.getHours("+01:00") == 77)`,
	`data.L.exists(x, timestamp(x) == time)`,
	`data.L.exists(x, int(data.S) == 7)`,
	`data.L.exists(x, bytes(data.S) == b"")`,
	`data.L.map(x, data.L.map(y, [x, y])).size() == 0`,
	`data.L.map(x, data.S + x).size() == 0`,
	// lists and texts that grow with a power of the expression's length
	`[message].map(a, a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a)[0] == ""`,
	`"z" in [data.L].map(a, a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a)[0]`,
	`[data.L].map(a, a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a).map(a, a+a+a+a+a+a+a+a+a)[0].exists(x, x == "z")`,
	`[1].map(a, [a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a]).map(a, [a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a]).map(a, ` +
		`[a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a]).map(a, [a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a] == [a,a,a,a,a,a,a,a,a,a,a,a,a,a,a,a]) == []`,
}

func TestCostlyExpressionsEndAtTheLimit(t *testing.T) {
	e := large(t)
	for _, source := range costly {
		passes, err := expression(t, source).Match("vc1", e)
		var cost *filter.CostError
		if !errors.As(err, &cost) || passes {
			t.Errorf("%.80s: passes is %t, error %v; want a *CostError", source, passes, err)
			continue
		}
		if cost.Offset != e.Offset || cost.Limit == 0 || !strings.Contains(err.Error(), "on event 7") {
			t.Errorf("%.80s: the error is %v", source, err)
		}
	}
}

func TestOrdinaryExpressionsCostLittleOnLargeEvents(t *testing.T) {
	e := large(t)
	for _, source := range []string{`message.contains("x")`, `message.startsWith("b")`, `data.S.lowerAscii() == ""`, `data.One == data.Two`,
		`data.L.size() == 1`, `"x" in ["a", "b"]`, `message.matches("x$")`, `data.L == []`, `data.L[3] == data.One`} {
		if _, err := expression(t, source).Match("vc1", e); err != nil {
			t.Errorf("%s: %v", source, err)
		}
	}
}

func TestAFilterMayBeUsedByManyAtOnce(t *testing.T) {
	f := expression(t, `data.List.exists(p, p == 3) && vm.matches("^web") && data.List == data.List`)
	e := event("X", `{"List":[1,2,3]}`)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 100 {
				if passes, err := f.Match("vc1", e); !passes || err != nil {
					t.Errorf("passes is %t, error %v", passes, err)
					return
				}
			}
		})
	}
	all.Wait()
}

func TestTheFieldsOfAnExpressionAreThoseOfTheContract(t *testing.T) {
	names := strings.Fields("id type source eventclass severity user vm host cluster datacenter datastore network vcenter message")
	for _, name := range names {
		expression(t, name+` == ""`)
	}
	expression(t, `time > timestamp("2026-01-01T00:00:00Z") && data.x == 1`)
}

// documented tells for each expression in docs/filters.md an event that passes and one that
// does not.
var documented = map[string][2]*vstream.Event{
	`type.startsWith("VmPowered") && vm.startsWith("prod-") && !user.endsWith("svc-backup")`: {
		event("VmPoweredOffEvent", `{}`, func(e *vstream.Event) { e.VM = "prod-db" }),
		event("VmPoweredOffEvent", `{}`, func(e *vstream.Event) { e.VM, e.User = "prod-db", `CORP\svc-backup` }),
	},
	`severity == "error" || (severity == "warning" && cluster in ["prod-a", "prod-b"])`: {
		event("X", `{}`, func(e *vstream.Event) { e.Severity, e.Cluster = "warning", "prod-b" }),
		event("X", `{}`, func(e *vstream.Event) { e.Severity, e.Cluster = "warning", "test" }),
	},
	`type == "UserLoginSessionEvent" && !data.IpAddress.startsWith("10.")`: {
		event("UserLoginSessionEvent", `{"IpAddress":"192.0.2.7"}`),
		event("UserLoginSessionEvent", `{"IpAddress":"10.20.30.40"}`),
	},
	`type == "UserLogoutSessionEvent" && data.CallCount > 10000`: {
		event("UserLogoutSessionEvent", `{"CallCount":20000}`),
		event("UserLogoutSessionEvent", `{"CallCount":17}`),
	},
	`user.contains("Administrator") && (time.getHours("+01:00") < 7 || time.getHours("+01:00") >= 19)`: {
		event("X", `{}`),
		event("X", `{}`, func(e *vstream.Event) { e.Time = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC) }),
	},
	`type == "AlarmStatusChangedEvent" && data.To == "red"`: {
		event("AlarmStatusChangedEvent", `{"From":"yellow","To":"red"}`),
		event("AlarmStatusChangedEvent", `{"From":"red","To":"green"}`),
	},
	`type in ["VmMigratedEvent", "DrsVmMigratedEvent"] && data.SourceHost.Name != data.Host.Name`: {
		event("DrsVmMigratedEvent", `{"SourceHost":{"Name":"esx-01"},"Host":{"Name":"esx-02"}}`),
		event("DrsVmMigratedEvent", `{"SourceHost":{"Name":"esx-01"},"Host":{"Name":"esx-01"}}`),
	},
	`type == "VmReconfiguredEvent" && (data.ConfigSpec.MemoryMB > 65536 || data.ConfigSpec.NumCPUs > 16)`: {
		event("VmReconfiguredEvent", `{"ConfigSpec":{"MemoryMB":131072,"NumCPUs":0}}`),
		event("VmReconfiguredEvent", `{"ConfigSpec":{"MemoryMB":4096,"NumCPUs":2}}`),
	},
	`eventclass == "eventex" && data.Arguments.exists(a, a.Key == "vmName" && a.Value == "web1")`: {
		event("com.example.X", `{"Arguments":[{"Key":"vmName","Value":"web1"}]}`, func(e *vstream.Event) { e.Class = "eventex" }),
		event("com.example.X", `{"Arguments":null}`, func(e *vstream.Event) { e.Class = "eventex" }),
	},
	`message.matches("(?i)lost (access|connectivity)")`: {
		event("X", `{}`, func(e *vstream.Event) { e.Message = "Lost access to volume ds1" }),
		event("X", `{}`),
	},
	`host == "" && vm == "" && user != ""`: {
		event("X", `{}`, func(e *vstream.Event) { e.Host, e.VM = "", "" }),
		event("X", `{}`),
	},
	`data.Vm == null || data.Vm.Name != "noisy"`: {
		event("X", `{"Vm":null}`),
		event("X", `{"Vm":{"Name":"noisy"}}`),
	},
}

func TestTheExpressionsOfTheDocumentationDoWhatItSays(t *testing.T) {
	text, err := os.ReadFile("../../docs/filters.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?s)```cel\n(.*?)\n```").FindAllSubmatch(text, -1)
	if len(found) < 10 {
		t.Errorf("there are %d expressions, want 10", len(found))
	}
	for _, f := range found {
		source := string(bytes.TrimSpace(f[1]))
		events, known := documented[source]
		if !known {
			t.Errorf("no events are known for %s", source)
			continue
		}
		x := expression(t, source)
		if !matches(t, x, events[0]) || matches(t, x, events[1]) {
			t.Errorf("%s does not tell the events apart", source)
		}
	}
	queries := regexp.MustCompile("(?m)^\\| `([a-z]+=[^`]*)` \\|").FindAllSubmatch(text, -1)
	if len(queries) < 5 {
		t.Errorf("there are %d queries, want 5", len(queries))
	}
	for _, q := range queries {
		parse(t, string(q[1]))
	}
}
