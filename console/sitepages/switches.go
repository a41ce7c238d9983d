package sitepages

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/site"
)

// switchesForm is the form "What SCIM may do". It shows the settings of site.SettingsTable, except
// those with a card of their own.
type switchesForm struct {
	RadioGroups []radioGroup
	Checkboxes  []console.Choice
	Numbers     []numberField
	Error       *console.FieldError
}

// radioGroup is a question with several choices, of which one is selected.
type radioGroup struct {
	Name    string
	Label   string
	Choices []console.Choice
}

// numberField is an input for a number within bounds.
type numberField struct {
	Name, Label, Help string
	Value             string // the number as text, as stored or as typed; may be empty
	EmptyMeaning      string // what an empty value means
	Error             *console.FieldError
}

func newSwitchesForm(s site.Site) switchesForm {
	var f switchesForm
	f.showSettings(s)
	return f
}

// settingsWithOwnCard names the settings that the page shows in cards of their own, outside of the
// form "What SCIM may do".
var settingsWithOwnCard = map[string]bool{"scimEnabled": true, "manageRoles": true}

// settingFields lists the settings that the page "SCIM integration" edits, as inputs of one form.
func settingFields() []console.EditField {
	var list []console.EditField
	for _, x := range site.SettingsOnPage() {
		switch x.Kind {
		case site.Tick:
			list = append(list, console.CheckboxField(x.Field, x.Label))
		case site.Choice:
			words := map[string]string{}
			for _, v := range x.Values {
				words[v.Word] = v.Brief
			}
			list = append(list, console.ChoiceField(x.Field, x.Label, words))
		case site.Number:
			list = append(list, console.EditField{Name: x.Field, Label: x.Label})
		}
	}
	return list
}

// formValue returns the value of a setting as the form's input holds it.
func formValue(x site.Setting, s site.Settings) string {
	switch is := x.Get(s); {
	case x.Kind == site.Tick:
		return console.CheckboxValue(is == true)
	case x.Kind == site.Number && is == 0:
		return ""
	}
	return x.Word(s)
}

// settingValues returns a site's values of the settings in settingFields, by the name of the input.
func settingValues(s site.Site) map[string]string {
	values := map[string]string{}
	for _, x := range site.SettingsOnPage() {
		values[x.Field] = formValue(x, s.Settings)
	}
	return values
}

// setSettings sets the settings of a site to the values of a form. If the value of a setting with
// fixed choices is unknown, it uses the first choice, which allows the least. If a number is
// invalid, it returns the error of the first such number.
func setSettings(s *site.Site, values map[string]string) (wrong *console.FieldError) {
	for _, x := range site.SettingsOnPage() {
		text := values[x.Field]
		switch {
		case x.Kind == site.Tick:
			x.Set(&s.Settings, text != "")
			continue
		case x.Kind == site.Number && text == "":
			text = "0"
		}
		value, ok := x.Parse(text)
		switch {
		case ok:
		case x.Kind == site.Choice:
			value = x.Values[0].Stored
		case wrong == nil:
			wrong = &console.FieldError{For: x.Field, Text: fmt.Sprintf("Write a whole number from %d to %d, or leave it empty for %s.", x.Bounds.Min, x.Bounds.Max, x.Bounds.ZeroMeaning)}
		}
		if value != nil {
			x.Set(&s.Settings, value)
		}
	}
	return wrong
}

// scimEdit saves the form of the page "SCIM integration" to the site.
type scimEdit struct {
	form       url.Values          // the form as it was sent
	merged     console.MergedEdit  // the form's changes, merged with the stored settings
	siteBefore site.Site           // the site before the edit
	turnsOff   bool                // whether the form turns SCIM off; that needs a confirmation on another page
	wrongValue *console.FieldError // the wrong value because of which apply returned errNotSaved; may be nil
}

// errNotSaved is the error of an edit that was not saved, because the user must act first: correct
// a wrong value, resolve a conflict, or confirm the edit.
var errNotSaved = errors.New("the settings were not saved yet")

// needsDeleteConfirmation reports whether the edit lets SCIM delete accounts permanently, and the
// administrator has not confirmed that yet.
func (e *scimEdit) needsDeleteConfirmation() bool {
	return e.siteBefore.Deletes != site.DeleteForGood && e.merged.Values["delete"] == string(site.DeleteForGood) && e.form.Get("confirmed") != "delete"
}

