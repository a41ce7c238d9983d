package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// TestLookAlikesOfAnOlderDatabase migrates a database of an older version. Then the names of its
// people are compared in the background, while other requests write.
func TestLookAlikesOfAnOlderDatabase(t *testing.T) {
	t.Parallel()
	emptyDatabases(t, func(t *testing.T, url string) {
		ctx := t.Context()
		db := storetest.Open(t, url)
		if err := store.MigrateTo(ctx, url, 27); err != nil {
			t.Fatal(err)
		}
		write(t, db, `
			insert into site (id, name, profile, scim_enabled, manage_roles, strict, matches, created, creates, deletes)
			values ('s', 'acme', 'full', true, false, false, 'user-identifier', 1, true, 'delete')`)
		for i := range 250 {
			name := fmt.Sprintf("user%d@acme.example", i)
			switch i {
			case 17, 230:
				name = []string{17: "modem@acme.example", 230: "modern@acme.example"}[i]
			case 5, 240:
				name = []string{5: "ada@acme.example", 240: "аda@acme.example"}[i]
			}
			write(t, db, fmt.Sprintf(`
				insert into resource (site, kind, id, list, seq, version, user_name, external_id, display_name, active, role, created, modified,
					last_by, last_via, last_at, last_text, active_by, active_via, active_at, role_by, role_via, role_at, last_sign_in, doc)
				values ('s', 'User', 'p%[1]d', 's/User', %[1]d, 1, '%[2]s', '', '', true, 'Registered', 1, 1,
					'', '', 0, '', '', '', 0, '', '', 0, 0, '{"userName":"%[2]s"}')`, i+1, name))
		}
		if err := db.Migrate(ctx); err != nil {
			t.Fatal(err)
		}
		sites := site.Sites{Store: store.Sites{DB: db}, Now: time.Now}
		acme, err := sites.ByName(ctx, "acme")
		if err != nil {
			t.Fatal(err)
		}
		rosters := &roster.Rosters{Store: store.Rosters{DB: db}, Now: time.Now, NewID: func() string { return "new" }}
		people := rosters.Open(acme)
		names := func() (all []string) {
			t.Helper()
			page, _, err := people.People(ctx, roster.PeopleQuery{Status: roster.StatusLookAlike})
			if err != nil {
				t.Fatal(err)
			}
			for _, p := range page {
				all = append(all, p.UserName)
			}
			return all
		}
		pending := func(want bool) {
			t.Helper()
			if got, err := people.LooksPending(ctx); err != nil || got != want {
				t.Fatalf("pending: got %t, error %v, want %t", got, err, want)
			}
		}
		pending(true)

		// A person who is written in the meantime is compared at once: a new person, and a person
		// who has no rows yet.
		by := roster.Change{Actor: "cli", Via: roster.ViaSCIM}
		if _, err := people.Create(ctx, roster.User, scim.Resource{"schemas": []any{scim.UserURN}, "userName": "usеr30@acme.example"}, by); err != nil {
			t.Fatal(err)
		}
		if _, err := people.Delete(ctx, roster.User, "p6", by); err != nil { // the person named ada
			t.Fatal(err)
		}
		leases := store.Leases{DB: db}
		due, err := leases.Due(ctx, roster.LeaseKind, time.Now(), 10)
		if err != nil || !slices.Equal(due, []string{"s"}) {
			t.Fatalf("the migration asks for work on %v, error %v", due, err)
		}
		epoch, err := leases.Claim(ctx, roster.LeaseKind, "s", "test", time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		steps := 0
		for more := true; more; steps++ {
			if more, err = (store.Rosters{DB: db}).Index(ctx, "s", epoch, 100); err != nil {
				t.Fatal(err)
			}
		}
		if steps < 4 {
			t.Errorf("251 people were compared in %d transactions", steps)
		}
		pending(false)
		if got, want := names(), []string{"modem@acme.example", "modern@acme.example", "user30@acme.example", "usеr30@acme.example"}; !slices.Equal(got, want) {
			t.Errorf("got  %v\nwant %v", got, want)
		}
	})
}
