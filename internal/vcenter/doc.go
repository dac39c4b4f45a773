// Package vcenter reads the events of one vCenter. It is the only package that speaks
// SOAP.
//
// A Source is opened at a time, gives every event from then on, oldest first, and waits
// for more. It promises a deadline on every call, no login but at Open, and that nothing
// of it stays at the vCenter after Close. After any error it must be closed and opened
// anew, since the position a vCenter keeps for a reader moves even when an answer is
// lost: from where to read again, and what of it is new, is the caller's to know.
//
// How events are encoded is the business of internal/cloudevent.
package vcenter
