package vcenter

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/vmware/govmomi/property"
	"github.com/vmware/govmomi/session"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"vstream"
	"vstream/internal/cloudevent"
)

const (
	// pageSize is the most events that a vCenter gives in one answer.
	pageSize = 1000
	// closeTimeout is how long each step of Close may take: the vCenter may be gone, and
	// a stop must not wait for it.
	closeTimeout = 500 * time.Millisecond
	// minWait and maxWait are how long a call waits for news before the source looks for
	// itself. A wait that the vCenter forgets to end delays an event by no more.
	minWait, maxWait = 1 * time.Second, 5 * time.Second
)

// Source reads the events of one vCenter. Its exported fields are set before its first
// use; its methods are called by one goroutine.
type Source struct {
	URL        *url.URL // of the SDK, as ParseURL returns it
	SecretPath string   // directory with the files username and password
	Insecure   bool     // trust any certificate
	CAFile     string   // PEM file of the authorities to trust instead of the system's; or empty
	Thumbprint string   // SHA-256 or SHA-1 of the one certificate to trust, AA:BB:…; or empty
	// Begin is how far before the vCenter's clock reading begins at the very first Open.
	Begin      time.Duration
	TypePrefix string // of the events' types; cloudevent.DefaultTypePrefix when empty
	MaxBytes   int    // of an event's JSON, or 0; see cloudevent.Encoder
	Logger     *slog.Logger

	began time.Time // where the first Open began; zero before

	// From Open to Close:
	client  *vim25.Client
	encoder *cloudevent.Encoder
	reading types.ManagedObjectReference // the collector that is read
	waking  types.ManagedObjectReference // a collector of one event, for news to wait for
	news    *property.Collector
	version string        // of the news last seen
	wait    time.Duration // for the next news
}

// Open logs in and begins to read at the events of since or, if that is zero, where the
// very first Open began. Close must be called whether or not it fails.
func (s *Source) Open(ctx context.Context, since time.Time) error {
	client, err := s.login(ctx)
	if err != nil {
		return err
	}
	s.client = client
	s.version, s.wait = "", minWait
	about := client.ServiceContent.About

	info, err := description(ctx, client)
	if err != nil {
		return err
	}
	s.encoder = &cloudevent.Encoder{
		Source:     s.URL.String(),
		TypePrefix: s.TypePrefix,
		APIVersion: about.ApiVersion,
		Severity:   cloudevent.Severities(info),
		MaxBytes:   s.MaxBytes,
	}

	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	// Times are the vCenter's: ours may be minutes apart.
	now, err := methods.GetCurrentTime(ctx, client)
	if err != nil {
		return fmt.Errorf("ask for the time: %w", err)
	}
	if s.began.IsZero() {
		s.began = now.Add(-s.Begin)
	}
	if since.IsZero() {
		since = s.began
	}
	// The collector that wakes is made first, and its version taken, so that nothing can
	// happen between reading to the end and waiting that would not end the wait.
	if s.waking, err = s.createCollector(ctx, *now, 1); err != nil {
		return err
	}
	if err := s.subscribe(ctx); err != nil {
		return err
	}
	if s.reading, err = s.createCollector(ctx, since, pageSize); err != nil {
		return err
	}
	s.Logger.Info("reading events", "url", s.URL.String(), "product", about.FullName, "api", about.ApiVersion, "since", since)
	return nil
}

// createCollector makes a collector over everything that the user may see.
func (s *Source) createCollector(ctx context.Context, since time.Time, page int32) (types.ManagedObjectReference, error) {
	res, err := methods.CreateCollectorForEvents(ctx, s.client, &types.CreateCollectorForEvents{
		This: *s.client.ServiceContent.EventManager,
		Filter: types.EventFilterSpec{
			Entity: &types.EventFilterSpecByEntity{
				Entity:    s.client.ServiceContent.RootFolder,
				Recursion: types.EventFilterSpecRecursionOptionAll,
			},
			Time:               &types.EventFilterSpecByTime{BeginTime: &since},
			DisableFullMessage: types.NewBool(false),
			// Set here and not with SetCollectorPageSize, which loses the position.
			MaxCount: page,
		},
	})
	if err != nil {
		return types.ManagedObjectReference{}, fmt.Errorf("create an event collector: %w", err)
	}
	return res.Returnval, nil
}

