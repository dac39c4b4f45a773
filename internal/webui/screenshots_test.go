package webui_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"vstream"
	"vstream/internal/memlog"
)

var screenshots = flag.String("screenshots", "", "directory to write pictures of the page to, in each of its states")

// today is when the pictures are of.
var today = time.Date(2026, 11, 22, 14, 52, 41, 738e6, time.UTC)

// atToday has the page think that it is today, whatever the server says, and that it is in UTC.
var atToday = chromedp.Steps(
	atStart(`{ const ahead = Date.now() - `+strconv.FormatInt(today.Add(2*time.Second).UnixMilli(), 10)+`; const D = Date;
		globalThis.Date = class extends D { constructor(...a) { a.length ? super(...a) : super(D.now() - ahead); } static now() { return D.now() - ahead; } };
		const get = Headers.prototype.get; Headers.prototype.get = function (name) { return name === "Date" ? null : get.call(this, name); }; }`),
	chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetTimezoneOverride, emulation.SetTimezoneOverrideParams{TimezoneID: "UTC"})
		return err
	}),
)

// day returns a site as it is today: a vCenter with n events, of which one is a lost host.
func day(t *testing.T, n int, more ...*vcenter) (*site, *vcenter) {
	t.Helper()
	v := newVCenter("vc-01", 1_223_455-int32(n))
	v.clock = today
	v.report(func(s *vstream.Status) {
		s.LastPoll, s.Since, s.Rate, s.Lag, s.KeyHeadroom = today, today.Add(-26*time.Hour), 12.4, 800*time.Millisecond, 2_146_260_192
	})
	if n > 0 {
		v.clock = today.Add(-4 * time.Second)
		v.postN(t, n-6)
		chain := v.key
		v.post(t, connectionLost("esx-12.lab"))
		for range 2 {
			e := alarm("esx-12.lab")
			e.ChainId = chain
			v.post(t, e)
		}
		v.postN(t, 3)
		v.report(func(s *vstream.Status) { s.LastEvent = today })
	}
	return serve(t, append([]*vcenter{v}, more...)...), v
}

