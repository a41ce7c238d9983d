package roster_test

import (
	"errors"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

const issuer = "https://sts.windows.net/acme/"

// assertedAda returns what the identity provider asserts about Ada.
func assertedAda() roster.Asserted {
	return roster.Asserted{
		Issuer: issuer, Identifier: "oid-ada", Match: "ada@acme.test", DisplayName: "Ada Lovelace", Email: "ada.lovelace@acme.test",
		Title: "Countess", Department: "Engines", Create: true,
	}
}

func admit(t *testing.T, r *roster.Roster, a roster.Asserted) (roster.Admission, error) {
	t.Helper()
	return r.AdmitAsserted(t.Context(), a, session.Limits{}, session.Browser{})
}

func admitted(t *testing.T, r *roster.Roster, a roster.Asserted) roster.Admission {
	t.Helper()
	got, err := admit(t, r, a)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := r.UseSession(t.Context(), got.Secret, session.Browser{}); err != nil || p.ID != got.Person.ID {
		t.Fatalf("the session is of %+v, %v", p, err)
	}
	return got
}

func (f fixture) count(t *testing.T, s site.Site) int {
	t.Helper()
	c, err := f.rosters.Open(s).Counts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c.All
}

func TestAsserted(t *testing.T) {
	each(t, func(t *testing.T, f fixture) {
		r := f.rosters.Open(f.documented)
		t.Run("makes the account once, and finds it by its identifier afterwards", func(t *testing.T) {
			first := admitted(t, r, assertedAda())
			if !first.Created || !first.Linked || first.Person.UserName != "ada@acme.test" || first.Person.Role != roster.RoleRegistered || first.Person.Email != "ada.lovelace@acme.test" {
				t.Errorf("got %+v", first)
			}
			a := assertedAda()
			a.Match, a.Email, a.Title = "renamed@acme.test", "", "Programmer"
			again := admitted(t, r, a)
			if again.Created || again.Linked || again.Person.ID != first.Person.ID || again.Person.UserName != "ada@acme.test" {
				t.Errorf("got %+v", again)
			}
			doc, err := r.Get(t.Context(), roster.User, first.Person.ID)
			if err != nil {
				t.Fatal(err)
			}
			got := decode(t, string(doc.JSON))
			department, _ := got["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"].(map[string]any)
			if got.String("title") != "Programmer" || department["department"] != "Engines" || got.String("displayName") != "Ada Lovelace" {
				t.Errorf("got %s", doc.JSON)
			}
		})
		t.Run("finds who SCIM made, by userName in any case", func(t *testing.T) {
			id := f.user(t, f.documented, `{"userName":"Bo@acme.test","emails":[{"value":"bo@acme.test","type":"work"}]}`)
			a := roster.Asserted{Issuer: issuer, Identifier: "oid-bo", Match: "bo@ACME.test"}
			if got := admitted(t, r, a); got.Created || !got.Linked || got.Person.ID != id {
				t.Errorf("got %+v", got)
			}
		})
		t.Run("never selects an account by its e-mail address", func(t *testing.T) {
			f.user(t, f.documented, `{"userName":"cy","emails":[{"value":"cy@acme.test","type":"work"}]}`)
			before := f.count(t, f.documented)
			for _, a := range []roster.Asserted{
				{Issuer: issuer, Identifier: "oid-cy", Match: "cy.other", Email: "CY@acme.test", Create: true},
				{Issuer: issuer, Identifier: "oid-cy", Match: "cy@acme.test", Create: true},
				{Issuer: issuer, Identifier: "oid-cy", Match: "cy.other", Email: "cy", Create: true},
			} {
				if got, err := admit(t, r, a); !errors.Is(err, roster.ErrAssertedEmailTaken) {
					t.Errorf("got %+v, %v", got, err)
				}
			}
			if after := f.count(t, f.documented); after != before {
				t.Errorf("%d accounts became %d", before, after)
			}
		})
		t.Run("lets in nobody who is deactivated or blocked, and revives nobody", func(t *testing.T) {
			for name, cut := range map[string]func(id string) error{
				"deactivated by SCIM": func(id string) error {
					_, err := r.Patch(t.Context(), roster.User, id, patch(t, `{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":[{"op":"Replace","path":"active","value":"False"}]}`), bySCIM)
					return err
				},
				"blocked": func(id string) error { _, err := r.Block(t.Context(), id, byKim); return err },
			} {
				t.Run(name, func(t *testing.T) {
					id := f.user(t, f.documented, `{"userName":"`+name+`@acme.test"}`)
					unlinked := f.user(t, f.documented, `{"userName":"unlinked `+name+`@acme.test"}`)
					a := roster.Asserted{Issuer: issuer, Identifier: name, Match: name + "@acme.test", Create: true}
					in := admitted(t, r, a)
					for _, id := range []string{id, unlinked} {
						if err := cut(id); err != nil {
							t.Fatal(err)
						}
					}
					if _, err := r.UseSession(t.Context(), in.Secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
						t.Errorf("the session goes on: %v", err)
					}
					for _, a := range []roster.Asserted{a, {Issuer: issuer, Identifier: "u" + name, Match: "unlinked " + name + "@acme.test", Create: true}} {
						if got, err := admit(t, r, a); !errors.Is(err, refusal.Forbidden) {
							t.Errorf("got %+v, %v", got, err)
						}
					}
					for _, id := range []string{id, unlinked} {
						if p, err := r.Person(t.Context(), id); err != nil || p.Active {
							t.Errorf("got %+v, %v", p, err)
						}
					}
				})
			}
		})
		t.Run("gives an account with a role to a linked identifier alone", func(t *testing.T) {
			for _, role := range []string{"Admin", "Moderator"} {
				id := f.user(t, f.documented, `{"userName":"`+role+`@acme.test","userType":"`+role+`"}`)
				a := roster.Asserted{Issuer: issuer, Identifier: role, Match: role + "@acme.test", Create: true}
				if got, err := admit(t, r, a); !errors.Is(err, roster.ErrAssertedUnproved) {
					t.Errorf("got %+v, %v", got, err)
				}
				if err := r.Link(t.Context(), id, a, roster.Change{Actor: "admin:" + role, Via: roster.ViaAdmin, Person: id}); err != nil {
					t.Fatal(err)
				}
				if got := admitted(t, r, a); got.Person.ID != id || string(got.Person.Role) != role {
					t.Errorf("got %+v", got)
				}
				a.Issuer = "https://sts.windows.net/another/"
				if got, err := admit(t, r, a); !errors.Is(err, roster.ErrAssertedUnproved) {
					t.Errorf("another identity provider: got %+v, %v", got, err)
				}
			}
		})
		t.Run("gives nobody's account to a second identifier", func(t *testing.T) {
			id := f.user(t, f.documented, `{"userName":"dee@acme.test"}`)
			a := roster.Asserted{Issuer: issuer, Identifier: "dee-1", Match: "dee@acme.test", Create: true}
			in := admitted(t, r, a)
			b := a
			b.Identifier = "dee-2"
			if got, err := admit(t, r, b); !errors.Is(err, roster.ErrAssertedConflict) {
				t.Errorf("got %+v, %v", got, err)
			}
			if had, err := r.Unlink(t.Context(), id, byKim); err != nil || !had {
				t.Fatal(had, err)
			}
			if _, err := r.UseSession(t.Context(), in.Secret, session.Browser{}); !errors.Is(err, roster.ErrNoSession) {
				t.Errorf("the session goes on: %v", err)
			}
			if got := admitted(t, r, b); got.Person.ID != id || !got.Linked {
				t.Errorf("got %+v", got)
			}
			if err := r.Link(t.Context(), f.user(t, f.documented, `{"userName":"dee2@acme.test"}`), b, byKim); !errors.Is(err, roster.ErrAssertedConflict) {
				t.Errorf("one identifier for two: %v", err)
			}
		})
		t.Run("takes an imported identifier, and its first identity provider keeps it", func(t *testing.T) {
			if _, err := r.Import(t.Context(), []roster.ImportRow{{UserName: "eve@acme.test", UserIdentifier: "eve-1", Role: roster.RoleAdmin}}, byFile); err != nil {
				t.Fatal(err)
			}
			other := roster.Asserted{Issuer: issuer, Identifier: "eve-2", Match: "eve@acme.test"}
			if got, err := admit(t, r, other); !errors.Is(err, roster.ErrAssertedUnproved) {
				t.Errorf("another identifier: got %+v, %v", got, err)
			}
			a := roster.Asserted{Issuer: issuer, Identifier: "eve-1", Match: "eve@acme.test"}
			if got := admitted(t, r, a); got.Person.UserName != "eve@acme.test" || !got.Linked {
				t.Errorf("got %+v", got)
			}
			if i, err := r.IdentityOf(t.Context(), admitted(t, r, a).Person.ID); err != nil || i.Issuer != issuer {
				t.Errorf("got %+v, %v", i, err)
			}
		})
		t.Run("makes no account where the site does not allow it, or without a name", func(t *testing.T) {
			a := roster.Asserted{Issuer: issuer, Identifier: "new", Match: "new@acme.test"}
			if _, err := admit(t, r, a); !errors.Is(err, roster.ErrAssertedUnknown) {
				t.Errorf("got %v", err)
			}
			a.Match, a.Create = "", true
			if _, err := admit(t, r, a); !errors.Is(err, roster.ErrAssertedNameless) {
				t.Errorf("got %v", err)
			}
			a.Match = "bad\x00"
			if _, err := admit(t, r, a); err == nil {
				t.Error("NUL was taken")
			}
		})
		t.Run("a try changes nothing", func(t *testing.T) {
			before := f.count(t, f.documented)
			a := roster.Asserted{Issuer: issuer, Identifier: "fay", Match: "fay@acme.test", Create: true}
			got, err := r.TryAsserted(t.Context(), a)
			if err != nil || !got.Created || got.Secret != "" {
				t.Errorf("got %+v, %v", got, err)
			}
			if after := f.count(t, f.documented); after != before {
				t.Errorf("%d accounts became %d", before, after)
			}
		})
		t.Run("another site knows nothing of it", func(t *testing.T) {
			if got, err := admit(t, f.rosters.Open(f.full), roster.Asserted{Issuer: issuer, Identifier: "oid-ada", Match: "ada@acme.test"}); !errors.Is(err, roster.ErrAssertedUnknown) {
				t.Errorf("got %+v, %v", got, err)
			}
		})
		t.Run("the session ends with that of the identity provider, if that is earlier", func(t *testing.T) {
			a := assertedAda()
			a.Ends = f.clock.Now().Add(time.Hour)
			if got := admitted(t, r, a); !got.Expires.Equal(a.Ends) {
				t.Errorf("ends %v, want %v", got.Expires, a.Ends)
			}
			a.Ends = f.clock.Now().Add(100 * time.Hour)
			if got := admitted(t, r, a); !got.Expires.Before(a.Ends.Add(-80 * time.Hour)) {
				t.Errorf("ends %v", got.Expires)
			}
		})
	})
}
