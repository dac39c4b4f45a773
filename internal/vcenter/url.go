package vcenter

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// ParseURL reads the address of a vCenter: a host or an https URL, with or without a
// port and the path /sdk, which it adds where there is none. It refuses what would end
// up in the source attribute of every event but does not belong there: a user, a query.
func ParseURL(s string) (*url.URL, error) {
	address := s
	if !strings.Contains(s, "://") {
		address = "https://" + s
	}
	u, err := url.Parse(address)
	switch {
	case strings.Contains(s, "@"):
		// Not quoted back: it may hold a password, also where that makes it no URL.
		return nil, errors.New("the URL must not hold a user; put it into the files username and password")
	case err != nil:
		return nil, fmt.Errorf("%q is not a URL", s)
	case u.Scheme != "https" && u.Scheme != "http", u.Hostname() == "https", u.Hostname() == "http": // as of https:/vc
		return nil, fmt.Errorf("%q begins with neither https:// nor http://", s)
	case u.Hostname() == "":
		return nil, fmt.Errorf("%q names no host", s)
	case !validPort(u.Port()):
		return nil, fmt.Errorf("%q names no port from 1 to 65535", s)
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return nil, fmt.Errorf("%q must end with its path", s)
	}
	u.Path = strings.TrimRight(u.Path, "/")
	if u.Path == "" {
		u.Path = "/sdk"
	}
	return u, nil
}

func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return port == "" || err == nil && n > 0
}
