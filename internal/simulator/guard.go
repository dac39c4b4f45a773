package simulator

import (
	"reflect"
	"strings"
	"sync"
	"time"

	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// idleLimit is how long a session lives without a call, as in a real vCenter.
const idleLimit = 30 * time.Minute

// A guard stands before every call to vcsim. It keeps away what vcsim cannot take:
// collectors destroyed while events are posted, calls it would complain about on the
// standard logger, and clients that vanish without logging out, whose collectors would
// otherwise gather updates for ever.
type guard struct {
	registry *vcsim.Registry

	mu       sync.Mutex
	sessions map[string]*visit // under mu; by session key
	swept    time.Time         // under mu; when idle sessions were last looked for
}

// A visit is one session, seen from outside.
type visit struct {
	session vcsim.Session
	last    time.Time
}

func newGuard(registry *vcsim.Registry) *guard {
	return &guard{registry: registry, sessions: map[string]*visit{}, swept: time.Now()}
}

// handle is vcsim's hook, called before each call. A fault ends the call; an object
// takes the place of the one the call names.
func (g *guard) handle(ctx *vcsim.Context, method *vcsim.Method) (mo.Reference, types.BaseMethodFault) {
	if ctx.Session == nil {
		return nil, nil // vcsim answers NotAuthenticated where it must
	}
	g.saw(ctx.Session, method.Name)
	target := ctx.Session.Get(method.This)
	if target == nil {
		return nil, &types.ManagedObjectNotFound{Obj: method.This}
	}
	if !implements(target, method.Name) {
		return nil, &types.MethodNotFound{Receiver: method.This, Method: method.Name}
	}

	if collector, ok := target.(*vcsim.EventHistoryCollector); ok && method.Name == "DestroyCollector" {
		destroy(ctx, collector)
		return &destroyed{}, nil
	}
	return nil, nil
}

// saw notes that a session is alive, and now and then ends those that are not.
func (g *guard) saw(session *vcsim.Session, method string) {
	now := time.Now()
	g.mu.Lock()
	if method == "Logout" {
		delete(g.sessions, session.Key)
	} else {
		g.sessions[session.Key] = &visit{session: *session, last: now}
	}
	var idle []vcsim.Session
	if now.Sub(g.swept) > time.Minute {
		g.swept = now
		for key, v := range g.sessions {
			if now.Sub(v.last) > idleLimit {
				idle = append(idle, v.session)
				delete(g.sessions, key)
			}
		}
	}
	g.mu.Unlock()
	for i := range idle {
		g.end(session, &idle[i])
	}
}

// end takes from an idle session what vcsim would keep, and then the session itself, in
// the name of another one, for nobody may terminate his own.
func (g *guard) end(by, idle *vcsim.Session) {
	ctx := &vcsim.Context{Session: idle, Map: g.registry}
	for _, object := range idle.Registry.AllReference("") {
		switch object := object.(type) {
		case *vcsim.EventHistoryCollector:
			destroy(ctx, object)
		case *vcsim.PropertyCollector:
			object.CancelWaitForUpdates(&types.CancelWaitForUpdates{})
			g.registry.RemoveHandler(object)
		}
	}
	ctx = &vcsim.Context{Session: by, Map: g.registry}
	g.registry.SessionManager().TerminateSession(ctx, &types.TerminateSession{SessionId: []string{idle.Key}})
}

// cancelWaits ends every call that waits for updates, in all sessions.
func (g *guard) cancelWaits() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, v := range g.sessions {
		for _, object := range v.session.Registry.AllReference("PropertyCollector") {
			if collector, ok := object.(*vcsim.PropertyCollector); ok {
				collector.CancelWaitForUpdates(&types.CancelWaitForUpdates{})
			}
		}
	}
}

// destroy destroys a collector under the lock under which events are posted. vcsim
// itself removes it under another one, while PostEvent ranges over the same map, which
// ends the whole process when it happens at the same moment.
func destroy(ctx *vcsim.Context, collector *vcsim.EventHistoryCollector) {
	ctx.WithLock(ctx.Map.EventManager(), func() {
		ctx.WithLock(collector, func() {
			collector.DestroyCollector(ctx, &types.DestroyCollector{This: collector.Self})
		})
	})
}

// destroyed answers the call for a collector that handle has already destroyed.
type destroyed struct{}

func (*destroyed) Reference() types.ManagedObjectReference { return types.ManagedObjectReference{} }

// Lock and Unlock keep vcsim from making a lock for it.
func (*destroyed) Lock()   {}
func (*destroyed) Unlock() {}

// DestroyCollector is found by vcsim through reflection.
func (*destroyed) DestroyCollector(*types.DestroyCollector) soap.HasFault {
	return &methods.DestroyCollectorBody{Res: new(types.DestroyCollectorResponse)}
}

// implements says whether vcsim will find the method: it looks for PowerOnVMTask when a
// client calls PowerOnVM_Task.
func implements(target mo.Reference, method string) bool {
	if method == "" {
		return false
	}
	name := strings.ToUpper(method[:1]) + method[1:]
	if base, ok := strings.CutSuffix(name, "_Task"); ok {
		name = base + "Task"
	}
	return reflect.ValueOf(target).MethodByName(name).IsValid()
}
