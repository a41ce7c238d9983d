package console

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
)

// mappingPage is the view "directory_mapping": the guide's mapping page, its labels letter by letter.
type mappingPage struct {
	page
	Was         []field
	Action      string
	Discard     string
	Name        string
	Enabled     bool
	MustEnabled bool // users cannot be switched off
	Source      string
	Target      string
	Object      string
	Scope       string
	ScopeURL    string // empty: the scope is not edited here
	Filters     []string
	TargetType  string
	Create      bool
	Update      bool
	Delete      bool
	Rows        []mappingRow
}

type mappingRow struct {
	Source     string
	Target     string
	Precedence string // empty if it does not match
}

func (v *appVisit) mappingURL(name string) string {
	return v.url("/provisioning/mappings/" + url.PathEscape(name))
}

// mapping finds the object mapping that the path names.
func (v *appVisit) mapping(job provision.Job, r *http.Request) (*provision.ObjectMapping, error) {
	m, err := job.Schema.ObjectMapping(r.PathValue("mapping"))
	if err != nil {
		return nil, &pageError{Status: http.StatusNotFound, Title: "There is no such mapping", Text: sentence(err.Error()), Action: &action{Text: "Provisioning", URL: v.url("/provisioning")}}
	}
	return m, nil
}

func (p *DirectoryPages) showMapping(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, err := p.Jobs.Get(r.Context(), v.key())
	if err != nil {
		return p.noJob(w, r, v, err)
	}
	m, err := v.mapping(job, r)
	if err != nil {
		return err
	}
	pg := mappingPage{
		page: v.page, Action: v.mappingURL(m.Name), Discard: v.mappingURL(m.Name), Name: m.Name, Enabled: m.Enabled, MustEnabled: m.SourceObjectName == "User",
		Was:    wasFields(mappingFields(), mappingValues(m)),
		Object: m.SourceObjectName, TargetType: m.TargetObjectName, Scope: "All records",
		Create: m.FlowTypes.Has(provision.FlowAdd), Update: m.FlowTypes.Has(provision.FlowUpdate), Delete: m.FlowTypes.Has(provision.FlowDelete),
	}
	pg.Title = "Attribute Mapping"
	pg.Crumbs = v.crumbs(crumb{}, crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	pg.Source, pg.Target = systems(job.Schema)
	if pg.MustEnabled {
		pg.ScopeURL = v.scopeURL(m.Name)
	}
	if !m.Scope.Empty() {
		pg.Scope = counted(len(m.Scope.Groups), "scoping filter", "scoping filters")
		for _, g := range m.Scope.Groups {
			pg.Filters = append(pg.Filters, (&provision.Filter{Groups: []provision.FilterGroup{g}}).Words())
		}
	}
	for i := range m.AttributeMappings {
		pg.Rows = append(pg.Rows, mappingRowOf(&m.AttributeMappings[i]))
	}
	return p.Console.view(w, r, http.StatusOK, "directory_mapping", pg)
}

func mappingRowOf(a *provision.AttributeMapping) mappingRow {
	row := mappingRow{Source: sourceText(a.Source), Target: a.TargetAttributeName}
	if a.MatchingPriority > 0 {
		row.Precedence = strconv.Itoa(a.MatchingPriority)
	}
	return row
}

// sourceText prints an attribute bare, as the guide does, and everything else as its expression.
func sourceText(n *provision.AttributeMappingSource) string {
	switch {
	case n == nil:
		return ""
	case n.Type == expr.TypeAttribute:
		return n.Name
	}
	return n.Expression
}

// mappingFields are what the page edits.
func mappingFields() []editField {
	return []editField{
		editChoice("enabled", "Enabled", map[string]string{"yes": "Yes", "no": "No"}),
		editTick("create", "Create"), editTick("update", "Update"), editTick("delete", "Delete"),
	}
}

func mappingValues(m *provision.ObjectMapping) map[string]string {
	values := map[string]string{
		"enabled": "no", "create": tickValue(m.FlowTypes.Has(provision.FlowAdd)),
		"update": tickValue(m.FlowTypes.Has(provision.FlowUpdate)), "delete": tickValue(m.FlowTypes.Has(provision.FlowDelete)),
	}
	if m.Enabled {
		values["enabled"] = "yes"
	}
	return values
}

func (p *DirectoryPages) saveMapping(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	name := r.PathValue("mapping")
	by, err := v.lastChange(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	var m mergedEdit
	_, err = p.Jobs.EditMapping(r.Context(), v.key(), name, func(now *provision.ObjectMapping) (provision.MappingEdit, error) {
		var err error
		if m, err = mergeEdit(r.PostForm, mappingFields(), mappingValues(now)); err != nil {
			return provision.MappingEdit{}, err
		}
		if len(m.Conflicts) > 0 {
			return provision.MappingEdit{}, errAsk
		}
		enabled := m.Values["enabled"] == "yes"
		var actions provision.FlowTypes
		actions = actions.With(provision.FlowAdd, m.Values["create"] != "")
		actions = actions.With(provision.FlowUpdate, m.Values["update"] != "")
		actions = actions.With(provision.FlowDelete, m.Values["delete"] != "")
		return provision.MappingEdit{Enabled: &enabled, Actions: &actions}, nil
	}, v.actor())
	if errors.Is(err, errAsk) {
		frame := v.page
		frame.Crumbs = v.crumbs(crumb{}, crumb{Text: "Provisioning", URL: v.url("/provisioning")}, crumb{Text: name, URL: v.mappingURL(name)})
		return p.Console.askEdit(w, r, frame, m, v.mappingURL(name), v.mappingURL(name), by)
	}
	if err != nil {
		return p.noJob(w, r, v, err)
	}
	n := done("The mapping was saved. Everybody is looked at again with the next cycle.")
	if len(m.Mine) == 0 {
		n = notice{Tone: info, Text: "Nothing was changed: the mapping was like that already."}
	}
	n.Text = strings.TrimSpace(n.Text + " " + m.fromOthers(by))
	return p.Console.redirect(w, r, v.mappingURL(name), n)
}
