package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"vstream"
	"vstream/client"
	"vstream/internal/duration"
	"vstream/internal/output"
	"vstream/internal/spelling"
)

// A field is something that filters test: as the API calls it, as the flag is called, if there
// is one, and the option that asks for it.
type field struct {
	name, flag, short, help string
	option                  func(...string) client.ReadOption
}

var fields = []field{
	{"type", "type", "t", "types, as VmPoweredOnEvent or 'VmPowered*'", client.Type},
	{"severity", "severity", "", "severities: info, warning, error, user", client.Severity},
	{"vm", "vm", "", "events about these virtual machines", client.VM},
	{"host", "host", "", "events about these hosts", client.Host},
	{"cluster", "cluster", "", "events about these clusters", client.Cluster},
	{"datacenter", "dc", "", "events about these datacenters", client.Datacenter},
	{"datastore", "ds", "", "events about these datastores", client.Datastore},
	{"network", "net", "", "events about these networks", client.Network},
	{"user", "user", "", "what these users did", client.User},
	{"vcenter", "vcenter", "", "events of these vCenters", client.VCenter},
	{"eventclass", "", "", "", client.Class},
}

const filterHelp = `Filters are those of the API (docs/filters.md), and tested on the server. A * stands for
any characters, a leading ! for all others, a comma between values for any of them:
--vm 'web*,!web3'. Different filters must all pass.`

// A filter is which events are wanted: flags.
type filter struct {
	values     map[string][]string // by the name of the field
	chain      []string
	grep       string
	expression string
	others     []string // field=GLOB

	named map[string][]string // values and others, by the name of the field
}

func (f *filter) addFlags(cmd *cobra.Command) {
	f.values = map[string][]string{}
	flags := cmd.Flags()
	for _, of := range fields {
		if of.flag != "" {
			flags.VarP(&listFlag{f.values, of.name}, of.flag, of.short, of.help)
			complete(cmd, of.flag, completeField(of.name))
		}
	}
	flags.StringSliceVar(&f.chain, "chain", nil, "all events of these operations, by their ChainId")
	flags.StringVarP(&f.grep, "grep", "g", "", "events with this text in their message, type or names, in any case")
	flags.StringArrayVarP(&f.others, "field", "x", nil, "any of these fields by its name in the API, and eventclass, as in -x eventclass=eventex")
	flags.StringVar(&f.expression, "filter", "", `events for which this CEL expression is true, as in 'vm.startsWith("prod-")'`)
	aliases(flags)
}

// aliases lets flags be called as the API calls what they are.
func aliases(flags *pflag.FlagSet) {
	flags.SetNormalizeFunc(func(_ *pflag.FlagSet, name string) pflag.NormalizedName {
		for _, f := range fields {
			if f.name == name && f.flag != "" {
				return pflag.NormalizedName(f.flag)
			}
		}
		return pflag.NormalizedName(name)
	})
}

// A listFlag is the values of a field.
type listFlag struct {
	to   map[string][]string
	name string
}

func (l *listFlag) String() string { return "" }
func (l *listFlag) Type() string   { return fieldType }

// fieldType is what the values of a field are. They are refused where they are empty.
const fieldType = "glob"

func (l *listFlag) Set(text string) error {
	if strings.TrimSpace(text) == "" {
		return errors.New("it is empty; leave the flag out, or give '*' for any")
	}
	if rest, not := strings.CutPrefix(text, "!="); not {
		return fmt.Errorf("%q has a = too many; all others are written '!%s'", text, rest)
	}
	l.to[l.name] = append(l.to[l.name], text)
	return nil
}

