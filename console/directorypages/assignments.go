package directorypages

import (
	"context"
	"net/http"
	"strconv"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// assignmentsPage is the data of the view "assignments": the assigned users, or, with Adding, the
// users who can be assigned.
type assignmentsPage struct {
	console.Page
	Adding bool
	Search string
	List   string // address of the list without a search
	Action string
	Rows   []userRow
	Empty  console.EmptyState
	Pager  console.Pager
	Found  int    // number of users on all pages of the list
	Other  string // address of the other list
	Error  string
}

func (p *Pages) showAssignments(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.viewAssignments(w, r, v, http.StatusOK, "")
}

func (p *Pages) viewAssignments(w http.ResponseWriter, r *http.Request, v *appVisit, status int, wrong string) error {
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
		Page: v.page, Search: query.Search, List: v.url("/users-and-groups"), Action: v.url("/users-and-groups"), Other: v.url("/users-and-groups/add"), Error: wrong,
		Rows: v.userRows(found.Users), Pager: userPager(v.url("/users-and-groups"), query, found),
	}
	total, err := v.CountAssignments(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	if pg.Found = total; query.Search != "" {
		query.AssignedTo = v.App.ID
		if pg.Found, err = v.CountFound(r.Context(), query); err != nil {
			return err
		}
	}
	pg.Title = "Users and groups"
	pg.StatusLine = console.PluralForms(total, "user", "users") + " assigned to " + v.App.Name + "."
	pg.Crumbs = v.crumbs(console.Crumb{})
	pg.Actions = []console.Action{{Text: "Add user", Icon: "plus", URL: pg.Other, Primary: true}}
	pg.Empty = console.EmptyState{
		Icon: "users", Title: "Nobody is assigned", Text: "Only assigned users are provisioned while the scope is “Sync only assigned users and groups”.",
		Action: &console.Action{Text: "Add user", Icon: "plus", URL: pg.Other, Primary: true},
	}
	if query.Search != "" {
		pg.Empty = console.EmptyState{Icon: "search", Title: "Nobody matches “" + query.Search + "”", Text: "No assigned user fits. Others are found under Add user."}
	}
	return p.show(w, r, status, "assignments", pg)
}

func (p *Pages) showUnassigned(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.viewUnassigned(w, r, v, http.StatusOK, "")
}

func (p *Pages) viewUnassigned(w http.ResponseWriter, r *http.Request, v *appVisit, status int, wrong string) error {
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
		Page: v.page, Adding: true, Search: query.Search, List: base, Action: base, Other: v.url("/users-and-groups"), Error: wrong,
		Rows: v.userRows(found.Users), Pager: userPager(base, query, found),
	}
	if pg.Found, err = v.CountFound(r.Context(), query); err != nil {
		return err
	}
	pg.Title = "Add user"
	pg.Lead = "Choose who uses " + v.App.Name + ". Their accounts there are kept in step from the next provisioning cycle on."
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Users and groups", URL: pg.Other})
	pg.Empty = console.EmptyState{
		Icon: "check", Title: "Everybody is assigned", Text: "All users of " + v.Directory.Name + " are assigned to " + v.App.Name + " already.",
		Action: &console.Action{Text: "Users and groups", URL: pg.Other},
	}
	if query.Search != "" {
		pg.Empty = console.EmptyState{Icon: "search", Title: "Nobody matches “" + query.Search + "”", Text: "No user who is not assigned yet fits."}
	}
	return p.show(w, r, status, "assignments", pg)
}

func (v *directoryVisit) userRows(users []directory.User) []userRow {
	var rows []userRow
	for _, u := range users {
		rows = append(rows, v.userRow(u))
	}
	return rows
}

// assign assigns the ticked users at once. With "all" it assigns all users that the search finds,
// and asks for confirmation first.
func (p *Pages) assign(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	ids := r.PostForm["user"]
	if r.PostForm.Get("all") != "" {
		var err error
		if ids, err = v.everybody(r.Context(), directory.UserQuery{Search: r.PostForm.Get("search"), NotAssignedTo: v.App.ID}); err != nil {
			return err
		}
		if !console.ConfirmsNumber(r, len(ids)) && len(ids) > 0 {
			return p.askAssign(w, r, v, len(ids))
		}
	}
	if len(ids) == 0 {
		return p.viewUnassigned(w, r, v, http.StatusUnprocessableEntity, "Tick at least one user.")
	}
	n, err := v.Assign(r.Context(), v.App.ID, ids, v.actor())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("/users-and-groups"), console.DoneNotice(console.PluralForms(n, "user was", "users were")+" assigned to "+v.App.Name+"."))
}

