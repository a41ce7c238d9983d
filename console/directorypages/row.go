package directorypages

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/refusal"
)

// rowPage is the data of the view "row". It shows one row of a mapping, which maps one attribute,
// and the values that the row yields for people. Its labels are those of Entra's page "Edit
// Attribute".
type rowPage struct {
	console.Page
	StartValues      []console.HiddenField
	HasUnsavedValues bool
	FormURL          string
	CancelURL        string
	RemoveURL        string // address of the page that asks whether to remove the row; empty if it cannot be removed
	Error            *console.Notice
	InputErrors      map[string]*console.FieldError // the inputs' errors, by the name of the input
	Caret            *caretLine
	TypeChoices      []console.Choice
	ApplyChoices     []console.Choice
	PlaceChoices     []console.Choice // the places that the row can have in the list of rows; empty for a new row
	SourceAttributes []string
	TargetAttributes []string
	Values           map[string]string // the inputs' values, by the name of the input
	SourceName       string
	TargetName       string
	Notes            []expr.Note
	IsForUsers       bool   // whether the row belongs to the mapping of users; otherwise it belongs to that of groups
	PreviewName      string // what the operator typed into "Show it for"
	Preview          *rowPreview
	Functions        []expr.FunctionInfo
}

// caretLine shows where an expression has an error: the line with the error, and a line below it
// that has a caret under the error.
type caretLine struct {
	Line, Caret string
}

// rowPreview shows the values that a row yields for people or groups.
type rowPreview struct {
	provision.RowPreview
	NotFoundText string // says that the directory has no person or group with the typed name; empty otherwise
	Trace        *traceStep
	CountText    string
}

// traceStep shows one part of an expression, with the value that it yields.
type traceStep struct {
	Expression string
	Result     string
	Tone       console.Tone
	Steps      []traceStep
}

// rowParam is the query parameter that names a row by its target attribute. Without the parameter,
// the page is the form for a new row.
const rowParam = "row"

func (v *appVisit) rowURL(mapping, target string) string {
	at := v.mappingURL(mapping) + "/row"
	if target != "" {
		at += "?" + rowParam + "=" + url.QueryEscape(target)
	}
	return at
}

func (v *appVisit) removeRowURL(mapping, target string) string {
	return v.mappingURL(mapping) + "/row/remove?" + rowParam + "=" + url.QueryEscape(target)
}

// rowFields lists the inputs of the form.
func rowFields() []console.EditField {
	return []console.EditField{
		console.ChoiceField("type", "Mapping type", nil),
		{Name: "source", Label: "Source attribute"},
		{Name: "constant", Label: "Constant Value", ReadValue: func(form url.Values) string { return form.Get("constant") }},
		{Name: "expression", Label: "Expression"},
		{Name: "default", Label: "Default value if null", ReadValue: func(form url.Values) string { return form.Get("default") }},
		{Name: "target", Label: "Target attribute"},
		console.ChoiceField("match", "Match objects using this attribute", map[string]string{"yes": "Yes", "no": "No"}),
		{Name: "precedence", Label: "Matching precedence"},
		console.ChoiceField("apply", "Apply this mapping", map[string]string{"Always": "Always", "ObjectAddOnly": "Only during object creation"}),
		console.CheckboxField("flownull", "Flow null values"),
		{Name: "place", Label: "Place in the list"},
	}
}

// inputName returns the name of the input for the field that a provision.InputError names. It
// returns "" if the form has no such input.
func inputName(field string) string {
	for _, f := range rowFields() {
		if f.Label == field {
			return f.Name
		}
	}
	return ""
}

// rowValues returns the stored values of a row, by the name of the input.
func rowValues(s *provision.Schema, m *provision.ObjectMapping, target string) map[string]string {
	values := map[string]string{"type": string(provision.DirectMapping), "match": "no", "apply": string(provision.FlowAlways)}
	for i := range m.AttributeMappings {
		if target == "" || m.AttributeMappings[i].TargetAttributeName != target {
			continue
		}
		row := s.Row(m, &m.AttributeMappings[i])
		values["type"], values["default"], values["target"] = string(row.Type), row.Default, row.Target
		values["apply"], values["flownull"], values["place"] = string(row.Apply), console.CheckboxValue(row.FlowNull), strconv.Itoa(i+1)
		switch row.Type {
		case provision.DirectMapping:
			values["source"] = row.Source
		case provision.ConstantMapping:
			values["constant"] = row.Source
		case provision.ExpressionMapping:
			values["expression"] = row.Source
		}
		if row.Precedence > 0 {
			values["match"], values["precedence"] = "yes", strconv.Itoa(row.Precedence)
		}
	}
	return values
}

