package directorypages

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// scopePage is the data of the view "scope": the scoping filters of a mapping. A user is in scope
// if any filter passes. A filter passes if all its clauses hold.
type scopePage struct {
	console.Page
	Was     []console.HiddenField
	Action  string
	Discard string
	Unsaved bool
	Error   *console.Notice
	Groups  []scopeGroup
}

type scopeGroup struct {
	Name    string // prefix of the names of the filter's inputs
	Label   string
	Title   string
	New     bool
	Remove  bool
	Clauses []scopeClause
}

type scopeClause struct {
	Name       string
	Label      string
	Attribute  string
	Attributes []string
	Operators  []console.Choice
	Value      string // one value per line
	Lines      int
}

// Limits of the form. Larger filters are edited as a file.
const (
	mostScopeGroups  = 50
	mostScopeClauses = 100
	moreRows         = 3 // rows that the button adds to each filter
)

func (v *appVisit) scopeURL(mapping string) string { return v.mappingURL(mapping) + "/scope" }

// scopeText encodes a list of scoping filters as one value of an edit, in JSON.
func scopeText(groups []provision.FilterGroup) string {
	if len(groups) == 0 {
		return ""
	}
	b, err := json.Marshal(plainGroups(groups))
	if err != nil {
		return "" // cannot fail: the groups contain only strings
	}
	return string(b)
}

// plainGroups normalizes filters so that equal filters have equal JSON: it replaces nil lists, and
// spells operators as the page does.
func plainGroups(groups []provision.FilterGroup) []provision.FilterGroup {
	plain := make([]provision.FilterGroup, len(groups))
	for i, g := range groups {
		plain[i] = provision.FilterGroup{Name: console.NormalLineBreaks(g.Name), Clauses: make([]provision.FilterClause, len(g.Clauses))}
		for j, c := range g.Clauses {
			values := make([]string, 0, len(c.TargetOperand.Values))
			for _, value := range c.TargetOperand.Values {
				values = append(values, console.NormalLineBreaks(value))
			}
			plain[i].Clauses[j] = provision.FilterClause{SourceOperandName: c.SourceOperandName, OperatorName: operatorName(c.OperatorName), TargetOperand: provision.FilterOperand{Values: values}}
		}
	}
	return plain
}

func operatorName(name string) string {
	for _, o := range provision.Operators() {
		if o.Is(name) {
			return o.Name
		}
	}
	return name
}

func scopeOf(text string) ([]provision.FilterGroup, error) {
	if text == "" {
		return nil, nil
	}
	var groups []provision.FilterGroup
	if err := json.Unmarshal([]byte(text), &groups); err != nil {
		return nil, console.ErrIncompleteForm
	}
	return groups, nil
}

func scopeGroups(m *provision.ObjectMapping) []provision.FilterGroup {
	if m.Scope == nil {
		return nil
	}
	return m.Scope.Groups
}

// scopeFields treats the whole scope as one value. If two people change it, the page asks which
// version to keep.
func scopeFields() []console.EditField {
	return []console.EditField{{
		Name: "scope", Label: "Source Object Scope",
		Read: func(form url.Values) string {
			if form.Has("scope") {
				return form.Get("scope")
			}
			return scopeText(keptGroups(readScope(form)))
		},
		Words: func(text string) string {
			groups, err := scopeOf(text)
			if err != nil || len(groups) == 0 {
				return "All records"
			}
			return (&provision.Filter{Groups: groups}).Words()
		},
	}}
}

// typedGroup is a filter as the operator typed it into the form.
type typedGroup struct {
	provision.FilterGroup
	Remove bool
}

// readScope reads the filters and clauses of the form. It leaves out empty ones.
func readScope(form url.Values) []typedGroup {
	var groups []typedGroup
	for i := range mostScopeGroups {
		prefix := fmt.Sprintf("filter%d", i+1)
		if !form.Has(prefix + ".title") {
			break
		}
		g := typedGroup{FilterGroup: provision.FilterGroup{Name: strings.TrimSpace(form.Get(prefix + ".title"))}, Remove: form.Get(prefix+".remove") != ""}
		for j := range mostScopeClauses {
			name := fmt.Sprintf("%s.clause%d", prefix, j+1)
			if !form.Has(name + ".attribute") {
				break
			}
			attribute, text := form.Get(name+".attribute"), strings.Trim(console.NormalLineBreaks(form.Get(name+".value")), "\n")
			if attribute == "" {
				continue
			}
			c := provision.FilterClause{SourceOperandName: attribute, OperatorName: form.Get(name + ".operator"), TargetOperand: provision.FilterOperand{Values: []string{}}}
			if text != "" {
				c.TargetOperand.Values = strings.Split(text, "\n")
			}
			g.Clauses = append(g.Clauses, c)
		}
		if g.Name != "" || len(g.Clauses) > 0 {
			groups = append(groups, g)
		}
	}
	return groups
}

