package sitepages

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// searchablePage is the data of the view "searchable": the attributes that are declared searchable,
// and the attributes that can still be declared.
type searchablePage struct {
	console.Page
	PageURL   string // address of the page itself
	IsFilling bool   // whether the server is still filling an index
	Rows      []searchableRow
	Empty     console.EmptyState
	BuiltIn   []builtInRow // the attributes that every site indexes without a declaration

	FormURL      string // address to which the form that declares an attribute is sent
	OptionGroups []optionGroup
	Chosen       string // the value of the selected option
	Refusal      string // why no attribute can be declared now; empty if one can be
	Error        *console.FieldError
}

// searchableRow is a row of the table of declared attributes.
type searchableRow struct {
	Attribute string
	Schema    string // the URN of the extension that has the attribute; empty for the core schema
	Type      string
	State     console.Badge
	Text      string // such as "12,300 of 100,000 indexed"
	RemoveURL string // address that withdraws the declaration
}

// builtInRow lists the attributes of one resource type that every site indexes without a
// declaration.
type builtInRow struct{ Type, Attributes string }

// optionGroup is a group of options in a select box, with a heading.
type optionGroup struct {
	Label   string
	Options []console.HiddenField
}

// searchableSummary is the card on the page "SCIM integration" that links to the page "Searchable
// attributes".
type searchableSummary struct {
	Text string
	URL  string
}

func (p *Pages) summarizeSearchable(r *http.Request, v *siteVisit) (searchableSummary, error) {
	s := searchableSummary{URL: v.url("admin/access/scim/searchable")}
	all, err := v.Roster.Indexing(r.Context())
	if err != nil {
		return s, err
	}
	filling := slices.ContainsFunc(all, func(i roster.Indexing) bool { return !i.Complete })
	switch {
	case len(all) == 0:
		s.Text = "Lookups by name, number and e-mail are indexed. Declare what else your identity provider filters by."
	case filling:
		s.Text = console.Plural(len(all), "attribute") + " declared. An index is being filled."
	default:
		s.Text = console.Plural(len(all), "attribute") + " declared, and indexed."
	}
	return s, nil
}

func (p *Pages) showSearchable(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	return p.renderSearchable(w, r, v, http.StatusOK, "", nil)
}

// renderSearchable shows the page. chosen is the selected option, and wrong is the error beside it;
// both may be empty.
func (p *Pages) renderSearchable(w http.ResponseWriter, r *http.Request, v *siteVisit, status int, chosen string, wrong *console.FieldError) error {
	types, err := scim.NewRegistry(v.Site.Schemas)
	if err != nil {
		return fmt.Errorf("read the schemas of site %s: %w", v.Site.Name, err)
	}
	all, err := v.Roster.Indexing(r.Context())
	if err != nil {
		return err
	}
	pg := v.page
	pg.Title = "Searchable attributes"
	pg.Lead = "An index answers filters on these attributes. A filter on any other one reads every resource of its type."
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Access management", URL: v.url("admin/access")}, console.Crumb{Text: "SCIM integration", URL: v.url("admin/access/scim")})
	sp := searchablePage{
		Page: pg, PageURL: v.url("admin/access/scim/searchable"), FormURL: v.url("admin/access/scim/searchable"),
		Empty: console.EmptyState{Icon: "search", Title: "Nothing is declared searchable", Text: "What provisioning begins with is indexed in every site. If your identity provider filters by something else, as by title or department, declare it below."},
		BuiltIn: []builtInRow{
			{"User", "id, userName, externalId, displayName, userType, emails.value, groups"},
			{"Group", "id, externalId, displayName, members"},
			{"Types of your own", "id, externalId"},
		},
		OptionGroups: declarableGroups(types, all), Chosen: chosen, Error: wrong,
	}
	for _, i := range all {
		row := newSearchableRow(v, i)
		sp.IsFilling = sp.IsFilling || !i.Complete
		sp.Rows = append(sp.Rows, row)
	}
	if len(all) >= site.MaxSearchable {
		sp.Refusal = fmt.Sprintf("A site declares at most %d attributes, because each slows down every write. Remove one first.", site.MaxSearchable)
	}
	return p.show(w, r, status, "searchable", sp)
}

func newSearchableRow(v *siteVisit, i roster.Indexing) searchableRow {
	row := searchableRow{
		Attribute: scim.AttrPath{Name: i.Path.Name, Sub: i.Path.Sub}.String(), Schema: i.Path.URN, Type: string(i.Type),
		State:     console.Badge{Tone: console.ToneGood, Text: "Complete", Hint: "Filters use it"},
		Text:      console.GroupDigits(i.Total) + " indexed",
		RemoveURL: v.url("admin/access/scim/searchable/" + i.ID + "/remove"),
	}
	if !i.Complete {
		row.State = console.Badge{Tone: console.ToneInfo, Text: "Filling", Hint: "Until it is complete, filters read every resource as before"}
		row.Text = console.GroupDigits(i.Done) + " of " + console.GroupDigits(i.Total) + " indexed"
	}
	return row
}

