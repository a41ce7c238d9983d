package store

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/rollcall-scim/rollcall/site"
)

// TestSwitchesOfExistingSites: a site that was made before there were switches goes on as its profile meant.
func TestSwitchesOfExistingSites(t *testing.T) {
	t.Parallel()
	db, err := Open(t.Context(), filepath.Join(t.TempDir(), "rollcall.db"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	before := func() error {
		m, err := db.engine.migrator(t.Context())
		if err != nil {
			return err
		}
		defer m.close() //nolint:errcheck // read-only end of a migration
		_, err = m.provider.UpTo(t.Context(), 7)
		return err
	}
	if err := before(); err != nil {
		t.Fatal(err)
	}
	err = db.update(t.Context(), func(tx *Tx) error {
		for _, profile := range []string{"documented", "full"} {
			_, err := tx.Exec(context.Background(), `
				insert into site (id, name, profile, scim_enabled, manage_roles, strict, matches, created)
				values ($1, $1, $1, true, false, false, 'user-identifier', 1)`, profile)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, profile := range []site.Profile{site.Documented, site.Full} {
		got, err := Sites{DB: db}.SiteByName(t.Context(), string(profile))
		if err != nil {
			t.Fatal(err)
		}
		want := got
		want.Choose(profile)
		if got.Creates != want.Creates || got.Deletes != want.Deletes || got.Groups != want.Groups || got.RateLimit != 0 || got.Schemas != nil {
			t.Errorf("%s: got %+v", profile, got)
		}
	}
}
