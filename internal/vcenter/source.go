package vcenter

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vmware/govmomi/fault"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"

	"vstream"
	"vstream/internal/cloudevent"
)

const (
	// defaultTimeout is how long one call may take.
	defaultTimeout = 30 * time.Second
	// closeTimeout is how long each step of cleaning up may take: the vCenter may be gone,
	// and a stop must not wait for it.
	closeTimeout = 300 * time.Millisecond
	// minWait and maxWait are how long a call waits for news before the source looks for
	// itself. A wait that the vCenter forgets to end delays an event by no more.
	minWait, maxWait = 1 * time.Second, 5 * time.Second
	// secretInterval is how often a pause looks whether the secret has changed.
	secretInterval = 2 * time.Second
)

// Source reads the events of one vCenter. Its exported fields are set before its first
// use; its methods are called by one goroutine, but for Seen and Catalogue.
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
	// Timeout is how long one call may take; 30 s when zero. A vCenter under load answers
	// within seconds; one that takes longer has lost the call.
	Timeout time.Duration
	// Trace begins a span of what began then; the function it returns ends it. Nil is none.
	Trace func(ctx context.Context, name string, began time.Time, attributes ...slog.Attr) (context.Context, func(error, ...slog.Attr))

	began time.Time // where the first Open began; zero before

	// The session, while client is not nil:
	client  *vim25.Client
	user    *url.Userinfo // it was made with
	entered *url.Userinfo // of the last login that succeeded; nil before
	encoder *cloudevent.Encoder

	made    []types.ManagedObjectReference // at the vCenter, within the session, and not destroyed yet
	reading types.ManagedObjectReference   // of these, the collector that Next reads
	waking  types.ManagedObjectReference   // a collector of one event, for news to wait for
	news    types.ManagedObjectReference   // the property collector that tells them
	ahead   *ahead                         // the page that Next returns next; nil if it has not been asked for
	spare   []byte                         // to read a page into
	batch   []vstream.Event                // that Next returned, to be written over
	last    vstream.Event                  // that Next returned; zero before
	version string                         // of the news last seen
	wait    time.Duration                  // for the next news

	catalogue atomic.Pointer[[]vstream.EventType] // nil before the first session

	told    map[string]bool // unknown types that the logger has heard of
	counted []int32         // keys of the last events of which something was not understood

	mu   sync.Mutex
	seen vstream.SourceStatus // under mu
}

// Open makes the source read at the events of since or, if that is zero, where the very
// first Open began. It may be called again at any time, also after an error: it goes on
// with the session if the vCenter still knows it and the credentials are still the same.
// It returns where it begins.
func (s *Source) Open(ctx context.Context, since time.Time) (began time.Time, err error) {
	defer guard(&err)
	s.dropAhead()
	_ = s.release(ctx)
	now, err := s.resume(ctx)
	if err != nil {
		return time.Time{}, err
	}
	about := s.client.ServiceContent.About
	// The clock is the vCenter's: ours may be minutes apart.
	if s.began.IsZero() {
		s.began = now.Add(-s.Begin)
	}
	if since.Year() < 1970 { // zero, or the time of an event that tells none
		since = s.began
	}
	// A clock that was set back would otherwise hide what happens until it is there again.
	if latest := now.Add(-time.Minute); since.After(latest) && since.After(s.began) {
		since = latest
		if since.Before(s.began) {
			since = s.began
		}
	}
	s.mu.Lock()
	s.seen.Skew = time.Until(now)
	s.mu.Unlock()
	ctx, cancel := s.limited(ctx, 0)
	defer cancel()
	// The collector that wakes is made first, and its version taken, so that nothing can
	// happen between reading to the end and waiting that would not end the wait.
	s.version, s.wait, s.last = "", minWait, vstream.Event{}
	if s.waking, err = s.createCollector(ctx, now, time.Time{}, 1); err != nil {
		return time.Time{}, err
	}
	if err := s.subscribe(ctx); err != nil {
		return time.Time{}, err
	}
	if s.reading, err = s.createCollector(ctx, since, time.Time{}, pageSize); err != nil {
		return time.Time{}, err
	}
	s.Logger.Debug("reading events", "product", about.FullName, "api", about.ApiVersion, "since", since)
	return since, nil
}

// resume makes sure that there is a session, and returns the vCenter's time.
func (s *Source) resume(ctx context.Context) (time.Time, error) {
	if s.client != nil && s.rotated() {
		s.Logger.Info("credentials changed")
		_ = s.logout(ctx)
	}
	if s.client != nil {
		now, err := s.now(ctx)
		if err == nil {
			return now, nil
		}
		// Only when the session is gone is a new one made: each login is an event.
		var distrust *tls.CertificateVerificationError
		if !isFault(err) && !errors.As(err, &distrust) {
			return time.Time{}, err
		}
		_ = s.logout(ctx)
	}
	err := s.traced(ctx, "log in", s.login)
	s.loggedIn(err)
	if err != nil {
		return time.Time{}, err
	}
	info, err := s.description(ctx)
	if err != nil {
		_ = s.logout(ctx) // a session without its encoder is none
		return time.Time{}, err
	}
	about := s.client.ServiceContent.About
	s.encoder = &cloudevent.Encoder{
		Source:     s.URL.String(),
		TypePrefix: s.TypePrefix,
		APIVersion: about.ApiVersion,
		Severity:   cloudevent.Severities(info),
		MaxBytes:   s.MaxBytes,
	}
	catalogue := cloudevent.Catalogue(info)
	s.catalogue.Store(&catalogue)
	s.mu.Lock()
	s.seen.Product, s.seen.APIVersion, s.seen.Instance = about.FullName, about.ApiVersion, about.InstanceUuid
	s.mu.Unlock()
	s.Logger.Info("logged in", "product", about.FullName, "api", about.ApiVersion, "user", s.user.Username())
	return s.now(ctx)
}

