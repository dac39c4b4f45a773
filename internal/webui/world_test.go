package webui_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"vstream"
	"vstream/internal/cloudevent"
	"vstream/internal/memlog"
)

// A vcenter is one that the test makes up: its log, and how collecting from it goes.
type vcenter struct {
	name string
	log  *memlog.Log

	encoder cloudevent.Encoder
	mu      sync.Mutex
	status  vstream.Status // under mu
	key     int32          // of the next event
	clock   time.Time      // of the next event
}

// newVCenter returns one without events, that is read without trouble. Its first event has
// this key, and happens now.
func newVCenter(name string, firstKey int32) *vcenter {
	v := &vcenter{name: name, log: memlog.New(200_000, 1<<30), key: firstKey, clock: time.Now().Truncate(time.Millisecond)}
	url := "https://" + name + ".lab/sdk"
	v.encoder = cloudevent.Encoder{Source: url, APIVersion: "8.0.3.0", Severity: severities}
	v.status = vstream.Status{
		Name: name, URL: url, State: vstream.Collecting, Since: v.clock,
		SourceStatus: vstream.SourceStatus{Product: "VMware vCenter Server 8.0.3 build-24022515", APIVersion: "8.0.3.0", LastPoll: v.clock},
	}
	return v
}

// collected is how collecting goes.
func (v *vcenter) collected() vstream.Status {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.status
}

// report changes how collecting goes.
func (v *vcenter) report(change func(*vstream.Status)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.status)
}

// post appends an event of the vCenter's, a tenth of a second after the one before, and
// returns its offset.
func (v *vcenter) post(t testing.TB, events ...types.BaseEvent) vstream.Offset {
	t.Helper()
	return v.postEvery(t, 100*time.Millisecond, events...)
}

