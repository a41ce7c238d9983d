package directorypages

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// attributesPage is the data of the view "attributes". It is Entra's page "Edit attribute list",
// with a form that adds an attribute. If Name is set, it is the form that changes that attribute.
type attributesPage struct {
	console.Page
	Rows               []attributeRow
	IsSourceList       bool     // whether the list is that of the directory; otherwise it is that of the application
	ShowsAPIExpression bool     // whether any attribute of the list has an API Expression
	Name               string   // the attribute that the form changes; empty on the page of the list
	IsPrimaryKey       bool     // whether the attribute is the primary key
	APIExpression      string   // the API Expression of the attribute
	Uses               []string // the places that use the attribute, because of which it cannot be removed
	MissingNames       []string // names of the directory's attributes that are not in the list
	FormURL            string
	CancelURL          string
	RemoveURL          string // address of the page that asks whether to remove the attribute; empty if it cannot be removed
	StartValues        []console.HiddenField
	HasUnsavedValues   bool
	Values             map[string]string              // the inputs' values, by the name of the input
	InputErrors        map[string]*console.FieldError // the inputs' errors, by the name of the input
	Error              *console.Notice
	TypeChoices        []console.Choice
	ReferenceChoices   []console.Choice
}

// attributeRow shows one attribute of an attribute list.
type attributeRow struct {
	provision.ListedAttribute
	URL string
}

// attributeParam is the query parameter that names an attribute of a list.
const attributeParam = "name"

// attributeListVisit is a request for a page of an attribute list. A mapping has two such lists: one
// of the directory's attributes, and one of the application's.
type attributeListVisit struct {
	*appVisit
	job        provision.Job
	mapping    *provision.ObjectMapping
	side       provision.ListSide // which of the two lists
	systemName string             // the name of the directory or application
	attributes []provision.ListedAttribute
}

func (v *appVisit) attributesURL(mapping string, side provision.ListSide) string {
	return v.mappingURL(mapping) + "/attributes/" + string(side)
}

func (l attributeListVisit) url() string { return l.attributesURL(l.mapping.Name, l.side) }

func (l attributeListVisit) attributeURL(name string) string {
	return l.url() + "/edit?" + attributeParam + "=" + url.QueryEscape(name)
}

func (l attributeListVisit) removeURL(name string) string {
	return l.url() + "/remove?" + attributeParam + "=" + url.QueryEscape(name)
}

// withAttributeList returns a handler that finds the attribute list that the address names, and
// passes it to handle.
func (p *Pages) withAttributeList(handle func(http.ResponseWriter, *http.Request, attributeListVisit) error) func(http.ResponseWriter, *http.Request, *appVisit) error {
	return func(w http.ResponseWriter, r *http.Request, v *appVisit) error {
		job, err := p.Jobs.Get(r.Context(), v.jobKey())
		if err != nil {
			return p.handleJobError(w, r, v, err)
		}
		l := attributeListVisit{appVisit: v, job: job, side: provision.ListSide(r.PathValue("side"))}
		if l.mapping, err = v.findMapping(job, r); err != nil {
			return err
		}
		source, target := systemNames(job.Schema)
		switch l.systemName = target; l.side {
		case provision.TargetList:
		case provision.SourceList:
			l.systemName = source
		default:
			return console.ErrNotFound
		}
		if l.attributes, err = job.Schema.AttributeList(l.mapping, l.side); err != nil {
			return err
		}
		if err := r.ParseForm(); err != nil {
			return err
		}
		return handle(w, r, l)
	}
}

// withAttribute returns a handler that finds the attribute that the address names, and passes it to
// handle, together with its list.
func (p *Pages) withAttribute(handle func(http.ResponseWriter, *http.Request, attributeListVisit, provision.ListedAttribute) error) func(http.ResponseWriter, *http.Request, *appVisit) error {
	return p.withAttributeList(func(w http.ResponseWriter, r *http.Request, l attributeListVisit) error {
		name := r.URL.Query().Get(attributeParam)
		i := slices.IndexFunc(l.attributes, func(a provision.ListedAttribute) bool { return a.Name == name })
		if i < 0 {
			return &console.PageError{
				Status: http.StatusNotFound, Title: "This attribute is not in the list", Text: "The attribute list has no " + name + ". It may have been removed since the list was shown.",
				Action: &console.Action{Text: "Back to the attribute list", URL: l.url()},
			}
		}
		return handle(w, r, l, l.attributes[i])
	})
}

