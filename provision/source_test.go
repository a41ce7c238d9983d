package provision_test

import (
	"encoding/json"
	"testing"

	"github.com/rollcall-scim/rollcall/provision"
)

// TestAStateOfAnEarlierVersionKeepsItsPlace reads a watermark in the old form, which is a pair of
// numbers.
func TestAStateOfAnEarlierVersionKeepsItsPlace(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]provision.Cursor{
		`{"Tx":3,"Seq":8}`: "3-8", `{"Tx":0,"Seq":5}`: "0-5", `{"Tx":0,"Seq":0}`: "", `"7-9"`: "7-9", `""`: "",
	} {
		var s provision.State
		if err := json.Unmarshal([]byte(`{"watermark":`+text+`}`), &s); err != nil || s.Watermark != want {
			t.Errorf("%s: got %q, %v; want %q", text, s.Watermark, err, want)
		}
	}
	if err := json.Unmarshal([]byte(`{"watermark":true}`), &provision.State{}); err == nil {
		t.Error("a watermark that is no position was accepted")
	}
}
