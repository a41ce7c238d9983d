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

// patience is how long a page may take to show the text or element that a test waits for.
const patience = 15 * time.Second

// Browser is a real Chromium. Each Window has a separate browser profile, so two windows act as two
// people.
type Browser struct {
	ctx context.Context // the context of chromedp for the browser
}

// OpenBrowser starts the installed Chromium. If Chromium is not installed, it skips the test, or
// fails it if no test may be skipped.
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
		if MustRunAll() {
			t.Fatal("no Chromium on this machine; scripts/setup installs it")
		}
		t.Skip("needs Chromium; make test installs it")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("hide-scrollbars", true),
		chromedp.Flag("font-render-hinting", "none"),
		// Without this flag, Chromium runs the toolbar of each window as web pages in extra
		// processes.
		chromedp.Flag("disable-features", "Translate,BlinkGenPropertyTrees,PreloadTopChromeWebUI,WebUIOmniboxPopup,WebUIOmniboxAimPopup,InitialWebUI,WebUIReloadButton"))
	alloc, stop := chromedp.NewExecAllocator(context.Background(), options...)
	ctx, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() { cancel(); stop() })
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("start Chromium: %v", err)
	}
	return &Browser{ctx: ctx}
}

// Window opens an empty window of 1280 by 900 pixels, with separate cookies. Messages of failed
// tests contain the string user, which names the window's user.
func (b *Browser) Window(t testing.TB, user string) *Window {
	t.Helper()
	ctx, cancel := chromedp.NewContext(b.ctx, chromedp.WithNewBrowserContext())
	t.Cleanup(cancel)
	// chromedp closes the tab when the context of its first action ends, so use the window's
	// context.
	if err := chromedp.Do(ctx); err != nil {
		t.Fatalf("open a window: %v", err)
	}
	w := &Window{t: t, user: user, ctx: ctx}
	// A screen gives the focus to only one window. This setting makes each window behave as if it
	// had the focus.
	w.do("take the focus", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true})
		return chromedp.Void{}, err
	})
	w.Resize(1280, 900)
	return w
}

// Window is one person's browser window. Its methods act like a person at a browser. They find
// elements by visible text, such as labels and the texts of buttons and links. They wait for an
// element, and fail the test if it does not appear.
type Window struct {
	t    testing.TB      // the test that fails if an action of the window fails
	user string          // the name of the window's user, for messages
	ctx  context.Context // the context of chromedp for the window
	// markCount is how many elements the window has marked with the attribute data-apptest. Each
	// mark has its own number.
	markCount atomic.Int64

	width, height int64 // the size of the page in CSS pixels, as Resize set it; 0 if it is not known
}

// Report makes the window report later failures to t, which may be a subtest.
func (w *Window) Report(t testing.TB) { w.t = t }

// Awaits opens an address repeatedly until the page contains one of the texts.
func (w *Window) Awaits(url string, texts ...string) {
	w.t.Helper()
	end := time.Now().Add(60 * time.Second)
	for {
		w.Open(url)
		page := foldSpaceAndCase(w.Text())
		for _, text := range texts {
			if strings.Contains(page, foldSpaceAndCase(text)) {
				return
			}
		}
		if time.Now().After(end) {
			w.t.Fatalf("%s waited for %q in vain\n%s", w.user, texts, w.describe())
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// do performs browser actions. If they fail or take longer than patience, the test fails. what
// describes the actions in the failure message.
func (w *Window) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, actions...); err != nil {
		w.t.Fatalf("%s: %s: %v\n%s", w.user, what, err, w.describe())
	}
}

// Open goes to an address, as if it were typed into the address bar.
func (w *Window) Open(url string) {
	w.t.Helper()
	w.do("open "+url, chromedp.Navigate(url))
}

// Reload presses the reload button, and confirms if the browser asks whether to send a form again.
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

// Text returns the text of the page as a person reads it.
func (w *Window) Text() string {
	w.t.Helper()
	return eval[string](w, "document.body ? document.body.innerText : ''")
}

// Sees waits until the page contains each text. It ignores white space and case, because a style
// sheet may change both.
func (w *Window) Sees(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if !w.waitUntil(fmt.Sprintf(`squeeze(document.body.innerText).includes(squeeze(%s))`, quoteJS(text))) {
			w.t.Fatalf("%s does not see %q\n%s", w.user, text, w.describe())
		}
	}
}

// SeesNot fails the test if the page contains one of the texts at this moment. It does not wait.
func (w *Window) SeesNot(texts ...string) {
	w.t.Helper()
	for _, text := range texts {
		if strings.Contains(foldSpaceAndCase(w.Text()), foldSpaceAndCase(text)) {
			w.t.Fatalf("%s sees %q\n%s", w.user, text, w.describe())
		}
	}
}

// foldSpaceAndCase returns a string in lower case, with one space for each run of white space.
func foldSpaceAndCase(s string) string { return strings.ToLower(strings.Join(strings.Fields(s), " ")) }

