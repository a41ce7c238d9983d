package directorypages

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/refusal"
)

// groupPage is the data of the view "group", which shows one group. If IsNew is true, it is the
// form for a new group.
type groupPage struct {
	console.Page
	IsNew             bool
	Group             directory.Group
	IsDeleted         bool
	Inputs            []groupInput
	StartValues       []console.HiddenField // the stored values with which the form started
	HasUnsavedValues  bool
	Error             string // an error that is not about a single input
	Warning           string
	FormURL           string
	CancelURL         string
	Applications      []assignmentLink
	OtherApplications []assignmentLink // applications to which it is not assigned, at most maxOtherApplications
	MemberOf          []groupLink
	MoreGroupsCount   int // the number of groups that MemberOf leaves out

	Members     []memberRow
	MemberError string
	Search      string
	PageURL     string // address of this page
	RemoveURL   string // address to which the form with the ticked members is sent, to remove them
	AddURL      string
	Empty       console.EmptyState
	Pager       console.Pager
	History     []console.EventRow
}

// groupInput is the form's input for one attribute of a group.
type groupInput struct {
	directory.GroupAttribute
	Value      string
	IsRequired bool
	Error      *console.FieldError
}

// assignmentLink is an assignment on the page of a user or group. Role is empty for Default Access.
// Through names the group that has the assignment; it is empty for a direct assignment.
type assignmentLink struct {
	Name, URL, Role, Through, ThroughURL string
	WhyURL                               string // address of the page that explains why the user or group has an account or has none
}

type groupLink struct{ Name, URL string }

// memberRow is a row of a list of users and groups that are direct members or can become members.
type memberRow struct {
	ID, Name, URL, About string
	Badge                console.Badge
}

// groupVisit is a request for a page of one group.
type groupVisit struct {
	*directoryVisit
	Group directory.Group
}

// withGroup returns a handler that finds the directory and the group that the path names, and
// passes them to handle.
func (p *Pages) withGroup(handle func(http.ResponseWriter, *http.Request, *groupVisit) error) func(http.ResponseWriter, *http.Request, *operatorVisit) error {
	return p.withDirectory(func(w http.ResponseWriter, r *http.Request, d *directoryVisit) error {
		g, err := d.Handle.Group(r.Context(), r.PathValue("group"))
		if err != nil {
			return err
		}
		return handle(w, r, &groupVisit{directoryVisit: d, Group: g})
	})
}

func (v *groupVisit) urlBelow(rest string) string { return v.groupURL(v.Group) + rest }

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

func (p *Pages) showNewGroup(w http.ResponseWriter, r *http.Request, v *directoryVisit) error {
	return p.renderNewGroup(w, r, v, http.StatusOK, map[string]string{}, nil)
}

func (p *Pages) renderNewGroup(w http.ResponseWriter, r *http.Request, v *directoryVisit, status int, values map[string]string, wrong *console.FieldError) error {
	pg := groupPage{Page: v.page, IsNew: true, FormURL: v.url("groups"), CancelURL: v.url("groups"), HasUnsavedValues: wrong != nil}
	pg.fillInputs(values, wrong)
	pg.Title, pg.Narrow = "New group", true
	pg.Lead = "A group without members. You add them next."
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Groups", URL: v.url("groups")})
	return p.show(w, r, status, "group", pg)
}

