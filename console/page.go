package console

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Page holds the frame around every page, such as its title and menu; each page's own struct embeds
// it. The handler sets the fields from Title to Narrow. Area, Menu and Who are set before it runs.
type Page struct {
	Title      string   // the h1, and the first part of the window's title
	Lead       string   // one or two sentences under the title; may be empty
	Within     string   // the page's subject, such as an application; second part of the window's title
	Badge      *Badge   // the state in a word or two, next to the title
	StatusLine string   // the state as a sentence with a time: "Working. Last call 3 minutes ago."
	Crumbs     []Crumb  // links to the pages above this one
	Actions    []Action // actions for the whole page, to the right of the title
	Notice     *Notice  // the result of the last form; shown once
	Narrow     bool     // a narrow column for a single question: sign-in, confirmation, error

	Area AreaName   // the area of the page; zero on pages outside of both areas
	Menu []MenuItem // the sidebar; empty on pages outside of both areas
	Who  *Visitor   // the signed-in user; nil on pages outside of both areas
}

// AreaName is the heading of the sidebar.
type AreaName struct {
	Name string // name of the site or directory, such as "acme"
	Kind string // one of "Site", "Directory" and "Operators"
	URL  string
}

// MenuItem is a line of the sidebar. Without a URL it is a heading.
type MenuItem struct {
	Text, Icon, URL string
	Selected        bool // whether the current page belongs to this item
}

// Visitor is the signed-in user.
type Visitor struct {
	Name    string
	Role    string // such as "Administrator"
	Home    string // address of the user's start page; may be empty
	SignOut string // address of the sign-out; takes a POST
}

// Initials returns the first letters of the first and the last word, for the round icon.
func (w Visitor) Initials() string { return initials(w.Name) }

// Crumb is a link to a page above the current one.
type Crumb struct{ Text, URL string }

// Short reports whether the text is too short to be worth cutting.
func (c Crumb) Short() bool { return utf8.RuneCountInString(c.Text) <= 14 }

// Action is a link that looks like a button.
type Action struct {
	Text, Icon, URL        string
	IsPrimary, IsDangerous bool // how the button looks: as the main action, or as one that is hard to undo
}

// MarkCurrent marks the item that belongs to path: the one with the longest URL that is path or an
// ancestor of it. It compares whole path segments.
func MarkCurrent(menu []MenuItem, path string) []MenuItem {
	best := -1
	for i, m := range menu {
		if m.URL == "" || !isUnder(path, m.URL) {
			continue
		}
		if best < 0 || len(m.URL) > len(menu[best].URL) {
			best = i
		}
	}
	if best >= 0 {
		menu[best].Selected = true
	}
	return menu
}

func isUnder(path, root string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// noticeCookie carries a notice over one redirect within an area.
const noticeCookie = "rollcall-notice"

// leaveNotice stores n in a cookie for the next page of the same area.
func (c *Console) leaveNotice(w http.ResponseWriter, r *http.Request, n Notice) {
	b, err := json.Marshal(n)
	if err != nil || len(b) > 2800 {
		return // a lost notice does little harm: the page itself shows the new state
	}
	cookie := c.areaCookie(r, noticeCookie, base64.RawURLEncoding.EncodeToString(b))
	cookie.MaxAge = 60
	http.SetCookie(w, cookie)
}

// TakeNotice returns the notice that leaveNotice stored, and deletes it. On a POST it does nothing,
// so that the page after the form shows the notice.
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
	if json.Unmarshal(b, &n) != nil || !n.Tone.IsKnown() {
		return nil
	}
	return &n
}

// areaPath returns the cookie path of an area: /c/{site}/ or /d/.
func areaPath(path string) string {
	parts := strings.SplitN(path, "/", 4)
	if len(parts) > 2 && parts[1] == "c" {
		return "/c/" + parts[2] + "/"
	}
	return "/d/"
}