// parseRow returns the row that the values of the form describe. If the matching precedence is
// wrong, the error is a *provision.InputError.
func parseRow(values map[string]string) (provision.RowEdit, error) {
	row := provision.RowEdit{
		Type: provision.MappingType(values["type"]), Default: values["default"], Target: values["target"],
		Apply: provision.AttributeFlowType(values["apply"]), FlowNull: values["flownull"] != "",
	}
	switch row.Type {
	case provision.DirectMapping:
		row.Source = values["source"]
	case provision.ConstantMapping:
		row.Source = values["constant"]
	case provision.ExpressionMapping:
		row.Source = values["expression"]
	}
	if values["match"] != "yes" {
		return row, nil
	}
	n, err := strconv.Atoi(values["precedence"])
	if err != nil || n < 1 {
		return row, &provision.InputError{Field: "Matching precedence", Text: "is a number from 1, lowest first"}
	}
	row.Precedence = n
	return row, nil
}

// applyRow returns the job with the row that the form describes. replaces is the target attribute
// of the row that it replaces; it is empty for a new row.
func applyRow(job provision.Job, mapping, replaces string, values map[string]string, c provision.Catalog) (provision.Job, error) {
	row, err := parseRow(values)
	if err != nil {
		return job, err
	}
	after, err := job.SetRow(mapping, replaces, row, c)
	if err != nil || replaces == "" {
		return after, err
	}
	place, err := strconv.Atoi(values["place"])
	if err != nil {
		return job, &provision.InputError{Field: "Place in the list", Text: "is a number"}
	}
	return after.MoveRow(mapping, row.Target, place, c)
}

// openRow returns the job, the mapping and the target attribute of the row that the address names.
func (p *Pages) openRow(r *http.Request, v *appVisit) (provision.Job, *provision.ObjectMapping, string, error) {
	job, err := p.Jobs.Get(r.Context(), v.jobKey())
	if err != nil {
		return job, nil, "", err
	}
	m, err := v.findMapping(job, r)
	if err != nil {
		return job, nil, "", err
	}
	target := r.URL.Query().Get(rowParam)
	if target != "" && !slices.ContainsFunc(m.AttributeMappings, func(a provision.AttributeMapping) bool { return a.TargetAttributeName == target }) {
		return job, nil, "", &console.PageError{
			Status: http.StatusNotFound, Title: "This attribute is not mapped", Text: "The mapping has no row for " + target + ". It may have been removed since the list was shown.",
			Action: &console.Action{Text: "Back to the mapping", URL: v.mappingURL(m.Name)},
		}
	}
	return job, m, target, nil
}

func (p *Pages) showRow(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, m, target, err := p.openRow(r, v)
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	stored := rowValues(job.Schema, m, target)
	pg := p.rowPage(v, job, m, target, stored)
	pg.StartValues = console.StartValueFields(rowFields(), stored)
	if form := p.findKeptForm(r, v, v.rowURL(m.Name, target)); form != nil {
		values := readRowValues(form)
		pg = p.rowPage(v, job, m, target, values)
		pg.StartValues, pg.HasUnsavedValues = console.RepeatStartValueFields(form, rowFields()), true
	}
	if target != "" {
		p.addPreview(r.Context(), v, &pg, job, m, target, "")
	}
	return p.show(w, r, http.StatusOK, "row", pg)
}

// readRowValues reads the inputs of a form that was just sent, or sent earlier and kept.
func readRowValues(form url.Values) map[string]string {
	values := map[string]string{}
	for _, f := range rowFields() {
		values[f.Name] = f.FormValue(form)
	}
	return values
}

