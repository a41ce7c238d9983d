package directorypages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
)

// mappingPage is the data of the view "mapping". Its labels are exactly those of the mapping page
// in the setup guide (docs/guide.md).
type mappingPage struct {
	console.Page
	Was         []console.HiddenField
	Unsaved     bool // whether the form shows typed values that are not saved yet
	Action      string
	Discard     string
	Name        string
	Enabled     bool
	MustEnabled bool // whether the mapping cannot be disabled, as that of users
	Source      string
	Target      string
	Object      string
	Scope       string
	ScopeURL    string // the address of the page that edits the scope
	Filters     []string
	TargetType  string
	Create      bool
	Update      bool
	Delete      bool
	Rows        []mappingRow
	AddURL      string
	Required    string           // the required attributes that no row writes; empty if there are none
	Advanced    []console.Action // Entra's "Show advanced options"
}

type mappingRow struct {
	Source     string
	Target     string
	Default    string // Default value if null; empty if there is none
	Apply      string // when the row is applied; empty for Always
	URL        string
	Remove     string // address of the question before the row is removed; empty if it cannot be removed
	Precedence string // the matching precedence; empty if it is not a matching attribute
	Exact      bool   // whether case counts
	ExactName  string // name of the checkbox Exact
}

func (v *appVisit) mappingURL(name string) string {
	return v.url("/provisioning/mappings/" + url.PathEscape(name))
}

// mapping returns the object mapping that the path names. If there is none, the error is a
// *console.PageError with status 404.
func (v *appVisit) mapping(job provision.Job, r *http.Request) (*provision.ObjectMapping, error) {
	m, err := job.Schema.ObjectMapping(r.PathValue("mapping"))
	if err != nil {
		return nil, &console.PageError{Status: http.StatusNotFound, Title: "There is no such mapping", Text: console.AsSentence(err.Error()), Action: &console.Action{Text: "Provisioning", URL: v.url("/provisioning")}}
	}
	return m, nil
}

func (p *Pages) showMapping(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, err := p.Jobs.Get(r.Context(), v.key())
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	m, err := v.mapping(job, r)
	if err != nil {
		return err
	}
	pg := mappingPage{
		Page: v.page, Action: v.mappingURL(m.Name), Discard: v.mappingURL(m.Name), Name: m.Name, Enabled: m.Enabled, MustEnabled: m.SourceObjectName == "User",
		Was:    console.WasFields(mappingFields(m), mappingValues(job.Schema, m)),
		Object: m.SourceObjectName, TargetType: m.TargetObjectName, Scope: "All records",
		Create: m.FlowTypes.Has(provision.FlowAdd), Update: m.FlowTypes.Has(provision.FlowUpdate), Delete: m.FlowTypes.Has(provision.FlowDelete),
	}
	pg.Title = "Attribute Mapping"
	pg.AddURL = v.rowURL(m.Name, "")
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	pg.Source, pg.Target = systemNames(job.Schema)
	pg.Required = requiredWords(job.Schema, m)
	pg.Advanced = []console.Action{
		{Text: "Edit attribute list for " + pg.Source, URL: v.attributesURL(m.Name, provision.SourceList)},
		{Text: "Edit attribute list for " + pg.Target, URL: v.attributesURL(m.Name, provision.TargetList)},
		{Text: "Review your schema here", URL: v.versionsURL()},
	}
	pg.ScopeURL = v.scopeURL(m.Name)
	if !m.Scope.Empty() {
		pg.Scope = console.PluralForms(len(m.Scope.Groups), "scoping filter", "scoping filters")
		for _, g := range m.Scope.Groups {
			pg.Filters = append(pg.Filters, (&provision.Filter{Groups: []provision.FilterGroup{g}}).Words())
		}
	}
	form := p.keptForm(r, v, v.mappingURL(m.Name))
	if form != nil {
		pg.Was, pg.Unsaved = console.RepeatWasFields(form, mappingFields(m)), true
		pg.Enabled = form.Get("enabled") == "yes"
		pg.Create, pg.Update, pg.Delete = form.Get("create") != "", form.Get("update") != "", form.Get("delete") != ""
	}
	for i := range m.AttributeMappings {
		row := mappingRowOf(&m.AttributeMappings[i])
		row.URL = v.rowURL(m.Name, row.Target)
		if !pg.MustEnabled || row.Target != "userName" {
			row.Remove = v.removeRowURL(m.Name, row.Target)
		}
		row.Exact = slices.Contains(job.Schema.ExactCase(m), row.Target)
		if form != nil {
			row.Exact = form.Get(row.ExactName) != ""
		}
		pg.Rows = append(pg.Rows, row)
	}
	return p.show(w, r, http.StatusOK, "mapping", pg)
}

