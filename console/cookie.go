package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/secret"
)

// A cookie belongs to an area: to one site, or to the pages of operators. Over HTTPS its name
// starts with __Host-. Browsers accept such a cookie only from this host and only over HTTPS, so no
// other host of the same domain and no insecure page can set it. Browsers require that such a
// cookie has the path /, so its name contains the site to separate the areas. Over HTTP, which is
// for trying Rollcall on one machine, the cookie's path separates the areas.

// areaCookie returns a cookie for the area of r. An empty value makes the browser delete it.
func (c *Console) areaCookie(r *http.Request, name, value string) *http.Cookie {
	cookie := c.newCookie(r, c.areaCookieName(r, name), value)
	if !c.isSecure(r) {
		cookie.Path = areaPath(r.URL.Path)
	}
	return cookie
}

// areaCookieValue returns the value of a cookie for the area of r. It returns "" if there is none.
func (c *Console) areaCookieValue(r *http.Request, name string) string {
	return cookieValue(r, c.areaCookieName(r, name))
}

func (c *Console) areaCookieName(r *http.Request, name string) string {
	if !c.isSecure(r) {
		return name
	}
	name = c.hostCookieName(r, name)
	if site, ok := strings.CutPrefix(areaPath(r.URL.Path), "/c/"); ok {
		// Escape the site's name, because a path can contain characters that the name of a cookie
		// cannot.
		name += "-" + url.QueryEscape(strings.TrimSuffix(site, "/"))
	}
	return name
}

// hostCookieName returns the name of a cookie that belongs to the whole host, not to one area.
func (c *Console) hostCookieName(r *http.Request, name string) string {
	if c.isSecure(r) {
		return "__Host-" + name
	}
	return name
}

// newCookie returns a cookie that scripts cannot read. The browser deletes it when it is closed. An
// empty value makes the browser delete it at once.
func (c *Console) newCookie(r *http.Request, name, value string) *http.Cookie {
	cookie := &http.Cookie{Name: name, Value: value, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: c.isSecure(r)}
	if value == "" {
		cookie.MaxAge = -1
	}
	return cookie
}

func cookieValue(r *http.Request, name string) string {
	cookie, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	return cookie.Value
}

// browserCookie is the name of the cookie that ties an answer from the operators' OpenID provider to
// the browser that Rollcall sent to that provider.
const browserCookie = "rollcall-openid"

// BrowserSecret returns the secret in this browser's cookie. If there is no such cookie, it sets
// one. The answer comes by a redirect, so browsers send the cookie although it is SameSite=Lax.
func (c *Console) BrowserSecret(w http.ResponseWriter, r *http.Request) string {
	if known := c.SentBrowserSecret(r); known != "" {
		return known
	}
	made := secret.New()
	http.SetCookie(w, c.areaCookie(r, browserCookie, made))
	return made
}

// SentBrowserSecret returns the secret in this browser's cookie; "" if there is none.
func (c *Console) SentBrowserSecret(r *http.Request) string {
	if sent := c.areaCookieValue(r, browserCookie); len(sent) >= 20 && len(sent) <= 100 {
		return sent
	}
	return ""
}