// fillInputs adds the inputs to the page. If the error belongs to no input, the page shows it above
// the form.
func (pg *groupPage) fillInputs(values map[string]string, wrong *console.FieldError) {
	placed := false
	for _, a := range directory.GroupAttributes() {
		in := groupInput{GroupAttribute: a, Value: values[a.Name], IsRequired: a.Name == "displayName"}
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
	g, _, err := v.PutGroup(r.Context(), g, v.actorLabel())
	if wrong := console.AttributeError(err); wrong != nil {
		return p.renderNewGroup(w, r, v, http.StatusUnprocessableEntity, values, wrong)
	}
	if err != nil {
		return err
	}
	return p.redirectToSavedGroup(w, r, &groupVisit{v, g}, g.DisplayName()+" was created.")
}

// redirectToSavedGroup redirects to the group's page. The notice there warns if another group has
// the same name.
func (p *Pages) redirectToSavedGroup(w http.ResponseWriter, r *http.Request, v *groupVisit, text string) error {
	warning, err := v.NameWarning(r.Context(), v.Group)
	if err != nil {
		return err
	}
	n := console.DoneNotice(text)
	if warning != "" {
		n = console.Notice{Tone: console.ToneWarning, Title: text, Text: warning}
	}
	return p.Console.Redirect(w, r, v.urlBelow(""), n)
}

func (p *Pages) showGroup(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	return p.renderGroup(w, r, v, http.StatusOK, groupValues(v.Group), nil, "")
}

func (p *Pages) renderGroup(w http.ResponseWriter, r *http.Request, v *groupVisit, status int, values map[string]string, wrong *console.FieldError, memberError string) error {
	ctx, g := r.Context(), v.Group
	pg := groupPage{
		Page: v.page, Group: g, IsDeleted: g.IsDeleted(), StartValues: console.StartValueFields(groupFields(), values), HasUnsavedValues: wrong != nil, FormURL: v.urlBelow(""), CancelURL: v.urlBelow(""),
		PageURL: v.urlBelow(""), RemoveURL: v.urlBelow("/members"), AddURL: v.urlBelow("/members/add"), MemberError: memberError,
	}
	if wrong != nil {
		pg.StartValues = console.RepeatStartValueFields(r.PostForm, groupFields())
	}
	pg.fillInputs(values, wrong)
	counts, err := v.CountMembers(ctx, g.ObjectID)
	if err != nil {
		return err
	}
	pg.Title, pg.StatusLine = g.DisplayName(), "Direct members: "+memberText(counts)+"."
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Groups", URL: v.url("groups")})
	for _, c := range groupChanges() {
		if c.AppliesTo(g) {
			pg.Actions = append(pg.Actions, console.Action{Text: c.Verb, Icon: c.Icon, URL: v.urlBelow("/" + c.Name), IsDangerous: c.IsDangerous})
		}
	}
	if g.IsDeleted() {
		pg.Badge = &console.Badge{Tone: console.ToneProblem, Text: "Deleted"}
	}
	if pg.Applications, err = v.assignmentLinks(ctx, g.ObjectID); err != nil {
		return err
	}
	if pg.OtherApplications, err = v.otherApplications(ctx, g.ObjectID, pg.Applications); err != nil {
		return err
	}
	if pg.MemberOf, pg.MoreGroupsCount, err = v.groupLinks(ctx, g.ObjectID); err != nil {
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
		row.URL = "" // no link, because the event is about the group on this page
		pg.History = append(pg.History, row)
	}
	return p.show(w, r, status, "group", pg)
}

// readMembers reads the page of members that the query asks for.
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
		pg.Members = append(pg.Members, v.newMemberRow(m))
	}
	pg.Pager = newPager(v.urlBelow(""), after, found.Next, found.More, console.PluralForms(len(found.Members), "member", "members"), "search", query.Search)
	pg.Empty = console.EmptyState{Icon: "users", Title: "No members yet", Text: "Add users, or other groups."}
	if !v.Group.IsDeleted() {
		pg.Empty.Action = &console.Action{Text: "Add members", Icon: "plus", URL: pg.AddURL, IsPrimary: true}
	}
	if query.Search != "" && counts.Total() > 0 {
		pg.Empty = console.EmptyState{Icon: "search", Title: "No member matches “" + query.Search + "”", Text: "The search looks at direct members only."}
	}
	return nil
}

