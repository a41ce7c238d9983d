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
	StartLinks []Action // links to the areas in which the user is signed in; if there is only one area, / redirects to it
}

// startCookie is the name of the cookie that remembers in which areas this browser is signed in.
// The page at / needs it, because browsers send session cookies only to their areas. The cookie
// contains only paths, so it is no secret and gives no access.
const startCookie = "rollcall-start"

// startPath matches the paths that the server accepts from startCookie, so that a forged cookie
// cannot make it redirect to another address.
var startPath = regexp.MustCompile(`^/(d/|c/[a-z0-9][a-z0-9-]{0,62}/(admin/access)?)$`)

// rememberedStarts returns the valid paths in the request's startCookie.
func (c *Console) rememberedStarts(r *http.Request) []string {
	var list []string
	for p := range strings.SplitSeq(cookieValue(r, c.hostCookieName(r, startCookie)), "|") {
		if startPath.MatchString(p) && len(list) < 10 {
			list = append(list, p)
		}
	}
	return list
}

// RememberStart stores start in a cookie, in place of any earlier path in the area of this request.
// The page at / then redirects to it, or shows links if the cookie has paths of several areas. An
// empty start removes the path of the area.
func (c *Console) RememberStart(w http.ResponseWriter, r *http.Request, start string) {
	area := areaPath(r.URL.Path)
	list := slices.DeleteFunc(c.rememberedStarts(r), func(p string) bool { return strings.HasPrefix(p, area) })
	if startPath.MatchString(start) {
		list = append(list, start)
	}
	http.SetCookie(w, c.newCookie(r, c.hostCookieName(r, startCookie), strings.Join(list, "|")))
}

// Front serves all paths outside the two areas. The path / redirects to the area in which the user
// is signed in, or lists the areas if there are several. Any other path responds with a 404 page.
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
		pg.StartLinks = append(pg.StartLinks, a)
	}
	return c.View(w, r, http.StatusOK, "front", pg)
}