// everybody returns the object ids of all users that a query finds.
func (v *directoryVisit) everybody(ctx context.Context, q directory.UserQuery) ([]string, error) {
	var ids []string
	err := v.EachUser(ctx, q, func(u directory.User) error {
		ids = append(ids, u.ObjectID)
		return nil
	})
	return ids, err
}

func (p *Pages) askAssign(w http.ResponseWriter, r *http.Request, v *appVisit, n int) error {
	search := r.PostForm.Get("search")
	list := v.url("/users-and-groups/add")
	pg := console.ConfirmPage{
		Page: v.page, Action: list, Button: "Assign " + console.PluralForms(n, "user", "users"), Cancel: userListURL(list, directory.UserQuery{Search: search}),
		Fields: []console.HiddenField{{Name: "all", Value: "yes"}, {Name: "search", Value: search}, {Name: "sure", Value: strconv.Itoa(n)}},
		Undo:   "Removing them under Users and groups undoes it: Remove all asks too, and switches their accounts off there.",
	}
	who := "Everybody in " + v.Directory.Name + " who is not assigned yet"
	if search != "" {
		who = "Everybody found by “" + search + "” who is not assigned yet"
	}
	effect, err := p.effectAt(r.Context(), v.Directory.ID, v.App, "their accounts are made or kept in step", provision.FlowAdd)
	if err != nil {
		return err
	}
	pg.Title, pg.Narrow = "Assign "+console.PluralForms(n, "user", "users")+" to "+v.App.Name+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Users and groups", URL: v.url("/users-and-groups")})
	pg.Consequences = []string{who + " will be assigned: " + console.PluralForms(n, "user", "users") + ".", effect}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// unassign removes the ticked users, or, with "all", all users that the search finds. It first asks
// for confirmation, with what happens to their accounts.
func (p *Pages) unassign(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	ids := r.PostForm["user"]
	if r.PostForm.Get("all") != "" {
		var err error
		if ids, err = v.everybody(r.Context(), directory.UserQuery{Search: r.PostForm.Get("search"), AssignedTo: v.App.ID}); err != nil {
			return err
		}
	}
	if len(ids) == 0 {
		return p.viewAssignments(w, r, v, http.StatusUnprocessableEntity, "Tick at least one user.")
	}
	if !console.ConfirmsNumber(r, len(ids)) {
		return p.askUnassign(w, r, v, ids)
	}
	n, err := v.Unassign(r.Context(), v.App.ID, ids, v.actor())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.url("/users-and-groups"), console.DoneNotice(console.PluralForms(n, "user is", "users are")+" no longer assigned to "+v.App.Name+"."))
}

func (p *Pages) askUnassign(w http.ResponseWriter, r *http.Request, v *appVisit, ids []string) error {
	all := r.PostForm.Get("all") != ""
	pg := console.ConfirmPage{
		Page: v.page, Action: v.url("/users-and-groups"), Button: "Remove " + console.PluralForms(len(ids), "user", "users"), Danger: true, Cancel: v.url("/users-and-groups"),
		Fields: []console.HiddenField{{Name: "sure", Value: strconv.Itoa(len(ids))}}, Undo: "Assigning them again undoes it, there too.",
	}
	if all {
		pg.Fields = append(pg.Fields, console.HiddenField{Name: "all", Value: "yes"}, console.HiddenField{Name: "search", Value: r.PostForm.Get("search")})
	}
	names, err := v.someNames(r.Context(), ids)
	if err != nil {
		return err
	}
	if !all {
		for _, id := range ids {
			pg.Fields = append(pg.Fields, console.HiddenField{Name: "user", Value: id})
		}
	}
	effect, err := p.effectAt(r.Context(), v.Directory.ID, v.App, "their account is switched off there", provision.FlowUpdate)
	if err != nil {
		return err
	}
	pg.Title, pg.Narrow = "Remove "+console.PluralForms(len(ids), "user", "users")+" from "+v.App.Name+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Users and groups", URL: pg.Cancel})
	pg.Consequences = []string{names + " will no longer be assigned to " + v.App.Name + ".", effect}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// someNames names the first few users and counts the rest. An unknown id is an error.
func (v *directoryVisit) someNames(ctx context.Context, ids []string) (string, error) {
	const most = 5
	names := ""
	for i, id := range ids {
		if i == most && len(ids) > most+1 {
			return names + " and " + console.PluralForms(len(ids)-most, "more", "more"), nil
		}
		u, err := v.User(ctx, id)
		if err != nil {
			return "", err
		}
		if i > 0 {
			names += ", "
		}
		names += u.DisplayName()
	}
	return names, nil
}
