package collector_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"vstream"
	"vstream/internal/collector"
	"vstream/internal/memlog"
	"vstream/internal/vcenter"
	"vstream/internal/vcentertest"
)

// rig is a collector over the wire, at a vCenter that does what the test wants.
type rig struct {
	t      *testing.T
	vc     *vcentertest.VCenter
	log    *memlog.Log
	c      *collector.Collector
	secret string
	stop   func()
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, vc: vcentertest.New(t), log: memlog.New(1_000_000, 1<<30)}
	r.secret = r.vc.Secret(t)
	var said lastWords
	source := &vcenter.Source{
		URL: r.vc.URL(), SecretPath: r.secret, Insecure: true, Begin: time.Hour, MaxBytes: 64 << 10,
		Timeout: 700 * time.Millisecond, Logger: slog.New(slog.NewTextHandler(&said, nil)),
	}
	r.c = &collector.Collector{Name: "vc", Source: hasty{source}, Log: r.log, Logger: source.Logger}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = r.c.Run(ctx)
	}()
	r.stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(func() {
		r.stop()
		if t.Failed() {
			t.Logf("it said last:\n%s", said.String())
		}
	})
	return r
}

func (r *rig) complete() {
	r.t.Helper()
	complete(r.t, r.vc, r.log)
}

// until waits for the status to be as wanted.
func (r *rig) until(what string, ok func(vstream.Status) bool) {
	r.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok(r.c.Status()) {
		if time.Now().After(deadline) {
			r.t.Fatalf("not %s: status is %+v", what, r.c.Status())
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// Each row of the table of faults, at each call that may meet it.
func TestAfterEachFaultAtEachCallEverythingIsCollected(t *testing.T) {
	methods := []string{"RetrieveServiceContent", "Login", "RetrievePropertiesEx", "CurrentTime", "CreateCollectorForEvents",
		"CreatePropertyCollector", "CreateFilter", "WaitForUpdatesEx", "ReadNextEvents", "DestroyCollector"}
	for _, kind := range vcentertest.Kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.vc.PostN(1200)
			r.complete()
			for _, method := range methods {
				if kind == vcentertest.HugeBody && method != "ReadNextEvents" {
					continue // costs much, and is the same everywhere
				}
				struck := r.vc.Struck()
				// The session is lost first, so that every call comes again.
				r.vc.Inject(vcentertest.Fault{Method: "ReadNextEvents", Kind: vcentertest.NotAuthenticated})
				r.vc.Inject(vcentertest.Fault{Method: method, Kind: kind, Pace: 50 * time.Millisecond})
				r.vc.PostN(3)
				r.complete()
				r.vc.Heal()
				if n := r.vc.Struck() - struck; n != 2 && method != "WaitForUpdatesEx" {
					t.Errorf("%d calls failed with one at %s, want 2", n, method)
				}
			}
			r.stop()
			if s, c := r.vc.Sessions(), r.vc.Collectors(); s != 0 || c != 0 {
				t.Errorf("%d sessions and %d collectors are left behind", s, c)
			}
		})
	}
}

func TestEventsThatCannotBeDecodedAreKeptAsTheyCame(t *testing.T) {
	r := newRig(t)
	r.vc.PostN(5)
	crafted := map[int32]string{}
	for _, c := range []string{
		`<returnval xsi:type="NobodyKnowsThisEvent">%s<x>1</x></returnval>`,
		`<returnval xsi:type="VirtualDisk">%s</returnval>`,
		`<returnval xsi:type="VmPoweredOnEvent">%s<template>perhaps</template></returnval>`,
		`<returnval xsi:type="EventEx">%s<eventTypeId>com.example.broken</eventTypeId><oops></returnval>`,
		`<returnval xsi:type="VmPoweredOnEvent"><createdTime>yesterday</createdTime>%s</returnval>`,
		`<returnval>%s</returnval>`,
	} {
		key := r.vc.PostXML(func(key int32, created time.Time) string {
			return fmt.Sprintf(c, vcentertest.Base(key, created))
		})
		crafted[key] = c
		r.vc.PostN(2)
	}
	deadline := time.Now().Add(time.Minute)
	for len(r.vc.Told()) != count(t, r.log) {
		if time.Now().After(deadline) {
			t.Fatalf("the log holds %d of %d events", count(t, r.log), len(r.vc.Told()))
		}
		time.Sleep(10 * time.Millisecond)
	}
	for key, xml := range crafted {
		e, err := r.log.Get(t.Context(), vstream.Offset(key))
		if err != nil {
			t.Fatalf("%s: %v", xml, err)
		}
		if e.Class != "unknown" || !strings.Contains(string(e.JSON), `"eventclass":"unknown"`) ||
			!strings.Contains(string(e.JSON), fmt.Sprintf(`"data":{"Key":%d,`, key)) || !strings.Contains(string(e.JSON), `"Xml":"\u003creturnval`) {
			t.Errorf("%s became %s", xml, e.JSON)
		}
		if strings.Contains(xml, "com.example.broken") && e.Type != "com.example.broken" {
			t.Errorf("%s has the type %s", xml, e.Type)
		}
	}
	if n := r.c.Status().Unknown; n < int64(len(crafted)) {
		t.Errorf("%d events count as unknown", n)
	}
}

