package store

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// Demand puts objects on the work list for somebody who provisions them on demand and waits for the
// outcome. It needs no lease: if a process works on such an object now, it has an earlier turn, and
// its outcome does not remove the new row.
func (s Provisioning) Demand(ctx context.Context, k provision.Key, listed []provision.Listed, e *event.Event) error {
	return s.change(ctx, k, func(tx *sqldb.Tx) error {
		t := jobTx{tx: tx, directory: string(k.Directory), app: k.App}
		now := micros(tx.Now())
		for _, l := range listed {
			if l.Lane == provision.Memberships {
				if err := t.readMembers(ctx, groupOfMembersID(l.ObjectID), ""); err != nil {
					return err
				}
			}
			if err := t.putOnWorkList(ctx, l, now); err != nil {
				return err
			}
		}
		if err := wakeLease(ctx, tx, provision.LeaseKind, k.String()); err != nil || e == nil {
			return err
		}
		return appendEvent(ctx, tx, *e)
	})
}

// PendingDemanded returns the next due objects on the work list, with everything stored about them.
// It returns only objects that Demand or an approved plan has put on the list.
func (s Provisioning) PendingDemanded(ctx context.Context, k provision.Key, now time.Time, limit int) (all []provision.Pending, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, scanPending, `
			select p.object_id, p.why, p.not_before, p.lane, p.since, p.turn, p.cause, p.takes, p.verdict, p.origin,`+knownColumns+`
			from (
				select directory, app, object_id, why, not_before, lane, since, turn, cause, takes, verdict, origin
				from job_pending
				where directory = $1 and app = $2 and (why = 'demand' and verdict = 'ready' or why = 'plan') and not_before <= $3
				order by lane, since, object_id
				limit $4) p`+knownJoins+`
			order by p.lane, p.since, p.object_id`, string(k.Directory), k.App, micros(now), limit)
		return err
	})
	return all, err
}

// Demanded returns the rows of these objects on the work list. Objects that are not on the list are
// left out.
func (s Provisioning) Demanded(ctx context.Context, k provision.Key, objectIDs []string) (rows []provision.Demanded, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		for _, id := range objectIDs {
			found, err := collect(ctx, tx, scanDemanded, `
				select object_id, why, lane, not_before, reason, verdict
				from job_pending
				where directory = $1 and app = $2 and object_id = $3`, string(k.Directory), k.App, id)
			if err != nil {
				return err
			}
			rows = append(rows, found...)
		}
		return nil
	})
	return rows, err
}

// scanDemanded reads a row of the query of Demanded.
func scanDemanded(row scanner) (d provision.Demanded, err error) {
	var lane, notBefore int64
	err = row.Scan(&d.ObjectID, &d.Why, &lane, &notBefore, &d.Reason, &d.Verdict)
	d.Lane, d.NotBefore = provision.Lane(lane), fromMicros(notBefore)
	return d, err
}
