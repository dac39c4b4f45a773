package natslog

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"go.uber.org/goleak"

	"vstream"
	"vstream/internal/logtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// testConfig is one that tests change to their needs.
func testConfig(t *testing.T) Config {
	return Config{
		Dir: t.TempDir(), MaxBytes: 1 << 30, MaxRecord: 512 << 10, WindowRecords: 2000, WindowBytes: 256 << 20,
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}
}

// start runs an engine until the test ends or stop is called, and waits until its logs
// are open.
func start(t *testing.T, config Config, vcenters ...string) (e *Engine, stop func()) {
	t.Helper()
	e = New(config, vcenters...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	t.Cleanup(stop)
	for deadline := time.Now().Add(time.Minute); e.Ready() != nil; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the engine is not ready: %v", e.Ready())
		}
		select {
		case err := <-done:
			done <- err
			t.Fatalf("Run: %v", err)
		default:
		}
	}
	return e, stop
}

func TestLogDoesWhatEveryLogMust(t *testing.T) {
	for name, window := range map[string]int{"in the window": 10_000, "in the stream": 3} {
		t.Run(name, func(t *testing.T) {
			logtest.Run(t, func(t *testing.T, maxRecords int) vstream.Log {
				config := testConfig(t)
				config.WindowRecords, config.maxRecords = window, int64(maxRecords)
				e, _ := start(t, config, "vc")
				return e.Log("vc")
			})
		})
	}
}
