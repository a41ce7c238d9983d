package console

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
)

// mappingPage is the view "directory_mapping": the guide's mapping page, its labels letter by letter.
type mappingPage struct {
	page
	Action      string
	Discard     string
	Name        string
	Enabled     bool
	MustEnabled bool // users cannot be switched off
	Source      string
	Target      string
	Object      string
	Scope       string
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

func (p *DirectoryPages) showMapping(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, err := p.Jobs.Get(r.Context(), v.key())
	if err != nil {
		return p.noJob(w, r, v, err)
	}
	m, err := job.Schema.ObjectMapping(r.PathValue("mapping"))
	if err != nil {
		return &pageError{Status: http.StatusNotFound, Title: "There is no such mapping", Text: sentence(err.Error()), Action: &action{Text: "Provisioning", URL: v.url("/provisioning")}}
	}
	pg := mappingPage{
		page: v.page, Action: v.mappingURL(m.Name), Discard: v.mappingURL(m.Name), Name: m.Name, Enabled: m.Enabled, MustEnabled: m.SourceObjectName == "User",
		Object: m.SourceObjectName, TargetType: m.TargetObjectName, Scope: "All records",
		Create: m.FlowTypes.Has(provision.FlowAdd), Update: m.FlowTypes.Has(provision.FlowUpdate), Delete: m.FlowTypes.Has(provision.FlowDelete),
	}
	pg.Title = "Attribute Mapping"
	pg.Crumbs = v.crumbs(crumb{}, crumb{Text: "Provisioning", URL: v.url("/provisioning")})
	pg.Source, pg.Target = systems(job.Schema)
	if !m.Scope.Empty() {
		pg.Scope = counted(len(m.Scope.Groups)+len(m.Scope.InputFilterGroups)+len(m.Scope.CategoryFilterGroups), "scoping filter", "scoping filters")
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

func (p *DirectoryPages) saveMapping(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	name := r.PathValue("mapping")
	enabled := r.PostForm.Get("enabled") == "yes"
	var actions provision.FlowTypes
	actions = actions.With(provision.FlowAdd, r.PostForm.Get("create") != "")
	actions = actions.With(provision.FlowUpdate, r.PostForm.Get("update") != "")
	actions = actions.With(provision.FlowDelete, r.PostForm.Get("delete") != "")
	before, err := p.Jobs.Get(r.Context(), v.key())
	if err != nil {
		return p.noJob(w, r, v, err)
	}
	job, err := p.Jobs.SetMapping(r.Context(), v.key(), name, provision.MappingEdit{Enabled: &enabled, Actions: &actions}, v.actor())
	if err != nil {
		return err
	}
	n := done("The mapping was saved. Everybody is looked at again with the next cycle.")
	if job.Version == before.Version {
		n = notice{Tone: info, Text: "Nothing was changed: the mapping was like that already."}
	}
	return p.Console.redirect(w, r, v.mappingURL(name), n)
}