// Clicks presses the button or link with that name. If several elements have the name, near selects
// one of them by words in the same row, card or form.
func (w *Window) Clicks(name string, near ...string) {
	w.t.Helper()
	sel := w.find("control", name, near...)
	leaves := eval[bool](w, fmt.Sprintf(`(e => { window.stillHere = true; return e.matches("a[href], button:not([type=button]), input[type=submit]"); })(document.querySelector(%s))`, quoteJS(string(sel))))
	w.do("click "+name, chromedp.Click(sel))
	if leaves && !w.waitUntil(`!window.stillHere && document.readyState === "complete"`) {
		w.t.Fatalf("%s: nothing came of the click on %q\n%s", w.user, name, w.describe())
	}
}

// ClicksHere presses a link that opens a new tab, and opens it in this window instead.
func (w *Window) ClicksHere(name string, near ...string) {
	w.t.Helper()
	eval[bool](w, fmt.Sprintf(`(e => { const had = e.target === "_blank"; e.removeAttribute("target"); return had; })(document.querySelector(%s))`, quoteJS(string(w.find("control", name, near...)))))
	w.Clicks(name, near...)
}

// Fills replaces the content of the field with that label.
func (w *Window) Fills(label, value string) {
	w.t.Helper()
	sel := w.find("field", label)
	eval[bool](w, fmt.Sprintf(`(e => { e.value = ""; return true; })(document.querySelector(%s))`, quoteJS(string(sel)))) // clear the field with a script, because chromedp.Clear fails for an empty textarea
	w.do("fill "+label, chromedp.SendKeys(sel, value))
}

