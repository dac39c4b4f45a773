package simulator

import (
	"context"
	"fmt"

	"github.com/vmware/govmomi/vim25/types"
)

// failLogin reports somebody who could not log in; vcsim refuses nobody.
func (a *activity) failLogin(context.Context) error {
	a.badLogin(one(a, []string{`LAB\amara`, `LAB\jonas`, `LAB\guest`, "root", "admin", `VSPHERE.LOCAL\svc-monitor`}),
		fmt.Sprintf("10.20.%d.%d", a.rand.IntN(8), 1+a.rand.IntN(254)))
	return nil
}

func (a *activity) badLogin(name, address string) {
	a.post(name, &types.BadUsernameSessionEvent{IpAddress: address})
}

// noteMachine tells something about a virtual machine.
func (a *activity) noteMachine(context.Context) error {
	m, ok := a.anyMachine()
	if !ok {
		return nil
	}
	switch a.rand.IntN(6) {
	case 0, 1:
		a.post(a.anybody().name, &types.VmResourceReallocatedEvent{VmEvent: m.vmEvent(), ConfigChanges: &types.ChangesInfoEventArgument{
			Modified: fmt.Sprintf("config.cpuAllocation.shares.shares: %d -> %d;", 1000, 1000*(1+a.rand.IntN(8))),
		}})
	case 2:
		a.post(vpxd, &types.VmMessageWarningEvent{VmEvent: m.vmEvent(), Message: "The guest's clock was " + fmt.Sprint(2+a.rand.IntN(50)) + " s behind and has been set."})
	case 3:
		a.post(vpxd, &types.VmMessageEvent{VmEvent: m.vmEvent(), Message: "Install the tools to shut the guest down in order."})
	case 4:
		a.post(vpxd, &types.GeneralVmWarningEvent{GeneralEvent: types.GeneralEvent{
			Event: m.event(), Message: fmt.Sprintf("The heartbeat of %s was missing for %d s", m.name, 15+a.rand.IntN(40)),
		}})
	default:
		a.post(vpxd, &types.VmMacAssignedEvent{VmEvent: m.vmEvent(), Adapter: "Network adapter 1", Mac: a.mac()})
	}
	return nil
}

func (a *activity) mac() string {
	return fmt.Sprintf("00:50:56:%02x:%02x:%02x", a.rand.IntN(64), a.rand.IntN(256), a.rand.IntN(256))
}

// noteHost tells something about a host.
func (a *activity) noteHost(context.Context) error {
	p := a.anyPlace()
	host := a.anyHost(p)
	text := one(a, []string{
		"Fan 3 of %s turns slower than it should", "%s has not answered time requests for ten minutes",
		"The log partition of %s is 90 per cent full", "A correctable memory error was found on %s",
	})
	a.post(vpxd, &types.GeneralHostWarningEvent{GeneralEvent: types.GeneralEvent{
		Event: p.hostEvent(host), Message: fmt.Sprintf(text, host.name),
	}})
	return nil
}

// noteStore tells that a datastore grew or was seen.
func (a *activity) noteStore(context.Context) error {
	p := a.anyPlace()
	store := one(a, p.stores)
	if a.chance(0.5) {
		size := int64(4+a.rand.IntN(12)) << 40
		a.post(a.anybody().name, &types.DatastoreCapacityIncreasedEvent{
			DatastoreEvent: types.DatastoreEvent{Event: p.storeEvent(store), Datastore: store.asStore()},
			OldCapacity:    size, NewCapacity: size + 1<<40,
		})
		return nil
	}
	host := a.anyHost(p)
	e := p.hostEvent(host)
	e.Ds = store.asStore()
	a.post(vpxd, &types.DatastoreDiscoveredEvent{HostEvent: types.HostEvent{Event: e}, Datastore: *store.asStore()})
	return nil
}

// noteSwitch tells about the network.
func (a *activity) noteSwitch(context.Context) error {
	p := a.anyPlace()
	e := p.event()
	e.Dvs = &types.DvsEventArgument{EntityEventArgument: p.dvs.entity(), Dvs: p.dvs.ref}
	if a.chance(0.5) {
		a.post(vpxd, &types.DvsPortLinkDownEvent{DvsEvent: types.DvsEvent{Event: e}, PortKey: fmt.Sprint(a.rand.IntN(64))})
		return nil
	}
	net := one(a, p.nets)
	e.Net = &types.NetworkEventArgument{EntityEventArgument: net.entity(), Network: net.ref}
	a.post(administrator.name, &types.DVPortgroupReconfiguredEvent{
		DVPortgroupEvent: types.DVPortgroupEvent{Event: e},
		ConfigSpec: types.DVPortgroupConfigSpec{Name: net.name, NumPorts: 16,
			Type: string(types.DistributedVirtualPortgroupPortgroupTypeEarlyBinding)},
		ConfigChanges: &types.ChangesInfoEventArgument{Modified: "config.numPorts: 8 -> 16;"},
	})
	return nil
}

// schedule reports a scheduled task from its beginning to its end.
func (a *activity) schedule(context.Context) error {
	m, ok := a.anyMachine()
	if !ok {
		return nil
	}
	name := thing{types.ManagedObjectReference{Type: "ScheduledTask", Value: "schedule-12"}, "nightly snapshot"}
	base := types.ScheduledTaskEvent{Event: m.event(), Entity: m.managed(), ScheduledTask: types.ScheduledTaskEventArgument{
		EntityEventArgument: name.entity(), ScheduledTask: name.ref,
	}}
	a.post(vpxd, &types.ScheduledTaskStartedEvent{ScheduledTaskEvent: base})
	if a.chance(0.1) {
		a.post(vpxd, &types.ScheduledTaskFailedEvent{ScheduledTaskEvent: base, Reason: types.LocalizedMethodFault{
			Fault: &types.SnapshotFault{}, LocalizedMessage: "The guest could not be brought to rest.",
		}})
		return nil
	}
	a.post(vpxd, &types.ScheduledTaskCompletedEvent{ScheduledTaskEvent: base})
	return nil
}

// comment writes down what a user wants remembered: the one event of category user.
func (a *activity) comment(context.Context) error {
	m, ok := a.anyMachine()
	if !ok {
		return nil
	}
	entity := m.managed()
	a.post(a.anybody().name, &types.GeneralUserEvent{
		GeneralEvent: types.GeneralEvent{Event: m.event(), Message: one(a, []string{
			"patch window starts", "patch window ends", "failover exercise, please ignore alarms",
			"ticket OPS-4711: memory doubled", "will be retired on Friday",
		})},
		Entity: &entity,
	})
	return nil
}
