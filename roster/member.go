package roster

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/phrase"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// Member is a user or group that belongs to a group.
type Member struct {
	ID      string
	Kind    scim.TypeName // the type of the member: User or Group
	Display string        // the member's displayName, if requested
}

// Membership is a group that a resource belongs to directly.
type Membership struct {
	Group   string // the id of the group
	Display string // the displayName of the group
}

// membersPerStatement is how many members are read or written by one statement.
const membersPerStatement = 1_000

// Members returns an iterator over the members of a group in the order of their ids, with their
// displayNames if named is set. It reads page by page, without a transaction. So members that are
// added or removed meanwhile may or may not appear.
func (r *Roster) Members(ctx context.Context, group string, named bool) iter.Seq2[Member, error] {
	return func(yield func(Member, error) bool) {
		if !isStorable(group) || !r.site.Groups {
			return
		}
		for page, err := range readPages(func(after string) ([]Member, error) {
			return r.store.Members(ctx, r.site.ID, group, after, membersPerStatement, named)
		}) {
			if err != nil {
				yield(Member{}, fmt.Errorf("read members of group %s: %w", group, err))
				return
			}
			for _, m := range page {
				if !yield(m, nil) {
					return
				}
			}
		}
	}
}

// readPages returns an iterator over pages of members. read returns the page after the id in its
// argument. The last page is the first with fewer than membersPerStatement members.
func readPages(read func(after string) ([]Member, error)) iter.Seq2[[]Member, error] {
	return func(yield func([]Member, error) bool) {
		after := ""
		for {
			page, err := read(after)
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) > 0 && !yield(page, nil) || len(page) < membersPerStatement {
				return
			}
			after = page[len(page)-1].ID
		}
	}
}

// Groups returns, for each of these users or groups, the groups that it belongs to directly.
func (r *Roster) Groups(ctx context.Context, ids ...string) (map[string][]Membership, error) {
	asked := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !isStorable(id) })
	slices.Sort(asked)
	asked = slices.Compact(asked)
	if len(asked) == 0 || !r.site.Groups {
		return nil, nil
	}
	found, err := r.store.Memberships(ctx, r.site.ID, asked)
	if err != nil {
		return nil, fmt.Errorf("read memberships: %w", err)
	}
	return found, nil
}

// MemberList collects the members that a request names, while the request is being read. To save
// memory, it stores only the ids, in a few large blocks. The zero value is empty.
type MemberList struct {
	ids             []string
	packedIDs       *strings.Builder // the memory that holds the characters of the ids
	sorted          bool             // whether ids are sorted and distinct
	hasMissingValue bool             // whether the client sent a member without a value
}

// packedBlockBytes is how many bytes of ids share one block of memory.
const packedBlockBytes = 64 << 10

// Add adds one member by its "value" as the client sent it. An empty string means that the client
// sent the member without a value.
func (l *MemberList) Add(value string) {
	// members.value ignores case, and the server creates ids in lower case.
	id := scim.Fold(value)
	if id == "" {
		l.hasMissingValue = true
		return
	}
	if l.packedIDs == nil || l.packedIDs.Cap()-l.packedIDs.Len() < len(id) {
		l.packedIDs = &strings.Builder{}
		l.packedIDs.Grow(max(packedBlockBytes, len(id)))
	}
	from := l.packedIDs.Len()
	l.packedIDs.WriteString(id)
	l.ids = append(l.ids, l.packedIDs.String()[from:])
	l.sorted = false
}

// distinctIDs returns the ids in order, without duplicates. It returns refusal.Invalid if a member
// was sent without a value.
func (l *MemberList) distinctIDs() ([]string, error) {
	if l == nil {
		return nil, nil
	}
	if l.hasMissingValue {
		return nil, refusal.New(refusal.Invalid, "members", "members: one has no value, which is the id of a user or group")
	}
	if !l.sorted {
		slices.Sort(l.ids)
		l.ids = slices.Compact(l.ids)
		l.sorted = true
	}
	return l.ids, nil
}

// splitMembers removes the members from a group's document and returns them separately.
func splitMembers(doc scim.Resource) (scim.Resource, *MemberList) {
	rest := doc.Clone()
	delete(rest, "members")
	return rest, memberListOf(elementsOf(doc["members"]))
}

