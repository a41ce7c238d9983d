package store

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// OperatorKeys implements operator.KeyStore.
type OperatorKeys struct{ DB *DB }

// apiKeyColumns are the columns of an API key that scanAPIKey reads.
const apiKeyColumns = `k.directory, k.id, k.name, k.last4, k.level, k.created_by, k.created, k.expires, k.revoked, k.last_used, k.last_from`

// scanAPIKey reads the apiKeyColumns of a row.
func scanAPIKey(row scanner) (k operator.Key, err error) {
	var created, expires, revoked, used int64
	err = row.Scan(&k.Directory, &k.ID, &k.Name, &k.Last4, &k.Level, &k.CreatedBy, &created, &expires, &revoked, &used, &k.LastFrom)
	k.Created, k.Expires, k.Revoked, k.LastUsed = fromMicros(created), fromMicros(expires), fromMicros(revoked), fromMicros(used)
	return k, err
}

// AddKey stores a key and its event. It returns operator.ErrTooManyKeys if limit keys are live, and
// operator.ErrKeyFormUsed if the form made a key before.
func (s OperatorKeys) AddKey(ctx context.Context, k operator.Key, hash secret.Hash, form string, limit int, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		t := directoryTx{tx: tx, directory: k.Directory}
		if err := t.lock(ctx); err != nil {
			return err
		}
		var sent bool
		var live int
		if err := tx.QueryRow(ctx, `
			select count(*) filter (where form <> '' and form = $2) > 0, count(*) filter (where revoked = 0 and expires > $3)
			from operator_key
			where directory = $1`, k.Directory, form, micros(k.Created)).Scan(&sent, &live); err != nil {
			return err
		}
		switch {
		case sent:
			return operator.ErrKeyFormUsed
		case live >= limit:
			return operator.ErrTooManyKeys
		}
		if _, err := tx.Exec(ctx, `
			insert into operator_key (directory, id, hash, name, last4, level, created_by, created, expires, revoked, last_used, last_from, form)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, '', $10)`,
			k.Directory, k.ID, hash.String(), k.Name, k.Last4, string(k.Level), k.CreatedBy, micros(k.Created), micros(k.Expires), form); err != nil {
			return err
		}
		return appendEvent(ctx, tx, e)
	})
}

// Keys returns the keys of a directory, the newest first.
func (s OperatorKeys) Keys(ctx context.Context, directory string) (all []operator.Key, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, scanAPIKey, `
			select `+apiKeyColumns+`
			from operator_key k
			where k.directory = $1
			order by k.created desc, k.id`, directory)
		return err
	})
	return all, err
}

// FindKey returns the key with this hash of the directory with this name, live or not. It returns
// operator.ErrKeyUnauthorized if there is none.
func (s OperatorKeys) FindKey(ctx context.Context, directoryName string, hash secret.Hash) (k operator.Key, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		k, err = scanAPIKey(tx.QueryRow(ctx, `
			select `+apiKeyColumns+`
			from directory d
			join operator_key k on k.directory = d.id
			where d.name = $1 and d.deleted = 0 and k.hash = $2`, directoryName, hash.String()))
		return orNotFound(err, operator.ErrKeyUnauthorized)
	})
	return k, err
}

// RevokeKey ends a key and appends the event. It does nothing if the key is revoked already. It
// returns operator.ErrKeyNotFound if there is no such key.
func (s OperatorKeys) RevokeKey(ctx context.Context, directory, id string, at time.Time, e func(operator.Key) event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		k, err := scanAPIKey(tx.QueryRow(ctx, `
			select `+apiKeyColumns+`
			from operator_key k
			where k.directory = $1 and k.id = $2`+tx.ForUpdate(), directory, id))
		if err != nil || !k.Revoked.IsZero() {
			return orNotFound(err, operator.ErrKeyNotFound)
		}
		if err := tx.Send(ctx, `
			update operator_key
			set revoked = $3
			where directory = $1 and id = $2`, directory, id, micros(at)); err != nil {
			return err
		}
		return appendEvent(ctx, tx, e(k))
	})
}

// NoteExpiring appends an event for each key that is live at the time now and expires no later than
// the deadline. The function e makes the event. Each key gets only one such event.
func (s OperatorKeys) NoteExpiring(ctx context.Context, now, deadline time.Time, e func(operator.Key) event.Event) error {
	expiring := func(ctx context.Context, tx *sqldb.Tx, locking string) ([]operator.Key, error) {
		return collect(ctx, tx, scanAPIKey, `
			select `+apiKeyColumns+`
			from operator_key k
			where k.told_expiry = 0 and k.revoked = 0 and k.expires > $1 and k.expires <= $2
			order by k.directory, k.id`+locking, micros(now), micros(deadline))
	}
	var any bool
	if err := s.DB.View(ctx, func(tx *sqldb.Tx) error {
		found, err := expiring(ctx, tx, "")
		any = len(found) > 0
		return err
	}); err != nil || !any {
		return err
	}
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		found, err := expiring(ctx, tx, tx.ForUpdate())
		if err != nil {
			return err
		}
		for _, k := range found {
			if err := tx.Send(ctx, `
				update operator_key
				set told_expiry = $3
				where directory = $1 and id = $2`, k.Directory, k.ID, micros(now)); err != nil {
				return err
			}
			if err := appendEvent(ctx, tx, e(k)); err != nil {
				return err
			}
		}
		return nil
	})
}

// UseKey records when and from where a key was last used.
func (s OperatorKeys) UseKey(ctx context.Context, directory, id string, at time.Time, from string) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		return tx.Send(ctx, `
			update operator_key
			set last_used = $3, last_from = $4
			where directory = $1 and id = $2 and last_used < $3`, directory, id, micros(at), from)
	})
}
