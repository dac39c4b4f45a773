//go:build !windows

package main

import (
	"os/signal"
	"syscall"
)

// brokenPipe is how writing fails when nobody reads any more.
const brokenPipe = syscall.EPIPE

// ignoreSignals lets show as failed writes a reader of our output that has had enough
// (| head), and a file that may not grow any more. As signals they would end us with
// everything left lying about.
func ignoreSignals() { signal.Ignore(syscall.SIGPIPE, syscall.SIGXFSZ) }
