// Package logtest holds what every vstream.Log must do. Each implementation runs it from
// its own tests, so that the rest of the program may take one log for another.
package logtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vstream"
)

// A Maker returns an empty log that keeps at most maxRecords events and ends with the
// test.
type Maker func(t *testing.T, maxRecords int) vstream.Log

// Run runs the suite against the logs of open.
func Run(t *testing.T, open Maker) {
	for name, test := range map[string]func(*testing.T, Maker){
		"AnEmptyLogHasNoRangeAndNoEvents":             emptyLog,
		"ReadersGetWhatWasAppendedInOrder":            readersGetAll,
		"AnOffsetInAGapMeansTheNextEvent":             gaps,
		"NewestStartsSoManyEventsBeforeTheTail":       newest,
		"ATimeFindsTheFirstEventOfItOrLater":          times,
		"AnOffsetStillToComeIsWaitedFor":              future,
		"OffsetsAlreadyHeldAreSkipped":                repeats,
		"LateEventsAreDeliveredWhereTheyCame":         late,
		"ALogKeepsItsLimitAndTheNewest":               retention,
		"PurgedOffsetsAreExpired":                     purged,
		"DroppedOffsetsDoNotComeBack":                 droppedStayDropped,
		"AReaderOvertakenByRetentionIsTold":           overtaken,
		"AReaderThatWaitsForTheFutureIsNotOvertaken":  futureNotOvertaken,
		"AReaderGoesOnRightAfterWhatItHasRead":        after,
		"AReaderBeforeAnEventEndsThere":               before,
		"MoreTellsWhenThereIsSomething":               more,
		"WhatAReaderHoldsNeverChanges":                immutable,
		"ManyReadersSeeEveryEventOnceWhileItIsFilled": manyReaders,
		"ALogKeepsTheTagThatItBeganWith":              tags,
	} {
		t.Run(name, func(t *testing.T) { test(t, open) })
	}
}

const plenty = 1000

// Events returns one event for each offset, told apart by their content.
func Events(offsets ...vstream.Offset) []vstream.Event {
	events := make([]vstream.Event, len(offsets))
	for i, o := range offsets {
		events[i] = vstream.Event{
			Offset: o,
			Time:   time.Unix(int64(o), 0).UTC(),
			Type:   "VmPoweredOnEvent",
			Class:  "event",
			JSON:   fmt.Appendf(nil, `{"specversion":"1.0","id":"%d","source":"s","type":"t"}`, o),
		}
	}
	return events
}

func emptyLog(t *testing.T, open Maker) {
	log := open(t, plenty)
	if r, ok := log.Range(); ok {
		t.Errorf("Range of an empty log = %v, want none", r)
	}
	var notFound *vstream.NotFoundError
	if _, err := log.Get(t.Context(), 7); !errors.As(err, &notFound) || notFound.Range != nil || notFound.Requested != 7 {
		t.Errorf("Get(7) of an empty log = %#v, want a NotFoundError without a range", err)
	}
	for _, p := range []vstream.Position{vstream.At(0), vstream.At(7), vstream.Newest(0), vstream.Newest(5), vstream.Oldest{}} {
		r := mustOpen(t, log, p)
		if got := rest(t, r); len(got) != 0 {
			t.Errorf("reader at %T(%v) of an empty log got %v", p, p, got)
		}
	}
	mustAppend(t, log, Events()...)
	if _, ok := log.Range(); ok {
		t.Error("appending nothing gave the log a range")
	}
	if u := log.Usage(); u.Events != 0 || u.Bytes != 0 {
		t.Errorf("Usage of an empty log = %+v", u)
	}
}

func readersGetAll(t *testing.T, open Maker) {
	log := open(t, plenty)
	all := offsets(1, 700)
	mustAppend(t, log, Events(all[:3]...)...)
	r := mustOpen(t, log, vstream.Oldest{})
	want(t, rest(t, r), all[:3])
	mustAppend(t, log, Events(all[3:600]...)...)
	mustAppend(t, log, Events(all[600:]...)...)
	want(t, rest(t, r), all[3:])
	want(t, rest(t, mustOpen(t, log, vstream.At(650))), all[649:])

	e, err := log.Get(t.Context(), 44)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Events(44)[0], e); diff != "" {
		t.Errorf("event 44 is not as it was appended (-want +got):\n%s", diff)
	}
	if r, ok := log.Range(); !ok || r != (vstream.Range{Earliest: 1, Latest: 700}) {
		t.Errorf("Range = %v, %v, want 1 to 700", r, ok)
	}
	if u := log.Usage(); u.Events != 700 || u.Bytes < 700*100 || u.MaxBytes < u.Bytes {
		t.Errorf("Usage = %+v, want 700 events, and their bytes below the limit", u)
	}
}

