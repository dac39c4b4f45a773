package vcenter

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"vstream"
	"vstream/internal/cloudevent"
)

// pageSize is the most events that a vCenter gives in one answer.
const pageSize = 1000

// createCollector makes a collector over everything that the user may see between two
// times; zero where there is no bound.
func (s *Source) createCollector(ctx context.Context, from, to time.Time, page int32) (types.ManagedObjectReference, error) {
	var span *types.EventFilterSpecByTime
	if !from.IsZero() {
		span = &types.EventFilterSpecByTime{BeginTime: &from}
		if !to.IsZero() {
			span.EndTime = &to
		}
	}
	ctx, cancel := outliving(ctx)
	defer cancel()
	res, err := methods.CreateCollectorForEvents(ctx, s.client, &types.CreateCollectorForEvents{
		This: *s.client.ServiceContent.EventManager,
		Filter: types.EventFilterSpec{
			Entity: &types.EventFilterSpecByEntity{
				Entity:    s.client.ServiceContent.RootFolder,
				Recursion: types.EventFilterSpecRecursionOptionAll,
			},
			Time:               span,
			DisableFullMessage: types.NewBool(false),
			// Set here and not with SetCollectorPageSize, which loses the position.
			MaxCount: page,
		},
	})
	if err != nil {
		if outOfPlaces(err) {
			_ = s.release(ctx)
			_ = s.logout(ctx) // the next try gets a session with places of its own
		}
		return types.ManagedObjectReference{}, fmt.Errorf("create an event collector: %w", err)
	}
	s.made = append(s.made, res.Returnval)
	return res.Returnval, nil
}

// destroy removes what was made at the vCenter. A fault is an answer too: there is
// nothing more to be done about it.
func (s *Source) destroy(ctx context.Context, made types.ManagedObjectReference) error {
	err := brief(ctx, "destroy "+made.Value, func(ctx context.Context) error {
		if made.Type == "PropertyCollector" {
			_, err := methods.DestroyPropertyCollector(ctx, s.client, &types.DestroyPropertyCollector{This: made})
			return err
		}
		_, err := methods.DestroyCollector(ctx, s.client, &types.DestroyCollector{This: made})
		return err
	})
	if err == nil || isFault(err) {
		s.made = slices.DeleteFunc(s.made, func(m types.ManagedObjectReference) bool { return m == made })
	}
	return err
}

// subscribe asks to be told when the newest event changes.
func (s *Source) subscribe(ctx context.Context) error {
	create, cancel := outliving(ctx)
	defer cancel()
	created, err := methods.CreatePropertyCollector(create, s.client, &types.CreatePropertyCollector{
		This: s.client.ServiceContent.PropertyCollector,
	})
	if err != nil {
		return fmt.Errorf("create a property collector: %w", err)
	}
	s.news = created.Returnval
	s.made = append(s.made, s.news)
	_, err = methods.CreateFilter(ctx, s.client, &types.CreateFilter{This: s.news, Spec: types.PropertyFilterSpec{
		PropSet:   []types.PropertySpec{{Type: s.waking.Type, PathSet: []string{"latestPage"}}},
		ObjectSet: []types.ObjectSpec{{Obj: s.waking}},
	}})
	if err != nil {
		return fmt.Errorf("subscribe to news: %w", err)
	}
	return s.await(ctx, 0)
}

// await returns when there is news since it was last called, or after about so long.
func (s *Source) await(ctx context.Context, atMost time.Duration) error {
	ctx, cancel := s.limited(ctx, atMost)
	defer cancel()
	seconds := int32(atMost / time.Second)
	news := excerpt{name: "changeSet"} // holds an event, which may be one that cannot be decoded
	res, err := methods.WaitForUpdatesEx(cutting(ctx, &news), s.client, &types.WaitForUpdatesEx{
		This:    s.news,
		Version: s.version,
		Options: &types.WaitOptions{MaxWaitSeconds: &seconds},
	})
	if err != nil {
		return fmt.Errorf("wait for news: %w", err)
	}
	if res.Returnval != nil {
		s.version = res.Returnval.Version
	}
	return nil
}

// newest returns the key and time of the event in a property of an object.
func (s *Source) newest(ctx context.Context, object types.ManagedObjectReference, property string) (key int32, created time.Time, ok bool, err error) {
	answer := excerpt{name: "propSet"}
	_, err = methods.RetrieveProperties(cutting(ctx, &answer), s.client, &types.RetrieveProperties{
		This: s.client.ServiceContent.PropertyCollector,
		SpecSet: []types.PropertyFilterSpec{{
			PropSet:   []types.PropertySpec{{Type: object.Type, PathSet: []string{property}}},
			ObjectSet: []types.ObjectSpec{{Obj: object}},
		}},
	})
	if err != nil {
		return 0, time.Time{}, false, fmt.Errorf("ask for the newest event: %w", err)
	}
	for _, element := range answer.elements {
		key, keyErr := parseKey(member(element, "key"))
		created, timeErr := time.Parse(time.RFC3339, member(element, "createdTime"))
		if keyErr == nil && timeErr == nil {
			return key, created, true, nil
		}
	}
	return 0, time.Time{}, false, nil
}

// A page is an answer to ReadNextEvents.
type page struct {
	answer []byte
	events []byte // of answer, from the first event's element to the last one's
}

func (p *page) room() []byte { return p.answer }

func (p *page) cut(answer []byte) (rest []byte) {
	p.answer, p.events = answer, nil
	start := indexTag(answer, []byte("<"+cloudevent.Element))
	end := bytes.LastIndex(answer, []byte("</"+cloudevent.Element+">"))
	if start < 0 || end < start {
		return answer
	}
	end += len("</" + cloudevent.Element + ">")
	p.events = answer[start:end]
	return slices.Concat(answer[:start], answer[end:])
}

