package simulator

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/vmware/govmomi/object"
	vcsim "github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

// plan is the site to build.
var plan = []struct {
	datacenter, cluster, dvs string
	hosts, stores, nets, vms []string
}{
	{
		datacenter: "DC-West", cluster: "CL-Prod", dvs: "dvs-west",
		hosts:  []string{"esx-11.lab", "esx-12.lab", "esx-13.lab", "esx-14.lab"},
		stores: []string{"nvme-west-01", "nfs-west-02"},
		nets:   []string{"prod-web-110", "prod-db-120", "k8s-nodes-130"},
		vms: []string{
			"web-05", "web-06", "web-07", "web-08", "db-prod-01", "db-prod-02", "cache-01",
			"k8s-control-1", "k8s-worker-1", "k8s-worker-2", "k8s-worker-3",
			"build-agent-14", "build-agent-15", "gitlab-01", "mail-01",
		},
	},
	{
		datacenter: "DC-East", cluster: "CL-Edge", dvs: "dvs-east",
		hosts:  []string{"esx-21.lab", "esx-22.lab", "esx-23.lab"},
		stores: []string{"nvme-east-01", "nfs-east-02"},
		nets:   []string{"edge-web-210", "mgmt-220"},
		vms: []string{
			"web-21", "web-22", "db-replica-01", "k8s-worker-4", "k8s-worker-5",
			"win-jump-1", "backup-proxy-01", "monitor-01", "ldap-02", "build-agent-21",
		},
	},
}

// A thing is a managed object and its name.
type thing struct {
	ref  types.ManagedObjectReference
	name string
}

// A place is a datacenter with the cluster in it.
type place struct {
	dc, cluster, dvs    thing
	pool, vmFolder      types.ManagedObjectReference
	hosts, stores, nets []thing
	vms                 []types.ManagedObjectReference // those of the plan, which stay
}

// A site is what we know of the inventory. Names of virtual machines, their hosts and
// power are not in it: vcsim is asked for them, for others may change them too.
type site struct {
	places []*place
	lost   map[types.ManagedObjectReference]bool // hosts that are not connected or in maintenance
}

// build makes the site of the plan through the API, as its administrator.
func (s *Simulator) build(ctx context.Context) (*site, error) {
	admin := s.users[administrator.name]
	site := &site{lost: map[types.ManagedObjectReference]bool{}}
	for _, p := range plan {
		b := builder{s: s, user: admin, place: &place{}}
		b.infrastructure(ctx, p.datacenter, p.cluster, p.dvs, p.hosts, p.stores, p.nets)
		b.machines(ctx, p.vms)
		if b.err != nil {
			return nil, fmt.Errorf("build %s: %w", p.datacenter, b.err)
		}
		site.places = append(site.places, b.place)
	}
	return site, nil
}

// A builder builds one place. After its first error it does nothing more.
type builder struct {
	s     *Simulator
	user  *user
	place *place
	err   error
}

// done returns what a call made, whether it is a task or has come back already.
func (b *builder) done(ctx context.Context, task *object.Task, err error) types.ManagedObjectReference {
	if b.err = err; err != nil {
		return types.ManagedObjectReference{}
	}
	result, err := b.s.finish(ctx, task.Reference())
	b.err = err
	ref, _ := result.(types.ManagedObjectReference)
	return ref
}

func (b *builder) infrastructure(ctx context.Context, datacenter, cluster, dvs string, hosts, stores, nets []string) {
	c, p := b.user.client, b.place
	dc, err := object.NewRootFolder(c).CreateDatacenter(ctx, datacenter)
	if err != nil {
		b.err = err
		return
	}
	p.dc = thing{dc.Reference(), datacenter}
	folders, err := dc.Folders(ctx)
	if err != nil {
		b.err = err
		return
	}
	p.vmFolder = folders.VmFolder.Reference()
	cl, err := folders.HostFolder.CreateCluster(ctx, cluster, types.ClusterConfigSpecEx{})
	if err != nil {
		b.err = err
		return
	}
	p.cluster = thing{cl.Reference(), cluster}
	pool, err := cl.ResourcePool(ctx)
	if err != nil {
		b.err = err
		return
	}
	p.pool = pool.Reference()

	var members []types.DistributedVirtualSwitchHostMemberConfigSpec
	for _, name := range hosts {
		task, err := cl.AddHost(ctx, types.HostConnectSpec{HostName: name}, true, nil, nil)
		ref := b.done(ctx, task, err)
		if b.err != nil {
			return
		}
		p.hosts = append(p.hosts, thing{ref, name})
		members = append(members, types.DistributedVirtualSwitchHostMemberConfigSpec{
			Operation: string(types.ConfigSpecOperationAdd), Host: ref,
		})
	}
	b.stores(ctx, stores)
	if b.err != nil {
		return
	}

	task, err := folders.NetworkFolder.CreateDVS(ctx, types.DVSCreateSpec{
		ConfigSpec: &types.VMwareDVSConfigSpec{DVSConfigSpec: types.DVSConfigSpec{Name: dvs}},
	})
	p.dvs = thing{b.done(ctx, task, err), dvs}
	if b.err != nil {
		return
	}
	vswitch := object.NewDistributedVirtualSwitch(c, p.dvs.ref)
	task, err = vswitch.Reconfigure(ctx, &types.DVSConfigSpec{Host: members})
	b.done(ctx, task, err)
	for _, name := range nets {
		if b.err != nil {
			return
		}
		b.place.nets = append(b.place.nets, b.portgroup(ctx, vswitch, name))
	}
}

