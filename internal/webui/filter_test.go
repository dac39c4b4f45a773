package webui_test

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// copies has the page say what it copies: it is in globalThis.copied.
const copies = `globalThis.copied = []; Object.defineProperty(navigator, "clipboard", {value: {writeText: async (text) => { copied.push(text); }}});`

func TestEachKindOfFilterIsTypedIntoTheBar(t *testing.T) {
	site, v := serveOne(t, 300)
	p := open(t, site.url(""))
	p.live(1300)
	for _, c := range []struct{ typed, address, each string }{
		{"vm:web-07", "?vm=web-07", `e.querySelector(".target").textContent === "web-07"`},
		{"user:!LAB*", "?user=!LAB*", `!e.querySelector(".user").textContent.startsWith("LAB")`},
		{"severity:error", "?severity=error", `e.classList.contains("error")`},
		{"powered on", "?q=powered+on", `e.querySelector(".message").textContent.includes("powered on") && e.querySelector("mark").textContent === "powered on"`},
		{`vm.startsWith("db-") && severity == "info"`, "", `e.querySelector(".target").textContent.startsWith("db-")`},
	} {
		t.Run(c.typed, func(t *testing.T) {
			p.press("/")
			p.until(`document.activeElement.id === "search"`)
			p.press(c.typed)
			p.until(`document.activeElement.value === %s`, c.typed)
			p.press(enter)
			if c.address != "" {
				p.until("location.search === %s", c.address)
			} else {
				p.until(`new URLSearchParams(location.search).get("filter") === %s`, c.typed)
			}
			p.until(`see.rows().length > 3 && see.all(".row.event").every((e) => ` + c.each + `)`)
			v.postN(t, 40)
			newest := ask[string](p, `see.rows()[0]`)
			v.postN(t, 40)
			p.until("Number(see.rows()[0]) > %s", newest) // it is live, too
			p.until(`see.all(".row.event").every((e) => ` + c.each + `)`)
			p.click(`document.querySelector(".chip-remove")`)
			p.until(`location.search === ""`)
			p.click(`document.querySelector("h1")`)
		})
	}
}

func TestAnExpressionThatDoesNotCompileSaysWhyUnderTheBar(t *testing.T) {
	site, _ := serveOne(t, 50)
	p := open(t, site.url(""))
	p.live(1050)
	p.press("/", `severity = "error"`)
	p.until(`see.all("#search-check").some((e) => e.textContent.includes("Syntax error"))`)
	p.press(enter)
	p.until(`location.search === "" && see.rows()[0] === "1050"`) // the list stays as it is
}

func TestASavedViewShowsItsEvents(t *testing.T) {
	site, v := serveOne(t, 300)
	p := open(t, site.url(""))
	p.live(1300)
	p.click(`see.control("Views")`)
	p.click(`see.control("Machines", ".popover")`)
	p.until(`location.search.startsWith("?type=VmPoweredOnEvent,")`)
	p.shows(".chip bdi", "Event type: Machines") // one chip for all of them
	p.until(`see.rows().length > 3 && see.all(".row.event .event").every((e) => /^Vm|VM/.test(e.textContent))`)
	v.postN(t, 40)
	p.click(`document.querySelector(".chip-text")`)
	p.until(`see.all(".chip").length === 5`)
	p.click(`see.control("Views")`)
	p.click(`see.control("Problems", ".popover")`)
	p.until(`location.search === "?severity=warning,error"`)
	p.until(`see.rows().length > 3 && see.all(".row.event").every((e) => e.matches(".warning, .error"))`)
}

func TestAFacetLimitsToItsValueAndLeavesItOut(t *testing.T) {
	site, _ := serveOne(t, 300)
	p := open(t, site.url(""))
	p.live(1300)
	p.click(`see.control("Only web-07", ".facets")`)
	p.until(`location.search === "?vm=web-07" && see.all(".row.event .target").every((e) => e.textContent === "web-07")`)
	p.until(`see.control("Only db-prod-02", ".facets")`) // there is still something to choose from
	p.clickWith([]chromedp.MouseOption{chromedp.ButtonModifiers(chromedp.ModifierAlt)}, `see.control("Only db-prod-02", ".facets")`)
	p.until(`location.search === "?vm=!db-prod-02" && !see.all(".row.event .target").some((e) => e.textContent === "db-prod-02")`)
	p.click(`document.querySelector(".facets [aria-label='Severity error']")`)
	p.until(`location.search === "?severity=error&vm=!db-prod-02" && see.all(".row.event").every((e) => e.classList.contains("error"))`)
}

func TestDraggingOverTheHistogramZoomsAndEscGoesBack(t *testing.T) {
	site, _ := serveOne(t, 2000)
	p := open(t, site.url(""))
	p.live(3000)
	p.until(`see.all(".histogram .strip[role=slider]").length === 1 && see.text(".peak").startsWith("Highest")`)
	box := ask[[]float64](p, `(({left, top, width, height}) => [left, top, width, height])(document.querySelector(".histogram .strip").getBoundingClientRect())`)
	y := box[1] + box[3]/2
	p.do(chromedp.MouseEvent(chromedp.MouseMoved, box[0]+box[2]*0.3, y),
		chromedp.MouseEvent(chromedp.MousePressed, box[0]+box[2]*0.3, y, chromedp.ButtonLeft, chromedp.ClickCount(1)),
		chromedp.MouseEvent(chromedp.MouseMoved, box[0]+box[2]*0.4, y, chromedp.ButtonLeft),
		chromedp.MouseEvent(chromedp.MouseMoved, box[0]+box[2]*0.5, y, chromedp.ButtonLeft),
		chromedp.MouseEvent(chromedp.MouseReleased, box[0]+box[2]*0.5, y, chromedp.ButtonLeft, chromedp.ClickCount(1)))
	p.until(`location.search.startsWith("?since=20") && location.search.includes("until=20")`)
	p.state("Historical")
	p.until(`see.rows().length > 10 && see.rows().every((o) => Number(o) > 1300 && Number(o) < 2300)`)
	p.press(escape)
	p.live(3000)
	p.until(`location.search === ""`)
}