// attributeFields lists the inputs of the form for an attribute on this side. Saving the form does
// not change properties of the attribute that have no input.
func attributeFields(side provision.ListSide) []console.EditField {
	fields := []console.EditField{
		console.ChoiceField("type", "Type", nil),
		console.CheckboxField("required", "Required"),
		console.CheckboxField("multivalue", "Multi-value"),
		console.CheckboxField("exact", "Exact case"),
		{Name: "referenced", Label: "Referenced Object Attribute"},
	}
	if side == provision.SourceList {
		return []console.EditField{fields[0], fields[4], console.CheckboxField("flownull", "Flow null values")}
	}
	return fields
}

// attributeValues returns the values of the form that stand for a stored attribute.
func attributeValues(a provision.ListedAttribute) map[string]string {
	return map[string]string{
		"name": a.Name, "type": string(a.Type), "referenced": a.Referenced, "required": console.CheckboxValue(a.Required), "multivalue": console.CheckboxValue(a.MultiValue),
		"exact": console.CheckboxValue(a.ExactCase), "flownull": console.CheckboxValue(a.FlowNull),
	}
}

// applyValues returns the attribute a with the values of the form.
func (l attributeListVisit) applyValues(a provision.ListedAttribute, values map[string]string) provision.ListedAttribute {
	a.Type, a.Referenced = provision.AttributeType(values["type"]), values["referenced"]
	if l.side == provision.SourceList {
		a.FlowNull = values["flownull"] != ""
		return a
	}
	a.Required, a.MultiValue, a.ExactCase = values["required"] != "", values["multivalue"] != "", values["exact"] != ""
	return a
}

// attributesPage returns the page with these values in its inputs. a is the attribute that the form
// changes. If a is nil, it returns the page of the whole list.
func (p *Pages) attributesPage(l attributeListVisit, a *provision.ListedAttribute, values map[string]string) attributesPage {
	pg := attributesPage{Page: l.page, IsSourceList: l.side == provision.SourceList, FormURL: l.url(), CancelURL: l.url(), Values: values, InputErrors: map[string]*console.FieldError{}}
	crumbs := []console.Crumb{{}, {Text: "Provisioning", URL: l.appVisit.url("/provisioning")}, {Text: l.mapping.Name, URL: l.mappingURL(l.mapping.Name)}}
	pg.Title = "Edit attribute list for " + l.systemName
	pg.Lead = "What a row of the mapping can write at " + l.App.Name + ", and how a value is sent."
	if pg.IsSourceList {
		pg.Lead = "What a row of the mapping, an expression and a scoping filter can read in " + l.Directory.Name + "."
	}
	for _, one := range l.attributes {
		pg.ShowsAPIExpression = pg.ShowsAPIExpression || one.APIExpression != ""
		if a == nil {
			pg.Rows = append(pg.Rows, attributeRow{one, l.attributeURL(one.Name)})
		}
	}
	if a != nil {
		crumbs = append(crumbs, console.Crumb{Text: pg.Title, URL: l.url()})
		pg.Title, pg.Lead, pg.FormURL = a.Name, "", l.attributeURL(a.Name)
		pg.Name, pg.IsPrimaryKey, pg.APIExpression, pg.Uses = a.Name, a.PrimaryKey, a.APIExpression, a.Uses
		if len(a.Uses) == 0 {
			pg.RemoveURL = l.removeURL(a.Name)
		}
	} else if pg.IsSourceList {
		pg.MissingNames = l.missingAttributes()
	}
	pg.Crumbs = l.crumbs(crumbs...)
	for _, t := range provision.AttributeTypes() {
		pg.TypeChoices = append(pg.TypeChoices, console.Choice{Value: string(t), Text: string(t), Checked: values["type"] == string(t)})
	}
	pg.ReferenceChoices = l.referenceChoices(values["referenced"])
	return pg
}

