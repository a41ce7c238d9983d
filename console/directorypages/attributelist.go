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

// attributesPage is the data of the view "attributes": Entra's page "Edit attribute list", with a
// form that adds an attribute. If Name is set, it is the form that changes that attribute.
type attributesPage struct {
	console.Page
	Rows       []attributeRow
	Source     bool // whether the list is that of the directory; otherwise it is the application's
	ShowAPI    bool // whether an attribute of the list has an API Expression
	Name       string
	Key        bool     // whether the attribute is the primary key
	API        string   // the API Expression of the attribute
	Uses       []string // why the attribute cannot be removed
	Missing    []string // attributes of the directory that are not in the list
	Action     string
	Cancel     string
	Remove     string // address of the question before the removal; empty if the attribute cannot be removed
	Was        []console.HiddenField
	Unsaved    bool
	Values     map[string]string              // values of the inputs, by input name
	Wrong      map[string]*console.FieldError // errors of the inputs, by input name
	Error      *console.Notice
	Types      []console.Choice
	References []console.Choice
}

type attributeRow struct {
	provision.ListedAttribute
	URL string
}

// attributeParam is the query parameter that names an attribute of a list.
const attributeParam = "name"

// attributeList is one attribute list of a mapping.
type attributeList struct {
	*appVisit
	job     provision.Job
	mapping *provision.ObjectMapping
	side    provision.ListSide
	system  string // the name of the directory or application
	all     []provision.ListedAttribute
}

func (v *appVisit) attributesURL(mapping string, side provision.ListSide) string {
	return v.mappingURL(mapping) + "/attributes/" + string(side)
}

func (l attributeList) url() string { return l.attributesURL(l.mapping.Name, l.side) }

func (l attributeList) attributeURL(name string) string {
	return l.url() + "/edit?" + attributeParam + "=" + url.QueryEscape(name)
}

func (l attributeList) removeURL(name string) string {
	return l.url() + "/remove?" + attributeParam + "=" + url.QueryEscape(name)
}

// ofList opens the attribute list that the address names, and passes it to handle.
func (p *Pages) ofList(handle func(http.ResponseWriter, *http.Request, attributeList) error) func(http.ResponseWriter, *http.Request, *appVisit) error {
	return func(w http.ResponseWriter, r *http.Request, v *appVisit) error {
		job, err := p.Jobs.Get(r.Context(), v.key())
		if err != nil {
			return p.handleJobError(w, r, v, err)
		}
		l := attributeList{appVisit: v, job: job, side: provision.ListSide(r.PathValue("side"))}
		if l.mapping, err = v.mapping(job, r); err != nil {
			return err
		}
		source, target := systemNames(job.Schema)
		switch l.system = target; l.side {
		case provision.TargetList:
		case provision.SourceList:
			l.system = source
		default:
			return console.ErrNotFound
		}
		if l.all, err = job.Schema.AttributeList(l.mapping, l.side); err != nil {
			return err
		}
		if err := r.ParseForm(); err != nil {
			return err
		}
		return handle(w, r, l)
	}
}

// ofAttribute opens the attribute that the address names, and passes it to handle with its list.
func (p *Pages) ofAttribute(handle func(http.ResponseWriter, *http.Request, attributeList, provision.ListedAttribute) error) func(http.ResponseWriter, *http.Request, *appVisit) error {
	return p.ofList(func(w http.ResponseWriter, r *http.Request, l attributeList) error {
		name := r.URL.Query().Get(attributeParam)
		i := slices.IndexFunc(l.all, func(a provision.ListedAttribute) bool { return a.Name == name })
		if i < 0 {
			return &console.PageError{
				Status: http.StatusNotFound, Title: "This attribute is not in the list", Text: "The attribute list has no " + name + ". It may have been removed since the list was shown.",
				Action: &console.Action{Text: "Back to the attribute list", URL: l.url()},
			}
		}
		return handle(w, r, l, l.all[i])
	})
}

// listedFields lists the inputs of the form for a list of this side. Saving does not change
// properties that have no input.
func listedFields(side provision.ListSide) []console.EditField {
	fields := []console.EditField{
		console.EditChoice("type", "Type", nil),
		console.EditTick("required", "Required"),
		console.EditTick("multivalue", "Multi-value"),
		console.EditTick("exact", "Exact case"),
		{Name: "referenced", Label: "Referenced Object Attribute"},
	}
	if side == provision.SourceList {
		return []console.EditField{fields[0], fields[4], console.EditTick("flownull", "Flow null values")}
	}
	return fields
}

