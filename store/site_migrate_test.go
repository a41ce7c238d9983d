package store

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestSwitchesOfExistingSites migrates sites from before there were switches. Each site must get
// the switches that its profile means.
func TestSwitchesOfExistingSites(t *testing.T) {
	t.Parallel()
	url := filepath.Join(t.TempDir(), "rollcall.db")
	if err := MigrateTo(t.Context(), url, 7); err != nil {
		t.Fatal(err)
	}
	db, err := Open(t.Context(), url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	err = db.Update(t.Context(), func(tx *sqldb.Tx) error {
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