// missingAttributes returns the attributes of the directory that the list does not contain.
func (l attributeListVisit) missingAttributes() []string {
	names := directory.SourceNames()
	if l.mapping.SourceObjectName == string(provision.GroupKind) {
		names = directory.GroupSourceNames()
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(l.attributes, func(a provision.ListedAttribute) bool { return a.Name == name })
	})
}

// referenceChoices returns the types of objects to which an attribute of type Reference can refer.
func (l attributeListVisit) referenceChoices(have string) []console.Choice {
	object := l.mapping.TargetObjectName
	if l.side == provision.SourceList {
		object = l.mapping.SourceObjectName
	}
	choices := []console.Choice{{Value: object, Text: object, Checked: have == object}}
	if have != "" && have != object {
		choices = append(choices, console.Choice{Value: have, Text: have, Checked: true})
	}
	return choices
}

// showInputError shows an error beside its input, or above the form if no input fits. It returns
// false if the error is not about the form.
func (pg *attributesPage) showInputError(err error, side provision.ListSide) bool {
	var input *provision.InputError
	if !errors.As(err, &input) {
		return false
	}
	text := console.AsSentence(input.Field + " " + input.Text)
	fields := append(attributeFields(side), console.EditField{Name: "name", Label: "Name"})
	if i := slices.IndexFunc(fields, func(f console.EditField) bool { return f.Label == input.Field }); i >= 0 && !(fields[i].Name == "name" && pg.Name != "") {
		pg.InputErrors[fields[i].Name] = &console.FieldError{For: fields[i].Name, Text: text}
	} else {
		pg.Error = &console.Notice{Tone: console.ToneProblem, Title: "This was not saved", Text: text}
	}
	return true
}

func (p *Pages) showAttributes(w http.ResponseWriter, r *http.Request, l attributeListVisit) error {
	return p.show(w, r, http.StatusOK, "attributes", p.attributesPage(l, nil, attributeValues(provision.ListedAttribute{Type: provision.TypeString})))
}

func (p *Pages) addAttribute(w http.ResponseWriter, r *http.Request, l attributeListVisit) error {
	values := map[string]string{"name": strings.TrimSpace(r.PostForm.Get("name"))}
	for _, f := range attributeFields(l.side) {
		values[f.Name] = f.FormValue(r.PostForm)
	}
	a := l.applyValues(provision.ListedAttribute{Name: values["name"]}, values)
	if known, ok := p.Jobs.CatalogOf(l.mapping).Attribute(a.Name); ok && l.side == provision.SourceList {
		a.MultiValue = known.MultiValued
	}
	_, job, err := p.changeSchema(r, l.appVisit, func(now provision.Job) (provision.Job, error) {
		return now.AddAttribute(l.mapping.Name, l.side, a, p.Jobs.CatalogOf(l.mapping))
	})
	pg := p.attributesPage(l, nil, values)
	switch {
	case pg.showInputError(err, l.side):
		pg.HasUnsavedValues = true
		return p.show(w, r, http.StatusUnprocessableEntity, "attributes", pg)
	case err != nil:
		return p.handleJobError(w, r, l.appVisit, err)
	}
	return p.Console.Redirect(w, r, l.url(), addRequiredWarning(console.DoneNotice("The attribute "+a.Name+" was added."), job, l.mapping.Name))
}

func (p *Pages) showAttribute(w http.ResponseWriter, r *http.Request, l attributeListVisit, a provision.ListedAttribute) error {
	stored := attributeValues(a)
	pg := p.attributesPage(l, &a, stored)
	pg.StartValues = console.StartValueFields(attributeFields(l.side), stored)
	if form := p.findKeptForm(r, l.appVisit, l.attributeURL(a.Name)); form != nil {
		pg = p.attributesPage(l, &a, l.typedValues(form))
		pg.StartValues, pg.HasUnsavedValues = console.RepeatStartValueFields(form, attributeFields(l.side)), true
	}
	return p.show(w, r, http.StatusOK, "attributes", pg)
}

