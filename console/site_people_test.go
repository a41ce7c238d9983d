package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

const peoplePath = "/c/acme/admin/people"

// rows are the cells of the page's first table, as a person reads them.
func (s *shown) rows() [][]string {
	var list [][]string
	bodies := s.Root.all("tbody")
	if len(bodies) == 0 {
		return nil
	}
	for _, tr := range bodies[0].all("tr") {
		var cells []string
		for _, td := range tr.all("td") {
			if td.has("class") && td.attr["class"] == "choose" {
				continue
			}
			cells = append(cells, td.text())
		}
		list = append(list, cells)
	}
	return list
}

func TestPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Documented)
	ada := w.person(s, "ada@acme.example", "Ada Lovelace", roster.RoleRegistered)
	w.person(s, "olena@acme.example", "Олена Шевченко", roster.RoleModerator)
	w.person(s, "zed@acme.example", "", roster.RoleRegistered)
	if _, err := w.pages.Rosters.Open(s).Deactivate(t.Context(), ada.ID, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}); err != nil {
		t.Fatal(err)
	}

	t.Run("lists_everybody_with_who_changed_them_and_how", func(t *testing.T) {
		page := b.get(peoplePath).wantWords("4 people: 3 active, 1 deactivated.", "All 4", "Active 3", "Deactivated 1", "Never signed in 2")
		rows := page.rows()
		if len(rows) != 4 {
			t.Fatalf("got %d rows, want 4", len(rows))
		}
		want := []string{"Ada Lovelace ada@acme.example", "Deactivated", "Registered", "just now SCIM, token …a91f", "never"}
		if got := strings.Join(rows[0], "|"); got != strings.Join(want, "|") {
			t.Errorf("got  %s\nwant %s", got, strings.Join(want, "|"))
		}
		if got := rows[3][0]; !strings.HasPrefix(got, "zed@acme.example") {
			t.Errorf("without a display name the list says %q", got)
		}
		page.wantWords("you", "command line, import")
	})
	t.Run("searches", func(t *testing.T) {
		for search, want := range map[string]string{"LOVELACE": "Ada Lovelace", "олена": "Олена Шевченко", "zed@": "zed@acme.example"} {
			rows := b.get(peoplePath).submit("Search", url.Values{"q": {search}}).rows()
			if len(rows) != 1 || !strings.Contains(rows[0][0], want) {
				t.Errorf("%s: got %v", search, rows)
			}
		}
		b.get(peoplePath+"?q=%3Cscript%3E").wantWords("Nobody fits", "Show everybody")
	})
	t.Run("selects_by_status_and_role", func(t *testing.T) {
		for query, want := range map[string]int{"status=active": 3, "status=deactivated": 1, "status=never-signed-in": 2, "role=Admin": 1, "role=moderator": 1, "status=nonsense": 4, "status=active&role=Registered": 1} {
			if got := len(b.get(peoplePath + "?" + query).rows()); got != want {
				t.Errorf("%s: got %d, want %d", query, got, want)
			}
		}
	})
	t.Run("pages_through_all_of_them", func(t *testing.T) {
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		var many []roster.ImportRow
		for i := range 120 {
			many = append(many, roster.ImportRow{UserName: fmt.Sprintf("p%03d@acme.example", i), DisplayName: fmt.Sprintf("Person %d", i)})
		}
		if _, err := w.pages.Rosters.Open(s).Import(t.Context(), many, roster.Change{Actor: "cli", Via: roster.ViaImport}); err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		path := peoplePath
		for range 4 {
			page := b.get(path)
			for _, row := range page.rows() {
				seen[row[0]] = true
			}
			path = ""
			for _, a := range page.Root.all("a") {
				if a.attr["rel"] == "next" {
					path = a.attr["href"]
				}
			}
			if path == "" {
				break
			}
		}
		if len(seen) != 121 {
			t.Errorf("saw %d people, want 121", len(seen))
		}
	})
}

