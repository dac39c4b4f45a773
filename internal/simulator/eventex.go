package simulator

import (
	"context"
	"fmt"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// What an EventEx is about.
const (
	aboutMachine = "VirtualMachine"
	aboutHost    = "HostSystem"
	aboutCluster = "ClusterComputeResource"
	aboutStore   = "Datastore"
)

// An exKind is one eventTypeId. {vm}, {host}, {cluster}, {datacenter} and {datastore} in
// its text stand for names.
type exKind struct {
	id, severity, about, text string

	// alone is true for those that may come at any time; the others belong to stories.
	alone bool
}

// exKinds are the EventEx of the site. Those that need explaining do it in causes.
var exKinds = []exKind{
	{"com.vmware.vc.HA.HostStateChangedEvent", "info", aboutHost, "The vSphere HA availability state of {host} in {cluster} changed", true},
	{"com.vmware.vc.HA.ConnectedToMaster", "info", aboutHost, "The vSphere HA agent on {host} is connected to the primary agent", true},
	{"com.vmware.vc.HA.AllHostAddrsPingable", "info", aboutHost, "All HA network addresses can be reached from {host}", true},
	{"com.vmware.vc.HA.NotAllHostAddrsPingable", "warning", aboutHost, "{host} in {cluster} cannot reach all HA network addresses of the other hosts", true},
	{"com.vmware.vc.HA.ClusterFailoverInProgressEvent", "warning", aboutCluster, "vSphere HA failover under way in {cluster} in {datacenter}", false},
	{"com.vmware.vc.HA.DasHostFailedEvent", "error", aboutHost, "vSphere HA detected that {host} in {cluster} has failed", false},
	{"com.vmware.vc.ha.VmRestartedByHAEvent", "warning", aboutMachine, "vSphere HA restarted {vm} on {host} in {cluster}", false},
	{"com.vmware.vc.HA.FailoverCompletedEvent", "info", aboutCluster, "vSphere HA failover in {cluster} is complete", false},
	{"com.vmware.vc.vcp.VmNetworkFailedEvent", "error", aboutMachine, "{vm} on {host} lost the network it can be reached by", true},
	{"com.vmware.vc.VmDiskConsolidationNeeded", "warning", aboutMachine, "The disks of {vm} on {host} need to be consolidated", true},
	{"com.vmware.vc.guestOperations.GuestOperation", "info", aboutMachine, "Guest operation StartProgram performed on {vm}", true},
	{"com.vmware.vc.vm.VmStateRevertedToSnapshot", "info", aboutMachine, "{vm} was reverted to a snapshot", true},
	{"com.vmware.vc.sdrs.RecommendationApplied", "info", aboutStore, "Storage DRS moved disks away from {datastore} in {datacenter}", true},
	{"com.vmware.vc.certmgr.HostCertExpirationNear", "warning", aboutHost, "The certificate of {host} expires within 30 days", true},
	{"esx.problem.net.redundancy.lost", "warning", aboutHost, "Lost uplink redundancy on dvSwitch of {host}: vmnic1 is down", true},
	{"esx.clear.net.redundancy.restored", "info", aboutHost, "Uplink redundancy restored on dvSwitch of {host}: vmnic1 is up", true},
	{"esx.problem.net.connectivity.lost", "error", aboutHost, "Lost network connectivity on dvSwitch of {host}: vmnic0 and vmnic1 are down", false},
	{"esx.problem.scsi.device.io.latency.high", "warning", aboutHost, "I/O latency of a device of {host} rose from 1.2 ms to 38 ms", true},
	{"esx.clear.scsi.device.io.latency.improved", "info", aboutHost, "I/O latency of a device of {host} is back at 2 ms", true},
	{"esx.problem.storage.redundancy.degraded", "warning", aboutHost, "Path redundancy of {host} to {datastore} is degraded: vmhba2 is down", false},
	{"esx.problem.storage.connectivity.lost", "error", aboutHost, "{host} lost the connection to {datastore}", false},
	{"esx.clear.storage.connectivity.restored", "info", aboutHost, "{host} reaches {datastore} again over all paths", false},
	{"esx.audit.shell.enabled", "info", aboutHost, "The ESXi command line shell was enabled on {host}", true},
	{"esx.problem.visorfs.ramdisk.full", "warning", aboutHost, "The ramdisk 'tmp' of {host} is full", true},
	{"vim.event.SubscriptionLicenseExpiredEvent", "warning", aboutCluster, "A time-limited license of {cluster} expires soon", true},
	{"vim.event.FailoverCapacityLowEvent", "", aboutCluster, "{cluster} can take the failure of one more host", true},
}

// extKinds are the ExtendedEvents of the site, posted by solutions beside the vCenter.
var extKinds = []exKind{
	{"com.vmware.vcIntegrity.ScanStarted", "info", aboutHost, "Compliance scan of {host} has started", true},
	{"com.vmware.vcIntegrity.HostNotCompliant", "warning", aboutHost, "{host} lacks two critical patches of its baseline", true},
	{"lab.backup.JobFinished", "info", aboutMachine, "Backup of {vm} finished", true},
	{"lab.backup.JobFailed", "error", aboutMachine, "Backup of {vm} failed: no repository has space left", true},
}

// noteEventEx posts an EventEx that needs no story.
func (a *activity) noteEventEx(context.Context) error {
	kind := one(a, exKinds)
	for !kind.alone || kind.severity == "error" && a.chance(0.5) {
		kind = one(a, exKinds)
	}
	m, ok := a.anyMachine()
	if ok {
		a.postEx(vpxd, kind, m, a.anyHost(m.place))
	}
	return nil
}

// ex returns the kind of EventEx with that id. It is for variables of the package, so
// that a wrong id ends the program when it starts and not in the middle of a story.
func ex(id string) exKind {
	for _, kind := range exKinds {
		if kind.id == id {
			return kind
		}
	}
	panic("simulator: no EventEx " + id)
}

// postEx posts an EventEx about a virtual machine, or about a host and what it is in or
// has in common with the virtual machine.
func (a *activity) postEx(by string, kind exKind, m machine, host thing) {
	where, about := kind.target(m, host)
	a.post(by, &types.EventEx{
		Event:       where,
		EventTypeId: kind.id,
		Severity:    kind.severity,
		Message:     fill(kind.text, where),
		Arguments: []types.KeyAnyValue{
			{Key: "name", Value: about.name},
			{Key: "attempt", Value: int32(1 + a.rand.IntN(3))},
		},
		ObjectId:   about.ref.Value,
		ObjectType: about.ref.Type,
		ObjectName: about.name,
	})
}

// noteExtended posts an ExtendedEvent.
func (a *activity) noteExtended(context.Context) error {
	m, ok := a.anyMachine()
	if !ok {
		return nil
	}
	kind := one(a, extKinds)
	if kind.severity == "error" && a.chance(0.5) {
		kind = extKinds[0]
	}
	where, about := kind.target(m, m.host)
	a.post(backup.name, &types.ExtendedEvent{
		GeneralEvent:  types.GeneralEvent{Event: where, Message: fill(kind.text, where)},
		EventTypeId:   kind.id,
		ManagedObject: about.ref,
		Data: []types.ExtendedEventPair{
			{Key: "job", Value: fmt.Sprintf("job-%d", 1+a.rand.IntN(40))},
			{Key: "object", Value: about.name},
		},
	})
	return nil
}

// target returns what an event of this kind is about, and where that is.
func (k exKind) target(m machine, host thing) (types.Event, thing) {
	switch k.about {
	case aboutMachine:
		return m.event(), m.thing
	case aboutCluster:
		return m.place.clusterEvent(), m.place.cluster
	case aboutStore:
		return m.place.storeEvent(m.store), m.store
	default:
		where := m.place.hostEvent(host)
		where.Ds = m.store.asStore()
		return where, host
	}
}

// fill puts the names of where into a text.
func fill(text string, where types.Event) string {
	var pairs []string
	name := func(placeholder, value string) { pairs = append(pairs, placeholder, value) }
	if where.Datacenter != nil {
		name("{datacenter}", where.Datacenter.Name)
	}
	if where.ComputeResource != nil {
		name("{cluster}", where.ComputeResource.Name)
	}
	if where.Host != nil {
		name("{host}", where.Host.Name)
	}
	if where.Ds != nil {
		name("{datastore}", where.Ds.Name)
	}
	if where.Vm != nil {
		name("{vm}", where.Vm.Name)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}
