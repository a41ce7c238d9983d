package sitepages

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// schemasSummary is the card on the page "SCIM integration" that links to the page of the schemas.
type schemasSummary struct {
	Text string
	URL  string
}

// schemasPage is the data of the view "schemas": the resource types of a site, and the site's own
// document, which adds schemas and resource types.
type schemasPage struct {
	console.Page
	FormURL         string // address to which the form is sent
	Types           []typeView
	Document        string            // the document in the form: the stored one, or the rejected one that the administrator sent
	StartVersion    string            // version of the stored document with which the form started
	Conflict        *documentConflict // set if someone else saved another document while the form was open
	Problems        []problem
	Force           *forceForm // the form to force the change; nil if the change cannot or need not be forced
	ExampleDocument string     // an example of a document
}

// documentConflict shows the document that someone else saved while the form was open. Text says
// what happened. SavedDocument is the saved document.
type documentConflict struct{ Text, SavedDocument string }

// forceForm is the form that saves a document even though stored data conflicts with it. That data
// is then dropped.
type forceForm struct {
	FormURL        string // address to which the form is sent
	Notice         *console.Notice
	LostData       []string // describes the data that will be dropped, with numbers; may be empty
	Document       string   // the document that the administrator sent
	ConflictToken  string   // identifies exactly this conflicting data, so that the form cannot drop other data
	StartVersion   string   // version of the stored document with which the form started
	StoredDocument string   // the stored document; may be empty
	NameToType     string   // the name of the site, which the administrator must type
	Error          *console.FieldError
}

// problem is one reason why a document cannot be saved. Where names the place in the document; it
// may be empty.
type problem struct{ Where, Text string }

// typeView shows a resource type on the page.
type typeView struct {
	Name     string
	Endpoint string
	Schemas  []schemaView
}

// schemaView shows one schema of a resource type.
type schemaView struct {
	ID             string
	Label          string // such as "extension, required"
	IsOwn          bool   // whether the schema comes from the site's own document
	AttributeCount string // such as "12 attributes"
	Attributes     []attributeView
}

// attributeView shows one attribute of a schema.
type attributeView struct {
	Name           string
	Type           string
	Rules          string // the properties that differ from the default, such as "required"
	IsSubAttribute bool   // whether the attribute is part of a complex attribute
}

// startVersionInput is the name of the hidden input that holds the version of the document with
// which the form started.
const startVersionInput = console.StartValuePrefix + "document"

// exampleDocument is a small document that adds one extension to the resource type User.
const exampleDocument = `{
  "schemas": [
    {
      "id": "urn:example:params:scim:schemas:Badge:2.0:User",
      "name": "Badge",
      "attributes": [
        {"name": "number", "type": "integer", "uniqueness": "server"},
        {"name": "color", "type": "string", "canonicalValues": ["red", "green"]}
      ]
    }
  ],
  "extensions": [
    {"resourceType": "User", "schema": "urn:example:params:scim:schemas:Badge:2.0:User", "required": false}
  ]
}`

func summarizeSchemas(v *siteVisit) schemasSummary {
	s := schemasSummary{URL: v.url("admin/access/scim/schemas"), Text: "User and Group as SCIM has them. Attributes and resource types of your own can be added."}
	if v.Site.Schemas != nil {
		s.Text = "This site has schemas of its own beside those of SCIM."
	}
	return s
}

func (p *Pages) showSchemas(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.renderSchemas(w, r, v, http.StatusOK, schemasPage{Document: string(v.Site.Schemas)})
}

func (p *Pages) redirectToSchemas(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.Console.Redirect(w, r, v.url("admin/access/scim/schemas"), console.Notice{})
}

// renderSchemas shows the page. The caller sets the document in sp, its problems and the form
// that forces it; renderSchemas sets the other fields.
func (p *Pages) renderSchemas(w http.ResponseWriter, r *http.Request, v *siteVisit, status int, sp schemasPage) error {
	g, err := scim.NewRegistry(v.Site.Schemas)
	if err != nil {
		return fmt.Errorf("read the schemas of site %s: %w", v.Site.Name, err)
	}
	pg := v.page
	pg.Title = "Schemas and resource types"
	pg.Lead = "What the identity provider may send. Discovery, filters, PATCH and the checks of values follow the schemas."
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")}, console.Crumb{Text: "SCIM integration", URL: v.url("admin/access/scim")})
	sp.StartVersion = site.SchemasVersion(v.Site.Schemas)
	sp.Page, sp.FormURL, sp.ExampleDocument = pg, v.url("admin/access/scim/schemas"), exampleDocument
	for _, rt := range g.Types() {
		sp.Types = append(sp.Types, newTypeView(rt))
	}
	return p.show(w, r, status, "schemas", sp)
}