func listedValues(a provision.ListedAttribute) map[string]string {
	return map[string]string{
		"name": a.Name, "type": string(a.Type), "referenced": a.Referenced, "required": console.TickValue(a.Required), "multivalue": console.TickValue(a.MultiValue),
		"exact": console.TickValue(a.ExactCase), "flownull": console.TickValue(a.FlowNull),
	}
}

// withValues returns the attribute a, changed to the values of the form.
func (l attributeList) withValues(a provision.ListedAttribute, values map[string]string) provision.ListedAttribute {
	a.Type, a.Referenced = provision.AttributeType(values["type"]), values["referenced"]
	if l.side == provision.SourceList {
		a.FlowNull = values["flownull"] != ""
		return a
	}
	a.Required, a.MultiValue, a.ExactCase = values["required"] != "", values["multivalue"] != "", values["exact"] != ""
	return a
}

// attributesPage returns the page with these values in its inputs. a is the attribute to change;
// nil means the page of the whole list.
func (p *Pages) attributesPage(l attributeList, a *provision.ListedAttribute, values map[string]string) attributesPage {
	pg := attributesPage{Page: l.page, Source: l.side == provision.SourceList, Action: l.url(), Cancel: l.url(), Values: values, Wrong: map[string]*console.FieldError{}}
	crumbs := []console.Crumb{{}, {Text: "Provisioning", URL: l.appVisit.url("/provisioning")}, {Text: l.mapping.Name, URL: l.mappingURL(l.mapping.Name)}}
	pg.Title = "Edit attribute list for " + l.system
	pg.Lead = "What a row of the mapping can write at " + l.App.Name + ", and how a value is sent."
	if pg.Source {
		pg.Lead = "What a row of the mapping, an expression and a scoping filter can read in " + l.Directory.Name + "."
	}
	for _, one := range l.all {
		pg.ShowAPI = pg.ShowAPI || one.APIExpression != ""
		if a == nil {
			pg.Rows = append(pg.Rows, attributeRow{one, l.attributeURL(one.Name)})
		}
	}
	if a != nil {
		crumbs = append(crumbs, console.Crumb{Text: pg.Title, URL: l.url()})
		pg.Title, pg.Lead, pg.Action = a.Name, "", l.attributeURL(a.Name)
		pg.Name, pg.Key, pg.API, pg.Uses = a.Name, a.PrimaryKey, a.APIExpression, a.Uses
		if len(a.Uses) == 0 {
			pg.Remove = l.removeURL(a.Name)
		}
	} else if pg.Source {
		pg.Missing = l.missingAttributes()
	}
	pg.Crumbs = l.crumbs(crumbs...)
	for _, t := range provision.AttributeTypes() {
		pg.Types = append(pg.Types, console.Choice{Value: string(t), Text: string(t), Checked: values["type"] == string(t)})
	}
	pg.References = l.referenceChoices(values["referenced"])
	return pg
}

// missingAttributes returns the attributes of the directory that the list does not contain.
func (l attributeList) missingAttributes() []string {
	names := directory.SourceNames()
	if l.mapping.SourceObjectName == string(provision.GroupKind) {
		names = directory.GroupSourceNames()
	}
	slices.Sort(names)
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.ContainsFunc(l.all, func(a provision.ListedAttribute) bool { return a.Name == name })
	})
}

