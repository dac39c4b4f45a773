package simulator

import (
	"context"
	"fmt"
	"slices"

	"github.com/vmware/govmomi/object"
	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// How much of each the activity may add to the inventory.
const (
	maxSpares    = 4
	maxPorts     = 2
	maxFolders   = 2
	maxSnapshots = 5
)

type (
	spare struct {
		place *place
		ref   types.ManagedObjectReference
	}
	port struct {
		place *place
		thing
	}
	madeFolder struct {
		place *place
		thing
	}
)

// task posts the event with which a vCenter begins a task, and then waits for the task
// that do starts.
func (a *activity) task(ctx context.Context, by *user, about thing, where types.Event, name, id, text string, do func() (*object.Task, error)) (types.AnyType, error) {
	a.post(by.name, a.taskEvent(by.name, about, where, name, id, text))
	task, err := do()
	if err != nil {
		return nil, failed(by, fmt.Errorf("%s for %s: %w", id, about.name, err))
	}
	result, err := a.finish(ctx, task.Reference())
	if err != nil {
		return nil, fmt.Errorf("%s for %s: %w", id, about.name, err)
	}
	return result, nil
}

// vmTask is task for a virtual machine.
func (a *activity) vmTask(ctx context.Context, by *user, m machine, name, id, text string, do func(*object.VirtualMachine) (*object.Task, error)) error {
	_, err := a.task(ctx, by, m.thing, m.event(), name, "VirtualMachine."+id, text, func() (*object.Task, error) {
		return do(object.NewVirtualMachine(by.client, m.ref))
	})
	return err
}

// power changes the power of a virtual machine: what is not running is started sooner
// than what is running is stopped, so that most are running.
func (a *activity) power(ctx context.Context) error {
	by := a.anybody()
	off := func(m machine) bool { return m.power != types.VirtualMachinePowerStatePoweredOn }
	if a.chance(0.6) {
		if m, ok := a.machine(off); ok {
			if m.power == types.VirtualMachinePowerStateSuspended {
				a.post(by.name, &types.VmResumingEvent{VmEvent: m.vmEvent()})
			}
			return a.powerOn(ctx, by, m)
		}
	}
	m, ok := a.machine(func(m machine) bool { return !off(m) })
	if !ok {
		return nil
	}
	vm := object.NewVirtualMachine(by.client, m.ref)
	switch a.rand.IntN(8) {
	case 0, 1:
		return a.powerOff(ctx, by, m)
	case 2:
		return a.vmTask(ctx, by, m, "SuspendVM_Task", "suspend", "Suspend virtual machine",
			func(vm *object.VirtualMachine) (*object.Task, error) { return vm.Suspend(ctx) })
	case 3:
		a.post(by.name, &types.VmResettingEvent{VmEvent: m.vmEvent()})
		return a.vmTask(ctx, by, m, "ResetVM_Task", "reset", "Reset virtual machine",
			func(vm *object.VirtualMachine) (*object.Task, error) { return vm.Reset(ctx) })
	case 4, 5:
		// The tools that a reboot needs never run in vcsim.
		a.post(by.name, a.taskEvent(by.name, m.thing, m.event(), "RebootGuest", "VirtualMachine.rebootGuest", "Initiate guest OS reboot"))
		a.post(by.name, &types.VmGuestRebootEvent{VmEvent: m.vmEvent()})
		return nil
	case 6:
		a.post(by.name, a.taskEvent(by.name, m.thing, m.event(), "ShutdownGuest", "VirtualMachine.shutdownGuest", "Initiate guest OS shutdown"))
		return a.settled(m, failed(by, vm.ShutdownGuest(ctx)))
	default:
		a.post(by.name, a.taskEvent(by.name, m.thing, m.event(), "StandbyGuest", "VirtualMachine.standbyGuest", "Initiate guest OS standby"))
		return a.settled(m, failed(by, vm.StandbyGuest(ctx)))
	}
}

// settled returns err once vcsim is done with the virtual machine. Calls that return no
// task run one all the same, which holds the lock of the object until its end.
func (a *activity) settled(m machine, err error) error {
	a.look(m.place, m.ref)
	return err
}

func (a *activity) powerOn(ctx context.Context, by *user, m machine) error {
	return a.vmTask(ctx, by, m, "PowerOnVM_Task", "powerOn", "Power On virtual machine",
		func(vm *object.VirtualMachine) (*object.Task, error) { return vm.PowerOn(ctx) })
}

func (a *activity) powerOff(ctx context.Context, by *user, m machine) error {
	return a.vmTask(ctx, by, m, "PowerOffVM_Task", "powerOff", "Power Off virtual machine",
		func(vm *object.VirtualMachine) (*object.Task, error) { return vm.PowerOff(ctx) })
}

func (a *activity) reconfigure(ctx context.Context) error {
	spec := types.VirtualMachineConfigSpec{}
	if a.chance(0.5) {
		spec.MemoryMB = one(a, []int64{2048, 4096, 8192, 16384, 32768})
	} else {
		spec.NumCPUs = one(a, []int32{1, 2, 4, 8, 16})
	}
	return a.configure(ctx, spec)
}

func (a *activity) annotate(ctx context.Context) error {
	return a.configure(ctx, types.VirtualMachineConfigSpec{
		Annotation: one(a, []string{
			"owner: platform team", "do not migrate during business hours", "ticket OPS-4711",
			"patched, watch the error rate", "restore tested", "to be retired",
		}),
	})
}

func (a *activity) configure(ctx context.Context, spec types.VirtualMachineConfigSpec) error {
	m, ok := a.anyMachine()
	if !ok {
		return nil
	}
	return a.vmTask(ctx, a.anybody(), m, "ReconfigVM_Task", "reconfigure", "Reconfigure virtual machine",
		func(vm *object.VirtualMachine) (*object.Task, error) { return vm.Reconfigure(ctx, spec) })
}

// clone copies a virtual machine, unless there are spares enough; then it destroys one.
func (a *activity) clone(ctx context.Context) error {
	if len(a.spares) >= maxSpares {
		return a.destroy(ctx)
	}
	m, ok := a.anyMachine()
	if !ok {
		return nil
	}
	by := a.anybody()
	host := a.anyHost(m.place).ref
	result, err := a.task(ctx, by, m.thing, m.event(), "CloneVM_Task", "VirtualMachine.clone", "Clone virtual machine",
		func() (*object.Task, error) {
			return object.NewVirtualMachine(by.client, m.ref).Clone(ctx,
				object.NewFolder(by.client, m.place.vmFolder), a.newName(m.name+"-clone"),
				types.VirtualMachineCloneSpec{Location: types.VirtualMachineRelocateSpec{Host: &host, Pool: &m.place.pool}})
		})
	if ref, ok := result.(types.ManagedObjectReference); ok {
		a.spares = append(a.spares, spare{m.place, ref})
	}
	return err
}

// create makes a new virtual machine, unless there are spares enough.
func (a *activity) create(ctx context.Context) error {
	if len(a.spares) >= maxSpares {
		return a.destroy(ctx)
	}
	by, p := a.anybody(), a.anyPlace()
	a.post(by.name, a.taskEvent(by.name, thing{p.vmFolder, "vm"}, p.event(), "CreateVM_Task", "Folder.createVm", "Create virtual machine"))
	ref, err := a.createVM(ctx, by, p, a.newName(one(a, []string{"test", "sandbox", "runner", "web-canary"})), a.anyHost(p).ref, a.rand.IntN(6))
	if err != nil {
		return failed(by, err)
	}
	a.spares = append(a.spares, spare{p, ref})
	return nil
}

// newName makes a name that no other object has, even if an earlier one stayed behind.
func (a *activity) newName(base string) string {
	a.names++
	return fmt.Sprintf("%s-%03d", base, a.names)
}

// destroy removes a spare for good.
func (a *activity) destroy(ctx context.Context) error {
	if len(a.spares) == 0 {
		return nil
	}
	i := a.rand.IntN(len(a.spares))
	s := a.spares[i]
	m, ok := a.look(s.place, s.ref)
	if !ok {
		if a.registry.Get(s.ref) == nil { // somebody else has destroyed it
			a.spares = slices.Delete(a.spares, i, i+1)
		}
		return nil
	}
	by := a.anybody()
	if m.power == types.VirtualMachinePowerStatePoweredOn {
		if err := a.powerOff(ctx, by, m); err != nil {
			return err
		}
	}
	err := a.vmTask(ctx, by, m, "Destroy_Task", "destroy", "Delete virtual machine",
		func(vm *object.VirtualMachine) (*object.Task, error) { return vm.Destroy(ctx) })
	if err == nil {
		a.spares = slices.Delete(a.spares, i, i+1)
	}
	// The files are deleted by a task that vcsim starts and does not wait for. It reads
	// the datastore without a lock.
	a.finishFiles(ctx)
	return err
}

// rename gives a spare another name; vcsim renames without an event.
func (a *activity) rename(ctx context.Context) error {
	if len(a.spares) == 0 {
		return nil
	}
	s := one(a, a.spares)
	m, ok := a.look(s.place, s.ref)
	if !ok {
		return nil
	}
	by, name := a.anybody(), a.newName(one(a, []string{"canary", "staging", "repro", "trial"}))
	err := a.vmTask(ctx, by, m, "Rename_Task", "rename", "Rename virtual machine",
		func(vm *object.VirtualMachine) (*object.Task, error) { return vm.Rename(ctx, name) })
	if err != nil {
		return err
	}
	renamed := m
	renamed.name = name
	a.post(by.name, &types.VmRenamedEvent{VmEvent: renamed.vmEvent(), OldName: m.name, NewName: name})
	return nil
}

// snapshot takes a snapshot, or removes one when there are enough.
func (a *activity) snapshot(ctx context.Context) error {
	if len(a.snapped) > 0 && (len(a.snapped) >= maxSnapshots || a.chance(0.4)) {
		m := a.snapped[0]
		a.snapped = a.snapped[1:]
		return a.removeSnapshots(ctx, a.users[backup.name], m)
	}
	m, ok := a.machine(func(m machine) bool { return !m.snapshots })
	if !ok {
		return nil
	}
	a.snapped = append(a.snapped, m)
	return a.takeSnapshot(ctx, a.anybody(), m)
}

func (a *activity) takeSnapshot(ctx context.Context, by *user, m machine) error {
	return a.vmTask(ctx, by, m, "CreateSnapshotEx_Task", "createSnapshotEx", "Create virtual machine snapshot",
		func(vm *object.VirtualMachine) (*object.Task, error) {
			return vm.CreateSnapshot(ctx, "before change", "taken by "+by.name, false, false)
		})
}

func (a *activity) removeSnapshots(ctx context.Context, by *user, m machine) error {
	return a.vmTask(ctx, by, m, "RemoveAllSnapshots_Task", "removeAllSnapshots", "Delete all snapshots",
		func(vm *object.VirtualMachine) (*object.Task, error) {
			return vm.RemoveAllSnapshot(ctx, types.NewBool(true))
		})
}

// folder makes a folder for virtual machines, or removes one when there are enough.
func (a *activity) folder(ctx context.Context) error {
	by := a.anybody()
	if len(a.folders) < maxFolders {
		p, name := a.anyPlace(), a.newName("project")
		a.post(by.name, a.taskEvent(by.name, thing{p.vmFolder, "vm"}, p.event(), "CreateFolder", "Folder.createFolder", "Create folder"))
		f, err := object.NewFolder(by.client, p.vmFolder).CreateFolder(ctx, name)
		if err != nil {
			return failed(by, fmt.Errorf("create folder %s: %w", name, err))
		}
		a.folders = append(a.folders, madeFolder{p, thing{f.Reference(), name}})
		return nil
	}
	f := a.folders[0]
	a.folders = a.folders[1:]
	_, err := a.task(ctx, by, f.thing, f.place.event(), "Destroy_Task", "Folder.destroy", "Delete folder",
		func() (*object.Task, error) { return object.NewFolder(by.client, f.ref).Destroy(ctx) })
	return err
}

// portgroup adds a port group, or removes one when there are enough.
func (a *activity) portgroup(ctx context.Context) error {
	admin := a.users[administrator.name]
	if len(a.ports) < maxPorts {
		p := a.anyPlace()
		a.post(admin.name, a.taskEvent(admin.name, p.dvs, p.event(), "AddDVPortgroup_Task", "DistributedVirtualSwitch.addPortgroups", "Add Distributed Port Groups"))
		b := builder{s: a.Simulator, user: admin, place: p}
		made := b.portgroup(ctx, object.NewDistributedVirtualSwitch(admin.client, p.dvs.ref), a.newName("tenant"))
		if b.err != nil {
			return failed(admin, b.err)
		}
		a.ports = append(a.ports, port{p, made})
		return nil
	}
	pg := a.ports[0]
	a.ports = a.ports[1:]
	_, err := a.task(ctx, admin, pg.thing, pg.place.event(), "Destroy_Task", "DistributedVirtualPortgroup.destroy", "Delete Distributed Port Group",
		func() (*object.Task, error) {
			return object.NewDistributedVirtualPortgroup(admin.client, pg.ref).Destroy(ctx)
		})
	a.forgetNetwork(pg)
	return err
}

// forgetNetwork removes a destroyed port group from the lists of hosts and cluster,
// where vcsim leaves it.
func (a *activity) forgetNetwork(pg port) {
	ctx := a.as(vpxd)
	for _, host := range pg.place.hosts {
		if h, ok := a.registry.Get(host.ref).(*vcsim.HostSystem); ok {
			a.registry.RemoveReference(ctx, h, &h.Network, pg.ref)
		}
	}
	if c, ok := a.registry.Get(pg.place.cluster.ref).(*vcsim.ClusterComputeResource); ok {
		a.registry.RemoveReference(ctx, c, &c.Network, pg.ref)
	}
}

// visit logs somebody in and out again.
func (a *activity) visit(ctx context.Context) error {
	u, err := a.login(ctx, one(a, []account{administrator, amara, jonas, backup}))
	if err != nil {
		return err
	}
	return u.logout(ctx)
}
