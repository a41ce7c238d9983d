package roster_test

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// TestEventsOfAResourceStandInTheOrderOfItsVersions changes one person, and one group, from several
// clients at once. Some clients change the group by deleting its members. SQLite has only one
// writer, so the test runs on PostgreSQL alone.
func TestEventsOfAResourceStandInTheOrderOfItsVersions(t *testing.T) {
	t.Parallel()
	const clients, changes = 4, 60
	t.Run("one person", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, storetest.Postgres(t))
		r := f.rosters.Open(f.full)
		kim := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"kim"}`)
		atOnce(t, clients, func(client int) error {
			for n := range changes {
				change := patch(t, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[
					{"op":"Replace","path":"active","value":%t},{"op":"Replace","path":"title","value":"%d of %d"}]}`, n%2 == 1, n, client))
				if _, err := r.Patch(t.Context(), roster.User, kim, change, bySCIM); err != nil {
					return err
				}
			}
			return nil
		})
		f.inOrder(t, f.full, kim, clients*changes)
	})
	t.Run("a group whose members come, go and are deleted", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t, storetest.Postgres(t))
		r := f.rosters.Open(f.full)
		var leavers [clients / 2][]string
		var everybody []string
		for client := range leavers {
			for n := range changes / 3 {
				id := f.user(t, f.full, fmt.Sprintf(`{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"leaver%d.%d"}`, client, n))
				leavers[client] = append(leavers[client], id)
				everybody = append(everybody, id)
			}
		}
		group := f.group(t, f.full, "team", everybody...)
		guest := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"guest"}`)
		atOnce(t, clients, func(client int) error {
			if client < len(leavers) {
				for _, id := range leavers[client] {
					if _, err := r.Delete(t.Context(), roster.User, id, bySCIM); err != nil {
						return err
					}
				}
				return nil
			}
			for n := range changes {
				op := []string{"Add", "Remove"}[n%2]
				if _, err := r.Patch(t.Context(), roster.Group, group, groupPatch(t, `{"op":"`+op+`","path":"members","value":`+values(guest)+`}`), bySCIM); err != nil {
					return err
				}
			}
			return nil
		})
		f.inOrder(t, f.full, group, len(everybody))
	})
}

// atOnce calls run for each client at the same time, and waits for all of them.
func atOnce(t *testing.T, clients int, run func(client int) error) {
	t.Helper()
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			if err := run(client); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// inOrder checks that a site has at least least events of a resource, and that the versions of
// these events never fall.
func (f fixture) inOrder(t *testing.T, s site.Site, resource string, least int) {
	t.Helper()
	events, err := (store.Events{DB: f.db}).Read(t.Context(), event.Site(string(s.ID)), event.Position{}, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	last, seen, inversions := 0, 0, 0
	for _, e := range events {
		if e.Subject != resource {
			continue
		}
		var data struct{ Version int }
		if err := json.Unmarshal(e.Data, &data); err != nil {
			t.Fatal(err)
		}
		seen++
		if data.Version < last {
			inversions++
		}
		last = data.Version
	}
	if inversions > 0 || seen < least {
		t.Errorf("%d events, %d of an older version than the one before; want at least %d and none", seen, inversions, least)
	}
}
