package webui_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/chromedp/chromedp"

	"vstream"
)

func TestTheNewestEventsAreThereAtOnceAndWhatHappensComesOnTop(t *testing.T) {
	site, v := serveOne(t, 300)
	p := open(t, site.url(""))
	p.live(1300)
	p.shows(".statusbar", "300 matching")
	p.shows(".statusbar", "offsets 1,001 – 1,300")
	p.shows(".pills", "vc-01 · 8.0.3")
	newest := v.post(t, poweredOn("web-07", "esx-11.lab", `LAB\amara`))
	p.live(newest)
	if got := ask[[]string](p, "[...see.row(%s).children].map((e) => e.textContent)", newest); !slices.Equal(got[1:], []string{
		"info", "VM powered on", "web-07", `LAB\amara`, "web-07 on esx-11.lab in DC-West is powered on", "1,301",
	}) {
		t.Errorf("the row has %q", got)
	}
}

func TestTheListGoesBackToTheBeginningOfTheLog(t *testing.T) {
	site, _ := serveOne(t, 3000)
	p := open(t, site.url(""))
	p.live(4000)
	p.until(`(see.box().scrollTop = 1e9, see.text(".end") === "Nothing older: the log begins here." && see.rows().at(-1) === "1001")`)
	if got, want := p.walk(), descending(4000, 1001); !slices.Equal(got, want) {
		t.Errorf("the list has %d events, which are %s", len(got), compared(got, want))
	}
}

func TestScrollingMakesTheListStandStill(t *testing.T) {
	site, v := serveOne(t, 500)
	p := open(t, site.url(""))
	p.live(1500)
	p.wheel(700)
	p.state("Paused · connected")
	before := p.rows()
	v.postN(t, 148)
	p.shows(".arrived", "148 new events since you paused")
	if after := p.rows(); !slices.Equal(after, before) {
		t.Errorf("the rows were %v and are %v", before, after)
	}
	p.click(`see.control("148 new events*")`)
	p.live(1648)
	p.never(`see.text(".arrived")`)
	if got, want := p.walk(), descending(1648, 1001); !slices.Equal(got, want) {
		t.Errorf("the list has %d events, which are %s", len(got), compared(got, want))
	}
}

func TestThereAreThreeWaysBackToTheNewestEvents(t *testing.T) {
	for _, way := range []struct {
		name string
		back func(*tab)
	}{
		{"the button", func(p *tab) { p.click(`see.control("30 new events*")`) }},
		{"G", func(p *tab) { p.press("G") }},
		{"Space", func(p *tab) { p.press(" ") }},
	} {
		t.Run(way.name, func(t *testing.T) {
			site, v := serveOne(t, 500)
			p := open(t, site.url(""))
			p.live(1500)
			p.wheel(700)
			p.state("Paused")
			v.postN(t, 30)
			p.shows(".arrived", "30 new events")
			way.back(p)
			p.live(1530)
			newest := v.postN(t, 1)
			p.live(newest)
		})
	}
}

func TestTheRowUnderThePointerDoesNotMove(t *testing.T) {
	site, v := serveOne(t, 500)
	p := open(t, site.url(""))
	p.live(1500)
	p.point("see.row(1490)")
	x, y := p.place("see.row(1490)")
	v.postN(t, 40)
	p.shows(".arrived", "40 new events while you point")
	p.until(`document.elementFromPoint(%s, %s).closest(".row") === see.row(1490)`, x, y)
	p.state("Live")
	p.point(`see.all(".statusbar")[0]`) // elsewhere
	p.live(1540)
	p.never(`see.text(".arrived")`)
}

func TestOpeningARowPausesAndKeepsTheList(t *testing.T) {
	site, v := serveOne(t, 500)
	p := open(t, site.url(""))
	p.live(1500)
	p.click("see.row(1495)")
	p.state("Paused")
	p.until(`location.search === "?event=vc-01/1495"`)
	v.postN(t, 5)
	p.shows(".arrived", "5 new events")
	if got := p.rows()[:6]; !slices.Equal(got, descending(1500, 1495)) {
		t.Errorf("the rows are %v", got)
	}
	p.until(`see.row(1495).getAttribute("aria-selected") === "true"`)
}

