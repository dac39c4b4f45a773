package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"vstream"
	"vstream/client"
	"vstream/internal/output"
)

// A reader is a command that reads events and writes them: what its flags say.
type reader struct {
	connection
	filter
	span
	outputChoice
	follow     bool
	max        int
	exitStatus bool
	failOnGap  bool
	printURL   bool

	server    *client.Client
	vcenters  vcenterNames
	written   int64
	first     map[string]vstream.Offset // that was written, by vCenter
	at        vstream.Cursor            // behind what was written
	connected bool
	away      bool      // and the person was told
	single    bool      // one vCenter is named
	command   string    // what this is called
	from      time.Time // events before are left out until one is not; zero: none
	failed    int       // events that could not be written in the form
}

func (r *reader) addFlags(cmd *cobra.Command, form string, last int) {
	flags := cmd.Flags()
	flags.SortFlags = false // they are in groups
	r.span.addFlags(cmd, last)
	r.filter.addFlags(cmd)
	r.outputChoice.addFlags(cmd, form)
	flags.IntVar(&r.max, "max-events", 0, "end after so many events")
	flags.BoolVar(&r.exitStatus, "exit-status", false, "end with the exit code 3 if nothing matched")
	flags.BoolVar(&r.failOnGap, "fail-on-gap", false, "end with the exit code 6 if the server does not keep what is next any more")
	flags.BoolVar(&r.printURL, "print-url", false, "print where the API has the same, instead of reading it")
	r.connection.addFlags(cmd)
}

// options returns what to ask for.
func (r *reader) options(cmd *cobra.Command) ([]client.ReadOption, error) {
	options, err := r.filter.options()
	if err != nil {
		return nil, err
	}
	place, err := r.span.options(cmd.Flags().Changed)
	if err != nil {
		return nil, err
	}
	options = append(options, place...)
	switch {
	case r.max < 0 || r.max == 0 && cmd.Flags().Changed("max-events"):
		return nil, usagef("--max-events: give 1 or more, not %d", r.max)
	case r.max > 0 && r.newestSince(cmd.Flags().Changed):
		return nil, usagef("--since goes with --last, for the newest events of that time, or with --max-events, for the oldest; leave out one of those")
	case r.max > 0:
		options = append(options, client.Limit(r.max))
	}
	if r.newestSince(cmd.Flags().Changed) && !r.kept() {
		r.from = r.since.time()
	}
	return options, nil
}

// prepare reads the flags, so that what is wrong with them is said before anything is done.
func (r *reader) prepare(cmd *cobra.Command) (options []client.ReadOption, err error) {
	if r.server, err = r.open(cmd); err != nil {
		return nil, err
	}
	if names := r.values["vcenter"]; len(names) == 1 && !strings.ContainsAny(names[0], "*!,") {
		r.single = true
		r.server = r.server.VCenter(names[0]) // which offsets are of
		delete(r.values, "vcenter")
	}
	r.command = cmd.Name()
	r.sayKept(cmd)
	r.vcenters = vcenterNames{server: r.server}
	r.first = map[string]vstream.Offset{}
	return r.options(cmd)
}

// sayKept tells that where to begin is said in vain, for the place that is kept counts.
func (r *reader) sayKept(cmd *cobra.Command) {
	if !r.kept() {
		return
	}
	for _, name := range []string{"since", "offset", "cursor", "last", "all"} {
		if cmd.Flags().Changed(name) {
			r.talk("going on at the place that %s keeps; --%s is for the first time", r.cursorFile, name)
			return
		}
	}
}

// run reads and writes to out. Each is called after each event that was written, and may be
// nil.
func (r *reader) run(cmd *cobra.Command, out io.Writer, options []client.ReadOption, each func()) (w *output.Writer, err error) {
	bounded, release := r.bounded(cmd)
	defer release()
	ctx, cancel := context.WithCancelCause(bounded)
	defer cancel(nil)
	clock, err := r.clock(out)
	if err != nil {
		return nil, err
	}
	form, err := r.parse(ctx, out, output.Options{
		Columns: output.EventColumns(clock, func() bool { return r.vcenters.several(ctx) }), Stream: true, Endless: r.follow,
	})
	if err != nil {
		return nil, err
	}
	w = output.NewWriter(out, form)
	options = append(options, client.OnGap(r.gap), client.OnReconnect(r.reconnect), client.OnBookmark(func(client.Bookmark) { r.reached() }))
	if r.cursorFile != "" {
		// What is kept has been written.
		options = append(options, client.WithCheckpoint(&flushing{Checkpoint: r.server.CheckpointFile(r.cursorFile), r: r, w: w}), client.SaveEvery(saveEvery))
	}
	read := r.server.List
	if r.follow {
		read = r.server.Watch
		var looking sync.WaitGroup
		looking.Go(func() { untilUnread(ctx, out, func() { cancel(brokenPipe) }) })
		looking.Go(func() {
			r.sayUnseen(ctx)
			if r.reaches() {
				r.sayReach(ctx, r.server, r.since)
			}
		})
		defer looking.Wait()
		defer cancel(nil)
	}
	err = r.loop(ctx, w, clock, read(ctx, options...), each)
	if closed := w.Close(); err == nil {
		err = closed
	}
	if err == nil || ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
		err = ended(ctx, cmd, err)
	}
	switch {
	case err != nil:
	case r.failed > 0:
		err = usagef("%d events could not be written", r.failed)
	default:
		if !r.follow {
			r.sayMore(bounded, cmd)
		}
		if r.written == 0 {
			err = r.nothing(cmd)
		}
	}
	return w, r.explain(err)
}