// fetch reads the next page of a collector into p. It uses nothing of the source that
// changes within a session, so that it may run beside other calls.
func fetch(ctx context.Context, client *vim25.Client, collector types.ManagedObjectReference, p *page) error {
	res, err := methods.ReadNextEvents(cutting(ctx, p), client, &types.ReadNextEvents{This: collector, MaxCount: pageSize})
	if err != nil {
		return fmt.Errorf("read events: %w", err)
	}
	if len(res.Returnval) > 0 {
		return errors.New("read events: the answer is not written as vCenters write it")
	}
	return nil
}

// read takes a page from a collector; none when it is at its end.
func (s *Source) read(ctx context.Context, collector types.ManagedObjectReference, last vstream.Event) ([]vstream.Event, error) {
	ctx, cancel := s.limited(ctx, 0)
	defer cancel()
	var p page
	if err := fetch(ctx, s.client, collector, &p); err != nil {
		return nil, err
	}
	return s.events(&p, last, nil), nil
}

// events returns the events of a page, in place of those in old. What one does not tell of
// itself is guessed from the one before it, the first's from last, if there is one.
func (s *Source) events(p *page, last vstream.Event, old []vstream.Event) []vstream.Event {
	const likely = 800 // bytes an element has
	events := slices.Grow(old[:0], min(pageSize, 1+len(p.events)/likely))
	slab, unknown := cloudevent.NewSlab(len(p.events)), 0
	for rest := p.events; ; {
		for len(rest) > 0 && rest[0] <= ' ' {
			rest = rest[1:]
		}
		if len(rest) == 0 {
			break
		}
		n := len(events)
		events = append(events, vstream.Event{})
		if length, ok := s.encoder.Transcode(rest, &events[n], slab); ok {
			rest = rest[length:]
			continue
		}
		events = events[:n]
		start, end := findElement(rest, cloudevent.Element)
		if end < 0 {
			break
		}
		element := rest[start:end]
		rest = rest[end:]
		if n > 0 {
			last = events[n-1]
		}
		e, misunderstood, ok := s.decode(element, last, rest)
		if misunderstood > 0 && (!ok || s.isNew(e.Offset.Key())) {
			unknown += misunderstood
		}
		if ok {
			events = append(events, e)
		}
	}
	if unknown > 0 {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.seen.Unknown += int64(unknown)
	}
	return events
}

// isNew reports whether an event has not been counted yet: audits, and what follows each Open,
// read the last ones again.
func (s *Source) isNew(key int32) bool {
	const most = 1000
	if slices.Contains(s.counted, key) {
		return false
	}
	if len(s.counted) == most {
		s.counted = slices.Delete(s.counted, 0, most/2)
	}
	s.counted = append(s.counted, key)
	return true
}

// polled takes note that the vCenter has told what comes next. What it tells of its history does
// not count: it may do that, and never get to the news.
func (s *Source) polled() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen.LastPoll = time.Now()
}

// decode returns an event that cannot be transcribed: decoded and encoded or, when it cannot
// be decoded either, as it came. It counts what it did not understand. Last is the event
// before it, and after are the elements that follow.
func (s *Source) decode(element []byte, last vstream.Event, after []byte) (e vstream.Event, unknown int, ok bool) {
	d := decode(element)
	s.tell(d, element)
	unknown = len(d.unknown)
	if d.event != nil {
		e, err := s.encoder.Encode(d.event)
		if err == nil {
			return e, unknown, true
		}
		d.raw, d.noKey = salvage(element, typeOf(element))
	}
	unknown++
	if d.noKey && !s.place(d.raw, last, after) {
		return vstream.Event{}, unknown, false
	}
	if d.raw.Event.CreatedTime.IsZero() {
		d.raw.Event.CreatedTime = s.about(last)
	}
	e, err := s.encoder.EncodeRaw(d.raw)
	if err != nil {
		s.Logger.Error("event lost: it cannot be encoded", "key", d.raw.Event.Key, "error", err)
	}
	return e, unknown, err == nil
}

// place gives a key to an event whose own cannot be read: the one after that of the event
// before it, or else the one before that of the event after it, if it is free.
func (s *Source) place(raw *cloudevent.Raw, before vstream.Event, after []byte) bool {
	var next int32
	followed := false
	if start, end := findElement(after, cloudevent.Element); end >= 0 {
		key, err := parseKey(member(after[start:end], "key"))
		next, followed = key, err == nil
	}
	switch {
	case before.JSON != nil && !(followed && next == before.Offset.Key()+1):
		raw.Event.Key = before.Offset.Key() + 1
		return true
	case before.JSON == nil && followed:
		raw.Event.Key = next - 1
		return true
	}
	s.Logger.Error("event lost: its key cannot be read, and there is no room for it", "type", raw.Type)
	return false
}

// about is when an event happened that does not tell: when the one before it did, or just
// now.
func (s *Source) about(before vstream.Event) time.Time {
	if before.JSON != nil {
		return before.Time
	}
	return time.Now().Add(s.Seen().Skew)
}

// tell lets the logger hear of each unknown type once, and of each event that cannot be
// decoded for another reason.
func (s *Source) tell(d decoded, element []byte) {
	names := d.unknown
	if d.raw != nil {
		names = append(names, typeOf(element))
	}
	for _, name := range names {
		const most = 1000 // names come from outside
		if s.told[name] || len(s.told) >= most {
			continue
		}
		if s.told == nil {
			s.told = map[string]bool{}
		}
		s.told[name] = true
		s.Logger.Warn("type of event not understood; it is kept as it came", "type", name, "error", d.why)
	}
}
