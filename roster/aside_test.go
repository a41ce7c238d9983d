package roster_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

// meddler is a store that calls meddle after each piece of expensive work, with the number of the
// piece. Tests let meddle change what the work has read.
type meddler struct {
	roster.Store
	meddle func(n int64)
	works  atomic.Int64
}

func (m *meddler) RunExpensive(ctx context.Context, id site.ID, fn func(ctx context.Context) error) error {
	err := m.Store.RunExpensive(ctx, id, fn)
	m.meddle(m.works.Add(1))
	return err
}

// TestACostlyPatchIsMadeBesideItsTransaction patches a large document while other clients change
// the same document.
func TestACostlyPatchIsMadeBesideItsTransaction(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		id := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada","title":"`+strings.Repeat("x", 300_000)+`"}`)
		change := func(people *roster.Roster, attribute, value string, passes int) error {
			operations := fmt.Sprintf(`{"op":"replace","path":%q,"value":%q}`, attribute, value)
			operations += strings.Repeat(`,{"op":"replace","path":"preferredLanguage","value":"en"}`, passes)
			_, err := people.Patch(t.Context(), roster.User, id, patchOf(t, scim.UserType(), operations), bySCIM)
			return err
		}
		others := f.people(f.full)
		store := &meddler{Store: f.rosters.Store, meddle: func(n int64) {
			if n > 2 {
				return
			}
			if err := change(others, "nickName", fmt.Sprintf("n%d", n), 0); err != nil {
				t.Errorf("the other change: %v", err)
			}
		}}
		rosters := &roster.Rosters{Store: store, Now: f.clock.Now, NewID: f.rosters.NewID}
		f.rosters = rosters
		people := f.people(f.full)
		if err := change(people, "displayName", "Ada", 10); err != nil {
			t.Fatal(err)
		}
		if n := store.works.Load(); n != 3 {
			t.Errorf("the change was made %d times, want 3: two others came between", n)
		}
		doc := f.get(t, f.full, id)
		if doc.String("displayName") != "Ada" || doc.String("nickName") != "n2" {
			t.Errorf("got %q and %q, want both changes", doc.String("displayName"), doc.String("nickName"))
		}
		// If other clients keep changing the document, the patch gives up with status 503, so that
		// the client tries again.
		store.meddle = func(n int64) {
			if err := change(others, "nickName", fmt.Sprintf("m%d", n), 0); err != nil {
				t.Errorf("the other change: %v", err)
			}
		}
		isError(t, change(people, "displayName", "Lost", 10), 503, "")
		if doc := f.get(t, f.full, id); doc.String("displayName") != "Ada" {
			t.Errorf("got %q after a refusal", doc.String("displayName"))
		}
	})
}
