package natslog

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// leaseTime is how long a lease lasts that nobody renews. A cluster that loses the leader
// of a stream takes 4 to 9 s until it takes messages again, within which nobody should lose
// a lease.
const leaseTime = 15 * time.Second

// terms are the times of leases.
type terms struct {
	life    time.Duration // of a lease that nobody renews
	renew   time.Duration // how often that is done
	giveUp  time.Duration // without success, until its holder stops collecting: before another may begin
	modesty time.Duration // for which a replica that has more than others leaves a free lease to them
	balance time.Duration // how often a replica gives a lease away, at most
	retry   time.Duration
}

func termsOf(life time.Duration) terms {
	return terms{life: life, renew: life / 5, giveUp: life * 9 / 10, modesty: life / 8, balance: life / 2, retry: min(life/30, 500*time.Millisecond)}
}

const (
	leaseBucket   = "vstream-leases"
	leasePrefix   = "collect."
	replicaPrefix = "replica."
)

// leases decides which of several processes collects from which vCenter. It is no more
// than a way to keep out of one another's way: what makes a write safe is that it names the
// end of the log.
//
// A key of the bucket is a lease, and its value the replica that has it. Other keys are the
// replicas, with the vCenters that each could collect from. All end by themselves when they
// are not written again.
type leases struct {
	id     string // of this process, among all that ever were
	logger *slog.Logger
	terms

	announcing sync.Mutex // held while the key of this replica is written

	mu       sync.Mutex
	bucket   jetstream.KeyValue // under mu; nil before it was first opened
	leases   map[string]*lease  // by vCenter; the fields of each are under mu
	replicas map[string]replica // under mu; those that were heard of
	balanced time.Time          // under mu; when a lease was last given away
	leaving  bool               // under mu; this process takes no lease any more
	news     bool               // under mu; there is something to announce
}

// A replica is a process that takes part.
type replica struct {
	heard time.Time
	wants map[string]bool // the vCenters that it could collect from
}

// A lease is one vCenter's.
type lease struct {
	vcenter  string
	owner    string    // who has it, or ""
	revision uint64    // of the key, as it was last heard of; 0 is unknown
	since    time.Time // when the owner was last heard of, or the lease became free

	member  bool          // this process could collect from it
	wanted  chan struct{} // closed when it becomes ours; nil unless it is waited for
	ours    uint64        // revision of the key, or 0 when it is not ours
	renewed time.Time     // at the latest
	end     *time.Timer   // gives it up
	lose    context.CancelFunc

	writing sync.Mutex // held while the key is written; taken before leases.mu
}

func newLeases(vcenters []string, life time.Duration, logger *slog.Logger) *leases {
	host, _ := os.Hostname()
	host = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, host)
	l := &leases{
		id: host + "-" + strings.ToLower(rand.Text()[:8]), logger: logger, terms: termsOf(life),
		leases: map[string]*lease{}, replicas: map[string]replica{},
	}
	for _, name := range vcenters {
		l.leases[name] = &lease{vcenter: name}
	}
	return l
}

// hold calls collect while this process has the lease of a vCenter. Its context is done
// when the lease is lost, or is to go to another replica. hold returns when ctx is done,
// which means that the process stops, or when collect has failed.
func (l *leases) hold(ctx context.Context, vcenter string, collect func(context.Context) error) error {
	for {
		err := l.holdOnce(ctx, l.leases[vcenter], collect)
		if err != nil || ctx.Err() != nil {
			return err
		}
	}
}

func (l *leases) holdOnce(ctx context.Context, lease *lease, collect func(context.Context) error) error {
	held, lose := context.WithCancel(ctx)
	defer lose()
	granted := make(chan struct{})
	l.mu.Lock()
	l.news = l.news || !lease.member
	lease.member, lease.wanted, lease.lose = true, granted, lose
	l.mu.Unlock()
	defer l.release(ctx, lease)
	select {
	case <-ctx.Done():
		return nil
	case <-granted:
	}
	if held.Err() != nil {
		return nil
	}
	l.logger.Info("collecting is ours", "vcenter", lease.vcenter, "replica", l.id)
	return collect(held)
}

