package vcentertest

import (
	"fmt"
	"sync"

	"github.com/vmware/govmomi/vim25/types"
)

// molds are what PostN fills.
var molds = sync.OnceValue(func() []*mold {
	var all []*mold
	for i := range 16 {
		for _, ev := range mix(i) {
			all = append(all, newMold(ev))
		}
	}
	return all
})

// mix is a small day in the life of the i-th virtual machine.
func mix(i int) []types.BaseEvent {
	name, host := fmt.Sprintf("app-%02d", i), fmt.Sprintf("esx-%d.example.com", i%4)
	base := func(message string) types.Event {
		return types.Event{
			Datacenter: &types.DatacenterEventArgument{
				EntityEventArgument: types.EntityEventArgument{Name: "Berlin"},
				Datacenter:          types.ManagedObjectReference{Type: "Datacenter", Value: "datacenter-2"},
			},
			ComputeResource: &types.ComputeResourceEventArgument{
				EntityEventArgument: types.EntityEventArgument{Name: "cluster-a"},
				ComputeResource:     types.ManagedObjectReference{Type: "ClusterComputeResource", Value: "domain-c8"},
			},
			Host: &types.HostEventArgument{
				EntityEventArgument: types.EntityEventArgument{Name: host},
				Host:                types.ManagedObjectReference{Type: "HostSystem", Value: fmt.Sprintf("host-%d", 20+i%4)},
			},
			Vm: &types.VmEventArgument{
				EntityEventArgument: types.EntityEventArgument{Name: name},
				Vm:                  types.ManagedObjectReference{Type: "VirtualMachine", Value: fmt.Sprintf("vm-%d", 1000+i)},
			},
			FullFormattedMessage: fmt.Sprintf(message, name, host),
		}
	}
	vm := func(message string) types.VmEvent { return types.VmEvent{Event: base(message)} }
	session := types.SessionEvent{Event: types.Event{FullFormattedMessage: `User VSPHERE.LOCAL\operator@192.0.2.7 came or went`}}
	return []types.BaseEvent{
		&types.VmStartingEvent{VmEvent: vm("%s on host %s in Berlin is starting")},
		&types.VmPoweredOnEvent{VmEvent: vm("%s on %s in Berlin has powered on")},
		&types.UserLoginSessionEvent{SessionEvent: session, IpAddress: "192.0.2.7", UserAgent: "curl/8", Locale: "en", SessionId: "52b5395a"},
		&types.TaskEvent{Event: base("Task: Reconfigure %s on %s"), Info: types.TaskInfo{
			Key: "task-7", Task: types.ManagedObjectReference{Type: "Task", Value: "task-7"}, DescriptionId: "VirtualMachine.reconfigure",
			EntityName: name, State: types.TaskInfoStateQueued, Reason: &types.TaskReasonUser{UserName: "operator"},
		}},
		&types.VmReconfiguredEvent{VmEvent: vm("Reconfigured %s on %s"), ConfigSpec: types.VirtualMachineConfigSpec{NumCPUs: 4, MemoryMB: 4096}},
		&types.EventEx{
			Event: base("%s on %s: the alarm is cleared"), EventTypeId: "vprob.example.alarm.cleared", Severity: "warning",
			ObjectId: fmt.Sprintf("vm-%d", 1000+i), ObjectType: "VirtualMachine", ObjectName: name,
			Arguments: []types.KeyAnyValue{{Key: "count", Value: int32(i)}, {Key: "where", Value: "a < b & c"}},
		},
		&types.ExtendedEvent{
			GeneralEvent: types.GeneralEvent{Event: base("%s on %s was backed up"), Message: "backed up"}, EventTypeId: "com.example.backup.done",
			ManagedObject: types.ManagedObjectReference{Type: "VirtualMachine", Value: fmt.Sprintf("vm-%d", 1000+i)},
			Data:          []types.ExtendedEventPair{{Key: "bytes", Value: "1048576"}},
		},
		&types.AlarmStatusChangedEvent{
			AlarmEvent: types.AlarmEvent{Event: base("Alarm on %s, %s, went from green to red"), Alarm: types.AlarmEventArgument{
				EntityEventArgument: types.EntityEventArgument{Name: "CPU"}, Alarm: types.ManagedObjectReference{Type: "Alarm", Value: "alarm-6"},
			}},
			Source: types.ManagedEntityEventArgument{
				EntityEventArgument: types.EntityEventArgument{Name: "Berlin"}, Entity: types.ManagedObjectReference{Type: "Datacenter", Value: "datacenter-2"},
			},
			Entity: types.ManagedEntityEventArgument{
				EntityEventArgument: types.EntityEventArgument{Name: name}, Entity: types.ManagedObjectReference{Type: "VirtualMachine", Value: fmt.Sprintf("vm-%d", 1000+i)},
			},
			From: "green", To: "red",
		},
		&types.VmFailedToPowerOnEvent{
			VmEvent: vm("Cannot power on %s on %s"), Reason: types.LocalizedMethodFault{
				Fault: &types.InsufficientMemoryResourcesFault{Unreserved: 1, Requested: 2}, LocalizedMessage: "not enough memory",
			},
		},
		&types.DrsVmMigratedEvent{VmMigratedEvent: types.VmMigratedEvent{
			VmEvent:    vm("DRS moved %s to %s"),
			SourceHost: types.HostEventArgument{EntityEventArgument: types.EntityEventArgument{Name: "esx-9"}, Host: types.ManagedObjectReference{Type: "HostSystem", Value: "host-29"}},
		}},
		&types.HostConnectionLostEvent{HostEvent: types.HostEvent{Event: base("The connection of %s to %s was lost")}},
		&types.UserLogoutSessionEvent{SessionEvent: session, IpAddress: "192.0.2.7", UserAgent: "curl/8", CallCount: 3, SessionId: "52b5395a"},
		&types.VmPoweredOffEvent{VmEvent: vm("%s on %s is powered off")},
	}
}

