package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"vstream"
	"vstream/internal/access"
	"vstream/internal/collector"
	"vstream/internal/httpapi"
	"vstream/internal/index"
	"vstream/internal/memlog"
	"vstream/internal/metrics"
	"vstream/internal/natslog"
	"vstream/internal/tracing"
	"vstream/internal/vcenter"
	"vstream/internal/webui"
)

func serveCommand() *cobra.Command {
	var (
		file        string
		check, show bool
	)
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Collect the events of vCenters and serve them",
		Long: "Collect the events of one vCenter or several and serve them over HTTP until stopped. It\n" +
			"starts and serves even while they are down.\n\n" +
			"One vCenter needs only the environment:\n\n" + settingsHelp() + "\n" +
			"Several are listed in a file, --config or " + fileVariable + "; see docs/configuration.md.\n\n" +
			"--check-config tells all that is wrong without starting, and ends with 2 then.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case check && show:
				return usagef("--check-config and --print-config are two things to do; give only one of them")
			case check:
				return checkConfig(os.Getenv, os.Environ(), configPath(file), cmd.OutOrStdout(), cmd.ErrOrStderr())
			case show:
				return printConfig(os.Getenv, configPath(file), cmd.OutOrStdout())
			}
			c, found := gatherConfig(os.Getenv, configPath(file))
			found.add(c.vcenterMissing())
			logger := newLogger(cmd.ErrOrStderr(), c.debug)
			// Before what is wrong, for it may be the reason.
			if names := strangers(os.Environ()); len(names) > 0 {
				logger.Warn("the environment holds variables that are no settings; they are ignored", "variables", strings.Join(names, ", "))
			}
			if err := found.first(); err != nil {
				return err
			}
			engine := c.engine(logger)
			readings := c.readings(engine, logger)
			if err := checkFiles(readings); err != nil {
				return err
			}
			guard, err := c.guard(logger)
			if err != nil {
				return err
			}
			listener, err := listen(net.JoinHostPort("", strconv.Itoa(c.port)))
			if err != nil {
				return fmt.Errorf("%s: %w", c.labels["PORT"], err)
			}
			if engine != nil {
				if err := engine.Claim(); err != nil {
					return c.storeError(err)
				}
			}
			if c.logDir != "" && os.Getenv("GOMEMLIMIT") == "" {
				// The store keeps what it has read for some seconds, as long as there is room.
				debug.SetMemoryLimit(storeMemory)
			}
			logger.Info("serving", "version", versionText(), "address", listener.Addr().String())
			guard.Advise(listener.Addr())
			for _, d := range c.dangers() {
				logger.Warn("a setting may be regretted", "setting", d.setting, "why", d.text)
			}
			return c.serve(cmd.Context(), engine, readings, listener, guard, logger)
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "YAML file with the configuration")
	cmd.Flags().BoolVar(&check, "check-config", false, "check the configuration and the files it names, without a connection, and end")
	cmd.Flags().BoolVar(&show, "print-config", false, "print the configuration as a file, with where each value is from and without secrets, and end")
	return cmd
}

// auditInterval is how often a log is compared with the vCenter's history.
const auditInterval = 5 * time.Minute

// A reading is what serves one vCenter, and shares nothing with that of another.
type reading struct {
	vcenterConfig
	source *vcenter.Source
	log    vstream.Log
	logger *slog.Logger
}

// Sizes of logs that are not configured.
const (
	memoryBytes = 256 << 20
	storeBytes  = 2 << 30
)

// storeMemory is what a server with its logs in a directory should get along with, unless
// GOMEMLIMIT says otherwise: enough for some ten thousand watchers.
const storeMemory = 1 << 30

// engine returns what keeps the logs beyond the process, or nil where that is not
// configured.
func (c *config) engine(logger *slog.Logger) *natslog.Engine {
	if c.logDir == "" && c.nats.url == "" {
		return nil
	}
	var names []string
	for _, v := range c.vcenters {
		names = append(names, v.name)
	}
	return natslog.New(c.store(logger), names...)
}

