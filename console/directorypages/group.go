package directorypages

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
)

// groupPage is the data of the view "group": one group. With New it is the form for a new group.
type groupPage struct {
	console.Page
	New          bool
	Group        directory.Group
	Deleted      bool
	Inputs       []groupInput
	Was          []console.HiddenField // the values that the form started from
	Unsaved      bool
	Error        string // an error that is not about a single input
	Warning      string
	Action       string
	Cancel       string
	Applications []assignmentLink
	MemberOf     []groupLink
	MoreGroups   int // the number of groups that MemberOf leaves out

	Members     []memberRow
	MemberError string
	Search      string
	Here        string // address of this page
	Remove      string // address to which the ticked members are posted, to remove them
	Add         string
	Empty       console.EmptyState
	Pager       console.Pager
	History     []console.EventRow
}

// groupInput is the input of one attribute of a group.
type groupInput struct {
	directory.GroupAttribute
	Value    string
	Required bool
	Error    *console.FieldError
}

// assignmentLink is an assignment on the page of a user or group.
type assignmentLink struct {
	Name, URL, Role, Through, ThroughURL string
	Why                                  string // address of the page that explains the account there
}

type groupLink struct{ Name, URL string }

// memberRow is a direct member in a list.
type memberRow struct {
	ID, Name, URL, About string
	Badge                console.Badge
}

// groupVisit is a request for a page of one group.
type groupVisit struct {
	*directoryVisit
	Group directory.Group
}

// ofGroup finds the group that the path names, and passes it to handle.
func (p *Pages) ofGroup(handle func(http.ResponseWriter, *http.Request, *groupVisit) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	return p.inDirectory(func(w http.ResponseWriter, r *http.Request, d *directoryVisit) error {
		g, err := d.Handle.Group(r.Context(), r.PathValue("group"))
		if err != nil {
			return err
		}
		return handle(w, r, &groupVisit{directoryVisit: d, Group: g})
	})
}

func (v *groupVisit) below(rest string) string { return v.groupURL(v.Group) + rest }

func groupFields() []console.EditField {
	var fields []console.EditField
	for _, a := range directory.GroupAttributes() {
		fields = append(fields, console.EditField{Name: a.Name, Label: a.Label})
	}
	return fields
}

func groupValues(g directory.Group) map[string]string {
	values := map[string]string{}
	for _, a := range directory.GroupAttributes() {
		values[a.Name] = g.Text(a.Name)
	}
	return values
}

func (p *Pages) newGroup(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.viewNewGroup(w, r, v, http.StatusOK, map[string]string{}, nil)
}

func (p *Pages) viewNewGroup(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, values map[string]string, wrong *console.FieldError) error {
	pg := groupPage{Page: v.page, New: true, Action: v.url("groups"), Cancel: v.url("groups"), Unsaved: wrong != nil}
	pg.fill(values, wrong)
	pg.Title, pg.Narrow = "New group", true
	pg.Lead = "A group without members. You add them next."
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Groups", URL: v.url("groups")})
	return p.show(w, r, status, "group", pg)
}

// fill adds the inputs to the page. It shows an error that belongs to no input above the form.
func (pg *groupPage) fill(values map[string]string, wrong *console.FieldError) {
	placed := false
	for _, a := range directory.GroupAttributes() {
		in := groupInput{GroupAttribute: a, Value: values[a.Name], Required: a.Name == "displayName"}
		if wrong != nil && wrong.For == a.Name {
			in.Error, placed = wrong, true
		}
		pg.Inputs = append(pg.Inputs, in)
	}
	if wrong != nil && !placed {
		pg.Error = wrong.Text
	}
}

func (p *Pages) addGroup(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	var g directory.Group
	values := map[string]string{}
	for _, a := range directory.GroupAttributes() {
		values[a.Name] = r.PostForm.Get(a.Name)
		if err := g.Set(a.Name, values[a.Name]); err != nil {
			return err
		}
	}
	g, _, err := v.PutGroup(r.Context(), g, v.actor())
	if wrong := console.AttributeError(err); wrong != nil {
		return p.viewNewGroup(w, r, v, http.StatusUnprocessableEntity, values, wrong)
	}
	if err != nil {
		return err
	}
	return p.showSavedGroup(w, r, &groupVisit{v, g}, g.DisplayName()+" was created.")
}

// showSavedGroup redirects to the group's page. The notice there warns if another group has the
// same name.
func (p *Pages) showSavedGroup(w http.ResponseWriter, r *http.Request, v *groupVisit, text string) error {
	warning, err := v.NameWarning(r.Context(), v.Group)
	if err != nil {
		return err
	}
	n := console.DoneNotice(text)
	if warning != "" {
		n = console.Notice{Tone: console.ToneWarning, Title: text, Text: warning}
	}
	return p.Console.Redirect(w, r, v.below(""), n)
}

