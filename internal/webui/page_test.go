package webui_test

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// patience is how long is waited for what happens at once on a machine that is not busy.
const patience = 30 * time.Second

// program is the browser.
const program = "chromium"

// chrome is the one browser of all tests, whose tabs know nothing of one another.
var chrome struct {
	once  sync.Once
	ctx   context.Context
	err   error
	close []func()
}

func TestMain(m *testing.M) {
	flag.Parse()
	code := m.Run()
	for _, end := range slices.Backward(chrome.close) {
		end()
	}
	os.Exit(code)
}

// startChrome starts the browser with the first test that wants it, or skips the test.
func startChrome(t *testing.T) context.Context {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("there is no %s here; install it to test the page", program)
	}
	chrome.once.Do(func() {
		// Not of a test, for it outlives the first one.
		dir, err := os.MkdirTemp("", "vstream-chromium-") //nolint:usetesting // see above
		if err != nil {
			chrome.err = err
			return
		}
		options := append(slices.Clone(chromedp.DefaultExecAllocatorOptions[:]), chromedp.ExecPath(program), chromedp.UserDataDir(dir), chromedp.NoSandbox,
			chromedp.DisableGPU, chromedp.WindowSize(1440, 900), chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
			chromedp.Flag("hide-scrollbars", true))
		allocator, end := chromedp.NewExecAllocator(context.Background(), options...)
		ctx, stop := chromedp.NewContext(allocator, chromedp.WithErrorf(func(string, ...any) {}))
		chrome.close = append(chrome.close, func() { _ = os.RemoveAll(dir) }, end, stop)
		chrome.ctx, chrome.err = ctx, chromedp.Do(ctx)
	})
	if chrome.err != nil {
		t.Fatalf("%s does not start: %v", program, chrome.err)
	}
	return chrome.ctx
}

// A tab shows the page. The test fails if anything goes wrong in it that is not the network:
// an error in the console, an exception, or what the content security policy forbids.
type tab struct {
	t   *testing.T
	ctx context.Context
}

// open shows an address in a tab of its own.
func open(t *testing.T, url string, before ...chromedp.Action[chromedp.Void]) *tab {
	t.Helper()
	ctx, end := chromedp.NewContext(startChrome(t), chromedp.WithNewBrowserContext())
	p := &tab{t: t, ctx: ctx}
	messages := chromedp.Console(ctx)
	var reading sync.WaitGroup
	reading.Go(func() {
		for m, err := range messages {
			if err != nil {
				return
			}
			bad := m.IsException() || m.Type == chromedp.ConsoleError || m.Type == chromedp.ConsoleWarning
			if bad && m.Source != "network" { // which is tested to be away
				t.Errorf("the console of the page has %s: %s (%s:%d)", m.Source, m, m.URL, m.Line+1)
			}
		}
	})
	t.Cleanup(func() {
		if t.Failed() {
			p.explain()
		}
		end()
		reading.Wait()
	})
	p.do(chromedp.EmulateViewport(1440, 900), atStart(helpers), chromedp.Steps(before...), chromedp.Navigate(url))
	return p
}

// atStart runs a script in each page before its own.
func atStart(script string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{Source: script})
		return err
	})
}

// prefers has the page see what somebody has set in the system: "light" or "dark".
func prefers(theme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: theme}},
		})
		return err
	})
}

// withoutScripts is a browser with JavaScript turned off.
var withoutScripts = chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
	_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	return err
})

