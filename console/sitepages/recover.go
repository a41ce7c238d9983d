package sitepages

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
)

// recoveryPage returns the page with the form for a recovery code. A site that does not exist has
// the same page, so that no one can find out which sites exist.
func (p *Pages) recoveryPage(r *http.Request) console.RecoveryPage {
	name := r.PathValue("site")
	c := console.RecoveryPage{Action: "/c/" + name + "/recover", SignIn: "/c/" + name + "/"}
	c.Title, c.Narrow = "Recovery code for "+name, true
	return c
}

func (p *Pages) showRecovery(w http.ResponseWriter, r *http.Request, _ *siteVisit) error {
	if site.CheckName(r.PathValue("site")) != nil {
		return console.ErrNotFound
	}
	return p.show(w, r, http.StatusOK, "recover", p.recoveryPage(r))
}

// useRecoveryCode signs an administrator in with a recovery code. A site that does not exist gives
// the same answer as an existing site gives to an unknown code.
func (p *Pages) useRecoveryCode(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if site.CheckName(r.PathValue("site")) != nil {
		return console.ErrNotFound
	}
	if err := p.Console.RefuseFlood(w, r); err != nil {
		return err
	}
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	started, err := p.SSO.Recover(r.Context(), v.Site, r.PostForm.Get("code"), console.BrowserOf(r))
	if errors.Is(err, signin.ErrNoSuchCode) {
		p.Console.CountFailure(r)
		c := p.recoveryPage(r)
		e, _ := refusal.Find(err)
		c.Error = &console.FieldError{For: "code", Text: e.Sentences()}
		return p.show(w, r, http.StatusForbidden, "recover", c)
	}
	if err != nil {
		return err
	}
	return p.enter(w, r, v, started, v.url("admin/access/authentication"))
}

// makeRecoveryCodes creates recovery codes. It responds directly with the page that shows them,
// because a secret must not go through a redirect. If the same form is sent again, it creates
// nothing.
func (p *Pages) makeRecoveryCodes(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	seen, err := strconv.ParseInt(r.PostForm.Get("made"), 10, 64)
	if err != nil {
		return console.UnreadableForm(err)
	}
	codes, err := p.SSO.MakeRecoveryCodes(r.Context(), v.Site, v.Person, parseCreationTime(seen), v.actorLabel())
	if errors.Is(err, signin.ErrCodesStale) {
		return p.redirectFromRecoveryCodes(w, r, v)
	}
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	return p.renderSSO(w, r, v, http.StatusOK, func(s *ssoPage) { s.Codes.NewCodes = codes })
}

// redirectFromRecoveryCodes redirects a browser that opens the address of new recovery codes again.
// The codes are shown only once.
func (p *Pages) redirectFromRecoveryCodes(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.Console.Redirect(w, r, v.url("admin/access/authentication"), console.Notice{
		Tone: console.ToneInfo, Title: "Recovery codes are shown once", Text: "Nothing new was made. If you did not save the codes, make new ones.",
	})
}

// recoveryCodesPart is the part of the page "Single sign-on" about the recovery codes of the
// administrator who looks at the page.
type recoveryCodesPart struct {
	CreateURL     string    // address that creates new codes
	CreatedMicros int64     // when the codes were created, in microseconds since 1970; 0 if there are none
	CreatedAt     time.Time // when the codes were created; zero if there are none
	UnusedCount   int       // how many codes are unused
	NewCodes      []string  // the new codes; set only in the response to the form that created them
}

func parseCreationTime(microseconds int64) time.Time {
	if microseconds == 0 {
		return time.Time{}
	}
	return time.UnixMicro(microseconds).UTC()
}

func (p *Pages) readRecoveryCodes(r *http.Request, v *siteVisit) (recoveryCodesPart, error) {
	set, err := p.SSO.RecoverySet(r.Context(), v.Site, v.Person.ID)
	c := recoveryCodesPart{CreateURL: v.url("admin/access/authentication/recovery-codes"), CreatedAt: set.Made, UnusedCount: set.Left}
	if !set.Made.IsZero() {
		c.CreatedMicros = set.Made.UnixMicro()
	}
	return c, err
}
