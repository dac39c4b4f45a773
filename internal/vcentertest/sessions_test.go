package vcentertest_test

import (
	"context"
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"vstream/internal/vcentertest"
)

func TestOnlyTheUserOfTheDayLogsInAndOnce(t *testing.T) {
	vc := vcentertest.New(t)
	c := connect(t, vc)
	if _, err := c.currentTime(); !isFault(err, &types.NotAuthenticated{}) {
		t.Errorf("before: %v", err)
	}
	vc.SetUser("somebody", "new")
	for _, u := range []*url.Userinfo{url.UserPassword("user", "pass"), url.UserPassword("somebody", "pass"), url.User("somebody")} {
		if err := c.login(u); !isFault(err, &types.InvalidLogin{}) {
			t.Errorf("%v: %v", u, err)
		}
	}
	if vc.Logins() != 0 || vc.Sessions() != 0 {
		t.Errorf("%d logins, %d sessions", vc.Logins(), vc.Sessions())
	}
	if err := c.login(vc.Userinfo()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.currentTime(); err != nil {
		t.Error(err)
	}
	if err := c.login(vc.Userinfo()); !isFault(err, &types.InvalidLogin{}) {
		t.Errorf("logged in twice: %v", err)
	}
	if vc.Logins() != 1 || vc.Sessions() != 1 || vc.Calls("Login") != 5 || vc.Calls("CurrentTime") != 2 || vc.Calls("*") != 8 {
		t.Errorf("%d logins, %d sessions, %d calls of Login, %d in all", vc.Logins(), vc.Sessions(), vc.Calls("Login"), vc.Calls("*"))
	}
	if err := c.logout(); err != nil {
		t.Error(err)
	}
	if _, err := c.currentTime(); !isFault(err, &types.NotAuthenticated{}) {
		t.Errorf("after: %v", err)
	}
}

func TestSecretHoldsTheCredentialsOfNow(t *testing.T) {
	vc := vcentertest.New(t)
	vc.SetUser("me", "mine")
	dir := vc.Secret(t)
	user, _ := os.ReadFile(filepath.Join(dir, "username"))
	password, _ := os.ReadFile(filepath.Join(dir, "password"))
	if string(user) != "me\n" || string(password) != "mine\n" {
		t.Errorf("it holds %q and %q", user, password)
	}
}

func TestLogoutLeavesCollectorsBehindForAllToSee(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	c.collect(withMessages())
	if err := c.destroy(c.collect(withMessages())); err != nil {
		t.Error(err)
	}
	if err := c.logout(); err != nil {
		t.Error(err)
	}
	if vc.Sessions() != 0 || vc.Collectors() != 1 {
		t.Errorf("%d sessions, %d collectors", vc.Sessions(), vc.Collectors())
	}
}

func TestTerminatedSessionsAreNotAuthenticated(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	collector := c.collect(withMessages())
	vc.TerminateSessions()
	if _, err := c.tryRead(collector, 1); !isFault(err, &types.NotAuthenticated{}) {
		t.Errorf("error is %v", err)
	}
	if vc.Sessions() != 0 || vc.Collectors() != 0 {
		t.Errorf("%d sessions, %d collectors", vc.Sessions(), vc.Collectors())
	}
	if err := c.login(vc.Userinfo()); err != nil {
		t.Error(err)
	}
}

func TestARestartKeepsTheHistoryAndNothingElse(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	vc.Post(vm())
	p := c.subscribe(*c.ServiceContent.EventManager, "latestEvent")
	set, err := c.wait(p, "", 0)
	if err != nil {
		t.Fatal(err)
	}
	broken := make(chan error)
	go func() {
		_, err := c.wait(p, set.Version, -1)
		broken <- err
	}()
	vc.AwaitCalls("WaitForUpdatesEx", 2)
	vc.Restart()
	if err := <-broken; err == nil || soap.IsSoapFault(err) {
		t.Errorf("the pending wait ends with %v", err)
	}
	c.CloseIdleConnections() // which are reset
	if _, err := c.currentTime(); !isFault(err, &types.NotAuthenticated{}) {
		t.Errorf("the old session gives %v", err)
	}
	c = login(t, vc)
	if got := keys(c.readAll(c.collect(withMessages()))); !slices.Equal(got, []int32{1}) {
		t.Errorf("read %v", got)
	}
}

func TestDownRefusesAndUpGoesOnAtTheSameAddress(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	vc.Post(vm())
	collector := c.collect(withMessages())
	for range 3 {
		vc.Down()
		vc.Down()
		c.CloseIdleConnections() // which would be reset, instead
		if _, err := c.currentTime(); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("down: %v", err)
		}
		if vc.Sessions() != 0 || vc.Collectors() != 0 {
			t.Errorf("%d sessions and %d collectors are left behind that nobody could end", vc.Sessions(), vc.Collectors())
		}
		vc.Up()
		vc.Up()
	}
	if got := c.read(collector, 1); len(got) != 1 {
		t.Errorf("read %v", keys(got))
	}
	if vc.Sessions() != 1 || vc.Collectors() != 1 {
		t.Errorf("%d sessions and %d collectors, though in use again", vc.Sessions(), vc.Collectors())
	}
}

