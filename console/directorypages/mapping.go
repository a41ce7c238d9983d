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
	StartValues      []console.HiddenField
	HasUnsavedValues bool // whether the form shows typed values that are not saved yet
	FormURL          string
	DiscardURL       string
	Name             string
	IsEnabled        bool
	MustBeEnabled    bool // whether the mapping cannot be disabled; true for the mapping of users
	SourceName       string
	TargetName       string
	SourceType       string
	ScopeText        string
	ScopeURL         string // address of the page that edits the scope
	FilterTexts      []string
	TargetType       string
	Creates          bool
	Updates          bool
	Deletes          bool
	Rows             []mappingRow
	AddURL           string
	RequiredWarning  string           // names the required attributes that no row writes; empty if there are none
	AdvancedActions  []console.Action // the links under Entra's "Show advanced options"
}

// mappingRow shows one row of a mapping.
type mappingRow struct {
	Source       string
	Target       string
	DefaultValue string // the row's "Default value if null"; empty if there is none
	ApplyText    string // says when the row is applied; empty for "Always"
	URL          string
	RemoveURL    string // address of the page that asks whether to remove the row; empty if it cannot be removed
	Precedence   string // the matching precedence; empty if the row is not a matching attribute
	IsExactCase  bool   // whether upper and lower case count when values are compared
	ExactInput   string // name of the checkbox "Exact"
}

func (v *appVisit) mappingURL(name string) string {
	return v.url("/provisioning/mappings/" + url.PathEscape(name))
}

// findMapping returns the object mapping that the path names. If there is none, the error is a
// *console.PageError with status 404.
func (v *appVisit) findMapping(job provision.Job, r *http.Request) (*provision.ObjectMapping, error) {
	m, err := job.Schema.ObjectMapping(r.PathValue("mapping"))
	if err != nil {
		return nil, &console.PageError{Status: http.StatusNotFound, Title: "There is no such mapping", Text: console.AsSentence(err.Error()), Action: &console.Action{Text: "Provisioning", URL: v.url("/provisioning")}}
	}
	return m, nil
}

func (p *Pages) showMapping(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, err := p.Jobs.Get(r.Context(), v.jobKey())
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	m, err := v.findMapping(job, r)
	if err != nil {
		return err
	}
	pg := mappingPage{
		Page: v.page, FormURL: v.mappingURL(m.Name), DiscardURL: v.mappingURL(m.Name), Name: m.Name, IsEnabled: m.Enabled, MustBeEnabled: m.SourceObjectName == "User",
		StartValues: console.StartValueFields(mappingFields(m), mappingValues(job.Schema, m)),
		SourceType:  m.SourceObjectName, TargetType: m.TargetObjectName, ScopeText: "All records",
		Creates: m.FlowTypes.Has(provision.FlowAdd), Updates: m.FlowTypes.Has(provision.FlowUpdate), Deletes: m.FlowTypes.Has(provision.FlowDelete),
	}
	pg.Title = "Attribute Mapping"
	pg.AddURL = v.rowURL(m.Name, "")
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	pg.SourceName, pg.TargetName = systemNames(job.Schema)
	pg.RequiredWarning = requiredWarning(job.Schema, m)
	pg.AdvancedActions = []console.Action{
		{Text: "Edit attribute list for " + pg.SourceName, URL: v.attributesURL(m.Name, provision.SourceList)},
		{Text: "Edit attribute list for " + pg.TargetName, URL: v.attributesURL(m.Name, provision.TargetList)},
		{Text: "Review your schema here", URL: v.versionsURL()},
	}
	pg.ScopeURL = v.scopeURL(m.Name)
	if !m.Scope.Empty() {
		pg.ScopeText = console.PluralForms(len(m.Scope.Groups), "scoping filter", "scoping filters")
		for _, g := range m.Scope.Groups {
			pg.FilterTexts = append(pg.FilterTexts, (&provision.Filter{Groups: []provision.FilterGroup{g}}).Words())
		}
	}
	form := p.findKeptForm(r, v, v.mappingURL(m.Name))
	if form != nil {
		pg.StartValues, pg.HasUnsavedValues = console.RepeatStartValueFields(form, mappingFields(m)), true
		pg.IsEnabled = form.Get("enabled") == "yes"
		pg.Creates, pg.Updates, pg.Deletes = form.Get("create") != "", form.Get("update") != "", form.Get("delete") != ""
	}
	for i := range m.AttributeMappings {
		row := newMappingRow(&m.AttributeMappings[i])
		row.URL = v.rowURL(m.Name, row.Target)
		if !pg.MustBeEnabled || row.Target != "userName" {
			row.RemoveURL = v.removeRowURL(m.Name, row.Target)
		}
		row.IsExactCase = slices.Contains(job.Schema.ExactCase(m), row.Target)
		if form != nil {
			row.IsExactCase = form.Get(row.ExactInput) != ""
		}
		pg.Rows = append(pg.Rows, row)
	}
	return p.show(w, r, http.StatusOK, "mapping", pg)
}

func newMappingRow(a *provision.AttributeMapping) mappingRow {
	row := mappingRow{Source: sourceText(a.Source), Target: a.TargetAttributeName, ExactInput: exactInputName(a.TargetAttributeName)}
	row.DefaultValue, _ = a.Default()
	switch a.FlowType {
	case provision.FlowAlways, "":
	case provision.FlowObjectAddOnly:
		row.ApplyText = "Only during object creation"
	default:
		row.ApplyText = "Apply this mapping: " + string(a.FlowType)
	}
	if a.MatchingPriority > 0 {
		row.Precedence = strconv.Itoa(a.MatchingPriority)
	}
	return row
}

