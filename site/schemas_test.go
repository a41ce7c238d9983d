package site_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// document has an extension of User and a resource type; attributes are those of the extension.
func document(attributes string) []byte {
	return []byte(`{"schemas":[{"id":"urn:example:Badge","attributes":[` + attributes + `]},{"id":"urn:example:Device","attributes":[{"name":"serial"}]}],
		"resourceTypes":[{"name":"Device","endpoint":"/Devices","schema":"urn:example:Device"}],
		"extensions":[{"resourceType":"User","schema":"urn:example:Badge"}]}`)
}

// put stores a document as the roster does.
func (f fixture) put(t *testing.T, kind scim.TypeName, id, doc string) {
	t.Helper()
	acme, err := f.sites.Get(t.Context(), f.acme.ID)
	if err != nil {
		t.Fatal(err)
	}
	err = store.Rosters{DB: f.db}.Update(t.Context(), acme, func(tx roster.Tx) error {
		_, err := tx.Insert(context.Background(), roster.Record{
			Document: roster.Document{ID: id, Version: 1, JSON: []byte(doc), Created: f.clock.Now(), Modified: f.clock.Now(), Active: true},
			Kind:     kind, UserName: id, Role: roster.RoleRegistered,
		})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// remove takes a document away as the roster does.
func (f fixture) remove(t *testing.T, kind scim.TypeName, id string) {
	t.Helper()
	err := store.Rosters{DB: f.db}.Update(t.Context(), f.acme, func(tx roster.Tx) error {
		rec, err := tx.Record(context.Background(), kind, id)
		if err != nil {
			return err
		}
		return tx.Delete(context.Background(), rec)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestSetSchemas(t *testing.T) {
	t.Run("they are kept as they were given and are an event", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			doc := document(`{"name":"number","type":"integer"}`)
			got, err := f.sites.SetSchemas(t.Context(), f.acme.ID, append([]byte("\n"), doc...), "cli")
			if err != nil || string(got.Schemas) != string(doc) {
				t.Fatalf("got %s, %v", got.Schemas, err)
			}
			got, err = f.sites.Get(t.Context(), f.acme.ID)
			if err != nil || string(got.Schemas) != string(doc) {
				t.Errorf("stored: got %s, %v", got.Schemas, err)
			}
			if _, err := f.sites.SetSchemas(t.Context(), f.acme.ID, doc, "cli"); err != nil {
				t.Error(err)
			}
			if got, err = f.sites.SetSchemas(t.Context(), f.acme.ID, []byte("  "), "cli"); err != nil || got.Schemas != nil {
				t.Errorf("cleared: got %s, %v", got.Schemas, err)
			}
			want := []string{"site.created by cli", "site.schemas_changed by cli", "site.schemas_changed by cli"}
			if diff := cmp.Diff(story(t, f.db, event.Site(string(f.acme.ID))), want); diff != "" {
				t.Errorf("a repeat adds nothing: got - want +\n%s", diff)
			}
		})
	})
	t.Run("a document that is wrong changes nothing", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			_, err := f.sites.SetSchemas(t.Context(), f.acme.ID, document(`{"name":"number","type":"text"}`), "cli")
			var wrong *scim.RegistryError
			if !errors.As(err, &wrong) || wrong.Problems[0].Where != "schema urn:example:Badge, attribute number" {
				t.Errorf("got %v", err)
			}
			if got, err := f.sites.Get(t.Context(), f.acme.ID); err != nil || got.Schemas != nil {
				t.Errorf("got %s, %v", got.Schemas, err)
			}
			_, err = f.sites.Update(t.Context(), f.acme.ID, "cli", func(s *site.Site) error { s.Schemas = []byte("{}"); return nil })
			if !errors.Is(err, refusal.Invalid) {
				t.Errorf("by Update: got %v, want refusal.Invalid", err)
			}
		})
	})
	t.Run("what is stored stands in the way of what would strand it", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			doc := document(`{"name":"number","type":"integer"},{"name":"color"}`)
			if _, err := f.sites.SetSchemas(t.Context(), f.acme.ID, doc, "cli"); err != nil {
				t.Fatal(err)
			}
			f.put(t, roster.User, "ada", `{"schemas":["u","urn:example:Badge"],"id":"ada","userName":"ada","urn:example:Badge":{"number":7},"meta":{}}`)
			f.put(t, roster.User, "bo", `{"schemas":["u"],"id":"bo","userName":"bo","meta":{}}`)
			f.put(t, "Device", "d1", `{"schemas":["urn:example:Device"],"id":"d1","serial":"1","meta":{}}`)

			_, err := f.sites.SetSchemas(t.Context(), f.acme.ID, nil, "cli")
			if check := f.sites.CheckSchemas(t.Context(), f.acme.ID, nil); check == nil || check.Error() != err.Error() {
				t.Errorf("got %v, want %v", check, err)
			}
			used, harms := refusal.DataOf[*site.SchemasInUse](err)
			if !harms || len(used.Uses) != 2 {
				t.Fatalf("got %v, want two uses", err)
			}
			for _, text := range []string{
				"the extension urn:example:Badge of User is removed, and 1 resource of type User has data under it: remove",
				"the resource type Device is removed, and 1 resource of type Device is stored: delete",
			} {
				if !strings.Contains(err.Error(), text) {
					t.Errorf("got %v, want %s", err, text)
				}
			}
			_, err = f.sites.SetSchemas(t.Context(), f.acme.ID, document(`{"name":"number","type":"string"},{"name":"color","required":true}`), "cli")
			if used, _ = refusal.DataOf[*site.SchemasInUse](err); used == nil || len(used.Uses) != 2 || !strings.Contains(err.Error(), "lacks it: fill it first") {
				t.Errorf("got %v, want a type that changes and a color that is lacking", err)
			}
			if err := f.sites.CheckSchemas(t.Context(), f.acme.ID, document(`{"name":"number","type":"integer"},{"name":"shape"}`)); err != nil {
				t.Error(err)
			}
			if got, err := f.sites.Get(t.Context(), f.acme.ID); err != nil || string(got.Schemas) != string(doc) {
				t.Errorf("a check changed them to %s, %v", got.Schemas, err)
			}
			if _, err := f.sites.SetSchemas(t.Context(), f.acme.ID, document(`{"name":"number","type":"integer"},{"name":"shape"}`), "cli"); err != nil {
				t.Errorf("an attribute that nobody has is removed: %v", err)
			}
		})
	})
	t.Run("a site that is gone is not found", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			if _, err := f.sites.SetSchemas(t.Context(), "nobody", nil, "cli"); !errors.Is(err, site.ErrNotFound) {
				t.Errorf("got %v, want ErrNotFound", err)
			}
		})
	})
}

