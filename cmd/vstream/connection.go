package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vstream/client"
	"vstream/internal/contexts"
	"vstream/internal/duration"
)

// Variables of the environment for the commands that read from a server.
const (
	serverVariable   = "VSTREAM_SERVER"
	tokenVariable    = "VSTREAM_TOKEN_FILE" //nolint:gosec // the name of a variable
	contextsVariable = "VSTREAM_CLI_CONFIG"
)

// defaultServer is read from when nothing says another.
const defaultServer = "http://localhost:8080"

// A connection is which server to read from, and how. Its fields are flags.
type connection struct {
	contexts.Context
	name           string // of the context
	quiet, verbose bool
	timeout        time.Duration
	stderr         io.Writer
}

const connectionHelp = `Which server: --server, else --context, else VSTREAM_SERVER, else the context that
"vstream config use" has chosen, else ` + defaultServer + `.
What is known of a context, as its token, is sent to its own server only.

See also: vstream help forms, vstream help exit-codes, vstream help environment`

func (c *connection) addFlags(cmd *cobra.Command) {
	c.addContextFlags(cmd.Flags())
	flags := cmd.Flags()
	flags.StringVar(&c.name, "context", "", "read from the server of this context; see: vstream config")
	flags.Var(durationFlag(&c.timeout), "timeout", "end after so long, with the exit code 124, as in 30s")
	flags.BoolVarP(&c.quiet, "quiet", "q", false, "say nothing but errors, and what was missed")
	flags.BoolVarP(&c.verbose, "verbose", "v", false, "say what happens to the connection")
	complete(cmd, "context", func(*cobra.Command, string) []string { return contextNames() })
}

// addContextFlags adds the flags that say what a context does.
func (c *connection) addContextFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&c.Server, "server", "S", "", "address of the server, as https://vstream.example.com (or "+serverVariable+")")
	flags.StringVar(&c.TokenFile, "token-file", "", "file with the token that lets in (or "+tokenVariable+")")
	flags.StringVar(&c.CAFile, "ca-file", "", "PEM file of the authorities to trust instead of the system's")
	flags.StringVar(&c.CertFile, "cert-file", "", "PEM file with a certificate that lets in")
	flags.StringVar(&c.KeyFile, "key-file", "", "PEM file with the key of that certificate")
	flags.BoolVar(&c.InsecureSkipVerify, "insecure-skip-verify", false, "trust any certificate of the server; only for tests")
}

// contradictions are flags of which one at most makes sense.
var contradictions = [][]string{{"server", "context"}, {"quiet", "verbose"}, {"output", "jq"}, {"since", "offset", "cursor", "last", "all"}}

// checkFlags finds flags that contradict one another.
func checkFlags(cmd *cobra.Command) error {
	for _, names := range contradictions {
		var given []string
		for _, name := range names {
			if cmd.Flags().Changed(name) {
				given = append(given, "--"+name)
			}
		}
		if len(given) > 1 {
			return usagef("%s contradict one another; give one of them", strings.Join(given, " and "))
		}
	}
	return nil
}

// durationFlag is a length of time as people write them, days too.
func durationFlag(target *time.Duration) pflag.Value {
	return &flagValue{kind: "duration", set: to(target, func(s string) (time.Duration, error) {
		d, err := duration.Parse(s)
		if err == nil && d == 0 {
			err = fmt.Errorf("%q is no time at all; write for example 30s", s)
		}
		return d, err
	})}
}

// A flagValue is a flag of which set reads the value.
type flagValue struct {
	text, kind string
	set        func(string) error
}

func (f *flagValue) String() string { return f.text }
func (f *flagValue) Type() string   { return f.kind }

func (f *flagValue) Set(text string) error {
	err := f.set(text)
	if err == nil {
		f.text = text
	}
	return err
}

// contextsPath returns where the file of contexts is.
func contextsPath() (string, error) {
	if path := os.Getenv(contextsVariable); path != "" {
		return path, nil
	}
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("it is not known where to keep contexts (%w); name a file in %s", err, contextsVariable)
	}
	return filepath.Join(dir, "vstream", "config.yaml"), nil
}

