package roster

import (
	"context"

	"github.com/rollcall-scim/rollcall/scim"
)

// A group is a document without members, plus one row for each member. A change of members writes
// only the rows of the members that it names. Reading a group's document reads no member rows.

// CreateGroup adds a group with these members; nil means none. If the site does not let groups
// share a name, CreateGroup refuses a displayName that another group has, ignoring case.
func (r *Roster) CreateGroup(ctx context.Context, doc scim.Resource, members *MemberList, c Change) (Outcome, error) {
	rt, err := r.writableType(Group)
	if err != nil {
		return Outcome{}, err
	}
	rec, err := r.newRecord(rt, &draft{doc: doc.Clone()}, c)
	if err != nil {
		return Outcome{}, err
	}
	ids, err := members.distinctIDs()
	if err != nil {
		return Outcome{}, err
	}
	return r.update(ctx, c, func(tx Tx) (out Outcome, err error) {
		d := &draft{doc: doc.Clone()}
		// Insert the group first, so that a taken name is refused before any members are read.
		if rec.Position, err = tx.Insert(ctx, rec); err != nil {
			return Outcome{}, takenError(err, doc)
		}
		m := membersEdit{roster: r, tx: tx, group: rec.ID, draft: d}
		if err := m.add(ctx, ids); err != nil {
			return Outcome{}, err
		}
		return recordCreated(ctx, tx, rec, d, r.createdEvent(rec, d, c))
	})
}

// ReplaceGroup is SCIM's PUT of a group. It replaces all members; nil means none.
//
// RFC 7644 §3.5.1: attributes that the request omits are cleared.
func (r *Roster) ReplaceGroup(ctx context.Context, id string, doc scim.Resource, members *MemberList, c Change) (Outcome, error) {
	rt, err := r.writableType(Group)
	if err != nil {
		return Outcome{}, err
	}
	ids, err := members.distinctIDs()
	if err != nil {
		return Outcome{}, err
	}
	return r.changeGroup(ctx, rt, id, c, func(m *membersEdit, old scim.Resource) (*draft, error) {
		merged, err := scim.MergePut(rt.ResourceType, old, doc)
		if err != nil {
			return nil, err
		}
		m.draft = &draft{doc: merged}
		return m.draft, m.replace(ctx, ids)
	})
}

// patchGroup applies a PATCH. Operations that select members by value go directly to the member
// rows. A filter on anything else needs the whole list of members.
func (r *Roster) patchGroup(ctx context.Context, rt *resourceType, id string, p *scim.Patch, c Change) (Outcome, error) {
	rest, edits, byValue := p.DetachAttribute("members")
	return r.changeGroup(ctx, rt, id, c, func(m *membersEdit, old scim.Resource) (*draft, error) {
		if !byValue {
			return m.patchWhole(ctx, rt, p, old, c.Locations)
		}
		result, err := rest.Apply(rt.ResourceType, old)
		if err != nil {
			return nil, err
		}
		m.draft = draftOf(result)
		for _, e := range edits {
			if err := m.apply(ctx, e); err != nil {
				return nil, err
			}
		}
		return m.draft, nil
	})
}

// patchWhole applies a PATCH to the whole group: its document and the whole list of its members.
func (m *membersEdit) patchWhole(ctx context.Context, rt *resourceType, p *scim.Patch, old scim.Resource, locations map[scim.TypeName]string) (*draft, error) {
	members, err := m.memberElements(ctx, locations)
	if err != nil {
		return nil, err
	}
	whole := old.Clone()
	if len(members) > 0 {
		whole["members"] = members
	}
	result, err := p.Apply(rt.ResourceType, whole)
	if err != nil {
		return nil, err
	}
	m.draft = draftOf(result)
	doc, list := splitMembers(result.Resource)
	m.draft.doc = doc
	ids, err := list.distinctIDs()
	if err != nil {
		return nil, err
	}
	return m.draft, m.replace(ctx, ids)
}

// changeGroup is like change, for a group. apply can also change the member rows.
func (r *Roster) changeGroup(ctx context.Context, rt *resourceType, id string, c Change, apply func(m *membersEdit, old scim.Resource) (*draft, error)) (Outcome, error) {
	return r.update(ctx, c, func(tx Tx) (Outcome, error) {
		rec, old, err := r.lockAndParse(ctx, tx, Group, id, c)
		if err != nil {
			return Outcome{}, err
		}
		d, err := apply(&membersEdit{roster: r, tx: tx, group: id}, old)
		if err != nil {
			return Outcome{}, err
		}
		return r.replace(ctx, tx, rt, rec, old, d, c)
	})
}
