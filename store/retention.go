package store

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/retention"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// Retention implements retention.Store.
type Retention struct{ DB *DB }

// Policy returns the kinds for which a retention time is set.
func (s Retention) Policy(ctx context.Context) (policy retention.Policy, err error) {
	policy = retention.Policy{}
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		_, err := collect(ctx, tx, func(row scanner) (kind retention.Kind, err error) {
			var days int
			err = row.Scan(&kind, &days)
			policy[kind] = days
			return kind, err
		}, `
			select kind, days
			from retention`)
		return err
	})
	return policy, err
}

// SetPolicy stores the policy with its event.
func (s Retention) SetPolicy(ctx context.Context, p retention.Policy, e event.Event) error {
	return s.DB.Update(ctx, func(tx *sqldb.Tx) error {
		for _, kind := range retention.Kinds() {
			if _, err := tx.Exec(ctx, `
				insert into retention (kind, days)
				values ($1, $2)
				on conflict (kind) do update set days = excluded.days`, string(kind), p[kind]); err != nil {
				return err
			}
		}
		return appendEvent(ctx, tx, e)
	})
}

// Pruned returns the time before which all entries of an owner have been removed. An owner is a
// site, a directory or a job.
func (s Retention) Pruned(ctx context.Context, kind retention.Kind, owner string) (until time.Time, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		until, err = prunedUntil(ctx, tx, kind, owner)
		return err
	})
	return until, err
}

// prunedUntil does what Pruned does, in the caller's transaction.
func prunedUntil(ctx context.Context, tx *sqldb.Tx, kind retention.Kind, owner string) (time.Time, error) {
	times, err := collect(ctx, tx, func(row scanner) (at int64, err error) {
		err = row.Scan(&at)
		return at, err
	}, `
		select until
		from pruned
		where kind = $1 and owner = $2`, string(kind), owner)
	if err != nil || len(times) == 0 {
		return time.Time{}, err
	}
	return fromMicros(times[0]), nil
}

// setPruned records that all entries of an owner before the time until have been removed. It never
// replaces a later time with an earlier one.
func setPruned(ctx context.Context, tx *sqldb.Tx, kind retention.Kind, owner string, until int64) error {
	return tx.Send(ctx, `
		insert into pruned (kind, owner, until)
		values ($1, $2, $3)
		on conflict (kind, owner) do update set until = excluded.until
		where pruned.until < excluded.until`, string(kind), owner, until)
}

// forgetPruned deletes the records of how far an owner's logs have been pruned. It is called when
// the owner, such as a site, is deleted.
func forgetPruned(ctx context.Context, tx *sqldb.Tx, owner string) error {
	return tx.Send(ctx, `
		delete from pruned
		where owner = $1`, owner)
}

// Prune removes the entries of one kind that are older than before, until none is left or the time
// end has come.
func (s Retention) Prune(ctx context.Context, kind retention.Kind, before, end time.Time) (removed int, done bool, err error) {
	work := s.DB.Slicer(end)
	switch kind {
	case retention.Events:
		return s.pruneEvents(ctx, work, micros(before))
	case retention.Spent:
		return s.pruneExpired(ctx, work, micros(before))
	}
	log, known := agedLogs()[kind]
	if !known {
		return 0, false, fmt.Errorf("nothing is known of %q", kind)
	}
	owners, err := s.owners(ctx, log)
	if err != nil {
		return 0, false, err
	}
	for _, owner := range owners {
		n, done, err := s.pruneLog(ctx, work, kind, log, owner, micros(before))
		removed += n
		if err != nil || !done {
			return removed, false, err
		}
	}
	return removed, true, nil
}

// Count returns the number of entries that Prune would remove.
func (s Retention) Count(ctx context.Context, kind retention.Kind, before time.Time) (n int, err error) {
	switch kind {
	case retention.Events:
		return s.countEvents(ctx, micros(before))
	case retention.Spent:
		for _, table := range expiringTables() {
			some, err := s.count(ctx, table.name, table.endColumn+" < $1 and "+table.endColumn+" > 0", micros(before))
			if err != nil {
				return 0, err
			}
			n += some
		}
		return n, nil
	}
	log := agedLogs()[kind]
	return s.count(ctx, log.table, "time < $1 and "+log.condition, micros(before))
}

// count counts the rows of a table that satisfy an SQL condition.
func (s Retention) count(ctx context.Context, table, condition string, args ...any) (n int, err error) {
	err = s.DB.Lane(sqldb.SliceLane).View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, "select count(*) from "+table+" where "+condition, args...).Scan(&n)
	})
	return n, err
}

// agedLog is a log whose primary key consists of the owner's columns, the time and the id.
type agedLog struct {
	table        string
	ownerColumns []string // the columns that identify the owner
	ownersQuery  string   // the query that lists all owners
	condition    string   // condition for the rows that belong to the kind
}

