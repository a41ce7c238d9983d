package apptest

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// patience is how long a page may take to show what a test waits for.
const patience = 15 * time.Second

// Browser is a real Chromium. Each Window of it is a browser profile of its
// own, so that two windows are two people.
type Browser struct{ ctx context.Context }

// OpenBrowser starts the Chromium of this machine. Nothing is downloaded.
// Without one the test is skipped, and fails where nothing may be skipped.
func OpenBrowser(t testing.TB) *Browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		if All() {
			t.Fatal("no Chromium on this machine; scripts/setup installs it")
		}
		t.Skip("needs Chromium; make test installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("font-render-hinting", "none"),
		// The toolbar around each window would otherwise be pages of its own, in processes of their own, that nobody sees.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,PreloadTopChromeWebUI,WebUIOmniboxPopup,WebUIOmniboxAimPopup,InitialWebUI,WebUIReloadButton"))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() { cancel(); stop() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return &Browser{ctx: ctx}
}

// Window opens an empty window with cookies of its own, 1280 by 900 pixels.
func (b *Browser) Window(t testing.TB, who string) *Window {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	// The tab lives as long as the context of its first action.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a window: %v", err)
	}
	w := &Window{t: t, who: who, ctx: ctx}
	// Only one window of a screen has the focus; here each behaves as if it had.
	w.do("take the focus", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return chromedp.Void{}, err
	})
	w.Resize(1280, 900)
	return w
}

// Window is one person's browser window. Its methods do what a person does,
// by what a person sees (labels, texts of buttons and links), wait for it, and
// fail the test when it does not come.
type Window struct {
	t   testing.TB
	who string
	ctx context.Context
	n   atomic.Int64

	width, height int64
}

// Report lets what fails from now on fail another test, a step of the first.
func (w *Window) Report(t testing.TB) { w.t = t }

// Awaits opens an address again and again until the page says one of the texts.
func (w *Window) Awaits(url string, texts ...string) {
	w.t.Helper()
	end := time.Now().Add(60 * time.Second)
	for {
		w.Open(url)
		page := squeeze(w.Text())
		for _, text := range texts {
			if strings.Contains(page, squeeze(text)) {
				return
			}
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s waited for %q in vain\n%s", w.who, texts, w.where())
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func (w *Window) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		w.t.Fatalf("%s: %s: %v\n%s", w.who, what, err, w.where())
	}
}

// Open goes to an address, as typed into the address bar.
func (w *Window) Open(url string) {
	w.t.Helper()
	w.do("open "+url, chromedp.Navigate(url))
}

// Reload presses the reload button, and confirms when the browser asks
// whether to send a form again.
func (w *Window) Reload() {
	w.t.Helper()
	w.do("reload", chromedp.Reload())
}

// Back presses the back button.
func (w *Window) Back() {
	w.t.Helper()
	w.do("back", chromedp.NavigateBack())
}

// URL returns the address that the window shows.
func (w *Window) URL() string {
	w.t.Helper()
	return eval[string](w, "location.href")
}

// Text returns what the page says, as a person reads it.
func (w *Window) Text() string {
	w.t.Helper()
	return eval[string](w, "document.body ? document.body.innerText : ''")
}

// Sees waits until the page says each text. White space and case do
// not matter, since a style sheet may change both.
func (w *Window) Sees(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if !w.waits(fmt.Sprintf(`squeeze(document.body.innerText).includes(squeeze(%s))`, quote(text))) {
			w.t.Fatalf("%s does not see %q\n%s", w.who, text, w.where())
		}
	}
}

// SeesNot asserts that the page, as it is now, does not contain the words.
func (w *Window) SeesNot(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if strings.Contains(squeeze(w.Text()), squeeze(text)) {
			w.t.Fatalf("%s sees %q\n%s", w.who, text, w.where())
		}
	}
}

