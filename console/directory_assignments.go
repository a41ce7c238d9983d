package console

import (
	"net/http"
	"slices"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// assignmentsPage is the view "directory_assignments": who is assigned, or with Adding who could be.
type assignmentsPage struct {
	page
	Adding bool
	Search string
	List   string // the list without search
	Action string
	Rows   []userRow
	Empty  emptyState
	Pager  pager
	Total  int
	Other  string // the other list
	Error  string
}

func (p *DirectoryPages) showAssignments(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.viewAssignments(w, r, v, http.StatusOK, "")
}

func (p *DirectoryPages) viewAssignments(w http.ResponseWriter, r *http.Request, v *appVisit, status int, wrong string) error {
	query, err := userQuery(r)
	if err != nil {
		return err
	}
	query.Status = directory.NotDeleted
	found, err := v.Assignments(r.Context(), v.App.ID, query)
	if err != nil {
		return err
	}
	pg := assignmentsPage{
		page: v.page, Search: query.Search, List: v.url("/users-and-groups"), Action: v.url("/users-and-groups"), Other: v.url("/users-and-groups/add"), Error: wrong,
		Rows: v.userRows(found.Users), Pager: userPager(v.url("/users-and-groups"), query, found),
	}
	if pg.Total, err = v.CountAssignments(r.Context(), v.App.ID); err != nil {
		return err
	}
	pg.Title = "Users and groups"
	pg.StatusLine = count(pg.Total, "user") + " assigned to " + v.App.Name + "."
	pg.Crumbs = v.crumbs(crumb{})
	pg.Actions = []action{{Text: "Add user", Icon: "plus", URL: pg.Other, Primary: true}}
	pg.Empty = emptyState{
		Icon: "users", Title: "Nobody is assigned", Text: "Only assigned users are provisioned while the scope is “Sync only assigned users and groups”.",
		Action: &action{Text: "Add user", Icon: "plus", URL: pg.Other, Primary: true},
	}
	if query.Search != "" {
		pg.Empty = emptyState{Icon: "search", Title: "Nobody matches “" + query.Search + "”", Text: "No assigned user fits. Others are found under Add user."}
	}
	return p.Console.view(w, r, status, "directory_assignments", pg)
}

func (p *DirectoryPages) showUnassigned(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.viewUnassigned(w, r, v, http.StatusOK, "")
}

func (p *DirectoryPages) viewUnassigned(w http.ResponseWriter, r *http.Request, v *appVisit, status int, wrong string) error {
	query, err := userQuery(r)
	if err != nil {
		return err
	}
	query.Status, query.NotAssignedTo = directory.NotDeleted, v.App.ID
	found, err := v.Users(r.Context(), query)
	if err != nil {
		return err
	}
	base := v.url("/users-and-groups/add")
	pg := assignmentsPage{
		page: v.page, Adding: true, Search: query.Search, List: base, Action: base, Other: v.url("/users-and-groups"), Error: wrong,
		Rows: v.userRows(found.Users), Pager: userPager(base, query, found),
	}
	pg.Title = "Add user"
	pg.Lead = "Choose who uses " + v.App.Name + ". Their accounts there are kept in step from the next provisioning cycle on."
	pg.Crumbs = v.crumbs(crumb{}, crumb{Text: "Users and groups", URL: pg.Other})
	pg.Empty = emptyState{
		Icon: "check", Title: "Everybody is assigned", Text: "All users of " + v.Directory.Name + " are assigned to " + v.App.Name + " already.",
		Action: &action{Text: "Users and groups", URL: pg.Other},
	}
	if query.Search != "" {
		pg.Empty = emptyState{Icon: "search", Title: "Nobody matches “" + query.Search + "”", Text: "No user who is not assigned yet fits."}
	}
	return p.Console.view(w, r, status, "directory_assignments", pg)
}

func (v *directoryVisit) userRows(users []directory.User) []userRow {
	var rows []userRow
	for _, u := range users {
		rows = append(rows, v.userRow(u))
	}
	return rows
}

// assign takes the ticked users, or with "all" everybody whom the search finds.
func (p *DirectoryPages) assign(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	ids, err := p.chosen(r, v)
	if err != nil {
		return err
	}
	if len(ids) == 0 {
		return p.viewUnassigned(w, r, v, http.StatusUnprocessableEntity, "Tick at least one user.")
	}
	n, err := v.Assign(r.Context(), v.App.ID, ids, v.actor())
	if err != nil {
		return err
	}
	return p.Console.redirect(w, r, v.url("/users-and-groups"), done(counted(n, "user was", "users were")+" assigned to "+v.App.Name+"."))
}

func (p *DirectoryPages) chosen(r *http.Request, v *appVisit) ([]string, error) {
	if err := r.ParseForm(); err != nil {
		return nil, err
	}
	ids := slices.Clone(r.PostForm["user"])
	if r.PostForm.Get("all") == "" {
		return ids, nil
	}
	ids = nil
	query := directory.UserQuery{Search: r.PostForm.Get("search"), NotAssignedTo: v.App.ID}
	err := v.EachUser(r.Context(), query, func(u directory.User) error {
		ids = append(ids, u.ObjectID)
		return nil
	})
	return ids, err
}

// unassign asks on a page of its own what the ticked users' accounts should expect, and does it when that page says so.
func (p *DirectoryPages) unassign(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	ids := r.PostForm["user"]
	if len(ids) == 0 {
		return p.viewAssignments(w, r, v, http.StatusUnprocessableEntity, "Tick at least one user.")
	}
	if r.PostForm.Get("sure") == "" {
		return p.askUnassign(w, r, v, ids)
	}
	n, err := v.Unassign(r.Context(), v.App.ID, ids, v.actor())
	if err != nil {
		return err
	}
	return p.Console.redirect(w, r, v.url("/users-and-groups"), done(counted(n, "user is", "users are")+" no longer assigned to "+v.App.Name+"."))
}

func (p *DirectoryPages) askUnassign(w http.ResponseWriter, r *http.Request, v *appVisit, ids []string) error {
	pg := confirmPage{
		page: v.page, Action: v.url("/users-and-groups"), Button: "Remove", Danger: true, Cancel: v.url("/users-and-groups"),
		Fields: []field{{Name: "sure", Value: "yes"}}, Undo: "Assigning them again undoes it, there too.",
	}
	names := ""
	for i, id := range ids {
		u, err := v.User(r.Context(), id)
		if err != nil {
			return err
		}
		pg.Fields = append(pg.Fields, field{Name: "user", Value: u.ObjectID})
		switch {
		case i == 0:
			names = u.DisplayName()
		case i < 5:
			names += ", " + u.DisplayName()
		}
	}
	if len(ids) > 5 {
		names += " and " + counted(len(ids)-5, "more", "more")
	}
	effect, err := p.effectAt(r.Context(), v.Directory.ID, v.App, "their account is switched off there", provision.FlowUpdate)
	if err != nil {
		return err
	}
	pg.Title, pg.Narrow = "Remove "+counted(len(ids), "user", "users")+" from "+v.App.Name+"?", true
	pg.Crumbs = v.crumbs(crumb{}, crumb{Text: "Users and groups", URL: pg.Cancel})
	pg.Consequences = []string{names + " will no longer be assigned to " + v.App.Name + ".", effect}
	return p.Console.view(w, r, http.StatusOK, "confirm", pg)
}
