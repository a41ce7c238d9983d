package directorypages

import (
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
)

// rolesPage is the data of the view "roles". It lists an application's roles and has the form for a
// new role. If Role is set, it is the form that changes this role.
type rolesPage struct {
	console.Page
	Rows             []roleRow
	Role             directory.AppRole // the role that the form changes; zero for a new role
	AssignedCount    int
	FormURL          string
	CancelURL        string
	Inputs           []groupInput
	IsEnabled        bool
	StartValues      []console.HiddenField
	HasUnsavedValues bool
	Error            string
}

// roleRow shows one role of an application in the list.
type roleRow struct {
	Role          directory.AppRole
	URL           string // address of the role's page; empty for Default Access, which has none
	Badge         console.Badge
	AssignedCount int
}

func roleFields() []console.EditField {
	return []console.EditField{
		{Name: "value", Label: "Value"},
		{Name: "displayName", Label: "Display name"},
		{Name: "description", Label: "Description"},
		console.CheckboxField("enabled", "Enabled"),
	}
}

func roleValues(r directory.AppRole) map[string]string {
	return map[string]string{"value": r.Value, "displayName": r.DisplayName, "description": r.Description, "enabled": console.CheckboxValue(r.Enabled)}
}

func applyRoleValues(r directory.AppRole, values map[string]string) directory.AppRole {
	r.Value, r.DisplayName, r.Description, r.Enabled = values["value"], values["displayName"], values["description"], values["enabled"] != ""
	return r
}

func (pg *rolesPage) fillInputs(values map[string]string, wrong *console.FieldError) {
	placed := false
	for _, f := range roleFields() {
		if f.Name == "enabled" {
			pg.IsEnabled = values[f.Name] != ""
			continue
		}
		in := groupInput{GroupAttribute: directory.GroupAttribute{Name: f.Name, Label: f.Label}, Value: values[f.Name], IsRequired: f.Name == "value"}
		if wrong != nil && wrong.For == f.Name {
			in.Error, placed = wrong, true
		}
		pg.Inputs = append(pg.Inputs, in)
	}
	pg.HasUnsavedValues = wrong != nil
	if wrong != nil && !placed {
		pg.Error = wrong.Text
	}
}

func (p *Pages) showRoles(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.renderRoles(w, r, v, http.StatusOK, roleValues(directory.AppRole{Enabled: true}), nil)
}

