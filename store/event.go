package store

import (
	"context"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/redact"
)

// Events fills event.Store.
type Events struct{ DB *DB }

// A reader that waits for older transactions looks again after this long, then
// more and more rarely.
const (
	settlePause    = 2 * time.Millisecond
	settlePauseMax = 50 * time.Millisecond
)

const eventColumns = "tx, seq, time, scope_kind, scope_id, name, actor, subject, text, data, " +
	"actor_kind, actor_id, actor_name, address, user_agent"

// appendEvent writes the event of a change, in the change's own transaction.
// It is the only way in which events are written.
func (tx *Tx) appendEvent(ctx context.Context, e event.Event) error {
	e.Attribute(ctx)
	at := e.Time
	if at.IsZero() {
		at = tx.db.now()
	}
	return tx.send(ctx, `
		insert into event (time, scope_kind, scope_id, name, actor, subject, text, data, actor_kind, actor_id, actor_name, address, user_agent)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		micros(at), e.Scope.Kind, e.Scope.ID, e.Name, redact.Tokens(e.Actor), e.Subject, redact.Tokens(e.Text), redact.Document(string(e.Data)),
		string(e.By.Kind), e.By.ID, redact.Tokens(e.By.Name), e.By.Address, redact.Tokens(e.By.UserAgent))
}

// Read returns up to limit events of the scope after a position, oldest first.
// On PostgreSQL an event is held back as long as a write transaction runs that
// began before its own, in any database of the server. Read waits a while
// (Options.Settle) for what was committed when it was called, and then returns
// what is not held back. When events after the position were pruned it returns
// event.ErrPruned.
func (s Events) Read(ctx context.Context, scope event.Scope, after event.Position, limit int) ([]event.Event, error) {
	var committed event.Position
	pause := settlePause
	for waited := time.Duration(0); ; waited += pause {
		events, newest, err := s.read(ctx, scope, after, limit)
		if err != nil {
			return nil, err
		}
		if committed.IsZero() {
			committed = newest
		}
		last := after
		if len(events) > 0 {
			last = events[len(events)-1].Position
		}
		if len(events) >= limit || !committed.After(last) || waited >= s.DB.settle {
			return events, nil
		}
		pause = min(2*pause, settlePauseMax)
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
	}
}

// read also returns the position of the scope's newest event, held back or
// not; the zero position on SQLite, which holds none back.
func (s Events) read(ctx context.Context, scope event.Scope, after event.Position, limit int) (events []event.Event, newest event.Position, err error) {
	err = s.DB.view(ctx, func(tx *Tx) error {
		if floor, err := tx.eventFloor(ctx, scope); err != nil {
			return err
		} else if floor.After(after) {
			return event.ErrPruned
		}
		if events, err = collect(ctx, tx, scanEvent, `
			select `+eventColumns+`
			from event
			where scope_kind = $1 and scope_id = $2 and (tx, seq) > ($3, $4) and `+tx.settled()+`
			order by tx, seq
			limit $5`, scope.Kind, scope.ID, after.Tx, after.Seq, limit); err != nil || s.DB.kind == SQLite {
			return err
		}
		newest, err = tx.lastEvent(ctx, scope, "true")
		return err
	})
	return events, newest, err
}

// lastEvent returns the position of the scope's last event of which the
// condition is true; the zero position when there is none.
func (tx *Tx) lastEvent(ctx context.Context, scope event.Scope, condition string) (event.Position, error) {
	positions, err := collect(ctx, tx, scanPosition, `
		select tx, seq
		from event
		where scope_kind = $1 and scope_id = $2 and `+condition+`
		order by tx desc, seq desc
		limit 1`, scope.Kind, scope.ID)
	if err != nil || len(positions) == 0 {
		return event.Position{}, err
	}
	return positions[0], nil
}

// Last returns the position up to which Read would return events now.
func (s Events) Last(ctx context.Context, scope event.Scope) (last event.Position, err error) {
	err = s.DB.view(ctx, func(tx *Tx) error {
		if last, err = tx.lastEvent(ctx, scope, tx.settled()); err != nil || !last.IsZero() {
			return err
		}
		last, err = tx.eventFloor(ctx, scope)
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

// Everywhere reads the events of all sites, directories and the installation, those of deleted ones too.
type Everywhere struct{ DB *DB }

// Recent returns up to limit committed events before a position (zero: from the newest), the last written first. The scope and the
// subject count only where they are not empty.
func (s Everywhere) Recent(ctx context.Context, scope event.Scope, subject string, before event.Position, limit int) (events []event.Event, err error) {
	if scope.Kind != "" {
		return Events(s).Recent(ctx, scope, subject, before, limit)
	}
	if before.IsZero() {
		before.Seq = never
	}
	err = s.DB.view(ctx, func(tx *Tx) error {
		events, err = collect(ctx, tx, scanEvent, `
			select `+eventColumns+`
			from event
			where seq < $1 and ($2 = '' or subject = $2)
			order by seq desc
			limit $3`, before.Seq, subject, limit)
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
	err = row.Scan(&e.Position.Tx, &e.Position.Seq, &at, &e.Scope.Kind, &e.Scope.ID, &e.Name, &e.Actor, &e.Subject, &e.Text, &data,
		&e.By.Kind, &e.By.ID, &e.By.Name, &e.By.Address, &e.By.UserAgent)
	if e.By.Kind == "" { // written before events told more
		e.By = event.ParseActor(e.Actor)
	}
	e.Time = fromMicros(at)
	if data != "" {
		e.Data = []byte(data)
	}
	return e, err
}