// subscribe asks to be told when the newest event changes.
func (s *Source) subscribe(ctx context.Context) error {
	news, err := property.DefaultCollector(s.client).Create(ctx)
	if err != nil {
		return fmt.Errorf("create a property collector: %w", err)
	}
	s.news = news
	_, err = news.CreateFilter(ctx, types.CreateFilter{Spec: types.PropertyFilterSpec{
		PropSet:   []types.PropertySpec{{Type: s.waking.Type, PathSet: []string{"latestPage"}}},
		ObjectSet: []types.ObjectSpec{{Obj: s.waking}},
	}})
	if err != nil {
		return fmt.Errorf("subscribe to news: %w", err)
	}
	return s.await(ctx, 0)
}

// Next returns the next events, oldest first and at least one, at the offsets of their
// keys in epoch 0. It waits until there are some.
func (s *Source) Next(ctx context.Context) ([]vstream.Event, error) {
	for {
		events, err := s.read(ctx)
		if err != nil {
			return nil, err
		}
		if len(events) > 0 {
			s.wait = minWait
			return events, nil
		}
		if err := s.await(ctx, s.wait); err != nil {
			return nil, err
		}
		s.wait = min(s.wait+time.Second, maxWait)
	}
}

// read takes a page from the collector; none when it is at its end.
func (s *Source) read(ctx context.Context) ([]vstream.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	res, err := methods.ReadNextEvents(ctx, s.client, &types.ReadNextEvents{This: s.reading, MaxCount: pageSize})
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	events := make([]vstream.Event, 0, len(res.Returnval))
	for _, ev := range res.Returnval {
		e, err := s.encoder.Encode(ev)
		if err != nil {
			s.Logger.Error("event lost: it cannot be encoded", "error", err)
			continue
		}
		events = append(events, e)
	}
	return events, nil
}

// await returns when there is news since it was last called, or after about so long.
func (s *Source) await(ctx context.Context, atMost time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, atMost+callTimeout)
	defer cancel()
	seconds := int32(atMost / time.Second)
	res, err := methods.WaitForUpdatesEx(ctx, s.client, &types.WaitForUpdatesEx{
		This:    s.news.Reference(),
		Version: s.version,
		Options: &types.WaitOptions{MaxWaitSeconds: &seconds},
	})
	if err != nil {
		return fmt.Errorf("wait for news: %w", err)
	}
	if res.Returnval != nil {
		s.version = res.Returnval.Version
	}
	return nil
}

// Close removes from the vCenter what Open made there, and logs out. It is safe to call
// at any time, and again. Its error is only worth a look: the session dies by itself.
func (s *Source) Close(ctx context.Context) error {
	if s.client == nil {
		return nil
	}
	step := func(what string, do func(context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, closeTimeout)
		defer cancel()
		if err := do(ctx); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
		return nil
	}
	var errs []error
	for _, collector := range []types.ManagedObjectReference{s.reading, s.waking} {
		if collector.Value == "" {
			continue
		}
		errs = append(errs, step("destroy an event collector", func(ctx context.Context) error {
			_, err := methods.DestroyCollector(ctx, s.client, &types.DestroyCollector{This: collector})
			return err
		}))
	}
	// The property collector goes with the session.
	errs = append(errs, step("log out", session.NewManager(s.client).Logout))
	s.client.CloseIdleConnections()
	s.client, s.news = nil, nil
	s.reading, s.waking = types.ManagedObjectReference{}, types.ManagedObjectReference{}
	return errors.Join(errs...)
}
