package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/vmware/govmomi"
	"github.com/vmware/govmomi/event"
	"github.com/vmware/govmomi/vim25/types"

	"vstream/internal/simulator"
)

// pollInterval is how often the peer asks for news: what scripts that poll a vCenter do.
const pollInterval = time.Second

// latency measures how long it takes from an event in a simulated vCenter until a watcher of
// vstream has it, and until one has it who polls the vCenter.
func (b *bench) latency(ctx context.Context) error {
	var ours, theirs watched
	err := b.inNewDir(func(dir string) error {
		program := filepath.Join(dir, "vstream")
		build := exec.CommandContext(ctx, "go", "build", "-ldflags=-s -w", "-o", program, "vstream/cmd/vstream") //nolint:gosec // into our directory
		build.Stderr = b.progress
		if err := build.Run(); err != nil {
			return fmt.Errorf("build the program: %w; run this in its source", err)
		}
		for name, text := range map[string]string{"username": "bench", "password": "bench"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				return err
			}
		}
		return b.within(ctx, "posting", "", nil, func(posting *process, sdk string) error {
			return b.serving(ctx, program, dir, sdk, func(address string) error {
				return b.within(ctx, "watchers", "", watchersOrder{}, func(watcher *process, _ string) error {
					return b.within(ctx, "poller", "", pollerOrder{sdk}, func(poller *process, _ string) error {
						var connected, posted int
						if err := watcher.ask(command{Do: "connect", URL: address + "/api/v1/events?watch=true", Number: 1}, &connected); err != nil {
							return err
						}
						const warming = 3
						for _, n := range []int{warming, b.posts} {
							if err := errors.Join(
								posting.ask(command{Do: "post", Number: n, Time: b.pause}, &posted),
								watcher.ask(command{Do: "await", Number: n, Time: patience}, &ours),
								poller.ask(command{Do: "await", Number: n, Time: patience}, &theirs),
							); err != nil {
								return err
							}
						}
						return nil
					})
				})
			})
		})
	})
	if err != nil {
		return err
	}
	table := section{
		title: "Latency",
		note: fmt.Sprintf("%s events at random moments, %v apart on average, posted over SOAP to a simulated vCenter that has nothing else to do; the same events for both. "+
			"Delays are from before an event is posted until a client has it: a watcher of vstream serve over HTTP, and a govmomi client that reads a history collector every %v. "+
			"The simulator looks for changes every 20 ms by itself; how a real vCenter does that is not known here.", count(float64(b.posts)), b.pause, pollInterval),
		grid: [][]string{{"Reader", "median", "99 %", "longest", "all seen"}},
	}
	for _, r := range []struct {
		label string
		watched
	}{{"vstream", ours}, {"polling every second", theirs}} {
		f := fanned{sum: r.watched}
		table.grid = append(table.grid, []string{r.label, seconds(r.P50.Seconds()), seconds(r.P99.Seconds()), seconds(r.Max.Seconds()), f.complete()})
	}
	b.add(table)
	broken := ""
	if f := (fanned{sum: ours}); f.complete() != "yes" {
		broken = f.complete()
	}
	b.reach(goal{what: "event to watcher, median", value: ours.P50.Seconds(), show: seconds, atMost: true, bound: 0.020, peer: "polling every second", other: theirs.P50.Seconds(), broken: broken})
	b.reach(goal{what: "event to watcher, 99 %", value: ours.P99.Seconds(), show: seconds, atMost: true, bound: 0.050, peer: "polling every second", other: theirs.P99.Seconds(), broken: broken})
	return nil
}

var servingAt = regexp.MustCompile(`msg=serving .*address=\S*:(\d+)`)

