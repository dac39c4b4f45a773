package simulator

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
	"go.uber.org/goleak"
)

// noise is what vcsim writes to the standard logger.
var noise lockedBuffer

func TestMain(m *testing.M) {
	log.SetOutput(io.MultiWriter(os.Stderr, &noise))
	goleak.VerifyTestMain(m)
}

func start(t *testing.T, listen string, o Options) *Simulator {
	t.Helper()
	s, err := Start(t.Context(), listen, o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// begin starts a simulator that runs to the end of the test as fast as it can.
func begin(t *testing.T, seed uint64) *Simulator {
	t.Helper()
	s := start(t, "127.0.0.1:0", Options{Rate: 1e6, Rand: rand.New(rand.NewPCG(seed, 1))})
	s.activity.pace.sleep = func(ctx context.Context, _ time.Duration) error { return context.Cause(ctx) }
	s.activity.pace.now = func() time.Time { return s.activity.pace.due } // never late
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error("Run returned", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run did not return")
		}
		s.Close()
	})
	return s
}

// connect returns a client that verifies the simulator's certificate.
func connect(t *testing.T, s *Simulator) *vim25.Client {
	t.Helper()
	ctx := t.Context()
	sc := soap.NewClient(s.URL(), false)
	sc.DefaultTransport().TLSClientConfig.RootCAs = x509.NewCertPool()
	sc.DefaultTransport().TLSClientConfig.RootCAs.AddCert(s.Certificate())
	c, err := vim25.NewClient(ctx, sc)
	if err != nil {
		t.Fatal(err)
	}
	m := session.NewManager(c)
	if err := m.Login(ctx, url.UserPassword("reader", "anything")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		m.Logout(ctx)
		sc.CloseIdleConnections()
	})
	return c
}

// collector reads all events from the beginning.
func collector(t *testing.T, c *vim25.Client) *event.HistoryCollector {
	t.Helper()
	h, err := event.NewManager(c).CreateCollectorForEvents(t.Context(), types.EventFilterSpec{
		Entity:   &types.EventFilterSpecByEntity{Entity: c.ServiceContent.RootFolder, Recursion: types.EventFilterSpecRecursionOptionAll},
		MaxCount: 1000,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		h.Destroy(ctx)
	})
	return h
}

// read calls see for every event until it returns true. When nothing comes for a while
// it begins anew after the last event, for vcsim goes silent when a reader is more than
// 1000 events behind.
func read(t *testing.T, c *vim25.Client, see func(types.BaseEvent) bool) {
	t.Helper()
	var last int32
	h := collector(t, c)
	heard := time.Now()
	for deadline := heard.Add(60 * time.Second); time.Now().Before(deadline); {
		page, err := h.ReadNextEvents(t.Context(), 1000)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range page {
			if e.GetEvent().Key <= last {
				continue
			}
			last, heard = e.GetEvent().Key, time.Now()
			if see(e) {
				return
			}
		}
		if len(page) > 0 {
			continue
		}
		if time.Since(heard) > time.Second {
			h, heard = collector(t, c), time.Now()
		}
		<-time.After(5 * time.Millisecond) // leave the processor to the simulator
	}
	t.Fatal("the events waited for did not come")
}

func className(e types.BaseEvent) string { return reflect.TypeOf(e).Elem().Name() }

