package access

import (
	"slices"
	"strings"
	"testing"
)

func TestOriginsAreReadOrRefused(t *testing.T) {
	for text, want := range map[string][]string{
		"*":                      {"*"},
		"https://ui.example.com": {"https://ui.example.com"},
		"HTTPS://UI.example.com, http://localhost:3000,https://[::1]:8443": {"https://ui.example.com", "http://localhost:3000", "https://[::1]:8443"},
		"ui.example.com":              nil,
		"https://":                    nil,
		"https://ui.example.com/":     nil,
		"https://ui.example.com/x":    nil,
		"https://user@ui.example.com": nil,
		"https://ui.example.com:443":  nil,
		"http://ui.example.com:80":    nil,
		"https://*.example.com":       nil,
		"ftp://ui.example.com":        nil,
		"null":                        nil,
		"https://a.example.com,":      nil,
		"*,https://ui.example.com":    nil,
	} {
		got, err := ParseOrigins(text)
		if !slices.Equal(got, want) || (err == nil) != (want != nil) {
			t.Errorf("%q: %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestPagesOfConfiguredOriginsMayRead(t *testing.T) {
	const ui = "https://ui.example.com"
	tokens := tokensFile(t, map[string]string{"secret": "alice"})
	exact := guard(t, Config{TokensFile: tokens, Origins: []string{ui, "http://localhost:3000"}})
	anyone := guard(t, Config{Origins: []string{AnyOrigin}})
	for _, c := range []struct {
		guard                *Guard
		origin               string
		allowed, credentials string
	}{
		{exact, ui, ui, "true"},
		{exact, "http://localhost:3000", "http://localhost:3000", "true"},
		{exact, "https://evil.example.com", "", ""},
		{exact, "https://ui.example.com.evil.com", "", ""},
		{exact, "http://ui.example.com", "", ""},
		{exact, "null", "", ""},
		{exact, "", "", ""},
		{anyone, ui, "*", ""},
		{anyone, "null", "*", ""},
	} {
		for _, token := range []string{"secret", "wrong"} {
			headers := []string{bearing(token)}
			preflight := []string{"Access-Control-Request-Method: GET", "Access-Control-Request-Headers: authorization"}
			if c.origin != "" {
				headers, preflight = append(headers, "Origin: "+c.origin), append(preflight, "Origin: "+c.origin)
			}
			want := 200
			if token == "wrong" && c.guard == exact {
				want = 401
			}
			w := ask(c.guard, "GET", "/api/v1/events", headers...)
			h := w.Header()
			if w.Code != want || h.Get("Access-Control-Allow-Origin") != c.allowed || h.Get("Access-Control-Allow-Credentials") != c.credentials ||
				h.Get("Vary") != "Origin" || (c.allowed != "") != strings.Contains(h.Get("Access-Control-Expose-Headers"), "Stream-Next-Cursor") {
				t.Errorf("%s: %d %v", c.origin, w.Code, h)
			}
			if c.origin == "" {
				continue
			}
			w = ask(c.guard, "OPTIONS", "/api/v1/events", preflight...)
			h = w.Header()
			if w.Code != 204 || w.Body.Len() > 0 || h.Get("Access-Control-Allow-Origin") != c.allowed || h.Get("Vary") != "Origin" ||
				(c.allowed != "") != (h.Get("Access-Control-Allow-Methods") == "GET, HEAD" && h.Get("Access-Control-Max-Age") != "" &&
					strings.Contains(h.Get("Access-Control-Allow-Headers"), "Last-Event-ID")) {
				t.Errorf("preflight of %s: %d %v", c.origin, w.Code, h)
			}
		}
	}
}

func TestOptionsThatAreNoPreflightGoOn(t *testing.T) {
	g := guard(t, Config{Origins: []string{AnyOrigin}})
	for _, header := range []string{"Origin: https://ui.example.com", "Access-Control-Request-Method: GET"} {
		if w := ask(g, "OPTIONS", "/", header); w.Body.String() != "reader " {
			t.Errorf("%s: %d %s", header, w.Code, w.Body)
		}
	}
}
