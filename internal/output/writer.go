package output

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"os"
	"slices"
)

// flushSize is how much is collected before it is written, unless asked for earlier.
const flushSize = 64 << 10

// A Writer writes records in a form. It is used by one goroutine. After an error it writes
// nothing any more.
type Writer struct {
	out  io.Writer
	form Form
	hash hash.Hash

	buffer  []byte
	pending []pending // the records in buffer
	bytes   int64
	err     error
}

// pending is a record that is yet to be written.
type pending struct {
	end  int // in the buffer
	done func()
}

// NewWriter returns a Writer to out.
func NewWriter(out io.Writer, form Form) *Writer {
	return &Writer{out: out, form: form, hash: sha256.New()}
}

// A FormError says that a record cannot be written in its form: a template or a program fails
// on it.
type FormError struct{ Err error }

func (e *FormError) Error() string { return Clean(e.Err.Error()) }

// Unwrap returns the error of the form.
func (e *FormError) Unwrap() error { return e.Err }

// Write writes a record, at the latest with the next Flush.
func (w *Writer) Write(r Record) error {
	if w.err != nil {
		return w.err
	}
	text, err := w.form.Append(w.buffer, r)
	if err != nil {
		return &FormError{err}
	}
	w.buffer = text
	w.pending = append(w.pending, pending{len(text), r.Written})
	if len(w.buffer) >= flushSize {
		return w.Flush()
	}
	return nil
}

// Flush hands what was written to the operating system. Where that takes a part only, as when
// a disk is full, what a file has of the record that was cut is taken away again.
func (w *Writer) Flush() error {
	if w.err != nil || len(w.buffer) == 0 {
		return w.err
	}
	var n int
	n, w.err = w.out.Write(w.buffer)
	whole := 0
	for _, p := range w.pending {
		if p.end > n {
			break
		}
		if whole = p.end; p.done != nil {
			p.done()
		}
	}
	if w.err == nil {
		whole = n
	} else {
		w.takeBack(int64(n - whole))
	}
	w.hash.Write(w.buffer[:whole])
	w.bytes += int64(whole)
	w.buffer, w.pending = w.buffer[:0], slices.Delete(w.pending, 0, len(w.pending))
	return w.err
}

// takeBack shortens a file by what was written last. Pipes keep it, and terminals.
func (w *Writer) takeBack(n int64) {
	file, ok := w.out.(*os.File)
	if !ok || n == 0 {
		return
	}
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return
	}
	if at, err := file.Seek(0, io.SeekCurrent); err == nil && at >= n {
		_ = file.Truncate(at - n)
	}
}

// Close writes what comes after the last record, and flushes. It does not close what is
// written to.
func (w *Writer) Close() error {
	if w.err != nil {
		return w.err
	}
	text, err := w.form.End(w.buffer)
	if err != nil {
		return &FormError{err}
	}
	w.buffer = text
	return w.Flush()
}

// Bytes returns how much was written.
func (w *Writer) Bytes() int64 { return w.bytes }

// Sum returns the SHA-256 of what was written, in hexadecimal digits.
func (w *Writer) Sum() string { return hex.EncodeToString(w.hash.Sum(nil)) }
