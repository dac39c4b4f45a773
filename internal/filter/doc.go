// Package filter decides which events a reader wants: the filter parameters of a query,
// compiled once, tested on every event.
//
// It promises that whatever a query says, parsing it and testing an event with it end soon,
// in bounded memory and without a panic. Tests of fields, chain and q allocate nothing. A
// filter that means the same is written the same by [Filter.String]. A [Filter] is immutable:
// any number of goroutines may use it. With a [Sharing], those with equal filters test each
// event once.
//
// A CEL expression is bounded three times: in how much text, depth and nesting it may have;
// in what it may call, for cel-go charges for a call after it was made, which is too late
// where one call is enough; and in what it may cost on one event. docs/filters.md tells users
// what filters can do. How errors are sent to them, and which other parameters there are, is
// left to others.
package filter
