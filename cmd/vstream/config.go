package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"vstream/internal/cloudevent"
	"vstream/internal/duration"
	"vstream/internal/httpapi"
	"vstream/internal/spelling"
	"vstream/internal/vcenter"
)

// config is all that serve can be told. Its fields are described in settings, which is
// the manual.
type config struct {
	vcenters    []vcenterConfig
	recordBytes int64
	segment     int
	logDir      string
	nats        natsConfig
	retention   time.Duration
	logBytes    int64 // 0 is the default of the kind of log
	indexed     int   // events of a vCenter
	watchMaxAge time.Duration
	views       []httpapi.View
	access      accessConfig
	port        int
	debug       bool

	labels labels
	given  values
}

// vcenterConfig is what there is to tell of one vCenter.
type vcenterConfig struct {
	name       string
	url        *url.URL
	secretPath string
	insecure   bool
	caFile     string
	thumbprint string
	begin      time.Duration
	typePrefix string

	labels labels
	given  values
}

// natsConfig is where an external NATS is.
type natsConfig struct {
	url         string
	credentials string
	caFile      string
	replicas    int
}

// labels is how each setting is called where it was set, by its environment variable:
// what a message about it has to begin with.
type labels map[string]string

// values is what each setting that has a value is set to, by its environment variable.
type values map[string]given

// given is the text of a setting, and where it is from.
type given struct {
	text   string
	origin string // byDefault, "environment: PORT" or "vstream.yaml:3"
}

const byDefault = "default"

// set reports whether somebody has set a setting, well or not.
func (v values) set(env string) bool { return v[env].text != "" && v[env].origin != byDefault }

// A setting is one thing to configure: its environment variable, its key in the
// configuration file, what holds when it is unset or empty, and what it means.
type setting struct {
	env, key, fallback, help string
	set                      func(string) error
}

//go:generate go test . -run ^Test(ConfigurationDocumentIs|CommandDocumentsAre|RecipesAre)UpToDate$ -update

// vcentersKey is the list of vCenters in the configuration file.
const vcentersKey = "vcenters"

// settings is, with the other one, the only list of what can be configured: reading, help
// texts and defaults come from them.
func (v *vcenterConfig) settings() []setting {
	return []setting{
		{"VCENTER_URL", "url", "", "address of the vCenter, with or without /sdk; required", to(&v.url, vcenter.ParseURL)},
		{"VCENTER_NAME", "name", "", "what the vCenter is called in paths: lower-case letters, digits and dashes; made of the address by default", to(&v.name, parseName)},
		{"VCENTER_SECRET_PATH", "secretPath", "/var/bindings/vsphere", "directory with the files username and password", to(&v.secretPath, parsePath)},
		{"VCENTER_INSECURE", "insecure", "false", "trust any certificate of the vCenter; only for tests", to(&v.insecure, parseBool)},
		{"VCENTER_CA_FILE", "caFile", "", "PEM file of the authorities to trust instead of the system's", to(&v.caFile, parsePath)},
		{"VCENTER_THUMBPRINT", "thumbprint", "", "SHA-256 or SHA-1 thumbprint of the one certificate to trust, as AA:BB:…", to(&v.thumbprint, parseThumbprint)},
		{"VCENTER_STREAM_BEGIN", "begin", "5m", "how far back to begin at the first start, by the vCenter's clock", to(&v.begin, duration.Parse)},
		{"CLOUDEVENT_TYPE_PREFIX", "typePrefix", cloudevent.DefaultTypePrefix, "what the type of every event begins with", to(&v.typePrefix, parsePrefix)},
	}
}