// Chooses selects the option with that name in the list with that label.
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
	})()`, quoteJS(string(sel)), quoteJS(option))
	if !eval[bool](w, elementScripts+script) {
		w.t.Fatalf("%s: the list %q has no option %q\n%s", w.user, label, option, w.describe())
	}
}

// Ticks sets or clears the checkbox or radio button with that label.
func (w *Window) Ticks(label string, on bool, near ...string) {
	w.t.Helper()
	sel := w.find("field", label, near...)
	if w.Ticked(label, near...) != on {
		// If the style sheet draws the control, the real control is invisible. Then press its
		// label, as a person does.
		mark := fmt.Sprintf("tick%d", w.markCount.Add(1))
		eval[bool](w, elementScripts+fmt.Sprintf(`(e => { (visible(e) && getComputedStyle(e).opacity !== "0" ? e : e.labels[0]).dataset.apptest = %s; return true; })(document.querySelector(%s))`, quoteJS(mark), quoteJS(string(sel))))
		w.do("tick "+label, chromedp.Click(chromedp.CSS(fmt.Sprintf(`[data-apptest="%s"]`, mark))))
	}
	if w.Ticked(label, near...) != on {
		w.t.Fatalf("%s: %q did not change\n%s", w.user, label, w.describe())
	}
}

// Ticked reports whether the checkbox or radio button with that label is set.
func (w *Window) Ticked(label string, near ...string) bool {
	w.t.Helper()
	return eval[bool](w, fmt.Sprintf(`document.querySelector(%s).checked`, quoteJS(string(w.find("field", label, near...)))))
}

// Value returns the content of the field with that label.
func (w *Window) Value(label string) string {
	w.t.Helper()
	return eval[string](w, fmt.Sprintf(`(e => e.value ?? e.innerText)(document.querySelector(%s))`, quoteJS(string(w.find("field", label)))))
}

// Has reports whether the page has a visible element that matches a CSS selector.
func (w *Window) Has(selector string) bool {
	w.t.Helper()
	return eval[bool](w, elementScripts+fmt.Sprintf(`[...document.querySelectorAll(%s)].some(visible)`, quoteJS(selector)))
}

// Row returns the cells of the first table row that contains the text.
func (w *Window) Row(text string) []string {
	w.t.Helper()
	w.Sees(text)
	return eval[[]string](w, elementScripts+fmt.Sprintf(`(() => {
		const row = [...document.querySelectorAll("tr")].find(r => squeeze(r.innerText).includes(squeeze(%s)));
		return row ? [...row.cells].map(c => c.innerText.trim().replace(/\s+/g, " ")) : [];
	})()`, quoteJS(text)))
}

// Table returns the cells of every row of the table with the given headings, the header row first.
func (w *Window) Table(headings ...string) [][]string {
	w.t.Helper()
	want, _ := json.Marshal(headings) // cannot fail: strings can always be encoded
	return eval[[][]string](w, elementScripts+fmt.Sprintf(`(() => {
		const want = %s;
		const table = [...document.querySelectorAll("table")].find(t => want.every(h => [...t.querySelectorAll("th")].some(c => squeeze(c.innerText) === squeeze(h))));
		return table ? [...table.rows].map(r => [...r.cells].map(c => c.innerText.trim().replace(/\s+/g, " "))) : [];
	})()`, want))
}

// Resize sets the size of the page in CSS pixels. It does nothing if the page has that size
// already.
func (w *Window) Resize(width, height int64) {
	w.t.Helper()
	if w.width == width && w.height == height {
		return
	}
	w.do("resize", chromedp.EmulateViewport(width, height))
	w.width, w.height = width, height
}

// Dark makes the window prefer dark colours if on is true, and otherwise light colours.
func (w *Window) Dark(on bool) {
	w.t.Helper()
	scheme := "light"
	if on {
		scheme = "dark"
	}
	w.Prefers(map[string]string{"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"})
}

// Prefers sets media features, such as prefers-color-scheme, by name. Style sheets can test them.
// Other features keep the browser's values.
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

// Runs runs a script in the page, and waits for the promise that the script returns. It decodes the
// JSON of the result into result, unless result is nil.
func (w *Window) Runs(script string, result any) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string]("(async () => JSON.stringify(await ("+script+")) ?? \"null\")()", chromedp.EvalAwaitPromise))
	if err == nil && result != nil {
		err = json.Unmarshal([]byte(text), result)
	}
	if err != nil {
		w.t.Fatalf("%s: run a script: %v\n%s", w.user, err, w.describe())
	}
}

// Prints returns the page as the browser would print it, as a PDF.
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

// Picture writes the visible part of the page, or the whole page, to a PNG file.
func (w *Window) Picture(file string, whole bool) {
	w.t.Helper()
	shot := chromedp.CaptureScreenshot()
	if whole {
		w.width, w.height = 0, 0 // taking the picture changes the size of the page, so forget the size
		shot = chromedp.FullScreenshot(100)
	}
	w.writePicture(file, shot)
}

// PictureOf writes the first element that matches a CSS selector to a PNG file.
func (w *Window) PictureOf(selector, file string) {
	w.t.Helper()
	w.width, w.height = 0, 0 // taking the picture changes the size of the page, so forget the size
	w.writePicture(file, chromedp.Screenshot(chromedp.CSS(selector)))
}

// writePicture takes a picture and writes it to a file.
func (w *Window) writePicture(file string, shot chromedp.Action[[]byte]) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	png, err := chromedp.Run(ctx, shot)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o755)
	}
	if err == nil {
		err = os.WriteFile(file, png, 0o644)
	}
	if err != nil {
		w.t.Fatalf("%s: take picture %s: %v", w.user, file, err)
	}
}

// Overflows returns by how many CSS pixels the page is wider than the window.
func (w *Window) Overflows() int {
	w.t.Helper()
	return eval[int](w, "Math.max(0, document.documentElement.scrollWidth - window.innerWidth)")
}

// elementScripts defines JavaScript functions that find visible elements by their accessible names.
const elementScripts = `
var squeeze = s => (s || "").replace(/\s+/g, " ").trim().toLowerCase();
var visible = e => { const b = e.getBoundingClientRect(); return b.width > 0 && b.height > 0 && getComputedStyle(e).visibility !== "hidden"; };
var named = e => squeeze(e.getAttribute("aria-label") || (e.labels && e.labels.length ? [...e.labels].map(l => l.innerText).join(" ") : "") || e.innerText || e.value);
var holder = (e, near) => { for (let p = e.parentElement; p && p !== document.body; p = p.parentElement) if (squeeze(p.innerText).includes(squeeze(near))) return p; return null; };
var depth = e => { let n = 0; for (let p = e; p; p = p.parentElement) n++; return n; };
`

// find returns a selector for the element with that name. kind is "field" for a field of a form, or
// "control" for a button or link. An element with exactly this name has precedence over an element
// whose name only starts with it. If several elements remain, near selects one of them by words in
// the same row, card or form.
func (w *Window) find(kind, name string, near ...string) chromedp.CSS {
	w.t.Helper()
	mark := fmt.Sprintf("%s%d", kind, w.markCount.Add(1))
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
	})()`, quoteJS(what), quoteJS(name), quoteJS(by), quoteJS(mark))
	if !w.waitUntil(script) {
		w.t.Fatalf("%s does not find the %s %q %s\n%s", w.user, kind, name, strings.Join(near, " "), w.describe())
	}
	return chromedp.CSS(fmt.Sprintf(`[data-apptest~="%s"]`, mark))
}

// waitUntil evaluates a condition until it is true. If the evaluation fails, for example while a
// new page loads, it tries again.
func (w *Window) waitUntil(condition string) bool {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := chromedp.Run(ctx, chromedp.Evaluate[bool](elementScripts+condition))
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

// eval returns the result of a script that runs in the page. It fails the test if the script fails.
func eval[T any](w *Window, script string) T {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](script))
	if err != nil {
		w.t.Fatalf("%s: %v\n%s", w.user, err, script)
	}
	return v
}

// describe returns a description of the page in the window, for the message of a failing test.
func (w *Window) describe() string {
	ctx, cancel := context.WithTimeout(w.ctx, 5*time.Second)
	defer cancel()
	text, err := chromedp.Run(ctx, chromedp.Evaluate[string](`location.href + "\n" + document.body.innerText`))
	if err != nil {
		return err.Error()
	}
	return "The page is " + text
}

// quoteJS returns a string as a JavaScript literal.
func quoteJS(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(b)
}
