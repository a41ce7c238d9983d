package console

import (
	"errors"
	"net/http"

	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/refusal"
)

// operatorCookie carries an operator's session, on /d/.
const operatorCookie = "rollcall-operator"

// operatorVisit is what the guard of /d/ knows about a request.
type operatorVisit struct {
	Operator operator.Operator // zero on routes for anyone
	page     page              // the frame, its menu filled by the pages themselves
}

// operatorDoor is the guard of /d/ and the pages that let people through it.
type operatorDoor struct {
	console   *Console
	operators *operator.Operators
}

// routes stand in a table of their own: /d/sign-in/{secret} and /d/{directory}/users cannot share one.
func (d operatorDoor) routes() []route[*operatorVisit] {
	return []route[*operatorVisit]{
		{pattern: "GET /d/sign-in/{secret}", access: anyone, handle: d.showLink},
		{pattern: "POST /d/sign-in/{secret}", access: anyone, handle: d.redeemLink},
		{pattern: "POST /d/sign-out", access: anyone, handle: d.signOut},
	}
}

// guard asks the store each time, so that a removed operator's next click is the sign-in page.
func (d operatorDoor) guard(w http.ResponseWriter, r *http.Request, need access) (*operatorVisit, error) {
	v := &operatorVisit{}
	if need == anyone {
		return v, nil
	}
	op, err := d.operators.UseSession(r.Context(), d.console.sessionSecret(r, operatorCookie), browserOf(r))
	if errors.Is(err, refusal.Unauthorized) {
		return v, d.askIn(r)
	}
	if err != nil {
		return v, err
	}
	v.Operator = op
	v.page = page{
		Area:   areaName{Name: "Directories", Kind: "Operators", URL: "/d/"},
		Who:    &who{Name: op.Name, Role: "Operator", Home: accountURL, SignOut: "/d/sign-out"},
		Notice: d.console.takeNotice(w, r),
	}
	return v, nil
}

func (d operatorDoor) askIn(r *http.Request) *pageError {
	p := &signInPage{
		page:    page{Title: "Sign in as an operator", Narrow: true},
		Text:    "These pages are for whoever runs this installation. They open with a one-time link.",
		Command: "rollcall operator link NAME",
		Also:    "While there is no operator yet, rollcall serve prints the first link when it starts in a terminal.",
	}
	if d.console.sessionSecret(r, operatorCookie) != "" {
		p.Text = "You are signed out: the session has ended. These pages open again with a one-time link."
	}
	return &pageError{Status: http.StatusUnauthorized, Title: p.Title, Text: p.Text, signIn: p}
}

// showLink says whose link it is and leaves it unused: mail programs open links before people do.
func (d operatorDoor) showLink(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	d.console.keepSecret(w, r)
	pending, err := d.operators.Look(r.Context(), r.PathValue("secret"))
	if err != nil {
		return err
	}
	return d.console.view(w, r, http.StatusOK, "signin_link", signInLinkPage{
		page:    page{Title: "Sign in as " + pending.Name, Narrow: true},
		Text:    "This opens the directories, the enterprise applications and their provisioning in this browser. The link works once.",
		Action:  r.URL.Path,
		Button:  "Sign in as " + pending.Name,
		Expires: pending.Expires,
	})
}

func (d operatorDoor) redeemLink(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	d.console.keepSecret(w, r)
	s, err := d.operators.Redeem(r.Context(), r.PathValue("secret"), browserOf(r))
	if err != nil {
		return err
	}
	d.endOld(r)
	d.console.setSession(w, r, operatorCookie, s.Secret)
	d.console.rememberStart(w, r, "/d/")
	return d.console.redirect(w, r, "/d/", done("You are signed in as "+s.Operator.Name+"."))
}

// endOld ends the session that the browser is about to forget. A failure costs nothing: it expires by itself.
func (d operatorDoor) endOld(r *http.Request) {
	if old := d.console.sessionSecret(r, operatorCookie); old != "" {
		if err := d.operators.EndSession(r.Context(), old); err != nil {
			d.console.options.Log.Warn("replaced session not ended", "error", err)
		}
	}
}

func (d operatorDoor) signOut(w http.ResponseWriter, r *http.Request, _ *operatorVisit) error {
	if err := d.operators.SignOut(r.Context(), d.console.sessionSecret(r, operatorCookie)); err != nil {
		return err
	}
	d.console.setSession(w, r, operatorCookie, "")
	d.console.rememberStart(w, r, "")
	return d.console.redirect(w, r, "/d/", notice{})
}