// declarableGroups lists the attributes that can still be declared, grouped by resource type and
// schema. The value of an option is the name of the type, a space and the attribute.
func declarableGroups(types *scim.Registry, declared []roster.Indexing) []optionGroup {
	var groups []optionGroup
	for _, rt := range types.Types() {
		urn := "-"
		for _, path := range site.CanBeSearchable(rt) {
			if slices.ContainsFunc(declared, func(i roster.Indexing) bool { return i.Type == rt.ID && i.Path == path }) {
				continue
			}
			if path.URN != urn {
				label := rt.Name
				if urn = path.URN; urn != "" {
					label += ", " + urn
				}
				groups = append(groups, optionGroup{Label: label})
			}
			last := &groups[len(groups)-1]
			last.Options = append(last.Options, console.HiddenField{
				Name: scim.AttrPath{Name: path.Name, Sub: path.Sub}.String(), Value: rt.Name + " " + path.String(),
			})
		}
	}
	return groups
}

func (p *Pages) declareSearchable(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	if err := r.ParseForm(); err != nil {
		return console.UnreadableForm(err)
	}
	chosen := r.PostForm.Get("attribute")
	typeName, attribute, _ := strings.Cut(chosen, " ")
	if attribute == "" {
		return p.renderSearchable(w, r, v, http.StatusUnprocessableEntity, chosen, &console.FieldError{For: "attribute", Text: "Choose an attribute. Nothing was declared."})
	}
	added, err := p.Sites.DeclareSearchable(r.Context(), v.Site.ID, scim.TypeName(typeName), []string{attribute}, v.actorLabel())
	if wrong := console.InputError(err, console.InputIDs{"": "attribute"}); wrong != nil {
		return p.renderSearchable(w, r, v, http.StatusUnprocessableEntity, chosen, wrong)
	}
	if err != nil {
		return err
	}
	n := console.Notice{Tone: console.ToneInfo, Text: "It was declared searchable already."}
	if len(added) > 0 {
		n = console.DoneNotice("Declared searchable: " + added[0].String() + ". Filters use its index as soon as it is complete.")
	}
	return p.Console.Redirect(w, r, v.url("admin/access/scim/searchable"), n)
}

// findDeclaredAttribute returns the declared attribute whose id is in the path. If there is none,
// the error is a *console.PageError with status 404.
func (p *Pages) findDeclaredAttribute(r *http.Request, v *siteVisit) (roster.Indexing, error) {
	all, err := v.Roster.Indexing(r.Context())
	if err != nil {
		return roster.Indexing{}, err
	}
	for _, i := range all {
		if i.ID == r.PathValue("declared") {
			return i, nil
		}
	}
	return roster.Indexing{}, &console.PageError{
		Status: http.StatusNotFound, Title: "That attribute is not declared searchable", Text: "Somebody may have removed it meanwhile.",
		Action: &console.Action{Text: "Searchable attributes", Icon: "search", URL: v.url("admin/access/scim/searchable")},
	}
}

func (p *Pages) askRemoveSearchable(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	i, err := p.findDeclaredAttribute(r, v)
	if err != nil {
		return err
	}
	pg := v.page
	pg.Title, pg.Narrow = fmt.Sprintf("Remove the index of %s?", scim.AttrPath{Name: i.Path.Name, Sub: i.Path.Sub}), true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "SCIM integration", URL: v.url("admin/access/scim")}, console.Crumb{Text: "Searchable attributes", URL: v.url("admin/access/scim/searchable")})
	ask := console.ConfirmPage{
		Page: pg,
		Consequences: []string{
			fmt.Sprintf("Filters on %s read every %s again from the next call on, %s at present.", i.Path, i.Type, console.GroupDigits(i.Total)),
			"Nobody’s data changes. The index is cleared in the background.",
		},
		Undo:    "Declaring it again fills its index anew.",
		FormURL: v.url("admin/access/scim/searchable/" + i.ID + "/remove"), Button: "Remove the index", IsDangerous: true, CancelURL: v.url("admin/access/scim/searchable"),
	}
	if i.Total > roster.DefaultScanLimit {
		ask.Consequences[0] += fmt.Sprintf(" That is more than the %s that one filter may read: it is refused with tooMany.", console.GroupDigits(roster.DefaultScanLimit))
	}
	return p.Console.View(w, r, http.StatusOK, "confirm", ask)
}

func (p *Pages) removeSearchable(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	i, err := p.findDeclaredAttribute(r, v)
	if err != nil {
		return err
	}
	if err := p.Sites.WithdrawSearchable(r.Context(), v.Site.ID, i.Type, []string{i.Path.String()}, v.actorLabel()); err != nil && !errors.Is(err, refusal.Invalid) {
		return err
	}
	return p.Console.Redirect(w, r, v.url("admin/access/scim/searchable"), console.DoneNotice("No longer declared searchable: "+i.Searchable.String()+"."))
}