func squeeze(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// Clicks presses the button or link of that name. A name that several have is
// told apart by near, words in the surrounding row, card or form.
func (w *Window) Clicks(name string, near ...string) {
	w.t.Helper()
	sel := w.find("control", name, near...)
	leaves := eval[bool](w, fmt.Sprintf(`(e => { window.stillHere = true; return e.matches("a[href], button:not([type=button]), input[type=submit]"); })(document.querySelector(%s))`, quote(string(sel))))
	w.do("click "+name, chromedp.Click(sel))
	if leaves && !w.waits(`!window.stillHere && document.readyState === "complete"`) {
		w.t.Fatalf("%s: nothing came of the click on %q\n%s", w.who, name, w.where())
	}
}

// Fills replaces what the field with that label holds.
func (w *Window) Fills(label, value string) {
	w.t.Helper()
	sel := w.find("field", label)
	w.do("fill "+label, chromedp.Clear(sel), chromedp.SendKeys(sel, value))
}

// Chooses picks the option of that name in the list with that label.
func (w *Window) Chooses(label, option string) {
	w.t.Helper()
	sel := w.find("field", label)
	script := fmt.Sprintf(`(() => {
		const list = document.querySelector(%s);
		const option = [...list.options].find(o => squeeze(o.text) === squeeze(%s));
		if (!option) return false;
		list.value = option.value;
		list.dispatchEvent(new Event("input", {bubbles: true}));
		list.dispatchEvent(new Event("change", {bubbles: true}));
		return true;
	})()`, quote(string(sel)), quote(option))
	if !eval[bool](w, helpers+script) {
		w.t.Fatalf("%s: the list %q has no option %q\n%s", w.who, label, option, w.where())
	}
}

// Ticks sets the check box or radio button with that label.
func (w *Window) Ticks(label string, on bool, near ...string) {
	w.t.Helper()
	sel := w.find("field", label, near...)
	if w.Ticked(label, near...) != on {
		// A person presses what is to be seen: the label, when the style sheet draws the control itself.
		mark := fmt.Sprintf("tick%d", w.n.Add(1))
		eval[bool](w, helpers+fmt.Sprintf(`(e => { (visible(e) && getComputedStyle(e).opacity !== "0" ? e : e.labels[0]).dataset.apptest = %s; return true; })(document.querySelector(%s))`, quote(mark), quote(string(sel))))
		w.do("tick "+label, chromedp.Click(chromedp.CSS(fmt.Sprintf(`[data-apptest="%s"]`, mark))))
	}
	if w.Ticked(label, near...) != on {
		w.t.Fatalf("%s: %q did not change\n%s", w.who, label, w.where())
	}
}

// Ticked says whether the check box or radio button with that label is set.
func (w *Window) Ticked(label string, near ...string) bool {
	w.t.Helper()
	return eval[bool](w, fmt.Sprintf(`document.querySelector(%s).checked`, quote(string(w.find("field", label, near...)))))
}

// Value returns what the field with that label holds.
func (w *Window) Value(label string) string {
	w.t.Helper()
	return eval[string](w, fmt.Sprintf(`(e => e.value ?? e.innerText)(document.querySelector(%s))`, quote(string(w.find("field", label)))))
}

// Has says whether the page has a visible element that a CSS selector picks.
func (w *Window) Has(selector string) bool {
	w.t.Helper()
	return eval[bool](w, helpers+fmt.Sprintf(`[...document.querySelectorAll(%s)].some(visible)`, quote(selector)))
}

// Row returns the cells of the first table row that contains the words.
func (w *Window) Row(text string) []string {
	w.t.Helper()
	w.Sees(text)
	return eval[[]string](w, helpers+fmt.Sprintf(`(() => {
		const row = [...document.querySelectorAll("tr")].find(r => squeeze(r.innerText).includes(squeeze(%s)));
		return row ? [...row.cells].map(c => c.innerText.trim().replace(/\s+/g, " ")) : [];
	})()`, quote(text)))
}

// Table returns the cells of every row of the table whose header row holds the
// given headings, header row first.
func (w *Window) Table(headings ...string) [][]string {
	w.t.Helper()
	want, _ := json.Marshal(headings) // strings always marshal
	return eval[[][]string](w, helpers+fmt.Sprintf(`(() => {
		const want = %s;
		const table = [...document.querySelectorAll("table")].find(t => want.every(h => [...t.querySelectorAll("th")].some(c => squeeze(c.innerText) === squeeze(h))));
		return table ? [...table.rows].map(r => [...r.cells].map(c => c.innerText.trim().replace(/\s+/g, " "))) : [];
	})()`, want))
}

// Resize sets the size of the page, in CSS pixels. A page that has it already is not drawn again.
func (w *Window) Resize(width, height int64) {
	w.t.Helper()
	if w.width == width && w.height == height {
		return
	}
	w.do("resize", chromedp.EmulateViewport(width, height))
	w.width, w.height = width, height
}

// Dark makes the window prefer dark colours, or light ones.
func (w *Window) Dark(on bool) {
	w.t.Helper()
	scheme := "light"
	if on {
		scheme = "dark"
	}
	w.Prefers(map[string]string{"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"})
}

// Prefers sets the media features that style sheets ask for, by name. Those not named are as the browser has them.
func (w *Window) Prefers(features map[string]string) {
	w.t.Helper()
	var list []*emulation.MediaFeature
	for name, value := range features {
		list = append(list, &emulation.MediaFeature{Name: name, Value: value})
	}
	w.do("set media features", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: list})
		return chromedp.Void{}, err
	})
}

