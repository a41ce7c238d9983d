package sqldb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"
)

// A SQLite file that this version of Rollcall created gives free pages back to the file system, a
// few at a time (auto_vacuum = incremental). A file from an earlier version reuses free pages but
// does not shrink, until Compact rewrites it.

const (
	// Reclaim keeps a reserve of free pages for new rows. Their number is minFreePages, plus one
	// for each freePageShare pages of the file.
	minFreePages  = 256
	freePageShare = 100
	// vacuumFewPages is a statement that gives back eight pages. They are few, so that the caller
	// can check the time often.
	vacuumFewPages = "pragma incremental_vacuum(8)"
)

// incrementalVacuum is the value of the pragma auto_vacuum in a file that can give back free pages.
const incrementalVacuum = 2

// Reclaim gives free pages of a SQLite file back to the file system, until only a reserve is left
// or the time end has come. It returns how many pages it gave back. done is false if it stopped
// because of the time.
func (db *DB) Reclaim(ctx context.Context, end time.Time) (pages int, done bool, err error) {
	if db.kind != SQLite {
		return 0, true, nil // on PostgreSQL, autovacuum does this work
	}
	work := db.Slicer(end)
	for {
		surplus, err := db.surplusPages(ctx)
		if err != nil || surplus <= 0 {
			return pages, err == nil, err
		}
		if work.IsOver() {
			return pages, false, nil
		}
		if err := work.Write(ctx, func(tx *Tx) error {
			for began := time.Now(); surplus > 0 && time.Since(began) < work.Length(); {
				n, err := tx.vacuum(ctx)
				if err != nil || n == 0 {
					return err
				}
				pages, surplus = pages+n, surplus-n
			}
			return nil
		}); err != nil {
			return pages, false, err
		}
	}
}

// vacuum gives a few pages back and returns their number. The pragma returns one row without
// columns for each page.
func (tx *Tx) vacuum(ctx context.Context) (pages int, err error) {
	rows, err := tx.Query(ctx, vacuumFewPages)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		pages++
	}
	return pages, rows.Close()
}

// surplusPages returns how many free pages to give back to the file system. It returns 0 for a file
// that cannot shrink.
func (db *DB) surplusPages(ctx context.Context) (n int, err error) {
	var mode, free, pages int
	err = db.View(ctx, func(tx *Tx) error {
		return tx.QueryRow(ctx, `
			select auto_vacuum, freelist_count, page_count
			from pragma_auto_vacuum, pragma_freelist_count, pragma_page_count`).Scan(&mode, &free, &pages)
	})
	if err != nil || mode != incrementalVacuum {
		return 0, err
	}
	return free - minFreePages - pages/freePageShare, nil
}

// giveBackAll gives every free page back to the file system, so that no free page holds a deleted
// row. done is false if the time end came first, or if the file cannot shrink until Compact has
// rewritten it.
func (db *DB) giveBackAll(ctx context.Context, end time.Time) (done bool, err error) {
	work := db.Slicer(end)
	for !work.IsOver() {
		var mode, free int
		if err := db.View(ctx, func(tx *Tx) error {
			return tx.QueryRow(ctx, "select auto_vacuum, freelist_count from pragma_auto_vacuum, pragma_freelist_count").Scan(&mode, &free)
		}); err != nil || mode != incrementalVacuum || free == 0 {
			return free == 0, err
		}
		if err := work.Write(ctx, func(tx *Tx) error {
			for began := time.Now(); time.Since(began) < work.Length(); {
				if n, err := tx.vacuum(ctx); err != nil || n == 0 {
					return err
				}
			}
			return nil
		}); err != nil {
			return false, err
		}
	}
	return false, nil
}

// ForgetDeleted removes deleted rows from the unused parts of a SQLite file. It gives every free
// page back to the file system, writes zeros over the unused parts of pages for which found returns
// true, and empties the write-ahead log. complete is false if the time end came first, if a reader
// still needs the log, or if the file cannot shrink until Compact has rewritten it. On PostgreSQL
// autovacuum does this work, and complete is true.
func (db *DB) ForgetDeleted(ctx context.Context, end time.Time, found func(unused []byte) bool) (complete bool, err error) {
	s, ok := db.engine.(*sqliteDB)
	if !ok {
		return true, nil
	}
	complete, err = db.giveBackAll(ctx, end)
	if err != nil {
		return false, err
	}
	overwritten, err := db.overwriteRemains(ctx, end, found)
	if err != nil {
		return false, fmt.Errorf("unused parts of pages: %w", err)
	}
	conn, err := s.openConn(ctx, readerCacheKiB, time.Second, false)
	if err != nil {
		return false, err
	}
	defer conn.close()
	emptied, err := conn.emptyLog(ctx, end)
	return complete && overwritten && emptied, err
}

// ErrNoCompact is returned by Compact for a PostgreSQL database.
var ErrNoCompact = errors.New("a PostgreSQL database is looked after by its server: autovacuum makes the space free for new rows, and VACUUM FULL gives it back")

// Compact rewrites a SQLite file without its free pages, and returns its size before and after.
// From then on, Reclaim can give back free pages of the file. Compact needs as much free disk space
// as the file takes. It returns ErrServed while a server uses the database.
func (db *DB) Compact(ctx context.Context) (before, after int64, err error) {
	s, ok := db.engine.(*sqliteDB)
	if !ok {
		return 0, 0, ErrNoCompact
	}
	if err := s.lock(ctx); err != nil {
		return 0, 0, err
	}
	conn, err := s.openConn(ctx, writerCacheKiB, readerLockWait, false)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, conn.close()) }()
	size := func() (int64, error) {
		if emptied, err := conn.emptyLog(ctx, time.Now().Add(readerLockWait)); err != nil {
			return 0, err
		} else if !emptied {
			return 0, fmt.Errorf("compact %s: another program reads the file; end it and compact again", s.path)
		}
		info, err := os.Stat(s.path)
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}
	if before, err = size(); err != nil {
		return 0, 0, err
	}
	for _, statement := range []string{"pragma auto_vacuum = incremental", "vacuum"} {
		if err := conn.runStatement(statement); err != nil {
			return 0, 0, fmt.Errorf("compact %s: %w", s.path, err)
		}
	}
	after, err = size()
	return before, after, err
}