// options returns what to ask for. What it finds wrong is the command line's fault.
func (f *filter) options() ([]client.ReadOption, error) {
	values := map[string][]string{}
	for name, given := range f.values {
		values[name] = slices.Clone(given)
	}
	chain := slices.Clone(f.chain)
	var names []string
	for _, of := range fields {
		names = append(names, of.name)
	}
	names = append(names, "chain")
	for _, text := range f.others {
		name, value, found := strings.Cut(text, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		for _, of := range fields { // dc is datacenter here, too
			if name == of.flag && name != "" {
				name = of.name
			}
		}
		switch not, others := strings.CutSuffix(name, "!"); {
		case found && others:
			return nil, usagef("-x: all but some are written with the ! behind the =, as in -x '%s=!%s'", not, strings.TrimSpace(value))
		case !found || strings.TrimSpace(value) == "":
			return nil, usagef("-x: %q is not FIELD=GLOB; write for example -x 'vm=web*'", text)
		case name == "chain":
			chain = append(chain, value)
		case slices.Contains(names, name):
			values[name] = append(values[name], value)
		default:
			return nil, usagef("-x: there is no field %q%s", name, alternatives(name, names))
		}
	}
	f.named = values
	for _, text := range values["severity"] {
		if ordered.MatchString(text) {
			return nil, usagef("--severity: %q: severities have no order; name all that you want, as in --severity warning,error", text)
		}
	}
	var options []client.ReadOption
	for _, of := range fields {
		if given := values[of.name]; len(given) > 0 {
			options = append(options, of.option(given...))
		}
	}
	for _, text := range chain {
		id, err := strconv.ParseInt(strings.TrimSpace(text), 10, 32)
		if err != nil {
			return nil, usagef("--chain: %q is not the ChainId of an event, a number", text)
		}
		options = append(options, client.Chain(int32(id)))
	}
	if f.grep != "" {
		options = append(options, client.Text(f.grep))
	}
	if f.expression != "" {
		options = append(options, client.Filter(f.expression))
	}
	return options, nil
}

// ordered is how people write a severity and those above or below.
var ordered = regexp.MustCompile(`(?i)^\s*([<>]=?\s*[a-z]+|[a-z]+\s*[+-])\s*$`)

// explain adds the expression to what a server says of it.
func (f *filter) explain(err error) error {
	var bad *client.BadRequestError
	if errors.As(err, &bad) && len(bad.Issues) > 0 {
		return &expressionError{bad, f.expression}
	}
	return err
}

// unseen says which of the values that filters name no event has, each with the nearest that
// some have. It asks the server, about a few of them; what that does not tell is passed over.
func (f *filter) unseen(ctx context.Context, server *client.Client) []string {
	const most = 10
	asked := 0
	var found []string
	for _, of := range fields {
		if of.name == "severity" || of.name == "vcenter" {
			continue // the server refuses those that there are not
		}
		for _, value := range strings.Split(strings.Join(f.named[of.name], ","), ",") {
			if value = strings.TrimSpace(value); strings.Trim(value, "*") == "" || strings.HasPrefix(value, "!") || asked == most {
				continue
			}
			asked++
			with, err := server.Facets(ctx, of.option(value), client.Top(1))
			if err != nil || !with.Complete {
				continue
			}
			glob := strings.Contains(value, "*")
			if with.Events > 0 {
				if of.name == "user" && !glob && !strings.Contains(value, `\`) && eventsOf(ctx, server, client.User(`*\`+value)) > 0 {
					found = append(found, fmt.Sprintf(`'*\%s' finds the users of that name in domains`, output.Clean(value)))
				}
				continue
			}
			value = output.Clean(value)
			text := fmt.Sprintf("the server has no event with the %s %q so far", of.name, value)
			if glob {
				text = fmt.Sprintf("the server has no event with a %s like %q so far; case counts for nothing, and * stands for any characters", of.name, value)
			} else if all, err := server.Facets(ctx, client.Top(100)); err == nil && slices.Contains(countable, of.name) {
				var known []string
				for _, v := range all.Facets[of.name].Values {
					known = append(known, output.Clean(v.Value))
				}
				text += "; " + similar(value, known, "those there are: vstream stats --by "+of.name)
			}
			found = append(found, text)
		}
	}
	return found
}

// eventsOf returns how many events pass a filter; 0 where that is not known.
func eventsOf(ctx context.Context, server *client.Client, filter client.ReadOption) int64 {
	counted, err := server.Facets(ctx, filter, client.Top(1))
	if err != nil {
		return 0
	}
	return counted.Events
}

// A moment is a time that somebody named: how long ago it was, or when.
type moment struct {
	given bool
	ago   time.Duration // if at is zero
	at    time.Time
}

const momentHelp = "as 15m (ago), 09:00, today, yesterday, 2026-11-22, '2026-11-22 09:00' or in RFC 3339"

// flag is a flag that sets m, which is what text says to begin with.
func (m *moment) flag(text string) pflag.Value {
	return &flagValue{text: text, kind: "time", set: to(m, func(s string) (moment, error) { return parseMoment(s, time.Now()) })}
}

// inWords is a length of time as journalctl takes it: 2 hours.
var inWords = regexp.MustCompile(`^(\d+) ?(?:(s)ec(?:ond)?s?|(m)in(?:ute)?s?|(h)ours?|(d)ays?|(w)eeks?)$`)

var (
	numeric = regexp.MustCompile(`^\d+$`)
	seconds = regexp.MustCompile(`^@(\d{1,11})(?:\.(\d{1,9}))?$`) // since 1970, as date takes them
	years   = regexp.MustCompile(`^(\d{1,3}) ?y(?:ears?)?$`)
)

// parseMoment reads a time. Without a zone it is local.
func parseMoment(text string, now time.Time) (moment, error) {
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch text {
	case "today":
		return moment{given: true, at: today}, nil
	case "yesterday":
		return moment{given: true, at: today.AddDate(0, 0, -1)}, nil
	case "now":
		return moment{given: true, at: now}, nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return moment{given: true, at: t}, nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, "2006-01-02T15:04", "2006-01-02T15:04:05"} {
		if t, err := time.ParseInLocation(layout, text, now.Location()); err == nil {
			return moment{given: true, at: t}, nil
		}
	}
	for _, layout := range []string{"15:04", time.TimeOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return moment{given: true, at: time.Date(now.Year(), now.Month(), now.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), now.Location())}, nil
		}
	}
	if m := seconds.FindStringSubmatch(text); m != nil {
		whole, _ := strconv.ParseInt(m[1], 10, 64)
		part, _ := strconv.ParseInt((m[2] + "000000000")[:9], 10, 64)
		return moment{given: true, at: time.Unix(whole, part)}, nil
	}
	if numeric.MatchString(text) {
		if len(text) > 8 {
			return moment{}, fmt.Errorf("%q has no unit; seconds since 1970 are written @%s", text, text)
		}
		return moment{}, fmt.Errorf("%q has no unit; write for example 15m, or a time in RFC 3339", text)
	}
	length := strings.TrimPrefix(strings.TrimSuffix(text, " ago"), "-")
	if m := years.FindStringSubmatch(length); m != nil {
		n, _ := strconv.Atoi(m[1])
		return moment{given: true, at: now.AddDate(-n, 0, 0)}, nil
	}
	if m := inWords.FindStringSubmatch(length); m != nil {
		length = strings.Join(m[1:], "")
	}
	ago, err := duration.Parse(length)
	if err != nil {
		near := spelling.Nearest(text, []string{"today", "yesterday", "now"})
		if near != "" {
			return moment{}, fmt.Errorf("%q is no time; did you mean %s?", text, near)
		}
		return moment{}, fmt.Errorf("%q is no time; write it %s", text, momentHelp)
	}
	return moment{given: true, ago: ago}, nil
}

func (m moment) time() time.Time {
	if m.at.IsZero() {
		return time.Now().Add(-m.ago)
	}
	return m.at
}

// since is the option that begins at m. How long ago it was counts by the server's clock.
func (m moment) since() client.ReadOption {
	if m.at.IsZero() {
		return client.Ago(m.ago)
	}
	return client.Since(m.at)
}

// inOrder refuses a time that ends before it begins.
func inOrder(since, until moment) error {
	if since.given && until.given && until.time().Before(since.time()) {
		return usagef("--until is before --since; exchange them, or leave one out")
	}
	return nil
}

// sayReach tells where the log begins, if that is behind what was asked for.
func (c *connection) sayReach(ctx context.Context, server *client.Client, since moment) {
	if c.quiet {
		return
	}
	if oldest := oldestTime(ctx, server); oldest.After(since.time().Add(time.Second)) {
		c.talk("the log reaches back to %s only", oldest.Local().Format(time.DateTime))
	}
}

// oldestTime returns the time of the oldest event that the server keeps; zero where that is
// not known.
func oldestTime(ctx context.Context, server *client.Client) (oldest time.Time) {
	giveUp := client.OnReconnect(func(r client.Reconnect) error { return cmp.Or(r.Err, errStopped) })
	for e, err := range server.List(ctx, client.Earliest(), client.Limit(1), giveUp) {
		if err == nil {
			oldest = e.Time
		}
	}
	return oldest
}

// A span is from where to where to read: flags.
type span struct {
	since, until moment
	offset       string
	cursor       string
	last         int
	all          bool
	cursorFile   string
}

func (s *span) addFlags(cmd *cobra.Command, last int) {
	flags := cmd.Flags()
	flags.VarP(s.since.flag(""), "since", "s", "begin with the first event of this time, "+momentHelp)
	flags.Var(s.until.flag(""), "until", "end with the last event of this time")
	flags.StringVar(&s.offset, "offset", "", "begin with the event of this id or the next later one; earliest, latest or now")
	flags.StringVar(&s.cursor, "cursor", "", "begin behind this place, as vc1.4711")
	flags.IntVarP(&s.last, "last", "n", last, "begin with so many of the newest events; with --since, which alone begins with the first event of its time, the newest of that time")
	flags.BoolVar(&s.all, "all", false, "begin with the oldest event")
	flags.StringVar(&s.cursorFile, "cursor-file", "", "keep the place behind the last event in this file, and begin there, whatever else is said, if one is kept")
}

// options returns where to begin and end. Without a word it is at the last events, or where
// there are none to begin with (n is 0), at the oldest.
func (s *span) options(changed func(string) bool) ([]client.ReadOption, error) {
	if err := inOrder(s.since, s.until); err != nil {
		return nil, err
	}
	var options []client.ReadOption
	switch {
	case s.newestSince(changed) && s.last >= 0:
		options = append(options, s.newest())
	case s.since.given && !changed("last"):
		options = append(options, s.since.since())
	case s.cursor != "":
		at, err := vstream.ParseCursor(s.cursor)
		if err != nil {
			return nil, usagef("--cursor: %w", err)
		}
		options = append(options, client.After(at))
	case s.offset != "":
		at, err := offsetOption(s.offset)
		if err != nil {
			return nil, err
		}
		options = append(options, at)
	case s.all:
		options = append(options, client.Earliest())
	case s.last < 0:
		return nil, usagef("--last: give 0 or more, not %d", s.last)
	case changed("last") || s.last > 0:
		options = append(options, s.newest())
	default:
		options = append(options, client.Earliest())
	}
	if s.until.given {
		options = append(options, client.Until(s.until.time()))
	}
	return options, nil
}

// newestSince reports whether the newest events of some time are wanted: those that are older
// are left out as they come.
func (s *span) newestSince(changed func(string) bool) bool { return s.since.given && changed("last") }

// newest begins with the newest events. Where a place is kept that counts, and there may be
// more behind it.
func (s *span) newest() client.ReadOption {
	if s.kept() {
		return client.Earliest()
	}
	return client.Last(s.last)
}

// kept reports whether a place is kept, at which to go on.
func (s *span) kept() bool {
	if s.cursorFile == "" {
		return false
	}
	_, err := os.Stat(s.cursorFile)
	return err == nil
}

// exact reports whether the place to begin at is one that may be gone.
func (s *span) exact() bool { return s.cursor != "" || s.offset != "" }

func offsetOption(text string) (client.ReadOption, error) {
	words := map[string]client.ReadOption{"earliest": client.Earliest(), "latest": client.Latest(), "now": client.Now(), "-1": client.Now()}
	if option, ok := words[text]; ok {
		return option, nil
	}
	var o offset
	if err := o.Set(text); err != nil {
		if near := spelling.Nearest(text, []string{"earliest", "latest", "now"}); near != "" {
			return nil, usagef("--offset: %q is not an offset; did you mean %s?", text, near)
		}
		return nil, usagef("--offset: %q is not an offset, the number that is the id of an event, nor earliest, latest or now", text)
	}
	return client.Offset(o.Offset), nil
}
