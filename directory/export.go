package directory

import (
	"context"
	"errors"

	"github.com/rollcall-scim/rollcall/refusal"
)

// Export calls write for every user that is not deleted, sorted by display name. manager is the
// userPrincipalName of the user's manager, or "" if the user has no manager or the manager is
// deleted. Export stops at the first error.
func (h *Handle) Export(ctx context.Context, write func(u User, manager string) error) error {
	names := map[string]string{}
	return h.EachUser(ctx, UserQuery{}, func(u User) error {
		id := u.Text(attrManager)
		if _, known := names[id]; id != "" && !known {
			manager, err := h.User(ctx, id)
			if err != nil && !errors.Is(err, refusal.NotFound) {
				return err
			}
			if err == nil && !manager.IsDeleted() {
				names[id] = manager.UPN()
			} else {
				names[id] = ""
			}
		}
		return write(u, names[id])
	})
}
