package natslog

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"
)

// Config says where logs are kept and how much of them. Either Dir or URL is set.
type Config struct {
	Dir string // of the embedded server's store

	URL         string // of the servers of a cluster, with commas between
	Credentials string // file with the credentials for it, or empty
	CAFile      string // PEM file of the authorities to trust instead of the system's, or empty
	Replicas    int    // copies of each log in the cluster; 0 is three if it has them

	Retention time.Duration // how long an event is kept; 0 is for ever
	MaxBytes  int64         // most that a log may take in its stream
	MaxRecord int64         // largest event there will be

	WindowRecords int   // events of each log in memory
	WindowBytes   int64 // that they may take

	Logger *slog.Logger

	maxRecords int64         // most events in a stream, for tests; 0 is no limit
	fetched    *atomic.Int64 // counts reads from streams, for tests; may be nil
	leaseTime  time.Duration // for tests; 0 is leaseTime
}

// Engine keeps logs. Its methods may be called from any goroutine.
type Engine struct {
	config Config
	logs   []*Log
	leases *leases // nil in an embedded engine
	unlock func()  // of the directory; nil while that is not ours
	looked bool    // whether there are logs of other vCenters was looked for; only keep uses it
}

// New returns an engine for the logs of these vCenters.
func New(config Config, vcenters ...string) *Engine {
	e := &Engine{config: config}
	for _, name := range vcenters {
		e.logs = append(e.logs, newLog(name, &e.config))
	}
	if config.Dir == "" {
		e.leases = newLeases(vcenters, cmp.Or(config.leaseTime, leaseTime), config.Logger)
	}
	return e
}

// Log returns the log of a vCenter that New was told of.
func (e *Engine) Log(vcenter string) *Log {
	for _, l := range e.logs {
		if l.name == vcenter {
			return l
		}
	}
	panic("natslog: no such vCenter: " + vcenter)
}

// Claim makes the directory for the logs and keeps other processes from it until Run has
// returned. Run does so itself; a start calls it that should fail before anything else has
// begun. In a cluster there is nothing to claim.
func (e *Engine) Claim() error {
	if e.config.Dir == "" || e.unlock != nil {
		return nil
	}
	var err error
	e.unlock, err = lock(e.config.Dir, "stop that, or choose another directory")
	return err
}

// Run keeps the logs until ctx is done, and returns nil then. It goes on trying whatever
// can heal by itself; its error is of something that cannot. Once all logs have been open
// there is no such thing: what goes wrong later is somebody's doing, who may undo it.
func (e *Engine) Run(ctx context.Context) error {
	if err := e.Claim(); err != nil {
		return err
	}
	session := e.cluster
	if e.config.Dir != "" {
		defer func() {
			e.unlock()
			e.unlock = nil
		}()
		session = e.embedded
	}
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 250*time.Millisecond, 15*time.Second
	for {
		began := time.Now()
		err := session(ctx, e.keep)
		var hopeless *fatalError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &hopeless) && !e.opened():
			return hopeless.error
		}
		if time.Since(began) > pause.MaxInterval {
			pause.Reset()
		}
		wait := pause.NextBackOff()
		e.config.Logger.Warn("logs cannot be reached", "error", err, "retry_in", wait.Round(time.Millisecond))
		for _, l := range e.logs {
			l.fails(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// A fatalError does not heal by itself.
type fatalError struct{ error }

func (e *fatalError) Unwrap() error { return e.error }

func fatal(err error) error { return &fatalError{err} }

// A SettingError is about the value of one setting.
type SettingError struct {
	Setting string // its environment variable
	Err     error
}

func (e *SettingError) Error() string { return e.Setting + ": " + e.Err.Error() }

// Unwrap returns what is wrong with the value.
func (e *SettingError) Unwrap() error { return e.Err }

func of(setting string, err error) error { return &SettingError{setting, err} }

// keep keeps all logs on a connection until ctx is done or the connection is of no use.
func (e *Engine) keep(ctx context.Context, nc *nats.Conn) error {
	if err := e.config.fits(nc); err != nil {
		return err
	}
	js, err := jetstream.New(nc, jetstream.WithDefaultTimeout(readTimeout))
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, l := range e.logs {
		group.Go(func() error { return l.keep(ctx, js) })
	}
	if e.leases != nil {
		group.Go(func() error { return e.leases.keep(ctx, js, e.config.Replicas) })
	}
	if !e.looked {
		group.Go(func() error {
			e.looked = e.tellOfOthers(ctx, js)
			return nil
		})
	}
	return group.Wait()
}

// tellOfOthers warns of each log of a vCenter that the engine was not told of: the vCenter
// may have been renamed, and then its log takes room that nobody thinks of. It reports
// whether it could look for them.
func (e *Engine) tellOfOthers(ctx context.Context, js jetstream.JetStream) (looked bool) {
	streams := js.ListStreams(ctx, jetstream.WithStreamListSubject("vstream.>"))
	for info := range streams.Info() {
		vcenter, some := strings.CutPrefix(info.Config.Name, streamName(""))
		if !some || info.Config.Metadata[formatKey] == "" || slices.ContainsFunc(e.logs, func(l *Log) bool { return l.name == vcenter }) {
			continue
		}
		e.config.Logger.Warn("there is a log of a vCenter that is not configured here; was it renamed? see vstream log export, and vstream log delete",
			"vcenter", vcenter, "events", info.State.Msgs, "bytes", info.State.Bytes)
	}
	return streams.Err() == nil
}

// fits fails when NATS does not take the largest event there will be.
func (c *Config) fits(nc *nats.Conn) error {
	if most := nc.MaxPayload(); most < c.MaxRecord+headerRoom {
		return fatal(fmt.Errorf("NATS takes messages of at most %d bytes, events may have %d; raise max_payload there, or lower LOG_MAX_RECORD_SIZE_BYTES", most, c.MaxRecord+headerRoom))
	}
	return nil
}

// headerRoom is how much a message may have beside the event.
const headerRoom = 16 << 10

// keep keeps a log on a connection until ctx is done or something does not heal.
func (l *Log) keep(ctx context.Context, js jetstream.JetStream) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = 100*time.Millisecond, 5*time.Second
	for {
		began := time.Now()
		err := l.once(ctx, js)
		var hopeless *fatalError
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.As(err, &hopeless) && !l.opened():
			return err
		}
		if time.Since(began) > pause.MaxInterval {
			pause.Reset()
		}
		if !js.Conn().IsConnected() { // that is known already
			l.fails(err)
			if err := connected(ctx, js.Conn()); err != nil {
				return err
			}
			continue
		}
		l.logger.Warn("log interrupted", "error", lost(err))
		l.fails(err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause.NextBackOff()):
		}
	}
}