// release gives a lease back, if it is ours, so that another can have it at once.
func (l *leases) release(ctx context.Context, lease *lease) {
	stopping := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), l.renew/2)
	defer cancel()
	if stopping {
		l.leave(ctx)
	}
	lease.writing.Lock()
	defer lease.writing.Unlock()
	l.mu.Lock()
	ours, bucket := lease.ours, l.bucket
	lease.wanted = nil
	l.notOursLocked(lease)
	l.mu.Unlock()
	if ours == 0 {
		return
	}
	if err := bucket.Delete(ctx, leasePrefix+lease.vcenter, jetstream.LastRevision(ours)); err != nil {
		l.logger.Debug("lease not given back; it ends by itself", "vcenter", lease.vcenter, "error", err)
	}
}

// leave tells the others that this replica takes no lease any more, so that none is left
// to it.
func (l *leases) leave(ctx context.Context) {
	l.announcing.Lock()
	defer l.announcing.Unlock()
	l.mu.Lock()
	left, bucket := l.leaving, l.bucket
	l.leaving = true
	l.mu.Unlock()
	if left || bucket == nil {
		return
	}
	if err := bucket.Delete(ctx, replicaPrefix+l.id); err != nil {
		l.logger.Debug("not signed off from the leases", "error", err)
	}
}

// keep takes part until ctx is done.
func (l *leases) keep(ctx context.Context, js jetstream.JetStream, replicas int) error {
	for told := ""; ; {
		began := time.Now()
		err := l.once(ctx, js, replicas)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > l.life { // it has worked meanwhile
			told = ""
		}
		if text := err.Error(); text != told && js.Conn().IsConnected() { // else that is known already
			l.logger.Warn("leases interrupted", "error", err)
			told = text
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(l.retry * 2):
		}
	}
}

func (l *leases) once(ctx context.Context, js jetstream.JetStream, replicas int) error {
	bucket, err := l.open(ctx, js, replicas)
	if err != nil {
		return fmt.Errorf("open the bucket of leases: %w", lost(err))
	}
	watch, err := bucket.WatchAll(ctx)
	if err != nil {
		return fmt.Errorf("watch the leases: %w", lost(err))
	}
	defer func() {
		if ctx.Err() == nil { // else the connection is closed soon, which does not wait for an answer
			_ = watch.Stop()
		}
	}()
	l.mu.Lock()
	l.bucket = bucket
	for _, lease := range l.leases {
		lease.revision = 0 // a bucket that was made anew counts from 1 again
	}
	l.mu.Unlock()
	tick := time.NewTicker(l.retry)
	defer tick.Stop()
	opened := time.Now()
	var announced time.Time
	told := map[string]bool{}
	for known := false; ; {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case entry, ok := <-watch.Updates():
			switch {
			case !ok:
				return errors.New("the watch of the leases has ended")
			case entry != nil:
				told[entry.Key()] = true
				l.heard(entry)
			default: // all that there was has been told
				l.onlyThese(told)
				known = true
			}
			if len(watch.Updates()) > 0 {
				continue // first hear all
			}
		case <-tick.C:
		}
		if time.Since(announced) > l.renew || l.hasNews() {
			if err := l.announce(ctx, bucket); err != nil {
				return fmt.Errorf("announce this replica: %w", lost(err))
			}
			announced = time.Now()
		}
		if known {
			l.act(ctx, bucket)
		}
		if l.unheard(opened) {
			return errors.New("the watch of the leases tells nothing")
		}
	}
}

// open opens the bucket of leases, and makes it if there is none: with three copies where
// the cluster has the servers, for without it nobody collects.
func (l *leases) open(ctx context.Context, js jetstream.JetStream, replicas int) (jetstream.KeyValue, error) {
	ctx, cancel := context.WithTimeout(ctx, l.life/3)
	defer cancel()
	config := jetstream.KeyValueConfig{
		Bucket:         leaseBucket,
		Description:    "which replica of vstream collects from which vCenter",
		TTL:            l.life,
		LimitMarkerTTL: l.life, // so that a watch is told when a lease ends
		Storage:        jetstream.MemoryStorage,
		Replicas:       max(replicas, 3),
	}
	bucket, err := js.KeyValue(ctx, leaseBucket)
	if errors.Is(err, jetstream.ErrBucketNotFound) {
		bucket, err = js.CreateKeyValue(ctx, config)
		if tooFewServers(err) {
			config.Replicas = 1
			bucket, err = js.CreateKeyValue(ctx, config)
		}
		return bucket, err
	}
	if err != nil {
		return nil, err
	}
	status, err := bucket.Status(ctx)
	if err != nil {
		return nil, err
	}
	if status.TTL() != l.life || status.Config().Replicas < config.Replicas && js.Conn().ConnectedClusterName() != "" {
		if _, err := js.UpdateKeyValue(ctx, config); err != nil {
			l.logger.Debug("bucket of leases stays as it is", "error", err)
		}
	}
	return bucket, nil
}