// agedLogs returns the log of each kind of retention that has one.
func agedLogs() map[retention.Kind]agedLog {
	requests := agedLog{table: "request_log", ownerColumns: []string{"site"}, ownersQuery: "select id from site where deleted = 0 order by id"}
	reads, changes := requests, requests
	reads.condition = "(not change or token = '')"
	changes.condition = "(change and token <> '')"
	return map[retention.Kind]agedLog{
		retention.Reads:   reads,
		retention.Changes: changes,
		retention.Provisioning: {
			table: "provisioning_log", ownerColumns: []string{"directory", "app"}, condition: "true",
			ownersQuery: "select directory, app from job order by directory, app",
		},
	}
}

// ownerCondition returns the condition for an owner's rows. The owner's ids are the first
// arguments.
func (l agedLog) ownerCondition() string {
	conditions := make([]string, len(l.ownerColumns))
	for i, column := range l.ownerColumns {
		conditions[i] = fmt.Sprintf("%s = $%d", column, i+1)
	}
	return strings.Join(conditions, " and ")
}

// owners returns the ids of all existing owners. An owner can have several ids, such as directory
// and application.
func (s Retention) owners(ctx context.Context, log agedLog) (all [][]string, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, func(row scanner) ([]string, error) {
			ids, to := make([]string, len(log.ownerColumns)), make([]any, len(log.ownerColumns))
			for i := range ids {
				to[i] = &ids[i]
			}
			return ids, row.Scan(to...)
		}, log.ownersQuery)
		return err
	})
	return all, err
}

// rowsPerSlice is how many rows of a log pruneLog examines in one read.
const rowsPerSlice = 5_000

// pruneLog walks through an owner's log, starting where earlier pruning ended. A read transaction
// finds each slice, so that the write transaction only deletes.
func (s Retention) pruneLog(ctx context.Context, work *sqldb.Slicer, kind retention.Kind, log agedLog, owner []string, before int64) (removed int, done bool, err error) {
	var since time.Time
	if since, err = s.Pruned(ctx, kind, retention.Owner(owner...)); err != nil {
		return 0, false, err
	}
	ids := make([]any, len(owner))
	for i, id := range owner {
		ids[i] = id
	}
	from, n := micros(since), len(ids)
	for from < before {
		if work.IsOver() {
			return removed, false, nil
		}
		upTo, found, err := s.nextSlice(ctx, work, log, ids, from, before)
		if err != nil {
			return removed, false, err
		}
		if found == 0 && upTo == before && from == micros(since) {
			return removed, true, nil // no row is older than before
		}
		err = work.Write(ctx, func(tx *sqldb.Tx) error {
			if found > 0 {
				result, err := tx.Exec(ctx, fmt.Sprintf(`
					delete from %s
					where %s and time >= $%d and time < $%d and %s`, log.table, log.ownerCondition(), n+1, n+2, log.condition), append(ids[:n:n], from, upTo)...)
				if err != nil {
					return err
				}
				gone, err := result.RowsAffected()
				if err != nil {
					return err
				}
				removed += int(gone)
			}
			return setPruned(ctx, tx, kind, retention.Owner(owner...), upTo)
		})
		if err != nil {
			return removed, false, err
		}
		from = upTo
	}
	return removed, true, nil
}

