package vcenter

import (
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"https://vc.example.com", "https://vc.example.com/sdk"},
		{"https://vc.example.com/", "https://vc.example.com/sdk"},
		{"https://vc.example.com/sdk", "https://vc.example.com/sdk"},
		{"https://vc.example.com/sdk/", "https://vc.example.com/sdk"},
		{"https://vc.example.com:8989", "https://vc.example.com:8989/sdk"},
		{"https://[::1]:8989/sdk", "https://[::1]:8989/sdk"},
		{"vc.example.com", "https://vc.example.com/sdk"},
		{"127.0.0.1:8989", "https://127.0.0.1:8989/sdk"},
		{"http://127.0.0.1:8989/sdk", "http://127.0.0.1:8989/sdk"},
		{"https://proxy.example.com/vc1/sdk", "https://proxy.example.com/vc1/sdk"},
	} {
		got, err := ParseURL(c.in)
		if err != nil || got.String() != c.want {
			t.Errorf("ParseURL(%q) = %v, %v, want %s", c.in, got, err, c.want)
		}
	}
	for _, bad := range []string{
		"", "https://", "ftp://vc", "https://user:secret@vc", "https://vc/sdk?x=1", "https://vc/#a", "https://vc:port", "::", "https:// vc",
		"https://vc:0", "https://vc:65536", "https:/vc", "https//vc", "http:vc",
	} {
		if got, err := ParseURL(bad); err == nil {
			t.Errorf("ParseURL(%q) = %v, want an error", bad, got)
		}
	}
}

func TestAPasswordInAnAddressIsNotRepeated(t *testing.T) {
	for _, bad := range []string{
		"https://user:hunter2@vc", "https://user:hunter2%@vc", "https://user:hunter2/@vc", "https://user:hunter2#@vc", "https://user:1?hunter2@vc",
		"https:/user:hunter2@vc", "user:hunter2@vc", "ftp://user:hunter2@vc", "https://hunter2@@vc",
	} {
		if _, err := ParseURL(bad); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error about %q is %v", bad, err)
		}
	}
}
