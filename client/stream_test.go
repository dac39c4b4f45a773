package client

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func TestADecoderReadsServerSentEventsAsTheStandardHasThem(t *testing.T) {
	const stream = ": a comment\n\nretry: 1500\nevent: bookmark\nid: vc1.1\ndata: one\n\n" +
		"id:vc1.2\r\ndata:  two\r\ndata:three\r\n\r\n" +
		"event: nothing\nid: vc1.3\n\n" + // without data it is no message
		"unknown: x\nretry: soon\ndata\n\n" +
		"id: vc1.9\ndata: cut o"
	for name, r := range map[string]io.Reader{"whole": strings.NewReader(stream), "in pieces": iotest.OneByteReader(strings.NewReader(stream))} {
		d := newDecoder(r, 100)
		for i, want := range []message{{"bookmark", "vc1.1", []byte("one")}, {"", "vc1.2", []byte(" two\nthree")}, {"", "", []byte{}}} {
			m, err := d.next()
			if err != nil || m.event != want.event || m.id != want.id || !bytes.Equal(m.data, want.data) {
				t.Errorf("%s: message %d is %q, %v; want %q", name, i, m, err, want)
			}
		}
		if m, err := d.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: what was cut off is %q, %v", name, m, err)
		}
		if d.retry != 1500*time.Millisecond {
			t.Errorf("%s: retry is %v", name, d.retry)
		}
	}
	if _, err := newDecoder(strings.NewReader("data: x\n\n"), 100).next(); err != nil {
		t.Error(err)
	}
	for _, end := range []string{"", ": comment\n\n", "\n\n"} {
		if _, err := newDecoder(strings.NewReader(end), 100).next(); !errors.Is(err, io.EOF) {
			t.Errorf("the end after %q is %v", end, err)
		}
	}
	for _, cut := range []string{"data: x", "data: x\n", "id: vc1.1\n", ":"} {
		if _, err := newDecoder(strings.NewReader(cut), 100).next(); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("the end after %q is %v", cut, err)
		}
	}
}

func TestADecoderTakesMessagesUpToItsLimit(t *testing.T) {
	const most = 200_000 // more than it buffers
	long := strings.Repeat("x", most-1)
	if m, err := newDecoder(strings.NewReader("data: "+long+"\n\n"), most).next(); err != nil || string(m.data) != long {
		t.Errorf("%d bytes, %v", len(m.data), err)
	}
	for _, stream := range []string{"data: " + long + "xx\n\n", "data: " + long + "\ndata: x\n\n", strings.Repeat("y", 2*most), "id: " + strings.Repeat("y", maxID+1) + "\n"} {
		if _, err := newDecoder(strings.NewReader(stream), most).next(); !errors.Is(err, errTooLong) {
			t.Errorf("%.20q… of %d bytes: %v", stream, len(stream), err)
		}
	}
}

func FuzzDecoder(f *testing.F) {
	f.Add([]byte("retry: 1\nevent: bookmark\nid: vc1.1\ndata: {\"id\":\"1\"}\n\n"))
	f.Add([]byte("data: a\r\ndata: b\r\n\r\n:x\n\nid\n\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		const most = 64
		whole, pieces := newDecoder(bytes.NewReader(stream), most), newDecoder(iotest.OneByteReader(bytes.NewReader(stream)), most)
		for {
			m, err := whole.next()
			again, errAgain := pieces.next()
			if (err == nil) != (errAgain == nil) || m.id != again.id || !bytes.Equal(m.data, again.data) {
				t.Fatalf("%q, %v whole, and %q, %v in pieces", m, err, again, errAgain)
			}
			if err != nil {
				return
			}
			if len(m.data) > most {
				t.Fatalf("a message of %d bytes", len(m.data))
			}
			if e, err := newEvent(m.data); err == nil {
				_, _ = e.Decode()
			}
			_ = parseProblem(m.data)
		}
	})
}
