package directory

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/pace"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// GroupFile is a file of groups or of memberships that has been read but not imported.
type GroupFile struct {
	Rows   []Row      // the rows; the keys of Row.Values are attributes of groups, or RowGroup and RowMember
	Broken []RowError // rows that could not be read
	Notes  []string   // sentences for the user about how the file was read
}

// The keys of Row.Values in a row of a file of memberships.
const (
	RowGroup  = "group"  // a group's object id or display name
	RowMember = "member" // a user's userPrincipalName, the object id of a user or group, or a group's display name
)

// GroupReport counts the changes that an import of groups made, or would have made if DryRun is
// true.
type GroupReport struct {
	DryRun    bool       `json:"dryRun,omitempty"`
	Rows      int        `json:"rows"`
	Created   int        `json:"created"`
	Updated   int        `json:"updated"`
	Restored  int        `json:"restored"`
	Unchanged int        `json:"unchanged"`
	Errors    []RowError `json:"errors"`
	Notes     []string   `json:"notes,omitempty"`
}

// groupRow is a row of a file of groups, with the existing group that it describes.
type groupRow struct {
	row    Row
	before Group // the stored group; the zero Group if the row describes a new group
}

// ImportGroups creates and changes groups from the rows of a file. It finds the group of a row by
// objectId, or by displayName if the row has no objectId. It finds a soft-deleted group only by
// objectId, and then restores it. An empty value clears the attribute. Attributes without a column
// keep their values.
//
// ImportGroups reads all rows before it writes the first group. It skips a row with a problem,
// reports it, and goes on with the next row. It does not change groups that are not in the file.
func (h *Handle) ImportGroups(ctx context.Context, f GroupFile, dryRun bool, actor string) (r GroupReport, err error) {
	err = h.runAsImport(ctx, "groups", actor, dryRun, func(ctx context.Context) error {
		r, err = h.importGroups(ctx, f, dryRun, actor)
		return err
	})
	return r, err
}

// importGroups does the work of ImportGroups: it finds the group of each row, and writes the rows
// in batches.
func (h *Handle) importGroups(ctx context.Context, f GroupFile, dryRun bool, actor string) (GroupReport, error) {
	r := GroupReport{DryRun: dryRun, Rows: len(f.Rows) + len(f.Broken), Errors: append([]RowError{}, f.Broken...), Notes: f.Notes}
	var entries []groupRow
	lines := map[string]int{} // line numbers of the rows by their group: by the object id, or by the folded objectId and displayName of a new group
	for _, row := range f.Rows {
		e, err := h.groupOfRow(ctx, row)
		if rule, ok := refusal.Find(err); ok {
			r.Errors = append(r.Errors, RowError{Line: row.Line, Column: rule.Field, Detail: rule.Error()})
			continue
		}
		if err != nil {
			return r, err
		}
		key := e.before.ObjectID
		if key == "" {
			key = scim.Fold(strings.TrimSpace(row.Values[attrObjectID] + "\n" + row.Values[attrDisplayName]))
		}
		if first := lines[key]; first > 0 {
			r.Errors = append(r.Errors, RowError{Line: row.Line, Detail: fmt.Sprintf("line %d is about the same group; delete one of the two rows, or give each its objectId", first)})
			continue
		}
		lines[key] = row.Line
		entries = append(entries, e)
	}
	err := pace.ForEachSlice(ctx, pace.ForImporting(), entries, func(batch []groupRow) error { return h.writeGroups(ctx, batch, &r, actor) })
	slices.SortStableFunc(r.Errors, func(a, b RowError) int { return a.Line - b.Line })
	return r, err
}

// groupOfRow finds the group that a row describes: by its objectId, or else by its displayName.
func (h *Handle) groupOfRow(ctx context.Context, row Row) (groupRow, error) {
	e := groupRow{row: row}
	id := strings.ToLower(strings.TrimSpace(row.Values[attrObjectID]))
	if id != "" {
		if !isGUID(id) {
			return e, invalid(attrObjectID, "objectId is a GUID such as 3f2b8c1e-5d60-4b7a-9a51-0c7de2f4a9b8, not %q", id)
		}
		g, err := h.store.Group(ctx, h.Directory.ID, id)
		if errors.Is(err, refusal.NotFound) {
			return e, nil
		}
		e.before = g
		return e, err
	}
	name := strings.TrimSpace(row.Values[attrDisplayName])
	if name == "" {
		return e, invalid(attrDisplayName, "displayName is empty; every group has one, such as Sales")
	}
	g, err := h.GroupNamed(ctx, name)
	if errors.Is(err, refusal.NotFound) || err == nil && g.IsDeleted() {
		return e, nil
	}
	if errors.Is(err, refusal.Conflict) {
		rule, _ := refusal.Find(err)
		return e, conflict(attrDisplayName, "%s", rule.Error())
	}
	e.before = g
	return e, err
}

