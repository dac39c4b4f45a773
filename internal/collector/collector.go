package collector

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"vstream"
)

// overlap is how far before the newest event in the log reading begins again. Events of
// the same moment become visible in any order, and some a little later.
const overlap = time.Minute

// Source is a vCenter as the collector reads it.
type Source interface {
	// Open begins to read at the events of since, or where the first Open began if since
	// is zero.
	Open(ctx context.Context, since time.Time) error
	// Next waits for the next events and returns them, at the offsets of their keys in
	// epoch 0. After an error the source must be closed.
	Next(ctx context.Context) ([]vstream.Event, error)
	// Close gives up what Open took, whether or not it succeeded.
	Close(ctx context.Context) error
}

// Collector carries events from Source to Log. Its fields are set before Run.
type Collector struct {
	Source Source
	Log    vstream.Log
	Logger *slog.Logger
}

// Run collects until ctx is done, and then returns nil. The source is closed by then.
func (c *Collector) Run(ctx context.Context) error {
	pause := backoff.NewExponentialBackOff() // with jitter: vCenters come back to many clients
	pause.InitialInterval = time.Second
	pause.MaxInterval = time.Minute
	for {
		err := c.collect(ctx, pause.Reset)
		// The context of the stop is over, but the source still has to say goodbye.
		if err := c.Source.Close(context.WithoutCancel(ctx)); err != nil {
			c.Logger.Debug("source not closed properly", "error", err)
		}
		if ctx.Err() != nil {
			return nil
		}
		wait := pause.NextBackOff()
		c.Logger.Warn("collecting interrupted", "error", err, "retry_in", wait.Round(time.Millisecond))
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
	}
}

// collect opens the source at the end of the log and appends what it gives until
// something fails. It calls worked whenever something was appended.
func (c *Collector) collect(ctx context.Context, worked func()) error {
	since, err := c.end(ctx)
	if err != nil {
		return err
	}
	if err := c.Source.Open(ctx, since); err != nil {
		return err
	}
	for {
		events, err := c.Source.Next(ctx)
		if err != nil {
			return err
		}
		slices.SortStableFunc(events, func(a, b vstream.Event) int { return cmp.Compare(a.Offset, b.Offset) })
		if err := c.Log.Append(ctx, events); err != nil {
			return fmt.Errorf("append %d events: %w", len(events), err)
		}
		worked()
	}
}

// end returns from when on the log may lack events; zero when it is empty.
func (c *Collector) end(ctx context.Context) (time.Time, error) {
	reader, err := c.Log.Open(ctx, vstream.Newest(1))
	if err != nil {
		return time.Time{}, fmt.Errorf("look for the end of the log: %w", err)
	}
	newest, err := reader.Next(ctx)
	if err != nil {
		return time.Time{}, fmt.Errorf("look for the end of the log: %w", err)
	}
	if len(newest) == 0 {
		return time.Time{}, nil
	}
	return newest[0].Time.Add(-overlap), nil
}
