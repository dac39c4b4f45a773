package vcentertest

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// VCenter is a running fake. New makes one.
type VCenter struct {
	t           testing.TB
	address     string // set by start
	certificate *x509.Certificate
	server      *http.Server
	config      *tls.Config
	ended       chan struct{} // closed when the test ends
	busy        sync.RWMutex  // held by calls while they are answered; for good at the end

	door    sync.Mutex    // one of Up, Down and the end at a time
	stopped chan struct{} // under door; closed when the server has ceased to accept; nil while down
	socket  net.Listener  // under door

	mu             sync.Mutex
	connections    map[net.Conn]bool
	about          types.AboutInfo
	user, password string
	now            func() time.Time
	maxCollectors  int
	hook           func(method string, next http.Handler) http.Handler
	calls          map[string]int
	called         chan struct{} // closed and replaced with every call
	logins         int
	faults         []*Fault
	struck         int

	ids        int // the last one given to a session, collector or filter
	sessions   map[string]*session
	collectors map[string]*collector

	history   []*record // what the vCenter can still tell, in the order it tells it
	ledger    []*record // what it ever told, in the order of posting
	next      int32     // the key of the next event
	last      int32     // the key of the newest event of this epoch
	epoch     int
	empty     bool // nothing posted in this epoch yet
	silence   Silence
	wakes     bool
	version   int64         // counts what WaitForUpdatesEx tells of
	latestAt  int64         // the version at which latest changed
	happening chan struct{} // closed and replaced with every change of version
}

// New starts a vCenter with an empty history, whose next event has the key 1. It ends
// with the test. Its user is "user" with the password "pass".
func New(t testing.TB) *VCenter {
	t.Helper()
	v := &VCenter{
		t:             t,
		ended:         make(chan struct{}),
		connections:   map[net.Conn]bool{},
		user:          "user",
		password:      "pass",
		now:           time.Now,
		maxCollectors: 32,
		calls:         map[string]int{},
		called:        make(chan struct{}),
		sessions:      map[string]*session{},
		collectors:    map[string]*collector{},
		next:          1,
		empty:         true,
		wakes:         true,
		happening:     make(chan struct{}),
		about: types.AboutInfo{
			Name:                  "VMware vCenter Server",
			FullName:              "VMware vCenter Server 8.0.3 build-24022515",
			Vendor:                "VMware, Inc.",
			Version:               "8.0.3",
			Build:                 "24022515",
			LocaleVersion:         "INTL",
			LocaleBuild:           "000",
			OsType:                "linux-x64",
			ProductLineId:         "vpx",
			ApiType:               "VirtualCenter",
			ApiVersion:            "8.0.3.0",
			InstanceUuid:          "5a0e9c1e-0000-4000-8000-000000000001",
			LicenseProductName:    "VMware VirtualCenter Server",
			LicenseProductVersion: "8.0",
		},
	}
	v.start()
	t.Cleanup(v.end)
	return v
}

// URL is the address of the SDK, without a user.
func (v *VCenter) URL() *url.URL {
	return &url.URL{Scheme: "https", Host: v.address, Path: "/sdk"}
}

// Certificate is what the server shows. It is its own authority.
func (v *VCenter) Certificate() *x509.Certificate { return v.certificate }

// Userinfo is who may log in now.
func (v *VCenter) Userinfo() *url.Userinfo {
	v.mu.Lock()
	defer v.mu.Unlock()
	return url.UserPassword(v.user, v.password)
}

// SetUser rotates who may log in. Sessions go on.
func (v *VCenter) SetUser(name, password string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.user, v.password = name, password
}

// Secret writes the credentials of now to the files username and password of a new
// directory and returns its path.
func (v *VCenter) Secret(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	user := v.Userinfo()
	password, _ := user.Password()
	for name, text := range map[string]string{"username": user.Username(), "password": password} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// SetAbout changes what the vCenter says of itself: instanceUuid, apiVersion, fullName.
func (v *VCenter) SetAbout(change func(*types.AboutInfo)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.about)
}

// SetClock sets the vCenter's clock, which CurrentTime tells and new events are stamped
// with. It is called with locks held, and must not call back.
func (v *VCenter) SetClock(now func() time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.now = now
}

// SetMaxCollectors sets how many event collectors a session may have, 32 at first.
func (v *VCenter) SetMaxCollectors(n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.maxCollectors = n
}

// Handle puts wrap around every later call, or nothing if it is nil: for what Fault has
// no kind for. It gets the method's name, and in next the answer as it would have been,
// which may be left out, delayed, or recorded and changed. Only Calls counts before it.
func (v *VCenter) Handle(wrap func(method string, next http.Handler) http.Handler) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.hook = wrap
}

// Calls tells how often a method was called, "*" how many calls there were, whatever
// became of them.
func (v *VCenter) Calls(method string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.calls[method]
}

// AwaitCalls returns when a method, or "*", has been called n times since New, or the test
// has ended. The last of them may not have been performed yet.
func (v *VCenter) AwaitCalls(method string, n int) {
	for {
		v.mu.Lock()
		enough, called := v.calls[method] >= n, v.called
		v.mu.Unlock()
		if enough {
			return
		}
		select {
		case <-called:
		case <-v.ended:
			return
		}
	}
}

// changed wakes all that wait for a change. v.mu is held.
func (v *VCenter) changed() {
	close(v.happening)
	v.happening = make(chan struct{})
}
