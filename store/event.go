package store

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
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

// Record fills event.Recorder: in one transaction.
func (s Events) Record(ctx context.Context, events ...event.Event) error {
	return s.DB.update(ctx, func(tx *Tx) error { return tx.appendEvents(ctx, events) })
}

func (tx *Tx) appendEvents(ctx context.Context, events []event.Event) error {
	for _, e := range events {
		if err := tx.appendEvent(ctx, e); err != nil {
			return err
		}
	}
	return nil
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

// rareEvents are those that the index event_rare holds: all but what an identity provider causes day by day, whose rows
// would make every SCIM request dearer. It is the index's own condition, letter by letter, as SQLite needs it.
const rareEvents = "name not in ('user.created', 'user.updated', 'group.created', 'group.updated')"

// knownActors are those that the index event_actor holds: all but tokens and Rollcall itself, for the same reason.
const knownActors = "actor_kind not in ('', 'token', 'system')"

// Slice fills event.Trail. What is asked of one site, one directory or the installation is in commit order, everything else in
// the order of writing, which is hardly another one.
func (s Events) Slice(ctx context.Context, q event.Slice) (events []event.Event, err error) {
	names := q.Names
	if len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return !rare(name) }) || q.Actor != "" || q.Subject != "" && q.Scope.One() {
		names = []string{""}
	}
	err = s.DB.view(ctx, func(tx *Tx) error {
		for _, name := range names {
			text, args := sliceQuery(q, name)
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
	slices.SortFunc(events, func(a, b event.Event) int { return sliceOrder(q, a, b) })
	return events[:min(len(events), q.Limit)], nil
}

// sliceOrder compares events as Slice returns them.
func sliceOrder(q event.Slice, a, b event.Event) int {
	order := cmp.Compare(a.Position.Seq, b.Position.Seq)
	if q.Scope.One() {
		order = cmp.Or(cmp.Compare(a.Position.Tx, b.Position.Tx), order)
	}
	if !q.Newer {
		order = -order
	}
	return order
}

func rare(name string) bool {
	return !strings.Contains(rareEvents, "'"+name+"'")
}

// sliceQuery is the statement of a slice, of events with one name unless it is empty. An index gives its rows in order, so that it
// reads as many as it returns; only those of one kind of scope are picked out of all.
func sliceQuery(q event.Slice, name string) (string, []any) {
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
	if q.Scope.One() {
		where = append(where, "scope_id = "+arg(q.Scope.ID))
		if q.Subject != "" {
			where = append(where, "subject = "+arg(q.Subject), "subject <> ''")
		}
	}
	sign, order := "<", "desc"
	place := q.Place
	switch {
	case q.Newer:
		sign, order = ">", "asc"
	case place.IsZero():
		place = event.Position{Tx: never, Seq: never}
	}
	if q.Scope.One() {
		where = append(where, "(tx, seq) "+sign+" ("+arg(place.Tx)+", "+arg(place.Seq)+")")
		order = "tx " + order + ", seq " + order
	} else {
		where = append(where, "seq "+sign+" "+arg(place.Seq))
		order = "seq " + order
	}
	return "select " + eventColumns + "\nfrom event\nwhere " + strings.Join(where, " and ") + "\norder by " + order + "\nlimit " + arg(q.Limit), args
}

// KnowsActor fills event.Trail.
func (s Events) KnowsActor(ctx context.Context, id string) (known bool, err error) {
	err = s.DB.view(ctx, func(tx *Tx) error {
		found, err := collect(ctx, tx, scanPosition, "select tx, seq from event where actor_id = $1 and "+knownActors+" limit 1", id)
		known = len(found) > 0
		return err
	})
	return known, err
}

// PlaceOf fills event.Trail: a search by halves over the primary key, so that times need no index.
func (s Events) PlaceOf(ctx context.Context, t time.Time) (at event.Position, err error) {
	type place struct {
		event.Position
		time int64
	}
	scan := func(row scanner) (p place, err error) {
		err = row.Scan(&p.Tx, &p.Seq, &p.time)
		return p, err
	}
	err = s.DB.view(ctx, func(tx *Tx) error {
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