// memberListOf returns a list with the elements of the attribute members.
func memberListOf(elements []any) *MemberList {
	l := &MemberList{}
	for _, e := range elements {
		m, _ := e.(map[string]any)
		value, _ := m["value"].(string)
		l.Add(value)
	}
	return l
}

// memberDelta records the changes to a group's members.
type memberDelta struct {
	added, removed           []string // the first ids that were added or removed, each up to maxEventMembers
	addedCount, removedCount int      // how many members were added, and removed
}

// maxEventMembers is the largest number of added members whose ids an event has. The same limit
// applies to removed members.
const maxEventMembers = 100

// hasChanges reports whether members were added or removed.
func (d *memberDelta) hasChanges() bool { return d.addedCount+d.removedCount > 0 }

// add records added members.
func (d *memberDelta) add(ids []string) {
	d.addedCount += len(ids)
	d.added = append(d.added, ids[:min(len(ids), maxEventMembers-len(d.added))]...)
}

// remove records removed members.
func (d *memberDelta) remove(ids []string) {
	d.removedCount += len(ids)
	d.removed = append(d.removed, ids[:min(len(ids), maxEventMembers-len(d.removed))]...)
}

// describe returns the changes in words, after the text of the parameter before. It returns "" if
// there are no changes.
func (d *memberDelta) describe(before string) string {
	var parts []string
	if d.addedCount > 0 {
		parts = append(parts, phrase.Count(d.addedCount, "member", "members")+" added")
	}
	if d.removedCount > 0 {
		parts = append(parts, phrase.Count(d.removedCount, "member", "members")+" removed")
	}
	if len(parts) == 0 {
		return ""
	}
	return before + strings.Join(parts, ", ")
}

// maxShownIDBytes is the largest number of bytes of a client's id that a message repeats.
const maxShownIDBytes = 100

// membersEdit applies changes of members to the rows of one group, in one transaction.
type membersEdit struct {
	roster *Roster
	tx     Tx
	group  string
	draft  *draft

	unknown int // how many of the members in the request do not exist
}

// apply writes one edit of the list of members to the member rows.
func (m *membersEdit) apply(ctx context.Context, e scim.Edit) error {
	ids, err := memberListOf(e.Values).distinctIDs()
	if err != nil {
		return err
	}
	switch e.Op {
	case "replace":
		return m.replace(ctx, ids)
	case "remove":
		return m.removeNamed(ctx, ids)
	}
	return m.add(ctx, ids)
}

// removeNamed removes the members that a request names, and adds those that were not members to the
// ignored parts of the request.
func (m *membersEdit) removeNamed(ctx context.Context, ids []string) error {
	before := m.draft.members.removedCount
	if err := m.remove(ctx, ids); err != nil {
		return err
	}
	switch missed := len(ids) - (m.draft.members.removedCount - before); {
	case missed == 0:
	case len(ids) == 1:
		m.draft.ignorePart("members", fmt.Sprintf("nothing to remove, %q is no member", phrase.Cut(ids[0], maxShownIDBytes)))
	case missed == len(ids):
		m.draft.ignorePart("members", fmt.Sprintf("nothing to remove, none of the %d that were named is a member", len(ids)))
	default:
		m.draft.ignorePart("members", fmt.Sprintf("%d of the %d that were named to be removed are no members", missed, len(ids)))
	}
	return nil
}

// add makes the resources with these ids members of the group. It skips resources that are members
// already.
func (m *membersEdit) add(ctx context.Context, ids []string) error {
	now := m.roster.nowInMillis()
	for some := range slices.Chunk(ids, membersPerStatement) {
		known, err := m.knownMembers(ctx, some)
		if err != nil {
			return err
		}
		if len(known) == 0 {
			continue
		}
		added, err := m.tx.AddMembers(ctx, m.group, known, now)
		if err != nil {
			return err
		}
		m.draft.members.add(added)
	}
	return nil
}

// knownMembers returns the users and groups with these ids. On a strict site, it refuses an id that
// does not exist. On other sites, it leaves the id out and records that it was ignored.
func (m *membersEdit) knownMembers(ctx context.Context, ids []string) ([]Member, error) {
	asked := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !isStorable(id) || len(id) > maxIndexedBytes })
	kinds, err := m.tx.MemberKinds(ctx, asked)
	if err != nil {
		return nil, err
	}
	var known []Member
	for _, id := range ids {
		if kind, found := kinds[id]; found {
			known = append(known, Member{ID: id, Kind: kind})
			continue
		}
		if m.roster.site.Strict {
			return nil, refusal.New(refusal.Invalid, "members", "members: there is no user or group with the id %q on this site", phrase.Cut(id, maxShownIDBytes))
		}
		m.reportUnknown(id)
	}
	return known, nil
}

