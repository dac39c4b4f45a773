package webui_test

import (
	"os"
	"testing"

	"github.com/chromedp/chromedp"
)

// axe returns the checker that npm has installed for the page.
func axe(t *testing.T) string {
	t.Helper()
	source, err := os.ReadFile("../../web/node_modules/axe-core/axe.min.js")
	if err != nil {
		t.Skipf("axe-core is not here; npm ci in web installs it: %v", err)
	}
	return string(source)
}

// accessible fails if axe-core finds a serious violation in what is shown.
func (p *tab) accessible(state, axe string) {
	p.t.Helper()
	ask[any](p, "(document.getAnimations().forEach((a) => a.finish()), 0)")
	type violation struct {
		ID, Impact, Help string
		Nodes            []string
	}
	const run = `(globalThis.axe || (0, eval)(%s), axe.run(document, {resultTypes: ["violations"]})).then(({violations}) => violations
		.filter((v) => v.impact === "serious" || v.impact === "critical")
		.map((v) => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.slice(0, 4).map((n) => n.html.slice(0, 150) + " " + (n.any[0]?.message ?? ""))})))`
	for _, v := range ask[[]violation](p, run, axe) {
		p.t.Errorf("%s: %s (%s, %s) in %q", state, v.Help, v.ID, v.Impact, v.Nodes)
	}
}

func TestAxeFindsNoSeriousViolation(t *testing.T) {
	source := axe(t)
	for _, theme := range []string{"dark", "light"} {
		t.Run(theme, func(t *testing.T) {
			site, _ := serveOne(t, 200)
			p := open(t, site.url(""), prefers(theme))
			p.live(1200)
			p.until(`see.all(".facets .value").length > 5 && see.text(".peak").startsWith("Highest")`)
			p.accessible("the list", source)
			p.click("see.row(1195)")
			p.shows(".drawer", "offset 1,195")
			p.until(`see.control("Details", ".drawer")`)
			for _, name := range []string{"Details", "JSON", "Chain*", "Around*"} {
				p.click("see.control(%s, '.drawer')", name)
				p.until(`!see.text(".drawer").includes("Loading…")`)
				p.accessible("the drawer with "+name, source)
			}
			p.press(escape, "?")
			p.shows("dialog[open]", "Keys")
			p.accessible("the help", source)
			p.press(escape)
			p.click(`see.control("Copy as")`)
			p.accessible("copy as", source)
			p.press(escape, "/", `severity = "error"`)
			p.until(`see.all("#search-check").some((e) => e.textContent.includes("Syntax error"))`)
			p.accessible("an expression that does not compile", source)
			p.do(chromedp.Navigate(site.url("?severity=error&q=nothing+like+this")))
			p.shows(".empty", "No event matches")
			p.accessible("no match", source)
			site.stop()
			site.wantToken()
			site.start()
			p.shows("dialog[open]", "Sign in again")
			p.accessible("signing in", source)
		})
	}
}
