package sitepages

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/site"
)

// formUsedNotice is shown when a form that created a token is sent again, by a reload or by the
// browser's Back button.
var formUsedNotice = console.Notice{
	Tone: console.ToneInfo, Title: "A token is shown once",
	Text: "Nothing new was made. If you did not save the token, generate another one and give it to your identity provider.",
}

// redirectFromToken redirects a browser that opens the address of a new token again. The token is
// shown only once.
func (p *Pages) redirectFromToken(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.Console.Redirect(w, r, v.url("admin/access/scim"), formUsedNotice)
}

// generateToken creates a token. It responds directly with the page that shows the token, because a
// secret must not go through a redirect. If the same form is sent again, it creates nothing.
func (p *Pages) generateToken(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	req, wrong := p.tokenRequest(r, v)
	if wrong != nil {
		return p.showTokenProblem(w, r, v, wrong)
	}
	if req.FormNumber == "" || len(req.FormNumber) > 100 {
		return console.UnreadableForm(errors.New("the form has no number"))
	}
	// The button "Generate" is inside the form with the settings, so creating the token also saves
	// the settings.
	edit := &scimEdit{form: r.PostForm}
	if editsSettings(r.PostForm) {
		req.Change = edit.apply
	}
	before, err := p.Sites.Tokens(r.Context(), v.Site.ID)
	if err != nil {
		return err
	}
	made, secret, err := p.Sites.CreateToken(r.Context(), v.Site.ID, req)
	switch {
	case errors.Is(err, site.ErrFormUsed):
		return p.Console.Redirect(w, r, v.url("admin/access/scim"), formUsedNotice)
	case errors.Is(err, errNotSaved):
		return p.handleNotSaved(w, r, v, edit)
	case errors.Is(err, site.ErrOneLive), errors.Is(err, site.ErrTwoLive):
		return p.askBeforeReplacing(w, r, v, edit, err)
	case err != nil:
		if wrong := console.InputError(err, console.InputIDs{"name": "token-name", "expires": "token-expires"}); wrong != nil {
			return p.showTokenProblem(w, r, v, wrong)
		}
		return err
	}
	if v.Site, err = p.Sites.Get(r.Context(), v.Site.ID); err != nil {
		return err
	}
	sp, err := p.scimPage(r, v)
	if err != nil {
		return err
	}
	sp.NewToken = &newToken{
		Token:        console.CopyValue{ID: "token", Label: "Authorization token", Value: secret, Button: "Copy to clipboard", Hint: "Entra ID calls it Secret Token, Okta calls it API token."},
		Label:        made.Label(),
		OldTokenText: oldTokenText(liveTokens(before, made.Created), made, req.Mode),
		DoneURL:      v.url("admin/access/scim"),
	}
	if edit.turnsOff {
		sp.NewToken.NextStep, sp.NewToken.DoneURL = "You unticked Enable SCIM. Turning SCIM off is asked about on the next page.", v.url("admin/access/scim/off")
	}
	return p.show(w, r, http.StatusOK, "scim", sp)
}

// editsSettings reports whether a form contains settings too. The form of the page that asks what
// to do with the live token contains none.
func editsSettings(form url.Values) bool {
	for name := range form {
		if strings.HasPrefix(name, console.StartValuePrefix) {
			return true
		}
	}
	return false
}