// description is EventManager.description: the classes of the mix, and what there is to
// say of those that are known by an id.
var description = sync.OnceValue(func() types.EventDescription {
	detail := func(key, says, category, format string) types.EventDescriptionEventDetail {
		return types.EventDescriptionEventDetail{
			Key: key, Description: says, Category: category, FullFormat: format,
			FormatOnDatacenter: says, FormatOnComputeResource: says, FormatOnHost: says, FormatOnVm: says,
			LongDescription: fmt.Sprintf(`<EventLongDescription id="%s"><description>%s</description></EventLongDescription>`, key, says),
		}
	}
	category := func(key, label string) types.BaseElementDescription {
		return &types.ElementDescription{Description: types.Description{Label: label, Summary: label}, Key: key}
	}
	return types.EventDescription{
		Category: []types.BaseElementDescription{
			category("info", "Information"), category("warning", "Warning"), category("error", "Error"), category("user", "User"),
		},
		EventInfo: []types.EventDescriptionEventDetail{
			detail("VmStartingEvent", "VM starting", "info", "{{.Vm.Name}} on host {{.Host.Name}} is starting"),
			detail("VmPoweredOnEvent", "VM powered on", "info", "{{.Vm.Name}} on {{.Host.Name}} has powered on"),
			detail("VmPoweredOffEvent", "VM powered off", "info", "{{.Vm.Name}} on {{.Host.Name}} is powered off"),
			detail("VmReconfiguredEvent", "VM reconfigured", "info", "Reconfigured {{.Vm.Name}}"),
			detail("VmFailedToPowerOnEvent", "Cannot power on VM", "error", "Cannot power on {{.Vm.Name}}"),
			detail("DrsVmMigratedEvent", "DRS VM migrated", "info", "DRS moved {{.Vm.Name}}"),
			detail("HostConnectionLostEvent", "Host connection lost", "error", "Host {{.Host.Name}} is not responding"),
			detail("AlarmStatusChangedEvent", "Alarm status changed", "info", "Alarm {{.Alarm.Name}} changed from {{.From}} to {{.To}}"),
			detail("TaskEvent", "Task event", "info", "Task: {{.Info.DescriptionId}}"),
			detail("UserLoginSessionEvent", "User login", "info", "User {{.UserName}} logged in"),
			detail("UserLogoutSessionEvent", "User logout", "info", "User {{.UserName}} logged out"),
			detail("GeneralUserEvent", "User-defined event", "user", "{{.Message}}"),
			detail("EventEx", "Alarm cleared", "warning", "vprob.example.alarm.cleared|The alarm is cleared"),
			detail("EventEx", "Event key sequence overflow", "warning", "com.vmware.vc.EventIdOverflow|Event ids start over"),
			detail("ExtendedEvent", "Backup done", "user", "com.example.backup.done|{message}"),
		},
	}
})
