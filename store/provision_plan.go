package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// StartPlan stores a new plan. It removes the plans of the job that have expired, and the oldest
// ones if the job has more than provision.KeptPlans, except plans that are approved or being
// applied. It returns provision.ErrChanged if another plan of the job is being made or applied.
func (s Provisioning) StartPlan(ctx context.Context, p provision.StoredPlan) error {
	if err := s.emptyOldPlans(ctx, p); err != nil {
		return err
	}
	return s.change(ctx, p.Key, func(tx *sqldb.Tx) error {
		t := jobTx{tx: tx, directory: string(p.Key.Directory), app: p.Key.App}
		// Lock the job, so that no other plan starts at the same time.
		if _, err := collect(ctx, tx, scanText, `
			select mode
			from job
			where directory = $1 and app = $2`+tx.ForUpdate(), t.directory, t.app); err != nil {
			return err
		}
		old, err := t.listPlans(ctx)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(old, func(one provision.StoredPlan) bool { return one.IsBusy(p.Started) }) {
			return provision.ErrChanged
		}
		for _, one := range oldPlans(old, p.Started) {
			for _, statement := range []string{
				`delete from job_plan_member where directory = $1 and app = $2 and plan = $3`,
				`delete from job_plan_object where directory = $1 and app = $2 and plan = $3`,
				`delete from job_plan where directory = $1 and app = $2 and id = $3`,
			} {
				if err := t.exec(ctx, statement, one.ID); err != nil {
					return err
				}
			}
		}
		report, err := json.Marshal(p.Report)
		if err != nil {
			return fmt.Errorf("write plan: %w", err)
		}
		undo := ""
		if p.Undo != nil {
			document, err := json.Marshal(p.Undo)
			if err != nil {
				return fmt.Errorf("write what the plan takes back: %w", err)
			}
			undo = string(document)
		}
		return t.exec(ctx, `
			insert into job_plan (directory, app, id, hash, state, settings, reads, made_by, started, made, expires, alive, report, problem, approved_by, approved, applied_by, applied, undo, made_by_id)
			values ($1, $2, $3, '', $4, $5, $6, $7, $8, 0, 0, $9, $10, '', '', 0, '', 0, $11, $12)`,
			p.ID, string(p.State), p.Settings, boolToInt(p.Reads), p.MadeBy, micros(p.Started), micros(p.Alive), string(report), undo, p.MadeByID)
	})
}

// oldPlans returns the plans that are removed when another plan starts at the time now. all holds
// the newest first. An approved plan is removed only when it has expired.
func oldPlans(all []provision.StoredPlan, now time.Time) (old []provision.StoredPlan) {
	for i, one := range all {
		over := i >= provision.KeptPlans-1 && one.State != provision.PlanApproved && one.State != provision.PlanApplying
		if over || one.Expired(now) {
			old = append(old, one)
		}
	}
	return old
}

// plannedRowsTogether is how many rows of an old plan one transaction removes.
const plannedRowsTogether = 5_000

