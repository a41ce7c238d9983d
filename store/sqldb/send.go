package sqldb

import "context"

// sender is a connection that can send a statement later, together with the next statement whose
// result a caller needs.
type sender interface {
	send(ctx context.Context, query string, args []any) error
}

// Send runs a statement whose result the caller does not need. On PostgreSQL, the statement is sent
// to the server together with the next Exec, Query or commit, which saves a round trip. If it
// fails, that later call returns its error.
func (tx *Tx) Send(ctx context.Context, query string, args ...any) error {
	s, can := tx.conn.(sender)
	if !can {
		_, err := tx.Exec(ctx, query, args...)
		return err
	}
	if err := tx.checkReady(ctx); err != nil {
		return err
	}
	if err := s.send(ctx, query, args); err != nil {
		return tx.Fail(err)
	}
	return nil
}