// nothing says that nothing matched.
func (r *reader) nothing(cmd *cobra.Command) error {
	switch {
	case r.exitStatus:
		return errNothing
	case !r.forPeople() || r.last == 0 && cmd.Flags().Changed("last"):
	case r.since.given && r.since.time().After(time.Now()):
		r.talk("no events found; --since is still to come")
	default:
		r.talk("no events found")
	}
	return nil
}

// sayMore tells of what there is beside what was written, or why that is nothing.
func (r *reader) sayMore(ctx context.Context, cmd *cobra.Command) {
	if r.written == 0 || r.forPeople() && len(r.named["user"]) > 0 {
		r.sayUnseen(ctx)
	}
	if r.reaches() {
		r.sayReach(ctx, r.server, r.since)
	}
	if r.quiet || !r.forPeople() || r.command != "get" || r.written < getLast || r.since.given || r.exact() || r.all || r.max > 0 || r.kept() || cmd.Flags().Changed("last") {
		return
	}
	options, err := r.filter.options()
	if err != nil {
		return
	}
	if r.until.given {
		options = append(options, client.Until(r.until.time()))
	}
	if all, err := r.server.Facets(ctx, append(options, client.Top(1))...); err == nil && all.Complete && all.Events > r.written {
		r.talk("%d more; see --all, --since and --last", all.Events-r.written)
	}
}

// reaches reports whether a person wants to know that the log does not reach back so far.
func (r *reader) reaches() bool {
	return r.since.given && !r.kept() && (r.forPeople() || r.command == "export")
}

// sayUnseen tells which names in filters no event has, which may be misspelt.
func (r *reader) sayUnseen(ctx context.Context) {
	if r.quiet {
		return
	}
	for _, text := range r.unseen(ctx, r.server) {
		r.talk("%s", text)
	}
}

// explain adds what the command line knows to what a server says.
func (r *reader) explain(err error) error {
	var absent *client.NotFoundError
	if r.single && errors.As(err, &absent) && !strings.HasSuffix(absent.Type, ":event-not-found") && !isForeign(err) {
		text, advice, _ := strings.Cut(absent.Detail, "; ")
		if !strings.HasPrefix(advice, "did you mean") {
			advice = "those there are: vstream vcenters"
		}
		return usagef("--vcenter: %s; %s", text, advice)
	}
	var ahead *client.AheadError
	if errors.As(err, &ahead) {
		return r.explainAhead(ahead)
	}
	return r.filter.explain(err)
}

// explainAhead says what to do about a log that is another one now.
func (r *reader) explainAhead(err *client.AheadError) error {
	what, _, _ := strings.Cut(err.Error(), "; ")
	switch {
	case r.cursorFile != "":
		return &toldError{err, fmt.Sprintf("%s; look whether the server is the right one, then remove %s, and begin with --all or --since", what, r.cursorFile)}
	case r.connected:
		return &toldError{err, fmt.Sprintf("the log behind the server was replaced by another while it was read (%s); start vstream %s again", what, r.command)}
	}
	return err
}

// saveEvery is how much time passes between two times that a place is kept. Only a crash
// repeats so much.
const saveEvery = 200 * time.Millisecond

func (r *reader) loop(ctx context.Context, w *output.Writer, clock output.Clock, events iter.Seq2[client.Event, error], each func()) error {
	for e, err := range events {
		if err != nil {
			return err
		}
		r.reached()
		if e.Time.Before(r.from) {
			continue
		}
		r.from = time.Time{}
		record := output.EventRecord(e, clock, func(e client.Event) string { return r.vcenters.of(ctx, e.Source) })
		record.Written = func() { r.count(e) }
		if err = w.Write(record); err == nil && r.follow {
			err = w.Flush() // whoever waits for it
		}
		if is[*output.FormError](err) {
			err = r.blame(fmt.Errorf("event %s: %w", e.ID, err))
			if r.follow && r.written > 0 { // with the first event it is a mistake, later a surprise
				r.failed++
				fmt.Fprintf(r.stderr, "vstream: %v\n", err)
				continue
			}
		}
		if err != nil {
			return err
		}
		if each != nil {
			each()
		}
	}
	return nil
}

