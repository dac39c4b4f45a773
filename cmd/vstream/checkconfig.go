package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"vstream/internal/access"
	"vstream/internal/natslog"
)

// A danger is a setting that does what it says, and that somebody may regret.
type danger struct{ setting, text string }

// dangers are those of c, but for what depends on the address that is served; the guard
// knows that.
func (c *config) dangers() []danger {
	var all []danger
	addresses := map[string]bool{}
	for i := range c.vcenters {
		v := &c.vcenters[i]
		if v.url == nil {
			continue
		}
		address := strings.ToLower(v.url.String())
		if addresses[address] {
			all = append(all, danger{v.labels["VCENTER_URL"], "another vCenter has the same address, so each of its events is there twice; remove one of the two"})
		}
		addresses[address] = true
		switch {
		case v.url.Scheme == "http":
			all = append(all, danger{v.labels["VCENTER_URL"], "the vCenter's password travels in the clear; write https://"})
		case v.insecure:
			all = append(all, danger{v.labels["VCENTER_INSECURE"], "any certificate is taken for the vCenter's, so who is on the way can get its password; set VCENTER_CA_FILE or VCENTER_THUMBPRINT instead"})
		}
	}
	if slices.Contains(c.access.origins, access.AnyOrigin) {
		all = append(all, danger{c.labels["CORS_ORIGINS"], "every page that is opened in a browser that reaches the port may read all events; name the origins instead of *"})
	}
	if n, err := parseLimit(c.given["WATCH_MAX"].text); err == nil && n == 0 {
		all = append(all, danger{c.labels["WATCH_MAX"], "watches are not limited, so readers can use up the memory; leave it at its default, or choose a number"})
	}
	if masked(c.nats.url) != c.nats.url {
		all = append(all, danger{c.labels["NATS_URL"], "a password in an address shows wherever the address does; set NATS_CREDENTIALS_FILE instead"})
	}
	return all
}

// checkConfig checks all that can be checked without a connection and without a trace, and
// writes what was found: good news to out and warnings to warnings. Its error is all
// problems, those for which serve would not start.
func checkConfig(getenv func(string) string, environ []string, path string, out, warnings io.Writer) error {
	c, found := gatherConfig(getenv, path)
	found.add(c.vcenterMissing())
	quiet := slog.New(slog.DiscardHandler)
	warn := func(text string) { fmt.Fprintf(warnings, "vstream: warning: %s\n", text) }
	if names := strangers(environ); len(names) > 0 {
		warn("the environment holds variables that are no settings; they are ignored: " + strings.Join(names, ", "))
	}
	for _, d := range c.dangers() {
		warn(d.setting + ": " + d.text)
	}
	unreadable, without := c.checkVCenterFiles(quiet)
	if without < len(c.vcenters) {
		for _, err := range unreadable {
			warn(err.Error() + "; the other vCenters are served all the same")
		}
	} else {
		found.add(unreadable...)
	}
	found.add(c.checkStore()...)
	guard, refused := c.checkGuard(quiet)
	found.add(refused...)
	if guard != nil {
		if advice := guard.Advice(&net.TCPAddr{}); advice != "" {
			warn(advice)
		}
		if end := guard.CertificateExpires(); !end.IsZero() && time.Now().After(end) {
			warn(fmt.Sprintf("%s: the certificate has expired at %s; replace the files", c.labels["TLS_CERT_FILE"], end.Format(time.RFC3339)))
		}
	}
	if len(found) > 0 {
		return found
	}
	return c.report(out, path, guard)
}

// vcenterMissing returns an error if neither the environment nor a file tells of a vCenter.
func (c *config) vcenterMissing() error {
	if len(c.vcenters) > 0 && !c.vcenters[0].given.set("VCENTER_URL") && c.vcenters[0].labels["VCENTER_URL"] == "VCENTER_URL" {
		return errNoVCenter
	}
	return nil
}

// checkVCenterFiles returns what is wrong with the files of vCenters, and of how many.
func (c *config) checkVCenterFiles(logger *slog.Logger) (found problems, without int) {
	for _, v := range c.vcenters {
		if v.secretPath == "" {
			continue // said already
		}
		wrong := c.reading(v, logger).checkFiles()
		if len(wrong) > 0 {
			without++
		}
		found.add(wrong...)
	}
	return found, without
}

