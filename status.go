package vstream

import "time"

// SourceStatus is what a source knows of its vCenter.
type SourceStatus struct {
	Product    string // as the vCenter calls itself
	APIVersion string // of the vSphere API
	Instance   string // the vCenter's instance uuid
	// Skew is how much the vCenter's clock is ahead of ours.
	Skew     time.Duration
	LastPoll time.Time // when events were last asked for with success; zero before
	Unknown  int64     // events and parts of events of types that are not understood
	Logins   int64     // that the vCenter has let in
	Denied   int64     // logins that came to nothing: refused, or not answered
	Rotated  int64     // how often changed credentials were taken up
}

// State says in a word how collecting from a vCenter goes.
type State string

// The states of collecting.
const (
	Connecting State = "connecting" // not connected yet, and nothing has failed
	Collecting State = "collecting" // all is well
	Silent     State = "silent"     // the vCenter has events that it does not give us
	Failing    State = "failing"    // trying again after an error
	Refused    State = "refused"    // the vCenter does not accept the credentials
	Standby    State = "standby"    // another replica collects
)

// Status is how collecting from one vCenter goes.
type Status struct {
	Name  string
	URL   string
	State State
	Since time.Time // when State began
	// CollectedBy is the replica that collects, where several may; empty if none does now.
	CollectedBy string
	SourceStatus
	LastEvent   time.Time     // time of the newest event held, by the vCenter's clock; zero before
	Lag         time.Duration // from the newest event until it could be read; by the vCenter's clock
	Rate        float64       // events per second, over about the last minute
	KeyHeadroom int64         // how many keys are left before they start over
	Reconnects  int64         // how often collecting was interrupted
	Restarts    int64         // how often the keys started over
	Late        int64         // events that came after one with a higher key
	Collected   Severities    // events that the log has taken
	Gaps        int64         // how often events may have been lost, for the vCenter no longer had what we knew
	GapAt       time.Time     // when that was last, but for those that follow; zero if never
	Replaced    int64         // of the gaps, those because another vCenter answers
	ReplacedAt  time.Time     // when that was last; zero if never
	LastError   string        // in words; empty if there was none
	LastErrorAt time.Time
	Audit       *Audit // the last one; nil before
}

// Severities is how many events there were of each severity.
type Severities struct{ Info, Warning, Error, User, Other int64 }

// Add counts one more.
func (s *Severities) Add(severity string) {
	switch severity {
	case "info":
		s.Info++
	case "warning":
		s.Warning++
	case "error":
		s.Error++
	case "user":
		s.User++
	default:
		s.Other++
	}
}

// Audit is what the comparison of a vCenter's history with the log gave.
type Audit struct {
	At       time.Time // when it was made
	From, To time.Time // what it looked at, by the vCenter's clock
	Events   int64     // in the vCenter's history
	Missing  int64     // events that the log did not hold; it does now
	Extra    int64     // events of the log that the history does not hold
	Folded   int64     // events of the log that the vCenter has since folded into one of the same kind
}
