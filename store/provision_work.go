package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// updateUnderFence runs fn in a transaction that first checks the fence: its epoch must be the
// current epoch of the job's lease. Otherwise it returns ErrLeaseLost.
func (s Provisioning) updateUnderFence(ctx context.Context, f provision.Fence, fn func(jobTx) error) error {
	return s.change(ctx, f.Key, func(tx *sqldb.Tx) error {
		if err := checkLease(ctx, tx, provision.LeaseKind, f.Key.String(), f.Epoch); err != nil {
			return err
		}
		return fn(jobTx{tx: tx, directory: string(f.Key.Directory), app: f.Key.App})
	})
}

// jobTx is a transaction that reads and writes the rows of one job.
type jobTx struct {
	tx             *sqldb.Tx
	directory, app string // the key of the job
	hasNoRelations bool   // what isUnrelated has returned in this transaction
}

// exec runs a statement whose first two arguments are the job's key.
func (t jobTx) exec(ctx context.Context, query string, args ...any) error {
	return t.tx.Send(ctx, query, append([]any{t.directory, t.app}, args...)...)
}

// SaveState writes the job's state, with an event unless e is nil.
func (s Provisioning) SaveState(ctx context.Context, f provision.Fence, st provision.State, e *event.Event) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		if err := t.saveState(ctx, st); err != nil {
			return err
		}
		if e == nil {
			return nil
		}
		return appendEvent(ctx, t.tx, *e)
	})
}

// saveState stores the state of the job.
func (t jobTx) saveState(ctx context.Context, st provision.State) error {
	document, err := json.Marshal(st)
	if err != nil {
		return fmt.Errorf("write state of job: %w", err)
	}
	return t.exec(ctx, `
		update job_state
		set state = $3
		where directory = $1 and app = $2`, string(document))
}

// Import puts objects on the work list and saves the job's state. An object that is already on the
// list keeps the time at which its wait began. Unless the object has changed in the source, it also
// keeps a more urgent lane. Its turn grows, so that the outcome of an earlier turn does not remove
// its row. The reason Why of a row becomes the new one, unless the new one is ByAbsence or the old
// one is ByDemand or ByPlan. The causes in ended make no more changes.
func (s Provisioning) Import(ctx context.Context, f provision.Fence, st provision.State, listed []provision.Listed, ended ...string) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		now := micros(t.tx.Now())
		for _, l := range listed {
			if l.Takes && l.Why == provision.ByCycle {
				state, err := t.linkState(ctx, l.ObjectID)
				if err != nil {
					return err
				}
				if state != l.State {
					l = l.WithoutGuard()
				}
			}
			if err := t.putOnWorkList(ctx, l, now); err != nil {
				return err
			}
			if err := t.markMemberships(ctx, l); err != nil {
				return err
			}
		}
		if err := t.markCausesComplete(ctx, ended); err != nil {
			return err
		}
		return t.saveState(ctx, st)
	})
}

// linkState returns the state of an object's link, or "" if it has none.
func (t jobTx) linkState(ctx context.Context, objectID string) (state provision.LinkState, err error) {
	err = t.tx.QueryRow(ctx, `
		select state
		from job_link
		where directory = $1 and app = $2 and object_id = $3`, t.directory, t.app, objectID).Scan(&state)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return state, err
}

// Forget deletes the stored data that what names. A job forgets its links, for example, when it is
// connected to another target.
func (s Provisioning) Forget(ctx context.Context, f provision.Fence, st provision.State, what provision.Forget) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		var tables []string
		if what.Links {
			tables = append(tables, "job_link", "job_op", "job_awaited", "job_cause", "job_drawn", "job_member", "job_member_read", "job_member_request")
		}
		if what.Escrows {
			tables = append(tables, "job_escrow")
		}
		if what.Unmatched {
			tables = append(tables, "job_unmatched")
		}
		for _, table := range tables {
			if err := t.exec(ctx, `
				delete from `+table+`
				where directory = $1 and app = $2`); err != nil {
				return err
			}
		}
		if what.Links { // the guard's verdicts are about accounts that the job forgets
			if err := t.exec(ctx, `
				delete from job_pending
				where directory = $1 and app = $2 and (verdict <> 'ready' or takes <> 0)`); err != nil {
				return err
			}
		}
		return t.saveState(ctx, st)
	})
}

// recordIntent records that the engine is about to send the create of an account.
func (t jobTx) recordIntent(ctx context.Context, o *provision.Op) error {
	keys, err := json.Marshal(o.Keys)
	if err != nil {
		return fmt.Errorf("write match keys: %w", err)
	}
	if err := t.exec(ctx, `
		insert into job_op (directory, app, object_id, id, match_keys, sent, cycle, times, kind)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
		on conflict (directory, app, object_id) do update
		set id = excluded.id, match_keys = excluded.match_keys, sent = excluded.sent, cycle = excluded.cycle, times = excluded.times,
			kind = excluded.kind`,
		o.ObjectID, o.ID, string(keys), micros(o.Sent), o.Cycle, o.Times, string(o.Kind)); err != nil {
		return err
	}
	return t.putDrawn(ctx, o)
}

