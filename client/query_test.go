package client_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"vstream"
	"vstream/client"
)

// at is a time of a zone that is not UTC.
var at = time.Date(2026, 11, 22, 10, 0, 0, 500e6, time.FixedZone("CET", 3600))

func TestEachOptionIsAParameterThatTheServerTakes(t *testing.T) {
	v := newVCenter("vc1", 2000)
	v.add(1, 1)
	s := serve(t, v)
	c := newClient(t, s.url())
	for _, q := range []struct {
		options []client.ReadOption
		want    string
	}{
		{nil, ""},
		{[]client.ReadOption{client.Type("VmPowered*", "esx.*"), client.Type("x")}, "type=VmPowered*&type=esx.*&type=x"},
		{[]client.ReadOption{client.Class("event")}, "eventclass=event"},
		{[]client.ReadOption{client.Severity("error", "warning")}, "severity=error&severity=warning"},
		{[]client.ReadOption{client.VM("!web*"), client.Host("h"), client.Cluster("c"), client.Datacenter("d"), client.Datastore("s"), client.Network("n")},
			"cluster=c&datacenter=d&datastore=s&host=h&network=n&vm=!web*"},
		{[]client.ReadOption{client.User(`LAB\amara`), client.VCenter("vc1"), client.Chain(4711, 1)}, `chain=4711&chain=1&user=LAB\amara&vcenter=vc1`},
		{[]client.ReadOption{client.Text("powered on"), client.Filter(`vm == "a&b"`)}, `filter=vm == "a%26b"&q=powered on`},
		{[]client.ReadOption{client.Offset(1), client.Limit(3)}, "limit=3&offset=1"},
		{[]client.ReadOption{client.Earliest()}, "offset=earliest"},
		{[]client.ReadOption{client.Latest()}, "offset=latest"},
		{[]client.ReadOption{client.Now()}, "offset=now"},
		{[]client.ReadOption{client.Last(7)}, "limit=7"},
		{[]client.ReadOption{client.Last(7), client.Limit(3)}, "limit=3"},
		{[]client.ReadOption{client.Last(0)}, "offset=now"},
		{[]client.ReadOption{client.Since(at), client.Until(at.Add(time.Second))}, "since=2026-11-22T09:00:00.5Z&until=2026-11-22T09:00:01.5Z"},
		{[]client.ReadOption{client.Ago(90 * time.Minute)}, "since=1h30m0s"},
		{[]client.ReadOption{client.After(vstream.Cursor{"vc1": {Offset: 0}})}, "cursor=vc1.0"},
		{[]client.ReadOption{client.After(nil)}, "cursor=~"},
		{[]client.ReadOption{client.Heartbeat(90 * time.Second)}, "heartbeat=1m30s"},
	} {
		query, err := client.QueryOf(q.options...)
		if err != nil {
			t.Errorf("%s: %v", q.want, err)
			continue
		}
		got, err := url.QueryUnescape(strings.ReplaceAll(query.Values().Encode(), "%26", "%2526"))
		if err != nil || got != q.want {
			t.Errorf("the query is %s, %v; want %s", got, err, q.want)
		}
		address, err := c.URL(q.options...)
		if want := s.url() + "/api/v1/events"; err != nil || !strings.HasPrefix(address, want) || strings.TrimPrefix(strings.TrimPrefix(address, want), "?") != query.Values().Encode() {
			t.Errorf("the address is %s, %v", address, err)
		}
		for _, err := range c.List(limited(t), q.options...) {
			if err != nil {
				t.Errorf("%s: %v", q.want, err)
			}
		}
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for want, options := range map[string][]client.ReadOption{
		"Offset and Last":       {client.Offset(1), client.Last(1)},
		"Since and After":       {client.Since(at), client.After(nil)},
		"give 1 or more":        {client.Limit(0)},
		"give 0 or more":        {client.Last(-1)},
		"a heartbeat is 1s":     {client.Heartbeat(time.Millisecond)},
		"a positive length":     {client.Ago(-time.Second)},
		"Earliest and Earliest": {client.Earliest(), client.Earliest()},
	} {
		if _, err := client.QueryOf(options...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestAnAddressThatIsNoneIsRefusedWithoutRepeatingIt(t *testing.T) {
	for address, want := range map[string]string{
		"":                              "cannot be understood",
		"localhost:8080":                "cannot be understood",
		"ftp://secret":                  "cannot be understood",
		"http://":                       "cannot be understood",
		"http://secret\x00":             "cannot be understood",
		"http://user:secret@host":       "holds a user or a password",
		"http://localhost?token=secret": "holds a query",
	} {
		if _, err := client.New(address); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", address, err)
		}
	}
	for address, want := range map[string]string{
		"http://localhost:8080":              "http://localhost:8080/api/v1/events",
		"http://LOCALHOST:8080/":             "http://localhost:8080/api/v1/events",
		"https://host/api/v1/":               "https://host/api/v1/events",
		"https://host/below/it":              "https://host/below/it/api/v1/events",
		"https://[::1]:8443/below/it/api/v1": "https://[::1]:8443/below/it/api/v1/events",
	} {
		c, err := client.New(address)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.URL(); err != nil || got != want {
			t.Errorf("%s reads %s, %v; want %s", address, got, err, want)
		}
		if got, _ := c.VCenter("vc1").URL(); got != strings.TrimSuffix(want, "events")+"vcenters/vc1/events" {
			t.Errorf("%s of vc1 reads %s", address, got)
		}
	}
}
