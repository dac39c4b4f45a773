package vcenter_test

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"vstream"
	"vstream/internal/vcenter"
	"vstream/internal/vcentertest"
)

// backlog returns an open source of a vCenter that has so many events for it.
func backlog(t *testing.T, events int) (*vcentertest.VCenter, *vcenter.Source) {
	t.Helper()
	vc := vcentertest.New(t)
	vc.PostN(events)
	s := &vcenter.Source{URL: vc.URL(), SecretPath: vc.Secret(t), Insecure: true, Begin: time.Hour, Logger: slog.New(slog.DiscardHandler)}
	if _, err := s.Open(patience(t), time.Time{}); err != nil {
		t.Fatal(err)
	}
	return vc, s
}

func next(t *testing.T, s *vcenter.Source) []vstream.Event {
	t.Helper()
	events, err := s.Next(patience(t))
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(events)
}

func closed(t *testing.T, vc *vcentertest.VCenter, s *vcenter.Source) {
	t.Helper()
	if err := s.Close(patience(t)); err != nil {
		t.Error(err)
	}
	if n := vc.Collectors(); n != 0 {
		t.Errorf("%d collectors are left behind", n)
	}
}

func TestTheNextPageIsAskedForWhileOneIsMadeUseOf(t *testing.T) {
	vc, s := backlog(t, 2500)
	first := next(t, s)
	vc.AwaitCalls("ReadNextEvents", 2) // though nobody has called Next again
	all := append(first, append(next(t, s), next(t, s)...)...)
	if len(all) != 2500 {
		t.Fatalf("%d events came, want 2500", len(all))
	}
	for i := 1; i < len(all); i++ {
		if all[i].Offset != all[i-1].Offset+1 {
			t.Fatalf("event %d follows on event %d", all[i].Offset, all[i-1].Offset)
		}
	}
	closed(t, vc, s)
}

// A page that was read ahead is not lost with the error of the one before it.
func TestWhatWasReadAheadIsReadAgainAfterOpen(t *testing.T) {
	vc, s := backlog(t, 2500)
	first := next(t, s)
	vc.AwaitCalls("ReadNextEvents", 2)
	if _, err := s.Open(patience(t), time.Time{}); err != nil {
		t.Fatal(err)
	}
	again := next(t, s)
	if len(again) != len(first) || again[0].Offset != first[0].Offset {
		t.Errorf("after Open it goes on at event %d, want %d", again[0].Offset, first[0].Offset)
	}
	closed(t, vc, s)
}

func TestAnAnswerThatNeverComesHoldsUpNoStop(t *testing.T) {
	vc, s := backlog(t, 2500)
	vc.Inject(vcentertest.Fault{Method: "ReadNextEvents", After: 1, Times: 1, Kind: vcentertest.Hang})
	_ = next(t, s)
	vc.AwaitCalls("ReadNextEvents", 2)
	closed(t, vc, s)
}

func TestAFailureToReadAheadIsToldWithTheNextPage(t *testing.T) {
	vc, s := backlog(t, 2500)
	vc.Inject(vcentertest.Fault{Method: "ReadNextEvents", After: 1, Times: 1, Kind: vcentertest.CutShort})
	if n := len(next(t, s)); n != 1000 {
		t.Errorf("the page before has %d events", n)
	}
	if events, err := s.Next(patience(t)); err == nil {
		t.Errorf("%d events came instead of an error", len(events))
	}
	closed(t, vc, s)
}
