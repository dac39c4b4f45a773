package vcentertest

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// record is one event of the history. Only hidden and gone change, under VCenter.mu.
type record struct {
	serial, epoch int
	key, chain    int32
	created       time.Time
	kind          string
	message       string
	mold          *mold  // the XML of an event that PostN made, or
	raw           string // the XML
	hidden        bool   // from the user, for want of privileges
	gone          bool   // told once, not any more
}

// Event is one event that the vCenter told, or tells: what a client has to end up with.
type Event struct {
	Serial  int   // its number among all that was ever posted, from 1
	Epoch   int   // how often keys had started over before it: by Reset, Restore, SetNextKey or at the end of their range
	Key     int32 // vCenter's number of it
	Created time.Time
	Type    string // the name of its class, as in xsi:type
	Message string // its fullFormattedMessage, which tells it from all others unless the test set it; empty after PostXML
	Gone    bool   // it is not in the history any more: a client has it if it read it in time
}

// Told returns all that was ever there to be read, in the order of epochs and keys (as
// unsigned numbers: negative ones follow the positive). Hidden events are not in it.
func (v *VCenter) Told() []Event {
	v.mu.Lock()
	defer v.mu.Unlock()
	told := make([]Event, 0, len(v.ledger))
	for _, r := range v.ledger {
		if r.hidden && !r.gone {
			continue
		}
		told = append(told, Event{
			Serial: r.serial, Epoch: r.epoch, Key: r.key, Created: r.created,
			Type: r.kind, Message: r.message, Gone: r.gone,
		})
	}
	slices.SortStableFunc(told, func(a, b Event) int {
		return cmp.Or(cmp.Compare(a.Epoch, b.Epoch), cmp.Compare(uint32(a.Key), uint32(b.Key)))
	})
	return told
}

// Post lets events happen and returns their keys: the next ones. CreatedTime is the
// vCenter's clock, ChainId the key, and FullFormattedMessage one that is unique, unless
// they are set. The arguments remain as they are, and are not kept.
func (v *VCenter) Post(events ...types.BaseEvent) []int32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer v.changed()
	keys := make([]int32, 0, len(events))
	for _, ev := range events {
		r := v.stamp(v.now())
		v.compose(r, ev)
		v.append(r)
		keys = append(keys, r.key)
	}
	return keys
}

// PostN lets n events of many classes happen, at the cost of a few hundred bytes each,
// and returns the first and the last key. No two of them have the same message.
func (v *VCenter) PostN(n int) (first, last int32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer v.changed()
	first, last = v.next, v.next
	for range n {
		r := v.stamp(v.now())
		r.mold = molds()[r.serial%len(molds())]
		r.kind, r.message, r.chain = r.mold.kind, fmt.Sprintf("%s (#%d)", r.mold.message, r.serial), r.key
		v.append(r)
		last = r.key
	}
	return first, last
}

// PostXML lets something happen that is told with exactly the bytes that write returns,
// which should be about `<returnval xsi:type="…">…</returnval>` but need not be XML at
// all; Base helps with it. It counts as an event of that key and time whatever it says.
func (v *VCenter) PostXML(write func(key int32, created time.Time) string) int32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer v.changed()
	r := v.stamp(v.now())
	r.chain = r.key
	r.raw = write(r.key, r.created)
	if _, rest, ok := strings.Cut(r.raw, `xsi:type="`); ok {
		r.kind, _, _ = strings.Cut(rest, `"`)
	}
	v.append(r)
	return r.key
}

// Base is the XML of what every event begins with, for PostXML.
func Base(key int32, created time.Time) string {
	return fmt.Sprintf("<key>%d</key><chainId>%[1]d</chainId><createdTime>%s</createdTime><userName>VSPHERE.LOCAL\\Administrator</userName>", key, written(created))
}