func mappingRowOf(a *provision.AttributeMapping) mappingRow {
	row := mappingRow{Source: sourceText(a.Source), Target: a.TargetAttributeName, ExactName: exactField(a.TargetAttributeName)}
	row.Default, _ = a.Default()
	switch a.FlowType {
	case provision.FlowAlways, "":
	case provision.FlowObjectAddOnly:
		row.Apply = "Only during object creation"
	default:
		row.Apply = "Apply this mapping: " + string(a.FlowType)
	}
	if a.MatchingPriority > 0 {
		row.Precedence = strconv.Itoa(a.MatchingPriority)
	}
	return row
}

// sourceText returns an attribute as its plain name, as the guide writes it. It returns any other
// source as its expression.
func sourceText(n *provision.AttributeMappingSource) string {
	switch {
	case n == nil:
		return ""
	case n.Type == expr.TypeAttribute:
		return n.Name
	}
	return n.Expression
}

// exactField returns the name of the checkbox that sets whether case counts for an attribute.
func exactField(target string) string { return "exact:" + target }

// mappingFields lists the settings that this page edits.
func mappingFields(m *provision.ObjectMapping) []console.EditField {
	fields := []console.EditField{
		console.EditChoice("enabled", "Enabled", map[string]string{"yes": "Yes", "no": "No"}),
		console.EditTick("create", "Create"), console.EditTick("update", "Update"), console.EditTick("delete", "Delete"),
	}
	for _, row := range m.AttributeMappings {
		fields = append(fields, console.EditTick(exactField(row.TargetAttributeName), "Exact case of "+row.TargetAttributeName))
	}
	return fields
}

func mappingValues(s *provision.Schema, m *provision.ObjectMapping) map[string]string {
	values := map[string]string{
		"enabled": "no", "create": console.TickValue(m.FlowTypes.Has(provision.FlowAdd)),
		"update": console.TickValue(m.FlowTypes.Has(provision.FlowUpdate)), "delete": console.TickValue(m.FlowTypes.Has(provision.FlowDelete)),
	}
	if m.Enabled {
		values["enabled"] = "yes"
	}
	exact := s.ExactCase(m)
	for _, row := range m.AttributeMappings {
		values[exactField(row.TargetAttributeName)] = console.TickValue(slices.Contains(exact, row.TargetAttributeName))
	}
	return values
}

