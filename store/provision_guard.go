package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// keepsVerdict is an SQL condition on the row of an object that is put on the work list again. It
// is true if the row keeps its verdict and its cause. The arguments $12 to $16 are the fields of
// provision.KeptVerdicts.
const keepsVerdict = `(
	($12 = 1 and job_pending.verdict = 'held')
	or ($13 = 1 and job_pending.verdict in ('judging', 'late'))
	or ($14 = 1 and job_pending.verdict = 'judging' and job_pending.cause like '` + event.ImportCause + `%')
	or ($15 = 1 and job_pending.verdict = 'rejected')
	or ($16 = 1 and job_pending.verdict = 'ready' and job_pending.takes = 1))`

// putOnWorkList puts one object on the work list, or updates the object's row if it has one. If
// l.Turn is not 0, it updates the row only if the row still has that turn.
//
// If the new change takes no access away, the row becomes ready, unless l.KeptVerdicts says that
// its verdict stays. A row that becomes ready keeps its cause if it was on hold, or if it was being
// counted and the new change has no cause: a worker may still find that the object loses access. A
// group that an initial cycle has listed keeps that reason, because its members are looked at only
// then.
func (t jobTx) putOnWorkList(ctx context.Context, l provision.Listed, now int64) error {
	reason := l.Reason
	if l.Verdict() == provision.Ready {
		reason = ""
	}
	return t.exec(ctx, `
		insert into job_pending (directory, app, object_id, why, not_before, lane, since, verdict, cause, takes, reason, origin)
		values ($1, $2, $3, $4, 0, $5, $6, $9, $10, $11, $17, $10)
		on conflict (directory, app, object_id) do update
		set not_before = 0, turn = job_pending.turn + 1,
			why = case
				when excluded.why = $7 or job_pending.why in ('demand', 'plan') then job_pending.why
				when job_pending.why = $19 and excluded.lane = $20 then job_pending.why
				else excluded.why end,
			lane = case
				when `+keepsVerdict+` then job_pending.lane
				when excluded.why <> $8 and job_pending.lane < excluded.lane then job_pending.lane
				else excluded.lane end,
			verdict = case when `+keepsVerdict+` then job_pending.verdict else excluded.verdict end,
			takes = case when `+keepsVerdict+` then job_pending.takes else excluded.takes end,
			reason = case when `+keepsVerdict+` then job_pending.reason else excluded.reason end,
			cause = case
				when `+keepsVerdict+` then job_pending.cause
				when excluded.takes = 0 and job_pending.verdict = 'held' then job_pending.cause
				when excluded.takes = 0 and excluded.cause = '' and job_pending.verdict in ('judging', 'late') then job_pending.cause
				else excluded.cause end,
			origin = case when excluded.origin = '' then job_pending.origin else excluded.origin end
		where $18 = 0 or job_pending.turn = $18`,
		l.ObjectID, string(l.Why), int(l.Lane), now, string(provision.ByAbsence), string(provision.ByChange),
		string(l.Verdict()), l.Cause, boolToInt(l.Takes), boolToInt(l.KeptVerdicts.Held), boolToInt(l.KeptVerdicts.Judging), boolToInt(l.KeptVerdicts.ImportJudging),
		boolToInt(l.KeptVerdicts.Rejected), boolToInt(l.KeptVerdicts.Allowed), reason, l.Turn, string(provision.ByCycle), int(provision.Groups))
}