// emptyOldPlans removes the rows of the plans that StartPlan removes for p. It uses several
// transactions, so that others can write in between. It cancels each plan first, so that nobody
// applies a plan of which only a part is left.
func (s Provisioning) emptyOldPlans(ctx context.Context, p provision.StoredPlan) error {
	all, err := s.ListPlans(ctx, p.Key)
	if err != nil {
		return err
	}
	for _, one := range oldPlans(all, p.Started) {
		if err := s.DB.Update(ctx, func(tx *sqldb.Tx) error {
			return jobTx{tx: tx, directory: string(p.Key.Directory), app: p.Key.App}.exec(ctx, `
				update job_plan
				set state = 'cancelled'
				where directory = $1 and app = $2 and id = $3 and state in ('making', 'ready', 'approved')`, one.ID)
		}); err != nil {
			return err
		}
		for _, statement := range []string{`
			delete from job_plan_member
			where directory = $1 and app = $2 and plan = $3 and (number, member, adds) in (
				select m.number, m.member, m.adds
				from job_plan_member m
				where m.directory = $1 and m.app = $2 and m.plan = $3
				limit $4)`, `
			delete from job_plan_object
			where directory = $1 and app = $2 and plan = $3 and number in (
				select o.number
				from job_plan_object o
				where o.directory = $1 and o.app = $2 and o.plan = $3
				limit $4)`} {
			for more := true; more; {
				if err := s.DB.Update(ctx, func(tx *sqldb.Tx) error {
					more, err = changesRow(ctx, tx, statement, string(p.Key.Directory), p.Key.App, one.ID, plannedRowsTogether)
					return err
				}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// AddPlanned adds rows for objects to a plan that is being made, and saves the plan's report.
func (s Provisioning) AddPlanned(ctx context.Context, p provision.StoredPlan, rows []provision.PlannedRow) error {
	report, err := json.Marshal(p.Report)
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return s.change(ctx, p.Key, func(tx *sqldb.Tx) error {
		t := jobTx{tx: tx, directory: string(p.Key.Directory), app: p.Key.App}
		did, err := changesRow(ctx, tx, `
			update job_plan
			set report = $4, alive = $5
			where directory = $1 and app = $2 and id = $3 and state = 'making'`, t.directory, t.app, p.ID, string(report), micros(p.Alive))
		if err != nil {
			return err
		}
		if !did {
			return provision.ErrNoPlan
		}
		for _, row := range rows {
			planned, err := json.Marshal(row.PlannedObject)
			if err != nil {
				return fmt.Errorf("write planned operation of %s: %w", row.ObjectID, err)
			}
			if err := t.exec(ctx, `
				insert into job_plan_object (directory, app, plan, number, object_id, result, planned, fingerprint, lane, outcome, reason, bare)
				values ($1, $2, $3, $4, $5, $6, $7, $8, $9, '', '', $10)`,
				p.ID, row.Number, row.WorkID(), string(row.Result), string(planned), row.Fingerprint, int(row.Lane), row.Bare); err != nil {
				return err
			}
		}
		return nil
	})
}

// ChangePlan saves a plan if its stored state is one of the states in from. Otherwise it returns
// provision.ErrChanged, or provision.ErrNoPlan if there is no such plan. If the plan is cancelled,
// the objects whose operations were not sent leave the work list, unless there is another reason
// for which they are on it. Failed operations get back the verdict that they had before the plan.
func (s Provisioning) ChangePlan(ctx context.Context, p provision.StoredPlan, from []provision.PlanState, e *event.Event) error {
	report, err := json.Marshal(p.Report)
	if err != nil {
		return fmt.Errorf("write plan: %w", err)
	}
	return s.change(ctx, p.Key, func(tx *sqldb.Tx) error {
		t := jobTx{tx: tx, directory: string(p.Key.Directory), app: p.Key.App}
		var state string
		if err := tx.QueryRow(ctx, `
			select state
			from job_plan
			where directory = $1 and app = $2 and id = $3`, t.directory, t.app, p.ID).Scan(&state); err != nil {
			return orNotFound(err, provision.ErrNoPlan)
		}
		if !slices.Contains(from, provision.PlanState(state)) {
			return provision.ErrChanged
		}
		if err := t.exec(ctx, `
			update job_plan
			set hash = $4, state = $5, made = $6, expires = $7, alive = $8, report = $9, problem = $10, approved_by = $11, approved = $12, applied_by = $13, applied = $14, reads = $15, approved_by_id = $16
			where directory = $1 and app = $2 and id = $3`,
			p.ID, p.Hash, string(p.State), micros(p.Made), micros(p.Expires), micros(p.Alive), string(report), p.Problem,
			p.ApprovedBy, micros(p.Approved), p.AppliedBy, micros(p.Applied), boolToInt(p.Reads), p.ApprovedID); err != nil {
			return err
		}
		if p.State == provision.PlanCancelled {
			if p.OnlyGives {
				if err := t.keepTried(ctx, p.ID); err != nil {
					return err
				}
			}
			if err := t.cancelPlanned(ctx, p.ID, provision.PlanState(state)); err != nil {
				return err
			}
		}
		if e == nil {
			return nil
		}
		return appendEvent(ctx, tx, *e)
	})
}

// keepTried keeps on the work list, as changed objects, the objects of a cancelled plan whose
// operation was tried and was waiting for another attempt. The attempt may have changed the
// account. It is only for plans without operations that take access away, because the guard does
// not judge the objects.
func (t jobTx) keepTried(ctx context.Context, plan string) error {
	return t.exec(ctx, `
		update job_pending
		set why = 'change', turn = turn + 1
		where directory = $1 and app = $2 and why = 'plan' and not_before > 0 and object_id in (
			select o.object_id
			from job_plan_object o
			where o.directory = $1 and o.app = $2 and o.plan = $3 and o.outcome = 'due')`, plan)
}

// cancelPlanned cancels the operations of a plan that were not sent yet, and takes their objects
// off the work list. For the operations that failed it calls guardFailed. before is the state of
// the plan before it was cancelled.
func (t jobTx) cancelPlanned(ctx context.Context, plan string, before provision.PlanState) error {
	if before == provision.PlanApplying { // the operations of later stages are not on the work list yet
		if err := t.exec(ctx, `
			update job_plan_object
			set outcome = $4
			where directory = $1 and app = $2 and plan = $3 and outcome = '' and fingerprint <> ''`, plan, string(provision.PlanNotBegun)); err != nil {
			return err
		}
	}
	due, err := collect(ctx, t.tx, scanText, `
		select distinct object_id
		from job_plan_object
		where directory = $1 and app = $2 and plan = $3 and outcome = 'due'`, t.directory, t.app, plan)
	if err != nil {
		return err
	}
	for _, id := range due {
		if err := t.endPlanned(ctx, id, provision.PlannedOutcome{Plan: plan, Result: provision.PlanNotBegun}); err != nil {
			return err
		}
	}
	return t.guardFailed(ctx, plan)
}

// guardFailed gives the failed operations of a cancelled plan the verdict that they had before the
// plan. Otherwise they would be sent again although their approval ended with the plan. A failed
// object keeps its place in the retry queue. guardFailed does not change objects that have changed
// since.
func (t jobTx) guardFailed(ctx context.Context, plan string) error {
	const failed = `job_plan_object o
		join job_escrow e on e.directory = o.directory and e.app = o.app and e.object_id = o.object_id
		where o.directory = $1 and o.app = $2 and o.plan = $3 and o.outcome = 'failed' and o.guard_verdict <> ''`
	if err := t.exec(ctx, `
		insert into job_pending (directory, app, object_id, why, not_before, lane, since, verdict, cause, takes, reason)
		select o.directory, o.app, o.object_id, cast($5 as text), 0, e.lane, cast($4 as bigint), o.guard_verdict, o.guard_cause, 1, o.guard_reason
		from `+failed+`
		on conflict (directory, app, object_id) do update
		set turn = job_pending.turn + 1, not_before = 0, verdict = excluded.verdict, cause = excluded.cause, takes = 1, reason = excluded.reason
		where job_pending.verdict = 'ready' and job_pending.why <> $6`,
		plan, micros(t.tx.Now()), string(provision.ByRetry), string(provision.ByChange)); err != nil {
		return err
	}
	// Increase the batch number, so that nobody approves these operations on a page that does not
	// show them yet.
	return t.exec(ctx, `
		update job_cause
		set batch = batch + 1
		where directory = $1 and app = $2 and cause in (
			select o.guard_cause
			from `+failed+`)`, plan)
}

// endPlanned records the outcome of a planned operation that is not sent, and calls leavePlan.
func (t jobTx) endPlanned(ctx context.Context, objectID string, o provision.PlannedOutcome) error {
	if err := t.leavePlan(ctx, objectID); err != nil {
		return err
	}
	return t.markPlanned(ctx, objectID, o)
}

// leavePlan takes an object off the work list if it is there only because of a plan. Otherwise the
// object stays on the list as a changed object.
func (t jobTx) leavePlan(ctx context.Context, objectID string) error {
	if err := t.exec(ctx, `
		delete from job_pending
		where directory = $1 and app = $2 and object_id = $3 and why = 'plan' and turn = (
			select max(o.turn)
			from job_plan_object o
			where o.directory = $1 and o.app = $2 and o.object_id = $3 and o.outcome = 'due')`, objectID); err != nil {
		return err
	}
	return t.exec(ctx, `
		update job_pending
		set why = 'change', turn = turn + 1
		where directory = $1 and app = $2 and object_id = $3 and why = 'plan'`, objectID)
}

// recordPlannedMembers records the outcomes of membership changes that a plan lists.
func (t jobTx) recordPlannedMembers(ctx context.Context, all []provision.PlannedMemberOutcome) error {
	all = slices.DeleteFunc(slices.Clone(all), func(o provision.PlannedMemberOutcome) bool { return o.Plan == "" })
	return inBatches(all, func(batch []provision.PlannedMemberOutcome) error {
		var args []any
		for _, o := range batch {
			args = append(args, o.Plan, o.Row, o.Member, boolToInt(o.Adds), string(o.Result), o.Reason)
		}
		return t.exec(ctx, `
			insert into job_plan_member (directory, app, plan, number, member, adds, outcome, reason)
			select $1, $2, m.column1, m.column2, m.column3, m.column4, m.column5, m.column6
			from (values `+rowsOfPlaceholders(3, len(batch), "text", "bigint", "text", "bigint", "text", "text")+`) m
			where true
			on conflict do nothing`, args...)
	})
}

// recordPlannedGroup records the outcome of a plan's work on the memberships of a group. If any
// membership in a row of the plan failed, the row failed. Otherwise, if any was left out, the row
// was left out.
func (t jobTx) recordPlannedGroup(ctx context.Context, o provision.Outcome) error {
	if err := t.recordPlannedMembers(ctx, o.PlannedMembers); err != nil {
		return err
	}
	if o.Planned.Result == provision.PlanDue {
		if err := t.markPlanned(ctx, o.ObjectID, o.Planned); err != nil {
			return err
		}
		return t.settlePending(ctx, o)
	}
	// If DemandPlanned has put further rows of the group on the work list in the meantime, the
	// group stays on the list.
	due, err := collect(ctx, t.tx, scanInt, `
		select number
		from job_plan_object
		where directory = $1 and app = $2 and object_id = $3 and outcome = 'due'`, t.directory, t.app, o.ObjectID)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(due, func(number int) bool { return !slices.Contains(o.Planned.Rows, number) }) {
		if err := t.leavePlan(ctx, o.ObjectID); err != nil {
			return err
		}
	}
	const has = `exists (
			select 1
			from job_plan_member m
			where m.directory = $1 and m.app = $2 and m.plan = $4 and m.number = job_plan_object.number and m.outcome = `
	for _, number := range o.Planned.Rows {
		if err := t.exec(ctx, `
		update job_plan_object
		set reason = '', outcome = case
			when `+has+`'failed') then 'failed'
			when `+has+`'changed') then 'changed'
			else 'applied' end
		where directory = $1 and app = $2 and object_id = $3 and plan = $4 and number = $5 and outcome = 'due'`, o.ObjectID, o.Planned.Plan, number); err != nil {
			return err
		}
	}
	return t.putEscrow(ctx, o)
}

// markPlanned stores the outcome of an object's planned operation, if o is about a plan. If the
// operation failed, it also copies the guard's verdict from the object's row on the work list,
// because that row is about to be deleted.
func (t jobTx) markPlanned(ctx context.Context, objectID string, o provision.PlannedOutcome) error {
	if o.Plan == "" {
		return nil
	}
	if o.Result == provision.PlanFailed {
		if err := t.exec(ctx, `
			update job_plan_object
			set guard_verdict = p.verdict, guard_cause = p.cause, guard_reason = p.reason
			from job_pending p
			where job_plan_object.directory = $1 and job_plan_object.app = $2 and job_plan_object.object_id = $3 and job_plan_object.plan = $4
				and job_plan_object.outcome = 'due'
				and p.directory = $1 and p.app = $2 and p.object_id = $3 and p.verdict <> 'ready'`, objectID, o.Plan); err != nil {
			return err
		}
	}
	return t.exec(ctx, `
		update job_plan_object
		set outcome = $4, reason = $5
		where directory = $1 and app = $2 and object_id = $3 and plan = $6 and outcome = 'due'`, objectID, string(o.Result), o.Reason, o.Plan)
}

// ListPlans returns the plans of a job, the newest first.
func (s Provisioning) ListPlans(ctx context.Context, k provision.Key) (all []provision.StoredPlan, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = jobTx{tx: tx, directory: string(k.Directory), app: k.App}.listPlans(ctx)
		return err
	})
	return all, err
}

// listPlans returns the plans of the job, the newest first.
func (t jobTx) listPlans(ctx context.Context) ([]provision.StoredPlan, error) {
	return collect(ctx, t.tx, func(row scanner) (provision.StoredPlan, error) {
		p := provision.StoredPlan{Key: provision.Key{Directory: provision.SourceID(t.directory), App: t.app}}
		var reads, started, made, expires, alive, approved, applied int64
		var report, undo string
		if err := row.Scan(&p.ID, &p.Hash, &p.State, &p.Settings, &reads, &p.MadeBy, &started, &made, &expires, &alive, &report, &p.Problem,
			&p.ApprovedBy, &approved, &p.AppliedBy, &applied, &undo, &p.MadeByID, &p.ApprovedID); err != nil {
			return p, err
		}
		p.Reads, p.Started, p.Made, p.Expires, p.Alive = reads != 0, fromMicros(started), fromMicros(made), fromMicros(expires), fromMicros(alive)
		p.Approved, p.Applied = fromMicros(approved), fromMicros(applied)
		if err := json.Unmarshal([]byte(report), &p.Report); err != nil {
			return p, fmt.Errorf("read plan %s: %w", p.ID, err)
		}
		if undo != "" {
			if err := json.Unmarshal([]byte(undo), &p.Undo); err != nil {
				return p, fmt.Errorf("read what plan %s takes back: %w", p.ID, err)
			}
		}
		return p, nil
	}, `
		select id, hash, state, settings, reads, made_by, started, made, expires, alive, report, problem, approved_by, approved, applied_by, applied, undo, made_by_id, approved_by_id
		from job_plan
		where directory = $1 and app = $2
		order by started desc, id desc`, t.directory, t.app)
}

// shownPlanned is an SQL condition for the objects that a plan shows unless all are asked for:
// those that the plan changes, cannot change, or leaves on hold.
const shownPlanned = `(result <> 'skipped' or fingerprint <> '')`

// PlannedRows returns one page of a plan's objects, in the order of their numbers.
func (s Provisioning) PlannedRows(ctx context.Context, k provision.Key, plan string, f provision.PlanFilter) (rows []provision.PlannedRow, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		rows, err = collect(ctx, tx, func(row scanner) (provision.PlannedRow, error) {
			var r provision.PlannedRow
			var planned string
			var lane int64
			if err := row.Scan(&r.Number, &planned, &r.Fingerprint, &lane, &r.Outcome, &r.OutcomeText); err != nil {
				return r, err
			}
			r.Lane = provision.Lane(lane)
			if err := json.Unmarshal([]byte(planned), &r.PlannedObject); err != nil {
				return r, fmt.Errorf("read object %d of plan %s: %w", r.Number, plan, err)
			}
			return r, nil
		}, `
			select number, planned, fingerprint, lane, outcome, reason
			from job_plan_object
			where directory = $1 and app = $2 and plan = $3 and number > $4
				and (cast($5 as bigint) = 1 or `+shownPlanned+`)
				and (cast($6 as text) = '' or outcome = $6)
			order by number
			limit $7`, string(k.Directory), k.App, plan, f.After, boolToInt(f.All), string(f.Outcome), f.Limit)
		for i := 0; err == nil && i < len(rows); i++ {
			err = addMemberOutcomes(ctx, tx, k, plan, &rows[i])
		}
		return err
	})
	return rows, err
}

// addMemberOutcomes fills in the outcomes of the membership changes that a row of a plan lists.
func addMemberOutcomes(ctx context.Context, tx *sqldb.Tx, k provision.Key, plan string, row *provision.PlannedRow) error {
	if len(row.Added)+len(row.Removed) == 0 || row.Outcome == "" {
		return nil
	}
	found, err := collect(ctx, tx, func(row scanner) (o provision.PlannedMemberOutcome, err error) {
		var adds int64
		err = row.Scan(&o.Member, &adds, &o.Result, &o.Reason)
		o.Adds = adds != 0
		return o, err
	}, `
		select member, adds, outcome, reason
		from job_plan_member
		where directory = $1 and app = $2 and plan = $3 and number = $4`, string(k.Directory), k.App, plan, row.Number)
	if err != nil {
		return err
	}
	for adds, members := range map[bool][]provision.PlannedMember{true: row.Added, false: row.Removed} {
		at := map[string]*provision.PlannedMember{}
		for i := range members {
			at[members[i].ObjectID] = &members[i]
		}
		for _, o := range found {
			if m := at[o.Member]; m != nil && o.Adds == adds {
				m.Outcome, m.OutcomeText = o.Result, o.Reason
			}
		}
	}
	return nil
}

// PlanCounts counts the objects and the membership changes of a plan by their outcomes.
func (s Provisioning) PlanCounts(ctx context.Context, k provision.Key, plan string) (c provision.PlanCounts, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		if err := tx.QueryRow(ctx, `
			select count(*),
				coalesce(sum(case when `+shownPlanned+` then 1 else 0 end), 0),
				coalesce(sum(case when outcome = 'due' or outcome = '' and fingerprint <> '' and exists (
					select 1
					from job_plan p
					where p.directory = $1 and p.app = $2 and p.id = $3 and p.state = 'applying') then 1 else 0 end), 0),
				coalesce(sum(case when outcome = 'applied' and lane <> $4 then 1 else 0 end), 0),
				coalesce(sum(case when outcome = 'failed' and lane <> $4 then 1 else 0 end), 0),
				coalesce(sum(case when outcome = 'changed' and lane <> $4 then 1 else 0 end), 0)
			from job_plan_object
			where directory = $1 and app = $2 and plan = $3`, string(k.Directory), k.App, plan, int(provision.Memberships)).
			Scan(&c.Listed, &c.Shown, &c.Due, &c.Sent, &c.Failed, &c.LeftOut); err != nil {
			return err
		}
		return tx.QueryRow(ctx, `
			select coalesce(sum(case when outcome = 'applied' then 1 else 0 end), 0),
				coalesce(sum(case when outcome = 'failed' then 1 else 0 end), 0),
				coalesce(sum(case when outcome = 'changed' then 1 else 0 end), 0)
			from job_plan_member
			where directory = $1 and app = $2 and plan = $3`, string(k.Directory), k.App, plan).
			Scan(&c.MembersSent, &c.MembersFailed, &c.MembersLeftOut)
	})
	return c, err
}