func gaps(t *testing.T, open Maker) {
	log := open(t, plenty)
	mustAppend(t, log, Events(10, 20, 1<<32+1, 1<<32+5)...)
	want(t, rest(t, mustOpen(t, log, vstream.At(11))), []vstream.Offset{20, 1<<32 + 1, 1<<32 + 5})
	want(t, rest(t, mustOpen(t, log, vstream.At(21))), []vstream.Offset{1<<32 + 1, 1<<32 + 5})
	var notFound *vstream.NotFoundError
	if _, err := log.Get(t.Context(), 15); !errors.As(err, &notFound) || notFound.Range == nil {
		t.Errorf("Get(15) in a gap = %#v, want a NotFoundError with the range", err)
	}
	if _, err := log.Get(t.Context(), 1<<32+6); !errors.As(err, &notFound) || notFound.Range == nil {
		t.Errorf("Get beyond the end = %#v, want a NotFoundError with the range", err)
	}
}

func newest(t *testing.T, open Maker) {
	log := open(t, plenty)
	mustAppend(t, log, Events(1, 2, 3, 5, 8)...)
	for n, w := range map[int][]vstream.Offset{0: nil, 1: {8}, 3: {3, 5, 8}, 5: {1, 2, 3, 5, 8}, 50: {1, 2, 3, 5, 8}} {
		want(t, rest(t, mustOpen(t, log, vstream.Newest(n))), w)
	}
	tail := mustOpen(t, log, vstream.Newest(0))
	mustAppend(t, log, Events(9)...)
	want(t, rest(t, tail), []vstream.Offset{9})
}

func future(t *testing.T, open Maker) {
	log := open(t, plenty)
	mustAppend(t, log, Events(1, 2)...)
	r := mustOpen(t, log, vstream.At(5))
	mustAppend(t, log, Events(3, 4)...)
	want(t, rest(t, r), nil)
	mustAppend(t, log, Events(6, 7)...)
	want(t, rest(t, r), []vstream.Offset{6, 7})
	mustAppend(t, log, Events(8)...)
	want(t, rest(t, r), []vstream.Offset{8})
}

func times(t *testing.T, open Maker) {
	log := open(t, plenty)
	at := func(second int64) vstream.Since { return vstream.Since(time.Unix(second, 0)) }
	want(t, rest(t, mustOpen(t, log, at(1))), nil)
	mustAppend(t, log, Events(10, 20, 30, 25, 40)...) // of the times of their offsets
	for second, w := range map[int64][]vstream.Offset{
		0: {10, 20, 30, 25, 40}, 10: {10, 20, 30, 25, 40}, 11: {20, 30, 25, 40}, 25: {30, 25, 40}, 31: {40}, 41: nil,
	} {
		want(t, rest(t, mustOpen(t, log, at(second))), w)
	}
	tail := mustOpen(t, log, at(1000))
	mustAppend(t, log, Events(50)...)
	want(t, rest(t, tail), []vstream.Offset{50})

	short := open(t, 10)
	mustAppend(t, short, Events(offsets(1, 40)...)...)
	want(t, rest(t, mustOpen(t, short, at(5))), offsets(31, 40))
	want(t, rest(t, mustOpen(t, short, at(35))), offsets(35, 40))
}

func repeats(t *testing.T, open Maker) {
	log := open(t, plenty)
	mustAppend(t, log, Events(1, 2, 4)...)
	r := mustOpen(t, log, vstream.Newest(0))
	mustAppend(t, log, Events(1, 2, 4)...)
	want(t, rest(t, r), nil)
	mustAppend(t, log, Events(2, 4, 5, 5)...)
	want(t, rest(t, r), []vstream.Offset{5})
}

