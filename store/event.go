package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/redact"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// Events implements event.Store.
type Events struct{ DB *DB }

// A reader that waits for older transactions pauses for settlePause before it checks again. Later
// pauses are longer, up to settlePauseMax.
const (
	settlePause    = 2 * time.Millisecond
	settlePauseMax = 50 * time.Millisecond
)

// eventColumns are the columns of an event that scanEvent reads.
const eventColumns = "tx, seq, time, scope_kind, scope_id, name, actor, subject, text, data, " +
	"actor_kind, actor_id, actor_name, address, user_agent, cause"

// appendEvent writes an event in the same transaction as the change that it describes. Every event
// is written by this function.
func appendEvent(ctx context.Context, tx *sqldb.Tx, e event.Event) error {
	e.FillFrom(ctx)
	at := e.Time
	if at.IsZero() {
		at = tx.Now()
	}
	if e.Scope.Kind == event.KindDirectory {
		tx.SignalCommit() // the signal wakes the jobs of the directory, which may have to send the change to an application
	}
	if err := queueNotifications(ctx, tx, e, at); err != nil {
		return err
	}
	return tx.Send(ctx, `
		insert into event (time, scope_kind, scope_id, name, actor, subject, text, data, actor_kind, actor_id, actor_name, address, user_agent, cause)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		micros(at), e.Scope.Kind, e.Scope.ID, e.Name, redact.Tokens(e.Actor), e.Subject, redact.Tokens(e.Text), redact.Document(string(e.Data)),
		string(e.By.Kind), e.By.ID, redact.Tokens(e.By.Name), e.By.Address, redact.Tokens(e.By.UserAgent), e.Cause)
}

// Record implements event.Recorder. It writes all events in one transaction.
func (s Events) Record(ctx context.Context, events ...event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error { return appendEvents(ctx, tx, events) })
}

// appendEvents writes several events with appendEvent.
func appendEvents(ctx context.Context, tx *sqldb.Tx, events []event.Event) error {
	for _, e := range events {
		if err := appendEvent(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}

// Read returns up to limit events of the scope after a position, oldest first. It returns
// event.ErrPruned if events after the position have been pruned.
//
// On PostgreSQL, Read cannot return an event while an older write transaction still runs in any
// database of the server. It waits up to Options.Settle until all events that were committed before
// the call can be returned. Then it returns the events before the first one that still has to wait.
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
		if len(events) >= limit || !committed.After(last) || waited >= s.DB.Settle() {
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

// read returns the same events as Read, without waiting. It also returns the position of the
// scope's newest event, even if that event cannot be returned yet. On SQLite, that position is
// zero, because all committed events can be returned.
func (s Events) read(ctx context.Context, scope event.Scope, after event.Position, limit int) (events []event.Event, newest event.Position, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		if floor, err := lastPrunedEvent(ctx, tx, scope); err != nil {
			return err
		} else if floor.After(after) {
			return event.ErrPruned
		}
		if events, err = collect(ctx, tx, scanEvent, readEventsQuery(tx), scope.Kind, scope.ID, after.Tx, after.Seq, limit); err != nil || s.DB.Kind() == sqldb.SQLite {
			return err
		}
		newest, err = lastEvent(ctx, tx, scope, "true")
		return err
	})
	return events, newest, err
}

// readEventsQuery returns the statement that reads the events of a scope after a position.
func readEventsQuery(tx *sqldb.Tx) string {
	return `
		select ` + eventColumns + `
		from event
		where scope_kind = $1 and scope_id = $2 and ` + laterCondition(tx) + ` and ` + settledCondition(tx) + `
		order by tx, seq
		limit $5`
}

// lastEvent returns the position of the scope's last event that satisfies the condition, or the
// zero position.
func lastEvent(ctx context.Context, tx *sqldb.Tx, scope event.Scope, condition string) (event.Position, error) {
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

// Last returns the position of the last event that Read would return now.
func (s Events) Last(ctx context.Context, scope event.Scope) (last event.Position, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		if last, err = lastEvent(ctx, tx, scope, settledCondition(tx)); err != nil || !last.IsZero() {
			return err
		}
		last, err = lastPrunedEvent(ctx, tx, scope)
		return err
	})
	return last, err
}

// Recent returns up to limit committed events of the scope before a position, newest first. A zero
// position means that the result begins with the newest event. If subject is not empty, it returns
// only events about that subject.
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
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		events, err = collect(ctx, tx, scanEvent, query, args...)
		return err
	})
	return events, err
}

// rareEvents is the condition of the index event_rare. The index leaves out the daily events of
// identity providers, because their rows would make every SCIM request slower. The text must be
// exactly the index's own condition, as SQLite requires.
const rareEvents = "name <> 'user.created' and name <> 'user.updated' and name <> 'group.created' and name <> 'group.updated'"

// knownActors is the condition of the index event_actor. It leaves out tokens and Rollcall itself,
// because their many events would make every SCIM request slower.
const knownActors = "actor_kind <> '' and actor_kind <> 'token' and actor_kind <> 'system'"

// Select implements event.Trail. Events of one site, one directory or the installation are in
// commit order. Results for several scopes are in the order in which the events were written, which
// is nearly always the same.
func (s Events) Select(ctx context.Context, q event.Selection) (events []event.Event, err error) {
	names := q.Names
	if len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return !isRareEvent(name) }) || q.Actor != "" || q.Subject != "" && q.Scope.IsSingle() {
		names = []string{""}
	}
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		for _, name := range names {
			text, args := selectionQuery(q, name)
			found, err := collect(ctx, tx, scanEvent, text, args...)
			if err != nil {
				return err
			}
			events = append(events, found...)
		}
		return nil
	})
	if err != nil || len(names) == 1 {
		return events, err
	}
	slices.SortFunc(events, func(a, b event.Event) int { return selectionOrder(q, a, b) })
	return events[:min(len(events), q.Limit)], nil
}

// selectionOrder compares two events for the order in which Select returns them.
func selectionOrder(q event.Selection, a, b event.Event) int {
	order := cmp.Compare(a.Position.Seq, b.Position.Seq)
	if q.Scope.IsSingle() {
		order = cmp.Or(cmp.Compare(a.Position.Tx, b.Position.Tx), order)
	}
	if !q.Newer {
		order = -order
	}
	return order
}

// isRareEvent reports whether the index event_rare contains the events with this name.
func isRareEvent(name string) bool {
	return !strings.Contains(rareEvents, "'"+name+"'")
}

// selectionQuery returns the statement that reads a selection of the audit trail. If name is not
// empty, the statement returns only events with that name. It reads only the rows that it returns,
// because an index gives them in order. Only a selection for one kind of scope reads and filters
// the rows of all scopes.
func selectionQuery(q event.Selection, name string) (string, []any) {
	var where []string
	var args []any
	arg := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	if name != "" {
		where = append(where, "name = "+arg(name), rareEvents)
	}
	if q.Actor != "" {
		where = append(where, "actor_id = "+arg(q.Actor), knownActors)
	}
	if q.Scope.Kind != "" {
		where = append(where, "scope_kind = "+arg(q.Scope.Kind))
	}
	if q.Scope.IsSingle() {
		where = append(where, "scope_id = "+arg(q.Scope.ID))
		if q.Subject != "" {
			where = append(where, "subject = "+arg(q.Subject), "subject <> ''")
		}
	}
	sign, order := "<", "desc"
	place := q.Start
	switch {
	case q.Newer:
		sign, order = ">", "asc"
	case place.IsZero():
		place = event.Position{Tx: never, Seq: never}
	}
	if q.Scope.IsSingle() {
		where = append(where, "(tx, seq) "+sign+" ("+arg(place.Tx)+", "+arg(place.Seq)+")")
		order = "tx " + order + ", seq " + order
	} else {
		where = append(where, "seq "+sign+" "+arg(place.Seq))
		order = "seq " + order
	}
	return "select " + eventColumns + "\nfrom event\nwhere " + strings.Join(where, " and ") + "\norder by " + order + "\nlimit " + arg(q.Limit), args
}

// KnowsActor reports whether the trail has an event of the actor with this id.
func (s Events) KnowsActor(ctx context.Context, id string) (known bool, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		found, err := collect(ctx, tx, scanPosition, "select tx, seq from event where actor_id = $1 and "+knownActors+" limit 1", id)
		known = len(found) > 0
		return err
	})
	return known, err
}

// PositionAt implements event.Trail. It finds the position that belongs to a time by a binary
// search on the primary key, so that times need no index.
func (s Events) PositionAt(ctx context.Context, t time.Time) (at event.Position, err error) {
	type place struct {
		event.Position
		time int64
	}
	scan := func(row scanner) (p place, err error) {
		err = row.Scan(&p.Tx, &p.Seq, &p.time)
		return p, err
	}
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		ends, err := collect(ctx, tx, scan, "select tx, seq, time from event where seq = (select max(seq) from event) or seq = (select min(seq) from event) order by seq")
		if err != nil || len(ends) == 0 {
			return err
		}
		low, high, best := ends[0].Seq, ends[len(ends)-1].Seq, ends[len(ends)-1]
		if best.time < micros(t) {
			return nil
		}
		for low < high {
			middle := low + (high-low)/2
			found, err := collect(ctx, tx, scan, "select tx, seq, time from event where seq >= $1 order by seq limit 1", middle)
			switch {
			case err != nil:
				return err
			case found[0].time >= micros(t):
				best, high = found[0], middle
			default:
				low = found[0].Seq + 1
			}
		}
		at = best.Position
		return nil
	})
	return at, err
}

// scanPosition reads the columns tx and seq, which are the position of an event.
func scanPosition(row scanner) (p event.Position, err error) {
	err = row.Scan(&p.Tx, &p.Seq)
	return p, err
}

// scanEvent reads the eventColumns of a row.
func scanEvent(row scanner) (e event.Event, err error) {
	var at int64
	var data string
	err = row.Scan(&e.Position.Tx, &e.Position.Seq, &at, &e.Scope.Kind, &e.Scope.ID, &e.Name, &e.Actor, &e.Subject, &e.Text, &data,
		&e.By.Kind, &e.By.ID, &e.By.Name, &e.By.Address, &e.By.UserAgent, &e.Cause)
	if e.By.Kind == "" { // the event was written before the table had columns for the actor
		e.By = event.ParseActor(e.Actor)
	}
	e.Time = fromMicros(at)
	if data != "" {
		e.Data = []byte(data)
	}
	return e, err
}

// laterCondition returns the SQL condition that an event comes after the position ($3, $4). On
// SQLite, the column tx is always 0, so the condition compares it for equality. If it compared
// pairs, SQLite would read all events of the scope.
func laterCondition(tx *sqldb.Tx) string {
	if tx.Kind() == sqldb.SQLite {
		return "tx = $3 and seq > $4"
	}
	return "(tx, seq) > ($3, $4)"
}

// settledCondition returns the SQL condition that no running transaction can still write an event
// before the selected one. PostgreSQL numbers a transaction when it first writes, and shows its
// rows when it commits. So no further rows can appear with numbers below that of the oldest running
// transaction. SQLite needs no condition, because it runs write transactions one after the other.
func settledCondition(tx *sqldb.Tx) string {
	if tx.Kind() == sqldb.PostgreSQL {
		return "tx < pg_snapshot_xmin(pg_current_snapshot())::text::bigint + (select base from event_base)"
	}
	return "tx = 0"
}

// settleEvents repairs the positions of events after a dump was restored on a PostgreSQL server
// with lower transaction numbers. Without this repair, Read would wait for the existing events as
// if their transactions had not run yet, and new events would sort before them.
func settleEvents(ctx context.Context, db *sqldb.DB) error {
	if db.Kind() != sqldb.PostgreSQL {
		return nil
	}
	var ahead bool
	if err := db.Read(ctx, func(tx *sqldb.Tx) error { return tx.QueryRow(ctx, eventsAhead).Scan(&ahead) }); err != nil || !ahead {
		return err
	}
	return db.Update(ctx, func(tx *sqldb.Tx) error {
		if _, err := tx.Exec(ctx, "lock table event in access exclusive mode"); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, eventsAhead).Scan(&ahead); err != nil || !ahead {
			return err
		}
		var base int64
		if err := tx.QueryRow(ctx, "update event_base set base = (select max(tx) from event) returning base").Scan(&base); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, fmt.Sprintf(`
			alter table event
			alter column tx set default (pg_current_xact_id()::text::bigint + %d)`, base))
		return err
	})
}

// eventsAhead is a query that finds out whether one of the newest events has a transaction number
// that this server has not reached yet.
const eventsAhead = `
	select coalesce(max(newest.tx) - (select base from event_base) >= pg_snapshot_xmax(pg_current_snapshot())::text::bigint, false)
	from (select tx from event order by seq desc limit 1000) newest`
