package provision

import (
	"encoding/json"
	"strings"
)

// RoleForm says how a row sends a person's application roles. There is one form for each of Entra's
// role functions.
type RoleForm string

// The forms in which roles are sent.
const (
	SingleRole RoleForm = "single" // SingleAppRoleAssignment: only one role is sent, as the primary role
	AddedRoles RoleForm = "added"  // AppRoleAssignmentsComplex: roles are added and never removed
	AllRoles   RoleForm = "all"    // AssertiveAppRoleAssignmentsComplex: the roles replace the account's roles
)

// roleFormOf returns the form of a row, or "" if the row does not send roles.
func roleFormOf(row AttributeMapping) RoleForm {
	if row.Source == nil || row.Source.Type != "Function" {
		return ""
	}
	switch {
	case row.Source.Name == "SingleAppRoleAssignment" && strings.HasSuffix(row.TargetAttributeName, "].value"):
		return SingleRole
	case row.Source.Name == "AppRoleAssignmentsComplex":
		return AddedRoles
	case row.Source.Name == "AssertiveAppRoleAssignmentsComplex":
		return AllRoles
	}
	return ""
}

// AssignedRole is an application role that a person has.
type AssignedRole struct {
	ID          string `json:"id"`
	Value       string `json:"value"`
	DisplayName string `json:"displayName"`
}

// Name returns the name by which the target knows the role.
func (r AssignedRole) Name() string {
	if r.Value == "" {
		return r.DisplayName
	}
	return r.Value
}

// assignedRoles decodes the roles in the source attribute appRoleAssignments of a person. It leaves
// out roles that cannot be decoded.
func assignedRoles(attributes map[string]any) []AssignedRole {
	texts, _ := attributes["appRoleAssignments"].([]string)
	var roles []AssignedRole
	for _, text := range texts {
		role := AssignedRole{Value: text}
		if strings.HasPrefix(text, "{") && json.Unmarshal([]byte(text), &role) != nil {
			continue
		}
		roles = append(roles, role)
	}
	return roles
}

// complexValues decodes strings that hold JSON objects. It leaves out all other strings.
func complexValues(texts []string) []any {
	list := make([]any, 0, len(texts))
	for _, text := range texts {
		var object map[string]any
		if json.Unmarshal([]byte(text), &object) == nil {
			list = append(list, object)
		}
	}
	return list
}
