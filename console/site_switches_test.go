package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

func TestSwitches(t *testing.T) {
	t.Parallel()

	t.Run("show_what_the_profile_set", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, b := w.admin(site.Documented)
		page := b.get(scimPath).wantWords("When the IdP sends Create", "Refuse, and say how to fix it", "When the IdP sends Delete", "Delete (cannot be undone)", "Strict mode")
		form, _ := page.form("Save")
		want := url.Values{"create": {"refuse"}, "delete": {"refuse"}}
		got := form.values()
		for _, name := range []string{"create", "delete", "groups", "revive", "strict", "rate"} {
			if got.Get(name) != want.Get(name) {
				t.Errorf("%s: got %q, want %q", name, got.Get(name), want.Get(name))
			}
		}
		w = newWorld(t)
		_, b = w.admin(site.Full)
		form, _ = b.get(scimPath).form("Save")
		if got := form.values(); got.Get("create") != "create" || got.Get("delete") != "delete" || got.Get("groups") != "yes" {
			t.Errorf("full: got %v", got)
		}
	})

	t.Run("are_saved_together_and_each_is_an_event", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		before := len(w.ofSite(s))
		b.get(scimPath).submit("Save", url.Values{
			"create": {"create"}, "delete": {"deactivate"}, "groups": {"on"}, "revive": {"on"}, "strict": {"on"}, "names": {"on"}, "rate": {" 30 "},
		}).wantStatus(http.StatusOK).wantWords("Saved. On Create: creates the account. On Delete: deactivates the account.")
		got := w.settings(s)
		if !got.Creates || got.Deletes != site.DeactivateOnDelete || !got.Groups || !got.Revives || !got.Strict || !got.SharedGroupNames || got.RateLimit != 30 {
			t.Errorf("got %+v", got)
		}
		if n := len(w.ofSite(s)) - before; n != 7 {
			t.Errorf("got %d events, want 7", n)
		}
		b.get("/c/acme/admin/access").wantWords("When the IdP sends Delete Deactivates the account")
		b.get(scimPath+"/guide").wantWords("leave Create, Update and Delete ticked", "A delete deactivates the account here.")
		b.get(scimPath).submit("Save", url.Values{"groups": nil, "revive": nil, "strict": nil, "names": nil, "rate": {""}})
		if got := w.settings(s); got.Groups || got.Revives || got.Strict || got.SharedGroupNames || got.RateLimit != 0 || !got.Creates {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("names_that_groups_share_cannot_be_forbidden_before_they_are_told_apart", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Full)
		b.get(scimPath).submit("Save", url.Values{"names": {"on"}})
		for range 2 {
			if _, err := w.pages.Rosters.Open(w.settings(s)).Create(t.Context(), roster.Group, scim.Resource{"schemas": []any{scim.GroupURN}, "displayName": "Team"}, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}); err != nil {
				t.Fatal(err)
			}
		}
		b.get(scimPath).submit("Save", url.Values{"names": nil, "rate": {"30"}}).wantWords("Nothing was saved", `Several groups have one name: "Team". Rename all but one of them`)
		if got := w.settings(s); !got.SharedGroupNames || got.RateLimit != 0 {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("a_rate_that_cannot_be_is_refused_and_nothing_is_saved", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		for _, rate := range []string{"24", "-1", "many", "1000000", "99999999999999999999"} {
			page := b.get(scimPath).submit("Save", url.Values{"rate": {rate}, "create": {"create"}})
			page.wantStatus(http.StatusUnprocessableEntity).wantWords("Nothing was saved.", "Write a whole number from 25 to 100000")
			form, _ := page.form("Save")
			if got := form.values(); got.Get("rate") != rate || got.Get("create") != "create" {
				t.Errorf("%s: the form forgot what was typed: %v", rate, got)
			}
		}
		if got := w.settings(s); got.Creates || got.RateLimit != 0 {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("a_form_without_what_it_was_made_from_changes_nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Full)
		b.send(http.MethodPost, scimPath, url.Values{"delete": {"refuse"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("The form is incomplete")
		if got := w.settings(s); !got.Creates || got.Deletes != site.DeleteForGood || !got.Groups {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("a_delete_mode_that_is_none_asks_for_the_least", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Full)
		b.get(scimPath).submit("Save", url.Values{"delete": {"shred"}}).wantStatus(http.StatusOK)
		if got := w.settings(s); got.Deletes != site.RefuseDelete {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("deleting_for_good_asks_with_the_number_of_people_and_saves_the_rest_with_it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
		ask := b.get(scimPath).submit("Save", url.Values{"delete": {"delete"}, "groups": {"yes"}}).wantWords("Let the identity provider delete accounts for good?", "2 people", "cannot be brought back")
		if got := w.settings(s); got.Deletes != site.RefuseDelete || got.Groups {
			t.Fatalf("saved before the answer: %+v", got)
		}
		ask.submit("Save and allow deleting", nil).wantWords("Saved. On Create: refused. On Delete: deletes the account for good.")
		if got := w.settings(s); got.Deletes != site.DeleteForGood || !got.Groups {
			t.Errorf("got %+v", got)
		}
		b.get(scimPath).submit("Save", url.Values{"strict": {"yes"}}).wantWords("Saved.") // it is not asked again
	})
}

// TestStaleSwitches: two administrators with the page open do not undo each other's settings.
func TestStaleSwitches(t *testing.T) {
	t.Parallel()

	t.Run("different_settings_are_merged_and_it_is_said", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		stale := b.get(scimPath)
		b.get(scimPath).submit("Save", url.Values{"create": {"create"}})
		stale.submit("Save", url.Values{"groups": {"yes"}}).wantStatus(http.StatusOK).wantWords("Saved.", "Changed meanwhile by kim@acme.example, and kept: When the IdP sends Create.")
		if got := w.settings(s); !got.Creates || !got.Groups {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("the_same_setting_asks_with_both_values", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		stale := b.get(scimPath)
		b.get(scimPath).submit("Save", url.Values{"rate": {"30"}})
		ask := stale.submit("Save", url.Values{"rate": {"40"}, "strict": {"yes"}}).wantStatus(http.StatusConflict).wantWords("Which value counts?", "Requests per second, at most", "40", "30")
		if got := w.settings(s); got.RateLimit != 30 || got.Strict {
			t.Fatalf("saved before the answer: %+v", got)
		}
		ask.submit("Save", url.Values{"rate": {"40"}}).wantStatus(http.StatusOK).wantWords("Saved.")
		if got := w.settings(s); got.RateLimit != 40 || !got.Strict {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("generate_merges_too", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		stale := b.get(scimPath)
		b.get(scimPath).submit("Save", url.Values{"create": {"create"}, "enabled": {"yes"}})
		if secretOn(stale.submit("Generate", url.Values{"roles": {"yes"}})) == "" {
			t.Error("no token is shown")
		}
		if got := w.settings(s); !got.Creates || !got.ManageRoles || !got.SCIMEnabled {
			t.Errorf("got %+v", got)
		}
	})
}

const badgeURN = "urn:example:params:scim:schemas:Badge:2.0:User"

func TestSchemasPage(t *testing.T) {
	t.Parallel()
	const path = scimPath + "/schemas"

	t.Run("lists_types_and_takes_the_example", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Full)
		b.get(scimPath).wantWords("Attributes and resource types of your own can be added.").click("Schemas").
			wantWords("User", "/Users", "urn:ietf:params:scim:schemas:core:2.0:User", "Group", "/Groups")
		b.get(path).press("Save schemas", url.Values{"document": {badgeDocument}}).wantStatus(http.StatusOK).
			wantWords("The schemas are saved.", "urn:example:params:scim:schemas:Badge:2.0:User extension · 2 attributes", "number", "unique: server", "for instance red, green")
		if got := w.settings(s); string(got.Schemas) != badgeDocument {
			t.Errorf("got %s", got.Schemas)
		}
		if e := w.ofSite(s)[0]; e.Name != "site.schemas_changed" || e.Actor != "admin:kim@acme.example" {
			t.Errorf("event %s by %s", e.Name, e.Actor)
		}
		b.get(scimPath).wantWords("This site has schemas of its own")
		b.get(path).press("Save schemas", url.Values{"document": {" "}}).wantWords("This site has no schemas of its own now.")
		if got := w.settings(s); got.Schemas != nil {
			t.Errorf("got %s", got.Schemas)
		}
	})

	t.Run("a_stale_document_is_kept_beside_the_one_saved_meanwhile", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Full)
		mine := strings.ReplaceAll(badgeDocument, "Badge", "Card")
		stale := b.get(path)
		b.get(path).press("Save schemas", url.Values{"document": {badgeDocument}})
		asked := stale.press("Save schemas", url.Values{"document": {mine}}).wantStatus(http.StatusConflict).
			wantWords("Nothing was saved", "kim@acme.example saved another document since you opened this page.", "Saved meanwhile")
		if got := w.settings(s); string(got.Schemas) != badgeDocument {
			t.Fatalf("got %s", got.Schemas)
		}
		if got := asked.byID("document").rawText(); got != mine {
			t.Errorf("what was typed is now %s", got)
		}
		asked.press("Save schemas", nil).wantStatus(http.StatusOK).wantWords("The schemas are saved.")
		if got := w.settings(s); string(got.Schemas) != mine {
			t.Errorf("got %s", got.Schemas)
		}
	})

	t.Run("a_form_that_does_not_say_what_it_was_made_from_saves_nothing", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Full)
		b.get(path).press("Save schemas", url.Values{"document": {badgeDocument}})
		for _, to := range []string{path, path + "/forced"} {
			b.send(http.MethodPost, to, url.Values{"document": {""}, "confirm": {"acme"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("This was not saved", "The form is incomplete.")
			b.send(http.MethodPost, to, url.Values{"document": {""}, "confirm": {"acme"}, "was.document": {site.SchemasVersion(nil)}}).wantStatus(http.StatusConflict).wantWords("Nothing was saved")
		}
		if got := w.settings(s); string(got.Schemas) != badgeDocument {
			t.Errorf("got %s", got.Schemas)
		}
	})

	t.Run("a_file_counts_before_the_text", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Full)
		b.upload(path, "badge.json", badgeDocument, map[string]string{"document": "{", "was.document": site.SchemasVersion(nil)}).wantStatus(http.StatusOK).wantWords("The schemas are saved.")
		if got := w.settings(s); string(got.Schemas) != badgeDocument {
			t.Errorf("got %s", got.Schemas)
		}
	})

	t.Run("every_mistake_is_shown_where_it_is_and_the_text_stays", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Full)
		wrong := `{"schemas":[{"id":"urn:example:Badge","attributes":[{"name":"a","type":"text"},{"name":"<b>"}]}],"extensions":[{"resourceType":"User","schema":"urn:example:Badge"}]}`
		page := b.get(path).press("Save schemas", url.Values{"document": {wrong}}).wantStatus(http.StatusUnprocessableEntity)
		page.wantWords("Nothing was changed", "2 things stand in the way.",
			`Schema urn:example:Badge, attribute a: Type cannot be "text"`, `Schema urn:example:Badge, attribute <b>:`)
		if got := page.byID("document").rawText(); got != wrong {
			t.Errorf("the text is now %s", got)
		}
		b.get(path).press("Save schemas", url.Values{"document": {"{"}}).wantWords("not readable JSON at line 1")
		if got := w.settings(s); got.Schemas != nil {
			t.Errorf("got %s", got.Schemas)
		}
	})

	t.Run("what_is_in_the_way_is_dropped_for_whoever_types_the_sites_name", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Full)
		b.get(path).press("Save schemas", url.Values{"document": {badgeDocument}}).wantStatus(http.StatusOK)
		badged := func(userName string, number int64) {
			doc := scim.Resource{"schemas": []any{scim.UserURN}, "userName": userName, badgeURN: map[string]any{"number": number, "color": "red"}}
			if _, err := w.pages.Rosters.Open(w.settings(s)).Create(t.Context(), roster.User, doc, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}); err != nil {
				t.Fatal(err)
			}
		}
		badged("ada@acme.example", 7)
		next := strings.Replace(badgeDocument, `"integer"`, `"string"`, 1)
		ask := b.get(path).press("Save schemas", url.Values{"document": {next}}).wantStatus(http.StatusUnprocessableEntity).
			wantWords("Nothing was changed", "Save all the same", badgeURN+":number of 1 resource of type User", "Restart provisioning", "The document of now, to keep", "Type acme to confirm")
		// Not without the name, and not with other numbers than those that were shown.
		wrong := ask.press("Drop and save", url.Values{"confirm": {"globex"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("That is not the name of this site. Nothing was changed.", badgeURN+":number of 1 resource of type User")
		badged("bob@acme.example", 8)
		ask = wrong.press("Drop and save", url.Values{"confirm": {"acme"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Nothing was dropped.", badgeURN+":number of 2 resources of type User")
		ask.press("Drop and save", url.Values{"confirm": {"acme"}, "token": {""}}).wantStatus(http.StatusUnprocessableEntity).wantWords("Nothing was dropped.")
		if got := w.settings(s); string(got.Schemas) != badgeDocument {
			t.Fatalf("got %s", got.Schemas)
		}
		ask.press("Drop and save", url.Values{"confirm": {" acme "}}).wantStatus(http.StatusOK).
			wantWords("The schemas are saved. They hold from the next call on. Dropped for good: " + badgeURN + ":number of 2 resources of type User.")
		if got := w.settings(s); string(got.Schemas) != next {
			t.Errorf("got %s", got.Schemas)
		}
		b.get("/c/acme/admin/audit").wantWords("by force, for good: "+badgeURN+":number of 2 resources of type User", "ada@acme.example was updated: number")
		b.get(path + "/forced").wantStatus(http.StatusOK).wantWords("Schemas and resource types")
	})

	t.Run("what_is_in_the_way_no_more_is_not_saved_without_the_sites_name", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Full)
		none := site.SchemasVersion(nil)
		b.send(http.MethodPost, path+"/forced", url.Values{"document": {badgeDocument}, "confirm": {"globex"}, "was.document": {none}}).wantStatus(http.StatusUnprocessableEntity).wantWords("can be saved as it is")
		if got := w.settings(s); got.Schemas != nil {
			t.Errorf("got %s", got.Schemas)
		}
		b.send(http.MethodPost, path+"/forced", url.Values{"document": {"{"}, "confirm": {"globex"}, "was.document": {none}}).wantStatus(http.StatusUnprocessableEntity).wantWords("not readable JSON")
		b.send(http.MethodPost, path+"/forced", url.Values{"document": {badgeDocument}, "confirm": {"acme"}, "was.document": {none}}).wantStatus(http.StatusOK).wantWords("The schemas are saved.")
	})

	t.Run("what_is_stored_stands_in_the_way", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Full)
		w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
		required := `{"schemas":[{"id":"urn:example:Badge","attributes":[{"name":"a"}]}],"extensions":[{"resourceType":"User","schema":"urn:example:Badge","required":true}]}`
		b.get(path).press("Save schemas", url.Values{"document": {required}}).wantStatus(http.StatusUnprocessableEntity).
			wantWords("The extension urn:example:Badge of User becomes required, and 2 resources of type User lack it: fill it first, or leave it optional.",
				"This cannot be forced: 2 resources of type User would break a rule of the new schemas (urn:example:Badge is required)").
			wantNoWords("Save all the same")
	})
}

// badgeDocument declares two attributes of users.
const badgeDocument = `{
  "schemas": [
    {
      "id": "urn:example:params:scim:schemas:Badge:2.0:User",
      "name": "Badge",
      "attributes": [
        {"name": "number", "type": "integer", "uniqueness": "server"},
        {"name": "color", "type": "string", "canonicalValues": ["red", "green"]}
      ]
    }
  ],
  "extensions": [
    {"resourceType": "User", "schema": "urn:example:params:scim:schemas:Badge:2.0:User", "required": false}
  ]
}`
