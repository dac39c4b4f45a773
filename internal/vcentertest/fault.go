package vcentertest

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/vmware/govmomi/vim25/types"
)

// Fault is one way of failing.
type Fault struct {
	Method string // the method that fails, or "*" for any
	After  int    // how many calls of it are let through first
	Times  int    // how many calls fail then: 0 is one, a negative number all
	Kind   Kind
	Bytes  int64         // of HugeBody: how many; 0 is more than anybody takes
	Pace   time.Duration // of Trickle: for each byte; 0 is 10 ms
}

// Kind says how a call fails.
type Kind int

// With these, nothing is performed: vCenter answers with a fault of vSphere's.
const (
	NotAuthenticated      Kind = iota // and so it is: the session is gone, with its collectors
	ManagedObjectNotFound             // and so it is, if the call is for a collector
	InvalidState
	InvalidLogin
	RuntimeFault // "a general system error occurred"
)

// With these, nothing is performed: something before vCenter answers.
const (
	Status500 Kind = iota + 100 // a page of HTML
	Status503                   // a page of HTML
	HTMLPage                    // a page of HTML with status 200
)

// With these the call is performed, the position of a collector moves, but:
const (
	CutChunked Kind = iota + 200 // half the answer arrives, then the connection is closed
	CutShort                     // likewise, after a Content-Length of the whole
	LostAnswer                   // the connection is reset before any answer
	EmptyBody                    // status 200, and nothing
	HugeBody                     // one event goes on for so many Bytes; then the answer is whole
	Trickle                      // the answer comes byte by byte
	Hang                         // no answer, until the client goes or the test ends
)

var kindNames = map[Kind]string{
	NotAuthenticated: "NotAuthenticated", ManagedObjectNotFound: "ManagedObjectNotFound", InvalidState: "InvalidState",
	InvalidLogin: "InvalidLogin", RuntimeFault: "RuntimeFault",
	Status500: "Status500", Status503: "Status503", HTMLPage: "HTMLPage",
	CutChunked: "CutChunked", CutShort: "CutShort", LostAnswer: "LostAnswer", EmptyBody: "EmptyBody",
	HugeBody: "HugeBody", Trickle: "Trickle", Hang: "Hang",
}

func (k Kind) String() string { return kindNames[k] }

// Kinds lists all kinds, for tests that choose at random.
func Kinds() []Kind {
	return []Kind{
		NotAuthenticated, ManagedObjectNotFound, InvalidState, InvalidLogin, RuntimeFault, Status500, Status503, HTMLPage,
		CutChunked, CutShort, LostAnswer, EmptyBody, HugeBody, Trickle, Hang,
	}
}

// Inject lets later calls fail. Of several faults that would strike a call, the one
// injected first does.
func (v *VCenter) Inject(f Fault) {
	if f.Times == 0 {
		f.Times = 1
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.faults = append(v.faults, &f)
}

// Heal removes all faults that are left. Calls that hang go on hanging.
func (v *VCenter) Heal() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.faults = nil
}

// Struck counts the calls that failed by Inject.
func (v *VCenter) Struck() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.struck
}

// strike returns the fault that a call meets, or nil.
func (v *VCenter) strike(c *call) *Fault {
	v.mu.Lock()
	defer v.mu.Unlock()
	for i, f := range v.faults {
		switch {
		case f.Method != "*" && f.Method != c.method:
		case f.After > 0:
			f.After--
		default:
			f.Times-- // below zero it never ends
			if f.Times == 0 {
				v.faults = append(v.faults[:i:i], v.faults[i+1:]...)
			}
			v.struck++
			return f
		}
	}
	return nil
}

// instead is the answer of a call that is not performed; ok is false if it is.
func (v *VCenter) instead(k Kind, c *call) (_ answer, ok bool) {
	page := func(status int) answer {
		return answer{status: status, html: true, body: fmt.Appendf(nil, "<!DOCTYPE html>\n<html><head><title>%d %s</title></head><body><br><p>Please try later.</body></html>\n",
			status, http.StatusText(status))}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	switch k {
	case NotAuthenticated:
		if s := v.sessions[c.cookie]; s != nil {
			v.expire(s)
		}
		return refusal(&types.NotAuthenticated{NoPermission: types.NoPermission{Object: &c.this, PrivilegeId: "System.View"}}), true
	case ManagedObjectNotFound:
		delete(v.collectors, c.this.Value)
		return refusal(notFound(c.this)), true
	case InvalidState:
		return refusal(&types.InvalidState{}), true
	case InvalidLogin:
		return refusal(&types.InvalidLogin{}), true
	case RuntimeFault:
		return refusal(&types.RuntimeFault{}), true
	case Status500:
		return page(http.StatusInternalServerError), true
	case Status503:
		return page(http.StatusServiceUnavailable), true
	case HTMLPage:
		return page(http.StatusOK), true
	}
	return answer{}, false
}

// spoil sends what arrives of an answer.
func (v *VCenter) spoil(w http.ResponseWriter, r *http.Request, f *Fault, a answer) {
	flush := http.NewResponseController(w).Flush
	switch f.Kind {
	case CutChunked, CutShort:
		if f.Kind == CutShort {
			w.Header().Set("Content-Length", fmt.Sprint(len(a.body)))
		}
		a.header(w)
		w.WriteHeader(a.status)
		_, _ = w.Write(a.body[:len(a.body)/2])
		_ = flush()
		panic(http.ErrAbortHandler)
	case LostAnswer:
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		_ = abort(c)
	case EmptyBody:
		answer{status: http.StatusOK}.write(w)
	case HugeBody:
		v.flood(w, r, f.Bytes)
	case Trickle:
		a.header(w)
		w.WriteHeader(a.status)
		pace := f.Pace
		if pace <= 0 {
			pace = 10 * time.Millisecond
		}
		tick := time.NewTicker(pace)
		defer tick.Stop()
		for i := range a.body {
			select {
			case <-tick.C:
			case <-r.Context().Done():
				return
			case <-v.ended:
				panic(http.ErrAbortHandler)
			}
			_, _ = w.Write(a.body[i : i+1])
			_ = flush()
		}
	case Hang:
		select {
		case <-r.Context().Done():
		case <-v.ended:
		}
		panic(http.ErrAbortHandler)
	}
}

// flood answers with a page of one event whose message has n bytes.
func (v *VCenter) flood(w http.ResponseWriter, r *http.Request, n int64) {
	whole := response("ReadNextEvents", []byte(`<returnval xsi:type="Event">`+Base(0, time.Unix(0, 0))+
		"<fullFormattedMessage>\x00</fullFormattedMessage></returnval>"))
	begin, end, _ := strings.Cut(string(whole.body), "\x00")
	whole.header(w)
	_, _ = w.Write([]byte(begin))
	chunk := []byte(strings.Repeat("All work and no play. ", 3000))
	for endless := n <= 0; endless || n > 0; n -= int64(len(chunk)) {
		part := chunk
		if !endless && n < int64(len(part)) {
			part = part[:n]
		}
		if _, err := w.Write(part); err != nil || r.Context().Err() != nil {
			panic(http.ErrAbortHandler)
		}
	}
	_, _ = w.Write([]byte(end))
}
