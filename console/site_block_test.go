package console_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

func TestBlock(t *testing.T) {
	t.Parallel()
	t.Run("one_person_after_a_question", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		ada := w.person(s, "ada@acme.example", "Ada", roster.RoleRegistered)
		theirs := w.signIn(s, "ada@acme.example")
		b.get(peoplePath+"/"+ada.ID+"/block").
			wantWords("Block Ada?", "signed out everywhere at once", "The identity provider cannot let them in again", "Only an administrator can unblock").
			submit("Block Ada", nil).wantWords("Blocked · 1 session ended", "Status Blocked", "Unblock")
		theirs.get("/c/acme/").wantStatus(http.StatusUnauthorized)
		b.get(peoplePath + "/" + ada.ID + "/block").wantWords("Ada is blocked already.")
		b.send(http.MethodPost, peoplePath+"/"+ada.ID+"/reactivate", url.Values{}).wantWords("Nothing was changed", "is blocked. Unblock the account instead.")
		b.get(peoplePath+"?status=blocked").wantWords("1 of them blocked", "ada@acme.example")
		b.get(peoplePath+"/"+ada.ID+"/unblock").wantWords("can sign in again").submit("Unblock Ada", nil).wantWords("Unblocked", "Status Active")
		b.get(peoplePath + "/" + ada.ID + "/unblock").wantWords("Ada is not blocked.")
	})
	t.Run("several_people_after_a_question_with_their_number", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		s, b := w.admin(site.Documented)
		kim, err := w.pages.Rosters.Open(s).PersonByUserName(t.Context(), "kim@acme.example")
		if err != nil {
			t.Fatal(err)
		}
		ids := []string{kim.ID} // the administrator who asks
		for _, name := range []string{"ada", "bob"} {
			ids = append(ids, w.person(s, name+"@acme.example", name, roster.RoleRegistered).ID)
		}
		off := func() (n int) {
			c, err := w.pages.Rosters.Open(s).Counts(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			return c.Blocked
		}
		b.get(peoplePath).press("Block", nil).wantWords("tick at least one person")
		ask := b.get(peoplePath).press("Block", url.Values{"person": ids}).wantWords("Block 3 people?", "ada, bob")
		if n := off(); n != 0 {
			t.Errorf("%d blocked before the answer", n)
		}
		ask.submit("Block 3 people", nil).wantWords("2 people were blocked.", "You cannot block your own account.")
		if n := off(); n != 2 {
			t.Errorf("got %d blocked, want 2", n)
		}
		b.get(peoplePath).press("Unblock", url.Values{"person": ids}).submit("Unblock 2 people", nil).wantWords("2 people were unblocked.")
		if n := off(); n != 0 {
			t.Errorf("got %d blocked, want none", n)
		}
		b.send(http.MethodPost, peoplePath+"/change", url.Values{"change": {"delete"}, "person": ids}).wantStatus(http.StatusNotFound)
	})
}
