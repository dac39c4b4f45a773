package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/vmware/govmomi/vim25/types"

	"vstream"
	"vstream/internal/cloudevent"
)

// numbers gives the events of a vCenter their keys and times: always the same ones, so that
// a log can be compared with what was appended to it. Keys have gaps; times follow a daily
// rhythm with bursts, a week for a million, and only grow.
type numbers struct {
	random *rand.Rand
	key    int32
	time   time.Time
	burst  int // how many of a burst are still to come
}

func newNumbers() *numbers {
	return &numbers{
		random: rand.New(rand.NewPCG(1, 2)),
		key:    1000,
		time:   time.Date(2026, time.January, 5, 6, 0, 0, 0, time.UTC),
	}
}

func (n *numbers) next() {
	n.key++
	if n.random.IntN(50) == 0 {
		n.key += n.random.Int32N(20)
	}
	hours := n.time.Sub(n.time.Truncate(24 * time.Hour)).Hours()
	pause := 0.8 * n.random.ExpFloat64() * (1 + 0.8*math.Cos(hours/12*math.Pi))
	switch {
	case n.burst > 0:
		n.burst--
		pause = 0.01 * n.random.ExpFloat64()
	case n.random.IntN(300) == 0:
		n.burst = n.random.IntN(200)
	}
	n.time = n.time.Add(time.Millisecond + time.Duration(pause*float64(time.Second)).Truncate(time.Millisecond))
}

func (n *numbers) offset() vstream.Offset { return vstream.OffsetOf(0, n.key) }

// events makes the events of a vCenter with 20 hosts and 400 machines, encoded as they
// are when they come from one.
type events struct {
	numbers *numbers
	encoder cloudevent.Encoder
}

func newEvents() *events {
	return &events{
		numbers: newNumbers(),
		encoder: cloudevent.Encoder{
			Source: "https://vcenter.prod.corp.local/sdk", APIVersion: "8.0.3.0", MaxBytes: maxRecord,
		},
	}
}

// take makes the next n events.
func (e *events) take(n int) []vstream.Event {
	all := make([]vstream.Event, n)
	for i := range all {
		e.numbers.next()
		event, err := e.encoder.Encode(e.event())
		if err != nil {
			panic(err)
		}
		all[i] = event
	}
	return all
}

// event makes up an event with the numbers of now; what it is about follows from its key.
// The mix is that of a busy site: mostly tasks, sessions and alarms.
func (e *events) event() types.BaseEvent {
	key := e.numbers.key
	random := rand.New(rand.NewPCG(uint64(key), 3))
	about := newPlace(random)
	base := types.Event{Key: key, ChainId: key - random.Int32N(3), CreatedTime: e.numbers.time, UserName: about.user}
	switch n := random.IntN(100); {
	case n < 30:
		about.name(&base, true)
		return e.task(base, about, random)
	case n < 42:
		base.FullFormattedMessage = fmt.Sprintf("User %s@%s logged in as %s", about.user, about.address, about.agent)
		return &types.UserLoginSessionEvent{
			SessionEvent: types.SessionEvent{Event: base}, IpAddress: about.address, UserAgent: about.agent,
			Locale: "en", SessionId: about.session,
		}
	case n < 54:
		base.FullFormattedMessage = fmt.Sprintf("User %s@%s logged out (login time: %s, number of API invocations: %d, user agent: %s)",
			about.user, about.address, base.CreatedTime.Format(time.RFC1123), n, about.agent)
		return &types.UserLogoutSessionEvent{
			SessionEvent: types.SessionEvent{Event: base}, IpAddress: about.address, UserAgent: about.agent,
			CallCount: int64(n), SessionId: about.session, LoginTime: &base.CreatedTime,
		}
	case n < 72:
		about.name(&base, true)
		return e.alarm(base, about, random)
	case n < 88:
		about.name(&base, random.IntN(2) == 0)
		return e.extended(base, about, random)
	case n < 94:
		about.name(&base, true)
		base.FullFormattedMessage = fmt.Sprintf("%s on %s in %s has powered on", about.vm, about.host, about.datacenter)
		return &types.VmPoweredOnEvent{VmEvent: types.VmEvent{Event: base}}
	case n < 99:
		about.name(&base, true)
		base.FullFormattedMessage = fmt.Sprintf("%s on %s in %s is powered off", about.vm, about.host, about.datacenter)
		return &types.VmPoweredOffEvent{VmEvent: types.VmEvent{Event: base}}
	default:
		about.name(&base, true)
		base.FullFormattedMessage = fmt.Sprintf("Reconfigured %s on %s in %s. \n \nModified: \nconfig.hardware.memoryMB: 4096 -> 8192; ",
			about.vm, about.host, about.datacenter)
		return &types.VmReconfiguredEvent{
			VmEvent:       types.VmEvent{Event: base},
			ConfigSpec:    types.VirtualMachineConfigSpec{Name: about.vm, MemoryMB: 8192},
			ConfigChanges: &types.ChangesInfoEventArgument{Modified: "config.hardware.memoryMB: 4096 -> 8192; "},
		}
	}
}