// markCausesComplete records that these causes make no more changes. It also deletes the stored
// causes that are older than a month and that no row names.
func (t jobTx) markCausesComplete(ctx context.Context, causes []string) error {
	for _, cause := range causes {
		now := t.tx.Now()
		if err := t.exec(ctx, `
			insert into job_cause (directory, app, cause, since, complete)
			values ($1, $2, $3, $4, 1)
			on conflict (directory, app, cause) do update
			set complete = 1`, cause, micros(now)); err != nil {
			return err
		}
		if err := t.exec(ctx, `
			delete from job_cause
			where directory = $1 and app = $2 and since < $3 and not exists (
				select 1
				from job_pending p
				where p.directory = job_cause.directory and p.app = job_cause.app and p.cause = job_cause.cause)
				and not exists (
				select 1
				from job_member m
				where m.directory = job_cause.directory and m.app = job_cause.app and m.verdict <> 'ready' and m.cause = job_cause.cause)
				and not exists (
				select 1
				from job_plan_object o
				where o.directory = job_cause.directory and o.app = job_cause.app and o.guard_cause <> '' and o.guard_cause = job_cause.cause)`,
			micros(now.AddDate(0, -1, 0))); err != nil {
			return err
		}
	}
	return nil
}

// CausesToJudge returns the causes that have operations on which the guard has not decided yet.
func (s Provisioning) CausesToJudge(ctx context.Context, k provision.Key) (all []provision.JudgedCause, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, func(row scanner) (c provision.JudgedCause, err error) {
			var complete int
			err = row.Scan(&c.ID, &c.Judging, &c.Late, &complete)
			c.Complete = complete != 0
			return c, err
		}, `
			select p.cause, p.judging, p.late, coalesce(c.complete, 0)
			from (
				select cause, sum(case when verdict = 'judging' then 1 else 0 end) as judging, sum(case when verdict = 'late' then 1 else 0 end) as late
				from (
					select cause, verdict
					from job_pending
					where directory = $1 and app = $2 and verdict in ('judging', 'late')
					union all
					select cause, verdict
					from job_member
					where directory = $1 and app = $2 and verdict = 'late' and verdict <> 'ready') judged
				group by cause) p
			left join job_cause c on c.directory = $1 and c.app = $2 and c.cause = p.cause
			order by p.cause`, string(k.Directory), k.App)
		return err
	})
	return all, err
}

// Judge counts the operations of a cause that take access away and on which the guard has not
// decided yet. If there are too many, it puts them on hold. Otherwise it marks them ready. If Judge
// puts operations on hold and the cause had none on hold before, it appends the event that held
// returns.
func (s Provisioning) Judge(ctx context.Context, f provision.Fence, c provision.CauseToJudge, held func(provision.Judgement) event.Event) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		cause := c.ID
		j, err := t.tally(ctx, cause)
		if err != nil || j.Accounts.Count+j.Members.Count == 0 {
			return err
		}
		recent, err := t.passedUnasked(ctx, cause, c.At.Add(-provision.GuardWindow))
		if err != nil {
			return err
		}
		c.SetLimits(&j, recent)
		j.Judge()
		if err := t.exec(ctx, `
			update job_pending
			set verdict = $4, not_before = 0,
				cause = case when $4 = 'held' then cause else '' end,
				reason = case when $4 = 'held' then reason else '' end
			where directory = $1 and app = $2 and verdict in ('judging', 'late') and cause = $3`, cause, string(verdictOf(j.Accounts.Held))); err != nil {
			return err
		}
		if err := t.changeMemberVerdicts(ctx, cause, provision.Late, verdictOf(j.Members.Held)); err != nil {
			return err
		}
		if err := t.exec(ctx, `
			insert into job_cause (directory, app, cause, words, since, passed, links, batch, held, members_passed, memberships, allowed,
				unasked, unasked_members, unasked_at, recent)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
			on conflict (directory, app, cause) do update
			set words = excluded.words, passed = excluded.passed, links = excluded.links, batch = job_cause.batch + excluded.batch,
				held = excluded.held, members_passed = excluded.members_passed, memberships = excluded.memberships,
				allowed = excluded.allowed, unasked = job_cause.unasked + excluded.unasked,
				unasked_members = job_cause.unasked_members + excluded.unasked_members,
				unasked_at = case when excluded.unasked_at = 0 then job_cause.unasked_at else excluded.unasked_at end, recent = excluded.recent`,
			cause, c.Words, micros(t.tx.Now()), j.Accounts.PassedAfter(), j.Accounts.Active, boolToInt(j.Held()),
			j.Accounts.OnHoldAfter()+j.Members.OnHoldAfter(), j.Members.PassedAfter(), j.Members.Active, j.Accounts.Allowed,
			j.Accounts.Unasked(), j.Members.Unasked(), boolToInt(j.Accounts.Unasked()+j.Members.Unasked() > 0)*micros(c.At), j.Recent()); err != nil {
			return err
		}
		if !j.Held() || !j.First() {
			return nil
		}
		return appendEvent(ctx, t.tx, held(j))
	})
}

