package natslog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"vstream"
)

const (
	startTimeout = time.Minute // until an embedded server answers: it may have much to look through
	lookInterval = time.Second
)

// lock keeps other processes from the directory, which it makes if it is not there. When
// one has it, its error ends with the advice.
func lock(dir, advice string) (unlock func(), err error) {
	var failed *fs.PathError
	err = os.MkdirAll(dir, 0o700)
	switch {
	case errors.As(err, &failed) && errors.Is(err, syscall.ENOTDIR):
		return nil, fmt.Errorf("%s is a file, not a directory for logs", failed.Path)
	case errors.As(err, &failed):
		return nil, fmt.Errorf("the directory for logs %s cannot be made: %w", dir, failed.Err)
	case err != nil:
		return nil, err
	}
	file := flock.New(filepath.Join(dir, "vstream.lock"))
	got, err := file.TryLock()
	switch {
	case errors.As(err, &failed):
		return nil, fmt.Errorf("the directory for logs %s cannot be written: %w", dir, failed.Err)
	case err != nil:
		return nil, fmt.Errorf("lock the directory for logs %s: %w", dir, err)
	case !got:
		return nil, fmt.Errorf("the directory %s is in use by another vstream; %s", dir, advice)
	}
	return func() { _ = file.Unlock() }, nil
}

// CheckDir reports whether logs can be kept in dir as far as that shows without a trace: that
// it, or what is nearest above it, is a directory that can be written. It may be in use.
func CheckDir(dir string) error {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) && at != filepath.Dir(at):
			continue // the file that is no directory is above
		case err != nil:
			return fmt.Errorf("the directory for logs %s cannot be used: %w", dir, err)
		case !info.IsDir():
			return fmt.Errorf("%s is a file, not a directory for logs", at)
		}
		probe, err := os.CreateTemp(at, ".vstream-*")
		if err != nil {
			var failed *fs.PathError
			if errors.As(err, &failed) {
				err = failed.Err
			}
			return fmt.Errorf("the directory for logs %s cannot be written: %w", at, err)
		}
		_ = probe.Close()
		return os.Remove(probe.Name())
	}
}

// embedded calls keep with a connection to a server of its own, whose context is done when
// ctx is or the server gives up, as it does when it cannot write.
func (e *Engine) embedded(ctx context.Context, keep func(context.Context, *nats.Conn) error) error {
	trouble := &serverLog{logger: e.config.Logger.With("part", "nats")}
	options := &server.Options{
		ServerName:         "vstream",
		DontListen:         true,
		NoSigs:             true,
		JetStream:          true,
		StoreDir:           e.config.Dir,
		SyncAlways:         true,
		JetStreamMaxMemory: 64 << 20, // nothing is kept there
		JetStreamMaxStore:  1 << 62,  // the streams have limits of their own
		MaxPayload:         int32(min(e.config.MaxRecord+headerRoom, 64<<20)),
		MaxPending:         256 << 20,
	}
	options.MaxPayload = max(options.MaxPayload, server.MAX_PAYLOAD_SIZE)
	ns, err := server.NewServer(options)
	if err != nil {
		return fatal(fmt.Errorf("open the directory for logs %s: %w", e.config.Dir, err))
	}
	ns.SetLoggerV2(trouble, false, false, false)
	ns.Start()
	defer func() {
		ns.Shutdown()
		ns.WaitForShutdown()
	}()
	for began := time.Now(); !ns.ReadyForConnections(100 * time.Millisecond); {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if trouble.fatal.Load() || time.Since(began) > startTimeout {
			return fmt.Errorf("open the directory for logs %s: %s", e.config.Dir, trouble.last("the embedded server does not answer"))
		}
	}
	if !ns.JetStreamEnabled() {
		return fmt.Errorf("open the directory for logs %s: %s", e.config.Dir, trouble.last("the embedded server does not answer"))
	}
	nc, err := nats.Connect("", nats.InProcessServer(ns), nats.Name("vstream"), nats.NoReconnect())
	if err != nil {
		return err
	}
	defer nc.Close()
	e.failing() // of the server before this one
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		tick := time.NewTicker(lookInterval)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if !ns.JetStreamEnabled() || e.failing() || trouble.write.Load() {
					// A server that could not write once never does again.
					cancel(fmt.Errorf("write to %s: %s", e.config.Dir, trouble.last("the store is opened again")))
					return
				}
			}
		}
	}()
	err = keep(ctx, nc)
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// failing reports whether a log could not be written since it was last asked.
func (e *Engine) failing() bool {
	failing := false
	for _, l := range e.logs {
		select {
		case <-l.failing:
			failing = true
		default:
		}
	}
	return failing
}

// holds fails if the directory has events of a stream, though its server knows of no such
// stream: a new one would take their place.
func (c *Config) holds(stream string) error {
	stored, err := c.stored()
	if err != nil || !slices.Contains(stored, stream) {
		return err
	}
	return &vstream.DamageError{Err: fmt.Errorf("the directory %s holds events, but is damaged, so that they cannot be read, which does not heal by itself; put back %s and %s in it from a backup, or move it away to begin anew",
		filepath.Join(c.streams(), stream), server.JetStreamMetaFile, server.JetStreamMetaFileSum)}
}

// streams is where the embedded server keeps streams, each in a directory of its name.
func (c *Config) streams() string { return filepath.Join(c.Dir, "jetstream", "$G", "streams") }

// stored returns the names of the streams whose events are in the directory, whether its
// server can read them or not. In a cluster it knows of none.
func (c *Config) stored() (names []string, err error) {
	if c.Dir == "" {
		return nil, nil
	}
	streams, err := os.ReadDir(c.streams())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, stream := range streams {
		blocks, err := os.ReadDir(filepath.Join(c.streams(), stream.Name(), "msgs"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		if slices.ContainsFunc(blocks, func(block os.DirEntry) bool {
			info, err := block.Info()
			return filepath.Ext(block.Name()) == ".blk" && (err != nil || info.Size() > 0)
		}) {
			names = append(names, stream.Name())
		}
	}
	return names, nil
}

// serverLog is what the embedded server says, in our log.
type serverLog struct {
	logger *slog.Logger
	error  atomic.Pointer[string] // the last
	fatal  atomic.Bool            // there was one that a server alone would end with
	write  atomic.Bool            // something could not be written
}

// last returns the last error that the server reported, or what else there is to say.
func (l *serverLog) last(otherwise string) string {
	if text := l.error.Load(); text != nil {
		return *text
	}
	return otherwise
}

func (l *serverLog) Errorf(format string, v ...any) {
	text := fmt.Sprintf(format, v...)
	l.error.Store(&text)
	if strings.Contains(strings.ToLower(text), "write error") { // else it shows when Append fails
		l.write.Store(true)
	}
	l.logger.Error("the embedded server reports", "message", text)
}

func (l *serverLog) Fatalf(format string, v ...any) {
	l.Errorf(format, v...)
	l.fatal.Store(true)
}

func (l *serverLog) Warnf(format string, v ...any) {
	message := fmt.Sprintf(format, v...)
	if strings.Contains(message, "Recovering stream state from index errored") {
		// So it is after every kill: the index is written at a stop, and made anew from the
		// events without it.
		l.logger.Info("the logs were not closed properly; their index is made anew", "message", message)
		return
	}
	l.logger.Warn("the embedded server warns", "message", message)
}
func (l *serverLog) Noticef(format string, v ...any) {
	l.logger.Debug("the embedded server notes", "message", fmt.Sprintf(format, v...))
}
func (l *serverLog) Debugf(string, ...any) {}
func (l *serverLog) Tracef(string, ...any) {}