// settings is what holds for the whole process, or for each vCenter alike.
func (c *config) settings() []setting {
	return slices.Concat([]setting{
		{"LOG_DIR", "log.dir", "", "directory to keep the logs in; without it and NATS_URL they are in memory and end with the process", to(&c.logDir, parsePath)},
		{"NATS_URL", "log.natsURL", "", "servers of a NATS cluster with JetStream to keep the logs in, with commas between, as nats://nats:4222", to(&c.nats.url, parseNATSURL)},
		{"NATS_CREDENTIALS_FILE", "log.natsCredentialsFile", "", "file with the credentials for NATS", to(&c.nats.credentials, parsePath)},
		{"NATS_CA_FILE", "log.natsCAFile", "", "PEM file of the authorities to trust for NATS instead of the system's", to(&c.nats.caFile, parsePath)},
		{"LOG_REPLICAS", "log.replicas", "", "copies of each log in the NATS cluster, 1 to 5; three by default, if it has as many servers", to(&c.nats.replicas, parseReplicas)},
		{"LOG_RETENTION", "log.retention", "7d", "how long an event is kept, in LOG_DIR or NATS; 0 for ever", to(&c.retention, duration.Parse)},
		{"LOG_MAX_BYTES", "log.maxBytes", "", "how much the events of a vCenter may take: in memory, by default 256MiB; in LOG_DIR or NATS, by default 2GiB", to(&c.logBytes, parseSize)},
		{"LOG_MAX_SEGMENT_SIZE", "log.segmentSize", "1000", "half of how many events of a vCenter are in memory; without LOG_DIR and NATS_URL, that is the log", to(&c.segment, parseCount)},
		{"LOG_MAX_RECORD_SIZE_BYTES", "log.maxRecordSizeBytes", "524288", "largest event; a larger one loses its details and is marked truncated", to(&c.recordBytes, parseRecordSize)},
		{"INDEX_MAX_EVENTS", "log.indexMaxEvents", "2000000", "how many events of a vCenter, the newest, are indexed in memory, some 41 bytes each: counts, and the search for rare events, go back so far", to(&c.indexed, parseCount)},
		{"WATCH_MAX_AGE", "watchMaxAge", "30m", "how long a watch lives before its client has to come again", to(&c.watchMaxAge, parseAge)},
	}, c.access.settings(), []setting{
		{"PORT", "port", "8080", "TCP port to serve on", to(&c.port, parsePort)},
		{"DEBUG", "debug", "false", "log every request and more", to(&c.debug, parseBool)},
	})
}

// fileVariable names the configuration file, for those who cannot give a flag.
const fileVariable = "VSTREAM_CONFIG"

// A value is what somebody has set a setting to, or nothing, and where.
type value struct {
	text   string
	label  string // how the setting is called there, in messages
	origin string
}

// readConfig reads the configuration from the environment and, if path is not empty, from
// a file. The environment goes before the file in what holds for the whole process; the
// vCenters are described by one of the two. Its error is the first of the problems.
func readConfig(getenv func(string) string, path string) (config, error) {
	c, found := gatherConfig(getenv, path)
	return c, found.first()
}

// gatherConfig is readConfig that goes on to find all problems. They name the setting to mend,
// as it is called where it was set. There is no vCenter in it where only what is wrong in the
// file could tell of one.
func gatherConfig(getenv func(string) string, path string) (config, problems) {
	var file configFile
	var found problems
	if path != "" {
		file, found = readFile(path)
	}
	unclear := len(found) > 0 // whether the file has more to tell
	fromEnv := func(s setting) value { return value{getenv(s.env), s.env, "environment: " + s.env} }
	var c config
	c.labels, c.given = found.apply(c.settings(), func(s setting) value {
		if v := fromEnv(s); strings.TrimSpace(v.text) != "" || !file.global.has(s) {
			return v
		}
		return file.global.lookup(s)
	})
	found.add(c.checkLog()...)
	found.add(c.access.check(c.labels, c.given)...)
	switch {
	case len(file.vcenters) == 0 && unclear && strings.TrimSpace(getenv("VCENTER_URL")) == "":
	case len(file.vcenters) == 0:
		c.vcenters = []vcenterConfig{found.readVCenter(fromEnv)}
	default:
		for _, s := range new(vcenterConfig).settings() {
			if strings.TrimSpace(getenv(s.env)) != "" {
				found.add(fmt.Errorf("%s is set, but %s has %s, which say all about each; unset the one or remove the other", s.env, path, vcentersKey))
			}
		}
	}
	for _, entry := range file.vcenters {
		v := found.readVCenter(entry.lookup)
		if _, set := v.given["VCENTER_URL"]; !set {
			found.add(fmt.Errorf("%s is not set; set it to the address of the vCenter, as in https://vcenter.example.com", v.labels["VCENTER_URL"]))
		}
		for i := range c.vcenters {
			if v.name != "" && c.vcenters[i].name == v.name {
				found.add(fmt.Errorf("%s: another vCenter is named %q already; give each a name of its own", v.labels["VCENTER_NAME"], v.name))
			}
		}
		c.vcenters = append(c.vcenters, v)
	}
	found.add(c.readViews(file.views)...)
	return c, found
}

// problems is all that is wrong with a configuration, in the order in which it was found.
type problems []error

// add takes up those of errs that are errors.
func (p *problems) add(errs ...error) {
	for _, err := range errs {
		if err != nil {
			*p = append(*p, err)
		}
	}
}

// Error is a line for each, which begins as all messages do.
func (p problems) Error() string {
	lines := make([]string, len(p))
	for i, err := range p {
		lines[i] = err.Error()
	}
	return strings.Join(lines, "\nvstream: ")
}

func (p problems) Unwrap() []error { return p }

// first returns the first, with how many more there are, or nil if there is none.
func (p problems) first() error {
	switch len(p) {
	case 0:
		return nil
	case 1:
		return p[0]
	}
	return fmt.Errorf("%w (and %d more: vstream serve --check-config tells all)", p[0], len(p)-1)
}

