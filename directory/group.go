package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/lookalike"
	"github.com/rollcall-scim/rollcall/internal/visible"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// Kind says whether an object of a directory is a user or a group. The words are those of Microsoft
// Graph.
type Kind string

const (
	UserKind  Kind = "User"
	GroupKind Kind = "Group"
)

// Group is one security group. Handle.Members reads its members.
type Group struct {
	ObjectID   string
	Attributes map[string]string // the values by attribute name; an attribute without a value is absent
	Deleted    time.Time         // when the group was soft-deleted; zero if it is not deleted
	Version    int64             // 1 for a new group; each change of an attribute adds one
	Created    time.Time
	Modified   time.Time
}

// GroupAttribute describes one attribute of a group.
type GroupAttribute struct{ Name, Label string }

const attrDescription = "description"

// GroupAttributes lists the attributes of a group that users can set, in the order in which files
// and pages show them.
func GroupAttributes() []GroupAttribute {
	return []GroupAttribute{
		{attrDisplayName, "Display name"},
		{attrDescription, "Description"},
		{attrMailNickname, "Mail nickname"},
		{attrMail, "Email"},
	}
}

const (
	attrMail         = "mail"
	attrMailNickname = "mailNickname"
)

// GroupAttributeNamed returns the attribute of groups with a name, in any case. It returns false if
// there is none.
func GroupAttributeNamed(name string) (GroupAttribute, bool) {
	for _, a := range GroupAttributes() {
		if strings.EqualFold(a.Name, name) {
			return a, true
		}
	}
	return GroupAttribute{}, false
}

func groupAttributeNames() []string {
	var names []string
	for _, a := range GroupAttributes() {
		names = append(names, a.Name)
	}
	return names
}

// DisplayName returns the group's displayName.
func (g Group) DisplayName() string { return g.Attributes[attrDisplayName] }

// Text returns the value of an attribute, or "" if it has none.
func (g Group) Text(name string) string {
	if name == attrObjectID {
		return g.ObjectID
	}
	return g.Attributes[name]
}

// IsDeleted reports whether the group is soft-deleted.
func (g Group) IsDeleted() bool { return !g.Deleted.IsZero() }

// SortKey returns the key by which lists of groups are sorted. Groups with equal keys are sorted by
// object id.
func (g Group) SortKey() string { return clip(scim.Fold(g.DisplayName()), 200) }

// LookKey returns a key that is the same for display names that look the same to a reader. It
// ignores case.
func (g Group) LookKey() string {
	return clip(lookalike.Skeleton(strings.ToLower(g.DisplayName())), 400)
}