// announce tells the others that this replica is there, and what it could collect from.
func (l *leases) announce(ctx context.Context, bucket jetstream.KeyValue) error {
	l.announcing.Lock()
	defer l.announcing.Unlock()
	l.mu.Lock()
	leaving := l.leaving
	l.news = false
	var wants []string
	for name, lease := range l.leases {
		if lease.member {
			wants = append(wants, name)
		}
	}
	l.mu.Unlock()
	if leaving {
		return nil
	}
	slices.Sort(wants)
	ctx, cancel := context.WithTimeout(ctx, l.renew/2)
	defer cancel()
	_, err := bucket.Put(ctx, replicaPrefix+l.id, []byte(strings.Join(wants, " ")))
	return err
}

func (l *leases) hasNews() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.news
}

// unheard reports whether the watch, opened then, no longer tells even of this replica.
func (l *leases) unheard(opened time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.replicas[l.id].heard
	if last.Before(opened) {
		last = opened
	}
	return !l.leaving && time.Since(last) > l.life
}

// heard takes note of a change in the bucket.
func (l *leases) heard(entry jetstream.KeyValueEntry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	there := entry.Operation() == jetstream.KeyValuePut
	if id, ok := strings.CutPrefix(entry.Key(), replicaPrefix); ok {
		delete(l.replicas, id)
		if there {
			wants := map[string]bool{}
			for _, name := range strings.Fields(string(entry.Value())) {
				wants[name] = true
			}
			l.replicas[id] = replica{time.Now(), wants}
		}
		return
	}
	vcenter, _ := strings.CutPrefix(entry.Key(), leasePrefix)
	lease := l.leases[vcenter]
	if lease == nil || entry.Revision() < lease.revision {
		return // another configuration's, or known better
	}
	owner := ""
	if there {
		owner = string(entry.Value())
	}
	if owner != l.id && entry.Revision() > lease.ours {
		l.loseLocked(lease)
	}
	lease.owner, lease.revision, lease.since = owner, entry.Revision(), time.Now()
}

// onlyThese takes note that the bucket has these keys and no others.
func (l *leases) onlyThese(told map[string]bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.replicas, func(id string, _ replica) bool { return !told[replicaPrefix+id] })
	for _, lease := range l.leases {
		if !told[leasePrefix+lease.vcenter] {
			l.loseLocked(lease)
			lease.owner, lease.since = "", time.Now()
		}
	}
}

// loseLocked ends collecting under a lease that is ours no longer.
func (l *leases) loseLocked(lease *lease) {
	if lease.ours == 0 {
		return
	}
	l.logger.Warn("collecting is no longer ours", "vcenter", lease.vcenter)
	lose := lease.lose
	l.notOursLocked(lease)
	lose()
}

func (l *leases) notOursLocked(lease *lease) {
	if lease.ours != 0 {
		lease.end.Stop()
	}
	lease.ours, lease.lose = 0, nil
}

// oursLocked takes note that a lease is ours, by a write that began then.
func (l *leases) oursLocked(lease *lease, revision uint64, began time.Time) {
	if lease.ours == 0 {
		lease.end = time.AfterFunc(l.giveUp, func() { l.giveUpStale(lease) })
	}
	lease.owner, lease.since = l.id, time.Now()
	lease.ours, lease.revision, lease.renewed = revision, revision, began
	lease.end.Reset(l.giveUp - time.Since(began))
}

// giveUpStale gives up a lease that could not be renewed for too long.
func (l *leases) giveUpStale(lease *lease) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if time.Since(lease.renewed) >= l.giveUp {
		l.loseLocked(lease)
	}
}

