package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"testing"
)

// Ansible looks for templates in the values of variables, and a template may run a command.
func TestWhatStrangersWriteIntoEventsIsNoTemplateToAnsible(t *testing.T) {
	plugin := recipe{name: "vstream.py", needs: []string{"python3"}, args: func(server, _ string) []string {
		return []string{"python3", "vstream.py", server, "place"}
	}}
	if plugin.absent(t) {
		return
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, `data: {"id":"1","type":"a","data":{"FullFormattedMessage":"{{ lookup('pipe', 'id') }} {% b %} {# c #} {{{ d {"}}`+"\n\n"+
			`data: {"id":"2","type":"a","data":{"FullFormattedMessage":"{ \"e\": {} }"}}`+"\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	c := newCook(t, plugin, server.URL)
	c.waitFor(2)
	c.kill()
	if m := regexp.MustCompile(`(?m)\{[{%#].*|\{$`).FindString(c.said.String()); m != "" {
		t.Errorf("Ansible takes %q for a template", m)
	}
	if plain := regexp.MustCompile(`(?m)^2 a \{ "e": \{\} \}$`); !plain.MatchString(c.said.String()) {
		t.Errorf("what is no template is not as it came: %s", c.said.String())
	}
}
