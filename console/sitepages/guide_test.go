package sitepages

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/provision/templates"
)

func TestTheGuidePageHasTheRowsOfTheTemplate(t *testing.T) {
	t.Parallel()
	text, err := templates.Get(templates.Guide)
	if err != nil {
		t.Fatal(err)
	}
	schema, err := provision.ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	users, err := schema.UserMapping()
	if err != nil {
		t.Fatal(err)
	}
	var want []guideMapping
	for _, m := range users.AttributeMappings {
		row := guideMapping{Source: m.Source.Expression, Target: m.TargetAttributeName}
		if m.Source.Type == expr.TypeAttribute {
			row.Source = m.Source.Name
		}
		if m.MatchingPriority == 1 {
			row.Precedence = "1"
		}
		want = append(want, row)
	}
	got := guideMappings()
	for i := range got {
		// The guide prints expressions without what they leave at its default; the template stores them whole.
		if !strings.Contains(got[i].Source, "(") {
			continue
		}
		parsed, err := expr.Parse(got[i].Source)
		if err != nil {
			t.Fatal(err)
		}
		got[i].Source = parsed.String()
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got -, want +:\n%s", diff)
	}
}