func late(t *testing.T, open Maker) {
	log := open(t, plenty)
	mustAppend(t, log, Events(10, 12)...)
	tail := mustOpen(t, log, vstream.Newest(0))
	mustAppend(t, log, Events(11)...)
	mustAppend(t, log, Events(13)...)
	want(t, rest(t, tail), []vstream.Offset{11, 13})
	want(t, rest(t, mustOpen(t, log, vstream.At(10))), []vstream.Offset{10, 12, 11, 13})
	want(t, rest(t, mustOpen(t, log, vstream.At(11))), []vstream.Offset{12, 11, 13})
	if e, err := log.Get(t.Context(), 11); err != nil || e.Offset != 11 {
		t.Errorf("Get of a late event = %v, %v", e.Offset, err)
	}
	mustAppend(t, log, Events(11)...)
	want(t, rest(t, tail), nil)
	mustAppend(t, log, Events(9)...)
	if r, _ := log.Range(); r != (vstream.Range{Earliest: 9, Latest: 13}) {
		t.Errorf("Range after a late first event = %v, want 9 to 13", r)
	}
	want(t, rest(t, mustOpen(t, log, vstream.At(9))), []vstream.Offset{10, 12, 11, 13, 9})
}

func retention(t *testing.T, open Maker) {
	log := open(t, 10)
	for _, o := range offsets(1, 1000) {
		mustAppend(t, log, Events(o)...)
	}
	if r, _ := log.Range(); r != (vstream.Range{Earliest: 991, Latest: 1000}) {
		t.Errorf("Range = %v, want 991 to 1000", r)
	}
	want(t, rest(t, mustOpen(t, log, vstream.Oldest{})), offsets(991, 1000))
	want(t, rest(t, mustOpen(t, log, vstream.Newest(50))), offsets(991, 1000))
	mustAppend(t, log, Events(offsets(1001, 1500)...)...)
	want(t, rest(t, mustOpen(t, log, vstream.Oldest{})), offsets(1491, 1500))
}

func purged(t *testing.T, open Maker) {
	log := open(t, 10)
	mustAppend(t, log, Events(offsets(44, 63)...)...)
	for _, o := range []vstream.Offset{0, 44, 53} {
		_, err := log.Get(t.Context(), o)
		wantExpired(t, err, o, 54, 63)
		_, err = log.Open(t.Context(), vstream.At(o))
		wantExpired(t, err, o, 54, 63)
	}
	if e, err := log.Get(t.Context(), 54); err != nil || e.Offset != 54 {
		t.Errorf("Get(54), the earliest = %v, %v", e.Offset, err)
	}
}

func droppedStayDropped(t *testing.T, open Maker) {
	log := open(t, 10)
	mustAppend(t, log, Events(offsets(1, 20)...)...)
	mustAppend(t, log, Events(offsets(1, 20)...)...) // as a collector does that overlaps
	want(t, rest(t, mustOpen(t, log, vstream.Oldest{})), offsets(11, 20))
}

func overtaken(t *testing.T, open Maker) {
	log := open(t, 10)
	mustAppend(t, log, Events(offsets(1, 10)...)...)
	r := mustOpen(t, log, vstream.At(3))
	mustAppend(t, log, Events(offsets(11, 15)...)...)
	for range 2 {
		_, err := r.Next(t.Context())
		wantExpired(t, err, 3, 6, 15)
	}
	r = mustOpen(t, log, vstream.At(8))
	want(t, rest(t, r), offsets(8, 15))
	mustAppend(t, log, Events(offsets(16, 40)...)...)
	_, err := r.Next(t.Context())
	wantExpired(t, err, 16, 31, 40)
}

func futureNotOvertaken(t *testing.T, open Maker) {
	log := open(t, 10)
	mustAppend(t, log, Events(1)...)
	early, missed := mustOpen(t, log, vstream.At(95)), mustOpen(t, log, vstream.At(50))
	mustAppend(t, log, Events(offsets(2, 40)...)...)
	want(t, rest(t, early), nil)
	mustAppend(t, log, Events(offsets(41, 100)...)...)
	want(t, rest(t, early), offsets(95, 100))
	_, err := missed.Next(t.Context())
	wantExpired(t, err, 50, 91, 100)
}