// writeGroups writes one batch in one transaction.
func (h *Handle) writeGroups(ctx context.Context, batch []groupRow, r *GroupReport, actor string) error {
	var did []outcome
	var problems []RowError
	err := h.update(ctx, func(tx Tx) error {
		did, problems = did[:0], problems[:0]
		for _, e := range batch {
			o, err := h.writeGroupRow(ctx, tx, e, actor)
			if rule, ok := refusal.Find(err); ok {
				problems = append(problems, RowError{Line: e.row.Line, Column: rule.Field, Detail: rule.Error()})
				continue
			}
			if err != nil {
				return fmt.Errorf("import line %d: %w", e.row.Line, err)
			}
			did = append(did, o)
		}
		if r.DryRun {
			return errDryRun
		}
		return nil
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return err
	}
	r.Errors = append(r.Errors, problems...)
	for _, o := range did {
		switch o {
		case created:
			r.Created++
		case updated:
			r.Updated++
		case restored:
			r.Restored++
		default:
			r.Unchanged++
		}
	}
	return nil
}

// writeGroupRow creates, restores or updates the group of a row.
func (h *Handle) writeGroupRow(ctx context.Context, tx Tx, e groupRow, actor string) (outcome, error) {
	g, did := Group{Attributes: map[string]string{}}, unchanged
	if e.before.ObjectID != "" {
		before, err := h.findGroup(ctx, tx, e.before.ObjectID)
		if err != nil {
			return failed, err
		}
		if before.IsDeleted() {
			if before, err = h.restoreGroup(ctx, tx, before, actor); err != nil {
				return failed, err
			}
			did = restored
		}
		g.ObjectID = before.ObjectID
		for name, text := range before.Attributes {
			g.Attributes[name] = text
		}
	}
	for name, text := range e.row.Values {
		if err := g.Set(name, text); err != nil {
			return failed, err
		}
	}
	g, err := normaliseGroup(g)
	if err != nil {
		return failed, err
	}
	_, changed, err := h.putGroup(ctx, tx, g, actor)
	switch {
	case err != nil:
		return failed, err
	case e.before.ObjectID == "":
		return created, nil
	case changed && did == unchanged:
		return updated, nil
	}
	return did, nil
}

// MemberReport counts the changes that an import of memberships made, or would have made if DryRun
// is true.
type MemberReport struct {
	DryRun  bool       `json:"dryRun,omitempty"`
	Rows    int        `json:"rows"`
	Changed int        `json:"changed"` // memberships that were added or removed
	Already int        `json:"already"` // rows that needed no change: the member to add was in the group, or the member to remove was not
	Groups  int        `json:"groups"`  // different groups that the rows name
	Errors  []RowError `json:"errors"`
	Notes   []string   `json:"notes,omitempty"`
}

// MemberImport says how to import memberships.
type MemberImport struct {
	Group  string // object id of the group that all rows are about; "" if each row names its group
	Remove bool   // whether to remove the members instead of adding them
	DryRun bool
	Actor  string
}

// ImportMembers adds the members that a file names to their groups, or removes them. It reads all
// rows before it writes the first membership. It skips a row with a problem, reports it, and goes
// on with the next row. It does not change memberships that are not in the file.
func (h *Handle) ImportMembers(ctx context.Context, f GroupFile, o MemberImport) (r MemberReport, err error) {
	err = h.runAsImport(ctx, "memberships", o.Actor, o.DryRun, func(ctx context.Context) error {
		r, err = h.importMembers(ctx, f, o)
		return err
	})
	return r, err
}

// importMembers finds the group and the member of each row, and then adds or removes the members.
func (h *Handle) importMembers(ctx context.Context, f GroupFile, o MemberImport) (MemberReport, error) {
	r := MemberReport{DryRun: o.DryRun, Rows: len(f.Rows) + len(f.Broken), Errors: append([]RowError{}, f.Broken...), Notes: f.Notes}
	groups := map[string]Group{} // the groups found so far by their folded names in the file, so that each group is searched only once
	ids, order := map[string][]string{}, []string{}
	seen := map[[2]string]bool{}
	for _, row := range f.Rows {
		group, member, err := h.memberOfRow(ctx, row, o, groups)
		if rule, ok := refusal.Find(err); ok {
			r.Errors = append(r.Errors, RowError{Line: row.Line, Column: rule.Field, Detail: rule.Error()})
			continue
		}
		if err != nil {
			return r, err
		}
		if ids[group] == nil {
			order = append(order, group)
		}
		if pair := [2]string{group, member}; seen[pair] {
			r.Already++
			continue
		} else {
			seen[pair] = true
		}
		ids[group] = append(ids[group], member)
	}
	r.Groups = len(order)
	change := h.addMember(ctx, o.Actor)
	if o.Remove {
		change = h.removeMember(ctx, o.Actor)
	}
	for _, group := range order {
		if err := pace.ForEachSlice(ctx, pace.ForImporting(), ids[group], func(batch []string) error {
			n, err := h.changeMembers(ctx, group, batch, o.DryRun, change)
			r.Changed += n
			r.Already += len(batch) - n
			return err
		}); err != nil {
			return r, err
		}
	}
	slices.SortStableFunc(r.Errors, func(a, b RowError) int { return a.Line - b.Line })
	return r, nil
}

// memberOfRow returns the object ids of the group and the member that a row names. groups caches
// the groups that were found, by folded name.
func (h *Handle) memberOfRow(ctx context.Context, row Row, o MemberImport, groups map[string]Group) (group, member string, err error) {
	group = o.Group
	if group == "" {
		name := strings.TrimSpace(row.Values[RowGroup])
		if name == "" {
			return "", "", invalid(RowGroup, "the group is empty: give its displayName or objectId")
		}
		g, known := groups[scim.Fold(name)]
		if !known {
			if g, err = h.GroupNamed(ctx, name); err != nil {
				return "", "", inColumn(RowGroup, err)
			}
			groups[scim.Fold(name)] = g
		}
		if g.IsDeleted() {
			return "", "", conflict(RowGroup, "%s is deleted", g.description()).Advise("restore the group first")
		}
		group = g.ObjectID
	}
	name := strings.TrimSpace(row.Values[RowMember])
	if name == "" {
		return "", "", invalid(RowMember, "the member is empty: give a userPrincipalName, an objectId or the displayName of a group")
	}
	m, err := h.MemberNamed(ctx, name)
	switch {
	case err != nil:
		return "", "", inColumn(RowMember, err)
	case m.User.IsDeleted() || m.Group.IsDeleted():
		return "", "", conflict(RowMember, "%s is deleted", memberNameOf(m).label).Advise("restore it first, or delete the row")
	case m.ObjectID() == group:
		return "", "", invalid(RowMember, "a group cannot be a member of itself")
	}
	return group, m.ObjectID(), nil
}

// inColumn adds to a refusal the name of the column that has the wrong value. It returns all other
// errors unchanged.
func inColumn(column string, err error) error {
	if rule, ok := refusal.Find(err); ok {
		return conflict(column, "%s", rule.Error())
	}
	return err
}

// MemberNamed finds a user by userPrincipalName or object id, or a group by object id or display
// name. It returns refusal.NotFound if there is none.
func (h *Handle) MemberNamed(ctx context.Context, name string) (Member, error) {
	u, err := h.UserByUPN(ctx, name)
	if errors.Is(err, refusal.NotFound) {
		u, err = h.User(ctx, name)
	}
	if !errors.Is(err, refusal.NotFound) {
		return Member{Kind: UserKind, User: u}, err
	}
	g, err := h.GroupNamed(ctx, name)
	if errors.Is(err, refusal.NotFound) {
		return Member{}, notFound("there is no user or group %q in directory %s", name, h.Directory.Name).
			Advise("name a user by userPrincipalName or object id, a group by display name or object id")
	}
	return Member{Kind: GroupKind, Group: g}, err
}
