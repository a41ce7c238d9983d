package console_test

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/site"
)

// TestConnectionsAreFoundForgottenAndMade follows one connection on its pages: found by either id,
// forgotten after a question, and made again by hand.
func TestConnectionsAreFoundForgottenAndMade(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", "userPrincipalName,displayName,mailNickname\nada@contoso.example,Ada,ada\nbo@contoso.example,Bo,bo\n")
	app := o.app(h, "Acme")
	tenantURL, token := o.site("acme", site.Full)
	key := provision.Key{Directory: provision.SourceID(h.Directory.ID), App: app.ID}
	b := o.operator()
	const at = "/d/contoso/applications/Acme/connections"
	b.get(at).wantWords("No connection yet")
	if _, err := o.jobs.Save(t.Context(), key, provision.Settings{Mode: provision.Automatic, TenantURL: tenantURL, Secret: &token, Status: provision.On, Scope: provision.AssignedOnly}, "cli"); err != nil {
		t.Fatal(err)
	}
	o.cycle(h, app)
	ada, bo := o.userID(h, "ada@contoso.example"), o.userID(h, "bo@contoso.example")
	account := func(object string) string {
		t.Helper()
		c, err := o.jobs.Connection(t.Context(), key, object)
		if err != nil {
			t.Fatal(err)
		}
		return c.TargetID
	}
	adas := account(ada)
	b.get(at).wantWords("ada@contoso.example", "bo@contoso.example", "created by provisioning", adas)
	for _, search := range []string{"ADA@", adas, ada} {
		page := b.get(at + "?search=" + url.QueryEscape(search)).wantWords("ada@contoso.example")
		if page.Root != nil && len(page.Root.all("tr")) != 2 {
			t.Errorf("%s: got %d rows", search, len(page.Root.all("tr")))
		}
	}
	b.get(at + "?search=nobody").wantWords("No connection fits")

	question := b.get(at+"?search=ada%40").click("Forget…").wantWords("Forget the connection of ada@contoso.example?", adas, "stays as it is", "is not switched off")
	if now := account(ada); now != adas {
		t.Errorf("the question has changed the connection to %s", now)
	}
	question.press("Forget the connection", nil).wantWords("was forgotten", "bo@contoso.example")
	b.get(at + "/" + ada + "/forget").wantStatus(http.StatusNotFound)
	b.get("/d/contoso/audit").wantWords("The connection of ada@contoso.example with the account " + adas + " was forgotten.")

	form := b.get(at).click("Connect by hand")
	for wrong, typed := range map[string]url.Values{
		"no user or group":     {"object": {"nobody"}, "account": {adas}},
		"no account with":      {"object": {"ada@contoso.example"}, "account": {"nothing"}},
		"belongs to":           {"object": {"ada@contoso.example"}, "account": {account(bo)}},
		"has the account":      {"object": {bo}, "account": {adas}},
		"is not the id of an":  {"object": {"ada@contoso.example"}, "account": {""}},
		"is not the id of a u": {"object": {""}, "account": {adas}},
	} {
		form.press("Connect", typed).wantStatus(http.StatusUnprocessableEntity).wantWords(wrong)
	}
	form.press("Connect", url.Values{"object": {"ada@contoso.example"}, "account": {adas}}).wantStatus(http.StatusOK).wantWords("belongs to ada@contoso.example now", "connected by hand")
	if now := account(ada); now != adas {
		t.Errorf("Ada has the account %s, want %s", now, adas)
	}
	b.get("/d/contoso/audit").wantWords("Ada was connected with the account " + adas + " by hand.")
	o.cycle(h, app)
	if now := account(ada); now != adas {
		t.Errorf("after a cycle Ada has the account %s, want %s", now, adas)
	}

	o.operators.Now = func() time.Time { return time.Now().Add(session.FreshTime) }
	form.press("Connect", url.Values{"object": {"ada@contoso.example"}, "account": {adas}}).wantWords("Sign in again")
	b.get(at).wantStatus(http.StatusOK)
}
