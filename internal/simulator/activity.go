package simulator

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/vim25/types"
)

// atStart is how many events come at once when Run begins, so that somebody who has
// just begun to watch sees something.
const atStart = 12

// stepLimit ends an operation that hangs; the longest take some 50 ms.
const stepLimit = 20 * time.Second

// An activity is what goes on at the site. It belongs to the goroutine of Run, which
// does one thing after the other: vcsim's tasks then never run side by side because of
// us, and what is decided does not depend on who was faster.
type activity struct {
	*Simulator
	rand *rand.Rand
	pace *pace

	newest  int32 // key of the newest event we posted
	counted int32 // key up to which events were accounted to the pace

	tasks   int          // numbers the tasks in posted events
	names   int          // numbers what the activity makes
	spares  []spare      // virtual machines made by the activity, to be destroyed again
	ports   []port       // port groups made by the activity, likewise
	folders []madeFolder // folders, likewise
	snapped []machine    // those with a snapshot, to be removed again
	alarms  []*alarm     // those that are not green
	stories []*story     // under way
}

func newActivity(s *Simulator, rate float64, random *rand.Rand) *activity {
	return &activity{
		Simulator: s,
		rand:      random,
		pace:      &pace{rate: rate, rand: random, now: time.Now, sleep: sleep},
	}
}

// An action makes one or a few events. Its error means that vcsim refused something.
type action func(*activity, context.Context) error

// A choice is an action and how often it is taken, against the other weights.
type choice struct {
	weight int
	do     action
}

// operations are done by vcsim; each takes some milliseconds.
var operations = []choice{
	{34, (*activity).power},
	{12, (*activity).reconfigure},
	{3, (*activity).annotate},
	{2, (*activity).clone},
	{1, (*activity).create},
	{3, (*activity).destroy},
	{2, (*activity).rename},
	{5, (*activity).snapshot},
	{2, (*activity).folder},
	{1, (*activity).portgroup},
	{4, (*activity).visit},
}

// reports are only posted; each takes some microseconds.
var reports = []choice{
	{14, (*activity).migrate},
	{12, (*activity).changeAlarm},
	{12, (*activity).noteEventEx},
	{5, (*activity).noteExtended},
	{3, (*activity).failLogin},
	{5, (*activity).noteMachine},
	{4, (*activity).noteHost},
	{2, (*activity).noteStore},
	{2, (*activity).noteSwitch},
	{3, (*activity).schedule},
	{2, (*activity).comment},
	{3, (*activity).failTask},
}

// everything is both, operations about as often as reports.
var everything = append(append([]choice{}, operations...), reports...)

// run is Run.
func (a *activity) run(ctx context.Context) error {
	late, total := false, 0
	for n := 0; ctx.Err() == nil; n++ {
		a.step(ctx, late)
		if n%100 == 0 {
			a.forgetTasks()
		}
		made := a.made()
		if total += made; total <= atStart {
			continue
		}
		var err error
		if late, err = a.pace.after(ctx, made); err != nil {
			break // ctx is done: nothing else ends the wait
		}
	}
	return nil
}

// made returns how many events there are since it was last asked. Keys tell, whoever
// made them; those of an operation that has just ended are counted with the next post.
func (a *activity) made() int {
	if a.counted == 0 {
		a.counted = a.newest - 1
	}
	made := a.newest - a.counted
	a.counted = a.newest
	return int(made)
}

// step does one thing: what comes next in a story, or anything. When we are late it does
// what is quick.
func (a *activity) step(ctx context.Context, late bool) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	var err error
	switch {
	case late:
		err = a.choose(reports)(a, ctx)
	case len(a.stories) > 0 && a.chance(0.3):
		err = a.tellOn(ctx)
	case len(a.stories) < maxStories && a.chance(0.04):
		a.begin()
		err = a.tellOn(ctx)
	default:
		err = a.choose(everything)(a, ctx)
	}
	if err != nil && !errors.Is(ctx.Err(), context.Canceled) {
		a.logger.Debug("simulated operation failed", "error", err)
	}
	var refused notAuthenticated
	if errors.As(err, &refused) {
		a.loginAgain(ctx, refused.user)
	}
}

// choose returns one of the choices by weight.
func (a *activity) choose(from []choice) action {
	sum := 0
	for _, c := range from {
		sum += c.weight
	}
	n := a.rand.IntN(sum)
	for _, c := range from {
		if n -= c.weight; n < 0 {
			return c.do
		}
	}
	panic("unreachable")
}

func (a *activity) chance(p float64) bool { return a.rand.Float64() < p }

// one returns any of the elements, of which there must be some.
func one[T any](a *activity, of []T) T { return of[a.rand.IntN(len(of))] }

// anyPlace returns the bigger place more often.
func (a *activity) anyPlace() *place {
	if a.chance(0.65) {
		return a.site.places[0]
	}
	return one(a, a.site.places)
}

// anyHost returns a host that is connected and not in maintenance. Stories never take
// all of a cluster's hosts away, so there is one.
func (a *activity) anyHost(p *place, but ...thing) thing {
	for {
		host := one(a, p.hosts)
		if a.site.lost[host.ref] || len(but) > 0 && host == but[0] {
			continue
		}
		return host
	}
}

// anyMachine returns a virtual machine of the plan on a host that works.
func (a *activity) anyMachine() (machine, bool) {
	return a.machine(func(machine) bool { return true })
}

// machine returns a virtual machine of the plan on a host that works, for which fits is
// true; ok is false when a few tries found none.
func (a *activity) machine(fits func(machine) bool) (m machine, ok bool) {
	for range 30 {
		p := a.anyPlace()
		m, ok := a.look(p, one(a, p.vms))
		if ok && !a.site.lost[m.host.ref] && fits(m) {
			return m, true
		}
	}
	return machine{}, false
}

// anybody returns one of the users, the administrator more often.
func (a *activity) anybody() *user {
	return a.users[one(a, []account{administrator, administrator, amara, amara, jonas, backup}).name]
}

// notAuthenticated says that a user's session has ended.
type notAuthenticated struct {
	user *user
	error
}

func (e notAuthenticated) Unwrap() error { return e.error }

// failed marks an error of a user's call so that step can log the user in again.
func failed(u *user, err error) error {
	if fault.Is(err, &types.NotAuthenticated{}) {
		return notAuthenticated{u, err}
	}
	return err
}

func (a *activity) loginAgain(ctx context.Context, u *user) {
	again, err := a.login(ctx, u.account)
	if err != nil {
		a.logger.Debug("simulated user could not log in again", "user", u.name, "error", err)
		return
	}
	u.soap.CloseIdleConnections()
	a.users[u.name] = again
}