// limited returns a context for a call that may wait so long before it is answered.
func (s *Source) limited(ctx context.Context, wait time.Duration) (context.Context, context.CancelFunc) {
	timeout := s.Timeout
	if timeout == 0 {
		timeout = defaultTimeout
	}
	return context.WithTimeoutCause(ctx, wait+timeout, fmt.Errorf("no answer within %v", timeout))
}

func (s *Source) now(ctx context.Context) (time.Time, error) {
	ctx, cancel := s.limited(ctx, 0)
	defer cancel()
	now, err := methods.GetCurrentTime(ctx, s.client)
	if err != nil {
		return time.Time{}, fmt.Errorf("ask for the time: %w", err)
	}
	return *now, nil
}

// Next returns the next events, oldest first, at the offsets of their keys in epoch 0; the
// slice is good until it is called again.
// When there are none it waits for some, but for a few seconds only. After an error,
// Open must be called before Next: the position that the vCenter keeps for a reader moves
// even when the answer is lost.
//
// It asks for the page after this one before it returns, for a vCenter takes its time. When
// the caller cannot use what Next returned, Open reads it all again.
func (s *Source) Next(ctx context.Context) (events []vstream.Event, err error) {
	defer guard(&err)
	for {
		p, err := s.nextPage(ctx)
		if err != nil {
			return nil, err
		}
		s.polled()
		if len(p.events) == 0 {
			s.spare, s.batch = p.answer, nil
			break
		}
		s.readAhead(ctx)
		s.batch = s.events(p, s.last, s.batch)
		s.spare = p.answer
		if n := len(s.batch); n > 0 {
			s.last, s.wait = s.batch[n-1], minWait
			return s.batch, nil
		}
	}
	if s.rotated() {
		return nil, errors.New("the credentials have changed")
	}
	err = s.await(ctx, s.wait)
	s.wait = min(s.wait+time.Second, maxWait)
	return nil, err
}

// History calls yield with the events from one time to another, both included, page by
// page, oldest first. It reads beside Next and does not disturb it.
func (s *Source) History(ctx context.Context, from, to time.Time, yield func([]vstream.Event) error) (err error) {
	defer guard(&err)
	create, cancel := s.limited(ctx, 0)
	collector, err := s.createCollector(create, from, to, pageSize)
	cancel()
	if err != nil {
		return err
	}
	defer func() { _ = s.destroy(ctx, collector) }()
	var last vstream.Event
	for {
		events, err := s.read(ctx, collector, last)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return nil
		}
		last = events[len(events)-1]
		if err := yield(events); err != nil {
			return err
		}
	}
}

// Latest returns the key and time of the newest event that the vCenter has, as it says
// when asked afresh; ok is false when it tells none. It works also when the collector
// that Next reads has gone silent.
func (s *Source) Latest(ctx context.Context) (key int32, created time.Time, ok bool, err error) {
	defer guard(&err)
	ctx, cancel := s.limited(ctx, 0)
	defer cancel()
	key, created, ok, err = s.newest(ctx, *s.client.ServiceContent.EventManager, "latestEvent")
	if err != nil || ok {
		return key, created, ok, err
	}
	collector, err := s.createCollector(ctx, time.Time{}, time.Time{}, 1)
	if err != nil {
		return 0, time.Time{}, false, err
	}
	defer func() { _ = s.destroy(ctx, collector) }()
	return s.newest(ctx, collector, "latestPage")
}

// Pause waits so long, or until there is reason to try again earlier: other credentials.
func (s *Source) Pause(ctx context.Context, d time.Duration) {
	over := time.After(d)
	look := time.NewTicker(secretInterval)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-over:
			return
		case <-look.C:
			if s.rotated() {
				s.Logger.Info("credentials changed")
				return
			}
		}
	}
}

// Seen returns what the source has learnt of the vCenter. It may be called from any
// goroutine.
func (s *Source) Seen() vstream.SourceStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// Catalogue returns what the vCenter says of the types of events it knows, as it was with the
// last login; nothing before the first. It may be called from any goroutine, none of which
// may change it.
func (s *Source) Catalogue() []vstream.EventType {
	if c := s.catalogue.Load(); c != nil {
		return *c
	}
	return nil
}

// Close removes from the vCenter what Open made there, and logs out. It is safe to call
// at any time, and again. Its error is only worth a look: the session dies by itself.
func (s *Source) Close(ctx context.Context) error {
	s.dropAhead()
	return errors.Join(s.release(ctx), s.logout(ctx))
}

// release destroys what was made within the session. What cannot be destroyed now, since
// the vCenter does not answer, is left to the next time.
func (s *Source) release(ctx context.Context) error {
	for s.client != nil && len(s.made) > 0 {
		if err := s.destroy(ctx, s.made[0]); err != nil && !isFault(err) {
			return err
		}
	}
	return nil
}

// brief does a step of cleaning up, which must go on even when ctx is done, and may not
// take long.
func brief(ctx context.Context, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	err := func() (err error) {
		defer guard(&err)
		return do(ctx)
	}()
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// outliving returns a context that outlives ctx a little. A stop must not break off a call
// that makes something at the vCenter: what is not known by name cannot be removed.
func outliving(ctx context.Context) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(closeTimeout, func() { cancel(context.Cause(ctx)) })
	})
	return longer, func() {
		stop()
		cancel(nil)
	}
}

// outOfPlaces reports whether a session holds as many collectors as it may.
func outOfPlaces(err error) bool { return fault.Is(err, &types.InvalidState{}) }