// stores makes datastores that all hosts see, each a directory of ours.
func (b *builder) stores(ctx context.Context, names []string) {
	for _, name := range names {
		dir := filepath.Join(b.s.dir, name)
		if b.err = os.Mkdir(dir, 0o700); b.err != nil {
			return
		}
		var store thing
		for _, host := range b.place.hosts {
			system, err := object.NewHostSystem(b.user.client, host.ref).ConfigManager().DatastoreSystem(ctx)
			if err != nil {
				b.err = err
				return
			}
			ds, err := system.CreateLocalDatastore(ctx, name, dir)
			if err != nil {
				b.err = err
				return
			}
			if store.name == "" { // vcsim tells the reference to the first host only
				store = thing{ds.Reference(), name}
			}
		}
		b.place.stores = append(b.place.stores, store)
	}
}

// portgroup adds a port group. Its task does not say which, so the switch is asked.
func (b *builder) portgroup(ctx context.Context, vswitch *object.DistributedVirtualSwitch, name string) thing {
	task, err := vswitch.AddPortgroup(ctx, []types.DVPortgroupConfigSpec{{
		Name: name, NumPorts: 8,
		Type: string(types.DistributedVirtualPortgroupPortgroupTypeEarlyBinding),
	}})
	b.done(ctx, task, err)
	if b.err != nil {
		return thing{}
	}
	ref, ok := b.s.portgroupNamed(name)
	if !ok {
		b.err = fmt.Errorf("port group %s was not made", name)
	}
	return thing{ref, name}
}

// portgroupNamed looks a port group up in vcsim.
func (s *Simulator) portgroupNamed(name string) (found types.ManagedObjectReference, ok bool) {
	ctx := s.as(vpxd)
	for _, r := range s.registry.AllReference("DistributedVirtualPortgroup") {
		pg := r.(*vcsim.DistributedVirtualPortgroup)
		s.registry.WithLock(ctx, pg, func() {
			if pg.Name == name {
				found, ok = pg.Self, true
			}
		})
	}
	return found, ok
}

// machines creates virtual machines, spread over the hosts, and starts most of them.
func (b *builder) machines(ctx context.Context, names []string) {
	for i, name := range names {
		if b.err != nil {
			return
		}
		host := b.place.hosts[i%len(b.place.hosts)]
		ref, err := b.s.createVM(ctx, b.user, b.place, name, host.ref, i)
		if err != nil {
			b.err = fmt.Errorf("create %s: %w", name, err)
			return
		}
		b.place.vms = append(b.place.vms, ref)
		if i%7 == 6 {
			continue // some are off, or nothing could be powered on
		}
		task, err := object.NewVirtualMachine(b.user.client, ref).PowerOn(ctx)
		b.done(ctx, task, err)
	}
}

// createVM creates a virtual machine with a disk and a network card, powered off.
func (s *Simulator) createVM(ctx context.Context, by *user, p *place, name string, host types.ManagedObjectReference, n int) (types.ManagedObjectReference, error) {
	var none types.ManagedObjectReference
	store := p.stores[n%len(p.stores)]
	net := p.nets[n%len(p.nets)]
	spec := types.VirtualMachineConfigSpec{
		Name:     name,
		GuestId:  string(types.VirtualMachineGuestOsIdentifierDebian12_64Guest),
		NumCPUs:  int32(2 << (n % 3)),
		MemoryMB: int64(4096 << (n % 3)),
		Files:    &types.VirtualMachineFileInfo{VmPathName: "[" + store.name + "]"},
	}
	var devices object.VirtualDeviceList
	scsi, err := devices.CreateSCSIController("pvscsi")
	if err != nil {
		return none, err
	}
	disk := devices.CreateDisk(scsi.(types.BaseVirtualController), store.ref,
		fmt.Sprintf("[%s] %s/disk1.vmdk", store.name, name))
	disk.CapacityInKB = 20 << 20
	backing, err := object.NewDistributedVirtualPortgroup(by.client, net.ref).EthernetCardBackingInfo(ctx)
	if err != nil {
		return none, err
	}
	card, err := devices.CreateEthernetCard("vmxnet3", backing)
	if err != nil {
		return none, err
	}
	devices = append(devices, scsi, disk, card)
	if spec.DeviceChange, err = devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd); err != nil {
		return none, err
	}
	task, err := object.NewFolder(by.client, p.vmFolder).CreateVM(ctx, spec,
		object.NewResourcePool(by.client, p.pool), object.NewHostSystem(by.client, host))
	if err != nil {
		return none, err
	}
	result, err := s.finish(ctx, task.Reference())
	if err != nil {
		return none, err
	}
	return result.(types.ManagedObjectReference), nil
}
