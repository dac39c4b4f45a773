//go:build !windows

package main

import (
	"context"
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// brokenPipe is how writing fails when nobody reads any more.
const brokenPipe = syscall.EPIPE

// ignoreSignals lets show as failed writes a reader of our output that has had enough
// (| head), and a file that may not grow any more. As signals they would end us with
// everything left lying about.
func ignoreSignals() { signal.Ignore(syscall.SIGPIPE, syscall.SIGXFSZ) }

// untilUnread calls gone when nobody can read any more what is written to out, which would
// show only at the next write otherwise. It returns when ctx is done.
func untilUnread(ctx context.Context, out io.Writer, gone func()) {
	file, ok := out.(*os.File)
	if !ok {
		return
	}
	const pause = 200 // milliseconds, to look at ctx
	for ctx.Err() == nil {
		fds := []unix.PollFd{{Fd: int32(file.Fd())}} // errors and hang-ups are told unasked
		n, err := unix.Poll(fds, pause)
		switch {
		case err != nil || n == 0:
		case fds[0].Revents&(unix.POLLERR|unix.POLLHUP) != 0:
			gone()
			return
		default: // it cannot be looked at, as terminals on macOS
			return
		}
	}
}
