package simulator

import (
	"context"
	"crypto/x509"
	"fmt"
	"net/url"
	"time"

	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/soap"
)

// An account is somebody who works with the vCenter, and what with.
type account struct{ name, agent string }

var (
	administrator = account{`VSPHERE.LOCAL\Administrator`, "vsphere-ui/8.0.3"}
	amara         = account{`LAB\amara`, "govc/0.56.0"}
	jonas         = account{`LAB\jonas`, "terraform-provider/2.9"}
	backup        = account{`VSPHERE.LOCAL\svc-backup`, "backup-proxy/12.1"}
)

// vpxd is the vCenter itself: it posts events and never logs in.
const vpxd = `VSPHERE.LOCAL\vpxd`

// A user is an account with a session.
type user struct {
	account
	soap    *soap.Client
	client  *vim25.Client
	session *session.Manager
}

// login opens a session. vcsim takes any password.
func (s *Simulator) login(ctx context.Context, who account) (*user, error) {
	u := &user{account: who, soap: soap.NewClient(s.url, false)}
	u.soap.UserAgent = who.agent
	u.soap.Timeout = 30 * time.Second
	roots := x509.NewCertPool()
	roots.AddCert(s.cert)
	u.soap.DefaultTransport().TLSClientConfig.RootCAs = roots

	var err error
	if u.client, err = vim25.NewClient(ctx, u.soap); err != nil {
		return nil, fmt.Errorf("reach the simulator as %s: %w", who.name, err)
	}
	u.session = session.NewManager(u.client)
	if err := u.session.Login(ctx, url.UserPassword(who.name, "simulated")); err != nil {
		return nil, fmt.Errorf("log in to the simulator as %s: %w", who.name, err)
	}
	return u, nil
}

// logout ends the session, even when ctx is done: vcsim would keep it.
func (u *user) logout(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	defer u.soap.CloseIdleConnections()
	return u.session.Logout(ctx)
}