// store says where and how the logs are kept beyond the process.
func (c *config) store(logger *slog.Logger) natslog.Config {
	return natslog.Config{
		Dir:           c.logDir,
		URL:           c.nats.url,
		Credentials:   c.nats.credentials,
		CAFile:        c.nats.caFile,
		Replicas:      c.nats.replicas,
		Retention:     c.retention,
		MaxBytes:      cmp.Or(c.logBytes, storeBytes),
		MaxRecord:     c.recordBytes,
		WindowRecords: 2 * c.segment,
		WindowBytes:   memoryBytes,
		Logger:        logger,
	}
}

// readings makes one for each vCenter, with the log that engine keeps, or one in memory of
// the documented size, two segments.
func (c *config) readings(engine *natslog.Engine, logger *slog.Logger) []reading {
	all := make([]reading, len(c.vcenters))
	for i, v := range c.vcenters {
		all[i] = c.reading(v, logger.With("vcenter", v.name))
		if engine != nil {
			all[i].log = engine.Log(v.name)
		} else {
			all[i].log = memlog.New(2*c.segment, cmp.Or(c.logBytes, memoryBytes))
		}
	}
	return all
}

// reading makes the one for v, but for its log.
func (c *config) reading(v vcenterConfig, logger *slog.Logger) reading {
	return reading{
		vcenterConfig: v,
		source: &vcenter.Source{
			URL:        v.url,
			SecretPath: v.secretPath,
			Insecure:   v.insecure,
			CAFile:     v.caFile,
			Thumbprint: v.thumbprint,
			Begin:      v.begin,
			TypePrefix: v.typePrefix,
			MaxBytes:   int(c.recordBytes),
			Logger:     logger,
		},
		logger: logger,
	}
}

// checkFiles fails when no vCenter can be reached for want of files, so that a mistake
// shows at the start. Where only some cannot, the others are still worth serving.
func checkFiles(readings []reading) error {
	var first error
	wrong := 0
	for _, r := range readings {
		err := r.checkFiles().first()
		if err == nil {
			continue
		}
		wrong++
		if first == nil {
			first = err
		}
		if len(readings) > 1 {
			r.logger.Warn("files cannot be read", "error", err)
		}
	}
	if wrong < len(readings) {
		return nil
	}
	return first
}

func (r reading) checkFiles() (found problems) {
	if err := r.source.CheckCredentials(); err != nil {
		found.add(fmt.Errorf("%s: %w; %s", r.labels["VCENTER_SECRET_PATH"], err, secretAdvice(err)))
	}
	if err := r.source.CheckTrust(); err != nil {
		found.add(fmt.Errorf("%s: %w", r.labels["VCENTER_CA_FILE"], err))
	}
	return found
}

func secretAdvice(err error) string {
	if errors.Is(err, fs.ErrPermission) {
		return "it must be readable by the user that vstream runs as"
	}
	return "it names the directory with the files username and password"
}

