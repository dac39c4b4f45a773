package vcentertest

import (
	"context"
	"fmt"
	"maps"

	"github.com/vmware/govmomi/vim25/types"
)

// session is what Login begins. Its fields are under VCenter.mu.
type session struct {
	id       string // the cookie
	user     string
	updaters map[string]*updater // property collectors by their names
	excused  bool                // the client may not know it, or could not end it
}

// id makes a name that was never used.
func (v *VCenter) id(kind string) string {
	v.ids++
	return fmt.Sprintf("%s-%d", kind, v.ids)
}

func (v *VCenter) login(_ context.Context, s *session, c *call) ([]byte, types.BaseMethodFault) {
	params := c.params.(*types.Login)
	if s != nil || params.UserName != v.user || params.Password != v.password {
		return nil, &types.InvalidLogin{}
	}
	v.logins++
	s = &session{id: v.id("session"), user: params.UserName, updaters: map[string]*updater{propertyCollector.Value: newUpdater()}}
	v.sessions[s.id] = s
	c.session = s
	now := v.now()
	return []byte(element("returnval", types.UserSession{
		Key: s.id, UserName: s.user, FullName: s.user, LoginTime: now, LastActiveTime: now,
		Locale: "en", MessageLocale: "en", IpAddress: "127.0.0.1", UserAgent: "vcentertest", CallCount: 0,
	})), nil
}

// logout leaves the collectors: who does not destroy them shows in Collectors.
func (v *VCenter) logout(_ context.Context, s *session, _ *call) ([]byte, types.BaseMethodFault) {
	delete(v.sessions, s.id)
	return nil, nil
}

// expire ends a session as a timeout does, with all that is in it.
func (v *VCenter) expire(s *session) {
	delete(v.sessions, s.id)
	for id, c := range v.collectors {
		if c.session == s {
			delete(v.collectors, id)
		}
	}
}

// TerminateSessions ends all sessions, and their collectors with them. Their next call
// is answered with NotAuthenticated; a pending wait does not notice.
func (v *VCenter) TerminateSessions() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.forgetAll()
}

func (v *VCenter) forgetAll() {
	clear(v.sessions)
	clear(v.collectors)
}

// Restart is a restart of vCenter's services: connections break off, sessions and
// collectors are gone, the history remains. It is reachable again at once; for a restart
// that takes its time call Down before and Up after it.
func (v *VCenter) Restart() {
	v.TerminateSessions()
	v.hangUp()
}

// Sessions counts the sessions there are. Those that their client could not end, or not
// know of, because of a Fault or Down, do not count until it uses them again.
func (v *VCenter) Sessions() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for s := range maps.Values(v.sessions) {
		if !s.excused {
			n++
		}
	}
	return n
}

// Collectors counts the event collectors there are, those that were left behind by
// Logout included. What Sessions says of exceptions holds here too.
func (v *VCenter) Collectors() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	n := 0
	for c := range maps.Values(v.collectors) {
		if !c.excused && !c.session.excused {
			n++
		}
	}
	return n
}

// Logins counts the logins that were accepted.
func (v *VCenter) Logins() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.logins
}

// excuse remembers that the client may not know what became of a call, or that it was
// kept from tidying up.
func (v *VCenter) excuse(c *call) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if c.session != nil {
		c.session.excused = true
	}
	if c.collector != nil {
		c.collector.excused = true
	}
	switch c.method {
	case "Logout":
		if s := v.sessions[c.cookie]; s != nil {
			s.excused = true
		}
	case "DestroyCollector":
		if h := v.collectors[c.this.Value]; h != nil {
			h.excused = true
		}
	}
}