// apply sets the form's values in s. It is a function for Sites.Update. It returns errNotSaved if
// the edit must not be saved yet. It never turns SCIM off; it sets e.turnsOff instead.
func (e *scimEdit) apply(s *site.Site) error {
	var err error
	e.siteBefore, e.wrongValue, e.turnsOff = *s, nil, false
	if e.merged, err = console.MergeEdit(e.form, settingFields(), settingValues(*s)); err != nil {
		return err
	}
	if len(e.merged.Conflicts) > 0 || e.needsDeleteConfirmation() {
		return errNotSaved
	}
	if e.wrongValue = setSettings(s, e.merged.Values); e.wrongValue != nil {
		return errNotSaved
	}
	e.turnsOff = e.siteBefore.SCIMEnabled && !s.SCIMEnabled
	s.SCIMEnabled = s.SCIMEnabled || e.turnsOff
	return nil
}

// showSettings fills the form with the settings of a site.
func (f *switchesForm) showSettings(s site.Site) {
	f.RadioGroups, f.Checkboxes, f.Numbers = nil, nil, nil
	for _, x := range site.SettingsOnPage() {
		switch {
		case settingsWithOwnCard[x.Name]:
		case x.Kind == site.Tick:
			f.Checkboxes = append(f.Checkboxes, console.Choice{Value: x.Field, Text: x.Label, Checked: x.Get(s.Settings) == true, Help: x.Help})
		case x.Kind == site.Choice:
			g := radioGroup{Name: x.Field, Label: x.Label}
			for _, v := range x.Values {
				g.Choices = append(g.Choices, console.Choice{Value: v.Word, Text: v.Text, Checked: x.Get(s.Settings) == v.Stored, Help: v.Help})
			}
			f.RadioGroups = append(f.RadioGroups, g)
		case x.Kind == site.Number:
			f.Numbers = append(f.Numbers, numberField{Name: x.Field, Label: x.Label, Help: x.Help, Value: formValue(x, s.Settings), EmptyMeaning: x.Bounds.ZeroMeaning})
		}
	}
}

// showTyped puts the typed numbers into the form, and marks the number that is wrong. wrong is nil
// if every number is valid.
func (f *switchesForm) showTyped(form url.Values, wrong *console.FieldError) {
	f.Error = wrong
	for i, n := range f.Numbers {
		if f.Numbers[i].Value = form.Get(n.Name); wrong != nil && n.Name == wrong.For {
			f.Numbers[i].Error = wrong
		}
	}
}

// saveSCIM saves the form of the page "SCIM integration".
func (p *Pages) saveSCIM(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	edit := &scimEdit{form: r.PostForm}
	changed, err := p.Sites.Update(r.Context(), v.Site.ID, v.actorLabel(), edit.apply)
	if errors.Is(err, errNotSaved) {
		return p.handleNotSaved(w, r, v, edit)
	}
	if n := console.RefusalNotice("Nothing was saved", err); n != nil {
		return p.Console.Redirect(w, r, v.url("admin/access/scim"), *n)
	}
	if err != nil {
		return err
	}
	v.Site = changed
	last, err := p.lastSettingChange(r.Context(), v)
	if err != nil {
		return err
	}
	n := edit.merged.SavedNotice(edit.summarize(changed), last)
	if edit.turnsOff {
		return p.Console.Redirect(w, r, v.url("admin/access/scim/off"), n)
	}
	return p.Console.Redirect(w, r, addressWithTyped(v, r.PostForm), n)
}

