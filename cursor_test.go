package vstream_test

import (
	"maps"
	"strings"
	"testing"

	"vstream"
)

func TestACursorIsReadAsItIsWritten(t *testing.T) {
	for text, want := range map[string]vstream.Cursor{
		"~":                                 {},
		"vc1.1042":                          {"vc1": {Offset: 1042}},
		"vc1.0":                             {"vc1": {}},
		"vc1.1042.k7f2q":                    {"vc1": {Offset: 1042, Tag: "k7f2q"}},
		"vc1.1042.0123456789abcdef":         {"vc1": {Offset: 1042, Tag: "0123456789abcdef"}},
		"a-b.4294967339~vc2.77":             {"a-b": {Offset: 1<<32 + 43}, "vc2": {Offset: 77}},
		"a-b.4294967339.k7f2q~c.7~vc2.77.m": {"a-b": {Offset: 1<<32 + 43, Tag: "k7f2q"}, "c": {Offset: 7}, "vc2": {Offset: 77, Tag: "m"}},
	} {
		c, err := vstream.ParseCursor(text)
		if err != nil || !maps.Equal(c, want) || c.String() != text {
			t.Errorf("%q is read as %v, %v and written as %q", text, c, err, c.String())
		}
	}
	if c := (vstream.Cursor{"z": {Offset: 1}, "a": {Offset: 2}, "m": {Offset: 3}}); c.String() != "a.2~m.3~z.1" {
		t.Errorf("written as %s", c)
	}
}

func TestWhatIsNoCursorIsRefused(t *testing.T) {
	for _, text := range []string{
		"", "1042", "vc1", "vc1.", ".7", "vc1.-1", "vc1.+1", "VC1.7", "vc1.7~", "~vc1.7", "vc1.7~~vc2.8",
		"vc1.9223372036854775808", "vc1.7~vc1.8", "vc 1.7", "vc1.0x7", "ü.7", "vc1.7\n", strings.Repeat("a", 9000) + ".7",
		"vc1.7.", "vc1..k7f2q", "vc1.7.K7F2Q", "vc1.7.k7-2q", "vc1.7.k7f2q.", "vc1.7.k7f2q.x", "vc1.7.k7f2q\n", "vc1.7.0123456789abcdefg", "vc1.7.ü",
		"vc1.7.k7f2q~vc1.7.m3xba",
	} {
		if c, err := vstream.ParseCursor(text); err == nil {
			t.Errorf("%q is read as %v", text, c)
		}
	}
}

// What readers hold was made of these tags: they must never change.
func TestATagIsOfTheVCenterAndTheEpochThatALogBeganWith(t *testing.T) {
	const one, other = "6ba4e4a6-31e8-4d5c-a0e5-e93e3bf6a1d2", "6ba4e4a6-31e8-4d5c-a0e5-e93e3bf6a1d3"
	if tag := vstream.TagOf(one, 0); tag != "iiezr" {
		t.Errorf("the tag is %s", tag)
	}
	if vstream.TagOf(one, 0) == vstream.TagOf(other, 0) || vstream.TagOf(one, 0) == vstream.TagOf(one, 1) {
		t.Error("logs that began otherwise have the same tag")
	}
	if tag := vstream.TagOf("", 0); tag != "" {
		t.Errorf("without a vCenter the tag is %s", tag)
	}
}

func FuzzParseCursor(f *testing.F) {
	for _, text := range []string{"~", "vc1.1042", "vc1.1042~vc2.77", "vc1.007", "vc1.1042.k7f2q~vc2.77"} {
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
