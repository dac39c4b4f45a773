// Package contexts keeps which servers somebody reads from, each under a name, and which of
// them is meant when none is named.
//
// It promises a file that only its owner can read, that is replaced as a whole or not at all,
// and of which unknown keys are refused. It keeps no tokens, only the names of files that
// do. What a context means to a connection is left to others.
package contexts