var operations = [][2]string{
	{"VirtualMachine.powerOn", "PowerOnVM_Task"},
	{"VirtualMachine.createSnapshot", "CreateSnapshot_Task"},
	{"VirtualMachine.removeSnapshot", "RemoveSnapshot_Task"},
	{"VirtualMachine.reconfigure", "ReconfigVM_Task"},
	{"VirtualMachine.migrate", "MigrateVM_Task"},
	{"HostSystem.reconfigureVirtualDisk", "ReconfigureDisk_Task"},
}

func (e *events) task(base types.Event, about place, random *rand.Rand) types.BaseEvent {
	operation := operations[random.IntN(len(operations))]
	base.FullFormattedMessage = "Task: " + operation[0]
	task := fmt.Sprintf("task-%d", base.Key+70_000)
	return &types.TaskEvent{Event: base, Info: types.TaskInfo{
		Key:           task,
		Task:          types.ManagedObjectReference{Type: "Task", Value: task},
		Name:          operation[1],
		DescriptionId: operation[0],
		Entity:        &types.ManagedObjectReference{Type: "VirtualMachine", Value: about.vmID},
		EntityName:    about.vm,
		State:         types.TaskInfoStateQueued,
		Reason:        &types.TaskReasonUser{UserName: about.user},
		QueueTime:     base.CreatedTime,
		EventChainId:  base.ChainId,
		ActivationId:  about.session[:8],
	}}
}

func (e *events) alarm(base types.Event, about place, random *rand.Rand) types.BaseEvent {
	colours := [...]string{"green", "yellow", "red"}
	from := random.IntN(3)
	to := (from + 1 + random.IntN(2)) % 3
	name := "Virtual machine CPU usage"
	base.FullFormattedMessage = fmt.Sprintf("Alarm '%s' on %s changed from %s to %s", name, about.vm, colours[from], colours[to])
	argument := func(kind, id, name string) types.ManagedEntityEventArgument {
		return types.ManagedEntityEventArgument{
			EntityEventArgument: types.EntityEventArgument{Name: name},
			Entity:              types.ManagedObjectReference{Type: kind, Value: id},
		}
	}
	return &types.AlarmStatusChangedEvent{
		AlarmEvent: types.AlarmEvent{Event: base, Alarm: types.AlarmEventArgument{
			EntityEventArgument: types.EntityEventArgument{Name: name},
			Alarm:               types.ManagedObjectReference{Type: "Alarm", Value: "alarm-6"},
		}},
		Source: argument("VirtualMachine", about.vmID, about.vm),
		Entity: argument("Folder", "group-d1", "Datacenters"),
		From:   colours[from], To: colours[to],
	}
}

