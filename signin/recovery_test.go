package signin_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rollcall-scim/rollcall/event"
	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
	"github.com/rollcall-scim/rollcall/signin"
	"github.com/rollcall-scim/rollcall/site"
	"github.com/rollcall-scim/rollcall/store"
)

// admin makes an administrator who is linked to the user identifier of the same name.
func (c *company) admin(t *testing.T, name string) roster.Person {
	t.Helper()
	report, err := c.people.Import(c.ctx, []roster.ImportRow{{UserName: name + "@acme.example", UserIdentifier: name, Role: roster.RoleAdmin}}, roster.Change{Actor: "cli", Via: roster.ViaImport})
	if err != nil || len(report.Errors) > 0 {
		t.Fatal(err, report.Errors)
	}
	p, err := c.people.PersonByUserName(c.ctx, name+"@acme.example")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// codes makes recovery codes for a person.
func (c *company) codes(t *testing.T, p roster.Person) []string {
	t.Helper()
	set, err := c.sso.RecoverySet(c.ctx, c.site, p.ID)
	if err != nil {
		t.Fatal(err)
	}
	codes, err := c.sso.MakeRecoveryCodes(c.ctx, c.site, p, set.Made, "admin:kim")
	if err != nil || len(codes) != signin.CodesInASet {
		t.Fatalf("got %d codes, %v", len(codes), err)
	}
	return codes
}

func (c *company) recover(code string) (signin.Session, error) {
	return c.sso.Recover(c.ctx, c.site, code, session.Browser{Address: "192.0.2.7", Agent: "test"})
}

// test has a person test single sign-on as somebody of the identity provider.
func (c *company) test(t *testing.T, personID, nameID string) signin.Test {
	t.Helper()
	address, err := c.sso.StartTest(c.ctx, c.site, signin.SAML, browser, personID)
	if err != nil {
		t.Fatal(err)
	}
	r := parsed(t, address)
	if _, err := c.finish(c.about(t, r, nameID, nameID+"@acme.example", nameID+"@acme.example")); err != nil {
		t.Fatal(err)
	}
	got, ok, err := c.sso.LastTest(c.ctx, c.site, personID)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	return got
}

// required makes single sign-on required, as an administrator does.
func (c *company) required(t *testing.T, by roster.Person, identifier string) {
	t.Helper()
	c.test(t, by.ID, identifier)
	if _, err := c.sso.Require(c.ctx, c.site, -1, "admin:kim", by.ID); err != nil {
		t.Fatal(err)
	}
}

func (c *company) recent(t *testing.T) []event.Event {
	t.Helper()
	if err := c.sso.Refused.Flush(c.ctx); err != nil {
		t.Fatal(err)
	}
	all, err := c.events.Recent(c.ctx, event.Site(string(c.site.ID)), "", event.Position{}, 200)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestRecoveryCodes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		kim := c.admin(t, "kim")
		codes := c.codes(t, kim)
		t.Run("a code opens once, however it is typed", func(t *testing.T) {
			got, err := c.recover("  " + strings.ToUpper(strings.ReplaceAll(codes[0], "-", " ")))
			if err != nil || got.Person.ID != kim.ID {
				t.Fatalf("got %+v, %v", got, err)
			}
			if p, err := c.people.UseSession(c.ctx, got.Secret, session.Browser{}); err != nil || p.ID != kim.ID {
				t.Errorf("got %+v, %v", p, err)
			}
			if _, err := c.recover(codes[0]); !errors.Is(err, signin.ErrNoSuchCode) {
				t.Errorf("a used code: got %v", err)
			}
			for _, wrong := range []string{"", "aaaa-bbbb-cccc-dddd", codes[1][:18], codes[1] + "a"} {
				if _, err := c.recover(wrong); !errors.Is(err, signin.ErrNoSuchCode) {
					t.Errorf("%q: got %v", wrong, err)
				}
			}
			if set, err := c.sso.RecoverySet(c.ctx, c.site, kim.ID); err != nil || set.Left != 9 {
				t.Errorf("got %+v, %v, want 9 left", set, err)
			}
		})
		t.Run("one code tried twelve times at once opens once", func(t *testing.T) {
			var wg sync.WaitGroup
			opened := make(chan string, 12)
			for range 12 {
				wg.Go(func() {
					if got, err := c.recover(codes[1]); err == nil {
						opened <- got.Secret
					} else if !errors.Is(err, signin.ErrNoSuchCode) {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			if len(opened) != 1 {
				t.Errorf("it opened %d times", len(opened))
			}
		})
		t.Run("another site does not know it", func(t *testing.T) {
			other, err := c.sites.Create(c.ctx, "other", site.Documented, "cli")
			if err != nil {
				t.Fatal(err)
			}
			for _, st := range []site.Site{other, {Name: "none"}} {
				if _, err := c.sso.Recover(c.ctx, st, codes[2], session.Browser{}); !errors.Is(err, signin.ErrNoSuchCode) {
					t.Errorf("%s: got %v", st.Name, err)
				}
			}
		})
		t.Run("a form that is sent twice makes one set, and a new set ends the old one", func(t *testing.T) {
			set, err := c.sso.RecoverySet(c.ctx, c.site, kim.ID)
			if err != nil {
				t.Fatal(err)
			}
			c.pass(time.Second)
			fresh, err := c.sso.MakeRecoveryCodes(c.ctx, c.site, kim, set.Made, "admin:kim")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := c.sso.MakeRecoveryCodes(c.ctx, c.site, kim, set.Made, "admin:kim"); !errors.Is(err, signin.ErrCodesStale) {
				t.Errorf("sent twice: got %v", err)
			}
			if _, err := c.recover(codes[3]); !errors.Is(err, signin.ErrNoSuchCode) {
				t.Errorf("a code of the old set: got %v", err)
			}
			codes = fresh
		})
		t.Run("only an active administrator has codes, and a code from before a deactivation opens nothing", func(t *testing.T) {
			if _, err := c.sso.MakeRecoveryCodes(c.ctx, c.site, roster.Person{UserName: "lee", Active: true, Role: roster.RoleRegistered}, time.Time{}, "cli"); !errors.Is(err, signin.ErrNoAdminForCodes) {
				t.Errorf("got %v", err)
			}
			c.admin(t, "lee") // else Kim is the last administrator
			c.pass(time.Second)
			if _, err := c.people.Deactivate(c.ctx, kim.ID, roster.Change{Actor: "cli", Via: roster.ViaAdmin}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.recover(codes[0]); !errors.Is(err, signin.ErrNoSuchCode) {
				t.Errorf("deactivated: got %v", err)
			}
			c.pass(time.Second)
			if _, err := c.people.Reactivate(c.ctx, kim.ID, roster.Change{Actor: "cli", Via: roster.ViaAdmin}); err != nil {
				t.Fatal(err)
			}
			if _, err := c.recover(codes[0]); !errors.Is(err, signin.ErrNoSuchCode) {
				t.Errorf("deactivated since: got %v", err)
			}
		})
		t.Run("a code from before the role Admin was lost opens nothing when the role is back", func(t *testing.T) {
			setRole := func(role roster.Role) {
				t.Helper()
				c.pass(time.Second)
				if _, err := c.people.SetRole(c.ctx, kim.ID, role, roster.Change{Actor: "cli", Via: roster.ViaAdmin}); err != nil {
					t.Fatal(err)
				}
			}
			left := func(want int) {
				t.Helper()
				if set, err := c.sso.RecoverySet(c.ctx, c.site, kim.ID); err != nil || set.Left != want {
					t.Errorf("%d codes are left, %v; want %d", set.Left, err, want)
				}
			}
			left(0) // those of before the deactivation
			c.pass(time.Second)
			codes := c.codes(t, kim)
			left(signin.CodesInASet)
			setRole(roster.RoleRegistered)
			if _, err := c.recover(codes[0]); !errors.Is(err, signin.ErrNoSuchCode) {
				t.Errorf("without the role: got %v", err)
			}
			setRole(roster.RoleAdmin)
			left(0)
			if _, err := c.recover(codes[0]); !errors.Is(err, signin.ErrNoSuchCode) {
				t.Errorf("with the role again: got %v", err)
			}
			c.pass(time.Second)
			codes = c.codes(t, kim)
			if _, err := c.recover(codes[0]); err != nil {
				t.Errorf("a code of the role that is back: got %v", err)
			}
		})
		t.Run("a role by SCIM ends codes too", func(t *testing.T) {
			managed, err := c.sites.Update(c.ctx, c.site.ID, "cli", func(s *site.Site) error { s.ManageRoles = true; return nil })
			if err != nil {
				t.Fatal(err)
			}
			people := c.Rosters.Open(managed)
			codes := c.codes(t, kim)
			for _, userType := range []string{"Registered", "Admin"} {
				c.pass(time.Second)
				if _, err := people.Replace(c.ctx, roster.User, kim.ID, scim.Resource{"userName": "kim@acme.example", "active": true, "userType": userType}, roster.Change{Actor: "scim", Via: roster.ViaSCIM}); err != nil {
					t.Fatal(err)
				}
				if p, err := people.Person(c.ctx, kim.ID); err != nil || string(p.Role) != userType {
					t.Fatalf("got the role %s, %v", p.Role, err)
				}
			}
			if _, err := c.recover(codes[0]); !errors.Is(err, signin.ErrNoSuchCode) {
				t.Errorf("got %v", err)
			}
		})
		t.Run("each use and each refusal is an event", func(t *testing.T) {
			var texts []string
			for _, e := range c.recent(t) {
				if strings.HasPrefix(e.Name, "sign_in.recovery_") {
					texts = append(texts, e.Name+": "+e.Text)
				}
			}
			for _, want := range []string{
				event.SignInRecoveryCodesMade + ": 10 recovery codes were made for kim@acme.example",
				event.SignInRecoveryUsed + ": kim@acme.example signed in with a recovery code; 9 are left",
				event.SignInRecoveryRefused + ": A recovery code was refused: it is not one of this site, or was used already",
				event.SignInRecoveryRefused + ": A recovery code was refused: the account is deactivated, of kim@acme.example",
			} {
				if !slices.Contains(texts, want) {
					t.Errorf("no event %q in\n%s", want, strings.Join(texts, "\n"))
				}
			}
		})
	})
}

func TestSingleSignOnIsRequiredOnlyByWhoCanStillComeIn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		kim := c.admin(t, "kim")
		c.admin(t, "lee")
		refused := func(want string) {
			t.Helper()
			_, err := c.sso.Require(c.ctx, c.site, -1, "admin:kim", kim.ID)
			e, ok := refusal.Find(err)
			if !errors.Is(err, signin.ErrCannotRequire) || !ok || !strings.Contains(e.Sentences(), want) {
				t.Fatalf("got %v, want %q", err, want)
			}
		}
		refused("Pass a test sign-in of your own")
		if _, err := c.sso.SetConnection(c.ctx, c.site, -1, "cli", func(n *signin.Connection) error { n.Mode = signin.SSORequired; return nil }); !errors.Is(err, signin.ErrCannotRequire) {
			t.Fatalf("without an administrator: got %v", err)
		}
		c.test(t, kim.ID, "lee")
		refused("as yourself")
		c.test(t, kim.ID, "kim")
		refused("Make recovery codes")
		c.codes(t, kim)
		// A test does not hold once its identity opens the account no longer.
		identity, err := c.people.IdentityOf(c.ctx, kim.ID)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.people.Unlink(c.ctx, kim.ID, roster.Change{Actor: "cli", Via: roster.ViaAdmin}); err != nil {
			t.Fatal(err)
		}
		refused("Link the identity that you tested to your account")
		if err := c.people.Link(c.ctx, kim.ID, roster.Asserted{Issuer: identity.Issuer, Identifier: "another"}, roster.Change{Actor: "cli", Via: roster.ViaAdmin}); err != nil {
			t.Fatal(err)
		}
		refused("Link the identity that you tested to your account")
		if _, err := c.people.Unlink(c.ctx, kim.ID, roster.Change{Actor: "cli", Via: roster.ViaAdmin}); err != nil {
			t.Fatal(err)
		}
		if err := c.people.Link(c.ctx, kim.ID, roster.Asserted{Issuer: identity.Issuer, Identifier: identity.Identifier}, roster.Change{Actor: "cli", Via: roster.ViaAdmin}); err != nil {
			t.Fatal(err)
		}
		// A change of who uses it leaves the test valid; one of a claim does not.
		c.connect(t, c.site, func(n *signin.Connection) { n.Mode = signin.SSOOff })
		c.connect(t, c.site, func(n *signin.Connection) { n.Mode = signin.SSOOptional; n.Claims.JobTitle = "urn:title" })
		refused("Pass a test sign-in of your own")
		c.test(t, kim.ID, "kim")
		// A certificate that signs nothing: the test fails, so it cannot be required.
		good := c.Cert
		if err := c.ReplaceKey(); err != nil {
			t.Fatal(err)
		}
		c.test(t, kim.ID, "kim")
		refused("Pass a test sign-in of your own")
		c.connect(t, c.site, func(*signin.Connection) {})
		if got, err := c.sso.Connection(c.ctx, c.site); err != nil || got.Provider.Certificates[0].Equal(good) {
			t.Fatal("the new certificate is not trusted", err)
		}
		c.required(t, kim, "kim")
		if got, err := c.sso.Connection(c.ctx, c.site); err != nil || got.Mode != signin.SSORequired {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

// TestLockedOutAndBackIn is docs/operations.md, "Locked out".
func TestLockedOutAndBackIn(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, db *store.DB) {
		c := newCompany(t, db)
		kim := c.admin(t, "kim")
		if _, err := c.finish(c.about(t, c.start(t, ""), "ada", "ada@acme.example", "ada@acme.example")); err != nil {
			t.Fatal(err)
		}
		before, err := c.IssueSiteLink(c.ctx, c.site, "ada@acme.example", "cli")
		if err != nil {
			t.Fatal(err)
		}
		codes := c.codes(t, kim)
		c.required(t, kim, "kim")

		// Links are for administrators now, also one that was made before.
		if _, err := c.IssueSiteLink(c.ctx, c.site, "ada@acme.example", "cli"); !errors.Is(err, signin.ErrSSORequired) {
			t.Errorf("a link for Ada: got %v", err)
		}
		_, err = c.Redeem(c.ctx, c.site, before.Secret, signin.Form{}, session.Browser{})
		if closed, ok := refusal.DataOf[signin.ClosedLink](err); !ok || closed.Reason != signin.LinkSSORequired {
			t.Errorf("Ada's link from before: got %v", err)
		}

		// The identity provider has a new key that the site does not know: nobody comes in by it.
		if err := c.ReplaceKey(); err != nil {
			t.Fatal(err)
		}
		for _, who := range []string{"ada", "kim"} {
			c.refused(t, c.about(t, c.start(t, ""), who, who+"@acme.example", who+"@acme.example"), "unknown_certificate")
		}
		// Kim comes in with a code, and with a link from the server.
		if got, err := c.recover(codes[0]); err != nil || got.Person.Role != roster.RoleAdmin {
			t.Fatalf("got %+v, %v", got, err)
		}
		link, err := c.IssueSiteLink(c.ctx, c.site, "kim@acme.example", "cli")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Redeem(c.ctx, c.site, link.Secret, signin.Form{}, session.Browser{}); err != nil {
			t.Fatal(err)
		}
		// She imports the metadata, and everybody comes in again.
		c.connect(t, c.site, func(*signin.Connection) {})
		if _, err := c.finish(c.about(t, c.start(t, ""), "ada", "ada@acme.example", "ada@acme.example")); err != nil {
			t.Fatal(err)
		}
		// Or whoever runs the server makes it optional, and links open for everybody.
		c.connect(t, c.site, func(n *signin.Connection) { n.Mode = signin.SSOOptional })
		if _, err := c.IssueSiteLink(c.ctx, c.site, "ada@acme.example", "cli"); err != nil {
			t.Error(err)
		}
	})
}
