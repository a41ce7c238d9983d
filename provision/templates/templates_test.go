package templates_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory/source"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
	"github.com/rollcall-scim/rollcall/provision/templates"
)

// row is a line of the mapping page: source, target, matching precedence.
type row struct {
	Source, Target string
	Match          int
}

// guideRows returns the rows of the guide's table, in its order. The guide prints the second row
// without the empty default, which the template has.
func guideRows() []row {
	return []row{
		{"userPrincipalName", "userName", 1},
		{`Switch([IsSoftDeleted], , "False", "True", "True", "False")`, "active", 0},
		{"displayName", "displayName", 0},
		{"jobTitle", "title", 0},
		{"mail", `emails[type eq "work"].value`, 0},
		{"preferredLanguage", "preferredLanguage", 0},
		{"givenName", "name.givenName", 0},
		{"surname", "name.familyName", 0},
		{`Join(" ", [givenName], [surname])`, "name.formatted", 0},
		{"physicalDeliveryOfficeName", `addresses[type eq "work"].formatted`, 0},
		{"streetAddress", `addresses[type eq "work"].streetAddress`, 0},
		{"city", `addresses[type eq "work"].locality`, 0},
		{"state", `addresses[type eq "work"].region`, 0},
		{"postalCode", `addresses[type eq "work"].postalCode`, 0},
		{"country", `addresses[type eq "work"].country`, 0},
		{"telephoneNumber", `phoneNumbers[type eq "work"].value`, 0},
		{"mobile", `phoneNumbers[type eq "mobile"].value`, 0},
		{"facsimileTelephoneNumber", `phoneNumbers[type eq "fax"].value`, 0},
		{"mailNickname", "externalId", 0},
	}
}

func groupRows() []row {
	return []row{{"displayName", "displayName", 1}, {"objectId", "externalId", 0}, {"members", "members", 0}}
}

func TestGuide_has_the_guides_rows_letter_by_letter(t *testing.T) {
	t.Parallel()
	s := load(t, templates.Guide)
	users := mapping(t, s, "Provision Azure Active Directory Users")
	if diff := cmp.Diff(guideRows(), rows(users)); diff != "" {
		t.Errorf("user rows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(groupRows(), rows(mapping(t, s, "Provision Azure Active Directory Groups"))); diff != "" {
		t.Errorf("group rows (-want +got):\n%s", diff)
	}
	rule := s.SynchronizationRules[0]
	got := []string{rule.SourceDirectoryName, rule.TargetDirectoryName, users.SourceObjectName, users.TargetObjectName, s.ObjectMappings()[0].Name, s.ObjectMappings()[1].Name}
	want := []string{
		"Azure Active Directory", "customappsso", "User", "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User",
		"Provision Azure Active Directory Groups", "Provision Azure Active Directory Users",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}

func TestNonGallery_adds_the_rows_that_the_guide_does_not_show(t *testing.T) {
	t.Parallel()
	s := load(t, templates.NonGallery)
	enterprise := "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:"
	want := append(guideRows(), row{"employeeId", enterprise + "employeeNumber", 0}, row{"department", enterprise + "department", 0}, row{"manager", enterprise + "manager", 0})
	if diff := cmp.Diff(want, rows(mapping(t, s, "Provision Microsoft Entra ID Users"))); diff != "" {
		t.Errorf("user rows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(groupRows(), rows(mapping(t, s, "Provision Microsoft Entra ID Groups"))); diff != "" {
		t.Errorf("group rows (-want +got):\n%s", diff)
	}
}

func TestTemplates(t *testing.T) {
	t.Parallel()
	for _, name := range templates.Names() {
		t.Run(name+"_is_valid", func(t *testing.T) {
			t.Parallel()
			s := load(t, name)
			if err := s.Validate(source.UserAttributes{}); err != nil {
				t.Fatal(err)
			}
			for _, m := range s.ObjectMappings() {
				if !m.Enabled || m.FlowTypes != provision.FlowAdd|provision.FlowUpdate|provision.FlowDelete || !m.Scope.Empty() {
					t.Errorf("%s: enabled %v, flow types %s, scope %v; want every action on, for all records", m.Name, m.Enabled, m.FlowTypes, m.Scope)
				}
			}
		})
		t.Run(name+"_has_trees_that_agree_with_their_texts", func(t *testing.T) {
			t.Parallel()
			for _, m := range load(t, name).ObjectMappings() {
				for _, r := range m.AttributeMappings {
					e, err := expr.Parse(r.Source.Expression)
					if err != nil {
						t.Fatal(err)
					}
					if diff := cmp.Diff(asJSON(t, e.Source()), asJSON(t, r.Source)); diff != "" {
						t.Errorf("%s, %s (-text +tree):\n%s", m.Name, r.TargetAttributeName, diff)
					}
				}
			}
		})
		t.Run(name+"_survives_being_written_and_read", func(t *testing.T) {
			t.Parallel()
			s := load(t, name)
			b, err := s.JSON()
			if err != nil {
				t.Fatal(err)
			}
			document, err := templates.Get(name)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parsed(t, document), parsed(t, b)); diff != "" {
				t.Errorf("(-file +written):\n%s", diff)
			}
		})
	}
}

func TestGet_names_the_templates_if_there_is_none_of_that_name(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"salesforce", "", "../templates", "/etc/passwd"} {
		if _, err := templates.Get(name); err == nil || !strings.Contains(err.Error(), "the templates are guide and customappsso") {
			t.Errorf("Get(%q): got %v", name, err)
		}
	}
}

func load(t *testing.T, name string) *provision.Schema {
	t.Helper()
	b, err := templates.Get(name)
	if err != nil {
		t.Fatal(err)
	}
	s, err := provision.ParseSchema(b)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mapping(t *testing.T, s *provision.Schema, name string) *provision.ObjectMapping {
	t.Helper()
	m, err := s.ObjectMapping(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// rows shows a mapping as the page does: attributes by their names, expressions as text.
func rows(m *provision.ObjectMapping) []row {
	var shown []row
	for _, r := range m.AttributeMappings {
		source := r.Source.Expression
		if r.Source.Type == expr.TypeAttribute {
			source = r.Source.Name
		}
		shown = append(shown, row{source, r.TargetAttributeName, r.MatchingPriority})
	}
	return shown
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func parsed(t *testing.T, b []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(b, &v); err != nil {
		t.Fatal(err)
	}
	return v
}
