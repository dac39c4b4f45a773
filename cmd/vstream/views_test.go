package main

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v3"

	"vstream"
	filters "vstream/internal/filter"
	"vstream/internal/httpapi"
)

// viewsYAML is the usual views as the configuration file would have them.
func viewsYAML(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	encoder := yaml.NewEncoder(&b)
	encoder.SetIndent(2)
	if err := encoder.Encode(map[string]any{viewsKey: defaultViews}); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// viewsOf reads the views of a configuration file.
func viewsOf(t *testing.T, text string) ([]httpapi.View, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "vstream.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := readConfig(func(string) string { return "" }, path)
	return c.views, err
}

func TestTheUsualViewsCanBeAskedForAndCopiedFromTheDocument(t *testing.T) {
	for _, v := range defaultViews {
		if query, err := httpapi.ViewQuery(v.Query, []string{"vc1"}); err != nil || query != v.Query {
			t.Errorf("%s: %q, %v", v.Name, query, err)
		}
	}
	copied, err := viewsOf(t, viewsYAML(t))
	if err != nil || !cmp.Equal(copied, defaultViews) {
		t.Errorf("%v, %s", err, cmp.Diff(defaultViews, copied))
	}
}

func TestTheUsualViewsShowWhatTheirNamesSay(t *testing.T) {
	views := map[string]*filters.Filter{}
	for _, v := range defaultViews {
		values, err := url.ParseQuery(v.Query)
		if err != nil {
			t.Fatal(err)
		}
		if views[v.Name], err = filters.Parse(values); err != nil {
			t.Fatal(err)
		}
	}
	for class, want := range map[string]string{
		"PermissionAddedEvent":                      "Security, Config changes",
		"RoleUpdatedEvent":                          "Security, Config changes",
		"UserAssignedToGroup":                       "Security",
		"RemoteTSMEnabledEvent":                     "Security, Config changes",
		"com.vmware.sso.PrincipalManagement":        "Security",
		"com.vmware.sso.LoginFailure":               "Security, Logins",
		"com.vmware.sso.LoginSuccess":               "Logins",
		"esx.audit.ssh.session.opened":              "Security, Logins",
		"BadUsernameSessionEvent":                   "Security, Logins",
		"UserLoginSessionEvent":                     "Logins",
		"UserLogoutSessionEvent":                    "Logins",
		"DasHostFailedEvent":                        "HA/DRS",
		"com.vmware.vc.HA.DasHostFailedEvent":       "HA/DRS",
		"VmRestartedOnAlternateHostEvent":           "HA/DRS",
		"DrsVmMigratedEvent":                        "HA/DRS, vMotion",
		"VmMigratedEvent":                           "vMotion",
		"VmFailedMigrateEvent":                      "vMotion",
		"VmBeingRelocatedEvent":                     "vMotion",
		"esx.problem.migrate.vmotion.default.heap":  "vMotion",
		"esx.problem.storage.connectivity.lost":     "Storage",
		"esx.clear.scsi.device.io.latency.improved": "Storage",
		"VMFSDatastoreExpandedEvent":                "Storage",
		"DatastoreRenamedEvent":                     "Storage, Config changes",
		"com.vmware.vc.VmDiskConsolidationNeeded":   "Storage",
		"esx.problem.visorfs.ramdisk.full":          "",
		"VmReconfiguredEvent":                       "Config changes",
		"ClusterReconfiguredEvent":                  "Config changes",
		"EnteredMaintenanceModeEvent":               "Config changes",
		"DVPortgroupCreatedEvent":                   "Config changes",
		"AlarmStatusChangedEvent":                   "",
		"VmPoweredOnEvent":                          "",
		"VmFaultToleranceStateChangedEvent":         "",
	} {
		var shown []string
		for _, v := range defaultViews {
			if ok, err := views[v.Name].Match("vc1", &vstream.Event{Type: class}); ok && err == nil {
				shown = append(shown, v.Name)
			}
		}
		if got := strings.Join(shown, ", "); got != want {
			t.Errorf("%s is shown by %q, want %q", class, got, want)
		}
	}
}

func TestViewsAreReadFromTheFileAndReplaceTheUsualOnes(t *testing.T) {
	for text, want := range map[string][]httpapi.View{
		"port: 1\n":   defaultViews,
		"views:\n":    defaultViews,
		"views: []\n": nil,
		"views:\n- name: ' Mine '\n  query: '?type=Vm*&user=LAB\\amara&q=powered on&since=2d'\n- {name: Zürich, query: 'vm=zürich-1&_=x'}\n": {
			{Name: "Mine", Query: `type=Vm*&user=LAB%5Camara&q=powered%20on&since=2d`},
			{Name: "Zürich", Query: "vm=z%C3%BCrich-1&_=x"},
		},
		"vcenters: [{url: https://vc1.example.com}]\nviews: [{name: One, query: vcenter=vc1}]\n": {{Name: "One", Query: "vcenter=vc1"}},
	} {
		got, err := viewsOf(t, text)
		if err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q: %v, %s", text, err, cmp.Diff(want, got))
		}
	}
}

func TestWhatIsWrongWithAViewIsSaidWithItsPlace(t *testing.T) {
	for text, want := range map[string]string{
		"views: type=a":                                                                      `:1: views is not a list; begin each view with a dash`,
		"views:\n- name: A\n  filter: x":                                                     `:3: there is no setting views[0].filter; there are name, query`,
		"views:\n- query: type=a":                                                            `: views[0].name is not set; set it to what the view is called`,
		"views:\n- name: A":                                                                  `: views[0].query is not set; set it to what the view "A" shows, as in type=VmPowered*&severity=error`,
		"views:\n- {name: A, query: severty=error}":                                          `:2: views[0].query: the view "A": there is no parameter "severty" here; did you mean "severity"?`,
		"views:\n- {name: A, query: limit=5}":                                                `:2: views[0].query: the view "A": there is no parameter "limit" here`,
		"views:\n- {name: A, query: severity=bad}":                                           `:2: views[0].query: the view "A": invalid severity: there is no "bad"`,
		"views:\n- {name: A, query: since=soon}":                                             `:2: views[0].query: the view "A": invalid since: "soon" is neither a time`,
		"views:\n- {name: A, query: 'filter=x =='}":                                          `:2: views[0].query: the view "A": `,
		"views:\n- {name: A, query: '%zz'}":                                                  `:2: views[0].query: the view "A": the query string cannot be read`,
		"views:\n- {name: A, query: vm=a}\n- {name: A, query: vm=b}":                         `:3: views[1].name: another view is named "A" already; give each a name of its own`,
		"views:\n- {name: " + strings.Repeat("a", 61) + ", query: vm=a}":                     `:2: views[0].name: "` + strings.Repeat("a", 61) + `" is not a name of up to 60 characters in one line`,
		"views:\n- {name: A, query: 'q=" + strings.Repeat("a", 5000) + "'}":                  `:2: views[0].query: the view "A": it has more than 4096 bytes; shorten it`,
		"views:\n" + strings.Repeat("- {name: A, query: vm=a}\n", 101):                       `: there are 101 views; more than 100 are too many to choose from`,
		"vcenters: [{url: https://vc1.example.com}]\nviews: [{name: A, query: vcenter=vc2}]": `:2: views[0].query: the view "A": invalid vcenter: none of those that are served here passes`,
		"view: []": `:1: there is no setting view; did you mean views?`,
	} {
		if _, err := viewsOf(t, text); err == nil || !strings.Contains(err.Error(), "vstream.yaml"+want) {
			t.Errorf("%.60q: %v\nwant %s", text, err, want)
		}
	}
}
