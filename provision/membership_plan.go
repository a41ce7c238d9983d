package provision

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// plannedMembers are the membership changes that an approved plan lists for one group. A nil
// *plannedMembers stands for work without a plan.
type plannedMembers struct {
	plan    string                           // the plan's id; "" if the plan was cancelled
	reads   bool                             // whether the plan sends all members again
	rows    []int                            // the numbers of the rows that list the changes
	open    map[plannedMember]ExpectedMember // the listed changes that have no result yet
	settled []PlannedMemberOutcome           // the results of changes that needed no request
}

// plannedMember names a change of a membership.
type plannedMember struct {
	member string // the object id of the member
	adds   bool   // whether the member is to be added; otherwise it is to be removed
}

func newPlannedMembers(x *ExpectedMembers) *plannedMembers {
	p := &plannedMembers{open: map[plannedMember]ExpectedMember{}}
	if x == nil {
		return p
	}
	p.plan, p.reads, p.rows = x.Plan, x.Reads, x.Rows
	for _, c := range x.Changes {
		p.open[plannedMember{c.Member, c.Adds}] = c
	}
	return p
}

// members returns the members that are to be added, or those that are to be removed, in order.
func (p *plannedMembers) members(adds bool) []string {
	var members []string
	for c := range p.open {
		if c.adds == adds {
			members = append(members, c.member)
		}
	}
	slices.Sort(members)
	return members
}

// take returns the outcome of a planned change, which then counts as settled. planned is false if
// there is no such change.
func (p *plannedMembers) take(member string, adds bool, result PlanResult, reason string) (o PlannedMemberOutcome, planned bool) {
	if p == nil {
		return o, false
	}
	c := plannedMember{member, adds}
	x, planned := p.open[c]
	if !planned {
		return o, false
	}
	delete(p.open, c)
	return PlannedMemberOutcome{Plan: p.plan, Row: x.Row, Member: member, Adds: adds, Result: result, Reason: reason}, true
}

// mark adds to outcomes what became of the planned changes. It does nothing without a plan.
func (p *plannedMembers) mark(outcomes []MemberOutcome, removing bool, result PlanResult, reason string) {
	for i := range outcomes {
		outcomes[i].Planned, _ = p.take(outcomes[i].Member, !removing, result, reason)
	}
}

// settle keeps the result of a planned change for which no request is sent.
func (p *plannedMembers) settle(member string, adds bool, result PlanResult, reason string) {
	if o, planned := p.take(member, adds, result, reason); planned {
		p.settled = append(p.settled, o)
	}
}

// settleRest gives the same result to all planned changes that have none yet.
func (p *plannedMembers) settleRest(result PlanResult, reason string) {
	for _, c := range slices.SortedFunc(maps.Keys(p.open), func(a, b plannedMember) int { return strings.Compare(a.member, b.member) }) {
		p.settle(c.member, c.adds, result, reason)
	}
}

// conclude adds the results of the planned changes to the outcome of the work on the group. problem
// is why the work failed; nil if it did not. conclude does nothing without a plan.
func (p *plannedMembers) conclude(o *Outcome, problem *TargetError) {
	switch {
	case p == nil:
		return
	case p.plan == "":
		*o = Outcome{ObjectID: o.ObjectID, Turn: o.Turn, Planned: PlannedOutcome{Result: PlanLeftOut}}
		return
	case !o.Postpone.IsZero():
		o.Planned = PlannedOutcome{Plan: p.plan, Result: PlanDue, Reason: o.WaitReason}
	default:
		o.Planned = PlannedOutcome{Plan: p.plan, Rows: p.rows}
		if problem != nil {
			p.settleRest(PlanFailed, problem.Detail)
		}
		p.settleRest(PlanLeftOut, "The application does not have the group any more.")
	}
	o.PlannedMembers = p.settled
}

// runPlanned sends the changes of the group's members that an approved plan lists, and no others.
// It sends removals before additions. done is false if the slice ended first.
func (s *memberSync) runPlanned(ctx context.Context) (done bool, err error) {
	r := s.l.r
	x, err := r.e.Plans.ExpectedMembers(ctx, r.job.Key, s.group)
	if err != nil {
		return false, err
	}
	s.planned = newPlannedMembers(x)
	if x == nil {
		return true, nil
	}
	ready, err := s.begin(ctx)
	if err != nil {
		return false, err
	}
	if !ready {
		s.planned.settleRest(PlanLeftOut, "The group has no counterpart at the application now, or its members are not provisioned.")
		return true, nil
	}
	if todo, err := r.e.Store.Memberships(ctx, r.job.Key, s.group, 1); err != nil {
		return false, err
	} else if todo.Announced { // a process died before it recorded the outcome
		if err := s.record(nil, nil); err != nil {
			return false, err
		}
	}
	if err := s.findOther(ctx); err != nil {
		return false, err
	}
	for _, adds := range []bool{false, true} {
		for page := range slices.Chunk(s.planned.members(adds), membersPage) {
			if s.stopped() {
				return true, nil
			}
			if ctx.Err() != nil || !r.e.Now().Before(s.l.until) {
				return false, nil
			}
			if err := s.sendPlanned(ctx, page, adds); err != nil {
				return false, err
			}
		}
	}
	return true, nil
}

