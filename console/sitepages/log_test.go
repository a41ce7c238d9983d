package sitepages

import (
	"testing"

	"github.com/rollcall-scim/rollcall/site"
)

func TestShortPath(t *testing.T) {
	t.Parallel()
	v := &siteVisit{Site: site.Site{Name: "acme"}}
	for path, want := range map[string]string{
		"/c/acme/auth/scim/v2/Users/187922c3150e41692ce96e7e7c68e76b": "/Users/187922c3…",
		"/c/acme/auth/scim/v2/ServiceProviderConfig":                  "/ServiceProviderConfig",
		"/c/acme/auth/scim/v2":                                        "/c/acme/auth/scim/v2",
		"/c/acme/auth/scim/v2/Users?filter=userName+eq+%22a%22":       `/Users?filter=userName eq "a"`,
		"/c/acme/auth/scim/v2/Users?filter=%zz":                       "/Users?filter=%zz",
	} {
		if got := shortPath(v, path); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}
