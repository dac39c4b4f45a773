package simulator

import (
	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// A machine is a virtual machine as it is at one moment.
type machine struct {
	thing
	place       *place
	host, store thing
	power       types.VirtualMachinePowerState
	snapshots   bool
}

// look asks vcsim for a virtual machine; ok is false when it has gone.
func (s *Simulator) look(p *place, ref types.ManagedObjectReference) (m machine, ok bool) {
	vm, ok := s.registry.Get(ref).(*vcsim.VirtualMachine)
	if !ok {
		return m, false
	}
	m = machine{thing: thing{ref: ref}, place: p}
	s.registry.WithLock(s.as(vpxd), vm, func() {
		m.name = vm.Name
		m.power = vm.Runtime.PowerState
		m.snapshots = vm.Snapshot != nil
		if ok = vm.Runtime.Host != nil && len(vm.Datastore) > 0; ok {
			m.host.ref, m.store.ref = *vm.Runtime.Host, vm.Datastore[0]
		}
	})
	m.host, m.store = p.named(p.hosts, m.host.ref), p.named(p.stores, m.store.ref)
	return m, ok && m.host.name != "" && m.store.name != ""
}

// named returns the thing with that reference, or a nameless one.
func (p *place) named(things []thing, ref types.ManagedObjectReference) thing {
	for _, t := range things {
		if t.ref == ref {
			return t
		}
	}
	return thing{ref: ref}
}

// put moves a virtual machine to another host without a word: what vMotion and HA do
// beneath the events that we post about them. vcsim's own relocation would write a
// VmMigratedEvent in which source and destination are the same host.
func (s *Simulator) put(m machine, to thing) {
	vm, ok := s.registry.Get(m.ref).(*vcsim.VirtualMachine)
	from, ok1 := s.registry.Get(m.host.ref).(*vcsim.HostSystem)
	dest, ok2 := s.registry.Get(to.ref).(*vcsim.HostSystem)
	if !ok || !ok1 || !ok2 || from == dest {
		return
	}
	ctx := s.as(vpxd)
	s.registry.RemoveReference(ctx, from, &from.Vm, m.ref)
	s.registry.AddReference(ctx, dest, &dest.Vm, m.ref)
	s.registry.AtomicUpdate(ctx, vm, []types.PropertyChange{
		{Name: "runtime.host", Val: &to.ref},
		{Name: "summary.runtime.host", Val: &to.ref},
	})
}

// connect sets what vcsim thinks of the connection to a host.
func (s *Simulator) connect(host thing, state types.HostSystemConnectionState) {
	if h, ok := s.registry.Get(host.ref).(*vcsim.HostSystem); ok {
		s.registry.AtomicUpdate(s.as(vpxd), h, []types.PropertyChange{
			{Name: "runtime.connectionState", Val: state},
			{Name: "summary.runtime.connectionState", Val: state},
		})
	}
}

// The arguments of events, as types of their own want them.

func (t thing) entity() types.EntityEventArgument { return types.EntityEventArgument{Name: t.name} }

func (t thing) managed() types.ManagedEntityEventArgument {
	return types.ManagedEntityEventArgument{EntityEventArgument: t.entity(), Entity: t.ref}
}

func (t thing) asHost() types.HostEventArgument {
	return types.HostEventArgument{EntityEventArgument: t.entity(), Host: t.ref}
}

func (t thing) asStore() *types.DatastoreEventArgument {
	return &types.DatastoreEventArgument{EntityEventArgument: t.entity(), Datastore: t.ref}
}

// event returns the part of an event that says where in the inventory it belongs.
func (p *place) event() types.Event {
	return types.Event{
		Datacenter: &types.DatacenterEventArgument{EntityEventArgument: p.dc.entity(), Datacenter: p.dc.ref},
	}
}

func (p *place) clusterEvent() types.Event {
	e := p.event()
	e.ComputeResource = &types.ComputeResourceEventArgument{
		EntityEventArgument: p.cluster.entity(), ComputeResource: p.cluster.ref,
	}
	return e
}

func (p *place) hostEvent(host thing) types.Event {
	e, h := p.clusterEvent(), host.asHost()
	e.Host = &h
	return e
}

func (p *place) storeEvent(store thing) types.Event {
	e := p.event()
	e.Ds = store.asStore()
	return e
}

func (m machine) event() types.Event {
	e := m.place.hostEvent(m.host)
	e.Ds = m.store.asStore()
	e.Vm = &types.VmEventArgument{EntityEventArgument: m.entity(), Vm: m.ref}
	return e
}

func (m machine) vmEvent() types.VmEvent { return types.VmEvent{Event: m.event()} }
