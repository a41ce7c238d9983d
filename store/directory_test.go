package store_test

import (
	"strings"
	"testing"

	"github.com/rollcall-scim/rollcall/internal/storetest"
	"github.com/rollcall-scim/rollcall/store"
)

// TestCountAssignmentsReadsIndexesOnly checks that counting the users of an application reads only
// indexes. The pages of an application count its users on every visit, so the count must not read
// 50,000 users.
func TestCountAssignmentsReadsIndexesOnly(t *testing.T) {
	t.Parallel()
	plan, err := store.PlanCountAssignments(t.Context(), storetest.New(t))
	if err != nil {
		t.Fatal(err)
	}
	reads, first := 0, ""
	for _, line := range plan {
		if !strings.HasPrefix(line, "SEARCH") && !strings.HasPrefix(line, "SCAN") || strings.HasPrefix(line, "SCAN CONSTANT") {
			continue
		}
		reads++
		if !strings.Contains(line, "USING COVERING INDEX") {
			t.Errorf("reads rows: %s", line)
		}
		if strings.Contains(line, " u ") && first == "" {
			first = "u"
		} else if strings.Contains(line, " a ") && first == "" {
			first = "a"
		}
	}
	if reads != 3 || first != "u" {
		t.Errorf("got\n%s\nwant the assignments, then the deleted users before theirs", strings.Join(plan, "\n"))
	}
}