// lanesOfStage returns the first and the last lane of the operations of a plan's stage. The
// operations on accounts and groups are applied first, then references, then memberships.
func lanesOfStage(stage provision.PlanStage) (from, to provision.Lane) {
	switch stage {
	case provision.PlanReferences:
		return provision.References, provision.References
	case provision.PlanMembers:
		return provision.Memberships, provision.Memberships
	}
	return 0, provision.Groups
}

// DemandPlanned puts objects of one stage of a plan on the work list: up to limit objects whose row
// numbers are greater than after. It returns the last number, or 0 if no objects were left. An
// object that was on the list already keeps its lane, cause and verdict, but from now on only the
// plan's operation may be sent for it.
func (s Provisioning) DemandPlanned(ctx context.Context, k provision.Key, plan string, stage provision.PlanStage, after, limit int) (last int, err error) {
	from, to := lanesOfStage(stage)
	err = s.change(ctx, k, func(tx *sqldb.Tx) error {
		last = 0
		t := jobTx{tx: tx, directory: string(k.Directory), app: k.App}
		type one struct {
			number   int
			objectID string
			lane     int64
		}
		rows, err := collect(ctx, tx, func(row scanner) (o one, err error) {
			return o, row.Scan(&o.number, &o.objectID, &o.lane)
		}, `
			select number, object_id, lane
			from job_plan_object
			where directory = $1 and app = $2 and plan = $3 and number > $4 and fingerprint <> '' and outcome = '' and lane between $6 and $7
			order by number
			limit $5`, t.directory, t.app, plan, after, limit, int(from), int(to))
		if err != nil || len(rows) == 0 {
			return err
		}
		now := micros(tx.Now())
		for _, r := range rows {
			last = r.number
			added, err := changesRow(ctx, tx, `
				insert into job_pending (directory, app, object_id, why, not_before, lane, since, verdict, cause, takes, reason)
				values ($1, $2, $3, 'plan', 0, $4, $5, 'ready', '', 0, '')
				on conflict do nothing`, t.directory, t.app, r.objectID, r.lane, now)
			if err != nil {
				return err
			}
			if !added {
				if err := t.exec(ctx, `
					update job_pending
					set why = 'plan', not_before = 0, turn = turn + 1
					where directory = $1 and app = $2 and object_id = $3 and why <> 'plan'`, r.objectID); err != nil {
					return err
				}
			}
			if err := t.exec(ctx, `
				update job_plan_object
				set outcome = 'due', turn = case when cast($5 as bigint) = 1 then (
					select p.turn
					from job_pending p
					where p.directory = $1 and p.app = $2 and p.object_id = job_plan_object.object_id) else coalesce((
					select max(o.turn)
					from job_plan_object o
					where o.directory = $1 and o.app = $2 and o.object_id = job_plan_object.object_id and o.outcome = 'due'), -1) end
				where directory = $1 and app = $2 and plan = $3 and number = $4`, plan, r.number, boolToInt(added)); err != nil {
				return err
			}
		}
		return wakeLease(ctx, tx, provision.LeaseKind, k.String())
	})
	return last, err
}