// serve runs what the program is, until ctx is done or a part of it fails:
//
//	vCenter ──▶ source ──▶ collector ──▶ log ──▶ httpapi ──▶ guard ──▶ clients
//	 vCenter ──▶ source ──▶ collector ──▶ log ──┘
//	  …                                     ▲
//	                                      engine, unless the logs are in memory
func (c *config) serve(ctx context.Context, engine *natslog.Engine, readings []reading, listener net.Listener, guard *access.Guard, logger *slog.Logger) error {
	api := &httpapi.Server{
		Listener:    guard.Listener(listener),
		WatchMaxAge: c.watchMaxAge,
		Admit:       guard.Admit,
		Version:     versionText(),
		Views:       c.views,
		Identify: func(r *http.Request) (string, bool) {
			return access.Identity(r.Context()), access.SignedIn(r.Context())
		},
		UI:     webui.Files(),
		Logger: logger,
	}
	api.Guard = func(next http.Handler) http.Handler { return guard.Handler(next, api.Deny) }
	measured := metricsOf(api, guard)
	tracer, err := tracing.Start(ctx, versionText(), logger)
	if err != nil {
		return fmt.Errorf("traces cannot be sent as the variables OTEL_… say: %w", err)
	}
	if tracer != nil {
		api.Trace = tracer.Request
		defer func() {
			if err := tracer.Stop(ctx); err != nil {
				logger.Warn("the last traces were not sent", "error", err)
			}
		}()
	}
	group, ctx := errgroup.WithContext(ctx)
	if engine != nil {
		// It outlives the others, who have something to write to the end.
		keep, stop := context.WithCancel(context.WithoutCancel(ctx))
		kept := make(chan error, 1)
		go func() { kept <- engine.Run(keep) }()
		defer func() {
			stop()
			if err := <-kept; err != nil {
				logger.Warn("logs not closed properly", "error", err)
			}
		}()
		group.Go(func() error {
			select {
			case <-ctx.Done():
				return nil
			case err := <-kept:
				kept <- nil
				return c.storeError(err)
			}
		})
		api.Ready = engine.Ready
	}
	for _, r := range readings {
		collect := &collector.Collector{
			Name:          r.name,
			URL:           r.url.String(),
			Source:        r.source,
			Log:           r.log,
			Logger:        r.logger,
			AuditInterval: auditInterval,
		}
		if tracer != nil {
			r.source.Trace, collect.Trace = tracer.Span, tracer.Span
		}
		status := collect.Status
		of := metrics.VCenter{Name: r.name, Collector: collect.Status, Log: r.log}
		if engine != nil {
			of.Writable = func() (yes, known bool) {
				trouble := engine.Trouble(r.name)
				_, ours := engine.Collector(r.name)
				return trouble == nil, ours || trouble != nil
			}
			if c.nats.url != "" {
				of.Leased = func() bool {
					_, ours := engine.Collector(r.name)
					return ours
				}
			}
			status = func() vstream.Status {
				replica, ours := engine.Collector(r.name)
				s := vstream.Status{Name: r.name, URL: collect.URL, State: vstream.Standby}
				if ours { // else it knows what was when it collected last
					s = collect.Status()
				}
				s.CollectedBy = replica
				if trouble := engine.Trouble(r.name); trouble != nil {
					if !ours { // nor who does now
						s.CollectedBy = ""
					}
					s.State, s.Since = vstream.Failing, trouble.Since
					s.LastError, s.LastErrorAt = "the log cannot be written: "+trouble.Err.Error(), trouble.At
				}
				return s
			}
		}
		indexed := &index.Index{Log: r.log, MaxRows: c.indexed, Logger: r.logger}
		group.Go(func() error { return indexed.Run(ctx) })
		api.VCenters = append(api.VCenters, httpapi.VCenter{Name: r.name, Log: r.log, Status: status, Index: indexed, Types: r.source.Catalogue})
		of.Status = status
		measured.VCenters = append(measured.VCenters, of)
		r.logger.Info("collecting", "url", r.url.String())
		group.Go(func() error {
			if engine != nil {
				return engine.Collect(ctx, r.name, collect.Run)
			}
			return collect.Run(ctx)
		})
	}
	api.Metrics = metrics.Handler(measured)
	group.Go(func() error { return guard.Run(ctx) })
	group.Go(func() error { return api.Run(ctx) })
	err = group.Wait()
	logger.Info("stopped")
	return err
}

// metricsOf returns what is measured of the server, which it has told of its answers.
func metricsOf(api *httpapi.Server, guard *access.Guard) metrics.Process {
	requests := metrics.NewRequests()
	api.Answered = func(a httpapi.Answer) { requests.Answered(a.Route, a.Method, a.Status, a.Took) }
	return metrics.Process{
		Version:  versionText(),
		Requests: requests,
		Watches: func() (all []metrics.Watches) {
			for _, w := range api.Watches() {
				all = append(all, metrics.Watches(w))
			}
			return all
		},
		Reloads: func() (all []metrics.Reload) {
			for _, r := range guard.Reloads() {
				all = append(all, metrics.Reload(r))
			}
			return all
		},
		CertificateExpires: guard.CertificateExpires,
	}
}

// storeError says which setting an error of the logs' store is about: where they are kept,
// unless the error knows better.
func (c *config) storeError(err error) error {
	setting := "NATS_URL"
	if c.logDir != "" {
		setting = "LOG_DIR"
	}
	var known *natslog.SettingError
	if errors.As(err, &known) {
		setting, err = known.Setting, known.Err
	}
	return fmt.Errorf("%s: %w", c.labels[setting], err)
}

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
