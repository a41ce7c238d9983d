package sitepages

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/roster"
)

// peoplePage is the data of the view "people", the list of the site's people.
type peoplePage struct {
	console.Page
	Tabs      []console.Tab
	Filter    listFilter
	Status    string // the status by which the list is filtered; empty if it shows all people
	Roles     []console.Option
	Rows      []personRow
	Empty     console.EmptyState
	Pager     console.Pager
	ChangeURL string // address to which the form with the ticked people is sent

	LookAlikesIncomplete bool // whether the server has not yet compared all names, so that look-alikes may be missing
}

// lookAlikeRow is another account with a name that looks like a name of the person.
type lookAlikeRow struct {
	UserName                     string
	URL                          string
	OwnName, OtherName           string // the person's name, and the similar name of the other account
	OwnAttribute, OtherAttribute string // the attributes that hold these two names
	Difference                   string // a sentence that says how to tell the two names apart; may be empty
}

func (v *siteVisit) lookAlikeRows(found []roster.LookAlike) []lookAlikeRow {
	var list []lookAlikeRow
	for _, l := range found {
		list = append(list, lookAlikeRow{
			UserName: l.UserName, URL: v.personURL(l.ID, ""), OwnName: l.Own, OtherName: l.Text, OwnAttribute: l.OwnAttribute, OtherAttribute: l.Attribute,
			Difference: differenceText(l.Words()),
		})
	}
	return list
}

// differenceText returns a sentence that tells two similar names apart. theirs names the characters
// by which the other account's name differs, and own those of this person's name. Either may be
// empty.
func differenceText(theirs, own string) string {
	switch {
	case theirs != "" && own != "":
		return "It has " + theirs + ", this one has " + own + "."
	case theirs != "":
		return "It has " + theirs + "."
	case own != "":
		return "This one has " + own + "."
	}
	return ""
}

// personRow is a row of the list of people.
type personRow struct {
	ID               string
	Name, UserName   string
	URL              string
	IsSelf           bool // whether the person is the administrator who looks at the page
	Status           console.Badge
	HasWaitingChange bool // whether a held change of the person waits for an administrator
	LooksLike        []lookAlikeRow
	Role             roster.Role
	ChangedAt        time.Time // when the account last changed
	ChangedBy        string    // who last changed the account
	ChangedText      string    // what the last change was
	LastSignIn       time.Time
}

const maxPeopleOnPage = 50

func (p *Pages) showPeople(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	q := r.URL.Query()
	query := roster.PeopleQuery{
		Search: strings.TrimSpace(q.Get("q")), Status: parseStatus(q.Get("status")), After: q.Get("after"), Limit: maxPeopleOnPage,
	}
	query.Role, _ = roster.ParseRole(q.Get("role"))
	list, next, err := v.Roster.People(r.Context(), query)
	if err != nil {
		return err
	}
	counts, err := v.Roster.Counts(r.Context())
	if err != nil {
		return err
	}
	pg := v.page
	pg.Title, pg.Crumbs = "People", v.crumbs()
	pg.StatusLine = console.PeopleCount(counts.All) + ": " + console.GroupDigits(counts.Active) + " active, " + console.GroupDigits(counts.Deactivated) + " deactivated" + blockedText(counts.Blocked) + "."
	self := v.url("admin/people")
	pp := peoplePage{
		Page: pg, ChangeURL: v.url("admin/people/change"), Status: string(query.Status), Tabs: peopleTabs(self, q, query.Status, counts), Roles: roleOptions(query.Role, "Any role"),
		Filter: listFilter{FormURL: self, Search: query.Search, IsNarrowed: query.Search != "" || query.Role != "", ClearURL: console.WithQuery(self, q, "q", "", "role", "", "after", "")},
		Empty:  emptyPeople(query, self, counts.All > 0),
		Pager:  console.Pager{Text: peopleCountText(len(list), next != "", query.After != "")},
	}
	alike, err := v.Roster.LookAlikes(r.Context(), list...)
	if err != nil {
		return err
	}
	if pp.LookAlikesIncomplete, err = v.Roster.LooksPending(r.Context()); err != nil {
		return err
	}
	for _, person := range list {
		row := newPersonRow(v, person)
		row.LooksLike = v.lookAlikeRows(alike[person.ID])
		pp.Rows = append(pp.Rows, row)
	}
	if query.After != "" {
		pp.Pager.FirstURL = console.WithQuery(self, q, "after", "")
	}
	if next != "" {
		pp.Pager.NextURL = console.WithQuery(self, q, "after", next)
	}
	return p.show(w, r, http.StatusOK, "people", pp)
}