// addressWithTyped returns the address of the page "SCIM integration". The address contains the
// values that were typed for a new token, so that the page can show them again.
func addressWithTyped(v *siteVisit, form url.Values) string {
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

// summarize describes what an edit saved.
func (e *scimEdit) summarize(now site.Site) string {
	if len(e.merged.ChangedByUser) == 0 {
		return "Everything on this page is saved."
	}
	var parts []string
	if now.SCIMEnabled && !e.siteBefore.SCIMEnabled {
		parts = append(parts, scimOnText)
	}
	if now.ManageRoles != e.siteBefore.ManageRoles {
		parts = append(parts, rolesChangedText(now.ManageRoles))
	}
	if now.Creates != e.siteBefore.Creates || now.Deletes != e.siteBefore.Deletes {
		parts = append(parts, "On Create: "+strings.ToLower(site.SettingOf("creates").Brief(now.Settings))+". On Delete: "+strings.ToLower(site.SettingOf("deletes").Brief(now.Settings))+".")
	}
	return "Saved. " + strings.Join(parts, " ")
}

// lastSettingChange returns the newest event about a change of a setting. It returns nil if there
// is none.
func (p *Pages) lastSettingChange(ctx context.Context, v *siteVisit) (*event.Event, error) {
	found, err := event.Search(ctx, p.Events, event.Query{Scope: event.Site(string(v.Site.ID)), Kinds: []string{"site."}, Limit: 1})
	if err != nil || len(found.Events) == 0 {
		return nil, err
	}
	return &found.Events[0], nil
}

// handleNotSaved responds to an edit that was not saved. It asks how to resolve a conflict, asks
// for confirmation, or shows the page again with the typed values and the error.
func (p *Pages) handleNotSaved(w http.ResponseWriter, r *http.Request, v *siteVisit, edit *scimEdit) error {
	pg := v.page
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")}, console.Crumb{Text: "SCIM integration", URL: v.url("admin/access/scim")})
	typed := typedTokenFields(r.PostForm)
	switch {
	case len(edit.merged.Conflicts) > 0:
		last, err := p.lastSettingChange(r.Context(), v)
		if err != nil {
			return err
		}
		return p.Console.AskAboutConflicts(w, r, pg, edit.merged, v.url("admin/access/scim"), v.url("admin/access/scim"), last, typed...)
	case edit.wrongValue == nil:
		return p.askDelete(w, r, v, pg, append(edit.merged.HiddenFields, typed...))
	}
	sp, err := p.scimPage(r, v)
	if err != nil {
		return err
	}
	asked := v.Site
	setSettings(&asked, edit.merged.Values) //nolint:errcheck // the caller knows the error already
	sp.Site, sp.StartValues = asked, console.RepeatStartValueFields(r.PostForm, settingFields())
	sp.Switches.showSettings(asked)
	sp.Switches.showTyped(r.PostForm, edit.wrongValue)
	sp.Generate.Name, sp.Generate.LastDay = r.PostForm.Get("name"), r.PostForm.Get("expires")
	sp.HasUnsavedValues = true
	sp.SaveProblem = &console.Notice{Tone: console.ToneProblem, Title: "Nothing was saved.", Text: "Correct the field that is marked and save again."}
	return p.show(w, r, http.StatusUnprocessableEntity, "scim", sp)
}

// typedTokenFields returns hidden inputs that hold what the administrator has typed for a new
// token.
func typedTokenFields(form url.Values) []console.HiddenField {
	return []console.HiddenField{{Name: "name", Value: form.Get("name")}, {Name: "expires", Value: form.Get("expires")}}
}

// askDelete asks the administrator to confirm that the identity provider may delete accounts
// permanently. fields are the hidden inputs that hold the edit, which is saved once it is
// confirmed.
func (p *Pages) askDelete(w http.ResponseWriter, r *http.Request, v *siteVisit, pg console.Page, fields []console.HiddenField) error {
	counts, err := v.Roster.Counts(r.Context())
	if err != nil {
		return err
	}
	pg.Title, pg.Narrow = "Let the identity provider delete accounts for good?", true
	return p.Console.View(w, r, http.StatusOK, "confirm", console.ConfirmPage{
		Page: pg,
		Consequences: []string{
			"Every account here can then be deleted by a call of the identity provider: " + console.PeopleCount(counts.All) + ".",
			"A deleted account is gone at once, with its role and its group memberships.",
			"Entra ID sends a delete when a user was in its recycle bin for 30 days, or is removed for good.",
		},
		Undo:    "A deleted account cannot be brought back. The setting itself can be changed back at any time.",
		FormURL: v.url("admin/access/scim"), Button: "Save and allow deleting", IsDangerous: true, CancelURL: v.url("admin/access/scim"),
		Fields: append(fields, console.HiddenField{Name: "confirmed", Value: "delete"}),
	})
}

// targetActionsStep returns the guide's step about "Target Object Actions" for this site's
// settings.
func targetActionsStep(s site.Site) template.HTML {
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

// deleteNote says what a SCIM delete does to an account of the site.
func deleteNote(s site.Site) template.HTML {
	if s.Deletes == site.DeactivateOnDelete {
		return ` A delete deactivates the account here.`
	}
	return ` A delete removes the account here for good.`
}
