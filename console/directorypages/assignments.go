package directorypages

import (
	"context"
	"net/http"
	"strconv"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// assignmentsPage is the data of the view "assignments": the assigned users or groups. With Adding
// it lists the users or groups that can be assigned.
type assignmentsPage struct {
	console.Page
	Adding bool
	Tabs   []console.Tab
	Kind   string // "groups", or "" for users
	Search string
	List   string // address of the list without a search
	Action string
	Rows   []assignRow
	Roles  []console.Option // the roles that can be given; empty if the application defines none
	Empty  console.EmptyState
	Pager  console.Pager
	Found  int // number of rows on all pages of the list
	Error  string
}

// assignRow is a user or group in a list.
type assignRow struct {
	ID, Name, URL, About, Detail string
	Badge                        console.Badge
	Role                         string
	Why                          string // address of the page that explains the account
}

// kindOfList returns the kind of list that an address or a form names: "groups", or "" for users.
func kindOfList(text string) string {
	if text == "groups" {
		return text
	}
	return ""
}

func (p *Pages) showAssignments(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.viewAssignments(w, r, v, http.StatusOK, kindOfList(r.URL.Query().Get("kind")), "")
}

func (p *Pages) viewAssignments(w http.ResponseWriter, r *http.Request, v *appVisit, status int, kind, wrong string) error {
	pg := assignmentsPage{Page: v.page, Kind: kind, List: v.url("/users-and-groups"), Action: v.url("/users-and-groups"), Error: wrong}
	users, err := v.CountAssignments(r.Context(), v.App.ID)
	if err != nil {
		return err
	}
	groups, err := v.CountGroups(r.Context(), directory.GroupQuery{AssignedTo: v.App.ID})
	if err != nil {
		return err
	}
	add := v.url("/users-and-groups/add")
	pg.Title = "Users and groups"
	pg.StatusLine = console.PluralForms(users, "user", "users") + " and " + console.PluralForms(groups, "group", "groups") + " assigned to " + v.App.Name + "."
	pg.Crumbs = v.crumbs(console.Crumb{})
	pg.Actions = []console.Action{{Text: "Add group", Icon: "plus", URL: add + "?kind=groups"}, {Text: "Add user", Icon: "plus", URL: add, Primary: true}}
	if err := p.listAssignments(r, v, &pg, directory.UserQuery{AssignedTo: v.App.ID}, directory.GroupQuery{AssignedTo: v.App.ID}); err != nil {
		return err
	}
	pg.setTabs(users, groups)
	if err := v.addRoles(r.Context(), &pg); err != nil {
		return err
	}
	pg.Empty = console.EmptyState{
		Icon: "users", Title: "Nobody is assigned", Text: "Only assigned users, and direct members of assigned groups, are provisioned while the scope is “Sync only assigned users and groups”.",
		Action: &console.Action{Text: "Add user", Icon: "plus", URL: add, Primary: true},
	}
	if kind == "groups" {
		pg.Empty.Icon, pg.Empty.Title = "layers", "No group is assigned"
		pg.Empty.Action = &console.Action{Text: "Add group", Icon: "plus", URL: add + "?kind=groups", Primary: true}
	}
	if pg.Search != "" {
		pg.Empty = console.EmptyState{Icon: "search", Title: pg.emptyWord() + " matches “" + pg.Search + "”", Text: "Nothing assigned fits. Others are found under Add user and Add group."}
	}
	return p.show(w, r, status, "assignments", pg)
}

// emptyWord returns what an empty list contains in words: "No group" or "Nobody".
func (pg *assignmentsPage) emptyWord() string {
	if pg.Kind == "groups" {
		return "No group"
	}
	return "Nobody"
}

// setTabs adds the links to the lists of users and of groups. It does not show a count below zero.
func (pg *assignmentsPage) setTabs(users, groups int) {
	for _, t := range []struct {
		text, kind string
		n          int
	}{{"Users", "", users}, {"Groups", "groups", groups}} {
		tab := console.Tab{Text: t.text, URL: listURL(pg.List, "search", pg.Search, "kind", t.kind), Selected: pg.Kind == t.kind}
		if t.n >= 0 {
			tab.Count = console.GroupDigits(t.n)
		}
		pg.Tabs = append(pg.Tabs, tab)
	}
}

// listAssignments reads one page of users or groups, whichever the page's Kind names.
func (p *Pages) listAssignments(r *http.Request, v *appVisit, pg *assignmentsPage, of directory.UserQuery, ofGroups directory.GroupQuery) error {
	if pg.Kind == "groups" {
		query, err := groupQuery(r)
		if err != nil {
			return err
		}
		ofGroups.Search, ofGroups.After = query.Search, query.After
		found, err := v.Groups(r.Context(), ofGroups)
		if err != nil {
			return err
		}
		rows, err := p.groupRows(r, v.directoryVisit, found.Groups)
		if err != nil {
			return err
		}
		for _, row := range rows {
			pg.Rows = append(pg.Rows, assignRow{
				ID: row.Group.ObjectID, Name: row.Group.DisplayName(), URL: row.URL, About: row.Group.Text("description"), Detail: row.MemberText(),
				Badge: console.Badge{Tone: console.ToneInfo, Text: "Group"},
			})
		}
		pg.Search, pg.Pager = query.Search, groupPager(pg.List, ofGroups, found, "group", "groups", "kind", pg.Kind)
		pg.Found, err = v.CountGroups(r.Context(), ofGroups)
		return err
	}
	query, err := userQuery(r)
	if err != nil {
		return err
	}
	of.Search, of.After = query.Search, query.After
	found, err := v.Users(r.Context(), of)
	if err != nil {
		return err
	}
	for _, u := range found.Users {
		row := v.userRow(u)
		pg.Rows = append(pg.Rows, assignRow{ID: u.ObjectID, Name: u.DisplayName(), URL: row.URL, About: u.UPN(), Detail: row.Job, Badge: row.Badge})
	}
	pg.Search, pg.Pager = query.Search, userPager(pg.List, of, found)
	if of.AssignedTo != "" && query.Search == "" {
		pg.Found, err = v.CountAssignments(r.Context(), v.App.ID)
		return err
	}
	pg.Found, err = v.CountFound(r.Context(), of)
	return err
}

// addRoles adds to the page the roles that can be given, and to each row its role.
func (v *appVisit) addRoles(ctx context.Context, pg *assignmentsPage) error {
	own, err := v.Roles(ctx, v.App.ID)
	if err != nil || len(own) == 0 {
		return err
	}
	for _, role := range append([]directory.AppRole{directory.DefaultAccess}, own...) {
		if role.Enabled {
			pg.Roles = append(pg.Roles, console.Option{Value: role.ID, Text: role.DisplayName})
		}
	}
	if pg.Adding {
		return nil
	}
	var ids []string
	for _, row := range pg.Rows {
		ids = append(ids, row.ID)
	}
	roles, err := v.RolesOf(ctx, v.App.ID, ids)
	for i := range pg.Rows {
		pg.Rows[i].Role = roles[pg.Rows[i].ID].DisplayName
	}
	return err
}

func (p *Pages) showUnassigned(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.viewUnassigned(w, r, v, http.StatusOK, kindOfList(r.URL.Query().Get("kind")), "")
}

func (p *Pages) viewUnassigned(w http.ResponseWriter, r *http.Request, v *appVisit, status int, kind, wrong string) error {
	base, back := v.url("/users-and-groups/add"), v.url("/users-and-groups")
	pg := assignmentsPage{Page: v.page, Adding: true, Kind: kind, List: base, Action: base, Error: wrong}
	if err := p.listAssignments(r, v, &pg, directory.UserQuery{NotAssignedTo: v.App.ID}, directory.GroupQuery{NotAssignedTo: v.App.ID}); err != nil {
		return err
	}
	pg.setTabs(-1, -1)
	if err := v.addRoles(r.Context(), &pg); err != nil {
		return err
	}
	pg.Title = "Add user"
	pg.Lead = "Choose who uses " + v.App.Name + ". Their accounts there are kept in step from the next provisioning cycle on."
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Users and groups", URL: back})
	pg.Empty = console.EmptyState{
		Icon: "check", Title: "Everybody is assigned", Text: "All users of " + v.Directory.Name + " are assigned to " + v.App.Name + " already.",
		Action: &console.Action{Text: "Users and groups", URL: back},
	}
	if kind == "groups" {
		pg.Title = "Add group"
		pg.Lead = "Choose groups whose direct members use " + v.App.Name + ". Members of a group within a group are not in scope, as in Entra: assign that group too."
		pg.Empty.Title, pg.Empty.Text = "No group is left", "All groups of "+v.Directory.Name+" are assigned to "+v.App.Name+" already, or there are none."
		pg.Empty.Action = &console.Action{Text: "Groups", URL: v.directoryVisit.url("groups")}
	}
	if pg.Search != "" {
		pg.Empty = console.EmptyState{Icon: "search", Title: pg.emptyWord() + " matches “" + pg.Search + "”", Text: "Nothing that is not assigned yet fits."}
	}
	return p.show(w, r, status, "assignments", pg)
}

// chosenObjects returns the object ids of the ticked users and groups.
func chosenObjects(r *http.Request) []string {
	return append(r.PostForm["user"], r.PostForm["group"]...)
}

// tickFirstText returns the error for a form on which nothing was ticked.
func tickFirstText(kind string) string {
	if kind == "groups" {
		return "Tick at least one group."
	}
	return "Tick at least one user."
}

// countObjects counts users or groups in words. was follows the noun if n is one, were otherwise.
func countObjects(kind string, n int, was, were string) string {
	if kind == "groups" {
		return console.PluralForms(n, "group"+was, "groups"+were)
	}
	return console.PluralForms(n, "user"+was, "users"+were)
}

// assign assigns the ticked users or groups. With "all" it assigns all users that the search finds;
// it asks for confirmation first.
func (p *Pages) assign(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	ids, kind := chosenObjects(r), kindOfList(r.PostForm.Get("kind"))
	if r.PostForm.Get("all") != "" {
		var err error
		if ids, err = v.allUserIDs(r.Context(), directory.UserQuery{Search: r.PostForm.Get("search"), NotAssignedTo: v.App.ID}); err != nil {
			return err
		}
		if !console.ConfirmsNumber(r, len(ids)) && len(ids) > 0 {
			return p.askAssign(w, r, v, len(ids))
		}
	}
	if len(ids) == 0 {
		return p.viewUnassigned(w, r, v, http.StatusUnprocessableEntity, kind, tickFirstText(kind))
	}
	n, err := v.assignAs(r, ids)
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, listURL(v.url("/users-and-groups"), "kind", kind), console.DoneNotice(countObjects(kind, n, " was", " were")+" assigned to "+v.App.Name+"."))
}

