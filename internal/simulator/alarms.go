package simulator

import (
	"context"
	"slices"

	"github.com/vmware/govmomi/vim25/types"
)

// An alarm is one kind of alarm on one object, and how high it stands.
type alarm struct {
	kind  int
	about thing
	where types.Event
	level int // index of levels
}

var levels = []string{"green", "yellow", "red"}

// alarmKinds are the alarms of the site: 0 to 2 about virtual machines, 3 to 5 about
// hosts, the last about datastores. vcsim has others, which only its own events raise.
var alarmKinds = []thing{
	{alarmRef("alarm-6"), "Virtual machine CPU usage"},
	{alarmRef("alarm-7"), "Virtual machine memory usage"},
	{alarmRef("alarm-19"), "Virtual machine snapshot size"},
	{alarmRef("alarm-4"), "Host CPU usage"},
	{alarmRef("alarm-5"), "Host memory usage"},
	{alarmRef("alarm-23"), "Host hardware fan status"},
	{alarmRef("alarm-8"), "Datastore usage on disk"},
}

const (
	snapshotSize = 2
	storeUsage   = 6
)

func alarmRef(value string) types.ManagedObjectReference {
	return types.ManagedObjectReference{Type: "Alarm", Value: value}
}

// changeAlarm lowers one of the alarms that stand high, or raises any by a step. No more
// than six stand high at a time.
func (a *activity) changeAlarm(context.Context) error {
	if n := len(a.alarms); n > 0 && (n >= 6 || a.chance(0.5)) {
		al := one(a, a.alarms)
		if a.chance(0.15) {
			a.acknowledge(al)
			return nil
		}
		a.setAlarm(al, al.level-1)
		return nil
	}
	al := &alarm{kind: a.rand.IntN(len(alarmKinds))}
	switch p := a.anyPlace(); {
	case al.kind <= snapshotSize:
		m, ok := a.anyMachine()
		if !ok {
			return nil
		}
		al.about, al.where = m.thing, m.event()
	case al.kind < storeUsage:
		al.about = a.anyHost(p)
		al.where = p.hostEvent(al.about)
	default:
		al.about = one(a, p.stores)
		al.where = p.storeEvent(al.about)
	}
	al = a.standing(al)
	a.setAlarm(al, min(al.level+1, len(levels)-1))
	return nil
}

// standing returns the alarm of that kind and object that stands high, or al itself.
func (a *activity) standing(al *alarm) *alarm {
	for _, other := range a.alarms {
		if other.kind == al.kind && other.about.ref == al.about.ref {
			return other
		}
	}
	return al
}

// setAlarm tells that an alarm goes to a level. It does nothing when it is there.
func (a *activity) setAlarm(al *alarm, level int) {
	if level == al.level {
		return
	}
	base := types.AlarmEvent{Event: al.where, Alarm: types.AlarmEventArgument{
		EntityEventArgument: alarmKinds[al.kind].entity(), Alarm: alarmKinds[al.kind].ref,
	}}
	root := thing{types.ManagedObjectReference{Type: "Folder", Value: "group-d1"}, "Datacenters"}
	a.post(vpxd, &types.AlarmStatusChangedEvent{
		AlarmEvent: base, Source: root.managed(), Entity: al.about.managed(),
		From: levels[al.level], To: levels[level],
	})
	if level == len(levels)-1 {
		a.post(vpxd, &types.AlarmActionTriggeredEvent{AlarmEvent: base, Source: root.managed(), Entity: al.about.managed()})
	}
	al.level = level
	a.alarms = slices.DeleteFunc(a.alarms, func(other *alarm) bool { return other == al })
	if level > 0 {
		a.alarms = append(a.alarms, al)
	}
}

func (a *activity) acknowledge(al *alarm) {
	a.post(a.anybody().name, &types.AlarmAcknowledgedEvent{
		AlarmEvent: types.AlarmEvent{Event: al.where, Alarm: types.AlarmEventArgument{
			EntityEventArgument: alarmKinds[al.kind].entity(), Alarm: alarmKinds[al.kind].ref,
		}},
		Source: al.about.managed(), Entity: al.about.managed(),
	})
}