// count takes note of an event that was written.
func (r *reader) count(e client.Event) {
	r.written++
	if _, seen := r.first[e.Source]; !seen {
		r.first[e.Source] = e.Offset
	}
	r.at = e.Cursor
}

// reached takes note that the server is there.
func (r *reader) reached() {
	if r.away {
		r.talk("connected again")
	}
	r.connected, r.away = true, false
}

// gap tells what was missed. A place that somebody asked for by its number has to be there; one
// that was kept may be gone.
func (r *reader) gap(g client.Gap) error {
	switch {
	case !r.connected && r.exact() && !r.kept():
		return &client.ExpiredError{VCenter: g.VCenter, Requested: g.Requested, Earliest: g.Earliest, Latest: g.Latest, Missed: g.Missed}
	case r.failOnGap:
		return &gapError{g}
	}
	fmt.Fprintf(r.stderr, "vstream: %s\n", gapText(g))
	return nil
}

// reconnect tells that the connection is gone. A server that was never there is not waited
// for.
func (r *reader) reconnect(c client.Reconnect) error {
	switch {
	case c.Err == nil: // planned
	case !r.connected && is[*client.UnreachableError](c.Err):
		return c.Err
	case !r.away:
		r.away = true
		r.talk("%v; trying again until it answers", c.Err)
	}
	return nil
}

// printAddress prints where the API has what would be read. A watch that begins with the last
// events is two requests: a page, and a watch from its Stream-Next-Cursor on.
func (r *reader) printAddress(cmd *cobra.Command, options []client.ReadOption) error {
	text, err := r.server.URL(options...)
	if err != nil {
		return usageError{err}
	}
	u, err := url.Parse(text)
	if err != nil {
		return err
	}
	values := u.Query()
	if r.newestSince(cmd.Flags().Changed) {
		return usagef("--print-url: the API has no address for --since with --last; leave out one of them")
	}
	if r.follow {
		last := r.last > 0 && !r.since.given && !r.exact() && !r.all
		if last {
			if _, err := fmt.Fprintln(cmd.OutOrStdout(), u); err != nil {
				return err
			}
			values.Del("limit")
		}
		values.Set("watch", "true")
	}
	u.RawQuery = values.Encode()
	_, err = fmt.Fprintln(cmd.OutOrStdout(), u)
	return err
}

// flushing keeps a place once all before it is written. It tells when another process keeps
// its place in the same file, by which each would skip or repeat what the other has read.
type flushing struct {
	client.Checkpoint
	r    *reader
	w    *output.Writer
	last os.FileInfo // of the file as we have left it; nil where there was none
	told bool
}

func (f *flushing) Load(ctx context.Context) (vstream.Cursor, error) {
	f.last, _ = os.Stat(f.r.cursorFile)
	return f.Checkpoint.Load(ctx)
}

func (f *flushing) Save(ctx context.Context, c vstream.Cursor) error {
	if err := f.w.Flush(); err != nil { // which ends the command; what was written is not to come again
		if f.r.at == nil {
			return nil
		}
		c = f.r.at
	}
	now, err := os.Stat(f.r.cursorFile)
	if err == nil && !f.told && (f.last == nil || !os.SameFile(f.last, now) || !f.last.ModTime().Equal(now.ModTime())) {
		f.told = true
		fmt.Fprintf(f.r.stderr, "vstream: another process keeps its place in %s, too; give each a file of its own\n", f.r.cursorFile)
	}
	if err := f.Checkpoint.Save(ctx, c); err != nil {
		return err
	}
	f.last, _ = os.Stat(f.r.cursorFile)
	return nil
}

// vcenterNames finds out how the vCenters are called that events are from.
type vcenterNames struct {
	server *client.Client
	asked  bool
	names  map[string]string // by address
}

// several reports whether the server has several vCenters.
func (v *vcenterNames) several(ctx context.Context) bool {
	v.ask(ctx)
	return len(v.names) > 1
}

// of returns the name of the vCenter with this address, or what stands in for it.
func (v *vcenterNames) of(ctx context.Context, source string) string {
	v.ask(ctx)
	if name, ok := v.names[source]; ok {
		return name
	}
	if u, err := url.Parse(source); err == nil {
		return u.Hostname()
	}
	return ""
}

// ask asks the server, once. That it does not answer shows elsewhere.
func (v *vcenterNames) ask(ctx context.Context) {
	if v.asked {
		return
	}
	v.asked = true
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	all, err := v.server.VCenters(ctx)
	if err != nil {
		return
	}
	v.names = map[string]string{}
	for _, c := range all {
		v.names[c.URL] = c.Name
	}
}