func after(t *testing.T, open Maker) {
	log := open(t, 10)
	waiting := mustOpen(t, log, vstream.After(20))
	want(t, rest(t, waiting), nil)
	mustAppend(t, log, Events(5, 10, 20, 30, 15, 40)...)
	for o, behind := range map[vstream.Offset][]vstream.Offset{
		4:  {5, 10, 20, 30, 15, 40},
		5:  {10, 20, 30, 15, 40},
		7:  {10, 20, 30, 15, 40},
		20: {30, 15, 40},
		30: {15, 40},
		15: {40}, // late: it is not the place between 10 and 20
		35: {40},
		40: nil,
		99: nil,
	} {
		want(t, rest(t, mustOpen(t, log, vstream.After(o))), behind)
	}
	_, err := log.Open(t.Context(), vstream.After(3)) // 4 may have been there before the log was
	wantExpired(t, err, 4, 5, 40)
	want(t, rest(t, waiting), []vstream.Offset{30, 15, 40})

	empty := open(t, 10)
	waiting, missed := mustOpen(t, empty, vstream.After(20)), mustOpen(t, empty, vstream.After(19))
	mustAppend(t, empty, Events(21, 22)...)
	want(t, rest(t, waiting), []vstream.Offset{21, 22})
	for range 2 {
		_, err = missed.Next(t.Context())
		wantExpired(t, err, 20, 21, 22)
	}

	last := mustOpen(t, log, vstream.After(40))
	mustAppend(t, log, Events(offsets(45, 49)...)...)
	want(t, rest(t, last), offsets(45, 49))
	want(t, rest(t, mustOpen(t, log, vstream.After(40))), offsets(45, 49)) // 5 was dropped
	mustAppend(t, log, Events(offsets(60, 69)...)...)
	want(t, rest(t, mustOpen(t, log, vstream.After(49))), offsets(60, 69)) // which was dropped, but that is all
	for _, o := range []vstream.Offset{48, 15, 5} {
		_, err = log.Open(t.Context(), vstream.After(o))
		wantExpired(t, err, o+1, 60, 69)
	}
	mustAppend(t, log, Events(offsets(70, 79)...)...)
	_, err = last.Next(t.Context())
	wantExpired(t, err, 50, 70, 79)
}

func before(t *testing.T, open Maker) {
	log := open(t, 600)
	want(t, rest(t, mustOpen(t, log, vstream.Before{Offset: 7, N: 3})), nil)
	mustAppend(t, log, Events(5, 10, 20, 30, 15, 40)...)
	for _, c := range []struct {
		offset vstream.Offset
		n      int
		want   []vstream.Offset
	}{
		{40, 3, []vstream.Offset{20, 30, 15}},
		{99, 2, []vstream.Offset{15, 40}},
		{99, 50, []vstream.Offset{5, 10, 20, 30, 15, 40}},
		{15, 2, []vstream.Offset{20, 30}}, // late
		{16, 2, []vstream.Offset{5, 10}},
		{5, 2, nil},
		{40, 0, nil},
	} {
		r := mustOpen(t, log, vstream.Before{Offset: c.offset, N: c.n})
		want(t, rest(t, r), c.want)
		want(t, rest(t, r), nil)
	}
	_, err := log.Open(t.Context(), vstream.Before{Offset: 4, N: 1})
	wantExpired(t, err, 4, 5, 40)
	mustAppend(t, log, Events(offsets(41, 1000)...)...)
	want(t, rest(t, mustOpen(t, log, vstream.Before{Offset: 900, N: 450})), offsets(450, 899))
	want(t, rest(t, mustOpen(t, log, vstream.Before{Offset: 500, N: 450})), offsets(401, 499))
	_, err = log.Open(t.Context(), vstream.Before{Offset: 400, N: 1})
	wantExpired(t, err, 400, 401, 1000)
}

func more(t *testing.T, open Maker) {
	log := open(t, plenty)
	r := mustOpen(t, log, vstream.Newest(0))
	waiting := r.More()
	select {
	case <-waiting:
		t.Error("there is more, and nothing was appended")
	default:
	}
	mustAppend(t, log, Events(1)...)
	<-waiting
	<-r.More()
	want(t, rest(t, r), []vstream.Offset{1})
}

