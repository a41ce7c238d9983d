package directorypages

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
)

// usersPage is the data of the view "users", the list of users.
type usersPage struct {
	console.Page
	Tabs      []console.Tab
	Search    string
	Status    directory.Status
	Rows      []userRow
	Empty     console.EmptyState
	Pager     console.Pager
	ClearURL  string // address of the list without the search
	ChangeURL string // address to which the form with the ticked users is sent
	// CanTickRows reports whether rows can be ticked. Rows of deleted users cannot be ticked.
	CanTickRows bool
	Error       string
}

// userRow is a row of a list of users.
type userRow struct {
	User    directory.User
	URL     string
	Badge   console.Badge
	JobText string // job title and department; may be empty
}

func (v *directoryVisit) userURL(u directory.User) string { return v.url("users/" + u.ObjectID) }

func (v *directoryVisit) newUserRow(u directory.User) userRow {
	row := userRow{User: u, URL: v.userURL(u), Badge: userBadge(u), JobText: u.Text("jobTitle")}
	if d := u.Text("department"); d != "" && row.JobText != "" {
		row.JobText += ", " + d
	} else if d != "" {
		row.JobText = d
	}
	return row
}

func userBadge(u directory.User) console.Badge {
	switch {
	case u.IsDeleted():
		return console.Badge{Tone: console.ToneProblem, Text: "Deleted"}
	case !u.AccountEnabled:
		return console.Badge{Tone: console.ToneQuiet, Text: "Disabled"}
	}
	return console.Badge{Tone: console.ToneGood, Text: "Enabled"}
}

func (p *Pages) showUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.renderUsers(w, r, v, http.StatusOK, "")
}

func (p *Pages) renderUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, wrong string) error {
	query, err := parseUserQuery(r)
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
		Page: v.page, Search: query.Search, Status: query.Status, Tabs: v.userTabs(counts, query), ClearURL: v.url("users"),
		ChangeURL: v.url("users/change"), CanTickRows: query.Status != directory.Deleted, Error: wrong,
	}
	pg.Title = "Users"
	pg.StatusLine = fmt.Sprintf("%s, %s of them disabled. %s.", console.PluralForms(counts.Enabled+counts.Disabled, "user", "users"), console.GroupDigits(counts.Disabled), console.PluralForms(counts.Deleted, "deleted user", "deleted users"))
	pg.Crumbs = v.crumbs()
	pg.Actions = []console.Action{
		{Text: "Export CSV", Icon: "download", URL: v.url("users/export")},
		{Text: "Import CSV", Icon: "upload", URL: v.url("users/import")},
		{Text: "New user", Icon: "plus", URL: v.url("users/new"), IsPrimary: true},
	}
	for _, u := range found.Users {
		pg.Rows = append(pg.Rows, v.newUserRow(u))
	}
	pg.Pager = newUserPager(v.url("users"), query, found)
	pg.Empty = v.emptyUsers(counts, query)
	return p.show(w, r, status, "users", pg)
}

// parseUserQuery reads the query of a list of users from the address: the search, the status and
// the position. It returns an error if the position is malformed.
func parseUserQuery(r *http.Request) (directory.UserQuery, error) {
	form := r.URL.Query()
	after, err := directory.ParseCursor(form.Get("after"))
	q := directory.UserQuery{Search: form.Get("search"), After: after}
	switch s := directory.Status(form.Get("status")); s {
	case directory.Enabled, directory.Disabled, directory.Deleted:
		q.Status = s
	}
	return q, err
}

func (v *directoryVisit) userTabs(c directory.Counts, q directory.UserQuery) []console.Tab {
	var tabs []console.Tab
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
		tabs = append(tabs, console.Tab{Text: t.text, URL: userListURL(v.url("users"), to), Count: console.GroupDigits(t.n), Selected: q.Status == t.status})
	}
	return tabs
}

// userListURL returns the address of a list of users with the parameters of a query.
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

func newUserPager(base string, q directory.UserQuery, found directory.UserPage) console.Pager {
	var g console.Pager
	if q.After != (directory.Cursor{}) {
		first := q
		first.After = directory.Cursor{}
		g.FirstURL = userListURL(base, first)
	}
	if found.More {
		q.After = found.Next
		g.NextURL = userListURL(base, q)
	}
	if g.FirstURL != "" || g.NextURL != "" {
		g.Text = console.PluralForms(len(found.Users), "user", "users") + " on this page, sorted by display name"
	}
	return g
}

func (v *directoryVisit) emptyUsers(c directory.Counts, q directory.UserQuery) console.EmptyState {
	switch {
	case q.Search != "":
		return console.EmptyState{Icon: "search", Title: "Nobody matches “" + q.Search + "”", Text: "The search looks for each word in names, user principal names, mail addresses, employee IDs, departments and job titles."}
	case q.Status == directory.Deleted:
		return console.EmptyState{Icon: "trash-2", Title: "No deleted users", Text: "Deleted users stay here until they are deleted permanently. You can restore them."}
	case q.Status != directory.NotDeleted || c.Disabled+c.Enabled > 0:
		return console.EmptyState{Icon: "users", Title: "Nobody here", Text: "No user of this directory has this status."}
	}
	return console.EmptyState{
		Icon: "users", Title: "No users yet", Text: "Import a CSV file with Entra’s attribute names, or add people one by one.",
		Action: &console.Action{Text: "Import CSV", Icon: "upload", URL: v.url("users/import"), IsPrimary: true},
	}
}

// exportUsers sends a file with all users except deleted ones. The file can be imported again.
func (p *Pages) exportUsers(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if _, err := v.Users(r.Context(), directory.UserQuery{Limit: 1}); err != nil {
		return err // before the file begins, a page can still show an error
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+v.Directory.Name+`-users.csv"`)
	w.Header().Set("Cache-Control", "no-store")
	out := p.WriteUsers(w)
	of := console.ExportRecord{Scope: event.Directory(string(v.Directory.ID)), EventName: event.ExportUsers, ListTitle: "The list of users", RowNoun: "user"}
	err := p.Console.RecordExport(r.Context(), of, func(sent *int) error {
		return v.Export(r.Context(), func(u directory.User, manager string) error {
			*sent++
			return out.Write(u, manager)
		})
	})
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		p.Console.Options.Log.Error("export cut off", "directory", v.Directory.Name, "error", err)
		panic(http.ErrAbortHandler) // breaks the connection, so that the partial file does not look complete
	}
	return nil
}