func (e *events) extended(base types.Event, about place, random *rand.Rand) types.BaseEvent {
	ids := [...]string{
		"com.vmware.vc.HA.HostStateChangedEvent", "esx.problem.net.redundancy.lost",
		"com.vmware.vc.vm.VmStateRevertedToSnapshot", "esx.problem.scsi.device.io.latency.high",
	}
	base.FullFormattedMessage = fmt.Sprintf("I/O latency of device naa.6000d31%09x of %s rose from 1.2 ms to %d ms",
		random.Int64N(1<<36), about.host, random.IntN(90)+10)
	arguments := []types.KeyAnyValue{{Key: "_sourcehost_", Value: about.host}}
	for i := range random.IntN(4) {
		arguments = append(arguments, types.KeyAnyValue{Key: fmt.Sprint(i + 1), Value: fmt.Sprintf("naa.6000d31%09x", random.Int64N(1<<36))})
	}
	return &types.EventEx{
		Event: base, EventTypeId: ids[random.IntN(len(ids))], Severity: "warning", Arguments: arguments,
		ObjectId: about.hostID, ObjectType: "HostSystem", ObjectName: about.host,
	}
}

// A place is what an event is about, and who did it.
type place struct {
	datacenter, cluster, host, vm            string
	datacenterID, clusterID, hostID, vmID    string
	user, address, agent, session, datastore string
}

func newPlace(random *rand.Rand) place {
	vm := random.IntN(400)
	host := vm % 20
	cluster := host / 10
	agents := [...]string{"VMware vim-java 1.0", "pyvmomi Python/3.11.2 (Linux; 6.1.0; x86_64)", "Go-http-client/1.1", "Mozilla/5.0 VMware-client/8.0.0"}
	return place{
		datacenter: "DC-Frankfurt-01", datacenterID: "datacenter-2",
		cluster: fmt.Sprintf("cluster-prod-%c", 'a'+cluster), clusterID: fmt.Sprintf("domain-c%d", 8+cluster),
		host: fmt.Sprintf("esx-%02d.prod.corp.local", host), hostID: fmt.Sprintf("host-%d", 20+host),
		vm: fmt.Sprintf("app-server-%04d", vm), vmID: fmt.Sprintf("vm-%d", 1000+vm),
		user:      fmt.Sprintf(`VSPHERE.LOCAL\svc-%02d`, random.IntN(30)),
		address:   fmt.Sprintf("10.20.%d.%d", random.IntN(8), 1+random.IntN(250)),
		agent:     agents[random.IntN(len(agents))],
		session:   fmt.Sprintf("52b5395a-85ae-9f50-0835-%012x", random.Int64N(1<<48)),
		datastore: fmt.Sprintf("vsan-%02d", random.IntN(6)),
	}
}

// name gives an event what it is about: a host, or a machine on it.
func (p place) name(e *types.Event, machine bool) {
	reference := func(kind, id string) types.ManagedObjectReference {
		return types.ManagedObjectReference{Type: kind, Value: id}
	}
	e.Datacenter = &types.DatacenterEventArgument{
		EntityEventArgument: types.EntityEventArgument{Name: p.datacenter}, Datacenter: reference("Datacenter", p.datacenterID),
	}
	e.ComputeResource = &types.ComputeResourceEventArgument{
		EntityEventArgument: types.EntityEventArgument{Name: p.cluster}, ComputeResource: reference("ClusterComputeResource", p.clusterID),
	}
	e.Host = &types.HostEventArgument{
		EntityEventArgument: types.EntityEventArgument{Name: p.host}, Host: reference("HostSystem", p.hostID),
	}
	if machine {
		e.Vm = &types.VmEventArgument{
			EntityEventArgument: types.EntityEventArgument{Name: p.vm}, Vm: reference("VirtualMachine", p.vmID),
		}
		e.Ds = &types.DatastoreEventArgument{
			EntityEventArgument: types.EntityEventArgument{Name: p.datastore}, Datastore: reference("Datastore", "datastore-"+p.datastore),
		}
	}
}
