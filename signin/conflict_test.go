package signin_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/store"
)

func TestConflictsWaitForAnAdministrator(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		by := roster.Change{Actor: "admin:kim", Via: roster.ViaAdmin}
		waiting := func() []signin.Conflict {
			all, err := c.sso.Conflicts(c.ctx, c.site)
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		try := func(nameID, userName, email string) (signin.Finished, error) {
			return c.finish(c.about(t, c.start(t, ""), nameID, userName, email))
		}
		first, err := try("ada", "ada@acme.example", "ada@acme.example")
		if err != nil || len(waiting()) != 0 {
			t.Fatalf("a sign-in without a conflict: %v; %+v wait", err, waiting())
		}

		// The same person comes with another identifier, twice: one conflict, counted.
		for range 2 {
			c.pass(time.Minute)
			if _, err := try("ada-2", "ada@acme.example", "ada@acme.example"); reasonOf(err) != "identity_conflict" {
				t.Fatalf("another identifier: %v", err)
			}
		}
		all := waiting()
		if len(all) != 1 || all[0].Tries != 2 || all[0].Identifier != "ada-2" || all[0].Match != "ada@acme.example" || all[0].PersonID != first.Session.Person.ID || !all[0].FirstTry.Before(all[0].LastTry) {
			t.Fatalf("%+v wait", all)
		}
		if _, err := c.people.UseSession(c.ctx, first.Session.Secret, session.Browser{}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.sso.LinkConflict(c.ctx, c.site, all[0].ID, by); err != nil {
			t.Fatal(err)
		}
		if len(waiting()) != 0 {
			t.Errorf("after the link %+v wait", waiting())
		}
		if _, err := c.people.UseSession(c.ctx, first.Session.Secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
			t.Errorf("the session of the identity of before: %v", err)
		}
		if got, err := try("ada-2", "ada@acme.example", "ada@acme.example"); err != nil || got.Session.Person.ID != first.Session.Person.ID {
			t.Errorf("the linked identity: %+v, %v", got, err)
		}
		if _, err := try("ada", "ada@acme.example", "ada@acme.example"); reasonOf(err) != "identity_conflict" {
			t.Errorf("the identity of before: %v", err)
		}
		if err := c.sso.DismissConflict(c.ctx, c.site, waiting()[0].ID, "admin:kim"); err != nil || len(waiting()) != 0 {
			t.Errorf("dismissed: %v; %+v wait", err, waiting())
		}

		// An e-mail address of another account waits; a person who is blocked does not.
		if _, err := try("ada-3", "another@acme.example", "ada@acme.example"); reasonOf(err) != "email_conflict" || len(waiting()) != 1 || waiting()[0].Reason != "email_conflict" {
			t.Errorf("an address that is taken: %v; %+v wait", err, waiting())
		}
		if err := c.sso.DismissConflict(c.ctx, c.site, waiting()[0].ID, "admin:kim"); err != nil {
			t.Fatal(err)
		}
		if _, err := c.people.Deactivate(c.ctx, first.Session.Person.ID, by); err != nil {
			t.Fatal(err)
		}
		if _, err := try("ada-2", "ada@acme.example", "ada@acme.example"); reasonOf(err) != "deactivated" || len(waiting()) != 0 {
			t.Errorf("deactivated: %v; %+v wait", err, waiting())
		}
		if _, err := c.sso.LinkConflict(c.ctx, c.site, all[0].ID, by); !errors.Is(err, signin.ErrNoConflict) {
			t.Errorf("a conflict that is gone: %v", err)
		}

		// An account with a role is given to a proved identity alone; an administrator may link it.
		kim := c.admin(t, "kim")
		if _, err := try("kim-9", kim.UserName, kim.UserName); reasonOf(err) != "unproved" || len(waiting()) != 1 {
			t.Errorf("an account with a role: %v; %+v wait", err, waiting())
		}
		c.pass(31 * 24 * time.Hour)
		if len(waiting()) != 0 {
			t.Errorf("31 days later %+v wait", waiting())
		}
		var dismissed int
		for _, e := range c.recent(t) {
			if e.Name == event.SignInSSODismissed {
				dismissed++
			}
		}
		if dismissed != 2 {
			t.Errorf("%d events of dismissals, want 2", dismissed)
		}
	})
}
