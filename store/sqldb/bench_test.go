package sqldb_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// benchmarkClients is how many callers write or read at the same time.
const benchmarkClients = 16

// BenchmarkUpdate writes a document of 2 KB with a unique name and a note in each update, from 16
// callers. It measures one commit for each update, and commits that several updates share.
func BenchmarkUpdate(b *testing.B) {
	open := map[string]func(testing.TB) *sqldb.DB{
		"sqlite/one commit each": func(t testing.TB) *sqldb.DB {
			return openWith(t, sqliteURL(t), sqldb.Options{SerialCommits: true})
		},
		"sqlite/group commit": func(t testing.TB) *sqldb.DB { return newSQLite(t) },
		"postgres":            func(t testing.TB) *sqldb.DB { return newPostgres(t) }, // without fsync
	}
	for _, name := range []string{"sqlite/one commit each", "sqlite/group commit", "postgres"} {
		b.Run(name, func(b *testing.B) {
			db := open[name](b)
			documents(b, db)
			clients(b, func(n int64) error {
				id := rand.Text()
				return db.Update(context.Background(), func(tx *sqldb.Tx) error { return addDocument(tx, id) })
			})
		})
	}
}

// BenchmarkView reads one document of 1,000 by its unique name.
func BenchmarkView(b *testing.B) {
	for _, kind := range []string{sqldb.SQLite, sqldb.PostgreSQL} {
		b.Run(kind, func(b *testing.B) {
			db := newSQLite(b)
			if kind == sqldb.PostgreSQL {
				db = newPostgres(b)
			}
			documents(b, db)
			ctx, cancel := context.WithCancel(context.Background()) // can be cancelled, as in a request
			defer cancel()
			for i := range 1000 {
				if err := db.Update(ctx, func(tx *sqldb.Tx) error { return addDocument(tx, fmt.Sprint(i)) }); err != nil {
					b.Fatal(err)
				}
			}
			clients(b, func(n int64) error {
				return db.View(ctx, func(tx *sqldb.Tx) error {
					var doc []byte
					return tx.QueryRow(ctx, "select doc from document where site = $1 and name = $2", "s", fmt.Sprint("name ", n%1000)).Scan(&doc)
				})
			})
		})
	}
}

func documents(b *testing.B, db *sqldb.DB) {
	b.Helper()
	err := db.Update(b.Context(), func(tx *sqldb.Tx) error {
		_, err := tx.Exec(b.Context(), `
			create table document (
				site text not null,
				id   text not null,
				name text not null,
				doc  text not null,
				primary key (site, id),
				unique (site, name))`)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}

func addDocument(tx *sqldb.Tx, id string) error {
	ctx := context.Background()
	if _, err := tx.Exec(ctx, `
		insert into document (site, id, name, doc)
		values ($1, $2, $3, $4)`, "s", id, "name "+id, document); err != nil {
		return err
	}
	return putNote(ctx, tx, id)
}

var document = strings.Repeat("0123456789abcdef", 128)

// clients calls do from 16 goroutines, and reports the number of calls per second.
func clients(b *testing.B, do func(n int64) error) {
	var calls atomic.Int64
	b.SetParallelism((benchmarkClients + runtime.GOMAXPROCS(0) - 1) / runtime.GOMAXPROCS(0))
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := do(calls.Add(1)); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