// PassedUnasked returns how many operations of other causes the guard has let through since a time
// without asking anybody.
func (s Provisioning) PassedUnasked(ctx context.Context, k provision.Key, cause string, since time.Time) (n provision.PassedUnasked, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		n, err = jobTx{tx: tx, directory: string(k.Directory), app: k.App}.passedUnasked(ctx, cause, since)
		return err
	})
	return n, err
}

// passedUnasked is PassedUnasked within a transaction.
func (t jobTx) passedUnasked(ctx context.Context, cause string, since time.Time) (n provision.PassedUnasked, err error) {
	err = t.tx.QueryRow(ctx, `
		select coalesce(sum(unasked), 0), coalesce(sum(unasked_members), 0), coalesce(max(links), 0), coalesce(max(memberships), 0)
		from job_cause
		where directory = $1 and app = $2 and cause <> $3 and unasked_at > $4`, t.directory, t.app, cause, micros(since)).Scan(
		&n.Accounts, &n.Members, &n.Active, &n.Memberships)
	return n, err
}

// tally counts the operations of a cause on which the guard has not decided yet, and those that it
// put on hold or let through earlier.
func (t jobTx) tally(ctx context.Context, cause string) (j provision.Judgement, err error) {
	a, m := &j.Accounts, &j.Members
	var links, memberships int
	if err := t.tx.QueryRow(ctx, `
		select
			(select count(*) from job_pending where directory = $1 and app = $2 and verdict in ('judging', 'late') and cause = $3),
			(select count(*) from job_pending where directory = $1 and app = $2 and verdict = 'held' and cause = $3),
			(select count(*) from job_link where directory = $1 and app = $2 and state = $4),
			(select count(*) from job_member where directory = $1 and app = $2 and verdict = 'late' and verdict <> 'ready' and cause = $3),
			(select count(*) from job_member where directory = $1 and app = $2 and verdict = 'held' and verdict <> 'ready' and cause = $3),
			coalesce(max(passed), 0), coalesce(max(links), 0), coalesce(max(members_passed), 0), coalesce(max(memberships), 0),
			coalesce(max(allowed), 0)
		from job_cause
		where directory = $1 and app = $2 and cause = $3`, t.directory, t.app, cause, string(provision.Active)).Scan(
		&a.Count, &a.OnHold, &a.Active, &m.Count, &m.OnHold, &a.Passed, &links, &m.Passed, &memberships, &a.Allowed); err != nil {
		return j, err
	}
	if m.Count > 0 {
		if err := t.tx.QueryRow(ctx, `
			select count(*)
			from job_member
			where directory = $1 and app = $2 and has <> ''`, t.directory, t.app).Scan(&m.Active); err != nil {
			return j, err
		}
	}
	a.Active, m.Active = max(a.Active, links), max(m.Active, memberships)
	return j, nil
}

// verdictOf returns the verdict OnHold if held is true, and Ready otherwise.
func verdictOf(held bool) provision.Verdict {
	if held {
		return provision.OnHold
	}
	return provision.Ready
}