// typedValues reads the inputs of a form that was just sent, or sent earlier and kept.
func (l attributeListVisit) typedValues(form url.Values) map[string]string {
	values := map[string]string{}
	for _, f := range attributeFields(l.side) {
		values[f.Name] = f.FormValue(form)
	}
	return values
}

func (p *Pages) saveAttribute(w http.ResponseWriter, r *http.Request, l attributeListVisit, a provision.ListedAttribute) error {
	by, err := l.findLastChange(r.Context(), l.App.ID)
	if err != nil {
		return err
	}
	var m console.MergedEdit
	change, job, err := p.changeSchema(r, l.appVisit, func(now provision.Job) (provision.Job, error) {
		stored, err := findListedAttribute(now, l, a.Name)
		if err != nil {
			return now, err
		}
		if m, err = console.MergeEdit(r.PostForm, attributeFields(l.side), attributeValues(stored)); err != nil {
			return now, err
		}
		if len(m.Conflicts) > 0 {
			return now, errConflict
		}
		return now.ChangeAttribute(l.mapping.Name, l.side, l.applyValues(stored, m.Values), p.Jobs.CatalogOf(l.mapping))
	})
	at := l.attributeURL(a.Name)
	switch {
	case errors.Is(err, errConflict):
		return p.Console.AskAboutConflicts(w, r, p.attributeListFrame(l), m, at, at, by)
	case errors.Is(err, errConfirm):
		pg := console.ConfirmPage{Page: p.attributeListFrame(l), FormURL: at, Button: "Save the attribute", CancelURL: p.keepForm(r, l.appVisit, at, m.HiddenFields)}
		pg.Fields = append(m.HiddenFields, console.HiddenField{Name: "confirmed", Value: change.confirmationValue()})
		return p.askSchemaChange(w, r, l.appVisit, pg, change, m.OthersText(by))
	}
	pg := p.attributesPage(l, &a, l.typedValues(r.PostForm))
	switch {
	case pg.showInputError(err, l.side):
		pg.StartValues, pg.HasUnsavedValues = console.RepeatStartValueFields(r.PostForm, attributeFields(l.side)), true
		return p.show(w, r, http.StatusUnprocessableEntity, "attributes", pg)
	case err != nil:
		return p.handleJobError(w, r, l.appVisit, err)
	}
	n := console.DoneNotice(strings.TrimSpace("The attribute " + a.Name + " was saved. " + m.OthersText(by)))
	if len(m.ChangedByUser) == 0 {
		n = console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: the attribute " + a.Name + " was like that already."}
	}
	return p.Console.Redirect(w, r, l.url(), addRequiredWarning(n, job, l.mapping.Name))
}

// findListedAttribute returns an attribute from the job's list, which may have changed since l was
// read.
func findListedAttribute(job provision.Job, l attributeListVisit, name string) (provision.ListedAttribute, error) {
	m, err := job.Schema.ObjectMapping(l.mapping.Name)
	if err != nil {
		return provision.ListedAttribute{}, &provision.InputError{Field: "Mapping", Text: err.Error()}
	}
	list, err := job.Schema.AttributeList(m, l.side)
	if err != nil {
		return provision.ListedAttribute{}, err
	}
	i := slices.IndexFunc(list, func(a provision.ListedAttribute) bool { return a.Name == name })
	if i < 0 {
		return provision.ListedAttribute{}, &provision.InputError{Field: "Attribute list", Text: "no longer has " + name}
	}
	return list[i], nil
}

// attributeListFrame returns the frame of a page with a question about the list.
func (p *Pages) attributeListFrame(l attributeListVisit) console.Page {
	frame := p.rowFrame(l.appVisit, l.mapping.Name)
	frame.Crumbs = append(frame.Crumbs, console.Crumb{Text: "Edit attribute list for " + l.systemName, URL: l.url()})
	return frame
}