func TestTheButtonForBackLeavesAZoomAndOpensTheEventOfThatAddress(t *testing.T) {
	site, _ := serveOne(t, 2000)
	p := open(t, site.url(""))
	p.live(3000)
	p.click("see.row(2995)")
	p.until(`location.search === "?event=vc-01/2995"`)
	p.until(`see.all(".histogram .strip[role=slider]").length === 1 && see.text(".peak").startsWith("Highest")`)
	ask[any](p, `document.querySelector(".strip").focus()`)
	p.press(left, left, enter)
	p.until(`location.search.includes("until=") && see.all("button").some((e) => see.name(e).startsWith("Zoom out"))`)
	p.press(escape) // closes the drawer, with the zoom as it is
	p.until(`location.search.includes("until=") && see.all(".drawer").length === 0`)
	p.back()
	p.until(`location.search === "?event=vc-01/2995" && see.all(".drawer").length === 1`)
	p.never(`see.all("button").some((e) => see.name(e).startsWith("Zoom out"))`)
}

func TestTheDrawerTellsAllOfAnEvent(t *testing.T) {
	site, v := serveOne(t, 100)
	lost := connectionLost("esx-12.lab")
	first := v.post(t, lost)
	for range 3 {
		e := poweredOn("web-07", "esx-12.lab", `LAB\amara`)
		e.ChainId = int32(first)
		v.post(t, e)
	}
	newest := v.postN(t, 30)
	p := open(t, site.url(""), atStart(copies))
	p.live(newest)
	p.click("see.row(%s)", first)
	p.shows(".drawer h2", "Host connection lost")
	p.shows(".drawer", "Host esx-12.lab in DC-West is not responding")
	p.shows(".drawer", "The host lost network connectivity or hostd stopped.")
	p.shows(".drawer", "Restart the management agents")
	p.shows(".drawer", "CL-Prod")
	p.click(`see.control("JSON", ".drawer")`)
	p.shows(".drawer [role=tabpanel]", "vmware.vsphere.HostConnectionLostEvent.v0")
	p.click(`see.control("Chain 4", ".drawer")`)
	p.until(`see.all(".drawer [role=tabpanel] li").length === 4`)
	p.click(`see.control("Around ±20", ".drawer")`)
	p.until(`see.all(".drawer [role=tabpanel] li").length === 41`)
	for name, want := range map[string]string{
		"Copy curl": "/api/v1/vcenters/vc-01/events/1101", "Copy CLI": "vstream get", "Copy JSON": `"specversion": "1.0"`, "Permalink": "?event=vc-01/1101",
	} {
		p.click("see.control(%s)", name)
		p.until("copied.some((text) => text.includes(%s))", want)
	}
	p.click(`see.control("Details", ".drawer")`)
	p.press(escape)
	p.until(`see.all(".drawer").length === 0`)
}

func TestTheFilterIsCopiedAsACommand(t *testing.T) {
	site, _ := serveOne(t, 100)
	p := open(t, site.url("?severity=error&vm=!web-07"), atStart(copies))
	p.until(`see.rows().length > 3`)
	p.press("l")
	p.until(`copied.at(-1) === location.href`)
	p.click(`see.control("Copy as")`)
	for name, want := range map[string]string{"curl": "curl ", "vstream": "vstream tail", "EventSource": "new EventSource(", "PowerShell": "Add-Type"} {
		p.click("see.control(%s, '.popover')", name)
		p.click(`see.control("Copy", ".popover")`)
		p.until(`copied.at(-1).includes(%s) && copied.at(-1).includes("error") && /web-07/.test(copied.at(-1))`, want)
	}
	p.press(escape)
	p.until(`!document.querySelector(".popover")`)
}

func TestALinkShowsAnotherPersonTheSame(t *testing.T) {
	site, v := serveOne(t, 3000)
	p := open(t, site.url("?event=vc-01/2000"))
	p.shows(".drawer", "offset 2,000")
	p.until(`see.rows().includes("2000") && see.row(2000).classList.contains("marked")`)
	v.postN(t, 50)
	p.until(`see.rows().includes("2000")`)
	p.press("G")
	p.until(`see.rows()[0] === "4050"`)
}

func TestALinkToAnEventThatTheLogHasDroppedOffersTheNearest(t *testing.T) {
	site, v := serveOne(t, 100)
	v.key += 5 // vCenter leaves numbers out
	v.postN(t, 10)
	p := open(t, site.url("?event=vc-01/7"))
	p.shows(".drawer", "The log no longer holds this event")
	p.until(`see.all(".drawer .event-lines li").length > 0`)
	p = open(t, site.url("?event=vc-01/1103"))
	p.shows(".drawer", "There is no such event")
	p.until(`see.all(".drawer .event-lines li").length === 2`)
	p.click(`document.querySelector(".drawer .event-lines button")`)
	p.until(`/^.event=vc-01.(1100|1106)$/.test(location.search)`)
}
