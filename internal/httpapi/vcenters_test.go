package httpapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vstream"
	"vstream/internal/memlog"
)

func TestVCentersSayHowCollectingGoes(t *testing.T) {
	at := time.Date(2026, 11, 22, 10, 0, 0, 123_456_789, time.FixedZone("", 3600))
	full, empty := memlog.New(10, 1<<30), memlog.New(10, 1<<30)
	appendTo(t, full, 44, 46)
	base := serveAll(t, []VCenter{
		{Name: "vc1", Log: full, Status: func() vstream.Status {
			return vstream.Status{
				Name: "vc1", URL: "https://vc1.example.com/sdk", State: vstream.Silent, Since: at, CollectedBy: "replica-1",
				SourceStatus: vstream.SourceStatus{Product: "a product", APIVersion: "8.0.3.0", Instance: "a-b", LastPoll: at, Unknown: 7},
				LastEvent:    at, Lag: 1234567 * time.Microsecond, Rate: 0.123456, KeyHeadroom: 99,
				Reconnects: 1, Restarts: 2, Late: 3, Gaps: 4, LastError: "it failed", LastErrorAt: at,
				Audit: &vstream.Audit{At: at, From: at, To: at, Events: 5, Missing: 6, Extra: 8, Folded: 9},
			}
		}},
		{Name: "vc2", Log: empty, Status: func() vstream.Status { return vstream.Status{State: vstream.Connecting} }},
	})
	res := get(t, base+"/api/v1/vcenters")
	held := full.Usage()
	want := `[{"name":"vc1","url":"https://vc1.example.com/sdk","state":"silent","since":"2026-11-22T09:00:00.123Z",` +
		`"product":"a product","apiVersion":"8.0.3.0","instance":"a-b","range":{"earliest":44,"latest":46},` +
		`"rate":0.123,"lag":1.235,"lastPoll":"2026-11-22T09:00:00.123Z","lastEvent":"2026-11-22T09:00:00.123Z","keyHeadroom":99,` +
		`"reconnects":1,"restarts":2,"late":3,"gaps":4,"unknown":7,` +
		`"lastError":{"message":"it failed","at":"2026-11-22T09:00:00.123Z"},` +
		`"audit":{"at":"2026-11-22T09:00:00.123Z","from":"2026-11-22T09:00:00.123Z","to":"2026-11-22T09:00:00.123Z",` +
		`"events":5,"missing":6,"extra":8,"folded":9},` +
		fmt.Sprintf(`"log":{"events":%d,"maxEvents":%d,"bytes":%d,"maxBytes":%d,"maxAge":null},`, held.Events, held.MaxEvents, held.Bytes, held.MaxBytes) +
		`"collectedBy":"replica-1"},` +
		`{"name":"vc2","url":"","state":"connecting","since":null,"product":"","apiVersion":"","instance":"","range":null,` +
		`"rate":0,"lag":null,"lastPoll":null,"lastEvent":null,"keyHeadroom":null,` +
		`"reconnects":0,"restarts":0,"late":0,"gaps":0,"unknown":0,"lastError":null,"audit":null,` +
		`"log":{"events":0,"maxEvents":10,"bytes":0,"maxBytes":1073741824,"maxAge":null},"collectedBy":null}]` + "\n"
	if got := body(t, res); got != want || res.Header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: %s", res.Header.Get("Content-Type"), cmp.Diff(want, got))
	}
}

func TestEachVCenterIsReadByItsName(t *testing.T) {
	first, second := memlog.New(10, 1<<30), memlog.New(2, 1<<30)
	appendTo(t, first, 44)
	appendTo(t, second, 7, 8, 9)
	base := serveAll(t, append(only(first), vcenter("vc2", second, vstream.Status{})))
	for path, want := range map[string]string{
		"/vcenters/vc1/range":                      `{"earliest":44,"latest":44}`,
		"/vcenters/vc2/range":                      `{"earliest":8,"latest":9}`,
		"/vcenters/vc2/events":                     `"id":"9"`,
		"/vcenters/vc2/events/9":                   `"id":"9"`,
		"/vcenters/VC2/range/":                     `{"earliest":8,"latest":9}`, // redirected
		"/vcenters/vc2/events/7":                   `"resume":"/api/v1/vcenters/vc2/events?offset=8"`,
		"/vcenters/vc2/events?watch=true&offset=7": `"resume":"/api/v1/vcenters/vc2/events?offset=8&watch=true"`,
		"/vcenters/vc1/events/9":                   "invalid offset",
	} {
		if got := body(t, get(t, base+"/api/v1"+path)); !strings.Contains(got, want) {
			t.Errorf("%s answers %s, want %s", path, got, want)
		}
	}
}

func TestAPathThatNamesNoVCenterIsAmbiguousWhenThereAreSeveral(t *testing.T) {
	second := vcenter("vc2", memlog.New(10, 1<<30), vstream.Status{})
	base := serveAll(t, append(only(memlog.New(10, 1<<30)), second))
	for _, path := range []string{"/range", "/events/44", "/events?offset=44", "/events?watch=true&offset=44", "/events?cursor=44", "/events?before=44"} {
		res := get(t, base+"/api/v1"+path)
		var p struct {
			Type, Detail string
			Paths        []string
		}
		if err := json.NewDecoder(res.Body).Decode(&p); err != nil {
			t.Fatal(err)
		}
		want := []string{"/api/v1/vcenters/vc1" + path, "/api/v1/vcenters/vc2" + path}
		if res.StatusCode != 409 || p.Type != "urn:vstream:problem:ambiguous-vcenter" || !slices.Equal(p.Paths, want) ||
			!strings.Contains(p.Detail, want[0]) {
			t.Errorf("%s answers %d %+v", path, res.StatusCode, p)
		}
	}
}