// Record stores several outcomes and the job's state. An outcome is what the work on a person or
// group has led to, the results about a group's memberships, or a request that is about to be sent.
func (s Provisioning) Record(ctx context.Context, f provision.Fence, st provision.State, outcomes []provision.Outcome) error {
	return s.updateUnderFence(ctx, f, func(t jobTx) error {
		// Remove all links before adding any: an account may move from one of these people to
		// another.
		for _, o := range outcomes {
			if err := t.removeLink(ctx, o); err != nil {
				return err
			}
		}
		var err error
		if t.hasNoRelations, err = t.isUnrelated(ctx, outcomes); err != nil {
			return err
		}
		for _, o := range outcomes {
			if err := t.recordOutcome(ctx, o); err != nil {
				return fmt.Errorf("record %s: %w", o.ObjectID, err)
			}
		}
		if err := t.wakeWaiting(ctx, outcomes); err != nil {
			return err
		}
		return t.saveState(ctx, st)
	})
}

// isUnrelated reports whether the job has no memberships and no references, and the outcomes add
// none. Then the creation, removal or change of an account affects no other object. If no account
// was created, removed or changed, isUnrelated returns false without a query.
func (t jobTx) isUnrelated(ctx context.Context, outcomes []provision.Outcome) (bool, error) {
	moved := false
	for _, o := range outcomes {
		if len(o.MemberOf) > 0 || o.Memberships != nil || o.Link != nil && o.Link.Refers != "" {
			return false, nil
		}
		moved = moved || o.AccountMoved
	}
	if !moved {
		return false, nil
	}
	var related bool
	err := t.tx.QueryRow(ctx, `
		select exists (select 1 from job_member where directory = $1 and app = $2)
			or exists (select 1 from job_link where directory = $1 and app = $2 and refers <> '')`, t.directory, t.app).Scan(&related)
	return !related, err
}

// removeLink removes the link of the outcome's object if o.Unlink is true. If the object takes over
// the account of another object, removeLink removes that object's link.
func (t jobTx) removeLink(ctx context.Context, o provision.Outcome) error {
	if o.TakesAccountOf != "" {
		if err := t.exec(ctx, `
			delete from job_link
			where directory = $1 and app = $2 and object_id = $3 and target_id = $4`, o.TakesAccountOf, o.Link.TargetID); err != nil {
			return err
		}
		if err := t.passDrawn(ctx, o.TakesAccountOf, o.ObjectID); err != nil {
			return err
		}
	}
	if !o.Unlink {
		return nil
	}
	if err := t.dropDrawn(ctx, o.ObjectID); err != nil {
		return err
	}
	return t.exec(ctx, `
		delete from job_link
		where directory = $1 and app = $2 and object_id = $3`, o.ObjectID)
}

// recordOutcome stores one outcome. Record has called removeLink for it already.
func (t jobTx) recordOutcome(ctx context.Context, o provision.Outcome) error {
	switch {
	case o.Intent != nil:
		return t.recordIntent(ctx, o.Intent)
	case o.AboutToSend:
		return nil // the job's state, which Record saves, lists the requests that are being sent
	case o.Memberships != nil && o.Memberships.IsNewPage:
		return t.recordNewMembers(ctx, o.ObjectID, o.Memberships)
	case o.Memberships != nil:
		return t.recordMembers(ctx, o.ObjectID, o.Memberships)
	case o.Planned.Plan != "" && isWorkOnMembers(o.ObjectID):
		return t.recordPlannedGroup(ctx, o)
	case o.Planned.Result == provision.PlanLeftOut:
		return t.endPlanned(ctx, o.ObjectID, o.Planned)
	case o.Judge != nil:
		return t.putOnWorkList(ctx, *o.Judge, micros(t.tx.Now()))
	}
	if err := t.markPlanned(ctx, o.ObjectID, o.Planned); err != nil {
		return err
	}
	steps := []func(context.Context, provision.Outcome) error{t.settlePending, t.putLink, t.dropOp, t.putEscrow, t.putUnmatched, t.applyMembersChange, t.recheckMoved, t.addEntry}
	for _, step := range steps {
		if err := step(ctx, o); err != nil {
			return err
		}
	}
	return nil
}

// isWorkOnMembers reports whether an id on the work list stands for the memberships of a group.
// Such an id ends in "#members". So may the id for an account that no user has, which is another
// kind of work.
func isWorkOnMembers(id string) bool {
	_, account := provision.AccountOfWork(id)
	return !account && strings.HasSuffix(id, provision.MembersOf(""))
}