// rowPage returns the page with these values in its inputs. target is the row's target attribute,
// or "" for a new row.
func (p *Pages) rowPage(v *appVisit, job provision.Job, m *provision.ObjectMapping, target string, values map[string]string) rowPage {
	pg := rowPage{
		Page: v.page, FormURL: v.rowURL(m.Name, target), CancelURL: v.mappingURL(m.Name), Values: values, InputErrors: map[string]*console.FieldError{},
		IsForUsers: m.SourceObjectName == "User", Functions: expr.Functions(),
	}
	pg.SourceName, pg.TargetName = systemNames(job.Schema)
	pg.Title = "Edit Attribute"
	if target == "" {
		pg.Title = "Add New Mapping"
	} else {
		pg.Lead = target
		if !pg.IsForUsers || target != "userName" {
			pg.RemoveURL = v.removeRowURL(m.Name, target)
		}
	}
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: m.Name, URL: v.mappingURL(m.Name)})
	for _, t := range provision.MappingTypes() {
		pg.TypeChoices = append(pg.TypeChoices, console.Choice{Value: string(t), Text: string(t), Checked: values["type"] == string(t)})
	}
	for _, f := range []struct{ value, text string }{{"Always", "Always"}, {"ObjectAddOnly", "Only during object creation"}} {
		pg.ApplyChoices = append(pg.ApplyChoices, console.Choice{Value: f.value, Text: f.text, Checked: values["apply"] == f.value})
	}
	if apply := values["apply"]; apply != "" && !slices.ContainsFunc(pg.ApplyChoices, func(c console.Choice) bool { return c.Checked }) {
		pg.ApplyChoices = append(pg.ApplyChoices, console.Choice{Value: apply, Text: apply, Checked: true})
	}
	if target != "" {
		for i := range m.AttributeMappings {
			n := strconv.Itoa(i + 1)
			text := n + ", where " + m.AttributeMappings[i].TargetAttributeName + " is now"
			if m.AttributeMappings[i].TargetAttributeName == target {
				text = n + ", as it is"
			}
			pg.PlaceChoices = append(pg.PlaceChoices, console.Choice{Value: n, Text: text, Checked: values["place"] == n})
		}
	}
	pg.SourceAttributes = slices.Sorted(slices.Values(job.Schema.SourceAttributes(m)))
	pg.TargetAttributes = freeTargets(job.Schema, m, target)
	return pg
}

// freeTargets returns the target attributes that no other row writes. own is the row's own target.
func freeTargets(s *provision.Schema, m *provision.ObjectMapping, own string) []string {
	var free []string
	for _, name := range s.TargetAttributes(m) {
		taken := slices.ContainsFunc(m.AttributeMappings, func(a provision.AttributeMapping) bool { return a.TargetAttributeName == name })
		if !taken || name == own {
			free = append(free, name)
		}
	}
	return free
}

// showInputError shows an error beside its input, or above the form if no input fits. It returns
// false if the error is not about the form.
func (pg *rowPage) showInputError(err error) bool {
	var wrong *provision.ExpressionError
	var place *expr.SyntaxError
	var input *provision.InputError
	switch {
	case errors.As(err, &wrong):
		pg.InputErrors["expression"] = &console.FieldError{For: "expression", Text: console.AsSentence(wrong.Err.Error())}
		if errors.As(err, &place) {
			pg.Caret = newCaretLine(pg.Values["expression"], place)
		}
	case errors.As(err, &input):
		if name := inputName(input.Field); name != "" {
			pg.InputErrors[name] = &console.FieldError{For: name, Text: console.AsSentence(input.Field + " " + input.Text)}
		} else {
			pg.Error = &console.Notice{Tone: console.ToneProblem, Title: "This was not saved", Text: console.AsSentence(input.Field + " " + input.Text)}
		}
	default:
		return false
	}
	return true
}

// newCaretLine returns the line of the expression that contains the error, with a caret under the
// error. It returns nil if the text has no such line.
func newCaretLine(text string, e *expr.SyntaxError) *caretLine {
	lines := strings.Split(console.NormalizeLineBreaks(text), "\n")
	if e.Line < 1 || e.Line > len(lines) {
		return nil
	}
	return &caretLine{Line: lines[e.Line-1], Caret: strings.Repeat(" ", max(0, e.Column-1)) + "^"}
}

