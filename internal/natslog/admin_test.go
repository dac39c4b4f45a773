package natslog

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"vstream"
	"vstream/internal/memlog"
)

func adminEvent(offset vstream.Offset) vstream.Event {
	return vstream.Event{
		Offset: offset, Time: time.Unix(int64(offset), 0).UTC(), Type: "T", Class: "event", Severity: "info",
		JSON: fmt.Appendf(nil, `{"specversion":"1.0","id":"%d"}`, offset),
	}
}

func adminEvents(offsets ...vstream.Offset) []vstream.Event {
	events := make([]vstream.Event, len(offsets))
	for i, o := range offsets {
		events[i] = adminEvent(o)
	}
	return events
}

func inspect(t *testing.T, config Config, do func(context.Context, *Store) error) {
	t.Helper()
	if err := Inspect(t.Context(), config, do); err != nil {
		t.Fatal(err)
	}
}

func TestInspectMakesAndChangesNothing(t *testing.T) {
	config := testConfig(t)
	if err := Inspect(t.Context(), config, nil); err == nil || !strings.Contains(err.Error(), "holds no logs") {
		t.Errorf("an empty directory: %v", err)
	}
	if left, err := os.ReadDir(config.Dir); err != nil || len(left) > 0 {
		t.Errorf("there is %v, %v", left, err)
	}
	absent := config
	absent.Dir = filepath.Join(config.Dir, "absent")
	if err := Inspect(t.Context(), absent, nil); err == nil || !strings.Contains(err.Error(), "there is no directory") {
		t.Errorf("no directory: %v", err)
	}
	if _, err := os.Stat(absent.Dir); err == nil {
		t.Error("the directory was made")
	}

	e, stop := start(t, config, "a", "b-c")
	if err := e.Log("a").Append(t.Context(), adminEvents(1, 2, 5, 3, vstream.OffsetOf(1, 1))); err != nil {
		t.Fatal(err)
	}
	if err := e.Log("a").SetOrigin(t.Context(), "uuid", 2); err != nil {
		t.Fatal(err)
	}
	if err := Inspect(t.Context(), config, nil); err == nil || !strings.HasSuffix(err.Error(), "is in use by another vstream; stop that first, or use its HTTP API") {
		t.Errorf("a directory in use: %v", err)
	}
	stop()

	other := config
	other.MaxBytes, other.Retention = 1<<20, time.Nanosecond
	inspect(t, other, func(ctx context.Context, s *Store) error {
		names, err := s.VCenters(ctx)
		if err != nil || !slices.Equal(names, []string{"a", "b-c"}) {
			t.Errorf("logs of %q, %v", names, err)
		}
		for name, err := range map[string]error{
			"Log":    func() error { _, err := s.Log(ctx, "absent"); return err }(),
			"Info":   func() error { _, err := s.Info(ctx, "absent"); return err }(),
			"Verify": s.Verify(ctx, "absent", nil),
		} {
			if !errors.Is(err, ErrNoLog) {
				t.Errorf("%s of what is not there: %v", name, err)
			}
		}
		info, err := s.Info(ctx, "a")
		if err != nil {
			return err
		}
		info.Bytes = 0
		want := Info{
			VCenter: "a", Usage: vstream.Usage{Events: 5, MaxBytes: config.MaxBytes, MaxAge: time.Nanosecond, Oldest: adminEvent(1).Time},
			Range: &vstream.Range{Earliest: 1, Latest: vstream.OffsetOf(1, 1)}, Newest: adminEvent(vstream.OffsetOf(1, 1)).Time,
			Late: 1, Epoch: 2, Instance: "uuid", Replicas: 1,
		}
		if diff := cmp.Diff(want, info); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
		if info, err = s.Info(ctx, "b-c"); err != nil || info.Range != nil || info.Events != 0 {
			t.Errorf("an empty log: %+v, %v", info, err)
		}
		seen := 0
		err = s.Verify(ctx, "a", func(e *vstream.Event, faults []Fault) {
			if seen++; e == nil || len(faults) > 0 {
				t.Fatalf("%v of %v", faults, e)
			}
			if diff := cmp.Diff(adminEvent(e.Offset), *e); diff != "" {
				t.Errorf("(-appended +visited)\n%s", diff)
			}
		})
		if seen != 5 {
			t.Errorf("visited %d events", seen)
		}
		return errors.Join(err, s.Verify(ctx, "b-c", nil))
	})
	e, _ = start(t, config, "a")
	if got := e.Log("a").Usage(); got.Events != 5 {
		t.Errorf("afterwards there are %d events", got.Events)
	}
}

