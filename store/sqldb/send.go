package sqldb

import "context"

// sender is a connection that can keep statements back until somebody waits for one.
type sender interface {
	send(ctx context.Context, query string, args []any) error
}

// Send runs a statement whose outcome nobody asks for. On PostgreSQL it leaves with the next statement that somebody
// waits for, or with the commit, without a round trip of its own; if it fails, that one has its error.
func (tx *Tx) Send(ctx context.Context, query string, args ...any) error {
	s, can := tx.runs.(sender)
	if !can {
		_, err := tx.Exec(ctx, query, args...)
		return err
	}
	if err := tx.ready(ctx); err != nil {
		return err
	}
	if err := s.send(ctx, query, args); err != nil {
		return tx.Fail(err)
	}
	return nil
}