// helpers are what the tests ask of a page.
const helpers = `globalThis.see = {
	all: (selector) => [...document.querySelectorAll(selector)].filter((e) => e.checkVisibility({visibilityProperty: true})),
	text: (selector) => see.all(selector).map((e) => e.textContent.trim()).join(" | "),
	name: (e) => (e.getAttribute("aria-label") || e.textContent || e.title || "").trim().replace(/\s+/g, " "),
	/* The control whose name is this one or, with a * at its end, begins so. */
	control: (name, within = "body") => see.all(within + " :is(button, a, summary, input, textarea, select, [role=tab], [role=menuitem], [role=option])")
		.find((e) => name.endsWith("*") ? see.name(e).startsWith(name.slice(0, -1)) : see.name(e) === name),
	box: () => document.querySelector(".scroll"),
	/* The rows on the screen, from top to bottom: their offsets, and "hole" for a hole. */
	rows: () => see.placed().map(([row]) => row),
	/* The same, each with its number. */
	placed: () => {
		const box = see.box().getBoundingClientRect();
		return [...document.querySelectorAll(".scroll .row")].map((e) => [e, e.getBoundingClientRect()])
			.filter(([, r]) => r.bottom > box.top && r.top < box.bottom).sort(([, a], [, b]) => a.top - b.top)
			.map(([e]) => [e.classList.contains("hole") ? "hole" : e.id.slice(e.id.lastIndexOf("-") + 1), Number(e.ariaRowIndex)]);
	},
	row: (offset) => [...document.querySelectorAll(".scroll .row.event")].find((e) => e.id.endsWith("-" + offset)),
	frame: () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve))),
	/* All rows there are, from top to bottom, by scrolling through them. */
	walk: async () => {
		const box = see.box(), all = [], seen = new Set();
		box.scrollTop = 0;
		for (;;) {
			await see.frame(); await see.frame();
			for (const [row, at] of see.placed()) if (!seen.has(at)) { seen.add(at); all.push(row); }
			const before = box.scrollTop;
			box.scrollTop += box.clientHeight - 48;
			if (box.scrollTop === before && see.text(".end").startsWith("Nothing older")) return all;
		}
	},
};`

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// ask evaluates an expression in the page, or awaits it.
func ask[T any](p *tab, expression string, args ...any) T {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script(expression, args), chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", script(expression, args), err)
	}
	return v
}

// script puts arguments into an expression as literals of JavaScript.
func script(expression string, args []any) string {
	literals := make([]any, len(args))
	for i, a := range args {
		text, err := json.Marshal(a)
		if err != nil {
			panic(err)
		}
		literals[i] = string(text)
	}
	return fmt.Sprintf(expression, literals...)
}

// until waits until an expression is true.
func (p *tab) until(expression string, args ...any) {
	p.t.Helper()
	for deadline := time.Now().Add(patience); !ask[bool](p, "!!("+expression+")", args...); time.Sleep(15 * time.Millisecond) {
		if time.Now().After(deadline) {
			p.t.Fatalf("it does not become true that %s", script(expression, args))
		}
	}
}

// shows waits until something on the page has a text in it.
func (p *tab) shows(selector, text string) {
	p.t.Helper()
	p.until("see.text(%s).includes(%s)", selector, text)
}

// never fails if an expression is true.
func (p *tab) never(expression string, args ...any) {
	p.t.Helper()
	if ask[bool](p, "!!("+expression+")", args...) {
		p.t.Errorf("it should not be that %s", script(expression, args))
	}
}

// live waits until the page follows what happens, with this event on top.
func (p *tab) live(newest any) {
	p.t.Helper()
	p.until(`see.text(".stream-state .words") === "Live" && see.rows()[0] === String(%s)`, newest)
}

func (p *tab) state(words string) {
	p.t.Helper()
	p.until(`see.text(".stream-state .words").startsWith(%s)`, words)
}

// rows returns the offsets of the events on the screen, from top to bottom.
func (p *tab) rows() []string {
	p.t.Helper()
	return ask[[]string](p, "see.rows()")
}

// click clicks where something is, which must not be behind something else. It is an
// expression for an element.
func (p *tab) click(element string, args ...any) {
	p.t.Helper()
	p.clickWith(nil, element, args...)
}

func (p *tab) clickWith(options []chromedp.MouseOption, element string, args ...any) {
	p.t.Helper()
	x, y := p.place(element, args...)
	p.do(chromedp.MouseClickXY(x, y, options...))
}

