package vstream

import (
	"errors"
	"fmt"
)

// ExpiredError says that a log no longer holds what a reader wanted, and what it still
// holds. Its text begins with the documented words "invalid offset".
type ExpiredError struct {
	Requested        Offset
	Earliest, Latest Offset
}

func (e *ExpiredError) Error() string {
	return fmt.Sprintf("invalid offset: %d is older than the log, which holds %d to %d", e.Requested, e.Earliest, e.Latest)
}

// NotFoundError says that there is no event at exactly this offset: it lies in a gap, or
// beyond the end of the log. Range is nil when the log is empty. Its text begins with
// the documented words "invalid offset".
type NotFoundError struct {
	Requested Offset
	Range     *Range
}

func (e *NotFoundError) Error() string {
	switch {
	case e.Range == nil:
		return fmt.Sprintf("invalid offset: there is no event %d, the log is still empty", e.Requested)
	case e.Requested > e.Range.Latest:
		return fmt.Sprintf("invalid offset: %d is in the future, the log ends at %d", e.Requested, e.Range.Latest)
	default:
		return fmt.Sprintf("invalid offset: there is no event %d between %d and %d", e.Requested, e.Range.Earliest, e.Range.Latest)
	}
}

// ErrCredentials says that a vCenter refuses the user name or the password. Trying again
// soon makes it worse: accounts get locked.
var ErrCredentials = errors.New("the vCenter refuses the credentials")

// UnavailableError says that what a reader wanted cannot be had now: the log is not open
// yet, or the part of it that is not in memory cannot be reached. Trying again helps.
type UnavailableError struct{ Err error }

func (e *UnavailableError) Error() string {
	return fmt.Sprintf("the log cannot be reached now: %v", e.Err)
}

// Unwrap returns the reason.
func (e *UnavailableError) Unwrap() error { return e.Err }

// DamageError says that the store of a log is damaged in a way that does not heal by itself:
// somebody has to do something, and trying again does not help until then.
type DamageError struct{ Err error }

func (e *DamageError) Error() string { return e.Err.Error() }

// Unwrap returns what is damaged, and what to do.
func (e *DamageError) Unwrap() error { return e.Err }
