package console_test

import (
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

const searchablePath = scimPath + "/searchable"

// declare declares attributes of users searchable and returns the id of the first.
func (w *world) declare(s site.Site, attributes ...string) string {
	w.t.Helper()
	added, err := w.pages.Sites.DeclareSearchable(w.t.Context(), s.ID, "User", attributes, "cli")
	if err != nil {
		w.t.Fatal(err)
	}
	return added[0].ID
}

// index does what a running server does about what is declared.
func (w *world) index(s site.Site) {
	w.t.Helper()
	leases := store.Leases{DB: w.pages.Rosters.Store.(store.Rosters).DB}
	epoch, err := leases.Claim(w.t.Context(), roster.LeaseKind, string(s.ID), "test", time.Minute)
	if err != nil {
		w.t.Fatal(err)
	}
	if next, err := w.pages.Rosters.Advance(w.t.Context(), string(s.ID), epoch); err != nil || !next.IsZero() {
		w.t.Fatal(next, err)
	}
}

func (w *world) searchable(s site.Site) (list []string) {
	w.t.Helper()
	all, err := w.pages.Rosters.Open(s).Indexing(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	for _, i := range all {
		list = append(list, i.Searchable.String())
	}
	return list
}

func TestSearchableAttributes(t *testing.T) {
	t.Parallel()

	t.Run("are_declared_and_show_how_far_their_index_is", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
		b.get(scimPath).wantWords("Declare what else your identity provider filters by.")
		page := b.get(searchablePath).wantWords("Nothing is declared searchable", "Searchable in every site", "userName")
		page = page.submit("Declare searchable", url.Values{"attribute": {"User " + scim.EnterpriseURN + ":department"}})
		page.wantStatus(http.StatusOK).wantWords("Declared searchable: " + scim.EnterpriseURN + ":department of User.")
		page.wantWords("department", "Filling", "0 of 2 indexed")
		b.get(scimPath).wantWords("1 attribute declared. An index is being filled.")
		w.index(s)
		b.get(searchablePath).wantWords("Complete", "2 indexed")
		b.get(scimPath).wantWords("1 attribute declared, and indexed.")
		if diff := cmp.Diff(w.searchable(s), []string{scim.EnterpriseURN + ":department of User"}); diff != "" {
			t.Error(diff)
		}
		b.get("/c/acme/admin/audit").wantWords(scim.EnterpriseURN + ":department of User was declared searchable")
	})

	t.Run("those_that_can_be_are_offered", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		offered := func() (values []string) {
			for _, o := range b.get(searchablePath).Root.all("option") {
				values = append(values, o.attr["value"])
			}
			return values
		}
		for value, want := range map[string]bool{
			"User title": true, "User name.familyName": true, "User " + scim.EnterpriseURN + ":manager.value": true,
			"User userName": false, "User password": false, "User active": false, "User name": false, "Group displayName": false,
		} {
			if got := slices.Contains(offered(), value); got != want {
				t.Errorf("%s: offered %t, want %t", value, got, want)
			}
		}
		w.declare(s, "title")
		if slices.Contains(offered(), "User title") {
			t.Error("title is offered again")
		}
	})

	t.Run("a_form_that_asks_for_what_cannot_be_says_why", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		b.get(searchablePath).submit("Declare searchable", nil).wantStatus(http.StatusUnprocessableEntity).wantWords("Choose an attribute. Nothing was declared.")
		for value, want := range map[string]string{
			"User userName": "userName of User is searchable already, in every site.",
			"User titel":    `User has no attribute "titel"`,
			"Printer x":     `This site has no resource type "Printer"; it has User, Group.`,
		} {
			b.send(http.MethodPost, searchablePath, url.Values{"attribute": {value}}).wantStatus(http.StatusUnprocessableEntity).wantWords(want)
		}
		w.declare(s, "title")
		b.send(http.MethodPost, searchablePath, url.Values{"attribute": {"User title"}}).wantStatus(http.StatusOK).wantWords("It was declared searchable already.")
		if got := w.searchable(s); len(got) != 1 {
			t.Errorf("got %v", got)
		}
	})

	t.Run("there_is_an_end_to_it", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		for _, path := range site.CanBeSearchable(scim.UserType())[:site.MaxSearchable] {
			w.declare(s, path.String())
		}
		b.get(searchablePath).wantWords("A site declares at most 20 attributes, because each slows down every write. Remove one first.")
		b.send(http.MethodPost, searchablePath, url.Values{"attribute": {"User " + scim.EnterpriseURN + ":department"}}).wantStatus(http.StatusUnprocessableEntity).wantWords("one too many")
	})

	t.Run("are_removed_after_a_question", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		title := w.declare(s, "title", "nickName")
		ask := b.get(searchablePath + "/" + title + "/remove")
		ask.wantWords("Remove the index of title?", "Filters on title read every User again from the next call on, 1 at present.", "Declaring it again fills its index anew.")
		if got := w.searchable(s); len(got) != 2 {
			t.Errorf("asking removed something: %v", got)
		}
		ask.submit("Remove the index", nil).wantStatus(http.StatusOK).wantWords("No longer declared searchable: title of User.")
		if diff := cmp.Diff(w.searchable(s), []string{"nickName of User"}); diff != "" {
			t.Error(diff)
		}
		ask.submit("Remove the index", nil).wantStatus(http.StatusNotFound).wantWords("That attribute is not declared searchable")
		b.get(searchablePath + "/unknown/remove").wantStatus(http.StatusNotFound)
		b.get("/c/acme/admin/audit").wantWords("title of User is no longer declared searchable")
	})
}
