package store

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// conflictColumns are the columns of a waiting sign-in that scanConflict reads.
const conflictColumns = `id, person, reason, issuer, identifier, match, display_name, email, first, last, times`

// scanConflict reads the conflictColumns of a row.
func scanConflict(row scanner) (c signin.Conflict, err error) {
	var first, last int64
	err = row.Scan(&c.ID, &c.PersonID, &c.Reason, &c.Issuer, &c.Identifier, &c.Match, &c.DisplayName, &c.Email, &first, &last, &c.Tries)
	c.FirstTry, c.LastTry = fromMicros(first), fromMicros(last)
	return c, err
}

// PutConflict stores a waiting sign-in. If the sign-in is stored already, PutConflict counts one
// more try. It deletes waiting sign-ins that were last tried before notSince.
func (s SingleSignOn) PutConflict(ctx context.Context, id site.ID, c signin.Conflict, notSince time.Time) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `
			delete from saml_conflict
			where site = $1 and last < $2`, string(id), micros(notSince)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			insert into saml_conflict (site, id, person, reason, issuer, identifier, match, display_name, email, first, last, times)
			select $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 1
			where (select count(*) from saml_conflict where site = $1) < $11
				or exists (select 1 from saml_conflict where site = $1 and issuer = $5 and identifier = $6 and person = $3)
			on conflict (site, issuer, identifier, person) do update
			set reason = excluded.reason, match = excluded.match, display_name = excluded.display_name, email = excluded.email,
				last = excluded.last, times = saml_conflict.times + 1`,
			string(id), c.ID, c.PersonID, c.Reason, c.Issuer, c.Identifier, c.Match, c.DisplayName, c.Email, micros(c.LastTry), int64(signin.MaxConflicts))
		return err
	})
}

// Conflicts returns a site's sign-ins that wait until an administrator resolves their conflict, if
// they were last tried at since or later. The sign-in that was tried last comes first.
func (s SingleSignOn) Conflicts(ctx context.Context, id site.ID, since time.Time) (all []signin.Conflict, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, scanConflict, `
			select `+conflictColumns+`
			from saml_conflict
			where site = $1 and last >= $2
			order by last desc, id`, string(id), micros(since))
		return err
	})
	return all, err
}

// Conflict returns a waiting sign-in by its id, or refusal.NotFound.
func (s SingleSignOn) Conflict(ctx context.Context, id site.ID, conflict string) (c signin.Conflict, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		c, err = scanConflict(tx.QueryRow(ctx, `
			select `+conflictColumns+`
			from saml_conflict
			where site = $1 and id = $2`, string(id), conflict))
		return orNotFound(err, refusal.NotFound)
	})
	return c, err
}

// DropConflicts deletes the waiting sign-ins of an identity, and appends the events. If there are
// none, it appends nothing and returns refusal.NotFound.
func (s SingleSignOn) DropConflicts(ctx context.Context, id site.ID, issuer, identifier string, events ...event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		done, err := tx.Exec(ctx, `
			delete from saml_conflict
			where site = $1 and issuer = $2 and identifier = $3`, string(id), issuer, identifier)
		if err != nil {
			return err
		}
		n, err := affectedRows(done)
		if err != nil {
			return err
		}
		if n == 0 {
			return refusal.NotFound
		}
		return appendEvents(ctx, tx, events)
	})
}
