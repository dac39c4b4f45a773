package vstream_test

import (
	"math"
	"slices"
	"testing"

	"vstream"
)

func TestOffsetsKeepTheOrderOfKeysAndEpochs(t *testing.T) {
	ordered := []vstream.Offset{
		vstream.OffsetOf(0, 0), vstream.OffsetOf(0, 44), vstream.OffsetOf(0, math.MaxInt32),
		vstream.OffsetOf(0, math.MinInt32), vstream.OffsetOf(0, -1), // older vCenters went negative
		vstream.OffsetOf(1, 1), vstream.OffsetOf(1<<21-1, -1),
	}
	if !slices.IsSorted(ordered) {
		t.Errorf("not in order: %v", ordered)
	}
	if ordered[1] != 44 {
		t.Errorf("in epoch 0 the offset of key 44 is %d", ordered[1])
	}
	if last := ordered[len(ordered)-1]; last >= 1<<53 {
		t.Errorf("%d is not exact in JavaScript", last)
	}
	for _, o := range ordered {
		if got := vstream.OffsetOf(o.Epoch(), o.Key()); got != o {
			t.Errorf("offset %d comes back as %d", o, got)
		}
	}
}

func TestTargetIsTheMostSpecificNameThereIs(t *testing.T) {
	e := vstream.Event{Datacenter: "dc", Cluster: "cl", Host: "esx", VM: "web-07"}
	for _, want := range []string{"web-07", "esx", "cl", "dc", ""} {
		if got := e.Target(); got != want {
			t.Errorf("Target of %+v = %q, want %q", e, got, want)
		}
		switch want {
		case "web-07":
			e.VM = ""
		case "esx":
			e.Host = ""
		case "cl":
			e.Cluster = ""
		case "dc":
			e.Datacenter = ""
		}
	}
}

func TestWithOffsetMovesTheIDToo(t *testing.T) {
	e := vstream.Event{Offset: 44, JSON: []byte(`{"specversion":"1.0","id":"44","source":"s","data":{"id":"44"}}`)}
	moved := e.WithOffset(vstream.OffsetOf(1, 44))
	if moved.Offset != 1<<32+44 || string(moved.JSON) != `{"specversion":"1.0","id":"4294967340","source":"s","data":{"id":"44"}}` {
		t.Errorf("moved it is %d %s", moved.Offset, moved.JSON)
	}
	if string(e.JSON) != `{"specversion":"1.0","id":"44","source":"s","data":{"id":"44"}}` {
		t.Errorf("the one that was moved became %s", e.JSON)
	}
}
