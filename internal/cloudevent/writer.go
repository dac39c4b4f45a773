package cloudevent

import (
	"errors"
	"sync"
)

// maxDepth bounds how deep a value may go. A pointer, an interface, a slice and a
// struct count as one step each, so this allows for about a hundred levels of JSON:
// several times what any type of vSphere can hold without recursion.
const maxDepth = 300

var errDepth = errors.New("it is nested too deeply")

// A writer is the JSON of one event in the making. After an error its buffer holds
// nothing of use.
type writer struct {
	buf   []byte
	depth int
	err   error
}

var writers = sync.Pool{New: func() any { return &writer{buf: make([]byte, 0, 4096)} }}

func newWriter() *writer { return writers.Get().(*writer) }

// free gives w back, so nothing may refer to its buffer any more. A buffer that one
// exceptional event has blown up is left to the garbage collector.
func (w *writer) free() {
	if cap(w.buf) > 1<<20 {
		return
	}
	*w = writer{buf: w.buf[:0]}
	writers.Put(w)
}

// enter goes down a step, for leave to come back from. It refuses beyond maxDepth, and
// ever after: that keeps a cycle with many branches from being tried branch by branch.
func (w *writer) enter() bool {
	if w.depth >= maxDepth {
		w.err = errDepth
	}
	if w.err != nil {
		return false
	}
	w.depth++
	return true
}

func (w *writer) leave() { w.depth-- }