func immutable(t *testing.T, open Maker) {
	log := open(t, plenty)
	mustAppend(t, log, Events(1, 2)...)
	got, err := mustOpen(t, log, vstream.Oldest{}).Next(t.Context())
	if err != nil || len(got) != 2 {
		t.Fatalf("Next = %d events, %v", len(got), err)
	}
	_ = append(got, Events(99)...) // a careless reader
	mustAppend(t, log, Events(offsets(3, 900)...)...)
	want(t, rest(t, mustOpen(t, log, vstream.Oldest{})), offsets(1, 900))
	want(t, offsetsOf(got), []vstream.Offset{1, 2})
}

func manyReaders(t *testing.T, open Maker) {
	const last = 5000
	log := open(t, 2*last)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var wg sync.WaitGroup
	for range 20 {
		r := mustOpen(t, log, vstream.At(1))
		wg.Go(func() {
			var got []vstream.Offset
			for len(got) < last {
				events, err := r.Next(ctx)
				if err == nil && len(events) == 0 {
					select {
					case <-r.More():
					case <-ctx.Done():
						err = context.Cause(ctx)
					}
				}
				if err != nil {
					t.Errorf("after %d events: %v", len(got), err)
					return
				}
				got = append(got, offsetsOf(events)...)
			}
			want(t, got, offsets(1, last))
		})
	}
	for batch := range slices.Chunk(offsets(1, last), 7) {
		mustAppend(t, log, Events(batch...)...)
	}
	wg.Wait()
}

// tags tells a log which vCenters its events are from, as a collector does.
func tags(t *testing.T, open Maker) {
	for _, epoch := range []uint32{0, 1} { // as a log has that was imported, or is older than tags
		log := open(t, plenty)
		keeper := log.(interface {
			SetOrigin(ctx context.Context, instance string, epoch uint32) error
			Origin() (instance string, epoch uint32)
		})
		if tag := log.Tag(); tag != "" {
			t.Errorf("the tag of a log that nobody knows is %q", tag)
		}
		for i, instance := range []string{"a", "a", "b"} {
			if err := keeper.SetOrigin(t.Context(), instance, epoch+uint32(i)); err != nil {
				t.Fatal(err)
			}
			mustAppend(t, log, Events(vstream.OffsetOf(epoch+uint32(i), 7))...)
			if tag := log.Tag(); tag != vstream.TagOf("a", epoch) {
				t.Errorf("with the events of %d vCenters, the tag is %q", i+1, tag)
			}
			if kept, in := keeper.Origin(); kept != instance || in != epoch+uint32(i) {
				t.Errorf("the origin is %s in epoch %d", kept, in)
			}
		}
	}
}

func offsets(from, to vstream.Offset) []vstream.Offset {
	all := make([]vstream.Offset, 0, to-from+1)
	for o := from; o <= to; o++ {
		all = append(all, o)
	}
	return all
}

func offsetsOf(events []vstream.Event) []vstream.Offset {
	var all []vstream.Offset
	for _, e := range events {
		all = append(all, e.Offset)
	}
	return all
}

func mustAppend(t *testing.T, log vstream.Log, events ...vstream.Event) {
	t.Helper()
	if err := log.Append(t.Context(), events); err != nil {
		t.Fatalf("Append: %v", err)
	}
}

func mustOpen(t *testing.T, log vstream.Log, p vstream.Position) vstream.Reader {
	t.Helper()
	r, err := log.Open(t.Context(), p)
	if err != nil {
		t.Fatalf("Open(%T(%v)): %v", p, p, err)
	}
	return r
}

// rest reads to the tail.
func rest(t *testing.T, r vstream.Reader) []vstream.Offset {
	t.Helper()
	var all []vstream.Offset
	for {
		events, err := r.Next(t.Context())
		if err != nil {
			t.Fatalf("Next after %v: %v", all, err)
		}
		if len(events) == 0 {
			return all
		}
		all = append(all, offsetsOf(events)...)
	}
}

func want(t *testing.T, got, want []vstream.Offset) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

func wantExpired(t *testing.T, err error, requested, earliest, latest vstream.Offset) {
	t.Helper()
	w := &vstream.ExpiredError{Requested: requested, Earliest: earliest, Latest: latest}
	var got *vstream.ExpiredError
	if !errors.As(err, &got) || *got != *w {
		t.Errorf("error is %v, want %v", err, w)
	}
}