func (p *Pages) showGroup(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	return p.viewGroup(w, r, v, http.StatusOK, groupValues(v.Group), nil, "")
}

func (p *Pages) viewGroup(w http.ResponseWriter, r *http.Request, v *groupVisit, status int, values map[string]string, wrong *console.FieldError, memberError string) error {
	ctx, g := r.Context(), v.Group
	pg := groupPage{
		Page: v.page, Group: g, Deleted: g.IsDeleted(), Was: console.WasFields(groupFields(), values), Unsaved: wrong != nil, Action: v.below(""), Cancel: v.below(""),
		Here: v.below(""), Remove: v.below("/members"), Add: v.below("/members/add"), MemberError: memberError,
	}
	if wrong != nil {
		pg.Was = console.RepeatWasFields(r.PostForm, groupFields())
	}
	pg.fill(values, wrong)
	counts, err := v.CountMembers(ctx, g.ObjectID)
	if err != nil {
		return err
	}
	pg.Title, pg.StatusLine = g.DisplayName(), "Direct members: "+memberText(counts)+"."
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Groups", URL: v.url("groups")})
	for _, c := range groupChanges() {
		if c.For(g) {
			pg.Actions = append(pg.Actions, console.Action{Text: c.Verb, Icon: c.Icon, URL: v.below("/" + c.Name), Danger: c.Danger})
		}
	}
	if g.IsDeleted() {
		pg.Badge = &console.Badge{Tone: console.ToneProblem, Text: "Deleted"}
	}
	if pg.Applications, err = v.assignmentLinks(ctx, g.ObjectID); err != nil {
		return err
	}
	if pg.MemberOf, pg.MoreGroups, err = v.groupLinks(ctx, g.ObjectID); err != nil {
		return err
	}
	if err := pg.readMembers(r, v, counts); err != nil {
		return err
	}
	if pg.Warning, err = v.NestingWarning(ctx, g.ObjectID); err != nil {
		return err
	}
	events, err := v.History(ctx, g.ObjectID, event.Position{}, 20)
	if err != nil {
		return err
	}
	for _, row := range v.eventRows(events) {
		row.URL = "" // the row is about this page's group
		pg.History = append(pg.History, row)
	}
	return p.show(w, r, status, "group", pg)
}

func (pg *groupPage) readMembers(r *http.Request, v *groupVisit, counts directory.MemberCounts) error {
	form := r.URL.Query()
	after, err := directory.ParseCursor(form.Get("after"))
	if err != nil {
		return err
	}
	query := directory.MemberQuery{Search: form.Get("search"), After: after}
	found, err := v.Members(r.Context(), v.Group.ObjectID, query)
	if err != nil {
		return err
	}
	pg.Search = query.Search
	for _, m := range found.Members {
		pg.Members = append(pg.Members, v.memberRow(m))
	}
	pg.Pager = pager(v.below(""), after, found.Next, found.More, console.PluralForms(len(found.Members), "member", "members"), "search", query.Search)
	pg.Empty = console.EmptyState{Icon: "users", Title: "No members yet", Text: "Add users, or other groups."}
	if !v.Group.IsDeleted() {
		pg.Empty.Action = &console.Action{Text: "Add members", Icon: "plus", URL: pg.Add, Primary: true}
	}
	if query.Search != "" && counts.Total() > 0 {
		pg.Empty = console.EmptyState{Icon: "search", Title: "No member matches “" + query.Search + "”", Text: "The search looks at direct members only."}
	}
	return nil
}

func (v *directoryVisit) memberRow(m directory.Member) memberRow {
	if m.Kind == directory.GroupKind {
		return memberRow{ID: m.Group.ObjectID, Name: m.Group.DisplayName(), URL: v.groupURL(m.Group), About: m.Group.Text("description"), Badge: console.Badge{Tone: console.ToneInfo, Text: "Group"}}
	}
	return memberRow{ID: m.User.ObjectID, Name: m.User.DisplayName(), URL: v.userURL(m.User), About: m.User.UPN(), Badge: userBadge(m.User)}
}

