package store

import (
	"context"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// sessionColumns are the columns of site_session and operator_session that sessionScan reads.
const sessionColumns = `x.created, x.expires, x.idle, x.used, x.address, x.agent, x.last_address, x.last_agent, x.proved`

// bareSessionColumns are sessionColumns for a "returning" clause, where SQLite does not accept the
// alias.
var bareSessionColumns = strings.ReplaceAll(sessionColumns, "x.", "")

// sessionScan holds the values of sessionColumns while they are read into a session.Record.
type sessionScan struct {
	session.Record
	created, expires, idle, used, proved int64 // the fields of Record with these names, in microseconds
}

// destinations returns pointers to the fields, in the order of sessionColumns.
func (s *sessionScan) destinations() []any {
	return []any{
		&s.created, &s.expires, &s.idle, &s.used, &s.From.Address, &s.From.Agent, &s.Last.Address, &s.Last.Agent, &s.proved,
	}
}

// record returns the record after a row was read.
func (s *sessionScan) record() session.Record {
	s.Created, s.Expires, s.Used, s.Proved = fromMicros(s.created), fromMicros(s.expires), fromMicros(s.used), fromMicros(s.proved)
	s.Idle = time.Duration(s.idle) * time.Microsecond
	return s.Record
}

// sessionValues returns the values of sessionColumns.
func sessionValues(r session.Record) []any {
	return []any{
		micros(r.Created), micros(r.Expires), r.Idle.Microseconds(), micros(r.Used),
		r.From.Address, r.From.Agent, r.Last.Address, r.Last.Agent, micros(r.Proved),
	}
}

// rowWithSession is a row whose last columns are sessionColumns. The caller passes to Scan only
// the destinations of the columns before them.
type rowWithSession struct {
	row     scanner
	session []any
}

// Scan reads the columns into the given destinations, and then sessionColumns into w.session.
func (w rowWithSession) Scan(into ...any) error { return w.row.Scan(append(into, w.session...)...) }

// EndSessions ends every session of operators and people, deletes every unused one-time link, and
// returns the number of sessions. It is used after a restore, because an old copy contains sessions
// that ended after the copy was made.
func EndSessions(ctx context.Context, db *DB, because event.Event) (ended int64, err error) {
	err = db.Update(ctx, func(tx *sqldb.Tx) error {
		for _, table := range []string{"site_session", "operator_session"} {
			result, err := tx.Exec(ctx, "delete from "+table)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			ended += n
		}
		for _, table := range []string{"signin_link", "operator_link"} {
			if _, err := tx.Exec(ctx, "delete from "+table+" where used = 0"); err != nil {
				return err
			}
		}
		return appendEvent(ctx, tx, because)
	})
	return ended, err
}
