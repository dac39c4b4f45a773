package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vstream"
	"vstream/client"
)

// Runs of a program that ends at any moment get all events, and those again only whose body
// of the loop had not returned.
func TestWithACheckpointEachRunGoesOnWhereTheOneBeforeWas(t *testing.T) {
	v1, v2 := newVCenter("vc1", 1000), newVCenter("vc2", 1000)
	v1.add(1, 100)
	v2.add(1, 100)
	s := serve(t, v1, v2)
	p := between(t, s.address, randomly(7, 20_000))
	path := filepath.Join(t.TempDir(), "place")
	var got []string
	repeated := 0
	for run := 0; len(got) < 200; run++ {
		c := newClient(t, p.url())
		ctx, cancel := context.WithCancel(limited(t))
		n, last := 0, ""
		if run%3 == 1 {
			last = got[len(got)-1]
		}
		for e, err := range c.Watch(ctx, client.Earliest(), client.WithCheckpoint(c.CheckpointFile(path)), client.Limit(17)) {
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 && last != "" { // at which the run before left the loop
				repeated++
				if string(e.JSON) != last {
					t.Errorf("run %d begins with %.60s, and not with %.60s", run, e.JSON, last)
				}
				got = got[:len(got)-1]
			}
			got = append(got, string(e.JSON))
			if n++; len(got) == 200 || run%3 == 0 && n == 7 {
				break
			}
			if run%3 == 1 && n == 11 {
				cancel() // and the body returns
			}
		}
		cancel()
		if run%3 == 2 && n != 17 && len(got) < 200 {
			t.Errorf("a run with a limit got %d events", n)
		}
	}
	if repeated < 3 {
		t.Errorf("events came again %d times", repeated)
	}
	for _, v := range []*vcenter{v1, v2} {
		same(t, v.name, slices.DeleteFunc(slices.Clone(got), func(e string) bool { return !strings.Contains(e, v.source()) }), v.told)
	}
}

func TestACheckpointKeepsThePlaceBeforeThereIsAnEvent(t *testing.T) {
	v := newVCenter("vc1", 1000)
	v.add(1, 5)
	s := serve(t, v)
	c := newClient(t, s.url())
	place := c.CheckpointFile(filepath.Join(t.TempDir(), "place"))
	ctx, cancel := context.WithCancel(limited(t))
	for range c.Watch(ctx, client.WithCheckpoint(place), client.OnBookmark(func(client.Bookmark) { cancel() })) {
		t.Error("an event came")
	}
	v.add(6, 6)
	same(t, "the second run", collect(t, c.Watch(limited(t), client.WithCheckpoint(place)), 1), v.told[5:])
}

// A saver counts what it is asked to keep.
type saver struct {
	saved []string
	err   error
}

func (s *saver) Load(context.Context) (vstream.Cursor, error) { return nil, nil }
func (s *saver) Save(_ context.Context, c vstream.Cursor) error {
	s.saved = append(s.saved, c.String())
	return s.err
}

func TestThePlaceIsSavedAfterTheBodyOfTheLoopAndAsOftenAsWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := newVCenter("vc1", 100)
		v.add(1, 10)
		_, c, _ := inBubble(t, time.Hour, v)
		for _, q := range []struct {
			every time.Duration
			want  string
		}{
			{0, "vc1.0 vc1.1 vc1.2 vc1.3 vc1.4 vc1.5"},
			{2 * time.Second, "vc1.0 vc1.2 vc1.4 vc1.5"},
			{time.Hour, "vc1.0 vc1.5"},
		} {
			s := &saver{}
			for e, err := range c.List(t.Context(), client.WithCheckpoint(s), client.SaveEvery(q.every)) {
				if err != nil {
					t.Fatal(err)
				}
				if q.every == 0 && s.saved[len(s.saved)-1] != (vstream.Cursor{"vc1": {Offset: e.Offset - 1}}).String() {
					t.Errorf("in the body for event %d the place is %v", e.Offset, s.saved)
				}
				if e.Offset == 6 {
					break
				}
				time.Sleep(time.Second)
			}
			if got := strings.Join(s.saved, " "); got != q.want {
				t.Errorf("every %v: saved %s, want %s", q.every, got, q.want)
			}
		}
		full := &saver{err: errors.New("no space left")}
		if err := failure(t, c.List(t.Context(), client.WithCheckpoint(full))); !errors.Is(err, full.err) {
			t.Errorf("with a full disk it ended with %v", err)
		}
	})
}

func TestACursorThatTheServerRefusesIsNotKept(t *testing.T) {
	v := newVCenter("vc1", 10)
	v.add(1, 1)
	s := serve(t, v)
	kept := &saver{}
	err := failure(t, newClient(t, s.url()).Watch(limited(t), client.After(vstream.Cursor{"vc2": {Offset: 1}}), client.WithCheckpoint(kept)))
	if !is[*client.BadRequestError](err) || len(kept.saved) > 0 {
		t.Errorf("it ended with %v and kept %v", err, kept.saved)
	}
}

func TestACheckpointFileThatCannotBeUsedSaysWhatToDo(t *testing.T) {
	ctx := t.Context()
	here, err := client.New("http://localhost:8080")
	if err != nil {
		t.Fatal(err)
	}
	there, err := client.New("http://localhost:8081/api/v1")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "place")
	if c, err := here.CheckpointFile(path).Load(ctx); c != nil || err != nil {
		t.Errorf("without a file: %v, %v", c, err)
	}
	at := vstream.Cursor{"vc1": {Offset: 7}, "vc2": {Offset: 9}}
	for range 2 {
		if err := here.CheckpointFile(path).Save(ctx, at); err != nil {
			t.Fatal(err)
		}
	}
	if c, err := here.CheckpointFile(path).Load(ctx); err != nil || c.String() != at.String() {
		t.Errorf("saved %v, loaded %v, %v", at, c, err)
	}
	info, err := os.Stat(path)
	if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("its mode is %v, %v", info.Mode(), err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("beside it there are %v", files)
	}
	whole, err := os.ReadFile(path)
	if err != nil || !json.Valid(whole) {
		t.Fatalf("it holds %q, %v", whole, err)
	}
	var refused *client.CheckpointError
	if _, err := there.CheckpointFile(path).Load(ctx); !errors.As(err, &refused) ||
		!strings.Contains(err.Error(), "is of the server http://localhost:8080, and this is http://localhost:8081; if they are the same, write its address as then, else name another file") {
		t.Errorf("of another server: %v", err)
	}
	for _, damage := range []string{"", "\n", string(whole[:len(whole)/2]), "vc1.7", `{"server":"http://localhost:8080","cursor":"vc1.7"}`,
		strings.Replace(string(whole), "vc1.7", "vc1.x", 1), "\x00\x00\x00", strings.Repeat(" ", 5<<20)} {
		if err := os.WriteFile(path, []byte(damage), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := here.CheckpointFile(path).Load(ctx); !errors.As(err, &refused) || len(damage) < 1000 && !strings.Contains(err.Error(), "is damaged, or no checkpoint; remove it") {
			t.Errorf("holding %.40q: %v", damage, err)
		}
	}
	if err := here.CheckpointFile(filepath.Join(dir, "none", "place")).Save(ctx, at); !errors.As(err, &refused) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a directory: %v", err)
	}
	if _, err := here.CheckpointFile(dir).Load(ctx); !errors.As(err, &refused) {
		t.Errorf("a directory: %v", err)
	}
	if err := here.CheckpointFile(dir).Save(ctx, at); !errors.As(err, &refused) {
		t.Errorf("a directory: %v", err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("after errors there are %v", files)
	}
}