// SearchText returns the text that a search for groups searches: the folded values of the
// attributes.
func (g Group) SearchText() string {
	var b strings.Builder
	for _, a := range GroupAttributes() {
		if v := g.Text(a.Name); v != "" {
			b.WriteString(clip(scim.Fold(v), 150))
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func (g Group) description() string { return "group " + g.DisplayName() }

// Set sets an attribute to a string from a file or form. "" clears the attribute. Set returns a
// refusal for an unknown attribute.
func (g *Group) Set(name, text string) error {
	text = strings.TrimSpace(text)
	if strings.EqualFold(name, attrObjectID) {
		g.ObjectID = text
		return nil
	}
	a, ok := GroupAttributeNamed(name)
	if !ok {
		return invalid(name, "a group has no attribute %q", name).Advise("it has %s", strings.Join(groupAttributeNames(), ", "))
	}
	if g.Attributes == nil {
		g.Attributes = map[string]string{}
	}
	if text == "" {
		delete(g.Attributes, a.Name)
	} else {
		g.Attributes[a.Name] = text
	}
	return nil
}

// normaliseGroup returns g in the form in which it is stored. It returns a refusal if g breaks a
// rule.
func normaliseGroup(g Group) (Group, error) {
	out := g
	out.ObjectID = strings.ToLower(strings.TrimSpace(g.ObjectID))
	if out.ObjectID != "" && !isGUID(out.ObjectID) {
		return Group{}, invalid(attrObjectID, "objectId is a GUID such as 3f2b8c1e-5d60-4b7a-9a51-0c7de2f4a9b8, not %q", g.ObjectID)
	}
	out.Attributes = map[string]string{}
	for name, text := range g.Attributes {
		if err := out.Set(name, text); err != nil {
			return Group{}, err
		}
	}
	for name, text := range out.Attributes {
		if err := checkText(name, text); err != nil {
			return Group{}, err
		}
	}
	switch name := out.DisplayName(); {
	case name == "":
		return Group{}, invalid(attrDisplayName, "displayName is empty; every group has one, such as Sales")
	case strings.ContainsAny(name, "\r\n\t"):
		return Group{}, invalid(attrDisplayName, "displayName is one line without tabs, unlike %q", name)
	case len([]rune(name)) > 256:
		return Group{}, invalid(attrDisplayName, "displayName has %d characters; 256 are allowed", len([]rune(name)))
	}
	if nick := out.Text(attrMailNickname); strings.ContainsAny(nick, "@ \r\n\t") || len(nick) > 64 {
		return Group{}, invalid(attrMailNickname, "mailNickname has at most 64 characters, and no space or @, unlike %q", nick)
	}
	return out, nil
}

// checkVisibleGroup returns a refusal if a changed value of a group has invisible characters.
func checkVisibleGroup(before, after Group) error {
	for _, name := range []string{attrDisplayName, attrMailNickname, attrMail} {
		text := after.Text(name)
		hidden := func(r rune) bool {
			return visible.IsInvisible(r) && (name != attrDisplayName || r != '\u200c' && r != '\u200d' && !unicode.Is(unicode.Variation_Selector, r))
		}
		if i := strings.IndexFunc(text, hidden); i >= 0 && text != before.Text(name) {
			return invalid(name, "%s contains %s, which nobody can see: %s", name, visible.Describe([]rune(text[i:])[0]), quoteRevealed(text, hidden)).Advise("remove it")
		}
	}
	return nil
}

// changedGroupValues returns the attributes in which two states of a group differ: their names, and
// their values for an event.
func changedGroupValues(before, after Group) (names []string, values []event.Change) {
	value := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	for _, a := range GroupAttributes() {
		if old, now := before.Text(a.Name), after.Text(a.Name); old != now {
			names = append(names, a.Name)
			values = append(values, event.Changed(a.Name, value(old), value(now)))
		}
	}
	return names, values
}

// Group returns the group with an object id, even if it is soft-deleted. It returns
// refusal.NotFound if there is none.
func (h *Handle) Group(ctx context.Context, objectID string) (Group, error) {
	id := strings.ToLower(objectID)
	if !isGUID(id) {
		return Group{}, h.groupNotFound(refusal.NotFound, objectID)
	}
	g, err := h.store.Group(ctx, h.Directory.ID, id)
	return g, h.groupNotFound(err, objectID)
}

// GroupNamed finds a group by its object id or by its display name, in any case. It searches the
// soft-deleted groups only if no other group has the name. If several groups have the name, it
// returns refusal.Conflict with their object ids.
func (h *Handle) GroupNamed(ctx context.Context, name string) (Group, error) {
	name = strings.TrimSpace(name)
	if g, err := h.Group(ctx, name); !errors.Is(err, refusal.NotFound) {
		return g, err
	}
	if name == "" || !isStorable(name) {
		return Group{}, h.groupNotFound(refusal.NotFound, name)
	}
	for _, deleted := range []bool{false, true} {
		found, err := h.store.GroupsNamed(ctx, h.Directory.ID, Group{Attributes: map[string]string{attrDisplayName: name}}.SortKey(), deleted)
		if err != nil {
			return Group{}, err
		}
		found = slices.DeleteFunc(found, func(g Group) bool { return scim.Fold(g.DisplayName()) != scim.Fold(name) })
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		ids := make([]string, 0, len(found))
		for _, g := range found {
			ids = append(ids, g.ObjectID)
		}
		return Group{}, conflict("", "%d groups are called %q", len(found), name).Advise("name one by its object id: %s", strings.Join(ids, ", "))
	}
	return Group{}, h.groupNotFound(refusal.NotFound, name)
}

func (h *Handle) groupNotFound(err error, name string) error {
	if errors.Is(err, refusal.NotFound) && !hasMessage(err) {
		return notFound("there is no group %q in directory %s", name, h.Directory.Name)
	}
	return err
}

// GroupQuery selects groups, sorted by display name.
type GroupQuery struct {
	Search        string // words that must all occur in the name, the description, the mail nickname or the mail address
	Deleted       bool   // select only soft-deleted groups; otherwise only groups that are not deleted
	HasMember     string // object id of a user or group: select only the groups that it is a direct member of
	AssignedTo    string // id of an application: select only groups that are assigned to it
	NotAssignedTo string // id of an application: select only groups that are not assigned to it
	NotMemberOf   string // object id of another group: select only groups that are not direct members of it
	After         Cursor
	Limit         int // the largest number of groups on the page, up to 500; zero means 50
}

// GroupPage is one page of groups. If More is true, there is another page, and Next is the cursor
// for it.
type GroupPage struct {
	Groups []Group
	More   bool
	Next   Cursor
}

// Groups returns one page of the groups that a query selects.
func (h *Handle) Groups(ctx context.Context, q GroupQuery) (GroupPage, error) {
	q.Search = searchWords(q.Search)
	if q.Limit <= 0 {
		q.Limit = 50
	}
	limit := min(q.Limit, 500)
	q.Limit = limit + 1
	groups, err := h.store.Groups(ctx, h.Directory.ID, q)
	if err != nil {
		return GroupPage{}, err
	}
	page := GroupPage{Groups: groups}
	if len(groups) > limit {
		page.Groups, page.More = groups[:limit], true
		last := groups[limit-1]
		page.Next = Cursor{Key: last.SortKey(), ObjectID: last.ObjectID}
	}
	return page, nil
}

// EachGroup calls visit with every group that a query selects. It stops at the first error.
func (h *Handle) EachGroup(ctx context.Context, q GroupQuery, visit func(Group) error) error {
	q.Limit = 500
	for {
		page, err := h.Groups(ctx, q)
		if err != nil {
			return err
		}
		for _, g := range page.Groups {
			if err := visit(g); err != nil {
				return err
			}
		}
		if !page.More {
			return nil
		}
		q.After = page.Next
	}
}

// CountGroups counts the groups that a query selects. It ignores the query's After and Limit.
func (h *Handle) CountGroups(ctx context.Context, q GroupQuery) (int, error) {
	q.Search = searchWords(q.Search)
	return h.store.CountGroups(ctx, h.Directory.ID, q)
}

// PutGroup creates a group, or replaces the attributes of the group with g.ObjectID. If that id is
// "", PutGroup assigns a new id. PutGroup returns the stored group, and whether anything changed.
// It returns refusal.Stale if g.Version is neither zero nor the stored version. Groups may share a
// display name, as in Entra; see NameWarning.
func (h *Handle) PutGroup(ctx context.Context, g Group, actor string) (Group, bool, error) {
	g, err := normaliseGroup(g)
	if err != nil {
		return Group{}, false, err
	}
	var after Group
	var did bool
	err = h.update(ctx, func(tx Tx) error {
		after, did, err = h.putGroup(ctx, tx, g, actor)
		return err
	})
	return after, did, err
}

// putGroup creates a group, or replaces the group with the same object id. The bool reports whether
// anything changed.
func (h *Handle) putGroup(ctx context.Context, tx Tx, g Group, actor string) (Group, bool, error) {
	before, err := Group{}, error(refusal.NotFound)
	if g.ObjectID != "" {
		before, err = tx.Group(ctx, g.ObjectID)
	}
	if errors.Is(err, refusal.NotFound) {
		return h.createGroup(ctx, tx, g, actor)
	}
	if err != nil {
		return Group{}, false, err
	}
	return h.replaceGroup(ctx, tx, before, g, actor)
}

// createGroup creates a group. A group without an object id gets a new one.
func (h *Handle) createGroup(ctx context.Context, tx Tx, g Group, actor string) (Group, bool, error) {
	if g.Version != 0 {
		return Group{}, false, h.groupNotFound(refusal.NotFound, g.ObjectID)
	}
	if err := h.checkID(ctx, tx, g.ObjectID); err != nil {
		return Group{}, false, err
	}
	if g.ObjectID == "" {
		g.ObjectID = strings.ToLower(h.newID())
	}
	if err := checkVisibleGroup(Group{}, g); err != nil {
		return Group{}, false, err
	}
	now := h.nowToMicrosecond()
	g.Version, g.Created, g.Modified, g.Deleted = 1, now, now, time.Time{}
	if err := tx.PutGroup(ctx, g); err != nil {
		return Group{}, false, err
	}
	_, values := changedGroupValues(Group{}, g)
	return g, true, h.appendGroupEvent(ctx, tx, event.GroupCreated, g, actor, "was created", nil, values...)
}

// checkID returns refusal.Taken if the object id of a new object belongs to another object, or to a
// group that was deleted permanently. It accepts "".
func (h *Handle) checkID(ctx context.Context, tx Tx, id string) error {
	if id == "" {
		return nil
	}
	used, err := tx.ObjectExists(ctx, id)
	if err == nil && used {
		return taken(attrObjectID, "objectId %s belongs to another object of directory %s, or did until it was deleted permanently", id, h.Directory.Name).
			Advise("leave objectId out, and a new one is made")
	}
	return err
}

// replaceGroup replaces the group before with g. The bool reports whether anything changed.
func (h *Handle) replaceGroup(ctx context.Context, tx Tx, before, g Group, actor string) (Group, bool, error) {
	if before.IsDeleted() {
		return before, false, conflict(attrObjectID, "%s is deleted", before.description()).Advise("restore the group first")
	}
	if g.Version != 0 && g.Version != before.Version {
		return before, false, refusal.New(refusal.Stale, "", "%s was changed by somebody else meanwhile", before.description()).Advise("look at the new values and save again")
	}
	names, values := changedGroupValues(before, g)
	if len(names) == 0 {
		return before, false, nil
	}
	if err := checkVisibleGroup(before, g); err != nil {
		return before, false, err
	}
	g.Created, g.Deleted = before.Created, before.Deleted
	g, err := h.saveGroup(ctx, tx, g, before.Version, event.GroupUpdated, actor, "was updated", names, values...)
	return g, true, err
}

// saveGroup stores a changed group, whose version was version before the change, and the event
// about the change.
func (h *Handle) saveGroup(ctx context.Context, tx Tx, g Group, version int64, name, actor, text string, attributes []string, values ...event.Change) (Group, error) {
	g.Version, g.Modified = version+1, h.nowToMicrosecond()
	if err := tx.PutGroup(ctx, g); err != nil {
		return g, err
	}
	return g, h.appendGroupEvent(ctx, tx, name, g, actor, text, attributes, values...)
}

func (h *Handle) appendGroupEvent(ctx context.Context, tx Tx, name string, g Group, actor, text string, attributes []string, values ...event.Change) error {
	if attributes != nil {
		text += ": " + strings.Join(attributes, ", ")
	}
	return tx.AppendEvent(ctx, event.Event{
		Time: g.Modified, Scope: event.Directory(string(h.Directory.ID)), Name: name, Actor: actor, Subject: g.ObjectID, Text: "Group " + g.DisplayName() + " " + text,
		Data: event.DataOf(event.DirectoryGroup{Changed: attributes}, values...),
	})
}

// SoftDeleteGroup deletes a group; RestoreGroup can undo this. The group keeps its members and
// assignments, but they have no effect while the group is deleted. So users who were in scope of an
// application only through this group are no longer in scope.
func (h *Handle) SoftDeleteGroup(ctx context.Context, objectID, actor string) (deleted Group, err error) {
	before, err := h.Group(ctx, objectID)
	if err != nil {
		return Group{}, err
	}
	err = h.runAsGroupChange(ctx, "Deletion of "+before.description(), actor, func(ctx context.Context) error {
		deleted, err = h.softDeleteGroup(ctx, objectID, actor)
		return err
	})
	return deleted, err
}

func (h *Handle) softDeleteGroup(ctx context.Context, objectID, actor string) (Group, error) {
	return h.changeGroup(ctx, objectID, func(tx Tx, g Group) (Group, error) {
		if g.IsDeleted() {
			return g, nil
		}
		g.Deleted = h.nowToMicrosecond()
		return h.saveGroup(ctx, tx, g, g.Version, event.GroupDeleted, actor, "was deleted (can be restored)", nil, event.Changed("deleted", nil, true))
	})
}

// RestoreGroup undoes SoftDeleteGroup. The members and assignments of the group have effect again.
func (h *Handle) RestoreGroup(ctx context.Context, objectID, actor string) (Group, error) {
	return h.changeGroup(ctx, objectID, func(tx Tx, g Group) (Group, error) { return h.restoreGroup(ctx, tx, g, actor) })
}

// restoreGroup undoes the soft deletion of a group.
func (h *Handle) restoreGroup(ctx context.Context, tx Tx, g Group, actor string) (Group, error) {
	if !g.IsDeleted() {
		return g, nil
	}
	g.Deleted = time.Time{}
	return h.saveGroup(ctx, tx, g, g.Version, event.GroupRestored, actor, "was restored", nil, event.Changed("deleted", true, nil))
}

// PurgeGroup removes a soft-deleted group permanently, and also removes it from the groups that it
// is a member of. The object id of the group cannot be used again.
func (h *Handle) PurgeGroup(ctx context.Context, objectID, actor string) error {
	_, err := h.changeGroup(ctx, objectID, func(tx Tx, g Group) (Group, error) {
		if !g.IsDeleted() {
			return g, conflict("", "%s is not deleted", g.description()).Advise("delete the group first, then permanently")
		}
		g.Modified = h.nowToMicrosecond()
		if err := h.leaveGroups(ctx, tx, memberName{GroupKind, g.ObjectID, g.description()}, actor); err != nil {
			return g, err
		}
		if err := tx.PurgeGroup(ctx, g.ObjectID, g.Modified); err != nil {
			return g, err
		}
		return g, h.appendGroupEvent(ctx, tx, event.GroupPurged, g, actor, "was deleted permanently", nil)
	})
	return err
}

// changeGroup reads a group and calls fn with it, in one transaction. It returns what fn returns.
func (h *Handle) changeGroup(ctx context.Context, objectID string, fn func(tx Tx, g Group) (Group, error)) (Group, error) {
	var after Group
	err := h.update(ctx, func(tx Tx) error {
		g, err := h.findGroup(ctx, tx, objectID)
		if err != nil {
			return err
		}
		after, err = fn(tx, g)
		return err
	})
	return after, err
}

// findGroup reads a group in a transaction.
func (h *Handle) findGroup(ctx context.Context, tx Tx, objectID string) (Group, error) {
	g, err := Group{}, error(refusal.NotFound)
	if id := strings.ToLower(objectID); isGUID(id) {
		g, err = tx.Group(ctx, id)
	}
	return g, h.groupNotFound(err, objectID)
}

// NameWarning returns a warning if other groups have the same display name or a name that looks the
// same, and otherwise "". Most applications find a group by its name and would confuse such groups.
func (h *Handle) NameWarning(ctx context.Context, g Group) (string, error) {
	alike, err := h.store.GroupsLookingLike(ctx, h.Directory.ID, g.LookKey())
	if err != nil {
		return "", err
	}
	alike = slices.DeleteFunc(alike, func(other Group) bool { return other.ObjectID == g.ObjectID })
	if len(alike) == 0 {
		return "", nil
	}
	other := alike[0]
	how := fmt.Sprintf("is called %s too", other.DisplayName())
	if other.DisplayName() != g.DisplayName() {
		how = fmt.Sprintf("has a name that looks the same, %s", visible.Reveal(other.DisplayName()))
	}
	more := ""
	if len(alike) > 1 {
		more = fmt.Sprintf(" So have %d more.", len(alike)-1)
	}
	return fmt.Sprintf("Another group %s (objectId %s).%s Applications mostly find groups by name and cannot tell them apart: give one of them another name.", how, other.ObjectID, more), nil
}
