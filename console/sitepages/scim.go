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

// scimPage is the data of the view "scim", in the order and words of the setup guide
// (docs/guide.md).
type scimPage struct {
	console.Page
	Site      site.Site
	TenantURL console.CopyValue
	Guide     string // address of the setup guide
	Overview  string // address of the overview

	SaveURL, EnableURL, RolesURL string // addresses that save the form, the switch Enable SCIM, and the switch of roles
	SSO, UnlockURL, OffURL       string // addresses that a page shows while its set-up is locked

	Was     []console.HiddenField // the values that the form started from
	Unsaved bool                  // whether the form has values that are not saved
	Trouble *console.Notice       // why nothing was saved; may be nil

	Switches   switchesForm
	Schemas    schemasSummary
	Searchable searchableSummary

	Tokens   []tokenRow // the live tokens, newest first
	Ended    []tokenRow // the last ten tokens that have ended
	Generate generateForm
	Made     *madeToken // the new token; set only in the response to the POST that created the token
}

// generateForm is the form "Generate a SCIM authorization token".
type generateForm struct {
	Action  string // address for the button Generate; the form around the button saves the settings
	Ask     bool   // whether a token is live already; then the next page asks what happens to it
	Refused string // why no token can be generated now; empty if one can
	Number  string // a single-use number, used up by the first POST that contains it
	Name    string
	Expires string // a date; empty if the token never expires
	Error   *console.FieldError
}

// madeToken is a new token. It is shown only once.
type madeToken struct {
	Token  console.CopyValue
	Label  string // what the pages call the token
	Before string // what happened to the previous token; may be empty
	Note   string // what to do next; may be empty
	Done   string // address of the page without the token
}

// tokenRow is a token in the table.
type tokenRow struct {
	Label     string
	By        string // who created the token
	Created   time.Time
	LastUsed  time.Time
	From      string // where the token was last used from
	Expires   time.Time
	Soon      bool   // whether the token expires within a month
	Note      string // a remark, such as "ends the old one with its first call"
	EndedText string // why the token ended; only for tokens that have ended
	EndedAt   time.Time
	Revoke    string // address that revokes the token
}

// switchView is a checkbox. If the browser runs scripts, a click saves it immediately.
type switchView struct {
	ID, Name, URL string
	On            bool // whether the switch is on
	Locked        bool // whether the setting cannot be changed here
	ByScript      bool // whether the switch needs a script, because no form surrounds it
	AsksOff       bool // whether turning it off asks for confirmation
}

// EnableSwitch returns the switch Enable SCIM. On a page that shows a new token, SCIM cannot be
// turned off, because the question before that would leave the page.
func (s scimPage) EnableSwitch() switchView {
	return switchView{
		ID: "enable-scim", Name: "enabled", URL: s.EnableURL, On: s.Site.SCIMEnabled, AsksOff: true,
		Locked: s.Made != nil && s.Site.SCIMEnabled, ByScript: s.Made != nil && !s.Site.SCIMEnabled,
	}
}

// RolesSwitch returns the switch Allow SCIM to manage user roles.
func (s scimPage) RolesSwitch() switchView {
	return switchView{ID: "manage-roles", Name: "roles", URL: s.RolesURL, On: s.Site.ManageRoles, ByScript: s.Made != nil}
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
	searchable, err := p.searchableSummary(r, v)
	if err != nil {
		return scimPage{}, err
	}
	state := stateOf(v.Site, facts, now)
	pg := v.page
	pg.Title, pg.Badge, pg.StatusLine = "SCIM integration", state.Badge(), state.Detail()
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")})
	sp := scimPage{
		Page: pg, Site: v.Site, TenantURL: p.tenantURL(v),
		Guide: v.url("admin/access/scim/guide"), Overview: v.url("admin/access"),
		SaveURL: v.url("admin/access/scim"), EnableURL: v.url("admin/access/scim/enabled"), RolesURL: v.url("admin/access/scim/roles"),
		SSO: v.url("admin/access/authentication"), UnlockURL: v.url("admin/access/scim/unlock"), OffURL: v.url("admin/access/scim/off"),
		Was:      console.WasFields(settingFields(), settingValues(v.Site)),
		Switches: switchesFormOf(v.Site), Schemas: schemasSummaryOf(v), Searchable: searchable,
	}
	live := liveTokens(facts.tokens, now)
	for _, t := range live {
		sp.Tokens = append(sp.Tokens, p.tokenRow(v, t, now))
	}
	for _, t := range facts.tokens {
		if !t.IsLive(now) && len(sp.Ended) < 10 {
			sp.Ended = append(sp.Ended, p.tokenRow(v, t, now))
		}
	}
	q := r.URL.Query() // other pages lead back here with the typed values
	sp.Generate = generateForm{Action: v.url("admin/access/scim/tokens"), Number: console.NewFormNumber(), Name: q.Get("name"), Expires: q.Get("expires")}
	switch len(live) {
	case 0:
	case 1:
		sp.Generate.Ask = true
	default:
		sp.Generate.Refused = console.RefusalNotice("", site.LiveTokens(live).Refuse()).Text
	}
	return sp, nil
}

