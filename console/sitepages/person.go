package sitepages

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// personPage is the data of the view "person", which shows one person to an administrator.
type personPage struct {
	console.Page
	Person            roster.Person
	Status            console.Badge
	StatusSetBy       string // who last set the status, and when
	RoleSetBy         string // who last set the role, and when
	RoleText          string // a sentence that says what people with the role can do
	Roles             []console.Option
	RoleURL           string // address that changes the role; a GET shows the confirmation page
	RoleRefusal       string // why the role cannot be changed; empty if it can be
	ActivationURL     string // address that deactivates or reactivates the person; a GET shows the confirmation page
	ActivationRefusal string // why the person cannot be deactivated; empty if they can be
	EraseURL          string // address that erases the account; a GET shows the confirmation page; empty while the account is active
	BlockURL          string // address that blocks or unblocks the person; a GET shows the confirmation page
	Events            []console.EventRow
	HeldChanges       []heldRow      // the held changes: first those that wait for an administrator, then the refused ones
	LookAlikes        []lookAlikeRow // accounts whose names look like this person's
	OtherAttributes   []console.Fact // the attributes that the page does not show elsewhere
	SCIMNote          string         // a sentence that says that SCIM may change values back; empty if SCIM is off
	Sessions          console.SessionList
	LogURL            string // address of the request log, filtered for this person

	Identifier string // the identity provider's identifier of the person, by which single sign-on finds the account; may be empty
	UnlinkURL  string // address that removes the identifier; a GET shows the confirmation page
}

// The reasons why an administrator cannot change a person's role or deactivate the person.
const (
	ownAccountRefusal = "This is your own account. Ask another administrator."
	lastAdminRefusal  = "This is the last active administrator. Make somebody else an administrator first."
)

func (p *Pages) showPerson(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.findPerson(r, v)
	if err != nil {
		return err
	}
	counts, err := v.Roster.Counts(r.Context())
	if err != nil {
		return err
	}
	events, err := p.Events.Recent(r.Context(), event.Site(string(v.Site.ID)), person.ID, event.Position{}, 20)
	if err != nil {
		return err
	}
	now := p.Console.Options.Now()
	status := statusBadge(person)
	pg := v.page
	pg.Title, pg.Badge = person.Name(), &status
	pg.StatusLine = personStatus(person, now)
	pg.Crumbs = v.crumbs(console.Crumb{Text: "People", URL: v.url("admin/people")})
	pp := personPage{
		Page: pg, Person: person, Status: status, RoleText: roleText(person.Role), Roles: roleOptions(person.Role, ""),
		StatusSetBy: whoSetText(person.LastActiveChange, now), RoleSetBy: whoSetText(person.LastRoleChange, now),
		RoleURL: v.personURL(person.ID, "role"), ActivationURL: v.personURL(person.ID, "deactivate"),
		RoleRefusal: whyUnchangeable(v, person, counts), ActivationRefusal: whyUnchangeable(v, person, counts),
		LogURL: console.WithQuery(v.url("admin/access/log"), nil, "q", person.UserName, "show", "all"),
	}
	identity, err := v.Roster.IdentityOf(r.Context(), person.ID)
	if err != nil && !errors.Is(err, refusal.NotFound) {
		return err
	}
	pp.Identifier, pp.UnlinkURL = identity.Identifier, v.personURL(person.ID, "unlink")
	pp.BlockURL = v.personURL(person.ID, "block")
	switch {
	case person.Block.InForce:
		pp.BlockURL, pp.ActivationRefusal = v.personURL(person.ID, "unblock"), ""
	case !person.Active:
		pp.ActivationURL, pp.ActivationRefusal = v.personURL(person.ID, "reactivate"), ""
	}
	if !person.Active {
		pp.EraseURL = v.personURL(person.ID, "erase")
	}
	if v.Site.SCIMEnabled {
		pp.SCIMNote = "SCIM does not lock anything here. If the identity provider sends something else, it changes back, and the history says so."
	}
	if pp.Sessions, err = p.siteSessions(r, v, person, v.personURL(person.ID, "sign-out")); err != nil {
		return err
	}
	doc, err := p.personDocument(r, v, person)
	if err != nil {
		return err
	}
	pp.OtherAttributes, pp.HeldChanges = otherAttributes(doc), v.heldRows(person, doc)
	alike, err := v.Roster.LookAlikes(r.Context(), person)
	if err != nil {
		return err
	}
	pp.LookAlikes = v.lookAlikeRows(alike[person.ID])
	for _, e := range events {
		row := v.eventRow(e)
		row.URL = ""
		row.Values = valuesAfter(e, person, doc)
		pp.Events = append(pp.Events, row)
	}
	return p.show(w, r, http.StatusOK, "person", pp)
}

