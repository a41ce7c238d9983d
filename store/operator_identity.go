package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/codeflow"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// Identities returns the identities of the operator with this name, in the order in which they were
// linked, or operator.ErrUnknown.
func (s Operators) Identities(ctx context.Context, name string) (all []operator.Identity, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		id, err := operatorID(ctx, tx, name)
		if err != nil {
			return err
		}
		all, err = collect(ctx, tx, scanOperatorIdentity, `
			select `+operatorIdentityColumns+`
			from operator_identity i
			where i.operator = $1
			order by i.linked, i.id`, id)
		return err
	})
	return all, err
}

// operatorIdentityColumns are the columns that scanOperatorIdentity reads.
const operatorIdentityColumns = `i.id, i.operator, i.issuer, i.subject, i.email, i.linked, i.used`

// scanOperatorIdentity reads the operatorIdentityColumns of a row.
func scanOperatorIdentity(row scanner) (i operator.Identity, err error) {
	var linked, used int64
	err = row.Scan(&i.ID, &i.OperatorID, &i.Issuer, &i.Subject, &i.Email, &linked, &used)
	i.Linked, i.LastUsed = fromMicros(linked), fromMicros(used)
	return i, err
}

// LinkIdentity stores an identity and its event. It returns operator.ErrIdentityTaken if the
// identity is linked already, and operator.ErrNoSession if its operator was removed.
func (s Operators) LinkIdentity(ctx context.Context, i operator.Identity, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		var id string
		if err := tx.QueryRow(ctx, `
			select id
			from operator
			where id = $1`+tx.ForUpdate(), i.OperatorID).Scan(&id); err != nil {
			return orNotFound(err, operator.ErrNoSession)
		}
		did, err := changesRow(ctx, tx, `
			insert into operator_identity (id, operator, issuer, subject, email, linked, used)
			values ($1, $2, $3, $4, $5, $6, 0)
			on conflict (issuer, subject) do nothing`, i.ID, i.OperatorID, i.Issuer, i.Subject, i.Email, micros(i.Linked))
		if err != nil {
			return err
		}
		if did {
			return appendEvent(ctx, tx, e)
		}
		var owner string
		err = tx.QueryRow(ctx, `
			select operator
			from operator_identity
			where issuer = $1 and subject = $2`, i.Issuer, i.Subject).Scan(&owner)
		if err != nil && !errors.Is(err, sql.ErrNoRows) { // no row means that the identity was unlinked after the insert
			return err
		}
		return operator.ErrIdentityTaken.WithData(operator.TakenIdentity{OperatorID: owner})
	})
}

// UnlinkIdentity deletes an identity of the operator with this name, and appends the event. It
// returns operator.ErrUnknown or operator.ErrIdentityGone.
func (s Operators) UnlinkIdentity(ctx context.Context, name, id string, e func(operator.Identity) event.Event) (i operator.Identity, err error) {
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		owner, err := operatorID(ctx, tx, name)
		if err != nil {
			return err
		}
		if i, err = scanOperatorIdentity(tx.QueryRow(ctx, `
			delete from operator_identity
			where operator = $1 and id = $2
			returning id, operator, issuer, subject, email, linked, used`, owner, id)); err != nil {
			return orNotFound(err, operator.ErrIdentityGone)
		}
		return appendEvent(ctx, tx, e(i))
	})
	return i, err
}

// UseIdentity starts a session of the operator that an identity is linked to, and appends the
// event. It returns operator.ErrIdentityUnknown if the identity is not linked.
func (s Operators) UseIdentity(ctx context.Context, u operator.IdentityUse) (op operator.Operator, err error) {
	at := micros(u.At)
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		// Change the operator first, because Remove locks the operator before its identities.
		op, err = scanOperator(tx.QueryRow(ctx, `
			update operator
			set last_sign_in = $1
			where id in (
				select operator
				from operator_identity
				where issuer = $2 and subject = $3)
			returning id, name, created, last_sign_in`, at, u.Issuer, u.Subject))
		if err != nil {
			return orNotFound(err, operator.ErrIdentityUnknown)
		}
		did, err := changesRow(ctx, tx, `
			update operator_identity
			set used = $1, email = case when $2 = '' then email else $2 end
			where issuer = $3 and subject = $4 and operator = $5`, at, u.Email, u.Issuer, u.Subject, op.ID)
		if err != nil {
			return err
		}
		if !did {
			return operator.ErrIdentityUnknown // the identity was unlinked at the same time
		}
		return startOperatorSession(ctx, tx, op, u.SessionHash, u.Session, at, u.Event)
	})
	return op, err
}

// AddRequest stores a sign-in request of an operator. It deletes expired requests.
func (s Operators) AddRequest(ctx context.Context, r operator.OpenIDRequest) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `
			delete from operator_request
			where expires < $1`, micros(r.Expires.Add(-codeflow.RequestLifetime))); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `
			insert into operator_request (hash, nonce, browser, purpose, operator, return_to, issuer, expires)
			values ($1, $2, $3, $4, $5, $6, $7, $8)`,
			r.Hash.String(), r.Nonce, r.Browser.String(), string(r.Purpose), r.Operator, r.ReturnTo, r.Issuer, micros(r.Expires))
		return err
	})
}

// TakeRequest removes a sign-in request of an operator and returns it. It returns refusal.NotFound
// if there is none or if it has expired.
func (s Operators) TakeRequest(ctx context.Context, hash secret.Hash, now time.Time) (r operator.OpenIDRequest, err error) {
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		r = operator.OpenIDRequest{Hash: hash}
		var expires int64
		err := tx.QueryRow(ctx, `
			delete from operator_request
			where hash = $1 and expires > $2
			returning nonce, browser, purpose, operator, return_to, issuer, expires`, hash.String(), micros(now)).
			Scan(&r.Nonce, &r.Browser, &r.Purpose, &r.Operator, &r.ReturnTo, &r.Issuer, &expires)
		r.Expires = fromMicros(expires)
		return orNotFound(err, refusal.NotFound)
	})
	return r, err
}

// HasRequest reports whether a browser has sent a sign-in request that has not expired.
func (s Operators) HasRequest(ctx context.Context, hash, browser secret.Hash, now time.Time) (has bool, err error) {
	err = s.DB.Read(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select exists (
				select 1
				from operator_request
				where hash = $1 and browser = $2 and expires > $3)`, hash.String(), browser.String(), micros(now)).Scan(&has)
	})
	return has, err
}
