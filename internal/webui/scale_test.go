package webui_test

import (
	"sync"
	"testing"
	"time"
)

// TestAHundredThousandEventsStayQuick lets 5,000 events a second arrive for some seconds, and then
// as many as are more than the page keeps.
func TestAHundredThousandEventsStayQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes half a minute")
	}
	site, v := serveOne(t, 1000)
	p := open(t, site.url(""))
	p.live(2000)
	ask[any](p, `(globalThis.frames = 0, (function next() { frames++; requestAnimationFrame(next); })(), 0)`)
	const all, steady, chunk = 120_000, 30_000, 250
	var appending sync.WaitGroup
	began := time.Now()
	appending.Go(func() {
		ticker := time.NewTicker(time.Second * chunk / 5000)
		defer ticker.Stop()
		for n := 0; n < all; n += chunk {
			if n == steady {
				ticker.Reset(time.Second * chunk / 20_000)
			}
			<-ticker.C
			v.postN(t, chunk)
		}
	})
	type sample struct {
		Frames, Rows int
		At           float64
	}
	const measure = `({Frames: frames, At: performance.now(), Rows: document.querySelectorAll(".scroll .row").length})`
	first := ask[sample](p, measure)
	most := first.Rows
	last := first
	for last.At < first.At+5000 {
		time.Sleep(50 * time.Millisecond) // not to be what it is busy with
		last = ask[sample](p, measure)
		most = max(most, last.Rows)
	}
	rate := float64(last.Frames-first.Frames) / (last.At - first.At) * 1000
	appending.Wait()
	took := time.Since(began)
	held, _ := v.log.Range()
	p.live(int(held.Latest))
	t.Logf("%.0f frames/s, at most %d rows in the document; %d events in %v", rate, most, all, took)
	if rate < 15 {
		t.Errorf("%.1f frames a second are too few", rate)
	}
	if most >= 150 {
		t.Errorf("%d rows in the document are too many", most)
	}
	loaded := ask[int](p, `Number(see.text(".statusbar").match(/([0-9,]+) loaded/)[1].replaceAll(",", ""))`)
	if loaded > 100_000 || loaded < 80_000 {
		t.Errorf("%d rows are kept", loaded)
	}
	p.until(`(see.box().scrollTop = 1e9, see.rows().at(-1) === "1001")`) // what was dropped is loaded again
	if loaded := ask[int](p, `Number(see.text(".statusbar").match(/([0-9,]+) loaded/)[1].replaceAll(",", ""))`); loaded > 100_000 {
		t.Errorf("%d rows are kept after going back", loaded)
	}
	p.press("G")
	p.live(int(held.Latest))
}
