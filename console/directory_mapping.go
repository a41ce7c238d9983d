package console

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
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
	var (
		m    mergedEdit
		harm mappingHarm
	)
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
		if harm, err = p.mappingHarm(r, v, now, actions); err != nil {
			return provision.MappingEdit{}, err
		}
		if harm.asks() && r.PostForm.Get("confirmed") != harm.answer() {
			return provision.MappingEdit{}, errConfirm
		}
		return provision.MappingEdit{Enabled: &enabled, Actions: &actions}, nil
	}, v.actor())
	if errors.Is(err, errConfirm) {
		return p.askMapping(w, r, v, name, m, harm, by)
	}
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

// mappingHarm is what other Target Object Actions of the user mapping would do to accounts.
type mappingHarm struct {
	deletes bool // Delete is ticked
	on      bool // Provisioning Status is On
	reach   provision.Reach
}

func (p *DirectoryPages) mappingHarm(r *http.Request, v *appVisit, now *provision.ObjectMapping, actions provision.FlowTypes) (mappingHarm, error) {
	var h mappingHarm
	ticked := func(flow provision.FlowTypes) bool { return actions.Has(flow) && !now.FlowTypes.Has(flow) }
	if now.SourceObjectName != "User" || !ticked(provision.FlowDelete) && !ticked(provision.FlowAdd) {
		return h, nil // groups are not provisioned
	}
	h.deletes = ticked(provision.FlowDelete)
	job, err := p.Jobs.Get(r.Context(), v.key())
	if err != nil {
		return h, err
	}
	h.on = job.Status == provision.On
	after, err := job.WithActions(now.Name, actions)
	if err != nil {
		return h, err
	}
	h.reach, err = p.Jobs.Reach(r.Context(), v.Handle, job, after)
	return h, err
}

func (h mappingHarm) asks() bool { return h.deletes || h.reach.Make > 0 }

// answer is what the form sends back to say yes to just this.
func (h mappingHarm) answer() string {
	return fmt.Sprintf("%t %d %d %d", h.deletes, h.reach.Linked, h.reach.Deleted, h.reach.Make)
}

// askMapping asks before accounts can be deleted or are made.
func (p *DirectoryPages) askMapping(w http.ResponseWriter, r *http.Request, v *appVisit, name string, m mergedEdit, h mappingHarm, by *event.Event) error {
	pg := confirmPage{
		page: v.page, Action: v.mappingURL(name), Button: "Save the mapping", Danger: true, Cancel: v.mappingURL(name),
		Fields: append(m.rest, field{Name: "confirmed", Value: h.answer()}),
	}
	n, app := h.reach, v.App.Name
	pg.Title, pg.Lead, pg.Narrow = "Make accounts at "+app+"?", m.fromOthers(by), true
	pg.Undo = "Clearing Create makes no further accounts. Those that were made by then stay."
	if h.deletes {
		pg.Title = "Let provisioning delete accounts at " + app + "?"
		pg.Undo = "Clearing Delete deletes no further accounts. An account that was deleted by then cannot be brought back from here."
		pg.Consequences = append(pg.Consequences,
			"When a user is deleted for good in "+v.Directory.Name+", the account at "+app+" is deleted too, not only switched off.",
			counted(n.Linked, "account is", "accounts are")+" linked and can be deleted in this way.",
			counted(n.Deleted, "of them belongs to a user who is", "of them belong to users who are")+" soft-deleted now, and goes when the user is deleted for good.",
		)
	}
	if n.Make > 0 {
		pg.Consequences = append(pg.Consequences, counted(n.Make, "account", "accounts")+" will be made at "+app+" with the next cycle, except for users who already have one there.")
	}
	if !h.on {
		pg.Consequences = append(pg.Consequences, "Nothing is sent before Provisioning Status is On.")
	}
	pg.Crumbs = v.crumbs(crumb{}, crumb{Text: "Provisioning", URL: v.url("/provisioning")}, crumb{Text: name, URL: v.mappingURL(name)})
	return p.Console.view(w, r, http.StatusOK, "confirm", pg)
}