func (p *Pages) saveRow(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	job, mapping, target, err := p.openRow(r, v)
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	again := func(status int, wrong error) error {
		values := readRowValues(r.PostForm)
		pg := p.rowPage(v, job, mapping, target, values)
		pg.StartValues, pg.HasUnsavedValues = console.RepeatStartValueFields(r.PostForm, rowFields()), true
		if wrong != nil && !pg.showInputError(wrong) {
			return wrong
		}
		if wrong == nil {
			p.addPreview(r.Context(), v, &pg, job, mapping, target, strings.TrimSpace(r.PostForm.Get("person")))
		}
		return p.show(w, r, status, "row", pg)
	}
	if r.PostForm.Get("do") == "try" {
		return again(http.StatusOK, nil)
	}
	var m console.MergedEdit
	by, err := v.findLastChange(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	change, after, err := p.changeSchema(r, v, func(now provision.Job) (provision.Job, error) {
		current, err := now.Schema.ObjectMapping(mapping.Name)
		if err != nil {
			return now, &provision.InputError{Field: "Mapping", Text: err.Error()}
		}
		if m, err = console.MergeEdit(r.PostForm, rowFields(), rowValues(now.Schema, current, target)); err != nil {
			return now, err
		}
		if len(m.Conflicts) > 0 {
			return now, errConflict
		}
		return applyRow(now, mapping.Name, target, m.Values, p.Jobs.Attributes)
	})
	var input *provision.InputError
	var wrong *provision.ExpressionError
	switch {
	case errors.Is(err, errConflict):
		return p.Console.AskAboutConflicts(w, r, p.rowFrame(v, mapping.Name), m, v.rowURL(mapping.Name, target), v.rowURL(mapping.Name, target), by)
	case errors.Is(err, errConfirm):
		pg := console.ConfirmPage{Page: p.rowFrame(v, mapping.Name), FormURL: v.rowURL(mapping.Name, target), Button: "Save the mapping", CancelURL: p.keepForm(r, v, v.rowURL(mapping.Name, target), m.HiddenFields)}
		pg.Fields = append(m.HiddenFields, console.HiddenField{Name: "confirmed", Value: change.confirmationValue()})
		return p.askSchemaChange(w, r, v, pg, change, m.OthersText(by))
	case errors.As(err, &input), errors.As(err, &wrong):
		return again(http.StatusUnprocessableEntity, err)
	case err != nil:
		return p.handleJobError(w, r, v, err)
	}
	n := console.DoneNotice("The mapping of " + m.Values["target"] + " was saved. Everybody is looked at again with the next cycle.")
	if len(m.ChangedByUser) == 0 {
		n = console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: the mapping of " + m.Values["target"] + " was like that already."}
	}
	n.Text = strings.TrimSpace(n.Text + " " + m.OthersText(by))
	return p.Console.Redirect(w, r, v.mappingURL(mapping.Name), addRequiredWarning(n, after, mapping.Name))
}

// rowFrame returns the frame of a page that is below the page of a mapping.
func (p *Pages) rowFrame(v *appVisit, mapping string) console.Page {
	frame := v.page
	frame.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Provisioning", URL: v.url("/provisioning")}, console.Crumb{Text: mapping, URL: v.mappingURL(mapping)})
	return frame
}

// askSchemaChange asks for confirmation before a mapping is changed, and shows what the change
// does. others says what other people have changed.
func (p *Pages) askSchemaChange(w http.ResponseWriter, r *http.Request, v *appVisit, pg console.ConfirmPage, c reachChange, others string) error {
	c.fillQuestion(&pg, v, "mapping")
	pg.Lead, pg.Narrow = others, true
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) askRemoveRow(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	job, m, target, err := p.openRow(r, v)
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	after, err := job.RemoveRow(m.Name, target, p.Jobs.Attributes)
	if err != nil {
		return p.showRowRemovalRefusal(w, r, v, m.Name, target, err)
	}
	c, err := p.computeReachChange(r.Context(), v, job, after)
	if err != nil {
		return err
	}
	return p.askRowRemoval(w, r, v, m, target, c)
}

func (p *Pages) askRowRemoval(w http.ResponseWriter, r *http.Request, v *appVisit, m *provision.ObjectMapping, target string, c reachChange) error {
	noun := "an account"
	if isForGroups(m) {
		noun = "a group"
	}
	pg := console.ConfirmPage{
		Page: p.rowFrame(v, m.Name), FormURL: v.removeRowURL(m.Name, target), Button: "Remove the mapping of " + target, IsDangerous: true,
		CancelURL: v.rowURL(m.Name, target), Fields: []console.HiddenField{{Name: "confirmed", Value: c.confirmationValue()}},
		Consequences: []string{target + " of " + noun + " at " + v.App.Name + " is not kept up to date any more. The value that it has now stays."},
	}
	c.fillQuestion(&pg, v, "mapping")
	pg.Title, pg.Narrow = "Remove the mapping of "+target+"?", true
	pg.Undo = "The mapping can be added again."
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// showRowRemovalRefusal shows why a row cannot be removed.
func (p *Pages) showRowRemovalRefusal(w http.ResponseWriter, r *http.Request, v *appVisit, mapping, target string, err error) error {
	var input *provision.InputError
	if !errors.As(err, &input) {
		return err
	}
	return p.Console.Redirect(w, r, v.rowURL(mapping, target), console.Notice{Tone: console.ToneProblem, Title: "The mapping was not removed", Text: console.AsSentence(input.Field + " " + input.Text)})
}

func (p *Pages) removeRow(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	_, mapping, target, err := p.openRow(r, v)
	if err != nil {
		return p.handleJobError(w, r, v, err)
	}
	var change reachChange
	job, err := p.Jobs.EditSchema(r.Context(), v.jobKey(), func(now provision.Job) (provision.Job, error) {
		after, err := now.RemoveRow(mapping.Name, target, p.Jobs.Attributes)
		if err != nil {
			return now, err
		}
		if change, err = p.computeReachChange(r.Context(), v, now, after); err != nil {
			return now, err
		}
		if r.PostForm.Get("confirmed") != change.confirmationValue() {
			return now, errConfirm
		}
		after.Confirmed += int64(change.mayDisableCount())
		return after, nil
	}, v.actorLabel())
	var input *provision.InputError
	switch {
	case errors.Is(err, errConfirm):
		return p.askRowRemoval(w, r, v, mapping, target, change)
	case errors.As(err, &input):
		return p.showRowRemovalRefusal(w, r, v, mapping.Name, target, err)
	case err != nil:
		return p.handleJobError(w, r, v, err)
	}
	return p.Console.Redirect(w, r, v.mappingURL(mapping.Name), addRequiredWarning(console.DoneNotice("The mapping of "+target+" was removed."), job, mapping.Name))
}

// findObject returns the object id of the user or group with this name. user says whether to look
// for a user.
func (v *appVisit) findObject(ctx context.Context, name string, user bool) (string, error) {
	if user {
		return v.findPerson(ctx, name)
	}
	g, err := v.GroupNamed(ctx, name)
	return g.ObjectID, err
}

// findPerson returns the object id of the user with this user principal name or object id.
func (v *appVisit) findPerson(ctx context.Context, name string) (string, error) {
	u, err := v.UserByUPN(ctx, name)
	if errors.Is(err, refusal.NotFound) {
		u, err = v.User(ctx, name)
	}
	return u.ObjectID, err
}

// addPreview adds to the page the values that the row yields for people or groups. If name is not
// empty, it also shows how the value for that person or group comes about. If the row cannot be
// used yet, it shows the error instead.
func (p *Pages) addPreview(ctx context.Context, v *appVisit, pg *rowPage, job provision.Job, m *provision.ObjectMapping, target, name string) {
	row, err := parseRow(pg.Values)
	if err == nil {
		pg.Notes = job.RowNotes(m.Name, row)
	}
	tried := &rowPreview{}
	pg.PreviewName = name
	person := ""
	if err == nil && name != "" {
		person, err = v.findObject(ctx, name, pg.IsForUsers)
		if errors.Is(err, refusal.NotFound) {
			tried.NotFoundText, err = "There is no user "+name+" in this directory. Type a user principal name or an object id.", nil
			if !pg.IsForUsers {
				tried.NotFoundText = "There is no group " + name + " in this directory. Type a display name or an object id."
			}
		}
	}
	if err == nil {
		tried.RowPreview, err = p.Jobs.Try(ctx, job, m.Name, target, row, person)
	}
	if err != nil {
		if !pg.showInputError(err) {
			pg.Error = &console.Notice{Tone: console.ToneProblem, Title: "The mapping was not tried", Text: console.AsSentence(err.Error())}
		}
		return
	}
	if tried.RowPreview.Trace != nil {
		tried.Trace = newTraceStep(tried.RowPreview.Trace)
	}
	tried.CountText = previewCountText(tried.RowPreview, pg.IsForUsers)
	pg.Preview = tried
}

// previewCountText says for how many users or groups the row yields no value or fails.
func previewCountText(t provision.RowPreview, users bool) string {
	one, several := "active user", "active users"
	if !users {
		one, several = "group", "groups"
	}
	who := "all " + console.PluralForms(t.Examined, one, several) + " that the job can reach"
	if !t.All {
		who = "the first " + console.PluralForms(t.Examined, one, several)
	}
	return fmt.Sprintf("Of %s, %s no value, and the mapping fails for %d.", who, console.PluralForms(t.Empties, "has", "have"), t.Failures)
}

// newTraceStep prepares a step of an evaluation, and the steps within it, for the page.
func newTraceStep(s *expr.Step) *traceStep {
	t := &traceStep{Expression: s.Expression, Tone: console.ToneQuiet}
	switch {
	case s.Skipped:
		t.Result = "not evaluated"
	case s.Err != nil:
		t.Result, t.Tone = "fails", console.ToneProblem
	case s.IsRedacted():
		t.Result = "[Redact]"
	case s.Value.IsNull():
		t.Result = "no value"
	case s.Value.IsNoFlow():
		t.Result = "nothing flows"
	default:
		t.Result = strings.Join(s.Value.Strings(), ", ")
	}
	for _, child := range s.Steps {
		t.Steps = append(t.Steps, *newTraceStep(child))
	}
	return t
}
