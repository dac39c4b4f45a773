// Package collector carries the events of one vCenter into its log.
//
// It promises to go on: whatever fails, it closes its source, waits a growing while, and
// reads again from the end of the log with an overlap, where the log skips what it has.
// Nothing is read on before what was read is appended.
package collector
