package console

import (
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/site"
)

// switchesForm is "What SCIM may do".
type switchesForm struct {
	Groups  []radioGroup
	Ticks   []choice
	Rate    string // as typed; empty: no limit
	MinRate int
	Error   *fieldError
}

// radioGroup is a question with one answer of several.
type radioGroup struct {
	Name    string
	Label   string
	Choices []choice
}

func switchesOf(s site.Site) switchesForm {
	f := switchesForm{MinRate: site.MinRateLimit, Rate: rateText(s.RateLimit)}
	f.show(s)
	return f
}

func rateText(limit int) string {
	if limit == 0 {
		return ""
	}
	return strconv.Itoa(limit)
}

// scimFields are the values that the page SCIM integration edits, all in one form.
func scimFields() []editField {
	return []editField{
		editTick("enabled", "Enable SCIM"),
		editTick("roles", "Allow SCIM to manage user roles"),
		editChoice("create", "When the IdP sends Create", map[string]string{"refuse": createText(false), "create": createText(true)}),
		editChoice("delete", "When the IdP sends Delete", map[string]string{
			string(site.RefuseDelete): deleteText(site.RefuseDelete), string(site.DeactivateOnDelete): deleteText(site.DeactivateOnDelete), string(site.DeleteForGood): deleteText(site.DeleteForGood),
		}),
		editTick("groups", "Take groups"),
		editTick("revive", "Revive on Create"),
		editTick("names", "Groups may share a name"),
		editTick("strict", "Strict mode"),
		{Name: "rate", Label: "Requests per second, at most"},
	}
}

// scimValues are the stored values of scimFields.
func scimValues(s site.Site) map[string]string {
	create := "refuse"
	if s.Creates {
		create = "create"
	}
	return map[string]string{
		"enabled": tickValue(s.SCIMEnabled), "roles": tickValue(s.ManageRoles), "create": create, "delete": string(s.Deletes),
		"groups": tickValue(s.Groups), "revive": tickValue(s.Revives), "strict": tickValue(s.Strict), "names": tickValue(s.SharedGroupNames), "rate": rateText(s.RateLimit),
	}
}

// setSCIM gives a site these values. A delete mode that is none asks for the least.
func setSCIM(s *site.Site, values map[string]string) *fieldError {
	mode, err := site.ParseDeleteMode(values["delete"])
	if err != nil {
		mode = site.RefuseDelete
	}
	s.SCIMEnabled, s.ManageRoles, s.Creates, s.Deletes = values["enabled"] != "", values["roles"] != "", values["create"] == "create", mode
	s.Groups, s.Revives, s.Strict = values["groups"] != "", values["revive"] != "", values["strict"] != ""
	s.SharedGroupNames = values["names"] != ""
	s.RateLimit = 0
	if values["rate"] == "" {
		return nil
	}
	rate, err := strconv.Atoi(values["rate"])
	if err != nil || rate != 0 && (rate < site.MinRateLimit || rate > site.MaxRateLimit) {
		return &fieldError{For: "rate", Text: "Write a whole number from " + strconv.Itoa(site.MinRateLimit) + " to " + strconv.Itoa(site.MaxRateLimit) + ", or leave it empty for no limit."}
	}
	s.RateLimit = rate
	return nil
}

// scimEdit is a form of the page SCIM integration on its way into the site.
type scimEdit struct {
	form   url.Values
	merged mergedEdit
	before site.Site
	off    bool        // it asks to switch SCIM off, which is asked about by itself
	wrong  *fieldError // of errNotSaved
}

// errNotSaved ends an edit that has to be answered in another way: a wrong value, a conflict, or a question.
var errNotSaved = errors.New("the settings were not saved yet")

// deletesForGood says whether the edit chooses Delete (cannot be undone), which is confirmed first.
func (e *scimEdit) deletesForGood() bool {
	return e.before.Deletes != site.DeleteForGood && e.merged.Values["delete"] == string(site.DeleteForGood) && e.form.Get("confirmed") != "delete"
}

// apply brings the form into the site. It is run by the domain on the site as it is.
func (e *scimEdit) apply(s *site.Site) error {
	var err error
	e.before, e.wrong, e.off = *s, nil, false
	if e.merged, err = mergeEdit(e.form, scimFields(), scimValues(*s)); err != nil {
		return err
	}
	if len(e.merged.Conflicts) > 0 || e.deletesForGood() {
		return errNotSaved
	}
	if e.wrong = setSCIM(s, e.merged.Values); e.wrong != nil {
		return errNotSaved
	}
	e.off = e.before.SCIMEnabled && !s.SCIMEnabled
	s.SCIMEnabled = s.SCIMEnabled || e.off
	return nil
}