// nextSlice returns the end of the next slice of a log, and how many of its rows must be deleted.
func (s Retention) nextSlice(ctx context.Context, work *sqldb.Slicer, log agedLog, ids []any, from, before int64) (upTo int64, found int, err error) {
	n := len(ids)
	query := fmt.Sprintf(`
		select time, %s
		from %s
		where %s and time >= $%d and time < $%d
		order by time, id
		limit $%d`, log.condition, log.table, log.ownerCondition(), n+1, n+2, n+3)
	seen := 0
	err = work.Lane().View(ctx, func(tx *sqldb.Tx) error {
		rows, err := tx.Query(ctx, query, append(ids[:n:n], from, before, rowsPerSlice)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for found < work.Rows() && rows.Next() {
			var goes bool
			if err := rows.Scan(&upTo, &goes); err != nil {
				return err
			}
			if seen++; goes {
				found++
			}
		}
		return rows.Close()
	})
	if found < work.Rows() && seen < rowsPerSlice {
		return before, found, err
	}
	return upTo + 1, found, err
}

// pruneEvents removes events that are older than before, except events that a running job has not
// read yet.
func (s Retention) pruneEvents(ctx context.Context, work *sqldb.Slicer, before int64) (removed int, done bool, err error) {
	held, err := s.readPositions(ctx)
	if err != nil {
		return 0, false, err
	}
	for after := int64(0); ; {
		if work.IsOver() {
			return removed, false, nil
		}
		chunk, err := s.oldestEvents(ctx, work, after)
		if err != nil {
			return removed, false, err
		}
		var events []agedEvent
		young := len(chunk) < work.Rows()
		for _, e := range chunk {
			after = e.position.Seq
			switch hold, holds := held[e.scope]; {
			case e.time >= before:
				young = true
			case !holds || !e.position.After(hold):
				events = append(events, e)
			}
		}
		if len(events) > 0 {
			if err := work.Write(ctx, func(tx *sqldb.Tx) error { return deleteEvents(ctx, tx, events) }); err != nil {
				return removed, false, err
			}
			removed += len(events)
		} else if young {
			n, done, err := s.pruneDirectoryRows(ctx, work)
			return removed + n, done, err
		}
	}
}

// pruneDirectoryRows removes rows of directories that were kept only for readers of events that are
// pruned now. These are members that left a group, groups that are no longer assigned, groups that
// were deleted permanently, and imports whose changes no longer wait for a decision.
func (s Retention) pruneDirectoryRows(ctx context.Context, work *sqldb.Slicer) (removed int, done bool, err error) {
	type pruned struct {
		directory string
		until     int64
	}
	var all []pruned
	if err := s.DB.View(ctx, func(tx *sqldb.Tx) error {
		all, err = collect(ctx, tx, func(row scanner) (p pruned, err error) {
			return p, row.Scan(&p.directory, &p.until)
		}, `
			select d.id, p.until
			from directory d
			join pruned p on p.kind = $1 and p.owner = $2 || d.id
			order by d.id`, string(retention.Events), retention.Owner(event.KindDirectory, ""))
		return err
	}); err != nil {
		return 0, false, err
	}
	for _, p := range all {
		for _, t := range []struct{ table, which string }{
			{"directory_member", "directory = $1 and gone > 0 and gone < $2"},
			{"directory_group_assignment", "directory = $1 and gone > 0 and gone < $2"},
			{"directory_member", "directory = $1 and group_id in (select object_id from directory_group where directory = $1 and purged > 0 and purged < $2)"},
			{"directory_group_assignment", "directory = $1 and group_id in (select object_id from directory_group where directory = $1 and purged > 0 and purged < $2)"},
			{"directory_group", "directory = $1 and purged > 0 and purged < $2"},
			{"directory_cause", `directory = $1 and seen < $2
				and not exists (select 1 from job_pending p where p.directory = $1 and p.cause = directory_cause.id)
				and not exists (select 1 from job_member m where m.directory = $1 and m.verdict <> 'ready' and m.cause = directory_cause.id)`},
		} {
			n, done, err := s.deleteAll(ctx, work, t.table, t.which, p.directory, p.until)
			removed += n
			if err != nil || !done {
				return removed, false, err
			}
		}
	}
	return removed, true, nil
}

// deleteAll deletes the rows that satisfy a condition, in slices. It first looks for such rows in a
// read transaction, so that it writes nothing if there are none.
func (s Retention) deleteAll(ctx context.Context, work *sqldb.Slicer, table, condition string, args ...any) (removed int, done bool, err error) {
	for {
		if work.IsOver() {
			return removed, false, nil
		}
		var left bool
		if err := work.Lane().View(ctx, func(tx *sqldb.Tx) error {
			return tx.QueryRow(ctx, "select exists (select 1 from "+table+" where "+condition+")", args...).Scan(&left)
		}); err != nil || !left {
			return removed, err == nil, err
		}
		before := removed
		if err := work.Write(ctx, func(tx *sqldb.Tx) error {
			result, err := tx.Exec(ctx, tx.DeleteSome(table, condition, fmt.Sprintf("$%d", len(args)+1)), append(args[:len(args):len(args)], work.Rows())...)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			removed = before + int(n)
			return err
		}); err != nil {
			return removed, false, err
		}
	}
}

// agedEvent has the fields of an event that decide whether it can be removed.
type agedEvent struct {
	position event.Position
	scope    event.Scope
	time     int64 // the event's time, in microseconds since 1970
}

// oldestEvents returns some of the events whose number seq is greater than after, in the order of
// seq.
func (s Retention) oldestEvents(ctx context.Context, work *sqldb.Slicer, after int64) (chunk []agedEvent, err error) {
	err = work.Lane().View(ctx, func(tx *sqldb.Tx) error {
		chunk, err = collect(ctx, tx, func(row scanner) (e agedEvent, err error) {
			err = row.Scan(&e.position.Tx, &e.position.Seq, &e.scope.Kind, &e.scope.ID, &e.time)
			return e, err
		}, `
			select tx, seq, scope_kind, scope_id, time
			from event
			where seq > $1
			order by seq
			limit $2`, after, work.Rows())
		return err
	})
	return chunk, err
}

// deleteEvents removes events, and records for each scope up to which position its events have been
// removed.
func deleteEvents(ctx context.Context, tx *sqldb.Tx, events []agedEvent) error {
	last := map[event.Scope]agedEvent{}
	for _, e := range events {
		if err := tx.Send(ctx, `
			delete from event
			where seq = $1`, e.position.Seq); err != nil {
			return err
		}
		newest, found := last[e.scope]
		if !found || e.position.After(newest.position) {
			newest.position, newest.scope = e.position, e.scope
		}
		newest.time = max(newest.time, e.time)
		last[e.scope] = newest
	}
	for scope, e := range last {
		if err := tx.Send(ctx, `
			insert into event_floor (scope_kind, scope_id, tx, seq)
			values ($1, $2, $3, $4)
			on conflict (scope_kind, scope_id) do update set tx = excluded.tx, seq = excluded.seq
			where (event_floor.tx, event_floor.seq) < (excluded.tx, excluded.seq)`, scope.Kind, scope.ID, e.position.Tx, e.position.Seq); err != nil {
			return err
		}
		if err := setPruned(ctx, tx, retention.Events, retention.Owner(scope.Kind, scope.ID), e.time+1); err != nil {
			return err
		}
	}
	return nil
}

// lastPrunedEvent returns the position of the last removed event of a scope, or the zero position.
func lastPrunedEvent(ctx context.Context, tx *sqldb.Tx, scope event.Scope) (event.Position, error) {
	floors, err := collect(ctx, tx, scanPosition, `
		select tx, seq
		from event_floor
		where scope_kind = $1 and scope_id = $2`, scope.Kind, scope.ID)
	if err != nil || len(floors) == 0 {
		return event.Position{}, err
	}
	return floors[0], nil
}

// readPositions returns the position in each directory's events up to which all running jobs have
// read. It ignores jobs that are off or in quarantine. If such a job finds that unread events were
// removed, it starts with an initial cycle.
func (s Retention) readPositions(ctx context.Context) (map[event.Scope]event.Position, error) {
	states, err := Provisioning{DB: s.DB}.WatchedStates(ctx)
	if err != nil {
		return nil, err
	}
	held := map[event.Scope]event.Position{}
	for k, st := range states {
		cursor := st.Watermark
		switch {
		case st.Quarantine != nil:
			continue
		case st.Phase == provision.Snapshot || st.Phase == provision.Links:
			cursor = st.Start
		case !st.Ready:
			continue
		}
		progress, err := directory.ParseProgress(string(cursor))
		if err != nil {
			return nil, fmt.Errorf("read the watermark of job %s: %w", k, err)
		}
		at := progress.Position
		scope := event.Directory(string(k.Directory))
		if hold, found := held[scope]; !found || hold.After(at) {
			held[scope] = at
		}
	}
	return held, nil
}

// countEvents counts the events before a time that can be removed. A scope's events that a job
// still has to read cannot be removed.
func (s Retention) countEvents(ctx context.Context, before int64) (n int, err error) {
	if n, err = s.count(ctx, "event", "time < $1", before); err != nil {
		return 0, err
	}
	held, err := s.readPositions(ctx)
	if err != nil {
		return 0, err
	}
	for scope, at := range held {
		kept, err := s.count(ctx, "event", "scope_kind = $1 and scope_id = $2 and (tx, seq) > ($3, $4) and time < $5",
			scope.Kind, scope.ID, at.Tx, at.Seq, before)
		if err != nil {
			return 0, err
		}
		n -= kept
	}
	return n, nil
}

// expiringTable is a table whose rows become useless at the time in endColumn, such as links and
// sessions.
type expiringTable struct{ name, endColumn string }

// expiringTables returns the tables whose rows expire.
func expiringTables() []expiringTable {
	return []expiringTable{
		{"token_form", "used"}, {"operator_link", "expires"}, {"operator_session", "expires"}, {"operator_request", "expires"}, {"signin_link", "expires"}, {"site_session", "expires"},
	}
}

// pruneExpired deletes the rows of expiringTables that expired before a time.
func (s Retention) pruneExpired(ctx context.Context, work *sqldb.Slicer, before int64) (removed int, done bool, err error) {
	for _, table := range expiringTables() {
		n, done, err := s.deleteAll(ctx, work, table.name, table.endColumn+" < $1 and "+table.endColumn+" > 0", before)
		removed += n
		if err != nil || !done {
			return removed, false, err
		}
	}
	return removed, true, nil
}

// Reclaim returns free pages of a SQLite file to the file system, until only a reserve is left or
// the time end has come. PostgreSQL reuses free space without help.
func (s Retention) Reclaim(ctx context.Context, end time.Time) (pages int, done bool, err error) {
	return s.DB.Reclaim(ctx, end)
}
