package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"
)

// PlannedMember is a member that the next cycle would add to a group or remove from it.
type PlannedMember struct {
	ObjectID    string `json:"objectId"` // the object id; that of WorkOfAccount for an account that somebody made a member at the application
	DisplayName string `json:"displayName"`

	Outcome     PlanResult `json:"outcome,omitempty"`       // what became of the change; "" if the plan was not applied
	OutcomeText string     `json:"outcomeReason,omitempty"` // the reason of the Outcome, in words; "" if there is none
}

// membersFingerprint is the fingerprint of planned memberships. When the plan is applied, each
// membership is compared with the directory and with what was sent before, and not with a hash.
const membersFingerprint = "members"

// endingMembership is the removal of a member that has to be judged with its cause: the object id
// and the name of the group, the group's id at the target, and the object id of the member.
type endingMembership struct{ group, name, target, member string }

// noteMembership records a membership that the plan has to look at.
func (f *forecast) noteMembership(group string, m ListedMember) {
	if f.notedMemberships[group] == nil {
		f.notedMemberships[group] = map[string]ListedMember{}
	}
	f.notedMemberships[group][m.Member] = m
}

// noteListed records the memberships that an import would put on the work list.
func (f *forecast) noteListed(listed []Listed) {
	for _, l := range listed {
		if group, is := groupOf(l.ObjectID); is {
			for _, m := range l.Members {
				f.noteMembership(group, m)
			}
		}
	}
}

