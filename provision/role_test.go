package provision_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rollcall-scim/rollcall/directory"
	"github.com/rollcall-scim/rollcall/provision"
	"github.com/rollcall-scim/rollcall/provision/expr"
)

// mapRoles adds a row for roles to the mapping of users.
func (g *groupWorld) mapRoles(target, expression string) {
	g.t.Helper()
	e, err := expr.Parse(expression)
	g.must(err)
	job, err := g.jobs.Get(g.t.Context(), g.key)
	g.must(err)
	schema := job.Schema.Clone()
	m, err := schema.UserMapping()
	g.must(err)
	m.AttributeMappings = append(m.AttributeMappings, provision.AttributeMapping{TargetAttributeName: target, Source: e.Source(), FlowType: provision.FlowAlways})
	g.must(addTarget(schema, target))
	_, err = g.jobs.SetSchema(g.t.Context(), g.key, schema, "cli")
	g.must(err)
}

// addTarget adds a target attribute if the schema does not have it.
func addTarget(s *provision.Schema, name string) error {
	d, err := s.Directory("customappsso")
	if err != nil {
		return err
	}
	for i := range d.Objects {
		if o := &d.Objects[i]; strings.HasSuffix(o.Name, ":User") {
			if _, has := o.Attribute(name); !has {
				o.Attributes = append(o.Attributes, provision.AttributeDefinition{Name: name, Type: provision.TypeString, Mutability: provision.ReadWrite})
			}
		}
	}
	return nil
}

// TestAppRolesOnTheWire compares the requests about roles with Entra's forms.
func TestAppRolesOnTheWire(t *testing.T) {
	t.Parallel()
	const single = `roles[primary eq "True"].value`
	for _, tt := range []struct {
		name, target, expression string
		options                  []option
		create                   string // the roles in the POST of a person with the role 25
		patch                    string // the PATCH when a person gets the role later; ID stands for the id of the role
	}{
		{
			"one", single, "SingleAppRoleAssignment([appRoleAssignments])", nil,
			`[{"primary":true,"type":"WindowsAzureActiveDirectoryRole","value":"25"}]`,
			`{"op":"Add","path":"roles","value":[{"value":"{\"id\":\"ID\",\"value\":\"25\",\"displayName\":\"Role1234\"}"}]}`,
		},
		{
			"one with the flag", single, "SingleAppRoleAssignment([appRoleAssignments])",
			[]option{compliant},
			`[{"primary":true,"type":"WindowsAzureActiveDirectoryRole","value":"25"}]`,
			`{"op":"add","path":"roles","value":[{"primary":true,"type":"WindowsAzureActiveDirectoryRole","value":"25"}]}`,
		},
		{
			"added", "roles", "AppRoleAssignmentsComplex([appRoleAssignments])", nil,
			`[{"displayName":"Role1234","primary":false,"type":"WindowsAzureActiveDirectoryRole","value":"25"}]`,
			`{"op":"Add","path":"roles","value":[{"value":"{\"id\":\"ID\",\"value\":\"25\",\"displayName\":\"Role1234\"}"}]}`,
		},
		{
			"added with the flag", "roles", "AppRoleAssignmentsComplex([appRoleAssignments])",
			[]option{compliant},
			`[{"displayName":"Role1234","primary":false,"type":"WindowsAzureActiveDirectoryRole","value":"25"}]`,
			`{"op":"add","path":"roles","value":[{"displayName":"Role1234","primary":false,"type":"WindowsAzureActiveDirectoryRole","value":"25"}]}`,
		},
		{
			"all", "roles", "AssertiveAppRoleAssignmentsComplex([appRoleAssignments])", nil,
			`[{"display":"Role1234","primary":false,"type":"WindowsAzureActiveDirectoryRole","value":"25"}]`,
			`{"op":"replace","path":"roles","value":[{"display":"Role1234","primary":false,"type":"WindowsAzureActiveDirectoryRole","value":"25"}]}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			g := newGroupWorld(t, tt.options...)
			g.mapRoles(tt.target, tt.expression)
			role, _, err := g.handle.PutRole(t.Context(), g.key.App, directory.AppRole{Value: "25", DisplayName: "Role1234", Enabled: true}, "cli")
			g.must(err)
			give := func(id string) {
				t.Helper()
				_, err := g.handle.AssignRole(t.Context(), g.key.App, role.ID, []string{id}, "cli")
				g.must(err)
			}
			ada := g.hire("ada", false)
			give(ada)
			g.app.asked()
			g.sync()
			var post struct{ Roles json.RawMessage }
			g.must(json.Unmarshal([]byte(g.app.bodies[0]), &post))
			if diff := cmp.Diff(tt.create, string(post.Roles)); diff != "" {
				t.Errorf("create (-want +got):\n%s", diff)
			}
			bo := g.hire("bo", true)
			g.sync()
			give(bo)
			if diff := cmp.Diff([]string{strings.ReplaceAll(tt.patch, "ID", role.ID)}, g.operations()); diff != "" {
				t.Errorf("update (-want +got):\n%s", diff)
			}
			if got := g.operations(); len(got) != 0 {
				t.Errorf("again: %q", got)
			}
		})
	}
}
