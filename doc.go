// Package vstream is the domain of the program: what an event is, how events are
// numbered, and what every event log promises its writer and its readers.
//
// It imports the standard library only and does no I/O, so every other package may
// rest on it. Reading vCenter is the business of internal/vcenter, keeping events
// that of internal/memlog, serving them that of internal/httpapi; cmd/vstream wires
// them together.
package vstream
