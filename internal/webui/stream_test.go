package webui_test

import (
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"vstream"
	"vstream/internal/memlog"
)

func TestAfterAServerRestartNoRowIsLostOrDoubled(t *testing.T) {
	site, v := serveOne(t, 100)
	p := open(t, site.url(""))
	p.live(1100)
	var appending sync.WaitGroup
	stop := make(chan struct{})
	appending.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond): // about as fast as a large vCenter
				v.postN(t, 1)
			}
		}
	})
	for range 3 {
		grown, _ := v.log.Range()
		p.until("Number(see.rows()[0]) > %s", grown.Latest)
		site.stop()
		p.state("Reconnecting")
		site.start()
		p.until(`see.text(".stream-state .words") === "Live"`)
	}
	close(stop)
	appending.Wait()
	held, _ := v.log.Range()
	p.live(int(held.Latest))
	if got, want := p.walk(), descending(held.Latest, 1001); !slices.Equal(got, want) {
		t.Errorf("the list has %d events of %d, which are %s", len(got), len(want), compared(got, want))
	}
}

func TestWhatHappensWhileTheServerIsAwayIsThereAfterwards(t *testing.T) {
	site, v := serveOne(t, 100)
	p := open(t, site.url(""))
	p.live(1100)
	site.stop()
	p.state("Reconnecting in")
	newest := v.postN(t, 2500)
	site.start()
	p.live(newest)
	if got, want := p.walk(), descending(newest, 1001); !slices.Equal(got, want) {
		t.Errorf("the list has %d events of %d, which are %s", len(got), len(want), compared(got, want))
	}
}

func TestAServerThatIsAwayForAMinuteIsToldOfAndCanBeTriedAgain(t *testing.T) {
	site, v := serveOne(t, 100)
	p := open(t, site.url(""), atStart(clockAhead))
	p.live(1100)
	site.stop()
	p.state("Reconnecting")
	p.never(`see.text(".banner")`)
	ask[any](p, "(globalThis.ahead = 90_000, 0)")
	p.shows(".banner", "No connection to the server for 2 min: the server does not answer")
	newest := v.postN(t, 3)
	site.start()
	p.click(`see.control("Try now")`)
	p.live(newest)
	p.never(`see.text(".banner")`)
}

// clockAhead lets a test put the clock of a page forward, by as many milliseconds as ahead is.
const clockAhead = `globalThis.ahead = 0; { const now = Date.now.bind(Date); Date.now = () => now() + globalThis.ahead; }`

func TestAReaderThatRetentionOvertookIsToldHowManyAreMissing(t *testing.T) {
	v := newVCenter("vc-01", 1001)
	v.log = memlog.New(200, 1<<30)
	v.postN(t, 150)
	site := serve(t, v)
	p := open(t, site.url(""))
	p.live(1150)
	site.stop()
	p.state("Reconnecting")
	v.postN(t, 1000) // of which 800 are dropped
	site.start()
	p.live(2150)
	held, _ := v.log.Range()
	missing := int(held.Earliest) - 1151
	if got, want := p.walk(), slices.Concat(descending(2150, held.Earliest), []string{"hole"}, descending(1150, 1001)); !slices.Equal(got, want) {
		t.Errorf("the list has %d rows, which are %s", len(got), compared(got, want))
	}
	p.until(`(see.box().scrollTop = 190 * 24, see.text(".row.hole").includes(%s))`, "up to "+strconv.Itoa(missing)+" events are missing: the log dropped them")
}

func TestALogThatWasReplacedIsToldOfAndReadFromItsBeginning(t *testing.T) {
	site, v := serveOne(t, 100)
	p := open(t, site.url(""))
	p.live(1100)
	site.stop()
	p.state("Reconnecting")
	v.log, v.key = memlog.New(1000, 1<<30), 7
	newest := v.postN(t, 10)
	v.report(func(s *vstream.Status) { s.LastPoll = time.Now().Add(time.Hour) })
	site.start()
	p.live(newest)
	if got, want := p.walk(), descending(16, 7); !slices.Equal(got, want) {
		t.Errorf("the list has %v", got)
	}
	p.shows(".banner", "The log behind the server is another one now")
}

func TestMoreThanIsKeptAsideWhileTheListStandsStillIsReadAfterwards(t *testing.T) {
	site, v := serveOne(t, 100)
	p := open(t, site.url(""))
	p.live(1100)
	p.press(" ")
	p.state("Paused")
	newest := v.postN(t, 8000)
	p.shows(".arrived", "+ new events since you paused")
	p.press(" ")
	p.live(newest)
	if got, want := p.walk(), descending(newest, 1001); !slices.Equal(got, want) {
		t.Errorf("the list has %d events of %d, which are %s", len(got), len(want), compared(got, want))
	}
}

