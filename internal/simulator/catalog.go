package simulator

import (
	"fmt"
	"slices"

	"github.com/vmware/govmomi/simulator/esx"
	"github.com/vmware/govmomi/vim25/types"
)

// descriptions returns what the vCenter knows of its events: vcsim's own list, repaired
// and made longer. vcsim makes each event's message from the entry of its class, a Go
// template; clients find the category there, which for EventEx and ExtendedEvent is that
// of the entry whose format begins with the id and a bar.
func descriptions() []types.EventDescriptionEventDetail {
	list := slices.Clone(esx.EventInfo) // vcsim shares it between all its vCenters
	for i := range list {
		if list[i].Key == "VmBeingMigratedEvent" {
			// vcsim's lacks two braces, and posting the event panics.
			list[i].FullFormat = "Relocating {{.Vm.Name}} from {{.Host.Name}} to {{.DestHost.Name}} in {{.Datacenter.Name}}"
		}
	}
	for _, c := range classes {
		list = append(list, types.EventDescriptionEventDetail{
			Key: c.class, Category: c.category, Description: c.description, FullFormat: c.format,
			LongDescription: c.long(),
		})
	}
	// Only the first entry of a class makes messages; this one must not begin with an id.
	list = append(list, types.EventDescriptionEventDetail{
		Key: "EventEx", Category: "info", Description: "Event", FullFormat: "{{.Message}}",
	})
	list = append(list, extended("EventEx", exKinds)...)
	list = append(list, types.EventDescriptionEventDetail{
		Key: "ExtendedEvent", Category: "info", Description: "Extended event", FullFormat: "{{.Message}}",
	})
	return append(list, extended("ExtendedEvent", extKinds)...)
}

func extended(class string, kinds []exKind) []types.EventDescriptionEventDetail {
	var list []types.EventDescriptionEventDetail
	for _, k := range kinds {
		category := k.severity
		if category == "" {
			category = "info"
		}
		list = append(list, types.EventDescriptionEventDetail{
			Key: class, Category: category, Description: k.text, FullFormat: k.id + "|" + k.text,
			LongDescription: longDescription(k.id, causes[k.id]),
		})
	}
	return list
}

// A class is one class of events, as the vCenter describes it.
type class struct{ class, category, description, format string }

func (c class) long() string { return longDescription("vim.event."+c.class, causes[c.class]) }