func TestClientsSeeLivelyMixedActivity(t *testing.T) {
	s := begin(t, 1)
	c := connect(t, s)
	category := categories(t, c)

	classes, severities, users, ids := map[string]int{}, map[string]int{}, map[string]int{}, map[string]int{}
	n := 0
	read(t, c, func(e types.BaseEvent) bool {
		n++
		b := e.GetEvent()
		name := className(e)
		classes[name]++
		users[b.UserName]++
		if b.FullFormattedMessage == "" || strings.Contains(b.FullFormattedMessage, "{") {
			t.Errorf("%s %d has the message %q", name, b.Key, b.FullFormattedMessage)
		}
		if b.UserName == "" {
			t.Errorf("%s %d has no user", name, b.Key)
		}
		switch e := e.(type) {
		case *types.EventEx:
			ids[e.EventTypeId]++
			severities[e.Severity]++
			if !strings.HasPrefix(category["EventEx "+e.EventTypeId], e.Severity) {
				t.Errorf("%s has severity %q and category %q", e.EventTypeId, e.Severity, category["EventEx "+e.EventTypeId])
			}
		case *types.ExtendedEvent:
			ids[e.EventTypeId]++
			severities[category["ExtendedEvent "+e.EventTypeId]]++
		default:
			if category[name] == "" {
				t.Errorf("%s has no category", name)
			}
			severities[category[name]]++
		}
		return n >= 3000
	})

	for _, want := range []string{
		"EventEx", "ExtendedEvent", "TaskEvent", "AlarmStatusChangedEvent", "BadUsernameSessionEvent",
		"VmPoweredOnEvent", "VmPoweredOffEvent", "VmSuspendedEvent", "VmReconfiguredEvent", "VmClonedEvent",
		"VmRemovedEvent", "VmRenamedEvent", "VmMigratedEvent", "DrsVmMigratedEvent", "HostConnectionLostEvent",
		"HostConnectedEvent", "EnteringMaintenanceModeEvent", "EnteredMaintenanceModeEvent",
		"ExitMaintenanceModeEvent", "UserLoginSessionEvent", "UserLogoutSessionEvent",
		"DVPortgroupCreatedEvent", "DVPortgroupDestroyedEvent", "DatastoreCapacityIncreasedEvent",
	} {
		if classes[want] == 0 {
			t.Errorf("there was no %s", want)
		}
	}
	if len(classes) < 45 || len(ids) < 15 {
		t.Errorf("%d classes and %d ids of EventEx and ExtendedEvent, want more", len(classes), len(ids))
	}
	for _, want := range []string{"info", "warning", "error", "user"} {
		if severities[want] == 0 {
			t.Errorf("there was no event of severity %s", want)
		}
	}
	if most := severities["info"] * 100 / n; most < 70 {
		t.Errorf("%d%% of the events are harmless, want most", most)
	}
	for _, want := range []string{administrator.name, amara.name, jonas.name, backup.name, vpxd} {
		if users[want] < n/50 {
			t.Errorf("%s made %d of %d events", want, users[want], n)
		}
	}
	if testing.Verbose() {
		t.Log(len(classes), "classes:", classes)
		t.Log(len(ids), "ids:", ids)
		t.Log("severities:", severities, "users:", users)
	}
}

// categories maps a class, or a class and an id, to its category, as a client learns it.
func categories(t *testing.T, c *vim25.Client) map[string]string {
	t.Helper()
	var content []types.ObjectContent
	pc := property.DefaultCollector(c)
	if err := pc.RetrieveOne(t.Context(), *c.ServiceContent.EventManager, []string{"description.eventInfo"}, &content); err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, p := range content[0].PropSet {
		for _, info := range p.Val.(types.ArrayOfEventDescriptionEventDetail).EventDescriptionEventDetail {
			key := info.Key
			if id, _, ok := strings.Cut(info.FullFormat, "|"); ok && (key == "EventEx" || key == "ExtendedEvent") {
				key += " " + id
			}
			m[key] = info.Category
		}
	}
	return m
}

func TestTheInventoryStaysWithinBounds(t *testing.T) {
	s := begin(t, 2)
	c := connect(t, s)
	planned := map[string]int{"Datacenter": len(plan), "ClusterComputeResource": len(plan)}
	for _, p := range plan {
		planned["VirtualMachine"] += len(p.vms)
		planned["HostSystem"] += len(p.hosts)
		planned["Datastore"] += len(p.stores)
		planned["DistributedVirtualPortgroup"] += len(p.nets) + 1 // that of the uplinks
	}
	planned["Folder"] = 1 + 4*len(plan)
	more := map[string]int{
		"VirtualMachine": maxSpares, "DistributedVirtualPortgroup": maxPorts, "Folder": maxFolders,
	}
	n := 0
	read(t, c, func(types.BaseEvent) bool {
		n++
		return n >= 2500
	})
	for kind, want := range planned {
		// One more, for an operation may be under way.
		if n := len(s.registry.AllReference(kind)); n < want || n > want+more[kind]+1 {
			t.Errorf("there are %d %ss, want %d and at most %d more", n, kind, want, more[kind])
		}
	}
	if n := len(s.registry.AllReference("Task")); n > keptTasks+500 {
		t.Errorf("vcsim remembers %d tasks", n)
	}
	if n := len(s.registry.AllReference("VirtualMachineSnapshot")); n > maxSnapshots+maxStories+1 {
		t.Errorf("there are %d snapshots", n)
	}
}