func TestTheOrderIsRememberedAndInTheAddress(t *testing.T) {
	site, v := serveOne(t, 500)
	p := open(t, site.url(""))
	p.live(1500)
	p.press("o")
	p.until(`location.search === "?order=oldest" && see.rows().at(-1) === "1500"`)
	newest := v.postN(t, 3)
	p.until("see.rows().at(-1) === String(%s)", newest)
	p.do(chromedp.Navigate(site.url("")))
	p.until("see.rows().at(-1) === String(%s)", newest)
	p.press("o")
	p.live(newest)
}

func TestRowsDoNotMoveWhileOlderOnesAreLoadedAboveThem(t *testing.T) {
	site, _ := serveOne(t, 3000)
	p := open(t, site.url("?order=oldest"))
	p.until(`see.rows().at(-1) === "4000"`)
	p.wheel(-1000)
	p.state("Paused")
	for range 8 { // whatever is loaded meanwhile, a wheel scrolls by what it scrolls
		before := ask[int](p, "Number(see.rows()[3])")
		p.wheel(-240)
		p.until("Number(see.rows()[3]) === %s", before-10)
	}
}

func TestTheOldestEventsAreAKeyAway(t *testing.T) {
	for _, order := range []string{"newest", "oldest"} {
		t.Run(order+" on top", func(t *testing.T) {
			site, v := serveOne(t, 5000)
			p := open(t, site.url("?order="+order))
			p.until(`see.text(".stream-state .words") === "Live"`)
			p.press("g")
			end := "0"
			if order == "newest" {
				end = "-1"
			}
			p.until(`see.rows().at(` + end + `) === "1001"`)
			p.state("Historical")
			v.postN(t, 10)
			p.never(`see.text(".arrived")`)
			for range 3 { // newer events join where they cannot be seen
				p.until(`see.frame().then(() => see.rows().at(` + end + `) === "1001")`)
			}
			p.press("G")
			p.until(`see.text(".stream-state .words") === "Live" && see.rows().includes("6010")`)
		})
	}
}

func TestEventsFromHereOnAreReadUpToTheEndAndThenFollowed(t *testing.T) {
	site, v := serveOne(t, 2500)
	p := open(t, site.url(""))
	p.live(3500)
	p.press("g")
	p.until(`see.rows().at(-1) === "1001"`)
	p.until(`(see.box().scrollTop = 0, see.rows()[0] === "3500")`)
	p.state("Paused · connected")
	newest := v.postN(t, 5)
	p.shows(".arrived", "5 new events")
	p.press("G")
	p.live(newest)
	if got, want := p.walk(), descending(3505, 1001); !slices.Equal(got, want) {
		t.Errorf("the list has %d events, which are %s", len(got), compared(got, want))
	}
}

// descending returns the offsets from the newest to the oldest.
func descending(newest, oldest vstream.Offset) []string {
	var all []string
	for o := newest; o >= oldest; o-- {
		all = append(all, strconv.Itoa(int(o)))
	}
	return all
}

// compared tells where two lists begin to differ.
func compared(got, want []string) string {
	for i := range want {
		if i >= len(got) || got[i] != want[i] {
			return "different at " + strconv.Itoa(i) + ": got " + join(got, i) + ", want " + join(want, i)
		}
	}
	return "too many: " + join(got, len(want))
}

func join(all []string, at int) string {
	return "… " + strconv.Quote(stringsAt(all, at)) + " …"
}

func stringsAt(all []string, at int) string {
	text := ""
	for i := max(0, at-2); i < min(len(all), at+3); i++ {
		text += all[i] + " "
	}
	return text
}
