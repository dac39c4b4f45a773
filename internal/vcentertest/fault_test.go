package vcentertest_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"

	"vstream/internal/vcentertest"
)

func TestEachKindOfFaultIsWhatTheClientSees(t *testing.T) {
	says := func(texts ...string) func(error) bool {
		return func(err error) bool {
			return err != nil && slices.ContainsFunc(texts, func(s string) bool { return strings.Contains(err.Error(), s) })
		}
	}
	vim := func(f types.BaseMethodFault) func(error) bool { return func(err error) bool { return isFault(err, f) } }
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	either := func(a, b func(error) bool) func(error) bool { return func(err error) bool { return a(err) || b(err) } }

	for kind, c := range map[vcentertest.Kind]struct {
		seen func(error) bool
		next []int32 // what the next call gives, of the keys 1 to 4 by pages of 2; none when it fails too
	}{
		vcentertest.NotAuthenticated:      {vim(&types.NotAuthenticated{}), nil},
		vcentertest.ManagedObjectNotFound: {vim(&types.ManagedObjectNotFound{}), nil},
		vcentertest.InvalidState:          {vim(&types.InvalidState{}), []int32{1, 2}},
		vcentertest.InvalidLogin:          {vim(&types.InvalidLogin{}), []int32{1, 2}},
		vcentertest.RuntimeFault:          {vim(&types.RuntimeFault{}), []int32{1, 2}},
		vcentertest.Status500:             {says("XML syntax error", "expected element", "EOF"), []int32{1, 2}},
		vcentertest.Status503:             {says("503"), []int32{1, 2}},
		vcentertest.HTMLPage:              {says("XML syntax error", "expected element", "EOF"), []int32{1, 2}},
		vcentertest.CutChunked:            {is(io.ErrUnexpectedEOF), []int32{3, 4}},
		vcentertest.CutShort:              {is(io.ErrUnexpectedEOF), []int32{3, 4}},
		vcentertest.LostAnswer:            {is(syscall.ECONNRESET), []int32{3, 4}},
		vcentertest.EmptyBody:             {is(io.EOF), []int32{3, 4}},
		vcentertest.Trickle:               {either(is(context.DeadlineExceeded), says("unexpected EOF")), []int32{3, 4}}, // as net/http reads first
		vcentertest.Hang:                  {is(context.DeadlineExceeded), []int32{3, 4}},
		vcentertest.HugeBody:              {is(context.DeadlineExceeded), []int32{3, 4}},
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			vc := vcentertest.New(t)
			vc.Post(vm(), vm(), vm(), vm())
			cl := login(t, vc)
			collector := cl.collect(withMessages())
			vc.Inject(vcentertest.Fault{Method: "ReadNextEvents", Kind: kind})

			whole := cl.ctx
			if slices.Contains([]vcentertest.Kind{vcentertest.Trickle, vcentertest.Hang, vcentertest.HugeBody}, kind) {
				short, cancel := context.WithTimeout(whole, 100*time.Millisecond)
				defer cancel()
				cl.ctx = short
			}
			if _, err := cl.tryRead(collector, 2); !c.seen(err) {
				t.Errorf("the client sees %T: %v", errors.Unwrap(err), err)
			}
			cl.ctx = whole
			switch events, err := cl.tryRead(collector, 2); {
			case c.next == nil && err == nil:
				t.Errorf("then it reads %v", keys(events))
			case c.next != nil && (err != nil || !slices.Equal(keys(events), c.next)):
				t.Errorf("then it reads %v, %v, want %v", keys(events), err, c.next)
			}
			if vc.Struck() != 1 {
				t.Errorf("struck %d times", vc.Struck())
			}
		})
	}
	for _, kind := range vcentertest.Kinds() {
		if kind.String() == "" {
			t.Errorf("kind %d has no name", kind)
		}
	}
}

