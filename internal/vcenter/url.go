package vcenter

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
)

// ParseURL reads the address of a vCenter: a host or an https URL, with or without a
// port and the path /sdk, which it adds where there is none. It refuses what would end
// up in the source attribute of every event but does not belong there: a user, a query.
func ParseURL(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "https://" + s
	}
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, fmt.Errorf("%q is not a URL", s)
	case u.User != nil:
		// Not quoted back: it may hold a password.
		return nil, errors.New("the URL must not hold a user; put it into the files username and password")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("%q begins with neither https:// nor http://", s)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host", s)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("%q must end with its path", s)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if u.Path == "" {
		u.Path = "/sdk"
	}
	return u, nil
}
