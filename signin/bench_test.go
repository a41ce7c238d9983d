package signin_test

import (
	"testing"

	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/signin"
)

// BenchmarkSignIn signs a known person in: from the click on the sign-in page to the session.
func BenchmarkSignIn(b *testing.B) {
	db := storetest.New(b)
	c := newCompany(b, db)
	c.connect(b, c.site, func(n *signin.Connection) { n.Mode = signin.SSOOptional })
	for b.Loop() {
		r := c.start(b, "")
		if _, err := c.sso.Finish(c.ctx, c.site, c.about(b, r, "ada", "ada@acme.example", "ada@acme.example"), session.Browser{}); err != nil {
			b.Fatal(err)
		}
	}
}