func TestAFaultStrikesAfterSoManyCallsAndSoManyTimes(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	vc.Inject(vcentertest.Fault{Method: "CurrentTime", After: 2, Times: 3, Kind: vcentertest.RuntimeFault})
	vc.Inject(vcentertest.Fault{Method: "CreateCollectorForEvents", Times: -1, Kind: vcentertest.InvalidState})
	var got []bool
	for range 7 {
		_, err := c.currentTime()
		got = append(got, err == nil)
	}
	if want := []bool{true, true, false, false, false, true, true}; !slices.Equal(got, want) {
		t.Errorf("calls go %v, want %v", got, want)
	}
	for range 5 {
		if _, err := c.tryCollect(withMessages()); err == nil {
			t.Error("a fault for ever has ended")
		}
	}
	vc.Heal()
	c.collect(withMessages())
	vc.Inject(vcentertest.Fault{Method: "*", Kind: vcentertest.RuntimeFault})
	if err := c.logout(); !isFault(err, &types.RuntimeFault{}) {
		t.Errorf("any method: %v", err)
	}
	if vc.Struck() != 9 {
		t.Errorf("struck %d times", vc.Struck())
	}
}

func TestAHugeBodyOfSoManyBytesIsWhole(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	collector := c.collect(withMessages())
	vc.Inject(vcentertest.Fault{Method: "ReadNextEvents", Kind: vcentertest.HugeBody, Bytes: 1_000_000})
	events := c.read(collector, 1)
	if len(events) != 1 || len(events[0].GetEvent().FullFormattedMessage) != 1_000_000 {
		t.Errorf("read %d events", len(events))
	}
}

func TestATrickleArrivesIfOneWaits(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	vc.Inject(vcentertest.Fault{Method: "CurrentTime", Kind: vcentertest.Trickle, Pace: time.Microsecond})
	if _, err := c.currentTime(); err != nil {
		t.Error(err)
	}
}

func TestWhatAClientCouldNotEndOrKnowOfIsNotLaidAtItsDoor(t *testing.T) {
	for _, kind := range vcentertest.Kinds() {
		if slices.Contains([]vcentertest.Kind{vcentertest.HugeBody, vcentertest.Trickle, vcentertest.Hang}, kind) {
			continue // likewise, but they take time
		}
		for _, method := range []string{"Login", "CreateCollectorForEvents", "DestroyCollector", "Logout"} {
			t.Run(kind.String()+" at "+method, func(t *testing.T) {
				vc := vcentertest.New(t)
				c := connect(t, vc)
				vc.Inject(vcentertest.Fault{Method: method, Kind: kind})
				if c.login(vc.Userinfo()) == nil {
					if collector, err := c.tryCollect(withMessages()); err == nil {
						_ = c.destroy(collector)
					}
					_ = c.logout()
				}
				if vc.Sessions() != 0 || vc.Collectors() != 0 {
					t.Errorf("%d sessions, %d collectors", vc.Sessions(), vc.Collectors())
				}
			})
		}
	}
}

func TestAHandlerMayChangeAnyAnswer(t *testing.T) {
	vc := vcentertest.New(t)
	c := login(t, vc)
	vc.Post(vm())
	vc.Handle(func(method string, next http.Handler) http.Handler {
		if method != "ReadNextEvents" {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			recorded := httptest.NewRecorder()
			next.ServeHTTP(recorded, r)
			_, _ = w.Write(bytes.ReplaceAll(recorded.Body.Bytes(), []byte("<key>1<"), []byte("<key>42<")))
		})
	})
	collector := c.collect(withMessages())
	if got := keys(c.read(collector, 10)); !slices.Equal(got, []int32{42}) {
		t.Errorf("read %v", got)
	}
	vc.Handle(nil)
	vc.Post(vm())
	if got := keys(c.read(collector, 10)); !slices.Equal(got, []int32{2}) {
		t.Errorf("read %v", got)
	}
}

func TestRequestsThatAreNoCallsAreRefused(t *testing.T) {
	vc := vcentertest.New(t)
	web := soap.NewClient(vc.URL(), true)
	defer web.CloseIdleConnections()
	post := func(body string) int {
		res, err := web.Post(vc.URL().String(), "text/xml", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	for _, body := range []string{"", "<Envelope>", "<Envelope><Body><Event/></Body></Envelope>", "<Envelope><Body><ReadNextEvents><maxCount>x</maxCount></ReadNextEvents></Body></Envelope>"} {
		if status := post(body); status != http.StatusBadRequest {
			t.Errorf("%q gives %d", body, status)
		}
	}
	res, err := web.Get(vc.URL().String())
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("GET gives %d", res.StatusCode)
	}
}
