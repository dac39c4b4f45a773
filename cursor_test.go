package vstream_test

import (
	"maps"
	"strings"
	"testing"

	"vstream"
)

func TestACursorIsReadAsItIsWritten(t *testing.T) {
	for text, want := range map[string]vstream.Cursor{
		"~":                     {},
		"vc1.1042":              {"vc1": 1042},
		"vc1.0":                 {"vc1": 0},
		"a-b.4294967339~vc2.77": {"a-b": 1<<32 + 43, "vc2": 77},
	} {
		c, err := vstream.ParseCursor(text)
		if err != nil || !maps.Equal(c, want) || c.String() != text {
			t.Errorf("%q is read as %v, %v and written as %q", text, c, err, c.String())
		}
	}
	if c := (vstream.Cursor{"z": 1, "a": 2, "m": 3}); c.String() != "a.2~m.3~z.1" {
		t.Errorf("written as %s", c)
	}
}

func TestWhatIsNoCursorIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "1042", "vc1", "vc1.", ".7", "vc1.-1", "vc1.+1", "vc1.1.2", "VC1.7", "vc1.7~", "~vc1.7", "vc1.7~~vc2.8",
		"vc1.9223372036854775808", "vc1.7~vc1.8", "vc 1.7", "vc1.0x7", "ü.7", "vc1.7\n", strings.Repeat("a", 9000) + ".7",
	} {
		if c, err := vstream.ParseCursor(text); err == nil {
			t.Errorf("%q is read as %v", text, c)
		}
	}
}

func FuzzParseCursor(f *testing.F) {
	for _, text := range []string{"~", "vc1.1042", "vc1.1042~vc2.77", "vc1.007"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := vstream.ParseCursor(text)
		if err != nil {
			return
		}
		if again, err := vstream.ParseCursor(c.String()); err != nil || !maps.Equal(again, c) {
			t.Errorf("%q is read as %v, and that as %v, %v", text, c, again, err)
		}
	})
}
