package webui_test

import (
	"testing"

	"github.com/chromedp/chromedp/kb"
)

func TestAllCanBeDoneWithTheKeyboard(t *testing.T) {
	site, v := serveOne(t, 300)
	p := open(t, site.url(""))
	p.live(1300)
	marked := `see.all(".row.marked").map((e) => e.id.slice(e.id.lastIndexOf("-") + 1)).join() === String(%s)`
	p.press("j")
	p.until(marked, 1300)
	p.state("Paused")
	p.press("j", "j", "j")
	p.until(marked, 1297)
	p.press("k")
	p.until(marked, 1298)
	p.never(`see.all(".drawer").length > 0`)
	p.press(enter)
	p.until(`location.search === "?event=vc-01/1298" && see.all(".drawer").length > 0`)
	p.press("j")
	p.until(`location.search === "?event=vc-01/1297"`)
	p.press(escape)
	p.until(`location.search === "" && see.all(".drawer").length === 0`)
	p.until(marked, 1297)
	p.press(escape)
	p.until(`see.all(".row.marked").length === 0`)
	p.press(" ")
	p.live(1300)
	p.press(" ")
	p.state("Paused")
	p.press(" ")
	newest := v.postN(t, 3)
	p.live(newest)
	p.press("t")
	p.shows(".heads", "Time (UTC)")
	p.press("?")
	p.shows("dialog[open]", "Keys")
	p.press("t") // off while a dialog is open
	p.shows(".heads", "Time (UTC)")
	p.press(escape)
	p.until(`!document.querySelector("dialog[open]")`)
	for range 60 { // far down, the marked row stays in sight
		p.press("j")
	}
	p.until(`see.all(".row.marked").length === 1 && see.rows().includes(see.all(".row.marked")[0].id.split("-").at(-1))`)
}

func TestTheListHasTheKeysOfWhatScrolls(t *testing.T) {
	site, _ := serveOne(t, 2000)
	p := open(t, site.url(""))
	p.live(3000)
	marked := `see.all(".row.marked").map((e) => e.id.slice(e.id.lastIndexOf("-") + 1)).join() === String(%s)`
	p.press(down, down, up)
	p.until(marked, 3000)
	p.press(down)
	p.until(marked, 2999)
	p.press(kb.PageDown)
	p.until("see.box().scrollTop > see.box().clientHeight / 2")
	p.press(kb.PageUp)
	p.until("see.box().scrollTop === 0")
	p.press(kb.End)
	p.until("see.box().scrollTop > 2 * see.box().clientHeight")
	p.press(kb.Home)
	p.until("see.box().scrollTop === 0")

	p.click(`see.all(".pill")[0]`) // after which it has the focus
	p.until(`document.activeElement.closest(".popover")`)
	p.press(escape)
	p.until(`see.all(".popover").length === 0`)
	p.press("j")
	p.until(`document.activeElement.matches(".grid")`)
	p.press(enter)
	p.until(`location.search.startsWith("?event=vc-01/") && see.all(".popover").length === 0`)
}

func TestAKeyFiltersBySeverityTypeAndChain(t *testing.T) {
	site, v := serveOne(t, 300)
	chained := poweredOn("web-07", "esx-11.lab", `LAB\amara`)
	chained.ChainId = 1299
	newest := v.post(t, chained)
	p := open(t, site.url(""))
	p.live(newest)
	for key, severity := range map[string]string{"e": "error", "w": "warning", "i": "info", "u": "user"} {
		p.press(key)
		p.until(`location.search === %s && see.rows().length > 5 && see.all(".row.event").every((e) => e.classList.contains(%s))`, "?severity="+severity, severity)
		p.press(key)
		p.until(`location.search === "" && see.rows()[0] === String(%s)`, newest)
	}
	p.press("j", "f")
	p.until(`location.search === "?type=VmPoweredOnEvent" && see.all(".row.event .event").every((e) => e.textContent === "VM powered on")`)
	p.press("x")
	p.until(`location.search === "?type=!VmPoweredOnEvent" && see.rows().length > 5 && !see.all(".row.event .event").some((e) => e.textContent === "VM powered on")`)
	p.press("c")
	p.until(`location.search === "?type=!VmPoweredOnEvent&chain=1299"`)
	p.press("c")
	p.until(`location.search === "?type=!VmPoweredOnEvent"`)
	p.back()
	p.until(`location.search === "?type=!VmPoweredOnEvent&chain=1299"`)
}

func TestTabReachesAllThereIsToPress(t *testing.T) {
	site, _ := serveOne(t, 300)
	p := open(t, site.url(""))
	p.live(1300)
	ask[any](p, `(globalThis.reached = new Set(), document.body.addEventListener("focusin", (e) => reached.add(e.target)), 0)`)
	for range 150 {
		p.press(tabKey)
	}
	if missed := ask[[]string](p, `see.all("button, a[href], input, summary").filter((e) => !reached.has(e) && !e.disabled && e.tabIndex >= 0 && !(e.getAttribute("role") === "tab")).map((e) => see.name(e) || e.outerHTML.slice(0, 80))`); len(missed) > 0 {
		t.Errorf("not reached are %q", missed)
	}
	p.until(`[...reached].every((e) => e === document.body || see.name(e) !== "" || e.labels?.length > 0 || e.placeholder)`)
}
