package cloudevent

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vmware/govmomi/vim25/types"
)

func TestSeveritiesAreFoundByTheNameOfTheType(t *testing.T) {
	got := Severities([]types.EventDescriptionEventDetail{
		{Key: "VmPoweredOnEvent", Category: "info", FullFormat: "{vm.name} is powered on"},
		{Key: "HostConnectionLostEvent", Category: "error", FullFormat: "a | in a class's text means nothing"},
		{Key: "EventEx", Category: "warning", FullFormat: "esx.problem.net.down|Lost {1}|{2}"},
		{Key: "ExtendedEvent", Category: "user", FullFormat: "com.vmware.backup.failed|"},
		{Key: "EventEx", Category: "error", FullFormat: "no event in particular"},
		{Key: "ExtendedEvent", Category: "error", FullFormat: "|no id"},
		{Key: "", Category: "error"},
		{Key: "UserLoginSessionEvent", Category: ""},
	})
	want := map[string]string{
		"VmPoweredOnEvent":         "info",
		"HostConnectionLostEvent":  "error",
		"esx.problem.net.down":     "warning",
		"com.vmware.backup.failed": "user",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