func TestAnEventAloneThatTellsNeitherKeyNorTimeIsKept(t *testing.T) {
	r := newRig(t)
	r.vc.PostN(3)
	r.complete()
	for _, broken := range []string{
		`<returnval xsi:type="VmPoweredOnEvent"><key>many</key><createdTime>%s</createdTime></returnval>`,
		`<returnval xsi:type="VmPoweredOnEvent"><key>%d</key><createdTime>yesterday</createdTime></returnval>`,
	} {
		key := r.vc.PostXML(func(key int32, created time.Time) string {
			if strings.Contains(broken, "%d") {
				return fmt.Sprintf(broken, key)
			}
			return fmt.Sprintf(broken, created.Format(time.RFC3339Nano))
		})
		r.until("there", func(vstream.Status) bool {
			_, err := r.log.Get(t.Context(), vstream.Offset(key))
			return err == nil
		})
		e, err := r.log.Get(t.Context(), vstream.Offset(key))
		if err != nil || e.Class != "unknown" || time.Since(e.Time) > time.Hour {
			t.Errorf("it became %s of %v, %v", e.JSON, e.Time, err)
		}
	}
	r.vc.Restart()
	r.vc.PostN(3)
	r.until("complete", func(vstream.Status) bool { return count(t, r.log) == len(r.vc.Told()) })
}

