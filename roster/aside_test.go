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

// overtaker is a store that calls overtake each time after it has read a record.
type overtaker struct {
	roster.Store
	overtake func(n int64)
	reads    atomic.Int64
}

func (o *overtaker) Record(ctx context.Context, id site.ID, kind scim.TypeName, resource string) (roster.Record, error) {
	rec, err := o.Store.Record(ctx, id, kind, resource)
	o.overtake(o.reads.Add(1))
	return rec, err
}

// TestAPatchThatIsOvertakenIsMadeAgain changes, holds a change of, and deletes a user after a PATCH has
// read the user and before it writes.
func TestAPatchThatIsOvertakenIsMadeAgain(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		id := f.user(t, f.full, `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada"}`)
		others := f.people(f.full)
		patch := func(people *roster.Roster, by roster.Change, operation string) (roster.Outcome, error) {
			return people.Patch(t.Context(), roster.User, id, patchOf(t, scim.UserType(), operation), by)
		}
		store := &overtaker{Store: f.rosters.Store, overtake: func(int64) {}}
		f.rosters = &roster.Rosters{Store: store, Now: f.clock.Now, NewID: f.rosters.NewID}
		people := f.people(f.full)
		must := func(_ roster.Outcome, err error) {
			t.Helper()
			if err != nil {
				t.Error(err)
			}
		}
		replace := func(attribute, value string) string {
			return fmt.Sprintf(`{"op":"replace","path":%q,"value":%q}`, attribute, value)
		}

		if !store.HasOneWriter() { // such a store reads the user inside the transaction, so nobody comes between
			must(patch(people, bySCIM, replace("displayName", "Ada")))
			if n := store.reads.Load(); n > 0 {
				t.Errorf("the user was read %d times before the transaction", n)
			}
			return
		}
		store.overtake = func(int64) { must(patch(others, bySCIM, replace("nickName", "second"))) }
		out, err := patch(people, bySCIM, replace("displayName", "Ada"))
		must(out, err)
		if doc := f.get(t, f.full, id); doc.String("displayName") != "Ada" || doc.String("nickName") != "second" || out.Document.Version != 3 {
			t.Errorf("got %v in version %d, want both changes in version 3", doc, out.Document.Version)
		}
		conditional := bySCIM
		conditional.IfVersion = 3
		store.overtake = func(int64) { must(patch(others, bySCIM, replace("nickName", "third"))) }
		_, err = patch(people, conditional, replace("displayName", "Lost"))
		isError(t, err, 412, "")
		store.overtake = func(int64) {
			if _, err := others.Delete(t.Context(), roster.User, id, bySCIM); err != nil {
				t.Error(err)
			}
		}
		_, err = patch(people, bySCIM, replace("displayName", "Lost"))
		isError(t, err, 404, "")
	})
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
