package console

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
)

// usersPage is the view "directory_users".
type usersPage struct {
	page
	Tabs   []tab
	Search string
	Status directory.Status
	Rows   []userRow
	Empty  emptyState
	Pager  pager
	Clear  string // where the search is left
	Change string // takes the ticked users
	// Choosing says that rows can be ticked: deleted users cannot.
	Choosing bool
	Error    string
}

// userRow is a line of a list of users.
type userRow struct {
	User  directory.User
	URL   string
	Badge badge
	Job   string // title and department
}

func (v *directoryVisit) userURL(u directory.User) string { return v.url("users/" + u.ObjectID) }

func (v *directoryVisit) userRow(u directory.User) userRow {
	row := userRow{User: u, URL: v.userURL(u), Badge: userBadge(u), Job: u.Text("jobTitle")}
	if d := u.Text("department"); d != "" && row.Job != "" {
		row.Job += ", " + d
	} else if d != "" {
		row.Job = d
	}
	return row
}

func userBadge(u directory.User) badge {
	switch {
	case u.IsDeleted():
		return badge{Tone: bad, Text: "Deleted"}
	case !u.AccountEnabled:
		return badge{Tone: quiet, Text: "Disabled"}
	}
	return badge{Tone: ok, Text: "Enabled"}
}

func (p *DirectoryPages) showUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.viewUsers(w, r, v, http.StatusOK, "")
}

func (p *DirectoryPages) viewUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, wrong string) error {
	query, err := userQuery(r)
	if err != nil {
		return err
	}
	found, err := v.Users(r.Context(), query)
	if err != nil {
		return err
	}
	counts, err := v.Counts(r.Context())
	if err != nil {
		return err
	}
	pg := usersPage{
		page: v.page, Search: query.Search, Status: query.Status, Tabs: v.userTabs(counts, query), Clear: v.url("users"),
		Change: v.url("users/change"), Choosing: query.Status != directory.Deleted, Error: wrong,
	}
	pg.Title = "Users"
	pg.StatusLine = fmt.Sprintf("%s, %s of them disabled. %s.", counted(counts.Enabled+counts.Disabled, "user", "users"), grouped(counts.Disabled), counted(counts.Deleted, "deleted user", "deleted users"))
	pg.Crumbs = v.crumbs()
	pg.Actions = []action{
		{Text: "Export CSV", Icon: "download", URL: v.url("users/export")},
		{Text: "Import CSV", Icon: "upload", URL: v.url("users/import")},
		{Text: "New user", Icon: "plus", URL: v.url("users/new"), Primary: true},
	}
	for _, u := range found.Users {
		pg.Rows = append(pg.Rows, v.userRow(u))
	}
	pg.Pager = userPager(v.url("users"), query, found)
	pg.Empty = v.noUsers(counts, query)
	return p.Console.view(w, r, status, "directory_users", pg)
}

// userQuery reads search, status and place from the address.
func userQuery(r *http.Request) (directory.UserQuery, error) {
	form := r.URL.Query()
	after, err := directory.ParseCursor(form.Get("after"))
	q := directory.UserQuery{Search: form.Get("search"), After: after}
	switch s := directory.Status(form.Get("status")); s {
	case directory.Enabled, directory.Disabled, directory.Deleted:
		q.Status = s
	}
	return q, err
}

func (v *directoryVisit) userTabs(c directory.Counts, q directory.UserQuery) []tab {
	var tabs []tab
	for _, t := range []struct {
		text   string
		status directory.Status
		n      int
	}{
		{"All", directory.NotDeleted, c.Enabled + c.Disabled},
		{"Enabled", directory.Enabled, c.Enabled},
		{"Disabled", directory.Disabled, c.Disabled},
		{"Deleted", directory.Deleted, c.Deleted},
	} {
		to := directory.UserQuery{Search: q.Search, Status: t.status}
		tabs = append(tabs, tab{Text: t.text, URL: userListURL(v.url("users"), to), Count: grouped(t.n), Here: q.Status == t.status})
	}
	return tabs
}

// userListURL is a list's address with the query in it.
func userListURL(base string, q directory.UserQuery) string {
	form := url.Values{}
	for name, value := range map[string]string{"search": q.Search, "status": string(q.Status), "after": q.After.String()} {
		if value != "" {
			form.Set(name, value)
		}
	}
	if len(form) == 0 {
		return base
	}
	return base + "?" + form.Encode()
}

func userPager(base string, q directory.UserQuery, found directory.UserPage) pager {
	var g pager
	if q.After != (directory.Cursor{}) {
		first := q
		first.After = directory.Cursor{}
		g.First = userListURL(base, first)
	}
	if found.More {
		q.After = found.Next
		g.Next = userListURL(base, q)
	}
	if g.First != "" || g.Next != "" {
		g.Text = counted(len(found.Users), "user", "users") + " on this page, sorted by display name"
	}
	return g
}

func (v *directoryVisit) noUsers(c directory.Counts, q directory.UserQuery) emptyState {
	switch {
	case q.Search != "":
		return emptyState{Icon: "search", Title: "Nobody matches “" + q.Search + "”", Text: "The search looks for each word in names, user principal names, mail addresses, employee IDs, departments and job titles."}
	case q.Status == directory.Deleted:
		return emptyState{Icon: "trash-2", Title: "No deleted users", Text: "Deleted users stay here until they are deleted permanently. You can restore them."}
	case q.Status != directory.NotDeleted || c.Disabled+c.Enabled > 0:
		return emptyState{Icon: "users", Title: "Nobody here", Text: "No user of this directory has this status."}
	}
	return emptyState{
		Icon: "users", Title: "No users yet", Text: "Import a CSV file with Entra’s attribute names, or add people one by one.",
		Action: &action{Text: "Import CSV", Icon: "upload", URL: v.url("users/import"), Primary: true},
	}
}

// exportUsers sends all users that are not deleted, in a file that the import can read.
func (p *DirectoryPages) exportUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if _, err := v.Users(r.Context(), directory.UserQuery{Limit: 1}); err != nil {
		return err // while it can still be shown as a page
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+v.Directory.Name+`-users.csv"`)
	w.Header().Set("Cache-Control", "no-store")
	out := p.WriteUsers(w)
	of := exported{Scope: event.Directory(string(v.Directory.ID)), Name: event.ExportUsers, What: "The list of users", Rows: "user"}
	err := p.Console.exporting(r.Context(), of, func(sent *int) error {
		return v.Export(r.Context(), func(u directory.User, manager string) error {
			*sent++
			return out.Write(u, manager)
		})
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		p.Console.options.Log.Error("export cut off", "directory", v.Directory.Name, "error", err)
		panic(http.ErrAbortHandler) // half a file must not look like a whole one
	}
	return nil
}
