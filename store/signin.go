package store

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// SignIns implements signin.Store.
type SignIns struct{ DB *DB }

// AddLink stores a link and its event. A link for the first administrator replaces the site's
// earlier unused links of this kind.
func (s SignIns) AddLink(ctx context.Context, l signin.LinkRecord, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `
			delete from signin_link
			where site = $1 and expires < $2`, string(l.Site), micros(l.Created.Add(-expiredLinkRetention))); err != nil {
			return err
		}
		if l.Kind == signin.FirstAdmin {
			if _, err := tx.Exec(ctx, `
				delete from signin_link
				where site = $1 and kind = $2 and used = 0`, string(l.Site), string(signin.FirstAdmin)); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `
			insert into signin_link (site, hash, kind, person, created, expires)
			values ($1, $2, $3, $4, $5, $6)`,
			string(l.Site), l.Hash.String(), string(l.Kind), l.PersonID, micros(l.Created), micros(l.Expires)); err != nil {
			return err
		}
		return appendEvent(ctx, tx, e)
	})
}

// RequiresSSO reports whether people of a site must sign in by single sign-on.
func (s SignIns) RequiresSSO(ctx context.Context, id site.ID) (required bool, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select count(*) > 0
			from saml_connection c
			where c.site = $1 and c.mode = $2`, string(id), string(signin.SSORequired)).Scan(&required)
	})
	return required, err
}

// FindLink returns a link by its hash, even a used or expired one. It returns onetime.ErrClosed if
// there is none.
func (s SignIns) FindLink(ctx context.Context, id site.ID, hash secret.Hash) (l signin.LinkRecord, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		var created, expires, used int64
		err := tx.QueryRow(ctx, `
			select kind, person, created, expires, used
			from signin_link
			where site = $1 and hash = $2`, string(id), hash.String()).
			Scan(&l.Kind, &l.PersonID, &created, &expires, &used)
		l.Site, l.Hash = id, hash
		l.Created, l.Expires, l.Used = fromMicros(created), fromMicros(expires), fromMicros(used)
		return orNotFound(err, onetime.ErrClosed)
	})
	return l, err
}

// UseLink marks the link as used and appends the event. It returns onetime.ErrClosed if the link
// was used, has expired or does not exist.
func (s SignIns) UseLink(ctx context.Context, id site.ID, hash secret.Hash, now time.Time, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		done, err := tx.Exec(ctx, `
			update signin_link
			set used = $1
			where site = $2 and hash = $3 and used = 0 and expires > $1`, micros(now), string(id), hash.String())
		if err != nil {
			return err
		}
		n, err := affectedRows(done)
		if err != nil {
			return err
		}
		if n == 0 {
			return onetime.ErrClosed
		}
		return appendEvent(ctx, tx, e)
	})
}

// ReturnLink makes a link usable again if it was marked as used at this time. It is called when a
// sign-in fails after its link was used.
func (s SignIns) ReturnLink(ctx context.Context, id site.ID, hash secret.Hash, used time.Time) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(ctx, `
			update signin_link
			set used = 0
			where site = $1 and hash = $2 and used = $3`, string(id), hash.String(), micros(used))
		return err
	})
}