func TestSwitches(t *testing.T) {
	t.Run("a profile sets them and each can be set", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			made, err := f.sites.Create(t.Context(), "globex", site.Full, "cli")
			if err != nil || !made.Creates || made.Deletes != site.DeleteForGood || !made.Groups {
				t.Fatalf("got %+v, %v", made, err)
			}
			got, err := f.sites.Update(t.Context(), f.acme.ID, "cli", func(s *site.Site) error { s.Choose(site.Full); return nil })
			if err != nil || !got.Creates || got.Deletes != site.DeleteForGood || !got.Groups {
				t.Fatalf("got %+v, %v", got, err)
			}
			want, err := f.sites.Update(t.Context(), f.acme.ID, "cli", func(s *site.Site) error {
				s.Creates, s.Deletes, s.Groups, s.RateLimit = false, site.DeactivateOnDelete, false, 25
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err = f.sites.Get(t.Context(), f.acme.ID)
			if diff := cmp.Diff(got, want); err != nil || diff != "" || got.RateLimit != 25 || got.Deletes != site.DeactivateOnDelete {
				t.Errorf("%v %s", err, diff)
			}
			wantStory := []string{
				"site.created by cli",
				"site.profile_changed by cli", "site.creates_changed by cli", "site.deletes_changed by cli", "site.groups_changed by cli",
				"site.creates_changed by cli", "site.deletes_changed by cli", "site.groups_changed by cli", "site.rate_limit_changed by cli",
			}
			if diff := cmp.Diff(story(t, f.db, event.Site(string(f.acme.ID))), wantStory); diff != "" {
				t.Error(diff)
			}
		})
	})
	t.Run("a rate below what a client sends of its own accord is refused", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			for _, n := range []int{-1, 1, 24, 100_001} {
				_, err := f.sites.Update(t.Context(), f.acme.ID, "cli", func(s *site.Site) error { s.RateLimit = n; return nil })
				if !errors.Is(err, refusal.Invalid) || !strings.Contains(err.Error(), "25 to 100000") {
					t.Errorf("%d: got %v", n, err)
				}
			}
			_, err := f.sites.Update(t.Context(), f.acme.ID, "cli", func(s *site.Site) error { s.Deletes = "shred"; return nil })
			if !errors.Is(err, refusal.Invalid) {
				t.Errorf("got %v", err)
			}
		})
	})
}