func (p *Pages) renderRoles(w http.ResponseWriter, r *http.Request, v *appVisit, status int, values map[string]string, wrong *console.FieldError) error {
	own, err := v.Roles(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	pg := rolesPage{Page: v.page, FormURL: v.url("/roles"), CancelURL: v.url("/roles")}
	pg.fillInputs(values, wrong)
	for _, role := range append([]directory.AppRole{directory.DefaultAccess}, own...) {
		row := roleRow{Role: role, Badge: console.Badge{Tone: console.ToneGood, Text: "Enabled"}}
		if role.ID != directory.DefaultAccess.ID {
			row.URL = v.url("/roles/" + role.ID)
		}
		if !role.Enabled {
			row.Badge = console.Badge{Tone: console.ToneQuiet, Text: "Disabled"}
		}
		if row.AssignedCount, err = v.CountRole(r.Context(), v.App.ID, role.ID); err != nil {
			return err
		}
		pg.Rows = append(pg.Rows, row)
	}
	pg.Title = "Roles"
	pg.Lead = "Every assignment to " + v.App.Name + " has a role. Mappings read roles as appRoleAssignments."
	pg.Crumbs = v.crumbs(console.Crumb{})
	return p.show(w, r, status, "roles", pg)
}

func (p *Pages) addRole(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	values := map[string]string{}
	for _, f := range roleFields() {
		values[f.Name] = f.FormValue(r.PostForm)
	}
	role, _, err := v.PutRole(r.Context(), v.App.ID, applyRoleValues(directory.AppRole{}, values), v.actorLabel())
	if wrong := console.AttributeError(err); wrong != nil {
		return p.renderRoles(w, r, v, http.StatusUnprocessableEntity, values, wrong)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("/roles"), console.DoneNotice("The role "+role.DisplayName+" was created."))
}

// findRole returns the role whose id is in the path. If there is none, the error is
// console.ErrNotFound. Default Access has no page, so findRole does not find it.
func (v *appVisit) findRole(r *http.Request) (directory.AppRole, error) {
	own, err := v.Roles(r.Context(), v.App.ID)
	if err != nil {
		return directory.AppRole{}, err
	}
	for _, role := range own {
		if role.ID == r.PathValue("role") {
			return role, nil
		}
	}
	return directory.AppRole{}, console.ErrNotFound
}

func (p *Pages) showRole(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	role, err := v.findRole(r)
	if err != nil {
		return err
	}
	return p.renderRole(w, r, v, http.StatusOK, role, roleValues(role), nil)
}

func (p *Pages) renderRole(w http.ResponseWriter, r *http.Request, v *appVisit, status int, role directory.AppRole, values map[string]string, wrong *console.FieldError) error {
	at := v.url("/roles/" + role.ID)
	pg := rolesPage{Page: v.page, Role: role, FormURL: at, CancelURL: v.url("/roles"), StartValues: console.StartValueFields(roleFields(), values)}
	if wrong != nil {
		pg.StartValues = console.RepeatStartValueFields(r.PostForm, roleFields())
	}
	pg.fillInputs(values, wrong)
	var err error
	if pg.AssignedCount, err = v.CountRole(r.Context(), v.App.ID, role.ID); err != nil {
		return err
	}
	pg.Title = role.DisplayName
	pg.StatusLine = console.PluralForms(pg.AssignedCount, "assignment has", "assignments have") + " this role."
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Roles", URL: v.url("/roles")})
	pg.Actions = []console.Action{{Text: "Delete", Icon: "trash-2", URL: at + "/delete", IsDangerous: true}}
	return p.show(w, r, status, "roles", pg)
}

func (p *Pages) saveRole(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	role, err := v.findRole(r)
	if err != nil {
		return err
	}
	m, err := console.MergeEdit(r.PostForm, roleFields(), roleValues(role))
	if err != nil {
		return err
	}
	by, err := v.findLastChange(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	if len(m.Conflicts) > 0 {
		frame := v.page
		frame.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Roles", URL: v.url("/roles")})
		return p.Console.AskAboutConflicts(w, r, frame, m, v.url("/roles/"+role.ID), v.url("/roles/"+role.ID), by)
	}
	after, changed, err := v.PutRole(r.Context(), v.App.ID, applyRoleValues(role, m.Values), v.actorLabel())
	if wrong := console.AttributeError(err); wrong != nil {
		return p.renderRole(w, r, v, http.StatusUnprocessableEntity, role, m.Values, wrong)
	}
	if err != nil {
		return err
	}
	n := console.DoneNotice(strings.TrimSpace("The role " + after.DisplayName + " was saved. " + m.OthersText(by)))
	if !changed {
		n = console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: the role " + after.DisplayName + " was like that already."}
	}
	return p.Console.Redirect(w, r, v.url("/roles"), n)
}

func (p *Pages) askDeleteRole(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	role, err := v.findRole(r)
	if err != nil {
		return err
	}
	pg := console.ConfirmPage{
		Page: v.page, Consequences: []string{"The role " + role.DisplayName + " of " + v.App.Name + " goes. A role that an assignment has cannot be deleted."}, Undo: console.CannotBeUndone,
		FormURL: r.URL.Path, Button: "Delete " + role.DisplayName, IsDangerous: true, CancelURL: v.url("/roles/" + role.ID),
	}
	pg.Title, pg.Narrow = "Delete the role "+role.DisplayName+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Roles", URL: v.url("/roles")})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) deleteRole(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	role, err := v.findRole(r)
	if err != nil {
		return err
	}
	err = v.DeleteRole(r.Context(), v.App.ID, role.ID, v.actorLabel())
	if n := console.RefusalNotice("The role was not deleted", err); n != nil {
		return p.Console.Redirect(w, r, v.url("/roles/"+role.ID), *n)
	}
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("/roles"), console.DoneNotice("The role "+role.DisplayName+" was deleted."))
}