func TestScreenshots(t *testing.T) {
	if *screenshots == "" {
		t.Skip("make screenshots takes them")
	}
	shoot := func(name string, p *tab) {
		t.Helper()
		time.Sleep(600 * time.Millisecond) // for what moves to have moved
		shot, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		picture, err := png.Decode(bytes.NewReader(shot))
		if err != nil {
			t.Fatal(err)
		}
		var small bytes.Buffer
		if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&small, fewColours(picture)); err != nil {
			t.Fatal(err)
		}
		if small.Len() > 150_000 {
			t.Errorf("%s has %d bytes", name, small.Len())
		}
		if err := os.WriteFile(filepath.Join(*screenshots, name+".png"), small.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	filled := `see.all(".facets .value").length > 5 && see.text(".peak").startsWith("Highest")`

	site, v := day(t, 2400)
	newest, _ := v.log.Range()
	for _, theme := range []string{"dark", "light"} {
		p := open(t, site.url(""), atToday, prefers(theme))
		p.live(int(newest.Latest))
		p.until(filled)
		shoot("live-"+theme, p)
	}
	p := open(t, site.url(""), atToday, prefers("dark"))
	p.live(int(newest.Latest))
	p.until(filled)
	lost := newest.Latest - 5
	p.click("see.row(%s)", int(lost))
	p.shows(".drawer h2", "Host connection lost")
	p.until(`see.control("Chain 3", ".drawer")`)
	shoot("drawer-details", p)
	for name, file := range map[string]string{"JSON": "drawer-json", "Chain 3": "drawer-chain", "Around*": "drawer-around"} {
		p.click("see.control(%s, '.drawer')", name)
		p.until(`!see.text(".drawer").includes("Loading…")`)
		shoot(file, p)
	}
	p.click(`see.control("Details", ".drawer")`)
	p.press(escape, escape, "?")
	p.shows("dialog[open]", "Keys")
	shoot("help", p)
	p.press(escape)
	p.click(`see.control("Copy as")`)
	p.until(`see.all(".popover pre").length === 1`)
	shoot("copy-as", p)
	p.press(escape, "/", `severity = "error"`)
	p.until(`see.all("#search-check").some((e) => e.textContent.includes("Syntax error"))`)
	shoot("expression-that-does-not-compile", p)

	p = open(t, site.url("?severity=error&user=*jonas"), atToday, prefers("dark"))
	p.shows(".empty", "without")
	p.until(`[...document.querySelectorAll(".empty li")].every((e) => e.textContent.includes(": "))`)
	shoot("no-match", p)
	p = open(t, site.url("?event=vc-01/1042"), atToday, prefers("dark"))
	p.shows(".drawer", "The log no longer holds this event")
	p.until(`see.all(".drawer .event-lines li").length > 0`)
	shoot("link-to-an-expired-event", p)
	p = open(t, site.url(""), atToday, prefers("dark"), chromedp.EmulateViewport(900, 700))
	p.live(int(newest.Latest))
	shoot("900-pixels", p)
	p.click("see.row(%s)", int(lost))
	p.shows(".drawer h2", "Host connection lost")
	shoot("900-pixels-drawer", p)
	p = open(t, site.url(""), prefers("dark"), withoutScripts)
	p.until(`document.querySelector(".noscript pre")`)
	shoot("without-javascript", p)

	p = open(t, site.url(""), atToday, prefers("dark"))
	p.live(int(newest.Latest))
	p.wheel(240)
	p.state("Paused")
	v.postN(t, 148)
	p.shows(".arrived", "148 new events")
	shoot("paused", p)

	empty := newVCenter("vc-01", 1)
	empty.report(func(s *vstream.Status) {
		s.State, s.LastError, s.LastErrorAt = vstream.Failing, "connect to https://vc-01.lab/sdk: connection refused", today
	})
	p = open(t, serve(t, empty).url(""), atToday, prefers("dark"))
	p.shows(".empty", "No events yet")
	shoot("empty-log", p)

	second := newVCenter("vc-02", 88_000)
	second.clock = today.Add(-20 * time.Minute)
	second.report(func(s *vstream.Status) { s.APIVersion, s.Rate, s.LastPoll = "9.0.0.0", 3.1, today })
	second.postEvery(t, 2*time.Second, ordinary(3), ordinary(5), connectionLost("esx-21.lab"))
	second.clock = today.Add(-time.Duration(500) * 700 * time.Millisecond)
	second.postN(t, 490)
	third := newVCenter("vc-03", 1)
	third.report(func(s *vstream.Status) {
		s.State = vstream.Refused
		s.LastError = "the user name or the password is wrong"
	})
	several, _ := day(t, 700, second, third)
	p = open(t, several.url(""), atToday, prefers("dark"))
	p.until(filled + ` && see.text(".stream-state .words") === "Live"`)
	shoot("several-vcenters", p)

	gone := newVCenter("vc-01", 1_223_000)
	gone.log, gone.clock = memlog.New(300, 1<<30), today.Add(-7*time.Minute)
	gone.postEvery(t, time.Second, ordinary(1))
	gone.postN(t, 250)
	away := serve(t, gone)
	p = open(t, away.url(""), atToday, prefers("dark"), atStart(clockAhead))
	p.state("Live")
	away.stop()
	p.state("Reconnecting in")
	gone.postN(t, 309)
	away.start()
	p.until(`see.text(".stream-state .words") === "Live"`)
	p.until(`(see.box().scrollTop = 285 * 24, see.text(".row.hole").includes("events are missing"))`)
	p.shows(".statusbar", "300 matching")
	shoot("gap", p)
	p.press("G")
	p.state("Live")
	away.stop()
	p.state("Reconnecting in")
	ask[any](p, "(globalThis.ahead = 90_000, 0)")
	p.shows(".banner", "No connection to the server")
	shoot("server-away", p)
	away.wantToken()
	away.start()
	p.click(`see.control("Try now")`)
	p.shows("dialog[open]", "Sign in again")
	shoot("signed-out", p)
}

// fewColours returns a picture in 256 colours of another, frequent ones that differ, which makes
// its file a third as large; what else there is becomes the nearest of them.
func fewColours(picture image.Image) image.Image {
	box := picture.Bounds()
	counts := map[color.Color]int{}
	for y := range box.Dy() {
		for x := range box.Dx() {
			counts[picture.At(x, y)]++
		}
	}
	colours := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return cmp.Compare(counts[b], counts[a]) })
	few := image.NewPaletted(box, nil)
	for _, apart := range []uint32{40, 16, 0} { // a small thing's colour is not like others
		for _, c := range colours {
			if len(few.Palette) < 256 && (len(few.Palette) == 0 || apart == 0 || distance(c, few.Palette.Convert(c)) >= apart) && !slices.Contains(few.Palette, c) {
				few.Palette = append(few.Palette, c)
			}
		}
	}
	index := map[color.Color]uint8{}
	for _, c := range colours {
		index[c] = uint8(few.Palette.Index(c))
	}
	for y := range box.Dy() {
		for x := range box.Dx() {
			few.SetColorIndex(x, y, index[picture.At(x, y)])
		}
	}
	return few
}

// distance returns by how much the part of two colours differs that differs most, of 255.
func distance(a, b color.Color) uint32 {
	r1, g1, b1, _ := a.RGBA()
	r2, g2, b2, _ := b.RGBA()
	part := func(x, y uint32) uint32 { return (max(x, y) - min(x, y)) >> 8 }
	return max(part(r1, r2), part(g1, g2), part(b1, b2))
}