// referenceChoices returns the objects that an attribute of type Reference can refer to.
func (l attributeList) referenceChoices(have string) []console.Choice {
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

// showInputError puts an error next to the input that it is about. It returns false if the error is
// not about the form.
func (pg *attributesPage) showInputError(err error, side provision.ListSide) bool {
	var input *provision.InputError
	if !errors.As(err, &input) {
		return false
	}
	text := console.AsSentence(input.Field + " " + input.Text)
	fields := append(listedFields(side), console.EditField{Name: "name", Label: "Name"})
	if i := slices.IndexFunc(fields, func(f console.EditField) bool { return f.Label == input.Field }); i >= 0 && !(fields[i].Name == "name" && pg.Name != "") {
		pg.Wrong[fields[i].Name] = &console.FieldError{For: fields[i].Name, Text: text}
	} else {
		pg.Error = &console.Notice{Tone: console.ToneProblem, Title: "This was not saved", Text: text}
	}
	return true
}

func (p *Pages) showAttributes(w http.ResponseWriter, r *http.Request, l attributeList) error {
	return p.show(w, r, http.StatusOK, "attributes", p.attributesPage(l, nil, listedValues(provision.ListedAttribute{Type: provision.TypeString})))
}

func (p *Pages) addAttribute(w http.ResponseWriter, r *http.Request, l attributeList) error {
	values := map[string]string{"name": strings.TrimSpace(r.PostForm.Get("name"))}
	for _, f := range listedFields(l.side) {
		values[f.Name] = f.FormValue(r.PostForm)
	}
	a := l.withValues(provision.ListedAttribute{Name: values["name"]}, values)
	if known, ok := p.Jobs.CatalogOf(l.mapping).Attribute(a.Name); ok && l.side == provision.SourceList {
		a.MultiValue = known.MultiValued
	}
	_, job, err := p.changeSchema(r, l.appVisit, func(now provision.Job) (provision.Job, error) {
		return now.AddAttribute(l.mapping.Name, l.side, a, p.Jobs.CatalogOf(l.mapping))
	})
	pg := p.attributesPage(l, nil, values)
	switch {
	case pg.showInputError(err, l.side):
		pg.Unsaved = true
		return p.show(w, r, http.StatusUnprocessableEntity, "attributes", pg)
	case err != nil:
		return p.handleJobError(w, r, l.appVisit, err)
	}
	return p.Console.Redirect(w, r, l.url(), withRequired(console.DoneNotice("The attribute "+a.Name+" was added."), job, l.mapping.Name))
}

func (p *Pages) showAttribute(w http.ResponseWriter, r *http.Request, l attributeList, a provision.ListedAttribute) error {
	stored := listedValues(a)
	pg := p.attributesPage(l, &a, stored)
	pg.Was = console.WasFields(listedFields(l.side), stored)
	if form := p.keptForm(r, l.appVisit, l.attributeURL(a.Name)); form != nil {
		pg = p.attributesPage(l, &a, l.typedValues(form))
		pg.Was, pg.Unsaved = console.RepeatWasFields(form, listedFields(l.side)), true
	}
	return p.show(w, r, http.StatusOK, "attributes", pg)
}

// typedValues reads the inputs of a form that was sent or stored.
func (l attributeList) typedValues(form url.Values) map[string]string {
	values := map[string]string{}
	for _, f := range listedFields(l.side) {
		values[f.Name] = f.FormValue(form)
	}
	return values
}

func (p *Pages) saveAttribute(w http.ResponseWriter, r *http.Request, l attributeList, a provision.ListedAttribute) error {
	by, err := l.lastChange(r.Context(), l.App.ID)
	if err != nil {
		return err
	}
	var m console.MergedEdit
	change, job, err := p.changeSchema(r, l.appVisit, func(now provision.Job) (provision.Job, error) {
		stored, err := listedNow(now, l, a.Name)
		if err != nil {
			return now, err
		}
		if m, err = console.MergeEdit(r.PostForm, listedFields(l.side), listedValues(stored)); err != nil {
			return now, err
		}
		if len(m.Conflicts) > 0 {
			return now, errConflict
		}
		return now.ChangeAttribute(l.mapping.Name, l.side, l.withValues(stored, m.Values), p.Jobs.CatalogOf(l.mapping))
	})
	at := l.attributeURL(a.Name)
	switch {
	case errors.Is(err, errConflict):
		return p.Console.AskEdit(w, r, p.listFrame(l), m, at, at, by)
	case errors.Is(err, errConfirm):
		pg := console.ConfirmPage{Page: p.listFrame(l), Action: at, Button: "Save the attribute", Cancel: p.keepForm(r, l.appVisit, at, m.Rest)}
		pg.Fields = append(m.Rest, console.HiddenField{Name: "confirmed", Value: change.confirmationValue()})
		return p.askRow(w, r, l.appVisit, pg, change, m.FromOthers(by))
	}
	pg := p.attributesPage(l, &a, l.typedValues(r.PostForm))
	switch {
	case pg.showInputError(err, l.side):
		pg.Was, pg.Unsaved = console.RepeatWasFields(r.PostForm, listedFields(l.side)), true
		return p.show(w, r, http.StatusUnprocessableEntity, "attributes", pg)
	case err != nil:
		return p.handleJobError(w, r, l.appVisit, err)
	}
	n := console.DoneNotice(strings.TrimSpace("The attribute " + a.Name + " was saved. " + m.FromOthers(by)))
	if len(m.Mine) == 0 {
		n = console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: the attribute " + a.Name + " was like that already."}
	}
	return p.Console.Redirect(w, r, l.url(), withRequired(n, job, l.mapping.Name))
}

// listedNow returns an attribute from the current list of a job.
func listedNow(job provision.Job, l attributeList, name string) (provision.ListedAttribute, error) {
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

// listFrame returns the page around a question about the list.
func (p *Pages) listFrame(l attributeList) console.Page {
	frame := p.rowFrame(l.appVisit, l.mapping.Name)
	frame.Crumbs = append(frame.Crumbs, console.Crumb{Text: "Edit attribute list for " + l.system, URL: l.url()})
	return frame
}

func (p *Pages) askRemoveAttribute(w http.ResponseWriter, r *http.Request, l attributeList, a provision.ListedAttribute) error {
	if _, err := l.job.RemoveAttribute(l.mapping.Name, l.side, a.Name, p.Jobs.CatalogOf(l.mapping)); err != nil {
		return p.refuseRemoval(w, r, l, a, err)
	}
	pg := console.ConfirmPage{
		Page: p.listFrame(l), Action: l.removeURL(a.Name), Button: "Remove " + a.Name, Danger: true, Cancel: l.attributeURL(a.Name),
		Consequences: []string{"No row of the mapping and no scoping filter uses " + a.Name + ". Nothing changes for people. Rows can no longer choose it."},
	}
	pg.Title, pg.Narrow, pg.Undo = "Remove "+a.Name+" from the attribute list?", true, "It can be added again."
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// refuseRemoval shows why an attribute cannot be removed.
func (p *Pages) refuseRemoval(w http.ResponseWriter, r *http.Request, l attributeList, a provision.ListedAttribute, err error) error {
	var input *provision.InputError
	if !errors.As(err, &input) {
		return p.handleJobError(w, r, l.appVisit, err)
	}
	n := console.Notice{Tone: console.ToneProblem, Title: "The attribute was not removed", Text: console.AsSentence(input.Field + " " + input.Text)}
	return p.Console.Redirect(w, r, l.attributeURL(a.Name), n)
}

func (p *Pages) removeAttribute(w http.ResponseWriter, r *http.Request, l attributeList, a provision.ListedAttribute) error {
	_, job, err := p.changeSchema(r, l.appVisit, func(now provision.Job) (provision.Job, error) {
		return now.RemoveAttribute(l.mapping.Name, l.side, a.Name, p.Jobs.CatalogOf(l.mapping))
	})
	if err != nil {
		return p.refuseRemoval(w, r, l, a, err)
	}
	return p.Console.Redirect(w, r, l.url(), withRequired(console.DoneNotice("The attribute "+a.Name+" was removed from the list."), job, l.mapping.Name))
}

// changeSchema saves a change of the mappings. It returns the effect on people, and the job after
// the change. The error is errConfirm if the form does not confirm this effect.
func (p *Pages) changeSchema(r *http.Request, v *appVisit, decide func(provision.Job) (provision.Job, error)) (reachChange, provision.Job, error) {
	var change reachChange
	job, err := p.Jobs.EditSchema(r.Context(), v.key(), func(now provision.Job) (provision.Job, error) {
		after, err := decide(now)
		if err != nil {
			return now, err
		}
		if change, err = p.reachOf(r.Context(), v, now, after); err != nil {
			return now, err
		}
		if change.needsConfirmation() && r.PostForm.Get("confirmed") != change.confirmationValue() {
			return now, errConfirm
		}
		after.Confirmed += int64(change.confirmed())
		return after, nil
	}, v.actor())
	return change, job, err
}

// withRequired adds to a notice the required attributes that the mapping does not write.
func withRequired(n console.Notice, job provision.Job, mapping string) console.Notice {
	m, err := job.Schema.ObjectMapping(mapping)
	if err != nil {
		return n
	}
	if words := requiredWords(job.Schema, m); words != "" {
		n.Tone, n.Text = console.ToneWarning, n.Text+" "+words
	}
	return n
}

// requiredWords names the required attributes that a mapping does not write; "" if there are none.
func requiredWords(s *provision.Schema, m *provision.ObjectMapping) string {
	names := s.UnmappedRequired(m)
	if len(names) == 0 {
		return ""
	}
	return "Required in the attribute list, and not mapped: " + strings.Join(names, ", ") + ". The application may refuse accounts without it."
}