func (v *directoryVisit) newMemberRow(m directory.Member) memberRow {
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
		l.WhyURL = whyURL(l.URL, objectID)
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

// maxOtherApplications is the largest number of applications without an assignment that a page
// lists.
const maxOtherApplications = 20

// otherApplications returns links to applications to which a user or group is not assigned. assigned
// are its assignments.
func (v *directoryVisit) otherApplications(ctx context.Context, objectID string, assigned []assignmentLink) ([]assignmentLink, error) {
	all, err := v.Handle.Applications(ctx)
	var links []assignmentLink
	for _, a := range all {
		url := v.appURL(a)
		if len(links) < maxOtherApplications && !slices.ContainsFunc(assigned, func(l assignmentLink) bool { return l.URL == url }) {
			links = append(links, assignmentLink{Name: a.Name, URL: url, WhyURL: whyURL(url, objectID)})
		}
	}
	return links, err
}

// groupLinks returns links to the first groups of which a user or group is a direct member. more is
// the number of such groups that it leaves out.
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

// saveGroup saves the values that the operator changed in the form. If someone else saves the group
// at the same moment, it reads the group again and retries, at most 5 times.
func (p *Pages) saveGroup(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	for attempt := 0; ; attempt++ {
		err := p.trySaveGroup(w, r, v)
		if !errors.Is(err, refusal.Stale) || attempt == 5 {
			return err
		}
		if v.Group, err = v.Handle.Group(r.Context(), v.Group.ObjectID); err != nil {
			return err
		}
	}
}

func (p *Pages) trySaveGroup(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	before := v.Group
	m, err := console.MergeEdit(r.PostForm, groupFields(), groupValues(before))
	if err != nil {
		return err
	}
	by, err := v.findLastChange(r.Context(), before.ObjectID)
	if err != nil {
		return err
	}
	if len(m.Conflicts) > 0 {
		frame := v.page
		frame.Crumbs = v.crumbs(console.Crumb{Text: "Groups", URL: v.url("groups")}, console.Crumb{Text: before.DisplayName(), URL: v.urlBelow("")})
		return p.Console.AskAboutConflicts(w, r, frame, m, v.urlBelow(""), v.urlBelow(""), by)
	}
	g := directory.Group{ObjectID: before.ObjectID, Version: before.Version}
	for name, text := range m.Values {
		if err := g.Set(name, text); err != nil {
			return err
		}
	}
	g, changed, err := v.PutGroup(r.Context(), g, v.actorLabel())
	if errors.Is(err, refusal.Stale) {
		return err
	}
	if wrong := console.AttributeError(err); wrong != nil {
		values := map[string]string{}
		for _, f := range groupFields() {
			values[f.Name] = r.PostForm.Get(f.Name)
		}
		return p.renderGroup(w, r, v, http.StatusUnprocessableEntity, values, wrong, "")
	}
	if err != nil {
		return err
	}
	v.Group = g
	if !changed {
		return p.Console.Redirect(w, r, v.urlBelow(""), console.Notice{Tone: console.ToneInfo, Text: strings.TrimSpace("Nothing was changed: " + g.DisplayName() + " was like that already. " + m.OthersText(by))})
	}
	return p.redirectToSavedGroup(w, r, v, strings.TrimSpace(g.DisplayName()+" was saved. "+m.OthersText(by)))
}

// groupChange describes a change of a group that needs a confirmation, such as its deletion.
type groupChange struct {
	Name, Verb, Icon                   string // Name is the last part of the change's address
	IsDangerous                        bool
	IsFinal                            bool // whether the change cannot be undone, so that it needs a fresh sign-in
	AppliesTo                          func(directory.Group) bool
	DirectoryEffect, ApplicationEffect string // what happens in the directory, and what happens at each application
	Undo, DoneText                     string // how to undo the change, and the notice after it
	apply                              func(h *directory.Handle, ctx context.Context, objectID, actor string) error
}

// groupChanges returns the changes of a group that have a button.
func groupChanges() []groupChange {
	return []groupChange{
		{
			Name: "delete", Verb: "Delete", Icon: "trash-2", IsDangerous: true, AppliesTo: func(g directory.Group) bool { return !g.IsDeleted() },
			DirectoryEffect:   "The group moves to the deleted groups. It keeps its members and assignments, which have no effect until it is restored.",
			ApplicationEffect: "direct members who are not assigned in another way leave the scope, and their accounts are switched off",
			Undo:              "Restoring the group undoes it.", DoneText: "was deleted",
			apply: func(h *directory.Handle, ctx context.Context, id, actor string) error {
				_, err := h.SoftDeleteGroup(ctx, id, actor)
				return err
			},
		},
		{
			Name: "restore", Verb: "Restore", Icon: "undo-2", AppliesTo: directory.Group.IsDeleted,
			DirectoryEffect: "The group is in the directory again, with its members and assignments.", ApplicationEffect: "its direct members are in scope again",
			Undo: "Deleting the group undoes it.", DoneText: "was restored",
			apply: func(h *directory.Handle, ctx context.Context, id, actor string) error {
				_, err := h.RestoreGroup(ctx, id, actor)
				return err
			},
		},
		{
			Name: "purge", Verb: "Delete permanently", Icon: "trash-2", IsDangerous: true, IsFinal: true, AppliesTo: directory.Group.IsDeleted,
			DirectoryEffect: "The group, its memberships and its assignments are removed permanently. The users themselves stay.",
			Undo:            console.CannotBeUndone, DoneText: "was deleted permanently",
			apply: func(h *directory.Handle, ctx context.Context, id, actor string) error {
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

func (p *Pages) redirectToUnchangedGroup(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	state := "not deleted"
	if v.Group.IsDeleted() {
		state = "deleted"
	}
	return p.Console.Redirect(w, r, v.urlBelow(""), console.Notice{Tone: console.ToneInfo, Text: "Nothing was changed: " + v.Group.DisplayName() + " is " + state + " already."})
}

func (p *Pages) askGroupChange(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	c, known := findGroupChange(r)
	if !known {
		return console.ErrNotFound
	}
	if !c.AppliesTo(v.Group) {
		return p.redirectToUnchangedGroup(w, r, v)
	}
	if c.IsFinal {
		if err := p.operatorGuard().requireFreshSignIn(r); err != nil {
			return err
		}
	}
	counts, err := v.CountMembers(r.Context(), v.Group.ObjectID)
	if err != nil {
		return err
	}
	pg := console.ConfirmPage{
		Page: v.page, Consequences: []string{c.DirectoryEffect, "It has " + memberText(counts) + " as direct members."}, Undo: c.Undo, FormURL: r.URL.Path,
		Button: c.Verb + " " + v.Group.DisplayName(), IsDangerous: c.IsDangerous, CancelURL: v.urlBelow(""),
	}
	pg.Title, pg.Narrow = c.Verb+" "+v.Group.DisplayName()+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Groups", URL: v.url("groups")}, console.Crumb{Text: v.Group.DisplayName(), URL: v.urlBelow("")})
	if c.ApplicationEffect != "" {
		apps, err := v.ApplicationsOf(r.Context(), v.Group.ObjectID)
		if err != nil {
			return err
		}
		if len(apps) == 0 {
			pg.Consequences = append(pg.Consequences, v.Group.DisplayName()+" is assigned to no enterprise application.")
		}
		for _, a := range apps {
			text, err := p.describeEffectAt(r.Context(), v.Directory.ID, a, c.ApplicationEffect, provision.FlowUpdate)
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
	if !c.AppliesTo(v.Group) {
		return p.redirectToUnchangedGroup(w, r, v)
	}
	if c.IsFinal {
		if err := p.operatorGuard().requireFreshSignIn(r); err != nil {
			return err
		}
	}
	if err := c.apply(v.Handle, r.Context(), v.Group.ObjectID, v.actorLabel()); err != nil {
		return err
	}
	target := v.urlBelow("")
	if c.Name == "purge" {
		target = v.url("groups?status=deleted")
	}
	return p.Console.Redirect(w, r, target, console.DoneNotice(v.Group.DisplayName()+" "+c.DoneText+"."))
}

// removeMembers removes the ticked members. If the group is assigned to an application, it first
// asks for confirmation.
func (p *Pages) removeMembers(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	if err := r.ParseForm(); err != nil {
		return err
	}
	ids := r.PostForm["member"]
	if len(ids) == 0 {
		return p.renderGroup(w, r, v, http.StatusUnprocessableEntity, groupValues(v.Group), nil, "Tick at least one member.")
	}
	apps, err := v.ApplicationsOf(r.Context(), v.Group.ObjectID)
	if err != nil {
		return err
	}
	if len(apps) > 0 && !console.ConfirmsNumber(r, len(ids)) {
		return p.askRemoveMembers(w, r, v, ids, apps)
	}
	n, err := v.RemoveMembers(r.Context(), v.Group.ObjectID, ids, v.actorLabel())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.urlBelow(""), console.DoneNotice(console.PluralForms(n, "member was", "members were")+" removed from "+v.Group.DisplayName()+"."))
}

func (p *Pages) askRemoveMembers(w http.ResponseWriter, r *http.Request, v *groupVisit, ids []string, apps []directory.Application) error {
	what := console.PluralForms(len(ids), "member", "members")
	pg := console.ConfirmPage{
		Page: v.page, FormURL: v.urlBelow("/members"), Button: "Remove " + what, IsDangerous: true, CancelURL: v.urlBelow(""), Undo: "Adding them again undoes it, there too.",
		Fields:       []console.HiddenField{{Name: "sure", Value: strconv.Itoa(len(ids))}},
		Consequences: []string{what + " of " + v.Group.DisplayName() + " will be removed."},
	}
	for _, id := range ids {
		pg.Fields = append(pg.Fields, console.HiddenField{Name: "member", Value: id})
	}
	for _, a := range apps {
		text, err := p.describeEffectAt(r.Context(), v.Directory.ID, a, "users among them who are not assigned in another way leave the scope, and their accounts are switched off", provision.FlowUpdate)
		if err != nil {
			return err
		}
		pg.Consequences = append(pg.Consequences, text)
	}
	pg.Title, pg.Narrow = "Remove "+what+" from "+v.Group.DisplayName()+"?", true
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Groups", URL: v.url("groups")}, console.Crumb{Text: v.Group.DisplayName(), URL: v.urlBelow("")})
	return p.Console.View(w, r, http.StatusOK, "confirm", pg)
}

// addMembersPage is the data of the view "group-add". It lists the users or groups that can become
// members.
type addMembersPage struct {
	console.Page
	Tabs    []console.Tab
	Kind    string // "groups", or "" for users
	Search  string
	ListURL string // address of the list without a search
	Rows    []memberRow
	Empty   console.EmptyState
	Pager   console.Pager
	Error   string
}

func (p *Pages) showAddMembers(w http.ResponseWriter, r *http.Request, v *groupVisit) error {
	return p.renderAddMembers(w, r, v, http.StatusOK, r.URL.Query().Get("kind"), "")
}

func (p *Pages) renderAddMembers(w http.ResponseWriter, r *http.Request, v *groupVisit, status int, kind, wrong string) error {
	base, group := v.urlBelow("/members/add"), v.Group.ObjectID
	pg := addMembersPage{Page: v.page, ListURL: base, Error: wrong}
	if kind == "groups" {
		query, err := parseGroupQuery(r)
		if err != nil {
			return err
		}
		query.Deleted, query.NotMemberOf = false, group
		found, err := v.Groups(r.Context(), query)
		if err != nil {
			return err
		}
		pg.Kind, pg.Search, pg.Pager = kind, query.Search, newGroupPager(base, query, found, "group", "groups", "kind", kind)
		for _, g := range found.Groups {
			pg.Rows = append(pg.Rows, v.newMemberRow(directory.Member{Kind: directory.GroupKind, Group: g}))
		}
	} else {
		query, err := parseUserQuery(r)
		if err != nil {
			return err
		}
		query.Status, query.NotMemberOf = directory.NotDeleted, group
		found, err := v.Users(r.Context(), query)
		if err != nil {
			return err
		}
		pg.Search, pg.Pager = query.Search, newUserPager(base, query, found)
		for _, u := range found.Users {
			pg.Rows = append(pg.Rows, v.newMemberRow(directory.Member{Kind: directory.UserKind, User: u}))
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
	pg.Crumbs = v.crumbs(console.Crumb{Text: "Groups", URL: v.url("groups")}, console.Crumb{Text: v.Group.DisplayName(), URL: v.urlBelow("")})
	pg.Empty = console.EmptyState{Icon: "check", Title: "All are members", Text: "Everyone is a member already.", Action: &console.Action{Text: v.Group.DisplayName(), URL: v.urlBelow("")}}
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
		return p.renderAddMembers(w, r, v, http.StatusUnprocessableEntity, r.PostForm.Get("kind"), "Tick at least one row.")
	}
	n, err := v.AddMembers(r.Context(), v.Group.ObjectID, ids, v.actorLabel())
	if err != nil {
		return err
	}
	return p.Console.Redirect(w, r, v.urlBelow(""), console.DoneNotice(console.PluralForms(n, "member was", "members were")+" added to "+v.Group.DisplayName()+"."))
}