func TestTheRateIsKeptInTheLongRun(t *testing.T) {
	for _, rate := range []float64{0.1, 20, 1000} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			s := start(t, "127.0.0.1:0", Options{Rate: rate, Rand: rand.New(rand.NewPCG(3, 3))})
			defer s.Close()
			// A clock of its own, on which only waiting takes time.
			began := time.Now()
			now := began
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			p := s.activity.pace
			p.now = func() time.Time { return now }
			p.sleep = func(ctx context.Context, d time.Duration) error {
				now = now.Add(d)
				if s.activity.newest > 2000 {
					cancel()
				}
				return context.Cause(ctx)
			}
			first := newestKey(t, s)
			if err := s.Run(ctx); err != nil {
				t.Fatal(err)
			}
			made := float64(newestKey(t, s) - first)
			got := made / now.Sub(began).Seconds()
			if got < rate*0.9 || got > rate*1.1 {
				t.Errorf("%g events in %v are %.3g per second, want %g", made, now.Sub(began), got, rate)
			}
		})
	}
}

// newestKey posts an event to learn how many there are.
func newestKey(t *testing.T, s *Simulator) int32 {
	t.Helper()
	e := &types.GeneralUserEvent{GeneralEvent: types.GeneralEvent{Message: "counting"}}
	s.post(vpxd, e)
	return e.Key
}

func TestALateScheduleIsCaughtUpWithReportsAlone(t *testing.T) {
	now := time.Unix(0, 0)
	p := &pace{
		rate: 1000, rand: rand.New(rand.NewPCG(4, 4)), now: func() time.Time { return now },
		sleep: func(context.Context, time.Duration) error { return nil },
	}
	if late, err := p.after(t.Context(), 10); late || err != nil {
		t.Fatal("late at the beginning", late, err)
	}
	now = now.Add(200 * time.Millisecond)
	if late, _ := p.after(t.Context(), 10); !late {
		t.Error("not late after an operation that took 200 ms")
	}
	now = now.Add(time.Hour)
	p.after(t.Context(), 1)
	n := 0
	for late := true; late; n++ {
		late, _ = p.after(t.Context(), 1)
	}
	if n > 1500 {
		t.Errorf("%d events are made up after an hour of sleep", n)
	}
}

func TestTheSameSeedDecidesTheSame(t *testing.T) {
	tell := func() []string {
		s := start(t, "127.0.0.1:0", Options{Rand: rand.New(rand.NewPCG(5, 5))})
		defer s.Close()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		s.activity.pace.sleep = func(ctx context.Context, _ time.Duration) error {
			if s.activity.newest > 700 {
				cancel()
			}
			return context.Cause(ctx)
		}
		s.activity.pace.now = func() time.Time { return s.activity.pace.due }
		if err := s.Run(ctx); err != nil {
			t.Fatal(err)
		}
		var told []string
		read(t, connect(t, s), func(e types.BaseEvent) bool {
			if b := e.GetEvent(); b.UserName == "reader" {
				return true
			}
			switch e.(type) {
			case *types.UserLoginSessionEvent, *types.UserLogoutSessionEvent, *types.VmInstanceUuidAssignedEvent, *types.VmUuidAssignedEvent:
				told = append(told, className(e)) // their messages hold times and random numbers
			default:
				told = append(told, e.GetEvent().UserName+" "+e.GetEvent().FullFormattedMessage)
			}
			return false
		})
		return told
	}
	one, other := tell(), tell()
	if len(one) < 500 || !slices.Equal(one, other) {
		for i := range min(len(one), len(other)) {
			if one[i] != other[i] {
				t.Fatalf("event %d is %q, and then %q", i, one[i], other[i])
			}
		}
		t.Fatalf("%d events, and then %d", len(one), len(other))
	}
}

func TestCloseFreesThePortEvenWhileAClientWaitsForUpdates(t *testing.T) {
	s := start(t, "127.0.0.1:0", Options{})
	address := s.URL().Host
	c := connect(t, s)
	pc, err := property.DefaultCollector(c).Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	h := collector(t, c)
	if _, err := pc.CreateFilter(t.Context(), types.CreateFilter{Spec: types.PropertyFilterSpec{
		ObjectSet: []types.ObjectSpec{{Obj: h.Reference()}},
		PropSet:   []types.PropertySpec{{Type: "EventHistoryCollector", PathSet: []string{"latestPage"}}},
	}}); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	waiting := make(chan struct{}, 10)
	go func() {
		version := ""
		for {
			res, err := methods.WaitForUpdatesEx(context.Background(), c, &types.WaitForUpdatesEx{This: pc.Reference(), Version: version})
			if err != nil {
				ended <- err
				return
			}
			if res.Returnval != nil {
				version = res.Returnval.Version
			}
			select {
			case waiting <- struct{}{}:
			default:
			}
		}
	}()
	<-waiting
	began := time.Now()
	s.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("Close took %v", took)
	}
	select {
	case <-ended:
	case <-time.After(10 * time.Second):
		t.Fatal("the wait goes on")
	}

	again := start(t, address, Options{})
	defer again.Close()
	if got := again.URL().Host; got != address {
		t.Errorf("started on %s, want %s", got, address)
	}
	if other := connect(t, again); other.ServiceContent.About.InstanceUuid == c.ServiceContent.About.InstanceUuid {
		t.Error("two vCenters have the same instance UUID")
	}
	if _, err := Start(t.Context(), address, Options{}); err == nil {
		t.Error("started twice on the same address")
	}
	if _, err := os.Stat(s.dir); !os.IsNotExist(err) {
		t.Error("the datastores of the first are still there:", err)
	}
}