func TestFarMoreThanIsKeptAsideIsAHoleThatCanBeLoaded(t *testing.T) {
	site, v := serveOne(t, 100)
	p := open(t, site.url(""))
	p.live(1100)
	p.press(" ")
	p.state("Paused")
	newest := v.postN(t, 14_000)
	p.shows(".arrived", "+ new events since you paused")
	p.press(" ")
	p.live(newest)
	p.until(`(see.box().scrollTop = 190 * 24, see.text(".row.hole").includes("events are missing"))`)
	for range 10 {
		if !ask[bool](p, `(see.box().scrollTop = 190 * 24, see.frame().then(() => !!document.querySelector(".row.hole")))`) {
			break
		}
		loaded := ask[string](p, `see.text(".statusbar")`)
		p.click(`see.control("Load")`)
		p.until(`see.text(".statusbar") !== %s`, loaded)
	}
	if got, want := p.walk(), descending(newest, 1001); !slices.Equal(got, want) {
		t.Errorf("the list has %d events of %d, which are %s", len(got), len(want), compared(got, want))
	}
}

func TestSeveralVCentersAreOneListWithoutALostOrDoubledRow(t *testing.T) {
	first, second := newVCenter("vc-01", 1001), newVCenter("vc-02", 501)
	first.postN(t, 60)
	second.postN(t, 60)
	site := serve(t, first, second)
	p := open(t, site.url(""))
	p.until(`see.text(".stream-state .words") === "Live"`)
	p.shows(".heads", "vCenter")
	first.postN(t, 30)
	p.until("see.row(1090)")
	site.stop()
	p.state("Reconnecting")
	second.postN(t, 30)
	first.postN(t, 30)
	site.start()
	p.until(`see.text(".statusbar").includes("210 matching · 210 loaded")`)
	got := p.walk()
	slices.Sort(got)
	want := append(descending(1120, 1001), descending(590, 501)...)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("the list has %d events of %d, which are %s", len(got), len(want), compared(got, want))
	}
}

func TestAVCenterThatKeepsLittleDoesNotHideWhatOthersKeep(t *testing.T) {
	much, little := newVCenter("vc-01", 1001), newVCenter("vc-02", 5001)
	little.log = memlog.New(50, 1<<30)
	much.postN(t, 600)
	little.postN(t, 50)
	p := open(t, serve(t, much, little).url(""))
	p.state("Live")
	p.until("see.rows().length > 10")
	p.press(" ")
	p.state("Paused")
	for n := 30; n <= 60; n += 30 { // after which none is left of what the list goes back from
		little.postN(t, 30)
		p.shows(".arrived", strconv.Itoa(n)+" new events")
	}
	all := p.walk()
	for offset := 1001; offset <= 1600; offset++ {
		if !slices.Contains(all, strconv.Itoa(offset)) {
			t.Fatalf("the list of %d rows lacks %d", len(all), offset)
		}
	}
}

func TestWhoIsSignedOutSignsInAgainAndGoesOn(t *testing.T) {
	site, v := serveOne(t, 100)
	site.stop()
	token := site.wantToken()
	site.start()
	p := open(t, site.url(""))
	p.until(`location.pathname === "/signin"`)
	p.click(`document.querySelector("input[name=token], input[type=password]")`)
	p.press(token, enter)
	p.live(1100)
	site.stop()
	p.state("Reconnecting")
	token = site.wantToken()
	newest := v.postN(t, 20)
	site.start()
	p.shows("dialog[open]", "Sign in again")
	p.until(`document.querySelector(".header").textContent.includes("Signed out") && document.querySelector(".row.event")`) // nothing is lost
	p.click(`document.querySelector("dialog[open] input[type=password]")`)
	p.press("wrong", enter)
	p.shows("dialog[open] [role=alert]", "the token is not valid")
	p.click(`document.querySelector("dialog[open] input[type=password]")`)
	p.do(chromedp.KeyEvent("a", chromedp.KeyModifiers(chromedp.ModifierCtrl)))
	p.press(token, enter)
	p.live(newest)
	p.never(`document.querySelector("dialog[open]")`)
	if got, want := p.walk(), descending(newest, 1001); !slices.Equal(got, want) {
		t.Errorf("the list has %s", compared(got, want))
	}
	if strings.Contains(ask[string](p, "location.href + JSON.stringify(localStorage) + document.cookie"), token) {
		t.Error("scripts can read the token")
	}
}
