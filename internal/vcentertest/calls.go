package vcentertest

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

var (
	serviceInstance   = types.ManagedObjectReference{Type: "ServiceInstance", Value: "ServiceInstance"}
	sessionManager    = types.ManagedObjectReference{Type: "SessionManager", Value: "SessionManager"}
	eventManager      = types.ManagedObjectReference{Type: "EventManager", Value: "EventManager"}
	propertyCollector = types.ManagedObjectReference{Type: "PropertyCollector", Value: "propertyCollector"}
	rootFolder        = types.ManagedObjectReference{Type: "Folder", Value: "group-d1"}
)

// methods lists what is faked. Each is performed with v.mu held and returns the XML of
// its result.
var methods map[string]func(*VCenter, context.Context, *session, *call) ([]byte, types.BaseMethodFault)

// Not a literal, for performing leads back to the table.
func init() {
	methods = map[string]func(*VCenter, context.Context, *session, *call) ([]byte, types.BaseMethodFault){
		"RetrieveServiceContent":   (*VCenter).retrieveServiceContent,
		"Login":                    (*VCenter).login,
		"Logout":                   (*VCenter).logout,
		"CurrentTime":              (*VCenter).currentTime,
		"CreateCollectorForEvents": (*VCenter).createCollectorForEvents,
		"QueryEvents":              (*VCenter).queryEvents,
		"ReadNextEvents":           (*VCenter).readNextEvents,
		"ReadPreviousEvents":       (*VCenter).readPreviousEvents,
		"SetCollectorPageSize":     (*VCenter).setCollectorPageSize,
		"DestroyCollector":         (*VCenter).destroyCollector,
		"RetrieveProperties":       (*VCenter).retrieveProperties,
		"RetrievePropertiesEx":     (*VCenter).retrievePropertiesEx,
		"CreatePropertyCollector":  (*VCenter).createPropertyCollector,
		"DestroyPropertyCollector": (*VCenter).destroyPropertyCollector,
		"CreateFilter":             (*VCenter).createFilter,
		"DestroyPropertyFilter":    (*VCenter).destroyPropertyFilter,
		"WaitForUpdatesEx":         (*VCenter).waitForUpdatesEx,
		"CancelWaitForUpdates":     (*VCenter).cancelWaitForUpdates,
	}
}

// serve answers one HTTP request.
func (v *VCenter) serve(w http.ResponseWriter, r *http.Request) {
	if !v.busy.TryRLock() {
		panic(http.ErrAbortHandler) // the test has ended
	}
	defer v.busy.RUnlock()
	if r.Method != http.MethodPost || r.URL.Path != "/sdk" {
		http.NotFound(w, r)
		return
	}
	c, err := readCall(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	v.mu.Lock()
	v.calls[c.method]++
	v.calls["*"]++
	close(v.called)
	v.called = make(chan struct{})
	hook := v.hook
	v.mu.Unlock()

	var next http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { v.answer(w, r, c) })
	if hook != nil {
		next = hook(c.method, next)
	}
	next.ServeHTTP(w, r)
}

// answer performs a call and writes its answer, or what a fault makes of it.
func (v *VCenter) answer(w http.ResponseWriter, r *http.Request, c *call) {
	fault := v.strike(c)
	if fault == nil {
		a := v.perform(r.Context(), c)
		away := r.Context().Err() != nil // before the answer: who has got it may go away
		a.write(w)
		if http.NewResponseController(w).Flush() != nil || away {
			v.excuse(c)
		}
		return
	}
	if a, ok := v.instead(fault.Kind, c); ok {
		v.excuse(c)
		a.write(w)
		return
	}
	a := v.perform(r.Context(), c)
	v.excuse(c)
	v.spoil(w, r, fault, a)
}

// perform does what the call asks for.
func (v *VCenter) perform(ctx context.Context, c *call) answer {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.sessions[c.cookie]
	do, known := methods[c.method]
	switch {
	case s != nil:
		s.excused = false
	case c.method != "RetrieveServiceContent" && c.method != "Login":
		return refusal(&types.NotAuthenticated{NoPermission: types.NoPermission{Object: &c.this, PrivilegeId: "System.View"}})
	}
	if !known {
		return refusal(&types.MethodNotFound{Receiver: c.this, Method: c.method})
	}
	inner, fault := do(v, ctx, s, c)
	if fault != nil {
		return refusal(fault)
	}
	a := response(c.method, inner)
	if c.session != nil {
		a.cookie = c.session.id
	}
	return a
}

func (v *VCenter) retrieveServiceContent(context.Context, *session, *call) ([]byte, types.BaseMethodFault) {
	content := types.ServiceContent{
		RootFolder:        rootFolder,
		PropertyCollector: propertyCollector,
		About:             v.about,
		SessionManager:    &sessionManager,
		EventManager:      &eventManager,
	}
	return []byte(element("returnval", content)), nil
}

func (v *VCenter) currentTime(context.Context, *session, *call) ([]byte, types.BaseMethodFault) {
	return fmt.Appendf(nil, "<returnval>%s</returnval>", written(v.now())), nil
}

// written is a time as vCenter writes it.
func written(t time.Time) string {
	return t.UTC().Format("2006-01-02T15:04:05.999999Z")
}

func notFound(ref types.ManagedObjectReference) types.BaseMethodFault {
	return &types.ManagedObjectNotFound{Obj: ref}
}
