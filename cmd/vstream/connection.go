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
	"regexp"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vstream/client"
	"vstream/internal/contexts"
	"vstream/internal/duration"
	"vstream/internal/output"
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
	flags.BoolVarP(&c.verbose, "verbose", "v", false, "say which server is read, and what happens to the connection")
	complete(cmd, "context", func(*cobra.Command, string) []string { return contextNames() })
}

// addContextFlags adds the flags that say what a context does.
func (c *connection) addContextFlags(flags *pflag.FlagSet) {
	flags.StringVarP(&c.Server, "server", "S", "", "address of the server, as https://vstream.example.com (or "+serverVariable+")")
	flags.StringVar(&c.TokenFile, "token-file", "", "file with your token, where the server wants one (or "+tokenVariable+")")
	flags.StringVar(&c.CAFile, "ca-file", "", "PEM file of the authorities to trust instead of the system's")
	flags.StringVar(&c.CertFile, "cert-file", "", "PEM file with your certificate, where the server wants one")
	flags.StringVar(&c.KeyFile, "key-file", "", "PEM file with the key of that certificate")
	flags.BoolVar(&c.InsecureSkipVerify, "insecure-skip-verify", false, "trust any certificate of the server; only for tests")
}

// contradictions are flags of which one at most makes sense.
var contradictions = [][]string{
	{"server", "context"}, {"quiet", "verbose"}, {"output", "jq"}, {"follow", "no-follow"},
	{"since", "offset", "cursor", "all"}, {"last", "offset", "cursor", "all"},
}

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
	return emptyFlag(cmd)
}

// emptyFlag finds a flag that is given without a value, as where a variable of a shell is not
// set: to read on as if it were not there would do something else than was meant.
func emptyFlag(cmd *cobra.Command) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if text := f.Value.String(); f.Value.Type() != fieldType && (text == "" || text == "[]") {
			err = usagef("--%s: it is empty; leave the flag out, or give it a value", f.Name)
		}
	})
	return err
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
	if target.Server, err = withScheme(target.Server); err != nil {
		return target, "", err
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
		} else if len(file.Contexts) > 0 {
			return target, "", usageError{noContext(file)}
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

var (
	withPort = regexp.MustCompile(`^([A-Za-z0-9.-]*|\[[0-9a-fA-F:.]+\]):\d{1,5}(/[\w./-]*)?$`)
	dotted   = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/[\w./-]*)?$`)
)

// withScheme adds the scheme to the address of a server on this machine that lacks it. Of one
// elsewhere it is not guessed: a token would go there in the clear.
func withScheme(address string) (string, error) {
	if !withPort.MatchString(address) && !dotted.MatchString(address) {
		return address, nil
	}
	host, _, _ := strings.Cut(address, "/")
	if name, port, err := net.SplitHostPort(host); err == nil {
		switch {
		case name == "":
			return "http://localhost:" + port, nil
		case isHere(name):
			return "http://" + address, nil
		}
	}
	return "", usagef("the address of the server begins with https://, or http:// where it has no TLS; write https://%s (--server, %s)", address, serverVariable)
}

// isHere reports whether a host is this machine.
func isHere(host string) bool { return host == "localhost" || net.ParseIP(host).IsLoopback() }

// open returns a client of the server. Its errors are the command line's fault.
func (c *connection) open(cmd *cobra.Command) (*client.Client, error) {
	if err := checkFlags(cmd); err != nil {
		return nil, err
	}
	target, name, err := c.resolve()
	if err != nil {
		return nil, err
	}
	switch {
	case target.CertFile != "" && target.KeyFile == "":
		return nil, usagef("--key-file is missing: the key of the certificate %s", target.CertFile)
	case target.KeyFile != "" && target.CertFile == "":
		return nil, usagef("--cert-file is missing: the certificate of the key %s", target.KeyFile)
	}
	c.stderr = cmd.ErrOrStderr()
	options := []client.Option{client.WithUserAgent("vstream/" + versionText() + " (" + runtime.GOOS + ")"), client.WithLogger(slog.New(talker{c}))}
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
	if u, err := url.Parse(server.Server()); err == nil && target.TokenFile != "" && u.Scheme == "http" && !isHere(u.Hostname()) {
		c.talk("the token travels in the clear; use https")
	}
	if c.verbose {
		of := ""
		if name != "" {
			of = ", of the context " + name
		}
		c.talk("the server is %s%s", server.Server(), of)
	}
	return server, nil
}

// ask asks the server, in the time there is.
func ask[T any](cmd *cobra.Command, c *connection, question func(context.Context, *client.Client) (T, error)) (T, error) {
	server, err := c.open(cmd)
	if err != nil {
		return *new(T), err
	}
	ctx, cancel := c.bounded(cmd)
	defer cancel()
	answer, err := question(ctx, server)
	if err != nil {
		err = ended(ctx, cmd, err)
	}
	return answer, err
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

// A talker says what a client logs in the words of the command line: what happens to the
// connection with --verbose, and failures always. Warnings are left out, for commands say
// themselves what they are about.
type talker struct{ *connection }

// Enabled implements [slog.Handler].
func (t talker) Enabled(_ context.Context, level slog.Level) bool {
	return level >= slog.LevelError || t.verbose && level < slog.LevelWarn
}

// Handle implements [slog.Handler].
func (t talker) Handle(_ context.Context, r slog.Record) error {
	text := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if value := a.Value.String(); value != "" && value != "<nil>" {
			text += ", " + a.Key + " " + value
		}
		return true
	})
	_, err := fmt.Fprintf(t.stderr, "vstream: %s\n", output.Clean(text))
	return err
}

// WithAttrs implements [slog.Handler]. Clients use none.
func (t talker) WithAttrs([]slog.Attr) slog.Handler { return t }

// WithGroup implements [slog.Handler]. Clients use none.
func (t talker) WithGroup(string) slog.Handler { return t }
