package console_test

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/apptest"
)

// widths of windows: a laptop, a large screen, half a screen, a tablet upright, a laptop at 200 %, a small telephone. Each window is as wide
// as the one before it where that can be, since a page is laid out and drawn again for another width: 1280 comes first and last.
var widths = []int64{1280, 2560, 960, 768, 640, 320}

var (
	light  = map[string]string{"prefers-color-scheme": "light", "prefers-reduced-motion": "reduce"}
	dark   = map[string]string{"prefers-color-scheme": "dark", "prefers-reduced-motion": "reduce"}
	forced = map[string]string{"forced-colors": "active", "prefers-color-scheme": "dark", "prefers-reduced-motion": "reduce"}
)

// layoutRules are the rules of axe whose answer depends on the width of the window.
var layoutRules = []string{"region", "landmark-unique", "target-size", "scrollable-region-focusable", "aria-hidden-focus", "page-has-heading-one", "bypass", "link-name", "button-name"}

// nothingBreaksAPage looks at every page in every width and theme. With ROLLCALL_REVIEW it takes pictures into that folder instead, for eyes,
// and asks axe everything in each of these windows, which takes a quarter of an hour.
func nothingBreaksAPage(t *testing.T, b *apptest.Browser) {
	pages := everyPage(t)
	server := shelf(t, pages)
	// Two windows look at once: one alone would leave a processor idle for minutes.
	windows := make(chan *apptest.Window, 2)
	windows <- b.Window(t, "a visitor")
	windows <- b.Window(t, "another visitor")
	lend := func(t *testing.T) *apptest.Window {
		win := <-windows
		t.Cleanup(func() { windows <- win })
		win.Report(t)
		return win
	}
	for _, name := range []string{"everything logged", "GET /c/{site}/admin/people", "GET /d/{directory}/users"} {
		t.Run("print "+name, func(t *testing.T) { prints(t, lend(t), server.URL+"/shelf?page="+url.QueryEscape(name)) })
	}
	pictures := os.Getenv("ROLLCALL_REVIEW")
	for _, name := range slices.Sorted(maps.Keys(pages)) {
		if only := os.Getenv("ROLLCALL_REVIEW_ONLY"); only != "" && !strings.Contains(name, only) {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			win := lend(t)
			l := looker{t: t, win: win, pictures: pictures, name: regexp.MustCompile(`[^\w]+`).ReplaceAllString(name, "-")}
			win.Prefers(light)
			win.Resize(1280, 900)
			win.Open(server.URL + "/shelf?page=" + url.QueryEscape(name))
			win.Runs(`(async () => { if (document.readyState !== "complete") await new Promise(done => addEventListener("load", done)); for (const src of ["/axe.js", "/look.js"]) await new Promise((done, lost) => { const s = document.createElement("script"); s.src = src; s.onload = done; s.onerror = lost; document.head.append(s); }); })()`, nil)
			win.Runs(`(async () => { for (const d of document.querySelectorAll("main details")) d.open = true; await document.fonts.ready; })()`, nil)
			// Answers to forms are made of the same parts as the pages of the routes: half of the windows show the rest.
			variant := !strings.HasPrefix(name, "GET ") && pictures == ""
			for _, width := range widths {
				if variant && !slices.Contains([]int64{1280, 960, 320}, width) {
					continue
				}
				l.at(width, "light")
				l.asks("look.fits()")
				switch width {
				case 1280:
					l.asks("look.axe()")
				case 640:
					win.Resize(640, 450)
					l.asks("look.focus()")
				case 320:
					l.asksAxe(layoutRules)
				}
			}
			if !variant {
				win.Prefers(forced)
				l.at(320, "forced")
				l.asks("look.fits()")
				l.at(1280, "forced")
				l.asks("look.fits()")
				l.asks("look.states()")
				l.asks("look.focus()")
			}
			win.Prefers(dark)
			if pictures != "" {
				for _, width := range []int64{2560, 960, 768, 320} {
					l.at(width, "dark")
				}
			}
			l.at(1280, "dark")
			l.asksAxe([]string{"color-contrast"})
		})
	}
}

// looker asks testdata/look.js about one page.
type looker struct {
	t        *testing.T
	win      *apptest.Window
	name     string
	pictures string
	now      string
}

func (l *looker) at(width int64, theme string) {
	l.now = fmt.Sprintf("%d %s", width, theme)
	l.win.Resize(width, 900)
	if l.pictures != "" {
		l.win.Picture(filepath.Join(l.pictures, fmt.Sprintf("%s.%s.%d.png", l.name, theme, width)), true)
		l.answers("look.axe()")
	}
}

func (l *looker) asks(question string) {
	l.t.Helper()
	if l.pictures != "" {
		return // the pages are for eyes this time
	}
	l.answers(question)
}

func (l *looker) answers(question string) {
	l.t.Helper()
	var faults []string
	l.win.Runs(question, &faults)
	for _, f := range faults {
		l.t.Errorf("%s: %s", l.now, f)
	}
}

func (l *looker) asksAxe(rules []string) {
	l.t.Helper()
	l.asks(`look.axe(["` + strings.Join(rules, `", "`) + `"])`)
}

// prints wants a long page to begin on the first sheet of paper, right below its heading, and the menu to stay away.
func prints(t *testing.T, win *apptest.Window, address string) {
	t.Helper()
	win.Prefers(dark) // paper is white all the same
	win.Resize(1280, 900)
	win.Open(address)
	sheets := textsOn(t, win.Prints())
	if len(sheets) < 2 {
		t.Fatalf("%s: got %d sheets, want a page that needs several", address, len(sheets))
	}
	if sheets[0] < sheets[1]/2 {
		t.Errorf("%s: the first sheet has %d pieces of text, the second %d", address, sheets[0], sheets[1])
	}
}

// textsOn counts the pieces of text on each sheet of a PDF.
func textsOn(t *testing.T, pdf []byte) (sheets []int) {
	t.Helper()
	shows := regexp.MustCompile(`\b(Tj|TJ)\b`)
	for _, m := range regexp.MustCompile(`(?s)stream\r?\n(.*?)\r?\nendstream`).FindAllSubmatch(pdf, -1) {
		r, err := zlib.NewReader(bytes.NewReader(m[1]))
		if err != nil {
			continue
		}
		if text, err := io.ReadAll(r); err == nil && bytes.Contains(text, []byte("BT\n")) {
			sheets = append(sheets, len(shows.FindAll(text, -1)))
		}
	}
	return sheets
}

// testFile serves a file of testdata.
func testFile(file string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, filepath.Join("testdata", file)) }
}