// findPerson finds the person whose id is in the path. If there is none, the error is a
// *console.PageError with status 404.
func (p *Pages) findPerson(r *http.Request, v *siteVisit) (roster.Person, error) {
	person, err := v.Roster.Person(r.Context(), r.PathValue("person"))
	if errors.Is(err, refusal.NotFound) {
		return person, &console.PageError{
			Status: http.StatusNotFound, Title: "Nobody is here under this address",
			Text: "The account may have been deleted.", Action: &console.Action{Text: "People", Icon: "users", URL: v.url("admin/people")},
		}
	}
	return person, err
}

// personDocument returns the person's SCIM resource, without the attributes that must never be
// shown.
func (p *Pages) personDocument(r *http.Request, v *siteVisit, person roster.Person) (scim.Resource, error) {
	found, err := v.Roster.Get(r.Context(), roster.User, person.ID)
	if err != nil {
		return nil, err
	}
	doc, err := scim.Parse(found.JSON)
	if err != nil {
		return nil, fmt.Errorf("read stored user %s: %w", person.ID, err)
	}
	types, err := scim.NewRegistry(v.Site.Schemas)
	if err != nil {
		return nil, fmt.Errorf("read the schemas of site %s: %w", v.Site.Name, err)
	}
	for _, rt := range types.Types() {
		if rt.Name != string(roster.User) {
			continue
		}
		removeHidden(doc, rt.Schema.Attributes)
		for _, e := range rt.Extensions {
			if inside, ok := doc[e.Schema.ID].(map[string]any); ok {
				removeHidden(inside, e.Schema.Attributes)
			}
		}
	}
	return doc, nil
}

// removeHidden removes the attributes that must never be shown, such as a password (RFC 7643 §7:
// returned "never").
func removeHidden(values map[string]any, attributes []*scim.Attribute) {
	for _, a := range attributes {
		if a.Returned == scim.ReturnedNever {
			delete(values, a.Name)
			continue
		}
		elements, _ := values[a.Name].([]any)
		for _, element := range append(elements, values[a.Name]) {
			if inside, ok := element.(map[string]any); ok {
				removeHidden(inside, a.SubAttributes)
			}
		}
	}
}

// otherAttributes lists the attributes that the page does not show elsewhere, under the names by
// which SCIM filters find them.
func otherAttributes(doc scim.Resource) []console.Fact {
	var list []console.Fact
	for _, name := range slices.Sorted(maps.Keys(map[string]any(doc))) {
		switch name {
		case "schemas", "id", "meta", "externalId", "userName", "displayName", "active", "userType", "groups":
			continue
		}
		list = append(list, flatten(name, doc[name])...)
	}
	return list
}

// flatten turns the value of an attribute into pairs of a name and a string. A complex value
// becomes one pair for each sub-attribute.
func flatten(name string, value any) []console.Fact {
	var list []console.Fact
	switch value := value.(type) {
	case map[string]any:
		for _, sub := range slices.Sorted(maps.Keys(value)) {
			separator := "."
			if strings.Contains(name, ":") {
				separator = ":" // name is the URN of an extension
			}
			list = append(list, flatten(name+separator+sub, value[sub])...)
		}
	case []any:
		for _, element := range value {
			list = append(list, flattenElement(name, element)...)
		}
	case nil:
	default:
		list = append(list, console.Fact{Name: name, Value: fmt.Sprint(value)})
	}
	return list
}

// flattenElement returns the facts of one element of a list. If the element has a type, the names of
// the facts contain it, such as emails[type eq "work"].value.
func flattenElement(name string, element any) []console.Fact {
	parts, complex := element.(map[string]any)
	if !complex {
		return flatten(name, element)
	}
	parts = maps.Clone(parts)
	if kind, ok := parts["type"].(string); ok {
		name += fmt.Sprintf("[type eq %q]", kind)
		delete(parts, "type")
	}
	return flatten(name, parts)
}

