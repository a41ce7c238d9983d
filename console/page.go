package console

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Page is what the frame shows; each page's own struct embeds it. The guard fills the lower half, the handler the upper.
type Page struct {
	Title      string   // the h1, and first in the window's title
	Lead       string   // one or two sentences under the title; may stay empty
	Within     string   // what the page is about besides the area, such as an application; follows Title in the window's title
	Badge      *Badge   // the state in one word, beside the title
	StatusLine string   // the state as a sentence with a time: "Working. Last call 3 minutes ago."
	Crumbs     []Crumb  // the way here, without the page itself
	Actions    []Action // what can be done with the whole page, right of the title
	Notice     *Notice  // what the last form did; shown once
	Narrow     bool     // a column for one question: sign-in, confirmation, error

	Area AreaName   // whose pages these are; zero on pages outside
	Menu []MenuItem // the sidebar; none on pages outside
	Who  *Visitor   // who is signed in; nil on pages outside
}

// AreaName heads the sidebar.
type AreaName struct {
	Name string // "acme"
	Kind string // "Site", "Directory", "Operators"
	URL  string
}

// MenuItem is a line of the sidebar: a heading if it has no URL.
type MenuItem struct {
	Text, Icon, URL string
	Here            bool // the page belongs to it
}

// Visitor is signed in.
type Visitor struct {
	Name    string
	Role    string
	Home    string // may be empty
	SignOut string // takes a POST
}

// Initials are the first letters of the first and last word, for the round mark.
func (w Visitor) Initials() string { return initials(w.Name) }

// Crumb is one step of the way to the page.
type Crumb struct{ Text, URL string }

// Short says whether the text is so short that cutting it off saves no room.
func (c Crumb) Short() bool { return utf8.RuneCountInString(c.Text) <= 14 }

// Action is a link that looks like a button.
type Action struct {
	Text, Icon, URL string
	Primary, Danger bool
}

// MarkCurrent sets Here on the entry whose URL is the longest that path begins with, whole segments only.
func MarkCurrent(menu []MenuItem, path string) []MenuItem {
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

// noticeCookie carries a notice over one redirect, within the form's area.
const noticeCookie = "rollcall-notice"

// leaveNotice keeps n for the next page of the same area.
func (c *Console) leaveNotice(w http.ResponseWriter, r *http.Request, n Notice) {
	b, err := json.Marshal(n)
	if err != nil || len(b) > 2800 {
		return // comfort only: the page itself shows the new state
	}
	cookie := c.areaCookie(r, noticeCookie, base64.RawURLEncoding.EncodeToString(b))
	cookie.MaxAge = 60
	http.SetCookie(w, cookie)
}

// TakeNotice returns what leaveNotice kept, once. A form leaves it for the page that follows.
func (c *Console) TakeNotice(w http.ResponseWriter, r *http.Request) *Notice {
	value := c.areaCookieValue(r, noticeCookie)
	if value == "" || r.Method != http.MethodGet {
		return nil
	}
	http.SetCookie(w, c.areaCookie(r, noticeCookie, ""))
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil {
		return nil
	}
	var n Notice
	if json.Unmarshal(b, &n) != nil || !n.Tone.Known() {
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
