package vcenter_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"vstream"
	"vstream/internal/vcenter"
	"vstream/internal/vcentertest"
)

func TestTheCatalogueTellsOfClassesAndIds(t *testing.T) {
	for name, c := range map[string]struct {
		source *vcenter.Source
		want   []vstream.EventType // LongDescription is some of it
	}{
		"the simulator": {newSource(t, newVCenter(t)), []vstream.EventType{
			{Name: "HostConnectionLostEvent", Class: "event", Description: "Host connection lost", Category: "error", LongDescription: "<action>Check power and network of the host</action>"},
			{Name: "VmBeingMigratedEvent", Class: "event", Description: "VM migrating", Category: "info"}, // vcsim's own
			{Name: "esx.problem.net.redundancy.lost", Class: "eventex", Category: "warning", LongDescription: "<cause><description>A cable"},
		}},
		"the fake": {fakeSource(t, vcentertest.New(t)), []vstream.EventType{
			{Name: "VmPoweredOnEvent", Class: "event", Description: "VM powered on", Category: "info", LongDescription: `id="VmPoweredOnEvent"`},
			{Name: "com.vmware.vc.EventIdOverflow", Class: "eventex", Description: "Event key sequence overflow", Category: "warning"},
			{Name: "com.example.backup.done", Class: "extendedevent", Description: "Backup done", Category: "user"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.source.Catalogue(); got != nil {
				t.Errorf("before the first session it has %d types", len(got))
			}
			if _, err := c.source.Open(patience(t), time.Time{}); err != nil {
				t.Fatal(err)
			}
			if err := c.source.Close(context.Background()); err != nil {
				t.Error(err)
			}
			got := c.source.Catalogue() // stays, when the session is over
			for _, want := range c.want {
				i := slices.IndexFunc(got, func(e vstream.EventType) bool { return e.Name == want.Name && e.Class == want.Class })
				if i < 0 {
					t.Errorf("%s is not there", want.Name)
					continue
				}
				e := got[i]
				if want.Description != "" && e.Description != want.Description || e.Category != want.Category || !strings.Contains(e.LongDescription, want.LongDescription) {
					t.Errorf("got %+v, want %+v", e, want)
				}
			}
		})
	}
}

func fakeSource(t *testing.T, vc *vcentertest.VCenter) *vcenter.Source {
	return &vcenter.Source{URL: vc.URL(), SecretPath: vc.Secret(t), Insecure: true, Begin: time.Hour, Logger: slog.New(slog.DiscardHandler)}
}
