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

// RefreshState returns how the metadata of a site's identity provider was refreshed, or
// refusal.NotFound if the site has no connection.
func (s SingleSignOn) RefreshState(ctx context.Context, id site.ID) (state signin.RefreshState, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		var began, ended int64
		err := tx.QueryRow(ctx, `
			select refresh_began, refresh_ended, refresh_failure
			from saml_connection
			where site = $1`, string(id)).Scan(&began, &ended, &state.Failure)
		state.Began, state.Ended = fromMicros(began), fromMicros(ended)
		return orNotFound(err, refusal.NotFound)
	})
	return state, err
}

// DueRefresh returns the site whose daily refresh is due for longest. If no refresh is due, it
// returns refusal.NotFound and the time when the next refresh is due.
func (s SingleSignOn) DueRefresh(ctx context.Context, now time.Time) (id site.ID, next time.Time, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		var due int64
		err := tx.QueryRow(ctx, `
			select c.site, c.refresh_due
			from saml_connection c
			join site s on s.id = c.site
			where c.metadata_url <> '' and c.idp_entity_id <> '' and s.deleted = 0
			order by c.refresh_due, c.site
			limit 1`).Scan(&id, &due)
		if err != nil {
			return orNotFound(err, refusal.NotFound)
		}
		if due > micros(now) {
			id, next = "", fromMicros(due)
			return refusal.NotFound
		}
		return nil
	})
	return id, next, err
}

// BeginDailyRefresh notes that a daily refresh begins at now. It returns false if no refresh is
// due.
func (s SingleSignOn) BeginDailyRefresh(ctx context.Context, id site.ID, now, next time.Time) (began bool, err error) {
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		began, err = changesRow(ctx, tx, `
			update saml_connection
			set refresh_due = $1, refresh_began = $2
			where site = $3 and refresh_due <= $2`, micros(next), micros(now), string(id))
		return err
	})
	return began, err
}

// BeginUnknownKeyRefresh notes that a refresh begins at now because of an unknown key. It returns
// false if another refresh began after notSince.
func (s SingleSignOn) BeginUnknownKeyRefresh(ctx context.Context, id site.ID, now, notSince time.Time) (began bool, err error) {
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		began, err = changesRow(ctx, tx, `
			update saml_connection
			set refresh_asked = $1, refresh_began = $1
			where site = $2 and refresh_asked <= $3`, micros(now), string(id), micros(notSince))
		return err
	})
	return began, err
}

// EndRefresh notes that a refresh ended. If its failure differs from the failure of the previous
// refresh, the event is appended.
func (s SingleSignOn) EndRefresh(ctx context.Context, id site.ID, now, retry time.Time, failure string, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		news, err := changesRow(ctx, tx, `
			update saml_connection
			set refresh_failure = $1
			where site = $2 and refresh_failure <> $1`, failure, string(id))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			update saml_connection
			set refresh_ended = $1
			where site = $2`, micros(now), string(id)); err != nil {
			return err
		}
		if failure == "" {
			return nil
		}
		if _, err := tx.Exec(ctx, `
			update saml_connection
			set refresh_due = $1
			where site = $2 and refresh_due > $1`, micros(retry), string(id)); err != nil {
			return err
		}
		if !news {
			return nil
		}
		return appendEvent(ctx, tx, e)
	})
}
