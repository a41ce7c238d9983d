package directorypages

import (
	"context"
	"net/http"
	"strconv"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
)

// assignmentsPage is the data of the view "assignments". It lists the assigned users or groups. If
// IsAdding is true, it lists the users or groups that can be assigned.
type assignmentsPage struct {
	console.Page
	IsAdding   bool
	Tabs       []console.Tab
	Kind       string // what the list shows: "groups", or "" for users
	Search     string
	ListURL    string // address of the list without a search
	FormURL    string // address to which the form with the ticked rows is sent
	Rows       []assignmentRow
	Roles      []console.Option // the roles that an assignment can have; empty if the application defines none
	Empty      console.EmptyState
	Pager      console.Pager
	FoundCount int // number of rows on all pages of the list together
	Error      string
}

// assignmentRow is a user or group in the list. About is a user principal name or a description.
// Detail is a job title or the number of members.
type assignmentRow struct {
	ID, Name, URL, About, Detail string
	Badge                        console.Badge
	Role                         string
	WhyURL                       string // address of the page that explains why the user or group has an account or has none
}

// parseListKind returns the kind of list that an address or a form names: "groups", or "" for
// users.
func parseListKind(text string) string {
	if text == "groups" {
		return text
	}
	return ""
}

func (p *Pages) showAssignments(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	return p.renderAssignments(w, r, v, http.StatusOK, parseListKind(r.URL.Query().Get("kind")), "")
}

func (p *Pages) renderAssignments(w http.ResponseWriter, r *http.Request, v *appVisit, status int, kind, wrong string) error {
	pg := assignmentsPage{Page: v.page, Kind: kind, ListURL: v.url("/users-and-groups"), FormURL: v.url("/users-and-groups"), Error: wrong}
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
	pg.Actions = []console.Action{{Text: "Add group", Icon: "plus", URL: add + "?kind=groups"}, {Text: "Add user", Icon: "plus", URL: add, IsPrimary: true}}
	if err := p.readListRows(r, v, &pg, directory.UserQuery{AssignedTo: v.App.ID}, directory.GroupQuery{AssignedTo: v.App.ID}); err != nil {
		return err
	}
	pg.addTabs(users, groups)
	if err := v.addRoles(r.Context(), &pg); err != nil {
		return err
	}
	pg.Empty = console.EmptyState{
		Icon: "users", Title: "Nobody is assigned", Text: "Only assigned users, and direct members of assigned groups, are provisioned while the scope is “Sync only assigned users and groups”.",
		Action: &console.Action{Text: "Add user", Icon: "plus", URL: add, IsPrimary: true},
	}
	if kind == "groups" {
		pg.Empty.Icon, pg.Empty.Title = "layers", "No group is assigned"
		pg.Empty.Action = &console.Action{Text: "Add group", Icon: "plus", URL: add + "?kind=groups", IsPrimary: true}
	}
	if pg.Search != "" {
		pg.Empty = console.EmptyState{Icon: "search", Title: pg.noneText() + " matches “" + pg.Search + "”", Text: "Nothing assigned fits. Others are found under Add user and Add group."}
	}
	return p.show(w, r, status, "assignments", pg)
}

// noneText returns the first words of the title of an empty list: "No group" or "Nobody".
func (pg *assignmentsPage) noneText() string {
	if pg.Kind == "groups" {
		return "No group"
	}
	return "Nobody"
}

// addTabs adds the links to the lists of users and of groups, with the numbers of their rows. A
// negative number means that the tab shows none.
func (pg *assignmentsPage) addTabs(users, groups int) {
	for _, t := range []struct {
		text, kind string
		n          int
	}{{"Users", "", users}, {"Groups", "groups", groups}} {
		tab := console.Tab{Text: t.text, URL: listURL(pg.ListURL, "search", pg.Search, "kind", t.kind), Selected: pg.Kind == t.kind}
		if t.n >= 0 {
			tab.Count = console.GroupDigits(t.n)
		}
		pg.Tabs = append(pg.Tabs, tab)
	}
}