// What an engine finds when it opens a damaged log, a tool tells too.
func TestInfoTellsOfDamageThatShowsWhenTheLogIsOpened(t *testing.T) {
	for name, damage := range map[string]func(blocks []string){
		"a garbled block": func(blocks []string) { change(t, blocks[1], garble) },
		"a cut end":       func(blocks []string) { change(t, blocks[len(blocks)-1], half) },
	} {
		config := testConfig(t)
		e, stop := start(t, config, "vc")
		mustAppend(t, e.Log("vc"), history(1, damaged))
		stop()
		damage(storeFiles(t, config.Dir, "msgs/*.blk"))
		var told Info
		inspect(t, config, func(ctx context.Context, s *Store) (err error) {
			told, err = s.Info(ctx, "vc")
			return err
		})
		e, stop = start(t, config, "vc")
		if want := int64(e.Log("vc").lost.messages); want == 0 || told.Holes != want || told.Events != damaged-want {
			t.Errorf("%s: told are %d holes beside %d events, there are %d", name, told.Holes, told.Events, want)
		}
		stop()
	}
}

// Late events whose neighbours were dropped are no place to start from.
func TestALogBeginsAtTheTimeOfItsEarliestOffset(t *testing.T) {
	for want, order := range map[int64][]vstream.Offset{
		6: {5, 1, 3, 6, 7},
		1: {6, 1, 2, 3}, // late events are all there is
	} {
		config := testConfig(t)
		config.maxRecords = 3
		e, stop := start(t, config, "vc")
		for _, o := range order {
			mustAppend(t, e.Log("vc"), adminEvents(o))
		}
		stop()
		inspect(t, config, func(ctx context.Context, s *Store) error {
			info, err := s.Info(ctx, "vc")
			if info.Oldest.Unix() != want {
				t.Errorf("%v begins at %v of %v, want %d", order, info.Oldest.Unix(), info.Range, want)
			}
			return err
		})
	}
}

func TestALogWhoseDescriptionIsDamagedIsNamedAndNotPassedOver(t *testing.T) {
	config := testConfig(t)
	config.Dir = filepath.Join(config.Dir, "with[brackets")
	e, stop := start(t, config, "vc", "other", "empty")
	mustAppend(t, e.Log("vc"), adminEvents(1, 2))
	mustAppend(t, e.Log("other"), adminEvents(1))
	stop()
	dir := filepath.Join(config.Dir, "jetstream", "$G", "streams", "vstream-vc")
	change(t, filepath.Join(dir, "meta.inf"), garble)
	inspect(t, config, func(ctx context.Context, s *Store) error {
		if names, err := s.VCenters(ctx); err != nil || !slices.Equal(names, []string{"empty", "other", "vc"}) {
			t.Errorf("logs of %q, %v", names, err)
		}
		_, logErr := s.Log(ctx, "vc")
		_, infoErr := s.Info(ctx, "vc")
		_, createErr := s.Create(ctx, "vc")
		for _, err := range []error{logErr, infoErr, createErr, s.Verify(ctx, "vc", nil)} {
			if err == nil || !strings.HasPrefix(err.Error(), "the directory "+dir+" holds events, but is damaged") {
				t.Errorf("%v", err)
			}
		}
		_, err := s.Info(ctx, "other")
		return err
	})
}