// changeMemberVerdicts gives the verdict to to the removals of group members that belong to a cause
// and have the verdict from. If the new verdict is Ready, it also puts the memberships of the
// groups on the work list, so that the removals are sent.
func (t jobTx) changeMemberVerdicts(ctx context.Context, cause string, from, to provision.Verdict) error {
	if to == provision.Ready {
		if err := t.listGroupMembers(ctx, `
			select distinct group_id as object_id
			from job_member
			where directory = $1 and app = $2 and verdict = $7 and verdict <> 'ready' and cause = $8`, string(from), cause); err != nil {
			return err
		}
	}
	return t.exec(ctx, `
		update job_member
		set verdict = $5, takes = case when $5 = 'ready' then 1 else 0 end,
			cause = case when $5 = 'ready' then '' else cause end,
			reason = case when $5 = 'ready' then '' else reason end
		where directory = $1 and app = $2 and verdict = $4 and verdict <> 'ready' and cause = $3`, cause, string(from), string(to))
}

// namesPerCause is how many names HeldCauses returns as examples for each cause.
const namesPerCause = 5

// HeldCauses returns the causes of the operations that have this verdict, the oldest first. The
// verdict is OnHold or Rejected.
func (s Provisioning) HeldCauses(ctx context.Context, k provision.Key, v provision.Verdict) (all []provision.HeldCause, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = heldCauses(ctx, tx, k, v, "")
		return err
	})
	return all, err
}

// heldCauses is like HeldCauses. If only is not "", it returns only the cause with that id.
func heldCauses(ctx context.Context, tx *sqldb.Tx, k provision.Key, v provision.Verdict, only string) ([]provision.HeldCause, error) {
	all, err := collect(ctx, tx, func(row scanner) (c provision.HeldCause, err error) {
		var since int64
		var were int
		err = row.Scan(&c.ID, &c.Words, &since, &c.Links, &c.Memberships, &c.Batch, &were, &c.Recent, &c.Count, &c.Members)
		c.Since, c.Changed = fromMicros(since), max(were-c.Count, 0)
		return c, err
	}, `
		select c.cause, c.words, c.since, c.links, c.memberships, c.batch, c.held, c.recent, count(*), sum(o.member)
		from `+heldOperations+` o
		join job_cause c on c.directory = $1 and c.app = $2 and c.cause = o.cause
		where $4 = '' or o.cause = $4
		group by c.cause, c.words, c.since, c.links, c.memberships, c.batch, c.held, c.recent
		order by c.since, c.cause`, string(k.Directory), k.App, string(v), only)
	if err != nil {
		return nil, err
	}
	for i := range all {
		c := &all[i]
		if c.Reasons, err = collect(ctx, tx, func(row scanner) (r provision.HeldReason, err error) {
			err = row.Scan(&r.Reason, &r.Count)
			return r, err
		}, `
			select o.reason, count(*)
			from `+heldOperations+` o
			where o.cause = $4
			group by o.reason
			order by 2 desc, 1
			limit 20`, string(k.Directory), k.App, string(v), c.ID); err != nil {
			return nil, err
		}
		objects, err := heldObjects(ctx, tx, k, c.ID, v, "", namesPerCause)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			c.Names = append(c.Names, o.Name)
		}
	}
	return all, nil
}

// heldOperations is a subquery for the operations of a job that have the verdict $3. member is 1
// for the removal of a member from a group, and 0 for an account or a group.
const heldOperations = `(
	select cause, reason, 0 as member
	from job_pending
	where directory = $1 and app = $2 and verdict = $3
	union all
	select cause, reason, 1
	from job_member
	where directory = $1 and app = $2 and verdict = $3 and verdict <> 'ready')`

// HeldObjects returns one page of a cause's operations with this verdict. They are ordered by their
// place: the object id, or for the removal of a member the ids of the group and the member.
func (s Provisioning) HeldObjects(ctx context.Context, k provision.Key, cause string, v provision.Verdict, after string, limit int) (all []provision.HeldObject, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = heldObjects(ctx, tx, k, cause, v, after, limit)
		return err
	})
	return all, err
}

