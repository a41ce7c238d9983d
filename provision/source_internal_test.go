package provision

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestPagesOfChangesAreCombined combines pages in which the same people change. A change that takes
// access away keeps its cause. Of two imports, the newer one counts.
func TestPagesOfChangesAreCombined(t *testing.T) {
	t.Parallel()
	var all Changed
	all.add(Changed{
		IDs: []string{"a", "b", "c", "d"}, Ended: []string{"import-1"}, Cursor: "1", More: true,
		Origins: map[string]Origin{"a": {"import-1", true}, "b": {"import-1", false}, "c": {"import-1", false}},
	})
	all.add(Changed{
		IDs: []string{"e", "d", "c", "b", "a"}, Ended: []string{"import-2"}, Cursor: "2",
		Origins: map[string]Origin{"a": {"import-2", false}, "b": {"import-2", false}, "c": {}, "d": {"", true}},
	})
	want := Changed{
		IDs: []string{"a", "b", "c", "d", "e"}, Ended: []string{"import-1", "import-2"}, Cursor: "2",
		Origins: map[string]Origin{"a": {"import-1", true}, "b": {"import-2", false}, "c": {"import-1", false}, "d": {"", true}, "e": {}},
	}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