func loadContexts() (file *contexts.File, path string, err error) {
	if path, err = contextsPath(); err == nil {
		file, err = contexts.Load(path)
	}
	return file, path, err
}

// contextNames returns the contexts there are, for completion.
func contextNames() []string {
	file, _, err := loadContexts()
	if err != nil {
		return nil
	}
	return file.Names()
}

// resolve finds the server, and takes what is not said by flags from its context. The name is
// that of the context, or empty.
func (c *connection) resolve() (target contexts.Context, name string, err error) {
	target = c.Context
	if target.Server == "" && c.name == "" {
		target.Server = os.Getenv(serverVariable)
	}
	var of contexts.Context
	if target.Server == "" {
		file, _, err := loadContexts()
		if err != nil {
			if c.name != "" || os.Getenv(contextsVariable) != "" {
				return target, "", err
			}
			file = new(contexts.File) // a machine without a home
		}
		if name = cmp.Or(c.name, file.Current); name != "" {
			if of, err = file.Get(name); err != nil {
				return target, "", usageError{err}
			}
		}
	}
	if name == "" {
		target.Server = cmp.Or(target.Server, defaultServer)
		target.TokenFile = cmp.Or(target.TokenFile, os.Getenv(tokenVariable))
		return target, "", nil
	}
	target.Server = of.Server
	target.TokenFile = cmp.Or(target.TokenFile, of.TokenFile)
	target.CAFile = cmp.Or(target.CAFile, of.CAFile)
	if target.CertFile == "" && target.KeyFile == "" {
		target.CertFile, target.KeyFile = of.CertFile, of.KeyFile
	}
	target.InsecureSkipVerify = target.InsecureSkipVerify || of.InsecureSkipVerify
	return target, name, nil
}

// open returns a client of the server. Its errors are the command line's fault.
func (c *connection) open(cmd *cobra.Command) (*client.Client, error) {
	if err := checkFlags(cmd); err != nil {
		return nil, err
	}
	target, _, err := c.resolve()
	if err != nil {
		return nil, err
	}
	c.stderr = cmd.ErrOrStderr()
	options := []client.Option{client.WithUserAgent("vstream/" + versionText() + " (" + runtime.GOOS + ")")}
	level := slog.LevelError
	if c.verbose {
		level = slog.LevelDebug
	}
	options = append(options, client.WithLogger(slog.New(slog.NewTextHandler(c.stderr, &slog.HandlerOptions{Level: level}))))
	if target.TokenFile != "" {
		options = append(options, client.WithTokenFile(target.TokenFile))
	}
	if target.CAFile != "" {
		options = append(options, client.WithCAFile(target.CAFile))
	}
	if target.CertFile != "" || target.KeyFile != "" {
		options = append(options, client.WithClientCertificate(target.CertFile, target.KeyFile))
	}
	if target.InsecureSkipVerify {
		options = append(options, client.WithInsecureSkipVerify())
	}
	server, err := client.New(target.Server, options...)
	if err != nil {
		return nil, usageError{err}
	}
	if target.InsecureSkipVerify {
		c.talk("the certificate of the server is not verified: whoever is in between can read and change what comes")
	}
	if u, err := url.Parse(server.Server()); err == nil && target.TokenFile != "" && u.Scheme == "http" && u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback() {
		c.talk("the token travels in the clear; use https")
	}
	return server, nil
}

// bounded returns the context of a command, which ends with --timeout, too.
func (c *connection) bounded(cmd *cobra.Command) (context.Context, context.CancelFunc) {
	if c.timeout == 0 {
		return context.WithCancel(cmd.Context())
	}
	return context.WithTimeoutCause(cmd.Context(), c.timeout, errTimeout)
}

// ended returns what a command ends with whose context is done, or else err.
func ended(ctx context.Context, cmd *cobra.Command, err error) error {
	switch {
	case cmd.Context().Err() != nil:
		return errStopped
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return err
}

// talk says something to the person who waits.
func (c *connection) talk(format string, args ...any) {
	if !c.quiet {
		fmt.Fprintf(c.stderr, "vstream: "+format+"\n", args...)
	}
}