// blockedText says how many of the deactivated people are blocked, such as ", 2 of them blocked". The
// page shows it right after the number of deactivated people. It returns "" if n is 0.
func blockedText(n int) string {
	if n == 0 {
		return ""
	}
	return ", " + console.GroupDigits(n) + " of them blocked"
}

// peopleCountText says how many people a page of the list shows. more says whether other people
// follow, and after says whether other people come before.
func peopleCountText(n int, more, after bool) string {
	text := console.PeopleCount(n)
	if more {
		text += ", more follow"
	}
	if after {
		text += ", further down the alphabet"
	}
	return text
}

// peopleTabs returns the tabs that filter the list by status. here is the selected status.
func peopleTabs(self string, q url.Values, here roster.Status, c roster.Counts) []console.Tab {
	list := []console.Tab{
		{Text: "All", Count: console.GroupDigits(c.All)},
		{Text: "Active", Count: console.GroupDigits(c.Active)},
		{Text: "Deactivated", Count: console.GroupDigits(c.Deactivated)},
		{Text: "Blocked", Count: console.GroupDigits(c.Blocked)},
		{Text: "Changes to decide on", Count: console.GroupDigits(c.Waiting)},
		{Text: "Never signed in", Count: console.GroupDigits(c.NeverSignedIn)},
		{Text: "Look-alikes", Count: console.GroupDigits(c.LookAlike)},
	}
	for i, s := range []roster.Status{roster.StatusAny, roster.StatusActive, roster.StatusDeactivated, roster.StatusBlocked, roster.StatusWaiting, roster.StatusNeverSignedIn, roster.StatusLookAlike} {
		list[i].URL, list[i].Selected = console.WithQuery(self, q, "status", string(s), "after", ""), here == s
	}
	return list
}

// emptyPeople returns the text that the page shows in place of an empty list. any says whether the
// site has people.
func emptyPeople(q roster.PeopleQuery, self string, any bool) console.EmptyState {
	if any {
		return console.EmptyState{Icon: "search", Title: "Nobody fits", Text: "Nobody here matches what you asked to see.", Action: &console.Action{Text: "Show everybody", URL: self}}
	}
	return console.EmptyState{
		Icon: "users", Title: "Nobody is here yet",
		Text: "People come in by their first sign-in, by a file (rollcall site import-people), or over SCIM in the profile full.",
	}
}

func parseStatus(text string) roster.Status {
	switch s := roster.Status(text); s {
	case roster.StatusActive, roster.StatusDeactivated, roster.StatusBlocked, roster.StatusWaiting, roster.StatusNeverSignedIn, roster.StatusLookAlike:
		return s
	}
	return roster.StatusAny
}

func roleOptions(here roster.Role, none string) []console.Option {
	var list []console.Option
	if none != "" {
		list = append(list, console.Option{Text: none, Selected: here == ""})
	}
	for _, role := range roster.Roles() {
		list = append(list, console.Option{Value: string(role), Text: string(role), Selected: role == here})
	}
	return list
}

func newPersonRow(v *siteVisit, person roster.Person) personRow {
	row := personRow{
		ID: person.ID, Name: person.Name(), UserName: person.UserName, URL: v.personURL(person.ID, ""), IsSelf: person.ID == v.Person.ID,
		Status: statusBadge(person), HasWaitingChange: slices.ContainsFunc(person.Held, roster.HeldChange.Waits), Role: person.Role, LastSignIn: person.LastSignIn,
		ChangedAt: person.LastChange.Time, ChangedText: person.LastChange.Text,
	}
	if !person.LastChange.Time.IsZero() {
		row.ChangedBy = actorText(person.LastChange)
	}
	return row
}

func statusBadge(person roster.Person) console.Badge {
	switch {
	case person.Block.InForce:
		return console.Badge{Tone: console.ToneProblem, Text: "Blocked"}
	case person.Active:
		return console.Badge{Tone: console.ToneGood, Text: "Active"}
	}
	return console.Badge{Tone: console.ToneQuiet, Text: "Deactivated"}
}

// actorText names the actor of a change. It adds "by hand", "import" or "sign-in" if the change was
// made in that way.
func actorText(s roster.Stamp) string {
	name := console.ActorName(s.Actor)
	switch s.Via {
	case roster.ViaAdmin:
		return name + ", by hand"
	case roster.ViaImport:
		return name + ", import"
	case roster.ViaSignIn:
		return name + ", sign-in"
	}
	return name
}

// personURL returns the address of a person's page. If rest is not empty, it returns the address
// below that page.
func (v *siteVisit) personURL(id, rest string) string {
	path := v.url("admin/people/" + url.PathEscape(id))
	if rest != "" {
		path += "/" + rest
	}
	return path
}
