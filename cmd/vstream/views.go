package main

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"vstream/internal/httpapi"
)

// viewsKey is the list of saved views in the configuration file.
const viewsKey = "views"

var (
	viewName  = setting{key: "name"}
	viewQuery = setting{key: "query"}
	viewKeys  = keysOf([]setting{viewName, viewQuery})
)

// defaultViews are what there is where the configuration does not say. Names of types ignore
// case.
var defaultViews = []httpapi.View{
	{Name: "Security", Query: "type=Permission*,Role*,Account*,User*Group,*Password*,BadUsernameSessionEvent,NoAccessUserEvent," +
		"HostAdmin*,HostEnableAdminFailedEvent,*TSMEnabledEvent,*AuthFailure,com.vmware.sso.*,com.vmware.cis.*,com.vmware.trustmanagement.*," +
		"com.vmware.vc.certmgr.*,esx.audit.account.*,esx.audit.dcui.*,esx.audit.lockdownmode.*,esx.audit.shell.*,esx.audit.ssh.*," +
		"!com.vmware.sso.LoginSuccess,!com.vmware.sso.Logout"},
	{Name: "HA/DRS", Query: "type=Das*,HostDas*,VmDas*,Drs*,*DrsRecommendation*,*OnIsolationEvent,HostIsolation*,VmRestartedOnAlternateHostEvent," +
		"VmFailoverFailed,VmMaxRestartCountReached,*FailoverResourcesEvent,ClusterOvercommittedEvent,*HealthMonitoringStateChangedEvent," +
		"HostMonitoringStateChangedEvent,HostNoHAEnabledPortGroupsEvent,HostNoRedundantManagementNetworkEvent," +
		"com.vmware.vc.ha.*,com.vmware.vc.vcp.*,com.vmware.vc.sdrs.*,vim.event.Failover*"},
	{Name: "vMotion", Query: "type=*migrat*,*relocat*,*vmotion*"},
	{Name: "Storage", Query: "type=*datastore*,*disk*,*storage*,*scsi*,*vmfs*,*nfs*,*vsan*,com.vmware.vc.sdrs.*,!*ramdisk*"},
	{Name: "Logins", Query: "type=*SessionEvent,SessionTerminatedEvent,NoAccessUserEvent,com.vmware.sso.Log*,esx.audit.*.session.*,!ServerStartedSessionEvent"},
	{Name: "Config changes", Query: "type=*Reconfigured*,*CreatedEvent,*DestroyedEvent,*AddedEvent,*RemovedEvent,*RenamedEvent,*UpdatedEvent,*ChangedEvent," +
		"*EnabledEvent,*DisabledEvent,*AppliedEvent,*MaintenanceModeEvent,VmResourceReallocatedEvent,esx.audit.net.firewall.*," +
		"!*StatusChangedEvent,!*StateChangedEvent,!*RuntimeChangeEvent,!VmSecondary*"},
}

const (
	maxViews    = 100
	maxViewName = 60
)

// readViews takes over the views of the file, or the usual ones where it does not say.
func (c *config) readViews(views []section) (found problems) {
	if views == nil {
		c.views = defaultViews
		return nil
	}
	if len(views) > maxViews {
		return problems{fmt.Errorf("%s: there are %d %s; more than %d are too many to choose from", views[0].path, len(views), viewsKey, maxViews)}
	}
	var vcenters []string
	for _, v := range c.vcenters {
		if v.name != "" {
			vcenters = append(vcenters, v.name)
		}
	}
	for _, entry := range views {
		found.add(c.readView(entry, vcenters))
	}
	return found
}

func (c *config) readView(view section, vcenters []string) error {
	named, asked := view.lookup(viewName), view.lookup(viewQuery)
	name, query := strings.TrimSpace(named.text), strings.TrimSpace(asked.text)
	switch {
	case name == "":
		return fmt.Errorf("%s is not set; set it to what the view is called", named.label)
	case utf8.RuneCountInString(name) > maxViewName, strings.ContainsFunc(name, unicode.IsControl):
		return fmt.Errorf("%s: %.70q is not a name of up to %d characters in one line", named.label, name, maxViewName)
	case slices.ContainsFunc(c.views, func(v httpapi.View) bool { return v.Name == name }):
		return fmt.Errorf("%s: another view is named %q already; give each a name of its own", named.label, name)
	case query == "":
		return fmt.Errorf("%s is not set; set it to what the view %q shows, as in type=VmPowered*&severity=error", asked.label, name)
	}
	query, err := httpapi.ViewQuery(query, vcenters)
	if err != nil {
		return fmt.Errorf("%s: the view %q: %w", asked.label, name, err)
	}
	c.views = append(c.views, httpapi.View{Name: name, Query: query})
	return nil
}
