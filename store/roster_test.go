package store_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
	"github.com/rollcall-scim/rollcall/store/sqldb"
)

// TestMigrationCountsWhoIsThere migrates a database whose lists were not counted yet. The people
// must be counted and keep their order.
func TestMigrationCountsWhoIsThere(t *testing.T) {
	t.Parallel()
	for kind, url := range map[string]string{
		sqldb.SQLite:     filepath.Join(t.TempDir(), "old.db"),
		sqldb.PostgreSQL: storetest.EmptyPostgresURL(t),
	} {
		t.Run(kind, func(t *testing.T) {
			db := storetest.Open(t, url)
			ctx := t.Context()
			if err := store.MigrateTo(ctx, url, 6); err != nil {
				t.Fatal(err)
			}
			const people = 1500
			if err := db.Update(ctx, func(tx *sqldb.Tx) error { return oldPeople(ctx, tx, people) }); err != nil {
				t.Fatal(err)
			}
			if err := db.Migrate(ctx); err != nil {
				t.Fatal(err)
			}
			rosters := store.Rosters{DB: db}
			for _, s := range []site.ID{"a", "b"} {
				page, err := rosters.List(ctx, s, roster.ListQuery{Kind: roster.User, Offset: 1100, Count: 2, ScanLimit: 10})
				docs, total := page.Documents, page.Total
				if err != nil || total != people {
					t.Fatalf("%d altogether, %v", total, err)
				}
				got := []string{docs[0].ID, docs[1].ID}
				if diff := cmp.Diff(got, []string{"u-1100", "u-1101"}); diff != "" || docs[0].Position != 1101 {
					t.Errorf("at %d: got - want +\n%s", docs[0].Position, diff)
				}
				var position int64
				err = rosters.Update(ctx, site.Site{ID: s}, func(tx roster.Tx) (err error) {
					position, err = tx.Insert(ctx, roster.Record{Kind: roster.User, UserName: "late", Document: roster.Document{ID: "late", Version: 1, JSON: []byte(`{}`)}})
					return err
				})
				if page, _ := rosters.List(ctx, s, roster.ListQuery{Kind: roster.User}); err != nil || position != people+1 || page.Total != people+1 {
					t.Errorf("the next one: at %d of %d, %v", position, page.Total, err)
				}
			}
		})
	}
}

