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

// schemasSummary is the card on the page SCIM integration that links to the schemas.
type schemasSummary struct {
	Text string
	URL  string
}

// schemasPage is the data of the view "schemas": the resource types of a site, and the document
// that extends them.
type schemasPage struct {
	console.Page
	Action   string // address of the form
	Types    []typeView
	Document string     // the stored document, or the rejected one that was sent
	Was      string     // version of the stored document from which the form was made
	Stale    *staleForm // someone else saved another document in the meantime
	Problems []problem
	Force    *forceForm // the form to force the change; nil if the change cannot or need not be forced
	Example  string     // a sample document to start from
}

// staleForm shows the document that someone else saved while the form was open. Text says what
// happened. Now is the saved document.
type staleForm struct{ Text, Now string }

// forceForm asks whether to drop the data that conflicts with the document.
type forceForm struct {
	Action   string // address of the form
	Notice   *console.Notice
	Lost     []string // data that will be dropped, with numbers; may be empty
	Document string   // the document that was sent
	Token    string   // identifies exactly this data, so that the form cannot drop other data
	Was      string   // the version of the document that the form started from, as in schemasPage
	Now      string   // the stored document; may be empty
	TypeName string   // the name of the site, which the administrator must type
	Error    *console.FieldError
}

// problem is one reason why a document cannot be saved.
type problem struct{ Where, Text string }

// typeView describes a resource type for the page.
type typeView struct {
	Name     string
	Endpoint string
	Schemas  []schemaView
}

// schemaView is one schema of a resource type.
type schemaView struct {
	ID         string
	Label      string // such as "extension, required"
	Own        bool   // whether the type comes from the site's document
	Count      string // such as "12 attributes"
	Attributes []attributeView
}

// attributeView is one line of a schema.
type attributeView struct {
	Name  string
	Type  string
	Rules string // properties that differ from the default
	Sub   bool   // whether it is a sub-attribute
}

// wasDocument is the name of the input that holds the version of the document from which the form
// was made.
const wasDocument = console.WasPrefix + "document"

// exampleDocument is a minimal useful document.
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

func schemasSummaryOf(v *siteVisit) schemasSummary {
	s := schemasSummary{URL: v.url("admin/access/scim/schemas"), Text: "User and Group as SCIM has them. Attributes and resource types of your own can be added."}
	if v.Site.Schemas != nil {
		s.Text = "This site has schemas of its own beside those of SCIM."
	}
	return s
}

func (p *Pages) showSchemas(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.viewSchemas(w, r, v, http.StatusOK, schemasPage{Document: string(v.Site.Schemas)})
}

func (p *Pages) redirectToSchemas(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.Console.Redirect(w, r, v.url("admin/access/scim/schemas"), console.Notice{})
}

// viewSchemas fills in the rest of sp and shows the page. The caller sets the document, its
// problems and how to force it.
func (p *Pages) viewSchemas(w http.ResponseWriter, r *http.Request, v *siteVisit, status int, sp schemasPage) error {
	g, err := scim.NewRegistry(v.Site.Schemas)
	if err != nil {
		return fmt.Errorf("read the schemas of site %s: %w", v.Site.Name, err)
	}
	pg := v.page
	pg.Title = "Schemas and resource types"
	pg.Lead = "What the identity provider may send. Discovery, filters, PATCH and the checks of values follow the schemas."
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")}, console.Crumb{Text: "SCIM integration", URL: v.url("admin/access/scim")})
	sp.Was = site.SchemasVersion(v.Site.Schemas)
	sp.Page, sp.Action, sp.Example = pg, v.url("admin/access/scim/schemas"), exampleDocument
	for _, rt := range g.Types() {
		sp.Types = append(sp.Types, typeViewOf(rt))
	}
	return p.show(w, r, status, "schemas", sp)
}

func typeViewOf(rt *scim.ResourceType) typeView {
	t := typeView{Name: rt.Name, Endpoint: rt.Endpoint}
	t.Schemas = append(t.Schemas, schemaViewOf(rt.Schema, "core schema"))
	for _, e := range rt.Extensions {
		label := "extension"
		if e.Required {
			label += ", required"
		}
		t.Schemas = append(t.Schemas, schemaViewOf(e.Schema, label))
	}
	return t
}

func schemaViewOf(s *scim.Schema, label string) schemaView {
	own := s.ID != scim.UserURN && s.ID != scim.GroupURN && s.ID != scim.EnterpriseURN
	v := schemaView{ID: s.ID, Label: label, Own: own, Count: console.Plural(len(s.Attributes), "attribute")}
	for _, a := range s.Attributes {
		v.Attributes = append(v.Attributes, attributeViewOf(a, a.Name, false))
		for _, sub := range a.SubAttributes {
			v.Attributes = append(v.Attributes, attributeViewOf(sub, a.Name+"."+sub.Name, true))
		}
	}
	return v
}

func attributeViewOf(a *scim.Attribute, name string, sub bool) attributeView {
	v := attributeView{Name: name, Type: a.Type, Sub: sub}
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
	document, err := documentInForm(r)
	if err != nil {
		return err
	}
	was := r.PostForm.Get(wasDocument)
	if was == "" {
		return console.ErrIncompleteForm
	}
	_, err = p.Sites.SetSchemasFrom(r.Context(), v.Site.ID, was, document, v.actor())
	if errors.Is(err, site.ErrStale) {
		return p.staleSchemas(w, r, v, document)
	}
	if err != nil {
		return p.refuseSchemas(w, r, v, document, err, nil)
	}
	return p.redirectSaved(w, r, v, document, nil)
}

