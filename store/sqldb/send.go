package sqldb

import "context"

// sender is a connection that can hold statements back until a caller needs an outcome.
type sender interface {
	send(ctx context.Context, query string, args []any) error
}

// Send runs a statement whose outcome the caller does not need. On PostgreSQL it goes to the server
// with the next statement that has an outcome, or with the commit, and needs no round trip of its
// own. If it fails, that statement or the commit returns its error.
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