// maxUnknownNamed is the largest number of nonexistent members that a row of the request log names.
const maxUnknownNamed = 20

// reportUnknown records that a member in the request was ignored, because it does not exist.
func (m *membersEdit) reportUnknown(id string) {
	m.unknown++
	switch {
	case m.unknown <= maxUnknownNamed:
		m.draft.ignorePart("members", fmt.Sprintf("there is no user or group with the id %q", phrase.Cut(id, maxShownIDBytes)))
	case m.unknown == maxUnknownNamed+1:
		m.draft.ignorePart("members", "more ids that belong to nobody")
	}
}

// remove removes these ids from the members of the group.
func (m *membersEdit) remove(ctx context.Context, ids []string) error {
	asked := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !isStorable(id) })
	for some := range slices.Chunk(asked, membersPerStatement) {
		removed, err := m.tx.RemoveMembers(ctx, m.group, some)
		if err != nil {
			return err
		}
		m.draft.members.remove(removed)
	}
	return nil
}

// replace makes these ids the group's members. The ids must be in order, without duplicates.
// replace reads the current members and writes only the difference.
func (m *membersEdit) replace(ctx context.Context, ids []string) error {
	var missing []string
	for page, err := range readPages(func(after string) ([]Member, error) {
		return m.tx.Members(ctx, m.group, after, membersPerStatement, false)
	}) {
		if err != nil {
			return err
		}
		var gone []string
		for _, member := range page {
			for len(ids) > 0 && ids[0] < member.ID {
				missing, ids = append(missing, ids[0]), ids[1:]
			}
			if len(ids) > 0 && ids[0] == member.ID {
				ids = ids[1:]
				continue
			}
			gone = append(gone, member.ID)
		}
		if err := m.remove(ctx, gone); err != nil {
			return err
		}
	}
	return m.add(ctx, append(missing, ids...))
}

// memberElements lists the members in the form in which a GET shows them, for operations that need
// more than their ids.
func (m *membersEdit) memberElements(ctx context.Context, locations map[scim.TypeName]string) ([]any, error) {
	var list []any
	for page, err := range readPages(func(after string) ([]Member, error) {
		return m.tx.Members(ctx, m.group, after, membersPerStatement, true)
	}) {
		if err != nil {
			return nil, err
		}
		for _, member := range page {
			e := map[string]any{"value": member.ID, "type": string(member.Kind)}
			if base, shown := locations[member.Kind]; shown {
				e["$ref"] = base + member.ID
			}
			if member.Display != "" {
				e["display"] = member.Display
			}
			list = append(list, e)
		}
	}
	return list, nil
}

// leaveGroups is called before a user or group, the leaver, is deleted. It raises the version of
// every group of which the leaver is a member, and appends an event for each.
func (r *Roster) leaveGroups(ctx context.Context, tx Tx, leaver Record, doc scim.Resource, c Change) error {
	if leaver.Kind != User && leaver.Kind != Group {
		return nil
	}
	groups, err := tx.GroupsWith(ctx, leaver.ID)
	if err != nil {
		return err
	}
	group, _ := r.types.ByName(Group) // every registry has this type, even if the site has switched groups off
	rt := &resourceType{ResourceType: group, unique: r.uniqueOf(group)}
	for _, id := range groups {
		if id == leaver.ID {
			continue
		}
		rec, old, err := r.lockAndParse(ctx, tx, Group, id, Change{})
		if errors.Is(err, refusal.NotFound) {
			continue // the group was deleted, but the member row is still there
		}
		if err != nil {
			return err
		}
		d := &draft{doc: old.Clone()}
		m := membersEdit{roster: r, tx: tx, group: id, draft: d}
		if err := m.remove(ctx, []string{leaver.ID}); err != nil {
			return err
		}
		if _, err := r.replace(ctx, tx, rt, rec, old, d, c); err != nil {
			return fmt.Errorf("take %s out of group %s: %w", nameOf(leaver.Kind, doc), id, err)
		}
	}
	return nil
}