// show sets the form to what a site has.
func (f *switchesForm) show(s site.Site) {
	f.Groups = []radioGroup{
		{Name: "create", Label: "When the IdP sends Create", Choices: []choice{
			{Value: "refuse", Text: "Refuse, and say how to fix it", Checked: !s.Creates, Help: "The answer names the setting to change in the identity provider. Accounts are made at the first sign-in."},
			{Value: "create", Text: "Create the account", Checked: s.Creates, Help: "Whoever is assigned there has an account here before they sign in."},
		}},
		{Name: "delete", Label: "When the IdP sends Delete", Choices: []choice{
			{Value: string(site.RefuseDelete), Text: "Refuse", Checked: s.Deletes == site.RefuseDelete, Help: "Nothing happens here; the answer says that deletion is off. Deactivating still works."},
			{Value: string(site.DeactivateOnDelete), Text: "Deactivate", Checked: s.Deletes == site.DeactivateOnDelete, Help: "The person is cut off at once and every session ends. The account stays and can be reactivated."},
			{Value: string(site.DeleteForGood), Text: "Delete (cannot be undone)", Checked: s.Deletes == site.DeleteForGood, Help: "The account is gone with its role and its memberships. Entra ID sends it 30 days after a user was deleted there, or when you remove one for good."},
		}},
	}
	f.Ticks = []choice{
		{Value: "groups", Text: "Take groups", Checked: s.Groups, Help: "Groups and who is in them are kept here. While it is off, the list of groups is empty, writing one is refused, and what is stored stays."},
		{Value: "revive", Text: "Revive on Create", Checked: s.Revives, Help: "A create of somebody whom the identity provider deactivated gives them their account back, with its role and groups, instead of being refused. Never an account that an administrator blocked. Counts where accounts are created, and not in strict mode."},
		{Value: "names", Text: "Groups may share a name", Checked: s.SharedGroupNames, Help: "Two groups can have the same name, as when the identity provider has two of them. Otherwise the second one is refused. In strict mode they can anyhow."},
		{Value: "strict", Text: "Strict mode", Checked: s.Strict, Help: "Refuses what the RFCs refuse. Leave it off for Entra ID, Okta and others: what they send beyond the RFCs is then read, and each such tolerance is in the request log."},
	}
}

// saveSCIM saves what the page SCIM integration edits.
func (p *SitePages) saveSCIM(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return badForm(err)
	}
	edit := &scimEdit{form: r.PostForm}
	changed, err := p.Sites.Update(r.Context(), v.Site.ID, v.actor(), edit.apply)
	if errors.Is(err, errNotSaved) {
		return p.notSaved(w, r, v, edit)
	}
	if n := notDone("Nothing was saved", err); n != nil {
		return p.Console.redirect(w, r, v.url("admin/access/scim"), *n)
	}
	if err != nil {
		return err
	}
	v.Site = changed
	last, err := p.lastSetting(r.Context(), v)
	if err != nil {
		return err
	}
	n := edit.merged.editNotice(edit.summary(changed), last)
	if edit.off {
		return p.Console.redirect(w, r, v.url("admin/access/scim/off"), n)
	}
	return p.Console.redirect(w, r, withTyped(v, r.PostForm), n)
}

// withTyped is the page SCIM integration with what was typed for a token that is not made yet.
func withTyped(v *siteVisit, form url.Values) string {
	q := url.Values{}
	for _, name := range []string{"name", "expires"} {
		if text := strings.TrimSpace(form.Get(name)); text != "" {
			q.Set(name, text)
		}
	}
	if len(q) == 0 {
		return v.url("admin/access/scim")
	}
	return v.url("admin/access/scim?" + q.Encode())
}

// summary says what an edit saved.
func (e *scimEdit) summary(now site.Site) string {
	if len(e.merged.Mine) == 0 {
		return "Everything on this page is saved."
	}
	var parts []string
	if now.SCIMEnabled && !e.before.SCIMEnabled {
		parts = append(parts, scimIsOn)
	}
	if now.ManageRoles != e.before.ManageRoles {
		parts = append(parts, rolesText(now.ManageRoles))
	}
	if now.Creates != e.before.Creates || now.Deletes != e.before.Deletes {
		parts = append(parts, "On Create: "+strings.ToLower(createText(now.Creates))+". On Delete: "+strings.ToLower(deleteText(now.Deletes))+".")
	}
	return "Saved. " + strings.Join(parts, " ")
}