// expectedOperation is the SQL query of ExpectedOperation. The lane is in the text of the query
// because the database uses the index of the lane References only then.
var expectedOperation = `
	select o.plan, o.fingerprint, o.bare, p.reads, p.undo, o.planned, coalesce(f.planned, '')
	from job_plan_object o
	join job_plan p on p.directory = o.directory and p.app = o.app and p.id = o.plan
	left join job_plan_object f on f.directory = o.directory and f.app = o.app and f.plan = o.plan and f.object_id = o.object_id
		and f.lane = ` + strconv.Itoa(int(provision.References)) + ` and f.number <> o.number
	where o.directory = $1 and o.app = $2 and o.object_id = $3 and o.outcome = 'due' and p.state = 'applying'
	order by p.started, p.id`

// ExpectedOperation returns the planned operation of an object that is on the work list because of
// a plan, or nil.
func (s Provisioning) ExpectedOperation(ctx context.Context, k provision.Key, objectID string) (x *provision.ExpectedOperation, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		found, err := collect(ctx, tx, func(row scanner) (x provision.ExpectedOperation, err error) {
			var reads int64
			var undo, planned, follow string
			if err := row.Scan(&x.Plan, &x.Fingerprint, &x.Bare, &reads, &undo, &planned, &follow); err != nil {
				return x, err
			}
			x.Reads = reads != 0
			if undo != "" {
				if err := json.Unmarshal([]byte(undo), &x.Undo); err != nil {
					return x, fmt.Errorf("read what plan %s takes back: %w", x.Plan, err)
				}
			}
			if err := json.Unmarshal([]byte(planned), &x.Planned); err != nil {
				return x, fmt.Errorf("read the planned operation of %s: %w", objectID, err)
			}
			if follow != "" {
				if err := json.Unmarshal([]byte(follow), &x.Follow); err != nil {
					return x, fmt.Errorf("read the planned references of %s: %w", objectID, err)
				}
			}
			return x, nil
		}, expectedOperation, string(k.Directory), k.App, objectID)
		if len(found) > 0 {
			x = &found[0]
		}
		return err
	})
	return x, err
}

