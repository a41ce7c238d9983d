package console_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/console/sitepages"
	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/site"
)

// TestNobodyLearnsWhichSitesThereAre asks every route of the sites' pages without a session, for a site that is there and for
// one that is not, and for each spelling of a name. The answers must be the same but for the name that was asked for.
func TestNobodyLearnsWhichSitesThereAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	acme := w.site("acme", site.Full)
	w.person(acme, "kim@acme.example", "Kim", roster.RoleAdmin)
	handler := w.pages.Handler()
	params := func(name string) map[string]string {
		return map[string]string{"site": name, "person": "p", "token": "t", "declared": "d", "attribute": "userName", "decision": "apply", "conflict": "c", "secret": strings.Repeat("A", 43)}
	}
	for _, rt := range w.pages.Routes() {
		for _, cookie := range []string{"", strings.Repeat("B", 43)} {
			for _, names := range [][2]string{{"acme", "none"}, {"ACME", "NONE"}, {"acme.", "none."}} {
				there := knock(t, handler, rt.Pattern, params(names[0]), sitepages.SessionCookie, cookie)
				absent := knock(t, handler, rt.Pattern, params(names[1]), sitepages.SessionCookie, cookie)
				if there.Code != absent.Code {
					t.Errorf("%s, %s: %d where the site is and %d where it is not", rt.Pattern, names[0], there.Code, absent.Code)
				}
				if got, want := namelessHeader(absent.Header(), names[1]), namelessHeader(there.Header(), names[0]); !slices.Equal(got, want) {
					t.Errorf("%s, %s: headers differ:\n%q\n%q", rt.Pattern, names[0], want, got)
				}
				if got, want := strings.ReplaceAll(absent.Body.String(), names[1], "NAME"), strings.ReplaceAll(there.Body.String(), names[0], "NAME"); got != want {
					t.Errorf("%s, %s: bodies differ:\n%s\n---\n%s", rt.Pattern, names[0], want, got)
				}
			}
		}
	}
}

// namelessHeader is a header as lines in order, without the name of the site.
func namelessHeader(h http.Header, name string) (lines []string) {
	for key, values := range h {
		for _, v := range values {
			lines = append(lines, key+": "+strings.ReplaceAll(v, name, "NAME"))
		}
	}
	slices.Sort(lines)
	return lines
}
