package natslog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// leaseTime is how long a lease lasts that nobody renews. A cluster that loses the
	// leader of a stream takes 4 to 7 s until it takes messages again, within which nobody
	// should lose a lease.
	leaseTime = 15 * time.Second
	// renewEvery is how often a lease is renewed, and giveUpAfter how long without success
	// until its holder stops collecting: before another may begin.
	renewEvery  = leaseTime / 3
	giveUpAfter = leaseTime * 4 / 5
	// modesty is how long a replica that has more than others leaves a free lease to them.
	modesty = 2 * time.Second
	// balanceEvery is how often a replica gives a lease away, at most.
	balanceEvery = 10 * time.Second
)

const (
	leaseBucket   = "vstream-leases"
	leasePrefix   = "collect."
	replicaPrefix = "replica."
)

// leases decides which of several processes collects from which vCenter. It is no more
// than a way to keep out of one another's way: what makes a write safe is that it names the
// end of the log.
type leases struct {
	id     string // of this process, among all that ever were
	logger *slog.Logger

	mu       sync.Mutex
	bucket   jetstream.KeyValue   // under mu; nil before it was first opened
	leases   map[string]*lease    // under mu; by vCenter
	replicas map[string]time.Time // under mu; when each was last heard of
	balanced time.Time            // under mu; when a lease was last given away
}

// A lease is one vCenter's. Its fields are under leases.mu.
type lease struct {
	vcenter string
	owner   string    // who has it, or ""
	since   time.Time // when the owner was last heard of, or the lease became free
	wanted  bool      // by this process
	ours    uint64    // revision of the key, or 0 when it is not ours
	renewed time.Time
	granted chan struct{} // closed when it becomes ours
	lose    context.CancelFunc
}

func newLeases(vcenters []string, logger *slog.Logger) *leases {
	host, _ := os.Hostname()
	host = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, host)
	l := &leases{id: host + "-" + strings.ToLower(rand.Text()[:8]), logger: logger, leases: map[string]*lease{}, replicas: map[string]time.Time{}}
	for _, name := range vcenters {
		l.leases[name] = &lease{vcenter: name, granted: make(chan struct{})}
	}
	return l
}

// hold calls collect while this process has the lease of a vCenter.
func (l *leases) hold(ctx context.Context, vcenter string, collect func(context.Context) error) error {
	for {
		l.mu.Lock()
		lease := l.leases[vcenter]
		lease.wanted = true
		granted := lease.granted
		l.mu.Unlock()
		select {
		case <-ctx.Done():
			return nil
		case <-granted:
		}
		held, lose := context.WithCancel(ctx)
		l.mu.Lock()
		lease.lose = lose
		ours := lease.ours != 0 // it may be lost already
		l.mu.Unlock()
		var err error
		if ours {
			l.logger.Info("collecting is ours", "vcenter", vcenter, "replica", l.id)
			err = collect(held)
		}
		lose()
		l.release(ctx, lease)
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
}

// release gives a lease back, so that another can have it at once.
func (l *leases) release(ctx context.Context, lease *lease) {
	l.mu.Lock()
	ours, bucket := lease.ours, l.bucket
	lease.ours, lease.lose = 0, nil
	lease.granted = make(chan struct{})
	lease.wanted = false
	l.mu.Unlock()
	if ours == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := bucket.Delete(ctx, leasePrefix+lease.vcenter, jetstream.LastRevision(ours)); err != nil {
		l.logger.Debug("lease not given back; it ends by itself", "vcenter", lease.vcenter, "error", err)
	}
}

// keep takes part until ctx is done or something does not heal.
func (l *leases) keep(ctx context.Context, js jetstream.JetStream, replicas int) error {
	for {
		err := l.once(ctx, js, replicas)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		l.logger.Warn("leases interrupted", "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func (l *leases) once(ctx context.Context, js jetstream.JetStream, replicas int) error {
	bucket, err := openBucket(ctx, js, replicas)
	if err != nil {
		return fmt.Errorf("open the bucket of leases: %w", err)
	}
	watch, err := bucket.WatchAll(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = watch.Stop() }()
	l.mu.Lock()
	l.bucket = bucket
	l.mu.Unlock()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	var announced time.Time
	for known := false; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case entry, ok := <-watch.Updates():
			if !ok {
				return errors.New("the watch of the bucket has ended")
			}
			if entry == nil { // all that there was has been told
				known = true
			} else {
				l.heard(entry)
			}
		case <-tick.C:
		}
		if time.Since(announced) > renewEvery {
			patience, cancel := context.WithTimeout(ctx, renewEvery/2)
			_, err := bucket.Put(patience, replicaPrefix+l.id, nil)
			cancel()
			if err != nil {
				l.loseStale()
				return fmt.Errorf("announce this replica: %w", err)
			}
			announced = time.Now()
		}
		if known {
			l.act(ctx, bucket)
		}
	}
}

func openBucket(ctx context.Context, js jetstream.JetStream, replicas int) (jetstream.KeyValue, error) {
	config := jetstream.KeyValueConfig{
		Bucket:         leaseBucket,
		Description:    "which replica of vstream collects from which vCenter",
		TTL:            leaseTime,
		LimitMarkerTTL: leaseTime, // so that a watch is told when a lease ends
		Storage:        jetstream.MemoryStorage,
		Replicas:       replicas,
	}
	bucket, err := js.KeyValue(ctx, leaseBucket)
	if !errors.Is(err, jetstream.ErrBucketNotFound) {
		return bucket, err
	}
	if replicas == 0 {
		config.Replicas = 3
	}
	bucket, err = js.CreateKeyValue(ctx, config)
	if replicas == 0 && tooFewServers(err) {
		config.Replicas = 1
		bucket, err = js.CreateKeyValue(ctx, config)
	}
	return bucket, err
}

// heard takes note of a change in the bucket.
func (l *leases) heard(entry jetstream.KeyValueEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	there := entry.Operation() == jetstream.KeyValuePut
	if id, ok := strings.CutPrefix(entry.Key(), replicaPrefix); ok {
		if there {
			l.replicas[id] = time.Now()
		} else {
			delete(l.replicas, id)
		}
		return
	}
	vcenter, _ := strings.CutPrefix(entry.Key(), leasePrefix)
	lease := l.leases[vcenter]
	if lease == nil {
		return // another configuration's
	}
	lease.since = time.Now()
	if there {
		lease.owner = string(entry.Value())
		if lease.owner != l.id && entry.Revision() > lease.ours {
			l.loseLocked(lease)
		}
		return
	}
	lease.owner = ""
	if entry.Revision() > lease.ours {
		l.loseLocked(lease)
	}
}

func (l *leases) loseLocked(lease *lease) {
	if lease.ours == 0 {
		return
	}
	l.logger.Warn("collecting is no longer ours", "vcenter", lease.vcenter)
	lease.ours = 0
	if lease.lose != nil {
		lease.lose()
	}
}

// loseStale gives up what could not be renewed for too long.
func (l *leases) loseStale() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lease := range l.leases {
		if lease.ours != 0 && time.Since(lease.renewed) > giveUpAfter {
			l.loseLocked(lease)
		}
	}
}

