package sqldb

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"time"
)

// This file removes the remains of deleted data. SQLite overwrites a row that is deleted or
// replaced (secure_delete). But when it moves rows to another page to make room, it leaves their
// bytes in the unused part of the old page, until a row is written there. So data of a deleted
// person can still be read from the file, although no table has the data.

// remainsPages is the number of pages that are read before the time limit is checked again.
const remainsPages = 1_000

// pageWithRemains is a page whose unused part still holds deleted data.
type pageWithRemains struct {
	number     int    // the number of the page in the file
	page       []byte // the content of the page when it was read
	start, end int    // where the unused part starts and ends in page
}

// overwriteRemains writes zeros over the unused part of each page for which found returns true.
// done is false if the work did not finish before the time end.
func (db *DB) overwriteRemains(ctx context.Context, end time.Time, found func(unused []byte) bool) (done bool, err error) {
	work := db.Slicer(end)
	for {
		all, complete, err := db.findRemains(ctx, end, found)
		if err != nil || !complete || len(all) == 0 {
			return complete && err == nil, err
		}
		for _, r := range all {
			if work.IsOver() {
				return false, nil
			}
			if err := work.Write(ctx, func(tx *Tx) error { return tx.overwriteUnused(ctx, r) }); err != nil {
				return false, err
			}
		}
		// overwriteUnused skips a page that changed after it was read, so search again.
	}
}

// findRemains reads every page and returns the pages for whose unused parts found returns true.
// complete is false if the time end came before the last page was read. The virtual tables dbstat
// and sqlite_dbpage (sqlite.org/dbstat.html, sqlite.org/dbpage.html) contain the use and the bytes
// of each page.
func (db *DB) findRemains(ctx context.Context, end time.Time, found func(unused []byte) bool) (all []pageWithRemains, complete bool, err error) {
	err = db.View(ctx, func(tx *Tx) error {
		rows, err := tx.Query(ctx, `
			select p.pgno, d.pagetype = 'overflow', d.unused, p.data
			from dbstat d cross join sqlite_dbpage p on p.pgno = d.pageno
			where d.aggregate = false`)
		if err != nil {
			return err
		}
		defer rows.Close()
		for n := 1; rows.Next(); n++ {
			if n%remainsPages == 0 && !time.Now().Before(end) {
				return nil
			}
			var r pageWithRemains
			var overflow bool
			var unused int
			if err := rows.Scan(&r.number, &overflow, &unused, &r.page); err != nil {
				return err
			}
			if overflow {
				r.start, r.end = len(r.page)-unused, len(r.page)
			} else if r.start, r.end, err = unusedPart(r.number, r.page); err != nil {
				return err
			}
			if part := bytes.Trim(r.page[r.start:r.end], "\x00"); len(part) > 0 && found(part) {
				all = append(all, r)
			}
		}
		complete = true
		return rows.Close()
	})
	return all, complete && err == nil, err
}

// unusedPart returns the start and end of the unused part of a b-tree page. That part lies between
// the list of cells and the first cell (sqlite.org/fileformat2.html#b_tree_pages).
func unusedPart(number int, page []byte) (start, end int, err error) {
	header := 0
	if number == 1 {
		header = 100
	}
	if len(page) < header+12 {
		return 0, 0, fmt.Errorf("page %d of the database file has %d bytes", number, len(page))
	}
	length := 8
	switch page[header] {
	case 2, 5: // pages that contain only keys and references to other pages
		length = 12
	case 10, 13:
	default:
		return 0, 0, fmt.Errorf("page %d of the database file is of the unknown kind %d", number, page[header])
	}
	start = header + length + 2*int(binary.BigEndian.Uint16(page[header+3:]))
	if end = int(binary.BigEndian.Uint16(page[header+5:])); end == 0 {
		end = 65536
	}
	if start > end || end > len(page) {
		return 0, 0, fmt.Errorf("page %d of the database file says that bytes %d to %d are unused", number, start, end)
	}
	return start, end, nil
}

// overwriteUnused writes zeros over the unused part of a page, unless the page has changed.
func (tx *Tx) overwriteUnused(ctx context.Context, r pageWithRemains) error {
	var now []byte
	if err := tx.QueryRow(ctx, "select data from sqlite_dbpage where pgno = $1", r.number).Scan(&now); err != nil {
		return err
	}
	if !bytes.Equal(now, r.page) {
		return nil
	}
	clear(now[r.start:r.end])
	_, err := tx.Exec(ctx, "update sqlite_dbpage set data = cast($1 as blob) where pgno = $2", now, r.number)
	return err
}
