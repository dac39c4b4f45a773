package webui_test

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"

	"vstream"
)

func TestTheThemeIsThatOfTheSystemUntilSomebodyChooses(t *testing.T) {
	site, _ := serveOne(t, 50)
	for _, theme := range []string{"dark", "light"} {
		other := map[string]string{"dark": "light", "light": "dark"}[theme]
		p := open(t, site.url(""), prefers(theme))
		p.live(1050)
		p.until("document.documentElement.dataset.theme === %s", theme)
		background := ask[string](p, "getComputedStyle(document.body).backgroundColor")
		p.click("see.control(%s)", "Switch to the "+other+" theme")
		p.until("document.documentElement.dataset.theme === %s && getComputedStyle(document.body).backgroundColor !== %s", other, background)
		p.do(chromedp.Reload())
		p.until("document.documentElement.dataset.theme === %s", other)
	}
}

func TestNothingIsCutOffOnANarrowScreen(t *testing.T) {
	site, _ := serveOne(t, 300)
	for _, width := range []int64{900, 1000, 1280} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			p := open(t, site.url(""), chromedp.EmulateViewport(width, 700))
			p.live(1300)
			for _, open := range []bool{false, true} {
				if open {
					p.click("see.row(1298)")
					p.until(`see.all(".drawer").length > 0`)
				}
				p.never("document.documentElement.scrollWidth > innerWidth")
				p.never(`see.all("button, a, input").some((e) => !e.closest(".unseen") && e.getBoundingClientRect().width > 1 && (e.getBoundingClientRect().right > innerWidth + 1 || e.getBoundingClientRect().left < -1))`)
				if !open {
					p.until(`see.row(1300).querySelector(".message").getBoundingClientRect().width >= 0.2 * document.querySelector(".scroll").clientWidth`)
				}
			}
		})
	}
}

func TestManyVCentersShareAPillThatNamesThoseInTroubleFirst(t *testing.T) {
	var all []*vcenter
	for i := range 12 {
		v := newVCenter(fmt.Sprintf("vcenter-%02d-frankfurt", i), 1001)
		v.postN(t, 2)
		all = append(all, v)
	}
	all[7].report(func(s *vstream.Status) { s.State = vstream.Failing })
	p := open(t, serve(t, all...).url(""), chromedp.EmulateViewport(900, 700))
	p.shows(".pill", "12 vCenters · 11 collecting · 1 failing")
	p.click(`see.all(".pill")[0]`)
	p.shows(".many li:first-child summary", "vcenter-07-frankfurt · 8.0.3 · not readable, trying again")
	p.click(`see.all(".many summary")[0]`)
	p.shows(".many .facts", "https://vcenter-07-frankfurt.lab/sdk")
}

func TestTheWordsForWhatIsNewAreNotCutOffBesideTheDrawer(t *testing.T) {
	site, v := serveOne(t, 300)
	for _, width := range []int64{900, 1280, 1920} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			p := open(t, site.url(""), chromedp.EmulateViewport(width, 700))
			p.until(`see.rows().length > 5`)
			p.press("j", "j", enter)
			p.until(`see.all(".drawer").length > 0`)
			v.postN(t, 12)
			p.shows(".arrived", "12 new events since you paused")
			p.never(`(() => { const e = document.querySelector(".arrived"), r = e.getBoundingClientRect();
				return e.scrollWidth > e.clientWidth || !e.contains(document.elementFromPoint(r.right - 3, r.top + 9)) || !e.contains(document.elementFromPoint(r.left + 3, r.top + 9)) })()`)
		})
	}
}

func TestTheMessageKeepsItsSpaceBesideTheDrawer(t *testing.T) {
	site, _ := serveOne(t, 300)
	p := open(t, site.url(""))
	p.live(1300)
	p.click("see.row(1298)")
	p.until(`see.all(".drawer").length > 0 && see.all(".row.event .user").length === 0`)
	p.until(`see.row(1300).querySelector(".message").getBoundingClientRect().width >= 0.4 * (see.row(1300).clientWidth - 24) - 1`)
}