// memberships plans the memberships of all groups that a cycle would work on.
func (f *forecast) memberships(ctx context.Context) error {
	r := f.r
	if !r.groupsOn() || !r.groups.syncsMembers() {
		return nil
	}
	if !f.initial { // an initial cycle looks at all members of all groups anyway
		if err := f.noteMoved(ctx); err != nil {
			return err
		}
	}
	if err := f.noteHeld(ctx); err != nil {
		return err
	}
	ids := slices.Collect(maps.Keys(f.groupsReadWhole))
	ids = slices.AppendSeq(slices.AppendSeq(ids, maps.Keys(f.notedMemberships)), maps.Keys(f.groupsWithOpenWork))
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f.groupMembers(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// noteMoved records the memberships of each object whose account is created, removed or changed.
func (f *forecast) noteMoved(ctx context.Context) error {
	for _, id := range slices.Sorted(maps.Keys(f.moves)) {
		groups, err := f.r.groups.source.GroupsOf(ctx, id)
		if err != nil {
			return fmt.Errorf("read the groups of %s: %w", id, err)
		}
		remembered, err := f.r.e.Store.MembershipsOf(ctx, f.r.job.Key, id)
		if err != nil {
			return err
		}
		for _, m := range remembered {
			groups = append(groups, m.Group)
		}
		for _, group := range groups {
			if _, noted := f.notedMemberships[group][id]; !noted {
				f.noteMembership(group, ListedMember{Member: id})
			}
		}
	}
	return nil
}

// noteHeld records the groups that have removals of members on hold.
func (f *forecast) noteHeld(ctx context.Context) error {
	s, k := f.r.e.Store, f.r.job.Key
	causes, err := s.HeldCauses(ctx, k, OnHold)
	if err != nil {
		return err
	}
	for _, c := range causes {
		for after, more := "", c.Members > 0; more; {
			page, err := s.HeldObjects(ctx, k, c.ID, OnHold, after, membersPage)
			if err != nil {
				return err
			}
			for _, o := range page {
				if after = o.Place; o.Group != "" {
					f.groupsWithOpenWork[o.Group] = true
				}
			}
			more = len(page) == membersPage
		}
	}
	return nil
}

// groupPlan collects the planned membership changes of one group.
type groupPlan struct {
	f        *forecast
	id, name string
	target   string // the id of the group at the target; "" if the cycle creates the group
	added    []PlannedMember
	removed  []PlannedMember
	onHold   []PlannedMember // members whose removal is on hold
}

// groupMembers plans the memberships of one group.
func (f *forecast) groupMembers(ctx context.Context, id string) error {
	r := f.r
	known, err := r.e.Store.KnownAbout(ctx, r.job.Key, id)
	if err != nil {
		return err
	}
	g := &groupPlan{f: f, id: id, target: known.Link.usableAccountID()}
	moved, fresh := f.moves[id]
	if fresh {
		g.target = moved.to
	}
	created := g.target == newAccount || known.Link != nil && known.Link.How == "created"
	if g.target == "" || !r.groups.m.can(FlowUpdate) && !created {
		return nil
	}
	o, err := r.readGroup(ctx, id)
	if err != nil {
		return err
	}
	if g.name = nameOf(o, id); g.target == newAccount {
		g.target = ""
	}
	switch {
	case fresh:
		err = g.planAllMembers(ctx, true)
	case f.groupsReadWhole[id]:
		err = g.planAllMembers(ctx, false)
	default:
		err = g.planChangedMembers(ctx)
	}
	if err != nil {
		return err
	}
	return g.flush(ctx)
}

// planAllMembers plans all memberships of the group. fresh means that the group at the target is
// new to the job, so that none of the remembered memberships counts.
func (g *groupPlan) planAllMembers(ctx context.Context, fresh bool) error {
	r := g.f.r
	for after := ""; !fresh; {
		page, err := r.e.Store.MembershipsAfter(ctx, r.job.Key, g.id, after, membersPage, false)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].Member
		for i := range page {
			page[i].readAgain(cycleCause, g.f.p.readsEveryAccount)
		}
		if err := g.plan(ctx, page); err != nil {
			return err
		}
	}
	for after := ""; ; {
		page, err := r.groups.source.Members(ctx, g.id, after, membersPage)
		if err != nil {
			return fmt.Errorf("read the members of %s: %w", g.id, err)
		}
		ids := make([]string, len(page))
		for i, e := range page {
			ids[i], after = e.Member, e.Member
		}
		members, err := g.rememberedMemberships(ctx, ids, fresh)
		if err != nil {
			return err
		}
		members = slices.DeleteFunc(members, func(m Membership) bool { return m.Turn != 0 }) // already planned
		if err := g.plan(ctx, members); err != nil {
			return err
		}
		if len(page) < membersPage {
			return nil
		}
	}
}

// readAgain changes a remembered membership in the same way as a cycle does when it reads all
// members of the group. cause is the id of the cycle's cause. prove says whether the cycle sends
// all members again.
func (m *Membership) readAgain(cause string, prove bool) {
	if !m.Open {
		m.Cause, m.Takes = cause, false
	}
	if m.Verdict == Rejected {
		m.Cause, m.Verdict = cause, Ready
	}
	m.Unsure = m.Unsure || prove
}

// planChangedMembers plans the memberships that have changed and those that are not sent yet.
func (g *groupPlan) planChangedMembers(ctx context.Context) error {
	r, listed := g.f.r, g.f.notedMemberships[g.id]
	for page := range slices.Chunk(slices.Sorted(maps.Keys(listed)), membersPage) {
		members, err := g.rememberedMemberships(ctx, page, false)
		if err != nil {
			return err
		}
		for i := range members {
			m := &members[i]
			l := listed[m.Member]
			if _, moved := g.f.moves[m.Member]; !moved || l.Cause != "" || l.Takes {
				m.Cause, m.Takes, m.Verdict, m.Open = l.Cause, l.Takes, Ready, true
			}
		}
		if err := g.plan(ctx, members); err != nil {
			return err
		}
	}
	for after := ""; g.f.groupsWithOpenWork[g.id]; {
		page, err := r.e.Store.MembershipsAfter(ctx, r.job.Key, g.id, after, membersPage, true)
		if err != nil {
			return err
		}
		if len(page) == 0 {
			break
		}
		after = page[len(page)-1].Member
		page = slices.DeleteFunc(page, func(m Membership) bool { _, planned := listed[m.Member]; return planned })
		if err := g.plan(ctx, page); err != nil {
			return err
		}
	}
	return nil
}

// rememberedMemberships returns the job's memberships of these objects in the group. For an object
// without one, or if fresh is true, it returns a new membership with Turn 0.
func (g *groupPlan) rememberedMemberships(ctx context.Context, ids []string, fresh bool) ([]Membership, error) {
	found := map[string]Membership{}
	if !fresh {
		known, err := g.f.r.e.Store.MembershipsAmong(ctx, g.f.r.job.Key, g.id, ids)
		if err != nil {
			return nil, err
		}
		for _, m := range known {
			found[m.Member] = m
		}
	}
	all := make([]Membership, len(ids))
	for i, id := range ids {
		m, known := found[id]
		if !known {
			m = Membership{Member: id, Verdict: Ready}
		}
		all[i] = m
	}
	return all, nil
}

// plan decides what a cycle would do about these memberships, and collects the changes in g.
func (g *groupPlan) plan(ctx context.Context, members []Membership) error {
	r := g.f.r
	var ids, unknown []string
	for _, m := range members {
		ids = append(ids, m.Member)
		if m.Turn == 0 {
			unknown = append(unknown, m.Member)
		}
		if m.Sharer != "" {
			ids = append(ids, m.Sharer)
		}
	}
	among, err := r.groups.source.MembersAmong(ctx, g.id, ids)
	if err != nil {
		return fmt.Errorf("read the members of %s: %w", g.id, err)
	}
	states, err := r.e.Store.LinkStates(ctx, r.job.Key, unknown)
	if err != nil {
		return err
	}
	for _, m := range members {
		kind, in := among[m.Member]
		if state, linked := states[m.Member]; linked && m.Turn == 0 {
			m.Link = &Link{TargetID: linkedAccount, State: state, Kind: kind}
		}
		want := ""
		moved, moves := g.f.moves[m.Member]
		sent := r.job.sendsMember(kind)
		if in && sent {
			if want = m.Link.usableAccountID(); moves {
				want = moved.to
			}
		}
		if moves && moved.to == "" {
			m.endWithAccount(moved)
		}
		_, shared := among[m.Sharer]
		adds, removes := m.compare(want, shared)
		if removes {
			g.remove(m, m.whyEnds(g.name, in, sent, want))
			adds = want != "" // if the member now has another account, add that account
		}
		if adds {
			g.added = append(g.added, PlannedMember{ObjectID: m.Member})
		}
		if len(g.added)+len(g.removed)+len(g.onHold) >= membersPage {
			if err := g.flush(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// linkedAccount stands for the id of the member's account in a membership that was never sent.
const linkedAccount = "(linked)"

// endWithAccount changes a membership in the same way as a cycle does when the member's account may
// no longer be a member.
func (m *Membership) endWithAccount(moved move) {
	switch {
	case moved.needsNoGuard:
		m.Cause, m.Takes, m.Verdict = "", true, Ready
	case !m.Open:
		m.Cause, m.Takes = moved.cause, false
	}
}

// remove plans the removal of a member, or leaves the decision to the guard. It ignores a removal
// that was rejected. ends is the reason why the membership ends, as whyEnds returns it.
func (g *groupPlan) remove(m Membership, ends string) {
	switch member := (PlannedMember{ObjectID: m.Member}); {
	case m.Verdict == OnHold:
		g.onHold = append(g.onHold, member)
	case m.Verdict == Rejected:
	case ends == "" || m.Takes || m.Cause == "":
		g.removed = append(g.removed, member)
	default:
		g.f.guard.members[m.Cause] = append(g.f.guard.members[m.Cause], endingMembership{group: g.id, name: g.name, target: g.target, member: m.Member})
	}
}

// flush shows the changes that are planned for the group so far, and forgets them.
func (g *groupPlan) flush(ctx context.Context) error {
	if len(g.added)+len(g.removed) > 0 {
		o := g.f.plannedMembers(g.id, g.name, g.added, g.removed)
		o.TargetID = g.target
		if err := g.f.show(ctx, o); err != nil {
			return err
		}
	}
	if len(g.onHold) > 0 {
		o := g.f.plannedMembers(g.id, g.name, nil, g.onHold)
		o.TargetID = g.target
		o.Result, o.Code, o.Reason, o.Advice = Skipped, codeOnHold, "These removals are on hold until somebody decides.", onHoldAdvice
		if err := g.f.show(ctx, o); err != nil {
			return err
		}
	}
	g.added, g.removed, g.onHold = nil, nil, nil
	return nil
}

// plannedMembers returns the planned changes of a group's members.
func (f *forecast) plannedMembers(group, name string, added, removed []PlannedMember) PlannedObject {
	return PlannedObject{
		ObjectID: group, Kind: GroupKind, DisplayName: name, Action: Update, Result: Success, Changes: []Change{}, Added: added, Removed: removed,
		fingerprint: membersFingerprint, lane: Memberships,
	}
}

// show fills in the names of the members and shows the planned object.
func (f *forecast) show(ctx context.Context, o PlannedObject) error {
	for _, members := range [][]PlannedMember{o.Added, o.Removed} {
		var ids []string
		for i, m := range members {
			account, stranger := AccountOfWork(m.ObjectID)
			if members[i].DisplayName = account; !stranger {
				ids = append(ids, m.ObjectID)
			}
		}
		objects, err := f.r.objects(ctx, ids)
		if err != nil {
			return err
		}
		for i, m := range members {
			if _, stranger := AccountOfWork(m.ObjectID); !stranger {
				members[i].DisplayName = nameOf(objects[m.ObjectID], m.ObjectID)
			}
		}
	}
	return f.visit(o)
}
