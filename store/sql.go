package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// scanner is a *Row or the current row of *Rows.
type scanner interface {
	Scan(dest ...any) error
}

// collect runs a query and reads each row with scan. If there are no rows, it returns a nil slice
// and no error.
func collect[T any](ctx context.Context, tx *sqldb.Tx, scan func(row scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

// scanText reads a row with a single string.
func scanText(row scanner) (text string, err error) {
	err = row.Scan(&text)
	return text, err
}

// scanInt reads a row with a single integer.
func scanInt(row scanner) (n int, err error) {
	err = row.Scan(&n)
	return n, err
}

// orNotFound replaces sql.ErrNoRows with the domain's own error.
func orNotFound(err, notFound error) error {
	if errors.Is(err, sql.ErrNoRows) {
		return notFound
	}
	return err
}

// affectedRows returns the total number of rows that the statements changed.
func affectedRows(results ...sql.Result) (total int64, err error) {
	for _, r := range results {
		n, err := r.RowsAffected()
		if err != nil {
			return 0, err
		}
		total += n
	}
	return total, nil
}

// changesRow runs a statement and reports whether it affected a row.
func changesRow(ctx context.Context, tx *sqldb.Tx, query string, args ...any) (bool, error) {
	result, err := tx.Exec(ctx, query, args...)
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// batchSizes are the numbers of values that one statement can take. There are few sizes, so that
// few different statements must be prepared. A smaller batch is filled up with copies of its last
// value, so use inBatches only where duplicates change nothing.
var batchSizes = []int{1, 4, 10, 30, 100, 300}

// inBatches calls do with the values, in batches whose sizes batchSizes lists.
func inBatches[T any](values []T, do func(batch []T) error) error {
	for len(values) > 0 {
		size := batchSizes[len(batchSizes)-1]
		for _, b := range batchSizes {
			if b >= len(values) {
				size = b
				break
			}
		}
		batch := values[:min(size, len(values))]
		values = values[len(batch):]
		full := append(make([]T, 0, size), batch...)
		for len(full) < size {
			full = append(full, batch[len(batch)-1])
		}
		if err := do(full); err != nil {
			return err
		}
	}
	return nil
}

// withIDs returns args followed by ids, for a statement that ends with a list of ids.
func withIDs(ids []string, args ...any) []any {
	for _, id := range ids {
		args = append(args, id)
	}
	return args
}

// placeholders returns "$from, $from+1, …".
func placeholders(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("$" + strconv.Itoa(from+i))
	}
	return b.String()
}

// rowsOfPlaceholders returns n rows of placeholders for a values clause, such as
// (cast($4 as text), cast($5 as bigint)). The first placeholder has the number from. types are the
// types of the columns, which PostgreSQL cannot infer there. On both databases, the columns have the
// names column1, column2 and so on.
func rowsOfPlaceholders(from, n int, types ...string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		for j, typ := range types {
			b.WriteString(map[bool]string{true: "(", false: ", "}[j == 0] + "cast($" + strconv.Itoa(from+i*len(types)+j) + " as " + typ + ")")
		}
		b.WriteString(")")
	}
	return b.String()
}

// escapeLike escapes the characters of a word that have a meaning in a pattern of "like".
func escapeLike(word string) string {
	return strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(word)
}

// encodeList returns the stored form of a list: JSON, or an empty text for an empty list.
func encodeList(list []string) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	b, err := json.Marshal(list)
	return string(b), err
}

// decodeList reads a list that encodeList has written. It leaves *list unchanged if the text is
// empty.
func decodeList(text string, list *[]string) error {
	if text == "" {
		return nil
	}
	return json.Unmarshal([]byte(text), list)
}

// boolToInt returns 1 for true and 0 for false.
func boolToInt(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// micros returns a time as it is stored: microseconds since 1970 UTC, or 0 for the zero time.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros converts a number from micros back into the time, in UTC.
func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
