package simulator

import (
	"context"
	"slices"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/vim25/types"
)

// maxStories is how many stories are under way at a time. Each takes at most one host
// away, and a cluster has at least three.
const maxStories = 2

// The EventEx of the stories.
var (
	netLost        = ex("esx.problem.net.connectivity.lost")
	hostFailed     = ex("com.vmware.vc.HA.DasHostFailedEvent")
	failoverBegins = ex("com.vmware.vc.HA.ClusterFailoverInProgressEvent")
	restartedByHA  = ex("com.vmware.vc.ha.VmRestartedByHAEvent")
	failoverEnds   = ex("com.vmware.vc.HA.FailoverCompletedEvent")
	agentBack      = ex("com.vmware.vc.HA.ConnectedToMaster")
	pathLost       = ex("esx.problem.storage.redundancy.degraded")
	storeLost      = ex("esx.problem.storage.connectivity.lost")
	storeBack      = ex("esx.clear.storage.connectivity.restored")
	guestOperation = ex("com.vmware.vc.guestOperations.GuestOperation")
)

// A story is a sequence of actions that belong together, told between other things.
type story struct{ steps []action }

// begin starts a story.
func (a *activity) begin() {
	tell := one(a, []func(*activity) []action{
		hostLost, hostLost, maintenance, storageTrouble, intruder, backupRun, balance,
	})
	if steps := tell(a); len(steps) > 0 {
		a.stories = append(a.stories, &story{steps})
	}
}

// tellOn takes the next step of one of the stories. A step that fails does not end its
// story: what it took away must be given back.
func (a *activity) tellOn(ctx context.Context) error {
	if len(a.stories) == 0 {
		return nil
	}
	s := one(a, a.stories)
	step := s.steps[0]
	if s.steps = s.steps[1:]; len(s.steps) == 0 {
		a.stories = slices.DeleteFunc(a.stories, func(other *story) bool { return other == s })
	}
	return step(a, ctx)
}

// take takes a host out of service until the story gives it back, and returns a machine
// on it, or on another host when it is empty; ok is false when too few hosts would stay.
func (a *activity) take() (host thing, m machine, ok bool) {
	m, ok = a.anyMachine()
	if !ok {
		return thing{}, m, false
	}
	away := 0
	for _, h := range m.place.hosts {
		if a.site.lost[h.ref] {
			away++
		}
	}
	if away > 0 && len(m.place.hosts)-away < 3 {
		return thing{}, m, false
	}
	a.site.lost[m.host.ref] = true
	return m.host, m, true
}

// on returns the virtual machines of the plan on a host, at most n.
func (a *activity) on(p *place, host thing, n int) []machine {
	var found []machine
	for _, ref := range p.vms {
		if m, ok := a.look(p, ref); ok && m.host == host && len(found) < n {
			found = append(found, m)
		}
	}
	return found
}

// hostLost: a host stops answering, HA starts its virtual machines elsewhere, the host
// comes back.
func hostLost(a *activity) []action {
	host, m, ok := a.take()
	if !ok {
		return nil
	}
	p := m.place
	steps := []action{
		func(a *activity, _ context.Context) error {
			a.connect(host, types.HostSystemConnectionStateNotResponding)
			a.postEx(vpxd, netLost, m, host)
			a.post(vpxd, &types.HostConnectionLostEvent{HostEvent: types.HostEvent{Event: p.hostEvent(host)}})
			return nil
		},
		func(a *activity, _ context.Context) error {
			a.postEx(vpxd, hostFailed, m, host)
			a.post(vpxd, &types.DasHostFailedEvent{ClusterEvent: types.ClusterEvent{Event: p.clusterEvent()}, FailedHost: host.asHost()})
			a.postEx(vpxd, failoverBegins, m, host)
			return nil
		},
	}
	for range 3 {
		steps = append(steps, func(a *activity, _ context.Context) error {
			for _, vm := range a.on(p, host, 1) {
				to := a.anyHost(p, host)
				a.put(vm, to)
				vm.host = to
				a.postEx(vpxd, restartedByHA, vm, to)
			}
			return nil
		})
	}
	return append(steps,
		func(a *activity, _ context.Context) error {
			a.postEx(vpxd, failoverEnds, m, host)
			return nil
		},
		func(a *activity, _ context.Context) error {
			if a.chance(0.3) {
				a.post(vpxd, &types.HostCnxFailedNoConnectionEvent{HostEvent: types.HostEvent{Event: p.hostEvent(host)}})
			}
			return nil
		},
		func(a *activity, _ context.Context) error {
			a.connect(host, types.HostSystemConnectionStateConnected)
			delete(a.site.lost, host.ref)
			a.post(vpxd, &types.HostConnectedEvent{HostEvent: types.HostEvent{Event: p.hostEvent(host)}})
			a.postEx(vpxd, agentBack, m, host)
			return nil
		},
	)
}

