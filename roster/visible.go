package roster

import (
	"strings"

	"github.com/rollcall-scim/rollcall/internal/visible"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// checkUserName refuses a new or changed userName with characters that nobody can see, or with a space at its beginning or end:
// people could not tell it from another one. A stored one stays, so that it stands in the way of no other change. RFC 8265 §3.3
// refuses every space; one inside a name can be seen, and stays.
func checkUserName(before, after scim.Resource) error {
	name := after.String("userName")
	if name == before.String("userName") {
		return nil
	}
	if i := strings.IndexFunc(name, visible.Hidden); i >= 0 {
		return refusal.New(refusal.Invalid, "userName", "userName contains %s, which nobody can see: %s", visible.Describe([]rune(name[i:])[0]), visible.Reveal(name)).Advise("remove it")
	}
	if strings.Trim(name, " ") != name {
		return refusal.New(refusal.Invalid, "userName", "userName begins or ends with a space, which nobody can see: %s", visible.Reveal(name)).Advise("remove it")
	}
	return nil
}
