package vstream_test

import (
	"strings"
	"testing"

	"vstream"
)

func BenchmarkParseCursor(b *testing.B) {
	for name, text := range map[string]string{"One": "vc1.1042", "Tagged": "vc1.1042.k7f2q", "Ten": strings.Join([]string{
		"vc0.1042", "vc1.1042", "vc2.1042", "vc3.1042", "vc4.1042", "vc5.1042", "vc6.1042", "vc7.1042", "vc8.1042", "vc9.1042"}, "~")} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := vstream.ParseCursor(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkCursorString(b *testing.B) {
	for name, c := range map[string]vstream.Cursor{
		"One":   {"vc1": {Offset: 1042, Tag: "k7f2q"}},
		"Three": {"vc1": {Offset: 1042, Tag: "k7f2q"}, "vc2": {Offset: 77, Tag: "m3xba"}, "vc3": {Offset: 9}},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_ = c.String()
			}
		})
	}
}

func BenchmarkWithOffset(b *testing.B) {
	e := vstream.Event{Offset: 1042, JSON: []byte(`{"specversion":"1.0","id":"1042","data":"` + strings.Repeat("x", 1200) + `"}`)}
	b.ReportAllocs()
	b.SetBytes(int64(len(e.JSON)))
	for b.Loop() {
		_ = e.WithOffset(1<<32 + 1042)
	}
}
