package console

import (
	"net/http"
	"net/url"
	"time"
)

// SignInPage is the data of the view "signin", which explains how to sign in. There is no form for
// a password, because Rollcall has no passwords.
type SignInPage struct {
	Page
	Text     string
	SSO      string // address that starts single sign-on; empty if there is none
	Provider string // name of the operators' OpenID provider; empty on pages of a site
	Silent   bool   // whether that provider did not answer when it was last asked
	Command  string // command that creates a sign-in link
	NewLinks string // a sentence that the page shows instead of the command; may be empty
	Also     string // a sentence at the bottom; may be empty
	Recover  string // address of the page that takes a recovery code; empty if there is no such page
}

// SignInLinkPage is the data of the view "signin_link". A browser that opens a one-time link gets
// this page; its button uses the link.
type SignInLinkPage struct {
	Page
	Text     string
	Action   string // address to which the form is sent
	Button   string
	Expires  time.Time
	AskName  bool // whether the page also asks for a name and an e-mail address, which the first administrator must give
	Name     string
	Email    string
	NameErr  *FieldError
	EmailErr *FieldError
}

// AskToRenew redirects a visitor whose sign-in is too old to address, the address of the page that
// asks for a fresh sign-in. After the sign-in, that page leads back to the current page. If the
// visitor sent a form, its values are lost.
func (c *Console) AskToRenew(w http.ResponseWriter, r *http.Request, address string) error {
	back := r.URL.RequestURI()
	if r.Method != http.MethodGet {
		back = ""
		if from, err := url.Parse(r.Referer()); err == nil && from.Host == r.Host {
			back = from.RequestURI()
		}
	}
	if back != "" {
		address += "?to=" + url.QueryEscape(back)
	}
	if r.Header.Get("HX-Request") != "" {
		w.Header().Set("HX-Redirect", address) // makes the script load the whole page
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return c.Redirect(w, r, address, Notice{})
}

// RecoveryPage is the data of the view "recover", which has the form for a recovery code.
type RecoveryPage struct {
	Page
	Action string // address to which the form is sent
	SignIn string // address of the sign-in page
	Error  *FieldError
}