// heldObjects does what HeldObjects does, in the caller's transaction.
func heldObjects(ctx context.Context, tx *sqldb.Tx, k provision.Key, cause string, v provision.Verdict, after string, limit int) ([]provision.HeldObject, error) {
	return collect(ctx, tx, func(row scanner) (o provision.HeldObject, err error) {
		var since int64
		err = row.Scan(&o.Place, &o.ObjectID, &o.Group, &o.TargetID, &o.Name, &o.Reason, &since)
		o.Since = fromMicros(since)
		return o, err
	}, `
		select o.place, o.object_id, o.group_id, coalesce(l.target_id, ''), case when coalesce(l.name, '') = '' then o.object_id else l.name end,
			o.reason, o.since
		from (
			select object_id as place, object_id, '' as group_id, reason, since
			from job_pending
			where directory = $1 and app = $2 and verdict = $3 and cause = $4
			union all
			select group_id || $7 || member, member, group_id, reason, since
			from job_member
			where directory = $1 and app = $2 and verdict = $3 and verdict <> 'ready' and cause = $4) o
		left join job_link l on l.directory = $1 and l.app = $2 and l.object_id = o.object_id
		where o.place > $5
		order by o.place
		limit $6`, string(k.Directory), k.App, string(v), cause, after, limit, provision.MembersOf("")+"/")
}

// Decide approves or rejects the operations of a cause that are on hold. It returns
// provision.ErrNothingHeld if there are none. batch is the cause's batch number that the
// administrator has seen. The number grows when operations are put on hold, and then Decide returns
// provision.ErrChanged.
func (s Provisioning) Decide(ctx context.Context, k provision.Key, cause string, batch int, approve bool, decided func(provision.HeldCause) event.Event) (held provision.HeldCause, err error) {
	err = s.change(ctx, k, func(tx *sqldb.Tx) error {
		t := jobTx{tx: tx, directory: string(k.Directory), app: k.App}
		var now int
		err := tx.QueryRow(ctx, `
			select batch
			from job_cause
			where directory = $1 and app = $2 and cause = $3`+tx.ForUpdate(), t.directory, t.app, cause).Scan(&now)
		if errors.Is(err, sql.ErrNoRows) {
			return provision.ErrNothingHeld
		}
		if err != nil {
			return err
		}
		found, err := heldCauses(ctx, tx, k, provision.OnHold, cause)
		switch {
		case err != nil:
			return err
		case len(found) == 0:
			return provision.ErrNothingHeld
		case batch != provision.AnyBatch && batch != now:
			return provision.ErrChanged
		}
		held = found[0]
		verdict := provision.Rejected
		if approve {
			verdict = provision.Ready
		}
		if err := t.exec(ctx, `
			update job_pending
			set verdict = $4, not_before = 0, turn = turn + 1,
				cause = case when $4 = 'ready' then '' else cause end,
				reason = case when $4 = 'ready' then '' else reason end
			where directory = $1 and app = $2 and verdict = 'held' and cause = $3`, cause, string(verdict)); err != nil {
			return err
		}
		if err := t.changeMemberVerdicts(ctx, cause, provision.OnHold, verdict); err != nil {
			return err
		}
		if err := t.exec(ctx, `
			update job_cause
			set held = 0, passed = passed + $4, members_passed = members_passed + $5
			where directory = $1 and app = $2 and cause = $3`, cause, boolToInt(approve)*int64(held.Count-held.Members), boolToInt(approve)*int64(held.Members)); err != nil {
			return err
		}
		if err := wakeLease(ctx, tx, provision.LeaseKind, k.String()); err != nil {
			return err
		}
		return appendEvent(ctx, tx, decided(held))
	})
	return held, err
}

// HeldOperations returns how many operations of all jobs are on hold.
func (s Provisioning) HeldOperations(ctx context.Context) (n int, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select (
				select count(*)
				from job j
				join job_pending p on p.directory = j.directory and p.app = j.app and p.verdict = 'held') + (
				select count(*)
				from job j
				join job_member m on m.directory = j.directory and m.app = j.app and m.verdict = 'held' and m.verdict <> 'ready')`).Scan(&n)
	})
	return n, err
}
