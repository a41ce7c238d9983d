package store

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/rollcall-scim/rollcall/internal/redact"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// addEntry adds the outcome's entry to the provisioning log. It adds nothing if there is no entry,
// or if o.OnlyShown is true.
func (t jobTx) addEntry(ctx context.Context, o provision.Outcome) error {
	e := o.Entry
	if e == nil || o.OnlyShown {
		return nil
	}
	document, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write log entry: %w", err)
	}
	return t.exec(ctx, `
		insert into provisioning_log (directory, app, time, id, object_id, cycle, action, status, search_text, entry)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		micros(e.ActivityTime), e.ID, o.ObjectID, e.CycleID, string(e.Action), string(e.Status.Status), searchText(e), entryRowOf(t, e, o.ObjectID).compact(redact.Document(string(document))))
}

// searchText returns the case-folded text of an entry in which log searches look.
func searchText(e *provision.LogEntry) string {
	return scim.Fold(redact.Tokens(strings.Join([]string{
		e.SourceIdentity.DisplayName, e.SourceIdentity.Details["userPrincipalName"], e.SourceIdentity.ID, e.TargetIdentity.ID, e.Status.Code,
	}, "\n")))
}

// Logs returns one page of the log. next is the cursor of the page's last entry; "" on the last
// page.
func (s Provisioning) Logs(ctx context.Context, k provision.Key, q provision.LogQuery) (entries []provision.LogEntry, next string, err error) {
	if q.Limit <= 0 {
		q.Limit = 50
	}
	query, args, err := logQuery(k, q)
	if err != nil {
		return nil, "", err
	}
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		entries, err = collect(ctx, tx, scanEntry, query, args...)
		return err
	})
	if err != nil || len(entries) <= q.Limit {
		return entries, "", err
	}
	entries = entries[:q.Limit]
	return entries, entries[len(entries)-1].Cursor(), nil
}

// CountLogs counts the entries that a query selects.
func (s Provisioning) CountLogs(ctx context.Context, k provision.Key, q provision.LogQuery) (n int, err error) {
	q.Before, q.Limit = "", math.MaxInt32-1
	query, args, err := logQuery(k, q)
	if err != nil {
		return 0, err
	}
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		return tx.QueryRow(ctx, "select count(*) from ("+query+") found", args...).Scan(&n)
	})
	return n, err
}

// logQuery returns the SQL query for a page of the log, and its arguments. The query selects one
// row more than the page has, to show whether another page follows.
func logQuery(k provision.Key, q provision.LogQuery) (string, []any, error) {
	args := []any{string(k.Directory), k.App}
	bind := func(v any) string {
		args = append(args, v)
		return "$" + strconv.Itoa(len(args))
	}
	var b strings.Builder
	b.WriteString(`
		select ` + entryColumns + `
		from provisioning_log
		where directory = $1 and app = $2`)
	if q.Before != "" {
		at, id, ok := strings.Cut(q.Before, "-")
		n, err := strconv.ParseInt(at, 10, 64)
		if !ok || err != nil {
			return "", nil, &provision.InputError{Field: "before", Text: "is not a cursor of this log"}
		}
		sign := "<"
		if q.OldestFirst {
			sign = ">"
		}
		b.WriteString(" and (time, id) " + sign + " (" + bind(n) + ", " + bind(id) + ")")
	}
	for _, is := range []struct{ column, value string }{
		{"object_id", q.ObjectID}, {"cycle", q.Cycle}, {"action", string(q.Action)}, {"status", string(q.Status)},
	} {
		if is.value != "" {
			b.WriteString(" and " + is.column + " = " + bind(is.value))
		}
	}
	if q.Shown && q.Status == "" {
		b.WriteString(" and status <> " + bind(string(provision.Skipped)))
	}
	if !q.From.IsZero() {
		b.WriteString(" and time >= " + bind(micros(q.From)))
	}
	if !q.Until.IsZero() {
		b.WriteString(" and time < " + bind(micros(q.Until)))
	}
	for _, word := range strings.Fields(scim.Fold(q.Search)) {
		b.WriteString(" and search_text like " + bind("%"+escapeLike(word)+"%") + ` escape '\'`)
	}
	order := "time desc, id desc"
	if q.OldestFirst {
		order = "time, id"
	}
	b.WriteString(`
		order by ` + order + `
		limit ` + bind(q.Limit+1))
	return b.String(), args, nil
}

// Log returns one entry, or provision.ErrNotFound.
func (s Provisioning) Log(ctx context.Context, k provision.Key, id string) (e provision.LogEntry, err error) {
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		e, err = scanEntry(tx.QueryRow(ctx, `
			select `+entryColumns+`
			from provisioning_log
			where directory = $1 and app = $2 and id = $3`, string(k.Directory), k.App, id))
		return orNotFound(err, provision.ErrNotFound)
	})
	return e, err
}

// entryColumns are the columns that scanEntry reads.
const entryColumns = "entry, directory, app, id, object_id, cycle"

// scanEntry reads the entryColumns of a row, and decodes the entry.
func scanEntry(row scanner) (provision.LogEntry, error) {
	var e provision.LogEntry
	var r entryRow
	var stored string
	if err := row.Scan(&stored, &r.directory, &r.app, &r.id, &r.objectID, &r.cycle); err != nil {
		return e, err
	}
	if err := json.Unmarshal([]byte(r.expand(stored)), &e); err != nil {
		return e, fmt.Errorf("read log entry: %w", err)
	}
	return e, nil
}