// point moves the pointer to the middle of something.
func (p *tab) point(element string, args ...any) {
	p.t.Helper()
	x, y := p.place(element, args...)
	p.do(chromedp.MouseEvent(chromedp.MouseMoved, x, y))
}

// place waits for something to be on the screen, at rest, and returns where its middle is.
func (p *tab) place(element string, args ...any) (x, y float64) {
	p.t.Helper()
	const where = `(async () => {
		const of = () => { const e = (%s); return e?.checkVisibility() ? [e, e.getBoundingClientRect()] : [] };
		const [, before] = of(); await see.frame(); const [e, r] = of();
		if (!before || !r || before.left !== r.left || before.top !== r.top) return null;
		e.scrollIntoViewIfNeeded?.();
		const now = e.getBoundingClientRect(), x = now.left + now.width / 2, y = now.top + now.height / 2;
		const hit = document.elementFromPoint(x, y);
		return hit && (e.contains(hit) || hit.contains(e)) ? [x, y] : null;
	})()`
	for deadline := time.Now().Add(patience); ; time.Sleep(15 * time.Millisecond) {
		expression := strings.Replace(where, "%s", script(element, args), 1)
		if at := ask[[]float64](p, "("+expression+").then((at) => at ?? [])"); len(at) == 2 {
			return at[0], at[1]
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("there is nothing to click at: %s", script(element, args))
		}
	}
}

// press presses keys, one after the other: characters, or those of kb. Where nobody types
// they do not arrive as text too, as they would not where a key does something else.
func (p *tab) press(keys ...string) {
	p.t.Helper()
	for _, key := range keys {
		typing := ask[bool](p, `document.activeElement.matches("input, textarea")`)
		p.do(chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
			for _, r := range key {
				for _, e := range kb.Encode(r) {
					if e.Type == kb.KeyChar && !typing {
						continue
					}
					if _, err := cdp.Call(ctx, t, input.DispatchKeyEvent, *e); err != nil {
						return err
					}
				}
			}
			return nil
		}))
	}
}

const (
	enter  = kb.Enter
	escape = kb.Escape
	tabKey = kb.Tab
	up     = kb.ArrowUp
	down   = kb.ArrowDown
	left   = kb.ArrowLeft
)

// wheel scrolls the list by so many pixels, as a wheel over its middle does.
func (p *tab) wheel(pixels float64) {
	p.t.Helper()
	x, y := p.place("see.box()")
	before := ask[float64](p, "see.box().scrollTop")
	p.do(chromedp.MouseEvent(chromedp.MouseWheel, x, y, func(e *input.DispatchMouseEventParams) {
		e.DeltaX, e.DeltaY = 1e-9, pixels // both must be there, and 0 is left out
	}))
	p.until("see.box().scrollTop !== %s", before)
}

// walk returns all events of the list, the newest on top, down to the beginning of the log, with holes as "hole". It does so on
// a very high screen, to be quick.
func (p *tab) walk() []string {
	p.t.Helper()
	p.do(chromedp.EmulateViewport(1440, 12_000))
	p.until("see.box().clientHeight > 11_000")
	all := ask[[]string](p, "see.walk()")
	p.do(chromedp.EmulateViewport(1440, 900))
	return all
}

// back goes back in the browser's history.
func (p *tab) back() {
	p.t.Helper()
	ask[any](p, "(history.back(), 0)")
}

// address returns the query string of the page's address.
func (p *tab) address() string {
	p.t.Helper()
	return ask[string](p, "location.search")
}

// explain logs what is on the page.
func (p *tab) explain() {
	ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" +
		document.body.innerText.replaceAll(/\n+/g, " · ").slice(0, 1500) + "\nwith the rows " + (see.box() ? see.rows() : "")`))
	p.t.Logf("the page shows: %s (%v)", text, err)
}