// looseValue returns the value of a new row in which the operator chose no attribute; "" if there
// is none.
func looseValue(form url.Values) string {
	for name := range form {
		row, ok := strings.CutSuffix(name, ".value")
		if value := strings.TrimSpace(form.Get(name)); ok && value != "" && form.Get(row+".attribute") == "" && form.Get(row+".new") != "" {
			return value
		}
	}
	return ""
}

// keptGroups drops the filters that are ticked for removal. readScope has already dropped filters
// without a title and clauses.
func keptGroups(typed []typedGroup) []provision.FilterGroup {
	var groups []provision.FilterGroup
	for _, g := range typed {
		if !g.Remove {
			groups = append(groups, g.FilterGroup)
		}
	}
	return groups
}

// scopeFrame returns the page, without its filters.
func (p *Pages) scopeFrame(v *appVisit, m *provision.ObjectMapping) scopePage {
	pg := scopePage{Page: v.page, Action: v.scopeURL(m.Name), Discard: v.scopeURL(m.Name)}
	pg.Title = "Source Object Scope"
	who := "Users"
	if isOfGroups(m) {
		who = "Groups"
	}
	pg.Lead = who + " that pass one of the scoping filters are in scope. A filter passes when all its clauses hold. Without a filter, all records are in scope. Several values of a clause stand on lines of their own."
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: m.Name, URL: v.mappingURL(m.Name)})
	return pg
}

// fill adds the filters to the page. It adds more empty rows to each filter, and an empty filter at
// the end.
func (pg *scopePage) fill(groups []typedGroup, attributes []string, more int) {
	n := len(groups)
	groups = append(slices.Clone(groups), typedGroup{})
	for i, g := range groups {
		view := scopeGroup{Name: fmt.Sprintf("filter%d", i+1), Label: fmt.Sprintf("Scoping filter %d", i+1), Title: g.Name, New: i >= n, Remove: g.Remove}
		if view.New {
			view.Label = "New scoping filter"
		}
		clauses := slices.Clone(g.Clauses)
		for range more {
			clauses = append(clauses, provision.FilterClause{OperatorName: "EQUALS"})
		}
		for j, c := range clauses {
			row := scopeClause{
				Name: fmt.Sprintf("%s.clause%d", view.Name, j+1), Label: fmt.Sprintf("Clause %d", j+1), Attribute: c.SourceOperandName, Attributes: attributes,
				Value: strings.Join(c.TargetOperand.Values, "\n"), Lines: max(1, min(8, len(c.TargetOperand.Values))),
			}
			if c.SourceOperandName != "" && !slices.Contains(attributes, c.SourceOperandName) {
				row.Attributes = append([]string{c.SourceOperandName}, attributes...)
			}
			known := false
			for _, o := range provision.Operators() {
				is := o.Is(c.OperatorName)
				known = known || is
				row.Operators = append(row.Operators, console.Choice{Value: o.Name, Text: o.Name, Checked: is})
			}
			if !known {
				row.Operators = append(row.Operators, console.Choice{Value: c.OperatorName, Text: c.OperatorName, Checked: true})
			}
			view.Clauses = append(view.Clauses, row)
		}
		pg.Groups = append(pg.Groups, view)
	}
}

func typedGroups(groups []provision.FilterGroup) []typedGroup {
	typed := make([]typedGroup, len(groups))
	for i, g := range groups {
		typed[i] = typedGroup{FilterGroup: g}
	}
	return typed
}

// typedScope reads the filters from the form. The form contains rows; after a confirmation page, it
// contains the whole scope as one value instead.
func typedScope(form url.Values) ([]typedGroup, error) {
	if !form.Has("scope") {
		return readScope(form), nil
	}
	groups, err := scopeOf(form.Get("scope"))
	return typedGroups(groups), err
}

