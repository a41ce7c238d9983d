package store

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
)

// Events fills event.Store.
type Events struct{ DB *DB }

const (
	// A reader that finds only events that an older transaction may still
	// precede looks again, more and more rarely, for this long.
	settleWait     = time.Second
	settlePause    = 2 * time.Millisecond
	settlePauseMax = 50 * time.Millisecond
)

const eventColumns = "tx, seq, time, scope_kind, scope_id, name, actor, subject, text, data"

// appendEvent writes the event of a change, in the change's own transaction.
// It is the only way in which events are written.
func (tx *Tx) appendEvent(ctx context.Context, e event.Event) error {
	at := e.Time
	if at.IsZero() {
		at = tx.db.now()
	}
	_, err := tx.Exec(ctx, `
		insert into event (time, scope_kind, scope_id, name, actor, subject, text, data)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		micros(at), e.Scope.Kind, e.Scope.ID, e.Name, e.Actor, e.Subject, e.Text, string(e.Data))
	return err
}

// Read returns up to limit events of the scope after a position, oldest first.
// On PostgreSQL events wait behind every write transaction that began before
// theirs and still runs, in any database of the server; when there are only
// such, Read looks again for up to a second before it returns none.
func (s Events) Read(ctx context.Context, scope event.Scope, after event.Position, limit int) ([]event.Event, error) {
	pause := settlePause
	for waited := time.Duration(0); ; waited += pause {
		events, held, err := s.read(ctx, scope, after, limit)
		if err != nil || !held || waited >= settleWait {
			return events, err
		}
		pause = min(2*pause, settlePauseMax)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// read also reports whether there are no events but some that are held back.
func (s Events) read(ctx context.Context, scope event.Scope, after event.Position, limit int) (events []event.Event, held bool, err error) {
	err = s.DB.view(ctx, func(tx *Tx) error {
		if events, err = collect(ctx, tx, scanEvent, `
			select `+eventColumns+`
			from event
			where scope_kind = $1 and scope_id = $2 and (tx, seq) > ($3, $4) and `+tx.settled()+`
			order by tx, seq
			limit $5`, scope.Kind, scope.ID, after.Tx, after.Seq, limit); err != nil {
			return err
		}
		if held = false; len(events) > 0 || limit <= 0 || s.DB.kind == SQLite {
			return nil
		}
		return tx.QueryRow(ctx, `
			select exists (
				select 1
				from event
				where scope_kind = $1 and scope_id = $2 and (tx, seq) > ($3, $4))`,
			scope.Kind, scope.ID, after.Tx, after.Seq).Scan(&held)
	})
	return events, held, err
}

// Last returns the position up to which Read would return events now.
func (s Events) Last(ctx context.Context, scope event.Scope) (last event.Position, err error) {
	err = s.DB.view(ctx, func(tx *Tx) error {
		positions, err := collect(ctx, tx, scanPosition, `
			select tx, seq
			from event
			where scope_kind = $1 and scope_id = $2 and `+tx.settled()+`
			order by tx desc, seq desc
			limit 1`, scope.Kind, scope.ID)
		if last = (event.Position{}); err == nil && len(positions) > 0 {
			last = positions[0]
		}
		return err
	})
	return last, err
}

// Recent returns up to limit committed events of the scope before a position
// (zero: from the newest), newest first; of one subject unless it is empty.
func (s Events) Recent(ctx context.Context, scope event.Scope, subject string, before event.Position, limit int) (events []event.Event, err error) {
	query, args := `
		select `+eventColumns+`
		from event
		where scope_kind = $1 and scope_id = $2 and (tx, seq) < ($3, $4)
		order by tx desc, seq desc
		limit $5`, []any{scope.Kind, scope.ID, before.Tx, before.Seq, limit}
	if subject != "" {
		query, args = `
		select `+eventColumns+`
		from event
		where scope_kind = $1 and scope_id = $2 and (tx, seq) < ($3, $4) and subject = $6 and subject <> ''
		order by tx desc, seq desc
		limit $5`, append(args, subject)
	}
	if before.IsZero() {
		args[2], args[3] = never, never
	}
	err = s.DB.view(ctx, func(tx *Tx) error {
		events, err = collect(ctx, tx, scanEvent, query, args...)
		return err
	})
	return events, err
}

func scanPosition(row scanner) (p event.Position, err error) {
	err = row.Scan(&p.Tx, &p.Seq)
	return p, err
}

func scanEvent(row scanner) (e event.Event, err error) {
	var at int64
	var data string
	err = row.Scan(&e.Position.Tx, &e.Position.Seq, &at, &e.Scope.Kind, &e.Scope.ID, &e.Name, &e.Actor, &e.Subject, &e.Text, &data)
	e.Time = fromMicros(at)
	if data != "" {
		e.Data = []byte(data)
	}
	return e, err
}