// checkLog finds settings of the log that do not go together.
func (c *config) checkLog() (found problems) {
	set := c.given.set
	switch stored := set("LOG_DIR") || set("NATS_URL"); {
	case set("LOG_DIR") && set("NATS_URL"):
		found.add(fmt.Errorf("%s and %s both say where to keep the logs; set only one of them", c.labels["LOG_DIR"], c.labels["NATS_URL"]))
	case set("LOG_RETENTION") && !stored:
		found.add(fmt.Errorf("%s is for logs in LOG_DIR or NATS_URL, but neither is set; in memory a log has the newest events, LOG_MAX_SEGMENT_SIZE", c.labels["LOG_RETENTION"]))
	}
	if c.logBytes != 0 && c.logBytes < 2*c.recordBytes {
		found.add(fmt.Errorf("%s: a log must have room for two of the largest events, %s (%s)", c.labels["LOG_MAX_BYTES"],
			humanize.IBytes(uint64(2*c.recordBytes)), c.labels["LOG_MAX_RECORD_SIZE_BYTES"]))
	}
	if set("NATS_CREDENTIALS_FILE") && strings.Contains(c.nats.url, "@") {
		found.add(fmt.Errorf("%s and %s both say who vstream is to NATS; take the user out of the address", c.labels["NATS_CREDENTIALS_FILE"], c.labels["NATS_URL"]))
	}
	for _, env := range []string{"NATS_CREDENTIALS_FILE", "NATS_CA_FILE", "LOG_REPLICAS"} {
		if set(env) && !set("NATS_URL") {
			found.add(fmt.Errorf("%s is for logs in NATS, but NATS_URL is not set", c.labels[env]))
		}
	}
	return found
}

// readVCenter reads the settings of one vCenter.
func (p *problems) readVCenter(lookup func(setting) value) vcenterConfig {
	var v vcenterConfig
	v.labels, v.given = p.apply(v.settings(), lookup)
	var trust []string
	for env, set := range map[string]bool{"VCENTER_INSECURE": v.insecure, "VCENTER_CA_FILE": v.caFile != "", "VCENTER_THUMBPRINT": v.thumbprint != ""} {
		if set {
			trust = append(trust, v.labels[env])
		}
	}
	slices.Sort(trust)
	switch plain := v.url != nil && v.url.Scheme == "http"; {
	case len(trust) > 1:
		p.add(fmt.Errorf("%s say different things about whom to trust; set only one of them", strings.Join(trust, " and ")))
	case plain && !v.insecure && len(trust) == 1:
		p.add(fmt.Errorf("%s says which certificate to trust, but %s begins with http://, where there is none; write https://", trust[0], v.labels["VCENTER_URL"]))
	}
	if v.name == "" && v.url != nil {
		v.name = nameOf(v.url)
	}
	return v
}

// apply sets all settings to what lookup finds, or to their defaults. It returns how each
// is called there, and what those that have a value are set to.
func (p *problems) apply(settings []setting, lookup func(setting) value) (labels, values) {
	called, has := labels{}, values{}
	for _, s := range settings {
		found := lookup(s)
		called[s.env] = found.label
		g := given{strings.TrimSpace(found.text), found.origin}
		if g.text == "" {
			g = given{s.fallback, byDefault}
		}
		if g.text == "" {
			continue
		}
		has[s.env] = g
		if err := s.set(g.text); err != nil {
			p.add(fmt.Errorf("%s: %w", found.label, err))
		}
	}
	return called, has
}

// nameOf makes a name of the host and of the port, unless that is the usual one.
func nameOf(u *url.URL) string {
	host := strings.ToLower(u.Hostname())
	if net.ParseIP(host) == nil {
		host, _, _ = strings.Cut(host, ".")
	}
	if p := u.Port(); p != "" && p != "443" {
		host += "-" + p
	}
	name := strings.Trim(regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(host, "-"), "-")
	if name == "" {
		return "vcenter"
	}
	return name
}

// strangers returns the variables of environ that look like settings and are none, each
// with the setting that may have been meant. Variables that Kubernetes makes of the names
// of services are not counted among them.
func strangers(environ []string) []string {
	known := []string{fileVariable, serverVariable, tokenVariable, contextsVariable}
	for _, s := range slices.Concat(new(vcenterConfig).settings(), new(config).settings()) {
		known = append(known, s.env)
	}
	ours := regexp.MustCompile(`^(VCENTER|INDEX|LOG|WATCH|VSTREAM|NATS|TLS|AUTH|OIDC|CORS|REQUEST|CLOUDEVENT)_`)
	service := regexp.MustCompile(`_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP|SCTP)|_PORT=(tcp|udp|sctp)://`)
	var found []string
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		if strings.TrimSpace(text) == "" || service.MatchString(entry) || slices.Contains(known, name) {
			continue
		}
		near := nearestSetting(name, known)
		if !ours.MatchString(name) && (near == "" || !misspelt(name)) {
			continue
		}
		if near != "" {
			name += " (did you mean " + near + "?)"
		}
		found = append(found, name)
	}
	slices.Sort(found)
	return found
}