// act renews our leases, takes free ones, and gives one away to who has fewer.
func (l *leases) act(ctx context.Context, bucket jetstream.KeyValue) {
	l.mu.Lock()
	count := l.countLocked()
	var renew, take []*lease
	for _, lease := range l.leases {
		// Who has it should have renewed it. With the clocks of others nothing is compared.
		free := lease.owner == "" || lease.owner == l.id || time.Since(lease.since) > l.life+l.renew
		switch {
		case lease.ours != 0 && time.Since(lease.renewed) > l.renew:
			renew = append(renew, lease)
		case lease.ours == 0 && lease.wanted != nil && free && !l.leaving:
			if l.lessLocked(lease, count, count[l.id]) && time.Since(lease.since) < l.modesty {
				continue
			}
			take = append(take, lease)
			count[l.id]++
		}
	}
	if time.Since(l.balanced) > l.balance {
		for _, lease := range l.leases {
			if lease.ours != 0 && l.lessLocked(lease, count, count[l.id]-1) {
				l.balanced = time.Now()
				l.logger.Info("collecting goes to another replica, which has less to do", "vcenter", lease.vcenter)
				lease.lose() // it is given back once collecting has ended
				break
			}
		}
	}
	l.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, l.renew/2)
	defer cancel()
	var all sync.WaitGroup
	for _, lease := range renew {
		all.Go(func() { l.renewOne(ctx, bucket, lease) })
	}
	for _, lease := range take {
		all.Go(func() { l.take(ctx, bucket, lease) })
	}
	all.Wait()
}

// countLocked returns how many leases each replica has that takes part.
func (l *leases) countLocked() map[string]int {
	count := map[string]int{l.id: 0}
	for id, r := range l.replicas {
		if time.Since(r.heard) < l.life+l.renew {
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
	return count
}

// lessLocked reports whether another replica that could have this lease has fewer than n.
func (l *leases) lessLocked(lease *lease, count map[string]int, n int) bool {
	for id, has := range count {
		if id != l.id && has < n && l.replicas[id].wants[lease.vcenter] {
			return true
		}
	}
	return false
}

func (l *leases) renewOne(ctx context.Context, bucket jetstream.KeyValue, lease *lease) {
	lease.writing.Lock()
	defer lease.writing.Unlock()
	l.mu.Lock()
	ours := lease.ours
	l.mu.Unlock()
	if ours == 0 {
		return
	}
	began := time.Now()
	revision, err := bucket.Update(ctx, leasePrefix+lease.vcenter, []byte(l.id), ours)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case lease.ours != ours: // lost meanwhile
	case err == nil:
		l.oursLocked(lease, revision, began)
	case errors.Is(err, jetstream.ErrKeyRevisionMismatch) && lease.owner != l.id:
		l.loseLocked(lease)
	case errors.Is(err, jetstream.ErrKeyRevisionMismatch) && lease.revision > ours:
		lease.ours = lease.revision // a write of ours whose answer was lost
	}
}

func (l *leases) take(ctx context.Context, bucket jetstream.KeyValue, lease *lease) {
	lease.writing.Lock()
	defer lease.writing.Unlock()
	l.mu.Lock()
	wanted, again, known := lease.wanted != nil, lease.owner == l.id, lease.revision
	l.mu.Unlock()
	if !wanted {
		return
	}
	began := time.Now()
	var revision uint64
	var err error
	if again { // it was given up, and nobody has taken it
		revision, err = bucket.Update(ctx, leasePrefix+lease.vcenter, []byte(l.id), known)
	} else {
		revision, err = bucket.Create(ctx, leasePrefix+lease.vcenter, []byte(l.id))
	}
	if err != nil {
		return // another was faster, or the next round will do
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.oursLocked(lease, revision, began)
	close(lease.wanted)
	lease.wanted = nil
}

// owner returns who collects from a vCenter, "" when nobody does, and whether that is us.
func (l *leases) owner(vcenter string) (replica string, ours bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lease := l.leases[vcenter]
	if ours = lease.ours != 0; !ours && lease.owner == l.id {
		return "", false
	}
	return lease.owner, ours
}
