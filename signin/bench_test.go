package signin_test

import (
	"testing"

	"github.com/rollcall-scim/rollcall/internal/session"
	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/signin"
)

// BenchmarkSignIn signs a known person in: from the response of the identity provider to the
// session.
func BenchmarkSignIn(b *testing.B) {
	db := storetest.New(b)
	c := newCompany(b, db)
	c.connect(b, c.site, func(n *signin.Connection) { n.Mode = signin.SSOOptional })
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		in := c.about(b, c.start(b, ""), "ada", "ada@acme.example", "ada@acme.example")
		b.StartTimer()
		if _, err := c.sso.Finish(c.ctx, c.site, in, session.Browser{}); err != nil {
			b.Fatal(err)
		}
	}
}
