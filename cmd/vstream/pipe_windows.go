package main

import "syscall"

// brokenPipe is how writing fails when nobody reads any more: ERROR_NO_DATA. What Windows
// calls ERROR_BROKEN_PIPE, Go calls EPIPE.
const brokenPipe = syscall.Errno(232)

// ignoreSignals has nothing to do: there are no signals of writing.
func ignoreSignals() {}