// readListRows reads one page of the list: groups if pg.Kind is "groups", otherwise users.
func (p *Pages) readListRows(r *http.Request, v *appVisit, pg *assignmentsPage, of directory.UserQuery, ofGroups directory.GroupQuery) error {
	if pg.Kind == "groups" {
		query, err := parseGroupQuery(r)
		if err != nil {
			return err
		}
		ofGroups.Search, ofGroups.After = query.Search, query.After
		found, err := v.Groups(r.Context(), ofGroups)
		if err != nil {
			return err
		}
		rows, err := p.newGroupRows(r, v.directoryVisit, found.Groups)
		if err != nil {
			return err
		}
		for _, row := range rows {
			pg.Rows = append(pg.Rows, assignmentRow{
				ID: row.Group.ObjectID, Name: row.Group.DisplayName(), URL: row.URL, About: row.Group.Text("description"), Detail: row.MemberText(),
				Badge: console.Badge{Tone: console.ToneInfo, Text: "Group"},
			})
		}
		pg.Search, pg.Pager = query.Search, newGroupPager(pg.ListURL, ofGroups, found, "group", "groups", "kind", pg.Kind)
		pg.FoundCount, err = v.CountGroups(r.Context(), ofGroups)
		return err
	}
	query, err := parseUserQuery(r)
	if err != nil {
		return err
	}
	of.Search, of.After = query.Search, query.After
	found, err := v.Users(r.Context(), of)
	if err != nil {
		return err
	}
	for _, u := range found.Users {
		row := v.newUserRow(u)
		pg.Rows = append(pg.Rows, assignmentRow{ID: u.ObjectID, Name: u.DisplayName(), URL: row.URL, About: u.UPN(), Detail: row.JobText, Badge: row.Badge})
	}
	pg.Search, pg.Pager = query.Search, newUserPager(pg.ListURL, of, found)
	if of.AssignedTo != "" && query.Search == "" {
		pg.FoundCount, err = v.CountAssignments(r.Context(), v.App.ID)
		return err
	}
	pg.FoundCount, err = v.CountFound(r.Context(), of)
	return err
}

// addRoles adds to the page the roles that an assignment can have, and to each row its role.
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
	if pg.IsAdding {
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
	return p.renderUnassigned(w, r, v, http.StatusOK, parseListKind(r.URL.Query().Get("kind")), "")
}

func (p *Pages) renderUnassigned(w http.ResponseWriter, r *http.Request, v *appVisit, status int, kind, wrong string) error {
	base, back := v.url("/users-and-groups/add"), v.url("/users-and-groups")
	pg := assignmentsPage{Page: v.page, IsAdding: true, Kind: kind, ListURL: base, FormURL: base, Error: wrong}
	if err := p.readListRows(r, v, &pg, directory.UserQuery{NotAssignedTo: v.App.ID}, directory.GroupQuery{NotAssignedTo: v.App.ID}); err != nil {
		return err
	}
	pg.addTabs(-1, -1)
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
		pg.Empty = console.EmptyState{Icon: "search", Title: pg.noneText() + " matches “" + pg.Search + "”", Text: "Nothing that is not assigned yet fits."}
	}
	return p.show(w, r, status, "assignments", pg)
}

// tickedObjects returns the object ids of the ticked users and groups.
func tickedObjects(r *http.Request) []string {
	return append(r.PostForm["user"], r.PostForm["group"]...)
}

// tickFirstText returns the error message for a form in which nothing was ticked.
func tickFirstText(kind string) string {
	if kind == "groups" {
		return "Tick at least one group."
	}
	return "Tick at least one user."
}

// countObjects returns a number of users or groups in words, such as "2 groups were". After the noun
// it puts the argument was if n is 1, and otherwise the argument were.
func countObjects(kind string, n int, was, were string) string {
	if kind == "groups" {
		return console.PluralForms(n, "group"+was, "groups"+were)
	}
	return console.PluralForms(n, "user"+was, "users"+were)
}

// assign assigns the ticked users or groups. If the form has the value "all", it assigns all users
// that the search finds, after it has asked for confirmation.
func (p *Pages) assign(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	ids, kind := tickedObjects(r), parseListKind(r.PostForm.Get("kind"))
	if r.PostForm.Get("all") != "" {
		var err error
		if ids, err = v.allUserIDs(r.Context(), directory.UserQuery{Search: r.PostForm.Get("search"), NotAssignedTo: v.App.ID}); err != nil {
			return err
		}
		if !console.ConfirmsNumber(r, len(ids)) && len(ids) > 0 {
			return p.askToAssign(w, r, v, len(ids))
		}
	}
	if len(ids) == 0 {
		return p.renderUnassigned(w, r, v, http.StatusUnprocessableEntity, kind, tickFirstText(kind))
	}
	n, err := v.assignWithRole(r, ids)
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, listURL(v.url("/users-and-groups"), "kind", kind), console.DoneNotice(countObjects(kind, n, " was", " were")+" assigned to "+v.App.Name+"."))
}

