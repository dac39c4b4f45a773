package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress shows on a terminal how far something has come. On anything else it shows
// nothing.
type progress struct {
	out   io.Writer // nil shows nothing
	what  string
	total int64 // 0 is not known
	shown time.Time
}

// newProgress returns one that shows what, and how much of total is done, on w if that is
// a terminal.
func newProgress(w io.Writer, what string, total int64) *progress {
	if !isTerminal(w) {
		w = nil
	}
	return &progress{out: w, what: what, total: total, shown: time.Now()}
}

// at says how much is done, and in words what that is. It may be called often.
func (p *progress) at(done int64, words string) {
	const every, width = 200 * time.Millisecond, 30
	if p.out == nil || time.Since(p.shown) < every {
		return
	}
	p.shown = time.Now()
	bar := ""
	if p.total > 0 {
		share := float64(min(done, p.total)) / float64(p.total)
		full := int(share * width)
		bar = fmt.Sprintf("[%s%s] %3.0f%% ", strings.Repeat("#", full), strings.Repeat(".", width-full), share*100)
	}
	fmt.Fprintf(p.out, "\r%s %s%s\x1b[K", p.what, bar, words)
}

// end clears the line.
func (p *progress) end() {
	if p.out != nil {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
