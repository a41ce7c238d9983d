package store_test

import (
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
)

// A plan of 100,000 people asks for the planned operation of each. If a question read the whole
// plan, applying the plan would take hours.
func TestAPlannedOperationIsFoundWithoutReadingItsPlan(t *testing.T) {
	t.Parallel()
	lines, err := store.PlanOfExpectedOperation(t.Context(), storetest.Open(t, storetest.SQLiteURL(t)))
	if err != nil {
		t.Fatal(err)
	}
	plan := strings.Join(lines, "\n")
	for _, index := range []string{"o USING INDEX job_plan_object_due (directory=? AND app=? AND object_id=?)", "f USING INDEX job_plan_object_references (directory=? AND app=? AND plan=? AND object_id=?)"} {
		if !strings.Contains(plan, index) {
			t.Errorf("got this plan, want it to use the index %q:\n%s", index, plan)
		}
	}
}
