package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/console"
	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/provision"
)

func TestOperatorsSignInAgainBeforeTheTenantURLAndDeleting(t *testing.T) {
	t.Parallel()
	o, key, _ := provisioned(t)
	b := o.operator()
	b.get(acmeProvisioning).press("Save", url.Values{"status": {string(provision.On)}}).wantWords("Provisioning was saved.")
	form := b.get(acmeProvisioning)
	o.operators.Now = func() time.Time { return time.Now().Add(session.FreshTime) }
	before := o.job(key)
	for name, typed := range map[string]url.Values{
		"Tenant URL":   {"tenantURL": {"https://people.example.net/scim"}},
		"Secret Token": {"secretToken": {"another"}},
	} {
		form.press("Save", typed).wantWords("Sign in again", "Nothing was changed", "rollcall operator link kim")
		if now := o.job(key); now.TenantURL != before.TenantURL || now.Version != before.Version {
			t.Errorf("%s: the job was saved: %+v", name, now)
		}
	}
	fresh := 0
	for _, rt := range o.pages.Routes() {
		if rt.Access != console.FreshAdministrator {
			continue
		}
		fresh++
		method, path, _ := strings.Cut(rt.Pattern, " ")
		path = strings.NewReplacer("{directory}", "contoso", "{app}", "Acme", "{site}", "acme", "{key}", "x", "{connection}", "x", "{identity}", "x", "{webhook}", "x").Replace(path)
		b.send(method, path, url.Values{"confirm": {"contoso", "Acme", "acme"}}).wantWords("Sign in again")
	}
	if fresh < 6 {
		t.Errorf("%d routes need a fresh sign-in, want those that delete", fresh)
	}
	// Switching off works with an old sign-in.
	form.press("Save", url.Values{"status": {string(provision.Off)}}).wantStatus(http.StatusOK).wantWords("Provisioning was saved.")
	if now := o.job(key); now.Status != provision.Off {
		t.Errorf("the status is %s", now.Status)
	}
}

func TestOperatorsSignInAgainBeforeTheyDeletePermanently(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	h := o.directory("contoso", peopleFile)
	ada := o.userID(h, "ada@contoso.example")
	group, _, err := h.PutGroup(t.Context(), directory.Group{Attributes: map[string]string{"displayName": "Builders"}}, "cli")
	if err != nil {
		t.Fatal(err)
	}
	b := o.operator()
	o.operators.Now = func() time.Time { return time.Now().Add(session.FreshTime) }
	user, builders := "/d/contoso/users/"+ada, "/d/contoso/groups/"+group.ObjectID
	// A soft delete can be restored, so it works with an old sign-in.
	b.get(user+"/delete").press("Delete Ada Lovelace", nil).wantWords("was deleted")
	b.get(builders+"/delete").press("Delete Builders", nil).wantWords("was deleted")
	for _, path := range []string{user + "/purge", user + "/erase", builders + "/purge"} {
		b.get(path).wantWords("Sign in again")
		b.send(http.MethodPost, path, url.Values{}).wantWords("Sign in again", "Nothing was changed")
	}
	if _, err := h.User(t.Context(), ada); err != nil {
		t.Errorf("the user is gone: %v", err)
	}
	if _, err := h.Group(t.Context(), group.ObjectID); err != nil {
		t.Errorf("the group is gone: %v", err)
	}
	b = o.operator()
	b.get(user+"/purge").press("Delete permanently Ada Lovelace", nil).wantWords("was deleted permanently")
	b.get(builders+"/purge").press("Delete permanently Builders", nil).wantWords("was deleted permanently")
}
