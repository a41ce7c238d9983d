package sitepages

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/site"
)

// scimPage is the data of the view "scim", the page "SCIM integration". The page follows the order
// and the words of the setup guide (docs/guide.md).
type scimPage struct {
	console.Page
	Site        site.Site
	TenantURL   console.CopyValue
	GuideURL    string // address of the setup guide
	OverviewURL string // address of the overview

	SaveURL, EnableURL, RolesURL string // addresses that save the form, the switch "Enable SCIM", and the switch for roles
	SSOURL, UnlockURL, OffURL    string // the links that the page shows while the set-up of SCIM is locked

	StartValues      []console.HiddenField // the stored values with which the form started
	HasUnsavedValues bool                  // whether the form shows typed values that are not saved yet
	SaveProblem      *console.Notice       // why nothing was saved; may be nil

	Switches   switchesForm
	Schemas    schemasSummary
	Searchable searchableSummary

	LiveTokens  []tokenRow // the live tokens, newest first
	EndedTokens []tokenRow // the ten newest tokens that have ended
	Generate    generateForm
	NewToken    *newToken // the token that was just created; set only in the response to the POST that created it
}

// generateForm is the form "Generate a SCIM authorization token".
type generateForm struct {
	GenerateURL  string // address of the button "Generate"; the button is inside the form that saves the settings
	HasLiveToken bool   // whether a token is live already; then the next page asks what to do with it
	Refusal      string // why no token can be generated now; empty if one can be
	FormNumber   string // a single-use number; the first POST that contains it uses it up
	Name         string
	LastDay      string // the day at whose end the token expires; empty if the token never expires
	Error        *console.FieldError
}

// newToken shows a token that was just created. Its secret is shown only once.
type newToken struct {
	Token        console.CopyValue
	Label        string // the name by which pages call the token
	OldTokenText string // a sentence that says what happens to the previous token; may be empty
	NextStep     string // a sentence that says what to do next; may be empty
	DoneURL      string // address of the next page, which no longer shows the token
}

// tokenRow is a row of the table of tokens.
type tokenRow struct {
	Label        string
	CreatedBy    string // who created the token
	Created      time.Time
	LastUsed     time.Time
	LastUsedFrom string // network address of the client that last used the token
	Expires      time.Time
	ExpiresSoon  bool   // whether the token expires within tokenWarningTime
	Note         string // a remark, such as "Ends the old token with its first call"; may be empty
	EndedText    string // how the token ended, "revoked" or "expired"; empty for a live token
	EndedAt      time.Time
	RevokeURL    string // address that revokes the token
}

// switchView is a checkbox for a setting. If the browser runs scripts, a click saves the setting
// immediately.
type switchView struct {
	ID, Name, URL      string
	IsOn               bool // whether the switch is on
	IsLocked           bool // whether the setting cannot be changed here
	NeedsScript        bool // whether the switch works only with scripts, because it is outside of any form
	ConfirmsTurningOff bool // whether turning the switch off needs a confirmation
}

// EnableSwitch returns the switch "Enable SCIM". While the page shows a new token, SCIM cannot be
// turned off there: the confirmation page would replace the page, and the token would be lost.
func (s scimPage) EnableSwitch() switchView {
	return switchView{
		ID: "enable-scim", Name: "enabled", URL: s.EnableURL, IsOn: s.Site.SCIMEnabled, ConfirmsTurningOff: true,
		IsLocked: s.NewToken != nil && s.Site.SCIMEnabled, NeedsScript: s.NewToken != nil && !s.Site.SCIMEnabled,
	}
}

// RolesSwitch returns the switch "Allow SCIM to manage user roles".
func (s scimPage) RolesSwitch() switchView {
	return switchView{ID: "manage-roles", Name: "roles", URL: s.RolesURL, IsOn: s.Site.ManageRoles, NeedsScript: s.NewToken != nil}
}

func (p *Pages) showSCIM(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	sp, err := p.scimPage(r, v)
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "scim", sp)
}

