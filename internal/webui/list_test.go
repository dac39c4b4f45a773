package webui_test

import (
	"slices"
	"strconv"
	"testing"

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