func TestRestoreMakesTheDirectoryAndCreateTheLog(t *testing.T) {
	config := testConfig(t)
	config.Dir = filepath.Join(config.Dir, "new", "directory")
	for round, want := range []int{4, 1} {
		err := Restore(t.Context(), config, func(ctx context.Context, s *Store) error {
			l, err := s.Create(ctx, "vc")
			if err != nil {
				return err
			}
			n, err := l.AppendNew(ctx, adminEvents(1, 2, 5, 3, vstream.Offset(5+round)))
			if n != want {
				t.Errorf("round %d: appended %d, want %d", round, n, want)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	e, _ := start(t, config, "vc")
	if r, _ := e.Log("vc").Range(); (r != vstream.Range{Earliest: 1, Latest: 6}) {
		t.Errorf("the log holds %+v", r)
	}
}

// In an inspection that is interrupted, what the tool says of it counts.
func TestAnInterruptedInspectionSaysWhatTheToolSays(t *testing.T) {
	config := testConfig(t)
	_, stop := start(t, config, "vc")
	stop()
	ctx, cancel := context.WithCancel(t.Context())
	own := errors.New("so far")
	err := Inspect(ctx, config, func(ctx context.Context, _ *Store) error {
		cancel()
		<-ctx.Done()
		return own
	})
	if !errors.Is(err, own) {
		t.Errorf("%v", err)
	}
}

func TestAnInspectionThatLosesItsConnectionSaysWhyAndHowFarItCame(t *testing.T) {
	config := clusterConfig(t, startServer(t).ClientURL())
	own := errors.New("so far")
	err := Inspect(t.Context(), config, func(ctx context.Context, s *Store) error {
		s.nc.Close()
		<-ctx.Done()
		return own
	})
	if !errors.Is(err, own) || !strings.HasPrefix(err.Error(), "connection to NATS closed: ") {
		t.Errorf("%v", err)
	}
}

// What comes while a log is verified is left out, and does not hide that its end is gone.
func TestVerifyFindsThatTheEndIsGoneThoughMoreIsAppended(t *testing.T) {
	const last = readBatch + 10
	err := Restore(t.Context(), testConfig(t), func(ctx context.Context, s *Store) error {
		config := s.config.streamConfig(&stream{name: streamName("vc"), subjects: subjectsOf("vc")})
		config.DenyDelete = false
		config.Metadata = map[string]string{formatKey: format}
		stream, err := s.js.CreateStream(ctx, config)
		if err != nil {
			return err
		}
		peak := memlog.NoPeak
		write := func(o vstream.Offset) {
			e := adminEvent(o)
			if _, err := s.js.PublishMsg(ctx, message("vstream.vc.event", &e, peak)); err != nil {
				t.Fatal(err)
			}
			peak = peak.With(&e)
		}
		for o := vstream.Offset(1); o <= last; o++ {
			write(o)
		}
		if err := stream.DeleteMsg(ctx, last); err != nil {
			return err
		}
		var got []string
		err = s.Verify(ctx, "vc", func(e *vstream.Event, faults []Fault) {
			for _, f := range faults {
				got = append(got, f.Kind)
			}
			if e != nil && e.Offset == 1 {
				write(last + 1)
			}
		})
		if want := []string{faultMissing}; !slices.Equal(got, want) {
			t.Errorf("faults %q, want %q", got, want)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestVerifyFindsWhatIsWrong(t *testing.T) {
	peak := func(o vstream.Offset) memlog.Peak {
		if o < 0 {
			return memlog.NoPeak
		}
		e := adminEvent(o)
		return memlog.NoPeak.With(&e)
	}
	// written is a message as a log that ends at before would write it.
	written := func(offset, before vstream.Offset) *nats.Msg {
		e := adminEvent(offset)
		return message(subjectsOf("vc").of(offset <= before), &e, peak(before))
	}
	moved := func(m *nats.Msg, subject string) *nats.Msg {
		m.Subject = subject
		return m
	}
	for _, tt := range []struct {
		name     string
		messages []*nats.Msg
		remove   []uint64
		broken   int // links of the chain, though no number is missing: holes, too
		mended   string
		want     []string
	}{
		{
			name:     "nothing",
			messages: []*nats.Msg{written(1, -1), written(5, 1), written(2, 5), written(6, 5)},
		},
		{
			name:     "an event that was never there",
			broken:   1,
			messages: []*nats.Msg{written(1, -1), written(2, 1), written(5, 3), written(6, 5)},
			want:     []string{"chain broken: event 5 was written after event 3, 1970-01-01T00:00:03Z, and follows event 2, 1970-01-01T00:00:02Z"},
		},
		{
			name:     "a beginning that is none",
			messages: []*nats.Msg{written(7, 6)},
			want:     []string{"chain broken: event 7 was written after event 6, 1970-01-01T00:00:06Z, and follows nothing"},
		},
		{
			name:     "events that are gone",
			messages: []*nats.Msg{written(1, -1), written(2, 1), written(3, 2), written(4, 3), written(6, 4), written(7, 6)},
			remove:   []uint64{2, 3, 5},
			want: []string{
				"messages missing: 2 after event 1, 1970-01-01T00:00:01Z",
				"messages missing: 1 after event 4, 1970-01-01T00:00:04Z",
			},
		},
		{
			name:     "events that are gone and were fetched again",
			messages: []*nats.Msg{written(1, -1), written(2, 1), written(5, 2), written(8, 6), written(9, 8), written(2, 9), written(10, 9), written(12, 11)},
			remove:   []uint64{2},
			mended:   "4",
			want: []string{
				"messages missing: 1 after event 1, 1970-01-01T00:00:01Z (mended)",
				"chain broken: event 8 was written after event 6, 1970-01-01T00:00:06Z, and follows event 5, 1970-01-01T00:00:05Z (mended)",
				"chain broken: event 12 was written after event 11, 1970-01-01T00:00:11Z, and follows event 10, 1970-01-01T00:00:10Z",
			},
		},
		{
			name:     "a message of somebody else",
			messages: []*nats.Msg{written(1, -1), {Subject: "vstream.vc.event", Data: []byte("hello")}, written(2, 1)},
			want:     []string{`not an event: message 2 is no event of vstream: its header Vstream-Event is ""`},
		},
		{
			name:     "wrong subjects",
			messages: []*nats.Msg{written(1, -1), moved(written(5, 1), "vstream.vc.late"), moved(written(3, 5), "vstream.vc.event")},
			want: []string{
				"wrong subject: event 5 is on vstream.vc.late, it belongs on vstream.vc.event",
				"wrong subject: event 3 is on vstream.vc.event, it belongs on vstream.vc.late",
			},
		},
		{
			name:     "events told twice",
			messages: []*nats.Msg{written(1, -1), written(5, 1), written(3, 5), written(1, 5), written(3, 5)},
			want:     []string{"held twice: event 1 is there again, in message 4", "held twice: event 3 is there again, in message 5"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			err := Restore(t.Context(), testConfig(t), func(ctx context.Context, s *Store) error {
				config := s.config.streamConfig(&stream{name: streamName("vc"), subjects: subjectsOf("vc")})
				config.DenyDelete = false
				config.Metadata = map[string]string{formatKey: format, mendedKey: tt.mended}
				stream, err := s.js.CreateStream(ctx, config)
				if err != nil {
					return err
				}
				for _, m := range tt.messages {
					if _, err := s.js.PublishMsg(ctx, m); err != nil {
						return err
					}
				}
				for _, seq := range tt.remove {
					if err := stream.DeleteMsg(ctx, seq); err != nil {
						return err
					}
				}
				visited := 0
				err = s.Verify(ctx, "vc", func(_ *vstream.Event, faults []Fault) {
					visited++
					for _, f := range faults {
						text := f.Kind + ": " + f.Text
						if f.Mended {
							text += " (mended)"
						}
						got = append(got, text)
					}
				})
				if want := len(tt.messages) - len(tt.remove); visited != want {
					t.Errorf("visited %d messages, want %d", visited, want)
				}
				info, failed := s.Info(ctx, "vc")
				if want := int64(len(tt.remove) + tt.broken); info.Holes != want {
					t.Errorf("holes: %d, want %d", info.Holes, want)
				}
				return errors.Join(err, failed)
			})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func TestAStreamOfSomebodyElseIsNoLog(t *testing.T) {
	err := Restore(t.Context(), testConfig(t), func(ctx context.Context, s *Store) error {
		if _, err := s.js.CreateStream(ctx, jetstream.StreamConfig{Name: "vstream-vc", Subjects: []string{"vstream.vc.event"}}); err != nil {
			return err
		}
		for name, err := range map[string]error{
			"Log":    func() error { _, err := s.Log(ctx, "vc"); return err }(),
			"Create": func() error { _, err := s.Create(ctx, "vc"); return err }(),
			"Verify": s.Verify(ctx, "vc", nil),
		} {
			if err == nil || !strings.Contains(err.Error(), "vstream-vc is not one of vstream's") {
				t.Errorf("%s: %v", name, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestToolsWorkBesideServersInACluster(t *testing.T) {
	config := clusterConfig(t, startServer(t).ClientURL())
	e, _ := start(t, config, "vc")
	log := e.Log("vc")
	if err := log.Append(t.Context(), adminEvents(1, 2, 3)); err != nil {
		t.Fatal(err)
	}
	inspect(t, config, func(ctx context.Context, s *Store) error {
		if names, err := s.VCenters(ctx); err != nil || !slices.Equal(names, []string{"vc"}) { // not the bucket of leases
			t.Errorf("logs of %q, %v", names, err)
		}
		l, err := s.Create(ctx, "vc")
		if err != nil {
			return err
		}
		if n, err := l.AppendNew(ctx, adminEvents(2, 4, 5)); n != 2 || err != nil {
			t.Errorf("appended %d, %v", n, err)
		}
		becomes(t, "the server has what the tool appended", func() bool { return log.Usage().Events == 5 })
		if err := log.Append(ctx, adminEvents(6)); err != nil {
			return err
		}
		if n, err := l.AppendNew(ctx, adminEvents(7)); n != 0 || !errors.Is(err, ErrFenced) {
			t.Errorf("after the server: appended %d, %v", n, err)
		}
		events := 0
		err = s.Verify(ctx, "vc", func(_ *vstream.Event, faults []Fault) {
			if events++; len(faults) > 0 {
				t.Errorf("%v", faults)
			}
		})
		if events != 6 {
			t.Errorf("visited %d events", events)
		}
		return err
	})

	config.URL = "nats://127.0.0.1:1"
	if err := Inspect(t.Context(), config, nil); err == nil || !strings.HasPrefix(err.Error(), "connect to NATS: ") {
		t.Errorf("without servers: %v", err)
	}
}

func TestALogIsDeletedAndWhoCollectsIntoItIsTold(t *testing.T) {
	t.Run("in a directory", func(t *testing.T) {
		config := testConfig(t)
		e, stop := start(t, config, "vc", "other")
		mustAppend(t, e.Log("vc"), adminEvents(1, 2))
		mustAppend(t, e.Log("other"), adminEvents(1))
		stop()
		inspect(t, config, func(ctx context.Context, s *Store) error {
			if ids, err := s.Servers(ctx, "vc"); len(ids) > 0 || err != nil {
				t.Errorf("servers %q, %v", ids, err)
			}
			if err := s.Delete(ctx, "vc"); err != nil {
				t.Error(err)
			}
			if err := s.Delete(ctx, "vc"); !errors.Is(err, ErrNoLog) {
				t.Errorf("again: %v", err)
			}
			return nil
		})
		inspect(t, config, func(ctx context.Context, s *Store) error {
			if names, err := s.VCenters(ctx); err != nil || !slices.Equal(names, []string{"other"}) {
				t.Errorf("logs of %q, %v", names, err)
			}
			return nil
		})
	})
	t.Run("in a cluster", func(t *testing.T) {
		config := clusterConfig(t, startServer(t).ClientURL())
		inspect(t, config, func(ctx context.Context, s *Store) error {
			if ids, err := s.Servers(ctx, "vc"); len(ids) > 0 || err != nil {
				t.Errorf("without a bucket: servers %q, %v", ids, err)
			}
			first, second := join(t, config, "vc"), join(t, config, "vc", "other")
			var ids []string
			becomes(t, "both are told", func() (both bool) {
				var err error
				if ids, err = s.Servers(ctx, "vc"); err != nil {
					t.Fatal(err)
				}
				return len(ids) == 2
			})
			if want := slices.Sorted(slices.Values([]string{first.leases.id, second.leases.id})); !slices.Equal(ids, want) {
				t.Errorf("servers %q, want %q", ids, want)
			}
			if ids, err := s.Servers(ctx, "another"); len(ids) > 0 || err != nil {
				t.Errorf("of another: servers %q, %v", ids, err)
			}
			first.stop()
			second.stop()
			if ids, err := s.Servers(ctx, "vc"); len(ids) > 0 || err != nil {
				t.Errorf("after both have stopped: servers %q, %v", ids, err)
			}
			return s.Delete(ctx, "vc")
		})
	})
}

func TestAnEngineTellsOfLogsThatAreNoneOfItsVCenters(t *testing.T) {
	config := testConfig(t)
	e, stop := start(t, config, "old", "kept")
	mustAppend(t, e.Log("old"), adminEvents(1, 2))
	stop()
	var said diary
	config.Logger = slog.New(slog.NewTextHandler(&said, nil))
	start(t, config, "kept")
	becomes(t, "the log of old is told of", func() bool {
		return strings.Contains(said.String(), "there is a log of a vCenter that is not configured here") &&
			strings.Contains(said.String(), "vcenter=old events=2 bytes=")
	})
	if strings.Contains(said.String(), "vcenter=kept events") {
		t.Errorf("a configured one is told of: %s", said.String())
	}
}