// PostHidden lets events happen that the user may not read. They leave a gap in the
// keys, and show in EventManager.latestEvent only.
func (v *VCenter) PostHidden(events ...types.BaseEvent) []int32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer v.changed()
	keys := make([]int32, 0, len(events))
	for _, ev := range events {
		r := v.stamp(v.now())
		r.hidden = true
		v.compose(r, ev)
		v.append(r)
		keys = append(keys, r.key)
	}
	return keys
}

// PostLate lets an event become visible under a key that newer events have already
// passed; one that SkipKeys left free, usually. Unless it is set, CreatedTime is that of
// the event it comes before. Collectors that have passed its place give it next.
func (v *VCenter) PostLate(key int32, ev types.BaseEvent) { v.late(key, ev, true) }

// PostBehind is PostLate, but collectors that have passed its place never give it.
func (v *VCenter) PostBehind(key int32, ev types.BaseEvent) { v.late(key, ev, false) }

func (v *VCenter) late(key int32, ev types.BaseEvent, given bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	defer v.changed()
	place := len(v.history)
	for place > 0 && v.history[place-1].epoch == v.epoch && uint32(v.history[place-1].key) > uint32(key) {
		place--
	}
	r := v.newRecord(key, v.now())
	if place < len(v.history) {
		r.created = v.history[place].created
	}
	v.compose(r, ev)
	v.ledger = append(v.ledger, r)
	v.history = slices.Insert(v.history, place, r)
	v.version++
	for _, c := range v.collectors {
		c.inserted(v, r, place, given)
	}
	v.look()
}

// SkipKeys lets n keys go unused.
func (v *VCenter) SkipKeys(n int32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.next += n
}

// SetNextKey sets the key of the next event. One that is not above the newest begins an
// epoch, negative keys being above all others.
func (v *VCenter) SetNextKey(key int32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.next = key
}

// Hide hides events from the user from now on, as when privileges are taken away. Who
// has read them has them.
func (v *VCenter) Hide(keys ...int32) {
	v.withdraw(keys, func(r *record) { r.hidden, r.gone = true, true })
}

// Fold removes events from the history, as vCenter does with those of a burst when it
// stores them. Who has read them has them.
func (v *VCenter) Fold(keys ...int32) { v.withdraw(keys, func(r *record) { r.gone = true }) }

func (v *VCenter) withdraw(keys []int32, mark func(*record)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, key := range keys {
		for _, r := range slices.Backward(v.history) {
			if r.key == key && !r.gone {
				mark(r)
				break
			}
		}
	}
}

// Reset installs the vCenter anew: no history, keys from 1, no sessions, no connections,
// and another instanceUuid, unless that is empty and the old one stays.
func (v *VCenter) Reset(instanceUUID string) {
	v.mu.Lock()
	if instanceUUID != "" {
		v.about.InstanceUuid = instanceUUID
	}
	v.lose(0)
	v.next = 1
	if !v.empty {
		v.epoch++
	}
	v.empty = true
	v.mu.Unlock()
	v.hangUp()
}

// Restore puts back a backup made right after the event with this key: newer ones are
// gone, and their keys given again. Sessions and connections are gone too.
func (v *VCenter) Restore(key int32) {
	v.mu.Lock()
	for i, r := range slices.Backward(v.history) {
		if r.epoch == v.epoch && r.key == key {
			v.lose(i + 1)
			break
		}
	}
	v.next = key + 1
	v.mu.Unlock()
	v.hangUp()
}

// lose forgets the history from an index on, and all sessions. v.mu is held.
func (v *VCenter) lose(from int) {
	for _, r := range v.history[from:] {
		r.gone = true
	}
	v.history = slices.Clone(v.history[:from])
	v.forgetAll()
	v.version++
	v.changed()
}

// stamp gives the next event its numbers. v.mu is held, here and below.
func (v *VCenter) stamp(now time.Time) *record {
	key := v.next
	if !v.empty && uint32(key) <= uint32(v.last) {
		v.epoch++
	}
	v.next, v.last, v.empty = key+1, key, false
	return v.newRecord(key, now)
}