// staleSchemas saves nothing. It shows the typed document next to the document that someone else
// has saved since.
func (p *Pages) staleSchemas(w http.ResponseWriter, r *http.Request, v *siteVisit, document []byte) error {
	now, err := p.Sites.Get(r.Context(), v.Site.ID)
	if err != nil {
		return err
	}
	v.Site = now // the document may have been saved after this request loaded the site
	found, err := event.Search(r.Context(), p.Events, event.Query{Scope: event.Site(string(v.Site.ID)), Kinds: []string{event.SiteSchemasChanged}, Limit: 1})
	if err != nil {
		return err
	}
	by := "Somebody else"
	if len(found.Events) > 0 {
		by = console.ActorName(found.Events[0].Actor)
	}
	return p.viewSchemas(w, r, v, http.StatusConflict, schemasPage{
		Document: string(document),
		Stale:    &staleForm{Text: by + " saved another document since you opened this page. Below is yours. Bring both together and save again: then yours takes the place of theirs.", Now: string(v.Site.Schemas)},
	})
}

// forceSchemas saves the document and drops the data that conflicts with it. It does so only if the
// administrator typed the site's name and the conflicts are still the ones that the page showed.
func (p *Pages) forceSchemas(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	document, err := documentInForm(r)
	if err != nil {
		return err
	}
	was := r.PostForm.Get(wasDocument)
	if was == "" {
		return console.ErrIncompleteForm
	}
	ask := &forceForm{}
	if strings.TrimSpace(r.PostForm.Get("confirm")) != v.Site.Name {
		ask.Error = &console.FieldError{For: "confirm", Text: "That is not the name of this site. Nothing was changed."}
		err := p.Sites.CheckSchemas(r.Context(), v.Site.ID, document)
		if err == nil {
			return p.viewSchemas(w, r, v, http.StatusUnprocessableEntity, schemasPage{
				Document: string(document), Problems: []problem{{Text: "The site’s name was not typed. Nothing is in the way of this document any more, so it can be saved as it is."}},
			})
		}
		return p.refuseSchemas(w, r, v, document, err, ask)
	}
	token := r.PostForm.Get("token")
	if token == "" {
		token = "none" // an empty token would confirm everything
	}
	_, dropped, err := p.Sites.ForceSchemasFrom(r.Context(), v.Site.ID, was, document, v.actor(), token, p.Rosters.DropStranded)
	if errors.Is(err, site.ErrStale) {
		return p.staleSchemas(w, r, v, document)
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
		return p.refuseSchemas(w, r, v, document, err, ask)
	}
	return p.redirectSaved(w, r, v, document, dropped)
}

func (p *Pages) redirectSaved(w http.ResponseWriter, r *http.Request, v *siteVisit, document []byte, dropped []string) error {
	text := "The schemas are saved. They hold from the next call on."
	if len(strings.TrimSpace(string(document))) == 0 {
		text = "This site has no schemas of its own now."
	}
	const shown = 5 // the number of lines that fit into the notice; the audit trail has all lines
	if more := len(dropped) - shown; more > 0 {
		dropped = append(dropped[:shown:shown], fmt.Sprintf("%d more, which the audit trail names", more))
	}
	if len(dropped) > 0 {
		text += " Dropped for good: " + strings.Join(dropped, "; ") + "."
	}
	return p.Console.Redirect(w, r, v.url("admin/access/scim/schemas"), console.DoneNotice(text))
}

// refuseSchemas shows why the document cannot be saved. It also shows the form that forces the
// change, if that can help. It returns errors that are not about the document.
func (p *Pages) refuseSchemas(w http.ResponseWriter, r *http.Request, v *siteVisit, document []byte, err error, ask *forceForm) error {
	sp := schemasPage{Document: string(document)}
	var wrong *scim.RegistryError
	used, inUse := refusal.About[*site.SchemasInUse](err)
	switch {
	case errors.As(err, &wrong):
		for _, pr := range wrong.Problems {
			sp.Problems = append(sp.Problems, problem{Where: sentenceStart(pr.Where), Text: withFullStop(sentenceStart(pr.Text))})
		}
	case inUse:
		for _, u := range used.Uses {
			sp.Problems = append(sp.Problems, problem{Text: withFullStop(sentenceStart(u.String()))})
		}
		for _, stuck := range used.Stuck {
			sp.Problems = append(sp.Problems, problem{Where: "This cannot be forced", Text: withFullStop(stuck.String())})
		}
		if len(used.Stuck) == 0 {
			sp.Force = forceFormOf(v, document, used, ask)
		}
	default:
		return err
	}
	return p.viewSchemas(w, r, v, http.StatusUnprocessableEntity, sp)
}

func forceFormOf(v *siteVisit, document []byte, used *site.SchemasInUse, ask *forceForm) *forceForm {
	if ask == nil {
		ask = &forceForm{}
	}
	ask.Action, ask.TypeName = v.url("admin/access/scim/schemas/forced"), v.Site.Name
	ask.Lost, ask.Token = used.Lost(), used.Token()
	ask.Document, ask.Now, ask.Was = string(document), string(v.Site.Schemas), site.SchemasVersion(v.Site.Schemas)
	return ask
}

func documentInForm(r *http.Request) ([]byte, error) {
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
