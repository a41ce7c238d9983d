package provision_test

import (
	"net/http"
	"testing"
	"time"
)

// These tests are about memberships that change in the directory while the engine works on them.

// TestAMemberWhoLeavesDuringTheFirstRequestIsRemoved has a member leave a new group while the
// request with the first members of the group is under way.
func TestAMemberWhoLeavesDuringTheFirstRequestIsRemoved(t *testing.T) {
	t.Parallel()
	g := newGroupWorld(t)
	ada, bo := g.hire("ada", true), g.hire("bo", true)
	g.sync()
	blue := ""
	g.teams.answer = func(_ http.ResponseWriter, r *http.Request, _ string) bool {
		if r.Method != http.MethodPatch || blue == "" {
			return false
		}
		group := blue
		blue = ""
		g.leave(group, ada)
		g.engine.Wake(g.key)
		for range 1_000 {
			if listed, err := g.store.MembershipsAmong(t.Context(), g.key, group, []string{ada}); err != nil || len(listed) > 0 {
				if err != nil {
					t.Error(err)
				}
				return false
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Error("the removal was not imported")
		return false
	}
	blue = g.group("Team Blue", ada, bo)
	g.sync()
	g.sync()
	g.expect("Team Blue: bo")
}