func TestALoginThatIsBrokenOffIsMadeAnew(t *testing.T) {
	vc := vcentertest.New(t)
	source := &vcenter.Source{URL: vc.URL(), SecretPath: vc.Secret(t), Insecure: true, Begin: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	vc.PostN(3)
	vc.Inject(vcentertest.Fault{Method: "RetrievePropertiesEx", Kind: vcentertest.Status503})
	if _, err := source.Open(t.Context(), time.Time{}); err == nil {
		t.Fatal("there was no fault")
	}
	if _, err := source.Open(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if events, err := source.Next(t.Context()); err != nil || len(events) != 3 {
		t.Errorf("read %d events, %v", len(events), err)
	}
	if err := source.Close(t.Context()); err != nil || vc.Sessions() != 0 {
		t.Errorf("closed with %v; %d sessions are left behind", err, vc.Sessions())
	}
}

func TestCharactersThatXMLForbidsCostNoEvent(t *testing.T) {
	r := newRig(t)
	key := r.vc.PostXML(func(key int32, created time.Time) string {
		return `<returnval xsi:type="VmPoweredOnEvent">` + vcentertest.Base(key, created) +
			"<fullFormattedMessage>a\x01b&#x2;c&#3;d\xffe</fullFormattedMessage></returnval>"
	})
	r.vc.PostN(1)
	r.complete()
	e, err := r.log.Get(t.Context(), vstream.Offset(key))
	if err != nil || e.Class != "event" || e.Message != "a\ufffdb\ufffdc\ufffdd\ufffde" {
		t.Errorf("it became %s %q, %v", e.Class, e.Message, err)
	}
}

func TestAnOversizedEventIsCutDownAndDelivered(t *testing.T) {
	r := newRig(t)
	keys := r.vc.Post(&types.EventEx{EventTypeId: "a.b", Message: strings.Repeat("long ", 1_000_000)})
	r.vc.PostN(1)
	r.complete()
	e, err := r.log.Get(t.Context(), vstream.Offset(keys[0]))
	if err != nil || len(e.JSON) > 64<<10 || !strings.HasSuffix(string(e.JSON), `"truncated":true}`) {
		t.Errorf("it became %d bytes, %.300s, %v", len(e.JSON), e.JSON, err)
	}
}

func TestAWakeUpThatNeverComesCostsSecondsAndNoEvent(t *testing.T) {
	r := newRig(t)
	r.vc.PostN(1)
	r.complete()
	r.vc.SetWakes(false)
	r.vc.PostN(3)
	r.complete()
}

func TestARotatedPasswordIsTakenUp(t *testing.T) {
	r := newRig(t)
	r.vc.PostN(1)
	r.complete()
	r.vc.SetUser("user", "new")
	r.vc.TerminateSessions()
	r.vc.PostN(1)
	r.until("refused", func(s vstream.Status) bool { return s.State == vstream.Refused })
	if s := r.c.Status(); !strings.Contains(s.LastError, "refuses the credentials") || strings.Contains(s.LastError, "pass") && strings.Contains(s.LastError, "password=") {
		t.Errorf("the error says %q", s.LastError)
	}
	// As Kubernetes does it: a new directory, and a link that is swapped.
	if err := os.WriteFile(filepath.Join(r.secret, "..data_new"), []byte("new\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("..data_new", filepath.Join(r.secret, "tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(r.secret, "tmp"), filepath.Join(r.secret, "password")); err != nil {
		t.Fatal(err)
	}
	r.complete()
	r.until("collecting", func(s vstream.Status) bool { return s.State == vstream.Collecting })
	if s := r.c.Status(); s.Logins != 2 || s.Denied != 1 || s.Rotated != 1 {
		t.Errorf("counted are %d logins, %d that were denied and %d changes of the credentials", s.Logins, s.Denied, s.Rotated)
	}
}

func TestAVCenterInstalledAnewOrRestoredGetsAnEpoch(t *testing.T) {
	for name, change := range map[string]func(*vcentertest.VCenter){
		"installed anew":                  func(vc *vcentertest.VCenter) { vc.Reset("another") },
		"started anew with the same uuid": func(vc *vcentertest.VCenter) { vc.Reset("") },
		"restored from a backup":          func(vc *vcentertest.VCenter) { vc.Restore(10) },
		"overflowed":                      func(vc *vcentertest.VCenter) { vc.SetNextKey(1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if name == "overflowed" {
				r.vc.SetNextKey(2147479990)
			}
			r.vc.PostN(20)
			if name == "overflowed" {
				r.vc.Post(&types.EventEx{EventTypeId: "com.vmware.vc.EventIdOverflow"})
			}
			r.complete()
			change(r.vc)
			r.vc.PostN(30)
			r.complete()
			r.vc.Restart()
			r.vc.PostN(5)
			r.complete()
			if n := r.c.Status().Restarts; n != 1 {
				t.Errorf("the keys started over %d times", n)
			}
		})
	}
}

func TestCollectorsThatRunOutAreNotFatal(t *testing.T) {
	r := newRig(t)
	r.vc.SetMaxCollectors(2) // one for news, one to read, none to look with
	r.vc.PostN(3)
	r.until("failing", func(s vstream.Status) bool { return s.Reconnects > 0 || s.LastEvent != time.Time{} })
	r.vc.SetMaxCollectors(32)
	r.vc.PostN(3)
	r.complete()
}

func count(t *testing.T, log vstream.Log) int {
	t.Helper()
	reader, err := log.Open(t.Context(), vstream.Oldest{})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for {
		events, err := reader.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if len(events) == 0 {
			return n
		}
		n += len(events)
	}
}

// What cannot be removed while the vCenter is out of reach is removed when it is back: its
// session may have lived on.
func TestNothingIsLeftInASessionThatOutlivesAnOutage(t *testing.T) {
	r := newRig(t)
	r.vc.PostN(1)
	r.complete()
	r.vc.Down()
	r.until("failing", func(s vstream.Status) bool { return s.Reconnects > 1 })
	r.vc.Up()
	r.vc.PostN(1)
	r.complete()
	if n := r.vc.Logins(); n != 1 {
		t.Errorf("%d logins, want the session of before", n)
	}
	r.stop()
	if s, c := r.vc.Sessions(), r.vc.Collectors(); s != 0 || c != 0 {
		t.Errorf("%d sessions and %d collectors are left behind", s, c)
	}
}