// scopeAttributes returns the attributes of the source object that a filter can read, sorted.
func scopeAttributes(s *provision.Schema, m *provision.ObjectMapping) []string {
	var names []string
	for _, name := range s.SourceAttributes(m) {
		find := directory.SourceAttribute
		if isOfGroups(m) {
			find = directory.GroupSourceAttribute
		}
		if a, ok := find(name); ok && !(isOfGroups(m) && a.MultiValued) { // filters cannot read the members of groups
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// isOfGroups reports whether a mapping is for groups.
func isOfGroups(m *provision.ObjectMapping) bool {
	return m.SourceObjectName == string(provision.GroupKind)
}

// scopedMapping returns the job and the mapping that the path names. The error is
// provision.ErrNoJob if there is no job, or a *console.PageError if the form cannot edit the scope.
func (p *Pages) scopedMapping(r *http.Request, v *appVisit) (provision.Job, *provision.ObjectMapping, error) {
	job, err := p.Jobs.Get(r.Context(), v.key())
	if err != nil {
		return job, nil, err
	}
	m, err := v.mapping(job, r)
	if err == nil && !fitsForm(scopeGroups(m)) {
		err = &console.PageError{
			Status: http.StatusConflict, Title: "These scoping filters are edited as a file", Action: &console.Action{Text: "Back to the mapping", URL: v.mappingURL(m.Name)},
			Text: "They are more than the page can show, or have values that are empty or have line breaks. Use rollcall app export-schema and rollcall app import-schema.",
		}
	}
	return job, m, err
}

// fitsForm reports whether the form can show these filters without losing anything.
func fitsForm(groups []provision.FilterGroup) bool {
	if len(groups) >= mostScopeGroups {
		return false
	}
	for _, g := range groups {
		if len(g.Clauses) > mostScopeClauses-moreRows {
			return false
		}
		for _, c := range g.Clauses {
			for _, value := range c.TargetOperand.Values {
				if value == "" || strings.ContainsAny(value, "\r\n") {
					return false
				}
			}
		}
	}
	return true
}

func (p *Pages) showScope(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, m, err := p.scopedMapping(r, v)
	if errors.Is(err, provision.ErrNoJob) {
		return p.handleJobError(w, r, v, err)
	}
	if err != nil {
		return err
	}
	pg, typed := p.scopeFrame(v, m), typedGroups(scopeGroups(m))
	pg.Was = console.WasFields(scopeFields(), map[string]string{"scope": scopeText(scopeGroups(m))})
	if form := p.keptForm(r, v, v.scopeURL(m.Name)); form != nil {
		pg.Was, pg.Unsaved = console.RepeatWasFields(form, scopeFields()), true
		if typed, err = typedScope(form); err != nil {
			return err
		}
	}
	pg.fill(typed, scopeAttributes(job.Schema, m), 1)
	return p.show(w, r, http.StatusOK, "scope", pg)
}

func (p *Pages) saveScope(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	job, mapping, err := p.scopedMapping(r, v)
	if errors.Is(err, provision.ErrNoJob) {
		return p.handleJobError(w, r, v, err)
	}
	if err != nil {
		return err
	}
	name := mapping.Name
	by, err := v.lastChange(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	again := func(status int, wrong *console.Notice, more int) error {
		pg := p.scopeFrame(v, mapping)
		pg.Was, pg.Unsaved, pg.Error = console.RepeatWasFields(r.PostForm, scopeFields()), true, wrong
		typed, err := typedScope(r.PostForm)
		if err != nil {
			return err
		}
		pg.fill(typed, scopeAttributes(job.Schema, mapping), more)
		return p.show(w, r, status, "scope", pg)
	}
	if r.PostForm.Get("do") == "more" {
		return again(http.StatusOK, nil, moreRows)
	}
	if value := looseValue(r.PostForm); value != "" {
		return again(http.StatusUnprocessableEntity, &console.Notice{Tone: console.ToneProblem, Title: "This was not saved", Text: "Choose a Source Attribute for the value \"" + value + "\", or clear it."}, 1)
	}
	var (
		m      console.MergedEdit
		change reachChange
	)
	_, err = p.Jobs.EditMapping(r.Context(), v.key(), name, func(_ *provision.Schema, now *provision.ObjectMapping) (provision.MappingEdit, error) {
		var err error
		if m, err = console.MergeEdit(r.PostForm, scopeFields(), map[string]string{"scope": scopeText(scopeGroups(now))}); err != nil {
			return provision.MappingEdit{}, err
		}
		if len(m.Conflicts) > 0 {
			return provision.MappingEdit{}, errConflict
		}
		if len(m.Mine) == 0 {
			return provision.MappingEdit{}, nil
		}
		groups, err := scopeOf(m.Values["scope"])
		if err != nil {
			return provision.MappingEdit{}, err
		}
		if err := job.Schema.CheckScope(name, groups, p.Jobs.CatalogOf(now)); err != nil {
			return provision.MappingEdit{}, err
		}
		before, err := job.WithScope(name, scopeGroups(now)) // someone may have saved since the job was read, for example in another tab
		if err != nil {
			return provision.MappingEdit{}, err
		}
		after, err := job.WithScope(name, groups)
		if err != nil {
			return provision.MappingEdit{}, err
		}
		if change, err = p.reachOf(r.Context(), v, before, after); err != nil {
			return provision.MappingEdit{}, err
		}
		asks := isOfGroups(now) || change.needsConfirmation()
		if asks && r.PostForm.Get("confirmed") != change.confirmationValue() {
			return provision.MappingEdit{}, errConfirm
		}
		return provision.MappingEdit{Scope: &groups, Confirmed: change.confirmed()}, nil
	}, v.actor())
	var input *provision.InputError
	switch {
	case errors.Is(err, errConflict):
		frame := v.page
		frame.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: name, URL: v.mappingURL(name)})
		return p.Console.AskEdit(w, r, frame, m, v.scopeURL(name), v.scopeURL(name), by)
	case errors.Is(err, errConfirm) && isOfGroups(mapping):
		return p.askGroupScope(w, r, v, name, m, change)
	case errors.Is(err, errConfirm):
		return p.askScope(w, r, v, name, m, change)
	case errors.As(err, &input):
		return again(http.StatusUnprocessableEntity, &console.Notice{Tone: console.ToneProblem, Title: "This was not saved", Text: console.AsSentence(input.Field + " " + input.Text)}, 1)
	case err != nil:
		return p.handleJobError(w, r, v, err)
	}
	n := console.DoneNotice("The scoping filters were saved. Everybody is looked at again with the next cycle.")
	if len(m.Mine) == 0 {
		n = console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: the scope was like that already."}
	}
	n.Text = strings.TrimSpace(n.Text + " " + m.FromOthers(by))
	return p.Console.Redirect(w, r, v.mappingURL(name), n)
}

// errConfirm stops a harmful edit until the operator has confirmed its numbers.
var errConfirm = errors.New("the change has to be confirmed")

// askScope asks for confirmation before users leave or enter the scope.
func (p *Pages) askScope(w http.ResponseWriter, r *http.Request, v *appVisit, name string, m console.MergedEdit, c reachChange) error {
	pg := console.ConfirmPage{
		Page: v.page, Action: v.scopeURL(name), Button: "Save the scoping filters", Danger: true, Cancel: p.keepForm(r, v, v.scopeURL(name), m.Rest),
		Fields: append(m.Rest, console.HiddenField{Name: "confirmed", Value: c.confirmationValue()}),
	}
	c.fillQuestion(&pg, v, "filters")
	pg.Narrow = true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: name, URL: v.mappingURL(name)})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// askGroupScope asks for confirmation before groups leave or enter the scope.
func (p *Pages) askGroupScope(w http.ResponseWriter, r *http.Request, v *appVisit, name string, m console.MergedEdit, c reachChange) error {
	pg := console.ConfirmPage{
		Page: p.rowFrame(v, name), Action: v.scopeURL(name), Button: "Save the scoping filters", Danger: true, Cancel: p.keepForm(r, v, v.scopeURL(name), m.Rest),
		Fields: append(m.Rest, console.HiddenField{Name: "confirmed", Value: c.confirmationValue()}),
		Consequences: append(c.effect.Sentences(v.App.Name, console.PluralForms),
			"Groups that leave the scope are deleted at "+v.App.Name+" if Delete is among the Target Object Actions. Otherwise they stay there and are no longer kept up to date.",
			"Accounts of their members stay as they are.",
		),
		Undo: "Setting the old filters again makes the groups again, with their members.",
	}
	pg.Title, pg.Narrow = "Change which groups are in scope?", true
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}
