package main

import (
	"context"
	"io"
	"syscall"
)

// brokenPipe is how writing fails when nobody reads any more: ERROR_NO_DATA. What Windows
// calls ERROR_BROKEN_PIPE, Go calls EPIPE.
const brokenPipe = syscall.Errno(232)

// ignoreSignals has nothing to do: there are no signals of writing.
func ignoreSignals() {}

// untilUnread has nothing to do: that nobody reads shows at the next write only.
func untilUnread(context.Context, io.Writer, func()) {}
