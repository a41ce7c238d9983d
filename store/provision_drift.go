package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// A comparison compares the accounts in the application with what the job has sent. Drift is a
// difference that it has found.

// AddDrift adds differences to a comparison that has not ended.
func (s Provisioning) AddDrift(ctx context.Context, k provision.Key, id string, found []provision.Drift) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		t := jobTx{tx: tx, directory: string(k.Directory), app: k.App}
		if err := t.checkJob(ctx); err != nil {
			return err
		}
		for _, one := range found {
			document, err := json.Marshal(one)
			if err != nil {
				return fmt.Errorf("write the difference of %s: %w", one.ObjectID, err)
			}
			if err := t.exec(ctx, `
				insert into job_drift_object (directory, app, comparison, object_id, found)
				values ($1, $2, $3, $4, $5)
				on conflict (directory, app, comparison, object_id) do update
				set found = excluded.found`, id, one.ObjectID, string(document)); err != nil {
				return err
			}
		}
		return nil
	})
}

// checkJob locks the job's row until the transaction ends. It returns provision.ErrNoJob if the job
// was deleted in the meantime.
func (t jobTx) checkJob(ctx context.Context) error {
	var version int64
	err := t.tx.QueryRow(ctx, `
		select version
		from job
		where directory = $1 and app = $2`+t.tx.ForUpdate(), t.directory, t.app).Scan(&version)
	return orNotFound(err, provision.ErrNoJob)
}

// EndDrift stores a comparison that has ended as the last comparison of the job, and removes the
// differences of earlier comparisons. If another comparison began later and has ended already, that
// one stays the last, and EndDrift removes the differences of this one.
func (s Provisioning) EndDrift(ctx context.Context, k provision.Key, r provision.DriftReport, e *event.Event) error {
	document, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		t := jobTx{tx: tx, directory: string(k.Directory), app: k.App}
		if err := t.checkJob(ctx); err != nil {
			return err
		}
		before, err := lastDrift(ctx, tx, k)
		if err != nil {
			return err
		}
		if before.Started.After(r.Started) {
			return t.exec(ctx, `
				delete from job_drift_object
				where directory = $1 and app = $2 and comparison = $3`, r.ID)
		}
		if err := t.exec(ctx, `
			insert into job_drift (directory, app, id, report)
			values ($1, $2, $3, $4)
			on conflict (directory, app) do update
			set id = excluded.id, report = excluded.report`, r.ID, string(document)); err != nil {
			return err
		}
		if err := t.exec(ctx, `
			delete from job_drift_object
			where directory = $1 and app = $2 and (comparison < $3 or comparison = $4)`, r.ID, cmp.Or(before.ID, "none")); err != nil {
			return err
		}
		if e == nil {
			return nil
		}
		return appendEvent(ctx, tx, *e)
	})
}

// LastDrift returns the last comparison of a job. Its ID is "" if there was none.
func (s Provisioning) LastDrift(ctx context.Context, k provision.Key) (r provision.DriftReport, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		r, err = lastDrift(ctx, tx, k)
		return err
	})
	return r, err
}

// lastDrift does what LastDrift does, in the caller's transaction.
func lastDrift(ctx context.Context, tx *sqldb.Tx, k provision.Key) (r provision.DriftReport, err error) {
	var document string
	err = tx.QueryRow(ctx, `
		select report
		from job_drift
		where directory = $1 and app = $2`, string(k.Directory), k.App).Scan(&document)
	if errors.Is(err, sql.ErrNoRows) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(document), &r); err != nil {
		return r, fmt.Errorf("read the comparison of %s: %w", k, err)
	}
	return r, nil
}