// valuesAfter returns the values that an event gave to attributes, as far as they are known. An event
// about the status or the role contains the new value. An event about an update contains only the
// names of the changed attributes. If it is the person's newest update, valuesAfter takes their
// values from doc, the person's current resource. Otherwise it returns nil.
func valuesAfter(e event.Event, person roster.Person, doc scim.Resource) []console.Fact {
	var state event.Account
	if !strings.HasPrefix(e.Name, "user.") || json.Unmarshal(e.Data, &state) != nil {
		return nil
	}
	var list []console.Fact
	switch e.Name {
	case event.UserRoleChanged:
		return []console.Fact{{Name: "userType", Value: state.Role}}
	case event.UserDeactivated, event.UserReactivated, event.UserRevived, event.UserBlocked, event.UserUnblocked:
		return []console.Fact{{Name: "active", Value: strconv.FormatBool(state.Active)}}
	case event.UserUpdated:
		if state.Version != person.Version {
			return nil
		}
		for _, name := range state.Attributes {
			values := flatten(name, doc[name])
			for urn, extension := range doc {
				if inside, ok := extension.(map[string]any); ok && strings.Contains(urn, ":") && doc[name] == nil {
					values = append(values, flatten(name, inside[name])...)
				}
			}
			if len(values) == 0 {
				values = []console.Fact{{Name: name, Value: "removed"}}
			}
			list = append(list, values...)
		}
	}
	return list
}

// whyUnchangeable says why this administrator cannot change this person. It returns "" if the
// administrator can. The roster refuses the same changes.
func whyUnchangeable(v *siteVisit, person roster.Person, counts roster.Counts) string {
	switch {
	case person.ID == v.Person.ID:
		return ownAccountRefusal
	case person.Active && person.Role == roster.RoleAdmin && counts.Admins <= 1:
		return lastAdminRefusal
	}
	return ""
}

// personStatus describes a person in a few sentences: the status, the role and the last sign-in.
func personStatus(person roster.Person, now time.Time) string {
	text := statusBadge(person).Text
	if s := person.LastActiveChange; !s.Time.IsZero() {
		text += ", set " + console.RelativeTime(s.Time, now) + " by " + actorText(s)
	}
	return text + ". " + string(person.Role) + ". " + lastSeenText(person, now)
}

func lastSeenText(person roster.Person, now time.Time) string {
	if person.LastSignIn.IsZero() {
		return "Never signed in."
	}
	return "Last sign-in " + console.RelativeTime(person.LastSignIn, now) + "."
}

// whoSetText says when and by which actor a value was set, such as "set 2 days ago by cli". It
// returns "" if that is not known.
func whoSetText(s roster.Stamp, now time.Time) string {
	if s.Time.IsZero() {
		return ""
	}
	return "set " + console.RelativeTime(s.Time, now) + " by " + actorText(s)
}

// askToChangePerson shows the confirmation page for a change of one person.
func (p *Pages) askToChangePerson(w http.ResponseWriter, r *http.Request, v *siteVisit, person roster.Person, c console.ConfirmPage) error {
	counts, err := v.Roster.Counts(r.Context())
	if err != nil {
		return err
	}
	if no := whyUnchangeable(v, person, counts); no != "" {
		return p.Console.Redirect(w, r, v.personURL(person.ID, ""), console.Notice{Tone: console.ToneProblem, Title: "This cannot be done", Text: no})
	}
	title := c.Title
	c.Page = v.page
	c.Title, c.Narrow = title, true
	c.Crumbs = v.crumbs(console.Crumb{Text: "People", URL: v.url("admin/people")}, console.Crumb{Text: person.Name(), URL: v.personURL(person.ID, "")})
	c.FormURL, c.CancelURL = r.URL.Path, v.personURL(person.ID, "")
	c.Fields = append(c.Fields, console.HiddenField{Name: "version", Value: strconv.FormatInt(person.Version, 10)})
	return p.Console.View(w, r, http.StatusOK, "confirm", c)
}

func (p *Pages) askRole(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.findPerson(r, v)
	if err != nil {
		return err
	}
	role, known := roster.ParseRole(r.URL.Query().Get("role"))
	if !known || role == person.Role {
		return p.Console.Redirect(w, r, v.personURL(person.ID, ""), console.Notice{Tone: console.ToneInfo, Text: "Choose another role than " + string(person.Role) + "."})
	}
	c := console.ConfirmPage{
		Consequences: []string{
			fmt.Sprintf("The role of %s changes from %s to %s.", person.UserName, person.Role, role),
			roleConsequence(person.Role, role),
		},
		Undo:   "It can be changed back at any time." + v.scimUndoWarning(v.Site.ManageRoles),
		Button: "Make " + person.Name() + " " + string(role), Fields: []console.HiddenField{{Name: "role", Value: string(role)}}, IsDangerous: person.Role == roster.RoleAdmin,
	}
	c.Title = "Change the role of " + person.Name() + "?"
	return p.askToChangePerson(w, r, v, person, c)
}

// roleConsequence says what a change of the role means for the person.
func roleConsequence(from, to roster.Role) string {
	switch {
	case to == roster.RoleAdmin:
		return "An administrator sees and changes everybody here, and the SCIM integration with its tokens."
	case from == roster.RoleAdmin:
		return "They no longer see the people and the SCIM integration of this site, from their next click on."
	}
	return "They stay signed in."
}