// askBeforeReplacing responds to the button "Generate" if a token is live already. It saves the
// settings, and then asks what to do with the live token.
func (p *Pages) askBeforeReplacing(w http.ResponseWriter, r *http.Request, v *siteVisit, edit *scimEdit, live error) error {
	n := console.Notice{}
	if editsSettings(r.PostForm) {
		changed, err := p.Sites.Update(r.Context(), v.Site.ID, v.actorLabel(), edit.apply)
		if errors.Is(err, errNotSaved) {
			return p.handleNotSaved(w, r, v, edit)
		}
		if err != nil {
			return err
		}
		if len(edit.merged.ChangedByUser) > 0 {
			n = console.DoneNotice(edit.summarize(changed))
		}
	}
	if errors.Is(live, site.ErrOneLive) {
		back := url.Values{"name": {r.PostForm.Get("name")}, "expires": {r.PostForm.Get("expires")}}
		return p.Console.Redirect(w, r, v.url("admin/access/scim/tokens/new?"+back.Encode()), n)
	}
	full := console.RefusalNotice("No token was made", live)
	full.Text += " " + n.Text
	return p.Console.Redirect(w, r, addressWithTyped(v, r.PostForm), *full)
}

// showTokenProblem shows the page again, with the error beside the input for the new token.
func (p *Pages) showTokenProblem(w http.ResponseWriter, r *http.Request, v *siteVisit, wrong *console.FieldError) error {
	sp, err := p.scimPage(r, v)
	if err != nil {
		return err
	}
	if editsSettings(r.PostForm) {
		// The settings were not saved, so the page shows them as they were typed.
		asked := v.Site
		values := map[string]string{}
		for _, f := range settingFields() {
			values[f.Name] = f.FormValue(r.PostForm)
		}
		setSettings(&asked, values) //nolint:errcheck // a wrong number is reported when the settings are saved
		sp.Site, sp.StartValues, sp.HasUnsavedValues = asked, console.RepeatStartValueFields(r.PostForm, settingFields()), true
		sp.Switches.showSettings(asked)
		sp.Switches.showTyped(r.PostForm, nil)
	}
	sp.Generate.Name, sp.Generate.LastDay, sp.Generate.Error = r.Form.Get("name"), r.Form.Get("expires"), wrong
	return p.show(w, r, http.StatusUnprocessableEntity, "scim", sp)
}

// tokenRequest reads the form for a new token. It sets KeepOff, so that creating the token does not
// turn SCIM on: the checkbox on the same page decides that.
func (p *Pages) tokenRequest(r *http.Request, v *siteVisit) (site.TokenRequest, *console.FieldError) {
	req := site.TokenRequest{
		Name: strings.TrimSpace(r.Form.Get("name")), Actor: v.actorLabel(), FormNumber: r.Form.Get("form"), KeepOff: true,
	}
	switch r.Form.Get("mode") {
	case "replace":
		req.Mode = site.Replace
	case "keep":
		req.Mode = site.KeepUntilUsed
	}
	text := r.Form.Get("expires")
	if text == "" {
		return req, nil
	}
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return req, &console.FieldError{For: "token-expires", Text: "Write the day as 2027-01-31, or leave it empty: then the token does not expire."}
	}
	req.Expires = day.AddDate(0, 0, 1) // the token is valid until the end of that day, in UTC
	if !req.Expires.After(p.Console.Options.Now()) {
		return req, &console.FieldError{For: "token-expires", Text: "That day is over. Choose a later one, or leave it empty: then the token does not expire."}
	}
	return req, nil
}

// oldTokenText says what happens to the old token after the token made was generated. It returns ""
// if there was no live token before.
func oldTokenText(before []site.Token, made site.Token, mode site.TokenMode) string {
	switch {
	case len(before) == 0:
		return ""
	case mode == site.KeepUntilUsed:
		return fmt.Sprintf("Token %s works until the first call with %s.", before[0].Label(), made.Label())
	}
	return fmt.Sprintf("Token %s is revoked. Provisioning stops until your identity provider has the new one.", before[0].Label())
}