// DriftOf returns the difference of one object in the last comparison. If there is none, its
// ObjectID is "".
func (s Provisioning) DriftOf(ctx context.Context, k provision.Key, objectID string) (found provision.Drift, err error) {
	var document string
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select o.found
			from job_drift_object o
			join job_drift d on d.directory = o.directory and d.app = o.app and d.id = o.comparison
			where o.directory = $1 and o.app = $2 and o.object_id = $3`, string(k.Directory), k.App, objectID).Scan(&document)
	})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return found, nil
	case err != nil:
		return found, err
	}
	if err := json.Unmarshal([]byte(document), &found); err != nil {
		return found, fmt.Errorf("read a difference: %w", err)
	}
	return found, nil
}

// ListDrift returns a page of the differences of the last comparison, ordered by object id.
func (s Provisioning) ListDrift(ctx context.Context, k provision.Key, after string, limit int) (page []provision.Drift, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		page, err = collect(ctx, tx, func(row scanner) (one provision.Drift, err error) {
			var document string
			if err := row.Scan(&document); err != nil {
				return one, err
			}
			if err := json.Unmarshal([]byte(document), &one); err != nil {
				return one, fmt.Errorf("read a difference: %w", err)
			}
			return one, nil
		}, `
			select o.found
			from job_drift_object o
			join job_drift d on d.directory = o.directory and d.app = o.app and d.id = o.comparison
			where o.directory = $1 and o.app = $2 and o.object_id > $3
			order by o.object_id
			limit $4`, string(k.Directory), k.App, after, limit)
		return err
	})
	return page, err
}

// DriftSchedule returns the schedule of a job's comparisons.
func (s Provisioning) DriftSchedule(ctx context.Context, k provision.Key) (schedule provision.DriftSchedule, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		schedule, err = driftSchedule(ctx, tx, k)
		return err
	})
	return schedule, err
}

// driftSchedule does what DriftSchedule does, in the caller's transaction.
func driftSchedule(ctx context.Context, tx *sqldb.Tx, k provision.Key) (provision.DriftSchedule, error) {
	s := provision.DriftSchedule{Every: provision.DriftOff, Policy: provision.DriftReports}
	var document string
	err := tx.QueryRow(ctx, `
		select schedule
		from job_drift_schedule
		where directory = $1 and app = $2`, string(k.Directory), k.App).Scan(&document)
	if errors.Is(err, sql.ErrNoRows) {
		return s, nil
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal([]byte(document), &s); err != nil {
		return s, fmt.Errorf("read the schedule of comparisons of %s: %w", k, err)
	}
	return s, nil
}

// ChangeDriftSchedule stores the schedule of a job's comparisons that change makes of the present
// one, and makes the lease of the comparisons due. If change returns an event, it appends the
// event.
func (s Provisioning) ChangeDriftSchedule(ctx context.Context, k provision.Key, change func(*provision.DriftSchedule) (*event.Event, error)) (schedule provision.DriftSchedule, err error) {
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		// This also locks the lease, so that two changes do not overwrite each other.
		if err := wakeLease(ctx, tx, provision.DriftKind, k.String()); err != nil {
			return err
		}
		t := jobTx{tx: tx, directory: string(k.Directory), app: k.App}
		if err := t.checkJob(ctx); err != nil {
			return err
		}
		if schedule, err = driftSchedule(ctx, tx, k); err != nil {
			return err
		}
		e, err := change(&schedule)
		if err != nil {
			return err
		}
		document, err := json.Marshal(schedule)
		if err != nil {
			return fmt.Errorf("write the schedule of comparisons: %w", err)
		}
		if err := t.exec(ctx, `
			insert into job_drift_schedule (directory, app, schedule)
			values ($1, $2, $3)
			on conflict (directory, app) do update
			set schedule = excluded.schedule`, string(document)); err != nil {
			return err
		}
		if e == nil {
			return nil
		}
		return appendEvent(ctx, tx, *e)
	})
	return schedule, err
}

// AdoptDrift stores the ledgers of links in which values of the target were adopted. rest holds the
// differences of these links that are left; those that are empty are removed.
func (s Provisioning) AdoptDrift(ctx context.Context, f provision.Fence, links []provision.Link, rest []provision.Drift, e event.Event) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		for _, l := range links {
			if err := t.exec(ctx, `
				update job_link
				set wrote = $5, hash = $6, updated = $7
				where directory = $1 and app = $2 and object_id = $3 and target_id = $4`, l.ObjectID, l.TargetID, l.Wrote.Text(), l.Hash, micros(l.Updated)); err != nil {
				return err
			}
		}
		for _, one := range rest {
			if len(one.Values)+len(one.Added)+len(one.Removed) == 0 {
				if err := t.exec(ctx, `
					delete from job_drift_object
					where directory = $1 and app = $2 and object_id = $3`, one.ObjectID); err != nil {
					return err
				}
				continue
			}
			document, err := json.Marshal(one)
			if err != nil {
				return fmt.Errorf("write the difference of %s: %w", one.ObjectID, err)
			}
			if err := t.exec(ctx, `
				update job_drift_object
				set found = $4
				where directory = $1 and app = $2 and object_id = $3`, one.ObjectID, string(document)); err != nil {
				return err
			}
		}
		return appendEvent(ctx, t.tx, e)
	})
}
