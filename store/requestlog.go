package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/internal/fair"
	"github.com/rollcall-scim/rollcall/requestlog"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// RequestLogs implements requestlog.Store.
type RequestLogs struct{ DB *DB }

// AppendRequests writes rows of the request log and the last uses of tokens. If all rows belong to
// one site, it uses that site's lane (see sqldb.Lane).
func (s RequestLogs) AppendRequests(ctx context.Context, rows []requestlog.Request, uses []requestlog.TokenUse) error {
	key := fair.System
	if len(rows) > 0 && !slices.ContainsFunc(rows, func(r requestlog.Request) bool { return r.Site != rows[0].Site }) {
		key = string(rows[0].Site)
	}
	return s.DB.Lane(key).Update(ctx, func(tx *sqldb.Tx) error {
		kept := map[site.ID]bool{}
		for _, r := range rows {
			if err := noteSiteExists(ctx, tx, r.Site, kept); err != nil {
				return err
			}
		}
		known := slices.DeleteFunc(slices.Clone(rows), func(r requestlog.Request) bool { return !kept[r.Site] })
		if err := appendRequests(ctx, tx, known); err != nil {
			return err
		}
		for _, u := range uses {
			if err := tx.Send(ctx, `
				update token
				set last_used = $1, last_from = $2
				where site = $3 and id = $4 and last_used < $1`,
				micros(u.Time), u.From, string(u.Site), u.Token); err != nil {
				return err
			}
		}
		return nil
	})
}

// noteSiteExists looks up whether a site exists and stores the answer in kept. Rows of the log may
// arrive after their site was deleted.
func noteSiteExists(ctx context.Context, tx *sqldb.Tx, id site.ID, kept map[site.ID]bool) error {
	if _, known := kept[id]; known {
		return nil
	}
	ids, err := collect(ctx, tx, func(row scanner) (found site.ID, err error) {
		err = row.Scan(&found)
		return found, err
	}, `
		select s.id
		from site s
		where s.id = $1 and s.deleted = 0`, string(id))
	kept[id] = len(ids) > 0
	return err
}

// maxRequestsPerInsert is the greatest number of log rows that one insert statement writes.
const maxRequestsPerInsert = 32

// requestColumns is the number of columns of each row that insertRequests writes.
const requestColumns = 17

// appendRequests writes rows of the request log. Their sites must exist.
func appendRequests(ctx context.Context, tx *sqldb.Tx, rows []requestlog.Request) error {
	for len(rows) > 0 {
		n, insert := 1, insertRequest
		if len(rows) >= maxRequestsPerInsert {
			n, insert = maxRequestsPerInsert, insertManyRequests
		}
		args := make([]any, 0, n*requestColumns)
		for _, r := range rows[:n] {
			fixes, err := encodeList(r.Fixes)
			if err != nil {
				return err
			}
			ignored, err := encodeList(r.Ignored)
			if err != nil {
				return err
			}
			args = append(args, string(r.Site), micros(r.Time), r.ID, r.TokenID, r.TokenLast4, r.Method, r.Path, r.Status, r.Duration.Microseconds(),
				r.UserName, r.Subject, r.Sentence, fixes, ignored, r.Remote, string(r.Result()), r.IsChange())
		}
		if err := tx.Send(ctx, insert, args...); err != nil {
			return err
		}
		rows = rows[n:]
	}
	return nil
}

// These statements insert one row, and the largest number of rows that one statement inserts.
var (
	insertRequest      = insertRequests(1)
	insertManyRequests = insertRequests(maxRequestsPerInsert)
)

// insertRequests returns the statement that inserts n rows.
func insertRequests(n int) string {
	var b strings.Builder
	b.WriteString(`
		insert into request_log (site, time, id, token, token_last4, method, path, status, duration, user_name, subject, sentence, fixes, ignored, remote, result, change)
		values `)
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(" + placeholders(1+i*requestColumns, requestColumns) + ")")
	}
	return b.String()
}

// Requests returns rows of a site's request log before the cursor, newest first.
func (s RequestLogs) Requests(ctx context.Context, id site.ID, only requestlog.Filter, before requestlog.Cursor, limit int) (rows []requestlog.Request, err error) {
	at := micros(before.Time)
	if before == (requestlog.Cursor{}) {
		at = never
	}
	query := `
		select r.site, r.time, r.id, r.token, r.token_last4, r.method, r.path, r.status, r.duration,
			r.user_name, r.subject, r.sentence, r.fixes, r.ignored, r.remote
		from request_log r
		where r.site = $1 and (r.time, r.id) < ($2, $3)`
	args := []any{string(id), at, before.ID, limit}
	narrow := func(condition string, value any) {
		args = append(args, value)
		query += fmt.Sprintf(" and %s $%d", condition, len(args))
	}
	if only.OnlyChanges {
		query += ` and r.change`
	}
	if only.Result != requestlog.AnyResult {
		narrow("r.result =", string(only.Result))
	}
	if only.Method != "" {
		narrow("r.method =", only.Method)
	}
	switch only.Token {
	case "":
	case requestlog.AnyToken:
		narrow("r.token <>", "")
	case requestlog.NoToken:
		narrow("r.token =", "")
	default:
		narrow("r.token =", only.Token)
	}
	if !only.From.IsZero() {
		narrow("r.time >=", micros(only.From))
	}
	if !only.Until.IsZero() {
		narrow("r.time <", micros(only.Until))
	}
	query += `
		order by r.time desc, r.id desc
		limit $4`
	err = s.DB.View(ctx, func(tx *sqldb.Tx) error {
		rows, err = collect(ctx, tx, scanRequest, query, args...)
		return err
	})
	return rows, err
}

// scanRequest reads a row of the request log.
func scanRequest(row scanner) (r requestlog.Request, err error) {
	var at, duration int64
	var fixes, ignored string
	if err := row.Scan(&r.Site, &at, &r.ID, &r.TokenID, &r.TokenLast4, &r.Method, &r.Path, &r.Status, &duration,
		&r.UserName, &r.Subject, &r.Sentence, &fixes, &ignored, &r.Remote); err != nil {
		return r, err
	}
	r.Time, r.Duration = fromMicros(at), time.Duration(duration)*time.Microsecond
	if err := decodeList(fixes, &r.Fixes); err != nil {
		return r, fmt.Errorf("read request %s: %w", r.ID, err)
	}
	if err := decodeList(ignored, &r.Ignored); err != nil {
		return r, fmt.Errorf("read request %s: %w", r.ID, err)
	}
	return r, nil
}