func newTypeView(rt *scim.ResourceType) typeView {
	t := typeView{Name: rt.Name, Endpoint: rt.Endpoint}
	t.Schemas = append(t.Schemas, newSchemaView(rt.Schema, "core schema"))
	for _, e := range rt.Extensions {
		label := "extension"
		if e.Required {
			label += ", required"
		}
		t.Schemas = append(t.Schemas, newSchemaView(e.Schema, label))
	}
	return t
}

func newSchemaView(s *scim.Schema, label string) schemaView {
	own := s.ID != scim.UserURN && s.ID != scim.GroupURN && s.ID != scim.EnterpriseURN
	v := schemaView{ID: s.ID, Label: label, IsOwn: own, AttributeCount: console.Plural(len(s.Attributes), "attribute")}
	for _, a := range s.Attributes {
		v.Attributes = append(v.Attributes, newAttributeView(a, a.Name, false))
		for _, sub := range a.SubAttributes {
			v.Attributes = append(v.Attributes, newAttributeView(sub, a.Name+"."+sub.Name, true))
		}
	}
	return v
}

func newAttributeView(a *scim.Attribute, name string, sub bool) attributeView {
	v := attributeView{Name: name, Type: a.Type, IsSubAttribute: sub}
	if a.MultiValued {
		v.Type = "list of " + a.Type
	}
	var rules []string
	for _, rule := range []struct {
		holds bool
		text  string
	}{
		{a.Required, "required"},
		{a.Mutability != scim.ReadWrite, a.Mutability},
		{a.Returned != scim.ReturnedDefault, "returned: " + a.Returned},
		{a.Uniqueness != scim.UniquenessNone, "unique: " + a.Uniqueness},
		{a.CaseExact && (a.Type == scim.String || a.Type == scim.Reference), "case-sensitive"},
		{len(a.CanonicalValues) > 0, "for instance " + strings.Join(a.CanonicalValues, ", ")},
		{len(a.ReferenceTypes) > 0, "to " + strings.Join(a.ReferenceTypes, ", ")},
	} {
		if rule.holds {
			rules = append(rules, rule.text)
		}
	}
	v.Rules = strings.Join(rules, " · ")
	return v
}

// saveSchemas saves the uploaded file, or the document in the text area if no file was chosen. An
// empty document removes the site's schemas.
func (p *Pages) saveSchemas(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	document, err := readDocument(r)
	if err != nil {
		return err
	}
	was := r.PostForm.Get(startVersionInput)
	if was == "" {
		return console.ErrIncompleteForm
	}
	_, err = p.Sites.SetSchemasFrom(r.Context(), v.Site.ID, was, document, v.actorLabel())
	if errors.Is(err, site.ErrStale) {
		return p.showDocumentConflict(w, r, v, document)
	}
	if err != nil {
		return p.showSchemaProblems(w, r, v, document, err, nil)
	}
	return p.redirectToSavedSchemas(w, r, v, document, nil)
}

// showDocumentConflict saves nothing. It shows the typed document next to the document that someone
// else has saved since the form was opened.
func (p *Pages) showDocumentConflict(w http.ResponseWriter, r *http.Request, v *siteVisit, document []byte) error {
	now, err := p.Sites.Get(r.Context(), v.Site.ID)
	if err != nil {
		return err
	}
	v.Site = now // the guard may have loaded the site before the other document was saved
	found, err := event.Search(r.Context(), p.Events, event.Query{Scope: event.Site(string(v.Site.ID)), Kinds: []string{event.SiteSchemasChanged}, Limit: 1})
	if err != nil {
		return err
	}
	by := "Somebody else"
	if len(found.Events) > 0 {
		by = console.ActorName(found.Events[0].Actor)
	}
	return p.renderSchemas(w, r, v, http.StatusConflict, schemasPage{
		Document: string(document),
		Conflict: &documentConflict{Text: by + " saved another document since you opened this page. Below is yours. Bring both together and save again: then yours takes the place of theirs.", SavedDocument: string(v.Site.Schemas)},
	})
}

