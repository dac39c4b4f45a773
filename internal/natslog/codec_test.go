package natslog

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"vstream"
	"vstream/internal/memlog"
)

// onTheWire returns the headers as the other side of a connection reads them.
func onTheWire(t *testing.T, m *nats.Msg) nats.Header {
	t.Helper()
	var wire strings.Builder
	wire.WriteString("NATS/1.0\r\n")
	if err := http.Header(m.Header).Write(&wire); err != nil {
		t.Fatal(err)
	}
	wire.WriteString("\r\n")
	h, err := nats.DecodeHeadersMsg([]byte(wire.String()))
	if err != nil {
		t.Fatalf("headers %q: %v", wire.String(), err)
	}
	return h
}

var weird = []string{
	"", "plain", "%", "%41", "100%", "%%", "%zz", "%4", " ", "  two before", "two after  ", "\ttab first", "line\r\nX-Evil: 1",
	"\x00\x01\x1f\x7f", "\xff\xfe not UTF-8", "ümläut 日本", "\u00a0no-break space\u00a0", "a: b", "\u0085", "\u2028", strings.Repeat("long ", 1000) + ".",
}

func TestEveryFieldOfAnEventIsReadBackAsItWasWritten(t *testing.T) {
	peaks := []memlog.Peak{memlog.NoPeak, {Offset: 0, Time: time.Unix(0, 0).UTC()}, {Offset: 1<<53 - 1, Time: time.Date(-5000, 1, 1, 0, 0, 0, 1, time.UTC)}}
	times := []time.Time{
		{}, time.Date(1, 1, 1, 0, 0, 0, 1, time.UTC), time.Unix(-1, 999_999_999).UTC(), time.Unix(0, 0).UTC(),
		time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC), time.Date(123_456, 1, 1, 0, 0, 0, 5, time.UTC),
	}
	for i, text := range weird {
		for field := range texts {
			e := vstream.Event{
				Offset: vstream.Offset(i) << 32, Time: times[i%len(times)], Chain: int32(-1)<<31 + int32(i),
				JSON: []byte(`{"data":{"FullFormattedMessage":"a \"message\" \u00e4\n"}}`), Message: "a \"message\" ä\n",
			}
			*texts[field].field(&e) = text
			before := peaks[i%len(peaks)]
			m := message("s", &e, before)
			r, err := parse(7, onTheWire(t, m), m.Data)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(e, r.event); diff != "" {
				t.Errorf("%s %q (-want +got):\n%s", texts[field].key, text, diff)
			}
			if !samePeak(r.before, before) || r.seq != 7 {
				t.Errorf("record %d before %v, want 7 before %v", r.seq, r.before, before)
			}
		}
	}
}

func FuzzHeadersOfOthersAreRefusedAndOursReadBack(f *testing.F) {
	for _, text := range weird {
		f.Add("12", "-1", "0.0", "1", text, []byte(`{"FullFormattedMessage":"m"}`))
	}
	f.Add("-1", "3,1.2", "1.-5", "x", "", []byte(`{"FullFormattedMessage":"\`))
	f.Add("9223372036854775807", "9223372036854775807,9223372036854775807.999999999", "-9223372036854775808.0", "-2147483648", "%", []byte(`"FullFormattedMessage":"`))
	f.Fuzz(func(t *testing.T, offset, before, when, chain, text string, data []byte) {
		r, err := parse(1, nats.Header{eventHeader: {"offset=" + offset + "&before=" + before + "&time=" + when + "&chain=" + chain +
			"&user=" + url.QueryEscape(text)}}, data)
		if err != nil {
			return
		}
		if r.event.User != text && !strings.Contains(offset+before+when+chain, "&") {
			t.Fatalf("%q is read back as %q", text, r.event.User)
		}
		m := message("s", &r.event, r.before)
		again, err := parse(1, onTheWire(t, m), m.Data)
		if err != nil {
			t.Fatalf("what was read cannot be read back: %v", err)
		}
		if diff := cmp.Diff(r.event, again.event); diff != "" {
			t.Fatalf("read back differently (-want +got):\n%s", diff)
		}
		if !samePeak(r.before, again.before) {
			t.Fatalf("peak %v is read back as %v", r.before, again.before)
		}
	})
}
