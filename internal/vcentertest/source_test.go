package vcentertest_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"vstream"
	"vstream/internal/vcenter"
	"vstream/internal/vcentertest"
)

func TestTheSourceOfVstreamReadsWakesAndLeavesNothing(t *testing.T) {
	vc := vcentertest.New(t)
	vc.PostN(2500)
	source := &vcenter.Source{
		URL: vc.URL(), SecretPath: vc.Secret(t), Insecure: true, Begin: time.Hour, Logger: slog.New(slog.DiscardHandler),
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := source.Open(ctx, time.Time{}); err != nil {
		t.Fatal(err)
	}
	defer source.Close(context.Background())
	if vc.Sessions() != 1 || vc.Collectors() != 2 || vc.Logins() != 1 {
		t.Errorf("%d sessions, %d collectors, %d logins", vc.Sessions(), vc.Collectors(), vc.Logins())
	}

	var got []vstream.Event
	next := func() {
		t.Helper()
		events, err := source.Next(ctx)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, events...)
	}
	for len(got) < 2500 {
		next()
	}
	for range 50 {
		began, have := time.Now(), len(got)
		vc.PostN(3)
		for len(got) < have+3 {
			next()
		}
		if took := time.Since(began); took > 500*time.Millisecond {
			t.Errorf("news took %v", took)
		}
	}

	told := vc.Told()
	if len(got) != len(told) {
		t.Fatalf("got %d events, told %d", len(got), len(told))
	}
	for i, want := range told {
		var ce struct {
			Data struct{ FullFormattedMessage string }
		}
		if err := json.Unmarshal(got[i].JSON, &ce); err != nil {
			t.Fatal(err)
		}
		if got[i].Offset != vstream.Offset(want.Key) || !got[i].Time.Equal(want.Created) || ce.Data.FullFormattedMessage != want.Message {
			t.Fatalf("got %s, want %+v", got[i].JSON, want)
		}
	}

	if err := source.Close(ctx); err != nil {
		t.Error(err)
	}
	if vc.Sessions() != 0 || vc.Collectors() != 0 {
		t.Errorf("%d sessions and %d collectors are left", vc.Sessions(), vc.Collectors())
	}
}