// assignmentLinks returns the assignments of a user or group as links.
func (v *directoryVisit) assignmentLinks(ctx context.Context, objectID string) ([]assignmentLink, error) {
	all, err := v.AssignmentsOf(ctx, objectID)
	var links []assignmentLink
	for _, a := range all {
		l := assignmentLink{Name: a.Application.Name, URL: v.appURL(a.Application)}
		l.Why = whyURL(l.URL, objectID)
		if a.Role.ID != directory.DefaultAccess.ID {
			l.Role = a.Role.DisplayName
		}
		if !a.IsDirect() {
			l.Through, l.ThroughURL = a.Through.DisplayName(), v.groupURL(a.Through)
		}
		links = append(links, l)
	}
	return links, err
}

// groupLinks returns links to the first groups that a user or group is a direct member of. more is
// the number of all others.
func (v *directoryVisit) groupLinks(ctx context.Context, objectID string) (links []groupLink, more int, err error) {
	query := directory.GroupQuery{HasMember: objectID, Limit: 50}
	found, err := v.Groups(ctx, query)
	for _, g := range found.Groups {
		links = append(links, groupLink{g.DisplayName(), v.groupURL(g)})
	}
	if err == nil && found.More {
		more, err = v.CountGroups(ctx, query)
		more -= len(links)
	}
	return links, more, err
}

// saveGroup merges the form with the stored group. If someone else saves the group between its
// reading and writing, it starts again.
func (p *Pages) saveGroup(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		err := p.saveGroupOnce(w, r, v)
		if !errors.Is(err, refusal.Stale) || attempt == 5 {
			return err
		}
		if v.Group, err = v.Handle.Group(r.Context(), v.Group.ObjectID); err != nil {
			return err
		}
	}
}

func (p *Pages) saveGroupOnce(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	before := v.Group
	m, err := console.MergeEdit(r.PostForm, groupFields(), groupValues(before))
	if err != nil {
		return err
	}
	by, err := v.lastChange(r.Context(), before.ObjectID)
	if err != nil {
		return err
	}
	if len(m.Conflicts) > 0 {
		frame := v.page
		frame.Crumbs = v.crumbs(console.Crumb{Text: "Groups", URL: v.url("groups")}, console.Crumb{Text: before.DisplayName(), URL: v.below("")})
		return p.Console.AskEdit(w, r, frame, m, v.below(""), v.below(""), by)
	}
	g := directory.Group{ObjectID: before.ObjectID, Version: before.Version}
	for name, text := range m.Values {
		if err := g.Set(name, text); err != nil {
			return err
		}
	}
	g, changed, err := v.PutGroup(r.Context(), g, v.actor())
	if errors.Is(err, refusal.Stale) {
		return err
	}
	if wrong := console.AttributeError(err); wrong != nil {
		values := map[string]string{}
		for _, f := range groupFields() {
			values[f.Name] = r.PostForm.Get(f.Name)
		}
		return p.viewGroup(w, r, v, http.StatusUnprocessableEntity, values, wrong, "")
	}
	if err != nil {
		return err
	}
	v.Group = g
	if !changed {
		return p.Console.Redirect(w, r, v.below(""), console.Notice{Tone: console.ToneInfo, Text: strings.TrimSpace("Nothing was changed: " + g.DisplayName() + " was like that already. " + m.FromOthers(by))})
	}
	return p.showSavedGroup(w, r, v, strings.TrimSpace(g.DisplayName()+" was saved. "+m.FromOthers(by)))
}

// groupChange is a kind of change of a group that needs a confirmation.
type groupChange struct {
	Name, Verb, Icon string // Name is the last part of the change's address
	Danger           bool
	Final            bool // whether the change cannot be undone, so that it needs a fresh sign-in
	For              func(directory.Group) bool
	Here, There      string // Here says what happens in the directory, There what happens at each application
	Undo, Done       string
	do               func(h *directory.Handle, ctx context.Context, objectID, actor string) error
}

func groupChanges() []groupChange {
	return []groupChange{
		{
			Name: "delete", Verb: "Delete", Icon: "trash-2", Danger: true, For: func(g directory.Group) bool { return !g.IsDeleted() },
			Here:  "The group moves to the deleted groups. It keeps its members and assignments, which have no effect until it is restored.",
			There: "direct members who are not assigned in another way leave the scope, and their accounts are switched off",
			Undo:  "Restoring the group undoes it.", Done: "was deleted",
			do: func(h *directory.Handle, ctx context.Context, id, actor string) error {
				_, err := h.SoftDeleteGroup(ctx, id, actor)
				return err
			},
		},
		{
			Name: "restore", Verb: "Restore", Icon: "undo-2", For: directory.Group.IsDeleted,
			Here: "The group is in the directory again, with its members and assignments.", There: "its direct members are in scope again",
			Undo: "Deleting the group undoes it.", Done: "was restored",
			do: func(h *directory.Handle, ctx context.Context, id, actor string) error {
				_, err := h.RestoreGroup(ctx, id, actor)
				return err
			},
		},
		{
			Name: "purge", Verb: "Delete permanently", Icon: "trash-2", Danger: true, Final: true, For: directory.Group.IsDeleted,
			Here: "The group, its memberships and its assignments are removed permanently. The users themselves stay.",
			Undo: console.CannotBeUndone, Done: "was deleted permanently",
			do: func(h *directory.Handle, ctx context.Context, id, actor string) error {
				return h.PurgeGroup(ctx, id, actor)
			},
		},
	}
}

