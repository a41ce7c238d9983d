package store_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
)

// benchmarkClients is how many callers write or read at a time.
const benchmarkClients = 16

// BenchmarkUpdate writes a document of 2 KB with a unique name and an event in
// each update, from 16 callers: one commit for each, and the commits shared.
func BenchmarkUpdate(b *testing.B) {
	open := map[string]func(testing.TB) *store.DB{
		"sqlite/one commit each": func(t testing.TB) *store.DB {
			return storetest.OpenWith(t, storetest.SQLiteURL(t), store.Options{SerialCommits: true})
		},
		"sqlite/group commit": func(t testing.TB) *store.DB { return storetest.New(t) },
		"postgres":            func(t testing.TB) *store.DB { return storetest.Postgres(t) }, // without fsync
	}
	for _, name := range []string{"sqlite/one commit each", "sqlite/group commit", "postgres"} {
		b.Run(name, func(b *testing.B) {
			db := open[name](b)
			documents(b, db)
			clients(b, func(n int64) error {
				id := rand.Text()
				return db.Update(context.Background(), func(tx *store.Tx) error { return addDocument(tx, id) })
			})
		})
	}
}

// BenchmarkView reads one document of 1,000 by its unique name.
func BenchmarkView(b *testing.B) {
	for _, kind := range []string{store.SQLite, store.PostgreSQL} {
		b.Run(kind, func(b *testing.B) {
			db := storetest.New(b)
			if kind == store.PostgreSQL {
				db = storetest.Postgres(b)
			}
			documents(b, db)
			ctx, cancel := context.WithCancel(context.Background()) // as a request's
			defer cancel()
			for i := range 1000 {
				if err := db.Update(ctx, func(tx *store.Tx) error { return addDocument(tx, fmt.Sprint(i)) }); err != nil {
					b.Fatal(err)
				}
			}
			clients(b, func(n int64) error {
				return db.View(ctx, func(tx *store.Tx) error {
					var doc []byte
					return tx.QueryRow(ctx, "select doc from document where site = $1 and name = $2", "s", fmt.Sprint("name ", n%1000)).Scan(&doc)
				})
			})
		})
	}
}

func documents(b *testing.B, db *store.DB) {
	b.Helper()
	err := db.Update(b.Context(), func(tx *store.Tx) error {
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

func addDocument(tx *store.Tx, id string) error {
	ctx := context.Background()
	if _, err := tx.Exec(ctx, `
		insert into document (site, id, name, doc)
		values ($1, $2, $3, $4)`, "s", id, "name "+id, document); err != nil {
		return err
	}
	return tx.AppendEvent(ctx, event.Event{Scope: event.Site("s"), Name: "user.created", Actor: "scim:…a91f", Subject: id, Text: "Created " + id + "."})
}

var document = strings.Repeat("0123456789abcdef", 128)

// clients calls do from 16 goroutines and reports calls per second.
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
