// Package client reads the events of vCenters from a vstream server.
//
//	c, err := client.New("http://localhost:8080")
//	if err != nil { … }
//	for e, err := range c.Watch(ctx, client.Severity("error", "warning")) {
//		if err != nil {
//			return err // nothing that passes by itself
//		}
//		fmt.Println(e.Time, e.Type)
//	}
//	// ctx is done
//
// # What it promises
//
// A loop over [Client.Watch] or [Client.List] gets the events of each vCenter in the order
// of its log, each one once, whatever happens to the connection or the server meanwhile:
// what is cut off is taken up again right behind the last event that the loop has got. What
// the server does not keep any more is never passed over in silence: it is an
// [ExpiredError], or a call of the function that was given with [OnGap]. Over several runs of
// a program, with a [Checkpoint], no event is lost, and those whose effect was not noted
// before a crash come again.
//
// What a server sends, broken or hostile, takes bounded memory. Tokens are sent to the
// address that was given to [New] only, and are in no error and no log.
//
// # How it reads
//
// Watch and List both read server-sent events, for it is the one form in which each event
// comes with the cursor behind it, also where the events of several vCenters are merged and
// where a filter passes few. NDJSON has cursors in bookmarks only, and the id of an event
// is a place only where there is one vCenter. List ends where the server says that there is
// nothing more, as a page with Stream-Up-To-Date does. With [Last], pages are read backwards
// to find the place first.
//
// The address is that of the documented API with the same parameters: see [Client.URL] and
// [Query.Values].
//
// # What is tried again, and what ends a loop
//
// Tried again, with growing pauses that differ from client to client, and not before the
// time that Retry-After names: a server that cannot be reached or says nothing for
// [Heartbeat] and 15 seconds more ([UnreachableError]), one that is stopping, starting or
// behind a proxy that cannot reach it ([UnavailableError]: 5xx), and limits
// ([TooManyError]: 429). A Watch goes on trying as long as ctx lasts, unless [Retry] says
// otherwise; a List fails after five times in a row. An end that the server has planned is no
// failure.
//
// Everything else ends the loop with an error, the last thing it gets:
//
//   - [ExpiredError] (410): the server does not keep events that were wanted. With [OnGap]
//     it goes on at the oldest event instead.
//   - [AheadError] (409): the cursor is of another log, or beyond this one, which was lost or
//     replaced.
//   - [AmbiguousError] (409): several vCenters are served, and one has to be named.
//   - [UnauthenticatedError] (401) and [ForbiddenError] (403).
//   - [NotFoundError] (404) and [BadRequestError] (400), with the parameter at fault and the
//     places in an expression.
//   - [TLSError]: the server's certificate, or ours, is not accepted.
//   - [ProtocolError]: what answers is no vstream server, or redirects to another address.
//   - [PendingError]: a List cannot tell where the end is.
//   - [CheckpointError]: the checkpoint is damaged or of another server.
//   - [StatusError]: any other answer.
//
// Single requests ([Client.Range], [Client.Get], [Client.Types] and the like) have the same
// errors and are not tried again.
//
// When ctx ends, a Watch ends without an error, for that is how a Watch is meant to end; a
// List, which has not got all then, ends with the cause of ctx.
package client