// forceSchemas saves the document and drops the data that conflicts with it. It requires that the
// administrator typed the site's name, and that the conflicts are still the ones on the page.
func (p *Pages) forceSchemas(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	document, err := readDocument(r)
	if err != nil {
		return err
	}
	was := r.PostForm.Get(startVersionInput)
	if was == "" {
		return console.ErrIncompleteForm
	}
	ask := &forceForm{}
	if strings.TrimSpace(r.PostForm.Get("confirm")) != v.Site.Name {
		ask.Error = &console.FieldError{For: "confirm", Text: "That is not the name of this site. Nothing was changed."}
		err := p.Sites.CheckSchemas(r.Context(), v.Site.ID, document)
		if err == nil {
			return p.renderSchemas(w, r, v, http.StatusUnprocessableEntity, schemasPage{
				Document: string(document), Problems: []problem{{Text: "The site’s name was not typed. Nothing is in the way of this document any more, so it can be saved as it is."}},
			})
		}
		return p.showSchemaProblems(w, r, v, document, err, ask)
	}
	token := r.PostForm.Get("token")
	if token == "" {
		token = "none" // an empty token would confirm dropping any data
	}
	_, dropped, err := p.Sites.ForceSchemasFrom(r.Context(), v.Site.ID, was, document, v.actorLabel(), token, p.Rosters.DropStranded)
	if errors.Is(err, site.ErrStale) {
		return p.showDocumentConflict(w, r, v, document)
	}
	if errors.Is(err, context.DeadlineExceeded) && r.Context().Err() != nil {
		return &console.PageError{
			Status: http.StatusServiceUnavailable, Title: "This took too long",
			Text:   "Nothing was changed. On the command line there is no limit: rollcall site schema set " + v.Site.Name + " FILE --force",
			Action: &console.Action{Text: "Schemas", URL: v.url("admin/access/scim/schemas")},
		}
	}
	if err != nil {
		ask.Notice = &console.Notice{Tone: console.ToneWarning, Title: "Nothing was dropped.", Text: "What is in the way is not what you confirmed: it has changed since. These are the numbers of now."}
		return p.showSchemaProblems(w, r, v, document, err, ask)
	}
	return p.redirectToSavedSchemas(w, r, v, document, dropped)
}

func (p *Pages) redirectToSavedSchemas(w http.ResponseWriter, r *http.Request, v *siteVisit, document []byte, dropped []string) error {
	text := "The schemas are saved. They hold from the next call on."
	if len(strings.TrimSpace(string(document))) == 0 {
		text = "This site has no schemas of its own now."
	}
	const shown = 5 // how many lines fit into the notice; the audit log has all of them
	if more := len(dropped) - shown; more > 0 {
		dropped = append(dropped[:shown:shown], fmt.Sprintf("%d more, which the audit trail names", more))
	}
	if len(dropped) > 0 {
		text += " Dropped for good: " + strings.Join(dropped, "; ") + "."
	}
	return p.Console.Redirect(w, r, v.url("admin/access/scim/schemas"), console.DoneNotice(text))
}

// showSchemaProblems shows why the document cannot be saved. If the change can be forced, it also
// shows the form for that. If err is not about the document, it returns err.
func (p *Pages) showSchemaProblems(w http.ResponseWriter, r *http.Request, v *siteVisit, document []byte, err error, ask *forceForm) error {
	sp := schemasPage{Document: string(document)}
	var wrong *scim.RegistryError
	used, inUse := refusal.DataOf[*site.SchemasInUse](err)
	switch {
	case errors.As(err, &wrong):
		for _, pr := range wrong.Problems {
			sp.Problems = append(sp.Problems, problem{Where: capitalize(pr.Where), Text: withFullStop(capitalize(pr.Text))})
		}
	case inUse:
		for _, u := range used.Uses {
			sp.Problems = append(sp.Problems, problem{Text: withFullStop(capitalize(u.String()))})
		}
		for _, stuck := range used.Stuck {
			sp.Problems = append(sp.Problems, problem{Where: "This cannot be forced", Text: withFullStop(stuck.String())})
		}
		if len(used.Stuck) == 0 {
			sp.Force = fillForceForm(v, document, used, ask)
		}
	default:
		return err
	}
	return p.renderSchemas(w, r, v, http.StatusUnprocessableEntity, sp)
}

func fillForceForm(v *siteVisit, document []byte, used *site.SchemasInUse, ask *forceForm) *forceForm {
	if ask == nil {
		ask = &forceForm{}
	}
	ask.FormURL, ask.NameToType = v.url("admin/access/scim/schemas/forced"), v.Site.Name
	ask.LostData, ask.ConflictToken = used.Lost(), used.Token()
	ask.Document, ask.StoredDocument, ask.StartVersion = string(document), string(v.Site.Schemas), site.SchemasVersion(v.Site.Schemas)
	return ask
}

func readDocument(r *http.Request) ([]byte, error) {
	file, _, err := console.UploadedFile(r)
	if errors.Is(err, http.ErrNotMultipart) {
		return []byte(r.PostForm.Get("document")), nil
	}
	if err != nil {
		return nil, console.UnreadableForm(err)
	}
	defer r.MultipartForm.RemoveAll() //nolint:errcheck // the operating system cleans its temporary folder
	if file == nil {
		return []byte(r.PostForm.Get("document")), nil
	}
	defer file.Close() //nolint:errcheck // the file was only read
	document, err := io.ReadAll(io.LimitReader(file, scim.MaxRegistryBytes+1))
	if err != nil {
		return nil, console.UnreadableForm(err)
	}
	return document, nil
}