// sourceText returns the source of a row as text. For an attribute, this is its name without
// brackets, as the setup guide writes it. For other sources, it is the expression.
func sourceText(n *provision.AttributeMappingSource) string {
	switch {
	case n == nil:
		return ""
	case n.Type == expr.TypeAttribute:
		return n.Name
	}
	return n.Expression
}

// exactInputName returns the name of the checkbox that decides whether upper and lower case count
// for an attribute.
func exactInputName(target string) string { return "exact:" + target }

// mappingFields lists the inputs of the page of a mapping.
func mappingFields(m *provision.ObjectMapping) []console.EditField {
	fields := []console.EditField{
		console.ChoiceField("enabled", "Enabled", map[string]string{"yes": "Yes", "no": "No"}),
		console.CheckboxField("create", "Create"), console.CheckboxField("update", "Update"), console.CheckboxField("delete", "Delete"),
	}
	for _, row := range m.AttributeMappings {
		fields = append(fields, console.CheckboxField(exactInputName(row.TargetAttributeName), "Exact case of "+row.TargetAttributeName))
	}
	return fields
}

func mappingValues(s *provision.Schema, m *provision.ObjectMapping) map[string]string {
	values := map[string]string{
		"enabled": "no", "create": console.CheckboxValue(m.FlowTypes.Has(provision.FlowAdd)),
		"update": console.CheckboxValue(m.FlowTypes.Has(provision.FlowUpdate)), "delete": console.CheckboxValue(m.FlowTypes.Has(provision.FlowDelete)),
	}
	if m.Enabled {
		values["enabled"] = "yes"
	}
	exact := s.ExactCase(m)
	for _, row := range m.AttributeMappings {
		values[exactInputName(row.TargetAttributeName)] = console.CheckboxValue(slices.Contains(exact, row.TargetAttributeName))
	}
	return values
}

func (p *Pages) saveMapping(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	name := r.PathValue("mapping")
	by, err := v.findLastChange(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	var (
		m       console.MergedEdit
		harm    reachChange
		actions provision.FlowTypes
	)
	users := false
	job, err := p.Jobs.EditMapping(r.Context(), v.jobKey(), name, func(schema *provision.Schema, now *provision.ObjectMapping) (provision.MappingEdit, error) {
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
		if harm, err = p.mappingReachChange(r, v, now, actions); err != nil {
			return provision.MappingEdit{}, err
		}
		if harm.needsConfirmation() && r.PostForm.Get("confirmed") != harm.confirmationValue() {
			return provision.MappingEdit{}, errConfirm
		}
		exact := []string{}
		for _, row := range now.AttributeMappings {
			if m.Values[exactInputName(row.TargetAttributeName)] != "" {
				exact = append(exact, row.TargetAttributeName)
			}
		}
		return provision.MappingEdit{Enabled: &enabled, Actions: &actions, ExactCase: &exact, Confirmed: harm.mayDisableCount()}, nil
	}, v.actorLabel())
	if errors.Is(err, errConfirm) {
		return p.askMappingChange(w, r, v, name, m, harm, by)
	}
	if errors.Is(err, errConflict) {
		frame := v.page
		frame.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: name, URL: v.mappingURL(name)})
		return p.Console.AskAboutConflicts(w, r, frame, m, v.mappingURL(name), v.mappingURL(name), by)
	}
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	n := console.DoneNotice("The mapping was saved. Everybody is looked at again with the next cycle.")
	if len(m.ChangedByUser) == 0 {
		n = console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: the mapping was like that already."}
	}
	if idle := missingActionWarning(actions, v.App.Name); users && idle != "" {
		n.Tone, n.Text = console.ToneWarning, n.Text+" "+idle
	}
	n.Text = strings.TrimSpace(n.Text + " " + m.OthersText(by))
	return p.Console.Redirect(w, r, v.mappingURL(name), addRequiredWarning(n, job, name))
}

// mappingReachChange returns what new Target Object Actions would do to accounts. It returns the
// zero value if actions are only removed, because that disables no account. It also returns the
// zero value for the mapping of groups.
func (p *Pages) mappingReachChange(r *http.Request, v *appVisit, now *provision.ObjectMapping, actions provision.FlowTypes) (reachChange, error) {
	if now.SourceObjectName != "User" || actions&^now.FlowTypes == 0 {
		return reachChange{}, nil
	}
	job, err := p.Jobs.Get(r.Context(), v.jobKey())
	if err != nil {
		return reachChange{}, err
	}
	after, err := job.WithActions(now.Name, actions)
	if err != nil {
		return reachChange{}, err
	}
	return p.computeReachChange(r.Context(), v, job, after)
}

// askMappingChange asks for confirmation before a change that creates or disables accounts, or that
// allows deleting them.
func (p *Pages) askMappingChange(w http.ResponseWriter, r *http.Request, v *appVisit, name string, m console.MergedEdit, c reachChange, by *event.Event) error {
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.mappingURL(name), Button: "Save the mapping", IsDangerous: true, CancelURL: p.keepForm(r, v, v.mappingURL(name), m.HiddenFields),
		Fields: append(m.HiddenFields, console.HiddenField{Name: "confirmed", Value: c.confirmationValue()}),
	}
	c.fillQuestion(&pg, v, "actions")
	pg.Lead, pg.Narrow = m.OthersText(by), true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: name, URL: v.mappingURL(name)})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// missingActionWarning warns that a mapping of users lacks the action Update. It returns "" if the
// mapping has that action.
func missingActionWarning(actions provision.FlowTypes, app string) string {
	switch {
	case actions == 0:
		return "No Target Object Action is ticked: nothing is sent to " + app + ", and the account of someone who leaves stays switched on."
	case !actions.Has(provision.FlowUpdate):
		return "Update is not ticked: accounts at " + app + " are not kept up to date, and the account of someone who leaves stays switched on."
	}
	return ""
}
