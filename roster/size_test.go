package roster_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
	"github.com/rollcall-scim/rollcall/scim"
)

// addresses returns a JSON list of n e-mail addresses, numbered from the number from.
func addresses(from, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{"value":"a%d@acme.test"}`, from+i)
	}
	return "[" + strings.Join(list, ",") + "]"
}

func TestSizeOfAResource(t *testing.T) {
	const most = 2_000
	body := func(emails string) string {
		return `{"schemas":["urn:ietf:params:scim:schemas:core:2.0:User"],"userName":"ada","emails":` + emails + `}`
	}
	t.Run("in_values_that_have_rows", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			people := f.people(f.full)
			_, err := people.Create(t.Context(), roster.User, decode(t, body(addresses(0, most+1))), bySCIM)
			if detail := isError(t, err, 400, "invalidValue"); !strings.Contains(detail, "2001 e-mail addresses") {
				t.Errorf("got %q", detail)
			}
			id := f.user(t, f.full, body(addresses(0, most)))
			_, err = people.Patch(t.Context(), roster.User, id, patchOf(t, scim.UserType(), `{"op":"add","path":"emails","value":`+addresses(most, 1)+`}`), bySCIM)
			isError(t, err, 400, "invalidValue")
			// Removing the first address moves each other address to another place in the list.
			if _, err := people.Patch(t.Context(), roster.User, id, patchOf(t, scim.UserType(), `{"op":"remove","path":"emails[value eq \"a0@acme.test\"]"}`), bySCIM); err != nil {
				t.Fatal(err)
			}
			f.finds(t, f.full, `emails eq "a0@acme.test"`)
			f.finds(t, f.full, `emails eq "a1@acme.test"`, id)
			f.finds(t, f.full, fmt.Sprintf(`emails eq "a%d@acme.test"`, most-1), id)
		})
	})
	t.Run("in_bytes", func(t *testing.T) {
		each(t, func(t *testing.T, f fixture) {
			people := f.people(f.full)
			id := f.user(t, f.full, body(`[]`))
			text := strings.Repeat("x", 1_000_000)
			for i, want := range []int{0, 0, 413} {
				_, err := people.Patch(t.Context(), roster.User, id, patchOf(t, scim.UserType(), fmt.Sprintf(`{"op":"add","path":"photos","value":[{"type":"%d","value":%q}]}`, i, text)), bySCIM)
				switch {
				case want != 0:
					isError(t, err, want, "")
				case err != nil:
					t.Fatal(err)
				}
			}
			// A resource of the maximum size can still be deactivated.
			if _, err := people.Patch(t.Context(), roster.User, id, patchOf(t, scim.UserType(), `{"op":"replace","path":"active","value":false}`), bySCIM); err != nil {
				t.Error(err)
			}
		})
	})
}
