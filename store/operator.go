package store

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/onetime"
	"github.com/rollcall-scim/rollcall/internal/secret"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/operator"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// expiredLinkRetention is how long an expired link is kept. A user who opens the link in that time
// reads that it has expired.
const expiredLinkRetention = 30 * 24 * time.Hour

// Operators implements operator.Store.
type Operators struct{ DB *DB }

// AddLink stores a link and its event. It deletes links that expired long ago.
func (s Operators) AddLink(ctx context.Context, l operator.LinkRecord, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `
			delete from operator_link
			where expires < $1`, micros(l.Created.Add(-expiredLinkRetention))); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			insert into operator_link (hash, name, name_folded, created, expires)
			values ($1, $2, $3, $4, $5)`,
			l.Hash.String(), l.Name, scim.Fold(l.Name), micros(l.Created), micros(l.Expires)); err != nil {
			return err
		}
		return appendEvent(ctx, tx, e)
	})
}

// FindLink returns a link by its hash, even a used or expired one. It returns onetime.ErrClosed if
// there is none.
func (s Operators) FindLink(ctx context.Context, hash secret.Hash) (l operator.LinkRecord, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		var created, expires, used int64
		err := tx.QueryRow(ctx, `
			select name, created, expires, used
			from operator_link
			where hash = $1`, hash.String()).Scan(&l.Name, &created, &expires, &used)
		l.Hash = hash
		l.Created, l.Expires, l.Used = fromMicros(created), fromMicros(expires), fromMicros(used)
		return orNotFound(err, onetime.ErrClosed)
	})
	return l, err
}

// UseLink marks the link as used, creates the operator if there is none with that name, starts the
// session and appends the event. It returns onetime.ErrClosed if the link was used, has expired or
// does not exist.
func (s Operators) UseLink(ctx context.Context, u operator.LinkUse) (op operator.Operator, err error) {
	at := micros(u.At)
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		var name string
		err := tx.QueryRow(ctx, `
			update operator_link
			set used = $1
			where hash = $2 and used = 0 and expires > $1
			returning name`, at, u.LinkHash.String()).Scan(&name)
		if err != nil {
			return orNotFound(err, onetime.ErrClosed)
		}
		if op, err = scanOperator(tx.QueryRow(ctx, `
			insert into operator (id, name, name_folded, created, last_sign_in)
			values ($1, $2, $3, $4, $4)
			on conflict (name_folded) do update set last_sign_in = excluded.last_sign_in
			returning id, name, created, last_sign_in`, u.OperatorID, name, scim.Fold(name), at)); err != nil {
			return err
		}
		return startOperatorSession(ctx, tx, op, u.SessionHash, u.Session, at, u.Event)
	})
	return op, err
}

// startOperatorSession stores a new session of an operator, and appends its event. It deletes
// expired sessions.
func startOperatorSession(ctx context.Context, tx *sqldb.Tx, op operator.Operator, hash secret.Hash, r session.Record, at int64, e func(operator.Operator) event.Event) error {
	if _, err := tx.Exec(ctx, `
		delete from operator_session
		where expires <= $1`, at); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `
		insert into operator_session (hash, operator, created, expires, idle, used, address, agent, last_address, last_agent, proved)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		append([]any{hash.String(), op.ID}, sessionValues(r)...)...); err != nil {
		return err
	}
	return appendEvent(ctx, tx, e(op))
}

// FindSession returns a session and its operator, or operator.ErrNoSession.
func (s Operators) FindSession(ctx context.Context, hash secret.Hash) (op operator.Operator, found session.Record, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		var scan sessionScan
		op, err = scanOperator(rowWithSession{tx.QueryRow(ctx, `
			select o.id, o.name, o.created, o.last_sign_in, `+sessionColumns+`
			from operator_session x
			join operator o on o.id = x.operator
			where x.hash = $1`, hash.String()), scan.destinations()})
		found = scan.record()
		return orNotFound(err, operator.ErrNoSession)
	})
	return op, found, err
}

// UseSession records when and where a session was last used.
func (s Operators) UseSession(ctx context.Context, hash secret.Hash, at time.Time, from session.Browser) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		return tx.Send(ctx, `
			update operator_session
			set used = $1, last_address = $2, last_agent = $3
			where hash = $4 and used < $1`, micros(at), from.Address, from.Agent, hash.String())
	})
}

