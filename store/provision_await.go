package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// Holder returns the id of the object whose account has this value of the first matching attribute,
// such as this user name. It returns "" if there is none.
func (s Provisioning) Holder(ctx context.Context, k provision.Key, key provision.MatchKey) (objectID string, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		err := tx.QueryRow(ctx, `
			select object_id
			from job_link
			where directory = $1 and app = $2 and first_key = $3
			order by object_id
			limit 1`, string(k.Directory), k.App, key.Folded()).Scan(&objectID)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return objectID, err
}

// Awaited returns the matching value for which an object waits because another account has it. It
// returns nil if the object waits for none.
func (s Provisioning) Awaited(ctx context.Context, k provision.Key, objectID string) (a *provision.Awaited, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		found := provision.Awaited{}
		var key string
		var since int64
		err := tx.QueryRow(ctx, `
			select holder, match_key, since
			from job_awaited
			where directory = $1 and app = $2 and object_id = $3`, string(k.Directory), k.App, objectID).Scan(&found.Holder, &key, &since)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := json.Unmarshal([]byte(key), &found.Key); err != nil {
			return fmt.Errorf("read what %s waits for: %w", objectID, err)
		}
		found.Since = fromMicros(since)
		a = &found
		return nil
	})
	return a, err
}

// wakeWaiting records which objects wait for a matching value that another account still has, as
// the outcomes say. It makes objects due whose wait has ended: the value has become free, the
// change of the account that has the value has failed, or objects may wait for each other in a
// circle.
func (t jobTx) wakeWaiting(ctx context.Context, outcomes []provision.Outcome) error {
	for _, o := range outcomes {
		if o.Awaits == nil && o.DropFail {
			if err := t.exec(ctx, `
				delete from job_awaited
				where directory = $1 and app = $2 and object_id = $3`, o.ObjectID); err != nil {
				return err
			}
		}
		if o.Awaits == nil {
			continue
		}
		key, err := json.Marshal(o.Awaits.Key)
		if err != nil {
			return fmt.Errorf("write what %s waits for: %w", o.ObjectID, err)
		}
		if err := t.exec(ctx, `
			insert into job_awaited (directory, app, object_id, holder, value, match_key, since)
			values ($1, $2, $3, $4, $5, $6, $7)
			on conflict (directory, app, object_id) do update
			set holder = excluded.holder, value = excluded.value, match_key = excluded.match_key, since = excluded.since`,
			o.ObjectID, o.Awaits.Holder, o.Awaits.Key.Folded(), string(key), micros(o.Awaits.Since)); err != nil {
			return err
		}
		if !o.Awaits.Fresh {
			continue
		}
		// Make the object due at once if no account has the value any more, or if the object whose
		// account has it waits for a value, too. In the second case the engine looks for a circle.
		if err := t.makeDue(ctx, `
			select a.object_id
			from job_awaited a
			where a.directory = $1 and a.app = $2 and a.object_id = $3 and (
				not exists (
					select 1
					from job_link l
					where l.directory = a.directory and l.app = a.app and l.first_key = a.value)
				or exists (
					select 1
					from job_awaited h
					where h.directory = a.directory and h.app = a.app and h.object_id = a.holder))`, o.ObjectID); err != nil {
			return err
		}
	}
	for _, o := range outcomes {
		for _, k := range o.FreedKeys {
			if err := t.makeDue(ctx, `
				select object_id
				from job_awaited
				where directory = $1 and app = $2 and value = $3`, k.Folded()); err != nil {
				return err
			}
		}
		if o.Escrow != nil {
			if err := t.exec(ctx, `
				update job_pending
				set not_before = 0, turn = turn + 1
				where directory = $1 and app = $2 and object_id in (
					select object_id
					from job_awaited
					where directory = $1 and app = $2 and holder = $3)`, o.ObjectID); err != nil {
				return err
			}
		}
		for _, id := range o.LookAtToo {
			if err := t.makeDue(ctx, `
				select object_id
				from job_link
				where directory = $1 and app = $2 and object_id = $3`, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// makeDue puts objects on the work list, due at once. query selects their ids as object_id.
func (t jobTx) makeDue(ctx context.Context, query string, args ...any) error {
	return t.exec(ctx, `
		insert into job_pending (directory, app, object_id, why, not_before)
		select $1, $2, object_id, '`+string(provision.ByRetry)+`', 0
		from (`+query+`) woken
		where true
		on conflict (directory, app, object_id) do update
		set not_before = 0, turn = job_pending.turn + 1, reason = ''`, args...)
}
