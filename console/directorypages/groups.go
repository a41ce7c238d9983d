package directorypages

import (
	"net/http"
	"net/url"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
)

// groupsPage is the data of the view "groups", the list of groups.
type groupsPage struct {
	console.Page
	Tabs         []console.Tab
	Search       string
	ShowsDeleted bool
	Rows         []groupRow
	Empty        console.EmptyState
	Pager        console.Pager
	ClearURL     string // address of the list without the search
}

// groupRow is a row of a list of groups.
type groupRow struct {
	Group        directory.Group
	URL          string
	MemberCounts directory.MemberCounts
}

func (v *directoryVisit) groupURL(g directory.Group) string { return v.url("groups/" + g.ObjectID) }

func (p *Pages) newGroupRows(r *http.Request, v *directoryVisit, groups []directory.Group) ([]groupRow, error) {
	var rows []groupRow
	for _, g := range groups {
		n, err := v.CountMembers(r.Context(), g.ObjectID)
		if err != nil {
			return nil, err
		}
		rows = append(rows, groupRow{Group: g, URL: v.groupURL(g), MemberCounts: n})
	}
	return rows, nil
}

// MemberText returns the number of direct members in words.
func (r groupRow) MemberText() string { return memberText(r.MemberCounts) }

func memberText(n directory.MemberCounts) string {
	text := console.PluralForms(n.Users, "user", "users")
	if n.Groups > 0 {
		text += ", " + console.PluralForms(n.Groups, "group", "groups")
	}
	return text
}

// parseGroupQuery reads the query of a list of groups from the address: the search, the tab and the
// position. It returns an error if the position is malformed.
func parseGroupQuery(r *http.Request) (directory.GroupQuery, error) {
	form := r.URL.Query()
	after, err := directory.ParseCursor(form.Get("after"))
	return directory.GroupQuery{Search: form.Get("search"), Deleted: form.Get("status") == string(directory.Deleted), After: after}, err
}

func (p *Pages) showGroups(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	query, err := parseGroupQuery(r)
	if err != nil {
		return err
	}
	found, err := v.Groups(r.Context(), query)
	if err != nil {
		return err
	}
	live, err := v.CountGroups(r.Context(), directory.GroupQuery{})
	if err != nil {
		return err
	}
	deleted, err := v.CountGroups(r.Context(), directory.GroupQuery{Deleted: true})
	if err != nil {
		return err
	}
	pg := groupsPage{Page: v.page, Search: query.Search, ShowsDeleted: query.Deleted, ClearURL: v.url("groups"), Pager: newGroupPager(v.url("groups"), query, found, "group", "groups")}
	if pg.Rows, err = p.newGroupRows(r, v, found.Groups); err != nil {
		return err
	}
	for _, t := range []struct {
		text   string
		status string
		n      int
	}{{"All", "", live}, {"Deleted", string(directory.Deleted), deleted}} {
		pg.Tabs = append(pg.Tabs, console.Tab{Text: t.text, URL: listURL(v.url("groups"), "search", query.Search, "status", t.status), Count: console.GroupDigits(t.n), Selected: query.Deleted == (t.status != "")})
	}
	pg.Title = "Groups"
	pg.StatusLine = console.PluralForms(live, "group", "groups") + ", " + console.PluralForms(deleted, "deleted group", "deleted groups") + "."
	pg.Crumbs = v.crumbs()
	pg.Actions = []console.Action{{Text: "New group", Icon: "plus", URL: v.url("groups/new"), IsPrimary: true}}
	pg.Empty = console.EmptyState{
		Icon: "layers", Title: "No groups yet", Text: "Assign a group to an application, and its direct members are in scope there. A file of groups is read by: rollcall directory import-groups.",
		Action: &console.Action{Text: "New group", Icon: "plus", URL: v.url("groups/new"), IsPrimary: true},
	}
	switch {
	case query.Search != "":
		pg.Empty = console.EmptyState{Icon: "search", Title: "No group matches “" + query.Search + "”", Text: "The search looks for each word in names, descriptions, mail nicknames and mail addresses."}
	case query.Deleted:
		pg.Empty = console.EmptyState{Icon: "trash-2", Title: "No deleted groups", Text: "Deleted groups stay here, with their members, until they are deleted permanently. You can restore them."}
	}
	return p.show(w, r, http.StatusOK, "groups", pg)
}

// listURL returns the address base with query parameters. pairs holds names and values in turn. It
// leaves out parameters whose value is empty.
func listURL(base string, pairs ...string) string {
	form := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			form.Set(pairs[i], pairs[i+1])
		}
	}
	if len(form) == 0 {
		return base
	}
	return base + "?" + form.Encode()
}

// newGroupPager returns the links between the pages of a list of groups. one and many are the
// singular and the plural of the noun for the rows. more holds further query parameters, as names
// and values in turn.
func newGroupPager(base string, q directory.GroupQuery, found directory.GroupPage, one, many string, more ...string) console.Pager {
	status := ""
	if q.Deleted {
		status = string(directory.Deleted)
	}
	return newPager(base, q.After, found.Next, found.More, console.PluralForms(len(found.Groups), one, many), append(more, "search", q.Search, "status", status)...)
}

// newPager returns the links between the pages of a list that is sorted by display name. after is
// where this page begins, next where the next page begins, and shown says what this page shows.
func newPager(base string, after, next directory.Cursor, more bool, shown string, pairs ...string) console.Pager {
	var g console.Pager
	if after != (directory.Cursor{}) {
		g.FirstURL = listURL(base, pairs...)
	}
	if more {
		g.NextURL = listURL(base, append(pairs, "after", next.String())...)
	}
	if g.FirstURL != "" || g.NextURL != "" {
		g.Text = shown + " on this page, sorted by display name"
	}
	return g
}