func (v *VCenter) newRecord(key int32, now time.Time) *record {
	// As exact as it is written.
	return &record{serial: v.nextSerial(), epoch: v.epoch, key: key, created: now.Truncate(time.Microsecond).UTC()}
}

func (v *VCenter) nextSerial() int { return len(v.ledger) + 1 }

// compose makes r tell ev.
func (v *VCenter) compose(r *record, ev types.BaseEvent) {
	original := reflect.ValueOf(ev).Elem()
	clone := reflect.New(original.Type())
	clone.Elem().Set(original)
	ev = clone.Interface().(types.BaseEvent)
	base := ev.GetEvent()
	base.Key = r.key
	if base.ChainId == 0 {
		base.ChainId = r.key
	}
	if base.CreatedTime.IsZero() {
		base.CreatedTime = r.created
	}
	if base.UserName == "" {
		base.UserName = `VSPHERE.LOCAL\Administrator`
	}
	r.kind = original.Type().Name()
	if base.FullFormattedMessage == "" {
		base.FullFormattedMessage = fmt.Sprintf("%s (#%d)", r.kind, r.serial)
	}
	r.created, r.chain, r.message = base.CreatedTime, base.ChainId, base.FullFormattedMessage
	r.raw = typed("returnval", ev)
}

// append makes r the newest event.
func (v *VCenter) append(r *record) {
	v.ledger = append(v.ledger, r)
	v.history = append(v.history, r)
	v.version++
	v.latestAt = v.version
	v.look()
}

// look brings the latest pages of all collectors up to date.
func (v *VCenter) look() {
	for _, c := range v.collectors {
		c.look(v)
	}
}

// write appends the XML of r to b, as an element of the name tag.
func (r *record) write(b []byte, tag string, withMessage bool) []byte {
	from := len(b)
	if r.mold == nil {
		b = append(b, r.raw...)
	} else {
		b = r.mold.fill(b, r)
	}
	if tag == "returnval" && withMessage {
		return b
	}
	text := string(b[from:])
	if tag != "returnval" {
		if inner, ok := strings.CutPrefix(text, "<returnval"); ok {
			text = "<" + tag + inner
		}
		if inner, ok := strings.CutSuffix(text, "</returnval>"); ok {
			text = inner + "</" + tag + ">"
		}
	}
	if !withMessage {
		before, rest, begins := strings.Cut(text, "<fullFormattedMessage>")
		_, after, ends := strings.Cut(rest, "</fullFormattedMessage>")
		if begins && ends {
			text = before + after
		}
	}
	return append(b[:from], text...)
}

// mold is the XML of an event with places to fill in, so that a million of them need
// not be kept or marshalled one by one.
type mold struct {
	kind    string
	message string
	parts   []string // all but the first begin with the letter of what goes before them
}

func newMold(ev types.BaseEvent) *mold {
	base := ev.GetEvent()
	m := &mold{kind: reflect.TypeOf(ev).Elem().Name(), message: base.FullFormattedMessage}
	base.Key, base.ChainId = -2000000001, -2000000002
	base.CreatedTime = time.Unix(1, 0).UTC()
	base.FullFormattedMessage = "MESSAGE"
	base.UserName = `VSPHERE.LOCAL\Administrator`
	text := strings.NewReplacer(
		"-2000000001", "\x00k", "-2000000002", "\x00k", "1970-01-01T00:00:01Z", "\x00t", "MESSAGE", "\x00m",
	).Replace(typed("returnval", ev))
	m.parts = strings.Split(text, "\x00")
	return m
}

func (m *mold) fill(b []byte, r *record) []byte {
	b = append(b, m.parts[0]...)
	for _, part := range m.parts[1:] {
		switch part[0] {
		case 'k':
			b = strconv.AppendInt(b, int64(r.key), 10)
		case 't':
			b = append(b, written(r.created)...)
		case 'm':
			b = append(b, r.message...)
		}
		b = append(b, part[1:]...)
	}
	return b
}