// scimUndoWarning warns that the identity provider may change a value back. It returns "" if SCIM
// is off, or if scimMayChange is false.
func (v *siteVisit) scimUndoWarning(scimMayChange bool) string {
	if v.Site.SCIMEnabled && scimMayChange {
		return " SCIM may change it too: what the identity provider sends later counts."
	}
	return ""
}

func (p *Pages) setRole(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	c, err := v.readChange(r)
	if err != nil {
		return err
	}
	out, err := v.Roster.SetRole(r.Context(), r.PathValue("person"), roster.Role(r.PostForm.Get("role")), c)
	return p.redirectAfterChange(w, r, v, out, err)
}

func (p *Pages) askDeactivate(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.findPerson(r, v)
	if err != nil {
		return err
	}
	if !person.Active {
		return p.Console.Redirect(w, r, v.personURL(person.ID, ""), console.Notice{Tone: console.ToneInfo, Text: person.Name() + " is deactivated already."})
	}
	c := console.ConfirmPage{
		Consequences: []string{
			fmt.Sprintf("%s (%s) is signed out everywhere at once and cannot sign in any more.", console.Shorten(person.Name()), console.Shorten(person.UserName)),
			fmt.Sprintf("The account stays, with its role %s and everything in it.", person.Role),
		},
		Undo:   "Reactivating gives back the same account." + v.scimUndoWarning(true),
		Button: "Deactivate " + person.Name(), IsDangerous: true,
	}
	c.Title = "Deactivate " + person.Name() + "?"
	return p.askToChangePerson(w, r, v, person, c)
}

func (p *Pages) deactivate(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	c, err := v.readChange(r)
	if err != nil {
		return err
	}
	out, err := v.Roster.Deactivate(r.Context(), r.PathValue("person"), c)
	return p.redirectAfterChange(w, r, v, out, err)
}

func (p *Pages) askReactivate(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	person, err := p.findPerson(r, v)
	if err != nil {
		return err
	}
	if person.Active {
		return p.Console.Redirect(w, r, v.personURL(person.ID, ""), console.Notice{Tone: console.ToneInfo, Text: person.Name() + " is active already."})
	}
	c := console.ConfirmPage{
		Consequences: []string{
			fmt.Sprintf("%s (%s) can sign in again, to the same account.", person.Name(), person.UserName),
			fmt.Sprintf("The role is %s, as it was.", person.Role),
		},
		Undo:   "It can be undone by deactivating again." + v.scimUndoWarning(true),
		Button: "Reactivate " + person.Name(),
	}
	c.Title = "Reactivate " + person.Name() + "?"
	return p.askToChangePerson(w, r, v, person, c)
}

func (p *Pages) reactivate(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	c, err := v.readChange(r)
	if err != nil {
		return err
	}
	out, err := v.Roster.Reactivate(r.Context(), r.PathValue("person"), c)
	return p.redirectAfterChange(w, r, v, out, err)
}

// readChange reads the form of a confirmation page. It returns who makes the change, and the
// version of the person that the confirmation page showed.
func (v *siteVisit) readChange(r *http.Request) (roster.Change, error) {
	if err := r.ParseForm(); err != nil {
		return roster.Change{}, console.UnreadableForm(err)
	}
	c := roster.Change{Actor: v.actorLabel(), Via: roster.ViaAdmin, Person: v.Person.ID}
	text := r.PostForm.Get("version")
	if text == "" {
		return c, nil
	}
	version, err := strconv.ParseInt(text, 10, 64)
	if err != nil || version < 1 {
		return c, console.UnreadableForm(fmt.Errorf("version %q", text))
	}
	c.IfVersion = version
	return c, nil
}

// redirectAfterChange redirects to the person's page. The notice there says what was done, or why
// the change was refused.
func (p *Pages) redirectAfterChange(w http.ResponseWriter, r *http.Request, v *siteVisit, out roster.Outcome, err error) error {
	back := v.personURL(r.PathValue("person"), "")
	switch n := console.RefusalNotice("Nothing was changed", err); {
	case errors.Is(err, refusal.NotFound):
		_, err = p.findPerson(r, v)
		return err
	case errors.Is(err, refusal.Stale):
		return p.Console.Redirect(w, r, back, console.Notice{Tone: console.ToneProblem, Title: "Nothing was changed", Text: "The account has changed since you opened the question. This is how it is now; ask again if you still want to."})
	case n != nil:
		return p.Console.Redirect(w, r, back, *n)
	case err != nil:
		return err
	}
	return p.Console.Redirect(w, r, back, console.DoneNotice(withFullStop(out.Sentence)))
}
