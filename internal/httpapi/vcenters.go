package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"strings"
	"time"

	"vstream"
	"vstream/internal/spelling"
)

// theOne gives get the only vCenter there is.
func (s *Server) theOne(get func(*VCenter, http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		if len(s.VCenters) > 1 {
			return s.ambiguous(r)
		}
		return of(&s.VCenters[0], get(&s.VCenters[0], w, r))
	}
}

// of says whose error err is.
func of(v *VCenter, err error) error {
	if err == nil {
		return nil
	}
	return &sourceError{vcenter: v.Name, err: err}
}

// errAmbiguous says that what is asked for is something of one vCenter.
var errAmbiguous = errors.New("there are several vCenters")

// ambiguous says which paths there are where one without a name could mean several.
func (s *Server) ambiguous(r *http.Request) *problem {
	p := &problem{Status: http.StatusConflict, Slug: "ambiguous-vcenter", Title: "Which vCenter?"}
	for i := range s.VCenters {
		path := base + "/vcenters/" + s.VCenters[i].Name + strings.TrimPrefix(r.URL.EscapedPath(), base)
		if r.URL.RawQuery != "" {
			path += "?" + r.URL.RawQuery
		}
		p.Paths = append(p.Paths, path)
	}
	p.Detail = fmt.Sprintf("events of %d vCenters are served here, and each has offsets of its own; ask for those of one, as in %s", len(s.VCenters), p.Paths[0])
	return p
}

// named gives get the vCenter that the path names.
func (s *Server) named(get func(*VCenter, http.ResponseWriter, *http.Request) error) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		name := r.PathValue("name")
		var names []string
		for i := range s.VCenters {
			if s.VCenters[i].Name == name {
				measuredOf(w).note(slog.String("vstream.vcenter", name))
				return of(&s.VCenters[i], get(&s.VCenters[i], w, r))
			}
			names = append(names, s.VCenters[i].Name)
		}
		p := &problem{Status: http.StatusNotFound, Slug: "not-found", Title: "No such vCenter",
			Detail: fmt.Sprintf("there is no vCenter %s", abbreviate(name))}
		if near := spelling.Nearest(name, names); near != "" {
			p.Detail += fmt.Sprintf("; did you mean %q?", near)
		} else {
			p.Detail += "; " + base + "/vcenters lists those there are"
		}
		return p
	}
}

// vcenterStatus is a vCenter as clients see it. Times are in UTC, and null where there is
// none yet.
type vcenterStatus struct {
	Name        string         `json:"name"`
	URL         string         `json:"url"`
	State       vstream.State  `json:"state"`
	Since       *time.Time     `json:"since"`
	Product     string         `json:"product"`
	APIVersion  string         `json:"apiVersion"`
	Instance    string         `json:"instance"`
	Range       *vstream.Range `json:"range"` // null while the log is empty
	Rate        float64        `json:"rate"`  // events per second
	Lag         *float64       `json:"lag"`   // in seconds; null before the first event
	LastPoll    *time.Time     `json:"lastPoll"`
	LastEvent   *time.Time     `json:"lastEvent"`
	KeyHeadroom *int64         `json:"keyHeadroom"` // null before the first event
	Reconnects  int64          `json:"reconnects"`
	Restarts    int64          `json:"restarts"`
	Late        int64          `json:"late"`
	Gaps        int64          `json:"gaps"`
	Unknown     int64          `json:"unknown"`
	LastError   *lastError     `json:"lastError"`
	Audit       *audit         `json:"audit"`
	Log         usage          `json:"log"`
	CollectedBy *string        `json:"collectedBy"` // a replica; null without replicas, or while none does
}

// usage is how much a log holds and may hold; null is without a limit.
type usage struct {
	Events    int64    `json:"events"`
	MaxEvents *int64   `json:"maxEvents"`
	Bytes     int64    `json:"bytes"`
	MaxBytes  *int64   `json:"maxBytes"`
	MaxAge    *float64 `json:"maxAge"` // in seconds
}

type lastError struct {
	Message string     `json:"message"`
	At      *time.Time `json:"at"`
}

type audit struct {
	At      *time.Time `json:"at"`
	From    *time.Time `json:"from"`
	To      *time.Time `json:"to"`
	Events  int64      `json:"events"`
	Missing int64      `json:"missing"`
	Extra   int64      `json:"extra"`
	Folded  int64      `json:"folded"`
}

// getVCenters answers with how collecting goes, for each vCenter in the order of the
// configuration.
func (s *Server) getVCenters(w http.ResponseWriter, r *http.Request) error {
	if _, err := parametersOf(r, nil, nil); err != nil {
		return err
	}
	all := make([]vcenterStatus, len(s.VCenters))
	for i := range s.VCenters {
		all[i] = s.VCenters[i].status()
	}
	body, err := json.Marshal(all)
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return writeBody(w, "application/json", append(body, '\n'))
}

func (v *VCenter) status() vcenterStatus {
	s := v.Status()
	answer := vcenterStatus{
		Name:       v.Name,
		URL:        s.URL,
		State:      s.State,
		Since:      instant(s.Since),
		Product:    s.Product,
		APIVersion: s.APIVersion,
		Instance:   s.Instance,
		Rate:       thousandths(s.Rate),
		LastPoll:   instant(s.LastPoll),
		LastEvent:  instant(s.LastEvent),
		Reconnects: s.Reconnects,
		Restarts:   s.Restarts,
		Late:       s.Late,
		Gaps:       s.Gaps,
		Unknown:    s.Unknown,
	}
	if held, ok := v.Log.Range(); ok {
		answer.Range = &held
	}
	u := v.Log.Usage()
	answer.Log = usage{Events: u.Events, MaxEvents: limit(u.MaxEvents), Bytes: u.Bytes, MaxBytes: limit(u.MaxBytes), MaxAge: limit(u.MaxAge.Seconds())}
	if s.CollectedBy != "" {
		answer.CollectedBy = &s.CollectedBy
	}
	if answer.LastEvent != nil { // else both would be a zero that alarms or lulls
		lag := thousandths(s.Lag.Seconds())
		answer.Lag, answer.KeyHeadroom = &lag, &s.KeyHeadroom
	}
	if s.LastError != "" {
		answer.LastError = &lastError{s.LastError, instant(s.LastErrorAt)}
	}
	if a := s.Audit; a != nil {
		answer.Audit = &audit{instant(a.At), instant(a.From), instant(a.To), a.Events, a.Missing, a.Extra, a.Folded}
	}
	return answer
}

// instant is t in UTC, to the millisecond: more tells nobody anything. It is nil for zero.
func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC().Truncate(time.Millisecond)
	return &t
}

// limit is nil for none.
func limit[T int64 | float64](most T) *T {
	if most == 0 {
		return nil
	}
	return &most
}

func thousandths(x float64) float64 { return math.Round(x*1000) / 1000 }