// nearestSetting returns the known variable that name may stand for: with the name of the
// program in front, as many programs have it; for what is in files, where those are; or with
// a slip. Or "".
func nearestSetting(name string, known []string) string {
	if bare, ok := strings.CutPrefix(name, "VSTREAM_"); ok && slices.Contains(known, bare) {
		return bare
	}
	if regexp.MustCompile(`^VCENTER_(USER|USERNAME|PASS|PASSWORD)$`).MatchString(name) {
		return "VCENTER_SECRET_PATH"
	}
	return spelling.Nearest(name, known)
}

// misspelt reports whether a variable begins with almost a word of ours, as VCENTRE_URL does.
func misspelt(name string) bool {
	word, _, ok := strings.Cut(name, "_")
	return ok && len(word) >= 6 && spelling.Nearest(word, []string{"VCENTER", "VSTREAM"}) != ""
}

// settingsHelp is the table of settings for help texts.
func settingsHelp() string {
	var b strings.Builder
	for _, s := range slices.Concat(new(vcenterConfig).settings(), new(config).settings()) {
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

// parsePath takes any path but those that a shell should have changed: a log would be kept in a
// directory of that name.
func parsePath(s string) (string, error) {
	switch {
	case s == "~", strings.HasPrefix(s, "~/"):
		return "", fmt.Errorf("%q: nothing stands for ~ here; write the whole path", s)
	case s[0] == '"', s[0] == '\'':
		return "", fmt.Errorf("%s: the quotes are taken for a part of the path; write it without them", s)
	}
	return s, nil
}

func parseName(s string) (string, error) {
	if !regexp.MustCompile(`^[a-z0-9-]{1,63}$`).MatchString(s) {
		return "", fmt.Errorf("%q is not a name of up to 63 lower-case letters, digits and dashes", s)
	}
	return s, nil
}

func parsePrefix(s string) (string, error) {
	if !regexp.MustCompile(`^[A-Za-z0-9._-]+$`).MatchString(s) {
		return "", fmt.Errorf("%q holds more than letters, digits, dots, dashes and underscores", s)
	}
	return s, nil
}

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

func parseReplicas(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 || n > 5 {
		return 0, fmt.Errorf("%q is not a number from 1 to 5", s)
	}
	return n, nil
}

// parseNATSURL checks addresses of NATS servers. It does not repeat them in its errors, for
// they may hold a password.
func parseNATSURL(s string) (string, error) {
	for address := range strings.SplitSeq(s, ",") {
		u, err := url.Parse(strings.TrimSpace(address))
		if err != nil || u.Host == "" || !slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme) {
			return "", errors.New("it is not an address of a NATS server, as nats://nats.example.com:4222 or tls://…")
		}
		if _, err := parsePort(cmp.Or(u.Port(), "4222")); err != nil || u.Port() == "0" {
			return "", errors.New("a port in it is not a number from 1 to 65535")
		}
	}
	return s, nil
}

// parseSize reads a number of bytes, plain or with a unit: 524288, 512KiB, 2GB.
func parseSize(s string) (int64, error) {
	n, err := humanize.ParseBytes(s)
	if err != nil || n < 1 || n > 1<<50 {
		return 0, fmt.Errorf("%q is not a size; write for example 524288 or 256MiB", s)
	}
	return int64(n), nil
}

// parseRecordSize reads how large an event may be. A store takes messages of 64 MiB.
func parseRecordSize(s string) (int64, error) {
	n, err := parseSize(s)
	if err == nil && n > 32<<20 {
		return 0, fmt.Errorf("%q is too much; the most is 32MiB", s)
	}
	return n, err
}

// parseAge reads how long a watch lives. Below a second, clients would do little but come
// again.
func parseAge(s string) (time.Duration, error) {
	d, err := duration.Parse(s)
	if err == nil && d < time.Second {
		return 0, fmt.Errorf("%q is too short; it must be at least 1s", s)
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

// configPath is the configuration file to read: that of the flag, or that of the
// environment.
func configPath(flag string) string {
	if flag != "" {
		return flag
	}
	return os.Getenv(fileVariable)
}

var errNoVCenter = errors.New("VCENTER_URL is not set; set it to the address of your vCenter, as in https://vcenter.example.com (without a vCenter at hand, try: vstream demo)")