// checkStore finds what is wrong with where the logs are to be kept, as far as it shows here.
func (c *config) checkStore() (found problems) {
	labelled := func(env string, err error) {
		if err != nil {
			found.add(fmt.Errorf("%s: %w", c.labels[env], err))
		}
	}
	if c.logDir != "" {
		labelled("LOG_DIR", natslog.CheckDir(c.logDir))
	}
	if c.nats.url != "" {
		store := c.store(nil)
		labelled("NATS_CREDENTIALS_FILE", store.CheckCredentials())
		labelled("NATS_CA_FILE", store.CheckTrust())
	}
	return found
}

// checkGuard reads the files of TLS and those of tokens each by themselves, so that the one
// does not hide what is wrong with the other. There is no guard where something is.
func (c *config) checkGuard(logger *slog.Logger) (guard *access.Guard, found problems) {
	whole := *c
	if whole.access.certFile == "" || whole.access.keyFile == "" {
		whole.access.certFile, whole.access.keyFile, whole.access.clientCAFile = "", "", "" // said already
	}
	tls, tokens := whole, whole
	tls.access.tokensFile = ""
	tokens.access.certFile, tokens.access.keyFile, tokens.access.clientCAFile = "", "", ""
	for _, part := range []*config{&tls, &tokens} {
		_, err := part.guard(logger)
		found.add(err)
	}
	if len(found) > 0 {
		return nil, found
	}
	guard, err := whole.guard(logger)
	found.add(err)
	return guard, found
}

// report says what was read from where.
func (c *config) report(out io.Writer, path string, guard *access.Guard) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "the configuration is good")
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s\t"+format+"\n", append([]any{name}, args...)...)
	}
	if path != "" {
		row("settings", "%s, and the environment", path)
	} else {
		row("settings", "the environment")
	}
	for i := range c.vcenters {
		v := &c.vcenters[i]
		trust := "the system's authorities"
		switch {
		case v.url.Scheme == "http":
			trust = "anybody, for there is no TLS"
		case v.insecure:
			trust = "anybody"
		case v.caFile != "":
			trust = "the authorities in " + v.caFile
		case v.thumbprint != "":
			trust = "one certificate"
		}
		row("vCenter "+v.name, "%s, as the user in %s; trusts %s", v.url, v.secretPath, trust)
	}
	switch {
	case c.logDir != "":
		row("log", "in the directory %s", c.logDir)
	case c.nats.url != "":
		row("log", "in NATS, %s", masked(c.nats.url))
	default:
		row("log", "in memory, the newest %d events of a vCenter, which end with the process; LOG_DIR keeps them", 2*c.segment)
	}
	row("port", "%d", c.port)
	if end := guard.CertificateExpires(); !end.IsZero() {
		row("TLS", "with the certificate in %s, good until %s", c.access.certFile, end.Format(time.RFC3339))
	} else {
		row("TLS", "off")
	}
	var readers []string
	if c.access.tokensFile != "" {
		readers = append(readers, "tokens in "+c.access.tokensFile)
	}
	if c.access.issuer != "" {
		readers = append(readers, "tokens of "+c.access.issuer)
	}
	if c.access.clientCAFile != "" {
		readers = append(readers, "certificates of the authorities in "+c.access.clientCAFile)
	}
	if readers == nil {
		readers = []string{"whoever reaches the port"}
	}
	row("readers", "%s", strings.Join(readers, ", "))
	row("views", "%d", len(c.views))
	row("not checked", "%s", "whether the vCenters, NATS and the issuer of tokens answer, and whether the port is free")
	return table.Flush()
}

// maskedText stands for what does not show.
const maskedText = "masked"

// masked returns addresses of NATS servers without their secrets: passwords, and tokens, which
// stand where a user does.
func masked(addresses string) string {
	parts := strings.Split(addresses, ",")
	for i, part := range parts {
		u, err := url.Parse(strings.TrimSpace(part))
		if err != nil || u.User == nil {
			continue
		}
		if _, has := u.User.Password(); has {
			u.User = url.UserPassword(u.User.Username(), maskedText)
		} else {
			u.User = url.User(maskedText)
		}
		parts[i] = u.String()
	}
	return strings.Join(parts, ",")
}
