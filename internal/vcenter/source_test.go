package vcenter_test

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"encoding/pem"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/event"
	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"vstream"
	"vstream/internal/simulator"
	"vstream/internal/vcenter"
	"vstream/internal/vcentertest"
)

// newVCenter starts a vCenter where only happens what the test does.
func newVCenter(t *testing.T) *simulator.Simulator {
	t.Helper()
	sim, err := simulator.Start(t.Context(), "127.0.0.1:0", simulator.Options{Rand: rand.New(rand.NewPCG(1, 1))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	return sim
}

func newSource(t *testing.T, sim *simulator.Simulator) *vcenter.Source {
	t.Helper()
	return &vcenter.Source{
		URL:        sim.URL(),
		SecretPath: secret(t, "user\n", " pass \r\n"),
		Insecure:   true,
		Begin:      time.Hour,
		Logger:     slog.New(slog.DiscardHandler),
	}
}

func secret(t *testing.T, username, password string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"username": username, "password": password} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// govc is another user of the vCenter.
func govc(t *testing.T, sim *simulator.Simulator) *govmomi.Client {
	t.Helper()
	u := *sim.URL()
	u.User = url.UserPassword("somebody", "else")
	client, err := govmomi.NewClient(t.Context(), &u, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Logout(context.Background())
		client.CloseIdleConnections()
	})
	return client
}

func post(t *testing.T, client *govmomi.Client, message string) {
	t.Helper()
	err := event.NewManager(client.Client).PostEvent(t.Context(), &types.GeneralUserEvent{
		GeneralEvent: types.GeneralEvent{Message: message},
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSourceGivesWhatWasAndWhatComesInOrder(t *testing.T) {
	sim := newVCenter(t)
	client := govc(t, sim)
	source := newSource(t, sim)
	ctx := patience(t)
	if _, err := source.Open(ctx, time.Time{}); err != nil {
		t.Fatal(err)
	}
	defer source.Close(context.Background())

	past, err := source.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range past {
		if e.Offset != vstream.Offset(i+1) {
			t.Fatalf("event %d of the past has the offset %d", i, e.Offset)
		}
		var ce struct{ ID, Source, Type, Severity, VSphereAPIVersion string }
		if err := json.Unmarshal(e.JSON, &ce); err != nil {
			t.Fatalf("%v in %s", err, e.JSON)
		}
		if ce.ID != e.Offset.String() || ce.Source != sim.URL().String() || ce.Severity == "" || ce.VSphereAPIVersion == "" ||
			ce.Type != "vmware.vsphere."+e.Type+".v0" {
			t.Fatalf("event is %s", e.JSON)
		}
	}
	next := past[len(past)-1].Offset + 1
	for range 20 {
		post(t, client, "hello")
		events, err := source.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if e.Offset != next {
				t.Fatalf("offset %d follows, want %d", e.Offset, next)
			}
			next++
		}
	}
}

// A vCenter may answer small questions about its history, and the one about what is new never.
func TestAskingForHistoryIsNoPoll(t *testing.T) {
	vc := vcentertest.New(t)
	vc.PostN(3)
	source := &vcenter.Source{URL: vc.URL(), SecretPath: vc.Secret(t), Insecure: true, Begin: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	ctx := patience(t)
	if _, err := source.Open(ctx, time.Time{}); err != nil {
		t.Fatal(err)
	}
	defer source.Close(context.Background())
	told := 0
	if err := source.History(ctx, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), func(events []vstream.Event) error {
		told += len(events)
		return nil
	}); err != nil || told < 3 {
		t.Fatalf("of its history it tells %d events, %v", told, err)
	}
	if at := source.Seen().LastPoll; !at.IsZero() {
		t.Errorf("that counts as a poll, at %v", at)
	}
	if _, err := source.Next(ctx); err != nil || source.Seen().LastPoll.IsZero() {
		t.Errorf("a poll does not count, %v", err)
	}
}

func TestAnEventThatIsNotUnderstoodCountsOnceHoweverOftenItIsRead(t *testing.T) {
	vc := vcentertest.New(t)
	unknown := func() {
		vc.PostXML(func(key int32, at time.Time) string {
			return `<returnval xsi:type="OfTomorrowEvent">` + vcentertest.Base(key, at) + `</returnval>`
		})
	}
	source := &vcenter.Source{URL: vc.URL(), SecretPath: vc.Secret(t), Insecure: true, Begin: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	ctx := patience(t)
	defer source.Close(context.Background())
	for n := int64(1); n <= 3; n++ {
		unknown()
		if _, err := source.Open(ctx, time.Time{}); err != nil {
			t.Fatal(err)
		}
		if _, err := source.Next(ctx); err != nil {
			t.Fatal(err)
		}
		if err := source.History(ctx, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), func([]vstream.Event) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if got := source.Seen().Unknown; got != n {
			t.Errorf("%d events that are not understood count as %d", n, got)
		}
	}
}

func TestSourceBeginsSoFarBeforeTheClockOfTheVCenterAndFromSinceAfterwards(t *testing.T) {
	sim := newVCenter(t)
	source := newSource(t, sim)
	source.Begin = 0
	ctx := patience(t)
	if _, err := source.Open(ctx, time.Time{}); err != nil {
		t.Fatal(err)
	}
	client := govc(t, sim)
	post(t, client, "first")
	events, err := source.Next(ctx)
	if err != nil || events[0].Type == "DatacenterCreatedEvent" || events[0].Offset < 10 {
		t.Fatalf("first event is %+v, %v; want none of the past", events, err)
	}
	first := events[0].Offset
	if err := source.Close(ctx); err != nil {
		t.Error(err)
	}

	// Nobody gave a time, so it is where it began, not so far before now.
	if _, err := source.Open(ctx, time.Time{}); err != nil {
		t.Fatal(err)
	}
	if events, err = source.Next(ctx); err != nil || events[0].Offset != first {
		t.Errorf("opened again it begins at %d, %v, want %d", events[0].Offset, err, first)
	}
	if err := source.Close(ctx); err != nil {
		t.Error(err)
	}

	if _, err := source.Open(ctx, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if events, err = source.Next(ctx); err != nil || events[0].Offset != 1 {
		t.Errorf("opened an hour back it begins at %d, %v, want 1", events[0].Offset, err)
	}
	if err := source.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestCloseLeavesNothingAtTheVCenter(t *testing.T) {
	model := vcsim.VPX()
	if err := model.Create(); err != nil {
		t.Fatal(err)
	}
	defer model.Remove()
	model.Service.TLS = new(tls.Config)
	server := model.Service.NewServer()
	defer server.Close()
	registry := model.Service.Context.Map
	registry.EventManager().MaxCollector = 2 // as many as one source takes
	sessions := func() int { return len(registry.SessionManager().SessionList) }

	target := *server.URL
	target.User = nil
	source := &vcenter.Source{
		URL: &target, SecretPath: secret(t, "user", "pass"), Insecure: true, Logger: slog.New(slog.DiscardHandler),
	}
	for range 5 {
		if _, err := source.Open(patience(t), time.Time{}); err != nil {
			t.Fatal(err)
		}
		if err := source.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if err := source.Close(context.Background()); err != nil {
			t.Errorf("closed again: %v", err)
		}
	}
	if n := sessions(); n != 0 {
		t.Errorf("%d sessions are left behind", n)
	}
}

func TestWhomToTrust(t *testing.T) {
	sim := newVCenter(t)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sim.Certificate().Raw})
	if err := os.WriteFile(authority, block, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		set  func(*vcenter.Source)
		want string // in the error; none when empty
	}{
		"anybody":              {func(s *vcenter.Source) { s.Insecure = true }, ""},
		"an authority":         {func(s *vcenter.Source) { s.CAFile = authority }, ""},
		"a SHA-256 thumbprint": {func(s *vcenter.Source) { s.Thumbprint = soap.ThumbprintSHA256(sim.Certificate()) }, ""},
		"a SHA-1 thumbprint":   {func(s *vcenter.Source) { s.Thumbprint = strings.ToLower(soap.ThumbprintSHA1(sim.Certificate())) }, ""},
		"nobody in particular": {func(*vcenter.Source) {}, "VCENTER_CA_FILE"},
		"another thumbprint":   {func(s *vcenter.Source) { s.Thumbprint = strings.Repeat("AB:", 31) + "AB" }, soap.ThumbprintSHA256(sim.Certificate())},
		"an absent file":       {func(s *vcenter.Source) { s.CAFile = authority + "x" }, "ca.pemx"},
		"no certificate":       {func(s *vcenter.Source) { s.CAFile = os.Args[0] }, "holds no PEM certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			source := newSource(t, sim)
			source.Insecure = false
			c.set(source)
			_, err := source.Open(patience(t), time.Time{})
			defer source.Close(context.Background())
			switch {
			case c.want == "" && err != nil:
				t.Error(err)
			case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)):
				t.Errorf("error is %v, want it to speak of %s", err, c.want)
			}
		})
	}
}

func TestSecretsAreTrimmedAndReadAnewAtEachOpen(t *testing.T) {
	sim := newVCenter(t)
	source := newSource(t, sim)
	source.Begin = 0
	ctx := patience(t)
	for _, user := range []string{"user", "LAB\\someone"} {
		if err := os.WriteFile(filepath.Join(source.SecretPath, "username"), []byte("\ufeff\r\n"+user+" \r\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := source.Open(ctx, time.Now().Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		events, err := source.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if last := events[len(events)-1]; last.Type != "UserLoginSessionEvent" || last.User != user {
			t.Errorf("the login is told as %s of %q, want %q", last.Type, last.User, user)
		}
		if err := source.Close(ctx); err != nil {
			t.Error(err)
		}
	}
}

func TestFilesThatAreMissingOrNoTextAreNamed(t *testing.T) {
	for _, c := range []struct{ dir, want string }{
		{filepath.Join(t.TempDir(), "absent"), filepath.Join("absent", "username")},
		{secret(t, "user", " \n"), "password is empty"},
		{secret(t, "", "pass"), "username is empty"},
		{secret(t, "user\npass", "pass"), "username is not one line"},
		{secret(t, "user", "p\x00a\x00s\x00s\x00"), "password is not one line"}, // UTF-16
		{secret(t, "user", "\xff\xfep\x00"), "password is not one line"},
		{secret(t, "user", "p\xe4ss"), "in UTF-8"},
	} {
		source := &vcenter.Source{SecretPath: c.dir}
		if err := source.CheckCredentials(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want it to speak of %s", err, c.want)
		}
	}
}

func TestNextEndsWithItsContext(t *testing.T) {
	sim := newVCenter(t)
	source := newSource(t, sim)
	if _, err := source.Open(patience(t), time.Time{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	for {
		events, err := source.Next(ctx)
		if err != nil {
			if ctx.Err() == nil {
				t.Error(err)
			}
			break
		}
		if events[len(events)-1].Type == "UserLoginSessionEvent" {
			cancel() // at the end, or just about to wait there
		}
	}
	if err := source.Close(context.WithoutCancel(ctx)); err != nil {
		t.Error(err)
	}
}

func TestLatestSpeaksAlsoWhenCollectorsAreSilent(t *testing.T) {
	vc := vcentertest.New(t)
	source := &vcenter.Source{URL: vc.URL(), SecretPath: vc.Secret(t), Insecure: true, Begin: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	ctx := patience(t)
	if _, err := source.Open(ctx, time.Time{}); err != nil {
		t.Fatal(err)
	}
	defer source.Close(context.Background())
	if _, _, ok, err := source.Latest(ctx); ok || err != nil {
		t.Errorf("of an empty history it is %v, %v", ok, err)
	}
	_, last := vc.PostN(10)
	vc.SetSilence(vcentertest.OpenEnded)
	broken := vc.PostXML(func(key int32, created time.Time) string { // what govmomi panics on
		return `<returnval xsi:type="VirtualDisk">` + vcentertest.Base(key, created) + `</returnval>`
	})
	key, created, ok, err := source.Latest(ctx)
	if err != nil || !ok || key != broken || key != last+1 || time.Since(created) > time.Hour {
		t.Errorf("latest is %d of %v, %v, %v, want %d", key, created, ok, err, broken)
	}
	if events, err := source.Next(ctx); err != nil || len(events) != 0 {
		t.Errorf("the silent collector gives %d events, %v", len(events), err)
	}
	// What helps then: a span of time with an end.
	n := 0
	err = source.History(ctx, created.Add(-time.Minute), created, func(events []vstream.Event) error {
		n += len(events)
		return nil
	})
	if err != nil || n != 11 {
		t.Errorf("the span gives %d events, %v, want 11", n, err)
	}
}

// vcsim never sets EventManager.latestEvent, so there a new collector is asked.
func TestLatestOfAVCenterThatDoesNotSayIt(t *testing.T) {
	sim := newVCenter(t)
	source := newSource(t, sim)
	ctx := patience(t)
	if _, err := source.Open(ctx, time.Time{}); err != nil {
		t.Fatal(err)
	}
	defer source.Close(context.Background())
	past, err := source.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	key, _, ok, err := source.Latest(ctx)
	if want := past[len(past)-1].Offset.Key(); err != nil || !ok || key != want {
		t.Errorf("latest is %d, %v, %v, want %d", key, ok, err, want)
	}
}

func TestHistoryReadsPageByPageAndLeavesNothing(t *testing.T) {
	vc := vcentertest.New(t)
	source := &vcenter.Source{URL: vc.URL(), SecretPath: vc.Secret(t), Insecure: true, Begin: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	ctx := patience(t)
	vc.PostN(2500)
	if _, err := source.Open(ctx, time.Time{}); err != nil {
		t.Fatal(err)
	}
	before := vc.Collectors()
	pages, n := 0, 0
	err := source.History(ctx, time.Now().Add(-time.Hour), time.Now().Add(time.Hour), func(events []vstream.Event) error {
		pages++
		n += len(events)
		return nil
	})
	if err != nil || n != 2500 || pages != 3 {
		t.Errorf("%d events in %d pages, %v", n, pages, err)
	}
	stop := errors.New("enough")
	if err := source.History(ctx, time.Now().Add(-time.Hour), time.Now(), func([]vstream.Event) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("stopped with %v", err)
	}
	if after := vc.Collectors(); after != before {
		t.Errorf("%d collectors are left behind", after-before)
	}
	if err := source.Close(context.Background()); err != nil || vc.Sessions() != 0 || vc.Collectors() != 0 {
		t.Errorf("closed with %v; %d sessions and %d collectors are left behind", err, vc.Sessions(), vc.Collectors())
	}
}
