package roster

import (
	"strings"

	"github.com/rollcall-scim/rollcall/internal/visible"
	"github.com/rollcall-scim/rollcall/refusal"
	"github.com/rollcall-scim/rollcall/scim"
)

// checkUserName refuses a new or changed userName that contains invisible characters, or that
// begins or ends with a space, because people could not tell it from another user name. It accepts
// an unchanged userName, so that an old one does not block other changes. RFC 8265 §3.3 refuses
// every space; checkUserName accepts a space inside a name, because people can see it.
func checkUserName(before, after scim.Resource) error {
	name := after.String("userName")
	if name == before.String("userName") {
		return nil
	}
	if i := strings.IndexFunc(name, visible.IsHidden); i >= 0 {
		return refusal.New(refusal.Invalid, "userName", "userName contains %s, which nobody can see: %s", visible.Describe([]rune(name[i:])[0]), visible.Reveal(name)).Advise("remove it")
	}
	if strings.Trim(name, " ") != name {
		return refusal.New(refusal.Invalid, "userName", "userName begins or ends with a space, which nobody can see: %s", visible.Reveal(name)).Advise("remove it")
	}
	return nil
}
