package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"vstream"
)

func demoCommand() *cobra.Command {
	var (
		rate float64
		seed uint64
	)
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Show moving events without a vCenter: simulate and serve in one",
		Long: "Run a simulated vCenter and serve its events on this machine, on PORT (default 8080, or the\n" +
			"next free one), and show them as they happen, until stopped.",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := readConfig(demoEnv, "")
			if err != nil {
				return err
			}
			if err := checkRate(rate); err != nil {
				return err
			}
			listener, err := listenNear(c.port, os.Getenv("PORT") != "")
			if err != nil {
				return fmt.Errorf("PORT: %w", err)
			}
			return c.demo(cmd, listener, rate, seed)
		},
	}
	cmd.Flags().Float64Var(&rate, "rate", 2, "events per second in the long run")
	addSeedFlag(cmd, &seed)
	return cmd
}

// demoEnv is the environment without what it says of a vCenter: the demo is about its own.
func demoEnv(name string) string {
	if strings.HasPrefix(name, "VCENTER_") && name != "VCENTER_STREAM_BEGIN" {
		return ""
	}
	return os.Getenv(name)
}

func (c *config) demo(cmd *cobra.Command, listener net.Listener, rate float64, seed uint64) error {
	out := cmd.OutOrStdout()
	sim, err := startSimulator(cmd, "127.0.0.1:0", rate, &seed, c.debug)
	if err != nil {
		listener.Close()
		return err
	}
	defer sim.Close()
	dir, err := temporarySecret("VSPHERE.LOCAL\\vstream", "demo")
	if err != nil {
		listener.Close()
		return err
	}
	defer os.RemoveAll(dir)
	v := &c.vcenters[0]
	v.name, v.url, v.secretPath, v.insecure = "demo", sim.URL(), dir, true

	ready := time.Now()
	logger := newLogger(io.Discard, false)
	if c.debug {
		logger = newLogger(cmd.ErrOrStderr(), true)
	}
	guard, err := c.guard(logger)
	if err != nil {
		listener.Close()
		return err
	}
	scheme := "http"
	if guard.TLS() {
		scheme = "https"
	}
	readings := c.readings(nil, logger)
	if err := printTour(out, scheme+"://"+listener.Addr().String()+"/api/v1/", sim.URL().String()); err != nil {
		listener.Close()
		return err
	}
	group, ctx := errgroup.WithContext(cmd.Context())
	group.Go(func() error { return sim.Run(ctx) })
	group.Go(func() error { return c.serve(ctx, nil, readings, listener, guard, logger) })
	group.Go(func() error { return show(ctx, readings[0].log, ready, out) })
	return group.Wait()
}

// printTour says what can be tried, in the order of the documentation.
func printTour(w io.Writer, api, vcenter string) error {
	_, err := fmt.Fprintf(w, `vstream reads a simulated vCenter at %[1]s. Open %[4]s/ in a browser, or try, in another terminal:

  vstream tail --server %[4]s
  vstream --help
  curl -N -s %[2]srange | jq .
  curl -N -s %[2]sevents | jq .
  curl -N -s %[2]sevents/1 | jq .
  curl -N -s %[2]sevents\?watch=true
  curl -N -s %[2]sevents\?watch=true\&offset=earliest
  curl -N -s %[2]sevents\?watch=true\&severity=error,warning\&format=text
  curl -s %[2]svcenters | jq .

All there is to ask for is at %[3]s. Stop it with Ctrl-C. What happens in the vCenter:

`, vcenter, api, strings.TrimSuffix(api, "api/v1/")+"docs", strings.TrimSuffix(api, "/api/v1/"))
	return err
}

// show prints a line for each event from since on, until ctx is done. What came before,
// the making of the vCenter, would push the tour off the screen.
func show(ctx context.Context, log vstream.Log, since time.Time, w io.Writer) error {
	reader, err := log.Open(ctx, vstream.Oldest{})
	if err != nil {
		return err
	}
	for {
		events, err := reader.Next(ctx)
		if err != nil {
			return err
		}
		for i := range events {
			e := &events[i]
			if e.Time.Before(since) {
				continue
			}
			if _, err := fmt.Fprintf(w, "%6d  %s  %-7s  %-28s  %-16s  %s\n", e.Offset, e.Time.Local().Format("15:04:05"),
				e.Severity, shorten(e.Type, 28), shorten(e.Target(), 16), strings.Join(strings.Fields(e.Message), " ")); err != nil {
				return err
			}
		}
		select {
		case <-reader.More():
		case <-ctx.Done():
			return nil
		}
	}
}

// shorten keeps the end of long names: that is where they differ.
func shorten(s string, most int) string {
	r := []rune(s)
	if len(r) <= most {
		return s
	}
	return "…" + string(r[len(r)-most+1:])
}

// listenNear opens port on this machine or, unless it was asked for, one of those after
// it.
func listenNear(port int, asked bool) (net.Listener, error) {
	const tries = 20
	for p := port; ; p++ {
		l, err := listen(net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err == nil || asked || p == port+tries || !errors.Is(err, errPortInUse) {
			return l, err
		}
	}
}