func TestDownExcusesACollectorWhoseNameMayNotHaveArrived(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	known := c.collect(withMessages())
	c.read(known, 1)
	lost := c.collect(withMessages())
	vc.Down()
	vc.Up()
	c.CloseIdleConnections()
	if _, err := c.currentTime(); err != nil { // the session is in use again
		t.Fatal(err)
	}
	if n := vc.Collectors(); n != 1 {
		t.Errorf("%d collectors are left behind, and not the one that was read", n)
	}
	c.read(lost, 1)
	if n := vc.Collectors(); n != 2 {
		t.Errorf("%d collectors are left behind of two that were read", n)
	}
}

func TestTheCertificateCanBeVerified(t *testing.T) {
	vc := vcentertest.New(t)
	for trusted, certificate := range map[bool]*x509.Certificate{true: vc.Certificate(), false: vcentertest.New(t).Certificate()} {
		transport := soap.NewClient(vc.URL(), false)
		pool := x509.NewCertPool()
		pool.AddCert(certificate)
		transport.DefaultTransport().TLSClientConfig.RootCAs = pool
		_, err := vim25.NewClient(t.Context(), transport)
		transport.CloseIdleConnections()
		if (err == nil) != trusted {
			t.Errorf("trusted %t: %v", trusted, err)
		}
	}
}

func TestItStartsAtOnce(t *testing.T) {
	began := time.Now()
	const n = 20
	for range n {
		vcentertest.New(t)
	}
	if took := time.Since(began) / n; took > 100*time.Millisecond {
		t.Errorf("starting takes %v", took)
	}
}

func TestItEndsWithCallsPending(t *testing.T) {
	var calls sync.WaitGroup
	t.Run("vcenter", func(t *testing.T) {
		vc := vcentertest.New(t)
		c := login(t, vc)
		c.ctx = context.WithoutCancel(c.ctx)
		p := c.subscribe(*c.ServiceContent.EventManager, "latestEvent")
		set, err := c.wait(p, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		vc.Inject(vcentertest.Fault{Method: "CurrentTime", Kind: vcentertest.Hang})
		calls.Go(func() { _, _ = c.wait(p, set.Version, -1) })
		calls.Go(func() { _, _ = c.currentTime() })
		vc.AwaitCalls("WaitForUpdatesEx", 2)
		vc.AwaitCalls("CurrentTime", 1)
	})
	calls.Wait()
}

func TestAllMethodsMayBeCalledAtOnce(t *testing.T) {
	vc := vcentertest.New(t)
	var all sync.WaitGroup
	for _, do := range []func(){
		func() { vc.Post(vm()) }, func() { vc.PostN(3) }, func() { vc.PostHidden(vm()) }, func() { vc.SkipKeys(2) },
		func() { vc.Told() }, func() { vc.Hide(3) }, func() { vc.Fold(4) }, func() { vc.PostLate(2, vm()) },
		func() { vc.SetSilence(vcentertest.Existing) }, func() { vc.SetSilence(vcentertest.Nothing) },
		func() { vc.TerminateSessions() }, func() { vc.ForgetCollectors() }, func() { vc.Restart() },
		func() { vc.Reset("") }, func() { vc.Restore(1) }, func() { vc.Down(); vc.Up() },
		func() { _, _, _, _ = vc.Sessions(), vc.Collectors(), vc.Logins(), vc.Calls("*") },
		func() { vc.Inject(vcentertest.Fault{Method: "*", Kind: vcentertest.LostAnswer}) }, func() { vc.Heal() },
		func() {
			transport := soap.NewClient(vc.URL(), true)
			defer transport.CloseIdleConnections()
			plain, err := vim25.NewClient(t.Context(), transport)
			if err != nil {
				return
			}
			c := &client{Client: plain, t: t, ctx: t.Context()}
			if c.login(vc.Userinfo()) != nil {
				return
			}
			collector, err := c.tryCollect(withMessages())
			if err != nil {
				return
			}
			for range 5 {
				_, _ = c.tryRead(collector, 10)
			}
			_ = c.logout()
		},
	} {
		all.Go(func() {
			for range 100 {
				do()
			}
		})
	}
	all.Wait()
}
