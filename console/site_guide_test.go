package console

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/provision/templates"
	"github.com/rollcall-scim/rollcall/site"
)

func TestGuidePage(t *testing.T) {
	t.Parallel()

	t.Run("has_the_rows_of_the_template", func(t *testing.T) {
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
	})

	t.Run("follows_the_profile", func(t *testing.T) {
		t.Parallel()
		path := scimPath + "/guide"
		w := newWorld(t)
		_, b := w.admin(site.Documented)
		b.get(path).wantWords("Target Object Actions to just Update", "must match the Display Name Assertion", "SCIM is off for this site").wantNoWords("leave Create, Update and Delete ticked")
		w = newWorld(t)
		_, b = w.admin(site.Full)
		b.get(path).wantWords("leave Create, Update and Delete ticked").wantNoWords("to just Update", "Display Name Assertion")
	})

	t.Run("has_the_guides_words", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		_, b := w.admin(site.Documented)
		b.get(scimPath+"/guide").wantWords("Configure SCIM with Entra ID", "1. Entra ID SCIM Setup for Rollcall", "2. Entra ID SCIM User Mapping",
			"Provisioning", "Get started", "Automatic", "Admin Credentials", "Tenant URL", "Secret Token", "Test Connection", "Save",
			"Provision Azure Active Directory Groups", "Provision Azure Active Directory Users", "Azure Active Directory Attribute", "customappsso Attribute", "Matching precedence")
	})
}
