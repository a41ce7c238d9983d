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
	StartValues      []console.HiddenField
	FormURL          string
	DiscardURL       string
	HasUnsavedValues bool
	Error            *console.Notice
	Filters          []filterView
}

// filterView shows one scoping filter in the form.
type filterView struct {
	InputPrefix        string // prefix of the names of the filter's inputs
	Label              string
	Title              string
	IsNew              bool
	IsTickedForRemoval bool
	Clauses            []clauseView
}

// clauseView shows one clause of a scoping filter in the form.
type clauseView struct {
	InputPrefix string
	Label       string
	Attribute   string
	Attributes  []string
	Operators   []console.Choice
	Value       string // the clause's values, one per line
	LineCount   int
}

// The limits of the form. Scopes that exceed them must be edited as a file.
const (
	maxFilters = 50
	maxClauses = 100
	addedRows  = 3 // how many rows the button adds to each filter
)

func (v *appVisit) scopeURL(mapping string) string { return v.mappingURL(mapping) + "/scope" }

// encodeFilters encodes scoping filters in JSON, so that an edit can treat them as one value. It
// returns "" if there are none.
func encodeFilters(groups []provision.FilterGroup) string {
	if len(groups) == 0 {
		return ""
	}
	b, err := json.Marshal(normalizeFilters(groups))
	if err != nil {
		return "" // never reached: encoding strings cannot fail
	}
	return string(b)
}

// normalizeFilters changes filters so that equal filters have equal JSON. It replaces nil lists
// with empty ones, and spells operators and line breaks in one way.
func normalizeFilters(groups []provision.FilterGroup) []provision.FilterGroup {
	plain := make([]provision.FilterGroup, len(groups))
	for i, g := range groups {
		plain[i] = provision.FilterGroup{Name: console.NormalizeLineBreaks(g.Name), Clauses: make([]provision.FilterClause, len(g.Clauses))}
		for j, c := range g.Clauses {
			values := make([]string, 0, len(c.TargetOperand.Values))
			for _, value := range c.TargetOperand.Values {
				values = append(values, console.NormalizeLineBreaks(value))
			}
			plain[i].Clauses[j] = provision.FilterClause{SourceOperandName: c.SourceOperandName, OperatorName: canonicalOperatorName(c.OperatorName), TargetOperand: provision.FilterOperand{Values: values}}
		}
	}
	return plain
}

// canonicalOperatorName returns an operator's name as Entra writes it. An unknown name is returned
// unchanged.
func canonicalOperatorName(name string) string {
	for _, o := range provision.Operators() {
		if o.Is(name) {
			return o.Name
		}
	}
	return name
}

// decodeFilters reads the filters that a hidden input holds as JSON.
func decodeFilters(text string) ([]provision.FilterGroup, error) {
	if text == "" {
		return nil, nil
	}
	var groups []provision.FilterGroup
	if err := json.Unmarshal([]byte(text), &groups); err != nil {
		return nil, console.ErrIncompleteForm
	}
	return groups, nil
}

// filtersOfMapping returns the scoping filters of a mapping.
func filtersOfMapping(m *provision.ObjectMapping) []provision.FilterGroup {
	if m.Scope == nil {
		return nil
	}
	return m.Scope.Groups
}

// scopeFields returns the only field of the form, which holds the whole scope as one value. If two
// people change the scope, the page asks whose scope to keep.
func scopeFields() []console.EditField {
	return []console.EditField{{
		Name: "scope", Label: "Source Object Scope",
		ReadValue: func(form url.Values) string {
			if form.Has("scope") {
				return form.Get("scope")
			}
			return encodeFilters(withoutRemovedFilters(readFilters(form)))
		},
		FormatValue: func(text string) string {
			groups, err := decodeFilters(text)
			if err != nil || len(groups) == 0 {
				return "All records"
			}
			return (&provision.Filter{Groups: groups}).Words()
		},
	}}
}

// typedFilter is a filter as the operator typed it into the form.
type typedFilter struct {
	provision.FilterGroup
	IsTickedForRemoval bool
}

