package console_test

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

func TestAnAdministratorErasesSomebodyDeactivated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme, b := w.admin(site.Full)
	ada := w.person(acme, "ada@acme.example", "Ada Xylander", roster.RoleRegistered)
	page := peoplePath + "/" + ada.ID
	w.logged(acme, site.Request{Method: "PATCH", Path: "/Users/" + ada.ID, Status: 200, Subject: ada.ID, UserName: "ada@acme.example", Sentence: "Updated Ada Xylander"})

	b.get(page).wantNoWords("Erasing deletes")
	b.send(http.MethodPost, page+"/erase", url.Values{}).wantWords("is active at acme. Deactivate the account first")
	b.get(page+"/deactivate").submit("Deactivate Ada Xylander", nil)
	b.get(page).wantWords("Erasing deletes the account")
	b.get(page+"/erase").wantWords("Erase Ada Xylander?", "They no longer name the person.", "This cannot be undone.").submit("Erase Ada Xylander", nil).wantWords("The data of the person was erased.")
	b.get(page).wantStatus(http.StatusNotFound)
	for _, path := range []string{"/c/acme/admin/audit", "/c/acme/admin/access/log?show=all"} {
		b.get(path).wantWords("erased person "+ada.ID).wantNoWords("Xylander", "ada@acme")
	}
	told := false
	for _, e := range w.ofSite(acme) {
		told = told || e.Name == event.UserErased && e.Actor == "admin:kim@acme.example" && e.Subject == ada.ID
	}
	if !told {
		t.Errorf("no event tells of it: %+v", w.ofSite(acme))
	}
}

func TestAnOperatorErasesADeletedUser(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", peopleFile)
	b := o.operator()
	users, err := h.Users(t.Context(), directory.UserQuery{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	u := users.Users[0]
	page := "/d/contoso/users/" + u.ObjectID
	b.get(page + "/erase") // leads back: the user is there
	if _, err := h.User(t.Context(), u.ObjectID); err != nil {
		t.Fatal(err)
	}
	b.get(page+"/delete").submit("Delete "+u.DisplayName(), nil)
	b.get(page).wantWords("Erase")
	b.get(page+"/erase").wantWords("Erase "+u.DisplayName()+"?", "They no longer name the person.").submit("Erase "+u.DisplayName(), nil).wantWords("The data of the user was erased.")
	b.get("/d/contoso/audit").wantWords("erased person "+u.ObjectID).wantNoWords(u.DisplayName(), u.UPN())
	events, err := h.History(t.Context(), u.ObjectID, event.Position{}, 10)
	if err != nil || len(events) < 3 || events[0].Name != event.UserErased {
		t.Errorf("got %+v, %v", events, err)
	}
}
