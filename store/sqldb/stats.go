package sqldb

import (
	"os"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

// Stats holds numbers about the use of a database, for metrics.
type Stats struct {
	Connections    fair.Stats // the use of SQLite's readers, or of PostgreSQL's connections
	Work           fair.Stats // costly work that runs or waits; see DB.RunCostly
	WaitingUpdates int        // updates that wait for the writer of a SQLite file
	Writes         int64      // transactions that have written to the database
	Unavailable    int64      // transactions that failed because the database was not available
	Down           bool       // whether the last write failed because the database was not available
	FileBytes      int64      // the size of the SQLite file
	LogBytes       int64      // the size of the SQLite file's write-ahead log
}

// Stats returns the current numbers. It does not query the database.
func (db *DB) Stats() Stats {
	s := Stats{Work: db.workGate.Stats()}
	db.health.mu.Lock()
	s.Writes, s.Unavailable, s.Down = db.health.writes, db.health.unavailable, db.health.writeFailure != nil
	db.health.mu.Unlock()
	switch e := db.engine.(type) {
	case *sqliteDB:
		s.Connections, s.WaitingUpdates = e.readerGate.Stats(), e.writer.queue.countWaiting()
		s.FileBytes, s.LogBytes = fileSize(e.path), fileSize(e.path+"-wal")
	case *postgresDB:
		s.Connections = e.connGate.Stats()
	}
	return s
}

// hasWaitingWrites reports whether updates of this process wait for the writer of a SQLite file. On
// PostgreSQL, where updates do not wait for one writer, it returns false.
func (db *DB) hasWaitingWrites() bool {
	s, is := db.engine.(*sqliteDB)
	return is && s.writer.queue.countWaiting() > 0
}

// fileSize returns the size of a file; 0 if it does not exist.
func fileSize(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

// countWaiting returns the number of updates that wait.
func (q *writeQueue) countWaiting() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, line := range q.waiting {
		n += len(line)
	}
	return n
}