// askReplace asks what to do with the live token when a new one is generated.
func (p *Pages) askReplace(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	now := p.Console.Options.Now()
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	if _, wrong := p.tokenRequest(r, v); wrong != nil {
		return p.showTokenProblem(w, r, v, wrong)
	}
	tokens, err := p.Sites.Tokens(r.Context(), v.Site.ID)
	if err != nil {
		return err
	}
	live := liveTokens(tokens, now)
	if len(live) != 1 {
		return p.Console.Redirect(w, r, v.url("admin/access/scim"), console.Notice{})
	}
	old := live[0]
	pg := v.page
	pg.Title, pg.Narrow = "Generate another token?", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")}, console.Crumb{Text: "SCIM integration", URL: v.url("admin/access/scim")})
	return p.Console.View(w, r, http.StatusOK, "confirm", console.ConfirmPage{
		Page:         pg,
		Consequences: []string{fmt.Sprintf("Token %s is live. It was %s.", old.Label(), lastUseText(old, now))},
		Choices: []console.Choice{
			{
				Name: "mode", Value: "replace", Text: "Replace it now", Checked: true,
				Help: "The old token ends at once. Provisioning stops until your Identity Provider has the new token. Choose this also if the old one leaked.",
			},
			{
				Name: "mode", Value: "keep", Text: "Keep it until the new one is used",
				Help: "The old token works until the first call with the new one, so provisioning does not stop.",
			},
		},
		FormURL: v.url("admin/access/scim/tokens"), Button: "Generate", CancelURL: addressWithTyped(v, r.Form),
		Fields: []console.HiddenField{{Name: "form", Value: console.NewFormNumber()}, {Name: "name", Value: r.Form.Get("name")}, {Name: "expires", Value: r.Form.Get("expires")}},
	})
}

func lastUseText(t site.Token, now time.Time) string {
	if t.LastUsed.IsZero() {
		return "never used"
	}
	text := "last used " + console.RelativeTime(t.LastUsed, now)
	if t.LastFrom != "" {
		text += " from " + t.LastFrom
	}
	return text
}

func (p *Pages) findToken(r *http.Request, v *siteVisit) (site.Token, []site.Token, error) {
	tokens, err := p.Sites.Tokens(r.Context(), v.Site.ID)
	if err != nil {
		return site.Token{}, nil, err
	}
	for _, t := range tokens {
		if t.ID == r.PathValue("token") {
			return t, tokens, nil
		}
	}
	return site.Token{}, nil, explainMissingToken(site.ErrTokenNotFound, v)
}

func (p *Pages) askRevoke(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	now := p.Console.Options.Now()
	t, all, err := p.findToken(r, v)
	if err != nil {
		return err
	}
	if !t.IsLive(now) {
		return p.Console.Redirect(w, r, v.url("admin/access/scim"), console.Notice{Tone: console.ToneInfo, Text: "Token " + t.Label() + " has ended already."})
	}
	consequences := []string{
		fmt.Sprintf("The token was %s. Whoever has it is refused from the next call on.", lastUseText(t, now)),
	}
	if len(liveTokens(all, now)) == 1 {
		consequences = append(consequences, "It is the only live token: provisioning stops until you generate another one and your identity provider has it.")
	} else {
		consequences = append(consequences, "The other token stays live.")
	}
	pg := v.page
	pg.Title, pg.Narrow = "Revoke the token "+t.Label()+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")}, console.Crumb{Text: "SCIM integration", URL: v.url("admin/access/scim")})
	return p.Console.View(w, r, http.StatusOK, "confirm", console.ConfirmPage{
		Page: pg, Consequences: consequences, Undo: "This cannot be undone.",
		FormURL: r.URL.Path, Button: "Revoke token", IsDangerous: true, CancelURL: v.url("admin/access/scim"),
	})
}

func (p *Pages) revokeToken(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	t, _, err := p.findToken(r, v)
	if err != nil {
		return err
	}
	if err := p.Sites.RevokeToken(r.Context(), v.Site.ID, t.ID, v.actorLabel()); err != nil {
		return explainMissingToken(err, v)
	}
	return p.Console.Redirect(w, r, v.url("admin/access/scim"), console.DoneNotice("Token "+t.Label()+" is revoked."))
}
