//go:build !windows

package main

import "syscall"

// brokenPipe is how writing fails when nobody reads any more.
const brokenPipe = syscall.EPIPE
