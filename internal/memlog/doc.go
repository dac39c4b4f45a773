// Package memlog keeps an event log in memory: a window over the newest events, bounded
// by records and by bytes.
//
// It promises what [vstream.Log] promises, short of surviving the process. Appending
// wakes all waiting readers at once by closing a channel; nothing polls, and a reader
// that waits costs nothing. Where more than fifty wait, they are not woken again before
// they can have been served, at most 50 ms later. Readers share the stored events and never
// copy them.
//
// What to append, and under which offsets, is the collector's business.
package memlog