// Sessions returns the sessions of the operator with this name, or operator.ErrUnknown.
func (s Operators) Sessions(ctx context.Context, name string) (all []operator.ListedSession, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		id, err := operatorID(ctx, tx, name)
		if err != nil {
			return err
		}
		all, err = collect(ctx, tx, scanOperatorSession, `
			select x.hash, `+sessionColumns+`
			from operator_session x
			where x.operator = $1`, id)
		return err
	})
	return all, err
}

// EndSessions ends the sessions of the operator with this name, appends the event and returns how
// many of the sessions were still live. It returns operator.ErrUnknown if there is no such
// operator.
func (s Operators) EndSessions(ctx context.Context, name string, now time.Time, e func(ended int) event.Event) (ended int, err error) {
	err = s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		id, err := operatorID(ctx, tx, name)
		if err != nil {
			return err
		}
		all, err := collect(ctx, tx, scanOperatorSession, `
			delete from operator_session
			where operator = $1
			returning hash, `+bareSessionColumns, id)
		if err != nil {
			return err
		}
		ended = 0
		for _, one := range all {
			if one.IsLive(now) {
				ended++
			}
		}
		return appendEvent(ctx, tx, e(ended))
	})
	return ended, err
}

// operatorID returns the id of the operator with this name, or operator.ErrUnknown.
func operatorID(ctx context.Context, tx *sqldb.Tx, name string) (id string, err error) {
	err = tx.QueryRow(ctx, `
		select id
		from operator
		where name_folded = $1`, scim.Fold(name)).Scan(&id)
	return id, orNotFound(err, operator.ErrUnknown)
}

// scanOperatorSession reads the hash of a session and sessionColumns.
func scanOperatorSession(row scanner) (found operator.ListedSession, err error) {
	var scan sessionScan
	err = row.Scan(append([]any{&found.Hash}, scan.destinations()...)...)
	found.Record = scan.record()
	return found, err
}

// EndSession deletes a session and appends the events. It does nothing if there is no such session.
func (s Operators) EndSession(ctx context.Context, hash secret.Hash, events ...event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		ended, err := tx.Exec(ctx, `
			delete from operator_session
			where hash = $1`, hash.String())
		if err != nil {
			return err
		}
		if n, err := ended.RowsAffected(); err != nil || n == 0 {
			return err
		}
		return appendEvents(ctx, tx, events)
	})
}

// List returns all operators, ordered by name.
func (s Operators) List(ctx context.Context) (all []operator.Operator, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, scanOperator, `
			select id, name, created, last_sign_in
			from operator
			order by name_folded`)
		return err
	})
	return all, err
}

// Remove deletes the operator with this name, with every session, link and identity, and appends
// the event. It returns operator.ErrUnknown if there is neither such an operator nor a usable link.
func (s Operators) Remove(ctx context.Context, name string, now time.Time, e event.Event) error {
	folded := scim.Fold(name)
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		// Delete links first. On PostgreSQL, this waits for a transaction that is using a link, so
		// that the statements below see the operator that the transaction creates.
		live, err := tx.Exec(ctx, `
			delete from operator_link
			where name_folded = $1 and used = 0 and expires > $2`, folded, micros(now))
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			delete from operator_link
			where name_folded = $1`, folded); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			delete from operator_session
			where operator in (select id from operator where name_folded = $1)`, folded); err != nil {
			return err
		}
		removed, err := tx.Exec(ctx, `
			delete from operator
			where name_folded = $1`, folded)
		if err != nil {
			return err
		}
		n, err := affectedRows(live, removed)
		if err != nil {
			return err
		}
		if n == 0 {
			return operator.ErrUnknown
		}
		return appendEvent(ctx, tx, e)
	})
}

// HasOperators reports whether there is any operator.
func (s Operators) HasOperators(ctx context.Context) (any bool, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, `
			select exists (select 1 from operator)`).Scan(&any)
	})
	return any, err
}

// scanOperator reads the columns id, name, created and last_sign_in of an operator.
func scanOperator(row scanner) (op operator.Operator, err error) {
	var created, lastSignIn int64
	err = row.Scan(&op.ID, &op.Name, &created, &lastSignIn)
	op.Created, op.LastSignIn = fromMicros(created), fromMicros(lastSignIn)
	return op, err
}
