package roster_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/rollcall-scim/rollcall/roster"
)

func TestIDsStandInTheOrderInWhichTheyWereMade(t *testing.T) {
	t.Parallel()
	ids := make([]string, 10_000)
	form := regexp.MustCompile(`^[0-9a-f]{32}$`)
	for i := range ids {
		if ids[i] = roster.NewID(); !form.MatchString(ids[i]) {
			t.Fatalf("got %q", ids[i])
		}
	}
	if !slices.IsSorted(ids) || len(slices.Compact(ids)) != 10_000 {
		t.Error("one stands before an earlier one, or is the same")
	}
}