// tenantURL returns the address that the identity provider calls. Its label is the one that the
// identity provider uses.
func (p *Pages) tenantURL(v *siteVisit) console.CopyValue {
	return console.CopyValue{
		ID: "tenant-url", Label: "Tenant URL", Value: p.Console.Options.PublicURL + v.url("auth/scim/v2"),
		Hint: "Entra ID asks for it under Provisioning, Admin Credentials. Okta calls it SCIM connector base URL.",
	}
}

func (p *Pages) tokenRow(v *siteVisit, t site.Token, now time.Time) tokenRow {
	row := tokenRow{
		Label: t.Label(), By: console.ActorName(t.CreatedBy), Created: t.Created, LastUsed: t.LastUsed, From: t.LastFrom, Expires: t.Expires,
		Soon:   !t.Expires.IsZero() && t.Expires.Sub(now) < expiresSoon,
		Revoke: v.url("admin/access/scim/tokens/" + t.ID + "/revoke"),
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

// saveEnabled saves only the switch Enable SCIM. It leaves the rest of the page unchanged. Turning
// SCIM off needs a confirmation first.
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
		n = console.DoneNotice(scimIsOn)
	}
	return p.saveSwitch(w, r, v, n, func(s *site.Site) { s.SCIMEnabled = s.SCIMEnabled || on })
}

const scimIsOn = "SCIM is on. Your identity provider is let in with a token from this page."

// saveRoles saves only the switch Allow SCIM to manage user roles. It asks for no confirmation,
// because it changes no one's role.
func (p *Pages) saveRoles(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	on := r.PostForm.Get("roles") != ""
	n := console.Notice{}
	if on != v.Site.ManageRoles {
		n = console.DoneNotice(rolesText(on))
	}
	return p.saveSwitch(w, r, v, n, func(s *site.Site) { s.ManageRoles = on })
}

func rolesText(on bool) string {
	if on {
		return "SCIM may now promote and demote users by userType. Nobody’s role has changed yet."
	}
	return "SCIM may no longer change roles. Everybody keeps the role they have until an administrator changes it."
}

// saveSwitch saves one switch. A script gets the new page but replaces only the head of its page,
// so that typed values stay.
func (p *Pages) saveSwitch(w http.ResponseWriter, r *http.Request, v *siteVisit, n console.Notice, change func(*site.Site)) error {
	changed, err := p.Sites.Update(r.Context(), v.Site.ID, v.actor(), func(s *site.Site) error {
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

// redirectWindow redirects the browser to target. If a script sent the request, the whole window
// goes there.
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
		Undo:   "Checking Enable SCIM again lets it in with the same tokens. What changed there meanwhile arrives with its next full cycle.",
		Action: v.url("admin/access/scim/off"), Button: "Turn SCIM off", Danger: true, Cancel: v.url("admin/access/scim"),
	}
	if s := stateOf(v.Site, facts, p.Console.Options.Now()).Status; s == statusWorking || s == statusFailing || s == statusQuiet {
		ask.TypeName = v.Site.Name
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
	if ask.TypeName != "" && strings.TrimSpace(r.PostForm.Get("confirm")) != ask.TypeName {
		ask.Error = &console.FieldError{For: "confirm", Text: "That is not the name of this site. Nothing was changed."}
		return p.Console.View(w, r, http.StatusUnprocessableEntity, "confirm", ask)
	}
	if _, err := p.Sites.Update(r.Context(), v.Site.ID, v.actor(), func(s *site.Site) error {
		s.SCIMEnabled = false
		return nil
	}); err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("admin/access/scim"), console.DoneNotice("SCIM is off. The identity provider is refused until you check Enable SCIM again."))
}

// errNoToken turns a NotFound error into a page about a missing token. It returns other errors
// unchanged.
func errNoToken(err error, v *siteVisit) error {
	if !errors.Is(err, refusal.NotFound) {
		return err
	}
	return &console.PageError{
		Status: http.StatusNotFound, Title: "There is no such token", Text: "It may belong to another site.",
		Action: &console.Action{Text: "SCIM integration", URL: v.url("admin/access/scim")},
	}
}
