package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
)

// noteCause records that the import named in ctx wrote to the directory now. The first transaction
// that writes an event for the import adds the import's row, so an import that changes nothing has
// no row.
func (t directoryTx) noteCause(ctx context.Context) error {
	c := event.CauseIn(ctx)
	if c.ID == "" {
		return nil
	}
	now := micros(c.Now())
	if *t.appended == 0 {
		return t.tx.Send(ctx, `
			update directory_cause
			set seen = $3
			where directory = $1 and id = $2`, t.directory, c.ID, now)
	}
	return t.tx.Send(ctx, `
		insert into directory_cause (directory, id, words, since, seen)
		values ($1, $2, $3, $4, $4)
		on conflict (directory, id) do update
		set seen = excluded.seen`, t.directory, c.ID, c.Words, now)
}

// Cause returns the description and times of an import. It returns the zero CauseInfo if the import
// has no row.
func (s Directories) Cause(ctx context.Context, d directory.ID, id string) (info directory.CauseInfo, err error) {
	err = s.view(ctx, d, func(t directoryTx) error {
		var since, seen int64
		err := t.tx.QueryRow(ctx, `
			select words, since, seen
			from directory_cause
			where directory = $1 and id = $2`, t.directory, id).Scan(&info.Words, &since, &seen)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		info.Since, info.Seen = fromMicros(since), fromMicros(seen)
		return err
	})
	return info, err
}