// readFilters reads the filters and their clauses from the form. It leaves out empty filters and
// empty clauses.
func readFilters(form url.Values) []typedFilter {
	var groups []typedFilter
	for i := range maxFilters {
		prefix := fmt.Sprintf("filter%d", i+1)
		if !form.Has(prefix + ".title") {
			break
		}
		g := typedFilter{FilterGroup: provision.FilterGroup{Name: strings.TrimSpace(form.Get(prefix + ".title"))}, IsTickedForRemoval: form.Get(prefix+".remove") != ""}
		for j := range maxClauses {
			name := fmt.Sprintf("%s.clause%d", prefix, j+1)
			if !form.Has(name + ".attribute") {
				break
			}
			attribute, text := form.Get(name+".attribute"), strings.Trim(console.NormalizeLineBreaks(form.Get(name+".value")), "\n")
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

// valueWithoutAttribute returns a value that the operator typed into a new row without choosing an
// attribute. It returns "" if there is none.
func valueWithoutAttribute(form url.Values) string {
	for name := range form {
		row, ok := strings.CutSuffix(name, ".value")
		if value := strings.TrimSpace(form.Get(name)); ok && value != "" && form.Get(row+".attribute") == "" && form.Get(row+".new") != "" {
			return value
		}
	}
	return ""
}

// withoutRemovedFilters returns the filters that are not ticked for removal.
func withoutRemovedFilters(typed []typedFilter) []provision.FilterGroup {
	var groups []provision.FilterGroup
	for _, g := range typed {
		if !g.IsTickedForRemoval {
			groups = append(groups, g.FilterGroup)
		}
	}
	return groups
}

// newScopePage returns the page without its filters, which fillFilters adds.
func (p *Pages) newScopePage(v *appVisit, m *provision.ObjectMapping) scopePage {
	pg := scopePage{Page: v.page, FormURL: v.scopeURL(m.Name), DiscardURL: v.scopeURL(m.Name)}
	pg.Title = "Source Object Scope"
	who := "Users"
	if isForGroups(m) {
		who = "Groups"
	}
	pg.Lead = who + " that pass one of the scoping filters are in scope. A filter passes when all its clauses hold. Without a filter, all records are in scope. Several values of a clause stand on lines of their own."
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: m.Name, URL: v.mappingURL(m.Name)})
	return pg
}

// fillFilters adds the filters to the page, and an empty filter at the end. To each filter it adds
// empty rows for further clauses; more is their number.
func (pg *scopePage) fillFilters(groups []typedFilter, attributes []string, more int) {
	n := len(groups)
	groups = append(slices.Clone(groups), typedFilter{})
	for i, g := range groups {
		view := filterView{InputPrefix: fmt.Sprintf("filter%d", i+1), Label: fmt.Sprintf("Scoping filter %d", i+1), Title: g.Name, IsNew: i >= n, IsTickedForRemoval: g.IsTickedForRemoval}
		if view.IsNew {
			view.Label = "New scoping filter"
		}
		clauses := slices.Clone(g.Clauses)
		for range more {
			clauses = append(clauses, provision.FilterClause{OperatorName: "EQUALS"})
		}
		for j, c := range clauses {
			row := clauseView{
				InputPrefix: fmt.Sprintf("%s.clause%d", view.InputPrefix, j+1), Label: fmt.Sprintf("Clause %d", j+1), Attribute: c.SourceOperandName, Attributes: attributes,
				Value: strings.Join(c.TargetOperand.Values, "\n"), LineCount: max(1, min(8, len(c.TargetOperand.Values))),
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
		pg.Filters = append(pg.Filters, view)
	}
}

// asTypedFilters returns stored filters in the form of filters that the operator has typed.
func asTypedFilters(groups []provision.FilterGroup) []typedFilter {
	typed := make([]typedFilter, len(groups))
	for i, g := range groups {
		typed[i] = typedFilter{FilterGroup: g}
	}
	return typed
}

// readTypedFilters reads the filters from a form. The form of the page has an input for each part
// of a filter. The form of a confirmation page has the whole scope as one value.
func readTypedFilters(form url.Values) ([]typedFilter, error) {
	if !form.Has("scope") {
		return readFilters(form), nil
	}
	groups, err := decodeFilters(form.Get("scope"))
	return asTypedFilters(groups), err
}

// scopeAttributes returns the names of the directory's attributes that a filter can read, sorted.
func scopeAttributes(s *provision.Schema, m *provision.ObjectMapping) []string {
	var names []string
	for _, name := range s.SourceAttributes(m) {
		find := directory.SourceAttribute
		if isForGroups(m) {
			find = directory.GroupSourceAttribute
		}
		if a, ok := find(name); ok && !(isForGroups(m) && a.MultiValued) { // filters cannot read multi-valued attributes of groups, such as the members
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// isForGroups reports whether a mapping is that of groups.
func isForGroups(m *provision.ObjectMapping) bool {
	return m.SourceObjectName == string(provision.GroupKind)
}

// findScopedMapping returns the job and the mapping that the path names. The error is
// provision.ErrNoJob if there is no job. It is a *console.PageError if there is no such mapping, or
// if the form cannot edit its scope.
func (p *Pages) findScopedMapping(r *http.Request, v *appVisit) (provision.Job, *provision.ObjectMapping, error) {
	job, err := p.Jobs.Get(r.Context(), v.jobKey())
	if err != nil {
		return job, nil, err
	}
	m, err := v.findMapping(job, r)
	if err == nil && !fitsForm(filtersOfMapping(m)) {
		err = &console.PageError{
			Status: http.StatusConflict, Title: "These scoping filters are edited as a file", Action: &console.Action{Text: "Back to the mapping", URL: v.mappingURL(m.Name)},
			Text: "They are more than the page can show, or have values that are empty or have line breaks. Use rollcall app export-schema and rollcall app import-schema.",
		}
	}
	return job, m, err
}

// fitsForm reports whether the form can show these filters without losing anything.
func fitsForm(groups []provision.FilterGroup) bool {
	if len(groups) >= maxFilters {
		return false
	}
	for _, g := range groups {
		if len(g.Clauses) > maxClauses-addedRows {
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
	job, m, err := p.findScopedMapping(r, v)
	if errors.Is(err, provision.ErrNoJob) {
		return p.handleJobError(w, r, v, err)
	}
	if err != nil {
		return err
	}
	pg, typed := p.newScopePage(v, m), asTypedFilters(filtersOfMapping(m))
	pg.StartValues = console.StartValueFields(scopeFields(), map[string]string{"scope": encodeFilters(filtersOfMapping(m))})
	if form := p.findKeptForm(r, v, v.scopeURL(m.Name)); form != nil {
		pg.StartValues, pg.HasUnsavedValues = console.RepeatStartValueFields(form, scopeFields()), true
		if typed, err = readTypedFilters(form); err != nil {
			return err
		}
	}
	pg.fillFilters(typed, scopeAttributes(job.Schema, m), 1)
	return p.show(w, r, http.StatusOK, "scope", pg)
}

func (p *Pages) saveScope(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	job, mapping, err := p.findScopedMapping(r, v)
	if errors.Is(err, provision.ErrNoJob) {
		return p.handleJobError(w, r, v, err)
	}
	if err != nil {
		return err
	}
	name := mapping.Name
	by, err := v.findLastChange(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	again := func(status int, wrong *console.Notice, more int) error {
		pg := p.newScopePage(v, mapping)
		pg.StartValues, pg.HasUnsavedValues, pg.Error = console.RepeatStartValueFields(r.PostForm, scopeFields()), true, wrong
		typed, err := readTypedFilters(r.PostForm)
		if err != nil {
			return err
		}
		pg.fillFilters(typed, scopeAttributes(job.Schema, mapping), more)
		return p.show(w, r, status, "scope", pg)
	}
	if r.PostForm.Get("do") == "more" {
		return again(http.StatusOK, nil, addedRows)
	}
	if value := valueWithoutAttribute(r.PostForm); value != "" {
		return again(http.StatusUnprocessableEntity, &console.Notice{Tone: console.ToneProblem, Title: "This was not saved", Text: "Choose a Source Attribute for the value \"" + value + "\", or clear it."}, 1)
	}
	var (
		m      console.MergedEdit
		change reachChange
	)
	_, err = p.Jobs.EditMapping(r.Context(), v.jobKey(), name, func(_ *provision.Schema, now *provision.ObjectMapping) (provision.MappingEdit, error) {
		var err error
		if m, err = console.MergeEdit(r.PostForm, scopeFields(), map[string]string{"scope": encodeFilters(filtersOfMapping(now))}); err != nil {
			return provision.MappingEdit{}, err
		}
		if len(m.Conflicts) > 0 {
			return provision.MappingEdit{}, errConflict
		}
		if len(m.ChangedByUser) == 0 {
			return provision.MappingEdit{}, nil
		}
		groups, err := decodeFilters(m.Values["scope"])
		if err != nil {
			return provision.MappingEdit{}, err
		}
		if err := job.Schema.CheckScope(name, groups, p.Jobs.CatalogOf(now)); err != nil {
			return provision.MappingEdit{}, err
		}
		before, err := job.WithScope(name, filtersOfMapping(now)) // the scope may have changed since the job was read
		if err != nil {
			return provision.MappingEdit{}, err
		}
		after, err := job.WithScope(name, groups)
		if err != nil {
			return provision.MappingEdit{}, err
		}
		if change, err = p.computeReachChange(r.Context(), v, before, after); err != nil {
			return provision.MappingEdit{}, err
		}
		asks := isForGroups(now) || change.needsConfirmation()
		if asks && r.PostForm.Get("confirmed") != change.confirmationValue() {
			return provision.MappingEdit{}, errConfirm
		}
		return provision.MappingEdit{Scope: &groups, Confirmed: change.mayDisableCount()}, nil
	}, v.actorLabel())
	var input *provision.InputError
	switch {
	case errors.Is(err, errConflict):
		frame := v.page
		frame.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: name, URL: v.mappingURL(name)})
		return p.Console.AskAboutConflicts(w, r, frame, m, v.scopeURL(name), v.scopeURL(name), by)
	case errors.Is(err, errConfirm) && isForGroups(mapping):
		return p.askGroupScope(w, r, v, name, m, change)
	case errors.Is(err, errConfirm):
		return p.askUserScope(w, r, v, name, m, change)
	case errors.As(err, &input):
		return again(http.StatusUnprocessableEntity, &console.Notice{Tone: console.ToneProblem, Title: "This was not saved", Text: console.AsSentence(input.Field + " " + input.Text)}, 1)
	case err != nil:
		return p.handleJobError(w, r, v, err)
	}
	n := console.DoneNotice("The scoping filters were saved. Everybody is looked at again with the next cycle.")
	if len(m.ChangedByUser) == 0 {
		n = console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: the scope was like that already."}
	}
	n.Text = strings.TrimSpace(n.Text + " " + m.OthersText(by))
	return p.Console.Redirect(w, r, v.mappingURL(name), n)
}

// errConfirm is the error of an edit that was not saved because the operator has not confirmed its
// effects yet.
var errConfirm = errors.New("the change has to be confirmed")

// askUserScope asks for confirmation before users leave or enter the scope.
func (p *Pages) askUserScope(w http.ResponseWriter, r *http.Request, v *appVisit, name string, m console.MergedEdit, c reachChange) error {
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.scopeURL(name), Button: "Save the scoping filters", IsDangerous: true, CancelURL: p.keepForm(r, v, v.scopeURL(name), m.HiddenFields),
		Fields: append(m.HiddenFields, console.HiddenField{Name: "confirmed", Value: c.confirmationValue()}),
	}
	c.fillQuestion(&pg, v, "filters")
	pg.Narrow = true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: name, URL: v.mappingURL(name)})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// askGroupScope asks for confirmation before groups leave or enter the scope.
func (p *Pages) askGroupScope(w http.ResponseWriter, r *http.Request, v *appVisit, name string, m console.MergedEdit, c reachChange) error {
	pg := console.ConfirmPage{
		Page: p.rowFrame(v, name), FormURL: v.scopeURL(name), Button: "Save the scoping filters", IsDangerous: true, CancelURL: p.keepForm(r, v, v.scopeURL(name), m.HiddenFields),
		Fields: append(m.HiddenFields, console.HiddenField{Name: "confirmed", Value: c.confirmationValue()}),
		Consequences: append(c.effect.Sentences(v.App.Name, console.PluralForms),
			"Groups that leave the scope are deleted at "+v.App.Name+" if Delete is among the Target Object Actions. Otherwise they stay there and are no longer kept up to date.",
			"Accounts of their members stay as they are.",
		),
		Undo: "Setting the old filters again makes the groups again, with their members.",
	}
	pg.Title, pg.Narrow = "Change which groups are in scope?", true
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}