func findGroupChange(r *http.Request) (groupChange, bool) {
	for _, c := range groupChanges() {
		if c.Name == r.PathValue("step") {
			return c, true
		}
	}
	return groupChange{}, false
}

func (p *Pages) showGroupAlreadyDone(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	state := "not deleted"
	if v.Group.IsDeleted() {
		state = "deleted"
	}
	return p.Console.Redirect(w, r, v.below(""), console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: " + v.Group.DisplayName() + " is " + state + " already."})
}

func (p *Pages) askGroupChange(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	c, known := findGroupChange(r)
	if !known {
		return console.ErrNotFound
	}
	if !c.For(v.Group) {
		return p.showGroupAlreadyDone(w, r, v)
	}
	if c.Final {
		if err := p.operatorGuard().requireFreshSignIn(r); err != nil {
			return err
		}
	}
	counts, err := v.CountMembers(r.Context(), v.Group.ObjectID)
	if err != nil {
		return err
	}
	pg := console.ConfirmPage{
		Page: v.page, Consequences: []string{c.Here, "It has " + memberText(counts) + " as direct members."}, Undo: c.Undo, Action: r.URL.Path,
		Button: c.Verb + " " + v.Group.DisplayName(), Danger: c.Danger, Cancel: v.below(""),
	}
	pg.Title, pg.Narrow = c.Verb+" "+v.Group.DisplayName()+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Groups", URL: v.url("groups")}, console.Crumb{Text: v.Group.DisplayName(), URL: v.below("")})
	if c.There != "" {
		apps, err := v.ApplicationsOf(r.Context(), v.Group.ObjectID)
		if err != nil {
			return err
		}
		if len(apps) == 0 {
			pg.Consequences = append(pg.Consequences, v.Group.DisplayName()+" is assigned to no enterprise application.")
		}
		for _, a := range apps {
			text, err := p.effectAt(r.Context(), v.Directory.ID, a, c.There, provision.FlowUpdate)
			if err != nil {
				return err
			}
			pg.Consequences = append(pg.Consequences, text)
		}
	}
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

func (p *Pages) changeGroup(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	c, known := findGroupChange(r)
	if !known {
		return console.ErrNotFound
	}
	if !c.For(v.Group) {
		return p.showGroupAlreadyDone(w, r, v)
	}
	if c.Final {
		if err := p.operatorGuard().requireFreshSignIn(r); err != nil {
			return err
		}
	}
	if err := c.do(v.Handle, r.Context(), v.Group.ObjectID, v.actor()); err != nil {
		return err
	}
	target := v.below("")
	if c.Name == "purge" {
		target = v.url("groups?status=deleted")
	}
	return p.Console.Redirect(w, r, target, console.DoneNotice(v.Group.DisplayName()+" "+c.Done+"."))
}

// removeMembers removes the ticked members. It asks first if the group is assigned to an
// application.
func (p *Pages) removeMembers(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	ids := r.PostForm["member"]
	if len(ids) == 0 {
		return p.viewGroup(w, r, v, http.StatusUnprocessableEntity, groupValues(v.Group), nil, "Tick at least one member.")
	}
	apps, err := v.ApplicationsOf(r.Context(), v.Group.ObjectID)
	if err != nil {
		return err
	}
	if len(apps) > 0 && !console.ConfirmsNumber(r, len(ids)) {
		return p.askRemoveMembers(w, r, v, ids, apps)
	}
	n, err := v.RemoveMembers(r.Context(), v.Group.ObjectID, ids, v.actor())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.below(""), console.DoneNotice(console.PluralForms(n, "member was", "members were")+" removed from "+v.Group.DisplayName()+"."))
}

func (p *Pages) askRemoveMembers(w http.ResponseWriter, r *http.Request, v *groupVisit, ids []string, apps []directory.Application) error {
	what := console.PluralForms(len(ids), "member", "members")
	pg := console.ConfirmPage{
		Page: v.page, Action: v.below("/members"), Button: "Remove " + what, Danger: true, Cancel: v.below(""), Undo: "Adding them again undoes it, there too.",
		Fields:       []console.HiddenField{{Name: "sure", Value: strconv.Itoa(len(ids))}},
		Consequences: []string{what + " of " + v.Group.DisplayName() + " will be removed."},
	}
	for _, id := range ids {
		pg.Fields = append(pg.Fields, console.HiddenField{Name: "member", Value: id})
	}
	for _, a := range apps {
		text, err := p.effectAt(r.Context(), v.Directory.ID, a, "users among them who are not assigned in another way leave the scope, and their accounts are switched off", provision.FlowUpdate)
		if err != nil {
			return err
		}
		pg.Consequences = append(pg.Consequences, text)
	}
	pg.Title, pg.Narrow = "Remove "+what+" from "+v.Group.DisplayName()+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Groups", URL: v.url("groups")}, console.Crumb{Text: v.Group.DisplayName(), URL: v.below("")})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// othersPage is the data of the view "group-add": users or groups that can become members.
type othersPage struct {
	console.Page
	Tabs   []console.Tab
	Kind   string // "groups", or "" for users
	Search string
	Here   string // address of the list without a search
	Rows   []memberRow
	Empty  console.EmptyState
	Pager  console.Pager
	Error  string
}

func (p *Pages) showOthers(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	return p.viewOthers(w, r, v, http.StatusOK, r.URL.Query().Get("kind"), "")
}

func (p *Pages) viewOthers(w http.ResponseWriter, r *http.Request, v *groupVisit, status int, kind, wrong string) error {
	base, group := v.below("/members/add"), v.Group.ObjectID
	pg := othersPage{Page: v.page, Here: base, Error: wrong}
	if kind == "groups" {
		query, err := groupQuery(r)
		if err != nil {
			return err
		}
		query.Deleted, query.NotMemberOf = false, group
		found, err := v.Groups(r.Context(), query)
		if err != nil {
			return err
		}
		pg.Kind, pg.Search, pg.Pager = kind, query.Search, groupPager(base, query, found, "group", "groups", "kind", kind)
		for _, g := range found.Groups {
			pg.Rows = append(pg.Rows, v.memberRow(directory.Member{Kind: directory.GroupKind, Group: g}))
		}
	} else {
		query, err := userQuery(r)
		if err != nil {
			return err
		}
		query.Status, query.NotMemberOf = directory.NotDeleted, group
		found, err := v.Users(r.Context(), query)
		if err != nil {
			return err
		}
		pg.Search, pg.Pager = query.Search, userPager(base, query, found)
		for _, u := range found.Users {
			pg.Rows = append(pg.Rows, v.memberRow(directory.Member{Kind: directory.UserKind, User: u}))
		}
	}
	pg.Tabs = []console.Tab{
		{Text: "Users", URL: listURL(base, "search", pg.Search), Selected: pg.Kind == ""},
		{Text: "Groups", URL: listURL(base, "search", pg.Search, "kind", "groups"), Selected: pg.Kind != ""},
	}
	pg.Title = "Add members"
	pg.Lead = "Choose who becomes a direct member of " + v.Group.DisplayName() + "."
	if pg.Kind != "" {
		pg.Lead += " Members of a group within it are not in scope of the applications that " + v.Group.DisplayName() + " is assigned to, as in Entra."
	}
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Groups", URL: v.url("groups")}, console.Crumb{Text: v.Group.DisplayName(), URL: v.below("")})
	pg.Empty = console.EmptyState{Icon: "check", Title: "All are members", Text: "Everyone is a member already.", Action: &console.Action{Text: v.Group.DisplayName(), URL: v.below("")}}
	if pg.Kind != "" {
		pg.Empty.Title, pg.Empty.Text = "No group is left", "There is no other group that is not a member already."
	}
	if pg.Search != "" {
		pg.Empty = console.EmptyState{Icon: "search", Title: "Nothing matches “" + pg.Search + "”", Text: "Nothing that is not a member yet fits."}
	}
	return p.show(w, r, status, "group-add", pg)
}

func (p *Pages) addMembers(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	ids := r.PostForm["member"]
	if len(ids) == 0 {
		return p.viewOthers(w, r, v, http.StatusUnprocessableEntity, r.PostForm.Get("kind"), "Tick at least one row.")
	}
	n, err := v.AddMembers(r.Context(), v.Group.ObjectID, ids, v.actor())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.below(""), console.DoneNotice(console.PluralForms(n, "member was", "members were")+" added to "+v.Group.DisplayName()+"."))
}
