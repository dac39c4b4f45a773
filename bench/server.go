package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"syscall"
	"time"

	prototype "github.com/embano1/memlog"
	"github.com/vmware/govmomi/vim25/types"

	"vstream"
	"vstream/internal/access"
	"vstream/internal/httpapi"
	"vstream/internal/index"
	"vstream/internal/memlog"
)

// A serverOrder says what a server of events is to be.
type serverOrder struct {
	Prototype bool   // not vstream, but what it replaces: each watcher polls the log every 10 ms
	Records   int    // that the log holds at most
	Fill      int    // events that it has to begin with
	Copy      string // file to write those to as well, a line each; or empty
}

// A backend is a server's log: what is appended is what watchers get.
type backend interface {
	append(ctx context.Context, events []vstream.Event) error
	run(ctx context.Context, l net.Listener) error
}

// serverChild serves events over HTTP, and appends some when it is told to.
func serverChild(ctx context.Context, c *child) error {
	var o serverOrder
	if err := c.settings(&o); err != nil {
		return err
	}
	if err := permitFiles(); err != nil {
		return err
	}
	log := memlog.New(o.Records, max(maxBytes, int64(o.Records)*4<<10))
	if err := log.SetOrigin(ctx, "5a0e9c1e-0000-4000-8000-000000000001", 0); err != nil { // so that cursors are as long as they are
		return err
	}
	var back backend = &vstreamServer{log: log}
	if o.Prototype {
		log, err := prototype.New(ctx, prototype.WithMaxSegmentSize(max(o.Records/2, 1)))
		if err != nil {
			return err
		}
		back = &prototypeServer{log: log}
	}
	if err := fill(ctx, back, o); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() { done <- back.run(ctx, listener) }()
	if err := c.say("http://" + listener.Addr().String() + "/api/v1/events"); err != nil {
		cancel()
		return err
	}
	end := func() error { return nil }
	source, next := newEvents(), o.Fill
	source.numbers.key = int32(firstKey + o.Fill)
	for m := range c.commands {
		switch m.Do {
		case "profile":
			if end, err = c.profile(); err != nil {
				break
			}
			err = c.say(true)
		case "profiled":
			if err = end(); err == nil {
				err = c.say(true)
			}
			end = func() error { return nil }
		case "usage":
			err = c.say(used(m.Number > 0))
		case "append":
			if next, err = appendAtRate(ctx, back, source, next, m); err == nil {
				err = c.say(next)
			}
		default:
			err = fmt.Errorf("there is no command %q", m.Do)
		}
		if err != nil {
			break
		}
	}
	cancel()
	return errors.Join(err, end(), <-done)
}

// permitFiles lets this process have as many connections as it can be permitted.
func permitFiles() error {
	const enough = 40_000
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return err
	}
	wanted := limit
	wanted.Cur, wanted.Max = max(limit.Max, enough), max(limit.Max, enough)
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &wanted) == nil { // only root may raise the second
		return nil
	}
	limit.Cur = limit.Max
	return syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
}

// stamp stands in the message of an event before its number and the moment it was sent at.
const stamp = "sent@"

// stamped makes an event that tells when it was made.
func stamped(source *events, n int) (vstream.Event, error) {
	source.numbers.next()
	about := newPlace(source.numbers.random)
	base := types.Event{Key: source.numbers.key, ChainId: source.numbers.key, CreatedTime: time.Now().UTC(), UserName: about.user}
	about.name(&base, true)
	base.FullFormattedMessage = fmt.Sprintf("%s%010d.%019d %s on %s in %s has powered on, and more is said of it than there is to say, so that it is as long as others are",
		stamp, n, time.Now().UnixNano(), about.vm, about.host, about.datacenter)
	return source.encoder.Encode(&types.VmPoweredOnEvent{VmEvent: types.VmEvent{Event: base}})
}

// appendAtRate appends so many events one by one, so many a second: each as it happens, as
// a vCenter has them, and not in batches. It returns the number of the next.
func appendAtRate(ctx context.Context, back backend, source *events, next int, m command) (int, error) {
	began := time.Now()
	for i := range m.Number {
		due := began.Add(time.Duration(float64(i) / m.Rate * float64(time.Second)))
		time.Sleep(time.Until(due))
		e, err := stamped(source, next)
		if err != nil {
			return next, err
		}
		if err := back.append(ctx, []vstream.Event{e}); err != nil {
			return next, err
		}
		next++
	}
	return next, nil
}

// A manifold makes many events of some, faster than they can be encoded: each has an offset,
// a time and bytes of its own, though what it tells, and the time that the bytes tell, is
// what others tell too.
type manifold struct{ some []vstream.Event }

// distinct is how many events a manifold is made of at most.
const distinct = 5_000

func newManifold(n int) manifold { return manifold{newEvents().take(min(n, distinct))} }

// take makes n events, the first with the number from.
func (m manifold) take(from, n int) []vstream.Event {
	page := make([]vstream.Event, n)
	for i := range page {
		page[i] = m.some[(from+i)%len(m.some)].WithOffset(vstream.Offset(firstKey + from + i))
		page[i].Time = manifoldTime(from + i)
	}
	return page
}