var classes = []class{
	{"TaskEvent", "info", "Task event", "Task: {{with .Info.Description}}{{.Message}}{{else}}{{.Info.DescriptionId}}{{end}}"},
	{"VmGuestStandbyEvent", "info", "Guest standby", "Guest OS standby for {{.Vm.Name}} on {{.Host.Name}} in {{.Datacenter.Name}}"},
	{"VmRenamedEvent", "info", "VM renamed", "Renamed {{.OldName}} to {{.NewName}} in {{.Datacenter.Name}}"},
	{"VmBeingHotMigratedEvent", "info", "VM is migrating", "Migrating {{.Vm.Name}} from {{.Host.Name}}, {{.Ds.Name}} to {{.DestHost.Name}}, {{.DestDatastore.Name}} in {{.Datacenter.Name}}"},
	{"VmFailedMigrateEvent", "error", "Cannot migrate VM", "Cannot migrate {{.Vm.Name}} from {{.Host.Name}} to {{.DestHost.Name}} in {{.Datacenter.Name}}: {{.Reason.LocalizedMessage}}"},
	{"VmFailedToPowerOnEvent", "error", "Cannot power on the VM", "Cannot power on {{.Vm.Name}} on {{.Host.Name}} in {{.Datacenter.Name}}. {{.Reason.LocalizedMessage}}"},
	{"NotEnoughResourcesToStartVmEvent", "warning", "Insufficient resources for HA to start the VM. Reason: {reason}", "Not enough resources to start {{.Vm.Name}} on {{.Host.Name}}: {{.Reason}}"},
	{"VmResourceReallocatedEvent", "info", "VM resource reallocated", "Changed resource allocation for {{.Vm.Name}}"},
	{"VmMessageEvent", "info", "VM information message", "Message on {{.Vm.Name}} on {{.Host.Name}} in {{.Datacenter.Name}}: {{.Message}}"},
	{"VmMessageWarningEvent", "warning", "VM warning message", "Warning message on {{.Vm.Name}} on {{.Host.Name}} in {{.Datacenter.Name}}: {{.Message}}"},
	{"GeneralVmWarningEvent", "warning", "VM warning", "Warning for {{.Vm.Name}}: {{.Message}}"},
	{"GeneralVmErrorEvent", "error", "VM error", "Error detected for {{.Vm.Name}} on {{.Host.Name}} in {{.Datacenter.Name}}: {{.Message}}"},
	{"GeneralHostWarningEvent", "warning", "Host warning", "Issue detected on {{.Host.Name}}: {{.Message}}"},
	{"GeneralUserEvent", "user", "User event", "User logged event: {{.Message}}"},
	{"AlarmStatusChangedEvent", "info", "Alarm status changed", "Alarm '{{.Alarm.Name}}' on {{.Entity.Name}} changed from {{.From}} to {{.To}}"},
	{"AlarmActionTriggeredEvent", "info", "Alarm action triggered", "Alarm '{{.Alarm.Name}}' on {{.Entity.Name}} triggered an action"},
	{"AlarmAcknowledgedEvent", "info", "Alarm acknowledged", "Acknowledged alarm '{{.Alarm.Name}}' on {{.Entity.Name}}"},
	{"HostConnectedEvent", "info", "Host connected", "Connected to {{.Host.Name}} in {{.Datacenter.Name}}"},
	{"HostDisconnectedEvent", "info", "Host disconnected", "Disconnected from {{.Host.Name}} in {{.Datacenter.Name}}. Reason: {{.Reason}}"},
	{"HostConnectionLostEvent", "error", "Host connection lost", "Host {{.Host.Name}} in {{.Datacenter.Name}} is not responding"},
	{"HostCnxFailedNoConnectionEvent", "error", "Host connection failed", "Cannot connect host {{.Host.Name}} in {{.Datacenter.Name}}: network error or host is down"},
	{"HostRemovedEvent", "info", "Host removed", "Removed host {{.Host.Name}} in {{.Datacenter.Name}}"},
	{"DasHostFailedEvent", "error", "Host failed", "A possible host failure has been detected by vSphere HA on {{.FailedHost.Name}} in cluster {{.ComputeResource.Name}} in {{.Datacenter.Name}}"},
	{"BadUsernameSessionEvent", "error", "Invalid user name", "Cannot login {{.UserName}}@{{.IpAddress}}"},
	{"DatastoreCapacityIncreasedEvent", "info", "Datastore capacity increased", "Datastore {{.Datastore.Name}} increased in capacity from {{.OldCapacity}} bytes to {{.NewCapacity}} bytes in {{.Datacenter.Name}}"},
	{"DatastoreDiscoveredEvent", "info", "Datastore discovered", "Found datastore {{.Datastore.Name}} on {{.Host.Name}} in {{.Datacenter.Name}}"},
	{"DvsPortLinkDownEvent", "info", "dvPort link was down", "The dvPort {{.PortKey}} link was down in the vSphere Distributed Switch {{.Dvs.Name}} in {{.Datacenter.Name}}"},
	{"DVPortgroupReconfiguredEvent", "info", "dvPort group reconfigured", "dvPort group {{.Net.Name}} in {{.Datacenter.Name}} was reconfigured."},
	{"ScheduledTaskStartedEvent", "info", "Scheduled task started", "Running task {{.ScheduledTask.Name}} on {{.Entity.Name}} in {{.Datacenter.Name}}"},
	{"ScheduledTaskCompletedEvent", "info", "Scheduled task completed", "Task {{.ScheduledTask.Name}} on {{.Entity.Name}} in {{.Datacenter.Name}} completed successfully"},
	{"ScheduledTaskFailedEvent", "error", "Cannot complete scheduled task", "Task {{.ScheduledTask.Name}} on {{.Entity.Name}} in {{.Datacenter.Name}} cannot be completed: {{.Reason.LocalizedMessage}}"},
}

// A cause is why an event may have come, and what to do.
type cause struct{ what, why, action string }

// causes are told for events that somebody has to do something about; by class, or by id
// for EventEx.
var causes = map[string]cause{
	"HostConnectionLostEvent":               {"The vCenter no longer hears from the host", "The host is down, or the management network between them is", "Check power and network of the host"},
	"BadUsernameSessionEvent":               {"Somebody could not log in", "The name or the password was wrong", "When it happens often from one address, find out who it is"},
	"VmFailedMigrateEvent":                  {"A virtual machine could not be moved", "The hosts lost each other, or the target lacks resources", "Check the vMotion network and try again"},
	"VmFailedToPowerOnEvent":                {"A virtual machine could not be started", "The host lacks memory or processors for its reservation", "Start it on another host, or lower the reservation"},
	"esx.problem.net.redundancy.lost":       {"Only one uplink is left", "A cable, a port or a network card has failed", "Check the uplink that is down"},
	"esx.problem.storage.connectivity.lost": {"The host cannot reach the datastore over any path", "The array, a switch or the last adapter has failed", "Check the storage network before virtual machines time out"},
	"com.vmware.vc.HA.DasHostFailedEvent":   {"A host of the cluster has failed", "It lost power, network or its hypervisor stopped", "Look at the console of the host"},
}

// longDescription returns the XML in which a vCenter explains an event, or "".
func longDescription(id string, c cause) string {
	if c == (cause{}) {
		return ""
	}
	return fmt.Sprintf(`<EventLongDescription id="%s"><description>%s</description><cause><description>%s</description><action>%s</action></cause></EventLongDescription>`,
		id, c.what, c.why, c.action)
}