// assignWithRole assigns users or groups. If the form names a role, it assigns them with this role.
// It returns how many assignments were added or changed.
func (v *appVisit) assignWithRole(r *http.Request, ids []string) (int, error) {
	role := r.PostForm.Get("role")
	if role == "" {
		return v.Assign(r.Context(), v.App.ID, ids, v.actorLabel())
	}
	return v.AssignRole(r.Context(), v.App.ID, role, ids, v.actorLabel())
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

func (p *Pages) askToAssign(w http.ResponseWriter, r *http.Request, v *appVisit, n int) error {
	search := r.PostForm.Get("search")
	list := v.url("/users-and-groups/add")
	pg := console.ConfirmPage{
		Page: v.page, FormURL: list, Button: "Assign " + console.PluralForms(n, "user", "users"), CancelURL: userListURL(list, directory.UserQuery{Search: search}),
		Fields: []console.HiddenField{{Name: "all", Value: "yes"}, {Name: "search", Value: search}, {Name: "sure", Value: strconv.Itoa(n)}},
		Undo:   "Removing them under Users and groups undoes it: Remove all asks too, and switches their accounts off there.",
	}
	who := "Everybody in " + v.Directory.Name + " who is not assigned yet"
	if search != "" {
		who = "Everybody found by “" + search + "” who is not assigned yet"
	}
	effect, err := p.describeEffectAt(r.Context(), v.Directory.ID, v.App, "their accounts are made or kept in step", provision.FlowAdd)
	if err != nil {
		return err
	}
	pg.Title, pg.Narrow = "Assign "+console.PluralForms(n, "user", "users")+" to "+v.App.Name+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Users and groups", URL: v.url("/users-and-groups")})
	pg.Consequences = []string{who + " will be assigned: " + console.PluralForms(n, "user", "users") + ".", effect}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// unassign removes the assignments of the ticked users or groups. If the form has the value "all",
// it removes those of all users that the search finds. It first asks for confirmation and shows
// what happens to the accounts. If the form's value "do" is "role", it gives the ticked users or
// groups another role instead.
func (p *Pages) unassign(w http.ResponseWriter, r *http.Request, v *appVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	ids, kind := tickedObjects(r), parseListKind(r.PostForm.Get("kind"))
	if r.PostForm.Get("all") != "" {
		var err error
		if ids, err = v.allUserIDs(r.Context(), directory.UserQuery{Search: r.PostForm.Get("search"), AssignedTo: v.App.ID}); err != nil {
			return err
		}
	}
	switch {
	case len(ids) == 0:
		return p.renderAssignments(w, r, v, http.StatusUnprocessableEntity, kind, tickFirstText(kind))
	case r.PostForm.Get("do") == "role":
		n, err := v.assignWithRole(r, ids)
		if err != nil {
			return err
		}
		return p.Console.Redirect(w, r, listURL(v.url("/users-and-groups"), "kind", kind), console.DoneNotice(countObjects(kind, n, " has", " have")+" another role now."))
	case !console.ConfirmsNumber(r, len(ids)):
		return p.askToUnassign(w, r, v, ids, kind)
	}
	n, err := v.Unassign(r.Context(), v.App.ID, ids, v.actorLabel())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, listURL(v.url("/users-and-groups"), "kind", kind), console.DoneNotice(countObjects(kind, n, " is", " are")+" no longer assigned to "+v.App.Name+"."))
}

func (p *Pages) askToUnassign(w http.ResponseWriter, r *http.Request, v *appVisit, ids []string, kind string) error {
	all, what := r.PostForm.Get("all") != "", countObjects(kind, len(ids), "", "")
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.url("/users-and-groups"), Button: "Remove " + what, IsDangerous: true, CancelURL: listURL(v.url("/users-and-groups"), "kind", kind),
		Fields: []console.HiddenField{{Name: "sure", Value: strconv.Itoa(len(ids))}}, Undo: "Assigning them again undoes it, there too.",
	}
	if all {
		pg.Fields = append(pg.Fields, console.HiddenField{Name: "all", Value: "yes"}, console.HiddenField{Name: "search", Value: r.PostForm.Get("search")})
	}
	names, err := v.summarizeNames(r.Context(), ids)
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
	effect, err := p.describeEffectAt(r.Context(), v.Directory.ID, v.App, there, provision.FlowUpdate)
	if err != nil {
		return err
	}
	pg.Title, pg.Narrow = "Remove "+what+" from "+v.App.Name+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{}, console.Crumb{Text: "Users and groups", URL: pg.CancelURL})
	pg.Consequences = []string{names + " will no longer be assigned to " + v.App.Name + ".", effect}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// summarizeNames names the first few users or groups and counts the rest. It returns an error if an
// id is unknown.
func (v *directoryVisit) summarizeNames(ctx context.Context, ids []string) (string, error) {
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