// ExpectedMembers returns the planned membership changes of a group that have no result yet. It
// returns nil if the group is not on the work list because of a plan.
func (s Provisioning) ExpectedMembers(ctx context.Context, k provision.Key, group string) (x *provision.ExpectedMembers, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		x = nil
		type one struct {
			plan    string
			reads   int64
			number  int
			planned string
		}
		rows, err := collect(ctx, tx, func(row scanner) (o one, err error) {
			return o, row.Scan(&o.plan, &o.reads, &o.number, &o.planned)
		}, `
			select o.plan, p.reads, o.number, o.planned
			from job_plan_object o
			join job_plan p on p.directory = o.directory and p.app = o.app and p.id = o.plan
			where o.directory = $1 and o.app = $2 and o.object_id = $3 and o.outcome = 'due' and p.state = 'applying'
			order by p.started, p.id, o.number`, string(k.Directory), k.App, provision.MembersOf(group))
		if err != nil {
			return err
		}
		for _, row := range rows {
			if x != nil && row.plan != x.Plan {
				continue // an earlier version could apply two plans at the same time
			}
			if x == nil {
				x = &provision.ExpectedMembers{Plan: row.plan, Reads: row.reads != 0}
			}
			x.Rows = append(x.Rows, row.number)
			if err := addExpectedMembers(ctx, tx, k, row.plan, row.number, row.planned, x); err != nil {
				return err
			}
		}
		return nil
	})
	return x, err
}

