package console_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/site"
)

func TestHeldChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s, b := w.admin(site.Documented)
	ada := w.person(s, "ada@acme.example", "Ada", roster.RoleModerator)
	people := w.pages.Rosters.Open(s)
	ask := func(userName string) {
		t.Helper()
		p, _, err := scim.DecodePatch(scim.UserType(), []byte(`{"Operations":[{"op":"replace","value":{"userName":"`+userName+`","displayName":"Mallory <b>"}}]}`), scim.Lenient)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := people.Patch(t.Context(), roster.User, ada.ID, p, roster.Change{Actor: "scim:…a91f", Via: roster.ViaSCIM}); err != nil {
			t.Fatal(err)
		}
	}
	person := peoplePath + "/" + ada.ID
	ask("mallory@acme.example")
	b.get(peoplePath+"?status=waiting").wantWords("Changes to decide on 1", "ada@acme.example", "Change to decide on")
	b.get(person).wantWords(`userName "ada@acme.example" "mallory@acme.example"`, `displayName "Ada" "Mallory <b>"`, "SCIM, token …a91f", "Apply", "Refuse")

	// What was asked for meanwhile is not applied unseen.
	seen := b.get(person+"/held/userName/apply").wantWords("Apply the change of userName?", `from "ada@acme.example" to "mallory@acme.example"`, "gets this account, with its role Moderator")
	ask("eve@acme.example")
	seen.submit("Apply the change", nil).wantWords("Nothing was changed", "is another one now")
	b.send(http.MethodPost, person+"/held/userName/apply", url.Values{}).wantWords("Nothing was changed")
	if now, _ := people.Person(t.Context(), ada.ID); now.UserName != "ada@acme.example" {
		t.Errorf("got %+v", now)
	}

	b.get(person+"/held/displayName/refuse").wantWords("stays \"Ada\"").submit("Refuse the change", nil).wantWords("Refused the change of displayName", "refused by kim@acme.example")
	b.get(person+"/held/userName/apply").submit("Apply the change", nil).wantWords("Applied the change of userName", "eve@acme.example")
	if now, _ := people.Person(t.Context(), ada.ID); now.UserName != "eve@acme.example" || now.DisplayName != "Ada" {
		t.Errorf("got %+v", now)
	}
	b.get(peoplePath + "?status=waiting").wantWords("Changes to decide on 0")
	b.get(person + "/held/userName/apply").wantWords("No change of userName waits")
	b.get(person + "/held/userName/burn").wantStatus(http.StatusNotFound)
}