// assignAs assigns users or groups. If the form names a role, it assigns them with this role.
func (v *appVisit) assignAs(r *http.Request, ids []string) (int, error) {
	role := r.PostForm.Get("role")
	if role == "" {
		return v.Assign(r.Context(), v.App.ID, ids, v.actor())
	}
	return v.AssignRole(r.Context(), v.App.ID, role, ids, v.actor())
}

// allUserIDs returns the object ids of all users that a query finds.
func (v *directoryVisit) allUserIDs(ctx context.Context, q directory.UserQuery) ([]string, error) {
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

// unassign removes the assignments of the ticked users or groups, or, with "all", of all users that
// the search finds. It first asks for confirmation and shows what happens to their accounts. With
// "do" it gives the ticked ones a role instead.
func (p *Pages) unassign(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	ids, kind := chosenObjects(r), kindOfList(r.PostForm.Get("kind"))
	if r.PostForm.Get("all") != "" {
		var err error
		if ids, err = v.allUserIDs(r.Context(), directory.UserQuery{Search: r.PostForm.Get("search"), AssignedTo: v.App.ID}); err != nil {
			return err
		}
	}
	switch {
	case len(ids) == 0:
		return p.viewAssignments(w, r, v, http.StatusUnprocessableEntity, kind, tickFirstText(kind))
	case r.PostForm.Get("do") == "role":
		n, err := v.assignAs(r, ids)
		if err != nil {
			return err
		}
		return p.Console.Redirect(w, r, listURL(v.url("/users-and-groups"), "kind", kind), console.DoneNotice(countObjects(kind, n, " has", " have")+" another role now."))
	case !console.ConfirmsNumber(r, len(ids)):
		return p.askUnassign(w, r, v, ids, kind)
	}
	n, err := v.Unassign(r.Context(), v.App.ID, ids, v.actor())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, listURL(v.url("/users-and-groups"), "kind", kind), console.DoneNotice(countObjects(kind, n, " is", " are")+" no longer assigned to "+v.App.Name+"."))
}

