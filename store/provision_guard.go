package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// keepVerdict is the condition that a row which is listed again keeps what the guard knows of it.
// The placeholders are one Keeps.
const keepVerdict = `(
	($12 = 1 and job_pending.verdict = 'held')
	or ($13 = 1 and job_pending.verdict in ('judging', 'late'))
	or ($14 = 1 and job_pending.verdict = 'judging' and job_pending.cause like '` + event.ImportCause + `%')
	or ($15 = 1 and job_pending.verdict = 'rejected')
	or ($16 = 1 and job_pending.verdict = 'ready' and job_pending.takes = 1))`

// importOne puts one object on the work list, or lists it again.
//
// A row that no longer takes access away is ready. If it was on hold or judged, it keeps its cause:
// the mapping may still take access away, and then a worker finds that out.
func (t jobTx) importOne(ctx context.Context, l provision.Listed, now int64) error {
	reason := l.Reason
	if l.Verdict() == provision.Ready {
		reason = ""
	}
	return t.exec(ctx, `
		insert into job_pending (directory, app, object_id, why, not_before, lane, since, verdict, cause, takes, reason)
		values ($1, $2, $3, $4, 0, $5, $6, $9, $10, $11, $17)
		on conflict (directory, app, object_id) do update
		set not_before = 0, turn = job_pending.turn + 1,
			why = case when excluded.why = $7 then job_pending.why else excluded.why end,
			lane = case
				when `+keepVerdict+` then job_pending.lane
				when excluded.why <> $8 and job_pending.lane < excluded.lane then job_pending.lane
				else excluded.lane end,
			verdict = case when `+keepVerdict+` then job_pending.verdict else excluded.verdict end,
			takes = case when `+keepVerdict+` then job_pending.takes else excluded.takes end,
			reason = case when `+keepVerdict+` then job_pending.reason else excluded.reason end,
			cause = case
				when `+keepVerdict+` then job_pending.cause
				when excluded.takes = 0 and job_pending.verdict = 'held' then job_pending.cause
				when excluded.takes = 0 and excluded.cause = '' and job_pending.verdict in ('judging', 'late') then job_pending.cause
				else excluded.cause end
		where $18 = 0 or job_pending.turn = $18`,
		l.ObjectID, string(l.Why), int(l.Lane), now, string(provision.ByAbsence), string(provision.ByChange),
		string(l.Verdict()), l.Cause, number(l.Takes), number(l.Keeps.Held), number(l.Keeps.Judging), number(l.Keeps.ImportJudging),
		number(l.Keeps.Rejected), number(l.Keeps.Free), reason, l.Turn)
}

func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// endCauses notes that no change of these causes follows. It removes the notes of causes that have
// nothing on the list any more and are a month old.
func (t jobTx) endCauses(ctx context.Context, causes []string) error {
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
				where p.directory = job_cause.directory and p.app = job_cause.app and p.cause = job_cause.cause)`,
			micros(now.AddDate(0, -1, 0))); err != nil {
			return err
		}
	}
	return nil
}

// Judging returns the causes that have rows to judge.
func (s Provisioning) Judging(ctx context.Context, k provision.Key) (all []provision.JudgedCause, err error) {
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
				from job_pending
				where directory = $1 and app = $2 and verdict in ('judging', 'late')
				group by cause) p
			left join job_cause c on c.directory = $1 and c.app = $2 and c.cause = p.cause
			order by p.cause`, string(k.Directory), k.App)
		return err
	})
	return all, err
}

// Judge counts the rows of a cause that are to be judged, and lets them through or holds them.
func (s Provisioning) Judge(ctx context.Context, f provision.Fence, cause, words string, held func(provision.Judgement) event.Event) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		var j provision.Judgement
		var onHold, passed, links int
		if err := t.tx.QueryRow(ctx, `
			select
				(select count(*) from job_pending where directory = $1 and app = $2 and verdict in ('judging', 'late') and cause = $3),
				(select count(*) from job_pending where directory = $1 and app = $2 and verdict = 'held' and cause = $3),
				(select count(*) from job_link where directory = $1 and app = $2 and state = $4),
				coalesce((select passed from job_cause where directory = $1 and app = $2 and cause = $3), 0),
				coalesce((select links from job_cause where directory = $1 and app = $2 and cause = $3), 0)`,
			t.directory, t.app, cause, string(provision.Active)).Scan(&j.Count, &onHold, &j.Links, &passed, &links); err != nil {
			return err
		}
		if j.Count == 0 {
			return nil
		}
		j.Links, j.Another = max(j.Links, links), onHold > 0
		j.Judge(passed + onHold)
		verdict, more := string(provision.Ready), 0
		if j.Held {
			verdict, more = string(provision.OnHold), 1
			onHold += j.Count
		} else {
			passed += j.Count
		}
		if err := t.exec(ctx, `
			update job_pending
			set verdict = $4, not_before = 0,
				cause = case when $4 = 'held' then cause else '' end,
				reason = case when $4 = 'held' then reason else '' end
			where directory = $1 and app = $2 and verdict in ('judging', 'late') and cause = $3`, cause, verdict); err != nil {
			return err
		}
		if err := t.exec(ctx, `
			insert into job_cause (directory, app, cause, words, since, passed, links, batch, held)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
			on conflict (directory, app, cause) do update
			set words = excluded.words, passed = excluded.passed, links = excluded.links, batch = job_cause.batch + excluded.batch, held = excluded.held`,
			cause, words, micros(t.tx.Now()), passed, j.Links, more, onHold); err != nil {
			return err
		}
		if !j.Held || j.Another {
			return nil
		}
		return appendEvent(ctx, t.tx, held(j))
	})
}