func TestPerson(t *testing.T) {
	t.Parallel()

	t.Run("changes_role_after_a_question", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		ada := w.person(s, "ada@acme.example", "Ada Lovelace", roster.RoleRegistered)
		page := b.get(peoplePath + "/" + ada.ID)
		page.submit("Change role", url.Values{"role": {"Registered"}}).wantWords("Choose another role than Registered.")
		ask := page.submit("Change role", url.Values{"role": {"Admin"}}).wantWords("Change the role of Ada Lovelace?", "changes from Registered to Admin", "sees and changes everybody")
		ask.submit("Make Ada Lovelace Admin", nil).wantWords("Role Registered → Admin.", "by kim@acme.example")
		now, err := w.pages.Rosters.Open(s).Person(t.Context(), ada.ID)
		if err != nil || now.Role != roster.RoleAdmin {
			t.Errorf("got %s, %v", now.Role, err)
		}
		if e := w.ofSite(s)[0]; e.Name != "user.role_changed" || e.Actor != "admin:kim@acme.example" || e.Subject != ada.ID {
			t.Errorf("event %+v", e)
		}
	})

	t.Run("is_deactivated_and_reactivated_after_questions", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		ada := w.person(s, "ada@acme.example", "Ada Lovelace", roster.RoleModerator)
		ask := b.get(peoplePath+"/"+ada.ID).submit("Deactivate", nil).wantWords("Deactivate Ada Lovelace?", "ada@acme.example", "signed out everywhere at once", "role Moderator")
		cut := ask.submit("Deactivate Ada Lovelace", nil).wantWords("Deactivated", "Reactivate")
		cut.submit("Reactivate", nil).wantWords("Reactivate Ada Lovelace?", "The role is Moderator, as it was.").
			submit("Reactivate Ada Lovelace", nil).wantWords("Reactivated", "was reactivated", "kim@acme.example")
		b.get(peoplePath + "/" + ada.ID + "/reactivate").wantWords("is active already")
	})

	t.Run("is_never_oneself_nor_the_last_administrator", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		kim, err := w.pages.Rosters.Open(s).PersonByUserName(t.Context(), "kim@acme.example")
		if err != nil {
			t.Fatal(err)
		}
		page := b.get(peoplePath + "/" + kim.ID).wantWords("This is your own account. Ask another administrator.")
		for _, name := range []string{"Change role", "Deactivate"} {
			if _, button := page.form(name); !button.has("disabled") {
				t.Errorf("%s is not disabled", name)
			}
		}
		b.get(peoplePath+"/"+kim.ID+"/deactivate").wantWords("This cannot be done", "This is your own account. Ask another administrator.")
		b.get(peoplePath + "/" + kim.ID + "/role?role=Registered").wantWords("This is your own account. Ask another administrator.")
		b.send(http.MethodPost, peoplePath+"/"+kim.ID+"/deactivate", url.Values{}).wantWords("Nothing was changed", "You cannot deactivate your own account.")
		b.send(http.MethodPost, peoplePath+"/"+kim.ID+"/role", url.Values{"role": {"Registered"}}).wantWords("You cannot change your own role.")

		// Another administrator's page of the last one: only a race gets there, and the roster refuses it.
		lee := w.person(s, "lee@acme.example", "Lee", roster.RoleAdmin)
		other := w.signIn(s, "lee@acme.example")
		ask := other.get(peoplePath + "/" + kim.ID + "/deactivate")
		b.get(peoplePath+"/"+lee.ID).submit("Change role", url.Values{"role": {"Registered"}}).submit("Make Lee Registered", nil).wantStatus(http.StatusOK)
		ask.submit("Deactivate Kim Admin", nil).wantStatus(http.StatusForbidden).wantWords("This page is for administrators")
		if now, _ := w.pages.Rosters.Open(s).Person(t.Context(), kim.ID); !now.Active {
			t.Error("the last administrator is gone")
		}
	})

	t.Run("changed_meanwhile_is_shown_and_left_alone", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		ada := w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
		ask := b.get(peoplePath + "/" + ada.ID + "/deactivate")
		if _, err := w.pages.Rosters.Open(s).SetRole(t.Context(), ada.ID, roster.RoleModerator, roster.Change{Actor: "cli", Via: roster.ViaAdmin}); err != nil {
			t.Fatal(err)
		}
		ask.submit("Deactivate Ada", nil).wantWords("Nothing was changed", "has changed since you opened the question")
		if now, _ := w.pages.Rosters.Open(s).Person(t.Context(), ada.ID); !now.Active {
			t.Error("deactivated all the same")
		}
	})

	t.Run("shows_that_scim_reversed_a_change_by_hand", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		ada := w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
		b.get(peoplePath+"/"+ada.ID+"/deactivate").submit("Deactivate Ada", nil)
		if _, err := w.pages.Rosters.Open(s).Reactivate(t.Context(), ada.ID, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}); err != nil {
			t.Fatal(err)
		}
		b.get(peoplePath+"/"+ada.ID).wantWords("reverses the change by hand of admin:kim@acme.example", "SCIM, token …a91f")
	})

	t.Run("who_does_not_exist_is_a_page", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, b := w.admin(site.Documented)
		for _, path := range []string{"/nobody", "/nobody/role?role=Admin", "/nobody/deactivate", "/nobody/reactivate"} {
			b.get(peoplePath + path).wantStatus(http.StatusNotFound).wantWords("Nobody is here under this address")
		}
		b.send(http.MethodPost, peoplePath+"/nobody/deactivate", url.Values{}).wantStatus(http.StatusNotFound)
	})
}

func TestPersonShowsEveryAttribute(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Full)
	r := w.pages.Rosters.Open(s)
	doc := scim.Resource{
		"schemas": []any{scim.UserURN, scim.EnterpriseURN}, "userName": "eve@acme.example", "title": "Engineer", "password": "hunter2-secret",
		"name":             map[string]any{"givenName": "Eve", "familyName": "<Adams>"},
		"phoneNumbers":     []any{map[string]any{"type": "work", "value": "+1 555 0100"}, map[string]any{"type": "mobile", "value": "+1 555 0101"}},
		"addresses":        []any{map[string]any{"type": "work", "locality": "Delft", "streetAddress": "Oude Delft 1"}},
		scim.EnterpriseURN: map[string]any{"department": "Research"},
	}
	made, err := r.Create(t.Context(), roster.User, doc, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM})
	if err != nil {
		t.Fatal(err)
	}
	id := made.Document.ID
	page := b.get(peoplePath+"/"+id).wantWords(
		"title Engineer", "name.familyName <Adams>", `phoneNumbers[type eq "mobile"].value +1 555 0101`, `addresses[type eq "work"].locality Delft`,
		scim.EnterpriseURN+":department Research",
	)
	if strings.Contains(page.Text, "hunter2") {
		t.Error("a password is on the page")
	}
	// Of the newest change the history has the values; of older ones what their events hold.
	doc["title"], doc["active"] = "Director", false
	if _, err := r.Replace(t.Context(), roster.User, id, doc, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}); err != nil {
		t.Fatal(err)
	}
	b.get(peoplePath+"/"+id).wantWords("eve@acme.example was updated: title title: Director", "eve@acme.example was deactivated active: false")
	doc["title"] = "Chair"
	if _, err := r.Replace(t.Context(), roster.User, id, doc, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}); err != nil {
		t.Fatal(err)
	}
	b.get(peoplePath + "/" + id).wantWords("title: Chair").wantNoWords("title: Director")
}