// act renews our leases, takes free ones, and gives one away to who has fewer.
func (l *leases) act(ctx context.Context, bucket jetstream.KeyValue) {
	l.loseStale()
	l.mu.Lock()
	mine, fewest := l.countLocked()
	var renew, take []*lease
	for _, lease := range l.leases {
		free := lease.owner == "" || time.Since(lease.since) > leaseTime+renewEvery
		switch {
		case lease.ours != 0 && time.Since(lease.renewed) > renewEvery:
			renew = append(renew, lease)
		case lease.ours == 0 && lease.wanted && free && (mine <= fewest || time.Since(lease.since) > modesty):
			take = append(take, lease)
			mine++
		}
	}
	if mine-fewest >= 2 && time.Since(l.balanced) > balanceEvery {
		l.balanced = time.Now()
		for _, lease := range l.leases {
			if lease.ours != 0 && lease.lose != nil {
				l.logger.Info("collecting goes to another replica, which has less to do", "vcenter", lease.vcenter)
				lease.lose() // hold gives it back once collecting has ended
				break
			}
		}
	}
	l.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, renewEvery/2)
	defer cancel()
	for _, lease := range renew {
		l.renew(ctx, bucket, lease)
	}
	for _, lease := range take {
		l.take(ctx, bucket, lease)
	}
}

// countLocked returns how many leases this replica has, and how many the one has that has
// the fewest.
func (l *leases) countLocked() (mine, fewest int) {
	count := map[string]int{l.id: 0}
	for id, heard := range l.replicas {
		if time.Since(heard) < leaseTime+renewEvery {
			count[id] = 0
		}
	}
	for _, lease := range l.leases {
		if lease.ours != 0 {
			count[l.id]++
		} else if _, alive := count[lease.owner]; alive && lease.owner != l.id {
			count[lease.owner]++
		}
	}
	mine, fewest = count[l.id], count[l.id]
	for _, n := range count {
		fewest = min(fewest, n)
	}
	return mine, fewest
}

func (l *leases) renew(ctx context.Context, bucket jetstream.KeyValue, lease *lease) {
	l.mu.Lock()
	ours := lease.ours
	l.mu.Unlock()
	if ours == 0 {
		return
	}
	revision, err := bucket.Update(ctx, leasePrefix+lease.vcenter, []byte(l.id), ours)
	l.mu.Lock()
	defer l.mu.Unlock()
	var refused *jetstream.APIError
	switch {
	case lease.ours != ours: // given back in between
	case err == nil:
		lease.ours, lease.renewed = revision, time.Now()
	case errors.As(err, &refused) && refused.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence:
		l.loseLocked(lease)
	}
}

func (l *leases) take(ctx context.Context, bucket jetstream.KeyValue, lease *lease) {
	began := time.Now()
	revision, err := bucket.Create(ctx, leasePrefix+lease.vcenter, []byte(l.id))
	if err != nil {
		return // another was faster, or the next round will do
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !lease.wanted {
		return // and ends by itself
	}
	lease.owner, lease.ours, lease.renewed = l.id, revision, began
	close(lease.granted)
}

// owner returns who collects from a vCenter, "" when nobody does, and whether that is us.
func (l *leases) owner(vcenter string) (replica string, ours bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lease := l.leases[vcenter]
	return lease.owner, lease.ours != 0
}
