// Package index keeps, of every event of a log, the fields that filters test, in memory and
// by column: what counts over the whole log, and pages of rare events, are answered with
// without reading the log.
//
// It promises that an answer takes milliseconds for a million events, never waits for the
// log or for other requests, and is about the events that the log holds at that moment, as
// far as Coverage says. Memory is bounded by MaxRows: an event takes about 40 bytes. Where
// names are so long and different that it would be more than 128 for each of MaxRows, fewer
// events are indexed; only the newest few thousand may take more for a while.
//
// An index is filled in the background and is behind the log by a moment, or, after a start,
// by as long as reading it takes. It does not know messages and data: where a filter tests
// those too (NeedsMessage), answers are about the events that pass the rest of it, and it is
// the caller's to look at each; so is the test of the vCenter's name.
//
// Texts are kept up to 512 bytes. Longer ones, which no vSphere object has, are cut off, and
// are found by their beginning only.
package index
