package cloudevent

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmware/govmomi/vim25/types"

	"vstream"
)

func TestTheCatalogueHasEachTypeOnceByItsNameAndClass(t *testing.T) {
	got := Catalogue([]types.EventDescriptionEventDetail{
		{Key: "VmPoweredOnEvent", Description: "old words", Category: "info", FullFormat: "a | means nothing"},
		{Key: "EventEx", Description: "No event in particular", Category: "error", FullFormat: "{message}"},
		{Key: "EventEx", Description: "Network down", Category: "warning", FullFormat: "esx.problem.net.down|Lost {1}|{2}", LongDescription: "<why/>"},
		{Key: "ExtendedEvent", Description: "Backup failed", Category: "user", FullFormat: "com.example.backup|"},
		{Key: "EventEx", FullFormat: "com.example.backup|"},
		{Key: "VmPoweredOnEvent", Description: "VM powered on", Category: "info"},
		{Key: ""},
	})
	want := []vstream.EventType{
		{Name: "VmPoweredOnEvent", Class: "event", Description: "VM powered on", Category: "info"},
		{Name: "esx.problem.net.down", Class: "eventex", Description: "Network down", Category: "warning", LongDescription: "<why/>"},
		{Name: "com.example.backup", Class: "extendedevent", Description: "Backup failed", Category: "user"},
		{Name: "com.example.backup", Class: "eventex"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestACatalogueThatIsTooLongIsCutOff(t *testing.T) {
	long := types.EventDescriptionEventDetail{Key: "AEvent", LongDescription: strings.Repeat("x", 3<<20)}
	info := []types.EventDescriptionEventDetail{long, long, long, long}
	for i := range info {
		info[i].Key = strings.Repeat("A", i+1)
	}
	if got := Catalogue(info); len(got) != 2 || got[1].Name != "AA" {
		t.Errorf("%d types are left", len(got))
	}
}
