package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"vstream"
	"vstream/internal/collector"
	"vstream/internal/httpapi"
	"vstream/internal/memlog"
	"vstream/internal/vcenter"
)

func serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Collect the events of a vCenter and serve them",
		Long: "Collect the events of a vCenter and serve them over HTTP until stopped. It starts and\n" +
			"serves even while the vCenter is down.\n\n" +
			"Environment:\n" + settingsHelp(),
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig(os.Getenv)
			if err != nil {
				return err
			}
			if c.vcenterURL == nil {
				return errors.New("VCENTER_URL is not set; set it to the address of your vCenter, as in https://vcenter.example.com (without a vCenter at hand, try: vstream demo)")
			}
			logger := newLogger(cmd.ErrOrStderr(), c.debug)
			source := c.source(logger)
			if err := source.CheckCredentials(); err != nil {
				return fmt.Errorf("VCENTER_SECRET_PATH: %w; it names the directory with the files username and password", err)
			}
			if err := source.CheckTrust(); err != nil {
				return fmt.Errorf("VCENTER_CA_FILE: %w", err)
			}
			listener, err := listen(net.JoinHostPort("", strconv.Itoa(c.port)))
			if err != nil {
				return fmt.Errorf("PORT: %w", err)
			}
			logger.Info("serving", "version", versionText(), "address", listener.Addr().String())
			return c.serve(cmd.Context(), source, c.newLog(), listener, logger)
		},
	}
}

// auditInterval is how often the log is compared with the vCenter's history.
const auditInterval = 5 * time.Minute

// serve runs what the program is, until ctx is done or a part of it fails:
//
//	vCenter ──▶ source ──▶ collector ──▶ log ──▶ httpapi ──▶ clients
func (c *config) serve(ctx context.Context, source collector.Source, log vstream.Log, listener net.Listener, logger *slog.Logger) error {
	collect := &collector.Collector{
		Name:          c.vcenterURL.Hostname(),
		URL:           c.vcenterURL.String(),
		Source:        source,
		Log:           log,
		Logger:        logger.With("vcenter", c.vcenterURL.Hostname()),
		AuditInterval: auditInterval,
	}
	api := &httpapi.Server{
		Listener:    listener,
		Log:         log,
		WatchMaxAge: c.watchMaxAge,
		Logger:      logger,
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return collect.Run(ctx) })
	group.Go(func() error { return api.Run(ctx) })
	err := group.Wait()
	logger.Info("stopped")
	return err
}

func (c *config) source(logger *slog.Logger) *vcenter.Source {
	return &vcenter.Source{
		URL:        c.vcenterURL,
		SecretPath: c.secretPath,
		Insecure:   c.insecure,
		CAFile:     c.caFile,
		Thumbprint: c.thumbprint,
		Begin:      c.begin,
		TypePrefix: c.typePrefix,
		MaxBytes:   int(c.recordBytes),
		Logger:     logger,
	}
}

// newLog returns an empty log of the configured size: two segments, as documented.
func (c *config) newLog() *memlog.Log { return memlog.New(2*c.segment, c.logBytes) }

func newLogger(w io.Writer, debug bool) *slog.Logger {
	level := slog.LevelInfo
	if debug {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}

var errPortInUse = errors.New("is in use by another process")

// listen opens a TCP port, and says what to do when it cannot be had.
func listen(address string) (net.Listener, error) {
	listener, err := net.Listen("tcp", address)
	if errors.Is(err, syscall.EADDRINUSE) {
		_, port, _ := net.SplitHostPort(address)
		return nil, fmt.Errorf("port %s %w; stop that or choose another port", port, errPortInUse)
	}
	return listener, err
}
