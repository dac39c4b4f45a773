package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"
)

const (
	maxID    = 16 << 10 // of a cursor's text: twice what servers take
	maxField = 256      // of names and short values
)

// A message is one of server-sent events.
type message struct {
	event string
	id    string
	data  []byte // not used again by the decoder
}

// A decoder reads server-sent events, as the HTML standard has them but for a carriage
// return alone as the end of a line. It holds no more than one message.
type decoder struct {
	lines *bufio.Reader
	max   int // bytes of data of a message
	long  []byte
	retry time.Duration // as the server has asked for last
}

func newDecoder(r io.Reader, most int) *decoder {
	return &decoder{lines: bufio.NewReaderSize(r, 64<<10), max: most}
}

// next returns the next message, io.EOF at a proper end, and io.ErrUnexpectedEOF where
// the stream breaks off: what was sent of the last message does not count.
func (d *decoder) next() (m message, err error) {
	begun, some := false, false
	for {
		line, err := d.line()
		if err != nil {
			if errors.Is(err, io.EOF) && begun {
				err = io.ErrUnexpectedEOF
			}
			return message{}, err
		}
		if len(line) == 0 {
			if some {
				return m, nil
			}
			m, begun = message{}, false // of nothing, or without data: no message
			continue
		}
		begun = true
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "event":
			m.event = string(value[:min(len(value), maxField)])
		case "id":
			if len(value) > maxID {
				return message{}, errTooLong
			}
			m.id = string(value)
		case "retry":
			if ms, err := strconv.ParseUint(string(value), 10, 31); err == nil {
				d.retry = min(time.Duration(ms)*time.Millisecond, maxRetryAfter)
			}
		case "data":
			if len(m.data)+len(value)+1 > d.max {
				return message{}, errTooLong
			}
			if !some {
				m.data = bytes.Clone(value)
			} else {
				m.data = append(append(m.data, '\n'), value...)
			}
			some = true
		}
	}
}

// line returns the next line without its end; it is valid until the next call.
func (d *decoder) line() ([]byte, error) {
	line, err := d.lines.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		d.long = d.long[:0]
		for errors.Is(err, bufio.ErrBufferFull) {
			if len(d.long)+len(line) > d.max+maxField {
				return nil, errTooLong
			}
			d.long = append(d.long, line...)
			line, err = d.lines.ReadSlice('\n')
		}
		d.long = append(d.long, line...)
		line = d.long
	}
	if err != nil {
		if errors.Is(err, io.EOF) && len(line) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	line = line[:len(line)-1]
	return bytes.TrimSuffix(line, []byte("\r")), nil
}
