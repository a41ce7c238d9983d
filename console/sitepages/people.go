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

// peoplePage is the data of the view "people".
type peoplePage struct {
	console.Page
	Tabs   []console.Tab
	Filter logFilter
	Status string
	Roles  []console.Option
	Rows   []personRow
	Empty  console.EmptyState
	Pager  console.Pager
	Change string // address to which the ticked people are posted

	Comparing bool // whether the search for look-alikes is not complete yet
}

// lookAlikeRow is an account that looks like a person's account.
type lookAlikeRow struct {
	UserName                string
	URL                     string
	Own, Text               string // the person's name, and the similar name of the other account
	OwnAttribute, Attribute string
	Words                   string // how to tell the two apart; may be empty
}

func (v *siteVisit) lookAlikeRows(found []roster.LookAlike) []lookAlikeRow {
	var list []lookAlikeRow
	for _, l := range found {
		list = append(list, lookAlikeRow{
			UserName: l.UserName, URL: v.personURL(l.ID, ""), Own: l.Own, Text: l.Text, OwnAttribute: l.OwnAttribute, Attribute: l.Attribute,
			Words: differenceText(l.Words()),
		})
	}
	return list
}

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

// personRow is a person in the list.
type personRow struct {
	ID             string
	Name, UserName string
	URL            string
	Self           bool // whether the person is the administrator who looks at the page
	Status         console.Badge
	Waits          bool // whether the person has a change that waits for an administrator
	LooksLike      []lookAlikeRow
	Role           roster.Role
	Changed        time.Time // when the account last changed
	ChangedBy      string    // who changed it
	ChangedText    string    // what was changed
	LastSignIn     time.Time
}

const peopleLimit = 50

func (p *Pages) showPeople(w http.ResponseWriter, r *http.Request, v *siteVisit) error {
	q := r.URL.Query()
	query := roster.PeopleQuery{
		Search: strings.TrimSpace(q.Get("q")), Status: parseStatus(q.Get("status")), After: q.Get("after"), Limit: peopleLimit,
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
		Page: pg, Change: v.url("admin/people/change"), Status: string(query.Status), Tabs: peopleTabs(self, q, query.Status, counts), Roles: roleOptions(query.Role, "Any role"),
		Filter: logFilter{Action: self, Search: query.Search, Set: query.Search != "" || query.Role != "", Clear: console.WithQuery(self, q, "q", "", "role", "", "after", "")},
		Empty:  emptyPeople(query, self, counts.All > 0),
		Pager:  console.Pager{Text: peopleCountText(len(list), next != "", query.After != "")},
	}
	alike, err := v.Roster.LookAlikes(r.Context(), list...)
	if err != nil {
		return err
	}
	if pp.Comparing, err = v.Roster.LooksPending(r.Context()); err != nil {
		return err
	}
	for _, person := range list {
		row := rowOfPerson(v, person)
		row.LooksLike = v.lookAlikeRows(alike[person.ID])
		pp.Rows = append(pp.Rows, row)
	}
	if query.After != "" {
		pp.Pager.First = console.WithQuery(self, q, "after", "")
	}
	if next != "" {
		pp.Pager.Next = console.WithQuery(self, q, "after", next)
	}
	return p.show(w, r, http.StatusOK, "people", pp)
}

// blockedText returns the words that follow the number of deactivated people. They say how many of
// these people are blocked.
func blockedText(n int) string {
	if n == 0 {
		return ""
	}
	return ", " + console.GroupDigits(n) + " of them blocked"
}

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

func rowOfPerson(v *siteVisit, person roster.Person) personRow {
	row := personRow{
		ID: person.ID, Name: person.Name(), UserName: person.UserName, URL: v.personURL(person.ID, ""), Self: person.ID == v.Person.ID,
		Status: statusBadge(person), Waits: slices.ContainsFunc(person.Held, roster.HeldChange.Waits), Role: person.Role, LastSignIn: person.LastSignIn,
		Changed: person.LastChange.Time, ChangedText: person.LastChange.Text,
	}
	if !person.LastChange.Time.IsZero() {
		row.ChangedBy = stampName(person.LastChange)
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

// stampName names the actor of a change. It adds how the actor made the change, if the name does
// not tell that.
func stampName(s roster.Stamp) string {
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

// personURL returns the address of a page of one person.
func (v *siteVisit) personURL(id, rest string) string {
	path := v.url("admin/people/" + url.PathEscape(id))
	if rest != "" {
		path += "/" + rest
	}
	return path
}
