// Package storetest knows how to give a test a fresh database of each kind.
package storetest

import (
	"path/filepath"
	"testing"

	"github.com/rollcall-scim/rollcall/store"
)

// Each runs the test on a migrated, empty database of each kind.
func Each(t *testing.T, test func(t *testing.T, db *store.DB)) {
	t.Run(store.SQLite, func(t *testing.T) {
		t.Parallel()
		test(t, New(t))
	})
}

// New returns a migrated, empty SQLite database, closed when the test ends.
func New(t testing.TB) *store.DB {
	t.Helper()
	return open(t, filepath.Join(t.TempDir(), "rollcall.db"))
}

func open(t testing.TB, url string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	return db
}