func (p *Pages) scimPage(r *http.Request, v *siteVisit) (scimPage, error) {
	now := p.Console.Options.Now()
	facts, err := p.readFacts(r.Context(), v)
	if err != nil {
		return scimPage{}, err
	}
	searchable, err := p.summarizeSearchable(r, v)
	if err != nil {
		return scimPage{}, err
	}
	state := decideState(v.Site, facts, now)
	pg := v.page
	pg.Title, pg.Badge, pg.StatusLine = "SCIM integration", state.Badge(), state.Detail()
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")})
	sp := scimPage{
		Page: pg, Site: v.Site, TenantURL: p.tenantURL(v),
		GuideURL: v.url("admin/access/scim/guide"), OverviewURL: v.url("admin/access"),
		SaveURL: v.url("admin/access/scim"), EnableURL: v.url("admin/access/scim/enabled"), RolesURL: v.url("admin/access/scim/roles"),
		SSOURL: v.url("admin/access/authentication"), UnlockURL: v.url("admin/access/scim/unlock"), OffURL: v.url("admin/access/scim/off"),
		StartValues: console.StartValueFields(settingFields(), settingValues(v.Site)),
		Switches:    newSwitchesForm(v.Site), Schemas: summarizeSchemas(v), Searchable: searchable,
	}
	live := liveTokens(facts.tokens, now)
	for _, t := range live {
		sp.LiveTokens = append(sp.LiveTokens, p.tokenRow(v, t, now))
	}
	for _, t := range facts.tokens {
		if !t.IsLive(now) && len(sp.EndedTokens) < 10 {
			sp.EndedTokens = append(sp.EndedTokens, p.tokenRow(v, t, now))
		}
	}
	q := r.URL.Query() // links back to this page contain the values that were typed for a new token
	sp.Generate = generateForm{GenerateURL: v.url("admin/access/scim/tokens"), FormNumber: console.NewFormNumber(), Name: q.Get("name"), LastDay: q.Get("expires")}
	switch len(live) {
	case 0:
	case 1:
		sp.Generate.HasLiveToken = true
	default:
		sp.Generate.Refusal = console.RefusalNotice("", site.LiveTokens(live).Refuse()).Text
	}
	return sp, nil
}

// tenantURL returns the address of the site's SCIM endpoint, for copying. Its label is Entra ID's
// name for it.
func (p *Pages) tenantURL(v *siteVisit) console.CopyValue {
	return console.CopyValue{
		ID: "tenant-url", Label: "Tenant URL", Value: p.Console.Options.PublicURL + v.url("auth/scim/v2"),
		Hint: "Entra ID asks for it under Provisioning, Admin Credentials. Okta calls it SCIM connector base URL.",
	}
}

func (p *Pages) tokenRow(v *siteVisit, t site.Token, now time.Time) tokenRow {
	row := tokenRow{
		Label: t.Label(), CreatedBy: console.ActorName(t.CreatedBy), Created: t.Created, LastUsed: t.LastUsed, LastUsedFrom: t.LastFrom, Expires: t.Expires,
		ExpiresSoon: !t.Expires.IsZero() && t.Expires.Sub(now) < tokenWarningTime,
		RevokeURL:   v.url("admin/access/scim/tokens/" + t.ID + "/revoke"),
	}
	if t.ReplacesOnUse != "" {
		row.Note = "Ends the old token with its first call"
	}
	switch {
	case !t.Revoked.IsZero():
		row.EndedText, row.EndedAt = "revoked", t.Revoked
	case !t.IsLive(now):
		row.EndedText, row.EndedAt = "expired", t.Expires
	}
	return row
}

// saveEnabled saves only the switch "Enable SCIM", and no other setting of the page. If the switch
// was turned off, it saves nothing and asks for confirmation.
func (p *Pages) saveEnabled(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	on := r.PostForm.Get("enabled") != ""
	if v.Site.SCIMEnabled && !on {
		return p.redirectWindow(w, r, v.url("admin/access/scim/off"), console.Notice{})
	}
	if on {
		if err := p.requireFreshSignIn(r, v); err != nil {
			return err
		}
	}
	n := console.Notice{}
	if on && !v.Site.SCIMEnabled {
		n = console.DoneNotice(scimOnText)
	}
	return p.saveSwitch(w, r, v, n, func(s *site.Site) { s.SCIMEnabled = s.SCIMEnabled || on })
}

const scimOnText = "SCIM is on. Your identity provider is let in with a token from this page."

// saveRoles saves only the switch "Allow SCIM to manage user roles". It asks for no confirmation,
// because the switch by itself changes no one's role.
func (p *Pages) saveRoles(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	on := r.PostForm.Get("roles") != ""
	n := console.Notice{}
	if on != v.Site.ManageRoles {
		n = console.DoneNotice(rolesChangedText(on))
	}
	return p.saveSwitch(w, r, v, n, func(s *site.Site) { s.ManageRoles = on })
}