// maintenance: the administrator empties a host, works on it and lets it back.
func maintenance(a *activity) []action {
	host, m, ok := a.take()
	if !ok {
		return nil
	}
	p := m.place
	event := func() types.HostEvent { return types.HostEvent{Event: p.hostEvent(host)} }
	steps := []action{
		func(a *activity, _ context.Context) error {
			a.post(administrator.name, &types.EnteringMaintenanceModeEvent{HostEvent: event()})
			return nil
		},
	}
	for range 3 {
		steps = append(steps, func(a *activity, _ context.Context) error {
			for _, vm := range a.on(p, host, 2) {
				a.move(vm, a.anyHost(p, host), true)
			}
			return nil
		})
	}
	return append(steps,
		func(a *activity, ctx context.Context) error {
			for _, vm := range a.on(p, host, len(p.vms)) {
				a.put(vm, a.anyHost(p, host)) // those that were switched off move without a word
			}
			admin := a.users[administrator.name]
			_, err := a.task(ctx, admin, host, p.hostEvent(host), "EnterMaintenanceMode_Task", "HostSystem.enterMaintenanceMode", "Enter maintenance mode",
				func() (*object.Task, error) {
					return object.NewHostSystem(admin.client, host.ref).EnterMaintenanceMode(ctx, 60, false, nil)
				})
			a.post(administrator.name, &types.EnteredMaintenanceModeEvent{HostEvent: event()})
			return err
		},
		func(a *activity, _ context.Context) error {
			a.post(administrator.name, &types.HostDisconnectedEvent{HostEvent: event(), Reason: "user"})
			a.connect(host, types.HostSystemConnectionStateDisconnected)
			return nil
		},
		func(a *activity, _ context.Context) error {
			a.connect(host, types.HostSystemConnectionStateConnected)
			a.post(vpxd, &types.HostConnectedEvent{HostEvent: event()})
			return nil
		},
		func(a *activity, ctx context.Context) error {
			admin := a.users[administrator.name]
			_, err := a.task(ctx, admin, host, p.hostEvent(host), "ExitMaintenanceMode_Task", "HostSystem.exitMaintenanceMode", "Exit maintenance mode",
				func() (*object.Task, error) {
					return object.NewHostSystem(admin.client, host.ref).ExitMaintenanceMode(ctx, 60)
				})
			delete(a.site.lost, host.ref)
			a.post(administrator.name, &types.ExitMaintenanceModeEvent{HostEvent: event()})
			return err
		},
	)
}

// storageTrouble: a path to a datastore breaks, then the other, then both are repaired.
func storageTrouble(a *activity) []action {
	m, ok := a.anyMachine()
	if !ok {
		return nil
	}
	where := m.place.storeEvent(m.store)
	al := a.standing(&alarm{kind: storeUsage, about: m.store, where: where})
	turn := func(kind exKind, level int) action {
		return func(a *activity, _ context.Context) error {
			a.postEx(vpxd, kind, m, m.host)
			a.setAlarm(a.standing(al), level)
			return nil
		}
	}
	return []action{
		turn(pathLost, 1),
		turn(storeLost, 2),
		func(a *activity, _ context.Context) error {
			a.post(vpxd, &types.GeneralVmErrorEvent{GeneralEvent: types.GeneralEvent{
				Event: m.event(), Message: "The disks of " + m.name + " on " + m.store.name + " do not answer",
			}})
			return nil
		},
		turn(storeBack, 0),
	}
}

// intruder: somebody tries passwords.
func intruder(a *activity) []action {
	var steps []action
	for range 3 + a.rand.IntN(4) {
		steps = append(steps, func(a *activity, _ context.Context) error {
			a.badLogin("administrator", "203.0.113.77")
			return nil
		})
	}
	return append(steps, func(a *activity, _ context.Context) error {
		a.post(amara.name, &types.GeneralUserEvent{GeneralEvent: types.GeneralEvent{
			Event: a.site.places[0].event(), Message: "blocked 203.0.113.77 at the firewall",
		}})
		return nil
	})
}

// backupRun: the backup takes a snapshot, copies, and removes the snapshot.
func backupRun(a *activity) []action {
	m, ok := a.machine(func(m machine) bool { return !m.snapshots })
	if !ok {
		return nil
	}
	return []action{
		(*activity).visit,
		func(a *activity, ctx context.Context) error {
			if now, ok := a.look(m.place, m.ref); !ok || now.snapshots {
				return nil // somebody was faster
			}
			return a.takeSnapshot(ctx, a.users[backup.name], m)
		},
		func(a *activity, _ context.Context) error {
			a.postEx(backup.name, guestOperation, m, m.host)
			return nil
		},
		func(a *activity, ctx context.Context) error { return a.removeSnapshots(ctx, a.users[backup.name], m) },
	}
}

// balance: DRS spreads the load of a cluster.
func balance(*activity) []action {
	step := func(a *activity, _ context.Context) error {
		m, ok := a.machine(func(m machine) bool { return m.power == types.VirtualMachinePowerStatePoweredOn })
		if ok {
			a.move(m, a.anyHost(m.place, m.host), true)
		}
		return nil
	}
	return []action{step, step, step}
}
