// Package httpapi serves an event log over HTTP: its range, pages of events, single
// events, and watches that go on.
//
// It promises that bad input is answered with a problem document (RFC 9457) before the
// first byte of a response, that an event's bytes are the same wherever it is served,
// that a reader is told when the log no longer holds what it wanted, and that every
// watch ends with a proper final chunk unless its client is gone or takes nothing.
//
// It knows nothing of vCenter: it serves whether or not one is there.
package httpapi