// findOther sets s.other to the account of a member that stays in the group, if there is such a
// member. A member that the plan adds again does not count: somebody has removed it.
func (s *memberSync) findOther(ctx context.Context) error {
	r := s.l.r
	for after := ""; ; {
		page, err := r.e.Store.MembershipsAfter(ctx, r.job.Key, s.group, after, membersPage, false)
		if err != nil {
			return err
		}
		for _, m := range page {
			after = m.Member
			_, ends := s.planned.open[plannedMember{m.Member, false}]
			_, returns := s.planned.open[plannedMember{m.Member, true}]
			if !ends && !returns && !m.Open && m.AcknowledgedAccount != "" {
				s.other = m.AcknowledgedAccount
				return nil
			}
		}
		if len(page) < membersPage {
			return nil
		}
	}
}

// sendPlanned sends planned additions, or planned removals, of these members. It compares each
// membership with the directory first. If the comparison does not lead to the planned change, the
// member is left out.
func (s *memberSync) sendPlanned(ctx context.Context, members []string, adds bool) error {
	r := s.l.r
	var strangers []string
	members = slices.DeleteFunc(slices.Clone(members), func(id string) bool {
		_, stranger := AccountOfWork(id)
		if stranger {
			strangers = append(strangers, id)
		}
		return stranger
	})
	if len(strangers) > 0 && !adds {
		if err := s.removePlannedStrangers(ctx, strangers); err != nil || s.stopped() {
			return err
		}
	}
	remembered, err := r.e.Store.MembershipsAmong(ctx, r.job.Key, s.group, members)
	if err != nil {
		return err
	}
	ids, found := slices.Clone(members), map[string]Membership{}
	for _, m := range remembered {
		found[m.Member] = m
		if m.Sharer != "" {
			ids = append(ids, m.Sharer)
		}
	}
	among, err := r.groups.source.MembersAmong(ctx, s.group, ids)
	if err != nil {
		return fmt.Errorf("read the members of %s: %w", s.group, err)
	}
	if err := s.findLinks(ctx, members, found); err != nil {
		return err
	}
	var changes []memberChange
	for _, id := range members {
		m := found[id]
		want := ""
		if kind, in := among[id]; in && r.job.sendsMember(kind) {
			want = m.Link.usableAccountID()
		}
		_, shared := among[m.Sharer]
		sends, removes := m.compare(want, shared)
		target := s.planned.open[plannedMember{id, adds}].Target
		switch {
		case target != "" && target != s.link.TargetID:
			s.planned.settle(id, adds, PlanLeftOut, "The group belongs to another group at the application now.")
		case adds && (sends || s.planned.reads && want != "" && want == m.AcknowledgedAccount):
			changes = append(changes, memberChange{Membership: m, id: want})
		case adds && want == "":
			s.planned.settle(id, adds, PlanLeftOut, "It is not a member in the directory any more, or has no account that may be used.")
		case adds && removes:
			s.planned.settle(id, adds, PlanLeftOut, "The application still has another account of it as a member.")
		case removes:
			changes = append(changes, memberChange{Membership: m, id: m.AcknowledgedAccount, staysWith: want})
		case !adds && m.AcknowledgedAccount != "":
			s.planned.settle(id, adds, PlanLeftOut, "It is a member in the directory again.")
		default:
			s.planned.settle(id, adds, PlanSent, "") // a cycle has sent it in the meantime
		}
	}
	if err := s.rememberAdded(ctx, changes); err != nil {
		return err
	}
	for _, chunk := range s.chunks(changes, !adds) {
		if err := s.sendChanges(chunk, !adds); err != nil || s.stopped() {
			return err
		}
	}
	return nil
}

// findLinks completes found, which holds the remembered memberships by member. For each member that
// it lacks, findLinks adds a membership that was never sent, with the member's link.
func (s *memberSync) findLinks(ctx context.Context, members []string, found map[string]Membership) error {
	var unknown []string
	for _, id := range members {
		if _, known := found[id]; !known {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) == 0 {
		return nil
	}
	links, err := s.l.r.e.Store.MemberLinks(ctx, s.l.r.job.Key, unknown)
	if err != nil {
		return err
	}
	for _, id := range unknown {
		found[id] = Membership{Member: id, Link: links[id]}
	}
	return nil
}

// rememberAdded makes the job remember those of the changed memberships that it does not remember
// yet, and sets their turns in changes.
func (s *memberSync) rememberAdded(ctx context.Context, changes []memberChange) error {
	r := s.l.r
	at := map[string]int{}
	var fresh []string
	for i, c := range changes {
		if c.Turn == 0 {
			fresh, at[c.Member] = append(fresh, c.Member), i
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := r.changeNothing(func() error { return r.e.Store.RememberMembers(ctx, r.fence, s.group, fresh) }); err != nil {
		return err
	}
	remembered, err := r.e.Store.MembershipsAmong(ctx, r.job.Key, s.group, fresh)
	for _, m := range remembered {
		changes[at[m.Member]].Turn = m.Turn
	}
	return err
}
