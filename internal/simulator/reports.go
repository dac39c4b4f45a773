package simulator

import (
	"context"
	"fmt"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// taskEvent is what a vCenter writes when a task is queued.
func (a *activity) taskEvent(by string, about thing, where types.Event, name, id, text string) *types.TaskEvent {
	a.tasks++
	key := fmt.Sprintf("task-%d", 100_000+a.tasks) // out of the way of vcsim's own
	return &types.TaskEvent{
		Event: where,
		Info: types.TaskInfo{
			Key:           key,
			Task:          types.ManagedObjectReference{Type: "Task", Value: key},
			Description:   &types.LocalizableMessage{Key: id, Message: text},
			Name:          name,
			DescriptionId: id,
			Entity:        &about.ref,
			EntityName:    about.name,
			State:         types.TaskInfoStateQueued,
			Cancelable:    true,
			Reason:        &types.TaskReasonUser{UserName: by},
			QueueTime:     time.Now().UTC(),
			EventChainId:  a.newest + 1,
		},
	}
}

// failTask reports a task that ended in an error.
func (a *activity) failTask(context.Context) error {
	m, ok := a.anyMachine()
	if !ok {
		return nil
	}
	by := a.anybody().name
	e := a.taskEvent(by, m.thing, m.event(), "PowerOnVM_Task", "VirtualMachine.powerOn", "Power On virtual machine")
	now := time.Now().UTC()
	e.Info.State, e.Info.StartTime, e.Info.CompleteTime = types.TaskInfoStateError, &now, &now
	reason := &types.LocalizedMethodFault{
		Fault:            &types.InsufficientMemoryResourcesFault{Requested: 32 << 30, Unreserved: 6 << 30},
		LocalizedMessage: "The host has not enough memory left to satisfy the reservation.",
	}
	e.Info.Error = reason
	a.post(by, e)
	if a.chance(0.5) {
		a.post(vpxd, &types.VmFailedToPowerOnEvent{VmEvent: m.vmEvent(), Reason: *reason})
	} else {
		a.post(vpxd, &types.NotEnoughResourcesToStartVmEvent{VmEvent: m.vmEvent(), Reason: reason.LocalizedMessage})
	}
	return nil
}

// migrate moves a virtual machine to another host of its cluster: by hand, by DRS, or
// in vain.
func (a *activity) migrate(context.Context) error {
	m, ok := a.machine(func(m machine) bool { return m.power == types.VirtualMachinePowerStatePoweredOn })
	if !ok {
		return nil
	}
	a.move(m, a.anyHost(m.place, m.host), a.chance(0.5))
	return nil
}

func (a *activity) move(m machine, to thing, drs bool) {
	by := a.anybody().name
	if drs {
		by = vpxd
	}
	a.post(by, a.taskEvent(by, m.thing, m.event(), "RelocateVM_Task", "VirtualMachine.relocate", "Relocate virtual machine"))
	a.post(by, &types.VmBeingHotMigratedEvent{
		VmEvent: m.vmEvent(), DestHost: to.asHost(),
		DestDatacenter: m.event().Datacenter, DestDatastore: m.store.asStore(),
	})
	if a.chance(0.06) {
		a.post(by, &types.VmFailedMigrateEvent{
			VmEvent: m.vmEvent(), DestHost: to.asHost(),
			DestDatacenter: m.event().Datacenter, DestDatastore: m.store.asStore(),
			Reason: types.LocalizedMethodFault{
				Fault:            &types.MigrationFault{},
				LocalizedMessage: "The vMotion connection was lost before the memory was copied.",
			},
		})
		return
	}
	a.put(m, to)
	moved := m
	moved.host = to
	migrated := types.VmMigratedEvent{
		VmEvent: moved.vmEvent(), SourceHost: m.host.asHost(),
		SourceDatacenter: m.event().Datacenter, SourceDatastore: m.store.asStore(),
	}
	if drs {
		a.post(vpxd, &types.DrsVmMigratedEvent{VmMigratedEvent: migrated})
	} else {
		a.post(by, &migrated)
	}
}
