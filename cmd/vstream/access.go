package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"

	"vstream/internal/access"
)

// accessConfig is who may read, over what and how fast.
type accessConfig struct {
	certFile, keyFile, clientCAFile string
	tokensFile                      string
	issuer, audience                string
	origins                         []string
	watches, watchesPerClient       int // 0: no limit
	requestRate                     float64
}

func (a *accessConfig) settings() []setting {
	return []setting{
		{"TLS_CERT_FILE", "tls.certFile", "", "PEM file with the certificate to serve TLS with, and those between it and its authority; read again when it changes", to(&a.certFile, parsePath)},
		{"TLS_KEY_FILE", "tls.keyFile", "", "PEM file with the key of the certificate", to(&a.keyFile, parsePath)},
		{"TLS_CLIENT_CA_FILE", "tls.clientCAFile", "", "PEM file of the authorities whose client certificates let in; read again when it changes", to(&a.clientCAFile, parsePath)},
		{"AUTH_TOKENS_FILE", "auth.tokensFile", "", "file with a line name:sha256 for each token that lets in; read again when it changes; vstream token new makes both", to(&a.tokensFile, parsePath)},
		{"OIDC_ISSUER", "auth.oidcIssuer", "", "address of the OpenID Connect issuer whose JSON Web Tokens let in", to(&a.issuer, access.ParseIssuer)},
		{"OIDC_AUDIENCE", "auth.oidcAudience", "", "audience that those tokens must be for", to(&a.audience, anyText)},
		{"CORS_ORIGINS", "cors.origins", "", "origins whose pages may read, with commas between, as https://ui.example.com; * for all, if nobody has to authenticate", to(&a.origins, access.ParseOrigins)},
		{"WATCH_MAX", "limits.watchMax", "100000", "how many watches there may be at a time; 0 for any number", to(&a.watches, parseLimit)},
		{"WATCH_MAX_PER_CLIENT", "limits.watchMaxPerClient", "0", "how many watches a client may have at a time, by its name, or its address if nobody has to authenticate; 0 for any number", to(&a.watchesPerClient, parseLimit)},
		{"REQUEST_RATE_PER_CLIENT", "limits.requestRatePerClient", "0", "how many requests a second a client may send in the long run; 0 for any number", to(&a.requestRate, parseRate)},
	}
}

// check finds settings that do not go together.
func (a *accessConfig) check(labels labels, given values) (found problems) {
	for _, both := range [][2]string{
		{"TLS_CERT_FILE", "TLS_KEY_FILE"},
		{"TLS_KEY_FILE", "TLS_CERT_FILE"},
		{"TLS_CLIENT_CA_FILE", "TLS_CERT_FILE"},
		{"OIDC_ISSUER", "OIDC_AUDIENCE"},
		{"OIDC_AUDIENCE", "OIDC_ISSUER"},
	} {
		if given.set(both[0]) && !given.set(both[1]) {
			found.add(fmt.Errorf("%s is set, but %s is not; set it too", labels[both[0]], labels[both[1]]))
		}
	}
	for _, env := range []string{"AUTH_TOKENS_FILE", "OIDC_ISSUER", "TLS_CLIENT_CA_FILE"} {
		if given.set(env) && slices.Contains(a.origins, access.AnyOrigin) {
			found.add(fmt.Errorf("%s: * is for servers that anybody may read, but %s says who may; name the origins whose pages may", labels["CORS_ORIGINS"], labels[env]))
		}
	}
	if a.watches > 0 && a.watchesPerClient > a.watches {
		found.add(fmt.Errorf("%s is more than all clients may have together, %d (%s); lower the one or raise the other",
			labels["WATCH_MAX_PER_CLIENT"], a.watches, labels["WATCH_MAX"]))
	}
	return found
}

// guard makes what decides who may read. Its errors name the setting to mend.
func (c *config) guard(logger *slog.Logger) (*access.Guard, error) {
	a := c.access
	guard, err := access.New(access.Config{
		CertFile: a.certFile, KeyFile: a.keyFile, ClientCAFile: a.clientCAFile,
		TokensFile: a.tokensFile,
		Issuer:     a.issuer, Audience: a.audience,
		Origins:     a.origins,
		RequestRate: a.requestRate,
		Watches:     a.watches, WatchesPerClient: a.watchesPerClient,
		Logger: logger,
	})
	var unusable *access.FileError
	if errors.As(err, &unusable) {
		label := map[string]string{a.certFile: "TLS_CERT_FILE", a.keyFile: "TLS_KEY_FILE", a.clientCAFile: "TLS_CLIENT_CA_FILE", a.tokensFile: "AUTH_TOKENS_FILE"}[unusable.Path]
		return nil, fmt.Errorf("%s: %w", c.labels[label], err)
	}
	return guard, err
}

func parseLimit(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 1_000_000_000 {
		return 0, fmt.Errorf("%q is not a number from 1 to 1000000000, or 0 for any number", s)
	}
	return n, nil
}

func parseRate(s string) (float64, error) {
	rate, err := strconv.ParseFloat(s, 64)
	if err != nil || !(rate == 0 || rate >= 0.01 && rate <= 1e6) {
		return 0, fmt.Errorf("%q is not a number from 0.01 to 1000000, or 0 for any number", s)
	}
	return rate, nil
}