// Runs runs a script in the page, waits for its promise, and reads the result as JSON into result, unless that is nil.
func (w *Window) Runs(script string, result any) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("(async () => JSON.stringify(await ("+script+")) ?? \"null\")()", chromedp.EvalAwaitPromise))
	if err == nil && result != nil {
		err = json.Unmarshal([]byte(text), result)
	}
	if err != nil {
		w.t.Fatalf("%s: run a script: %v\n%s", w.who, err, w.where())
	}
}

// Prints returns the page as it comes out of the printer, as PDF.
func (w *Window) Prints() []byte {
	w.t.Helper()
	var pdf []byte
	w.do("print", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		out, err := cdp.Call(ctx, t, page.PrintToPDF, page.PrintToPDFParams{})
		if err == nil {
			pdf = out.Data
		}
		return chromedp.Void{}, err
	})
	return pdf
}

// Picture writes the page, as far as it is visible, or whole, as a PNG file.
func (w *Window) Picture(file string, whole bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	shot := chromedp.CaptureScreenshot()
	if whole {
		w.width, w.height = 0, 0 // the picture is taken in another
		shot = chromedp.FullScreenshot(100)
	}
	png, err := chromedp.Run(ctx, shot)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	if err == nil {
		err = os.WriteFile(file, png, 0o644)
	}
	if err != nil {
		w.t.Fatalf("%s: take picture %s: %v", w.who, file, err)
	}
}

// Overflows says by how many CSS pixels the page is wider than the window.
func (w *Window) Overflows() int {
	w.t.Helper()
	return eval[int](w, "Math.max(0, document.documentElement.scrollWidth - window.innerWidth)")
}

// helpers is how elements are found: by accessible name, visible ones only.
const helpers = `
var squeeze = s => (s || "").replace(/\s+/g, " ").trim().toLowerCase();
var visible = e => { const b = e.getBoundingClientRect(); return b.width > 0 && b.height > 0 && getComputedStyle(e).visibility !== "hidden"; };
var named = e => squeeze(e.getAttribute("aria-label") || (e.labels && e.labels.length ? [...e.labels].map(l => l.innerText).join(" ") : "") || e.innerText || e.value);
var holder = (e, near) => { for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) if (squeeze(p.innerText).includes(squeeze(near))) return p; return null; };
var depth = e => { let n = 0; for (let p = e; p; p = p.parentElement) n++; return n; };
`

// find returns a selector of the one element of that kind and name. An exact
// name wins over one that only begins so; among equals, near decides.
func (w *Window) find(kind, name string, near ...string) chromedp.CSS {
	w.t.Helper()
	mark := fmt.Sprintf("%s%d", kind, w.n.Add(1))
	what := `a, button, summary, input[type=submit], [role=button]`
	if kind == "field" {
		what = `input, select, textarea, output, [role=textbox]`
	}
	by := ""
	if len(near) > 0 {
		by = near[0]
	}
	script := fmt.Sprintf(`(() => {
		const all = [...document.querySelectorAll(%s)].filter(e => (visible(e) || [...(e.labels || [])].some(visible)) && !e.disabled);
		let hits = all.filter(e => named(e) === squeeze(%[2]s));
		if (!hits.length) hits = all.filter(e => named(e).startsWith(squeeze(%[2]s)));
		if (%[3]s) {
			const held = hits.map(e => [e, holder(e, %[3]s)]).filter(h => h[1]).sort((a, b) => depth(b[1]) - depth(a[1]));
			hits = held.map(h => h[0]);
		}
		if (!hits.length) return false;
		hits[0].dataset.apptest = (hits[0].dataset.apptest || "") + " " + %[4]s;
		return true;
	})()`, quote(what), quote(name), quote(by), quote(mark))
	if !w.waits(script) {
		w.t.Fatalf("%s does not find the %s %q %s\n%s", w.who, kind, name, strings.Join(near, " "), w.where())
	}
	return chromedp.CSS(fmt.Sprintf(`[data-apptest~="%s"]`, mark))
}

// waits asks until a condition holds. A page that is just being replaced
// answers with an error; it is asked again.
func (w *Window) waits(condition string) bool {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](helpers+condition))
		if ok && err == nil {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

func eval[T any](w *Window, script string) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", w.who, err, script)
	}
	return v
}

// where says what the window shows, for a test that fails.
func (w *Window) where() string {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return "The page is " + text
}

func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}
