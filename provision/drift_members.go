package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// Somebody may have changed the members of a group at the application. A plan that re-asserts
// corrects that:
//
//	somebody removed a member  ─► the member is added again
//	somebody added an account  ─► it is removed, as an operation that the guard judges
//
// The job remembers nothing about an account that somebody added. The plan knows it by the id of
// [WorkOfAccount].

// driftCause is the cause with which the guard judges the removals of members that somebody added at
// the application.
const driftCause = "drift"

// driftedMembers plans the operations that give a group of the last comparison its members again.
func (f *forecast) driftedMembers(ctx context.Context, one Drift) error {
	r := f.r
	if len(one.Added)+len(one.Removed) == 0 || one.Gone || !r.groupsOn() || !r.groups.syncsMembers() {
		return nil
	}
	known, err := r.e.Store.KnownAbout(ctx, r.job.Key, one.ObjectID)
	if err != nil {
		return err
	}
	if known.Link.usableAccountID() != one.TargetID || !r.groups.m.can(FlowUpdate) && known.Link.How != "created" {
		return nil
	}
	o, err := r.readGroup(ctx, one.ObjectID)
	if err != nil || !r.groups.entitles(o, r.job.Scope) {
		return err
	}
	g := &groupPlan{f: f, id: one.ObjectID, name: nameOf(o, one.ObjectID), target: one.TargetID}
	strangers, err := g.restoreMembers(ctx, one)
	if err != nil {
		return err
	}
	if err := g.flush(ctx); err != nil {
		return err
	}
	return g.removeStrangers(ctx, strangers)
}

// restoreMembers plans to add the members of the group that somebody removed at the application. It
// returns the accounts that somebody added, without those that provisioning has added since.
func (g *groupPlan) restoreMembers(ctx context.Context, one Drift) (strangers []string, err error) {
	r := g.f.r
	removed, added := setOf(one.Removed), setOf(one.Added)
	for after, more := "", true; more; {
		page, err := r.e.Store.MembershipsAfter(ctx, r.job.Key, g.id, after, membersPage, false)
		if err != nil {
			return nil, err
		}
		more = len(page) == membersPage
		var ids []string
		for _, m := range page {
			after = m.Member
			delete(added, m.AcknowledgedAccount)
			if removed[m.AcknowledgedAccount] {
				ids = append(ids, m.Member)
			}
		}
		among, err := r.membersAmong(ctx, g.id, ids)
		if err != nil {
			return nil, err
		}
		for _, m := range page {
			kind, in := among[m.Member]
			if !in || !removed[m.AcknowledgedAccount] || !r.job.sendsMember(kind) || m.Link.usableAccountID() != m.AcknowledgedAccount {
				continue
			}
			if g.added = append(g.added, PlannedMember{ObjectID: m.Member}); len(g.added) >= membersPage {
				if err := g.flush(ctx); err != nil {
					return nil, err
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(added)), nil
}

// removeStrangers plans to remove accounts that somebody added to the group at the application. The
// guard judges these removals. A plan of a schedule leaves them out.
func (g *groupPlan) removeStrangers(ctx context.Context, accounts []string) error {
	f := g.f
	for some := range slices.Chunk(accounts, membersPage) {
		var strangers []PlannedMember
		for _, account := range some {
			belongs, err := f.r.belongsTo(ctx, f.p, g.id, account)
			if err != nil {
				return err
			}
			if belongs {
				continue // the next cycle finds that the application has it
			}
			if f.onlyGives {
				strangers = append(strangers, PlannedMember{ObjectID: WorkOfAccount(account)})
				continue
			}
			f.guard.members[driftCause] = append(f.guard.members[driftCause], endingMembership{group: g.id, name: g.name, target: g.target, member: WorkOfAccount(account)})
		}
		if len(strangers) == 0 {
			continue
		}
		o := f.plannedMembers(g.id, g.name, nil, strangers)
		o.TargetID = g.target
		o.Result, o.Code, o.Reason = Skipped, codeTakesAccess, takesAccessReason
		if err := f.show(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// belongsTo reports whether an account of the application belongs to a user or group that is a member
// of the group in the directory.
func (r *run) belongsTo(ctx context.Context, p *pass, group, account string) (bool, error) {
	owners := []func(context.Context, string) (string, error){p.owner}
	if p.groups != nil {
		owners = append(owners, p.groups.owner)
	}
	for _, owner := range owners {
		id, err := owner(ctx, account)
		if err != nil {
			return false, err
		}
		if id == "" {
			continue
		}
		among, err := r.membersAmong(ctx, group, []string{id})
		if err != nil {
			return false, err
		}
		if kind, in := among[id]; in && r.job.sendsMember(kind) {
			return true, nil
		}
	}
	return false, nil
}

// membersAmong returns which of the objects with these ids are direct members of a group in the
// directory, with their kinds.
func (r *run) membersAmong(ctx context.Context, group string, ids []string) (map[string]ObjectKind, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	among, err := r.groups.source.MembersAmong(ctx, group, ids)
	if err != nil {
		return nil, fmt.Errorf("read the members of %s: %w", group, err)
	}
	return among, nil
}

// setOf returns the values of a list as a set.
func setOf(list []string) map[string]bool {
	set := make(map[string]bool, len(list))
	for _, one := range list {
		set[one] = true
	}
	return set
}

// removePlannedStrangers removes members that a plan lists and that somebody added at the
// application. Each is looked at once more before: if it has become a member through provisioning, or
// belongs to a member in the directory, it is left out. The job has no membership of them.
func (s *memberSync) removePlannedStrangers(ctx context.Context, members []string) error {
	r := s.l.r
	accounts := map[string]bool{}
	for _, id := range members {
		account, _ := AccountOfWork(id)
		accounts[account] = true
	}
	acknowledged := map[string]bool{}
	for after, more := "", true; more; {
		page, err := r.e.Store.MembershipsAfter(ctx, r.job.Key, s.group, after, membersPage, false)
		if err != nil {
			return err
		}
		more = len(page) == membersPage
		for _, m := range page {
			after = m.Member
			if _, stranger := AccountOfWork(m.Member); !stranger && accounts[m.AcknowledgedAccount] {
				acknowledged[m.AcknowledgedAccount] = true
			}
		}
	}
	var changes []memberChange
	for _, id := range members {
		account, _ := AccountOfWork(id)
		belongs, err := r.belongsTo(ctx, s.l.p, s.group, account)
		if err != nil {
			return err
		}
		switch target := s.planned.open[plannedMember{id, false}].Target; {
		case target != "" && target != s.link.TargetID:
			s.planned.settle(id, false, PlanLeftOut, "The group belongs to another group at the application now.")
		case belongs || acknowledged[account]:
			s.planned.settle(id, false, PlanLeftOut, "It is a member in the directory now.")
		default:
			changes = append(changes, memberChange{Membership: Membership{Member: id, AcknowledgedAccount: account}, id: account})
		}
	}
	for _, chunk := range s.chunks(changes, true) {
		if err := s.sendChanges(chunk, true); err != nil || s.stopped() {
			return err
		}
	}
	return nil
}