func TestAStartThatIsBrokenOffLeavesNothing(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for after := time.Duration(0); after < 120*time.Millisecond; after += 30 * time.Millisecond {
		ctx, cancel := context.WithTimeout(t.Context(), after)
		s, err := Start(ctx, "127.0.0.1:0", Options{})
		cancel()
		if err == nil {
			s.Close() // was faster
		}
		if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
			t.Errorf("broken off after %v it leaves %v, %v", after, left, err)
		}
	}
}

func TestTheSimulatorIsAVCenterOfToday(t *testing.T) {
	s := start(t, "127.0.0.1:0", Options{})
	defer s.Close()
	about := connect(t, s).ServiceContent.About
	if about.Version != "8.0.3" || about.ApiVersion != "8.0.3.0" || !strings.Contains(about.FullName, "vCenter Server 8.0.3 build-"+about.Build) {
		t.Errorf("it says %+v", about)
	}
}

func TestCollectorsMayComeAndGoWhileEventsArePosted(t *testing.T) {
	s := begin(t, 6)
	for range 4 {
		c := connect(t, s)
		for range 20 {
			h, err := event.NewManager(c).CreateCollectorForEvents(t.Context(), types.EventFilterSpec{})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.ReadNextEvents(t.Context(), 100); err != nil {
				t.Fatal(err)
			}
			if err := h.Destroy(t.Context()); err != nil {
				t.Fatal(err)
			}
			if _, err := h.ReadNextEvents(t.Context(), 1); err == nil {
				t.Fatal("a destroyed collector can be read")
			}
		}
	}
}

func TestAClientThatVanishesIsForgotten(t *testing.T) {
	s := start(t, "127.0.0.1:0", Options{})
	defer s.Close()
	gone := connect(t, s)
	h := collector(t, gone)
	if _, err := h.ReadNextEvents(t.Context(), 10); err != nil {
		t.Fatal(err)
	}
	s.guard.mu.Lock()
	s.guard.swept = time.Time{}
	for _, v := range s.guard.sessions {
		if v.session.UserName == "reader" {
			v.last = time.Now().Add(-2 * idleLimit)
		}
	}
	s.guard.mu.Unlock()

	collector(t, connect(t, s)) // any call looks for idle sessions
	if _, err := h.ReadNextEvents(t.Context(), 10); err == nil {
		t.Error("an idle session is still open")
	}
}

func TestNothingIsWrittenToTheStandardLogger(t *testing.T) {
	s := begin(t, 7)
	for range 3 { // a client that does not trust the certificate
		if conn, err := net.Dial("tcp", s.URL().Host); err == nil {
			conn.Write([]byte("GET / HTTP/1.0\r\n\r\n"))
			io.Copy(io.Discard, conn)
			conn.Close()
		}
	}
	n := 0
	read(t, connect(t, s), func(types.BaseEvent) bool { n++; return n > 1500 })
	if text := noise.String(); text != "" {
		t.Errorf("vcsim wrote:\n%s", text)
	}
}

func TestUsersWhoseSessionEndedLogInAgain(t *testing.T) {
	s := begin(t, 8)
	c := connect(t, s)
	var m mo.SessionManager
	if err := property.DefaultCollector(c).RetrieveOne(t.Context(), *c.ServiceContent.SessionManager, []string{"sessionList"}, &m); err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, open := range m.SessionList {
		if open.UserName == jonas.name {
			keys = append(keys, open.Key)
		}
	}
	if err := session.NewManager(c).TerminateSession(t.Context(), keys); err != nil || len(keys) == 0 {
		t.Fatal("jonas had no session to end", err)
	}
	n := 0
	read(t, c, func(e types.BaseEvent) bool {
		if _, ok := e.(*types.VmReconfiguredEvent); ok && e.GetEvent().UserName == jonas.name {
			n++
		}
		return n >= 3
	})
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer // under mu
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