// serving runs the program itself, and calls do with where it serves.
func (b *bench) serving(ctx context.Context, program, secrets, sdk string, do func(address string) error) error {
	cmd := exec.CommandContext(ctx, program, "serve")
	cmd.Env = append(os.Environ(), "PORT=0", "VCENTER_URL="+sdk, "VCENTER_INSECURE=true", "VCENTER_SECRET_PATH="+secrets)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = goodbye
	said, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	port := ""
	lines := bufio.NewScanner(said)
	for port == "" && lines.Scan() {
		if m := servingAt.FindStringSubmatch(lines.Text()); m != nil {
			port = m[1]
		}
	}
	if port == "" {
		return errors.Join(errors.New("the program ended before it served"), cmd.Wait())
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		_, _ = io.Copy(io.Discard, said)
	}()
	err = do("http://127.0.0.1:" + port)
	_ = cmd.Process.Signal(os.Interrupt)
	<-drained
	return errors.Join(err, cmd.Wait())
}

// postingChild is a simulated vCenter, and who makes events in it.
func postingChild(ctx context.Context, c *child) error {
	sim, err := simulator.Start(ctx, "127.0.0.1:0", simulator.Options{})
	if err != nil {
		return err
	}
	defer sim.Close()
	client, err := login(ctx, sim.URL().String())
	if err != nil {
		return err
	}
	defer func() { _ = client.Logout(context.WithoutCancel(ctx)) }()
	manager, root := event.NewManager(client.Client), client.ServiceContent.RootFolder
	if err := c.say(sim.URL().String()); err != nil {
		return err
	}
	number := 0
	for m := range c.commands {
		if m.Do != "post" {
			return fmt.Errorf("there is no command %q", m.Do)
		}
		for range m.Number {
			time.Sleep(time.Duration(rand.ExpFloat64() * float64(m.Time)))
			err := manager.PostEvent(ctx, &types.EventEx{
				EventTypeId: "vstream.bench", Severity: "info", ObjectType: root.Type, ObjectId: root.Value,
				ObjectName: fmt.Sprintf("%s%010d.%019d", stamp, number, time.Now().UnixNano()), // the message is the vCenter's own
			})
			if err != nil {
				return err
			}
			number++
		}
		if err := c.say(number); err != nil {
			return err
		}
	}
	return nil
}

// login logs in to a vCenter as any client does.
func login(ctx context.Context, sdk string) (*govmomi.Client, error) {
	address, err := url.Parse(sdk)
	if err != nil {
		return nil, err
	}
	address.User = url.UserPassword("bench", "bench")
	return govmomi.NewClient(ctx, address, true)
}

// everything is the filter of a collector over all that happens.
func everything(client *govmomi.Client) types.EventFilterSpec {
	return types.EventFilterSpec{
		Entity: &types.EventFilterSpecByEntity{Entity: client.ServiceContent.RootFolder, Recursion: types.EventFilterSpecRecursionOptionAll},
	}
}

// A pollerOrder says which vCenter is to be asked.
type pollerOrder struct{ URL string }

// pollerChild reads the events of a vCenter every pollInterval.
func pollerChild(ctx context.Context, c *child) error {
	var o pollerOrder
	if err := c.settings(&o); err != nil {
		return err
	}
	client, err := login(ctx, o.URL)
	if err != nil {
		return err
	}
	defer func() { _ = client.Logout(context.WithoutCancel(ctx)) }()
	collector, err := event.NewManager(client.Client).CreateCollectorForEvents(ctx, everything(client))
	if err != nil {
		return err
	}
	if err := c.say("ready"); err != nil {
		return err
	}
	var all crowd
	all.late.Store(new(latencies))
	failed := make(chan error, 1)
	go func() {
		next := 0
		ticker := time.NewTicker(pollInterval)
		defer ticker.Stop()
		for {
			page, err := collector.ReadNextEvents(ctx, pageSize)
			if err != nil {
				failed <- err
				return
			}
			for _, e := range page {
				posted, ours := e.(*types.EventEx)
				if !ours {
					continue
				}
				stamps([]byte(posted.ObjectName), func(number int, sent time.Time) { all.saw(number, &next, sent, time.Now()) })
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	}()
	for m := range c.commands {
		select {
		case err := <-failed:
			return err
		default:
		}
		if m.Do != "await" {
			return fmt.Errorf("there is no command %q", m.Do)
		}
		if err := c.say(all.await(int64(m.Number), m.Time)); err != nil {
			return err
		}
	}
	return nil
}
