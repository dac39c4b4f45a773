package client_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"vstream"
	"vstream/client"
	"vstream/internal/memlog"
)

// replace gives a vCenter the log of another one, that has as many events.
func (v *vcenter) replace(t *testing.T, instance string, records int, last vstream.Offset) {
	t.Helper()
	v.log = memlog.New(records, 1<<30)
	if err := v.log.SetOrigin(t.Context(), instance, 0); err != nil {
		t.Fatal(err)
	}
	v.told = nil
	v.add(1, last)
}

// A watch that comes back after an interruption finds another log, with other events at the
// offsets that come next.
func TestAWatchOfALogThatWasReplacedEndsAndKeepsItsPlace(t *testing.T) {
	v := newVCenter("vc1", 1000)
	v.replace(t, "a", 1000, 20)
	s := serve(t, v)
	place := filepath.Join(t.TempDir(), "place")
	c := newClient(t, s.url())
	read := func(each func(n int)) (n int, err error) {
		for _, err := range c.Watch(limited(t), client.Earliest(), client.WithCheckpoint(c.CheckpointFile(place))) {
			if err != nil {
				return n, err
			}
			n++
			each(n)
		}
		return n, nil
	}
	n, err := read(func(n int) {
		if n == 20 {
			s.stop()
			v.replace(t, "b", 1000, 500)
			s.start()
		}
	})
	var ahead *client.AheadError
	if n != 20 || !errors.As(err, &ahead) || ahead.VCenter != "vc1" || ahead.Requested != 20 || ahead.Latest != 500 || !strings.Contains(err.Error(), "of another log") {
		t.Errorf("after %d events it ends with %v", n, err)
	}
	if n, err := read(func(int) {}); n != 0 || !errors.As(err, &ahead) {
		t.Errorf("the next one ends with %v after %d events", err, n)
	}
	if at, err := c.CheckpointFile(place).Load(t.Context()); err != nil || at.String() != "vc1.20."+vstream.TagOf("a", 0) {
		t.Errorf("the place is %s, %v", at, err)
	}
}

// What is said of a gap names the log, too: the next request is not to go on in another.
func TestAReadGoesOnAfterAGapInTheSameLogOnly(t *testing.T) {
	v := newVCenter("vc1", 50)
	v.replace(t, "a", 50, 200)
	s := serve(t, v)
	err := failure(t, newClient(t, s.url()).Watch(limited(t), client.After(vstream.Cursor{"vc1": {Offset: 7, Tag: vstream.TagOf("a", 0)}}), client.OnGap(func(g client.Gap) error {
		if g.Earliest != 151 || g.Cursor.String() != "vc1.150."+vstream.TagOf("a", 0) {
			t.Errorf("the gap is %+v", g)
		}
		s.stop()
		v.replace(t, "b", 1000, 500)
		s.start()
		return nil
	})))
	var ahead *client.AheadError
	if !errors.As(err, &ahead) || ahead.Requested != 150 {
		t.Errorf("it ends with %v", err)
	}
}
