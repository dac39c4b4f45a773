package vcenter

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"vstream/internal/cloudevent"
)

func TestElementsAreCutOutWhateverIsInThem(t *testing.T) {
	for _, c := range []struct {
		in       string
		elements []string
		rest     string
	}{
		{"<a></a>", nil, "<a></a>"},
		{"<a><e>1</e><e x='2'>\x01<</e></a>", []string{"<e>1</e>", "<e x='2'>\x01<</e>"}, "<a></a>"},
		{"<a><e/><e x=\"1\"/><e>2</e></a>", []string{"<e/>", "<e x=\"1\"/>", "<e>2</e>"}, "<a></a>"},
		{"<a><event>1</event><e\n>2</e></a>", []string{"<e\n>2</e>"}, "<a><event>1</event></a>"},
		{"<a><e>1</e><e>cut o", []string{"<e>1</e>"}, "<a><e>cut o"},
		{"<a><e>1</e><e", []string{"<e>1</e>"}, "<a><e"},
		{"", nil, ""},
	} {
		elements, rest := cutOut([]byte(c.in), "e")
		var got []string
		for _, e := range elements {
			got = append(got, string(e))
		}
		if !slices.Equal(got, c.elements) || string(rest) != c.rest {
			t.Errorf("of %q: %q and %q, want %q and %q", c.in, got, rest, c.elements, c.rest)
		}
	}
}

func TestSanitizeReplacesJustWhatXMLForbids(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain, with ü and 日本 &amp; &#228; &#x1F600;", "plain, with ü and 日本 &amp; &#228; &#x1F600;"},
		{"tab\tline\nreturn\r", "tab\tline\nreturn\r"},
		{"a\x00b\x1fc\x0bd", "a\ufffdb\ufffdc\ufffdd"},
		{"a\xffb\xc3", "a\ufffdb\ufffd"},
		{"a\ufffe\uffffb", "a\ufffd\ufffdb"},
		{"a&#0;&#x1;&#xFFFF;&#xD800;&#x110000;&#99999999999;b", "a\ufffd\ufffd\ufffd\ufffd\ufffd&#99999999999;b"},
		{"a&#;&#x;&#zz;b&", "a&#;\ufffd\ufffdb&"},
		{"genuine \ufffd", "genuine \ufffd"},
	} {
		if got := string(sanitize([]byte(c.in))); got != c.want {
			t.Errorf("sanitize(%q) = %q, want %q", c.in, got, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`<returnval xsi:type="VmPoweredOnEvent"><key>1</key><createdTime>2022-01-14T13:26:22Z</createdTime></returnval>`))
	f.Add([]byte(`<returnval xsi:type="VirtualDisk"><key>-1</key></returnval>`))
	f.Add([]byte(`<returnval xsi:type='EventEx'><key>4294967295</key><eventTypeId>a&#x1;b</eventTypeId>`))
	f.Add([]byte("<returnval type=\"TaskEvent\"><info><result xsi:type=\"Nobody\">\xff</result></info></returnval>"))
	encoder := cloudevent.Encoder{Source: "s", MaxBytes: 64 << 10}
	f.Fuzz(func(t *testing.T, element []byte) {
		clean := sanitize(element)
		if !utf8.Valid(clean) {
			t.Errorf("%q is not clean", clean)
		}
		if again := sanitize(clean); !bytes.Equal(again, clean) {
			t.Errorf("%q becomes %q when cleaned again", clean, again)
		}
		d := decode(element)
		if (d.event == nil) == (d.raw == nil) {
			t.Fatalf("decoded to %+v", d)
		}
		if d.event != nil {
			if _, err := encoder.Encode(d.event); err == nil {
				return
			}
			d.raw, _ = salvage(element, typeOf(element))
		}
		e, err := encoder.EncodeRaw(d.raw)
		if err != nil || !strings.Contains(string(e.JSON), `"eventclass":"unknown"`) || len(e.JSON) > encoder.MaxBytes {
			t.Errorf("kept as %s, %v", e.JSON, err)
		}
	})
}

func FuzzCutOut(f *testing.F) {
	f.Add([]byte("<a><e>1</e><e x='2'/><e></a>"))
	f.Fuzz(func(t *testing.T, document []byte) {
		elements, rest := cutOut(document, "e")
		n := len(rest)
		for _, e := range elements {
			n += len(e)
			if !bytes.HasPrefix(e, []byte("<e")) || !bytes.HasSuffix(e, []byte(">")) {
				t.Errorf("%q is no element", e)
			}
		}
		if n != len(document) {
			t.Errorf("%d bytes became %d", len(document), n)
		}
	})
}