func (p *Pages) saveMapping(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	name := r.PathValue("mapping")
	by, err := v.lastChange(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	var (
		m       console.MergedEdit
		harm    reachChange
		actions provision.FlowTypes
	)
	users := false
	job, err := p.Jobs.EditMapping(r.Context(), v.key(), name, func(schema *provision.Schema, now *provision.ObjectMapping) (provision.MappingEdit, error) {
		users = now.SourceObjectName == "User"
		var err error
		if m, err = console.MergeEdit(r.PostForm, mappingFields(now), mappingValues(schema, now)); err != nil {
			return provision.MappingEdit{}, err
		}
		if len(m.Conflicts) > 0 {
			return provision.MappingEdit{}, errConflict
		}
		enabled := m.Values["enabled"] == "yes"
		actions = provision.FlowTypes(0).With(provision.FlowAdd, m.Values["create"] != "")
		actions = actions.With(provision.FlowUpdate, m.Values["update"] != "")
		actions = actions.With(provision.FlowDelete, m.Values["delete"] != "")
		if harm, err = p.mappingHarm(r, v, now, actions); err != nil {
			return provision.MappingEdit{}, err
		}
		if harm.needsConfirmation() && r.PostForm.Get("confirmed") != harm.confirmationValue() {
			return provision.MappingEdit{}, errConfirm
		}
		exact := []string{}
		for _, row := range now.AttributeMappings {
			if m.Values[exactField(row.TargetAttributeName)] != "" {
				exact = append(exact, row.TargetAttributeName)
			}
		}
		return provision.MappingEdit{Enabled: &enabled, Actions: &actions, ExactCase: &exact, Confirmed: harm.confirmed()}, nil
	}, v.actor())
	if errors.Is(err, errConfirm) {
		return p.askMapping(w, r, v, name, m, harm, by)
	}
	if errors.Is(err, errConflict) {
		frame := v.page
		frame.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: name, URL: v.mappingURL(name)})
		return p.Console.AskEdit(w, r, frame, m, v.mappingURL(name), v.mappingURL(name), by)
	}
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	n := console.DoneNotice("The mapping was saved. Everybody is looked at again with the next cycle.")
	if len(m.Mine) == 0 {
		n = console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: the mapping was like that already."}
	}
	if idle := idleWords(actions, v.App.Name); users && idle != "" {
		n.Tone, n.Text = console.ToneWarning, n.Text+" "+idle
	}
	n.Text = strings.TrimSpace(n.Text + " " + m.FromOthers(by))
	return p.Console.Redirect(w, r, v.mappingURL(name), withRequired(n, job, name))
}

// mappingHarm returns what new Target Object Actions would do to accounts. It returns zero if
// actions are only removed, which disables no account, and for the mapping of groups.
func (p *Pages) mappingHarm(r *http.Request, v *appVisit, now *provision.ObjectMapping, actions provision.FlowTypes) (reachChange, error) {
	if now.SourceObjectName != "User" || actions&^now.FlowTypes == 0 {
		return reachChange{}, nil
	}
	job, err := p.Jobs.Get(r.Context(), v.key())
	if err != nil {
		return reachChange{}, err
	}
	after, err := job.WithActions(now.Name, actions)
	if err != nil {
		return reachChange{}, err
	}
	return p.reachOf(r.Context(), v, job, after)
}

// askMapping asks for confirmation before a change that creates or disables accounts, or lets them
// be deleted.
func (p *Pages) askMapping(w http.ResponseWriter, r *http.Request, v *appVisit, name string, m console.MergedEdit, c reachChange, by *event.Event) error {
	pg := console.ConfirmPage{
		Page: v.page, Action: v.mappingURL(name), Button: "Save the mapping", Danger: true, Cancel: p.keepForm(r, v, v.mappingURL(name), m.Rest),
		Fields: append(m.Rest, console.HiddenField{Name: "confirmed", Value: c.confirmationValue()}),
	}
	c.fillQuestion(&pg, v, "actions")
	pg.Lead, pg.Narrow = m.FromOthers(by), true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: name, URL: v.mappingURL(name)})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// idleWords returns a warning about a user mapping without the action Update; "" with Update.
func idleWords(actions provision.FlowTypes, app string) string {
	switch {
	case actions == 0:
		return "No Target Object Action is ticked: nothing is sent to " + app + ", and the account of someone who leaves stays switched on."
	case !actions.Has(provision.FlowUpdate):
		return "Update is not ticked: accounts at " + app + " are not kept up to date, and the account of someone who leaves stays switched on."
	}
	return ""
}