func (p *Pages) askUnassign(w http.ResponseWriter, r *http.Request, v *appVisit, ids []string, kind string) error {
	all, what := r.PostForm.Get("all") != "", countObjects(kind, len(ids), "", "")
	pg := console.ConfirmPage{
		Page: v.page, Action: v.url("/users-and-groups"), Button: "Remove " + what, Danger: true, Cancel: listURL(v.url("/users-and-groups"), "kind", kind),
		Fields: []console.HiddenField{{Name: "sure", Value: strconv.Itoa(len(ids))}}, Undo: "Assigning them again undoes it, there too.",
	}
	if all {
		pg.Fields = append(pg.Fields, console.HiddenField{Name: "all", Value: "yes"}, console.HiddenField{Name: "search", Value: r.PostForm.Get("search")})
	}
	names, err := v.someNames(r.Context(), ids)
	if err != nil {
		return err
	}
	input, there := "user", "their account is switched off there, unless they are direct members of an assigned group"
	if kind == "groups" {
		input, there = "group", "accounts of direct members who are not assigned in another way are switched off there"
		pg.Fields = append(pg.Fields, console.HiddenField{Name: "kind", Value: kind})
	}
	if !all {
		for _, id := range ids {
			pg.Fields = append(pg.Fields, console.HiddenField{Name: input, Value: id})
		}
	}
	effect, err := p.effectAt(r.Context(), v.Directory.ID, v.App, there, provision.FlowUpdate)
	if err != nil {
		return err
	}
	pg.Title, pg.Narrow = "Remove "+what+" from "+v.App.Name+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Users and groups", URL: pg.Cancel})
	pg.Consequences = []string{names + " will no longer be assigned to " + v.App.Name + ".", effect}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// someNames names the first few users or groups and counts the rest. An unknown id is an error.
func (v *directoryVisit) someNames(ctx context.Context, ids []string) (string, error) {
	const most = 5
	names := ""
	for i, id := range ids {
		if i == most && len(ids) > most+1 {
			return names + " and " + console.PluralForms(len(ids)-most, "more", "more"), nil
		}
		m, err := v.MemberNamed(ctx, id)
		if err != nil {
			return "", err
		}
		if i > 0 {
			names += ", "
		}
		names += m.DisplayName()
	}
	return names, nil
}