// addExpectedMembers adds to x the membership changes of one row of a plan that have no result yet.
func addExpectedMembers(ctx context.Context, tx *sqldb.Tx, k provision.Key, plan string, number int, planned string, x *provision.ExpectedMembers) error {
	row := provision.PlannedRow{Number: number, Outcome: provision.PlanDue}
	if err := json.Unmarshal([]byte(planned), &row.PlannedObject); err != nil {
		return fmt.Errorf("read object %d of plan %s: %w", number, plan, err)
	}
	if err := addMemberOutcomes(ctx, tx, k, plan, &row); err != nil {
		return err
	}
	add := func(members []provision.PlannedMember, adds bool) {
		for _, m := range members {
			if m.Outcome == "" {
				x.Changes = append(x.Changes, provision.ExpectedMember{Row: number, Target: row.TargetID, Member: m.ObjectID, Adds: adds})
			}
		}
	}
	add(row.Removed, false)
	add(row.Added, true)
	return nil
}

// CountDemanded counts the operations of a plan whose objects are on the work list.
func (s Provisioning) CountDemanded(ctx context.Context, k provision.Key, plan string) (n int, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select count(*)
			from job_plan_object
			where directory = $1 and app = $2 and plan = $3 and outcome = 'due'`, string(k.Directory), k.App, plan).Scan(&n)
	})
	return n, err
}

// DuePlanned counts the operations of a plan whose objects are on the work list and due now.
func (s Provisioning) DuePlanned(ctx context.Context, k provision.Key, plan string, now time.Time) (n int, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select count(*)
			from job_plan_object o
			join job_pending p on p.directory = o.directory and p.app = o.app and p.object_id = o.object_id
			where o.directory = $1 and o.app = $2 and o.plan = $3 and o.outcome = 'due' and p.why = 'plan' and p.not_before <= $4`,
			string(k.Directory), k.App, plan, micros(now)).Scan(&n)
	})
	return n, err
}
