package console

import (
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
)

// frontPage is the data of the page at /.
type frontPage struct {
	Page
	Starts []Action // links to the areas in which the reader is signed in; if there is only one, / redirects to it
}

// startCookie remembers where this browser is signed in. The page at / needs it, because session
// cookies belong to their areas. The cookie holds only paths, so it is not a secret and gives no
// access.
const startCookie = "rollcall-start"

// startPath matches the paths that are accepted from startCookie, so that a forged cookie cannot
// redirect anywhere else.
var startPath = regexp.MustCompile(`^/(d/|c/[a-z0-9][a-z0-9-]{0,62}/(admin/access)?)$`)

// rememberedStarts returns the paths that the browser remembers.
func (c *Console) rememberedStarts(r *http.Request) []string {
	var list []string
	for p := range strings.SplitSeq(cookieValue(r, c.hostCookieName(r, startCookie)), "|") {
		if startPath.MatchString(p) && len(list) < 10 {
			list = append(list, p)
		}
	}
	return list
}

// RememberStart makes the page at / lead to start. If start is empty, the page no longer leads to
// the area of this request.
func (c *Console) RememberStart(w http.ResponseWriter, r *http.Request, start string) {
	area := areaPath(r.URL.Path)
	list := slices.DeleteFunc(c.rememberedStarts(r), func(p string) bool { return strings.HasPrefix(p, area) })
	if startPath.MatchString(start) {
		list = append(list, start)
	}
	http.SetCookie(w, c.newCookie(r, c.hostCookieName(r, startCookie), strings.Join(list, "|")))
}

// Front serves every path outside the two areas. The path / redirects to the area in which the
// reader is signed in, or lists several such areas. Any other path is a 404 page.
func (c *Console) Front() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		err := error(ErrNotFound)
		if path.Clean(r.URL.Path) == "/" {
			err = c.showFront(w, r)
		}
		if err != nil {
			c.showError(w, r, Page{}, err)
		}
	})
}

func (c *Console) showFront(w http.ResponseWriter, r *http.Request) error {
	pg := frontPage{Page: Page{Title: "Rollcall", Lead: "Keeps the people of an application in step with the people of a company."}}
	list := c.rememberedStarts(r)
	if len(list) == 1 && r.Method == http.MethodGet && !r.URL.Query().Has("all") {
		return c.Redirect(w, r, list[0], Notice{})
	}
	for _, p := range list {
		a := Action{Text: "Directories", Icon: "building-2", URL: p}
		if name, found := strings.CutPrefix(p, "/c/"); found {
			name, _, _ = strings.Cut(name, "/")
			a = Action{Text: "Site " + name, Icon: "users", URL: p}
		}
		pg.Starts = append(pg.Starts, a)
	}
	return c.View(w, r, http.StatusOK, "front", pg)
}
