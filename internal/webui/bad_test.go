package webui_test

import (
	"net/url"
	"strings"
	"testing"

	"vstream"
	"vstream/internal/memlog"
)

func TestWhatIsWrongWithTheAddressIsSaidWithANextStep(t *testing.T) {
	site, _ := serveOne(t, 100)
	for _, c := range []struct {
		query, says string // says is a part of what is seen
		step        string // the name of a control
	}{
		{"?severty=error", "severty", "Dismiss"},
		{"?until=abc", "abc", "Show all events"},
		{"?since=abc", "abc", "Show all events"},
		{"?filter=((", "Syntax error", "Show all events"},
		{"?filter=" + url.QueryEscape("nosuchfield == 1"), "nosuchfield", "Show all events"},
		{"?severity=catastrophe", `there is no "catastrophe"`, "Show all events"},
		{"?chain=abc", "chain", "Show all events"},
		{"?vcenter=elsewhere", "none of those that are served here", "Show all events"},
		{"?type=" + strings.Repeat("A", 5000), "", "Show all events"},
		{"?%zz=1&severity=nothing", "%zz", ""},
		{"?q=" + url.QueryEscape("<img src=x onerror=alert(1)>"), "No event matches", "without text: <img src=x onerror=alert(1)>: 100"},
	} {
		t.Run(c.query[:min(len(c.query), 40)], func(t *testing.T) {
			p := open(t, site.url(c.query))
			p.until("document.body.innerText.includes(%s)", c.says)
			if c.step != "" {
				p.until("see.control(%s)", c.step)
			}
			p.never("document.body.innerText.trim() === ''")
			if c.step == "Show all events" || c.step == "Dismiss" {
				p.click("see.control(%s)", c.step)
				p.live(1100)
				if got := p.address(); got != "" {
					t.Errorf("the address still has %s", got)
				}
			}
		})
	}
}

func TestALinkToAnEventThatIsNotThereShowsTheListAll(t *testing.T) {
	v := newVCenter("vc-01", 1001)
	v.log = memlog.New(100, 1<<30)
	v.postN(t, 300)
	site := serve(t, v)
	for _, event := range []string{"../x", "vc-01/../../range", "vc-01/1", "vc-01/99999999", "vc-01/x", "elsewhere/1250", "/", "vc-01/", "vc-01/1250/1251", "vc-01/%00"} {
		t.Run(event, func(t *testing.T) {
			p := open(t, site.url("?event="+url.QueryEscape(event)))
			p.live(1300)
		})
	}
}

func TestWhatEventsSayIsTextAndNeverMarkup(t *testing.T) {
	const attack = "<img src=x onerror=\"alert(1)\"><script>alert(2)</script>&lt;b&gt;"
	messages := []string{
		attack,
		"\x00\x01\x07\x08\x0b\x1b[31mred\x1b[0m\u009b31m",
		"right \u202eto left\u202c \u2066isolated",
		"line one\nline two\r\n\tthree",
		"javascript:alert(1)", "{{constructor.constructor('alert(1)')()}}",
		strings.Repeat("long ", 5000),
		"\U0001F600 \u200b\ufeff e\u0301\u0327 \ufffd",
	}
	site, v := serveOne(t, 10)
	for _, m := range messages {
		v.post(t, says(attack, m))
	}
	e := poweredOn("web-07", "esx-11.lab", attack)
	newest := v.post(t, e)
	p := open(t, site.url(""))
	p.live(newest)
	p.until(`see.text(".cell.user").includes(%s)`, attack)
	p.until(`see.row(1011).querySelector(".message").textContent === %s`, attack)
	for i, m := range messages {
		offset := 1011 + i
		p.until(`see.row(%s).querySelector(".message").textContent.length >= %s.length - 1`, offset, m)
		p.never(`see.row(%s).querySelector("img, script, b, a")`, offset)
		p.never(`see.row(%s).getBoundingClientRect().height > 25`, offset)
		p.never(`/[\u0000-\u0008\u000b\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/.test(see.row(%s).textContent)`, offset)
	}
	turned := v.post(t, says("report\u202egnp.exe", "turned"))
	p.live(turned)
	p.shows(".facets", "report⟨U+202E⟩gnp.exe")
	p.click("see.row(1011)")
	p.until(`location.search.includes("1011") && see.all(".drawer").length > 0`)
	p.never(`document.querySelector("img, body script, .drawer b")`)
	p.never("document.scrollingElement.scrollWidth > innerWidth")
}

func TestALogThatIsEmptySaysWhatComesNext(t *testing.T) {
	v := newVCenter("vc-01", 1001)
	site := serve(t, v)
	p := open(t, site.url(""))
	p.shows(".empty", "No events yet")
	p.shows(".empty", "vc-01 is being read. What happens next appears here at once.")
	newest := v.postN(t, 3)
	p.live(newest)
}

func TestAVCenterThatCannotBeReadIsToldOfWithWaysToBegin(t *testing.T) {
	v := newVCenter("vc-01", 1001)
	v.report(func(s *vstream.Status) {
		s.State, s.LastError = vstream.Refused, "the vCenter does not accept the user or the password"
	})
	site := serve(t, v)
	p := open(t, site.url(""))
	p.shows(".empty", "the vCenter does not accept the user or the password")
	p.shows(".pills", "refuses the credentials")
	p.until(`see.all(".empty .ways li").length === 3`)
	p.click(`see.control("vc-01 *")`)
	p.shows(".popover", "the vCenter does not accept the user or the password")
	p.until(`document.activeElement.closest(".popover")`)
	p.press(escape)
	p.until(`!document.querySelector(".popover")`)
}

func TestWithoutJavaScriptThereAreCommands(t *testing.T) {
	site, _ := serveOne(t, 10)
	p := open(t, site.url(""), withoutScripts)
	p.until(`document.querySelector(".noscript pre")?.getBoundingClientRect().bottom < innerHeight`)
	p.shows(".noscript pre", "curl -sN 'ADDRESS/api/v1/events?watch=true'")
}