// manifoldTime is when the event with this number happened.
func manifoldTime(n int) time.Time {
	return time.Date(2026, time.January, 5, 6, 0, 0, 0, time.UTC).Add(time.Duration(n) * 100 * time.Millisecond)
}

// fill appends the events that are there to begin with.
func fill(ctx context.Context, back backend, o serverOrder) (err error) {
	var file io.WriteCloser
	if o.Copy != "" {
		if file, err = os.Create(o.Copy); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, file.Close()) }()
	}
	many := newManifold(o.Fill)
	for from := 0; from < o.Fill; from += pageSize {
		page := many.take(from, min(pageSize, o.Fill-from))
		var text []byte
		for i := range page {
			text = append(append(text, page[i].JSON...), '\n')
		}
		if err := back.append(ctx, page); err != nil {
			return err
		}
		if file == nil {
			continue
		}
		if _, err := file.Write(text); err != nil {
			return err
		}
	}
	return nil
}

// vstreamServer is what the program serves, wired as it wires it, but for the collector.
type vstreamServer struct{ log *memlog.Log }

func (s *vstreamServer) append(ctx context.Context, events []vstream.Event) error {
	return s.log.Append(ctx, events)
}

func (s *vstreamServer) run(ctx context.Context, l net.Listener) error {
	const watchesMax, indexed = 100_000, 2_000_000 // the program's defaults
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	guard, err := access.New(access.Config{Watches: watchesMax, Logger: logger})
	if err != nil {
		return err
	}
	indexing := &index.Index{Log: s.log, MaxRows: indexed, Logger: logger}
	api := &httpapi.Server{
		Listener:    guard.Listener(l),
		WatchMaxAge: 30 * time.Minute,
		Admit:       guard.Admit,
		Logger:      logger,
		VCenters: []httpapi.VCenter{{
			Name: "vc", Log: s.log, Index: indexing,
			Status: func() vstream.Status { return vstream.Status{Name: "vc"} },
			Types:  func() []vstream.EventType { return nil },
		}},
	}
	api.Guard = func(next http.Handler) http.Handler { return guard.Handler(next, api.Deny) }
	done := make(chan error, 2)
	go func() { done <- guard.Run(ctx) }()
	go func() { done <- indexing.Run(ctx) }()
	return errors.Join(api.Run(ctx), <-done, <-done)
}

// prototypeServer serves as the prototype did: a handler for each watcher, which asks the
// log every 10 ms whether there is something new.
type prototypeServer struct{ log *prototype.Log }

func (s *prototypeServer) append(ctx context.Context, events []vstream.Event) error {
	for i := range events {
		if _, err := s.log.Write(ctx, events[i].JSON); err != nil {
			return err
		}
	}
	return nil
}

func (s *prototypeServer) run(ctx context.Context, l net.Listener) error {
	server := &http.Server{Handler: s, ReadHeaderTimeout: time.Minute, BaseContext: func(net.Listener) context.Context { return ctx }}
	defer context.AfterFunc(ctx, func() { _ = server.Close() })()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (s *prototypeServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	_, latest := s.log.Range(ctx)
	w.Header().Set("Content-Type", "application/json")
	flusher := w.(http.Flusher)
	flusher.Flush()
	stream := s.log.Stream(ctx, latest+1)
	for {
		record, ok := stream.Next()
		if !ok {
			return
		}
		if _, err := w.Write(append(record.Data, '\n')); err != nil {
			return
		}
		flusher.Flush()
	}
}

// An archiveOrder says which file is to be served.
type archiveOrder struct{ Path string }

// archiveChild serves a file.
func archiveChild(_ context.Context, c *child) error {
	var o archiveOrder
	if err := c.settings(&o); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file, err := os.Open(o.Path)
		if err != nil {
			http.Error(w, "the file cannot be opened", http.StatusInternalServerError)
			return
		}
		defer file.Close()
		http.ServeContent(w, r, "events.ndjson", time.Time{}, file)
	})}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	if err := c.say("http://" + listener.Addr().String() + "/events.ndjson"); err != nil {
		return err
	}
	for m := range c.commands {
		if m.Do != "usage" {
			return fmt.Errorf("there is no command %q", m.Do)
		}
		if err := c.say(used(false)); err != nil {
			return err
		}
	}
	_ = server.Close()
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// stamps finds the stamps in a text: the number of each event, and when it was sent. It
// returns what of the text is still to be looked at, when more has come.
func stamps(text []byte, yield func(number int, sent time.Time)) (rest []byte) {
	const length = len(stamp) + 10 + 1 + 19
	for {
		at := bytes.Index(text, []byte(stamp))
		if at < 0 || len(text) < at+length {
			if at < 0 {
				at = max(0, len(text)-len(stamp))
			}
			return text[at:]
		}
		skip := len(stamp)
		number, err := strconv.Atoi(string(text[at+len(stamp) : at+len(stamp)+10]))
		nanos, also := strconv.ParseInt(string(text[at+length-19:at+length]), 10, 64)
		if err == nil && also == nil {
			yield(number, time.Unix(0, nanos))
			skip = length
		}
		text = text[at+skip:]
	}
}