func (l *Log) once(ctx context.Context, js jetstream.JetStream) error {
	s, err := l.config.find(ctx, js, l.name)
	if err != nil {
		return err
	}
	select {
	case <-l.broken: // it is looked at now
	default:
	}
	now := time.Now()
	if err := l.load(ctx, s); err != nil {
		return err
	}
	l.heard.Store(&now)
	return l.follow(ctx, s)
}

// connected waits until there is a connection again.
func connected(ctx context.Context, nc *nats.Conn) error {
	changed := nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer nc.RemoveStatusListener(changed)
	for !nc.IsConnected() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
		if nc.IsClosed() {
			return nats.ErrConnectionClosed
		}
	}
	return nil
}

// Ready returns nil once all logs can be read, and else what they wait for. In a cluster it
// is an error, too, when this process alone or all of them have been cut off from NATS for
// the time of a lease: others may have newer events by then.
func (e *Engine) Ready() error {
	for _, l := range e.logs {
		if l.opened() {
			continue
		}
		if trouble := l.trouble.Load(); trouble != nil {
			return fmt.Errorf("the log of %s is not open: %w", l.name, trouble.Err)
		}
		return fmt.Errorf("the log of %s is not open yet", l.name)
	}
	if e.leases == nil || len(e.logs) == 0 {
		return nil
	}
	var heard time.Time
	for _, l := range e.logs {
		at := l.heard.Load()
		if at == nil {
			return nil // it has been opened just now
		}
		if at.After(heard) {
			heard = *at
		}
	}
	if quiet := time.Since(heard); quiet > e.leases.life {
		return fmt.Errorf("NATS has not been reached for %v; other replicas may have newer events", quiet.Round(time.Second))
	}
	return nil
}

func (e *Engine) opened() bool {
	return !slices.ContainsFunc(e.logs, func(l *Log) bool { return !l.opened() })
}

// opened reports whether the log has been open, and so can be read as far as it is known.
func (l *Log) opened() bool {
	select {
	case <-l.loaded:
		return true
	default:
		return false
	}
}

// Collect calls collect when the log of a vCenter is open and this process is the one to
// collect for it, and again when that is so again. The context of collect is done when it
// no longer is. Collect returns when ctx is done or collect has failed.
func (e *Engine) Collect(ctx context.Context, vcenter string, collect func(context.Context) error) error {
	l := e.Log(vcenter)
	select {
	case <-l.loaded:
	case <-ctx.Done():
		return nil
	}
	if e.leases == nil {
		return collect(ctx)
	}
	return e.leases.hold(ctx, vcenter, collect)
}

// Collector returns which replica collects from a vCenter, and whether it is this one. The
// replica is empty where there are no others, and while none collects.
func (e *Engine) Collector(vcenter string) (replica string, ours bool) {
	if e.leases == nil {
		return "", true
	}
	return e.leases.owner(vcenter)
}

// Trouble is why a log cannot be written now, and when that was last tried.
type Trouble struct {
	Err       error
	Since, At time.Time
}

// fails takes note that the log cannot be written, until it is followed again.
func (l *Log) fails(err error) {
	now := time.Now()
	t := &Trouble{Err: lost(err), Since: now, At: now}
	if before := l.trouble.Load(); before != nil {
		t.Since = before.Since
	}
	l.trouble.Store(t)
}

// Trouble returns what keeps the log of a vCenter from being written, or nil. That a store can
// be read but takes nothing, as on a full disk, shows to who collects alone.
func (e *Engine) Trouble(vcenter string) *Trouble {
	l := e.Log(vcenter)
	if t := l.trouble.Load(); t != nil {
		return t
	}
	r := l.refused.Load()
	if _, ours := e.Collector(vcenter); r == nil || !ours {
		return nil
	}
	if _, end := l.end(); end.next != r.next {
		return nil
	}
	return &r.Trouble
}
