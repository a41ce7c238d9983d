package console

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// page is what the frame shows; each page's own struct embeds it. The guard fills the lower half, the handler the upper.
type page struct {
	Title      string   // the h1, and first in the window's title
	Lead       string   // one or two sentences under the title; may stay empty
	Within     string   // what the page is about besides the area, such as an application; follows Title in the window's title
	Badge      *badge   // the state in one word, beside the title
	StatusLine string   // the state as a sentence with a time: "Working. Last call 3 minutes ago."
	Crumbs     []crumb  // the way here, without the page itself
	Actions    []action // what can be done with the whole page, right of the title
	Notice     *notice  // what the last form did; shown once
	Narrow     bool     // a column for one question: sign-in, confirmation, error

	Area areaName   // whose pages these are; zero on pages outside
	Menu []menuItem // the sidebar; none on pages outside
	Who  *who       // who is signed in; nil on pages outside
}

// areaName heads the sidebar.
type areaName struct {
	Name string // "acme"
	Kind string // "Site", "Directory", "Operators"
	URL  string
}

// menuItem is a line of the sidebar: a heading if it has no URL.
type menuItem struct {
	Text, Icon, URL string
	Here            bool // the page belongs to it
}

// who is signed in.
type who struct {
	Name    string
	Role    string
	Home    string // may be empty
	SignOut string // takes a POST
}

// Initials are the first letters of the first and last word, for the round mark.
func (w who) Initials() string { return initials(w.Name) }

// crumb is one step of the way to the page.
type crumb struct{ Text, URL string }

// Short says whether the text is so short that cutting it off saves no room.
func (c crumb) Short() bool { return utf8.RuneCountInString(c.Text) <= 14 }

// action is a link that looks like a button.
type action struct {
	Text, Icon, URL string
	Primary, Danger bool
}

// mark sets Here on the entry whose URL is the longest that path begins with, whole segments only.
func mark(menu []menuItem, path string) []menuItem {
	best := -1
	for i, m := range menu {
		if m.URL == "" || !under(path, m.URL) {
			continue
		}
		if best < 0 || len(m.URL) > len(menu[best].URL) {
			best = i
		}
	}
	if best >= 0 {
		menu[best].Here = true
	}
	return menu
}

func under(path, root string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

func initials(name string) string {
	words := strings.FieldsFunc(name, func(c rune) bool { return !unicode.IsLetter(c) && !unicode.IsDigit(c) })
	if len(words) == 0 {
		return "?"
	}
	first, _ := utf8.DecodeRuneInString(words[0])
	text := string(unicode.ToUpper(first))
	if last := words[len(words)-1]; len(words) > 1 {
		c, _ := utf8.DecodeRuneInString(last)
		text += string(unicode.ToUpper(c))
	}
	return text
}

// noticeCookie carries a notice over one redirect, within the form's area.
const noticeCookie = "rollcall-notice"

// leaveNotice keeps n for the next page of the same area.
func (c *Console) leaveNotice(w http.ResponseWriter, r *http.Request, n notice) {
	b, err := json.Marshal(n)
	if err != nil || len(b) > 2800 {
		return // comfort only: the page itself shows the new state
	}
	cookie := c.areaCookie(r, noticeCookie, base64.RawURLEncoding.EncodeToString(b))
	cookie.MaxAge = 60
	http.SetCookie(w, cookie)
}

// takeNotice returns what leaveNotice kept, once. A form leaves it for the page that follows.
func (c *Console) takeNotice(w http.ResponseWriter, r *http.Request) *notice {
	value := c.areaCookieValue(r, noticeCookie)
	if value == "" || r.Method != http.MethodGet {
		return nil
	}
	http.SetCookie(w, c.areaCookie(r, noticeCookie, ""))
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return nil
	}
	var n notice
	if json.Unmarshal(b, &n) != nil || !n.Tone.known() {
		return nil
	}
	return &n
}

// areaPath is the cookie path of an area: /c/{site}/ or /d/.
func areaPath(path string) string {
	parts := strings.SplitN(path, "/", 4)
	if len(parts) > 2 && parts[1] == "c" {
		return "/c/" + parts[2] + "/"
	}
	return "/d/"
}

// briefly cuts the middle out of a long name, so that a sentence with it stays a sentence. What is to be decided on is never cut.
func briefly(name string) string {
	const start, end = 36, 20
	r := []rune(name)
	if len(r) <= start+end+1 {
		return name
	}
	return string(r[:start]) + "…" + string(r[len(r)-end:])
}

// stamp is a time as people in every country read it without asking, in UTC.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

// ago says how far away t is, with the exact time on hover; the script adds the reader's own time zone.
func (c *Console) ago(t time.Time) template.HTML {
	if t.IsZero() {
		return "never"
	}
	utc := t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s">%s</time>`, //nolint:gosec // made of digits and our own words
		utc.Format(time.RFC3339), stamp(utc), relative(t, c.options.Now())))
}

// clock is a time to the second; the script turns it into the reader's own zone.
func clock(t time.Time) template.HTML {
	utc := t.UTC()
	return template.HTML(fmt.Sprintf(`<time datetime="%s" title="%s" data-clock>%s</time>`, //nolint:gosec // made of digits
		utc.Format(time.RFC3339), stamp(utc), utc.Format("2006-01-02 15:04:05")))
}

// relative says how far t is from now in the largest fitting unit.
func relative(t, now time.Time) string {
	d := now.Sub(t)
	text := spell(d.Abs())
	switch {
	case text == "":
		return "just now"
	case d < 0:
		return "in " + text
	}
	return text + " ago"
}

func spell(d time.Duration) string {
	units := []struct {
		size time.Duration
		name string
	}{
		{365 * 24 * time.Hour, "year"},
		{30 * 24 * time.Hour, "month"},
		{24 * time.Hour, "day"},
		{time.Hour, "hour"},
		{time.Minute, "minute"},
		{time.Second, "second"},
	}
	for _, u := range units {
		if n := int(d / u.size); n > 0 {
			return count(n, u.name)
		}
	}
	return ""
}

// count is "1 person" or "2 persons": words that take an s.
func count(n int, word string) string {
	if n == 1 {
		return "1 " + word
	}
	return grouped(n) + " " + word + "s"
}

// grouped is a number with commas: 12,300.
func grouped(n int) string {
	digits := strconv.Itoa(n)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}