func rolesChangedText(on bool) string {
	if on {
		return "SCIM may now promote and demote users by userType. Nobody’s role has changed yet."
	}
	return "SCIM may no longer change roles. Everybody keeps the role they have until an administrator changes it."
}

// saveSwitch saves one switch. If a script sent the request, it responds with the new page. The
// script replaces only the head of the page that is open, so that typed values stay.
func (p *Pages) saveSwitch(w http.ResponseWriter, r *http.Request, v *siteVisit, n console.Notice, change func(*site.Site)) error {
	changed, err := p.Sites.Update(r.Context(), v.Site.ID, v.actorLabel(), func(s *site.Site) error {
		change(s)
		return nil
	})
	if err != nil {
		return err
	}
	if r.Header.Get("HX-Request") == "" {
		return p.Console.Redirect(w, r, v.url("admin/access/scim"), n)
	}
	v.Site = changed
	sp, err := p.scimPage(r, v)
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "scim", sp)
}

// redirectWindow redirects the browser to target. It works for requests of scripts too: then the
// whole window goes to target.
func (p *Pages) redirectWindow(w http.ResponseWriter, r *http.Request, target string, n console.Notice) error {
	if r.Header.Get("HX-Request") == "" {
		return p.Console.Redirect(w, r, target, n)
	}
	w.Header().Set("HX-Redirect", target)
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (p *Pages) askSwitchOff(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if !v.Site.SCIMEnabled {
		return p.Console.Redirect(w, r, v.url("admin/access/scim"), console.Notice{Tone: console.ToneInfo, Text: "SCIM is off already."})
	}
	ask, err := p.switchOffPage(r, v)
	if err != nil {
		return err
	}
	return p.Console.View(w, r, http.StatusOK, "confirm", ask)
}

// switchOffPage returns the question whether to switch SCIM off.
func (p *Pages) switchOffPage(r *http.Request, v *siteVisit) (console.ConfirmPage, error) {
	counts, err := v.Roster.Counts(r.Context())
	if err != nil {
		return console.ConfirmPage{}, err
	}
	facts, err := p.readFacts(r.Context(), v)
	if err != nil {
		return console.ConfirmPage{}, err
	}
	pg := v.page
	pg.Title, pg.Narrow = "Turn SCIM off?", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")}, console.Crumb{Text: "SCIM integration", URL: v.url("admin/access/scim")})
	ask := console.ConfirmPage{
		Page: pg,
		Consequences: []string{
			fmt.Sprintf("%s here, %s active, %s deactivated. They keep their access and role as they are now.", console.PeopleCount(counts.All), console.GroupDigits(counts.Active), console.GroupDigits(counts.Deactivated)),
			"The identity provider is refused from its next call on. Entra ID puts its job into quarantine after repeated errors.",
			"People who leave the company are no longer cut off here by it.",
		},
		Undo:    "Checking Enable SCIM again lets it in with the same tokens. What changed there meanwhile arrives with its next full cycle.",
		FormURL: v.url("admin/access/scim/off"), Button: "Turn SCIM off", IsDangerous: true, CancelURL: v.url("admin/access/scim"),
	}
	if s := decideState(v.Site, facts, p.Console.Options.Now()).Status; s == statusWorking || s == statusFailing || s == statusQuiet {
		ask.NameToType = v.Site.Name
	}
	return ask, nil
}

func (p *Pages) switchSCIMOff(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	ask, err := p.switchOffPage(r, v)
	if err != nil {
		return err
	}
	if ask.NameToType != "" && strings.TrimSpace(r.PostForm.Get("confirm")) != ask.NameToType {
		ask.Error = &console.FieldError{For: "confirm", Text: "That is not the name of this site. Nothing was changed."}
		return p.Console.View(w, r, http.StatusUnprocessableEntity, "confirm", ask)
	}
	if _, err := p.Sites.Update(r.Context(), v.Site.ID, v.actorLabel(), func(s *site.Site) error {
		s.SCIMEnabled = false
		return nil
	}); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("admin/access/scim"), console.DoneNotice("SCIM is off. The identity provider is refused until you check Enable SCIM again."))
}

// explainMissingToken turns a NotFound error into a page that says that the token does not exist.
// It returns other errors unchanged.
func explainMissingToken(err error, v *siteVisit) error {
	if !errors.Is(err, refusal.NotFound) {
		return err
	}
	return &console.PageError{
		Status: http.StatusNotFound, Title: "There is no such token", Text: "It may belong to another site.",
		Action: &console.Action{Text: "SCIM integration", URL: v.url("admin/access/scim")},
	}
}