func oldPeople(ctx context.Context, tx *sqldb.Tx, n int) error {
	for _, s := range []string{"a", "b"} {
		if _, err := tx.Exec(ctx, `
			insert into site (id, name, profile, scim_enabled, manage_roles, strict, matches, created)
			values ($1, $2, 'full', true, false, false, '', 0)`, s, s); err != nil {
			return err
		}
		for i := range n {
			id := fmt.Sprintf("u-%04d", i)
			// Two people are created in the same microsecond.
			if _, err := tx.Exec(ctx, `
				insert into resource (site, kind, id, seq, version, user_name, external_id, display_name, active, role, created, modified,
					last_by, last_via, last_at, last_text, active_by, active_via, active_at, role_by, role_via, role_at, last_sign_in, doc)
				values ($1, 'User', $2, $3, 1, $4, '', '', true, 'Registered', 0, 0, '', '', 0, '', '', '', 0, '', '', 0, 0, '{}')`,
				s, id, 1_700_000_000_000_000+i/2*7, id); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestPagesOfThoseWhoCameAtOnce reads pages of people of the same position. On PostgreSQL, people
// who are created at the same time get the same position. So a range of positions can have many
// more resources than positions.
func TestPagesOfThoseWhoCameAtOnce(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		const people, together, first = 1200, 7, 1000 // the first stretch ends before 1024
		ctx := t.Context()
		err := db.Update(ctx, func(tx *sqldb.Tx) error { return peopleAtOnce(ctx, tx, people, together, first) })
		if err != nil {
			t.Fatal(err)
		}
		rosters := store.Rosters{DB: db}
		read := func(q roster.ListQuery) []string {
			t.Helper()
			q.Kind, q.ScanLimit = roster.User, 10
			page, err := rosters.List(ctx, "s", q)
			docs, total := page.Documents, page.Total
			if err != nil || total != people {
				t.Fatalf("%d altogether, %v", total, err)
			}
			var ids []string
			for _, doc := range docs {
				ids = append(ids, doc.ID)
			}
			return ids
		}
		all := read(roster.ListQuery{After: &roster.Place{}, Count: people})
		if len(all) != people {
			t.Fatalf("%d by cursor", len(all))
		}
		for at := 0; at < people; at += 11 {
			got := read(roster.ListQuery{Offset: at, Count: 10})
			if diff := cmp.Diff(got, all[at:min(at+10, people)]); diff != "" {
				t.Errorf("at %d: got - want +\n%s", at, diff)
			}
		}
	})
}

func peopleAtOnce(ctx context.Context, tx *sqldb.Tx, people, together, first int) error {
	if err := tx.Send(ctx, `
		insert into site (id, name, profile, scim_enabled, manage_roles, strict, matches, created)
		values ('s', 's', 'full', true, false, false, '', 0)`); err != nil {
		return err
	}
	for i := range people {
		id := fmt.Sprintf("u-%04d", (i*577)%people)
		if err := tx.Send(ctx, `
			insert into resource (site, kind, id, seq, version, user_name, external_id, display_name, active, role, created, modified,
				last_by, last_via, last_at, last_text, active_by, active_via, active_at, role_by, role_via, role_at, last_sign_in, doc, list)
			values ('s', 'User', $1, $2, 1, $1, '', '', true, 'Registered', 0, 0, '', '', 0, '', '', '', 0, '', '', 0, 0, '{}', 's/User')`,
			id, first+i/together); err != nil {
			return err
		}
	}
	return tx.Send(ctx, `
		insert into resource_count (site, kind, bucket, shard, n)
		select r.site, r.kind, r.seq / 1024, 0, count(*)
		from resource r
		group by r.site, r.kind, r.seq / 1024`)
}

// TestPlansOfLookups checks that SQLite finds the resources with an index alone if indexes can
// answer the filter, for all combinations that clients use. Each step of SQLite's plan must use
// more columns than the site.
func TestPlansOfLookups(t *testing.T) {
	t.Parallel()
	db := storetest.New(t)
	for _, test := range []struct {
		kind   scim.TypeName
		filter string
	}{
		{roster.User, `userName eq "a"`},
		{roster.User, `userName eq "a" or externalId eq "b"`},
		{roster.User, `userName eq "a" or externalId eq "b" or displayName eq "c" or emails.value eq "d"`},
		{roster.User, `externalId eq "a" and (userName eq "b" or displayName eq "c")`},
		{roster.User, `id eq "a" or id eq "b" or id eq "c"`},
		{roster.User, `emails[type eq "work" and (value eq "a" or value eq "b")]`},
		{roster.User, `groups.value eq "a" and userName eq "b"`},
		{roster.Group, `displayName eq "a" or externalId eq "b"`},
		{roster.Group, `id eq "a" and members eq "b"`},
	} {
		t.Run(test.filter, func(t *testing.T) {
			types, err := scim.NewRegistry(nil)
			if err != nil {
				t.Fatal(err)
			}
			rt, _ := types.ByName(test.kind)
			filter, _, err := scim.ParseFilter(rt, test.filter, scim.Lenient)
			if err != nil {
				t.Fatal(err)
			}
			lines, err := store.Plan(t.Context(), db, "s", roster.ListQuery{Kind: test.kind, Filter: filter, Groups: true, Count: 100})
			if err != nil {
				t.Fatal(err)
			}
			for _, line := range lines {
				if strings.HasPrefix(line, "SCAN ") || strings.HasSuffix(line, "(site=?)") || strings.Contains(line, "(list=?") {
					t.Errorf("it walks: %s", strings.Join(lines, "; "))
					break
				}
			}
		})
	}
}