// heldNames is how many names a cause shows.
const heldNames = 5

// HeldCauses returns the causes with rows of a verdict, the oldest first.
func (s Provisioning) HeldCauses(ctx context.Context, k provision.Key, v provision.Verdict) (all []provision.HeldCause, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = heldCauses(ctx, tx, k, v, "")
		return err
	})
	return all, err
}

func heldCauses(ctx context.Context, tx *sqldb.Tx, k provision.Key, v provision.Verdict, only string) ([]provision.HeldCause, error) {
	all, err := collect(ctx, tx, func(row scanner) (c provision.HeldCause, err error) {
		var since int64
		var were int
		err = row.Scan(&c.ID, &c.Words, &since, &c.Links, &c.Batch, &were, &c.Count)
		c.Since, c.Changed = fromMicros(since), max(were-c.Count, 0)
		return c, err
	}, `
		select c.cause, c.words, c.since, c.links, c.batch, c.held, count(*)
		from job_pending p
		join job_cause c on c.directory = p.directory and c.app = p.app and c.cause = p.cause
		where p.directory = $1 and p.app = $2 and p.verdict = $3 and ($4 = '' or p.cause = $4)
		group by c.cause, c.words, c.since, c.links, c.batch, c.held
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
			select reason, count(*)
			from job_pending
			where directory = $1 and app = $2 and verdict = $3 and cause = $4
			group by reason
			order by 2 desc, 1
			limit 20`, string(k.Directory), k.App, string(v), c.ID); err != nil {
			return nil, err
		}
		objects, err := heldObjects(ctx, tx, k, c.ID, v, "", heldNames)
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			c.Names = append(c.Names, o.Name)
		}
	}
	return all, nil
}

// HeldObjects pages through the rows of a cause with a verdict, by object id.
func (s Provisioning) HeldObjects(ctx context.Context, k provision.Key, cause string, v provision.Verdict, after string, limit int) (all []provision.HeldObject, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = heldObjects(ctx, tx, k, cause, v, after, limit)
		return err
	})
	return all, err
}

func heldObjects(ctx context.Context, tx *sqldb.Tx, k provision.Key, cause string, v provision.Verdict, after string, limit int) ([]provision.HeldObject, error) {
	return collect(ctx, tx, func(row scanner) (o provision.HeldObject, err error) {
		var since int64
		err = row.Scan(&o.ObjectID, &o.TargetID, &o.Name, &o.Reason, &since)
		o.Since = fromMicros(since)
		return o, err
	}, `
		select p.object_id, coalesce(l.target_id, ''), case when coalesce(l.name, '') = '' then p.object_id else l.name end, p.reason, p.since
		from job_pending p
		left join job_link l on l.directory = p.directory and l.app = p.app and l.object_id = p.object_id
		where p.directory = $1 and p.app = $2 and p.verdict = $3 and p.cause = $4 and p.object_id > $5
		order by p.object_id
		limit $6`, string(k.Directory), k.App, string(v), cause, after, limit)
}

// Decide approves or rejects the rows of a cause that are on hold.
func (s Provisioning) Decide(ctx context.Context, k provision.Key, cause string, batch int, approve bool, decided func(provision.HeldCause) event.Event) (held provision.HeldCause, err error) {
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
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
		if err := t.exec(ctx, `
			update job_cause
			set held = 0, passed = passed + $4
			where directory = $1 and app = $2 and cause = $3`, cause, number(approve)*held.Count); err != nil {
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
			select count(*)
			from job j
			join job_pending p on p.directory = j.directory and p.app = j.app and p.verdict = 'held'`).Scan(&n)
	})
	return n, err
}
