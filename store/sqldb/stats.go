package sqldb

import (
	"os"

	"github.com/rollcall-scim/rollcall/internal/fair"
)

// Stats says how a database is used, for metrics.
type Stats struct {
	Connections fair.Stats // SQLite: readers; PostgreSQL: connections
	Work        fair.Stats // places for costly work
	Writing     int        // updates that wait for the writer of a SQLite file
	Writes      int64      // transactions that wrote
	Unavailable int64      // transactions that the database could not do
	Down        bool       // the last write could not be done
	FileBytes   int64      // the size of the SQLite file
	LogBytes    int64      // the size of its write-ahead log
}

// Stats asks nothing of the database.
func (db *DB) Stats() Stats {
	s := Stats{Work: db.work.Stats()}
	db.health.mu.Lock()
	s.Writes, s.Unavailable, s.Down = db.health.writes, db.health.unavailable, db.health.down != nil
	db.health.mu.Unlock()
	switch e := db.engine.(type) {
	case *sqliteDB:
		s.Connections, s.Writing = e.turns.Stats(), e.writer.queue.length()
		s.FileBytes, s.LogBytes = sizeOf(e.path), sizeOf(e.path+"-wal")
	case *postgresDB:
		s.Connections = e.turns.Stats()
	}
	return s
}

// writesWait reports whether updates of this process wait for the writer of a SQLite file. On
// PostgreSQL none waits for another.
func (db *DB) writesWait() bool {
	s, is := db.engine.(*sqliteDB)
	return is && s.writer.queue.length() > 0
}

// sizeOf is 0 for a file that is not there.
func sizeOf(file string) int64 {
	info, err := os.Stat(file)
	if err != nil {
		return 0
	}
	return info.Size()
}

func (q *writeQueue) length() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, line := range q.waiting {
		n += len(line)
	}
	return n
}