// lastSetting is the newest change of a setting, or nil.
func (p *SitePages) lastSetting(ctx context.Context, v *siteVisit) (*event.Event, error) {
	found, err := event.Search(ctx, p.Events, event.Query{Scope: event.Site(string(v.Site.ID)), Kinds: []string{"site."}, Limit: 1})
	if err != nil || len(found.Events) == 0 {
		return nil, err
	}
	return &found.Events[0], nil
}

// notSaved answers an edit that was not saved: it asks, or shows the page again with what was typed and what is wrong.
func (p *SitePages) notSaved(w http.ResponseWriter, r *http.Request, v *siteVisit, edit *scimEdit) error {
	pg := v.page
	pg.Crumbs = v.crumbs(crumb{"Access management", v.url("admin/access")}, crumb{"SCIM integration", v.url("admin/access/scim")})
	typed := typedToken(r.PostForm)
	switch {
	case len(edit.merged.Conflicts) > 0:
		last, err := p.lastSetting(r.Context(), v)
		if err != nil {
			return err
		}
		return p.Console.askEdit(w, r, pg, edit.merged, v.url("admin/access/scim"), v.url("admin/access/scim"), last, typed...)
	case edit.wrong == nil:
		return p.askDelete(w, r, v, pg, append(edit.merged.rest, typed...))
	}
	sp, err := p.scimPage(r, v)
	if err != nil {
		return err
	}
	asked := v.Site
	setSCIM(&asked, edit.merged.Values) //nolint:errcheck // that it is wrong is known
	sp.Site, sp.Was = asked, wasAgain(r.PostForm, scimFields())
	sp.Switches.show(asked)
	sp.Switches.Rate, sp.Switches.Error = r.PostForm.Get("rate"), edit.wrong
	sp.Generate.Name, sp.Generate.Expires = r.PostForm.Get("name"), r.PostForm.Get("expires")
	sp.Unsaved = true
	sp.Trouble = &notice{Tone: bad, Title: "Nothing was saved.", Text: "Correct the field that is marked and save again."}
	return p.Console.view(w, r, http.StatusUnprocessableEntity, "site_scim", sp)
}

func typedToken(form url.Values) []field {
	return []field{{"name", form.Get("name")}, {"expires", form.Get("expires")}}
}

// askDelete asks before deletes of the identity provider become final. fields are the edit that is saved then.
func (p *SitePages) askDelete(w http.ResponseWriter, r *http.Request, v *siteVisit, pg page, fields []field) error {
	counts, err := v.Roster.Counts(r.Context())
	if err != nil {
		return err
	}
	pg.Title, pg.Narrow = "Let the identity provider delete accounts for good?", true
	return p.Console.view(w, r, http.StatusOK, "confirm", confirmPage{
		page: pg,
		Consequences: []string{
			"Every account here can then be deleted by a call of the identity provider: " + people(counts.All) + ".",
			"A deleted account is gone at once, with its role and its group memberships.",
			"Entra ID sends a delete when a user was in its recycle bin for 30 days, or is removed for good.",
		},
		Undo:   "A deleted account cannot be brought back. The setting itself can be changed back at any time.",
		Action: v.url("admin/access/scim"), Button: "Save and allow deleting", Danger: true, Cancel: v.url("admin/access/scim"),
		Fields: append(fields, field{"confirmed", "delete"}),
	})
}

func createText(creates bool) string {
	if creates {
		return "Creates the account"
	}
	return "Refused"
}

func deleteText(m site.DeleteMode) string {
	switch m {
	case site.DeactivateOnDelete:
		return "Deactivates the account"
	case site.DeleteForGood:
		return "Deletes the account for good"
	}
	return "Refused"
}

// targetActions is the guide's step on Target Object Actions, as this site's switches have it.
func targetActions(s site.Site) template.HTML {
	deletes := s.Deletes != site.RefuseDelete
	switch {
	case s.Creates && deletes:
		return `This site takes them all: leave <em>Create</em>, <em>Update</em> and <em>Delete</em> ticked under Target Object Actions.` + deleteNote(s)
	case s.Creates:
		return `Leave <em>Create</em> and <em>Update</em> ticked under Target Object Actions and untick <em>Delete</em>: this site refuses it.`
	case deletes:
		return `To prevent error messages untick <em>Create</em> under Target Object Actions: accounts are made at the first sign-in. Leave <em>Update</em> and <em>Delete</em> ticked.` + deleteNote(s)
	}
	return `To prevent error messages set Target Object Actions to just <em>Update</em>. This site does not take Create or Delete over SCIM: accounts are made at the first sign-in.`
}

func deleteNote(s site.Site) template.HTML {
	if s.Deletes == site.DeactivateOnDelete {
		return ` A delete deactivates the account here.`
	}
	return ` A delete removes the account here for good.`
}
