package expr

import (
	"encoding/json"
	"slices"
	"strings"
)

// roleType is the value of "type" that Entra sends with application roles.
const roleType = "WindowsAzureActiveDirectoryRole"

// roleFunctions returns the functions that read the attribute appRoleAssignments. This attribute
// has one string for each role. The string is a JSON object with id, value and displayName, or only
// the role's value.
func roleFunctions() []function {
	return []function{
		{
			FunctionInfo: FunctionInfo{
				Name: "AppRoleAssignments", DocumentedIn: Graph, Yields: ListType,
				Parameters: []Parameter{required("source")},
				Summary:    "The values of the application's roles that are assigned, in an older form.",
				Details:    []string{"Null stays null."},
				Examples:   []Example{{Expression: `AppRoleAssignments([appRoleAssignments])`, Given: attributesOf("appRoleAssignments", exampleRole), Result: "admin", ResultIsList: true}},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				roles, v, err := n.evalRoles(r)
				if err != nil || len(roles) == 0 {
					return v, err
				}
				var values []string
				for _, role := range roles {
					values = append(values, role.name())
				}
				return List(values), nil
			},
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "AppRoleAssignmentsComplex", DocumentedIn: Provisioning, Yields: ComplexType,
				Parameters: []Parameter{required("source")},
				Summary:    "The application's roles that are assigned, as complex values to add.",
				Details:    []string{"No role is primary, and the type is `WindowsAzureActiveDirectoryRole`. Map it to `roles`. Roles that are no longer assigned stay in the target. It does not work for a job that provisions everyone: roles come from assignments."},
				Examples: []Example{{
					Expression: `AppRoleAssignmentsComplex([appRoleAssignments])`, Given: attributesOf("appRoleAssignments", exampleRole), ResultIsList: true,
					Result: `{"primary":false,"type":"WindowsAzureActiveDirectoryRole","displayName":"Administrator","value":"admin"}`,
				}},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				return n.evalComplexRoles(r, func(a assignedRole) any {
					return struct {
						Primary     bool   `json:"primary"`
						Type        string `json:"type"`
						DisplayName string `json:"displayName,omitempty"`
						Value       string `json:"value"`
					}{Type: roleType, DisplayName: a.DisplayName, Value: a.name()}
				})
			},
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "AssertiveAppRoleAssignmentsComplex", DocumentedIn: Provisioning, Yields: ComplexType,
				Parameters: []Parameter{required("source")},
				Summary:    "The application's roles that are assigned, as complex values that replace what is there.",
				Details:    []string{"As AppRoleAssignmentsComplex, but roles that are no longer assigned go. Microsoft recommends it. Map it to `roles`."},
				Examples: []Example{{
					Expression: `AssertiveAppRoleAssignmentsComplex([appRoleAssignments])`, Given: attributesOf("appRoleAssignments", exampleRole), ResultIsList: true,
					Result: `{"primary":false,"type":"WindowsAzureActiveDirectoryRole","display":"Administrator","value":"admin"}`,
				}},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				return n.evalComplexRoles(r, func(a assignedRole) any {
					return struct {
						Primary bool   `json:"primary"`
						Type    string `json:"type"`
						Display string `json:"display,omitempty"`
						Value   string `json:"value"`
					}{Type: roleType, Display: a.DisplayName, Value: a.name()}
				})
			},
		},
		{
			FunctionInfo: FunctionInfo{
				Name: "SingleAppRoleAssignment", DocumentedIn: Provisioning, Yields: TextType,
				Parameters: []Parameter{required("source")},
				Summary:    "The value of one role of the application that is assigned.",
				Details:    []string{"Entra does not say which one if several are assigned; Rollcall takes the first by the alphabet. A role without a value gives its display name. Null stays null."},
				Examples:   []Example{{Expression: `SingleAppRoleAssignment([appRoleAssignments])`, Given: attributesOf("appRoleAssignments", exampleRole), Result: "admin"}},
			},
			eval: func(n *node, r *evaluation) (Value, error) {
				roles, v, err := n.evalRoles(r)
				if err != nil || len(roles) == 0 {
					return v, err
				}
				return String(roles[0].name()), nil
			},
		},
	}
}

const exampleRole = `{"id":"1b4f816e-5eaf-48b9-8613-7923830595ad","value":"admin","displayName":"Administrator"}`

// assignedRole is a role of the application that is assigned to the user.
type assignedRole struct {
	ID          string `json:"id"`
	Value       string `json:"value"`
	DisplayName string `json:"displayName"`
}

// name returns the name of the role in the target: its value, or its display name if it has no
// value.
func (a assignedRole) name() string {
	if a.Value == "" {
		return a.DisplayName
	}
	return a.Value
}

// evalRoles returns the roles in argument 0. They are sorted by name, so that the same roles always
// give the same result. If there are no roles, v is the value that the function must return.
func (n *node) evalRoles(r *evaluation) (roles []assignedRole, v Value, err error) {
	v, err = n.args[0].eval(r)
	if err != nil {
		return nil, Null(), err
	}
	for _, text := range v.Strings() {
		if text == "" {
			continue
		}
		role := assignedRole{Value: text}
		if strings.HasPrefix(text, "{") {
			role = assignedRole{}
			if err := json.Unmarshal([]byte(text), &role); err != nil {
				return nil, Null(), n.errorAt(n.args[0], r.quoteForMessage(String(text))+" is not an assigned role: it is not JSON with id, value and displayName")
			}
		}
		if role.name() != "" {
			roles = append(roles, role)
		}
	}
	slices.SortStableFunc(roles, func(a, b assignedRole) int { return strings.Compare(a.name(), b.name()) })
	return roles, Null(), nil
}

// evalComplexRoles returns the assigned roles as a list of JSON objects. object returns the object
// for a role.
func (n *node) evalComplexRoles(r *evaluation, object func(assignedRole) any) (Value, error) {
	roles, v, err := n.evalRoles(r)
	if err != nil || len(roles) == 0 {
		return v, err
	}
	var objects []string
	for _, role := range roles {
		b, err := json.Marshal(object(role))
		if err != nil {
			return Null(), n.errorAt(n.args[0], "a role cannot be written as JSON")
		}
		objects = append(objects, string(b))
	}
	return complexList(objects), nil
}
