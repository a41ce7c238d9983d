package console

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"unicode/utf8"
)

// Page holds the frame around a page, such as its title and menu. The struct of each page embeds
// it. The handler sets the fields from Title to Narrow. The guard sets Area, Menu and Who before
// the handler runs.
type Page struct {
	Title      string   // the heading of the page, and the first part of the window's title
	Lead       string   // one or two sentences under the title; may be empty
	Subject    string   // what the page is about, such as an application; the second part of the window's title; may be empty
	Badge      *Badge   // the state in a word or two, next to the title; may be nil
	StatusLine string   // the state as a sentence, such as "Working. Last call 3 minutes ago."; may be empty
	Crumbs     []Crumb  // links to the pages above this one
	Actions    []Action // actions for the whole page, to the right of the title
	Notice     *Notice  // the result of the form that was sent before; shown once
	Narrow     bool     // whether the page has a narrow column, for a single question: sign-in, confirmation, error

	Area AreaName   // the area of the page; zero on pages outside of both areas
	Menu []MenuItem // the sidebar; empty on pages outside of both areas
	Who  *Visitor   // the signed-in user; nil on pages outside of both areas
}

// AreaName names an area in the heading of the sidebar.
type AreaName struct {
	Name string // name of the site or directory, such as "acme"
	Kind string // one of "Site", "Directory" and "Operators"
	URL  string
}

// MenuItem is a line of the sidebar: a link, or a heading if URL is empty.
type MenuItem struct {
	Text, Icon, URL string
	Selected        bool // whether the current page belongs to this item
}

// Visitor is the signed-in user.
type Visitor struct {
	Name    string
	Role    string // such as "Administrator"
	Home    string // address of the user's start page; may be empty
	SignOut string // address to which the form that signs the user out is sent
}

// Initials returns the first letters of the first and the last word of the name, for the round
// icon.
func (w Visitor) Initials() string { return initials(w.Name) }

// Crumb is a link to a page above the current one.
type Crumb struct{ Text, URL string }

// IsShort reports whether the text is so short that small screens show it in full.
func (c Crumb) IsShort() bool { return utf8.RuneCountInString(c.Text) <= 14 }

// Action is a link that looks like a button.
type Action struct {
	Text, Icon, URL        string
	IsPrimary, IsDangerous bool // whether the button looks like the main action, or like one that is hard to undo
}

// MarkCurrent marks the menu item of the current page. This is the item with the longest URL that
// is equal to path or begins it, in whole path segments.
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

// isUnder reports whether a path is root or begins with root as a folder.
func isUnder(path, root string) bool {
	rest, ok := strings.CutPrefix(path, strings.TrimSuffix(root, "/"))
	return ok && (rest == "" || rest[0] == '/')
}

// noticeCookie is the name of the cookie that carries a notice over one redirect within an area.
const noticeCookie = "rollcall-notice"

// leaveNotice stores n in a cookie for the next page of the same area.
func (c *Console) leaveNotice(w http.ResponseWriter, r *http.Request, n Notice) {
	b, err := json.Marshal(n)
	if err != nil || len(b) > 2800 {
		return // the user loses only the notice, because the next page shows the new state
	}
	cookie := c.areaCookie(r, noticeCookie, base64.RawURLEncoding.EncodeToString(b))
	cookie.MaxAge = 60
	http.SetCookie(w, cookie)
}

// TakeNotice returns the notice that leaveNotice stored, and deletes the cookie. It returns nil if
// there is none. On a POST it does nothing, so that the page after the redirect shows the notice.
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

// areaPath returns the path of the area to which a path belongs: /c/{site}/ or /d/.
func areaPath(path string) string {
	parts := strings.SplitN(path, "/", 4)
	if len(parts) > 2 && parts[1] == "c" {
		return "/c/" + parts[2] + "/"
	}
	return "/d/"
}
