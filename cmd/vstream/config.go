package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"vstream/internal/cloudevent"
	"vstream/internal/vcenter"
)

// config is all that serve can be told. Its fields are described in settings, which is
// the manual.
type config struct {
	vcenterURL  *url.URL
	insecure    bool
	caFile      string
	thumbprint  string
	secretPath  string
	begin       time.Duration
	typePrefix  string
	recordBytes int64
	segment     int
	logBytes    int64
	watchMaxAge time.Duration
	port        int
	debug       bool
}

// A setting is one thing to configure: its environment variable, what holds when that is
// unset or empty, and what it means.
type setting struct {
	env, fallback, help string
	set                 func(string) error
}

//go:generate go test . -run TestConfigurationDocumentIsUpToDate -update

// settings is the only list of what can be configured: reading, help texts and defaults
// come from it.
func (c *config) settings() []setting {
	return []setting{
		{"VCENTER_URL", "", "address of the vCenter, with or without /sdk; required", to(&c.vcenterURL, vcenter.ParseURL)},
		{"VCENTER_SECRET_PATH", "/var/bindings/vsphere", "directory with the files username and password", to(&c.secretPath, anyText)},
		{"VCENTER_INSECURE", "false", "trust any certificate of the vCenter; only for tests", to(&c.insecure, parseBool)},
		{"VCENTER_CA_FILE", "", "PEM file of the authorities to trust instead of the system's", to(&c.caFile, anyText)},
		{"VCENTER_THUMBPRINT", "", "SHA-256 or SHA-1 thumbprint of the one certificate to trust, as AA:BB:…", to(&c.thumbprint, parseThumbprint)},
		{"VCENTER_STREAM_BEGIN", "5m", "how far back to begin at the first start, by the vCenter's clock", to(&c.begin, notNegative)},
		{"CLOUDEVENT_TYPE_PREFIX", cloudevent.DefaultTypePrefix, "what the type of every event begins with", to(&c.typePrefix, anyText)},
		{"LOG_MAX_SEGMENT_SIZE", "1000", "half of how many events the log keeps", to(&c.segment, parseCount)},
		{"LOG_MAX_BYTES", "256MiB", "how much memory the events in the log may take", to(&c.logBytes, parseSize)},
		{"LOG_MAX_RECORD_SIZE_BYTES", "524288", "largest event; a larger one loses its details and is marked truncated", to(&c.recordBytes, parseSize)},
		{"WATCH_MAX_AGE", "30m", "how long a watch lives before its client has to come again", to(&c.watchMaxAge, parsePositive)},
		{"PORT", "8080", "TCP port to serve on", to(&c.port, parsePort)},
		{"DEBUG", "false", "log every request and more", to(&c.debug, parseBool)},
	}
}

// readConfig reads the configuration from the environment. Its errors name the variable
// to mend.
func readConfig(getenv func(string) string) (config, error) {
	var c config
	for _, s := range c.settings() {
		value := strings.TrimSpace(getenv(s.env))
		if value == "" {
			value = s.fallback
		}
		if value == "" {
			continue
		}
		if err := s.set(value); err != nil {
			return config{}, fmt.Errorf("%s: %w", s.env, err)
		}
	}
	if c.insecure && (c.caFile != "" || c.thumbprint != "") {
		return config{}, errors.New("VCENTER_INSECURE trusts any certificate, VCENTER_CA_FILE and VCENTER_THUMBPRINT do not; set only one of them")
	}
	if c.caFile != "" && c.thumbprint != "" {
		return config{}, errors.New("VCENTER_CA_FILE and VCENTER_THUMBPRINT both say whom to trust; set only one of them")
	}
	return c, nil
}

// settingsHelp is the table of settings for help texts.
func settingsHelp() string {
	var b strings.Builder
	for _, s := range new(config).settings() {
		fmt.Fprintf(&b, "  %-26s %s", s.env, s.help)
		if s.fallback != "" {
			fmt.Fprintf(&b, " (default %s)", s.fallback)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// to returns a function that parses into target.
func to[T any](target *T, parse func(string) (T, error)) func(string) error {
	return func(s string) error {
		v, err := parse(s)
		if err == nil {
			*target = v
		}
		return err
	}
}

func anyText(s string) (string, error) { return s, nil }

func parseBool(s string) (bool, error) {
	v, err := strconv.ParseBool(s)
	if err != nil {
		return false, fmt.Errorf("%q is neither true nor false", s)
	}
	return v, nil
}

func parseCount(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 1_000_000_000 {
		return 0, fmt.Errorf("%q is not a number from 1 to 1000000000", s)
	}
	return n, nil
}

func parsePort(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 65535 {
		return 0, fmt.Errorf("%q is not a port: a number from 1 to 65535, or 0 for any free one", s)
	}
	return n, nil
}

// parseSize reads a number of bytes, plain or with a unit: 524288, 512KiB, 2GB.
func parseSize(s string) (int64, error) {
	n, err := humanize.ParseBytes(s)
	if err != nil || n < 1 || n > 1<<50 {
		return 0, fmt.Errorf("%q is not a size; write for example 524288 or 256MiB", s)
	}
	return int64(n), nil
}

func notNegative(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("%q is not a length of time; write for example 5m or 1h30m", s)
	}
	return d, nil
}

func parsePositive(s string) (time.Duration, error) {
	d, err := notNegative(s)
	if err == nil && d == 0 {
		err = errors.New("it must be longer than 0")
	}
	return d, err
}

func parseThumbprint(s string) (string, error) {
	const sha1, sha256 = 20, 32
	parts := strings.Split(s, ":")
	ok := len(parts) == sha1 || len(parts) == sha256
	for _, part := range parts {
		if _, err := strconv.ParseUint(part, 16, 8); err != nil || len(part) != 2 {
			ok = false
		}
	}
	if !ok {
		return "", fmt.Errorf("%q is not a thumbprint: 32 (SHA-256) or 20 (SHA-1) pairs of hexadecimal digits with colons between", s)
	}
	return s, nil
}
