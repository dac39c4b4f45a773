// Package access decides who may read, over what and how fast: TLS, tokens, client
// certificates, the sign-in of browsers, pages of other origins, and limits.
//
// It promises that what is not configured is off; that what cannot be verified is refused,
// also while an issuer of tokens cannot be reached; that files are read again when they
// change, and that one which cannot be understood leaves in force what was before; and
// that a token appears in no log and no error.
//
// It knows nothing of events. Refusals are written by a function of its caller, and the
// caller asks Watches before it begins a watch.
package access
