package store

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestDeactivationsByHandBecomeBlocksWhereRevivingRespectedThem migrates a database in which
// administrators have deactivated people. On a site that revives, a create could not reactivate
// such a person. Since the migration, only a block prevents this, so the migration must block
// exactly these people.
func TestDeactivationsByHandBecomeBlocksWhereRevivingRespectedThem(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := filepath.Join(t.TempDir(), "rollcall.db")
	if err := MigrateTo(ctx, url, 21); err != nil {
		t.Fatal(err)
	}
	db, err := Open(ctx, url, Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	err = db.Update(ctx, func(tx *sqldb.Tx) error {
		for i, s := range []struct {
			name            string
			revives, strict bool
		}{{"revives", true, false}, {"strict", true, true}, {"plain", false, false}} {
			if _, err := tx.Exec(ctx, `
				insert into site (id, name, profile, scim_enabled, manage_roles, strict, matches, created, revives)
				values ($1, $1, 'full', true, false, $2, 'user-identifier', 1, $3)`, s.name, s.strict, s.revives); err != nil {
				return err
			}
			for j, via := range []string{"admin", "scim", "active"} {
				id := fmt.Sprintf("%s-%s", s.name, via)
				if _, err := tx.Exec(ctx, `
					insert into resource (site, kind, id, seq, version, user_name, external_id, display_name, active, role, created, modified,
						last_by, last_via, last_at, last_text, active_by, active_via, active_at, role_by, role_via, role_at, last_sign_in, doc)
					values ($1, 'User', $2, $3, 1, $2, '', '', $4, 'Registered', 1, 1, '', '', 0, '', '', $5, 1, '', '', 0, 0, $6)`,
					s.name, id, 3*i+j, via == "active", map[string]string{"admin": "admin", "scim": "scim", "active": "admin"}[via],
					`{"userName":"`+id+`","active":false}`); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(ctx); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"revives", "strict", "plain"} {
		for _, via := range []string{"admin", "scim", "active"} {
			rec, err := Rosters{DB: db}.Record(context.Background(), site.ID(name), roster.User, name+"-"+via)
			if err != nil {
				t.Fatal(err)
			}
			want := roster.Block{}
			if name == "revives" && via == "admin" {
				want = roster.Block{InForce: true, Active: true}
			}
			if rec.Block != want || rec.Active != (via == "active") {
				t.Errorf("%s-%s: got %+v, active %t", name, via, rec.Block, rec.Active)
			}
		}
	}
}