func (p *Pages) askRemoveAttribute(w http.ResponseWriter, r *http.Request, l attributeListVisit, a provision.ListedAttribute) error {
	if _, err := l.job.RemoveAttribute(l.mapping.Name, l.side, a.Name, p.Jobs.CatalogOf(l.mapping)); err != nil {
		return p.showAttributeRemovalRefusal(w, r, l, a, err)
	}
	pg := console.ConfirmPage{
		Page: p.attributeListFrame(l), FormURL: l.removeURL(a.Name), Button: "Remove " + a.Name, IsDangerous: true, CancelURL: l.attributeURL(a.Name),
		Consequences: []string{"No row of the mapping and no scoping filter uses " + a.Name + ". Nothing changes for people. Rows can no longer choose it."},
	}
	pg.Title, pg.Narrow, pg.Undo = "Remove "+a.Name+" from the attribute list?", true, "It can be added again."
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// showAttributeRemovalRefusal shows why an attribute cannot be removed.
func (p *Pages) showAttributeRemovalRefusal(w http.ResponseWriter, r *http.Request, l attributeListVisit, a provision.ListedAttribute, err error) error {
	var input *provision.InputError
	if !errors.As(err, &input) {
		return p.handleJobError(w, r, l.appVisit, err)
	}
	n := console.Notice{Tone: console.ToneProblem, Title: "The attribute was not removed", Text: console.AsSentence(input.Field + " " + input.Text)}
	return p.Console.Redirect(w, r, l.attributeURL(a.Name), n)
}

func (p *Pages) removeAttribute(w http.ResponseWriter, r *http.Request, l attributeListVisit, a provision.ListedAttribute) error {
	_, job, err := p.changeSchema(r, l.appVisit, func(now provision.Job) (provision.Job, error) {
		return now.RemoveAttribute(l.mapping.Name, l.side, a.Name, p.Jobs.CatalogOf(l.mapping))
	})
	if err != nil {
		return p.showAttributeRemovalRefusal(w, r, l, a, err)
	}
	return p.Console.Redirect(w, r, l.url(), addRequiredWarning(console.DoneNotice("The attribute "+a.Name+" was removed from the list."), job, l.mapping.Name))
}

// changeSchema saves a change of the mappings. decide makes the change. changeSchema returns the
// effect on people, and the job after the change. It returns errConfirm, and saves nothing, if the
// effect needs a confirmation that the form does not contain.
func (p *Pages) changeSchema(r *http.Request, v *appVisit, decide func(provision.Job) (provision.Job, error)) (reachChange, provision.Job, error) {
	var change reachChange
	job, err := p.Jobs.EditSchema(r.Context(), v.jobKey(), func(now provision.Job) (provision.Job, error) {
		after, err := decide(now)
		if err != nil {
			return now, err
		}
		if change, err = p.computeReachChange(r.Context(), v, now, after); err != nil {
			return now, err
		}
		if change.needsConfirmation() && r.PostForm.Get("confirmed") != change.confirmationValue() {
			return now, errConfirm
		}
		after.Confirmed += int64(change.mayDisableCount())
		return after, nil
	}, v.actorLabel())
	return change, job, err
}

// addRequiredWarning adds a warning to a notice if the mapping does not write all required
// attributes.
func addRequiredWarning(n console.Notice, job provision.Job, mapping string) console.Notice {
	m, err := job.Schema.ObjectMapping(mapping)
	if err != nil {
		return n
	}
	if words := requiredWarning(job.Schema, m); words != "" {
		n.Tone, n.Text = console.ToneWarning, n.Text+" "+words
	}
	return n
}

// requiredWarning names the required attributes that a mapping does not write. It returns "" if
// there are none.
func requiredWarning(s *provision.Schema, m *provision.ObjectMapping) string {
	names := s.UnmappedRequired(m)
	if len(names) == 0 {
		return ""
	}
	return "Required in the attribute list, and not mapped: " + strings.Join(names, ", ") + ". The application may refuse accounts without it."
}