// settlePending removes an object from the work list, or gives it a later due time. It changes
// nothing if the object was put on the list again after the outcome's turn. A row that is not ready
// is worked on only for a plan; it keeps the reason that the guard stored.
func (t jobTx) settlePending(ctx context.Context, o provision.Outcome) error {
	if o.ObjectID == "" {
		return nil
	}
	if o.Postpone.IsZero() {
		return t.exec(ctx, `
			delete from job_pending
			where directory = $1 and app = $2 and object_id = $3 and ($4 = 0 or turn = $4)`, o.ObjectID, o.Turn)
	}
	return t.exec(ctx, `
		update job_pending
		set not_before = $4, reason = case when verdict = 'ready' then $5 else reason end
		where directory = $1 and app = $2 and object_id = $3 and ($6 = 0 or turn = $6)`, o.ObjectID, micros(o.Postpone), o.WaitReason, o.Turn)
}

// putLink stores the link of the outcome, unless the outcome has none.
func (t jobTx) putLink(ctx context.Context, o provision.Outcome) error {
	l := o.Link
	if l == nil {
		return nil
	}
	keys, err := json.Marshal(append([]provision.MatchKey{}, l.Keys...))
	if err != nil {
		return fmt.Errorf("write match keys: %w", err)
	}
	aside := ""
	if l.Aside != nil {
		text, err := json.Marshal(l.Aside)
		if err != nil {
			return fmt.Errorf("write temporary value: %w", err)
		}
		aside = string(text)
	}
	if err := t.exec(ctx, `
		insert into job_link (directory, app, object_id, target_id, how, state, hash, name, since, updated, match_keys, kind, wrote, version, proved, first_key, aside, refers)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
		on conflict (directory, app, object_id) do update
		set target_id = excluded.target_id, how = excluded.how, state = excluded.state, hash = excluded.hash,
			name = excluded.name, since = excluded.since, updated = excluded.updated, match_keys = excluded.match_keys,
			kind = excluded.kind, wrote = excluded.wrote, version = excluded.version, proved = excluded.proved,
			first_key = excluded.first_key, aside = excluded.aside, refers = excluded.refers`,
		o.ObjectID, l.TargetID, l.How, string(l.State), l.Hash, l.Name, micros(l.Since), micros(l.Updated), string(keys),
		string(cmp.Or(l.Kind, provision.UserKind)), l.Wrote.Text(), l.Version, micros(l.Proved), l.FirstKey(), aside, l.Refers); err != nil {
		return err
	}
	return t.checkReference(ctx, l, o.RefersTo)
}

// dropOp deletes what recordIntent stored, if o.DropOp is true.
func (t jobTx) dropOp(ctx context.Context, o provision.Outcome) error {
	if !o.DropOp {
		return nil
	}
	if o.Link == nil {
		if err := t.dropDrawn(ctx, o.ObjectID); err != nil {
			return err
		}
	}
	return t.exec(ctx, `
		delete from job_op
		where directory = $1 and app = $2 and object_id = $3`, o.ObjectID)
}

// putEscrow puts the object into the retry queue if o.Escrow is set, or removes it from the queue
// if o.DropFail is true.
func (t jobTx) putEscrow(ctx context.Context, o provision.Outcome) error {
	e := o.Escrow
	switch {
	case e != nil:
		return t.exec(ctx, `
			insert into job_escrow (directory, app, object_id, name, first_failed, last_failed, next_at, count, code, reason, lane)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			on conflict (directory, app, object_id) do update
			set name = excluded.name, last_failed = excluded.last_failed, next_at = excluded.next_at,
				count = excluded.count, code = excluded.code, reason = excluded.reason, lane = excluded.lane`,
			o.ObjectID, e.Name, micros(e.First), micros(e.Last), micros(e.Next), e.Count, e.Code, e.Reason, int(e.Lane))
	case o.DropFail:
		return t.exec(ctx, `
			delete from job_escrow
			where directory = $1 and app = $2 and object_id = $3`, o.ObjectID)
	}
	return nil
}

// putUnmatched records whether the object has no account. It does nothing if o.Unmatched is nil.
func (t jobTx) putUnmatched(ctx context.Context, o provision.Outcome) error {
	switch {
	case o.Unmatched == nil:
		return nil
	case *o.Unmatched:
		return t.exec(ctx, `
			insert into job_unmatched (directory, app, object_id)
			values ($1, $2, $3)
			on conflict do nothing`, o.ObjectID)
	}
	return t.exec(ctx, `
		delete from job_unmatched
		where directory = $1 and app = $2 and object_id = $3`, o.ObjectID)
}
