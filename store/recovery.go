package store

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// RecoverySet returns how many unused recovery codes a person has, and when the current set of
// codes was made.
func (s SingleSignOn) RecoverySet(ctx context.Context, id site.ID, personID string) (set signin.RecoverySet, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		set, err = recoverySet(ctx, tx, id, personID)
		return err
	})
	return set, err
}

// recoverySet returns when a person's recovery codes were made, and how many of them are unused.
func recoverySet(ctx context.Context, tx *sqldb.Tx, id site.ID, personID string) (set signin.RecoverySet, err error) {
	var made int64
	err = tx.QueryRow(ctx, `
		select coalesce(max(c.created), 0), count(*) filter (where c.used = 0)
		from recovery_code c
		where c.site = $1 and c.person = $2`, string(id), personID).Scan(&made, &set.Left)
	set.Made = fromMicros(made)
	return set, err
}

// ReplaceRecoveryCodes replaces a person's recovery codes with new codes, if the current codes were
// made at the time ifMade. Otherwise it changes nothing.
func (s SingleSignOn) ReplaceRecoveryCodes(ctx context.Context, id site.ID, personID string, ifMade time.Time, hashes []secret.Hash, now time.Time, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if err := lockLiveSite(ctx, tx, id); err != nil {
			return err
		}
		old, err := recoverySet(ctx, tx, id, personID)
		if err != nil {
			return err
		}
		if !old.Made.Equal(ifMade) {
			return signin.ErrCodesStale
		}
		if _, err := tx.Exec(ctx, `
			delete from recovery_code
			where site = $1 and person = $2`, string(id), personID); err != nil {
			return err
		}
		for _, hash := range hashes {
			if _, err := tx.Exec(ctx, `
				insert into recovery_code (site, hash, person, created, used)
				values ($1, $2, $3, $4, 0)`, string(id), hash.String(), personID, micros(now)); err != nil {
				return err
			}
		}
		return appendEvent(ctx, tx, e)
	})
}

// FindRecoveryCode returns the person who has an unused recovery code, or refusal.NotFound.
func (s SingleSignOn) FindRecoveryCode(ctx context.Context, id site.ID, hash secret.Hash) (personID string, made time.Time, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		var created int64
		err := tx.QueryRow(ctx, `
			select c.person, c.created
			from recovery_code c
			where c.site = $1 and c.hash = $2 and c.used = 0`, string(id), hash.String()).Scan(&personID, &created)
		made = fromMicros(created)
		return orNotFound(err, refusal.NotFound)
	})
	return personID, made, err
}

// UseRecoveryCode marks a recovery code as used and appends its event. It returns refusal.NotFound
// if there is no such unused code.
func (s SingleSignOn) UseRecoveryCode(ctx context.Context, id site.ID, personID string, hash secret.Hash, now time.Time, eventFor func(left int) event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		did, err := changesRow(ctx, tx, `
			update recovery_code
			set used = $1
			where site = $2 and hash = $3 and person = $4 and used = 0`, micros(now), string(id), hash.String(), personID)
		if err != nil {
			return err
		}
		if !did {
			return refusal.NotFound
		}
		set, err := recoverySet(ctx, tx, id, personID)
		if err != nil {
			return err
		}
		return appendEvent(ctx, tx, eventFor(set.Left))
	})
}