func (v *vcenter) postEvery(t testing.TB, interval time.Duration, events ...types.BaseEvent) vstream.Offset {
	t.Helper()
	encoded := make([]vstream.Event, len(events))
	for i, e := range events {
		base := e.GetEvent()
		base.Key = v.key
		if base.ChainId == 0 {
			base.ChainId = v.key
		}
		if base.CreatedTime.IsZero() {
			base.CreatedTime = v.clock
		}
		v.key++
		v.clock = v.clock.Add(interval)
		var err error
		if encoded[i], err = v.encoder.Encode(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := v.log.Append(t.Context(), encoded); err != nil {
		t.Fatal(err)
	}
	return encoded[len(encoded)-1].Offset
}

// postN appends n events of an ordinary day, which end now if they are the first.
func (v *vcenter) postN(t testing.TB, n int) vstream.Offset {
	t.Helper()
	const interval = 700 * time.Millisecond
	if _, begun := v.log.Range(); !begun {
		v.clock = v.clock.Add(-time.Duration(n) * interval)
	}
	events := make([]types.BaseEvent, n)
	for i := range events {
		events[i] = ordinary(int(v.key) + i)
	}
	return v.postEvery(t, interval, events...)
}

var severities = map[string]string{
	"HostConnectionLostEvent": "error", "BadUsernameSessionEvent": "error", "VmFailedToPowerOnEvent": "error",
	"AlarmStatusChangedEvent": "warning", "HostIsolationIpPingFailedEvent": "warning",
	"UserLoginSessionEvent": "user", "UserLogoutSessionEvent": "user",
}

// catalogue is what the vCenters say of some types.
var catalogue = []vstream.EventType{
	{Name: "VmPoweredOnEvent", Class: "event", Description: "VM powered on", Category: "info"},
	{Name: "VmPoweredOffEvent", Class: "event", Description: "VM powered off", Category: "info"},
	{Name: "VmReconfiguredEvent", Class: "event", Description: "VM reconfigured", Category: "info"},
	{Name: "VmMigratedEvent", Class: "event", Description: "VM migrated (vMotion)", Category: "info"},
	{Name: "TaskEvent", Class: "event", Description: "Task", Category: "info"},
	{Name: "UserLoginSessionEvent", Class: "event", Description: "User login", Category: "user"},
	{Name: "BadUsernameSessionEvent", Class: "event", Description: "Cannot login", Category: "error"},
	{Name: "AlarmStatusChangedEvent", Class: "event", Description: "Alarm status changed", Category: "warning"},
	{
		Name: "HostConnectionLostEvent", Class: "event", Description: "Host connection lost", Category: "error",
		LongDescription: `<EventLongDescription id="vim.event.HostConnectionLostEvent"><description>The connection to the host has been lost</description>` +
			`<cause><description>The host lost network connectivity or hostd stopped.</description>` +
			`<action>Check the management network</action><action>Restart the management agents</action></cause></EventLongDescription>`,
	},
}

var (
	vms   = []string{"web-07", "db-prod-02", "win-jump-1", "build-agent-14", "k8s-worker-3", "web-08", "mail-01", "k8s-worker-4"}
	hosts = []string{"esx-11.lab", "esx-12.lab", "esx-14.lab", "esx-15.lab"}
)

// ordinary returns the n-th event of an ordinary day. The same n is always the same event.
func ordinary(n int) types.BaseEvent {
	vm, host := vms[n*5%len(vms)], hosts[n*7%len(hosts)]
	switch n * 11 % 17 {
	case 0, 1, 2:
		return poweredOn(vm, host, `VSPHERE.LOCAL\vpxd`)
	case 3, 4:
		return &types.VmPoweredOffEvent{VmEvent: vmEvent(vm, host, `VSPHERE.LOCAL\Administrator`, "{vm} on {host} in DC-West is powered off")}
	case 5, 6, 7:
		return &types.VmReconfiguredEvent{VmEvent: vmEvent(vm, host, `LAB\amara`, "Reconfigured {vm} on {host} in DC-West: numCPUs 4 -> 8; memoryMB 8192 -> 16384")}
	case 8:
		return &types.VmMigratedEvent{
			VmEvent:    vmEvent(vm, host, `VSPHERE.LOCAL\vpxd`, "{vm} migrated from esx-11.lab to {host} in DC-West"),
			SourceHost: *hostArgument("esx-11.lab"),
		}
	case 9, 10:
		e := vmEvent(vm, host, `LAB\jonas`, "Task: Create virtual machine snapshot")
		return &types.TaskEvent{Event: e.Event, Info: types.TaskInfo{Key: fmt.Sprint("task-", n), DescriptionId: "VirtualMachine.createSnapshot", EntityName: vm}}
	case 11, 12, 13:
		user := []string{`VSPHERE.LOCAL\svc-backup`, `LAB\amara`, `VSPHERE.LOCAL\Administrator`}[n%3]
		return &types.UserLoginSessionEvent{
			SessionEvent: types.SessionEvent{Event: types.Event{UserName: user, FullFormattedMessage: "User " + user + "@10.4.7.21 logged in as VMware-client/8.0"}},
			IpAddress:    "10.4.7.21", UserAgent: "VMware-client/8.0", SessionId: fmt.Sprint("52e1-", n), Locale: "en",
		}
	case 14:
		return &types.BadUsernameSessionEvent{
			SessionEvent: types.SessionEvent{Event: types.Event{UserName: `LAB\root`, FullFormattedMessage: `Cannot login LAB\root@10.9.1.77`}},
			IpAddress:    "10.9.1.77",
		}
	case 15:
		return alarm(host)
	default:
		return &types.EventEx{
			Event:       hostEvent(host, "", "Usage on vsanDatastore crossed 85 %"),
			EventTypeId: "esx.problem.vob.vsan.lsom.disklimit2", Severity: "warning", ObjectName: host, ObjectType: "HostSystem",
		}
	}
}

func poweredOn(vm, host, user string) *types.VmPoweredOnEvent {
	return &types.VmPoweredOnEvent{VmEvent: vmEvent(vm, host, user, "{vm} on {host} in DC-West is powered on")}
}

func connectionLost(host string) *types.HostConnectionLostEvent {
	return &types.HostConnectionLostEvent{HostEvent: types.HostEvent{Event: hostEvent(host, `VSPHERE.LOCAL\vpxd`, "Host {host} in DC-West is not responding")}}
}

func alarm(host string) *types.AlarmStatusChangedEvent {
	return &types.AlarmStatusChangedEvent{
		AlarmEvent: types.AlarmEvent{
			Event: hostEvent(host, "", "Alarm 'Host CPU usage' on {host} changed from Green to Yellow"),
			Alarm: types.AlarmEventArgument{EntityEventArgument: types.EntityEventArgument{Name: "Host CPU usage"}},
		},
		From: "green", To: "yellow",
	}
}

// says returns an event of a virtual machine with any message.
func says(vm, message string) types.BaseEvent {
	e := vmEvent(vm, hosts[0], `LAB\amara`, "")
	e.FullFormattedMessage = message
	return &types.VmPoweredOnEvent{VmEvent: e}
}

// vmEvent returns an event whose message is made of the names of a virtual machine and its host.
func vmEvent(vm, host, user, message string) types.VmEvent {
	e := hostEvent(host, user, "")
	e.Vm = &types.VmEventArgument{EntityEventArgument: types.EntityEventArgument{Name: vm}, Vm: object("VirtualMachine", "vm", slices.Index(vms, vm))}
	e.FullFormattedMessage = strings.NewReplacer("{vm}", vm, "{host}", host).Replace(message)
	return types.VmEvent{Event: e}
}

func hostEvent(host, user, message string) types.Event {
	e := types.Event{
		UserName:        user,
		Datacenter:      &types.DatacenterEventArgument{EntityEventArgument: types.EntityEventArgument{Name: "DC-West"}, Datacenter: object("Datacenter", "datacenter", 1)},
		ComputeResource: &types.ComputeResourceEventArgument{EntityEventArgument: types.EntityEventArgument{Name: "CL-Prod"}, ComputeResource: object("ClusterComputeResource", "domain-c", 7)},
		Host:            hostArgument(host),
	}
	e.FullFormattedMessage = strings.ReplaceAll(message, "{host}", host)
	return e
}

func hostArgument(name string) *types.HostEventArgument {
	return &types.HostEventArgument{EntityEventArgument: types.EntityEventArgument{Name: name}, Host: object("HostSystem", "host", slices.Index(hosts, name))}
}

func object(kind, prefix string, n int) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: kind, Value: fmt.Sprintf("%s-%d", prefix, 1000+n)}
}
