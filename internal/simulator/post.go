package simulator

import (
	"context"

	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/mo"
	"github.com/vmware/govmomi/vim25/types"
)

// as returns a context in which vcsim takes us for the user of that name. It is made
// anew for each use, since vcsim tells holders of its locks apart by their context.
func (s *Simulator) as(name string) *vcsim.Context {
	return &vcsim.Context{
		Context: context.Background(),
		Map:     s.registry,
		Session: &vcsim.Session{
			UserSession: types.UserSession{UserName: name, FullName: name},
			Registry:    vcsim.NewRegistry(),
			Map:         s.registry,
		},
	}
}

// post writes an event into vcsim's history in the name of a user, who needs no session
// for it. It goes round SOAP, which makes it about a hundred times cheaper, and lets the
// vCenter itself and people who fail to log in be the authors of events.
//
// An EventEx about an object that has gone is dropped: vcsim would panic over it and
// never unlock what it had locked.
func (s *Simulator) post(by string, event types.BaseEvent) {
	ctx := s.as(by)
	manager := s.registry.EventManager()
	s.registry.WithLock(ctx, manager, func() {
		if e, ok := event.(*types.EventEx); ok {
			about := types.ManagedObjectReference{Type: e.ObjectType, Value: e.ObjectId}
			if _, ok := s.registry.Get(about).(mo.Entity); !ok {
				return
			}
		}
		manager.PostEvent(ctx, &types.PostEvent{EventToPost: event})
		s.activity.newest = event.GetEvent().Key
	})
}
