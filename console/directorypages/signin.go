package directorypages

import (
	"errors"
	"net/http"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/refusal"
)

// SessionCookie carries an operator's session, on /d/.
const SessionCookie = "rollcall-operator"

// operatorVisit is what the guard of /d/ knows about a request.
type operatorVisit struct {
	Operator operator.Operator // zero on routes for anyone
	page     console.Page      // the frame, its menu filled by the pages themselves
}

// operatorDoor is the guard of /d/ and the pages that let people through it.
type operatorDoor struct {
	console   *console.Console
	operators *operator.Operators
}

// routes stand in a table of their own: /d/sign-in/{secret} and /d/{directory}/users cannot share one.
func (d operatorDoor) routes() []console.Route[*operatorVisit] {
	return []console.Route[*operatorVisit]{
		{Pattern: "GET /d/sign-in/{secret}", Access: console.Anyone, Handle: d.showLink},
		{Pattern: "POST /d/sign-in/{secret}", Access: console.Anyone, Handle: d.redeemLink},
		{Pattern: "POST /d/sign-out", Access: console.Anyone, Handle: d.signOut},
	}
}

// guard asks the store each time, so that a removed operator's next click is the sign-in page.
func (d operatorDoor) guard(w http.ResponseWriter, r *http.Request, need console.Access) (*operatorVisit, error) {
	v := &operatorVisit{}
	if need == console.Anyone {
		return v, nil
	}
	op, err := d.operators.UseSession(r.Context(), d.console.SessionSecret(r, SessionCookie), console.BrowserOf(r))
	if errors.Is(err, refusal.Unauthorized) {
		return v, d.askIn(r)
	}
	if err != nil {
		return v, err
	}
	v.Operator = op
	v.page = console.Page{
		Area:   console.AreaName{Name: "Directories", Kind: "Operators", URL: "/d/"},
		Who:    &console.Visitor{Name: op.Name, Role: "Operator", Home: accountURL, SignOut: "/d/sign-out"},
		Notice: d.console.TakeNotice(w, r),
	}
	return v, nil
}

func (d operatorDoor) askIn(r *http.Request) *console.PageError {
	p := &console.SignInPage{
		Page:    console.Page{Title: "Sign in as an operator", Narrow: true},
		Text:    "These pages are for whoever runs this installation. They open with a one-time link.",
		Command: "rollcall operator link NAME",
		Also:    "While there is no operator yet, rollcall serve prints the first link when it starts in a terminal.",
	}
	if d.console.SessionSecret(r, SessionCookie) != "" {
		p.Text = "You are signed out: the session has ended. These pages open again with a one-time link."
	}
	return &console.PageError{Status: http.StatusUnauthorized, Title: p.Title, Text: p.Text, SignIn: p}
}

// showLink says whose link it is and leaves it unused: mail programs open links before people do.
func (d operatorDoor) showLink(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	d.console.KeepPathSecret(w, r)
	pending, err := d.operators.Look(r.Context(), r.PathValue("secret"))
	if err != nil {
		return err
	}
	return d.console.View(w, r, http.StatusOK, "signin_link", console.SignInLinkPage{
		Page:    console.Page{Title: "Sign in as " + pending.Name, Narrow: true},
		Text:    "This opens the directories, the enterprise applications and their provisioning in this browser. The link works once.",
		Action:  r.URL.Path,
		Button:  "Sign in as " + pending.Name,
		Expires: pending.Expires,
	})
}

func (d operatorDoor) redeemLink(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	d.console.KeepPathSecret(w, r)
	s, err := d.operators.Redeem(r.Context(), r.PathValue("secret"), console.BrowserOf(r))
	if err != nil {
		return err
	}
	d.endOld(r)
	d.console.SetSession(w, r, SessionCookie, s.Secret)
	d.console.RememberStart(w, r, "/d/")
	return d.console.Redirect(w, r, "/d/", console.DoneNotice("You are signed in as "+s.Operator.Name+"."))
}

// endOld ends the session that the browser is about to forget. A failure costs nothing: it expires by itself.
func (d operatorDoor) endOld(r *http.Request) {
	if old := d.console.SessionSecret(r, SessionCookie); old != "" {
		if err := d.operators.EndSession(r.Context(), old); err != nil {
			d.console.Options.Log.Warn("replaced session not ended", "error", err)
		}
	}
}

func (d operatorDoor) signOut(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	if err := d.operators.SignOut(r.Context(), d.console.SessionSecret(r, SessionCookie)); err != nil {
		return err
	}
	d.console.SetSession(w, r, SessionCookie, "")
	d.console.RememberStart(w, r, "")
	return d.console.Redirect(w, r, "/d/", console.Notice{})
}
